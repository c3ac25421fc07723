"""Files of requests and of replies: what an engine gets, what is brought in, and what is told of the rest."""

import json
import re
import sys

import pytest
from commands import one_line, persona
from endpoint import Endpoint, completion, first_token, say
from places import ROOT
from pydantic import BaseModel

from persona_lib import UserError
from persona_lib.model import Model, exchange
from persona_lib.model.replies import dry
from persona_lib.model.replies.reply import tokens
from persona_lib.store import Exported, Store, canonical, key_of

WHO = {"name": "org/Big-7B", "base_url": "http://127.0.0.1:9/v1"}
SCHEMA = {
    "name": "Verdict",
    "schema": {"type": "object", "properties": {"verdict": {"type": "string"}}, "required": ["verdict"]},
}


class Verdict(BaseModel):
    verdict: str


def exported(n: int = 3, **fields) -> dict[str, dict]:
    """Requests that wait for replies, by key."""
    requests = [{"model": WHO, "messages": one, **fields} for one in say(*(f"item {i}" for i in range(n)))]
    waiting = {key_of(canonical(request)): request for request in requests}
    Exported(Store()).note((key, canonical(request)) for key, request in waiting.items())
    return waiting


def sent(key: str, body: dict | None, status: int = 200, error=None) -> str:
    """A line as vLLM writes it."""
    response = {"status_code": status, "request_id": "r", "body": body}
    return json.dumps({"id": "vllm-1", "custom_id": key, "response": response, "error": error}) + "\n"


def written(tmp_path, *lines: str, name: str = "replies.jsonl"):
    (tmp_path / name).write_text("".join(lines))
    return tmp_path / name


def by(name: str, text: str = "yes") -> dict:
    return completion(text) | {"model": name}


def test_what_is_brought_in_is_kept_as_the_reply_to_a_call_is(tmp_path):
    likely = first_token(A=0.7, B=0.2)
    likely["choices"][0]["logprobs"]["content"][0]["bytes"] = [65]
    with Endpoint(lambda body: likely) as endpoint:
        direct = Model("m", endpoint.url, Store(tmp_path / "direct.sqlite"))
        direct.choose(say("choose"))
    rows = direct.store.db.execute("SELECT key, plain(request), reply, failure FROM replies").fetchall()
    Exported(Store()).note((key, request) for key, request, _, _ in rows)
    exchange.bring([written(tmp_path, sent(rows[0][0], likely))], Store())
    assert [tuple(Store().get(rows[0][0]))] == rows and tokens(json.loads(rows[0][2]))
    assert Model("m", endpoint.url, Store()).choose(say("choose"))[0, 0] == pytest.approx(7 / 9)


def test_lines_that_bring_nothing_are_counted_with_their_reason_and_a_second_time_changes_nothing(tmp_path):
    good, refused, gone, other, crashed = exported(5)
    message = {"error": {"message": "this prompt is too long", "type": "BadRequestError", "code": 400}}
    file = written(
        tmp_path,
        sent(good, by("org/Big-7B")),
        sent(good, by("org/Big-7B", "no")),
        sent(refused, None, 400, message),
        sent(gone, None, 404, {"error": {"message": "The model `x` does not exist", "code": 404}}),
        sent(other, by("Small-1B")),
        sent(crashed, None, 400, "EngineCore is dead"),
        sent("0" * 64, by("org/Big-7B")),
        "\n",
        "no JSON\n",
        sent(crashed, by("org/Big-7B"))[:-30],
    )
    said = persona("replies", file).stdout
    expected = (
        "1 reply brought in",
        "1 refusals brought in, which teach",
        "1 lines more for a request of these files that has its reply (first: replies.jsonl line 2",
        "3 lines without a reply that can be kept",
        "1 lines under keys that no request of this store has (first: replies.jsonl line 7",
        "1 lines cut off at the end of a file (first: replies.jsonl line 10",
        "1 lines that are no JSON with a custom_id (first: replies.jsonl line 9: no JSON",
        "1 time: BadRequestError: Error code: 400 - this prompt is too long",
        "no reply: Error code: 404 - The model `x` does not exist",
        "the reply is by Small-1B, not by org/Big-7B; if that is its name there: --by 'Small-1B'",
        "no reply: Error code: 400 - EngineCore is dead",
    )
    assert [text for text in expected if text not in said] == [], said
    store = Store()
    assert json.loads(store.get(good).reply)["choices"][0]["message"]["content"] == "yes"
    assert store.get(refused).failure.startswith("BadRequestError") and not store.get(other)
    assert store.counts() == {"replies": 2, "failed": 1}
    again = persona("replies", file).stdout
    assert "0 replies brought in" in again and "3 lines whose request had a reply already" in again
    assert Store().counts() == {"replies": 2, "failed": 1}
    assert "1 reply brought in" in persona("replies", file, "--by", "Small-1B").stdout


