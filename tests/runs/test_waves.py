"""Waves of requests that an engine answers offline, until a run makes no call."""

import json
import os
from pathlib import Path

import pytest
from commands import one_line, persona
from endpoint import Endpoint, completion, first_token, say
from projects import write_notebook, write_preset
from pydantic import BaseModel

from persona_lib import files
from persona_lib.model import Model, embed
from persona_lib.runs.dry_runs import estimate, waves
from persona_lib.store import Exported, Journal, Store, canonical, key_of

PARAMETERS = 'model = "m"\nbase_url = None\njudge = "j"\njudge_base_url = None\nn = 5\nrecording = None\nout = None'
ASK = """
from typing import Literal
import pandas as pd
from pydantic import BaseModel
from persona_lib import runs
from persona_lib.model import Model
from persona_lib.store import Store
class Verdict(BaseModel):
    reason: str
    verdict: Literal["keep", "revise"]
store = Store()
writer, critic = Model(model, base_url, store), Model(judge, judge_base_url, store)
say = lambda text: [{"role": "user", "content": text}]
kept = writer.ask([say(f"sort: {i}") for i in range(n)], schema=Verdict, step="sorting")
left = [i for i in range(n) if kept[i].value and kept[i].value.verdict == "keep"]
answers = writer.ask([say(f"item {i}") for i in left], step="answers")
alone = critic.choose([say(f"alone {i}") for i in range(n)], step="alone")
chosen = critic.choices([say(f"judge: {r.text}") for r in answers], step="choices")
rows = {"item": left, "answer": [r.text for r in answers], "failure": [r.failure for r in answers]}
table = pd.DataFrame(rows | {"first": chosen.probabilities[:, 0], "key": chosen.trail(), "alone": alone[left, 0]})
runs.record(out, headline="All were asked.", models=[writer, critic], tables={"rows": table}, figures={},
            metrics={"n": len(table)})
"""


def answer(body: dict) -> dict | tuple[int, dict]:
    """A model that keeps even items, says nothing to one, is refused one, and once writes no JSON."""
    text = body["messages"][-1]["content"]
    if body.get("logprobs"):
        return first_token(A=0.6, B=0.3) if "4" in text else first_token(A=0.2, B=0.7)
    if "response_format" in body:
        if text == "sort: 2":
            return completion("I would keep it")
        keep = int(body["messages"][0]["content"].split()[-1]) % 2 == 0
        return completion(json.dumps({"reason": "so", "verdict": "keep" if keep else "revise"}))
    return (
        (400, {"error": {"message": "content policy", "code": 400}}) if text == "item 0" else completion(f"re {text}")
    )


def played(path: Path) -> Path:
    """Answer a file of requests as vLLM's run-batch does, in no order."""
    lines = []
    for item in reversed([json.loads(line) for line in path.read_text().splitlines()]):
        said = answer(item["body"])
        status, body, error = (said[0], None, said[1]) if isinstance(said, tuple) else (200, said, None)
        if body:
            body = body | {"model": item["body"]["model"]}
        response = {"status_code": status, "request_id": "r", "body": body}
        lines.append(json.dumps({"id": "v", "custom_id": item["custom_id"], "response": response, "error": error}))
    replies = path.with_suffix(".replies.jsonl")
    replies.write_text("\n".join(lines) + "\n")
    return replies


