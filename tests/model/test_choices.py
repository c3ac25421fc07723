"""Choices as endpoints show them: at the first token, over what leads to an option, behind a thought, or by samples."""

import json
import math

import numpy as np
import pytest
from endpoint import Endpoint, completion, say

from persona_lib import UserError
from persona_lib.model import Model
from persona_lib.model.replies.choices import LEAD_TOKENS, SAMPLES, THOUGHT_TOKENS, chances, from_rows

AB = ("A", "B")
AT_A = {"A": 0.6, "B": 0.3}


def reply(*places: dict[str, float], content: str | None = None, finish: str = "stop", **message) -> dict:
    """A completion with the probabilities of the likeliest tokens at each place; the first of a place is taken."""
    told = []
    for likely in places:
        tokens = [{"token": token, "logprob": math.log(p)} for token, p in likely.items()]
        told.append({**tokens[0], "top_logprobs": tokens})
    text = "".join(next(iter(likely)) for likely in places) if content is None else content
    got = completion(text, finish, **message)
    got["choices"][0]["logprobs"] = {"content": told}
    return got


def cut(body: dict, *places: dict[str, float], think: int = 0, **message) -> dict:
    """What an endpoint sends that ends a reply at `max_tokens`; the first `think` tokens are in `reasoning_content`."""
    n = body["max_tokens"]
    kept = places[:n]
    texts = [next(iter(likely)) for likely in kept]
    finish = "length" if n <= len(places) else "stop"
    if think:
        message["reasoning_content"] = "".join(texts[:think])
    return reply(*kept, content="".join(texts[think:]) or None, finish=finish, **message)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([{"A": 0.6, "B": 0.3}], [0.6, 0.3]),
        ([{" A": 0.6, "\u2581B": 0.3}], [0.6, 0.3]),
        ([{"A.": 0.5, "(B": 0.3, "**A": 0.1}], [0.6, 0.3]),
        ([{"a": 0.7, "b": 0.2}], [0.7, 0.2]),
        ([{"\uff21": 0.7, "\u0120B": 0.2}], [0.7, 0.2]),
        ([{"\n": 1.0}, AT_A], [0.6, 0.3]),
        ([{"**": 0.8, "A": 0.1}, AT_A], [0.58, 0.24]),
        ([{"**": 0.5, "\n": 0.4, "A": 0.1}, AT_A], [0.64, 0.27]),
        ([{"Option": 1.0}, {" ": 0.5, " A": 0.2, " B": 0.1}, AT_A], [0.5, 0.25]),
        ([{"The": 0.9}, {" answer": 1.0}, {" is": 1.0}, {":": 1.0}, {" **": 1.0}, {"A": 0.9, "B": 0.1}], [0.81, 0.09]),
    ],
)
def test_an_option_is_found_however_its_token_is_written_and_whatever_leads_to_it(places, expected):
    seen = chances(reply(*places), AB)
    np.testing.assert_allclose(seen.mass, expected)
    assert seen.failure is None and not seen.low


def test_a_lower_case_letter_may_be_an_article_and_counts_only_where_the_options_have_too_little():
    assert chances(reply({"A": 0.5, "a": 0.3, "B": 0.1}), AB).mass == pytest.approx([0.5, 0.1])
    assert chances(reply({"A": 0.3, "a": 0.3, "B": 0.1}), AB).mass == pytest.approx([0.6, 0.1])


def sentence(text: str, option: float = 0.05) -> list[dict[str, float]]:
    """The places of a sentence's tokens, a word each, with a little probability of an option at the first one."""
    first, *others = text.split()
    return [{first: 0.9, "A": option}, *({f" {word}": 0.95, " b": 0.01} for word in others)]


@pytest.mark.parametrize(
    "text",
    ["I would choose a balanced answer", "The best answer is a mixed one", "My choice : a , b", "i prefer a dog"],
)
def test_an_article_in_a_sentence_is_no_option(text):
    seen = chances(reply(*sentence(text)), AB)
    assert seen.low and seen.mass == pytest.approx([0.05, 0])
    assert chances(reply(*sentence(text.replace(" a ", " A "))), AB).mass[0] > 0.5


@pytest.mark.parametrize("token", ["Neither", "<|im_end|>", "</s>", "Apple"])
def test_too_little_mass_is_no_choice_and_the_row_says_how_much(token):
    seen = chances(reply({token: 0.9, "A": 0.02, "B": 0.01}), AB)
    assert seen.low and seen.needs is None and seen.mass == pytest.approx([0.02, 0.01])
    assert seen.failure == "the options have 0.03 of the probability of the first token, below min_mass 0.5"
    got = from_rows([seen, chances(reply(AT_A), AB)], AB)
    assert np.isnan(got.probabilities[0]).all() and got.mass == pytest.approx([0.03, 0.9])
    assert got.samples.tolist() == [0, 0]
    assert chances(reply({token: 0.9, "A": 0.02, "B": 0.01}), AB, min_mass=0).failure is None


