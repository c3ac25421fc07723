"""Do the notebooks' intervals hold what is planted, and does every call count? At small's sizes, without a server.

The same library functions as in the notebooks are called with the parameters of params/small.yaml, over several seeds:
each draws other people, questions, effects and noise. Printed for each notebook and in all: calls, calls beyond need
(the same request sent again to mend an invalid reply), unscored items, and the share of intervals that hold the planted
value. Intervals that hold for all groups at once (09) are counted apart.

    python benchmarks/planted.py [SEEDS]        # 20 by default, about 8 minutes on two cores
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pandas as pd

from persona_lib import bench, fidelity, judges, personas, preferences, prompts, stats
from persona_lib.bench import leave_one_out
from persona_lib.preferences import ingredients, verification
from persona_lib.runs.planning import presets
from persona_lib.runs.planted import Planted, World, truth

Tables = dict[str, pd.DataFrame]
AT_ONCE = "all groups at once"


class Study:
    """One notebook's parameters, its models, and the rows that may be unscored."""

    def __init__(self, stem: str, values: dict[str, Any], seed: int):
        self.values = values | {"seed": seed}
        self.seed = seed
        world = World(seed)
        self.writer, self.judge = Planted("planted-1", world), Planted("planted-2", world)
        self.rows: list[pd.Series] = []

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def drawn(self, people: str = "n_personas", questions: str = "n_prompts") -> tuple[pd.DataFrame, pd.DataFrame]:
        """Draw people and prompts as the notebook does."""
        return ingredients.draw("sample", "builtin", self[people], self[questions], self["use"], self.seed)

    def items(self, people: pd.DataFrame, questions: pd.DataFrame) -> pd.DataFrame:
        """Draw the items."""
        return bench.items(people, questions, self["n_items"], self.seed)

    def answered(self, items: pd.DataFrame, conditions: list[str], **more: Any) -> pd.DataFrame:
        """Answer and judge the items."""
        lengths = {name: self[name] for name in ("words", "working_words", "critique_words")}
        results = bench.conditioning(items, [self.writer], self.judge, conditions, **lengths, **more)
        self.rows.append(results["score"])
        return results


def _01(s: Study) -> Tables:
    adults = personas.sample(s["n_read"], s.seed, where=personas.ADULTS)
    return {"drift": personas.drift.drift(personas.drift.read(adults, s.writer))}


def _02(s: Study) -> Tables:
    parts = []
    for source in ("builtin", "control"):
        asked = prompts.screening.formal(prompts.load(source))
        parts.append(prompts.screening.value_laden(asked, s.writer, s["n_prompts"] or None, s.seed))
    return {"rates": prompts.screening.said_yes(pd.concat(parts), by="source")}


def _03(s: Study) -> Tables:
    people = ingredients.people("sample", s["n_personas"], s.seed)
    questions = ingredients.questions("builtin", s["train_prompts"], s["heldout_prompts"], s.seed)
    dealt = preferences.splits.deal(people.index, questions, s["n_train"], s["n_seen"], s["n_heldout"], s.seed)
    base = preferences.base_answers(questions, s.writer, s["words"])
    pairs = preferences.revise(dealt, people, questions, base, s.writer, s["words"])
    s.rows.append(pairs["chosen"])
    usable = pairs[pairs["failure"].isna()]
    drawn = verification.draw(pairs, s["n_verify"])
    rivals = verification.rivals(drawn, pairs, preferences.negatives.hard(usable, people, s.seed))
    shown = pd.concat([drawn.assign(comparison=verification.BASE), rivals], ignore_index=True)
    verdicts = verification.judge(shown, people, s.judge)
    s.rows.append(verdicts["outcome"])
    return {"readings": verification.readings(verdicts), "gates": preferences.gates.table(pairs, s.seed)}


def _04(s: Study) -> Tables:
    people, questions = ingredients.draw("sample", "builtin", s["pool"], s["n_questions"], s["use"], s.seed)
    studied = leave_one_out.known(people)
    drawn = leave_one_out.annotators(people, [*studied, leave_one_out.PLACEBO], s["n_people"], s["n_others"], s.seed)
    choices = leave_one_out.choices(drawn, questions, s.writer, s.judge, s["words"])
    s.rows.append(choices["choice"])
    compared = leave_one_out.compared(choices)
    items = bench.items(people.head(s["n_personas"]), questions, s["n_items"], s.seed)
    hidden = leave_one_out.hide(items, people, studied, s.writer, s.judge, words=s["words"])
    s.rows.append(hidden["score"])
    found = {"summed": leave_one_out.by_attribute(compared), "moved": leave_one_out.changes(compared)}
    return found | {"losses": leave_one_out.losses(hidden, studied)}


