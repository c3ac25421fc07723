"""Declare what experiments need of a language model: `LanguageModel`, with a name, `ask` and `choices`.

`Model` satisfies it; a test may bring its own.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from pydantic import BaseModel

from ... import UserError
from .choices import Choices
from .reply import Reply

Messages = list[dict[str, str]]  # chat messages, each {"role", "content"}


class LanguageModel(Protocol):
    """A model that answers message lists and chooses between options; see `Model` for the parameters."""

    name: str

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
        """Return one reply per message list, in their order."""
        ...

    def choices(
        self, messages: Iterable[Messages], options: Sequence[str] = ("A", "B"), step: str = "choosing"
    ) -> Choices:
        """Return the probability of each option for each message list."""
        ...


def no_twins(models: Iterable[LanguageModel]) -> None:
    """Check that each model has a name of its own, since rows of a table are told apart by it.

    Raises:
        UserError: two models have the same name.
    """
    names = [model.name for model in models]
    if twins := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"two models are named {', '.join(twins)}, so that their rows would be one: rename one of them")
