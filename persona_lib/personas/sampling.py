"""Personas: synthetic people with the paper's 33 attributes, drawn from the census and written as text.

Used by every notebook that needs personas. The paper's section 3.1 and appendix A.
"""

import tokenize
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..attributes import BY_NAME, CENSUS, COLUMNS
from ..census import Population, Records, balance
from ..model import LanguageModel
from . import enrichment, profiles
from .profiles import describe as describe

ID, SPLIT = "persona_id", "persona_split"
BALANCED_TO = 20_000  # personas; above, chance alone is close
POOL, POOL_MOST = 10, 60_000  # people to choose from: so many for each persona, up to so many; at least three for each
# People drawn to stand for a population or a part of it: so many for each persona, up to so many. A hundred times as
# many are ten times closer to the whole than as many personas drawn by chance.
REFERENCE, REFERENCE_MOST = 100, 200_000
# People drawn in search of those whom a filter fits, at first and at most (fewer where it needs more than the census).
FIRST, MOST, MOST_ENRICHED = 20_000, 2_000_000, 200_000
# People among whom there is nobody at all whom it fits, after whom the search ends: some seconds.
NONE, NONE_ENRICHED = 200_000, 100_000
PAPER = 1_586
TRAIN_SHARE = 1_000 / PAPER
ADULTS = "age >= 18"
WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    ".parquet": lambda table, path: table.to_parquet(path),
    ".jsonl": lambda table, path: table.reset_index().to_json(path, orient="records", lines=True, force_ascii=False),
    ".csv": lambda table, path: table.to_csv(path),
    ".txt": lambda table, path: path.write_text("\n\n".join(table["persona"]) + "\n", "utf-8"),
}


def sample(
    n: int,
    seed: int = 0,
    population: Population | Records | None = None,
    where: str | None = None,
    balanced: bool | None = None,
    model: LanguageModel | None = None,
) -> pd.DataFrame:
    """Draw n personas from a population (by default the committed one, people in the US in 2024) or from real records.

    Args:
        n: how many.
        seed: of all draws.
        population: a fitted population, or real records. People who lack census attributes of `attributes` (of another
            country) are drawn at random and get no others.
        where: a filter, as `DataFrame.query` takes it, with backticks around names of several words:
            "age >= 18 and `marital status` == 'Married'".
        balanced: choose the personas from ten times as many so that the census's margins, and those of pairs, are met
            far better than by chance (`balance`); None: up to 20,000, above which they are drawn at random.
        model: writes the open-ended attributes and looks for contradictions; None: hand-written phrases and rules.

    Returns:
        One row per persona: index `persona_id`, the 33 attributes in the paper's order, then auxiliary columns, the
        `hispanic origin`, `persona_split` ('train' or 'test', 1,000 to 586 as in the paper, each balanced if the whole
        is), `state`, `ideology label`, `written by`, `failure`, and what `enrichment.complete` tells of contradictions.
        Ids are hashes of the census core, the seed and an ordinal among twins.

    Raises:
        UserError: n is no whole number above 0, or the filter can't be read, or fits none of 200,000 people drawn or
            fewer than n of 2,000,000 (100,000 and 200,000 where it needs more than the census).
    """
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise UserError(f"n must be a whole number of personas, 1 or more; it is {n!r}")
    source = population or _committed()
    complete = set(CENSUS) <= set(source.sample(1, seed))
    balanced = n <= BALANCED_TO and complete if balanced is None else balanced
    if not complete and (balanced or model):
        raise UserError("people who lack census attributes can't be balanced, nor can a model write for them: leave it")
    people, reference = _pool(n, seed, source, where, balanced)
    people = people.iloc[balance.choose(people, n, reference, seed)] if balanced else people.head(n)
    people = enrichment.complete(people, seed, where, model) if complete else _blank(people)
    people[SPLIT] = _split(people, reference, seed)
    return people[[*dict.fromkeys((*COLUMNS, SPLIT, *(enrichment.COLUMNS if complete else ()), *people))]]


def reference(seed: int = 0) -> pd.DataFrame:
    """The reference demographic: 1,586 balanced personas as from `sample`, 1,000 to train and 586 to test.

    The paper's text has both 1,586 personas and a split into 1,000 and 568; here the whole is 1,586.
    """
    return sample(PAPER, seed)