def test_wave_after_wave_a_run_is_answered_offline_and_its_tables_are_those_of_calls(tmp_path, monkeypatch):
    root = tmp_path / "project"
    write_notebook(root, "01_ask", ASK, parameters=PARAMETERS)
    write_preset(root, "smoke", "about: Asks.\nnotebooks: {01_ask: }")
    monkeypatch.setattr(files, "ROOT", root)
    with Endpoint(answer, models=("m", "j")) as endpoint:
        given = ["--base-url", endpoint.url, "-p", "judge=j", "-p", f"judge_base_url={endpoint.url}"]
        ran = persona("run", *given, "--out", tmp_path / "direct")
        assert ran.exit_code == 0, ran.stdout + ran.stderr
        asked = len(endpoint.requests)
    direct = Store().counts()

    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "waves.sqlite"))
    said, sizes = [], []
    for wave in range(1, 9):
        done = persona("requests", *given, "--out", tmp_path / f"w{wave}.jsonl")
        assert done.exit_code == 0, (done.stdout, done.stderr, done.exception)
        said.append(done.stdout)
        if not (made := sorted(tmp_path.glob(f"w{wave}*.jsonl"))):
            break
        sizes.append([len(path.read_text().splitlines()) for path in made])
        brought = persona("replies", *map(played, made))
        assert brought.exit_code == 0, brought.stdout
    # First sorting, and what the judge is asked alone; then what is kept, and the repair of one item; then what hangs
    # on the first two answers, and the repaired item; then the judge's choice on it.
    assert sizes == [[5, 5], [3], [2, 1], [1]], said
    assert "wave 1: 10 requests\n  01_ask: 10\n" in said[0] and "w1.j.jsonl: 5 requests, about" in said[0]
    assert f"vllm run-batch -i {tmp_path / 'w2.jsonl'} -o {tmp_path / 'w2.replies.jsonl'} --model m" in said[1]
    assert "wave 2: 3 more requests" in said[1]
    assert said[4] == "nothing is lacking after 4 waves: `persona run` with the same options makes no call\n"
    assert Store().counts() == direct and sum(map(sum, sizes)) == asked

    assert persona("run", *given, "--max-calls", 0, "--out", tmp_path / "offline").exit_code == 0
    assert json.loads((tmp_path / "offline" / "manifest.json").read_text())["usage"]["calls"] == 0
    tables = [(tmp_path / run / "01_ask" / "tables" / "rows.parquet").read_bytes() for run in ("direct", "offline")]
    assert tables[0] == tables[1]


class Kind(BaseModel):
    keeps: bool


MODEL = ("m", "http://127.0.0.1:9/v1")


def work(ask):
    """Something that asks, in this process, as a notebook's execution is a work."""

    def done(steps, environment):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            try:
                ask(Store())
            except ValueError as error:
                return {"name": "ValueError", "message": str(error)}
            finally:
                assert "PERSONA_DRAFT" in os.environ

    return done


def texts(path: Path) -> list[str]:
    """The last messages, or the texts to embed, of a file of requests."""
    bodies = [json.loads(line)["body"] for line in path.read_text().splitlines()]
    return [body["input"] if "input" in body else body["messages"][-1]["content"] for body in bodies]


class Thought(BaseModel):
    thought: str
    answer: str


def test_a_line_is_what_a_call_would_send_in_the_same_order(tmp_path):
    def ask(store):
        model = Model("m", endpoint.url, store)
        model.ask(say("so"), schema=Thought)  # a model writes the thought first, since the schema has it first
        model.ask(say("so"), temperature=1, sample=3, max_tokens=7)
        model.choose(say("choose"))

    with Endpoint(
        lambda body: completion('{"thought": "t", "answer": "a"}') if "logprobs" not in body else first_token(A=0.7)
    ) as endpoint:
        waves.write({"01": work(ask)}, tmp_path / "w.jsonl", "p")
        assert not endpoint.requests
        ask(Store(tmp_path / "direct.sqlite"))
    lines = [json.loads(line) for line in (tmp_path / "w.jsonl").read_text().splitlines()]
    assert [json.dumps(line["body"]) for line in lines] == [json.dumps(body) for body in endpoint.requests]
    assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
    direct = Store(tmp_path / "direct.sqlite")
    assert all(direct.get(line["custom_id"]) for line in lines) and direct.counts()["replies"] == len(lines)


def test_what_depends_on_a_missing_reply_waits_whatever_the_way(tmp_path):
    def ask(store):
        model = Model(*MODEL, store)
        first = model.ask(say(*(f"first {i}" for i in range(20))), schema=Kind)
        model.ask(say(*(f"kept {i}" for i, reply in enumerate(first) if reply.value.keeps)))  # by a decision
        p = model.choose(say(*(f"choose {i}" for i in range(20))))[:, 0]
        model.ask(say(*(f"liked {i}" for i in range(20) if p[i] > 0.5)))  # by a probability
        vectors = embed(Model("e", MODEL[1], store), ["text a", "text b"])
        model.ask(say(f"near {vectors[0] @ vectors[1]:.3f}"))  # by vectors
        model.ask(say("known"))
        raise ValueError("no figure of made-up replies")

    wave = waves.write({"01": work(ask)}, tmp_path / "w.jsonl", "p")
    assert not wave.failed and wave.requests == 43 and [file.requests for file in wave.files] == [41, 2]
    expected = {*(f"first {i}" for i in range(20)), *(f"choose {i}" for i in range(20)), "known"}
    assert set(texts(tmp_path / "w.m.jsonl")) == expected
    assert sorted(texts(tmp_path / "w.e.jsonl")) == ["text a", "text b"]
    assert "w.e.jsonl: 2 texts to embed, about 3 tokens, for e" in waves.text(wave)

    lines = [json.loads(line) for line in (tmp_path / "w.e.jsonl").read_text().splitlines()]
    assert [line["url"] for line in lines] == ["/v1/embeddings"] * 2
    vectors = [{"data": [{"index": 0, "embedding": [1.0, 2.0]}], "usage": {}}, {"error": {"message": "too long"}}]
    replies = [
        {"custom_id": k["custom_id"], "response": {"status_code": 200, "body": v}}
        for k, v in zip(lines, vectors, strict=True)
    ]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in replies))
    said = persona("replies", tmp_path / "r.jsonl").stdout
    assert "1 reply brought in" in said and "1 time: no vector: too long" in said
    found = embed(Model("e", MODEL[1], Store()), [lines[0]["body"]["input"]])
    assert found.tolist() == [[1.0, 2.0]]


