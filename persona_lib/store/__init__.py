"""Keep every model reply under the hash of its request, so that no call is ever paid for twice.

Replies are in one SQLite file, under an optional recording (JSON lines) and over optional bases (other stores), both
read-only. Stores that several machines wrote are merged. No API key and no header is ever
stored. Every notebook that asks a model opens this wing: `Store(recording=recording)`.
"""

from .journal import Batch, Journal
from .keeping import export, prune, stats
from .merging import Merged, merge
from .opening import check_disk
from .recording import read_recording
from .requests import Stored, canonical, key_of
from .store import Store, bases, default_path, environment, exists

__all__ = [
    "Batch", "Journal", "Merged", "Store", "Stored", "bases", "canonical", "check_disk", "default_path", "environment",
    "exists", "export", "key_of", "merge", "prune", "read_recording", "stats",
]  # fmt: skip
