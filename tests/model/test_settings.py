"""Endpoints that refuse what others take: settings of the user's own, choices without log-probabilities, their mass."""

import json
import math
import re

import numpy as np
import pytest
from endpoint import Endpoint, completion, echo
from pydantic import BaseModel

from persona_lib import UserError, local
from persona_lib.model import Model, catalogue, several
from persona_lib.model.limits import budget
from persona_lib.model.replies.choices import field_masses
from persona_lib.model.transport.endpoint import OPENAI_URL
from persona_lib.model.transport.endpoint import Endpoint as Sender
from persona_lib.store import Store, key_of


class Verdict(BaseModel):
    critique: str
    verdict: str


def say(*texts: str) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": text}] for text in texts]


def refusing(*fields: str, answer=echo, status: int = 400):
    """An endpoint that answers with an error where a request has one of the fields, as OpenAI words it."""

    def answer_or_refuse(body: dict):
        for field in fields:
            if field in body:
                said = f"Unsupported parameter: '{field}' is not supported with this model."
                return status, {"error": {"message": said, "param": field, "code": "unsupported_parameter"}}
        return answer(body)

    return answer_or_refuse


def with_tokens(*tokens: str, likely: dict[int, dict[str, float]], **kind) -> dict:
    """A completion with log-probabilities: `likely` has the likeliest tokens by their place."""
    reply = completion("".join(tokens), **kind)
    content = [
        {"token": t, "logprob": 0.0}
        | {"top_logprobs": [{"token": o, "logprob": math.log(p)} for o, p in likely.get(i, {t: 1.0}).items()]}
        for i, t in enumerate(tokens)
    ]
    reply["choices"][0]["logprobs"] = {"content": content}
    return reply


# --- settings ------------------------------------------------------------------------------------------------------


def test_settings_go_out_as_they_are_and_a_field_of_ours_that_is_none_is_left_out():
    own = {"temperature": None, "max_tokens": None, "max_completion_tokens": 900, "reasoning_effort": "low"}
    with Endpoint(refusing("temperature", "max_tokens")) as endpoint:
        (reply,) = Model("m", endpoint.url, settings=own).ask(say("x"), temperature=0.7, max_tokens=5)
        (sent,) = endpoint.requests
    assert reply.text == "x" and sent["reasoning_effort"] == "low" and sent["max_completion_tokens"] == 900
    assert not {"temperature", "max_tokens"} & sent.keys()


def test_a_field_of_ours_that_is_set_is_replaced():
    with Endpoint() as endpoint:
        Model("m", endpoint.url, settings={"temperature": 1}).ask(say("x"), temperature=0)
        assert endpoint.requests[0]["temperature"] == 1


def test_settings_are_part_of_the_request_and_without_them_it_is_as_it_was():
    with Endpoint() as endpoint:
        for own in (None, {}, {"top_p": 0.9}, {"top_p": 0.8}, {"top_p": 0.9}):
            model = Model("m", endpoint.url, settings=own)
            model.ask(say("x"))
        assert len(endpoint.requests) == 3
        # The request as in all existing stores and recordings.
        old = f'{{"messages":[{{"content":"x","role":"user"}}],"model":{{"base_url":"{endpoint.url}","name":"m"}},'
        assert Store().get(key_of(old + '"sample":0,"temperature":0}'))
    assert model.identity["settings"] == {"top_p": 0.9} and "settings" not in Model("m", "http://x").identity


def test_without_a_temperature_to_send_any_temperature_is_one_request():
    with Endpoint() as endpoint:
        for temperature in (0, 1):
            Model("m", endpoint.url, settings={"temperature": None}).ask(say("x"), temperature=temperature)
        Model("m", endpoint.url, settings={"temperature": None}).ask(say("x"), temperature=1, sample=1)
        assert len(endpoint.requests) == 2


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"n": 2}, "'n' can't be among a model's settings"),
        ({"response_format": None}, "'response_format' can't be"),
        ({"top_p": None}, "'top_p' is None, but only temperature or max_tokens may be"),
        ({"stop": {"a", "b"}}, "must be plain JSON"),
        ({"top_p": math.nan}, "must be plain JSON"),
        (["top_p"], "must be request fields by name"),
    ],
)
def test_settings_that_can_not_be_sent_are_said_at_once(own, reason):
    with pytest.raises(UserError, match=reason):
        Model("m", "http://127.0.0.1:9/v1", settings=own)


