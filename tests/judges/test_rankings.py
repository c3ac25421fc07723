"""Rankings of conditions: the right answers side by side, ties and ranks counted by hand, orders that turn round."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion
from scipy import stats

from persona_lib import UserError
from persona_lib.judges import rankings
from persona_lib.model import Model


def results(conditions=("baseline", "direct", "summary"), models=("m", "n")) -> pd.DataFrame:
    """Answers that say whose they are, of two people to two prompts."""
    rows = [
        {"persona_id": p, "prompt_id": q, "model": m, "condition": c, "profile": f"age: {a}", "prompt": f"Why {q}?",
         "answer": f"{c} of {m} for {p} on {q}"}
        for m in models for c in conditions for p, a in (("p1", 30), ("p2", 40)) for q in ("q1", "q2")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_each_answer_stands_beside_the_same_writers_answer_to_the_same_person_and_prompt():
    pairs = rankings.pairs(results().sample(frac=1, random_state=0))
    assert len(pairs) == 2 * 2 * 4 and pairs["pair_id"].is_unique and set(pairs["condition"]) == {"direct", "summary"}
    item = pairs["model"] + " for " + pairs["persona_id"] + " on " + pairs["prompt_id"]
    assert (pairs["chosen"] == pairs["condition"] + " of " + item).all()
    assert (pairs["rejected"] == "baseline of " + item).all()
    other = rankings.pairs(results(), against="summary")
    assert set(other["condition"]) == {"baseline", "direct"} and other["rejected"].str.startswith("summary").all()


def test_an_answer_that_failed_keeps_its_row_with_a_side_missing():
    table = results(models=("m",))
    gone = table["persona_id"].eq("p1") & table["prompt_id"].eq("q1")
    table["answer"] = table["answer"].mask(gone & table["condition"].isin(["baseline"]))
    table["answer"] = table["answer"].mask(table["persona_id"].eq("p2") & table["condition"].eq("direct"))
    pairs = rankings.pairs(table).set_index(["persona_id", "prompt_id", "condition"]).sort_index()
    assert len(pairs) == 8
    assert pairs["rejected"].isna().sum() == 2 and pairs.loc[("p1", "q1"), "rejected"].isna().all()
    assert pairs["chosen"].isna().sum() == 2 and pairs.xs(("p2", "direct"), level=[0, 2])["chosen"].isna().all()
    absent = rankings.pairs(table.drop(index=table.index[gone & (table["condition"] == "baseline")]))
    assert len(absent) == 8 and absent["rejected"].isna().sum() == 2, "what was never asked is missing, too"


@pytest.mark.parametrize("conditions", [["direct", "summary"], ["baseline"]])
def test_conditions_without_a_baseline_or_with_nothing_else_are_refused(conditions):
    with pytest.raises(UserError, match="against 'baseline': ask for it and for another"):
        rankings.pairs(results(conditions))


def likely(a: float) -> dict:
    reply = completion("A" if a > 0.5 else "B")
    tokens = [{"token": token, "logprob": math.log(p)} for token, p in (("A", a), ("B", 1 - a))]
    reply["choices"][0]["logprobs"] = {"content": [{"top_logprobs": tokens}]}
    return reply


def fond_of_summaries(body: dict) -> dict:
    """A stand-in that prefers a summary, likes direct answers less than any, and of the rest takes the first."""
    first, second = re.findall(r"<answer [AB]>\n(.*?)\n", body["messages"][-1]["content"])
    liking = [text.startswith("summary") - text.startswith("direct") for text in (first, second)]
    return likely({1: 0.8, -1: 0.3, 0: 0.9}[int(np.sign(liking[0] - liking[1]))])


def test_a_preferred_answer_scores_one_the_other_nothing_and_a_tie_a_half():
    pairs = rankings.pairs(results(["baseline", "direct", "summary", "also"], ["m"]))
    pairs["chosen"] = pairs["chosen"].mask(pairs["pair_id"] == "p1|q1|m|direct")
    pairs["rejected"] = pairs["rejected"].mask(pairs["pair_id"] == "p2|q2|m|also")
    pairs = pairs.sample(frac=1, random_state=0)
    with Endpoint(fond_of_summaries) as endpoint:
        found = rankings.choose(Model("m", endpoint.url), pairs)
    assert list(found.index) == list(pairs.index) and list(found["pair_id"]) == list(pairs["pair_id"])
    assert len(endpoint.requests) == 2 * 10, "what has no answer on one side is not asked for"
    there = pairs["chosen"].notna() & pairs["rejected"].notna()
    expected = found["condition"].map({"summary": 1.0, "direct": 0.0, "also": 0.5}).where(there)
    pd.testing.assert_series_equal(found["score"], expected, check_names=False)
    assert set(found["failure"][~there]) == {"no answer on one side"} and (found["judge"] == "m").all()
    tied = found["score"] == 0.5
    assert set(found["failure"][tied]) == {"tie"} and found["failure"][there & ~tied].isna().all()


def test_two_answers_of_the_same_text_are_no_choice_and_nobody_is_asked():
    pairs = rankings.pairs(results(["baseline", "direct"], ["m"]))
    pairs.loc[1:, "chosen"] = pairs["rejected"]
    pairs.loc[3, ["chosen", "rejected"]] = None
    with Endpoint(lambda body: likely(0.9 if "direct" in str(body).split("answer B")[0] else 0.2)) as endpoint:
        found = rankings.choose(Model("m", endpoint.url), pairs)
        nothing = rankings.choose(Model("m", endpoint.url), pairs.head(0))
    same, one_sided = "both answers are the same text", "no answer on one side"
    assert found["failure"].iloc[1:].tolist() == [same, same, one_sided] and len(endpoint.requests) == 2
    assert found["score"].iloc[0] == 1 and found["score"].iloc[1:].isna().all() and np.isnan(found.loc[1, "p_chosen"])
    assert nothing.empty and list(nothing.columns) == list(found.columns)


def test_how_much_longer_an_answer_is_is_counted_in_words():
    pairs = rankings.pairs(results(["baseline", "direct"], ["m"])).head(2)
    pairs["chosen"], pairs["rejected"] = ["one two\nthree", "我们今天去北京"], ["one", "two  words"]
    with Endpoint(lambda body: likely(0.9)) as endpoint:
        found = rankings.choose(Model("m", endpoint.url), pairs)
        assert found["longer"].tolist() == [2.0, 2.0]
        nothing = rankings.choose(Model("m", endpoint.url), pairs.assign(rejected=pd.Series(None, dtype="str")))
    assert nothing["longer"].isna().all() and nothing["score"].isna().all()
    assert (nothing["failure"] == "no answer on one side").all() and len(endpoint.requests) == 4


def told(**scores: list[float]) -> pd.DataFrame:
    """Choices on the same pairs with the profile in several forms."""
    parts = [
        pd.DataFrame({"pair_id": f"r{i}", "persona_id": f"p{i}", "prompt_id": f"q{i}", "form": form, "score": [score]})
        for form, own in scores.items()
        for i, score in enumerate(own)
    ]
    return pd.concat(parts, ignore_index=True)


def test_a_pair_chosen_in_only_one_form_counts_as_failed_and_not_as_changed():
    nan = np.nan
    found = rankings.changes(told(list=[1, 0, 1, nan, 0, nan], prose=[1, 1, nan, 1, 1, nan], talk=[1, 0, 1, 1, 0, 1]))
    assert found.index.tolist() == ["prose", "talk"] and found.index.name == "form"
    assert found.loc["prose", ["n", "failed"]].tolist() == [3, 3] and found.loc["prose", "rate"] == pytest.approx(2 / 3)
    assert found.loc["talk", ["n", "failed", "rate"]].tolist() == [4, 2, 0]
    mixed = told(list=[1, 0], prose=[0, 0]).iloc[[3, 2, 0, 1]]
    assert rankings.changes(mixed).loc["list", "rate"] == 0.5, "the first to appear is what others are held against"


def test_with_one_form_nothing_can_have_changed():
    found = rankings.changes(told(list=[1, 0]))
    assert found.empty and found.index.name == "form"
    assert list(found.columns) == ["n", "failed", "rate", "low", "high", "note"]


ITEM = ["persona_id", "prompt_id"]


def way(rates: dict[str, float]) -> pd.DataFrame:
    """Two items of each group, with these rates."""
    rows = [(p, "q", group, rate) for group, rate in rates.items() for p in ("p1", "p2")]
    return pd.DataFrame(rows, columns=[*ITEM, "condition", "score"])


def test_writers_are_scored_with_and_without_their_own_verdicts_each_judge_alike():
    rows = [("a", "a", 1), ("a", "a", 1), ("a", "a", 1), ("a", "b", 0), ("a", "c", 1), ("a", "c", 0), ("b", "b", 1)]
    table = pd.DataFrame(rows, columns=["model", "judge", "score"]).assign(persona_id="p", prompt_id=range(7))
    ways = rankings.without_own(table.astype({"score": float}))
    found = rankings.standings(ways, by="model").pivot(index="group", columns="way", values="rate")
    assert found.loc["a"].to_dict() == pytest.approx({"all judges": (1 + 0 + 0.5) / 3, "judges but itself": 0.25})
    assert found.loc["b", "all judges"] == 1 and np.isnan(found.loc["b", "judges but itself"])
    nothing = rankings.without_own(table.assign(score=np.nan))
    assert rankings.standings(nothing, by="model").empty and rankings.reversals(nothing, "model")["pairs"].tolist() == [
        0
    ]


def test_equal_rates_share_the_better_rank_and_a_missing_one_has_none():
    first = way({"x": 0.3, "y": 0.9, "z": 0.1 + 0.2, "w": np.nan})
    found = rankings.standings({"one": first, "other": way({"w": 0.5, "x": 0.7, "stranger": 0.9})})
    assert (found["reference"] == "one").all() and found["group"].tolist() == ["x", "y", "z", "w"] * 2
    ranks = found.pivot(index="group", columns="way", values="rank")
    assert ranks["one"].dropna().to_dict() == {"x": 2, "y": 1, "z": 2}, "0.1 + 0.2 is 0.3"
    assert ranks["other"].dropna().to_dict() == {"x": 1, "w": 2}


SEEN = ["pairs", "reversed", "tied", "leader"]


def test_reversed_and_tied_pairs_are_those_counted_by_hand():
    rates = {"a": 0.9, "b": 0.5, "c": 0.5, "d": np.nan, "e": 0.1}
    one, same = way(rates), way({group: rate + 0.05 for group, rate in rates.items()})
    other = way({"a": 0.2, "b": 0.6, "c": 0.1, "d": 0.9, "e": 0.6})
    found = rankings.reversals({"one": one, "other": other, "same": same})
    # a-b and a-e turn round, and c-e; b-c was equal, b-e is; a-c stays.
    assert found["way"].tolist() == ["other", "same"] and (found["reference"] == "one").all()
    assert found[SEEN].values.tolist() == [[6, 3, 2, "d"], [6, 0, 0, "a"]]
    assert rankings.reversals({"other": other, "one": one})[SEEN].values.tolist() == [[6, 3, 2, "a"]]
    shared = rankings.reversals({"other": other, "level": other.assign(score=0.0)})
    assert shared[SEEN].values.tolist() == [[10, 0, 9, "a, b, c, d, e"]]
    assert found["note"].str.startswith("fewer than 8 personas").all() and found["clear"].isna().all()
    assert "3 of 12 pairwise rankings (fewer than 8 people or questions: " in rankings.said(found)


@pytest.mark.parametrize("seed", range(5))
def test_of_ranks_without_ties_as_many_are_reversed_as_kendalls_tau_has_discordant(seed):
    one, other = (np.random.default_rng([seed, k]).permutation(9) / 10 for k in (0, 1))
    groups = list("abcdefghi")
    ways = {"one": way(dict(zip(groups, one, strict=True))), "other": way(dict(zip(groups, other, strict=True)))}
    ways["other"] = ways["other"].sample(frac=1, random_state=seed)
    found = rankings.reversals(ways).loc[0]
    discordant = 36 * (1 - stats.kendalltau(one, other).statistic) / 2
    assert found["pairs"] == 36 and found["tied"] == 0 and found["reversed"] == pytest.approx(discordant)
    assert found["leader"] == groups[other.argmax()]


def test_too_few_groups_are_said_and_one_way_alone_reverses_nothing():
    up = way({"a": 0.1, "b": 0.2})
    found = rankings.reversals({"z": up, "y": up, "w": way({"a": 0.1})})
    assert found["reversed"].tolist() == [0, 0] and found["pairs"].tolist() == [1, 0]
    assert found["note"].tolist()[1] == "fewer than two groups have a rate in both"
    alone = rankings.reversals({"x": up})
    assert alone.empty and list(alone.columns[:6]) == ["reference", "way", *SEEN]
    assert rankings.said(alone).startswith("audits reverse 0 of 0 pairwise rankings (fewer than 8")


def judged_twice(seed: int, first: float, second: float, people: int = 20, prompts: int = 10) -> dict:
    """Two conditions judged in two ways, whose differences in truth are `first` and `second`; people differ."""
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product([range(people), range(prompts), ["a", "b"]], names=[*ITEM, "condition"])
    table = grid.to_frame(index=False).astype({name: str for name in ITEM})
    liking = rng.normal(0, 0.15, (people, 2))[
        np.repeat(np.arange(people), 2 * prompts), np.tile([0, 1], len(table) // 2)
    ]
    sign = np.where(table["condition"] == "a", 0.5, -0.5)
    chances = {"one": 0.5 + liking + sign * first, "other": 0.5 + liking + sign * second}
    return {name: table.assign(score=(rng.random(len(table)) < p).astype(float)) for name, p in chances.items()}


def test_conditions_that_are_equal_in_truth_reverse_often_and_hardly_ever_clearly():
    found = pd.concat([rankings.reversals(judged_twice(seed, 0.0, 0.0)) for seed in range(60)])
    assert 10 <= found["reversed"].sum() <= 40 and found["clear"].sum() <= 2
    assert 0.2 < found["by_chance"].mean() < 0.45 and 0.2 < found["resampled"].mean() < 0.5
    assert "two runs of equal conditions in half" in rankings.said(found), "as `by_chance` is below a half here"


def test_a_planted_reversal_is_clear_and_is_told_from_noise():
    found = rankings.reversals(judged_twice(0, 0.4, -0.4))
    assert found.loc[0, ["reversed", "clear"]].tolist() == [1, 1]
    assert found.loc[0, "resampled"] > 0.95 and found.loc[0, "by_chance"] < 0.05 and found.loc[0, "note"] == ""
    assert rankings.said(found).startswith("audits reverse 1 of 1 pairwise rankings, 1 of them in at least 95% of ")
    kept = rankings.reversals(judged_twice(0, 0.4, 0.3))
    assert kept.loc[0, ["reversed", "clear"]].tolist() == [0, 0] and kept.loc[0, "resampled"] < 0.05
    pd.testing.assert_frame_equal(kept, rankings.reversals(judged_twice(0, 0.4, 0.3)))


def test_no_choices_have_no_changes():
    told = pd.DataFrame(columns=["pair_id", "persona_id", "prompt_id", "form", "score"])
    found = rankings.changes(told)
    assert found.empty and {"n", "failed", "rate", "low", "high", "note"} <= set(found)