def test_a_refusal_by_a_content_filter_is_no_choice_and_is_not_sampled():
    seen = chances(reply({"I": 1.0}, finish="content_filter"), AB)
    assert seen.failure == "stopped by a content filter" and not seen.low


def test_options_that_differ_by_signs_alone_are_told_apart_by_what_is_written():
    assert chances(reply({"+": 0.6, "-": 0.3}), ("+", "-")).mass == pytest.approx([0.6, 0.3])
    assert chances(reply({" ": 0.9, "+": 0.1}), ("+", "-")).low


THOUGHT = ({"<think>": 1.0}, {"A": 0.9, "B": 0.1}, {"</think>": 1.0}, {"\n\n": 1.0}, {"B": 0.7, "A": 0.2})


@pytest.mark.parametrize("think", [0, 3])
@pytest.mark.parametrize("end", [(), ({"<|im_end|>": 1.0},)])
def test_behind_a_thought_the_answer_counts_not_what_the_thought_says(think, end):
    got = cut({"max_tokens": 100}, *THOUGHT, think=think)
    got["choices"][0]["logprobs"]["content"] += reply(*end)["choices"][0]["logprobs"]["content"]
    assert chances(got, AB).mass == pytest.approx([0.2, 0.7])


@pytest.mark.parametrize("think", [0, 3])
def test_an_endpoint_that_thinks_is_asked_for_more_tokens_once_and_then_at_once(think):
    with Endpoint(lambda body: cut(body, *THOUGHT, think=think)) as endpoint:
        model = Model("m", endpoint.url)
        got = model.choices(say(*map(str, range(200))))
        assert got.mass == pytest.approx([0.9] * 200) and got.probabilities[:, 1] == pytest.approx([7 / 9] * 200)
        assert [r["max_tokens"] for r in endpoint.requests] == [1] + [THOUGHT_TOKENS] * 200
        assert model.dialect == ["it thinks before a choice, which is read behind the thought"]
        np.testing.assert_array_equal(Model("m", endpoint.url).choose(say(*map(str, range(200)))), got.probabilities)
        assert len(endpoint.requests) == 201


def test_a_thought_is_read_within_the_most_tokens_that_an_endpoint_takes(capsys):
    def answer(body: dict):
        if body["max_tokens"] > THOUGHT_TOKENS // 2:
            return 400, {"error": {"message": f"max_tokens must be at most {THOUGHT_TOKENS // 2}"}}
        late = body["messages"][0]["content"] == "late"
        return cut(body, *(THOUGHT if late else [AT_A, {".": 1.0}]), think=3 if late else 0)

    with Endpoint(answer) as endpoint:
        got = Model("m", endpoint.url, max_in_flight=1).choices(say("plain", *["late"] * 3))
        assert got.mass == pytest.approx([0.9] * 4) and got.failures == [None] * 4
        tried = [r["max_tokens"] for r in endpoint.requests]
    assert tried == [1, 1, THOUGHT_TOKENS, THOUGHT_TOKENS // 2]
    assert "m: \n" not in capsys.readouterr().err


@pytest.mark.parametrize("lead", ["\n", "**", "Option", "("])
def test_what_leads_to_an_option_is_looked_past_for_all_items_after_one_call(lead):
    with Endpoint(lambda body: cut(body, {lead: 0.9, "The": 0.1}, AT_A, {".": 1.0})) as endpoint:
        model = Model("m", endpoint.url)
        got = model.choices(say(*map(str, range(200))))
        assert got.failures == [None] * 200 and got.mass.min() > 0.8
        assert [r["max_tokens"] for r in endpoint.requests] == [1] + [LEAD_TOKENS] * 200
        assert model.usage["failed"] == 0


def test_choices_that_were_made_before_an_endpoint_needed_more_tokens_are_not_asked_again():
    def answer(body: dict) -> dict:
        late = body["messages"][0]["content"] == "late"
        return cut(body, *([{"\n": 1.0}] if late else []), AT_A, {".": 1.0})

    with Endpoint(answer) as endpoint:
        first = Model("m", endpoint.url, max_in_flight=1).choose(say("a", "b", "late", "c"))
        assert [r["max_tokens"] for r in endpoint.requests] == [1, 1, 1, LEAD_TOKENS, LEAD_TOKENS]
        np.testing.assert_array_equal(Model("m", endpoint.url).choose(say("a", "b", "late", "c")), first)
        assert len(endpoint.requests) == 5


def test_where_no_token_shows_a_choice_it_is_the_share_of_samples():
    said = iter("ABBB" * 100)

    def answer(body: dict) -> dict:
        if "response_format" not in body:
            return reply({"Well": 0.99, "A": 0.01}, finish="length")
        assert body["temperature"] == 1
        return completion(json.dumps({"choice": next(said)}))

    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url, max_in_flight=1)
        got = model.choices(say("x", "y"))
        np.testing.assert_array_equal(got.probabilities, [[0.25, 0.75]] * 2)
        assert got.failures == [None, None] and got.samples.tolist() == [SAMPLES] * 2
        assert got.mass == pytest.approx([0.01] * 2)  # what the tokens show, not the share of valid samples
        assert len(endpoint.requests) == 2 * (1 + SAMPLES) and model.usage["failed"] == 0
        assert model.dialect == ["where no tokens show a choice, it is the share of 8 sampled replies"]
        np.testing.assert_array_equal(Model("m", endpoint.url).choose(say("x", "y")), got.probabilities)
        assert len(endpoint.requests) == 2 * (1 + SAMPLES)


