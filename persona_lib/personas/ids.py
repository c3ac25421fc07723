"""Stable ids of drawn people: hashes of what the census says of them, never row numbers.

The same seed gives the same people as long as the tables stay that they are drawn from. `drawn_from` is a hash of
these: runs and data sets keep it, so that one of other people is told.
"""

from functools import cache
from hashlib import blake2b

import numpy as np
import pandas as pd

from ..attributes import BY_NAME, CENSUS, COLUMNS
from ..census import distances
from .predicates import FOLDER

ID = "persona_id"
# Tables of data/ that no draw depends on: what people are compared with, how they are described, other people.
APART = (
    *("half_distances.csv", "held_out_pair_shares.parquet", "held_out_three_way.csv", "published.yaml"),
    *("profiles.yaml", "respondents.yaml", "states.csv", "together.yaml"),
)


@cache
def drawn_from() -> str:
    """Return a hash of the committed tables that people are drawn from."""
    paths = [path for folder in (distances.DATA, FOLDER) for path in sorted(folder.iterdir())]
    return _hash(b"".join(path.read_bytes() for path in paths if path.suffix != ".md" and path.name not in APART))


def of(people: pd.DataFrame, seed: int) -> pd.Index:
    """Return stable ids: the hash of a person's census core, the seed, and an ordinal among twins."""
    cores = pd.Series([_hash(row.tobytes()) for row in _core(people)])
    twins = cores.groupby(cores).cumcount()
    keys = (f"{core}|{seed}|{twin}" for core, twin in zip(cores, twins, strict=True))
    return pd.Index([_hash(key.encode()) for key in keys], name=ID, dtype="str")


def _core(people: pd.DataFrame) -> np.ndarray:
    """Return the census core as codes, people x attributes: the wording of a label may change, its code does not."""
    columns = [people[name] for name in people if name in CENSUS or name not in COLUMNS]
    return np.column_stack([_numbers(column) for column in columns]).astype("<i8")


def _numbers(values: pd.Series) -> np.ndarray:
    """Return a column as whole numbers: codes for labels, the number itself otherwise."""
    missing = np.iinfo(np.int64).min
    if isinstance(values.dtype, pd.CategoricalDtype):
        return np.array([*_codes(values), missing])[values.cat.codes]  # pandas' code for missing is -1, the last
    return values.fillna(missing).to_numpy(dtype=np.int64)


def _codes(values: pd.Series) -> list[int]:
    """Return the codes of a column's labels: the Bureau's, or for labels of another country their places."""
    labels = tuple(values.cat.categories)
    attribute = BY_NAME.get(values.name)
    if attribute is not None and attribute.labels == labels:
        return list(attribute.codes)
    return list(range(len(labels)))


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()
