"""Put to inspect-ai's models what bench, judges and comparison ask, and read inspect's replies as ours.

Those modules get a stand-in for a model, `Known`. It notes what they ask. Called again with the replies of inspect's
model, they compute their tables from these. Prompts, schemas and verdicts are therefore the modules' own. Needs the
optional extra `inspect`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import openai
import pandas as pd
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

from ..model import Choices, Messages, Reply
from ..model.replies.choices import chances, from_rows
from ..model.replies.repair import REASKS, again
from ..model.replies.reply import INVALID, read

_FINISH = {"max_tokens": "length", "model_length": "length"}  # inspect's stop reason -> the endpoints' finish reason
_ROLES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


class Known:
    """A `LanguageModel` that notes what is asked and gives known replies in turn, or the failure 'not asked'."""

    def __init__(self, name: str = "", replies: Iterable[dict[str, Any]] = ()):
        self.name = name
        self.replies = iter(replies)
        self.asked: list[tuple[Messages, type[BaseModel] | None]] = []

    def ask(
        self,
        messages: Iterable[Messages],
        schema: type[BaseModel] | None = None,
        temperature: float = 0,
        max_tokens: int | None = None,
        sample: int = 0,
        step: str = "asking",
        logprobs: bool = False,
    ) -> list[Reply]:
        """Return one reply per message list, as `Model.ask` does; the settings change nothing."""
        return [Reply(*read(self._next(one, schema), schema), cached=True) for one in messages]

    def choices(
        self, messages: Iterable[Messages], options: Sequence[str] = ("A", "B"), step: str = "choosing"
    ) -> Choices:
        """Return the probability of each option for each message list, as `Model.choices` does."""
        return from_rows((chances(self._next(one, None), options) for one in messages), options)

    def _next(self, one: Messages, schema: type[BaseModel] | None) -> dict[str, Any]:
        """Note a message list and return the next known reply."""
        self.asked.append((one, schema))
        return next(self.replies, {"error": "not asked"})


async def ask(
    model: Model, chat: list[ChatMessage], schema: type[BaseModel], **config: Any
) -> tuple[list[ChatMessage], ModelOutput]:
    """Ask inspect's model, again with the error if the reply does not validate, as `Model.ask` does.

    Returns:
        The chat with all replies, and the last output.
    """
    settings = GenerateConfig(response_schema=_response_schema(schema), **config)
    for _ in range(1 + REASKS):
        output = await model.generate(chat, config=settings)
        chat = [*chat, output.message] if output.choices else chat
        text, _value, failure = read(raw(output), schema)
        if not text or failure is None or not failure.startswith(INVALID):
            break
        chat = [*chat, *chat_of(again([], text, failure)[1:])]
    return chat, output


def raw(output: ModelOutput, as_choice: bool = False) -> dict[str, Any]:
    """Return inspect's reply in the form of an endpoint's, to be read like all replies.

    Args:
        output: of inspect's model.
        as_choice: the reply chooses an option; without log-probabilities it counts as certain.
    """
    if not output.choices:
        return {"error": output.error or "no reply"}
    choice = output.choices[0]
    text = output.completion
    parts = choice.message.content if isinstance(choice.message.content, list) else []
    refused = any(getattr(part, "refusal", None) for part in parts)
    logprobs = None
    if choice.logprobs:
        logprobs = choice.logprobs.model_dump()
    elif as_choice:
        logprobs = {"content": [{"top_logprobs": [{"token": text.strip(), "logprob": 0.0}]}]}
    thought = "".join(getattr(part, "reasoning", None) or "" for part in parts)
    message = {"content": text, "refusal": text if refused else None, "reasoning": thought or None}
    finish_reason = _FINISH.get(choice.stop_reason, choice.stop_reason)
    return {"choices": [{"message": message, "finish_reason": finish_reason, "logprobs": logprobs}]}


def _response_schema(schema: type[BaseModel]) -> ResponseSchema:
    """Return the JSON schema of a request."""
    tool = openai.pydantic_function_tool(schema)["function"]
    whole = JSONSchema.model_validate(tool["parameters"])
    return ResponseSchema(name=tool["name"], json_schema=whole, strict=True)


def chat_of(messages: Messages) -> list[ChatMessage]:
    """Return our messages as inspect's."""
    return [_ROLES[one["role"]](content=one["content"]) for one in messages]


def without_gaps(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row's values that are not missing, numpy's numbers as Python's, which JSON takes."""
    known = {name: value for name, value in row.items() if not pd.isna(value)}
    return {name: value.item() if hasattr(value, "item") else value for name, value in known.items()}
