"""Model through the Batch API, against a stand-in endpoint on the loopback."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import anyio
import numpy as np
import pytest
from batch_endpoint import QUICK, BatchEndpoint, quick  # noqa: F401 (a fixture)
from endpoint import completion, echo, first_token, say
from pydantic import BaseModel
from waits import LONG_S, stopped, until

from persona_lib import UserError
from persona_lib.model import Model
from persona_lib.store import Store


class Verdict(BaseModel):
    score: int


def model(endpoint: BatchEndpoint, store: Store | None = None) -> Model:
    return Model("m", endpoint.url, store, batch=True)


def replies(store: Store) -> list[tuple]:
    """The rows of a store without their time."""
    with sqlite3.connect(store.path) as db:
        rows = db.execute("SELECT key, request, reply, failure FROM replies ORDER BY key").fetchall()
    db.close()
    return rows


def waiting(store: Store) -> int:
    """How many requests the store believes to be under way."""
    with sqlite3.connect(store.path) as db:
        (count,) = db.execute("SELECT (SELECT count(*) FROM batches) + (SELECT count(*) FROM submitted)").fetchone()
    db.close()
    return count


def test_replies_come_in_order_and_a_direct_model_finds_them_in_the_store():
    texts = [f"number {n}" for n in range(50)] + ["number 0"]
    with BatchEndpoint() as endpoint:
        batched = model(endpoint)
        assert [(r.text, r.cached) for r in batched.ask(say(*texts))] == [(t, t is texts[-1]) for t in texts]
        assert len(endpoint.batches) == 1 and len(endpoint.sent) == 50
        direct = Model("m", endpoint.url)
        assert [(r.text, r.cached) for r in direct.ask(say(*texts))] == [(t, True) for t in texts]
        assert len(endpoint.requests) == 50
    assert (batched.usage["calls"], batched.usage["cached"], batched.usage["tokens_in"]) == (50, 1, 500)
    assert waiting(batched.store) == 0


def test_requests_and_what_is_kept_are_those_of_the_direct_path(tmp_path):
    def some(body: dict) -> object:
        text = body["messages"][0]["content"]
        return (400, {"error": {"message": "too long"}}) if text == "long" else completion('{"score": 3}')

    kept, sent, got = [], [], []
    for kind in (Model, lambda *args: Model(*args, batch=True)):
        with BatchEndpoint(some) as endpoint:
            store = Store(tmp_path / str(len(kept)))
            asked = kind("m", endpoint.url, store)
            told = asked.ask(say("x", "long"), schema=Verdict, max_tokens=9, temperature=1, sample=2)
            got.append([replace(reply, key=None) for reply in told])
            kept.append([row[2:] for row in replies(store)])  # another port makes other keys
            sent.append(sorted(endpoint.requests, key=str))
            assert asked.usage["calls"] == 2 and asked.usage["failed"] == 1
    assert got[0] == got[1] and "BadRequestError: Error code: 400" in got[1][1].failure
    assert sorted(kept[0]) == sorted(kept[1]) and len(kept[0]) == 2
    assert sent[0] == sent[1] and sent[1][0]["response_format"]["json_schema"]["strict"]


def test_choices_go_through_batches_too():
    with BatchEndpoint(lambda body: first_token(A=0.6, B=0.2, The=0.2)) as endpoint:
        np.testing.assert_allclose(model(endpoint).choose(say("x", "y")), [[0.75, 0.25]] * 2)
        assert len(endpoint.batches) == 1 and endpoint.requests[0]["top_logprobs"] == 20


@pytest.mark.parametrize(
    ("bound", "value", "sizes"), [("MOST_REQUESTS", 4, [4, 4, 2]), ("MOST_BYTES", 800, [3, 3, 3, 1])]
)
def test_files_are_split_by_count_and_by_bytes(monkeypatch, bound, value, sizes):
    monkeypatch.setattr(f"persona_lib.model.transport.batches.{bound}", value)
    with BatchEndpoint() as endpoint:
        texts = [str(n) * 10 for n in range(10)]
        assert [r.text for r in model(endpoint).ask(say(*texts))] == texts
        assert sorted((len(endpoint.items(b)) for b in endpoint.batches.values()), reverse=True) == sizes
        assert all(len(endpoint.files[b["input_file_id"]]) <= 1000 for b in endpoint.batches.values())


def test_an_item_that_failed_or_expired_is_a_row_with_its_reason_and_asked_again_by_the_next_run():
    broken = {"down": (500, {"error": {"message": "no luck"}}), "late": None, "odd": "no object"}
    with BatchEndpoint(lambda body: broken.get(body["messages"][0]["content"], echo(body)), ends="expired") as endpoint:
        first = model(endpoint)
        fine, down, late, odd = first.ask(say("fine", "down", "late", "odd"))
        assert fine.text == "fine" and fine.failure is None
        assert "no reply: Error code: 500" in down.failure and "no luck" in down.failure
        assert late.failure == "no reply: batch_expired: not done in time"
        assert "no reply: Error code: 200 - no object" in odd.failure
        assert first.usage["failed"] == 3 and first.store.counts() == {"replies": 1, "failed": 0}
        broken.clear()
        assert [r.text for r in model(endpoint).ask(say("fine", "down", "late", "odd"))] == [
            "fine",
            "down",
            "late",
            "odd",
        ]
        assert len(endpoint.sent) == 4 + 3


def test_half_of_a_surrogate_pair_and_other_odd_lines_leave_the_rest_of_a_batch_to_be_fetched():
    said = {
        "half": completion("sad 😢 half \ud83d"),
        "refused": (400, {"error": {"message": "half \ud83d"}}),
        "no completion": {"choices": None},
        "usage of text": completion("x") | {"usage": "none"},
        "endless": completion("ENDLESS"),
    }
    with BatchEndpoint(lambda body: said.get(body["messages"][0]["content"], echo(body))) as endpoint:
        step = endpoint._step

        def last(batch: dict) -> None:
            step(batch)
            if file := batch.get("output_file_id"):
                endpoint.files[file] = endpoint.files[file].replace(b'"ENDLESS"', b"[" * 100_000)

        endpoint._step = last
        half, refused, nothing, usage, endless, fine = model(endpoint).ask(say(*said, "fine"))
        assert half.text == "sad 😢 half ?" and refused.failure.endswith("half ?") and fine.text == "fine"
        assert usage.text == "x"  # a usage that is no object tells nothing, and costs no reply
        assert all(reply.failure.startswith("no reply: ") for reply in (nothing, endless))
        assert Store().counts() == {"replies": 4, "failed": 1} and waiting(Store()) == 0


def test_a_request_of_which_no_file_says_anything_is_a_row_that_says_so(monkeypatch):
    with BatchEndpoint() as endpoint:
        whole = endpoint._line
        endpoint._line = lambda item: (
            whole(item)
            if item["body"]["messages"][0]["content"] == "x"
            else whole({"body": item["body"], "custom_id": None})
        )
        x, y = model(endpoint).ask(say("x", "y"))
        assert x.text == "x" and y.failure == "no reply: batch_0 is completed without one"


def test_a_batch_that_fails_as_a_whole_ends_it_in_one_line_and_is_sent_anew():
    with BatchEndpoint(ends="failed") as endpoint:
        with pytest.raises(UserError, match=r"^http://\S+ refuses the whole batch batch_0: not JSON \(line 2\)$"):
            model(endpoint).ask(say("x", "y"))
        assert waiting(Store()) == 0
        endpoint.ends = "completed"
        assert [r.text for r in model(endpoint).ask(say("x", "y"))] == ["x", "y"]


def test_an_endpoint_without_a_batch_api_is_said_and_so_is_the_embedded_model():
    with BatchEndpoint() as endpoint:
        endpoint.status = 404
        with pytest.raises(UserError, match=r"accepts no file of requests .*leave out batch=True"):
            model(endpoint).ask(say("x"))
    with pytest.raises(UserError, match="the model 'local' runs here, where there is no Batch API"):
        Model(batch=True)


def test_what_does_not_validate_goes_into_a_second_batch_with_the_error():
    def second_time(body: dict) -> dict:
        fine = len(body["messages"]) > 1 or body["messages"][0]["content"] == "easy"
        return completion('{"score": 3}' if fine else '{"score": "high"}')

    with BatchEndpoint(second_time) as endpoint:
        replies = model(endpoint).ask(say("hard", "easy", "harder"), schema=Verdict)
        assert [r.value.score for r in replies] == [3, 3, 3]
        assert [len(endpoint.items(batch)) for batch in endpoint.batches.values()] == [3, 2]
        assert all("valid integer" in item["body"]["messages"][2]["content"] for item in endpoint.sent[3:])


# --- kills, interrupts and lost answers -----------------------------------------------------------------------------


def asking(url: str, count: int) -> subprocess.Popen:
    """Another process that asks `count` items through batches and prints the replies."""
    code = f"""
