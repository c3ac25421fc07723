"""Model against a stand-in endpoint on the loopback, and against the embedded model itself."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import nbclient
import nbformat
import numpy as np
import pytest
from endpoint import Endpoint, completion, first_token, say
from places import ROOT
from pydantic import BaseModel, Field, create_model
from waits import LONG_S, runs, stopped, until

from persona_lib import UserError, local
from persona_lib.model import Model, catalogue, several
from persona_lib.model.anew import again as ask_again
from persona_lib.store import Store, canonical
from persona_lib.templates import text


class Verdict(BaseModel):
    reason: str = Field(max_length=60)
    score: int


def test_replies_come_in_order_and_the_second_time_from_the_store():
    with Endpoint() as endpoint:
        texts = [f"number {n}" for n in range(50)]
        model = Model("m", endpoint.url)
        assert [r.text for r in model.ask(say(*texts))] == texts
        again = Model("m", endpoint.url)
        assert [(r.text, r.cached) for r in again.ask(say(*texts))] == [(t, True) for t in texts]
        assert len(endpoint.requests) == 50
    assert model.usage == {
        "calls": 50, "cached": 0, "retried": 0, "reasked": 0, "failed": 0,
        "tokens_in": 500, "tokens_out": 150, "tokens_cached": 0, "cost": None,
    }  # fmt: skip
    assert again.usage["calls"] == 0 and again.usage["cached"] == 50 and again.usage["tokens_in"] == 0


def test_equal_requests_of_one_ask_are_sent_once():
    with Endpoint() as endpoint:
        replies = Model("m", endpoint.url).ask(say("same", "other", "same"))
        assert [r.text for r in replies] == ["same", "other", "same"]
        assert len(endpoint.requests) == 2


def test_several_models_are_named_with_or_without_an_address_and_none_twice():
    models = several(["local", "m@http://127.0.0.1:9/v1", "lib/own-7b.Q4.gguf"], Store())
    addresses = [("SmolLM2-135M-Instruct", None), ("m", "http://127.0.0.1:9/v1"), ("own-7b.Q4", None)]
    assert [(m.name, m.base_url) for m in models] == addresses
    who = {"name": "SmolLM2-135M-Instruct", "base_url": None, "weights_sha256": local.GGUF_SHA256}
    assert models[0].identity == who
    with pytest.raises(UserError, match="two models are named m, so that their rows would be one"):
        several(["m@http://127.0.0.1:9/v1", "m@http://127.0.0.1:8/v1"])


def test_the_protocol_is_imported_without_openai_and_the_model_with_it():
    code = """
import sys
import persona_lib.model
from persona_lib.model import Choices, LanguageModel, Messages, Reply, no_twins
assert "openai" not in sys.modules
from persona_lib.model import Model
assert "openai" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=LONG_S)


def test_one_temperature_written_in_two_ways_is_one_request():
    with Endpoint() as endpoint:
        for temperature in (1, 1.0):
            Model("m", endpoint.url).ask(say("x"), temperature=temperature)
    assert len(endpoint.requests) == 1


def test_what_can_change_the_text_makes_another_request():
    with Endpoint() as endpoint:
        model = Model("m", endpoint.url)
        for settings in (
            {},
            {"temperature": 1},
            {"temperature": 1, "sample": 1},
            {"max_tokens": 5},
            {"schema": Verdict},
        ):
            model.ask(say("x"), **settings)
        assert len(endpoint.requests) == 5 + 3  # an echo is no verdict: asked in words, and again, twice
        assert endpoint.requests[3]["max_tokens"] == 5


def test_as_many_are_in_flight_as_allowed_and_no_more():
    with Endpoint(delay_s=0.05, meets=7) as endpoint:
        Model("m", endpoint.url, max_in_flight=7).ask(say(*map(str, range(40))))
        assert endpoint.most_in_flight == 7


def test_a_structured_reply_is_validated_and_lengths_are_kept_from_strict_endpoints():
    with Endpoint(lambda body: completion('{"reason": "clear", "score": 3}')) as endpoint:
        (reply,) = Model("m", endpoint.url).ask(say("judge"), schema=Verdict)
        sent = endpoint.requests[0]["response_format"]["json_schema"]
    assert reply.value == Verdict(reason="clear", score=3) and reply.failure is None
    assert sent["strict"] and sent["schema"]["additionalProperties"] is False
    assert "maxLength" not in json.dumps(sent)


