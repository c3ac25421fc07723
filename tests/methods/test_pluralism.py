"""The three pluralisms: planted truths are recovered, cases counted by hand, and intervals hold what is true."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from persona_lib import UserError, methods
from persona_lib.methods import Setting, pluralism, simulated, surveyed
from persona_lib.methods.trial import COLUMNS
from persona_lib.model import Reply

PROMPTS = pd.DataFrame({"prompt_id": ["q0", "q1"], "prompt": ["Why 0?", "Why 1?"]})


class Voter:
    """A stand-in in a person's place: finds its view represented (5) where the answer names it, else hardly (2)."""

    name = "voter"

    def __init__(self, refuses=""):
        self.refuses, self.asked = refuses, []

    def ask(self, messages, schema, step="", **_):
        self.asked += messages
        return [self._reply(str(one[0]), one[1]["content"], schema) for one in messages]

    def _reply(self, system, answer, schema):
        view = re.search(r"view: (\w+)", system)[1]
        if self.refuses and self.refuses in system:
            return Reply("", None, "refused", False)
        return Reply("", schema(rating=5 if view in answer else 2), None, False)


def village(*views, groups=None):
    """People p0, p1, ... with a view each, which their profile tells."""
    index = pd.Index([f"p{i}" for i in range(len(views))], name="persona_id")
    profile = [f"name: p{i}.\nview: {view}" for i, view in enumerate(views)]
    return pd.DataFrame({"profile": profile, "group": groups or list(views)}, index)


def answers(people, texts, method="m", **columns):
    """One answer for all to each prompt."""
    rows = [(person, f"q{i}", text) for i, text in enumerate(texts) for person in people.index]
    table = pd.DataFrame(rows, columns=["persona_id", "prompt_id", "answer"])
    failure = table["answer"].isna().map({True: "no answer was written", False: None})
    return table.assign(method=method, failure=failure, **columns)


def test_a_person_is_told_and_shown_the_answer_and_what_fails_says_why():
    people, voter = village("left", "right", "none"), Voter(refuses="p2")
    found = pluralism.rated(answers(people, ["left and right", None]), people, PROMPTS, voter)
    assert len(voter.asked) == 3 and "view: left" in voter.asked[0][0]["content"]
    assert "Why 0?" in voter.asked[0][1]["content"] and "left and right" in voter.asked[0][1]["content"]
    assert found["rating"].tolist()[:2] == [5, 5] and found["rating"].isna().sum() == 4
    assert found["failure"].tolist()[2:] == ["refused"] + ["no answer was written"] * 3
    assert found["failure"].isna().sum() == 2 and set(found["judge"]) == {"voter"}


def test_coverage_is_the_planted_share_of_people_for_everybody_and_each_group():
    people = village(*["left"] * 6 + ["right"] * 3 + ["none"] * 3, groups=["a"] * 8 + ["b"] * 4)
    asked = pd.concat(
        [
            answers(people, ["left", "right"], "one view"),
            answers(people, ["left or right", "right or left"], "two views"),
        ]
    )
    items = pluralism.represented(pluralism.rated(asked, people, PROMPTS, Voter()))
    found = pluralism.coverage(items, people, ["group"]).set_index(["method", "group"])
    assert found.loc[("one view", "everybody"), "coverage"] == pytest.approx((6 / 12 + 3 / 12) / 2)
    assert found.loc[("two views", "everybody"), "coverage"] == pytest.approx(9 / 12)
    assert found.loc[("two views", "b"), ["coverage", "people", "n", "failed"]].tolist() == [0.25, 4, 8, 0]
    assert found.loc["two views"].index.tolist() == ["everybody", "b", "a"]  # the worst group first
    row = found.loc[("two views", "everybody")]
    assert row["low"] < 0.75 < row["high"]


