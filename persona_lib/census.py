"""Census microdata to a table of labelled persons, and a population model that draws new people like them.

The model is a sequence of trees (`cart`): each attribute is drawn given those before it, and combinations that
can't be (`universe`) are never drawn. Only the leaves' counts are kept, no person's row. Used by notebook 01.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from . import UserError, cart
from .attributes import BY_NAME, CENSUS, Attribute
from .universe import INCOME_EDGES, OLDEST, allowed, size

DEFAULT = Path(__file__).parent / "data" / "population.npz"
CHUNK = 50_000  # persons drawn at a time: bounds memory, and is part of what a seed means
FEWEST = 1_000  # persons below which a fit is refused
ORDERED = ("age", "education", "income")  # predictors split along their own order

# Each attribute is drawn given those before it: who one is, the home, the work, health. Of eight orders tried the
# distances to real people differed by 0.0003 at most.
ORDER = (
    "age",
    "sex",
    "hispanic origin",
    "race",
    "citizenship",
    "marital status",
    "household type",
    "family presence and age",
    "household language",
    "ability to speak english",
    "education",
    "veteran status",
    "employment status",
    "class of worker",
    "industry category",
    "occupation category",
    "income",
    "cognitive difficulty",
    "hearing difficulty",
    "vision difficulty",
    "disability",
    "health insurance",
    "fertility",
)


def read_pums(files: str | Path | Sequence[str | Path]) -> pd.DataFrame:
    """Read ACS PUMS persons from parquet files with the Bureau's column names and codes.

    Returns one row per person and the columns of `attributes.CENSUS`: age in years, income in dollars (missing
    under 15), all others categorical with the Bureau's labels; not applicable is missing. `.attrs["files"]` names
    the files. Raises UserError for a file that can't be read, lacks columns or has codes the dictionary lacks.
    """
    paths = [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
    table = pd.concat([_read_parquet(path) for path in paths], ignore_index=True)
    people = pd.DataFrame({name: _labelled(BY_NAME[name], table[BY_NAME[name].pums]) for name in CENSUS})
    people.attrs["files"] = [path.name for path in paths]
    return people


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    columns = [BY_NAME[name].pums for name in CENSUS]
    try:
        missing = [column for column in columns if column not in pq.read_schema(path).names]
        table = pd.DataFrame() if missing else pd.read_parquet(path, columns=columns)
    except (OSError, ArrowException) as error:
        raise UserError(f"{path} can't be read as parquet: name a parquet file of PUMS persons.") from error
    if missing:
        raise UserError(f"{path} lacks the PUMS columns {', '.join(missing)}: name a file of persons that has them.")
    return table


def _labelled(attribute: Attribute, codes: pd.Series) -> pd.Series:
    """One PUMS column as numbers or as a categorical of the attribute's labels."""
    values = pd.to_numeric(codes, errors="coerce").astype("Int64")
    known = values.notna() | codes.isna()
    if attribute.name == "age":
        known = values.between(0, OLDEST).fillna(False)
    elif attribute.kind == "categorical" and not attribute.grouped:
        known &= values.isin(list(attribute.codes)) | values.isna()
    if not known.all():
        strange = ", ".join(sorted(map(str, codes[~known].unique()))[:9])
        raise UserError(f"PUMS column {attribute.pums} has codes that the dictionary lacks ({strange}): mend the file.")
    if attribute.kind == "numeric":
        return values.astype("int64") if attribute.name == "age" else values
    index = np.searchsorted(list(attribute.codes), values.fillna(-1).to_numpy(dtype=int), side="right") - 1
    return pd.Series(pd.Categorical.from_codes(index, attribute.labels), index=codes.index)