import json
from persona_lib.model.transport import batches as batch
from persona_lib.model import Model
vars(batch).update({QUICK!r})
replies = Model("m", {url!r}, batch=True).ask([[{{"role": "user", "content": str(n)}}] for n in range({count})])
print(json.dumps([r.text for r in replies]))
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_after_a_kill_a_new_process_fetches_and_submits_only_what_is_new():
    with BatchEndpoint(hold=True) as endpoint:
        process = asking(endpoint.url, 5)
        until(lambda: any(b["status"] == "in_progress" for b in endpoint.batches.values()))
        stopped(process, signal.SIGKILL)
        assert Store().counts()["replies"] == 0 and waiting(Store()) == 1 + 5
        endpoint.hold = False
        out, _ = asking(endpoint.url, 7).communicate(timeout=LONG_S)
        assert json.loads(out) == [str(n) for n in range(7)]
        assert [len(endpoint.items(batch)) for batch in endpoint.batches.values()] == [5, 2]
    assert waiting(Store()) == 0


def test_a_kill_before_the_answer_that_a_batch_is_made_submits_nothing_twice():
    with BatchEndpoint() as endpoint:
        endpoint.hold_create = True
        process = asking(endpoint.url, 5)
        until(lambda: endpoint.batches)
        stopped(process, signal.SIGKILL)
        endpoint.hold_create = False
        assert [r.text for r in model(endpoint).ask(say(*"01234"))] == list("01234")
        assert len(endpoint.batches) == 1 and len(endpoint.sent) == 5


