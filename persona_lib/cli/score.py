"""The command that judges answers which exist already: score."""

from pathlib import Path
from typing import Annotated

import typer

from .. import UserError, files
from .group import FAILED, app, examples
from .options import BaseUrl


@app.command(epilog=examples("persona score answers.csv --model gpt-4.1-mini --out scored.csv"))
def score(
    answers: Annotated[Path, typer.Argument(help="a table with persona_id, prompt, answer; or more columns")],
    model: Annotated[str, typer.Option(help="the judge: local, or its name at the endpoint")],
    out: Annotated[Path, typer.Option(help="the table to write: .parquet or .csv")],
    personas: Annotated[
        str | None, typer.Option(help="file of the people, unless the table has their profiles")
    ] = None,
    base_url: BaseUrl = None,
    max_calls: Annotated[int | None, typer.Option(min=0, help="stop before more calls are made")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="stop before more USD are spent")] = None,
) -> None:
    """Judge answers that you already have: does each fit its person, or does it need revision?

    Prints the share kept by condition and model. The exit code is 1 if more than half were not scored.
    """
    if out.suffix not in (".parquet", ".csv"):
        raise UserError(f"{out} must end in .parquet or .csv")
    from .. import preferences, runs, stats
    from ..bench import given

    people = preferences.ingredients.people(personas, min_age=0) if personas else None
    told = given.read(answers, people)
    from ..model import Model

    found = given.judged(told, Model(model, base_url, max_calls=max_calls, max_cost=max_cost))
    files.write(out, lambda half: found.to_csv(half, index=False) if out.suffix == ".csv" else found.to_parquet(half))
    typer.echo(runs.shown(stats.rates(found, by=list(given.GROUPS)), "").text(None))
    typer.echo(out.absolute())
    if found["score"].isna().mean() > 0.5:
        raise typer.Exit(FAILED)