@pytest.mark.parametrize("field", ["temperature", "max_tokens", "top_k"])
def test_a_field_that_the_endpoint_refuses_ends_it_all_with_what_to_do(field):
    with Endpoint(refusing(field)) as endpoint:
        model = Model("m", endpoint.url, max_in_flight=1, settings={"top_k": 5})
        hint = "change it in its settings" if field == "top_k" else re.escape(f"leave it out by '{field}: null'")
        with pytest.raises(UserError, match=f"refuses '{field}' for 'm': .*; {hint}"):
            model.ask(say("x", "y", "z"), max_tokens=5)
        assert len(endpoint.requests) == 1


def test_an_error_that_speaks_of_a_field_after_an_answer_is_a_failed_row():
    said = {"error": {"message": "a temperature of 90 degrees is not supported as a topic"}}
    with Endpoint(lambda body: (400, said) if body["messages"][0]["content"] == "hot" else echo(body)) as endpoint:
        replies = Model("m", endpoint.url, max_in_flight=1).ask(say("cold", "hot", "cool"))
    assert [r.failure is None for r in replies] == [True, False, True]


def test_models_have_settings_of_their_own_by_the_file(monkeypatch):
    monkeypatch.setattr(
        catalogue, "read_settings", lambda: {"n": catalogue.Settings(settings={"top_p": 0.5}, samples=3)}
    )
    one, other = several(["m@http://127.0.0.1:9/v1", "n@http://127.0.0.1:9/v1"], Store())
    assert (one.settings, one.samples) == ({}, None) and (other.settings, other.samples) == ({"top_p": 0.5}, 3)
    assert Model("n", "http://127.0.0.1:9/v1", settings={}).settings == {}


def test_the_budget_counts_with_the_most_tokens_that_settings_allow():
    price = catalogue.price("gpt-4.1-mini")
    request = {"model": {"name": "m", "settings": {"max_completion_tokens": 20_000}}, "messages": [], "max_tokens": 1}
    assert budget._most(request, price) > price.cost(0, 20_000)


def test_a_file_of_models_is_checked_where_it_is_read(tmp_path):
    path = tmp_path / "models.yaml"
    path.write_text("m: {settings: {temperature: null, top_p: 0.9}, samples: 4}\nn: {}\n")
    assert catalogue.read_settings(path)["m"] == catalogue.Settings(
        settings={"temperature": None, "top_p": 0.9}, samples=4
    )
    for number, (text, reason) in enumerate(
        {
            "m: {setting: {}}": "m: setting: Extra inputs",
            "m: {samples: 0}": "m: samples: Input should be greater",
            "m: {settings: {n: 2}}": "m: 'n' can't be among",
            "- m": "must have entries by model",
            "m: [": "can't be read as YAML",
        }.items()
    ):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        with pytest.raises(UserError, match=reason):
            catalogue.read_settings(path)
    assert catalogue.read_settings(tmp_path / "none.yaml") == {}


def test_the_file_that_comes_along_leaves_out_what_reasoning_models_refuse():
    model = Model("o4-mini", "http://127.0.0.1:9/v1")
    assert model.settings["temperature"] is None and model.samples == 8


# --- choices -------------------------------------------------------------------------------------------------------


def test_an_option_outside_the_likeliest_tokens_has_no_mass_and_the_mass_of_the_others_is_told():
    def answer(body: dict) -> dict:
        likely = {"both": {"A": 0.3, " B": 0.1}, "one": {"A": 0.02, "The": 0.9}, "none": {"The": 0.9, "An": 0.1}}
        return with_tokens(
            "A", likely={0: likely[body["messages"][0]["content"].split("\n")[0]]}, finish_reason="length"
        )

    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url, min_mass=0)
        got = model.choices(say("both", "one", "none"))
        np.testing.assert_allclose(got.probabilities, [[0.75, 0.25], [1, 0], [math.nan, math.nan]])
        np.testing.assert_allclose(got.mass, [0.4, 0.02, 0])
        why = "none of A, B among the 2 likeliest first tokens; sampled instead: invalid reply"
        assert got.failures[:2] == [None, None] and got.failures[2].startswith(why)
        calls = len(endpoint.requests)
        np.testing.assert_array_equal(model.choose(say("both", "one", "none")), got.probabilities)
        assert len(endpoint.requests) == calls and model.choices([]).probabilities.shape == (0, 2)


