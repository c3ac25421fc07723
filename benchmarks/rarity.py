"""Count pairs of census values that real people hardly have, and measure whom a filter of such pairs removes.

    python benchmarks/rarity.py us_persons_2024.parquet [--write]

The file holds PUMS persons, each counted once. The pairs of one random half are tried on the other half, on people
drawn from the model, and on people whose attributes are drawn independently of each other. With the weights that meet
the Bureau's tables of the whole country, the most frequent of the pairs is printed, too. With --write it also
rewrites persona_lib/personas/data/unlikely.csv, which is counted on all.
"""

import sys
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import beta

from persona_lib import census
from persona_lib.census import margins
from persona_lib.personas import rarity
from persona_lib.personas.predicates import FOLDER


def unlikely(people: pd.DataFrame) -> pd.DataFrame:
    """Return the unlikely pairs among people: columns `attribute`, `value`, `other`, `other value`, `people` (how many
    have both), `by chance` (how many would, were the attributes independent).
    """
    table, n = rarity.groups(people), len(people)
    codes = {name: table[name].cat.codes.to_numpy().astype(int) for name in table}
    parts = []
    for name, other in combinations(table, 2):
        of, and_of = table[name].cat.categories, table[other].cat.categories
        known = (codes[name] >= 0) & (codes[other] >= 0)
        both = np.zeros((len(of), len(and_of)), int)
        np.add.at(both, (codes[name][known], codes[other][known]), 1)
        singles = [np.bincount(codes[a][codes[a] >= 0], minlength=len(c)) for a, c in ((name, of), (other, and_of))]
        chance = np.outer(*singles) / n
        high = beta.ppf(0.975, both + 1, n - both)  # Clopper and Pearson's upper end
        rows, columns = np.nonzero((high < rarity.RARE) & (chance >= rarity.BY_CHANCE * n))
        counts = {"people": both[rows, columns], "by chance": chance[rows, columns].round().astype(int)}
        pair = {"attribute": name, "value": of[rows], "other": other, "other value": and_of[columns]}
        parts.append(pd.DataFrame(pair | counts))
    return pd.concat(parts, ignore_index=True)


def removed(people: pd.DataFrame, pairs: pd.DataFrame) -> float:
    """Return the share of people who have one of the pairs."""
    table = rarity.groups(people)
    hit = np.zeros(len(table), bool)
    for (name, other), part in pairs.groupby(["attribute", "other"]):
        cells = pd.MultiIndex.from_frame(part[["value", "other value"]])
        hit |= pd.MultiIndex.from_frame(table[[name, other]].astype("str")).isin(cells)
    return hit.mean()


def main(file: str, *flags: str) -> None:
    people = census.read_pums(file)
    every = unlikely(people)
    if "--write" in flags:
        every.to_csv(FOLDER / "unlikely.csv", index=False)
    shuffled = people.sample(frac=1, random_state=0, ignore_index=True)
    counted, held = shuffled[: len(people) // 2], shuffled[len(people) // 2 :]
    of_half = unlikely(counted)
    drawn = census.Population.load().sample(len(people), 1)
    rng = np.random.default_rng(0)
    apart = people.apply(lambda column: column.sample(frac=1, random_state=rng).array)
    print(f"{len(every):,} unlikely pairs of {len(people):,} people; {len(of_half):,} of one half")
    print(f"removed of the other half, by the pairs of one half: {removed(held, of_half):.2%}")
    weight = margins.rake(people, [margin for margin in margins.load() if margin.attributes <= set(people)]).to_numpy()
    rows = rarity.pairs_of(people).values()
    most = max(weight[row == pair].sum() for row in rows for pair in np.unique(row[row >= 0]))
    print(f"the most frequent pair, with the weights that meet the published tables: {most / weight.sum():.1e}")
    print("removed by all pairs, and with those whose income no job of their occupation pays:")
    tables = {"the people counted": people, "people drawn from the model": drawn, "independent attributes": apart}
    for name, table in tables.items():
        print(f"  {name}: {removed(table, every):.2%}, {rarity.among(table).mean():.2%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