def test_of_several_answers_one_that_represents_a_person_is_enough_and_one_unscored_leaves_it_open():
    people = village("left", "right", "none")
    ratings = pd.concat(
        pluralism.rated(answers(people, [text], sample=i), people, PROMPTS, Voter(refuses))
        for i, (text, refuses) in enumerate([("left", ""), ("right", "p0"), ("nothing", "p2")])
    )
    items = pluralism.represented(ratings).set_index("persona_id")
    assert items["covered"].tolist()[:2] == [1, 1] and np.isnan(items.loc["p2", "covered"])
    assert items["answers"].tolist() == [3, 3, 3] and items["rating"].tolist() == [5, 5, 2]
    found = pluralism.coverage(items.reset_index()).iloc[0]
    assert (found["n"], found["failed"]) == (2, 1)


def test_a_person_or_prompt_of_whom_nothing_is_known_is_an_error():
    people = village("left")
    for changed in ({"persona_id": "nobody"}, {"prompt_id": "q9"}):
        with pytest.raises(UserError, match="nothing is known of"):
            pluralism.rated(answers(people, ["left"]).assign(**changed), people, PROMPTS, Voter())
    silent = pd.DataFrame({"color": "red"}, people.index)  # no attribute that a profile tells
    with pytest.raises(UserError, match="nothing is known of p0"):
        pluralism.rated(answers(people, ["left"]), silent, PROMPTS, Voter())


def test_people_without_the_attribute_are_a_group_of_their_own():
    people = village("left", "left", "right").assign(group=["a", None, None])
    asked = pd.concat([answers(people, ["left", None]), answers(people, ["left"], sample=1)])  # labels of rows repeat
    items = pluralism.represented(pluralism.rated(asked, people, PROMPTS, Voter()))
    found = pluralism.coverage(items, people, ["group"]).set_index("group")
    assert found["people"].to_dict() == {"everybody": 3, "missing": 2, "a": 1}
    assert found.loc["missing", ["coverage", "n", "failed"]].tolist() == [0.5, 2, 2]
    assert pluralism.worst_group(items, people, "group")["group"].item() == "missing"


def test_the_worst_group_is_beside_what_comes_last_by_chance():
    rng = np.random.default_rng(1)
    people = village(*["x"] * 60, groups=[f"g{i % 5}" for i in range(60)])
    alike = pd.DataFrame({"persona_id": people.index.repeat(8), "method": "alike", "covered": rng.random(480) < 0.6})
    unfair = alike.assign(method="unfair").copy()
    unfair.loc[unfair["persona_id"].map(people["group"]) == "g3", "covered"] = False
    found = pluralism.worst_group(pd.concat([alike, unfair]), people, "group").set_index("method")
    assert found.loc["unfair", "group"] == "g3" and found.loc["unfair", "coverage"] == 0
    assert found.loc["unfair", "p"] < 0.01 < found.loc["alike", "p"]
    assert found.loc["alike", "low_chance"] <= found.loc["alike", "coverage"] <= found.loc["alike", "high_chance"]


def ratings(rng, n=10, prompts=6, gain=1.0, noise=0.5, between=0.5):
    """Ratings of what was written for i (rows) by j: lenient raters, good answers, and a gain of one's own answer."""
    lenient, good = rng.normal(0, 0.5, n), rng.normal(0, 0.5, (prompts, n, 1))
    own = rng.normal(gain, between, (prompts, n))
    square = 3 + lenient + good + rng.normal(0, noise, (prompts, n, n))
    square[:, np.arange(n), np.arange(n)] += own
    q, i, j = np.indices(square.shape).reshape(3, -1)
    named = {"prompt_id": ("q", q), "written_for": ("p", i), "persona_id": ("p", j)}
    table = pd.DataFrame({key: [f"{kind}{one}" for one in number] for key, (kind, number) in named.items()})
    return table.assign(method="m", rating=square.ravel())


