"""Keep every model reply under the hash of its request, so that no call is ever paid for twice.

Replies are in one SQLite file, over an optional recording (JSON lines, read-only). No API key and no header is ever
stored. Every notebook that asks a model opens this wing: `Store(recording=recording)`.
"""

from .journal import Batch, Journal
from .merging import Merged, merge
from .recording import read_recording
from .requests import Stored, canonical, key_of
from .store import Store, default_path

__all__ = [
    "Batch", "Journal", "Merged", "Store", "Stored", "canonical", "default_path", "key_of", "merge", "read_recording",
]  # fmt: skip
