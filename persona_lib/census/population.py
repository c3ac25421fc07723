"""The population model: a sequence of trees (`trees`), each attribute drawn given those before it (Reiter 2005).

Combinations that `rules` forbids are never drawn. Only the leaves' counts are kept, no person's row.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..attributes import BY_NAME, CENSUS, Attribute
from . import coding
from .mapping import load as load_mapping
from .records import check, weights
from .rules import RULES, Rule, against, allowed
from .trees import Tree
from .trees import fit as fit_tree

DEFAULT = Path(__file__).parent / "data" / "population.npz"
CHUNK = 50_000  # persons drawn at a time: bounds memory, and is part of what a seed means
FEWEST = 1_000  # persons below which a fit is refused
TREE = ("ranks", "feature", "threshold", "right")

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


@dataclass(frozen=True)
class Population:
    """A fitted population: its attributes in the order in which they are drawn, a tree for each, and the rules.

    `numbers`: for each numeric attribute its values and how many people have them (m x 2, rising). `columns`: the
    order of the table drawn. `provenance`: files, years, weights, number of persons and how many they stand for, how
    many of them the rules would forbid, attributes, date, library versions.
    """

    attributes: tuple[Attribute, ...]
    trees: tuple[Tree, ...]
    numbers: dict[str, np.ndarray]
    rules: tuple[Rule, ...]
    columns: tuple[str, ...]
    provenance: dict

    @classmethod
    def fit(cls, people: pd.DataFrame, mapping: object = None) -> "Population":
        """Fit to a table of persons as `read_pums` returns it, or as `read_mapped` did with this mapping.

        At least 1,000 rows; 200,000 take half a minute. The column `weight` counts where there is one.
        """
        attributes, rules, columns = _plan(mapping)
        missing = [name for name in columns if name not in people]
        if missing:
            read = "read_mapped and this mapping" if mapping else "read_pums"
            raise UserError(f"The table of persons lacks {', '.join(missing)}: read it with census.{read}.")
        if len(people) < FEWEST:
            raise UserError(f"{len(people)} persons are too few to fit a population: give at least {FEWEST:,}.")
        weight = _whole(weights(people))
        coded = {a.name: coding.encode(a, people[a.name]) for a in attributes}
        trees = tuple(_fit_tree(attributes[: place + 1], coded, rules, weight) for place in range(len(attributes)))
        numbers = {a.name: coding.tally(a, people[a.name], weight) for a in attributes if a.kind == "numeric"}
        about = _provenance(people, attributes) | {"against the rules": against(rules, coded)}
        return cls(attributes, trees, numbers, rules, columns, about)

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """Draw n people: the columns and kinds of the table fitted to, the same for a seed on every machine."""
        check(n, seed)
        rng = seeds.rng("people of the population model", seed)
        parts = [self._draw(min(CHUNK, n - start), rng) for start in range(0, n, CHUNK)]
        columns = {}
        for attribute in self.attributes:
            drawn, numbers = (list(part) for part in zip(*(part[attribute.name] for part in parts), strict=True))
            numeric = np.concatenate(numbers) if attribute.kind == "numeric" else None
            columns[attribute.name] = coding.decode(attribute, np.concatenate(drawn), numeric)
        return pd.DataFrame({name: columns[name] for name in self.columns})

    def _draw(self, n: int, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
        """For each attribute the codes of n people, and for a number its values."""
        coded: dict[str, np.ndarray] = {}
        for attribute, tree in zip(self.attributes, self.trees, strict=True):
            given = np.column_stack([*coded.values()]) if coded else np.empty((n, 0), dtype=np.uint8)
            possible = allowed(attribute, coded, n, self.rules)
            if not possible.any(axis=1).all():
                raise UserError(f"the rules leave somebody no value of {attribute.name}: mend the mapping's rules.")
            coded[attribute.name] = tree.draw(given, possible, rng.random(n))
        values = {a.name: coding.pick(a, self.numbers[a.name], coded[a.name], rng)
                  for a in self.attributes if a.kind == "numeric"}  # fmt: skip
        return {name: (code, values.get(name)) for name, code in coded.items()}

    def save(self, path: str | Path = DEFAULT) -> None:
        """Write the population as a compressed npz of small integer arrays, without pickle."""
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
        np.savez_compressed(path, about=np.array(json.dumps(about)), **arrays)

    @classmethod
    def load(cls, path: str | Path = DEFAULT) -> "Population":
        """Read a saved population (by default the one that comes with the package)."""
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                attributes = tuple(_attribute(**told) for told in about["attributes"])
                trees = tuple(
                    Tree(*(file[f"{field} {place}"] for field in TREE), file[f"counts {place}"].astype(np.int64))
                    for place in range(len(attributes))
                )
                numbers = {a.name: file[f"numbers {i}"] for i, a in enumerate(attributes) if a.kind == "numeric"}
        except (OSError, ValueError, KeyError, TypeError, BadZipFile, EOFError) as error:
            raise UserError(
                f"{path} holds no population: name a file that this version's Population.save wrote."
            ) from error
        size = {attribute.name: attribute.size for attribute in attributes}
        rules = tuple(
            {name: np.isin(np.arange(size[name]), of) for name, of in rule.items()} for rule in about["rules"]
        )
        return cls(attributes, trees, numbers, rules, tuple(about["columns"]), about["provenance"])


def _attribute(codes: list[str], bands: list[int], **told: object) -> Attribute:
    """An attribute from a population's file: its labels without the codes of the file that it was read from."""
    return Attribute(codes=dict(enumerate(codes, start=1)), bands=tuple(bands), **told)


def _plan(mapping: object) -> tuple[tuple[Attribute, ...], tuple[Rule, ...], tuple[str, ...]]:
    """The attributes in drawing order, the rules, and the table's columns."""
    if mapping is None:
        return tuple(BY_NAME[name] for name in ORDER), tuple(RULES), CENSUS
    form = load_mapping(mapping)
    return tuple(form.drawn()), tuple(form.compiled()), tuple(form.attributes)


def _fit_tree(
    attributes: Sequence[Attribute],
    coded: dict[str, np.ndarray],
    rules: Sequence[Rule],
    weight: np.ndarray | None,
) -> Tree:
    """The tree of the last of these attributes, from those people whose value isn't settled by the rules."""
    *before, last = attributes
    given, target = {a.name: coded[a.name] for a in before}, coded[last.name]
    free = allowed(last, given, len(target), rules).sum(axis=1) > 1
    x = np.column_stack([*given.values()]) if given else np.empty((len(target), 0), dtype=np.uint8)
    ordered = [a.ordered or a.kind == "numeric" for a in before]
    return fit_tree(x[free], target[free], last.size, ordered, None if weight is None else weight[free])


def _whole(weight: np.ndarray | None) -> np.ndarray | None:
    """Weights as whole numbers: as they are, or else to a thousandth of their mean."""
    if weight is not None and (weight % 1).any():
        weight = np.rint(weight * (1_000 / weight.mean()))
    return None if weight is None else weight.astype(np.int64)


def _smallest(counts: np.ndarray) -> np.ndarray:
    return counts.astype(np.min_scalar_type(int(counts.max())))


def _provenance(people: pd.DataFrame, attributes: Sequence[Attribute]) -> dict:
    import sklearn

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
