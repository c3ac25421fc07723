"""Say which dialect of the chat completions an endpoint speaks, and write requests in it.

The default is what OpenAI and the embedded server take; a request in it is left as it is. What an endpoint takes
otherwise is read from its first refusals (`lesson`): a message that names the field it refuses, and what it wants.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..store import canonical
from ..templates import load as load_template
from .choices import LEAD_TOKENS, SAMPLES
from .reply import read

Format = Literal["strict", "schema", "object", "none"]

MOST_LOGPROBS = 20  # the most that the API gives
FEW_LOGPROBS = 5  # that many endpoints give at most
LEAST_CHOICE = 16  # tokens that some endpoints want to write at least
MAX_TOKENS = 4096  # of a reply, where an endpoint wants a number, or its own is too small for an answer
SMALL = 1024  # tokens: a reply that ends there without a limit of ours was cut at the endpoint's own default
LEAST = 256  # tokens: below this we no longer try whether a smaller limit fits

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
_AT_MOST = re.compile(_LIMIT % r"at most|<=|less than or equal to|maximum(?: value)?|up to", re.I)
_OF_ITEM = re.compile(
    r"content.{0,20}(?:filter|polic|management)|moderation|safety|flagged|inappropriate|sensitive|risk|"
    r"(?:context|prompt|input|message).{0,30}(?:length|long|large|tokens)|exceed",
    re.I,
)
_NUMBER = re.compile(r"(?<![\w.-])\d+(?![\w.-]*\w)")
_RENAMED = re.compile(r"use\W+max_completion_tokens|max_completion_tokens\W+instead", re.I)


@dataclass(frozen=True)
class Dialect:
    """What an endpoint takes for one model.

    `format`: how it is asked for JSON: "strict" (JSON schema), "schema" (the same without `strict`), "object" (some
    JSON object) or "none". `words`: the schema stands in the messages too. `system`: it takes a system message.
    `max_tokens`: what is sent where we ask for none; None sends none. `least_tokens`: the smallest that it takes.
    `renamed`: it calls that field `max_completion_tokens`. `top_logprobs`: how many it gives; 0 for none.
    `choice_tokens`: those of a reply that show a choice. `sampled`: some choices are sampled, as no tokens show them.
    """

    format: Format = "strict"
    words: bool = False
    system: bool = True
    max_tokens: int | None = None
    least_tokens: int = 1
    renamed: bool = False
    top_logprobs: int = MOST_LOGPROBS
    choice_tokens: int = 1
    sampled: bool = False

    @property
    def differs(self) -> dict[str, Any]:
        """Return the fields that are not the default's."""
        return {name: value for name, value in asdict(self).items() if value != getattr(DEFAULT, name)}

    def written(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return a request in this dialect; in the default one it is the same object."""
        if self == DEFAULT:
            return request
        new = dict(request)
        if "schema" in new and self.format != "strict":
            new["format"] = self.format
        if "schema" in new and self.words:
            new["messages"] = _in_words(new["messages"], new["schema"]["schema"])
        if not self.system:
            new["messages"] = _without_system(new["messages"])
        own = new["model"].get("settings", {})
        if self.max_tokens and not {"max_tokens", "max_completion_tokens"} & (new.keys() | own.keys()):
            new["max_tokens"] = self.max_tokens
        if "max_tokens" in new:
            least = max(self.least_tokens, self.choice_tokens if is_choice(request) else 1)
            new["max_tokens"] = max(new["max_tokens"], least)
            if self.renamed:
                new["max_completion_tokens"] = new.pop("max_tokens")
        if "top_logprobs" in new:
            new["top_logprobs"] = min(new["top_logprobs"], self.top_logprobs)
            if not new["top_logprobs"]:
                del new["top_logprobs"]
        return new

    def said(self) -> list[str]:
        """Return in words what differs from the default, a clause each."""
        form = {
            "schema": "JSON schemas are sent without `strict`",
            "object": "it takes no JSON schema: it is asked for a JSON object, and the schema is part of the message",
            "none": "it takes no response_format: the JSON schema is part of the message",
        }
        ignored = "its replies do not keep to a JSON schema, which is therefore part of the message"
        told: list[str | bool | None] = [form.get(self.format) or (self.words and ignored)]
        told.append(not self.system and "it takes no system message: that text stands before the user's")
        told.append(self.max_tokens is not None and f"max_tokens is {self.max_tokens:,} where none is asked for")
        told.append(self.least_tokens > 1 and f"max_tokens is at least {self.least_tokens}")
        told.append(self.renamed and "max_tokens is sent as max_completion_tokens")
        if self.top_logprobs == 0:
            told.append("it offers no log-probabilities")
        elif self.top_logprobs < MOST_LOGPROBS:
            told.append(f"it gives the {self.top_logprobs} likeliest tokens")
        if self.choice_tokens > LEAD_TOKENS:
            told.append("it thinks before a choice, which is read behind the thought")
        elif self.choice_tokens > 1:
            told.append(f"a choice is looked for in its first {self.choice_tokens} tokens")
        told.append(self.sampled and f"where no tokens show a choice, it is the share of {SAMPLES} sampled replies")
        return [text for text in told if isinstance(text, str)]


DEFAULT = Dialect()


def is_choice(request: Mapping[str, Any]) -> bool:
    """Return whether a request asks for a choice by its first token."""
    return request.get("top_logprobs") == MOST_LOGPROBS and "schema" not in request


def kind(request: Mapping[str, Any]) -> tuple[bool, bool, bool, bool]:
    """Return which of the fields that endpoints refuse a request has: schema, top_logprobs, max_tokens, system."""
    has_system = request["messages"][:1] and request["messages"][0].get("role") == "system"
    return "schema" in request, "top_logprobs" in request, "max_tokens" in request, bool(has_system)


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
    if "schema" not in request or request["messages"][-1]["content"].endswith(_words(request["schema"]["schema"])):
        return False
    text, _, failure = read(reply)
    return failure is None and not any(f'"{field}"' in text for field in request["schema"]["schema"]["properties"])


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
        allowed = [n for n in map(int, _NUMBER.findall(said)) if n < request["top_logprobs"]]
        return {"top_logprobs": max(allowed, default=0)}
    how = request.get("format", "strict")
    if "schema" in request and how != "none":
        if how == "strict" and re.search(r"\bstrict\b(?! json schema)", said, re.I) and _REFUSED.search(said):
            return {"format": "schema"}
        if _FORMAT.search(said) and _REFUSED.search(said):
            whole = re.search(r"response_?format", said, re.I) and not re.search(r"type|json|schema|object", said, re.I)
            return {"format": "none" if whole or how == "object" else "object", "words": True}
        if how in ("strict", "schema") and re.search(r"additionalProperties|\bschema\b", said, re.I):
            return {"format": "object", "words": True}  # a schema that it can't read
    if any(message["role"] == "system" for message in request["messages"]) and _SYSTEM.search(said):
        return {"system": False}
    return {}


def _of_tokens(request: Mapping[str, Any], said: str) -> dict[str, Any]:
    """Return what an error teaches about max_tokens."""
    limit = most_tokens(request)
    if limit and "max_tokens" in request and _RENAMED.search(said):
        return {"renamed": True}
    if limit and re.search(r"context (?:length|window|size)", said, re.I):
        return {"max_tokens": limit // 2} if limit >= 2 * LEAST else {}
    if limit and (least := _AT_LEAST.search(said)) and int(least[1]) > limit:
        return {"least_tokens": int(least[1])}
    if limit and (most := _AT_MOST.search(said)) and 0 < (n := int(most[1])) < limit:
        return {"max_tokens": n}
    if not limit and (_REQUIRED.search(said) or _REQUIRED_BEFORE.search(said)):
        return {"max_tokens": MAX_TOKENS}
    return {}


def most_tokens(request: Mapping[str, Any]) -> int | None:
    """Return the most tokens that a request allows, or None."""
    told = {**request, **request["model"].get("settings", {})}
    return told.get("max_completion_tokens") or told.get("max_tokens")


def _in_words(messages: list[dict[str, str]], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return messages of which the last one says the schema."""
    *before, last = messages
    return [*before, last | {"content": f"{last['content']}\n\n{_words(schema)}"}]


def _words(schema: Mapping[str, Any]) -> str:
    """Return a sentence that says a schema."""
    return load_template("in_words").messages({"schema": canonical(schema)})[-1]["content"]


def _without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return messages with the system message's text before the first user's."""
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    others = [message for message in messages if message["role"] != "system"]
    if not system or not others:
        return [{"role": "user", "content": system}] if system else messages
    return [others[0] | {"content": f"{system}\n\n{others[0]['content']}"}, *others[1:]]
