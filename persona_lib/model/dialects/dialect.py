"""Say which dialect of the chat completions an endpoint speaks, and write requests in it.

The default is what OpenAI and the embedded server take; a request in it is left as it is. What an endpoint takes
otherwise is read from its first refusals, in `lessons`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...store import canonical
from ...templates import load as load_template
from ..replies.choices import LEAD_TOKENS, SAMPLES

Format = Literal["strict", "schema", "object", "none"]

MOST_LOGPROBS = 20  # the most that the API gives
FEW_LOGPROBS = 5  # that many endpoints give at most
LEAST_CHOICE = 16  # tokens that some endpoints want to write at least


@dataclass(frozen=True)
class Dialect:
    """What an endpoint takes for one model.

    `format`: how it is asked for JSON: "strict" (JSON schema), "schema" (the same without `strict`), "object" (some
    JSON object) or "none". `words`: the schema stands in the messages too. `system`: it takes a system message.
    `max_tokens`: what is sent where we ask for none; None sends none. `least_tokens`: the smallest that it takes.
    `renamed`: it calls that field `max_completion_tokens`. `top_logprobs`: how many it gives; 0 for none.
    `choice_tokens`: those of a reply that show a choice. `sampled`: some choices are sampled, as no tokens show them.
    `beside_schema`: it gives log-probabilities beside a JSON schema too. `most_choice`: the most `choice_tokens`.
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
    beside_schema: bool = True
    most_choice: int | None = None

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
            given = self.top_logprobs if self.beside_schema or "schema" not in new else 0
            new["top_logprobs"] = min(new["top_logprobs"], given)
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
        told.append(not self.beside_schema and "it gives no log-probabilities beside a JSON schema")
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


KINDS = 4  # fields that tell kinds apart


def kind(request: Mapping[str, Any]) -> tuple[bool, ...]:
    """Return which of the fields that endpoints refuse a request has: schema, top_logprobs, max_tokens, system."""
    has_system = request["messages"][:1] and request["messages"][0].get("role") == "system"
    return "schema" in request, "top_logprobs" in request, "max_tokens" in request, bool(has_system)


def most_tokens(request: Mapping[str, Any]) -> int | None:
    """Return the most tokens that a request allows, or None."""
    told = {**request, **request["model"].get("settings", {})}
    return told.get("max_completion_tokens") or told.get("max_tokens")


def _in_words(messages: list[dict[str, str]], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return messages of which the last one says the schema."""
    *before, last = messages
    return [*before, last | {"content": f"{last['content']}\n\n{in_words(schema)}"}]


def in_words(schema: Mapping[str, Any]) -> str:
    """Return a sentence that says a schema."""
    return load_template("in_words").messages({"schema": canonical(schema)})[-1]["content"]


def _without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return messages with the system message's text before the first user's."""
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    others = [message for message in messages if message["role"] != "system"]
    if not system or not others:
        return [{"role": "user", "content": system}] if system else messages
    return [others[0] | {"content": f"{system}\n\n{others[0]['content']}"}, *others[1:]]