def test_models_whose_names_are_one_as_that_of_a_file_have_files_of_their_own(tmp_path):
    def ask(store):
        for name, address in (("a/b", MODEL[1]), ("A-b", MODEL[1]), ("a/b", "http://other/v1")):
            Model(name, address, store).ask(say(f"{name} at {address}"))

    wave = waves.write({"01": work(ask)}, tmp_path / "w.jsonl", "p")
    assert [file.path.name for file in wave.files] == ["w.a-b.jsonl", "w.A-b.2.jsonl", "w.a-b.3.jsonl"]
    assert [texts(file.path) for file in wave.files] == [
        [f"{file.engine.name} at {file.engine.base_url}"] for file in wave.files
    ]


def test_what_can_be_in_no_file_is_told(tmp_path):
    waiting, _ = [[{"role": "user", "content": text}] for text in ("in a batch", "else")]
    request = {
        "model": dict(zip(("name", "base_url"), MODEL, strict=True)),
        "messages": waiting,
        "temperature": 0,
        "sample": 0,
    }
    Journal(Store()).submit("file-1", [(key_of(canonical(request)), canonical(request))])

    def ask(store):
        Model("local", store=store).ask(say("here"))
        Model(*MODEL, store).ask(say("in a batch"))

    def fail(store):
        raise ValueError("no such column")

    wave = waves.write({"01": work(ask), "02": work(fail)}, tmp_path / "w.jsonl", "p")
    assert wave.number == 0 and not wave.files and not list(tmp_path.glob("w*.jsonl"))
    assert waves.text(wave).splitlines() == [
        "02 fails and lacks nothing: ValueError: no such column",
        "1 request of a model that runs here: no file has them, `persona run` makes them",
        "1 request waiting in a batch at the endpoint: no file has them",
    ]


def test_a_wave_without_replies_is_written_again(tmp_path):
    works = {"01": work(lambda store: Model(*MODEL, store).ask(say("a", "b")))}
    first, again = (waves.write(works, tmp_path / "w.jsonl", "p") for _ in range(2))
    assert (first.number, first.again, again.number, again.again) == (1, 0, 1, 2)
    assert "wave 1: 2 requests (2 of them written before, and without a reply)" in waves.text(again)
    store = Store()
    assert store.db.execute("SELECT count(*) FROM exported").fetchone() == (2,)


def test_the_data_set_of_pairs_has_waves_too(tmp_path, monkeypatch):
    asks = {"pairs": work(lambda store: Model(*MODEL, store).ask(say("pair")))}
    monkeypatch.setattr(estimate, "works_of_pairs", lambda settings: asks if settings.model == "m" else {})
    given = ["--model", "m", "--base-url", MODEL[1], "--out", tmp_path / "w.jsonl"]
    assert "wave 1: 1 request\n  pairs: 1\n" in persona("requests", "--pairs", *given).stdout


def test_a_folder_as_the_file_is_one_line(tmp_path):
    assert "is a directory" in one_line(persona("requests", "--only", "6", "--out", tmp_path))


def test_requests_are_known_to_the_store_that_wrote_them(tmp_path):
    waves.write({"01": work(lambda store: Model(*MODEL, store).ask(say("a")))}, tmp_path / "w.jsonl", "p")
    (line,) = (json.loads(line) for line in (tmp_path / "w.jsonl").read_text().splitlines())
    assert json.loads(Exported(Store()).request(line["custom_id"]))["messages"] == line["body"]["messages"]
