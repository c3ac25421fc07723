"""Dialects of the chat completions, a stand-in for each: what is asked, how often, and what becomes of the answers."""

import json
import re
import threading
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
from aiohttp import web
from endpoint import Endpoint, completion, echo, first_token, say
from pydantic import BaseModel, create_model
from waits import LONG_S

from persona_lib import UserError, bench, personas, prompts, runs
from persona_lib.model import Budget, Model
from persona_lib.model.dialects.dialect import DEFAULT, Dialect
from persona_lib.model.dialects.lessons import lesson
from persona_lib.model.replies.reply import NO_ANSWER, read
from persona_lib.model.transport.endpoint import address_of, azure
from persona_lib.store import Store

ITEMS = 8
CONDITIONS = ("baseline", "direct", "chain_of_thought", "summary")
NEEDED = ITEMS * len(CONDITIONS) * 2  # an answer and a verdict each
SPARE = 2  # calls that may teach nothing new; what a dialect takes to be learned does not grow with the items


class Note(BaseModel):
    answer: str


# --- a model behind every dialect: it keeps to a schema that it is told, in response_format or in words --------------


def fields_asked(body: dict) -> list[str] | None:
    """The fields that a model knows it has to fill: of the schema in the request, or of the one in its messages."""
    told = body.get("response_format", {}).get("json_schema", {}).get("schema")
    text = "\n".join(str(message["content"]) for message in body["messages"])
    in_words = re.search(r"JSON schema: (\{.*\})", text)
    if told is None and in_words:
        told = json.loads(in_words[1])
    if told is None:
        named = re.findall(r'"(\w+)"', text)  # our templates say their fields in words too
        fields = ("reasoning", "summary", "answer", "critique", "grade", "verdict")
        return [name for name in fields if name in named] or None
    return list(told["properties"])


def answer(body: dict) -> str:
    """The JSON that the model writes."""
    values = {"grade": 4, "verdict": "keep"}
    names = fields_asked(body)
    said = f"word for {hash(str(body['messages'])) % 10**9}"  # so that no two requests to the critic are equal
    return json.dumps({name: values.get(name, said) for name in names}) if names else said


def plain(body: dict):
    return completion(answer(body))


def refuse(said: str, status: int = 400):
    return status, {"error": {"message": said, "type": "invalid_request_error"}}


def kind_of(body: dict) -> str | None:
    return body.get("response_format", {}).get("type")


def has_system(body: dict) -> bool:
    return any(message["role"] == "system" for message in body["messages"])


def formats(*allowed: str, said: str, status: int = 400):
    return lambda body: plain(body) if kind_of(body) in (None, *allowed) else refuse(said, status)


def no_strict(said: str):
    return lambda body: (
        refuse(said) if "strict" in body.get("response_format", {}).get("json_schema", {}) else plain(body)
    )


def ignoring(wrap):
    """An endpoint that ignores response_format and writes as `wrap` says."""

    def reply(body: dict):
        body = {name: value for name, value in body.items() if name != "response_format"}
        return wrap(answer(body))

    return reply


def needs_max_tokens(said: str, field: str = "max_tokens"):
    return lambda body: plain(body) if field in body else refuse(said)


def cut_at_256(body: dict):
    if body.get("max_tokens", 256) <= 256:
        cut = completion(answer(body)[:20], finish_reason="length")
        return cut | {"usage": {"prompt_tokens": 10, "completion_tokens": 256}}
    return plain(body)


def at_most_2048(body: dict):
    if body.get("max_tokens", 0) > 2048:
        return refuse("max_tokens is too large: 4096. This model supports at most 2048 completion tokens")
    return cut_at_256(body)


def no_system(said: str, status: int = 400):
    return lambda body: refuse(said, status) if has_system(body) else plain(body)


def thinks(before: str):
    return lambda body: completion(before + answer(body))


def beside(field: str):
    return lambda body: completion(answer(body), **{field: 'I think {"answer": "not this"}'})


def in_parts(body: dict):
    text = answer(body)
    return completion([{"type": "text", "text": text[:9]}, {"type": "text", "text": text[9:]}])


def all_at_once(body: dict):
    """Gemma behind a host that knows little: no system, no JSON schema, a limit of tokens required."""
    if has_system(body):
        return refuse("System role not supported")
    if kind_of(body):
        return refuse("Unsupported parameter: 'response_format' is not supported with this model.")
    return completion("```json\n" + answer(body) + "\n```")