def test_a_choice_knows_the_requests_that_it_was_read_from():
    def answer(body: dict) -> dict:
        if "response_format" in body:
            return completion('{"choice": "A"}')
        return reply({"Well": 1.0} if "sampled" in body["messages"][0]["content"] else AT_A, finish="length")

    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url, max_in_flight=1)
        got = model.choices(say("x", "y", "sampled", "z"))
        assert [len(keys) for keys in got.keys] == [1, 1, 1 + SAMPLES, 1]
        asked = [json.loads(model.store.get(keys[-1]).request)["messages"] for keys in got.keys]
        assert asked == say("x", "y", "sampled", "z")
        first, second = got.trail(orders=2)
        assert first == " ".join(got.keys[0] + got.keys[1]) and len(second.split()) == 2 + SAMPLES
        assert got._replace(keys=()).trail() == [None] * 4  # a stand-in has no store


def test_samples_that_fail_are_no_failed_items_of_a_step_whose_choices_are_all_made():
    replies = iter([completion('{"choice": "A"}'), *[completion("", refusal="no")] * (SAMPLES - 1)] * 10)

    def answer(body: dict) -> dict:
        return next(replies) if "response_format" in body else reply({"Well": 0.99, "A": 0.01}, finish="length")

    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url, max_in_flight=1)
        got = model.choices(say(*"abc"))
    assert got.failures == [None] * 3 and got.samples.tolist() == [1] * 3 and model.usage["failed"] == 0


def test_an_estimate_counts_samples_where_they_are_known_to_be_needed(tmp_path, monkeypatch):
    def answer(body: dict) -> dict:
        return completion('{"choice": "A"}') if "response_format" in body else reply({"Well": 1.0}, finish="length")

    with Endpoint(answer) as endpoint:
        Model("m", endpoint.url).choices(say("x"))
        monkeypatch.setenv("PERSONA_SCRATCH", str(tmp_path / "scratch.sqlite"))
        model = Model("m", endpoint.url)
        assert model.choices(say("y", "z")).samples.tolist() == [SAMPLES] * 2
        assert model.usage["calls"] == 2 * (1 + SAMPLES) and len(endpoint.requests) == 1 + SAMPLES


def test_where_neither_tokens_nor_samples_show_a_choice_the_row_says_why_and_few_calls_are_lost():
    def answer(body: dict) -> dict:
        if "response_format" in body:
            return completion("", refusal="no")
        return reply({"Well": 0.99, "A": 0.01}, finish="length")

    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url, max_in_flight=1)
        got = model.choices(say("x", "y"))
        assert np.isnan(got.probabilities).all() and got.mass == pytest.approx([0.01, 0.01])
        assert got.failures[0].endswith("below min_mass 0.5; sampled instead: refusal: no")
        assert len(endpoint.requests) == 4 and model.usage["failed"] == 2


def test_the_least_mass_is_that_of_the_call_of_the_models_entry_or_a_half(monkeypatch):
    from persona_lib.model import catalogue

    entries = {"lax": catalogue.Settings(min_mass=0.1), "m": catalogue.Settings()}
    monkeypatch.setattr(catalogue, "read_settings", lambda path=None: entries)
    assert [Model(name, "http://x/v1").min_mass for name in ("lax", "m")] == [0.1, 0.5]
    assert Model("lax", "http://x/v1", min_mass=0).min_mass == 0
    with pytest.raises(UserError, match="min_mass is a probability, not 5"):
        Model("m", "http://x/v1", min_mass=5)


def test_the_embedded_models_entry_takes_any_mass():
    assert Model("local").min_mass == 0
