"""Between inspect-ai and us: what bench, judging and comparison ask, put to inspect's models, and its replies as ours.

Those modules are given a stand-in for a model that notes what they ask, and then says what inspect's model replied: so
that prompts, schemas and verdicts are theirs. Needs the optional extra `inspect`. Used by `tasks`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import openai
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
    ResponseSchema,
)
from inspect_ai.util import JSONSchema
from pydantic import BaseModel

from ..model.choices import Choices, chances, normalized
from ..model.reply import INVALID, Reply, read
from ..model.session import REASKS
from ..templates import load as load_template

_FINISH = {"max_tokens": "length", "model_length": "length"}  # inspect's names of what endpoints call so
_ROLES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


class Known:
    """In a `model.Model`'s place: notes what is asked, and replies what is known of it, or that nothing is."""

    def __init__(self, name: str = "", replies: Iterable[dict[str, Any]] = ()):
        self.name, self.replies = name, iter(replies)
        self.asked: list[tuple[list[dict[str, str]], type[BaseModel] | None]] = []

    def ask(self, messages: Iterable, schema: type[BaseModel] | None = None, *_: Any, **__: Any) -> list[Reply]:
        """As `model.Model.ask`."""
        return [Reply(*read(self._next(one, schema), schema), cached=True) for one in messages]

    def choices(self, messages: Iterable, options: Sequence[str] = ("A", "B"), step: str = "") -> Choices:
        """As `model.Model.choices`."""
        rows = [chances(self._next(one, None), options) for one in messages]
        mass = np.array([row for row, _ in rows])
        return Choices(np.array([normalized(row) for row in mass]), mass.sum(axis=1), [why for _, why in rows])

    def _next(self, one: list[dict[str, str]], schema: type[BaseModel] | None) -> dict[str, Any]:
        self.asked.append((one, schema))
        return next(self.replies, {"error": "not asked"})


async def ask(
    model: Model, chat: list[ChatMessage], schema: type[BaseModel], **config: Any
) -> tuple[list[ChatMessage], ModelOutput]:
    """The chat with the reply, asked again where it does not validate, as `Model.ask` does; and the last output."""
    settings = GenerateConfig(response_schema=_response_schema(schema), **config)
    for _ in range(1 + REASKS):
        output = await model.generate(chat, config=settings)
        chat = [*chat, output.message] if output.choices else chat
        text, _value, failure = read(raw(output), schema)
        if not text or not (failure or "").startswith(INVALID):
            break
        chat += chat_of(load_template("repair").messages({"error": failure}))
    return chat, output


def raw(output: ModelOutput, as_choice: bool = False) -> dict[str, Any]:
    """A reply of inspect's as an endpoint sends it, so that it is read as all replies are; a choice has chances."""
    if not output.choices:
        return {"error": output.error or "no reply"}
    choice, text = output.choices[0], output.completion
    parts = choice.message.content if isinstance(choice.message.content, list) else []
    refused = any(getattr(part, "refusal", None) for part in parts)
    certain = {"content": [{"top_logprobs": [{"token": text.strip(), "logprob": 0.0}]}]} if as_choice else None
    return {
        "choices": [
            {
                "message": {"content": text, "refusal": text if refused else None},
                "finish_reason": _FINISH.get(choice.stop_reason, choice.stop_reason),
                "logprobs": choice.logprobs.model_dump() if choice.logprobs else certain,
            }
        ]
    }


def _response_schema(schema: type[BaseModel]) -> ResponseSchema:
    """The JSON schema that is sent with a request; without length bounds, which OpenAI's strict mode refuses."""
    tool = openai.pydantic_function_tool(schema)["function"]
    whole = JSONSchema.model_validate(tool["parameters"])
    for field in (whole.properties or {}).values():
        field.maxLength = None
    return ResponseSchema(name=tool["name"], json_schema=whole, strict=True)


def chat_of(messages: list[dict[str, str]]) -> list[ChatMessage]:
    """Our messages as inspect has them."""
    return [_ROLES[one["role"]](content=one["content"]) for one in messages]