def only_in_words(body: dict):
    """An endpoint that ignores response_format, with a model that writes JSON only where it reads a schema."""
    return plain(body) if "JSON schema: {" in body["messages"][-1]["content"] else completion("Here is my answer.")


DIALECTS = {
    "OpenAI": (plain, {}),
    "no strict": (no_strict("Unknown parameter: 'response_format.json_schema.strict'."), {"format": "schema"}),
    "no strict, pydantic": (
        no_strict(
            "[{'type': 'extra_forbidden', 'loc': ('response_format', 'strict'), 'msg': 'Extra inputs not allowed'}]"
        ),
        {"format": "schema"},
    ),
    "DeepSeek": (
        formats("json_object", said="This response_format type is unavailable now"),
        {"format": "object", "words": True},
    ),
    "GLM": (
        formats(
            "json_object", "text", said="response_format.type: Input should be 'text' or 'json_object'", status=422
        ),
        {"format": "object", "words": True},
    ),
    "json_schema in a 500": (
        formats("json_object", said="json_schema is not supported by this backend", status=500),
        {"format": "object", "words": True},
    ),
    "OpenRouter's 404": (
        formats(said="No endpoints found that support the requested response_format", status=404),
        {"format": "none", "words": True},
    ),
    "no response_format": (
        formats(said="Unsupported parameter: 'response_format' is not supported with this model."),
        {"format": "none", "words": True},
    ),
    "no JSON at all": (
        formats(said="invalid response_format type: structured outputs are not supported"),
        {"format": "none", "words": True},
    ),
    "a schema it can't read": (
        formats("json_object", said='Invalid JSON payload: Unknown name "additionalProperties" at the schema'),
        {"format": "object", "words": True},
    ),
    "refused without a reason": (formats("json_object", said="Bad Request"), {"format": "object", "words": True}),
    "refused in another language": (
        formats("text", said="API 调用参数有误,请检查文档。", status=422),
        {"format": "none", "words": True},
    ),
    "prose unless the message has the schema": (only_in_words, {"words": True}),
    "Claude, a code fence": (ignoring(lambda text: completion(f"```json\n{text}\n```")), {}),
    "words around it": (ignoring(lambda text: completion(f"Sure! Here it is:\n{text}\nAnything else, {{name}}?")), {}),
    "the same object twice": (ignoring(lambda text: completion(f"{text}\n\nSo: {text}")), {}),
    "think": (thinks('<think>\nHm, {"answer": "no"}?\n</think>\n\n'), {}),
    "think, opened in the prompt": (thinks("Hm.\n</think>\n\n"), {}),
    "[THINK]": (thinks("[THINK]Hm.[/THINK]"), {}),
    "gpt-oss, raw": (
        thinks("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>"),
        {},
    ),
    "reasoning_content": (beside("reasoning_content"), {}),
    "reasoning": (beside("reasoning"), {}),
    "max_tokens required": (needs_max_tokens("max_tokens: Field required"), {"max_tokens": 4096}),
    "max_tokens missing": (needs_max_tokens("Missing required parameter: 'max_tokens'"), {"max_tokens": 4096}),
    "cut at 256": (cut_at_256, {"max_tokens": 4096}),
    "cut at 256, 2,048 at most": (at_most_2048, {"max_tokens": 2048}),
    "Gemma": (no_system("System role not supported"), {"system": False}),
    "Gemma at Google": (
        no_system("Developer instruction is not enabled for models/gemma-3-27b-it"),
        {"system": False},
    ),
    "a template that raises": (
        no_system("Conversation roles must alternate user/assistant/user/assistant/...", status=500),
        {"system": False},
    ),
    "content in parts": (in_parts, {}),
    "several at once": (all_at_once, {"system": False, "format": "none", "words": True}),
}


@pytest.fixture(scope="module")
def drawn() -> pd.DataFrame:
    return bench.items(personas.sample(5), prompts.load(), n=ITEMS, seed=0)


@pytest.mark.parametrize(("speaks", "dialect"), DIALECTS.values(), ids=DIALECTS)
def test_every_item_is_scored_with_hardly_a_call_more_than_it_takes(speaks, dialect, drawn, tmp_path, capfd):
    with Endpoint(speaks) as endpoint:
        model = Model("m", endpoint.url)
        results = bench.conditioning(drawn, [model], model, CONDITIONS)
        assert results["score"].notna().all(), results["failure"].iloc[0]
        assert NEEDED <= len(endpoint.requests) <= NEEDED + SPARE
        assert model.identity.get("dialect", {}) == dialect
        said = capfd.readouterr().err
        assert bool(model.dialect) == bool(dialect) and all(text in said for text in model.dialect)
        assert all(text in runs.limits([model]).data for text in model.dialect)

        sent = len(endpoint.requests)
        again = Model("m", endpoint.url, Store())  # as another process: it finds everything in the store
        pd.testing.assert_frame_equal(bench.conditioning(drawn, [again], again, CONDITIONS), results)
        assert len(endpoint.requests) == sent
        again.ask(say('something new, in the field "answer"'), Note)
        assert len(endpoint.requests) == sent + 1 and again.identity == model.identity