def test_a_lost_answer_to_a_creation_makes_no_second_batch(monkeypatch):
    monkeypatch.setattr("persona_lib.model.transport.batches.wait", lambda error, tries: 0)
    with BatchEndpoint(lose=1) as endpoint:
        assert [r.text for r in model(endpoint).ask(say("x", "y"))] == ["x", "y"]
        assert len(endpoint.batches) == 1


def test_what_a_batch_brings_is_kept_also_where_nobody_asks_for_it_any_more():
    with BatchEndpoint(hold=True) as endpoint:
        process = asking(endpoint.url, 5)
        until(lambda: any(b["status"] == "in_progress" for b in endpoint.batches.values()))
        stopped(process, signal.SIGKILL)
        endpoint.hold = False
        assert [r.text for r in model(endpoint).ask(say("3"))] == ["3"]
        assert Store().counts()["replies"] == 5 and len(endpoint.batches) == 1


def test_an_interrupt_leaves_the_batch_running_and_says_that_nothing_is_lost():
    with BatchEndpoint(hold=True) as endpoint:
        process = asking(endpoint.url, 5)
        until(lambda: any(b["status"] == "in_progress" for b in endpoint.batches.values()))
        said = stopped(process, signal.SIGINT)[1].decode()
    assert f"still under way at {endpoint.url}: batch_0; nothing is lost, the same command fetches" in said
    assert "never retrieved" not in said and "was destroyed" not in said


def test_a_batch_that_the_endpoint_no_longer_has_is_said_and_sent_anew():
    with BatchEndpoint(hold=True) as endpoint:
        process = asking(endpoint.url, 2)
        until(lambda: any(b["status"] == "in_progress" for b in endpoint.batches.values()))
        stopped(process, signal.SIGKILL)
        endpoint.batches.clear()
        endpoint.hold = False
        with pytest.raises(UserError, match=r"does not have batch_0: .*the same command sends its requests again"):
            model(endpoint).ask(say("0", "1"))
        assert [r.text for r in model(endpoint).ask(say("0", "1"))] == ["0", "1"]


def test_an_endpoint_that_is_away_for_a_while_is_asked_again():
    with BatchEndpoint() as endpoint:
        endpoint.away = 1
        assert [r.text for r in model(endpoint).ask(say("x"))] == ["x"]
        assert endpoint.away == 0 and len(endpoint.batches) == 1


def test_progress_says_how_many_the_endpoint_has_done(monkeypatch, capsys):
    monkeypatch.setattr("persona_lib.model.asking.progress.LOG_EVERY_S", 0)
    with BatchEndpoint() as endpoint:
        model(endpoint).ask(say(*map(str, range(10))), step="answers")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "answers: 0 of 10 done" and "answers: 5 of 10 done" in lines[1:3]
    assert lines[-1] == "answers: 10 of 10 done"