def test_steerability_is_the_diagonal_less_the_rest_and_lenient_raters_and_good_answers_cancel():
    table = ratings(np.random.default_rng(0))
    own = table["written_for"] == table["persona_id"]
    found = pluralism.steerability(table).iloc[0]
    assert found["difference"] * 4 == pytest.approx(table[own]["rating"].mean() - table[~own]["rating"].mean())
    assert found["own"] * 4 + 1 == pytest.approx(table[own]["rating"].mean())
    assert found["others"] * 4 + 1 == pytest.approx(table[~own]["rating"].mean())
    place = {name: i for i, name in enumerate(sorted(set(table["persona_id"])))}
    biased = table.assign(rating=table["rating"] + table["persona_id"].map(place) - 3 * table["written_for"].map(place))
    again = pluralism.steerability(biased).iloc[0]
    same = ["difference", "low", "high", "p", "p_permuted"]
    assert again[same].astype(float).to_numpy() == pytest.approx(found[same].astype(float).to_numpy())
    assert found["low"] > 0 and found["p_permuted"] == pytest.approx(0.001)


def test_intervals_of_steerability_hold_the_planted_gain_and_permutations_raise_few_false_alarms():
    held, alarms, times = 0, 0, 30
    for seed in range(times):
        rng = np.random.default_rng(seed)
        found = pluralism.steerability(ratings(rng, 8, 4), seed=seed).iloc[0]
        held += found["low"] <= 0.25 <= found["high"]
        nothing = ratings(rng, 8, 4, gain=0, between=0)
        alarms += pluralism.steerability(nothing, seed=seed)["p_permuted"].item() < 0.05
    assert held >= 0.85 * times and alarms <= 0.15 * times


def test_answers_written_for_views_are_steerable_and_one_answer_for_all_is_not():
    people = village("left", "right", "left", "right")
    views = people["group"]
    own = answers(people, ["", ""], "own").assign(answer=lambda t: t["persona_id"].map(views))
    asked = pluralism.crossed(pd.concat([own, answers(people, ["left", "right"], "for all")]))
    found = pluralism.rated(asked, people, PROMPTS, Voter())
    table = pluralism.steerability(found).set_index("method")
    assert table.loc["own", ["people", "n", "failed", "own"]].tolist() == [4, 8, 0, 1]
    assert table.loc["own", "others"] == pytest.approx((1 / 4 + 1 + 1 / 4) / 3)  # of three others, one is of one view
    assert table.loc["for all", "difference"] == pytest.approx(0)
    people_square = pluralism.matrix(found, "own")
    assert (np.diag(people_square) == 5).all() and people_square.loc["p0", "p1"] == 2
    assert pluralism.matrix(found, "own", views).to_numpy().tolist() == [[5, 2], [2, 5]]
    of_groups = pluralism.steerability(found, views).set_index("method").loc["own"]
    assert (of_groups["people"], of_groups["own"], of_groups["others"]) == (2, 1, 0.25)


def test_a_failed_answer_is_counted_and_a_missing_rating_left_out_of_its_means():
    table = ratings(np.random.default_rng(0), n=5, prompts=2, noise=0, between=0)
    lost = (table["prompt_id"] == "q0") & (table["written_for"] == "p0")
    one = (table["prompt_id"] == "q1") & (table["written_for"] == "p1") & (table["persona_id"] == "p2")
    found = pluralism.steerability(table.assign(rating=table["rating"].mask(lost | one))).iloc[0]
    assert (found["n"], found["failed"]) == (9, 1)
    assert found["difference"] == pytest.approx(0.25, abs=0.03)


DESIGN = simulated.Design(
    seen=40, unseen=30, prompts=30, heldout=20, candidates=2, history=20, tests=15, dimensions=8, rank=2, groups=2
)


def oracle(world, blunt=False):
    """Predictions by the true probabilities of every choice; `blunt`: by their mean over people."""
    made = world.choices.assign(method="oracle", k=0, draw=0, chosen=world.choices["p_first"])
    made["p_first"] = made["choice_id"].map(world.truth)
    if blunt:
        straight = made["first"] < made["second"]
        p = made["p_first"].where(straight, 1 - made["p_first"])
        p = p.groupby(made["first"].where(straight, made["second"])).transform("mean")
        made["p_first"] = p.where(straight, 1 - p)
    made = made[made["persona_id"].map(world.people["persona_split"]) == "test"]
    return made[list(COLUMNS)].reset_index(drop=True)