def test_a_request_in_the_default_dialect_is_as_it_was():
    request = {"model": {"name": "m"}, "messages": say("x")[0], "temperature": 0}
    assert DEFAULT.written(request) is request
    with Endpoint(plain) as endpoint:
        Model("m", endpoint.url).ask(say("x"), Note)
        form = endpoint.requests[0]["response_format"]
    assert form["type"] == "json_schema" and form["json_schema"]["strict"] is True
    assert endpoint.requests[0].keys() == {"model", "messages", "temperature", "response_format"}


def test_a_refusal_of_everything_without_a_reason_is_found_out_too():
    """No system message, no response_format, and a limit of tokens: the message says nothing of it."""

    def opaque(body: dict):
        return refuse("Bad Request") if has_system(body) or kind_of(body) or "max_tokens" not in body else plain(body)

    items = [[{"role": "system", "content": "you"}, *one] for one in say(*map(str, range(50)))]
    with Endpoint(opaque) as endpoint:
        model = Model("m", endpoint.url)
        assert not any(reply.failure for reply in model.ask(items, Note))
        assert len(endpoint.requests) == 50 + 5
        dialect = {"format": "none", "words": True, "system": False, "max_tokens": 4096}
        assert model.identity["dialect"] == dialect


def test_an_item_that_is_refused_for_what_it_says_changes_no_dialect():
    said = "The response was filtered due to the prompt triggering our content management policy"
    with Endpoint(lambda body: refuse(said) if body["messages"][0]["content"] == "0" else plain(body)) as endpoint:
        model = Model("m", endpoint.url)
        assert [bool(reply.failure) for reply in model.ask(say(*"0123"), Note)] == [True, False, False, False]
        assert len(endpoint.requests) == 4 and "dialect" not in model.identity


def test_a_recording_of_an_endpoint_that_ignores_schemas_is_replayed(tmp_path):
    with Endpoint(only_in_words) as endpoint:
        Model("m", endpoint.url).ask(say(*"abc"), Note)
        Store().write_recording(tmp_path / "r.jsonl")
    recorded = Store(tmp_path / "other.sqlite", recording=tmp_path / "r.jsonl", offline=True)
    assert all(reply.value and reply.cached for reply in Model("m", endpoint.url, recorded).ask(say(*"abc"), Note))


def test_what_was_answered_before_the_dialect_was_found_is_not_asked_again():
    """Only long replies are cut: short ones keep the request that they were given to."""

    def cut_if_long(body: dict):
        return cut_at_256(body) if "long" in body["messages"][0]["content"] else plain(body)

    items = say(*(f"short {n}" for n in range(10)), "long", *(f"short {n}" for n in range(10, 20)))
    with Endpoint(cut_if_long) as endpoint:
        first = Model("m", endpoint.url, max_in_flight=1).ask(items, Note)
        assert not any(reply.failure for reply in first) and len(endpoint.requests) == 22
        again = Model("m", endpoint.url).ask(items, Note)
        assert all(reply.cached for reply in again) and len(endpoint.requests) == 22


def test_forgetting_what_failed_forgets_the_dialect_too():
    deepseek, _ = DIALECTS["DeepSeek"]
    with Endpoint(deepseek) as endpoint:
        Model("m", endpoint.url).ask(say("x"), Note)
        Store().forget_failed()
        endpoint.answer = plain  # it has learned JSON schemas
        model = Model("m", endpoint.url)
        model.ask(say("y"), Note)
        assert kind_of(endpoint.requests[-1]) == "json_schema" and "dialect" not in model.identity


def test_a_run_that_follows_knows_the_dialect_and_so_does_an_estimate(tmp_path, monkeypatch):
    deepseek, _ = DIALECTS["DeepSeek"]
    with Endpoint(deepseek) as endpoint:
        Model("m", endpoint.url).ask(say("x"), Note)
        monkeypatch.setenv("PERSONA_SCRATCH", str(tmp_path / "scratch.sqlite"))
        model = Model("m", endpoint.url)
        (reply,) = model.ask(say("x"), Note)
        assert reply.cached and model.usage["calls"] == 0


