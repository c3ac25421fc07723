"""`persona doctor`: the store that a run would write, and an endpoint that is tried with one call of each kind."""

import os

import pytest
from aiohttp import web
from commands import persona
from embeddings import Embedding
from endpoint import Endpoint, completion, first_token
from projects import write_project

from persona_lib import files, local, store
from persona_lib.model.transport import connection
from persona_lib.runs.planning import doctor


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project of its own, and a stand-in for the embedded model's file."""
    monkeypatch.setattr(files, "ROOT", write_project(tmp_path / "project"))
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    monkeypatch.setattr(local, "cached_path", lambda: path)
    monkeypatch.setattr(local, "GGUF_SHA256", local.sha256(path))
    monkeypatch.delenv("PERSONA_STORE", raising=False)
    return files.ROOT


def answer(body: dict) -> dict:
    """What an endpoint of OpenAI's dialect answers to each kind of call."""
    if "response_format" in body:
        return completion('{"answer": "yes"}')
    return first_token(A=0.9, B=0.1) if "logprobs" in body else completion("Hello")


def lines_of(result) -> list[str]:
    """The lines about the endpoint and its calls."""
    lines = result.stdout.splitlines()
    return lines[next(i for i, line in enumerate(lines) if " endpoint " in line) :]


def test_an_endpoint_is_tried_with_one_call_of_each_kind():
    with Embedding(answer=answer, models=("m1", "text-embed", "m2")) as endpoint:
        result = persona("doctor", "--base-url", endpoint.url)
        assert result.exit_code == 0 and len(endpoint.requests) == 4 and endpoint.requests[0]["model"] == "m1"
        assert lines_of(result) == [
            f"ok      endpoint {endpoint.url}: it lists 3 models: m1, m2, text-embed",
            "ok      a plain reply of 'm1' works",
            "ok      a reply in a JSON schema of 'm1' works",
            "ok      a choice by its log-probabilities of 'm1' works",
            "ok      an embedding of 'm1' works",
            f"ok      dialect of 'm1' at {endpoint.url}: it is asked as OpenAI is (4 calls were made)",
        ]
        assert persona("doctor", "--base-url", endpoint.url, "--model", "m2").exit_code == 0
        assert endpoint.requests[-1]["model"] == "m2" and not store.default_path().exists()


def test_an_endpoint_of_another_dialect_is_tried_all_the_same_and_the_dialect_is_told():
    def refuses(body: dict):
        if "response_format" in body:
            return 400, {"error": {"message": "response_format is not supported"}}
        if "JSON" in body["messages"][-1]["content"]:
            return completion('Sure: {"answer": "yes"}')
        return answer(body)

    with Endpoint(refuses) as endpoint:
        result = persona("doctor", "--base-url", endpoint.url)
    assert result.exit_code == 0
    assert "it takes no response_format: the JSON schema is part of the message" in result.stdout
    assert lines_of(result)[4].startswith("no      an embedding of 'm': ") and "works" not in lines_of(result)[4]


class Azure(Embedding):
    """A deployment at Azure, which knows no other address, lists nothing, and wants its own header."""

    def routes(self, app: web.Application) -> None:
        async def chat(request: web.Request) -> web.StreamResponse:
            if request.headers.get("api-key") != "azure-secret-1":
                return web.json_response({"error": {"message": "Access denied"}}, status=401)
            return await self._chat(request)

        app.router.add_post("/v1/openai/deployments/d/chat/completions", chat)


def test_a_deployment_at_azure_works_where_a_run_works(monkeypatch):
    with Azure(answer=answer) as endpoint:
        url = f"{endpoint.url}/openai/deployments/d/chat/completions?api-version=2025-01-01"
        result = persona("doctor", "--base-url", url)
        assert result.exit_code == 1 and "set AZURE_OPENAI_API_KEY" in lines_of(result)[0] and not endpoint.requests
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-secret-1")
        result = persona("doctor", "--base-url", url)
        assert result.exit_code == 0 and endpoint.requests[0]["model"] == "d", result.stdout
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-secret-2")
        result = persona("doctor", "--base-url", url)
        assert result.exit_code == 1 and "Access denied" in result.stdout and "azure-secret" not in result.stdout


def test_an_address_may_be_pasted_whole():
    with Embedding(answer=answer) as endpoint:
        result = persona("doctor", "--base-url", f"{endpoint.url}/chat/completions")
        assert result.exit_code == 0 and lines_of(result)[0] == f"ok      endpoint {endpoint.url}: it lists 1 model: m"


def test_what_an_endpoint_lacks_is_told_and_the_exit_code_is_1():
    with Endpoint(lambda body: answer({k: v for k, v in body.items() if k != "logprobs"})) as endpoint:
        result = persona("doctor", "--base-url", endpoint.url)
    assert result.exit_code == 1
    assert lines_of(result)[3].startswith("MISSING a choice by its log-probabilities of 'm': m offers no log-prob")
    assert "set `samples`" in lines_of(result)[3]


@pytest.mark.parametrize("dead", [(402, {"error": {"message": "no credit"}}), "<html>no credit</html>"])
def test_a_dead_endpoint_is_tried_with_one_kind_of_call_and_no_dialect_is_claimed(dead, monkeypatch):
    monkeypatch.setattr(connection, "wait", lambda error, tries: 0.0)
    with Embedding(answer=lambda body: dead) as endpoint:
        result = persona("doctor", "--base-url", endpoint.url)
        assert result.exit_code == 1 and len(endpoint.requests) <= 5
    (call,) = lines_of(result)[1:]
    assert call.startswith("MISSING a plain reply of 'm': ") and "no credit" in call


def test_an_endpoint_that_does_not_answer_or_names_no_model_is_one_line():
    result = persona("doctor", "--base-url", "http://127.0.0.1:9/v1")
    assert result.exit_code == 1
    assert lines_of(result)[0].startswith("MISSING endpoint http://127.0.0.1:9/v1: no answer from ")
    with Endpoint(answer, models=tuple(f"m{i}" for i in range(20))) as endpoint:
        result = persona("doctor", "--base-url", endpoint.url)
        assert result.exit_code == 1 and not endpoint.requests
        assert len(lines_of(result)) == 1 and lines_of(result)[0].endswith("; name one with --model")
        result = persona("doctor", "--base-url", endpoint.url, "--model", "gone")
        assert result.exit_code == 1 and "has no model 'gone'" in result.stdout and len(lines_of(result)) == 2


def test_a_store_that_can_not_be_written_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "new" / "r.sqlite"))
    assert next(c for c in doctor.all_of() if "response store" in c.what).fine and not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "file" / "r.sqlite"))
    result = persona("doctor")
    assert result.exit_code == 1 and "is no folder that can be written" in result.stdout
    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "r.sqlite"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        assert "MISSING response store" in persona("doctor").stdout
    store.Store().put([store.Stored("k", "{}", "{}", None)])

    class ReadOnly(store.Store):
        """A store on a disk that has become read-only."""

        def __init__(self, path):
            super().__init__(path)
            self.db.execute("PRAGMA query_only = 1")

    monkeypatch.setattr(store, "Store", ReadOnly)
    result = persona("doctor")
    assert result.exit_code == 1 and "r.sqlite" in result.stdout and "readonly" in result.stdout
