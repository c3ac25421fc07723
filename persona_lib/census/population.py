"""Fit, save and draw from the population model: a sequence of trees, each attribute given those before (Reiter 2005).

Combinations that `rules` forbids are never drawn. The model keeps only the leaves' counts, no person's row.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from .. import UserError, files, seeds
from ..attributes import BY_NAME, CENSUS, Attribute
from . import coding
from .mapping import Mapping
from .mapping import load as load_mapping
from .records import check, weights
from .rules import RULES, Rule, against, allowed
from .trees import Tree
from .trees import fit as fit_tree

DEFAULT = Path(__file__).parent / "data" / "population.npz"
CHUNK = 50_000  # persons drawn at a time; it bounds memory, and changing it changes what a seed draws
FEWEST = 1_000  # persons below which a fit is refused
HUGE = 1e12  # a sum of weights above which they are scaled down: products of counts must stay whole numbers
TREE = ("ranks", "feature", "threshold", "right")

# Each attribute is drawn given those before it: first who a person is, then home, work and health. We tried eight
# orders; their distances to real people differed by at most 0.0003.
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


@dataclass(frozen=True)
class Population:
    """A fitted population.

    Attributes:
        attributes: in the order in which they are drawn.
        trees: one per attribute, given all attributes before it.
        numbers: for each numeric attribute, an array (values x 2): its values, ascending, and the people with each.
        rules: combinations that are never drawn.
        columns: the order of the columns of the table drawn.
        provenance: files, years, weights, number of persons and of the people they stand for, number of persons whom
            the rules would forbid, attributes, date, library versions.
    """

    attributes: tuple[Attribute, ...]
    trees: tuple[Tree, ...]
    numbers: dict[str, np.ndarray]
    rules: tuple[Rule, ...]
    columns: tuple[str, ...]
    provenance: dict

    @classmethod
    def fit(cls, people: pd.DataFrame, mapping: Mapping | str | Path | None = None) -> "Population":
        """Fit a population to a table of persons. 200,000 rows take half a minute.

        Args:
            people: a table that `read_pums` returned, or that `read_mapped` returned for this mapping; at least 1,000
                rows. Persons count by the column `weight` if there is one.
            mapping: as in `read_mapped`; by default the Bureau's attributes.

        Raises:
            UserError: the table lacks columns, has too few rows, has invalid weights or labels, or the rules forbid
                most people.
        """
        attributes, rules, columns = _plan(mapping)
        missing = [name for name in columns if name not in people]
        if missing:
            read = "read_mapped and this mapping" if mapping else "read_pums"
            raise UserError(f"the table of persons lacks {', '.join(missing)}: read it with census.{read}.")
        if len(people) < FEWEST:
            raise UserError(f"{len(people)} persons are too few to fit a population: give at least {FEWEST:,}.")
        weight = _whole(weights(people))
        coded = {a.name: coding.encode(a, people[a.name]) for a in attributes}
        if (forbidden := against(rules, coded)) > len(people) / 2:
            raise UserError(
                f"the rules forbid {forbidden:,} of {len(people):,} persons: check that the columns have the codes of "
                f"the {'mapping' if mapping else 'American Community Survey'}."
            )
        trees = tuple(_fit_tree(attributes[: place + 1], coded, rules, weight) for place in range(len(attributes)))
        numbers = {a.name: coding.tally(a, people[a.name], weight) for a in attributes if a.kind == "numeric"}
        about = _provenance(people, attributes) | {"against the rules": forbidden}
        return cls(attributes, trees, numbers, rules, columns, about)

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """Draw n people.

        Args:
            n: number of people.
            seed: the same seed gives the same people on every machine.

        Returns:
            One row per person, with the columns and types of the table that the population was fitted to.

        Raises:
            UserError: n or the seed is invalid, or the rules leave a person no value of an attribute.
        """
        check(n, seed)
        rng = seeds.rng("people of the population model", seed)
        parts = [self._draw(min(CHUNK, n - start), rng) for start in range(0, n, CHUNK)]
        columns = {}
        for attribute in self.attributes:
            name = attribute.name
            codes = np.concatenate([codes[name] for codes, _ in parts])
            numeric = attribute.kind == "numeric"
            numbers = np.concatenate([numbers[name] for _, numbers in parts]) if numeric else None
            columns[name] = coding.decode(attribute, codes, numbers)
        return pd.DataFrame({name: columns[name] for name in self.columns})

    def _draw(self, n: int, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Draw the codes of n people for each attribute, then the values of each numeric attribute: arrays (n,)."""
        codes: dict[str, np.ndarray] = {}
        for attribute, tree in zip(self.attributes, self.trees, strict=True):
            given = _stacked(codes, n)  # people x attributes so far
            possible = allowed(attribute, codes, n, self.rules)  # people x codes of the attribute
            if not possible.any(axis=1).all():
                raise UserError(
                    f"the rules leave a person no value of {attribute.name}: correct the rules of the mapping."
                )
            codes[attribute.name] = tree.draw(given, possible, rng.random(n))
        # Numbers come after all codes. Another order would change what a seed draws.
        numbers = {}
        for attribute in self.attributes:
            name = attribute.name
            if attribute.kind == "numeric":
                numbers[name] = coding.pick(attribute, self.numbers[name], codes[name], rng)
        return codes, numbers

    def save(self, path: str | Path = DEFAULT) -> None:
        """Write the population as a compressed npz of small integer arrays, without pickle; whole or not at all."""
        arrays = {f"{field} {place}": getattr(tree, field) for place, tree in enumerate(self.trees) for field in TREE}
        arrays |= {f"counts {place}": _smallest(tree.counts) for place, tree in enumerate(self.trees)}
        places = {attribute.name: place for place, attribute in enumerate(self.attributes)}
        arrays |= {f"numbers {places[name]}": numbers for name, numbers in self.numbers.items()}
        about = {
            "attributes": [asdict(a) | {"codes": a.labels} for a in self.attributes],
            "rules": [{name: np.flatnonzero(mask).tolist() for name, mask in rule.items()} for rule in self.rules],
            "columns": self.columns,
            "provenance": self.provenance,
        }
        path = Path(path)
        path = path if path.suffix == ".npz" else path.with_name(f"{path.name}.npz")  # as numpy names it
        told = np.array(json.dumps(about))
        files.write(path, lambda half: np.savez_compressed(half, about=told, **arrays))

    @classmethod
    def load(cls, path: str | Path = DEFAULT) -> "Population":
        """Read a saved population; by default the one that comes with the package.

        Raises:
            UserError: the file is not a population that this version can read.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                attributes = tuple(_attribute(**told) for told in about["attributes"])
                trees = tuple(_tree(file, place) for place in range(len(attributes)))
                numbers = {a.name: file[f"numbers {i}"] for i, a in enumerate(attributes) if a.kind == "numeric"}
            columns, provenance = tuple(about["columns"]), about["provenance"]
            size = {attribute.name: attribute.size for attribute in attributes}
            rules = tuple(
                {name: np.isin(np.arange(size[name]), of) for name, of in rule.items()} for rule in about["rules"]
            )
        except (OSError, ValueError, KeyError, TypeError, BadZipFile, EOFError, RuntimeError, zlib.error) as error:
            raise UserError(
                f"{path} is not a population file: name a file that this version's Population.save wrote."
            ) from error
        return cls(attributes, trees, numbers, rules, columns, provenance)


def _stacked(codes: dict[str, np.ndarray], n: int) -> np.ndarray:
    """Return the codes of n people as an array (people x attributes)."""
    return np.column_stack([*codes.values()]) if codes else np.empty((n, 0), dtype=np.uint8)


def _tree(file: Any, place: int) -> Tree:
    """Return the tree at this place from the arrays of a population's file."""
    counts = file[f"counts {place}"].astype(np.int64)
    return Tree(**{field: file[f"{field} {place}"] for field in TREE}, counts=counts)