# --- JSON in a text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('```\n{"answer": "a"}\n```', "a"),
        ('{"answer": "two\nlines"}', "two\nlines"),
        ('In TeX, \\frac{a}{b}: {"answer": "{x}"}', "{x}"),
        ('[{"answer": "a"}]', "a"),
        ('{"answer": "a"} or {"answer": "b"}', None),
        ('{"answer": "a"', None),
        ('{"reply": "a"}', None),
        ("no JSON", None),
        ("{" * 100_000, None),
        ('Two {curly {braces}} first: {"answer": "a"}', "a"),
        ('{"final": {"answer": "draft"}, "answer": "cut o', None),
        ('{"answer": "a"} or rather {"answer": "b", "why": "cut o', None),
        ("{'draft': {\"answer\": \"draft\"}, 'answer': 'a'}", None),
        ('{"draft": {"answer": "draft"}, "answer": "a"}', "a"),
        ('{"answer": "a", "answer": "b"}', None),
        ('So: {"answer": "a", "answer": "b"}', None),
        ('{"answer": "a", "answer": "a"}', "a"),
        ('I decline to answer. {"answer": "your answer here"}', None),
        ('I decline to answer. {"answer": "<answer>"}', None),
    ],
)
def test_the_one_object_in_a_text_is_taken_and_no_field_is_guessed(text, value):
    _, read_value, failure = read(completion(text), Note)
    assert getattr(read_value, "answer", None) == value and bool(failure) == (value is None)


def test_a_verdict_inside_of_a_reply_that_is_cut_off_is_none():
    """What a critic drafts within its reply is not what it decides."""
    Verdict = create_model("Verdict", critique=(str, ...), verdict=(Literal["keep", "revise"], ...))
    text = '{"final": {"critique": "draft", "verdict": "keep"}, "verdict": "revise", "critique": "cut off he'
    for said, why in (
        (text, "Invalid JSON: EOF while parsing"),
        (f'{{"critique": "x", "verdict": "keep"}} or {text}', "a JSON object, and one that can't be read"),
        ('{"critique": "x", "verdict": "keep", "verdict": "revise"}', "its field 'verdict' has two values"),
    ):
        _, value, failure = read(completion(said), Verdict)
        assert value is None and why in failure


def test_two_different_objects_are_no_answer():
    assert "it has 2 different JSON objects" in read(completion('{"answer": "a"} {"answer": "b"}'), Note)[2]


# --- thoughts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "text", "thought"),
    [
        ({"content": "<think>hm</think>\n\nyes"}, "yes", "hm"),
        ({"content": "hm</think>yes"}, "yes", "hm"),
        ({"content": "<thinking>hm</thinking>yes"}, "yes", "hm"),
        ({"content": "◁think▷hm◁/think▷yes"}, "yes", "hm"),
        ({"content": "yes", "reasoning_content": "hm"}, "yes", "hm"),
        ({"content": None, "reasoning": "hm</think>yes"}, "yes", "hm"),
        (
            {"content": [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "yes"}]},
            "yes",
            "hm",
        ),
        ({"content": '{"answer": "close it by </think>"}'}, '{"answer": "close it by </think>"}', None),
        ({"content": ' {"answer": "</think>"}'}, ' {"answer": "</think>"}', None),
        ({"content": '```json\n{"answer": "</think>"}\n```'}, '```json\n{"answer": "</think>"}\n```', None),
        ({"content": "[Reasoning] It rains, so take a coat."}, "[Reasoning] It rains, so take a coat.", None),
        ({"content": "[Thoughts]\nTake a coat."}, "[Thoughts]\nTake a coat.", None),
        ({"content": "[Reasoning]hm[/Reasoning] yes"}, "yes", "hm"),
        ({"content": "yes"}, "yes", None),
    ],
)
def test_thoughts_are_kept_apart(message, text, thought):
    with Endpoint(
        lambda body: completion("") | {"choices": [{"finish_reason": "stop", "message": message}]}
    ) as endpoint:
        (reply,) = Model("m", endpoint.url).ask(say("x"))
    assert (reply.text, reply.thought, reply.failure) == (text, thought, None)


CUT_IN_THOUGHT = [{"content": c} for c in ("<think>hm", "[Reasoning]hm")] + [{"content": None, "reasoning": "hm"}]