def by_hand(predictions, world):
    """Own accuracy less that of predictions for others, of each pair of answers: a loop over all pairs of people."""
    at = predictions.merge(world.choices[["choice_id", "first", "second"]], on="choice_id")
    straight = at["first"] < at["second"]
    at["p"] = (at["p_first"].where(straight, 1 - at["p_first"]) > 0.5).astype(float)
    at["y"] = at["chosen"].where(straight, 1 - at["chosen"])
    gaps, n = [], []
    for _, own in at.groupby("prompt_id"):
        agrees = (own["p"].to_numpy()[:, None] == own["y"].to_numpy()).astype(float)
        if len(own) > 1:
            gaps.append(np.diag(agrees).mean() - agrees[~np.eye(len(own), dtype=bool)].mean())
            n.append(len(own))
    return np.average(gaps, weights=n)


def test_steered_is_own_less_others_over_all_pairs_of_people_and_0_for_whom_all_are_alike():
    world = simulated.world(DESIGN, seed=3)
    found = pluralism.steered(oracle(world), world, 0).iloc[0]
    assert found["difference"] == pytest.approx(by_hand(oracle(world), world))
    assert found["own"] - found["others"] == pytest.approx(found["difference"]) and found["low"] > 0
    blind = pluralism.steered(oracle(world, blunt=True), world, 0).iloc[0]
    assert blind["difference"] == pytest.approx(0, abs=1e-12) and blind["own"] > 0.5
    assert np.isnan(blind["low"]) and np.isnan(blind["p"]) and "by construction" in blind["note"]


def test_steered_counts_failures_and_choices_that_nobody_shares():
    world = simulated.world(DESIGN, seed=3)
    predictions = oracle(world)
    first = predictions.index[predictions["prompt_id"] == predictions["prompt_id"].iloc[0]]
    alone = predictions.drop(first[1:])
    alone.loc[alone.index[1:4], "p_first"] = np.nan
    found = pluralism.steered(alone, world, 0).iloc[0]
    assert (found["alone"], found["failed"], found["n"]) == (1, 3, len(alone) - 4)


def test_intervals_of_steered_hold_what_the_truth_expects():
    held, times = 0, 12
    for seed in range(times):
        world = simulated.world(DESIGN, seed)
        predictions = oracle(world)
        certain = predictions.assign(p=(predictions["p_first"] > 0.5).astype(float), t=predictions["p_first"])
        shown = certain.merge(world.choices[["choice_id", "first", "second"]], on="choice_id")
        turned = shown["first"] > shown["second"]
        shown[["p", "t"]] = shown[["p", "t"]].mask(turned, 1 - shown[["p", "t"]])
        by = shown.groupby("prompt_id")
        n = by["p"].transform("size")
        gaps = shown[["p", "t"]] - by[["p", "t"]].transform("mean")
        truth = (2 * n / (n - 1) * gaps["p"] * gaps["t"]).mean()
        found = pluralism.steered(predictions, world, 0).iloc[0]
        held += found["low"] <= truth <= found["high"]
    assert held >= 0.85 * times


def chosen_world(n=4, answers=3):
    """A world of one prompt whose people choose as told, and predictions for them."""
    index = pd.Index([f"p{i}" for i in range(n)], name="persona_id")
    ids = [f"c{i}" for i in range(answers)]
    people = pd.DataFrame({"persona_split": "test"}, index)
    prompts = pd.DataFrame({"prompt_id": ["q"], "prompt": ["Why?"], "prompt_split": ["heldout"]})
    candidates = pd.DataFrame({"candidate_id": ids, "prompt_id": "q", "text": ["low", "middle", "high"][:answers]})
    return people, prompts, candidates


def pairs(*rows):
    """Predictions and their choices: rows of person, first, second, predicted, chosen."""
    table = pd.DataFrame(rows, columns=["persona_id", "first", "second", "p_first", "chosen"])
    table = table.assign(prompt_id="q", choice_id=[f"choice {i}" for i in range(len(rows))], method="m", k=0, draw=0)
    failure = table["p_first"].isna().map({True: "no prediction", False: None})
    people, prompts, candidates = chosen_world()
    choices = table[["choice_id", "persona_id", "prompt_id", "first", "second"]].assign(p_first=table["chosen"])
    world = methods.World("w", "", people, prompts, candidates, choices)
    return table.drop(columns=["first", "second"]).assign(failure=failure), world


