"""Commands that look at what there is: compare, doctor."""

from pathlib import Path
from typing import Annotated

import typer

from .group import FAILED, app


@app.command("compare")
def compare_runs(
    first: Annotated[Path, typer.Argument(help="folder of a run")],
    second: Annotated[Path, typer.Argument(help="folder of another run")],
    table: Annotated[str, typer.Option(help="NOTEBOOK/TABLE with a score per item")] = "06_conditioning/results",
    by: Annotated[str, typer.Option(help="column of the groups")] = "condition",
    value: Annotated[str, typer.Option(help="column of the score")] = "score",
) -> None:
    """Compare two runs on the items that both have."""
    from ..runs import compare

    found = compare.runs(first, second, table, by, value)
    typer.echo(f"{second} minus {first}: {value} of {table}\n{found.round(3).to_string()}")
    for name, (one, other) in compare.differing(first, second, table).items():
        typer.echo(f"the runs differ in {name}: {one} in {first}, {other} in {second}")


@app.command()
def doctor(
    base_url: Annotated[
        str | None, typer.Option(help="an OpenAI-compatible endpoint to try with one call of each kind")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="the model to try there; default: the first of a few that it lists")
    ] = None,
) -> None:
    """Show what is installed, reachable or missing.

    The exit code is 1 if something is missing that `make run` needs, or a run at the endpoint.
    """
    from ..runs import doctor

    fine = True
    for check in doctor.all_of(base_url, model):
        typer.echo(f"{'ok     ' if check.fine else 'MISSING' if check.needed else 'no     '} {check.what}")
        fine &= check.fine or not check.needed
    if not fine:
        raise typer.Exit(FAILED)
