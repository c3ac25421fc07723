"""Both tracks of methods on one world: what they predict, what they pick, and how the two orders relate."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from ...model import LanguageModel
from ...stats.intervals import ITEM
from ..builtin.prompted import Prompted
from ..cases import Setting
from ..costs import COSTS
from ..embedding import embedder
from ..method import Embed, Method, made
from ..trial import COLUMNS
from ..trial import run as trial
from ..worlds.world import World
from . import policy, scores
from .coverage import alike, tables_of

NO_WORLD = "No choices are given: nothing is predicted."


class Tracks(NamedTuple):
    """What `run` finds; without a world, tables without rows and a sentence that says so.

    `methods` as the trial has fitted them; `predictions` of all people (`trial.run`); `accuracy`, `differences` (to
    `pooled`), `policy`, `policy_differences` of the same people at every k (`coverage.alike`); `tau` between the orders
    by prediction and by policy (`policy.tau`); `says`: the findings.
    """

    says: str
    methods: list[Method]
    predictions: pd.DataFrame
    accuracy: pd.DataFrame
    differences: pd.DataFrame
    policy: pd.DataFrame
    policy_differences: pd.DataFrame
    tau: dict[str, Any]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables by name."""
        return tables_of(self)


def run(
    world: World | None,
    kinds: Sequence[type[Method]],
    setting: Setting,
    model: LanguageModel | None = None,
    embed: Embed | None = None,
    say: Callable[[str], object] | None = None,
) -> Tracks:
    """Let methods predict choices, and pick answers; those that ask a model pick none, as it takes many calls.

    Args:
        world: None for none.
        kinds: the methods.
        setting: of the trial.
        model: for methods that ask one.
        embed: gives answers' vectors; None as `embedding.embedder`.
        say: as in `trial.run`.

    Raises:
        UserError: as `trial.run`.
    """
    if world is None:
        return _nothing()
    embed = embed or embedder(world)
    methods = [made(kind, embed, model, setting.seed) for kind in kinds]
    predictions = trial(world, methods, setting, say=say)
    same = alike(predictions)
    last = int(same["k"].max())
    picked = policy.picks(world, [method for method in methods if not isinstance(method, Prompted)], same, setting)
    accuracy, gaps = scores.accuracy(same, world), scores.differences(same, "pooled", last)
    table, policy_gaps = policy.table(picked, same, world), policy.differences(picked, "pooled")
    known = scores.graded(same[same["k"] == last])
    tau = policy.tau(known, policy.scored(picked), setting.seed)
    found = scores.headline(accuracy, gaps, world.name), policy.headline(table, policy_gaps)
    says = " ".join([*found, policy.related(tau, "prediction", "policy")])
    return Tracks(says, methods, predictions, accuracy, gaps, table, policy_gaps, tau)


def _nothing() -> Tracks:
    """Return tracks without any world."""
    gaps = pd.DataFrame(columns=["minuend", "subtrahend", "k", "n", "difference", "low", "high", "p", "p_holm"])
    accuracy = pd.DataFrame(columns=["method", "k", "accuracy", "low", "high", "people", "n", "failed"])
    table = pd.DataFrame(columns=["method", "k", "policy", "judged", "uncompared", "failed", "reward"])
    none = policy.tau(*[pd.DataFrame(columns=["method", *ITEM, "score"])] * 2)
    return Tracks(NO_WORLD, [], pd.DataFrame(columns=[*COLUMNS, *COSTS]), accuracy, gaps, table, gaps, none)