def _05(s: Study) -> Tables:
    people, questions = s.drawn("n_people", "n_questions")
    made = [design(people, questions, s.writer, s["words"], s.seed) for design in DESIGNS]
    pairs = pd.concat(made, ignore_index=True)
    panel = [s.judge, Planted("planted-3", s.judge.world)]
    played = pd.concat([fidelity.play(people, own, panel) for own in made], ignore_index=True)
    s.rows.append(played["choice"])
    true = fidelity.true_to_person(played, pairs, people)
    asked = personas.respondents.load(s["survey"])
    few = personas.respondents.sample(asked, s["n_respondents"], s.seed)
    answers = fidelity.interviews.compare(asked, few, panel, s["orders"], s.seed)
    return {
        "faithful": fidelity.faithful(true),
        "repeatability": fidelity.by_design(played, fidelity.repeatability),
        "overall": fidelity.by_design(played, fidelity.judges_overall),
        "yardsticks": fidelity.evaluation.yardsticks(answers),
        "order": fidelity.evaluation.repeatability(answers),
    }


DESIGNS = (fidelity.shared_pairs, fidelity.opposite_pairs)


def _06(s: Study) -> Tables:
    asked = [*s["conditions"], *s["controls"]]
    results = s.answered(s.items(*s.drawn()), asked, probabilities=True)
    judged = judges.subtlety(s.judge, results[results["answer"].notna()])
    nose = results[["persona_id", "prompt_id", "model", "condition"]].join(judged, how="inner")
    scores, graded = (stats.rates(results, ["model", "condition"], value) for value in ("score", "graded"))
    names = {"rate": "graded_rate", "low": "graded_low", "high": "graded_high"}
    return {
        "scores": scores.join(graded[list(names)].rename(columns=names)),
        "differences": bench.contrasts(results),
        "graded_differences": bench.contrasts(results, "graded"),
        "nose": stats.rates(nose, ["model", "condition"]),
        "subtlety_differences": stats.paired_differences(nose, "condition"),
        "lengths": bench.lengths(results, s["words"], s["working_words"]),
    }


def _07(s: Study) -> Tables:
    people, questions = s.drawn()
    results = s.answered(s.items(people, questions), ["summary"], probabilities=True)
    return {"rates": bench.summaries.dropped(bench.summaries.attributes(results, people, s.judge))}


def _08(s: Study) -> Tables:
    options = {"samples": s["n_samples"], "temperature": s["temperature"]}
    samples = s.answered(s.items(*s.drawn()), s["conditions"], **options)
    return {"curves": stats.passk.curves(samples, ["model", "condition"], s["ks"])}


def _09(s: Study) -> Tables:
    people, questions = s.drawn()
    people = bench.groups.broad(people)
    results = s.answered(s.items(people, questions), s["conditions"], probabilities=True)
    crossed = bench.groups.crossings(people, ("sex", "age group"))
    return {"scores": bench.intersections.scores(results[results["condition"] == s["conditions"][0]], crossed)}