def test_no_key_is_stored(monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key-123")
    with BatchEndpoint() as endpoint:
        model(endpoint).ask(say("x"))
        assert endpoint.headers["Authorization"] == "Bearer secret-key-123"
        endpoint.status = 401
        with pytest.raises(UserError) as caught:
            model(endpoint).ask(say("y"))
        assert not any(b"secret" in content for content in endpoint.files.values())
    assert b"secret" not in b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert "secret" not in str(caught.value) + "".join(capfd.readouterr())


def test_it_works_inside_a_running_event_loop_as_in_a_notebook():
    async def cell(endpoint: BatchEndpoint) -> str:
        return model(endpoint).ask(say("from a notebook"))[0].text

    with BatchEndpoint() as endpoint:
        assert anyio.run(cell, endpoint) == "from a notebook"


def questions(n: int) -> list[list[dict]]:
    return [[{"role": "user", "content": f"Question {i}"}] for i in range(n)]


def test_what_is_sent_ahead_is_found_by_whoever_asks_afterwards():
    with BatchEndpoint() as endpoint:
        bulk = model(endpoint)
        bulk.send(message for message in [*questions(5), *questions(2)])  # equal ones are sent once
        assert len(endpoint.sent) == 5 and bulk.usage["calls"] == 5 and bulk.usage["tokens_in"] == 50
        single = Model("m", endpoint.url)
        assert [r.text for r in single.ask(questions(5))] == [f"Question {i}" for i in range(5)]
        assert single.usage["calls"] == 0
        bulk.send(questions(6))
        assert [len(endpoint.items(batch)) for batch in endpoint.batches.values()] == [5, 1]


def test_a_full_file_goes_off_before_more_requests_are_written(monkeypatch):
    monkeypatch.setattr("persona_lib.model.transport.batches.MOST_REQUESTS", 4)
    with BatchEndpoint() as endpoint:
        written = []

        def messages():
            for i, message in enumerate(questions(10)):
                written.append(len(endpoint.files))
                assert i < 4 * (len(endpoint.files) + 1) + 1, "more than a file is held"
                yield message

        model(endpoint).send(messages())
        assert [len(endpoint.items(batch)) for batch in endpoint.batches.values()] == [4, 4, 2] and len(written) == 10


def test_what_another_process_has_sent_ahead_is_waited_for_not_sent_again():
    with BatchEndpoint(hold=True) as endpoint:
        threads = [threading.Thread(target=model(endpoint).send, args=(questions(3),)) for _ in range(2)]
        for thread in threads:
            thread.start()
            until(lambda: endpoint.batches)
        time.sleep(0.3)  # in which the other would send the same, if it did not wait
        endpoint.hold = False
        for thread in threads:
            thread.join(LONG_S)
        assert len(endpoint.batches) == 1 and Store().counts()["replies"] == 3


def test_an_endpoint_that_refuses_files_ends_sending_ahead(monkeypatch):
    monkeypatch.setattr("persona_lib.model.transport.batches.MOST_REQUESTS", 2)
    with BatchEndpoint() as endpoint:
        endpoint.status = 403
        with pytest.raises(UserError, match="accepts no file of requests"):
            model(endpoint).send(questions(5))


def test_two_threads_with_the_same_work_submit_and_count_it_once():
    with BatchEndpoint() as endpoint:
        asked = model(endpoint)
        with ThreadPoolExecutor(2) as threads:
            both = [threads.submit(asked.ask, say(*map(str, range(20)), own)) for own in "ab"]
            assert [len(one.result(LONG_S)) for one in both] == [21, 21]
        assert len(endpoint.sent) == 22 == asked.usage["calls"] and asked.usage["cached"] == 20


# --- which dialect an endpoint speaks is found before a file goes off ----------------------------------------------


def only_objects(body: dict):
    """An endpoint that takes no JSON schema."""
    if body.get("response_format", {}).get("type") == "json_schema":
        return 400, {"error": {"message": "This response_format type is unavailable now"}}
    return completion('{"score": 3}')


def test_one_call_finds_the_dialect_and_the_files_speak_it():
    with BatchEndpoint(only_objects, known=False) as endpoint:
        asked = model(endpoint).ask(say(*"01234"), schema=Verdict)
        assert [reply.value.score for reply in asked] == [3] * 5
        assert len(endpoint.requests) == 2 + 4 and len(endpoint.sent) == 4
        forms = [item["body"]["response_format"]["type"] for item in endpoint.sent]
        assert forms == ["json_object"] * 4
        model(endpoint).ask(say(*"56789"), schema=Verdict)  # as another process: it is known
        assert len(endpoint.sent) == 4 + 5


def test_what_is_sent_ahead_speaks_the_dialect_too():
    with BatchEndpoint(only_objects, known=False) as endpoint:
        model(endpoint).send(say(*"01234"), schema=Verdict)
        assert len(endpoint.sent) == 4
        direct = Model("m", endpoint.url)
        assert all(reply.cached for reply in direct.ask(say(*"01234"), schema=Verdict))
        assert len(endpoint.requests) == 2 + 4


def test_an_endpoint_that_refuses_all_requests_gets_no_file():
    refuse = 400, {"error": {"message": "the moon is full"}}
    with BatchEndpoint(lambda body: refuse, known=False) as endpoint:
        for ask in (model(endpoint).ask, model(endpoint).send):
            with pytest.raises(UserError, match=r"the first 20 items of '.*' all fail"):
                ask(say(*map(str, range(100))))
        assert not endpoint.files and len(endpoint.requests) == 20 + 1  # with a guess
