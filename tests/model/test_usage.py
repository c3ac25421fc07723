"""What calls use and cost: counted by step, priced from a file that anyone may edit, added up."""

import pytest
from endpoint import Endpoint, completion

from persona_lib import UserError
from persona_lib.model import Model, catalogue
from persona_lib.model.limits.usage import Usage, cost_text, total

FORM = "{in: 2, out: 8, date: 2026-01-02, source: https://example.org/prices}"


def say(*texts: str) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": text}] for text in texts]


@pytest.fixture
def read(tmp_path):
    """The prices of a file with this text."""

    def read_text(text: str):
        (tmp_path / "p.yaml").write_text(text)
        return catalogue.read_prices(tmp_path / "p.yaml")

    catalogue._prices.cache_clear()
    yield read_text
    catalogue._prices.cache_clear()


def test_usage_is_told_by_step_with_retries_failures_cached_tokens_and_cost(monkeypatch):
    monkeypatch.setattr("persona_lib.model.transport.connection.wait", lambda error, tries: 0)
    faults = [(500, {"error": {"message": "down"}})]
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 800}}

    def answer(body: dict) -> object:
        if faults:
            return faults.pop()
        text = body["messages"][0]["content"]
        return completion("" if text == "mute" else text) | {"usage": usage}

    with Endpoint(answer, models=("gpt-4o",)) as endpoint:
        model = Model("gpt-4o", endpoint.url, max_in_flight=1)
        model.ask(say("a", "b", "a"), step="answers")
        model.ask(say("a", "mute"), step="verdicts")
        model.ask(say("c"), step="answers")
    each = (200 * 2.5 + 800 * 1.25 + 100 * 10) / 1e6
    counted = {"tokens_in": 1000, "tokens_out": 100, "tokens_cached": 800}
    assert model.steps == {
        "answers": {"calls": 3, "cached": 1, "retried": 1, "reasked": 0, "failed": 0, "cost": pytest.approx(3 * each)}
        | {name: 3 * n for name, n in counted.items()},
        "verdicts": {"calls": 1, "cached": 1, "retried": 0, "reasked": 0, "failed": 1, "cost": pytest.approx(each)}
        | counted,
    }
    assert model.usage == {
        name: pytest.approx(sum(step[name] for step in model.steps.values())) for name in model.usage
    }


def test_the_committed_prices_are_read_and_all_have_a_date_and_a_source():
    known = catalogue.read_prices()
    assert {"gpt-4.1", "gpt-4o"} <= set(known) and all(p.date and p.source for p in known.values())
    assert catalogue.price("no such model") is None


def test_a_price_without_date_or_source_is_left_out_and_said(read, capsys):
    known = read(f"good: {FORM}\nundated: {{in: 1, out: 1, source: x}}\nunsourced: {{in: 1, out: 1, date: 2026-01-02}}")
    assert list(known) == ["good"] and known["good"].cost(1_000_000, 500_000) == 6.0
    assert capsys.readouterr().err.strip().endswith("no date or no source, so left out: undated, unsourced")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m: {in: -1, out: 8, date: 2026-01-02, source: x}", "m: in: Input should be greater than or equal to 0"),
        ("m: {in: 1, date: 2026-01-02, source: x}", "m: out: Field required"),
        ("m: {in: 1, out: 1, discount: 1, date: 2026-01-02, source: x}", "m: discount: Extra inputs"),
        ("m: {in: 1, out: 1, date: soon, source: x}", "m: date: "),
        ("m: 3", "m: it: "),
        ("- m", "must have entries by model"),
        ("m: [", "can't be read as YAML"),
    ],
)
def test_a_malformed_price_is_named_in_one_line(read, text, said):
    with pytest.raises(UserError, match=r"p\.yaml") as caught:
        read(text)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_without_a_file_no_price_is_known(tmp_path):
    assert catalogue.read_prices(tmp_path / "none.yaml") == {}


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        (None, (0, 0, 0)),
        ({}, (0, 0, 0)),
        ({"prompt_tokens": "10", "completion_tokens": 3}, (0, 3, 0)),
        ({"prompt_tokens": 10, "completion_tokens": -3, "prompt_tokens_details": 5}, (10, 0, 0)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 20}}, (10, 0, 10)),
    ],
)
def test_a_call_whose_tokens_are_not_told_has_no_known_cost_but_where_it_is_free(told, tokens):
    reply = completion("x") | {"usage": told}
    priced, free = Usage(cost=1.0), Usage(cost=1.0)
    assert priced.count(reply, 0, catalogue.price("gpt-4o")) is None and priced.cost is None
    assert free.count(reply, 0, catalogue.FREE) == 0 and free.cost == 1.0
    assert (priced.tokens_in, priced.tokens_out, priced.tokens_cached) == tokens


def test_a_call_that_ends_in_an_error_leaves_the_cost_known():
    used = Usage(cost=1.0)
    assert used.count({"error": "refused"}, 0, catalogue.price("gpt-4o")) is None and used.cost == 1.0


def test_a_sum_has_a_cost_only_where_all_calls_have():
    known, unknown, free = Usage(calls=1, cost=0.5), Usage(calls=1, cost=None), Usage(cached=3, cost=None)
    assert total([known, known])["cost"] == 1.0 and total([known, free])["cost"] == 0.5
    assert total([known, unknown])["cost"] is None and total([])["cost"] == 0.0
    assert total([known, total([unknown])])["calls"] == 2


@pytest.mark.parametrize(
    ("cost", "text"),
    [(None, "no price known"), (0, "$0.00"), (0.004321, "$0.0043"), (0.01, "$0.01"), (12.3456, "$12.35")],
)
def test_a_cost_is_shown_with_the_digits_that_count(cost, text):
    assert cost_text(cost) == text
