"""Draw personas from a population: filters, balanced samples, stable ids, the split into train and test, files.

The paper's section 3.1 and appendix A.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, files
from ..attributes import CENSUS, COLUMNS
from ..census import Population, Records, balance, distances
from ..model import LanguageModel
from . import enrichment, ids, profiles, queries, rarity, regions
from .sides import SPLIT, SPLITS, TEST_SHARE, split

Source = Population | Records | rarity.Likely  # of people
BALANCED_TO = 20_000  # personas; larger samples are close to the census by chance alone
# Size of the pool to choose balanced personas from: POOL people per persona, up to POOL_MOST, but at least three each.
POOL, POOL_MOST = 10, 60_000
# Size of the draw that stands for a population or a part of it: REFERENCE people per persona, up to REFERENCE_MOST. A
# random sample a hundred times as large is ten times closer to the whole.
REFERENCE, REFERENCE_MOST = 100, 200_000
# People drawn in search of those who match a filter: at first, and at most (fewer if the filter needs enrichment).
FIRST, MOST, MOST_ENRICHED = 20_000, 2_000_000, 200_000
SPARE = 30  # people drawn beyond the expected number, in search of those of one side of the split
# The search ends if nobody among so many people matches; this takes some seconds.
GIVE_UP, GIVE_UP_ENRICHED = 200_000, 100_000
PAPER = 1_586  # personas in the paper
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
    writer: LanguageModel | None = None,
    checker: LanguageModel | None = None,
    side: str | None = None,
    filtered: bool = True,
) -> pd.DataFrame:
    """Draw n personas from a population (by default the committed one, people in the US in 2024) or from real records.

    Args:
        n: how many.
        seed: of all draws.
        population: a fitted population, or real records. People who lack census attributes of `attributes` (of another
            country) are drawn at random and get no further attributes.
        where: a filter, as `DataFrame.query` takes it: "age >= 18 and `marital status` == 'Married'". Columns are found
            in any spelling, also without backticks.
        balanced: choose the personas from ten times as many people, such that their margins and those of pairs are far
            closer to the census than a random sample's (`balance`), and without a filter the margins of region of birth
            and ancestry, too. None: True up to 20,000 personas, False above.
        writer: the model that writes the open-ended attributes; None: they are put together from hand-written phrases.
        checker: the model that reads each profile for contradictions (`enrichment.complete`); None: rules alone do.
        side: 'train' or 'test': only people of this side of the split; people are drawn until there are n. None: both.
        filtered: leave out the people of the committed population who have an unlikely pair of census values
            (`rarity`); others take their place. People of a population of your own and real people all stay.

    Returns:
        One row per persona: index `persona_id`, the 33 attributes in the paper's order, then auxiliary columns:
        `hispanic origin`; `persona_split` ('train' or 'test', see `split`); `state`, `ideology label`, `written by`,
        `failure`; and the columns of `enrichment.complete` about contradictions. An id is a hash of the census core,
        the seed and an ordinal among twins.

    Raises:
        UserError: n is not a whole number above 0; there is no such side; the filter can't be read; the filter matches
            none of 200,000 people drawn, or fewer than n of 2,000,000 (100,000 and 200,000 if it needs more than the
            census).
    """
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise UserError(f"n must be a whole number of personas, 1 or more; it is {n!r}")
    if side not in (None, *SPLITS):
        raise UserError(f"there is no side {side!r} of the split: choose one of {', '.join(SPLITS)}")
    source: Source = population or (_likely() if filtered else _committed())
    columns = set(source.sample(1, seed))
    complete = set(CENSUS) <= columns
    where = where and queries.spelt(where, [*COLUMNS, *enrichment.COLUMNS, *columns])
    if balanced is None:
        balanced = n <= BALANCED_TO and complete
    if not complete and (balanced or writer or checker):
        raise UserError("people who lack census attributes can't be balanced or written by a model: leave both out")
    people, target = _pool(n, seed, source, where, balanced, side)
    people = people.head(n) if target is None else _balanced(people, n, target, seed)
    people = enrichment.complete(people, seed, where, writer, checker) if complete else _blank(people)
    people[SPLIT] = split(people.index)
    added = enrichment.COLUMNS if complete else ()
    return people[[*dict.fromkeys((*COLUMNS, SPLIT, *added, *people))]]


def reference(seed: int = 0) -> pd.DataFrame:
    """Draw the reference demographic: 1,586 balanced personas as returned by `sample`.

    The paper's text states both 1,586 personas and a split into 1,000 and 568; we keep the total. About 1,000 are to
    train and 586 to test (see `split`).
    """
    return sample(PAPER, seed)


def save(personas: pd.DataFrame, path: str | Path) -> None:
    """Write personas to a file; the suffix of its name gives the format: .parquet, .jsonl, .csv or .txt.

    The columns are `persona_id`, the attributes, the auxiliary columns, and `persona`, the text as in the published
    PERSONA data. A .txt file has only these texts, with a blank line between them.

    Raises:
        UserError: the suffix is another one, or there is no such folder.
    """
    check_suffix(path)
    table = personas.assign(persona=profiles.texts(personas))
    files.write(Path(path), lambda half: WRITERS[half.suffix.lower()](table, half))


def check_suffix(path: str | Path) -> None:
    """Check that `save` can write a file of this name and in this folder.

    Raises:
        UserError: it can't.
    """
    if Path(path).suffix.lower() not in WRITERS:
        raise UserError(f"{path} must end in one of {', '.join(WRITERS)}")
    if not (folder := Path(path).parent).is_dir():
        raise UserError(f"{path} can't be written: there is no folder {folder}; make it first")


def _pool(
    n: int, seed: int, source: Source, where: str | None, balanced: bool, side: str | None
) -> tuple[pd.DataFrame, balance.Reference | None]:
    """Return people to choose n personas from, index `persona_id`, and the shares to come close to (None: random).

    People of the committed population have their origins, and columns `distances.ORIGINS`, if they are to be balanced.
    """
    wanted = max(3 * n, min(POOL * n, POOL_MOST)) if balanced else n
    if isinstance(source, Records) and not enrichment.needed(where):
        there = source.people[queries.fits(source.people, where)] if where else source.people
        if len(there):
            size = max(n, min(wanted, len(there)))  # nobody is drawn twice, unless n is more than there are
            return _draw(Records(there), size, seed, side, n), balance.of(there) if balanced else None
    if where is None and not balanced:
        return _draw(source, wanted, seed, side, n), None
    if where is None and any(source is own for own in (_likely(), _committed())):
        pool = enrichment.add(_draw(source, wanted, seed, side, n), seed, enrichment.STEPS[:1])
        return pool.assign(**regions.groups(pool)), balance.census()
    # No committed shares describe these people: a large draw of them stands for the whole.
    first = max(FIRST, min(REFERENCE * n, REFERENCE_MOST)) if balanced else FIRST
    people = _fitting(source, n, wanted, seed, where, first, side)
    return people.head(wanted), balance.of(people) if balanced else None


def _balanced(pool: pd.DataFrame, n: int, target: balance.Reference, seed: int) -> pd.DataFrame:
    """Choose n people of the pool so that all, and those on each side of the split, come close to the target's shares.

    How many are on which side is left to chance: as many as among the first n of the pool.
    """
    sides = split(pool.index).to_numpy()
    # The few to test first; those to train make up for their rounding.
    parts = [(np.flatnonzero(sides == name), int((sides[:n] == name).sum())) for name in reversed(SPLITS)]
    rows = balance.choose_parts(pool, parts, target, seed)
    return pool.iloc[rows].drop(columns=list(distances.ORIGINS), errors="ignore")


def _fitting(
    source: Source, n: int, wanted: int, seed: int, where: str | None, first: int, side: str | None
) -> pd.DataFrame:
    """Return everybody who matches a filter in one draw, large enough for `wanted` matches if possible, at least n.

    Each draw that is too small is replaced by a larger one; `first` is the size of the first.
    """
    steps = enrichment.needed(where)
    most = MOST_ENRICHED if steps else MOST
    give_up = GIVE_UP_ENRICHED if steps else GIVE_UP
    if isinstance(source, Records):
        most = min(most, len(source.people))
    size = min(max(wanted, FIRST if steps else first), most)
    while True:
        people = _matches(source, size, seed, where, steps, side)
        if len(people) >= wanted or size >= most or (people.empty and size >= give_up):
            break
        # 20% more than the share of matches asks for, so that one more draw is usually enough.
        larger = give_up if people.empty else int(1.2 * size * wanted / len(people))
        size = min(most, larger)
    if len(people) < n:
        found = f"{where!r} matches {len(people)} of {size:,} people drawn, and {n} are needed"
        some = enrichment.add(_draw(source, min(size, FIRST), seed), seed, steps)
        raise UserError(f"the filter {found}: {queries.never(some, str(where)) or 'correct or loosen it'}")
    return people


def _matches(
    source: Source,
    size: int,
    seed: int,
    where: str | None,
    steps: tuple[enrichment.Step, ...],
    side: str | None,
) -> pd.DataFrame:
    """Draw people, run the steps that the filter needs, and return those who match and do not contradict themselves."""
    people = enrichment.add(_side(_draw(source, size, seed), side), seed, steps)
    if where:
        people = people[queries.fits(people, where)]
    return people.drop(enrichment.contradictions(people).index) if steps else people


def _draw(source: Source, size: int, seed: int, side: str | None = None, n: int = 0) -> pd.DataFrame:
    """Draw people, index `persona_id`: about `size`, and of one side of the split at least n.

    Raises:
        UserError: fewer than n of `MOST` people drawn are of this side.
    """
    if side is None:
        people = source.sample(size, seed)
        return people.set_index(ids.of(people, seed))
    # As many as hold `size` of the side on average, and a few more.
    larger = int(size / (TEST_SHARE if side == "test" else 1 - TEST_SHARE)) + SPARE
    while True:
        people = _side(_draw(source, larger, seed), side)
        if len(people) >= n:
            return people.head(size)
        if larger >= MOST:
            raise UserError(f"{len(people)} of {larger:,} people drawn are on the {side} side, and {n} are needed")
        larger *= 2


def _side(people: pd.DataFrame, side: str | None) -> pd.DataFrame:
    """Return the people of one side of the split; None: all."""
    return people if side is None else people[(split(people.index) == side).to_numpy()]


def _blank(people: pd.DataFrame) -> pd.DataFrame:
    """Add the attributes that the people lack, all missing."""
    lacking = [name for name in COLUMNS if name not in people]
    return people.assign(**dict.fromkeys(lacking)).astype(dict.fromkeys(lacking, "str"))


@cache
def _committed() -> Population:
    return Population.load()


@cache
def _likely() -> rarity.Likely:
    return rarity.Likely(_committed())
