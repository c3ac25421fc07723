"""Remember which dialect an endpoint turned out to speak, for this process and, in the store, for those after it.

Requests of a new kind (see `dialect.kind`) go out one by one until one is answered, so that what an endpoint refuses
is found by one call, not by all in flight.
"""

import json
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ...store import Store, canonical
from .dialect import DEFAULT, KINDS, Dialect, is_choice


class Found:
    """The dialects in which a model was asked: `states`, the present one last.

    `kinds` of requests are answered in this process, `ever` also in those before it, `answered` are those of this
    process with the dialect that each was in; for `guessed` ones it was tried in vain what a refusal might mean.
    `keeps`: a reply had fields of its JSON schema; `tried` counts the items answered in prose for which the schema was
    said in words.

    Args:
        store: keeps what is found; `forget_failed` forgets it.
        who: what replies of the model are kept under.
        name: of the model, for the line that says what is found.
    """

    def __init__(self, store: Store, who: Mapping[str, Any], name: str):
        self._store = store
        self._who = canonical(who)
        self._name = name
        self.states = [DEFAULT]
        self.kinds: set[tuple[bool, ...]] = set()
        self.ever: set[tuple[bool, ...]] = set()
        self.guessed: set[tuple[bool, ...]] = set()
        self.answered: set[tuple[tuple[bool, ...], Dialect]] = set()
        self.keeps = False
        self.tried = 0

    @property
    def present(self) -> Dialect:
        """Return the dialect to speak now."""
        return self.states[-1]

    def silent(self, request: Mapping[str, Any]) -> bool:
        """Return whether a choice can't be made, as there are no log-probabilities."""
        return not self.present.top_logprobs and is_choice(request)

    def recall(self) -> None:
        """Take over what an earlier session, of this process or of another, has noted in the store."""
        with suppress(ValueError, KeyError, TypeError):  # none, or one of another version
            kept = json.loads(self._store.endpoint(self._who) or "")
            noted = [Dialect(**fields) for fields in kept["dialects"]]
            kinds = {tuple(map(bool, asks)) for asks in kept["kinds"]}
            self.ever |= {asks for asks in kinds if len(asks) == KINDS}
            if len(noted) >= len(self.states):
                self.states = [DEFAULT, *noted]

    def note(self, asks: tuple[bool, ...]) -> None:
        """Note that a request of this kind is answered."""
        self.kinds.add(asks)
        if asks not in self.ever:
            self.ever.add(asks)
            self._keep()

    def _keep(self) -> None:
        """Note in the store what is found."""
        dialects = [state.differs for state in self.states[1:]]
        self._store.note_endpoint(self._who, json.dumps({"dialects": dialects, "kinds": sorted(self.ever)}))

    def learn(self, spoken: Dialect, changes: Mapping[str, Any]) -> bool:
        """Take over what a reply taught, and return whether there is another dialect to try than the one spoken.

        Args:
            spoken: the dialect of the request.
            changes: fields of it.
        """
        new = replace(self.present, **changes)
        if new in self.states:
            return new == self.present != spoken
        self.states.append(new)
        self._keep()
        added = [text for text in new.said() if text not in spoken.said()]
        if added:  # a smaller number of tokens behind a thought needs no word
            print(f"{self._name}: {'; '.join(added)}", file=sys.stderr, flush=True)
        return True


class Alike:
    """Notices when an endpoint refuses the first items of a step all in the same way, so that it would the rest.

    `n` items were refused alike so far, `reason` is how.
    """

    MOST = 20

    def __init__(self) -> None:
        self.n = 0
        self.reason = ""
        self._over = False

    def note(self, refusal: str | None) -> bool:
        """Take the error that an item got, or None for a reply; return whether the first `MOST` got the same."""
        if self._over:
            return False
        if refusal is None or (self.n and _plain(refusal) != _plain(self.reason)):
            self._over = True
            self.n = 0
            return False
        self.n += 1
        self.reason = refusal
        return self.n >= self.MOST

    def said(self, step: str, where: str) -> str:
        """Return in one line what was refused, and what to do."""
        return (
            f"the first {self.n} items of '{step}' all fail at {where}: {self.reason}; the replies so far are kept: "
            "mend it and run again with --retry-failed"
        )


def _plain(error: str) -> str:
    """Return an error without what differs from call to call: numbers and ids."""
    return re.sub(r"[\w-]*\d[\w-]*", "", error)[:120]
