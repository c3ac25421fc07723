"""Answers for two opposite people: who is opposite, who should choose what, and which players are found out."""

import itertools
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import UserError, fidelity
from persona_lib.model import Model
from persona_lib.preferences import negatives

SIDES = ["Extremely liberal", "Liberal", "Slightly liberal", "Slightly conservative", "Conservative"]
PEOPLE = pd.DataFrame(
    {"ideology": [*SIDES, "Extremely conservative"], "age": 40},
    index=pd.Index([f"p{i}" for i in range(6)], name="persona_id"),
)
PROMPTS = pd.DataFrame(
    {"prompt_id": [f"q{i}" for i in range(12)], "prompt": [f"Why {i}?" for i in range(12)], "topic": "x"}
)


def writes(body: dict) -> dict:
    """Write answers that show for which side they were revised."""
    said = str(body["messages"])
    (field,) = body["response_format"]["json_schema"]["schema"]["properties"]
    side = "RIGHT" if "onservative" in said else "LEFT"
    return completion(json.dumps({field: {"answer": "Base.", "critique": "c", "revision": f"For the {side}."}[field]}))


def player(kind: str):
    """A model that writes, and plays: true to the side of the person, always for one side, or by the place."""

    def answer(body: dict) -> dict:
        if "response_format" in body:
            return writes(body)
        said = str(body["messages"])
        wanted = "RIGHT" if kind == "true" and "onservative" in said.split("</persona>")[0] else "LEFT"
        first = re.search(r"<answer A>\\n(.*?)\\n", said)[1]
        p = 0.9 if kind == "place" or wanted in first else 0.1
        reply = completion("A")
        likely = [{"token": "A", "logprob": math.log(p)}, {"token": "B", "logprob": math.log(1 - p)}]
        reply["choices"][0]["logprobs"] = {"content": [{"top_logprobs": likely}]}
        return reply

    return answer


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, Endpoint(writes) as endpoint:
        patch.setenv("PERSONA_STORE", str(tmp_path_factory.mktemp("designs") / "store.sqlite"))
        model = Model("m", endpoint.url)
        base = fidelity.shared_pairs(PEOPLE, PROMPTS, model)
        before = len(endpoint.requests)
        pairs = fidelity.opposite_pairs(PEOPLE, PROMPTS, model)
        return base, pairs, len(endpoint.requests) - before


def played(pairs: pd.DataFrame, kind: str) -> pd.DataFrame:
    with Endpoint(player(kind)) as endpoint:
        return fidelity.play(PEOPLE, pairs, [Model("m", endpoint.url)])


def test_everybody_is_matched_with_somebody_well_apart_and_nobody_where_all_are_alike():
    found = fidelity.opposites(PEOPLE)
    assert found["opposite"].to_dict() == {"p0": "p3", "p1": "p4", "p2": "p5", "p3": "p0", "p4": "p1", "p5": "p2"}
    assert found["distance"].tolist() == pytest.approx([1 / 3] * 6), "of ideology and age, in the middle"
    odd = fidelity.opposites(PEOPLE.head(5))
    pairs = {frozenset(pair) for pair in odd["opposite"].items()}
    assert odd["opposite"].notna().all() and len(pairs) == 3
    for folks in (PEOPLE.assign(ideology="Liberal"), PEOPLE[[]], PEOPLE.head(1)):
        alone = fidelity.opposites(folks)
        assert len(alone) == len(folks) and alone.isna().all(axis=None)


def test_no_exchange_of_partners_would_bring_two_pairs_further_apart():
    rng = np.random.default_rng(0)
    folks = pd.DataFrame({"ideology": rng.choice(SIDES, 40), "age": rng.integers(18, 90, 40)})
    folks.index = pd.Index([f"p{i}" for i in range(40)], name="persona_id")
    found = fidelity.opposites(folks)
    assert (found["opposite"].map(found["opposite"]) == found.index).all()
    apart = pd.DataFrame(negatives.distances(negatives.positions(folks)), folks.index, folks.index)
    for a, b in itertools.combinations(folks.index, 2):
        c, d = found["opposite"][[a, b]]
        if b != c:
            root = np.sqrt(apart)
            assert root.loc[a, b] + root.loc[c, d] <= root.loc[a, c] + root.loc[b, d] + 1e-5


def test_equally_opposite_people_are_drawn_by_the_seed():
    folks = pd.DataFrame({"religion": ["Catholic", "Hindu", "Jewish", "Muslim"]}, index=list("abcd"))
    drawn, again = ([fidelity.opposites(folks, seed)["opposite"]["a"] for seed in range(20)] for _ in range(2))
    assert set(drawn) == set("bcd") and drawn == again