def test_options_are_the_shares_of_bradley_terry_from_any_pairs_that_connect_the_answers():
    strengths = np.array([0.0, 1.0, 2.5])
    truth = np.exp(strengths) / np.exp(strengths).sum()
    two = [("p0", f"c{a}", f"c{b}", expit(strengths[a] - strengths[b]), 0.0) for a, b in ((0, 1), (2, 1))]
    predictions, world = pairs(*two, ("p1", "c0", "c1", 0.5, 1.0))
    found = pluralism.options(predictions, world, 0).set_index(["persona_id", "candidate_id"]).sort_index()
    assert found.loc["p0", "said"].to_numpy() == pytest.approx(truth)
    assert found.loc["p0", "real"].tolist() == [0, 1, 0]  # preferred to each other answer
    assert (found.loc["p0", "compared"] == 3).all() and (found.loc["p1", "compared"] == 2).all()
    assert found.loc["p1", "said"].tolist() == [0.5, 0.5] and found["failure"].isna().all()


def test_ties_share_a_favorite_and_what_is_missing_says_why():
    circle = [("p0", "c0", "c1", 0.9, 1.0), ("p0", "c1", "c2", 0.9, 1.0), ("p0", "c2", "c0", 0.9, 1.0)]
    predictions, world = pairs(*circle, ("p1", "c0", "c1", np.nan, 1.0), ("p1", "c2", "c1", 0.6, 0.0))
    found = pluralism.options(predictions, world, 0).set_index(["persona_id", "candidate_id"])
    assert found.loc["p0", "real"].to_numpy() == pytest.approx(1 / 3) and found.loc["p0", "said"].sum() == 1
    assert found.loc["p1", "said"].isna().all() and set(found.loc["p1", "failure"]) == {"no prediction"}
    items = pluralism.shown(found.reset_index(), 1).set_index("persona_id")
    assert items.loc["p0", "covered"] == pytest.approx(1 / 3) and np.isnan(items.loc["p1", "covered"])


def star(person, said, favorite):
    """A favorite against each other answer, with Bradley-Terry's predictions for these shares."""
    others = [c for c in range(3) if c != favorite]
    return [(person, f"c{favorite}", f"c{c}", said[favorite] / (said[favorite] + said[c]), 1.0) for c in others]


def test_shown_is_the_share_of_people_whose_favorite_is_among_the_m_that_most_are_predicted_to_choose():
    said = {"p0": (0.6, 0.3, 0.1), "p1": (0.6, 0.3, 0.1), "p2": (0.2, 0.1, 0.7), "p3": (0.2, 0.1, 0.7)}
    favorite = {"p0": 0, "p1": 1, "p2": 2, "p3": 1}
    predictions, world = pairs(*(row for p in said for row in star(p, said[p], favorite[p])))
    table = pluralism.options(predictions, world, 0)

    def covered(m, each=False):
        items = pluralism.shown(table, m, each)
        return pluralism.coverage(items)["coverage"].item(), items["best"].mean(), items["by_chance"].mean()

    # On average 0.4, 0.2 and 0.4 are predicted to choose each: the first and the last share a set of one.
    assert covered(1) == pytest.approx((0.25, 0.5, 1 / 3))
    assert covered(2) == pytest.approx((0.5, 0.75, 2 / 3))
    assert covered(3) == pytest.approx((1, 1, 1))
    assert covered(1, each=True)[0] == pytest.approx(0.5)
    assert covered(2, each=True)[0] == pytest.approx(0.75)


def test_a_k_that_was_not_tried_is_named():
    predictions, world = pairs(*star("p1", (0.6, 0.3, 0.1), 0))
    with pytest.raises(UserError, match="no prediction at k = 4: take one of 0"):
        pluralism.table(predictions, world, 4)


def test_a_favorite_of_some_answers_is_none_of_all():
    predictions, world = pairs(("p0", "c0", "c1", 0.9, 1.0), *star("p1", (0.6, 0.3, 0.1), 0))
    items = pluralism.shown(pluralism.options(predictions, world, 0), 1).set_index("persona_id")
    assert np.isnan(items.loc["p0", "covered"]) and items.loc["p1", "covered"] == 1


