"""What the text of a persona adds to its census core: does it move people to the left, or make them sound happier?

Detail written by a model has been seen to move simulated opinions to the left and the tone up (arXiv 2503.16527). Here
a model, the reader, sees each person at every step of the construction and says how the person reads.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..attributes import CENSUS, NAMES
from ..model import LanguageModel, Messages
from ..templates import Template
from ..templates import load as load_template
from . import filtering, profiles, psychographics
from .ids import ID
from .texts import FALLBACK, QUIRKS, SETS

CORE = "census core"
# Each step shows its attributes and those of the steps before.
LADDER: Mapping[str, tuple[str, ...]] = {
    CORE: CENSUS,
    "and surveys": psychographics.COLUMNS,
    "and quirks": tuple(QUIRKS),
    "and texts": tuple(SETS),
}
# The question of each measure, and its options from one end to the other. They count -1, 0 and 1.
MEASURES = {
    "politics": ("Where do this person's politics most likely lie?", ("to the left", "in the middle", "to the right")),
    "tone": ("How does this description make the person's life sound?", ("sad", "neither sad nor happy", "happy")),
}
VALUES = np.array([-1.0, 0.0, 1.0])
LETTERS = "ABC"
FEWEST = 3  # people for an interval
REPEATED = 0.01  # the most people of a writer that may have the same text by chance
TINY = 1e-9  # a smaller standard deviation is rounding error: all differences are equal


def read(people: pd.DataFrame, reader: LanguageModel, templates: str | None = None) -> pd.DataFrame:
    """Let a model say how each person reads at each step of the ladder, with the options in both orders.

    Args:
        people: personas, index `persona_id`.
        reader: the model; it must offer log-probabilities.
        templates: folder with an `impression.txt` of the user's own.

    Returns:
        One row per person, step and measure: `persona_id`, `step`, `measure`, `reader`, `value`, `failure` (why the
        value is missing), `mass`, `samples`. `value` is from -1 (left or sad) to 1 (right or happy): the mean over the
        options' probabilities and over both orders. `mass` is the options' share of the probability of the reply's
        first token, the lower of the two orders; `samples` is the number of sampled replies where no tokens show the
        choice, the higher of the two (see `model.replies.choices`).
    """
    template = load_template("impression", templates)
    shown = _profiles(people)
    rows: list[tuple[str, str, str, str]] = []
    messages: list[Messages] = []
    for place, persona in enumerate(people.index):
        for step, texts in shown.items():
            for measure, (question, options) in MEASURES.items():
                rows.append((persona, step, measure, reader.name))
                for order in (options, options[::-1]):
                    messages.append(_asked(template, texts.iloc[place], question, order))
    got = reader.choices(messages, tuple(LETTERS), step="impressions")
    chances = got.probabilities.reshape(-1, 2, len(LETTERS))  # rows x orders x letters
    # In the reversed order each letter stands for minus its value: hence the difference, over two orders.
    value = (chances[:, 0] - chances[:, 1]) @ VALUES / 2
    table = pd.DataFrame(rows, columns=[ID, "step", "measure", "reader"]).assign(value=value)
    table["failure"] = pd.Series(got.why(orders=2), table.index, dtype="str")
    return table.assign(mass=got.mass.reshape(-1, 2).min(axis=1), samples=got.samples.reshape(-1, 2).max(axis=1))


def _profiles(people: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the texts of all people at each step of the ladder."""
    shown: dict[str, pd.Series] = {}
    known: set[str] = set()
    for step, columns in LADDER.items():
        known.update(columns)
        shown[step] = profiles.texts(people[[name for name in NAMES if name in known and name in people]])
    return shown


def _asked(template: Template, profile: str, question: str, options: Sequence[str]) -> Messages:
    lines = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return template.messages({"persona": profile, "question": question, "options": lines})


def drift(table: pd.DataFrame) -> pd.DataFrame:
    """Compute how far each step moves the same people from their census core.

    Args:
        table: as returned by `read`.

    Returns:
        One row per measure and step after the first: `measure`, `step`, `n` (people read at both), `failed` (the
        others), `mean` (at this step), `difference` (from the census core; -2 to 2), `low`, `high` (95% interval), `p`.
        Interval and p are from Student's t of the paired differences, with people as the unit; they are missing below
        three people.
    """
    rows: list[dict[str, Any]] = []
    for measure in MEASURES:
        own = table[table["measure"] == measure]
        wide = own.pivot(index=ID, columns="step", values="value").reindex(columns=list(LADDER))  # people x steps
        for step in list(LADDER)[1:]:
            moved = (wide[step] - wide[CORE]).dropna()
            low, high, p = _student(moved)
            rows.append(
                {
                    "measure": measure,
                    "step": step,
                    "n": len(moved),
                    "failed": len(wide) - len(moved),
                    "mean": wide[step].mean(),
                    "difference": moved.mean(),
                    "low": low,
                    "high": high,
                    "p": p,
                }
            )
    return pd.DataFrame(rows)


