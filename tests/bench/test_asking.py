"""Edit and ask: the same question for a person and for the same person changed; the rows and the widget."""

import json

import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import UserError, bench, personas, runs, stats
from persona_lib.bench import asking
from persona_lib.model import Model
from persona_lib.personas import browser, editing

QUESTION = "What should I cook <b>tonight</b>?"


def reply(body: dict) -> dict:
    """A stand-in for a model: cooks by religion, and as a judge keeps what is kosher."""
    said = str(body["messages"])
    if "verdict" in str(body["response_format"]):
        verdict = "keep" if "kosher" in said else "revise"
        return completion(json.dumps({"critique": f"It is a {verdict}.", "grade": 4, "verdict": verdict}))
    return completion(
        json.dumps({"answer": "A kosher <i>stew</i>, I think." if "Jewish" in said else "A stew, I think."})
    )


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return personas.sample(40, seed=4)


@pytest.fixture
def model(tmp_path):
    with Endpoint(reply) as endpoint:
        yield Model("m", endpoint.url)


@pytest.fixture
def person(people) -> pd.Series:
    return people[(people["age"] >= 30) & (people["religion"] != "Jewish")].iloc[0]


def test_both_are_asked_as_the_bench_asks_and_rows_are_read_as_those_of_the_bench(person, model, tmp_path):
    changed = editing.edited(person, {"religion": "jewish"})
    table = asking.ask_both(person, changed, QUESTION, model)
    assert table["answer"].tolist() == ["A stew, I think.", "A kosher <i>stew</i>, I think."]
    assert table["edited"].tolist()[1] == f"religion: {person['religion']} -> Jewish" and pd.isna(table["edited"][0])
    calls = model.usage["calls"]
    people = pd.DataFrame([person, changed]).rename_axis("persona_id")
    prompts = pd.DataFrame({"prompt_id": ["q"], "prompt": [QUESTION], "topic": "x"})
    of_bench = bench.answered(bench.items(people, prompts, 2, seed=0), [model], ["direct"])
    assert set(of_bench["answer_key"]) == set(table["answer_key"]) and model.usage["calls"] == calls == 2

    for path in (tmp_path / "new" / "asked.parquet", tmp_path / "asked.csv"):
        assert bench.keep(table, path) == 2
        judged = bench.judged(table, model)
        assert judged["verdict"].tolist() == ["revise", "keep"]
        assert bench.keep(judged, path) == 2 and bench.keep(table, path) == 2  # a verdict is not lost
        read = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        rates = stats.rates(read, by="condition")
        assert rates.loc["direct", "n"] == 2 and rates.loc["direct", "rate"] == 0.5
        assert runs.items(read, people).children[1].value == "2 of 2 items"


def test_a_failed_answer_is_a_row_with_its_reason_and_a_missing_question_an_error(person, tmp_path):
    changed = editing.edited(person, {"religion": None})
    with Endpoint(lambda body: completion("", refusal="no")) as endpoint:
        table = bench.judged(
            asking.ask_both(person, changed, "Why?", Model("m", endpoint.url)), Model("m", endpoint.url)
        )
    assert table["failure"].tolist() == ["answer: refusal: no"] * 2
    with pytest.raises(UserError, match="no question"):
        asking.ask_both(person, changed, " ", Model("m", "http://127.0.0.1:9/v1"))
    with pytest.raises(UserError, match="nobody below 18 is asked"):
        asking.ask_both(person, editing.edited(person, {"age": 17}), "Why?", Model("m", "http://127.0.0.1:9/v1"))
    with pytest.raises(UserError, match="must end in"):
        bench.keep(table, tmp_path / "asked.txt")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no table of answers"):
        bench.keep(table, tmp_path / "other.csv")


def test_words_that_the_other_answer_lacks_are_marked_and_markup_is_text():
    first, second = asking.marked("Cook a stew now", "Cook <b>two</b> stews now")
    assert first == "Cook <mark>a stew</mark> now"
    assert second == "Cook <mark>&lt;b&gt;two&lt;/b&gt; stews</mark> now"
    assert asking.marked("", "new") == ("", "<mark>new</mark>")


def test_the_widget_follows_the_browser_changes_asks_judges_and_keeps(people, model, tmp_path):
    seen = browser.browser(people)
    widget = bench.asker(seen, [model])
    assert widget.judge.disabled and widget.keep.disabled
    widget.ask.click()
    assert "nothing is changed" in widget.said.value and model.usage["calls"] == 0
    seen.query.value = "age >= 30 and religion != 'Jewish'"
    widget.attribute.value, widget.value.value = "religion", "Jewsh"
    widget.change.click()
    assert widget.said.value == "religion can't be 'Jewsh': choose a label such as Jewish"
    widget.value.value = "Jewish"
    widget.ask.click()
    assert "no question" in widget.said.value and "religion Jewish" in widget.who.value
    widget.question.value = QUESTION
    widget.ask.click()
    assert "<mark>kosher &lt;i&gt;stew&lt;/i&gt;,</mark>" in widget.answers.value and widget.said.value == ""
    widget.judge.click()
    widget.judge.click()  # once more: the same
    assert widget.table["verdict"].tolist() == ["revise", "keep"] and "Critic: keep" in widget.answers.value
    widget.path.value = str(tmp_path / "asked.parquet")
    widget.keep.click()
    assert widget.said.value.endswith("has 2 rows") and len(pd.read_parquet(tmp_path / "asked.parquet")) == 2
    widget.attribute.value, widget.value.value = "age", "3"
    widget.change.click()
    assert "Unlikely" in widget.who.value
    seen.query.value = "age < 0"
    assert "nobody" in widget.who.value and widget.change.disabled and widget.answers.value == ""
    widget.attribute.value = "ancestry"  # with nobody, too