@pytest.mark.parametrize("message", CUT_IN_THOUGHT)
def test_a_reply_cut_off_in_its_thought_says_so_and_what_to_set(message):
    cut = {"choices": [{"finish_reason": "length", "message": message}], "usage": {"completion_tokens": 4096}}
    with Endpoint(lambda body: cut) as endpoint:
        model = Model("m", endpoint.url)
        (reply,) = model.ask(say("x"), Note)
        assert len(endpoint.requests) == 1
    assert reply.failure.startswith("cut off while it still thought: set a larger max_tokens") and reply.thought == "hm"


def test_a_thought_without_an_answer_is_no_answer_and_a_reply_taken_for_a_thought_is_one():
    assert read(completion("", reasoning_content="hm"), Note)[2] == NO_ANSWER
    assert read(completion("", reasoning_content='{"answer": "a"}'), Note)[1] == Note(answer="a")


# --- choices ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "top_logprobs must be between 0 and 5",
        "Input should be less than or equal to 5: top_logprobs",
        "Requested sample logprobs of 20, which is greater than max allowed: 5",
        "Invalid value for 'top_logprobs': must be in [0, 5]",
    ],
)
def test_fewer_log_probabilities_are_asked_for_where_there_are_fewer(said):
    few = lambda body: refuse(said) if body["top_logprobs"] > 5 else first_token(A=0.6, B=0.3)  # noqa: E731
    with Endpoint(few) as endpoint:
        model = Model("m", endpoint.url)
        assert model.choose(say(*map(str, range(30)))).shape == (30, 2) and model.usage["failed"] == 0
        assert [r["top_logprobs"] for r in endpoint.requests] == [20] + [5] * 30
        assert model.identity["dialect"] == {"top_logprobs": 5}


def test_a_choice_of_at_least_16_tokens_is_read_at_its_first():
    said = "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 1 instead."

    def answer_or_refuse(body: dict):
        if body["max_tokens"] < 16:
            return refuse(said)
        reply = first_token(A=0.6, B=0.3)
        reply["choices"][0]["logprobs"]["content"] += [{"token": ".", "logprob": 0.0, "top_logprobs": []}] * 15
        return reply

    with Endpoint(answer_or_refuse) as endpoint:
        model = Model("m", endpoint.url)
        assert model.choose(say("x", "y"))[:, 0] == pytest.approx([2 / 3] * 2)
        assert [r["max_tokens"] for r in endpoint.requests] == [1, 16, 16]
        assert model.store.counts() == {"replies": 3, "failed": 1}  # the refusal alone


@pytest.mark.parametrize(
    "reply", [completion("A"), refuse("logprobs are not supported", 404), refuse("no top_logprobs")]
)
def test_without_log_probabilities_one_line_says_so_before_the_second_call(reply):
    with Endpoint(lambda body: reply) as endpoint:
        for _ in range(2):
            with pytest.raises(UserError, match="offers no log-probabilities for choices: set `samples`"):
                Model("m", endpoint.url).choose(say(*map(str, range(100))))
        assert len(endpoint.requests) == 1


# --- what is wrong with all items ------------------------------------------------------------------------------------


def test_the_first_twenty_items_that_are_all_refused_alike_stop_the_ask_and_what_was_answered_is_kept():
    numbers = iter(range(10**6))
    with Endpoint() as endpoint:
        Model("m", endpoint.url).ask(say("before"))
        endpoint.answer = lambda body: refuse(f"the moon is full (request req-{next(numbers)})")
        with pytest.raises(
            UserError, match=r"the first 20 items of 'asking' all fail at http.*moon.* are kept"
        ) as caught:
            Model("m", endpoint.url).ask(say(*map(str, range(1000))))
        assert len(endpoint.requests) <= 22 and "\n" not in str(caught.value)
    assert Store().counts()["replies"] - Store().counts()["failed"] == 1


def test_fewer_items_that_are_all_refused_alike_stop_the_ask_too_and_a_single_one_is_a_row():
    with Endpoint(lambda body: refuse("the moon is full")) as endpoint:
        with pytest.raises(UserError, match="the first 3 items of 'asking' all fail"):
            Model("m", endpoint.url).ask(say("a", "b", "c"))
        assert "moon" in Model("m", endpoint.url).ask(say("d"))[0].failure


@pytest.mark.parametrize(
    "said",
    [
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy",
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens",
        "Your input was flagged by our safety system",
    ],
)
def test_items_refused_for_what_they_say_are_rows_however_many(said):
    """As few as an ask may have, and more than stop one that is refused in one way."""
    with Endpoint(lambda body: refuse(said)) as endpoint:
        for n in (2, 25):
            assert all(said in reply.failure for reply in Model("m", endpoint.url).ask(say(*map(str, range(n))), Note))
        assert len(endpoint.requests) == 25