def _student(values: pd.Series) -> tuple[float, float, float]:
    """Return the 95% interval of a mean and the p-value of a mean of 0; NaN where they are not estimable."""
    from scipy import stats  # takes half a second, and `persona sample` does not need it

    if len(values) < FEWEST or values.std() < TINY:
        return np.nan, np.nan, np.nan
    test = stats.ttest_1samp(values, 0)
    low, high = test.confidence_interval()
    return low, high, test.pvalue


def summary(table: pd.DataFrame, reader: str) -> str:
    """Return how far the full profile moves people from their census core, in a sentence.

    Args:
        table: as returned by `drift`.
        reader: name of the model that read the people.
    """
    from .. import stats  # takes a second, and `persona sample` does not need it

    last = table[table["step"] == list(LADDER)[-1]].set_index("measure")
    if last["difference"].isna().all():
        return f"{reader} gave no impression of the same people at both ends of the ladder."
    ends = {"politics": "above 0: to the right", "tone": "above 0: happier"}
    said = []
    for measure, row in last.dropna(subset="difference").iterrows():
        shift = stats.number(row["difference"], row["low"], row["high"], row["n"])
        said.append(f"{shift} in {measure} ({ends[measure]})")
    return f"From the census core to the full profile, people shift by {' and by '.join(said)}, as {reader} rates them."


def told(people: pd.DataFrame) -> str:
    """Return in words what the model steps did to people as drawn by `personas.sample`: one line each."""
    again, left = int(people["redrawn"].gt(0).sum()), int(people["inconsistent"].notna().sum())
    checked = f"{again:,} of {len(people):,} profiles were drawn anew, and {left:,} are still inconsistent"
    read = len(people) - int(people["failure"].str.startswith("not read: ").fillna(False).sum())
    if filtering.blames_all(left, read):
        checked = f"{left:,} of {read:,} profiles read are called inconsistent: so many tell more of the model than of "
        checked += "the people, and nobody was drawn anew for it (the column `inconsistent` has the reasons)"
    elif not again and not left:
        checked += ": a model that finds nothing may not have read them"
    lines = [f"texts: {writers(people)}", checked]
    if failed := int(people["failure"].notna().sum()):
        lines.append(f"{failed:,} people have a reply that was not usable: the column `failure` says why")
    return "\n".join(lines)


def writers(people: pd.DataFrame) -> str:
    """Return who wrote the texts of people as drawn by `personas.sample`, with the number of people of each writer.

    A writer that repeats itself is named: one that gave more than REPEATED of its people the same text.
    """
    names = people["written by"].replace(FALLBACK, "hand (phrases put together)")
    told = ", ".join(f"{name} ({number:,})" for name, number in names.value_counts().items())
    again = repeated(people)
    again = again[(again["times"] > 2) & (again["times"] > REPEATED * again["n"])]
    said = [
        f"the same {row['attribute']} for {row['times']:,} of {row['n']:,} people ('{row['most frequent']}')"
        for row in again.to_dict("records")
    ]
    return told + (f". A writer repeats itself: {'; '.join(said)}" if said else "")


def repeated(people: pd.DataFrame) -> pd.DataFrame:
    """Count how often a model wrote the same text, whatever its capitals and signs.

    Args:
        people: as drawn by `personas.sample`.

    Returns:
        One row per open-ended attribute that a model wrote: `attribute`, `n` (people), `different` (texts), `most
        frequent` (the text that most people got), `times` (how many).
    """
    of_model = people[people["written by"].ne(FALLBACK)]
    rows = []
    for name in SETS:
        told = of_model.loc[of_model[name].ne(of_model["ideology label"]), name].dropna()  # a label is no text
        if len(told):
            counts = told.str.casefold().str.findall(r"\w+").str.join(" ").value_counts()
            rows.append((name, len(told), len(counts), counts.index[0], int(counts.iloc[0])))
    return pd.DataFrame(rows, columns=["attribute", "n", "different", "most frequent", "times"])
