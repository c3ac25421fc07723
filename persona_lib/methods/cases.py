"""What a trial asks of methods: for each person of a cell nested contexts of k choices, and the choices to predict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..preferences import splits
from .worlds.world import TESTS, World, cells

KS = (0, 1, 2, 4, 8, 16, 32, 64)
CELL = "unseen_unseen"
LIMIT_S = 30.0  # of a method's time for one person
SHOWN = ["prompt", "first", "second"]
NOTHING = pd.DataFrame({side: np.empty(0, object) for side in SHOWN} | {"p_first": np.empty(0)})  # no choice known


class Setting(NamedTuple):
    """How a trial goes: sizes `ks` of contexts, number of `draws`, the `cell` tested, the `seed`, seconds a person."""

    ks: tuple[int, ...] = KS
    draws: int = 1
    cell: str = CELL
    seed: int = 0
    limit_s: float = LIMIT_S


class Readied(NamedTuple):
    """A world with its texts put in: `choices` (with `cell` and texts), `contexts` (as `splits.contexts`)."""

    world: World
    choices: pd.DataFrame
    contexts: pd.DataFrame
    setting: Setting


def ready(world: World, setting: Setting) -> Readied:
    """Put texts into the choices of a world, and draw nested contexts.

    Raises:
        UserError: the cell is unknown, k is below 0, or the world has nobody to learn from or to test.
    """
    if setting.cell not in TESTS:
        raise UserError(f"no cell '{setting.cell}': choose one of {', '.join(TESTS)}")
    if not setting.ks or min(setting.ks) < 0 or setting.draws < 1:
        raise UserError("ks must be numbers from 0, such as (0, 4, 16), and draws 1 or more")
    choices = texts(world)
    for cell, what in (("train", "learn from"), (setting.cell, "test on")):
        if not ((choices["cell"] == cell) & choices["p_first"].notna()).any():
            raise UserError(f"world '{world.name}' has no choice of cell '{cell}' to {what}: {_lacks(cell)}")
    history = known_of(choices, setting)
    # Several choices of a person about one prompt are drawn one by one: else k of them would be about one prompt.
    turn = history.groupby(["persona_id", "prompt_id"]).cumcount()
    named = history["prompt_id"] + turn.map(lambda i: f" {i}" if i else "")
    asked = history.assign(use=splits.TRAIN, pair_id=history.index, prompt_id=named)[
        ["persona_id", "prompt_id", "use", "pair_id", "failure"]
    ]
    contexts = splits.contexts(asked, max(setting.ks), setting.draws, setting.seed)
    return Readied(world, choices, contexts, setting)


def known_of(choices: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Return the choices that may be known of the people who are tested."""
    return choices[choices["cell"] == ("train" if setting.cell.startswith("seen") else splits.CONTEXT)]


def asked(choices: pd.DataFrame) -> pd.DataFrame:
    """Return the choices that are asked of those to test: one of a person about a prompt if their pairs tell it.

    Where an answer stands in more of a person's pairs about a prompt than another, it is the chosen one in most data
    (the answer of a survey, the best of four), so that one pair is asked, drawn by hash. Where each stands in equally
    many, all are.
    """
    item = ["persona_id", "prompt_id"]
    sides = [choices[item].assign(answer=choices[side]) for side in ("first", "second")]
    times = pd.concat(sides).groupby([*item, "answer"], sort=False).size().groupby(item, sort=False)
    tells = (times.max() > times.min()).reindex(pd.MultiIndex.from_frame(choices[item])).to_numpy(bool)
    by_hash = choices["choice_id"][tells].map(lambda one: seeds.digest(f"asked {one}", 16)).sort_values()
    drawn = choices.loc[by_hash.index].drop_duplicates(item).index
    return choices[~tells | choices.index.isin(drawn)]


def tested(choices: pd.DataFrame, cell: str) -> pd.DataFrame:
    """Return the choices of `ready` that a trial of a cell asks."""
    return asked(choices[(choices["cell"] == cell) & choices["p_first"].notna()])


def quoted(world: World, choices: pd.DataFrame) -> np.ndarray:
    """Return whether the first and the second answer stand in another prompt of the person: array (choices, 2).

    Args:
        world: whose prompts they are.
        choices: of `texts`.
    """
    text = world.prompts.set_index("prompt_id")["prompt"]
    own = world.choices.drop_duplicates(["persona_id", "prompt_id"])
    said = own["prompt_id"].map(text).groupby(own["persona_id"]).agg("\n\n".join)
    rows = [*zip(choices["persona_id"].map(said), *(choices[name] for name in SHOWN), strict=True)]
    found = [[every.count(a) > prompt.count(a) for a in both] for every, prompt, *both in rows]
    return np.array(found, dtype=bool).reshape(-1, 2)


def _lacks(cell: str) -> str:
    """Return what a cell takes, in words."""
    people, _, prompt = cell.partition("_")
    who = "people of the side test" if people == "unseen" else "people of the side train"
    return f"it takes {who} who chose about {'heldout' if prompt == 'unseen' else 'train'} prompts"


def texts(world: World) -> pd.DataFrame:
    """Return the choices of a world with their `cell`, and texts in `prompt`, `first` and `second`."""
    text = world.candidates.set_index("candidate_id")["text"]
    prompt = world.prompts.set_index("prompt_id")["prompt"]
    choices = world.choices.assign(cell=cells(world), prompt=world.choices["prompt_id"].map(prompt))
    choices["first"], choices["second"] = (choices[side].map(text) for side in ("first", "second"))
    # Python's own texts: each method would turn Arrow's into them anew, for every person.
    return choices.astype(dict.fromkeys(SHOWN, object))


@dataclass(frozen=True)
class Case:
    """One person at one k: what a method is given, and what it is asked.

    `context`: their first k choices of this draw; `tests`: the choices to predict, with columns of `ready`. `failure`:
    why there is no such case, or None. `shown`: the texts of `tests`, arrays (n,) of prompts, first and second answers.
    """

    persona_id: str
    draw: int
    k: int
    context: pd.DataFrame
    tests: pd.DataFrame
    failure: str | None

    @cached_property
    def shown(self) -> tuple[np.ndarray, ...]:
        return tuple(self.tests[side].to_numpy(dtype=object, copy=True) for side in SHOWN)


def cases(readied: Readied, ks: Sequence[int], draws: int | None = None) -> Iterator[Case]:
    """Yield each person of the cell at each draw and k; those whose history is too short carry the reason."""
    choices, setting = readied.choices, readied.setting
    told = choices[[*SHOWN, "p_first"]]
    own = readied.contexts.sort_values("shot").groupby(["persona_id", "draw"], sort=False)["pair_id"]
    rows = {place: ids.to_numpy() for place, ids in own}
    nothing = np.empty(0, dtype=int)
    for persona, tests in tested(choices, setting.cell).groupby("persona_id", sort=False):
        for draw in range(setting.draws if draws is None else draws):
            history = rows.get((persona, draw), nothing)
            for k in ks:
                short = f"has {len(history)} choices to learn from, fewer than {k}" if k > len(history) else None
                known = told.loc[history[:k]].reset_index(drop=True) if k else NOTHING
                yield Case(str(persona), draw, k, known, tests, short)