def test_distances_by_hand_and_in_the_order_of_ordinal_answers():
    said = dict.fromkeys(["p0", "p1"], (0.5, 0.3, 0.2))
    predictions, world = pairs(*(row for p, c in zip(said, (0, 1), strict=True) for row in star(p, said[p], c)))
    order = ("low", "middle", "high")
    found = pluralism.distances(pluralism.options(predictions, world, 0), world, order).iloc[0]
    assert (found["people"], found["failed"]) == (2, 0)
    assert found["distance"] == pytest.approx(0.2) and found["uniform"] == pytest.approx(1 / 3)
    assert found["ordinal"] == pytest.approx((0 + 0.2) / 2)
    # Two people who choose by 0.5, 0.3, 0.2, over all nine cases.
    p = np.array(said["p0"])
    cases = [p[a] * p[b] * np.abs((np.eye(3)[a] + np.eye(3)[b]) / 2 - p).sum() / 2 for a in range(3) for b in range(3)]
    assert found["chance"] == pytest.approx(sum(cases), abs=0.03)
    with pytest.raises(UserError, match="the order of answers lacks 'high'"):
        pluralism.distances(pluralism.options(predictions, world, 0), world, order[:2])


@pytest.mark.parametrize("said", ["uniform", "own", "nobody"])
def test_the_score_is_100_for_the_peoples_own_distribution_and_0_for_equal_probabilities(said):
    world = simulated.world(DESIGN, seed=5)
    predictions = oracle(world)
    p = {"uniform": 0.5, "own": predictions["chosen"], "nobody": 1 - predictions["chosen"]}[said]
    table = pluralism.options(predictions.assign(p_first=p), world, 0)
    if said == "own":
        table["said"] = table["real"]
    found = pluralism.distributional(pluralism.distances(table, world)).iloc[0]
    if said == "nobody":
        assert found["score"] < -50
    else:
        assert found["score"] == pytest.approx({"uniform": 0, "own": 100}[said])


def test_true_probabilities_stay_within_chance_and_wrong_ones_do_not():
    within = 0
    for seed in range(8):
        world = simulated.world(DESIGN, seed)
        predictions = oracle(world)
        sure = predictions.assign(p_first=(predictions["p_first"] > 0.5) * 0.98 + 0.01, method="sure")
        both = pluralism.options(pd.concat([predictions, sure], ignore_index=True), world, 0)
        found = pluralism.distributional(pluralism.distances(both, world, seed=seed)).set_index("method")
        within += found.loc["oracle", "distance"] <= found.loc["oracle", "chance_high"]
        assert found.loc["sure", "distance"] > found.loc["sure", "chance_high"]
    assert within >= 6


def test_survey_respondents_one_table_says_all_three():
    world = surveyed.world("anes", 200)
    embed = methods.embedder(world)
    kinds = [methods.linear.Pooled, methods.groups.Attributes]
    predictions = methods.trial(world, [kind(embed) for kind in kinds], Setting(ks=(0,), cell="unseen_seen"))
    found = pluralism.table(predictions, world, 0).set_index("method")
    vote = world.choices[world.choices["choice_id"].isin(predictions["choice_id"])]
    given = vote["first"].where(vote["p_first"] > 0.5, vote["second"])
    assert found.loc["pooled", "best"] == pytest.approx(given.value_counts(normalize=True).max())
    assert found.loc["pooled", "steerability"] == pytest.approx(0, abs=1e-12)
    assert found.loc["logit on attributes", "steerability"] > 0.2
    assert found["distance"].between(0, 0.3).all() and found["ordinal"].isna().all()


def test_the_same_seed_gives_the_same_and_another_one_other_draws():
    world = simulated.world(DESIGN, seed=5)
    table = pluralism.options(oracle(world), world, 0)
    one, same, other = (pluralism.distances(table, world, seed=seed)["chance"] for seed in (0, 0, 1))
    assert one.equals(same) and not one.equals(other)