def test_items_that_fail_in_their_own_ways_are_rows():
    with Endpoint(lambda body: completion("", refusal="no")) as endpoint:
        replies = Model("m", endpoint.url).ask(say(*map(str, range(50))))
    assert all(reply.failure == "refusal: no" for reply in replies)
    with Endpoint(lambda body: echo(body) if body["messages"][0]["content"] == "7" else refuse("too long")) as endpoint:
        assert sum(bool(r.failure) for r in Model("m", endpoint.url).ask(say(*map(str, range(50))))) == 49


def test_messages_of_another_form_are_refused_in_one_line_before_any_call():
    with Endpoint() as endpoint:
        for wrong in ("text", ["a", "b"], [{"role": "user", "content": "x"}]):
            with pytest.raises(UserError, match="instead of a list of chat messages") as caught:
                Model("m", endpoint.url).ask(wrong)
            with pytest.raises(UserError, match="instead of a list of chat messages"):
                Model("m", endpoint.url).choices(wrong)
            assert "\n" not in str(caught.value)
        assert not endpoint.requests


def test_an_error_of_a_generator_is_raised_as_it_is():
    def items():
        yield say("x")[0]
        raise KeyError("gone")

    with Endpoint() as endpoint, pytest.raises(KeyError, match="gone"):
        Model("m", endpoint.url).ask(items())


def test_a_connection_that_fails_uses_up_no_call_of_a_budget():
    budget = Budget(max_calls=2)
    for _ in range(3):
        with pytest.raises(UserError, match="no answer from"):
            Model("m", "http://127.0.0.1:9/v1", budget=budget).ask(say("x"))
    assert budget.calls == 0 and budget.in_flight == 0


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "name", "sent"),
    [
        (("models/gemini-x", "models/gemini-x-pro"), "gemini-x", "models/gemini-x"),
        (("gemini-x",), "models/gemini-x", "gemini-x"),
        (("meta/llama", "mistral/small"), "llama", "meta/llama"),
        (("models/m", "m"), "m", "m"),
    ],
)
def test_the_one_listed_model_of_a_name_is_taken(listed, name, sent):
    with Endpoint(models=listed) as endpoint:
        model = Model(name, endpoint.url)
        model.ask(say("x"))
        assert endpoint.requests[0]["model"] == sent and model.name == name


def test_a_name_that_two_listed_models_have_is_refused_with_the_list():
    refused = pytest.raises(UserError, match="has no model 'llama'; it has a/llama, b/llama")
    with Endpoint(models=("a/llama", "b/llama")) as endpoint, refused:
        Model("llama", endpoint.url).ask(say("x"))


def test_an_address_may_be_pasted_whole():
    assert address_of("http://h/v1/chat/completions/") == address_of(" http://h/v1/ ") == "http://h/v1"
    with Endpoint() as endpoint:
        model = Model("m", f"{endpoint.url}/chat/completions")
        assert model.ask(say("x"))[0].text == "x" and model.base_url == endpoint.url


AZURE = "https://mine.openai.azure.com"


@pytest.mark.parametrize(
    ("given", "address", "version"),
    [
        (f"{AZURE}/openai/deployments/d/chat/completions?api-version=2025-01-01", "d", "2025-01-01"),
        (f"{AZURE}/openai/deployments/d/", "d", "2024-10-21"),
        (AZURE, "m", "2024-10-21"),
        (f"{AZURE}/?api-version=2025-01-01", "m", "2025-01-01"),
        (f"{AZURE}/openai/v1", None, None),
        ("https://api.deepseek.com", None, None),
    ],
)
def test_an_address_at_azure_is_one_of_a_deployment(given, address, version):
    expected = (f"{AZURE}/openai/deployments/{address}", version) if address else None
    assert azure(address_of(given), "m") == expected


class Azure(Endpoint):
    """A deployment at Azure, which knows no other address and wants its own header."""

    def routes(self, app: web.Application) -> None:
        async def chat(request: web.Request) -> web.StreamResponse:
            self.seen = dict(request.query), request.headers.get("api-key")
            return await self._chat(request)

        app.router.add_post("/v1/openai/deployments/d/chat/completions", chat)


