"""Reach: would an endpoint answer? Nothing is generated, and nothing is paid.

A run tries its endpoints with it before the first notebook starts.
"""

import asyncio
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import anyio
import openai

from ... import EndpointError, UserError
from ...store import Store, exists
from .. import catalogue
from ..dialects.found import Found
from .endpoint import OPENAI_URL, Endpoint, address_of, azure, is_page, message

PATIENCE_S = 15.0  # with all endpoints together; they are tried at once


class Place(NamedTuple):
    """A model by its name and address; `chats`: it is asked for chats, not for embeddings alone."""

    name: str
    base_url: str
    chats: bool = True


class _Tried(Endpoint):
    """An endpoint that is opened and checked, and then asked nothing."""

    def __init__(self, place: Place):
        super().__init__(place.name, place.base_url)
        self._chats = place.chats

    async def problem(self) -> str | None:
        """Return why no call can succeed here, or None."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._look(await self._client())
        except UserError as error:
            return str(error)
        except TimeoutError:
            return f"no answer from {self.base_url} within {PATIENCE_S:.0f} s: is the server running?"
        finally:
            await self.close()
        return None

    async def _look(self, client: openai.AsyncOpenAI) -> None:
        """Raise UserError if nothing here answers chats, as far as that can be told without one."""
        if not (self.doubtful and self._chats):
            return
        try:
            # Without messages it is refused.
            answer = await client.chat.completions.with_raw_response.create(model=self.name, messages=[])
        except openai.NotFoundError as error:
            raise UserError(f"{self.base_url} answers no chats ({message(error)}): many addresses end in /v1") from None
        except openai.APIError:
            return
        if is_page(answer.text):
            raise UserError(f"{self.base_url} answers chats with a web page: is the address right? Many end in /v1")


def address(base_url: str | None) -> str:
    """Return the address that a model without an address of this machine is asked at."""
    return address_of(base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL)


def deployment(base_url: str) -> str | None:
    """Return the name in the address of a deployment at Azure, or None for another address."""
    at = azure(base_url, "")
    return at[0].rpartition("/")[2] or None if at else None


def problems(asked: Iterable[Place]) -> list[str | None]:
    """Try models at their endpoints, all at once.

    Returns:
        For each model one line that says why no call can succeed (no key, no answer, the key refused, the model
        unknown there), or None.
    """

    async def all_of() -> list[str | None]:
        return list(await asyncio.gather(*(_Tried(place).problem() for place in asked)))

    return anyio.run(all_of)


def listed(base_url: str) -> list[str]:
    """Return the names of the models that an endpoint lists; none if it lists none.

    Raises:
        EndpointError: no call can succeed there: no key, no answer, the key refused.
    """
    tried = _Tried(Place("", address(base_url), chats=False))
    if problem := anyio.run(tried.problem):
        raise EndpointError(problem)
    return tried.listed


def has_replies(place: Place) -> bool:
    """Return whether the response store has a reply of a model at its address: a run may then find all it needs."""
    return exists() and bool(Store().latest(_who(place), 1))


def makes_choices(place: Place) -> bool:
    """Return whether a model can choose, as far as was found out: by log-probabilities, or by `samples` of its own."""
    if catalogue.settings(place.name).samples is not None or not exists():
        return True
    found = Found(Store(), _who(place), place.name)
    found.recall()
    return found.present.top_logprobs > 0


def _who(place: Place) -> dict[str, Any]:
    """Return what replies of a model are kept under."""
    own = catalogue.settings(place.name).settings
    return {"name": place.name, "base_url": place.base_url} | ({"settings": own} if own else {})
