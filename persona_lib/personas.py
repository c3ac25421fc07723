"""Personas: synthetic people with the paper's 33 attributes, drawn from the census and written as text.

Used by every notebook that needs personas. The paper's section 3.1 and appendix A.
"""

from functools import cache
from hashlib import blake2b

import numpy as np
import pandas as pd

from .attributes import BY_NAME, CENSUS, COLUMNS, NAMES
from .census import Population, Records

ID = "persona_id"


def sample(n: int, seed: int = 0, population: Population | Records | None = None) -> pd.DataFrame:
    """Draw n personas from a population (by default the committed one, people in the US in 2024) or from real records.

    Returns one row per persona: index `persona_id`, the 33 attributes in the paper's order, then auxiliary columns,
    last those that only this population has (the state of residence, say). Attributes that the census does not give
    are missing. Raises UserError for n that is no whole number above 0.
    """
    people = (population or _committed()).sample(n, seed)
    personas = people.reindex(columns=[*COLUMNS, *(name for name in people if name not in BY_NAME)])
    blank = [name for name in COLUMNS if name not in people]
    personas[blank] = personas[blank].astype("str")
    return personas.set_index(_ids(people, seed))


def describe(row: pd.Series) -> str:
    """Write a persona as lines `attribute: value`, the published PERSONA form; what is missing is left out.

    Age and income are plain integers. Auxiliary columns are not written.
    """
    known = row.reindex(list(NAMES)).dropna()
    return "\n".join(f"{name}: {_text(value)}" for name, value in known.items())


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, int | float | np.number) else str(value)


@cache
def _committed() -> Population:
    return Population.load()


def _ids(people: pd.DataFrame, seed: int) -> pd.Index:
    """Stable ids: hash of what the census says of a person, the seed, and an ordinal among twins."""
    cores = pd.Series([_hash(row.tobytes()) for row in _core(people)])
    twins = cores.groupby(cores).cumcount()
    keys = (f"{core}|{seed}|{twin}" for core, twin in zip(cores, twins, strict=True))
    return pd.Index([_hash(key.encode()) for key in keys], name=ID, dtype="str")


def _core(people: pd.DataFrame) -> np.ndarray:
    """What the census says as its codes, persons x attributes: the wording of a label may change, codes do not."""
    missing = np.iinfo(np.int64).min
    codes = [
        np.array([*_codes(people[name]), missing])[people[name].cat.codes]
        if isinstance(people[name].dtype, pd.CategoricalDtype)
        else people[name].fillna(missing).to_numpy(dtype=np.int64)
        for name in people
        if name in CENSUS or name not in COLUMNS
    ]
    return np.column_stack(codes).astype("<i8")


def _codes(values: pd.Series) -> list[int]:
    """The Bureau's codes of its labels; of another country's labels their place."""
    ours = BY_NAME.get(values.name)
    same = ours is not None and ours.labels == tuple(values.cat.categories)
    return list(ours.codes) if same else list(range(len(values.cat.categories)))


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()