def test_azure_is_asked_with_its_own_client_and_key(monkeypatch, tmp_path):
    with Azure(plain) as endpoint:
        url = f"{endpoint.url}/openai/deployments/d/chat/completions?api-version=2025-01-01"
        with pytest.raises(UserError, match=r"no API key for .*: set AZURE_OPENAI_API_KEY"):
            Model("gpt-4.1-mini", url).ask(say("x"))
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-secret-1")
        (reply,) = Model("gpt-4.1-mini", url).ask(say("x"), Note)
        assert reply.value and endpoint.seen == ({"api-version": "2025-01-01"}, "azure-secret-1")
        endpoint.answer = lambda body: refuse("bad key azure-secret-1")
        assert "azure-secret" not in Model("gpt-4.1-mini", url).ask(say("y"))[0].failure
    assert b"azure-secret" not in b"".join(p.read_bytes() for p in Path(tmp_path).iterdir() if p.is_file())


def test_max_tokens_goes_out_by_its_new_name_where_only_that_is_known():
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    with Endpoint(lambda body: refuse(said) if "max_tokens" in body else echo(body)) as endpoint:
        model = Model("m", endpoint.url)
        assert not any(reply.failure for reply in model.ask(say("x", "y"), max_tokens=9))
        assert [r.get("max_completion_tokens") for r in endpoint.requests] == [None, 9, 9]


# --- lessons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens",
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy",
        "prompt too long",
        "The system message is too long",
        "Failed to validate JSON: invalid structured output",
        "Your request was flagged: schema",
        "temperature is not allowed when response_format is set",
        "temperature: Only the default (1) value is supported",
        "Unsupported parameter: 'max_tokens' is not supported with this model.",
    ],
)
def test_an_error_of_another_kind_teaches_nothing(said):
    system = {"role": "system", "content": "x"}
    request = {"model": {}, "messages": [system], "schema": {"name": "n", "schema": {}}, "top_logprobs": 3}
    assert lesson(request, {"error": f"BadRequestError: Error code: 400 - {said}"}) == {}


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("maximum context length is 2048 tokens. You requested 4500 (404 of messages, 4096 to complete)", 1024),
        ("maximum context length is 2048 tokens. However, you requested 4500 tokens", 1024),
        (
            "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 404 `inputs` tokens and 4096 `max_new_tokens`",
            1024,
        ),
        ("input length and `max_tokens` exceed context limit: 5000 + 4096 > 8000, decrease input length", 2048),
        (
            "max_tokens is too large: 4096. This model's maximum context length is 2048 tokens and your request has "
            "404 input tokens (4096 > 2048 - 404)",
            1024,
        ),
        ("maximum context length is 2048 tokens. You requested 9096 (5000 of messages, 4096 to complete)", None),
        ("maximum context length is 2048 tokens. You requested 5996 (1900 of messages, 4096 to complete)", None),
        ("maximum context length is 2048 tokens. However, your messages resulted in 5000 tokens", None),
        ("the context window is full", None),
    ],
)
def test_a_limit_is_halved_until_it_fits_the_context_unless_the_item_is_at_fault(said, fits):
    request = {"model": {}, "messages": [], "max_tokens": 4096}
    told = {"error": f"BadRequestError: Error code: 400 - {{'error': {{'message': '{said}', 'code': 400}}}}"}
    assert lesson(request, told) == ({"max_tokens": fits} if fits else {})
    assert lesson(request | {"max_tokens": 300}, told) == {}


def test_an_item_beyond_the_context_changes_nothing_for_the_others():
    said = "maximum context length is 4096 tokens. You requested 10096 (6000 of messages, 4096 to complete)"

    def small(body: dict):
        if "max_tokens" not in body:
            return refuse("max_tokens: Field required")
        return refuse(said) if body["messages"][0]["content"] == "long" else plain(body)

    with Endpoint(small) as endpoint:
        model = Model("m", endpoint.url)
        assert [bool(reply.failure) for reply in model.ask(say("long", *"abc"), Note)] == [True, False, False, False]
        assert model.identity["dialect"] == {"max_tokens": 4096} and len(endpoint.requests) == 5


def test_a_critic_goes_without_log_probabilities_where_a_schema_excludes_them_and_choices_keep_them():
    def either(body: dict):
        if kind_of(body) and "logprobs" in body:
            return refuse("{'message': 'logprobs are not supported with response_format json_schema', 'code': 3}")
        return first_token(A=0.6, B=0.3) if "logprobs" in body else plain(body)

    with Endpoint(either) as endpoint:
        model = Model("m", endpoint.url)
        assert all(reply.value for reply in model.ask(say(*"abc"), Note, logprobs=True))
        assert model.choose(say(*"abc"))[:, 0] == pytest.approx([2 / 3] * 3)
        assert len(endpoint.requests) == 1 + 3 + 3 and model.identity["dialect"] == {"beside_schema": False}
        assert model.dialect == ["it gives no log-probabilities beside a JSON schema"]


