"""Read in an endpoint's replies how it wants to be asked: in a refusal that names a field, and what it wants of it.

A refusal for what an item says teaches nothing, whatever fields it names.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..replies.reply import read
from .dialect import FEW_LOGPROBS, LEAST_CHOICE, in_words, kind, most_tokens

MAX_TOKENS = 4096  # of a reply, where an endpoint wants a number, or its own is too small for an answer
SMALL = 1024  # tokens: a reply that ends there without a limit of ours was cut at the endpoint's own default
LEAST = 512  # tokens: a smaller limit would cut most answers

_TOKENS = r"max_?(?:completion_|output_|new_)?tokens"
_FORMAT = re.compile(r"response_?format|json[_ ]?schema|json[_ ]object|json mode|structured.?output|guided", re.I)
_REFUSED = re.compile(
    r"not? .{0,20}support|unsupported|not .{0,12}(?:allow|permit|available|enabled|implemented|valid)|unavailable|"
    r"invalid|unknown|unrecogni[sz]ed|unexpected|must be|should be|extra (?:inputs|fields)|only|disabled|refuse|"
    r"no endpoints found",
    re.I,
)
_SYSTEM = re.compile(
    r"(?:system|developer)\W{1,3}(?:role|message|prompt|instruction)|roles? must alternate|"
    r"role\W.{0,30}\bsystem\b|system_instruction|only user.{0,12}assistant|first message.{0,20}user",
    re.I,
)
_REQUIRED = re.compile(rf"{_TOKENS}.{{0,80}}(?:required|missing|must be (?:set|given|specified|provided))", re.I)
_REQUIRED_BEFORE = re.compile(rf"(?:required|missing|specify|provide)\b.{{0,60}}{_TOKENS}", re.I)
_LIMIT = rf"{_TOKENS}.{{0,80}}?(?:%s)\D{{0,40}}(\d+)"
_AT_LEAST = re.compile(_LIMIT % r"at least|>=|greater than or equal to|minimum(?: value)?", re.I)
_AT_MOST = re.compile(_LIMIT % r"at most|<=|less than or equal to|maximum(?: value)?|up to|limit", re.I)
_CONTEXT = re.compile(r"context (?:length|window|size|limit)|\binputs?\W+(?:length|tokens)", re.I)
_SIZE = (r"\+\s*\d+\s*>\s*(\d+)", r"<=\s*(\d+)", r"(?:length|window|size|limit)\D{0,40}(\d+)")  # of the context
_OF_ITEM = re.compile(
    r"content.{0,20}(?:filter|polic|management)|moderation|safety|flagged|inappropriate|sensitive|\brisk|"
    r"(?:context|prompt|input|message(?!['\"])).{0,30}\b(?:length|long|large|tokens)\b|too long|"
    r"exceed.{0,40}(?:context|length|window|tokens)|"
    r"fail\w* to (?:validate|generate|parse).{0,20}json|json_validate_failed|invalid structured output",
    re.I,
)
_OTHERS = re.compile(r"\b(?:temperature|top_p|seed|stream|tools|reasoning_effort)\b", re.I)
_BOUND = re.compile(
    r"(?:between \d+ and|equal to|at most|<=?|max(?:imum)?(?: allowed| value| of| is)*:?|up to|only|\[\d+,|'le':)"
    r"\s*(\d+)",
    re.I,
)
_ABSENT = re.compile(
    r"\bno\b|not? .{0,20}support|unsupported|not .{0,12}(?:allow|permit|available|enabled|implemented)|unavailable|"
    r"unknown|unrecogni[sz]ed|unexpected|extra (?:inputs|fields)|disabled",
    re.I,
)
_NUMBER = re.compile(r"(?<![\w.-])\d+(?![\w.-]*\w)")
_CODE = re.compile(r"code['\"]?: \d+", re.I)
_RENAMED = re.compile(r"use\W+max_completion_tokens|max_completion_tokens\W+instead", re.I)


def lesson(request: Mapping[str, Any], reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reply teaches about the dialect: fields of `Dialect` with their new values; empty for nothing.

    Args:
        request: as it was written, in whatever dialect.
        reply: its reply: an error's message, or a completion.
    """
    if "error" in reply:
        return _of_error(request, str(reply["error"]))
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    if first.get("finish_reason") != "length" or most_tokens(request):
        return {}
    return {"max_tokens": MAX_TOKENS} if _tokens(reply, first) <= SMALL else {}


def guesses(request: Mapping[str, Any], proven: Sequence[bool]) -> list[dict[str, Any]]:
    """Return what to try after a refusal that does not say what is refused, one after the other.

    Args:
        request: as it was written, in whatever dialect.
        proven: the fields, in the order of `kind`, with which a request was answered.
    """
    tries: list[dict[str, Any]] = []
    schema, logprobs, limit, system = (has and not known for has, known in zip(kind(request), proven, strict=True))
    how = request.get("format", "strict") if schema else "none"
    if how in ("strict", "schema"):
        tries.append({"format": "object", "words": True})
    if how != "none":
        tries.append({"format": "none", "words": True})
    if logprobs and request["top_logprobs"] > FEW_LOGPROBS:
        tries.append({"top_logprobs": FEW_LOGPROBS})
    if system:
        tries.append({"system": False})
    if not most_tokens(request):
        tries.append({"max_tokens": MAX_TOKENS})
    elif limit and request["max_tokens"] < LEAST_CHOICE:
        tries.append({"least_tokens": LEAST_CHOICE})
    whole = {name: value for changes in tries for name, value in changes.items()}
    return [*tries, whole] if len(tries) > 1 else tries


