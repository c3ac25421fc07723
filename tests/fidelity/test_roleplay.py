"""Role-play fidelity: everybody chooses between the same answers, kappas are of shared questions, failures are rows."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion
from sklearn.metrics import cohen_kappa_score

from persona_lib import UserError, annotation, fidelity
from persona_lib.annotation import items
from persona_lib.model import Model

PEOPLE = pd.DataFrame({"age": [20, 35, 50, 65]}, index=pd.Index([f"p{i}" for i in range(4)], name="persona_id"))
PROMPTS = pd.DataFrame(
    {"prompt_id": [f"q{i}" for i in range(9)], "prompt": [f"Why {i}?" for i in range(9)], "topic": "x"}
)


def answer(body: dict) -> dict:
    """Writes; and as a judge chooses the revision where the age and the question's number fit, by the model's taste."""
    said = str(body["messages"])
    if "response_format" in body:
        (field,) = body["response_format"]["json_schema"]["schema"]["properties"]
        return completion(json.dumps({field: {"answer": "base", "critique": "c", "revision": "revised"}[field]}))
    age, question = int(re.search(r"age: (\d+)", said)[1]), int(re.search(r"Why (\d)\?", said)[1])
    likes = (age // 15 * question + (7 if body["model"] == "n" else 0)) % 3 > 0
    first = "<answer A>\\nrevised" in said
    p = 0.8 if likes == first else 0.2
    reply = completion("A")
    likely = [{"token": "A", "logprob": math.log(p)}, {"token": "B", "logprob": math.log(1 - p)}]
    reply["choices"][0]["logprobs"] = {"content": [{"top_logprobs": likely}]}
    return reply


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, Endpoint(answer, models=("m", "n")) as endpoint:
        patch.setenv("PERSONA_STORE", str(tmp_path_factory.mktemp("played") / "store.sqlite"))
        models = [Model(name, endpoint.url) for name in "mn"]
        pairs = fidelity.shared_pairs(PEOPLE, PROMPTS, models[0])
        return pairs, fidelity.play(PEOPLE, pairs, models)


def test_everybody_chooses_between_the_same_two_answers(played):
    pairs, table = played
    assert len(pairs) == 9 and pairs["failure"].isna().all()
    assert pairs["revised_for"].value_counts().max() - pairs["revised_for"].value_counts().min() <= 1
    assert len(table) == 2 * 4 * 9 and table["failure"].isna().all()
    assert not table.duplicated(["judge", "persona_id", "prompt_id"]).any()


def test_kappas_between_people_are_those_of_scikit_learn(played):
    _, table = played
    kappas = fidelity.between_people(table, "m")
    choices = table.query("judge == 'm'").pivot(index="persona_id", columns="prompt_id", values="choice")
    undefined = choices.nunique(axis=1) == 1  # who always chooses alike
    for a in PEOPLE.index[~undefined]:
        for b in PEOPLE.index:
            assert kappas.loc[a, b] == pytest.approx(cohen_kappa_score(choices.loc[a], choices.loc[b]))
    for a in PEOPLE.index[undefined]:
        assert np.isnan(kappas.loc[a, a])


def test_judges_are_compared_person_by_person_and_overall(played):
    _, table = played
    each = fidelity.between_judges(table, "m", "n")
    assert list(each.index) == list(PEOPLE.index) and (each["n"] == 9).all() and (each["failed"] == 0).all()
    overall = fidelity.judges_overall(table).loc[("m", "n")]
    assert overall.loc["raw agreement", "estimate"] == pytest.approx(each["raw"].mean())
    assert overall.loc["raw agreement", "n"] == 36


def test_a_pair_that_failed_has_its_rows_and_counts_as_failed(played):
    pairs, _ = played
    broken = pairs.assign(failure=["revision: refusal: no", *[None] * 8]).astype({"failure": "str"})
    with Endpoint(answer) as endpoint:
        table = fidelity.play(PEOPLE, broken, [Model("m", endpoint.url)])
    assert len(table) == 36 and len(endpoint.requests) == 4 * 8 * 2
    assert table.query("prompt_id == 'q0'")["failure"].eq("revision: refusal: no").all()
    human = table.assign(judge="people", choice="chosen")
    assert (fidelity.between_judges(pd.concat([table, human]), "m", "people")["failed"] == 1).all()


def test_two_models_of_one_name_are_refused():
    with pytest.raises(UserError, match="two models are named m"):
        fidelity.play(PEOPLE, PROMPTS, [Model("m", "http://127.0.0.1:9/v1"), Model("m", "http://127.0.0.1:8/v1")])


def test_a_profile_in_another_form_is_another_judge_who_chooses_on_the_same_items(played):
    pairs, table = played

    def prose(body: dict) -> dict:
        return answer(json.loads(re.sub(r"They are (\d+)", r"age: \1", json.dumps(body))))

    with Endpoint(prose) as endpoint:
        other = fidelity.play(PEOPLE, pairs, [Model("m", endpoint.url)], form="prose")
        assert "This is about one person" in str(endpoint.requests[0])
    assert set(other["judge"]) == {"m, prose"} and len(other) == 36
    each = fidelity.between_judges(pd.concat([table, other]), "m", "m, prose")
    assert (each["n"] == 9).all()


def test_two_answers_that_are_the_same_text_are_no_choice(played):
    pairs, _ = played
    same = pairs.assign(chosen=pairs["rejected"])
    table = fidelity.play(PEOPLE, same, [Model("m", "http://127.0.0.1:9/v1")])  # nobody is asked
    assert len(table) == 36 and table["failure"].eq("both answers are the same text").all()
    summed = fidelity.spread(table).loc["m"]
    assert summed["pairs"] == summed["undefined"] == 6 and np.isnan(summed["mean"])
    assert fidelity.judges_overall(table).empty
    assert fidelity.repeatability(table).loc[("m", "raw agreement"), "failed"] == 36
    assert fidelity.between_people(table, "m").isna().all(axis=None)


def test_kappas_of_a_person_have_the_intervals_of_their_questions(played):
    _, table = played
    each = fidelity.between_judges(table, "m", "n").dropna(subset="low")
    assert len(each) and (each["low"] <= each["kappa"]).all() and (each["kappa"] <= each["high"]).all()
    assert (each["high"] - each["low"] > 0.2).all(), "nine questions are few"
    assert fidelity.between_judges(table, "m", "nobody")[["kappa", "low"]].isna().all(axis=None)


def test_the_interval_of_the_mean_kappa_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    held, truth = [], []
    for _ in range(200):
        base = rng.random((1, 40)) < 0.5
        choices = np.where(rng.random((12, 40)) < 0.8, base, ~base)
        rows = [[f"p{i}", f"q{j}", "m", str(c)] for i, row in enumerate(choices) for j, c in enumerate(row)]
        table = pd.DataFrame(rows, columns=["persona_id", "prompt_id", "judge", "choice"])
        summed = fidelity.spread(table).loc["m"]
        truth.append(summed["mean"])
        held.append(summed)
    inside = [row["low"] < np.mean(truth) < row["high"] for row in held]
    assert 0.88 < np.mean(inside) <= 1
    assert np.mean(truth) == pytest.approx(2 * (0.8**2 + 0.2**2) - 1, abs=0.02)


def test_two_people_have_a_mean_but_no_interval(played):
    _, table = played
    two = table[table["persona_id"].isin(["p1", "p2"])]
    summed = fidelity.spread(two)
    assert (summed["pairs"] == 1).all() and summed["low"].isna().all()
    one = fidelity.spread(table[table["persona_id"] == "p1"])
    assert (one["pairs"] == 0).all() and one["mean"].isna().all()


def test_repeatability_is_the_agreement_of_the_two_orders(played):
    _, table = played
    steady = fidelity.repeatability(table).loc[("m", "raw agreement")]
    assert steady["estimate"] == 1 and steady["n"] == 36 and not table["flip"].any()
    place = table.assign(p_first=0.9, p_second=0.1)
    assert fidelity.repeatability(place).loc[("m", "raw agreement"), "estimate"] == 0


def test_an_order_that_ties_is_no_choice_to_repeat(played):
    _, table = played
    own = table[table["judge"] == "m"].assign(p_first=[0.9] * 20 + [0.5] * 16, p_second=0.1)
    raw = fidelity.repeatability(own).loc[("m", "raw agreement")]
    assert raw["estimate"] == 0 and raw["n"] == 20 and raw["failed"] == 16
    nothing = fidelity.repeatability(table.head(0))
    assert nothing.empty and list(nothing.columns) == list(fidelity.repeatability(table).columns)
    assert list(nothing.index.names) == ["judge", "coefficient"]


def test_synthetic_raters_agree_as_often_as_told_and_pass_through_the_human_study(played):
    _, table = played
    many = pd.DataFrame({"persona_id": np.repeat([f"p{i}" for i in range(100)], 10)}).assign(
        prompt_id=[f"q{i}" for i in range(10)] * 100
    )
    votes = fidelity.synthetic_votes(many, 4, 0.8)
    assert len(votes) == 4000 and votes.equals(fidelity.synthetic_votes(many.sample(frac=1, random_state=0), 4, 0.8))
    raw = annotation.reliability(votes).loc[("all", "raw agreement"), "estimate"]
    assert raw == pytest.approx(0.8**2 + 0.2**2, abs=0.03)
    crowd = annotation.as_judge(annotation.majority(fidelity.synthetic_votes(table)), fidelity.SYNTHETIC)
    both = fidelity.beside(table, crowd)
    assert (fidelity.between_judges(both, "m", fidelity.SYNTHETIC)["n"] == 9).all()


def test_ratings_of_other_items_are_refused_and_rated_items_can_be_put_to_models(played):
    pairs, table = played
    crowd = annotation.as_judge(annotation.majority(fidelity.synthetic_votes(table)))
    with pytest.raises(UserError, match="none of the 36 persona x question items that people rated"):
        fidelity.beside(table, crowd.assign(persona_id="somebody"))
    rated = items.of_pairs(pairs, PEOPLE)
    with Endpoint(answer) as endpoint:
        chosen = fidelity.choose(rated, [Model("m", endpoint.url)])
    first = table[table["judge"] == "m"]
    assert chosen["choice"].tolist() == first["choice"].tolist()


def test_a_choice_by_both_orders_is_repeated_though_each_order_pulls():
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 1, 400)
    parts = []
    for judge in ("m", "m, prose", "n"):
        felt = signal + rng.normal(0, 0.2, 400) if judge != "n" else rng.normal(0, 1, 400)
        first, second = (1 / (1 + np.exp(-(felt + pull))) for pull in (2, -2))
        choice = np.where(first + second > 1, "chosen", "rejected")
        ids = {
            "persona_id": np.repeat([f"p{i}" for i in range(20)], 20),
            "prompt_id": [f"q{i}" for i in range(20)] * 20,
        }
        parts.append(pd.DataFrame(ids | {"judge": judge, "choice": choice, "p_first": first, "p_second": second}))
    table = pd.concat(parts, ignore_index=True)
    orders = fidelity.repeatability(table).loc[("m", "raw agreement"), "estimate"]
    again = fidelity.retest(table)
    assert orders < 0.2 and again.loc[("m", "m, prose", "raw agreement"), "estimate"] > 0.85
    assert again.index.tolist() == [("m", "m, prose", "raw agreement"), ("m", "m, prose", "Cohen's kappa")]
    assert fidelity.retest(table[table["judge"] != "m, prose"]).empty and fidelity.retest(table.head(400)).empty