def _10(s: Study) -> Tables:
    people, questions = s.drawn()
    items = s.items(people, questions)
    conditions = [*s["conditions"]]
    results = s.answered(items, ["other_persona", "baseline", *conditions], probabilities=True)
    pairs = judges.rankings.pairs(results)
    base = pairs[pairs["condition"] == conditions[0]]
    padded = judges.audits.padded(base).assign(condition="baseline, padded")
    choices = judges.rankings.choose(s.judge, pd.concat([pairs, padded], ignore_index=True))
    s.rows.append(choices["score"])
    direct = results[(results["condition"] == "direct") & results["answer"].notna()]
    known = direct[["persona_id", "prompt_id", "model", "profile", "prompt", "answer"]]
    scored = pd.concat([known.join(judges.critic(j, known)) for j in (s.judge, s.writer)], ignore_index=True)
    kinds = [("list", None), *map(tuple, s["profiles"])]
    few = pairs.merge(items.head(s["n_forms"])[["persona_id", "prompt_id"]])
    whole = few.dropna(subset=["chosen", "rejected"]).reset_index(drop=True)
    told = judges.audits.forms(s.judge, whole, people, kinds)
    answers = results[results["condition"].isin(conditions) & results["answer"].notna()]
    again = answers.merge(items.head(s["n_forms"])[["persona_id", "prompt_id"]])
    audited = judges.audits.critics(s.judge, again, people, kinds[1:])
    couples = bench.comparison.owned(results, people, s["n_compared"], s.seed)
    tasks = {
        "which is mine": bench.comparison.choose(couples, s.judge),
        "whose is it": bench.comparison.whose(couples, people, s.judge, min(4, len(people)), s.seed),
    }
    ways = judges.audits.orders(choices, by="condition").stack(level=0).reset_index(names=["condition", "way"])
    return {
        "positions": judges.audits.position(choices),
        "controlled": stats.length_controlled(choices, by="condition", length="longer"),
        "orders": ways,
        "self_preference": judges.audits.self_preference(scored),
        "changed": judges.rankings.changes(told),
        "shifts": judges.audits.shifts(audited),
        "truth": stats.rates(pd.concat(t.assign(task=name) for name, t in tasks.items()), by="task"),
    }


STUDIES: dict[str, Callable[[Study], Tables]] = {
    "01_personas": _01,
    "02_prompts": _02,
    "03_preferences": _03,
    "04_leave_one_out": _04,
    "05_fidelity": _05,
    "06_conditioning": _06,
    "07_summaries": _07,
    "08_pass_at_k": _08,
    "09_intersections": _09,
    "10_judges": _10,
}


def one(task: tuple[str, int]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Do one notebook's study with one seed: its estimates beside what is planted, and its counts."""
    stem, seed = task
    study = Study(stem, presets.plan(presets.load("small"))[stem], seed)
    tables = STUDIES[stem](study)
    found = truth.compared({stem: tables}, {stem: study.values})
    scores = pd.concat(study.rows) if study.rows else pd.Series(dtype=float)
    models = (study.writer, study.judge)
    counts = {"notebook": stem, "calls": sum(len(m.calls) for m in models), "reasked": sum(m.reasked for m in models)}
    return found.assign(seed=seed), counts | {"rows": len(scores), "unscored": int(scores.isna().sum())}


def shown(found: pd.DataFrame, counts: pd.DataFrame) -> pd.DataFrame:
    """Return the figures by notebook and in all."""
    by_group = found.assign(at_once=found["effect"].str.endswith(AT_ONCE))
    single = by_group[~by_group["at_once"]]
    used = counts.groupby("notebook")[["calls", "reasked", "rows", "unscored"]].sum()
    held = single.groupby("notebook")["holds"].agg(intervals="size", held="sum")
    table = used.join(held).astype(int)
    table.loc["all"] = table.sum()
    return table.assign(
        **{
            "calls beyond need, %": 100 * table["reasked"] / table["calls"],
            "unscored, %": 100 * table["unscored"] / table["rows"],
            "held, %": 100 * table["held"] / table["intervals"],
        }
    )


def main(seeds: int = 20) -> None:
    began = time.perf_counter()
    tasks = [(stem, seed) for stem in STUDIES for seed in range(seeds)]
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(one, tasks))
    found = pd.concat([table for table, _ in results], ignore_index=True)
    counts = pd.DataFrame([used for _, used in results])
    pd.options.display.width = 200
    print(f"{seeds} seeds, sizes of small, {time.perf_counter() - began:.0f} s")
    print(shown(found, counts).round(2).to_string())
    at_once = found[found["effect"].str.endswith(AT_ONCE)]
    print(f"intervals for all groups at once that hold: {at_once['holds'].mean():.1%} of {len(at_once)}")
    by_effect = found.groupby(["notebook", "effect"])["holds"].agg(["size", "mean"])
    low = by_effect[by_effect["mean"] < 0.85]
    print(f"effects held in fewer than 85% of the runs: {len(low)} of {len(by_effect)}")
    print(low.round(2).to_string() if len(low) else "")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