def test_a_choice_without_a_reply_has_the_endpoints_reason_and_no_mass():
    with Endpoint(lambda body: (400, {"error": {"message": "prompt too long"}})) as endpoint:
        got = Model("m", endpoint.url).choices(say("x"))
    assert np.isnan(got.probabilities).all() and np.isnan(got.mass).all() and "prompt too long" in got.failures[0]


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("kind", ["refuses", "leaves out", "thinks first"])
def test_without_log_probabilities_a_choice_says_to_sample(kind, status):
    answers = {
        "refuses": refusing("logprobs", status=status),
        "leaves out": echo,
        "thinks first": lambda body: completion("", finish_reason="length"),
    }
    with Endpoint(answers[kind]) as endpoint:
        with pytest.raises(UserError, match="m offers no log-probabilities for choices: set `samples`"):
            Model("m", endpoint.url, max_in_flight=1).choose(say("x", "y"))
        assert len(endpoint.requests) == 1


def test_sampled_choices_are_shares_of_independent_replies_that_fit_a_schema():
    said = iter("AABABBBB")

    def answer(body: dict) -> dict:
        assert body["response_format"]["json_schema"]["schema"]["properties"]["choice"]["enum"] == ["A", "B"]
        return completion(json.dumps({"choice": next(said)}))

    with Endpoint(refusing("logprobs", answer=answer)) as endpoint:
        model = Model("m", endpoint.url, max_in_flight=1, samples=4)
        got = model.choices(say("x", "y"))
        np.testing.assert_array_equal(got.probabilities, [[0.75, 0.25], [0, 1]])
        assert np.isnan(got.mass).all() and got.samples.tolist() == [4, 4] and got.failures == [None, None]
        assert {r["temperature"] for r in endpoint.requests} == {1} and len(endpoint.requests) == 8
        again = Model("m", endpoint.url, samples=4).choose(iter(say("x", "y")))
        np.testing.assert_array_equal(again, got.probabilities)
        assert len(endpoint.requests) == 8
        with pytest.raises(UserError, match="can't be made of 0 samples"):
            Model("m", endpoint.url, samples=0)


def test_sampled_shares_come_near_the_chance_behind_them():
    rng = np.random.default_rng(5)
    answer = lambda body: completion(json.dumps({"choice": rng.choice(["A", "B"], p=[0.7, 0.3])}))  # noqa: E731
    with Endpoint(answer) as endpoint:
        (row,) = Model("m", endpoint.url, samples=400).choose(say("x"))
    assert abs(row[0] - 0.7) < 4 * math.sqrt(0.7 * 0.3 / 400)


def test_samples_that_can_not_be_read_are_left_out_and_where_none_can_the_reason_is_told():
    def answer(body: dict) -> dict:
        text = body["messages"][0]["content"]
        good = text == "x" and endpoint.requests.index(body) % 2 == 0
        return completion('{"choice": "B"}') if good else completion("", refusal="no")

    with Endpoint(answer) as endpoint:
        got = Model("m", endpoint.url, max_in_flight=1, samples=4).choices(say("x", "y"))
    assert got.probabilities[0].tolist() == [0, 1] and np.isnan(got.probabilities[1]).all()
    assert 0 < got.samples[0] <= 4 and got.samples[1] == 0 and got.failures == [None, "refusal: no"]


# --- log-probabilities of whole replies ----------------------------------------------------------------------------

VERDICT = ("{", '"critique":', ' "so', '", "verdict":', ' "', "keep", '"}')


def test_a_reply_carries_its_log_probabilities_where_they_are_asked_for():
    with Endpoint(lambda body: with_tokens(*VERDICT, likely={})) as endpoint:
        model = Model("m", endpoint.url)
        (plain,), (reply,) = model.ask(say("x"), Verdict), model.ask(say("x"), Verdict, logprobs=True)
        assert "logprobs" not in endpoint.requests[0] and endpoint.requests[1]["top_logprobs"] == 3
    assert plain.logprobs is None and [t["token"] for t in reply.logprobs] == list(VERDICT)


def test_a_reply_with_log_probabilities_that_is_cut_off_is_no_answer():
    with Endpoint(lambda body: with_tokens("{", '"crit', likely={}, finish_reason="length")) as endpoint:
        (reply,) = Model("m", endpoint.url).ask(say("x"), Verdict, logprobs=True)
        assert reply.failure == "cut off: max_tokens reached"
        assert [r.get("max_tokens") for r in endpoint.requests] == [None, 4096]


