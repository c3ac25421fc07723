"""Audits find what is planted in a judge: a pull to the first place, love of its own writing, a mood that changes."""

import json
import math
import random

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import UserError, personas, templates
from persona_lib.judges import audits, rankings
from persona_lib.model import Model


def judged(rows: list[tuple[float, float]], judge: str = "j", generator: str = "g") -> pd.DataFrame:
    """Return rows as `judges.prefer` does, given the probability of the chosen answer when shown first and second."""
    table = pd.DataFrame(rows, columns=["p_first", "p_second"]).astype(float)
    mean = (table["p_first"] + table["p_second"]) / 2
    choice = mean.gt(0.5).map({True: "chosen", False: "rejected"}).where(mean.notna() & mean.ne(0.5))
    flip = ((table["p_first"] - 0.5) * (table["p_second"] - 0.5)).lt(0).astype("boolean").where(mean.notna())
    ids = {
        "persona_id": [f"p{i % 8}" for i in range(len(table))],
        "prompt_id": [f"q{i // 2}" for i in range(len(table))],
    }
    return table.assign(**ids, judge=judge, generator=generator, p_chosen=mean, choice=choice.astype("str"), flip=flip)


def test_a_judge_that_takes_the_first_place_is_found_and_one_without_a_pull_is_not():
    taken = audits.position(pd.concat([judged([(0.9, 0.2)] * 40), judged([(0.9, 0.8), (0.3, 0.2)] * 20, "fair")]))
    assert taken.loc[("j", "the first wins"), "rate"] == 1 and taken.loc[("j", "the order decides"), "rate"] == 1
    assert taken.loc[("fair", "the first wins"), "rate"] == 0.5
    assert taken.loc[("fair", "the order decides"), "rate"] == 0
    assert (taken["n"] == 40).all()


def test_asking_in_one_order_can_turn_a_ranking_round():
    # g wins with luck of the place, h wins in both orders, but less often.
    lucky, sound = [(0.9, 0.1)] * 28 + [(0.2, 0.1)] * 12, [(0.7, 0.8)] * 24 + [(0.4, 0.1)] * 16
    ranks = audits.orders(pd.concat([judged(lucky), judged(sound, generator="h")]), by="generator")
    assert ranks[audits.FIRST_ONLY]["rank"].to_dict() == {"g": 1, "h": 2}
    assert ranks[audits.TIES]["rank"].to_dict() == {"g": 2, "h": 1}
    assert ranks[audits.FIRST_ONLY]["rate"]["g"] == 0.7 and ranks[audits.TIES]["rate"]["g"] == 0.35


def test_what_a_judge_did_not_say_counts_as_failed_everywhere():
    table = judged([(0.9, 0.8)] * 10 + [(float("nan"), float("nan"))] * 2)
    assert (audits.position(table)["failed"] == 2).all()
    assert all((audits.orders(table, "generator")[way]["failed"] == 2).all() for way in (audits.TIES, audits.BOTH))


def test_a_tie_in_one_order_is_half_a_win_there():
    table = judged([(0.5, 0.5)] * 20 + [(0.5, 0.9)] * 20)
    found = audits.position(table)["rate"]["j"]
    assert found["the first wins"] == (0.5 + 0.25) / 2 and found["the order decides"] == 0
    ranks = audits.orders(table, "generator").loc["g"]
    assert [ranks[way, "rate"] for way in (audits.FIRST_ONLY, audits.TIES, audits.BOTH)] == [0.5, 0.625, 0.75]
    coins = random.Random(0)
    tossed = judged([[sum(coins.random() < 0.5 for _ in range(8)) / 8 for _ in range(2)] for _ in range(900)])
    found = audits.position(tossed).loc[("j", "the first wins")]
    assert found["low"] < 0.5 < found["high"], "coin tosses favour no place"


def test_a_verdict_missing_in_one_order_is_no_win_for_the_other():
    found = audits.position(judged([(0.9, 0.8)] * 10 + [(0.9, float("nan"))] * 2))
    assert (found["failed"] == 2).all()