def test_an_engine_may_call_a_model_by_its_folder_or_version(tmp_path):
    keys = list(exported(4))
    names = ("/models/big-7b/", "big-7b-2026-01-31", "Big-7B", "big-7b-instruct")
    brought = exchange.bring([written(tmp_path, *(sent(k, by(n)) for k, n in zip(keys, names, strict=True)))], Store())
    assert brought.counts == {"answers": 3, "failed": 1}


def test_replies_without_what_holds_them_count_too(tmp_path):
    bare, half = exported(2)
    lines = [json.dumps({"custom_id": bare, "response": by("Big-7B")}) + "\n"]
    lines += [json.dumps({"custom_id": half, "response": {"body": by("Big-7B")}}) + "\n"]
    assert exchange.bring([written(tmp_path, *lines)], Store()).counts == {"answers": 2}


def test_an_error_beside_choices_counts_by_its_words_and_one_that_says_nothing_is_none(tmp_path):
    refused, fine = exported(2)
    errors = {refused: {"message": "filtered"}, fine: None}
    lines = [sent(key, by("big-7b") | {"error": error}) for key, error in errors.items()]
    brought = exchange.bring([written(tmp_path, *lines)], Store())
    assert brought.counts == {"refused": 1, "answers": 1} and brought.reasons == {"filtered": 1}
    assert Store().get(refused).failure == "filtered" and Store().get(fine).failure is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty: look into the engine's own messages"),
        ("\n\n", "is empty"),
        ("persona,answer\n1,yes\n", "has no replies (replies.jsonl line 1: persona,answer): give the engine's output"),
        ('{"error": {"message": "quota"}}\n', "has no replies"),
        ('{"custom_id": "x", "method": "POST", "url": "/v1", "body": {}}\n', "has requests, not replies"),
    ],
)
def test_a_file_of_something_else_is_told_in_one_line(tmp_path, text, said):
    assert said in one_line(persona("replies", written(tmp_path, text)))
    assert Store().counts()["replies"] == 0


def test_a_file_of_errors_of_a_batch_is_told_and_nothing_is_kept(tmp_path):
    (key,) = exported(1)
    expired = {"code": "batch_expired", "message": "not done in time"}
    line = json.dumps({"id": "b", "custom_id": key, "response": None, "error": expired}) + "\n"
    done = persona("replies", written(tmp_path, line, sent(key, {"error": {"message": "overloaded"}}, 503)))
    assert done.exit_code == 1 and "batch_expired: not done in time" in done.stdout
    assert "Error code: 503 - overloaded" in done.stdout and Store().counts()["replies"] == 0


def test_choices_without_log_probabilities_are_not_kept(tmp_path):
    (key,) = exported(1, max_tokens=1, top_logprobs=20)
    brought = exchange.bring([written(tmp_path, sent(key, by("Big-7B", "A")))], Store())
    assert brought.counts == {"failed": 1} and "no log-probabilities" in next(iter(brought.reasons))