@dataclass(frozen=True)
class Population:
    """A fitted population: one tree per attribute in `ORDER`, the incomes in each band, and where it comes from.

    `incomes` (m x 2): dollars and how many persons of the fit had them, in rising order. `provenance`: files,
    the years in their names, number of persons, attributes, date, library versions.
    """

    trees: tuple[cart.Tree, ...]
    incomes: np.ndarray
    provenance: dict

    @classmethod
    def fit(cls, people: pd.DataFrame) -> "Population":
        """Fit to a table of persons as `read_pums` returns it (at least 1,000 rows; 200,000 take half a minute)."""
        missing = [name for name in ORDER if name not in people]
        if missing:
            raise UserError(f"The table of persons lacks {', '.join(missing)}: read it with census.read_pums.")
        if len(people) < FEWEST:
            raise UserError(f"{len(people)} persons are too few to fit a population: give at least {FEWEST:,}.")
        codes = {name: _encode(people[name]) for name in ORDER}
        trees = tuple(_fit_tree(codes, place) for place in range(len(ORDER)))
        return cls(trees, _incomes(people["income"]), _provenance(people))

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """Draw n people: the columns and kinds of `read_pums`, the same for a seed on every machine."""
        if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
            raise UserError(f"n must be a whole number of people, 1 or more; it is {n!r}.")
        if not isinstance(seed, int | np.integer) or seed < 0:
            raise UserError(f"seed must be a whole number, 0 or more; it is {seed!r}.")
        rng = np.random.default_rng(seed)
        parts = [self._draw(min(CHUNK, n - start), rng) for start in range(0, n, CHUNK)]
        codes = {name: np.concatenate([part[name] for part in parts]) for name in (*ORDER, "dollars")}
        return pd.DataFrame({name: _decode(name, codes) for name in CENSUS})

    def _draw(self, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        codes: dict[str, np.ndarray] = {}
        for name, tree in zip(ORDER, self.trees, strict=True):
            given = np.column_stack([*codes.values()]) if codes else np.empty((n, 0), dtype=np.uint8)
            codes[name] = tree.draw(given, allowed(name, codes, n), rng.random(n))
        codes["dollars"] = self._dollars(codes["income"], rng.random(n))
        return codes

    def _dollars(self, band: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Draw each person's income among those that people in the same band have."""
        dollars, counts = self.incomes.T
        upto = np.concatenate([[0], counts.cumsum()])
        edges = upto[np.searchsorted(_band(dollars), np.arange(size("income") + 1))]
        low, high = edges[band], edges[band + 1]
        place = np.searchsorted(upto, low + np.floor(uniform * (high - low)), side="right") - 1
        return dollars[np.minimum(place, len(dollars) - 1)]

    def save(self, path: str | Path = DEFAULT) -> None:
        """Write the population as a compressed npz of small integer arrays, without pickle."""
        arrays = {f"{field} {name}": getattr(tree, field) for name, tree in zip(ORDER, self.trees, strict=True)
                  for field in ("ranks", "feature", "threshold", "right")}  # fmt: skip
        counts = {f"counts {name}": _smallest(tree.counts) for name, tree in zip(ORDER, self.trees, strict=True)}
        about = np.array(json.dumps(self.provenance))
        np.savez_compressed(path, about=about, incomes=self.incomes, **arrays, **counts)

    @classmethod
    def load(cls, path: str | Path = DEFAULT) -> "Population":
        """Read a saved population (by default the one that comes with the package)."""
        try:
            with np.load(path, allow_pickle=False) as file:
                trees = tuple(
                    cart.Tree(*(file[f"{field} {name}"] for field in ("ranks", "feature", "threshold", "right")),
                              file[f"counts {name}"].astype(np.int64))
                    for name in ORDER
                )  # fmt: skip
                return cls(trees, file["incomes"], json.loads(str(file["about"])))
        except (OSError, ValueError, KeyError, BadZipFile, EOFError) as error:
            raise UserError(f"{path} holds no population: name a file that Population.save wrote.") from error


def _fit_tree(codes: dict[str, np.ndarray], place: int) -> cart.Tree:
    """The tree of the attribute at this place of ORDER, from those people whose value isn't settled by the rules."""
    name, before = ORDER[place], {other: codes[other] for other in ORDER[:place]}
    target = codes[name]
    free = allowed(name, before, len(target)).sum(axis=1) > 1
    given = np.column_stack([*before.values()]) if before else np.empty((len(target), 0), dtype=np.uint8)
    return cart.fit(given[free], target[free], size(name), [other in ORDERED for other in before])


def _band(dollars: np.ndarray) -> np.ndarray:
    """Code of the income band, 1 and up."""
    return (np.searchsorted(INCOME_EDGES, dollars, side="right") + 1).astype(np.uint8)


def _encode(values: pd.Series) -> np.ndarray:
    """Codes (uint8) of one column: 0 is missing, then the labels; income in bands; age as it is."""
    if values.name == "age":
        return values.to_numpy(dtype=np.uint8)
    if values.name == "income":
        return np.where(values.isna(), 0, _band(values.fillna(0).to_numpy(dtype=int))).astype(np.uint8)
    return (values.cat.codes.to_numpy() + 1).astype(np.uint8)


def _decode(name: str, codes: dict[str, np.ndarray]) -> pd.Series:
    if name == "age":
        return pd.Series(codes["age"].astype(np.int64))
    if name == "income":
        return pd.Series(codes["dollars"]).astype("Int64").mask(codes["income"] == 0)
    return pd.Series(pd.Categorical.from_codes(codes[name].astype(np.int8) - 1, BY_NAME[name].labels))


def _incomes(income: pd.Series) -> np.ndarray:
    """Incomes on the Bureau's grid (to 10 dollars, from 1,000 to 100, from 50,000 to 1,000) and how many have them."""
    dollars = income.dropna().to_numpy(dtype=float)
    grid = np.select([abs(dollars) < 1_000, abs(dollars) < 50_000, abs(dollars) < 200_000], [10, 100, 1_000], 10_000)
    rounded = np.where(abs(dollars) < 10, dollars, np.round(dollars / grid) * grid).astype(np.int64)
    return np.column_stack(np.unique(rounded, return_counts=True))


def _smallest(counts: np.ndarray) -> np.ndarray:
    return counts.astype(np.min_scalar_type(int(counts.max())))


def _provenance(people: pd.DataFrame) -> dict:
    import sklearn

    files = people.attrs.get("files", [])
    return {
        "files": files,
        "years": sorted(set(re.findall(r"20\d\d", " ".join(files)))),
        "persons": len(people),
        "attributes": list(ORDER),
        "fitted": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": {"numpy": np.__version__, "pandas": pd.__version__, "scikit-learn": sklearn.__version__},
    }
