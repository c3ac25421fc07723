"""Ask again for a structured reply that is no JSON of its schema, and recognize a request that does."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from ...templates import load as load_template
from .protocol import Messages

REASKS = 2  # of a structured reply that does not validate


def again(messages: Messages, text: str, failure: str) -> Messages:
    """Return the messages that ask again after a reply, given its text and why it is no answer."""
    return [*messages, {"role": "assistant", "content": text}, *load_template("repair").messages({"error": failure})]


def times(messages: Sequence[dict[str, Any]]) -> int:
    """Return how often messages of a request ask again."""
    return sum(message["role"] == "user" and str(message["content"]).startswith(_start()) for message in messages[2:])


@cache
def _start() -> str:
    """Return how every message that asks again begins."""
    return load_template("repair").messages({"error": "\0"})[-1]["content"].partition("\0")[0]