@pytest.mark.parametrize(
    ("said", "learned"),
    [
        ("top_logprobs: 20 is not allowed", 5),
        ("logprobs: the value is wrong, 'code': 3", 5),
        ("logprobs are not supported, 'code': 3", 0),
        ("Unknown parameter: top_logprobs", 0),
    ],
)
def test_a_number_counts_only_beside_what_bounds_the_log_probabilities(said, learned):
    request = {"model": {}, "messages": [], "top_logprobs": 20, "max_tokens": 1}
    assert lesson(request, {"error": f"BadRequestError: Error code: 400 - {said}"}) == {"top_logprobs": learned}


def test_a_first_item_that_is_declined_in_prose_changes_no_prompt():
    def declines(body: dict):
        return completion("I can't help with that.") if "bad" in str(body["messages"][0]) else plain(body)

    with Endpoint(declines) as endpoint:
        model = Model("m", endpoint.url)
        replies = model.ask(say("bad", *map(str, range(10))), Note)
        assert replies[0].failure and all(reply.value for reply in replies[1:])
        assert "dialect" not in model.identity and len(endpoint.requests) == 4 + 10


def test_a_first_item_that_is_declined_hides_no_schema_that_is_ignored():
    def ignores(body: dict):
        return completion("No.") if "bad" in str(body["messages"][0]) else only_in_words(body)

    with Endpoint(ignores) as endpoint:
        model = Model("m", endpoint.url, max_in_flight=1)
        replies = model.ask(say("bad", *map(str, range(10))), Note)
        assert all(reply.value for reply in replies[1:]) and model.identity["dialect"] == {"words": True}
        assert len(endpoint.requests) == 4 + 1 + 10


def test_a_note_of_another_version_is_forgotten():
    store = Store()
    with Endpoint(plain) as endpoint:
        who = json.dumps({"base_url": endpoint.url, "name": "m"}, separators=(",", ":"))
        for note in ('{"dialects": [{"gone": 1}], "kinds": [[true]]}', "[]", '{"kinds": 3}', "{"):
            store.note_endpoint(who, note)
            model = Model("m", endpoint.url, store)
            assert model.ask(say("x"), Note)[0].value and "dialect" not in model.identity


def test_a_thinking_model_of_few_tokens_is_asked_for_no_more_than_it_takes():
    """Its first choices are quick; then it thinks, and may write 2,048 tokens."""

    def thinks_late(body: dict):
        if body["max_tokens"] > 2048:
            return refuse("max_tokens is too large: 4096. This model supports at most 2048 completion tokens")
        if body["messages"][0]["content"] < "5":
            return first_token(A=0.6, B=0.3)
        tokens = ["<think>", "Hm", "</think>", "A"][: body["max_tokens"]]
        rows = [{"token": t, "logprob": 0.0, "top_logprobs": [{"token": t, "logprob": -0.01}]} for t in tokens]
        reply = completion("".join(tokens), finish_reason="stop" if len(tokens) > 1 else "length")
        reply["choices"][0]["logprobs"] = {"content": rows}
        return reply

    with Endpoint(thinks_late) as endpoint:
        model = Model("m", endpoint.url, max_in_flight=1)
        assert model.choose(say(*"0123456789"))[:, 0] == pytest.approx([2 / 3] * 5 + [1] * 5)
        assert [r["max_tokens"] for r in endpoint.requests] == [1] * 6 + [4096] + [2048] * 5
        assert Model("m", endpoint.url).choose(say("97"))[0, 0] == 1 and endpoint.requests[-1]["max_tokens"] == 2048


def test_what_is_said_of_a_dialect_names_each_difference():
    every = Dialect("object", True, False, 4096, 16, True, 5)
    assert len(every.said()) == len(every.differs) - 1 == 6 and not DEFAULT.said()


def test_two_threads_find_a_dialect_side_by_side():
    deepseek, _ = DIALECTS["DeepSeek"]
    with Endpoint(deepseek, delay_s=0.01) as endpoint:
        model = Model("m", endpoint.url)
        asks = [threading.Thread(target=model.ask, args=(say(*(f"{t} {n}" for n in range(20))), Note)) for t in "ab"]
        for thread in asks:
            thread.start()
        for thread in asks:
            thread.join(LONG_S)
        assert len(endpoint.requests) <= 42 and model.usage["failed"] == 0
