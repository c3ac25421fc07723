"""Fit the committed population model, and measure its accuracy, size and speed.

    python benchmarks/population.py us_persons_2024.parquet [--write]
    python benchmarks/population.py --origins

The file holds PUMS persons. They are split into random halves, and each half is raked to the Bureau's published tables
(`census.margins`). The model is fitted to one half; the other half is what it is compared with. With --write the script
rewrites the model and the committed tables: shares of the half that was fitted, and shares of the half held out. With
--origins it rewrites only the shares of regions of birth and ancestries among people drawn: do so after each change of
`persona_lib.personas.origins` and its tables.
"""

import resource
import sys
import time
from pathlib import Path

import pandas as pd

from persona_lib import census, personas
from persona_lib.attributes import CENSUS
from persona_lib.census import Population, distances, held_out, margins
from persona_lib.personas import origins, regions

DRAWN = 500_000  # people whose origins stand for everybody's
LARGE = 0.005  # share of everybody from which an ancestry is a group of its own


def halves(people: pd.DataFrame) -> list[pd.DataFrame]:
    """Return random halves of the people, each with weights that meet the published margins."""
    shuffled = people.sample(frac=1, random_state=0, ignore_index=True)
    published = [margin for margin in margins.load() if margin.attributes <= set(people)]
    parts = []
    for part in (shuffled[: len(people) // 2], shuffled[len(people) // 2 :]):
        weighted = part.assign(weight=margins.rake(part, published)).reset_index(drop=True)
        weight = weighted["weight"]
        print(f"{len(part):,} people, weights {weight.min():.2f} to {weight.max():.2f}, as good as "
              f"{weight.sum() ** 2 / (weight**2).sum():,.0f} of equal weight")  # fmt: skip
        weighted.attrs = people.attrs | {"weights": "raked to published.yaml"}
        parts.append(weighted)
    return parts


def apart(fitted: pd.DataFrame, held: pd.DataFrame, model: Population) -> pd.DataFrame:
    """Compute the mean pairwise distance to the half held out, from the half fitted and from the model."""
    target = distances.pair_shares(held)
    rows = {"one real half and the other": fitted, "the model of one half and the other": model.sample(len(held), 1)}
    found = {what: distances.tvd(distances.pair_shares(table), target) for what, table in rows.items()}
    return pd.DataFrame(
        {
            "comparison": list(found),
            "persons": len(held),
            "attributes": len(CENSUS),
            "categories": len(distances.shares(held)),
            "pairs": [len(tvd) for tvd in found.values()],
            "tvd": [round(tvd.mean(), 5) for tvd in found.values()],
        }
    )


def write_shares(shares: pd.DataFrame, model: Population) -> None:
    """Write the shares of census attributes, and those of origins among people drawn."""
    census_only = shares[~shares["attribute"].isin(distances.ORIGINS)]
    both = pd.concat([census_only, origin_shares(model)])
    both.round(6).to_csv(distances.DATA / "census_shares.csv", index=False)


def origin_shares(model: Population) -> pd.DataFrame:
    """Return the shares of regions of birth and of ancestries among many people drawn; small ancestries together."""
    people = model.sample(DRAWN, seed=2)
    drawn = origins.draw(people, seed=2)
    region = dict.fromkeys(origins.states(), regions.HERE) | origins.regions()
    born = drawn["place of birth"].map(region).value_counts(normalize=True)
    ancestry = drawn["ancestry"].value_counts(normalize=True)
    large = ancestry[ancestry >= LARGE]
    large[distances.ANOTHER] = 1 - large.sum()
    parts = zip(distances.ORIGINS, (born, large), strict=True)
    return pd.concat([pd.DataFrame({"attribute": name, "value": part.index, "share": part}) for name, part in parts])


def speed() -> None:
    population = Population.load()
    for n in (1_586, 200_000, 1_000_000):
        start = time.perf_counter()
        population.sample(n, seed=0)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"draw {n:>9,} people: {time.perf_counter() - start:5.2f} s, peak memory so far {memory:.2f} GB")


def demographic(seeds: int = 3) -> None:
    """Print how far reference demographics are from the published tables, people held out and the fitted sample."""
    for seed in range(seeds):
        people = personas.reference(seed)
        known = people.assign(**regions.groups(people))
        published = margins.compare(known)
        tables = margins.by_margin(published)
        told = {"published tables": tables, "fitted sample": distances.by_attribute(known)}
        print(f"seed {seed}: mean distance of {len(people):,} personas and of as many real people")
        for name, table in told.items():
            print(f"  {name}: {table['personas'].mean():.4f}, {table['real people'].mean():.4f}")
        for name, row in held_out.compare(people).iterrows():
            print(f"  people held out, {name}: {row['personas']:.4f}, {row['real people']:.4f}")
        for row in published[published["margin"] == "Hispanic origin"].itertuples():
            print(f"  {row.value}: {row.personas:.2%}, published {row.published:.2%}")


def write(fitted: pd.DataFrame, held: pd.DataFrame, model: Population, found: pd.DataFrame) -> None:
    model.save()
    found.to_csv(distances.DATA / "half_distances.csv", index=False)
    write_shares(distances.shares(fitted), model)
    held_out.three_way(held).round(6).to_csv(distances.DATA / "held_out_three_way.csv", index=False)
    for name, half in {"census_pair_shares": fitted, "held_out_pair_shares": held}.items():
        pairs = distances.pair_shares(half).astype({"share": "float32"})
        pairs.to_parquet(distances.DATA / f"{name}.parquet", compression="zstd")


def main(file: str, *flags: str) -> None:
    if file == "--origins":
        return write_shares(distances.census_shares(), Population.load())
    fitted, held = halves(census.read_pums(file))
    start = time.perf_counter()
    model = Population.fit(fitted)
    print(f"fit to {len(fitted):,} people: {time.perf_counter() - start:.1f} s")
    found = apart(fitted, held, model)
    print(found.to_string(index=False))
    print(f"ratio: {found['tvd'].iloc[1] / found['tvd'].iloc[0]:.2f}")
    if "--write" in flags:
        write(fitted, held, model, found)
    speed()
    demographic()
    for path in sorted(Path(distances.DATA).glob("*")):
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
