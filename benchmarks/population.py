"""Measure accuracy, size and speed of the population model, and print one page of numbers.

    python benchmarks/population.py us_persons_2024.parquet [--write]

The file holds PUMS persons. The script fits on a random half and tests on the other. With --write it also rewrites the
committed tables of census shares and half distances. `persona fit FILE --out population.npz` makes the model itself.
"""

import resource
import sys
import time
from pathlib import Path

import pandas as pd

from persona_lib import census
from persona_lib.census import Population, distances


def halves(people: pd.DataFrame) -> pd.DataFrame:
    """Compute the mean pairwise distance to one half from the other half, and from a model of the other half."""
    shuffled = people.sample(frac=1, random_state=0, ignore_index=True)
    fitted, held = shuffled[: len(people) // 2], shuffled[len(people) // 2 :]
    start = time.perf_counter()
    model = Population.fit(fitted)
    print(f"fit to {len(fitted):,} people: {time.perf_counter() - start:.1f} s")
    target = distances.pair_shares(held)
    categories = len(distances.shares(held))
    rows = {"one real half and the other": fitted, "the model of one half and the other": model.sample(len(held), 1)}
    found = {what: distances.tvd(distances.pair_shares(table), target) for what, table in rows.items()}
    return pd.DataFrame(
        {
            "comparison": list(found),
            "persons": len(held),
            "attributes": len(distances.ATTRIBUTES),
            "categories": categories,
            "pairs": [len(tvd) for tvd in found.values()],
            "tvd": [round(tvd.mean(), 5) for tvd in found.values()],
        }
    )


def speed() -> None:
    population = Population.load()
    for n in (1_586, 200_000, 1_000_000):
        start = time.perf_counter()
        population.sample(n, seed=0)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"draw {n:>9,} people: {time.perf_counter() - start:5.2f} s, peak memory so far {memory:.2f} GB")


def write(people: pd.DataFrame, found: pd.DataFrame) -> None:
    found.to_csv(distances.DATA / "half_distances.csv", index=False)
    distances.shares(people).round(6).to_csv(distances.DATA / "census_shares.csv", index=False)
    pairs = distances.pair_shares(people).astype({"share": "float32"})
    pairs.to_parquet(distances.DATA / "census_pair_shares.parquet", compression="zstd")


def main(file: str, *flags: str) -> None:
    speed()
    people = census.read_pums(file)
    found = halves(people)
    print(found.to_string(index=False))
    print(f"ratio: {found['tvd'].iloc[1] / found['tvd'].iloc[0]:.2f}")
    if "--write" in flags:
        write(people, found)
    for path in sorted(Path(distances.DATA).glob("*")):
        if path.stem.startswith(("population", "census", "half")):
            print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
