"""Role-play fidelity: everybody chooses between the same answers, kappas are of shared questions, failures are rows."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion
from sklearn.metrics import cohen_kappa_score

from persona_lib import UserError, fidelity
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
    with pytest.raises(UserError, match="two of the models m, m have one name"):
        fidelity.play(PEOPLE, PROMPTS, [Model("m", "http://127.0.0.1:9/v1"), Model("m", "http://127.0.0.1:8/v1")])