def test_an_engine_that_ignores_schemas_is_asked_in_words_from_then_on(tmp_path, monkeypatch):
    waiting = exported(exchange.IGNORED, schema=SCHEMA)
    brought = exchange.bring([written(tmp_path, *(sent(k, by("Big-7B", "I say A.")) for k in waiting))], Store())
    assert brought.counts == {"failed": exchange.IGNORED} and "part of the message" in brought.taught[0]
    monkeypatch.setenv("PERSONA_DRAFT", "1")
    draft = Store(scratch=tmp_path / "scratch.sqlite")
    Model(WHO["name"], WHO["base_url"], draft).ask(say("judge"), schema=Verdict)
    (asked,) = draft.db.execute("SELECT plain(request) FROM asked").fetchone()
    assert "JSON schema" in json.loads(asked)["messages"][-1]["content"]
    # One that declines a few items in a sentence keeps to the schema.
    Store().forget_failed()
    texts = ["I won't.", *['{"verdict": "A"}'] * (len(waiting) - 1)]
    lines = [sent(key, by("Big-7B", text)) for key, text in zip(waiting, texts, strict=True)]
    brought = exchange.bring([written(tmp_path, *lines)], Store())
    assert brought.counts == {"answers": len(waiting)} and not brought.taught


def test_the_script_of_the_docs_answers_a_file(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "batch-engines.md").read_text("utf-8")
    (script,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.S) if "AsyncOpenAI" in code]
    waiting = exported(3)
    lines = [exchange.line(k, r, exchange.engine_of(r)).decode() for k, r in waiting.items()]
    source = written(tmp_path, *lines, name="w.jsonl")
    refusal = (400, {"error": {"message": "content policy"}})
    with Endpoint(lambda body: refusal if "1" in str(body["messages"]) else by("Big-7B")) as endpoint:
        monkeypatch.setattr(sys, "argv", ["answer.py", endpoint.url, str(source), str(tmp_path / "r.jsonl")])
        exec(compile(script, "answer.py", "exec"), {})
    assert [request["messages"] for request in endpoint.requests] == [r["messages"] for r in waiting.values()]
    brought = exchange.bring([tmp_path / "r.jsonl"], Store())
    assert brought.counts == {"answers": 2, "refused": 1} and "content policy" in next(iter(brought.reasons))


def test_two_drafts_say_different_things_in_every_value():
    schema = {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "kind": {"enum": ["a", "b", "c"]},
            "two": {"enum": ["yes", "no"]},
            "sure": {"type": "boolean"},
            "score": {"type": "integer", "minimum": 1, "maximum": 7},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
        },
    }
    for seed in range(300):
        first, second = (dry.example(schema, dry.Chance.of_draft(seed, draft)) for draft in (1, 2))
        assert first == dry.example(schema, dry.Chance.of_draft(seed, 1))
        assert [name for name in first if first[name] == second[name]] == [], seed


def test_a_value_without_alternative_is_said_in_every_draft_and_estimate():
    schema = {"type": "object", "properties": {"unit": {"const": "year"}, "kind": {"enum": ["only"]}}}
    for seed in range(40):
        for draft in (None, 1, 2):
            assert dry.example(schema, dry.Chance.of_draft(seed, draft)) == {"unit": "year", "kind": "only"}


def test_a_file_that_is_no_text_and_a_file_that_is_not_there(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b"\xff\xfe\x00\x01\n" * 3)
    assert "has no replies" in one_line(persona("replies", tmp_path / "x.jsonl"))
    (key,) = exported(1)
    good = written(tmp_path, sent(key, by("org/Big-7B")))
    assert "nothing.jsonl" in one_line(persona("replies", good, tmp_path / "nothing.jsonl"))
    assert Store().get(key) is None, "all files are looked at before one is brought in"
    with pytest.raises(UserError, match="is empty"):
        exchange.bring([written(tmp_path, "")], Store())