Weighed = create_model("Weighed", critique=(text(8), ...), reasoning=(text(None), ...), score=(int, ...))


def test_a_reply_longer_than_asked_is_an_answer_and_no_endpoint_is_sent_a_bound():
    long = {"critique": "word " * 45, "reasoning": "word " * 200, "score": 4}
    with Endpoint(lambda body: completion(json.dumps(long))) as endpoint:
        model = Model("m", endpoint.url)
        replies = model.ask(say(*map(str, range(20))), schema=Weighed)
        assert [reply.value.model_dump() for reply in replies] == [long] * 20
        assert len(endpoint.requests) == model.usage["calls"] == 20 and model.usage["failed"] == 0
        assert "maxLength" not in json.dumps(endpoint.requests) and "max_tokens" not in json.dumps(endpoint.requests)
    (kept,) = model.store.db.execute("SELECT group_concat(plain(request)) FROM replies").fetchone()
    assert "maxLength" not in kept


def asked_of_the_embedded_model(tmp_path, **asks):
    """Return the request that the embedded model would be sent."""
    store = Store(tmp_path / "s.sqlite", offline=True)
    with pytest.raises(UserError, match="no reply is recorded") as error:
        Model("local", store=store).ask(say("x"), **asks)
    return str(error.value)


def test_the_embedded_model_alone_is_bound_to_the_words_asked_for(tmp_path):
    Bounded = create_model("Bounded", critique=(text(8), ...), score=(int, ...))
    asked = asked_of_the_embedded_model(tmp_path, schema=Bounded)
    fields = {"critique": {"title": "Critique", "type": "string", "maxLength": 64}}
    assert f'"properties":{canonical(fields)[:-1]}' in asked and "max_tokens" not in asked


def test_a_text_of_any_length_of_the_embedded_model_ends(tmp_path):
    asked = asked_of_the_embedded_model(tmp_path, schema=Weighed)
    assert '"max_tokens":1024' in asked and asked.count("maxLength") == 1
    assert '"max_tokens":9,' in asked_of_the_embedded_model(tmp_path, schema=Weighed, max_tokens=9)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (completion('{"reason": "clear"'), "invalid reply: JSON: Invalid JSON"),
        (completion('{"reason": "clear", "score": "high"}'), "invalid reply: score: Input should be a valid integer"),
        (
            completion(json.dumps({"reason": "x" * 61, "score": 1})),
            "invalid reply: reason: String should have at most 60",
        ),
        (completion("", refusal="I would rather not"), "refusal: I would rather not"),
        (completion('{"rea', finish_reason="length"), "cut off: max_tokens reached"),
        (completion("", finish_reason="content_filter"), "stopped by a content filter"),
        (completion(""), "empty reply"),
        ({"choices": []}, "empty reply"),
        ((400, {"error": {"message": "prompt too long"}}), "prompt too long"),
    ],
)
def test_what_is_no_answer_says_why_and_is_not_asked_again(answer, failure):
    with Endpoint(lambda body: answer) as endpoint:
        model = Model("m", endpoint.url)
        for _ in range(2):
            (reply,) = model.ask(say("judge"), schema=Verdict)
            assert reply.value is None and failure in reply.failure
        invalid, cut = failure.startswith("invalid"), failure.startswith("cut off")
        assert len(endpoint.requests) == (3 if invalid else 1 + cut)  # a default limit is raised once
        assert model.usage["failed"] == 2
        assert model.store.counts()["failed"] == (3 if invalid else 1 + cut)
        endpoint.answer = lambda body: completion('{"reason": "clear", "score": 3}')
        assert model.store.forget_failed() and model.ask(say("judge"), schema=Verdict)[0].value.score == 3


def test_a_reply_that_does_not_validate_is_asked_again_with_the_error():
    def second_time(body: dict) -> dict:
        return completion('{"reason": "clear", "score": 3}' if len(body["messages"]) > 1 else '{"reason": "clear"}')

    with Endpoint(second_time) as endpoint:
        (reply,) = Model("m", endpoint.url).ask(say("judge"), schema=Verdict)
        first, again = (r["messages"] for r in endpoint.requests)
    assert reply.value.score == 3 and reply.failure is None
    assert again[:1] == first and again[1] == {"role": "assistant", "content": '{"reason": "clear"}'}
    assert "score: Field required" in again[2]["content"]
    assert json.loads(Store().get(reply.key).request)["messages"] == again  # the request that was answered
    assert Store().counts() == {"replies": 2, "failed": 0}