def _attribute(codes: list[str], bands: list[int], **told: Any) -> Attribute:
    """Return an attribute from a population's file, which has the labels but not the codes of the microdata."""
    return Attribute(codes=dict(enumerate(codes, start=1)), bands=tuple(bands), **told)


def _plan(
    mapping: Mapping | str | Path | None,
) -> tuple[tuple[Attribute, ...], tuple[Rule, ...], tuple[str, ...]]:
    """Return the attributes in drawing order, the rules, and the table's columns."""
    if mapping is None:
        return tuple(BY_NAME[name] for name in ORDER), tuple(RULES), CENSUS
    loaded = load_mapping(mapping)
    return tuple(loaded.drawn()), tuple(loaded.compiled()), tuple(loaded.attributes)


def _fit_tree(
    attributes: Sequence[Attribute],
    coded: dict[str, np.ndarray],
    rules: Sequence[Rule],
    weight: np.ndarray | None,
) -> Tree:
    """Fit the tree of the last of these attributes to the people for whom the rules leave more than one value."""
    *before, last = attributes
    given = {a.name: coded[a.name] for a in before}
    target = coded[last.name]
    free = allowed(last, given, len(target), rules).sum(axis=1) > 1  # people
    x = _stacked(given, len(target))
    ordered = [a.ordered or a.kind == "numeric" for a in before]
    return fit_tree(x[free], target[free], last.size, ordered, None if weight is None else weight[free])


def _whole(weight: np.ndarray | None) -> np.ndarray | None:
    """Return weights as whole numbers: unchanged if they are whole and not huge, else in thousandths of their mean.

    Nobody's weight is less than 1.
    """
    if weight is not None and ((weight % 1).any() or weight.sum() > HUGE):
        weight = np.rint(weight / weight.mean() * 1_000).clip(1)
    return None if weight is None else weight.astype(np.int64)


def _smallest(counts: np.ndarray) -> np.ndarray:
    """Return counts in the smallest integer type that they fit in."""
    return counts.astype(np.min_scalar_type(int(counts.max())))


def _provenance(people: pd.DataFrame, attributes: Sequence[Attribute]) -> dict:
    """Return where a population comes from, all but `against the rules`."""
    import sklearn  # takes seconds, and drawing does not need it

    weight = weights(people)
    return (
        {"files": [], "years": [], "weights": "none"}
        | people.attrs
        | {
            "persons": len(people),
            "stand for": len(people) if weight is None else round(float(weight.sum())),
            "attributes": [attribute.name for attribute in attributes],
            "fitted": f"{datetime.now(UTC):%Y-%m-%d}",
            "versions": {"numpy": np.__version__, "pandas": pd.__version__, "scikit-learn": sklearn.__version__},
        }
    )
