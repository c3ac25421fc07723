"""The planted value of the estimates of each notebook.

Estimates whose planted value depends on the sample, such as those of a group with its own mix of ages, are left out.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from ...fidelity import BASE, OWN
from ...personas import drift
from .effects import OLD, Effects
from .estimates import DIFFERENCE, Found, Setting, Tables, rows
from .values import above, alike, graded, kappa, kept, pass_at, preferred, survey_right, too_much


def _01(tables: Tables, s: Setting) -> Iterator[Found]:
    core = set(drift.LADDER[drift.CORE])

    def moved(row: Any) -> float:
        steps = list(drift.LADDER)
        known = {name for step in steps[: steps.index(row["step"]) + 1] for name in drift.LADDER[step]} - core
        return sum(shift for name, shift in s.effects.drift[row["measure"]].items() if name in known)

    yield from rows(tables.get("drift"), moved, lambda row: f"{row['measure']} {row['step']}", **DIFFERENCE)


def _02(tables: Tables, s: Setting) -> Iterator[Found]:
    planted = {"control": s.effects.factual, "builtin": s.effects.value_laden}
    yield from rows(
        tables.get("rates"), lambda row: planted.get(row["source"]), lambda row: f"value-laden, {row['source']}"
    )


def _04(tables: Tables, s: Setting) -> Iterator[Found]:
    effects = s.effects

    def changed(attribute: str) -> float:
        return effects.attribute.get(attribute, effects.line)

    summed = tables.get("summed")
    if summed is not None and len(summed):
        pairs = round((summed["n"] / summed["people"]).median())
        yield from rows(
            summed,
            lambda row: 1 - changed(row["attribute"]),
            lambda row: f"equal choices, {row['attribute']}",
            estimate="raw",
            low="raw_low",
            high="raw_high",
        )
        yield from rows(
            summed,
            lambda row: kappa(changed(row["attribute"]), pairs),
            lambda row: f"kappa, {row['attribute']}",
            estimate="kappa",
            null=kappa(effects.line, pairs),
        )
    yield from rows(
        tables.get("losses"),
        lambda row: effects.untold.get(row["hidden"], 0.0),
        lambda row: f"{row['hidden']} hidden",
        **DIFFERENCE,
    )


def _05(tables: Tables, s: Setting) -> Iterator[Found]:
    effects = s.effects
    mine = preferred(effects.better["revision"] - effects.better["other_revision"], s.words, effects)
    yield from rows(
        tables.get("faithful"),
        lambda row: mine if row["answer"] == OWN else 0.5,
        lambda row: f"{row['answer']}, {row['judge']}",
        null=0.5,
    )
    yield from rows(
        tables.get("repeatability"),
        lambda row: 1 - effects.order if row["coefficient"] == "raw agreement" else None,
        lambda row: f"the same choice in both orders, {row['design']}, {row['judge']}",
        estimate="estimate",
    )
    yield from rows(
        tables.get("overall"),
        lambda row: _alike(row, mine, s) if row["coefficient"] == "raw agreement" else None,
        lambda row: f"equal choices, {row['design']}, {row['first']} and {row['second']}",
        estimate="estimate",
    )
    right = survey_right(s.parameters["survey"], effects)
    yield from rows(
        tables.get("yardsticks"),
        lambda row: right if row["source"] in _models(tables) else None,
        lambda row: f"right survey answers, {row['source']}",
    )
    yield from rows(
        tables.get("order"),
        lambda row: effects.survey_order if row["source"] in _models(tables) else None,
        lambda row: f"flips of survey answers, {row['source']}",
        estimate="flips",
    )


def _models(tables: Tables) -> set[str]:
    """Return the models that answered a survey in a respondent's place, without the baselines."""
    told_nothing = ", told nothing"
    sources = set(tables["order"].index)
    return {name for name in sources if f"{name}{told_nothing}" in sources}


def _alike(row: Any, mine: float, s: Setting) -> float | None:
    """Return the planted agreement of two players; None if both their models and their forms of the profile differ."""
    effects = s.effects
    models = [name.partition(", ")[0] for name in (row["first"], row["second"])]
    if models[0] == models[1]:
        return 1 - effects.form
    if (row["first"], row["second"]) != tuple(models):
        return None
    people = s.parameters["n_people"]
    if row["design"] == BASE:
        own, other = (
            preferred(effects.better[kind], s.words, effects, True) for kind in ("revision", "other_revision")
        )
        return alike(own, other, 1 / people, True, effects)
    return alike(mine, 0.5, 2 / people, False, effects)


def _06(tables: Tables, s: Setting) -> Iterator[Found]:
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


def _kept(scores: pd.DataFrame | None, effects: Effects) -> Iterator[Found]:
    """Yield rates by condition, of verdicts and of graded scores if they are there."""

    def share(row: Any) -> float:
        return kept(row["condition"], effects)

    yield from rows(scores, share, lambda row: f"kept, {row['condition']}")
    if scores is not None and "graded_rate" in scores:
        names = {"estimate": "graded_rate", "low": "graded_low", "high": "graded_high"}
        yield from rows(
            scores, lambda row: graded(share(row), effects), lambda row: f"graded, {row['condition']}", **names
        )


def _lengths(table: pd.DataFrame | None, s: Setting) -> Iterator[Found]:
    def share(row: Any) -> float | None:
        return above(int(row["asked"]), s.effects) if row["text"] == "answer" and row["asked"] > 0 else None

    yield from rows(table, share, lambda row: f"longer than asked, {row['condition']}", estimate="above")


def _07(tables: Tables, s: Setting) -> Iterator[Found]:
    effects = s.effects

    def dropped(row: Any) -> float:
        share = effects.drop.get(row["attribute"], effects.drop_other)
        return share * (1 - effects.misread) + (1 - share) * effects.misread

    yield from rows(tables.get("rates"), dropped, lambda row: f"dropped, {row['attribute']}")


def _08(tables: Tables, s: Setting) -> Iterator[Found]:
    def share(row: Any) -> float:
        return pass_at(int(row["k"]), row["condition"], s.effects)[row["measure"] == "pass^k"]

    yield from rows(tables.get("curves"), share, lambda row: f"{row['measure']}, k = {row['k']}, {row['condition']}")


def _09(tables: Tables, s: Setting) -> Iterator[Found]:
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


def _10(tables: Tables, s: Setting) -> Iterator[Found]:
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


def _shifts(table: pd.DataFrame | None, effects: Effects) -> Iterator[Found]:
    ways = {"revise named first": effects.revise_first, "criteria in other words": effects.reworded}

    def shift(row: Any) -> float:
        return ways.get(row["way"], effects.form) * (1 - 2 * kept(row["condition"], effects))

    yield from rows(table, shift, lambda row: f"{row['way']}, {row['condition']}", **DIFFERENCE)


READERS: Mapping[str, Callable[[Tables, Setting], Iterator[Found]]] = {
    "01": _01,
    "02": _02,
    "04": _04,
    "05": _05,
    "06": _06,
    "07": _07,
    "08": _08,
    "09": _09,
    "10": _10,
}