def test_a_chain_of_invalid_replies_is_replayed_as_it_was_from_a_recording(tmp_path):
    with Endpoint(lambda body: completion('{"reason": "clear"}')) as endpoint:
        live = Model("m", endpoint.url).ask(say("judge"), schema=Verdict)
        assert Store().write_recording(tmp_path / "r.jsonl") == 3
    recorded = Store(tmp_path / "other.sqlite", recording=tmp_path / "r.jsonl", offline=True)
    (again,) = Model("m", endpoint.url, recorded).ask(say("judge"), schema=Verdict)
    assert again.cached and (again.text, again.failure) == (live[0].text, live[0].failure)


def test_an_error_of_transport_is_a_failed_row_that_the_next_run_asks_again(monkeypatch):
    monkeypatch.setattr("persona_lib.model.transport.connection.RETRIES", 0)
    broken = True
    with Endpoint(lambda body: (500, {"error": {"message": "down"}}) if broken else completion("fine")) as endpoint:
        (reply,) = Model("m", endpoint.url).ask(say("x"))
        assert "no reply: InternalServerError" in reply.failure
        broken = False
        (reply,) = Model("m", endpoint.url).ask(say("x"))
        assert reply.text == "fine"


def test_choose_normalizes_over_the_options_with_and_without_leading_blank():
    with Endpoint(lambda body: first_token(A=0.3, _A=0.15, B=0.15, The=0.4)) as endpoint:
        model = Model("m", endpoint.url)
        np.testing.assert_allclose(model.choose(say("x", "y")), [[0.75, 0.25]] * 2)
        assert endpoint.requests[0]["top_logprobs"] == 20 and endpoint.requests[0]["max_tokens"] == 1
        assert np.isnan(model.choose(say("x"), options=("C", "D"))).all() and model.usage["failed"] == 1
        assert model.choose([]).shape == (0, 2)


def test_no_log_probabilities_are_found_out_with_the_first_item():
    with Endpoint(lambda body: completion("A")) as endpoint:
        with pytest.raises(UserError, match="m offers no log-probabilities"):
            Model("m", endpoint.url, max_in_flight=1).choose(say("x", "y", "z"))
        assert len(endpoint.requests) == 1


def test_a_missing_key_is_said_before_anything_is_sent():
    with pytest.raises(UserError, match="no API key for gpt-x: set OPENAI_API_KEY"):
        Model("gpt-x").ask(say("x"))


def test_an_unreachable_endpoint_is_said_at_once():
    with pytest.raises(UserError, match=r"no answer from http://127.0.0.1:9/v1 .*: is the server running"):
        Model("m", "http://127.0.0.1:9/v1").ask(say("x"))


def test_a_model_that_the_endpoint_does_not_have_is_said_with_those_it_has():
    with Endpoint(models=("small", "large")) as endpoint:
        with pytest.raises(UserError, match="has no model 'larg'; it has large, small"):
            Model("larg", endpoint.url).ask(say("x"))
        assert not endpoint.requests