@pytest.mark.parametrize("status", [400, 403])
def test_where_log_probabilities_are_refused_replies_come_without_and_the_rest_is_asked_without(status):
    with Endpoint(refusing("logprobs", status=status)) as endpoint:
        for calls in (4, 0):
            model = Model("m", endpoint.url, max_in_flight=1)
            replies = model.ask(say("x", "y", "z"), logprobs=True)
            assert [(r.text, r.failure, r.logprobs) for r in replies] == [(t, None, None) for t in "xyz"]
            assert model.usage["calls"] == calls and model.usage["failed"] == 0
        assert len(endpoint.requests) == 4


def test_where_log_probabilities_are_left_out_a_reply_has_none():
    with Endpoint() as endpoint:
        (reply,) = Model("m", endpoint.url).ask(say("x"), logprobs=True)
        assert (reply.text, reply.logprobs) == ("x", None) and len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("tokens", "place", "likely", "expected"),
    [
        (VERDICT, 5, {"keep": 0.6, "revise": 0.2, "Keep": 0.1}, [0.6, 0.2]),
        (VERDICT, 5, {"ke": 0.5, "rev": 0.25, '"': 0.2}, [0.5, 0.25]),
        (('{"verdict":', '"keep', '"}'), 1, {'"keep': 0.5, '"rev': 0.3, "revise": 0.1}, [0.5, 0.3]),
        (('{"verdict": "keep"}',), 0, {'{"verdict": "keep"}': 0.7, '{"verdict": "revise"}': 0.1}, [0.7, 0.1]),
        (VERDICT, 5, {"The": 0.9, "keep": 0.05}, [0.05, 0]),
        (VERDICT, 5, {"The": 0.9}, [0, 0]),
        (("keep",), 0, {"keep": 1.0}, [0, 0]),
        (('{"verdict": "',), 0, {}, [0, 0]),
        (('{"verdict": "no", "critique": "', '", "verdict": "', "keep"), 2, {"keep": 0.9}, [0.9, 0]),
    ],
)
def test_a_fields_probabilities_are_found_however_its_text_is_cut_into_tokens(tokens, place, likely, expected):
    logprobs = with_tokens(*tokens, likely={place: likely})["choices"][0]["logprobs"]["content"]
    np.testing.assert_allclose(field_masses(logprobs, "verdict", ["keep", "revise"]), expected)


def test_a_field_has_no_probabilities_where_the_reply_has_none():
    assert field_masses(None, "verdict", ["keep", "revise"]) == [0, 0]
    assert field_masses([{}], "verdict", ["keep", "revise"]) == [0, 0]


# --- the embedded model --------------------------------------------------------------------------------------------


def test_the_embedded_model_gives_log_probabilities_with_a_schema_and_sampled_choices():
    model = Model("local", settings={"top_k": 40}, samples=4)
    (reply,) = model.ask(say('Reply in JSON, "verdict" is keep or revise. Is tea good?'), Verdict, 0, 60, logprobs=True)
    assert model.identity["weights_sha256"] == local.GGUF_SHA256 and len(reply.logprobs) > 1
    assert reply.text.strip() in "".join(t["token"] for t in reply.logprobs)
    got = model.choices(say("Is ice cold? Reply with the letter only. A: yes, B: no."))
    assert got.probabilities.sum() == pytest.approx(1) and got.samples.tolist() == [4] and got.failures == [None]


def test_the_embedded_models_samples_differ_and_are_the_same_in_each_run(tmp_path):
    stores = [Store(tmp_path / name) for name in ("one", "two")]
    one, two = ([reply.text for k in range(2) for reply in draw(Model("local", store=store), k)] for store in stores)
    assert one == two and one[0] != one[1]


def draw(model: Model, sample: int):
    return model.ask(say("Name an animal, a colour and a town."), temperature=1.5, max_tokens=12, sample=sample)


def test_openai_itself_is_sent_its_own_name_of_max_tokens_unless_it_is_left_out():
    request = {"model": {"name": "o"}, "messages": [], "temperature": 0, "max_tokens": 9}
    assert Sender("o", OPENAI_URL)._body(request)["max_completion_tokens"] == 9
