"""Gates against leaks: what tells a choice although it is not the person, in a world or in a method.

A gate fires where the lower end of a 95% interval lies above the gate's limit, which stands well above what clean data
show; gates that count (duplicates, equal answers) fire at the first case. `benchmarks/methods.py false_alarms` prints
how often clean simulated worlds fire, and how often a leaked format is caught.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from ... import stats
from ...stats.intervals import ITEM
from .. import cases, trial
from ..builtin.controls import other_history, shuffled
from ..builtin.linear import Pooled
from ..cases import CELL, Setting
from ..embedding import embedder
from ..method import Embed, Method, made, title
from ..scoring import scores
from ..worlds.world import World
from . import repeats

FOLDS = 5
UNTRIED = "not tried: too little is known or predicted"  # what a gate says that neither fired nor passed
GAIN = 0.03  # accuracy that a method may gain by chance from a history that is not the person's

# What a format can tell: each is counted in an answer's text.
SURFACE: dict[str, str] = {
    "brackets around it": r"^\s*[\[({]|[\])}]\s*$",
    "lists as programs print them": r"\[['\"]|['\"],\s*['\"]",
    "quotes around it": r"^\s*[\"'«“‘`]|[\"'»”’`]\s*$",
    "blanks at its ends": r"^\s|\s$",
    "escapes": r"\\[nrtu\"']",
    "line ends": r"\n",
    "carriage returns": r"\r",
    "lists": r"(?m)^\s*(?:[-*•]|\d+[.)])\s",
    "markdown": r"\*\*|__|^#|```|\|",
    "double blanks": r"  |\t",
    "blanks before marks": r"\s[.,;:!?]",
    "pieces of tokens": r"[ĠĊ▁]|\s##|@@\s|</?s>|<\|.*?\|>|\[/?INST\]",
    "entities": r"&\w+;|<\w+/?>",
    "no mark at its end": r"[^.!?…\"')\]\s]\s*$",
    "small first letter": r"^\s*[a-z]",
    "capitals": r"[A-Z]{3}",
    "letters beyond ASCII": r"[^\x00-\x7f]",
    "letters that nobody sees": r"[\xa0\xad\u200b-\u200f\u2028-\u202f\u2060\ufeff]",
    "accents apart from their letter": r"[\u0300-\u036f]",
    "names of speakers": r"(?i)^\s*(?:assistant|user|answer|response|chosen|rejected)\s*:",
}
_PATTERNS = [re.compile(pattern) for pattern in SURFACE.values()]


class Shown(NamedTuple):
    """The decided choices of a world: `choices` with texts `one` and `other`, and whether the `first` was chosen."""

    choices: pd.DataFrame
    first: np.ndarray
    world: World


@trial.one_thread
def of_world(world: World, cell: str = CELL, embed: Embed | None = None) -> pd.DataFrame:
    """Return what the gates say of a world.

    Args:
        world: as `worlds.checked` returns it.
        cell: the test cell, which the persona-blind model predicts.
        embed: gives the vectors of answers; by default as `embedder(world)`.

    Returns:
        One row per gate: `gate`, `value` (accuracy of what the gate tries, or a number of cases), `low` and `high` of
        its 95% interval (missing for cases), `limit`, `fired`, `says` (what it means; UNTRIED if
        it could not be tried, which is no pass).
    """
    shown = _shown(world)
    rows = [*_rules(shown), *_beside(_shown(world, cell)), _format(shown), _ids(shown), _order(shown)]
    rows += [_blind(world, cell, embed or embedder(world))]
    rows += [row(*found) for found in repeats.found(world)]
    return table(rows)


def _shown(world: World, cell: str | None = None) -> Shown:
    """Return the choices of a world with their texts; with a cell, those alone that a trial of it asks."""
    texts = cases.texts(world)
    choices = world.choices.assign(one=texts["first"], other=texts["second"])
    if cell:
        choices = choices.loc[cases.tested(texts, cell).index]
    choices = choices[choices["p_first"].notna() & (choices["p_first"] != 0.5)]
    return Shown(choices, choices["p_first"].to_numpy() > 0.5, world)


def row(gate: str, value: float, limit: float, says: str, interval: tuple[float, float] | None = None) -> dict:
    """Return the row of a gate; `interval` is that of a value that is measured, None where cases are counted."""
    low, high = interval or (np.nan, np.nan)
    fired = bool((low if interval else value) > limit)
    found = {"gate": gate, "value": value, "low": low, "high": high, "limit": limit}
    untried = UNTRIED if np.isnan(low if interval else value) else ""
    return found | {"fired": fired, "says": says if fired else untried}


def table(rows: list[dict]) -> pd.DataFrame:
    """Return rows of gates as a table; it may have none."""
    return pd.DataFrame(rows, columns=["gate", "value", "low", "high", "limit", "fired", "says"])


def lines(gates: pd.DataFrame, prefix: str = "") -> list[str]:
    """Return a line for each gate that fired, and then for each that could not be tried."""
    said = []
    for own in gates[gates["fired"]].itertuples():
        value = f"{own.value:,.0f} cases" if pd.isna(own.low) else f"{own.value:.2f}, limit {own.limit:.2f}"
        said.append(f"GATE {prefix}{own.gate}: {own.says} ({value})")
    return said + [f"gate {prefix}{own.gate}: {own.says}" for own in gates[gates["says"] == UNTRIED].itertuples()]


def _tried(gate: str, shown: Shown, says_first: np.ndarray, limit: float, says: str) -> dict:
    """Return the row of a gate that predicts choices: +1 says the first, -1 the second, 0 nothing."""
    right = np.where(says_first == 0, 0.5, (says_first > 0) == shown.first)
    turned = len(right) and right.mean() < 0.5  # a rule that is always wrong tells as much
    found = stats.rate(pd.Series(1 - right if turned else right), shown.choices[ITEM].reset_index(drop=True))
    return row(gate, found["rate"], limit, says, (found["low"], found["high"]))


def _rules(shown: Shown) -> Iterator[dict]:
    """Yield the gates that need no fit: length, place, and order of the file."""
    lengths = [shown.choices[side].str.len().to_numpy(float) for side in ("one", "other")]
    yield _tried("length", shown, np.sign(lengths[0] - lengths[1]), 0.65, "the longer or the shorter answer is chosen")
    place = np.ones(len(shown.first))
    yield _tried("position", shown, place, 0.6, "the answer in one place is chosen: show both orders, or draw them")
    row = {candidate: i for i, candidate in enumerate(shown.world.candidates["candidate_id"])}
    rows = [shown.choices[side].map(row).to_numpy(float) for side in ("first", "second")]
    yield _tried("order of the file", shown, np.sign(rows[0] - rows[1]), 0.65, "the candidates' order tells the choice")


def _beside(shown: Shown) -> Iterator[dict]:
    """Yield the gates of what is asked at once: a person's tested pairs tell each other, or their prompts do."""
    own = cases.texts(shown.world).loc[shown.choices.index]
    keys = [[*zip(own["persona_id"], own["prompt"], own[side], strict=True)] for side in ("first", "second")]
    times = Counter(chain(*keys))
    more = np.array([times[a] - times[b] for a, b in zip(*keys, strict=True)])
    says = "the chosen answer stands in more of the pairs that are asked: ask one pair per person and conversation"
    yield _tried("pairs of one answer", shown, np.sign(more), 0.53, says)
    gaps = np.subtract(*cases.quoted(shown.world, own).T.astype(float))
    says = "an answer's text occurs in another prompt of the person: leave out turns that quote tested answers"
    yield _tried("quoted answers", shown, gaps, 0.53, says)


