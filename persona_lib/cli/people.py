"""Commands that make people: sample, fit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import UserError
from ..texts import counted
from .group import FAILED, app, examples
from .options import BaseUrl, MaxCalls, MaxCost

if TYPE_CHECKING:
    from ..model import Model

MOST = 10_000_000  # personas: far more than memory holds; a slip of the keyboard ends in one line


@app.command(
    epilog=examples(
        "persona sample 1586 --out personas.parquet",
        "persona sample 100 --adults --where \"state == 'Texas'\" --out texans.csv",
        "persona sample 50 --model gpt-4.1-mini --max-cost 1 --out personas.jsonl",
        "persona sample 200 --pums csv_pwy.zip --pums csv_hwy.zip --out wyoming.csv",
    )
)
def sample(
    n: Annotated[int, typer.Argument(max=MOST, help="how many personas")],
    out: Annotated[Path, typer.Option(help="the file to write: .parquet, .jsonl, .csv or .txt")],
    seed: Annotated[int, typer.Option(help="of all draws")] = 0,
    pums: Annotated[list[Path] | None, typer.Option(help="draw real people from these census files instead")] = None,
    where: Annotated[
        str | None, typer.Option(help="a filter, such as \"age < 30 and `marital status` == 'Married'\", in backticks")
    ] = None,
    adults: Annotated[bool, typer.Option("--adults", help="people of 18 or older only")] = False,
    random: Annotated[
        bool, typer.Option("--random", help="draw at random, not balanced (the default above 20,000)")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="the model that writes the texts and looks for inconsistent profiles")
    ] = None,
    base_url: BaseUrl = None,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
) -> None:
    """Draw personas and write them as a table, or as text.

    1586 of them with seed 0 are the reference demographic. With a model, about two calls per persona write the texts
    and read the profiles; you may stop at any time: the same command continues.
    """
    from .. import census, personas

    personas.check_suffix(out)
    if not model and (base_url, max_calls, max_cost) != (None, None, None):
        raise UserError("--base-url, --max-calls and --max-cost are a model's: name it with --model")
    asked = _asked(model, base_url, max_calls, max_cost) if model else None
    population = census.Records(census.read_pums(pums)) if pums else None
    if adults:
        where = f"{personas.ADULTS} and ({where})" if where else personas.ADULTS
    drawn = personas.sample(n, seed, population, where or None, False if random else None, writer=asked, checker=asked)
    personas.save(drawn, out)
    typer.echo(f"{counted(n, 'persona')}, seed {seed}: {out}")
    if asked:
        typer.echo(personas.drift.told(drawn))
        if drawn["failure"].notna().mean() > 0.5:
            raise typer.Exit(FAILED)


def _asked(name: str, base_url: str | None, max_calls: int | None, max_cost: float | None) -> "Model":
    from ..model import Model  # openai takes a second, and drawing people without a model needs none

    return Model(name, base_url, max_calls=max_calls, max_cost=max_cost)


@app.command(
    epilog=examples(
        "persona fit csv_pwy.zip csv_hwy.zip --out wyoming.npz",
        "persona fit --download 2024 WY VT --out two.npz",
        "persona fit census.csv --mapping columns.yaml --out elsewhere.npz",
    )
)
def fit(
    files: Annotated[list[str], typer.Argument(help="person and housing files (PUMS); with --download, states")],
    out: Annotated[Path, typer.Option(help="where the population model goes, a .npz file")],
    mapping: Annotated[Path | None, typer.Option(help="YAML file: what another census's columns mean")] = None,
    download: Annotated[int | None, typer.Option(help="year: fetch the 1-year files of the states")] = None,
) -> None:
    """Fit the population model to census microdata."""
    from .. import census

    if out.suffix != ".npz":
        raise UserError(f"{out} must end in .npz")
    if download and mapping:
        raise UserError("--download fetches the Bureau's own files, which need no --mapping: leave one of the two out")
    if download:
        files = [str(path) for path in census.download_pums(download, files)]
    people = census.read_mapped(files, mapping) if mapping else census.read_pums(files)
    population = census.Population.fit(people, mapping)
    population.save(out)
    typer.echo(f"{out}: {out.stat().st_size / 1e3:.0f} kB")
    for name, value in population.provenance.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        typer.echo(f"{name}: {shown}")