def scored(own_bonus: float) -> pd.DataFrame:
    rng = random.Random(0)
    rows = [
        {"persona_id": f"p{i % 10}", "prompt_id": f"q{i // 4}", "judge": judge, "model": model,
         "score": float(rng.random() < 0.5 + own_bonus * (judge == model))}
        for i in range(120) for judge in "ab" for model in "ab"
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_love_of_ones_own_writing_is_found_where_it_is_and_not_where_it_is_not():
    loving, fair = (audits.self_preference(scored(bonus)) for bonus in (0.4, 0.0))
    assert (loving["difference"] > 0.25).all() and (loving["low"] > 0).all() and (loving["n"] == 120).all()
    assert ((fair["low"] < 0) & (fair["high"] > 0)).all()
    assert audits.matrix(scored(0.4)).loc["a", "a"] > audits.matrix(scored(0.4)).loc["a", "b"] + 0.2
    with pytest.raises(UserError, match="takes two judges or more"):
        audits.self_preference(scored(0).query("judge == 'a'"))


ANSWERS = pd.DataFrame(
    {
        "persona_id": ["p", "q"],
        "prompt_id": ["a", "b"],
        "profile": ["age: 40", "age: 70"],
        "prompt": "Why?",
        "answer": "So.",
    }
)


def test_a_judge_is_asked_again_at_a_temperature_and_a_changed_mind_shows():
    def moody(body: dict) -> dict:
        said = "revise" if body["temperature"] and "70" in str(body["messages"]) else "keep"
        return completion(json.dumps({"critique": "x", "grade": 3, "verdict": said}))

    with Endpoint(moody) as endpoint:
        table = audits.repeated(Model("m", endpoint.url), ANSWERS, times=2)
    assert len(endpoint.requests) == 6
    assert table["first"].tolist() == [1, 1] and table["mean"].tolist() == [1, 0]
    assert table["alike"].tolist() == [1, 1] and table["as_run"].tolist() == [1, 0]


def test_a_judge_that_says_nothing_readable_repeats_nothing():
    with Endpoint(lambda body: completion("hm")) as endpoint:
        table = audits.repeated(Model("m", endpoint.url), ANSWERS, times=2)
    assert table[["alike", "as_run", "first"]].isna().all(axis=None)


def test_drawn_verdicts_are_compared_with_drawn_ones_and_not_with_the_likeliest():
    rng = np.random.default_rng(0)
    keeps = rng.beta(2, 2, 3000)

    def critic(_, answers, sample, temperature, **settings):
        kept = rng.random(3000) < keeps if temperature else keeps > 0.5
        return pd.DataFrame({"score": kept.astype(float)})

    grid = pd.MultiIndex.from_product([range(100), range(30)], names=["persona_id", "prompt_id"]).to_frame(index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audits, "critic", critic)
        found = audits.steadiness(audits.repeated(None, grid, times=3))
    assert found.loc[audits.ALIKE, "rate"] == pytest.approx(0.6, abs=0.02)
    assert found.loc["a drawn verdict with the run's", "rate"] == pytest.approx(0.6875, abs=0.02)


def test_each_writers_mean_by_each_judge_stands_in_the_matrix():
    rows = [("a", "a", 1), ("a", "a", 0), ("a", "b", 1), ("b", "a", None), ("b", "a", 0), ("b", "b", 1)]
    found = audits.matrix(pd.DataFrame(rows, columns=["judge", "model", "score"]).astype({"score": float}))
    assert found.loc["a"].to_dict() == {"a": 0.5, "b": 1} and found.loc["b"].to_dict() == {"a": 0, "b": 1}


def test_self_preference_is_beyond_what_the_judge_gives_others_on_the_same_items():
    rows = [("p", "q", "a", "a", 1), ("p", "q", "b", "a", 0), ("p", "q", "c", "a", 1), ("r", "q", "a", "a", 1)]
    rows += [("r", "q", "b", "a", None), ("r", "q", "c", "a", None), ("p", "q", "b", "b", 0), ("p", "q", "a", "b", 1)]
    rows += [("p", "q", "c", "b", 0.5)]
    table = pd.DataFrame(rows, columns=["persona_id", "prompt_id", "judge", "model", "score"]).astype({"score": float})
    found = audits.self_preference(table)
    assert found.index.tolist() == ["a", "b"], "c does not write"
    shown = ["own", "others", "elsewhere", "difference", "n", "failed"]
    assert found.loc["a", shown].tolist() == [1, 1, 0.5, -0.5, 1, 1], "against c, on the answer of b"
    assert found.loc["b", shown].tolist() == [0, 0.5, -1, 0.5, 1, 1]
    pair = audits.self_preference(table[table["judge"] != "c"])
    assert pair.loc["a", shown].tolist() == [1, 0, 1, 0, 1, 1] and pair.loc["b", "difference"] == 0


def test_a_judge_that_is_mild_with_everybody_does_not_seem_to_love_its_own_writing():
    mild = pd.concat([scored(0.0), scored(0.0).replace({"judge": {"a": "c", "b": "d"}})])
    mild["score"] = mild["score"].where(mild["judge"] != "a", 1.0)
    row = audits.self_preference(mild).loc["a"]
    assert row["own"] - row["others"] > 0.4 and row["low"] < 0 < row["high"]


def test_judges_of_unlike_severity_that_do_not_all_write_give_nobody_self_preference():
    """Against b and c on a's answers, but against c alone on b's, a would seem to love its own by .15."""
    rng, writes = np.random.default_rng(0), list("ab")
    items = [{"persona_id": p, "prompt_id": q} for p in range(15) for q in range(10)]
    keeps = {"a": 0.5, "b": 0.35, "c": 0.65}
    rows = [
        item | {"judge": j, "model": w, "score": rng.random() < keeps[j]}
        for item in items
        for j in keeps
        for w in writes
    ]
    found = audits.self_preference(pd.DataFrame(rows).astype({"score": float}))
    assert found.loc["a", "difference"] == pytest.approx(0, abs=0.1) and (found["p"] > 0.05).all()
    alone = audits.self_preference(pd.DataFrame(rows).query("model == 'a'").astype({"score": float}))
    assert alone.loc["a", "n"] == 0, "no other answers to compare with"


def test_the_judges_tests_of_self_preference_are_corrected_for_each_other():
    found = audits.self_preference(scored(0.1))
    assert found.columns[-2:].tolist() == ["p_holm", "note"]
    assert found["p_holm"].min() == pytest.approx(2 * found["p"].min())


def test_how_often_the_same_verdict_comes_again_leaves_out_what_was_not_said():
    said = iter(["keep", "keep", "revise"])

    def moody(body: dict) -> dict:
        verdict = next(said, "?")
        whole = json.dumps({"critique": "x", "grade": 3, "verdict": verdict})
        return completion(whole if verdict != "?" else "hm")

    with Endpoint(moody) as endpoint:
        table = audits.repeated(Model("m", endpoint.url), ANSWERS.head(1), times=3)
        assert table[["first", "mean", "alike", "as_run"]].squeeze().tolist() == [1, 0.5, 0, 0.5]
        once = audits.repeated(Model("m", endpoint.url), ANSWERS.head(1), times=1)
        never = audits.repeated(Model("m", endpoint.url), ANSWERS.head(1), times=0)
    assert once["mean"].tolist() == [1] and once["alike"].isna().all(), "no two to compare"
    assert never["first"].tolist() == [1] and never[["mean", "alike", "as_run"]].isna().all(axis=None)


PEOPLE = pd.DataFrame(
    {"age": [40, 70], "sex": ["Female", "Male"], "religion": ["none", "none"]}, index=pd.Index(["p", "q"])
)
PAIRS = ANSWERS.drop(columns="answer").assign(pair_id=["r1", "r2"], chosen="No, dear.", rejected="No.")


def of_the_list(body: dict) -> dict:
    """A stand-in that takes the chosen answer where the profile is a list that begins with the age, else the other."""
    system, asked = body["messages"][0]["content"], body["messages"][-1]["content"]
    first = asked.index("No, dear.") < asked.index("No.\n")
    wanted = 0.9 if "<persona>\nage: " in system else 0.2
    chance = wanted if first else 1 - wanted
    reply = completion("A")
    tokens = [{"token": token, "logprob": math.log(p)} for token, p in (("A", chance), ("B", 1 - chance))]
    reply["choices"][0]["logprobs"] = {"content": [{"top_logprobs": tokens}]}
    return reply


def test_a_choice_that_hangs_on_the_form_of_the_profile_shows():
    kinds = [("list", None), ("list", 3), ("prose", None)]
    with Endpoint(of_the_list) as endpoint:
        told = audits.forms(Model("m", endpoint.url), PAIRS, PEOPLE, kinds)
    assert told["form"].tolist() == ["list", "list", "list, order 3", "list, order 3", "prose", "prose"]
    assert told["pair_id"].tolist() == ["r1", "r2"] * 3 and told["prompt_id"].tolist() == ["a", "b"] * 3
    turned = [float(personas.describe(PEOPLE.loc[i], "list", 3).startswith("age: ")) for i in "pq"]
    assert told["score"].tolist() == [1, 1, *turned, 0, 0] and 0 in turned
    assert len(endpoint.requests) == 12
    changed = rankings.changes(told)
    assert changed["rate"].to_dict() == {"list, order 3": 1 - sum(turned) / 2, "prose": 1}


def test_padded_pairs_are_the_base_answer_against_itself_with_a_filler():
    found = audits.padded(PAIRS, "I hope that this helps.")
    assert found["chosen"].tolist() == ["No. I hope that this helps."] * 2 and (found["rejected"] == "No.").all()
    assert found["pair_id"].tolist() == ["r1|padded", "r2|padded"]
    assert found.drop(columns=["chosen", "pair_id"]).equals(PAIRS.drop(columns=["chosen", "pair_id"]))
    missing = audits.padded(PAIRS.assign(rejected=pd.Series(None, dtype="str")), "Well.")
    assert missing["chosen"].isna().all(), "an answer that failed is not made up"


def fickle(body: dict) -> dict:
    """A critic that keeps all, but revises if `revise` is named first, or what it reads of prose in other words."""
    system = body["messages"][0]["content"]
    worse = system.index('"revise"') < system.index('"keep"') or "in prose" in system or "reader" in system
    said = "revise" if worse and "good" not in body["messages"][-1]["content"] else "keep"
    return completion(json.dumps({"critique": "x", "grade": 3, "verdict": said}))


AUDITED = pd.concat([ANSWERS.assign(condition=c, model="m", answer=f"{c} so.") for c in ("good", "direct")])


def test_a_critic_that_hangs_on_its_instruction_shows_by_condition():
    answers = AUDITED.reset_index(drop=True).assign(
        profile=lambda t: t["persona_id"].map(PEOPLE["age"].map("age: {}".format))
    )
    with Endpoint(fickle) as endpoint:
        rows = audits.critics(Model("m", endpoint.url), answers, PEOPLE, [("prose", None)], critique_words=20)
    assert len(endpoint.requests) == 4 * 4 == len(rows)
    assert rows["way"].unique().tolist() == [audits.AS_RUN, *audits.WORDINGS.values(), "profile as prose"]
    assert rows["judge_template"].nunique() == 3 and "at most 20 words" in str(endpoint.requests[0])
    table = audits.shifts(rows).set_index(["way", "condition"])
    assert len(table) == 3 * 2 and (table["kept"] == 1).all() and (table["n"] == 2).all()
    for way in audits.WORDINGS.values():
        assert table.loc[(way, "direct"), ["changed", "difference"]].tolist() == [2, -1]
        assert table.loc[(way, "good"), ["changed", "difference"]].tolist() == [0, 0]
    assert (table.loc["profile as prose", "changed"] == 0).all()
    assert "p_holm" in table and table["note"].eq("").sum() == 0
    found = audits.altered(rows)
    assert found["n"] == 3 * 4 and found["rate"] == pytest.approx(4 / 12) and found["low"] < 4 / 12 < found["high"]
    assert audits.altered(rows.head(0))["n"] == 0


def test_other_wordings_of_a_critic_of_the_users_own_must_be_the_users_too(tmp_path):
    (tmp_path / "critic.txt").write_text((templates.FOLDER / "critic.txt").read_text())
    (tmp_path / "critic_reworded.txt").write_text((templates.FOLDER / "critic_reworded.txt").read_text())
    answers = AUDITED.reset_index(drop=True)
    with Endpoint(fickle) as endpoint:
        rows = audits.critics(Model("m", endpoint.url), answers, PEOPLE, [], str(tmp_path))
    assert len(endpoint.requests) == 8
    unasked = rows[rows["way"] == "revise named first"]
    assert unasked["score"].isna().all() and len(unasked) == 4
    assert set(unasked["judge_failure"]) == {"no critic_revise_first.txt beside the critic.txt of your own"}
    table = audits.shifts(rows).set_index(["way", "condition"])
    assert table.loc["revise named first", "failed"].tolist() == [2, 2]
    assert audits.altered(rows)["failed"] == 4


def test_both_orders_of_the_verdicts_differ_in_nothing_else():
    one, other = (templates.load(name).parts for name in ("critic", "critic_revise_first"))
    first, second = one[0][1].template.splitlines(), other[0][1].template.splitlines()
    assert first[:-1] == second[:-1] and one[1][1].template == other[1][1].template
    assert first[-1].index("$keep") < first[-1].index("$revise") and second[-1].index("$revise") < second[-1].index(
        "$keep"
    )
