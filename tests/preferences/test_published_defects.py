"""Defects found in the published package, persona-bench 0.1.2.1: this package has none of them.

Each has a test, below or in another file (ELSEWHERE). benchmarks/persona_bench.py measures the two side by side.
"""

import inspect
import json
import re
import subprocess
import sys
from collections import Counter

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from endpoint import Endpoint, completion
from places import ROOT

from persona_lib import bench, plots, stats
from persona_lib.bench import leave_one_out
from persona_lib.model import Model
from persona_lib.preferences import ingredients

ELSEWHERE = {
    "samples of an item see each other's text": (
        "test_conditions::test_samples_are_independent_requests_and_take_a_temperature"
    ),
    "pass@k is biased": "test_passk::test_pass_at_k_is_the_mean_over_all_choices_of_k_samples",
    "k > n gives a number": "test_passk::test_what_is_not_estimable_is_refused_with_the_reason",
    "pass@k does not run on inspect as it is now": (
        "test_inspect_tasks::test_a_log_of_pass_at_k_has_every_sample_and_inspects_curve_is_ours"
    ),
    "leave-one-out hides the attribute from the judge, too": (
        "test_leave_one_out::test_hiding_an_attribute_from_the_writer_shows_in_the_score_of_the_same_items"
    ),
    "the baseline asks to personalize": "test_templates::test_the_baseline_knows_no_persona_and_asks_for_none",
    "an import takes a key": "test_model::test_a_missing_key_is_said_before_anything_is_sent",
    "persona and prompt are confounded": (
        "test_conditions::test_every_persona_and_every_prompt_is_used_evenly_and_no_pair_twice"
    ),
    "the seed changes nothing": "test_conditions::test_the_same_seed_draws_the_same_items_and_another_seed_others",
    "no intervals by clusters": "test_intervals::test_items_of_one_persona_that_always_agree_count_once",
    "a judge is asked in one order": (
        "test_verdicts::test_both_orders_are_asked_and_a_pull_towards_the_first_place_cancels"
    ),
    "a judge is asked once": "test_audits::test_a_judge_is_asked_again_at_a_temperature_and_a_changed_mind_shows",
    "length is not controlled": (
        "test_contrasts::test_a_win_rate_bought_with_length_is_taken_back_and_a_fair_one_is_left"
    ),
    "no human labels": "test_calibration::test_the_corrected_rate_takes_a_judges_errors_out",
    "failures become None": (
        "test_conditions::test_an_answer_or_a_verdict_that_fails_is_an_unscored_row_with_its_reason"
    ),
    "comparison only behind an API": (
        "test_comparison::test_a_model_that_knows_is_always_right_and_one_that_sees_only_the_place_makes_no_choice"
    ),
    "four calls an item": (
        "test_conditions::test_every_item_is_answered_and_judged_under_every_condition_with_two_calls"
    ),
    "a second run repeats all calls": "test_model::test_replies_come_in_order_and_the_second_time_from_the_store",
    "a killed run is lost": (
        "test_resume::test_after_a_kill_no_completed_request_is_sent_again_and_at_most_those_in_flight_are"
    ),
}


@pytest.mark.parametrize("defect", ELSEWHERE)
def test_what_is_tested_elsewhere_is_there(defect):
    module, name = ELSEWHERE[defect].split("::")
    (path,) = (ROOT / "tests").rglob(f"{module}.py")
    assert f"def {name}(" in path.read_text(), f"no test covers: {defect}"


PEOPLE = pd.DataFrame({"age": range(20, 26)}, index=pd.Index([f"p{i}" for i in range(6)], name="persona_id"))
QUESTIONS = pd.DataFrame(
    {"prompt_id": [f"q{i}" for i in range(9)], "prompt": [f"Why {i}?" for i in range(9)], "topic": "x"}
)


def fields(body: dict) -> list[str]:
    return list(body["response_format"]["json_schema"]["schema"]["properties"])


def good(body: dict, **more: str) -> dict:
    """A reply that fills every field asked for with a text of its own."""
    about, texts = body["messages"][-1]["content"][:9], {"grade": 4, "verdict": "keep"} | more
    return completion(json.dumps({f: texts.get(f, f"{f} for {about}") for f in fields(body)}))


def run(answer, n: int = 12, conditions=("direct",), **more) -> tuple[pd.DataFrame, list[dict], Model]:
    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        drawn = bench.items(PEOPLE, QUESTIONS, n, seed=0)
        return bench.conditioning(drawn, [model], model, conditions, **more), endpoint.requests, model


def test_each_of_several_samples_is_judged_by_its_own_text_beside_the_question():
    count = iter(range(1000))
    table, requests, _ = run(lambda body: good(body, answer=f"candidate {next(count)}."), 3, samples=4, temperature=0.8)
    judged = [body["messages"][1]["content"] for body in requests if "verdict" in fields(body)]
    assert table["answer"].nunique() == 12 == len(judged)
    for row in table.itertuples():
        (own,) = [text for text in judged if row.answer in text]
        assert len(re.findall(r"candidate \d+\.", own)) == 1 and f"<question>\n{row.prompt}\n" in own


def test_every_request_has_a_temperature_and_a_judges_is_0():
    _, requests, _ = run(good, samples=2, temperature=0.8)
    assert {("verdict" in fields(body), body["temperature"]) for body in requests} == {(False, 0.8), (True, 0)}


