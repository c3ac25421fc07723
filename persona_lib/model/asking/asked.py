"""Hold what every session of a model needs: who is asked, where replies are kept, the limits, what was found out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ... import UserError
from ...store import Store
from ..catalogue import Price
from ..dialects.found import Found
from ..limits.budget import Budget
from ..replies.dry import Dry
from ..replies.protocol import Messages


@dataclass(frozen=True)
class Asked:
    """The model that a session asks, and the limits.

    `name` is what tables show, `given` what the user gave, which differs for a model that runs here. `who` is the part
    of the model's identity that replies are kept under, `settings` are the user's own request fields. `min_mass` is the
    least probability of the options at a token that makes a choice. `found` is, from session to session, the dialect
    that the endpoint turned out to speak. `run` is the one
    whose pace holds (`sharing.of_run`), if not that of this process.
    """

    name: str
    given: str
    base_url: str | None
    who: Mapping[str, Any]
    settings: Mapping[str, Any]
    store: Store
    batch: bool
    max_in_flight: int
    price: Price | None
    budgets: tuple[Budget, ...]
    min_mass: float
    run: str | None = None

    @cached_property
    def dry(self) -> Dry:
        """What makes replies up, measured once on the model's replies in the store."""
        return Dry(self.store, self.who)

    @cached_property
    def found(self) -> Found:
        """What was found out of the endpoint."""
        return Found(self.store, self.who, self.name)

    def request(self, messages: Messages, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that can change the reply, and nothing else; the user's settings are in `who` and replace ours.

        Raises:
            UserError: the messages are no list of chat messages.
        """
        if not isinstance(messages, list):
            raise UserError(
                f"an item is {messages!r:.60} instead of a list of chat messages: give a list of items, each such as "
                '[{"role": "user", "content": "..."}]'
            )
        ours = {name: value for name, value in settings.items() if name not in self.settings and name != "words"}
        return {"model": dict(self.who), "messages": messages, **ours}