def test_both_answers_are_revisions_of_one_base_answer_for_two_opposite_people(written):
    base, pairs, calls = written
    assert list(base.columns) == list(pairs.columns)
    assert base["design"].eq(fidelity.BASE).all() and pairs["design"].eq(fidelity.OPPOSITES).all()
    assert pairs["failure"].isna().all() and base["opposite"].isna().all()
    assert pairs["revised_for"].tolist() == base["revised_for"].tolist() and pairs["chosen"].equals(base["chosen"])
    left = pairs["revised_for"].isin(["p0", "p1", "p2"])
    assert pairs["chosen"].tolist() == np.where(left, "For the LEFT.", "For the RIGHT.").tolist()
    assert pairs["rejected"].tolist() == np.where(left, "For the RIGHT.", "For the LEFT.").tolist()
    assert (pairs["distance"] > 0).all() and calls == 2 * len(PROMPTS), "what the other design wrote is not asked again"


def test_a_player_true_to_the_person_is_told_from_one_that_likes_one_side_or_one_place(written):
    base, pairs, _ = written
    found = {}
    for kind in ("true", "one side", "place"):
        rows = fidelity.true_to_person(played(pd.concat([base, pairs]), kind), pairs, PEOPLE)
        assert len(rows) == 6 * 12, "the other design has no expectation"
        assert rows.loc[rows["answer"] == fidelity.OWN].groupby("prompt_id").size().eq(2).all()
        found[kind] = fidelity.faithful(rows).loc["m"]
        assert found[kind].index.tolist() == [fidelity.OWN, fidelity.NEARER]
    assert found["true"]["rate"].tolist() == [1, 1] and found["true"]["low"].min() > 0.4
    own = found["one side"].loc[fidelity.OWN]
    assert own["rate"] == 0.5 and own["n"] == 24 and own["low"] < 0.5 < own["high"]
    assert (found["place"]["n"] == 0).all() and (found["place"]["failed"] > 0).all(), "a tie is no choice"


def test_people_as_near_to_one_as_to_the_other_have_no_expectation_and_are_counted(written):
    _, pairs, _ = written
    middle = pd.concat([PEOPLE, PEOPLE.head(1).assign(ideology="Moderate").rename(index={"p0": "middle"})])
    with Endpoint(player("true")) as endpoint:
        table = fidelity.play(middle, pairs, [Model("m", endpoint.url)])
    rows = fidelity.true_to_person(table, pairs, middle)
    between = pairs["revised_for"].isin(["p1", "p4"])  # liberal and conservative
    own = rows[(rows["persona_id"] == "middle") & rows["prompt_id"].isin(pairs.loc[between, "prompt_id"])]
    assert len(own) == between.sum() > 0 and own[["expected", "score"]].isna().all(axis=None)
    found = fidelity.faithful(rows).loc["m"]
    assert found.loc[fidelity.NEARER, "open"] >= len(own) and found.loc[fidelity.OWN, "open"] == 0


def test_without_an_opposite_a_pair_is_a_row_that_says_so_and_nothing_is_asked():
    with Endpoint(writes) as endpoint:
        pairs = fidelity.opposite_pairs(PEOPLE.assign(ideology="Liberal"), PROMPTS.head(2), Model("m", endpoint.url))
        assert len(endpoint.requests) == 2, "the base answers"
    assert pairs["failure"].str.startswith("opposite people: the two are not known to differ").all()
    table = fidelity.play(PEOPLE, pairs, [Model("m", "http://127.0.0.1:9/v1")])
    found = fidelity.faithful(fidelity.true_to_person(table, pairs, PEOPLE))
    assert len(table) == 12 and found.empty


def test_the_two_designs_are_kept_apart(written):
    base, pairs, _ = written
    table = played(pd.concat([base, pairs]), "true")
    assert table["design"].value_counts().to_dict() == {fidelity.BASE: 72, fidelity.OPPOSITES: 72}
    for function in (fidelity.spread, fidelity.judges_overall, lambda t: fidelity.between_people(t, "m")):
        with pytest.raises(UserError, match=r"several designs \(base answer, opposite people\): take one, or use"):
            function(table)
    both = fidelity.by_design(table, fidelity.spread)
    assert both.index.tolist() == [(fidelity.BASE, "m"), (fidelity.OPPOSITES, "m")]
    assert both.loc[(fidelity.BASE, "m")].equals(fidelity.spread(table[table["design"] == fidelity.BASE]).loc["m"])
    ceiling = fidelity.by_design(table, fidelity.repeatability)
    assert ceiling.index.names == ["design", "judge", "coefficient"] and (ceiling["n"] == 72).all()