def test_a_refused_key_stops_at_the_first_call_and_is_never_stored(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key-123")
    with Endpoint(lambda body: (401, {"error": {"message": "bad key"}})) as endpoint:
        with pytest.raises(UserError, match="refuses 'm': AuthenticationError") as caught:
            Model("m", endpoint.url, max_in_flight=1).ask(say("x", "y"))
        assert len(endpoint.requests) == 1 and endpoint.headers["Authorization"] == "Bearer secret-key-123"
        endpoint.answer = lambda body: completion("fine")
        Model("m", endpoint.url).ask(say("x"))
    assert "secret" not in str(caught.value)
    assert b"secret" not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_offline_a_missing_reply_is_an_error_that_names_the_request():
    model = Model("m", "http://127.0.0.1:9/v1", store=Store(offline=True))
    with pytest.raises(UserError, match=r'offline, and no reply is recorded for .*"content":"what is missing"'):
        model.ask(say("what is missing"))


def test_ask_works_inside_a_running_event_loop_as_in_a_notebook():
    async def cell(url: str) -> str:
        return Model("m", url).ask(say("from a notebook"))[0].text

    with Endpoint() as endpoint:
        assert anyio.run(cell, endpoint.url) == "from a notebook"


def test_in_a_notebook_an_error_for_the_user_is_the_cells_error_in_one_line():
    notebook = nbformat.v4.new_notebook()
    code = "from persona_lib.model import Model\nModel('m', 'http://127.0.0.1:9/v1').choose([[]])"
    notebook.cells = [nbformat.v4.new_code_cell(code)]
    nbclient.NotebookClient(notebook, timeout=LONG_S, allow_errors=True, kernel_name="python3").execute()
    (error,) = (output for output in notebook.cells[0].outputs if output.output_type == "error")
    assert error.ename == "EndpointError" and error.evalue.startswith("no answer from http://127.0.0.1:9/v1")
    assert error.traceback == [f"EndpointError: {error.evalue}"]


def test_an_interrupt_stops_the_ask_and_keeps_what_was_answered(tmp_path):
    with Endpoint() as endpoint:
        endpoint.holds = 11
        code = f"""
from persona_lib.model import Model
Model("m", {endpoint.url!r}, max_in_flight=2).ask([[{{"role": "user", "content": str(n)}}] for n in range(500)])
"""
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
        until(lambda: len(endpoint.requests) == 12)
        assert b"KeyboardInterrupt" in stopped(process, signal.SIGINT)[1]
        assert Store().counts()["replies"] == 10 and len(endpoint.requests) == 12


def test_progress_goes_to_the_file_that_a_run_follows(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSONA_PROGRESS", str(tmp_path / "progress"))
    with Endpoint() as endpoint:
        Model("m", endpoint.url).ask(say("x", "y"), step="answers")
    lines = [json.loads(line) for line in (tmp_path / "progress").read_text().splitlines()]
    told = [(line["step"], line["done"], line["total"]) for line in (lines[0], lines[-1])]
    assert told == [("answers", 0, 2), ("answers", 2, 2)]


def test_without_a_terminal_progress_is_plain_log_lines(capsys):
    with Endpoint() as endpoint:
        Model("m", endpoint.url).ask(say("x", "y"), step="answers")
    assert capsys.readouterr().err.splitlines() == ["answers: 0 of 2 done", "answers: 2 of 2 done"]


# --- the embedded model itself -------------------------------------------------------------------------------------


def test_the_embedded_model_answers_in_the_schema_and_chooses():
    model = Model("local")
    (reply,) = model.ask(say("Give a one-word reason and a score from 1 to 5 for tea."), schema=Verdict)
    assert isinstance(reply.value, Verdict) and len(reply.value.reason) <= 60
    chances = model.choose(say("Is ice cold? Reply with the letter only. A: yes, B: no."))
    assert chances.shape == (1, 2) and chances.sum() == pytest.approx(1)
    assert model.identity["weights_sha256"] == local.GGUF_SHA256 and model.usage["cost"] == 0


def test_the_embedded_server_listens_on_the_loopback_only_and_logs_to_a_file():
    server = local.serve(local.gguf("local"))
    assert server.base_url.startswith("http://127.0.0.1:")
    assert "model loaded" in server.log.read_text()


def test_a_prompt_too_long_for_the_model_is_a_failed_row_that_says_so():
    (reply,) = Model("local").ask(say("word " * 6000))
    assert "exceeds the available context size" in reply.failure


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX only")
def test_the_embedded_server_is_gone_when_its_process_is_killed():
    code = """
import os, signal
from persona_lib import local
server = local.serve(local.gguf("local"))
print(server.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG_S)
    until(lambda: not runs(int(done.stdout)))


def test_a_library_that_llama_cpp_lacks_is_said_in_one_line(tmp_path):
    lacking = 'raise ImportError("libgomp.so.1: cannot open shared object file: No such file or directory")'
    (tmp_path / "xllamacpp.py").write_text(lacking)  # stands in for the package on a system without the library
    command, environment = [sys.executable, "-m", "persona_lib.local"], os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and line.startswith("llama.cpp can't be loaded (libgomp.so.1: cannot open")


def test_a_file_that_is_no_gguf_or_is_missing_is_said(tmp_path):
    (tmp_path / "fake.gguf").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"fake.gguf is no GGUF model file"):
        Model(str(tmp_path / "fake.gguf")).ask(say("x"))
    with pytest.raises(UserError, match=r"no model file .*none.gguf"):
        Model(str(tmp_path / "none.gguf")).ask(say("x"))


def test_a_gguf_that_llama_cpp_cannot_load_is_said_with_its_log(tmp_path):
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(UserError, match=r"could not load .*broken.gguf: see .*server.log"):
        Model(str(tmp_path / "broken.gguf")).ask(say("x"))


def test_no_thread_is_left_behind():
    before = threading.active_count()
    with Endpoint() as endpoint:
        Model("m", endpoint.url).ask(say("x"))
    assert threading.active_count() <= before


def test_two_threads_may_ask_one_model_and_each_call_is_made_and_counted_once():
    texts = [f"number {n}" for n in range(300)]
    with Endpoint(delay_s=0.002) as endpoint:
        model = Model("m", endpoint.url, max_in_flight=16)
        with ThreadPoolExecutor(2) as threads:
            same = threads.submit(model.ask, say(*texts), step="one")
            other = threads.submit(model.ask, say(*texts[::-1], "alone"), step="one")
            assert [r.text for r in same.result(LONG_S)] == texts
            assert [r.text for r in other.result(LONG_S)] == [*texts[::-1], "alone"]
        assert len(endpoint.requests) == 301
    assert model.usage["calls"] == 301 and model.usage["cached"] == 300 and model.usage["failed"] == 0
    assert model.steps["one"]["calls"] == 301


def test_two_threads_share_a_budget():
    with Endpoint(delay_s=0.002) as endpoint:
        model = Model("m", endpoint.url, max_calls=50)
        with ThreadPoolExecutor(2) as threads:
            asked = [threads.submit(model.ask, say(*(f"{k} {n}" for n in range(40)))) for k in range(2)]
            errors = [a.exception(LONG_S) for a in asked]
        assert any(isinstance(error, UserError) for error in errors) and len(endpoint.requests) == 50


def test_a_store_may_be_given_as_a_path(tmp_path):
    with Endpoint() as endpoint:
        Model("m", endpoint.url, tmp_path / "own.sqlite").ask(say("x"))
        assert Model("m", endpoint.url, str(tmp_path / "own.sqlite")).ask(say("x"))[0].cached


def test_two_threads_share_the_cost_that_calls_in_flight_may_take(monkeypatch):
    priced = catalogue.Price.model_validate({"in": 0, "out": 1e6, "date": "2026-01-01", "source": "made up"})
    monkeypatch.setattr(catalogue, "price", lambda name: priced)
    with Endpoint(delay_s=0.005) as endpoint:  # each reply takes 3 tokens, $3; until it is there, $5 are held
        model = Model("m", endpoint.url, max_cost=100)
        with ThreadPoolExecutor(2) as threads:
            asked = [threads.submit(model.ask, say(*(f"{k} {n}" for n in range(10))), max_tokens=5) for k in range(2)]
            replies = [reply for a in asked for reply in a.result(LONG_S)]
    assert len(replies) == 20 == len(endpoint.requests) and model.usage["cost"] == 60


def test_messages_that_are_made_by_asking_the_same_model_are_refused_and_by_another_are_not():
    with Endpoint() as endpoint:
        one, other = Model("m", endpoint.url), Model("m", endpoint.url)

        def nested(asked: Model):
            yield say("a")[0]
            yield say(asked.ask(say("b"))[0].text)[0]

        with pytest.raises(UserError, match="a generator that asks it: make a list of them first"):
            one.ask(nested(one))
        assert [reply.text for reply in one.ask(nested(other))] == ["a", "b"]


def test_a_failed_reply_asked_again_writes_its_fields_in_the_order_of_the_first_time():
    class Worked(BaseModel):
        reasoning: str
        answer: str

    with Endpoint(lambda body: completion("no JSON at all")) as endpoint:
        model = Model("m", endpoint.url)
        failed = model.ask([[{"role": "user", "content": "hello"}]], Worked)[0]
        assert failed.failure and failed.key
        ask_again(model, failed.key)
    first, *_, last = [body["response_format"]["json_schema"]["schema"] for body in endpoint.requests]
    assert list(first["properties"]) == list(last["properties"]) == ["reasoning", "answer"]
