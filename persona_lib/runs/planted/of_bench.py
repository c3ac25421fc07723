"""The planted value of the estimates of 06 to 10.

Estimates whose planted value depends on the sample, such as those of a group with its own mix of ages, are left out.
"""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from .effects import OLD, Effects
from .estimates import DIFFERENCE, Estimate, Setting, Tables, rows
from .values import above, graded, kept, pass_at, preferred, too_much


def of_06(tables: Tables, s: Setting) -> Iterator[Estimate]:
    """Yield rates of conditions and their differences."""
    effects = s.effects

    def gap(row: Any) -> float:
        return kept(row["minuend"], effects) - kept(row["subtrahend"], effects)

    def pair(row: Any) -> str:
        return f"{row['minuend']} − {row['subtrahend']}"

    yield from _kept(tables.get("scores"), effects)
    yield from rows(tables.get("differences"), gap, pair, **DIFFERENCE)
    skill = graded(1, effects) - graded(0, effects)
    yield from rows(
        tables.get("graded_differences"),
        lambda row: skill * gap(row),
        lambda row: f"graded, {pair(row)}",
        **DIFFERENCE,
    )
    yield from rows(
        tables.get("nose"),
        lambda row: too_much(row["condition"], effects),
        lambda row: f"too much, {row['condition']}",
    )
    yield from rows(
        tables.get("subtlety_differences"),
        lambda row: too_much(row["minuend"], effects) - too_much(row["subtrahend"], effects),
        lambda row: f"too much, {pair(row)}",
        **DIFFERENCE,
    )
    yield from _lengths(tables.get("lengths"), s)


def _kept(scores: pd.DataFrame | None, effects: Effects) -> Iterator[Estimate]:
    """Yield rates by condition, of verdicts and of graded scores if they are there."""

    def share(row: Any) -> float:
        return kept(row["condition"], effects)

    yield from rows(scores, share, lambda row: f"kept, {row['condition']}")
    if scores is not None and "graded_rate" in scores:
        names = {"estimate": "graded_rate", "low": "graded_low", "high": "graded_high"}
        yield from rows(
            scores, lambda row: graded(share(row), effects), lambda row: f"graded, {row['condition']}", **names
        )


def _lengths(table: pd.DataFrame | None, s: Setting) -> Iterator[Estimate]:
    def share(row: Any) -> float | None:
        return above(int(row["asked"]), s.effects) if row["text"] == "answer" and row["asked"] > 0 else None

    yield from rows(table, share, lambda row: f"longer than asked, {row['condition']}", estimate="above")


def of_07(tables: Tables, s: Setting) -> Iterator[Estimate]:
    """Yield what summaries leave out."""
    effects = s.effects

    def dropped(row: Any) -> float:
        share = effects.drop.get(row["attribute"], effects.drop_other)
        return share * (1 - effects.misread) + (1 - share) * effects.misread

    yield from rows(tables.get("rates"), dropped, lambda row: f"dropped, {row['attribute']}")


def of_08(tables: Tables, s: Setting) -> Iterator[Estimate]:
    """Yield pass@k and pass^k."""

    def share(row: Any) -> float:
        return pass_at(int(row["k"]), row["condition"], s.effects)[row["measure"] == "pass^k"]

    yield from rows(tables.get("curves"), share, lambda row: f"{row['measure']}, k = {row['k']}, {row['condition']}")


def of_09(tables: Tables, s: Setting) -> Iterator[Estimate]:
    """Yield rates of groups of age."""
    effects = s.effects
    first = s.parameters["conditions"][0]
    gap = 0.0 if first.startswith("baseline") else effects.gap
    # Other groups differ in their ages too, by an amount that depends on the sample.
    groups = {
        f"age group: {OLD} or older": gap * (1 - effects.older),
        "age group: 35 to 54": -gap * effects.older,
        "age group: under 35": -gap * effects.older,
    }
    base = kept(first, effects)
    yield from rows(
        tables.get("scores"),
        lambda row: base + groups[row["group"]] if row["group"] in groups else None,
        lambda row: f"kept, {row['group']}",
    )
    yield from rows(
        tables.get("scores"),
        lambda row: gap if row["group"] == f"age group: {OLD} or older" else None,
        lambda row: f"{row['group']} − everybody else, all groups at once",
        estimate="difference",
        low="difference_low",
        high="difference_high",
        null=0.0,
    )


def of_10(tables: Tables, s: Setting) -> Iterator[Estimate]:
    """Yield what the audits of judges find."""
    effects = s.effects
    places = {"the first wins": 0.5 + effects.order / 2, "the order decides": effects.order}
    yield from rows(
        tables.get("positions"),
        lambda row: places[row["measure"]],
        lambda row: f"{row['measure']}, {row['judge']}",
    )

    def wins(row: Any) -> float:
        if row["condition"] == "baseline, padded":
            return effects.filler
        return preferred(effects.better[row["condition"]], s.words, effects)

    def equal(row: Any) -> float | None:
        padded = row["condition"] == "baseline, padded"
        return None if padded else 1 / (1 + math.exp(-effects.better[row["condition"]]))

    controlled = {"estimate": "controlled", "low": "controlled_low", "high": "controlled_high"}
    of_order = {
        "both orders, mean probability": lambda p: p,
        "first order only": lambda p: p * (1 - effects.order) + effects.order,
        "both orders, a flip is a tie": lambda p: p * (1 - effects.order) + effects.order / 2,
    }
    yield from rows(tables.get("controlled"), wins, lambda row: f"chosen, {row['condition']}", null=0.5)
    yield from rows(
        tables.get("controlled"),
        equal,
        lambda row: f"chosen at equal length, {row['condition']}",
        null=0.5,
        **controlled,
    )
    yield from rows(
        tables.get("orders"),
        lambda row: of_order[row["way"]](wins(row)),
        lambda row: f"{row['way']}, {row['condition']}",
    )
    yield from rows(
        tables.get("self_preference"),
        lambda row: effects.own,
        lambda row: f"own writing, {row['judge']}",
        **DIFFERENCE,
    )
    yield from rows(tables.get("changed"), lambda row: effects.form, lambda row: f"choices changed by {row['form']}")
    yield from _shifts(tables.get("shifts"), effects)
    own = preferred(effects.better["direct"] - effects.better["other_persona"], s.words, effects)
    tasks = {"which is mine": own, "whose is it": effects.owner}
    yield from rows(tables.get("truth"), lambda row: tasks[row["task"]], lambda row: row["task"])
    yield from _kept(tables.get("kept"), effects)


def _shifts(table: pd.DataFrame | None, effects: Effects) -> Iterator[Estimate]:
    ways = {"revise named first": effects.revise_first, "criteria in other words": effects.reworded}

    def shift(row: Any) -> float:
        return ways.get(row["way"], effects.form) * (1 - 2 * kept(row["condition"], effects))

    yield from rows(table, shift, lambda row: f"{row['way']}, {row['condition']}", **DIFFERENCE)