def _format(shown: Shown) -> dict:
    """Return the gate of formats: a classifier that sees how an answer is written, and none of its words."""
    of_text = {text: _surface(text) for text in {*shown.choices["one"], *shown.choices["other"]}}
    gaps = np.array(
        [of_text[a] - of_text[b] for a, b in zip(shown.choices["one"], shown.choices["other"], strict=True)]
    )
    says = "how an answer is written tells the choice: compare the texts' ends, lists, quotes and blanks"
    return _tried("format", shown, _predicted(gaps, shown), 0.7, says)


def _surface(text: str) -> np.ndarray:
    return np.array([min(len(pattern.findall(text)), 5) for pattern in _PATTERNS], dtype=float)


def _ids(shown: Shown) -> dict:
    """Return the gate of ids: their words, last signs, lengths, and their order."""
    from sklearn.feature_extraction.text import CountVectorizer  # a second, for which other commands need not wait

    sides = [shown.choices[side].str.lower() for side in ("first", "second")]
    count = CountVectorizer(analyzer=_words, binary=True, min_df=min(20, len(sides[0])))
    try:
        count.fit(pd.concat(sides))
        gaps = (count.transform(sides[0]).astype(float) - count.transform(sides[1])).tocsr()
    except ValueError:  # no word occurs often enough
        gaps = sparse.csr_array((len(sides[0]), 0))
    # Numbers in their order: 9 stands before 10.
    sorted_by = [ids.str.replace(r"\d+", lambda number: number.group().zfill(20), regex=True) for ids in sides]
    order = np.sign((sorted_by[0] > sorted_by[1]).astype(float).to_numpy() - 0.5)
    longer = np.sign((sides[0].str.len() - sides[1].str.len()).to_numpy(float))
    says = "the candidates' ids tell the choice: name them by a hash"
    return _tried(
        "id",
        shown,
        _predicted(sparse.hstack([gaps, sparse.csr_array(np.column_stack([order, longer]))], format="csr"), shown),
        0.65,
        says,
    )


