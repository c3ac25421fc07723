"""Vectors come in batches, are kept, and are asked for once; an address without embeddings says so in one line."""

import numpy as np
import pytest
from aiohttp import web
from embeddings import Embedding

from persona_lib import UserError
from persona_lib.model import Model, embed
from persona_lib.store import Store

TEXTS = [f"{chr(97 + i % 26)}{'x' * (i % 7)}{i}" for i in range(150)]


def test_each_text_has_its_vector_whatever_the_order_of_the_reply():
    with Embedding() as endpoint:
        vectors = embed(Model("m", endpoint.url), [*TEXTS, TEXTS[3]])
    assert vectors.dtype == np.float32 and vectors.shape == (151, 2)
    assert vectors.tolist() == [[len(t), ord(t[0])] for t in [*TEXTS, TEXTS[3]]]


def test_texts_go_out_in_batches_and_no_text_twice_also_from_another_session():
    with Embedding() as endpoint:
        model = Model("m", endpoint.url)
        embed(model, TEXTS[:100])
        first = embed(model, TEXTS)
        again = Model("m", endpoint.url)
        assert (embed(again, TEXTS) == first).all()
    sizes = [len(request["input"]) for request in endpoint.requests]
    assert sorted(sizes[:2]) == [36, 64] and sizes[2:] == [50]  # batches of one call go out together
    assert endpoint.requests[0]["model"] == "m" and endpoint.requests[0]["encoding_format"] == "float"
    assert model.usage["calls"] == 3 and model.usage["tokens_in"] == 750 and model.usage["cached"] == 100
    assert again.usage["calls"] == 0 and again.steps["embeddings"]["cached"] == 150


def test_the_start_of_a_long_text_counts():
    with Embedding() as endpoint:
        assert embed(Model("m", endpoint.url), ["a" * 5000])[0, 0] == 4000


def test_no_text_has_no_vector_and_takes_no_call():
    assert embed(Model("m", "http://127.0.0.1:9/v1"), []).shape == (0, 0)


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        (
            (501, "This server does not support embeddings."),
            "gives no embeddings of 'm': .* does not support embeddings",
        ),
        ((400, "no embeddings here"), "gives no embeddings of 'm': .*no embeddings here"),
        ((404, "no such path"), "refuses 'm': .*no such path"),
    ],
)
def test_an_address_without_embeddings_is_named_at_once(refuse, said):
    with Embedding(refuse) as endpoint, pytest.raises(UserError, match=said):
        embed(Model("m", endpoint.url), TEXTS)
    assert len(endpoint.requests) <= 3, "one call per batch: none is repeated"


def test_a_model_that_the_endpoint_lacks_is_named_with_those_it_has():
    with Embedding() as endpoint, pytest.raises(UserError, match="has no model 'other'; it has m"):
        embed(Model("other", endpoint.url), TEXTS)


def test_a_reply_of_another_form_is_no_vector(monkeypatch):
    monkeypatch.setattr("persona_lib.model.transport.connection.RETRIES", 0)

    class Short(Embedding):
        async def _embed(self, request: web.Request) -> web.Response:
            return web.json_response({"data": [{"index": 0, "embedding": [1.0]}]})

    with Short() as endpoint, pytest.raises(UserError, match=r"gives no embeddings of 'm': .*no 64 vectors"):
        embed(Model("m", endpoint.url), TEXTS[:64])


def test_a_web_page_in_place_of_vectors_is_said_at_once():
    class Page(Embedding):
        async def _embed(self, request: web.Request) -> web.Response:
            self.requests.append({})
            return web.Response(text="<!DOCTYPE html><p>Welcome", content_type="text/html")

    with Page() as endpoint, pytest.raises(UserError) as error:
        embed(Model("m", endpoint.url), TEXTS[:5])
    said = f"{endpoint.url} gives no embeddings of 'm': a web page comes back: is the address right? Many end in /v1"
    assert str(error.value) == said and len(endpoint.requests) == 1


def test_offline_a_missing_vector_is_named(tmp_path):
    store = Store(tmp_path / "s.sqlite", offline=True)
    with pytest.raises(UserError, match=r"offline, and no vector is recorded for .*some text"):
        embed(Model("m", "http://127.0.0.1:9/v1", store), ["some text"])


def test_in_dry_mode_vectors_are_made_up_and_counted(tmp_path):
    model = Model("m", "http://127.0.0.1:9/v1", Store(tmp_path / "s.sqlite", scratch=tmp_path / "dry.sqlite"))
    vectors = embed(model, TEXTS)
    assert vectors.shape == (150, 32) and np.isfinite(vectors).all() and model.usage["calls"] == 3
    assert (vectors == embed(model, TEXTS)).all()


def test_a_budget_of_calls_holds_for_embeddings():
    with Embedding() as endpoint, pytest.raises(UserError, match="max_calls is reached"):
        embed(Model("m", endpoint.url, max_calls=1), TEXTS)
    assert len(endpoint.requests) == 1


def test_the_embedded_model_gives_vectors_from_a_server_of_its_own_and_the_like_are_near():
    texts = ["Should the state tax the rich more?", "Ought the rich to pay higher taxes?", "My cat had five kittens."]
    vectors = embed(Model("local"), texts)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors.shape == (3, 576) and unit[0] @ unit[1] > max(unit[0] @ unit[2], unit[1] @ unit[2])