def save(personas: pd.DataFrame, path: str | Path) -> None:
    """Write personas to a file of the kind its name says: .parquet, .jsonl, .csv or .txt.

    The columns are `persona_id`, the attributes and the auxiliary ones, then `persona`, the text as in the published
    PERSONA data; .txt holds these texts alone, a blank line between them.
    """
    check_suffix(path)
    table = personas.assign(persona=profiles.texts(personas))
    WRITERS[Path(path).suffix](table, Path(path))


def check_suffix(path: str | Path) -> None:
    """Raise UserError for the name of a file that `save` can't write."""
    if Path(path).suffix not in WRITERS:
        raise UserError(f"{path} must end in one of {', '.join(WRITERS)}")


def _pool(
    n: int, seed: int, source: Population | Records, where: str | None, balanced: bool
) -> tuple[pd.DataFrame, balance.Reference | None]:
    """People to choose n of, index `persona_id`, and the shares to come close to if balanced."""
    wanted = max(3 * n, min(POOL * n, POOL_MOST)) if balanced else n
    if isinstance(source, Records) and not enrichment.needed(where):
        there = source.people[fits(source.people, where)] if where else source.people
        if len(there):  # nobody twice, unless more are wanted than there are
            people = _draw(Records(there), max(n, min(wanted, len(there))), seed)
            return people, balance.of(there) if balanced else None
    if where is None and (source is _committed() or not balanced):
        return _draw(source, wanted, seed), balance.census() if balanced else None
    first = max(FIRST, min(REFERENCE * n, REFERENCE_MOST)) if balanced else FIRST
    people = _fitting(source, n, wanted, seed, where, first)
    return people.head(wanted), balance.of(people) if balanced else None


def _fitting(
    source: Population | Records, n: int, wanted: int, seed: int, where: str | None, first: int
) -> pd.DataFrame:
    """Everybody whom the filter fits among as many people as it takes to have those wanted, or at least n."""
    steps = enrichment.needed(where)
    most, none = (MOST_ENRICHED, NONE_ENRICHED) if steps else (MOST, NONE)
    most = min(most, len(source.people)) if isinstance(source, Records) else most
    size = min(max(wanted, FIRST if steps else first), most)
    while True:
        people = enrichment.add(_draw(source, size, seed), seed, steps)
        fitting = people[fits(people, where)] if where else people
        fitting = fitting.drop(enrichment.contradictions(fitting).index) if steps else fitting
        if len(fitting) >= wanted or size >= most or (fitting.empty and size >= none):
            break
        size = min(most, none if fitting.empty else int(1.2 * size * wanted / len(fitting)))
    if len(fitting) < n:
        raise UserError(f"{where!r} fits {len(fitting)} of {size:,} people drawn, {n} are wanted: mend or loosen it")
    return fitting


def fits(people: pd.DataFrame, where: str) -> np.ndarray:
    """Whom a filter fits, as booleans; what is missing fits none. Raises UserError for one that can't be read."""
    try:
        fits = people.eval(where, engine="python")
    except tokenize.TokenError as error:
        raise UserError(f"the filter {where!r} can't be read: close its brackets and quotes") from error
    except Exception as error:  # whatever an expression of the user's own raises, such as a division by zero
        raise UserError(f"the filter {where!r} can't be read: {' '.join(str(error).split())}") from error
    if not isinstance(fits, pd.Series) or not pd.api.types.is_bool_dtype(fits):
        raise UserError(f"the filter {where!r} says nothing that is true or false of a person")
    return fits.fillna(False).to_numpy(dtype=bool)


def _draw(source: Population | Records, size: int, seed: int) -> pd.DataFrame:
    people = source.sample(size, seed)
    return people.set_index(_ids(people, seed))


def _blank(people: pd.DataFrame) -> pd.DataFrame:
    """The people with all attributes that they lack, missing."""
    lacking = [name for name in COLUMNS if name not in people]
    return people.assign(**dict.fromkeys(lacking)).astype(dict.fromkeys(lacking, "str"))


def _split(people: pd.DataFrame, reference: balance.Reference | None, seed: int) -> pd.Series:
    """Who is to train and who to test."""
    test = len(people) - round(TRAIN_SHARE * len(people))
    if reference:
        rows = balance.choose(people, test, reference, seed)
    else:
        rows = seeds.rng("people split", seed).permutation(len(people))[:test]
    return pd.Series("train", people.index, dtype="str").where(~np.isin(np.arange(len(people)), rows), "test")


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