def test_the_form_of_the_reply_is_asked_for_and_reasoning_comes_before_the_answer():
    _, requests, _ = run(good, conditions=("chain_of_thought", "summary"))
    assert {tuple(fields(body)) for body in requests} == {
        ("reasoning", "answer"),
        ("summary", "answer"),
        ("critique", "grade", "verdict"),
    }
    for body in requests:
        assert all(f'"{field}"' in str(body["messages"]) for field in fields(body)), "the text names each field"
        assert body["response_format"]["json_schema"]["strict"]


def test_what_is_judged_is_the_writers_text_word_for_word_and_no_other_model_is_asked():
    said = 'An answer with "quotes", {braces},\n\n{prompt}\nand ümlauts.'
    table, requests, _ = run(lambda body: good(body, answer=said))
    assert set(table["answer"]) == {said} and {body["model"] for body in requests} == {"m"}
    judged = [body for body in requests if "verdict" in fields(body)]
    assert len(judged) == 12 and all(f"<answer>\n{said}\n</answer>" in b["messages"][1]["content"] for b in judged)


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ('{"critique": "it is good", "grade": 4, "verd', "length", "critic: cut off"),
        ('{"critique": "it is good", "grade": 4, "verdict": "keep"}', "length", "critic: cut off"),
        ('{"critique": "it is good", "grade": 4}', "stop", "critic: invalid reply: verdict"),
        ('{"critique": "it is good", "grade": 4, "verdict": null}', "stop", "critic: invalid reply: verdict"),
        ('{"critique": "it is good", "grade": 4, "verdict": "no revision"}', "stop", "critic: invalid reply: verdict"),
    ],
)
def test_a_verdict_that_is_cut_off_or_unreadable_is_not_filled_in(text, finish, reason):
    table, _, _ = run(lambda body: completion(text, finish) if "verdict" in fields(body) else good(body), 4)
    assert table["verdict"].isna().all() and table["score"].isna().all()
    assert table["failure"].str.startswith(reason).all()
    assert stats.rates(table, by="condition")[["n", "failed"]].values.tolist() == [[0, 4]]


def test_prompts_that_a_content_filter_refuses_are_rows_asked_once_and_the_run_goes_on():
    refused = {"error": {"message": "The response was filtered", "code": "content_filter"}}

    def filtered(body: dict):
        return (400, refused) if "Why 3?" in str(body) or "Why 5?" in str(body) else good(body)

    table, requests, _ = run(filtered, 27)
    hit = table["prompt"].isin(["Why 3?", "Why 5?"])
    assert len(table) == 27 and hit.sum() == 6
    assert (table["score"].notna() == ~hit).all() and table.loc[hit, "failure"].str.contains("was filtered").all()
    sent = Counter(json.dumps(body["messages"]) for body in requests)
    assert set(sent.values()) == {1}


def test_usage_counts_every_call_that_the_endpoint_saw():
    def again(body: dict) -> dict:  # the first reply of each answer is no JSON, so that it is asked for again
        return good(body) if "verdict" in fields(body) or len(body["messages"]) > 2 else completion("no JSON")

    _, requests, model = run(again)
    assert len(requests) == model.usage["calls"] in (12 * 3, 12 * 3 + 1), "one call more may say the schema in words"
    assert model.usage["tokens_in"] == 10 * len(requests) and model.usage["tokens_out"] == 3 * len(requests)


CHART = """
import pandas as pd
from persona_lib.bench import leave_one_out
names = ["age", "sex", "race", "religion", "income", "ideology", "ancestry"]
told = list(enumerate(["nothing", *names]))
rows = [(f"p{p}", "q", hidden, float((p + k) % (k + 2) > 0)) for k, hidden in told for p in range(9)]
print(leave_one_out.losses(pd.DataFrame(rows, columns=["persona_id", "prompt_id", "hidden", "score"]), names).to_csv())
"""


def test_left_out_attributes_have_their_own_scores_whatever_the_hash_seed():
    told = [
        subprocess.check_output([sys.executable, "-c", CHART], env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)})
        for seed in ("1", "2")
    ]
    assert told[0] == told[1] and b"ancestry" in told[0]


def test_the_chart_of_left_out_attributes_shows_each_at_its_own_loss():
    names = ["age", "sex", "race", "religion"]
    scores = {leave_one_out.NOTHING: 8, "age": 7, "sex": 2, "race": 8, "religion": 4}  # of 8 people
    rows = [(f"p{p}", "q", hidden, float(p < kept)) for hidden, kept in scores.items() for p in range(8)]
    table = pd.DataFrame(rows, columns=["persona_id", "prompt_id", "hidden", "score"])
    lost = leave_one_out.losses(table, names)
    assert dict(zip(lost["hidden"], lost["difference"], strict=True)) == {
        hidden: (scores[hidden] - 8) / 8 for hidden in names
    }
    ax = plots.bench.losses(lost, "what hiding does")
    (points,) = [line for line in ax.lines if line.get_markerfacecolor() == "white"]  # all; the filled ones lie on top
    labels = dict(zip(ax.get_yticks(), ax.get_yticklabels(), strict=True))
    shown = {labels[y].get_text().split("  (")[0]: x for x, y in points.get_xydata()}
    assert shown == {hidden: (scores[hidden] - 8) / 8 for hidden in names}
    plt.close(ax.figure)


def test_questions_are_put_to_adults_in_every_notebook_that_puts_some():
    checked = 0
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text())["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        # 00 shows children, too; `bench.asker` asks nobody below 18 (tests/bench/test_asking.py).
        if "ingredients" in code and "Model(" in code and path.stem != "00_explore":
            assert "min_age" not in code or re.search(r"^min_age = 18\b", code, re.MULTILINE), path.stem
            checked += 1
    assert checked >= 7
    for function in (ingredients.draw, ingredients.people):
        assert inspect.signature(function).parameters["min_age"].default == 18