def ignores_schema(request: Mapping[str, Any], reply: dict[str, Any]) -> bool:
    """Return whether a reply names none of the fields asked for, though the messages do not say the schema yet.

    Args:
        request: as it was written, in whatever dialect.
        reply: a completion.
    """
    if "schema" not in request or request["messages"][-1]["content"].endswith(in_words(request["schema"]["schema"])):
        return False
    return read(reply)[2] is None and not has_fields(request, reply)


def has_fields(request: Mapping[str, Any], reply: dict[str, Any]) -> bool:
    """Return whether a reply names one of the fields that a request asks for."""
    asked = request["schema"]["schema"]["properties"] if "schema" in request else ()
    return any(f'"{field}"' in read(reply)[0] for field in asked)


def is_about_item(error: str) -> bool:
    """Return whether an error is about what an item says, so that the next item may fare otherwise."""
    return bool(_OF_ITEM.search(error))


def _tokens(reply: Mapping[str, Any], choice: Mapping[str, Any]) -> float:
    """Return the number of tokens of a reply, from its characters where the endpoint does not tell it."""
    usage = reply.get("usage")
    told = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return told if isinstance(told, int | float) else len(str(choice.get("message"))) / 4


def _of_error(request: Mapping[str, Any], said: str) -> dict[str, Any]:
    """Return what an error teaches; what names its field most closely comes first."""
    if learned := _of_tokens(request, said):
        return learned
    if "top_logprobs" in request and re.search(r"log_?prob", said, re.I):
        return _of_logprobs(request, said)
    if is_about_item(said):
        return {}
    if "schema" in request and (learned := _of_format(request.get("format", "strict"), said)):
        return learned
    if any(message["role"] == "system" for message in request["messages"]) and _SYSTEM.search(said):
        return {"system": False}
    return {}


def _of_logprobs(request: Mapping[str, Any], said: str) -> dict[str, Any]:
    """Return what an error teaches about log-probabilities; one beside a schema tells nothing of choices."""
    if "schema" in request:
        return {"beside_schema": False}
    asked = request["top_logprobs"]
    if allowed := [n for n in map(int, _BOUND.findall(said)) if n < asked]:
        return {"top_logprobs": max(allowed)}
    too_many = asked > FEW_LOGPROBS and (str(asked) in said or not _ABSENT.search(said))
    return {"top_logprobs": FEW_LOGPROBS if too_many else 0}


def _of_format(how: str, said: str) -> dict[str, Any]:
    """Return what an error teaches about the format, which was asked for as `how`."""
    named, other = _FORMAT.search(said), _OTHERS.search(said)
    if how == "none" or (named and other and other.start() < named.start()):
        return {}  # "temperature is not allowed when response_format is set"
    if how == "strict" and re.search(r"\bstrict\b(?! json schema)", said, re.I) and _REFUSED.search(said):
        return {"format": "schema"}
    if named and _REFUSED.search(said):
        whole = re.search(r"response_?format", said, re.I) and not re.search(r"type|json|schema|object", said, re.I)
        return {"format": "none" if whole or how == "object" else "object", "words": True}
    if how in ("strict", "schema") and re.search(r"additionalProperties|\bschema\b", said, re.I):
        return {"format": "object", "words": True}  # a schema that it can't read
    return {}


def _of_tokens(request: Mapping[str, Any], said: str) -> dict[str, Any]:
    """Return what an error teaches about max_tokens; of a choice, about the tokens that may show it."""
    limit = most_tokens(request)
    if not limit:
        required = _REQUIRED.search(said) or _REQUIRED_BEFORE.search(said)
        return {"max_tokens": MAX_TOKENS} if required else {}
    if "max_tokens" in request and _RENAMED.search(said):
        return {"renamed": True}
    if _CONTEXT.search(said):
        room, fits = _room(said, limit), limit
        while fits > room and fits >= LEAST:
            fits //= 2
        return _at_most(request, fits) if LEAST <= fits < limit else {}
    if (least := _AT_LEAST.search(said)) and int(least[1]) > limit:
        return {"least_tokens": int(least[1])}
    if (most := _AT_MOST.search(said)) and 0 < (n := int(most[1])) < limit:
        return _at_most(request, n)
    return {}


def _at_most(request: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Return what is learned where at most n tokens fit."""
    is_short = "top_logprobs" in request and "schema" not in request
    return {"choice_tokens": n, "most_choice": n} if is_short else {"max_tokens": n}


def _room(said: str, limit: int) -> int:
    """Return how many tokens the context leaves for a reply, by an error; 0 if it does not put the limit at fault."""
    told = _CODE.sub("", said)
    size = next((int(found[1]) for form in _SIZE if (found := re.search(form, told, re.I))), 0)
    numbers = set(map(int, _NUMBER.findall(told)))
    if limit in numbers:  # of others, those of messages and reply together are none of the messages
        return size - max((n for n in numbers - {size, limit} if n - limit not in numbers), default=size)
    both = re.search(r"requested\D{0,20}(\d+)", told, re.I)
    return size - (int(both[1]) - limit) if both else 0
