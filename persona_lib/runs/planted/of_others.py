"""The planted value of the estimates of 01 to 05.

Estimates whose planted value depends on the sample are left out.
"""

from collections.abc import Iterator
from typing import Any

from ...bench.leave_one_out import PLACEBO
from ...fidelity import BASE, OWN
from ...personas import drift
from ...preferences.verification import BASE as BASE_ANSWER
from ...preferences.verification import FIRST, MEAN
from .effects import Effects
from .estimates import DIFFERENCE, Estimate, Setting, Tables, rows
from .values import alike, kappa, mean_chance, mean_change, preferred, survey_right


def of_01(tables: Tables, s: Setting) -> Iterator[Estimate]:
    """Yield the drift of impressions."""
    core = set(drift.LADDER[drift.CORE])

    def moved(row: Any) -> float:
        steps = list(drift.LADDER)
        known = {name for step in steps[: steps.index(row["step"]) + 1] for name in drift.LADDER[step]} - core
        return sum(shift for name, shift in s.effects.drift[row["measure"]].items() if name in known)

    yield from rows(tables.get("drift"), moved, lambda row: f"{row['measure']} {row['step']}", **DIFFERENCE)


def of_02(tables: Tables, s: Setting) -> Iterator[Estimate]:
    """Yield the rates of the classifier."""

    def share(row: Any) -> float:
        return s.effects.factual if row["source"] == "control" else s.effects.value_laden

    yield from rows(tables.get("rates"), share, lambda row: f"value-laden, {row['source']}")


def of_03(tables: Tables, s: Setting) -> Iterator[Estimate]:
    """Yield how often revisions are preferred."""
    effects = s.effects
    own = effects.better["revision"]
    of_base = preferred(own, s.words, effects, revised=True)
    of_others = preferred(own - effects.better["other_revision"], s.words, effects)

    def share(row: Any) -> float:
        wins = of_base if row["comparison"] == BASE_ANSWER else of_others
        decided = wins * (1 - effects.order)
        readings = {FIRST: decided + effects.order, MEAN: mean_chance(wins, effects)}
        return readings.get(row["reading"], decided)

    table = tables.get("readings")
    if table is not None:
        means = table[table.index.get_level_values("reading") == MEAN]
        yield from rows(means, share, lambda row: f"{row['reading']}, {row['comparison']}", null=0.5)
        others = table.drop(means.index)
        yield from rows(others, share, lambda row: f"{row['reading']}, {row['comparison']}")
    yield from rows(
        tables.get("gates"),
        lambda row: 0.5 if row["baseline"] == "blind classifier" else None,
        lambda row: row["baseline"],
        null=0.5,
    )


def of_04(tables: Tables, s: Setting) -> Iterator[Estimate]:
    """Yield what one more attribute changes, and what the writer's missing one costs."""
    effects = s.effects

    summed = tables.get("summed")
    if summed is not None and len(summed):
        pairs = round((summed["n"] / summed["people"]).median())
        yield from rows(
            summed,
            lambda row: 1 - _changed(row["attribute"], effects),
            lambda row: f"equal choices, {row['attribute']}",
            estimate="raw",
            low="raw_low",
            high="raw_high",
        )
        yield from rows(
            summed.drop(columns=["p", "p_holm"]),  # of the gap below
            lambda row: kappa(_changed(row["attribute"], effects), pairs),
            lambda row: f"kappa, {row['attribute']}",
            estimate="kappa",
            null=kappa(effects.line, pairs),
        )
        yield from rows(
            summed,
            lambda row: None if row["attribute"] == PLACEBO else effects.line - _changed(row["attribute"], effects),
            lambda row: f"equal choices less the placebo's, {row['attribute']}",
            estimate="gap",
            low="gap_low",
            high="gap_high",
            null=0.0,
        )
    yield from _moved(tables.get("moved"), effects)
    yield from rows(
        tables.get("losses"),
        lambda row: effects.untold.get(row["hidden"], 0.0),
        lambda row: f"{row['hidden']} hidden",
        **DIFFERENCE,
    )


def _changed(attribute: str, effects: Effects) -> float:
    """Return the share of choices that a line with this attribute changes."""
    return effects.attribute.get(attribute, effects.line)


def _moved(moved: Any, effects: Effects) -> Iterator[Estimate]:
    """Yield how far one more attribute moves the probability of a choice, and if its revision is preferred."""
    line = mean_change(effects.line, effects)

    def change(attribute: str) -> float:
        return mean_change(_changed(attribute, effects), effects)

    yield from rows(
        moved, lambda row: change(row["attribute"]), lambda row: f"change, {row['attribute']}", estimate="change"
    )
    yield from rows(
        moved,
        lambda row: 0.5,
        lambda row: f"own revision, {row['attribute']}",
        **{"estimate": "own", "low": "own_low", "high": "own_high"},
    )
    yield from rows(
        moved,
        lambda row: None if row["attribute"] == PLACEBO else change(row["attribute"]) - line,
        lambda row: f"change beyond the placebo's, {row['attribute']}",
        **{"estimate": "gap", "low": "gap_low", "high": "gap_high", "null": 0.0},
    )


def of_05(tables: Tables, s: Setting) -> Iterator[Estimate]:
    """Yield agreement of players, and right answers to surveys."""
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
