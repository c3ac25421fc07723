"""What is on both sides of a split: prompts, answers and people that repeat, and pairs that the context tells.

Gates that count cases: `found` yields them, and `gates.of_world` makes rows of them.
"""

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from ..worlds.world import World, cells

LONG = 40  # letters of an answer below which equal texts are no sign
ALIKE = 8  # choices below which two people who chose alike are no sign
NEAR = 0.7  # of all three words in a row that two texts have, share that both have, from which on they are nearly equal
BLOCK = 500  # tested texts compared at once, so that memory does not grow with the product of both sides
FEW = 0.01  # share of tested texts that may repeat others: people ask, and models refuse, in like words


class Repeats(NamedTuple):
    """What repeats: the `gate`, its `value` (cases, or a share with its 95% `interval`), its `limit`, what it says."""

    gate: str
    value: float
    limit: float
    says: str
    interval: tuple[float, float] | None = None


def found(world: World) -> Iterator[Repeats]:
    """Yield what repeats in a world."""
    side = world.prompts.set_index("prompt_id")["prompt_split"]
    prompts = pd.Series(plain(world.prompts["prompt"]).to_numpy(), world.prompts["prompt_id"])
    answers = world.candidates.assign(plain=plain(world.candidates["text"])).dropna(subset="text")
    known, tested = _sides(prompts, side)
    equal = tested.isin(known)
    yield Repeats("prompts of both sides", int(equal.sum()), 0, "prompts of equal text are in training and in test")
    yield _nearly("near-duplicate prompts", near(known, tested) & ~equal)
    # Not at the first answer: models refuse and ask back in the same words.
    long = answers[answers["plain"].str.len() >= LONG].set_index("prompt_id")["plain"]
    yield _nearly("answers of both sides", near(*_sides(long, side)))
    text = answers.set_index("candidate_id")["plain"]
    one, other = (world.choices[column].map(text).fillna("") for column in ("first", "second"))
    same = int(((one == other) & world.choices["p_first"].notna()).sum())
    yield Repeats("equal answers", same, 0, "choices are between answers of equal text")
    says = "people with equal attributes and choices are in both splits"
    yield Repeats("people of both sides", _twins(world), 0, says)
    again = _again(world, world.choices["prompt_id"].map(prompts), one, other)
    says = "the same person chose about tested answers in what is learned from or shown: keep conversations whole"
    yield Repeats("context contains the test", again, 0, says)


def _sides(texts: pd.Series, side: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return the different texts of train prompts, and those of held-out prompts; the index of texts is the prompt."""
    heldout = texts.index.map(side) == "heldout"
    return texts[~heldout].drop_duplicates(), texts[heldout].drop_duplicates()


def _nearly(gate: str, near: pd.Series) -> Repeats:
    """Return a gate that fires where the share of tested texts that nearly repeat a known one is above FEW."""
    if near.empty:
        return Repeats(gate, 0.0, FEW, "")
    interval = proportion_confint(near.sum(), len(near), method="beta")
    says = "texts to test on repeat texts of training word for word, or nearly"
    return Repeats(gate, near.mean(), FEW, says, interval)


def plain(texts: pd.Series) -> pd.Series:
    """Return texts without differences of case, blanks, marks, and ways to encode the same letters."""
    same = texts.astype("str").map(lambda text: unicodedata.normalize("NFKC", text), na_action="ignore")
    seen = same.str.replace(r"[\u00ad\u200b-\u200f\u2060\ufeff]", "", regex=True)  # letters that nobody sees
    words = seen.str.lower().str.replace(r"[\W_]+", " ", regex=True).str.strip()
    return words.where(words != "", seen.str.strip())  # a text may be marks alone


def near(known: pd.Series, tested: pd.Series) -> pd.Series:
    """Return which of the tested texts equal or nearly equal one that is known; both without marks, as `plain` gives.

    Two texts are compared by Jaccard's index of their runs of three words (Broder 1997, without his sampling).
    """
    from sklearn.feature_extraction.text import CountVectorizer  # a second, for which other commands need not wait

    found = pd.Series(False, tested.index)
    if known.empty or tested.empty:
        return found
    count = CountVectorizer(analyzer=_runs, binary=True, dtype=np.float32)
    one = count.fit_transform(known)  # texts x runs
    other = count.transform(tested)
    sizes = [np.array([len(_runs(text)) for text in texts]) for texts in (tested, known)]
    for start in range(0, len(tested), BLOCK):
        shared = (other[start : start + BLOCK] @ one.T).tocoo()  # tested x known: runs that both have
        row = shared.row + start
        index = shared.data / (sizes[0][row] + sizes[1][shared.col] - shared.data)
        found.iloc[row[index >= NEAR]] = True
    return found


def _runs(text: str) -> set[str]:
    words = text.split()
    return {" ".join(words[i : i + 3]) for i in range(max(len(words) - 2, 1))}


def _again(world: World, prompt: pd.Series, one: pd.Series, other: pd.Series) -> int:
    """Return how many tested choices show an answer about which the person chose in what is learned or shown."""
    cell = cells(world)
    judged = world.choices["persona_id"] + " " + prompt + " "
    known = cell.isin(["train", "context"])
    before = {*(judged + one)[known], *(judged + other)[known]}
    return int(((judged + one)[~known].isin(before) | (judged + other)[~known].isin(before)).sum())


def _twins(world: World) -> int:
    """Return how many people of the test side are, by attributes and choices, also on the train side."""
    choices = world.choices.sort_values(["persona_id", "prompt_id", "first", "second"])
    told = choices["prompt_id"] + choices["first"] + choices["second"] + choices["p_first"].astype(str)
    whole = told.groupby(choices["persona_id"]).agg(["sum", "size"])
    attributes = world.people.drop(columns="persona_split").astype(object).fillna("").astype(str).agg("|".join, axis=1)
    enough = whole[whole["size"] >= ALIKE]
    signature = enough["sum"] + attributes.reindex(enough.index)
    side = world.people["persona_split"].reindex(enough.index)
    return int(signature[side == "test"].isin(set(signature[side == "train"])).sum())