def _words(name: str) -> list[str]:
    return [*re.findall(r"[a-z]+|\d+", name), f"last {name[-1:]}"]


def _order(shown: Shown) -> dict:
    """Return the gate of the choices' order: methods get a person's choices in the order of the file."""
    own = shown.choices.groupby("persona_id")
    row, size = own.cumcount().to_numpy(), own["persona_id"].transform("size").to_numpy()
    late = 2 * (row + 0.5) / size - 1  # from -1, a person's first choice, to 1, the last
    says = "the choices' order tells which answer was chosen: put them into a random one"
    return _tried(
        "order of the choices", shown, _predicted(np.column_stack([late, 1 - 2.0 * (row % 2)]), shown), 0.65, says
    )


def _predicted(gaps: np.ndarray | sparse.csr_array, shown: Shown) -> np.ndarray:
    """Return what a logit on differences says of each choice, fitted to other prompts: +1, -1, or 0 for nothing."""
    from sklearn.linear_model import LogisticRegression  # a second, for which other commands need not wait
    from sklearn.model_selection import GroupKFold  # the same
    from sklearn.preprocessing import StandardScaler  # the same

    groups = shown.choices["prompt_id"].to_numpy()
    said = np.zeros(gaps.shape[0])
    if not np.abs(gaps).sum() or len(np.unique(shown.first)) < 2 or len(np.unique(groups)) < FOLDS:
        return said
    gaps = StandardScaler(with_mean=False).fit_transform(gaps)
    for known, asked in GroupKFold(FOLDS).split(gaps, groups=groups):
        if len(np.unique(shown.first[known])) == 2:
            model = LogisticRegression(fit_intercept=False, max_iter=1000).fit(gaps[known], shown.first[known])
            said[asked] = np.sign(gaps[asked] @ model.coef_[0])
    return said


def _blind(world: World, cell: str, embed: Embed) -> dict:
    """Return the gate of persons: a model that knows nobody predicts the tested choices."""
    found = scores.accuracy(trial.run(world, [Pooled(embed)], Setting(ks=(0,), cell=cell))).iloc[0]
    says = "the person is hardly needed: all prefer the same answers, or a leak tells them"
    return row("persona-blind", found["accuracy"], 0.85, says, (found["low"], found["high"]))


def of_method(world: World, kind: type[Method], embed: Embed, setting: Setting, model: object = None) -> pd.DataFrame:
    """Return what the gates say of a method: does it know a person only from what it declares?

    Args:
        world: to try it on.
        kind: the method; `embed` and `model` make it.
        setting: of the trial; its largest k is looked at, for those whose history is long enough.

    Returns:
        Rows as in `of_world`; `gate` starts with the method's name. A method that sees more than the history is not
        tried without one.
    """

    def of(one: type[Method]) -> Method:
        return made(one, embed, model, setting.seed)

    name, rows = title(kind), []
    if "history" in kind.sees:
        k = max(setting.ks)
        for gate, other in (("another's history", other_history(kind)), ("shuffled labels", shuffled(kind))):
            both = trial.run(world, [of(kind), of(other)], setting._replace(ks=(0, k)))
            says = "it gains from a history that is not the person's"
            rows.append(_gain(f"{name}, {gate}", _beside_none(both, other.name, k), says))
    if set(kind.sees) <= {"history", "questions"}:
        zero = trial.run(world, [of(kind), of(Pooled)], setting._replace(ks=(0,)))
        own = zero[zero["method"] != Pooled.name].merge(
            world.choices[["choice_id", "first", "second"]], on="choice_id", validate="many_to_one"
        )
        said = own.groupby(["prompt_id", "first", "second"], observed=True)["p_first"]
        spread = said.max() - said.min()
        apart, beside = int((spread > 1e-6).sum()), scores.differences(zero, Pooled.name, 0).iloc[0]
        rows.append(row(f"{name}, k = 0 knows the person", apart, 0, "it tells people apart at k = 0"))
        rows.append(_gain(f"{name}, k = 0 beats pooled", beside, "it knows more at k = 0"))
    return table(rows)


def _beside_none(predictions: pd.DataFrame, name: str, k: int) -> pd.Series:
    """Return the difference of a method at k and at k = 0, on the same choices."""
    own = predictions[predictions["method"] == name]
    stacked = own.assign(method=np.where(own["k"] == k, "history", "none"), k=k).astype({"method": "category"})
    return scores.differences(stacked, "none", k).iloc[0]


def _gain(gate: str, found: pd.Series, says: str) -> dict:
    return row(gate, found["difference"], GAIN, says, (found["low"], found["high"]))
