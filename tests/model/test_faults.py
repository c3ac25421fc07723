"""Faults of an endpoint, injected one by one into a real server on the loopback, and what becomes of the ask."""

import asyncio
import gc
import json
import math
import random
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import warnings
from collections import Counter
from email.utils import formatdate

import numpy as np
import pytest
from aiohttp import web
from endpoint import Endpoint, completion, echo
from pydantic import BaseModel

from persona_lib import EndpointError, LimitError, UserError
from persona_lib.model import Model
from persona_lib.model.limits import pace
from persona_lib.model.replies.choices import field_masses
from persona_lib.model.transport import connection, reach
from persona_lib.model.transport import endpoint as endpoint_room


class Score(BaseModel):
    score: int


def say(*texts: str) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": text}] for text in texts]


def numbers(n: int) -> list[list[dict[str, str]]]:
    return say(*map(str, range(n)))


def fails(status: int, **headers: str):
    """An answer with an error's status; the headers' names with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"error": {"message": f"fault {status}"}}, named


async def reset(request: web.Request) -> web.Response:
    """Break off the connection, like a server that crashes."""
    request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    """Send half of the reply and close."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"choices": [{"mess')
    request.transport.close()
    return response


def stall(every_s: float = 60.0):
    """Send the headers, then next to nothing."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100000", "Content-Type": "application/json"})
        await response.prepare(request)
        while request.transport and not request.transport.is_closing():
            await response.write(b" ")
            await asyncio.sleep(0 if every_s > 1 else every_s)
            while every_s > 1 and request.transport and not request.transport.is_closing():
                await asyncio.sleep(0.02)
        return response

    return answer


@pytest.fixture
def waits(monkeypatch):
    """The seconds that each retry should wait; in the test none waits."""
    asked: list[float] = []
    real = connection.wait

    def at_once(error: Exception, tries: int) -> float:
        asked.append(real(error, tries))
        return 0.0

    monkeypatch.setattr(connection, "wait", at_once)
    monkeypatch.setattr(pace.Pace, "_until_due", lambda self: 0.0)
    return asked


@pytest.fixture
def impatient(monkeypatch, waits):
    """No fault is given a second try."""
    monkeypatch.setattr(connection, "RETRIES", 0)
    monkeypatch.setattr(connection, "REFUSALS", 0)


# --- one fault, then an answer ---------------------------------------------------------------------------------------

PASSING = {
    "reset": reset,
    "half a reply": half,
    "truncated JSON": '{"choices": [{"message": {"content": "fi',
    "no JSON": "<html>Bad gateway</html>",
    "a JSON list": [],
    "another JSON object": {"detail": "loading"},
    "choices of null": {"choices": None, "error": {"message": "overloaded", "code": 502}},
    "nested without end": "[" * 100_000,
    "500": fails(500),
    "502": fails(502),
    "503": fails(503),
    "429": fails(429),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_fault_that_passes_is_retried_and_leaves_no_trace_but_the_count(fault, waits):
    faults = [fault]
    with Endpoint(lambda body: faults.pop() if faults else completion("fine")) as endpoint:
        model = Model("m", endpoint.url)
        (reply,) = model.ask(say("x"))
        assert (reply.text, reply.failure) == ("fine", None) and len(endpoint.requests) == 2
    assert model.usage["retried"] == 1 and model.usage["failed"] == 0 and model.store.counts()["failed"] == 0


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_a_fault_that_stays_is_a_row_with_its_reason_and_is_not_kept(fault, impatient):
    with Endpoint(lambda body: echo(body) if body["messages"][-1]["content"] == "good" else fault) as endpoint:
        model = Model("m", endpoint.url)
        bad, good = model.ask(say("bad", "good"))
    assert bad.failure.startswith("no reply: ") and "\n" not in bad.failure and len(bad.failure) < 350
    assert (good.text, model.store.counts()) == ("good", {"replies": 1, "failed": 0})


def test_the_reason_of_a_fault_names_it(impatient):
    seen = {}
    for name, fault in PASSING.items():
        with Endpoint(lambda body, fault=fault: fault) as endpoint:
            seen[name] = Model("m", endpoint.url).ask(say("x"))[0].failure
    assert "fault 502" in seen["502"] and "fault 429" in seen["429"]
    assert "loading" in seen["another JSON object"] and "overloaded" in seen["choices of null"]
    assert "a web page (<html>Bad gateway" in seen["no JSON"] and "Connection" in seen["reset"]


# --- how long to wait ------------------------------------------------------------------------------------------------


def in_seconds(seconds: float) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({}, 0.3, 0.7),
        ({"Retry_After": "7"}, 7, 7),
        ({"Retry_After": "0.25"}, 0.25, 0.25),
        ({"Retry_After": 90}, 30, 91),
        ({"Retry_After": -90}, 0, 0),
        ({"Retry_After": "899"}, 899, 899),
        ({"Retry_After": "soon"}, 0.3, 0.7),
    ],
    ids=["none", "seconds", "a fraction", "a date", "a past date", "a quarter of an hour", "nonsense"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_and_without_it_half_a_second_is_waited(status, headers, low, high, waits):
    # Dates are relative to now, not to when the tests were collected.
    faults = [fails(status, **{k: in_seconds(v) if isinstance(v, int) else v for k, v in headers.items()})]
    with Endpoint(lambda body: faults.pop() if faults else completion("fine")) as endpoint:
        Model("m", endpoint.url).ask(say("x"))
    assert len(waits) == 1 and low <= waits[0] <= high


def test_waits_grow_with_every_try(waits):
    with Endpoint(lambda body: fails(500)) as endpoint:
        (reply,) = Model("m", endpoint.url).ask(say("x"))
        assert len(endpoint.requests) == 1 + connection.RETRIES
    assert reply.failure and waits == sorted(waits) and waits[-1] <= 8 * 1.25


# --- time-outs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every_s", [60.0, 0.05], ids=["all at once", "a byte now and then"])
def test_a_server_that_stalls_after_the_headers_is_given_up(every_s, impatient, monkeypatch):
    monkeypatch.setattr(connection, "TIMEOUT_S", 0.4)
    with Endpoint(lambda body: stall(every_s)) as endpoint:
        (reply,) = Model("m", endpoint.url).ask(say("x"))
    assert re.search("time", reply.failure, re.IGNORECASE)


def test_a_server_that_never_answers_is_given_up(impatient, monkeypatch):
    monkeypatch.setattr(connection, "TIMEOUT_S", 0.3)
    with Endpoint(delay_s=1.0) as endpoint:
        (reply,) = Model("m", endpoint.url).ask(say("x"))
    assert reply.failure.startswith("no reply: ") and "time" in reply.failure.lower()


# --- what is wrong with all calls --------------------------------------------------------------------------------


def test_a_server_that_goes_away_in_the_middle_stops_the_ask_and_keeps_what_it_said(impatient):
    with Endpoint() as endpoint:

        def gone() -> None:
            """Refuse connections from now on, as nobody listens any more."""
            for site in endpoint._runner.sites:
                site._server.close()

        def answer(body: dict):
            if len(endpoint.requests) >= 30:
                gone()
            return echo(body) if len(endpoint.requests) < 30 else reset

        endpoint.answer = answer
        with pytest.raises(
            UserError, match=r"20 calls in a row got no reply, the last: .*[Cc]onnect.* are kept"
        ) as caught:
            Model("m", endpoint.url, max_in_flight=2).ask(numbers(1000))
        assert len(endpoint.requests) < 35
    assert "\n" not in str(caught.value)
    assert 28 <= Model("m", endpoint.url).store.counts()["replies"] < 30


PAGE = "<html><head><style>a {}</style></head><body>Log in</body></html>"


@pytest.mark.parametrize(
    ("answer", "said", "most"),
    [
        (PAGE, r"a web page \(<html>.*: Log in\): is the address right\?", 5),
        ("", "nothing: is the address", 5),
        ({}, r"no chat completion: \{\}: is", 5),
        ("null", "no chat completion: null: is", 5),
        ({"choices": None}, "no chat completion: .*null", 5),
        ({"choices": None, "error": {"message": "upstream error"}}, "no chat completion: upstream error: is", 8 + 3),
    ],
    ids=["page", "nothing", "object", "null", "no choices", "error"],
)
def test_an_endpoint_whose_first_answers_are_no_completions_stops_the_ask_in_one_line(answer, said, most, waits):
    with Endpoint(lambda body: (200, answer)) as endpoint:
        with pytest.raises(EndpointError, match=f"{endpoint.url} answers chats with {said}") as caught:
            Model("m", endpoint.url, max_in_flight=4).ask(numbers(6))
        assert len(endpoint.requests) <= most and "\n" not in str(caught.value)


class Page(Endpoint):
    """A page at every address, as of a portal where one logs in first; chats are counted."""

    def routes(self, app: web.Application) -> None:
        async def page(request: web.Request) -> web.Response:
            self.requests += [{}] * request.path.endswith("completions")
            return web.Response(text=PAGE, content_type="text/html")

        app.router.add_route("*", "/{path:.*}", page)


def test_a_page_at_every_address_is_one_line_before_a_run_and_in_it(waits):
    why = "answers chats with a web page"
    with Page() as endpoint:
        (problem,) = reach.problems([reach.Place("m", endpoint.url)])
        assert why in problem and len(endpoint.requests) == 1 and reach.listed(endpoint.url) == []
        with pytest.raises(EndpointError, match=why):
            Model("m", endpoint.url).ask(numbers(3))
        assert len(endpoint.requests) == 1 + connection.PAGES


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"data": [{"id": "a"}, {"id": 3}, 7]}', ["a"]),
        ('[{"id": "b"}]', ["b"]),
        ('{"data": null}', []),
        ("null", []),
        (PAGE, []),
    ],
)
def test_models_that_are_listed_in_an_odd_form_are_read_or_none_are_listed(text, names):
    assert [entry["id"] for entry in endpoint_room.entries(text)] == names


@pytest.mark.parametrize("code", [400, "422", 500])
def test_an_error_that_comes_with_status_200_counts_as_its_own_status(code, waits):
    error = {"error": {"message": "too odd", "code": code}}
    seen = []
    for answer in ((int(code), error), {"choices": None} | error):
        with Endpoint(lambda body, answer=answer: answer) as endpoint:
            seen.append((Model("m", endpoint.url).ask(say("x"))[0].failure, len(endpoint.requests)))
    assert "too odd" in seen[1][0] and seen[0][1] == seen[1][1] <= 5
    unpaid = {"error": {"message": "no credit left", "code": 402}}
    with Endpoint(lambda body: unpaid) as endpoint, pytest.raises(LimitError, match=r"no more quota .*no credit left"):
        Model("m", endpoint.url).ask(say("x"))


@pytest.mark.parametrize("usage", [[1], "none", 7])
def test_a_usage_that_is_no_object_costs_no_reply(usage):
    with Endpoint(lambda body: completion("fine") | {"usage": usage}) as endpoint:
        model = Model("m", endpoint.url)
        assert model.ask(say("x"))[0].text == "fine" and len(endpoint.requests) == 1
        assert model.usage["cost"] is None and model.usage["tokens_out"] == 0


@pytest.mark.parametrize("body", [PAGE, "Log in", [{"error": {"message": "Log in"}}], {"detail": "Log in"}])
def test_a_refusal_in_any_form_says_why(body):
    why = r"PermissionDeniedError: Error code: 403 - Log in$"
    with Endpoint(lambda _: (403, body)) as endpoint, pytest.raises(EndpointError, match=why):
        Model("m", endpoint.url).ask(say("x"))


def test_a_server_that_breaks_off_did_not_time_out_and_the_same_command_goes_on_later(impatient):
    with Endpoint() as endpoint:
        model = Model("m", endpoint.url, max_in_flight=2)
        model.ask(numbers(2))
        endpoint.answer = lambda body: reset
        with pytest.raises(LimitError, match="20 calls in a row got no reply") as caught:
            model.ask(say(*(f"more {n}" for n in range(40))))
        assert "timed out" not in str(caught.value)


def test_a_model_that_only_the_call_itself_finds_missing_stops_at_once():
    with Endpoint(lambda body: fails(404), models=()) as endpoint:
        with pytest.raises(UserError, match=r"refuses 'larg': NotFoundError: .*fault 404"):
            Model("larg", endpoint.url, max_in_flight=4).ask(numbers(100))
        assert len(endpoint.requests) <= 4


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_certificate_that_nobody_vouches_for_is_named_as_such(self_signed):
    with Endpoint(tls=self_signed) as endpoint:
        with pytest.raises(UserError, match=r"no answer from https://.*certificate.*self.signed"):
            Model("m", endpoint.url).ask(say("x"))
        assert not endpoint.requests


# --- replies that are no answers -------------------------------------------------------------------------------------


def test_a_reply_of_ten_megabytes_is_a_failed_row_and_the_rest_goes_on():
    huge = completion("x" * 10_000_000)
    with Endpoint(lambda body: huge if body["messages"][-1]["content"] == "huge" else echo(body)) as endpoint:
        model = Model("m", endpoint.url)
        replies = model.ask(say("huge", "good"))
        assert replies[0].failure == "a reply of 10.0 MB is too long for an answer" and replies[1].text == "good"
        assert model.store.path.stat().st_size < 1_000_000


def likely(first: object) -> dict:
    """An empty reply with these for the likeliest first tokens."""
    return {"choices": [{"message": {"content": ""}, "logprobs": {"content": [{"top_logprobs": first}]}}]}


ODD = {
    "a choice that is text": {"choices": ["hello"]},
    "a choice of null": {"choices": [None]},
    "a message that is text": {"choices": [{"message": "hello"}]},
    "a message of null": {"choices": [{"message": None}]},
    "content in parts of no text": completion([{"type": "image"}, 5, None]),
    "log-probabilities of another form": {"choices": [{"message": {"content": ""}, "logprobs": {"content": ["A"]}}]},
    "first tokens as an object": likely({"A": -0.1}),
    "first tokens without log-probabilities": likely(["A"]),
    "a log-probability of null": likely([{"token": "A", "logprob": None}]),
    "a log-probability of text": likely([{"token": "A", "logprob": "-0.1"}]),
    "a log-probability of none": likely([{"token": "A", "logprob": 1000.0}, {"token": "B", "logprob": math.nan}]),
    "a first token of null": likely([{"token": None, "logprob": -0.1}]),
    "tokens as text": completion("") | {"usage": {"prompt_tokens": "10", "completion_tokens": 3}},
    "tokens of null": completion("") | {"usage": {"prompt_tokens": None, "completion_tokens": math.nan}},
    "details of tokens as a number": completion("") | {"usage": {"prompt_tokens": 9, "prompt_tokens_details": 5}},
    "reused tokens as text": completion("") | {"usage": {"prompt_tokens_details": {"cached_tokens": "5"}}},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_completion_of_another_form_is_a_failed_row_whatever_was_asked(odd):
    with Endpoint(lambda body: odd) as endpoint:
        model = Model("m", endpoint.url)
        plain, structured = model.ask(say("x"))[0], model.ask(say("x"), schema=Score)[0]
        assert plain.failure and structured.failure and structured.value is None
        assert np.isnan(model.choose(say("x"))).all()


def test_a_token_that_is_none_is_left_out_of_a_choice_in_a_text():
    odd = ["yes", {"token": "yes", "logprob": None}, {"token": "no", "logprob": math.log(0.25)}]
    told = [{"token": '{"verdict": "'}, {"token": "yes", "top_logprobs": odd}]
    assert field_masses(told, "verdict", ("yes", "no")) == [0, pytest.approx(0.25)]
    assert field_masses([told[0], {"token": "yes", "top_logprobs": {"yes": -0.1}}], "verdict", ("yes", "no")) == [0, 0]


def test_half_of_a_surrogate_pair_is_kept_as_a_question_mark_and_whole_ones_as_they_are():
    text = json.dumps(completion("sad 😢 half HALF")).replace("HALF", "\\ud83d")
    with Endpoint(lambda body: (200, text)) as endpoint:
        model = Model("m", endpoint.url)
        assert [model.ask(say("x"))[0].text for _ in "ab"] == ["sad 😢 half ?"] * 2
        assert len(endpoint.requests) == 1
        endpoint.answer = lambda body: (400, {"error": {"message": "half \ud83d"}})
        assert model.ask(say("y"))[0].failure.endswith("half ?")


@pytest.mark.parametrize(
    "silent",
    [completion("", refusal="no"), completion("", finish_reason="content_filter"), completion(""), {"choices": []}],
    ids=["refusal", "content filter", "empty", "no choice"],
)
def test_a_single_reply_without_log_probabilities_is_a_row_of_nan_among_others(silent):
    chosen = completion("A", finish_reason="length")
    chosen["choices"][0]["logprobs"] = {"content": [{"top_logprobs": [{"token": "A", "logprob": -0.1}]}]}
    with Endpoint(lambda body: silent if body["messages"][-1]["content"] == "bad" else chosen) as endpoint:
        model = Model("m", endpoint.url)
        np.testing.assert_array_equal(model.choose(say("good", "bad", "fine")), [[1, 0], [np.nan, np.nan], [1, 0]])
    assert model.usage["failed"] == 1


# --- many faults -----------------------------------------------------------------------------------------------------


def test_with_a_fifth_of_all_calls_failing_the_run_completes_and_every_failed_item_says_why(impatient):
    dice, lock = random.Random(0), threading.Lock()
    faults = [f for name, f in PASSING.items() if name not in ("429", "503")]

    def answer(body: dict):
        with lock:
            return dice.choice(faults) if dice.random() < 0.2 else echo(body)

    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        replies = model.ask(numbers(500))
        failed = [r for r in replies if r.failure]
        assert all(r.failure.startswith("no reply: ") and r.value is None for r in failed)
        assert 60 < len(failed) < 140 and model.usage["failed"] == len(failed)
        assert [r.text for r in replies if not r.failure] == [str(n) for n, r in enumerate(replies) if not r.failure]
        endpoint.answer, sent = echo, len(endpoint.requests)
        again = Model("m", endpoint.url).ask(numbers(500))
        assert [r.text for r in again] == list(map(str, range(500)))
        assert len(endpoint.requests) - sent == len(failed)


def test_with_a_fifth_of_all_calls_failing_retries_let_every_item_be_answered(waits):
    faults = [reset, half, fails(500), fails(503), fails(429), "no JSON"]
    tries = Counter()

    def answer(body: dict):
        text = body["messages"][-1]["content"]
        tries[text] += 1
        return faults[int(text) // 5 % len(faults)] if int(text) % 5 == 0 and tries[text] == 1 else echo(body)

    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        assert [r.text for r in model.ask(numbers(200))] == list(map(str, range(200)))
    assert model.usage["retried"] == 40 and model.usage["failed"] == 0


@pytest.mark.parametrize("fault", [reset, fails(500), "no JSON"], ids=["reset", "500", "no JSON"])
def test_with_all_calls_failing_the_ask_stops_early_with_one_line_and_keeps_what_was_answered(fault, waits):
    with Endpoint() as endpoint:
        model = Model("m", endpoint.url, max_in_flight=16)
        model.ask(numbers(10))
        endpoint.answer = lambda body: fault
        with pytest.raises(UserError, match=r"20 calls in a row got no reply.* run it again to continue") as caught:
            model.ask(numbers(100_000))
        assert len(endpoint.requests) < 10 + (20 + 16) * (1 + connection.RETRIES)
        assert "\n" not in str(caught.value) and caught.value.__cause__ is None
    assert model.store.counts() == {"replies": 10, "failed": 0}


def test_an_endpoint_that_refuses_every_call_for_long_stops_the_ask(waits, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE_S", 0.5)
    refused = r"has refused all calls for 0 s: RateLimitError.*fault 429"
    with Endpoint(lambda body: fails(429)) as endpoint, pytest.raises(UserError, match=refused):
        Model("m", endpoint.url).ask(numbers(1000))


def test_a_quota_that_is_used_up_stops_at_once():
    spent = (429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
    with Endpoint(lambda body: spent) as endpoint:
        with pytest.raises(UserError, match=r"has no more quota for this key: .*exceeded"):
            Model("m", endpoint.url, max_in_flight=2).ask(numbers(100))
        assert len(endpoint.requests) <= 2


def test_a_connection_that_is_still_being_opened_when_an_ask_ends_is_closed():
    def interrupted():
        yield say("x")[0]
        raise UserError("stop")

    gc.collect()
    with Endpoint() as endpoint, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(5):
            with pytest.raises(UserError, match="stop"):
                Model("m", endpoint.url).ask(interrupted())
        gc.collect()
    assert [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)] == []
