"""Read a reply: its text or validated object, its tokens' probabilities, or why it is no answer.

The response store keeps the endpoint's JSON, so that a reply can be read again in another way without a call. A call
that got no completion is kept as {"error": reason}. Thoughts, which models write before or beside their answer, are
kept apart from it; of a text with words or a code fence around a JSON object, the object counts.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from ... import files

INVALID = "invalid reply"  # the start of the failure of a structured reply that does not validate
CUT_OFF = "cut off: max_tokens reached"
IN_THOUGHT = "cut off while it still thought: set a larger max_tokens for it in its settings (params/models.yaml)"
NO_ANSWER = "it thought and gave no answer: set a larger max_tokens or no thinking in its settings (params/models.yaml)"
CUT = (CUT_OFF, IN_THOUGHT, NO_ANSWER)

# How models mark what they think: <think>, <thinking>, [THINK], <seed:think> ... before the answer.
_MARK = r"(?:<|\[|\u25c1){}(?:\w+:)?(?:think(?:ing)?|thoughts?|reasoning|reflection)(?:>|\]|\u25b7)"
OPENS = re.compile(rf"\s*{_MARK.format('')}", re.I)
_CLOSES = re.compile(_MARK.format("/"), re.I)
_HEADING = re.compile(r"\s*\[(?!THINK\])")  # a mark such as [Reasoning], with which plain answers begin too
_IN_JSON = re.compile(r"\s*(?:```\w*\s*)?\{")  # what looks like a mark in there belongs to a text
_FINAL = re.compile(r"<\|channel\|>final\b.*?<\|message\|>", re.S)  # what gpt-oss writes where its server leaves it
_IN_BRACES = re.compile(r"[{}]")
_IS_OBJECT = re.compile(r"""\{\s*(?:["']|\w+\s*:)""")  # how an object begins, however badly it is written
_PLACEHOLDER = re.compile(r"\W*(?:your|insert|put|write)\b.{0,40}\bhere\W*|\W*\.\.\.\W*|<[^<>]{1,40}>", re.I)


class Outcome(NamedTuple):
    """How a call ended: the reply (or {"error": reason}), whether to keep it, and how often the call was retried."""

    reply: dict[str, Any]
    keep: bool
    retries: int


@dataclass(frozen=True)
class Reply:
    """One outcome of `Model.ask`.

    `text` is what the model said. `value` is the validated object, if a schema was given. `failure` is None, or the
    reason why this is no answer; `value` is then None. `cached` says that no call was made for this reply. `logprobs`
    are the tokens with their log-probabilities and those of the likeliest alternatives, as the endpoint sends them;
    None if they were not asked for or not offered. `thought` is what the model wrote before or beside its answer, None
    without any. `key` is that of the request in the store, the last one if it was asked again; None of a stand-in.
    """

    text: str
    value: BaseModel | None
    failure: str | None
    cached: bool
    logprobs: list[dict[str, Any]] | None = None
    thought: str | None = None
    key: str | None = None


def read(reply: dict[str, Any], schema: type[BaseModel] | None = None) -> tuple[str, BaseModel | None, str | None]:
    """Return a reply's text, the validated object if a schema is given, and why it is no answer (or None)."""
    if "error" in reply:
        return "", None, str(reply["error"])
    choice = _first(reply.get("choices"))
    message = _dict(choice.get("message"))
    told = parts(message, _is_cut(choice))
    if told is None:
        return "", None, f"the reply's content is no text but a {type(message['content']).__name__}"
    text, thought = told
    if message.get("refusal"):
        return text, None, f"refusal: {message['refusal']}"
    if choice.get("finish_reason") == "content_filter":
        return text, None, "stopped by a content filter"
    # A single token with log-probabilities is a choice: only one token was asked for, so it is not cut off.
    if _is_cut(choice) and len(tokens(reply) or ()) != 1:
        return text, None, IN_THOUGHT if thought and not text else CUT_OFF
    if not text and thought and schema is not None and thought.strip().startswith("{"):
        text = thought  # some servers take the whole reply for the thought, if the model did not think
    if not text:
        return text, None, NO_ANSWER if thought else "empty reply"
    return (text, None, None) if schema is None else _validated(text, schema)


def _validated(text: str, schema: type[BaseModel]) -> tuple[str, BaseModel | None, str | None]:
    """Return a text, its object of the schema, and why there is none (or None)."""
    try:
        _DECODER.decode(text)
    except _Unclear as error:
        return text, None, f"{INVALID}: {error}"
    except (ValueError, RecursionError):
        pass  # it may have words around its object
    try:
        return text, schema.model_validate_json(text), None
    except ValidationError as error:
        failure = f"{INVALID}: {files.first_error(error, 'JSON')}"
        if error.errors(include_url=False)[0]["loc"]:  # it is an object
            return text, None, failure
    try:
        found = objects(text)
    except _Unclear as error:
        return text, None, f"{INVALID}: {error}"
    if len(found) != 1:
        return text, None, f"{INVALID}: it has {len(found)} different JSON objects" if found else failure
    if any(isinstance(value, str) and _PLACEHOLDER.fullmatch(value) for value in found[0].values()):
        return text, None, f"{INVALID}: its JSON object only shows where the answer belongs"
    try:
        return text, schema.model_validate_json(json.dumps(found[0])), None
    except ValidationError as error:
        return text, None, f"{INVALID}: {files.first_error(error, 'JSON')}"


class _Unclear(ValueError):
    """A text says two things, so that neither can be taken."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of a JSON object.

    Raises:
        _Unclear: one has two different values.
    """
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if fields.setdefault(name, value) != value:
            raise _Unclear(f"its field '{name}' has two values")
    return fields


_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_once)  # models write line breaks into texts


def objects(text: str) -> list[dict[str, Any]]:
    """Return the different JSON objects in a text that has words or a code fence around them.

    An object that stands inside of another, or of one that can't be read, is never taken for the reply.

    Raises:
        _Unclear: an object has a field with two values, or comes before one that can't be read.
    """
    found: list[dict[str, Any]] = []
    at = text.find("{")
    while at >= 0:
        try:
            value, at = _DECODER.raw_decode(text, at)
        except _Unclear:
            raise
        except (ValueError, RecursionError) as error:
            if not _IS_OBJECT.match(text, at):
                at = _closed(text, at)
            elif found:
                raise _Unclear("it has a JSON object, and one that can't be read") from error
            else:
                break
        else:
            if value not in found:
                found.append(value)
        at = text.find("{", at) if at >= 0 else at
    return found


def _closed(text: str, at: int) -> int:
    """Return the place behind the brace that closes the one at a place of a text; -1 if none does."""
    depth = 0
    for brace in _IN_BRACES.finditer(text, at):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return brace.end()
    return -1


def parts(message: dict[str, Any], is_cut: bool) -> tuple[str, str | None] | None:
    """Return a message's text, and its thought or None; None if the content is no text.

    Args:
        message: of the reply.
        is_cut: the reply ended at its most tokens, maybe in a thought.
    """
    content = message.get("content") or ""
    beside = message.get("reasoning_content") or message.get("reasoning")
    thought = beside if isinstance(beside, str) else ""
    if isinstance(content, list):
        rows = [part if isinstance(part, dict) else {"text": part} for part in content]
        thinks = [row for row in rows if str(row.get("type")) in ("thinking", "reasoning", "thought")]
        thought += "".join(_text_of(row) for row in thinks)
        content = "".join(_text_of(row) for row in rows if row not in thinks)
    if not isinstance(content, str):
        return None
    if not content and thought and (closed := _CLOSES.search(thought)):  # the server has found only the beginning
        thought, content = thought[: closed.start()], thought[closed.end() :]
    text, before = _apart(content, is_cut)
    return text, f"{thought}{before}".strip() or None


def _text_of(part: dict[str, Any]) -> str:
    """Return the text in a part of a message's content."""
    told = part.get("text") or part.get("thinking") or part.get("reasoning") or ""
    if isinstance(told, list):
        return "".join(_text_of(_dict(row)) for row in told)
    return told if isinstance(told, str) else ""


def _apart(content: str, is_cut: bool) -> tuple[str, str]:
    """Return the answer in a content, and the thought before it; the content itself if it marks none."""
    if _IN_JSON.match(content):
        return content, ""
    if final := _FINAL.search(content):
        return content[final.end() :].strip(), content[: final.start()]
    opened = OPENS.match(content)
    closed = _CLOSES.search(content)
    if closed:  # the opening may stand in the prompt
        return content[closed.end() :].strip(), content[opened.end() if opened else 0 : closed.start()]
    if opened and (is_cut or not _HEADING.match(content)):
        return "", content[opened.end() :]
    return content, ""


def _is_cut(choice: dict[str, Any]) -> bool:
    """Return whether a reply ended at its most tokens."""
    return bool(choice.get("finish_reason") == "length")


def tokens(reply: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the reply's tokens with their log-probabilities, or None if the endpoint gave none."""
    content = _dict(_first(reply.get("choices")).get("logprobs")).get("content")
    return [_dict(token) for token in content] if isinstance(content, list) and content else None


def likely_tokens(token: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the likeliest tokens at a token's place, but for malformed ones: without a text or a log-probability."""
    told = token.get("top_logprobs")
    likely = [_dict(t) for t in told] if isinstance(told, list) else []
    # Rounding may put a probability of 1 a little above 1. A value far above it, or NaN, is no log-probability.
    texts = [t for t in likely if isinstance(t.get("token"), str)]
    return [t for t in texts if isinstance(t.get("logprob"), int | float) and t["logprob"] < 1]


def refuses(reply: dict[str, Any]) -> bool:
    """Return whether an endpoint's answer is an error that it would repeat."""
    return "error" in reply and not str(reply["error"]).startswith("no reply")


def thought_of(reply: dict[str, Any]) -> str | None:
    """Return what a model thought before or beside its answer, or None."""
    choice = _first(reply.get("choices"))
    told = parts(_dict(choice.get("message")), _is_cut(choice))
    return told[1] if told else None


def _dict(value: Any) -> dict[str, Any]:
    """Return a part of a reply that should be an object, or an empty one: some endpoints send other types."""
    return value if isinstance(value, dict) else {}


def _first(value: Any) -> dict[str, Any]:
    """Return the first of what should be a list of objects, or an empty object."""
    return _dict(value[0]) if isinstance(value, list) and value else {}
