"""What the text of a persona adds to its census core: does it make people read as more to the left, or as happier?

Detail written by a model has been seen to move simulated opinions to the left and the tone up (arXiv 2503.16527). A
reader, a model, sees each person at every step of the construction and says how they read. Used by 01_personas.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from ..attributes import CENSUS, NAMES
from ..model import LanguageModel
from ..templates import Template
from ..templates import load as load_template
from . import psychographics
from .sampling import ID, describe
from .texts import QUIRKS, SETS

CORE = "census core"
LADDER: Mapping[str, tuple[str, ...]] = {
    CORE: CENSUS,
    "and surveys": psychographics.COLUMNS,
    "and quirks": tuple(QUIRKS),
    "and texts": tuple(SETS),
}
# Each is asked with its options from one end to the other; the ends count -1 and 1.
MEASURES = {
    "politics": ("Where do this person's politics most likely lie?", ("to the left", "in the middle", "to the right")),
    "tone": ("How does this description make the person's life sound?", ("sad", "neither sad nor happy", "happy")),
}
LETTERS = "ABC"
FEWEST, TINY = 3, 1e-9


def read(people: pd.DataFrame, reader: LanguageModel, templates: str | None = None) -> pd.DataFrame:
    """Let a model say how each person reads at each step of the ladder, the options in both orders.

    Args:
        people: personas, index `persona_id`.
        reader: the model; it must offer log-probabilities.
        templates: folder with an `impression.txt` of the user's own.

    Returns:
        One row per person, step and measure: `persona_id`, `step`, `measure`, `reader`, `value` (from -1, left or sad,
        to 1, right or happy: the mean over the options' probabilities and both orders; missing), `failure`.
    """
    template = load_template("impression", templates)
    rows, messages = [], []
    for i, row in people.iterrows():
        shown: list[str] = []
        for step, columns in LADDER.items():
            shown += columns
            profile = describe(row.reindex([name for name in NAMES if name in shown]))
            for measure, (question, options) in MEASURES.items():
                rows.append([i, step, measure, reader.name])
                messages += [_asked(template, profile, question, order) for order in (options, options[::-1])]
    got = reader.choices(messages, tuple(LETTERS), step="impressions")
    chances = got.probabilities.reshape(-1, 2, len(LETTERS))
    value = (chances[:, 0] - chances[:, 1]) @ np.array([-1.0, 0.0, 1.0]) / 2
    table = pd.DataFrame(rows, columns=[ID, "step", "measure", "reader"]).assign(value=value)
    return table.assign(failure=pd.Series(got.why(orders=2), table.index, dtype="str"))


def _asked(template: Template, profile: str, question: str, options: Sequence[str]) -> list[dict[str, str]]:
    lines = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    return template.messages({"persona": profile, "question": question, "options": lines})


def drift(table: pd.DataFrame) -> pd.DataFrame:
    """How far each step moves the same people from their census core.

    Args:
        table: as from `read`.

    Returns:
        One row per measure and step after the first: `measure`, `step`, `n` (people read at both), `failed`, `mean` (at
        this step), `difference` (to the census core; from -2 to 2), `low`, `high`, `p`: Student's t of the paired
        differences, people as the unit. No interval below three people.
    """
    rows = []
    for measure, own in table.groupby("measure", sort=False):
        wide = own.pivot(index=ID, columns="step", values="value")
        for step in list(LADDER)[1:]:
            moved = (wide[step] - wide[CORE]).dropna()
            low, high, p = _student(moved)
            row = {"measure": measure, "step": step, "n": len(moved), "failed": len(wide) - len(moved)}
            rows.append(row | {"mean": wide[step].mean(), "difference": moved.mean(), "low": low, "high": high, "p": p})
    return pd.DataFrame(rows)


def _student(values: pd.Series) -> tuple[float, float, float]:
    """95% interval of a mean and p of no difference; missing where it can't be told."""
    if len(values) < FEWEST or values.std() < TINY:
        return np.nan, np.nan, np.nan
    test = stats.ttest_1samp(values, 0)
    return *test.confidence_interval(), test.pvalue
