"""The command that runs a preset at several models, parameters and seeds: sweep."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import EndpointError, LimitError, files, store
from ..texts import counted
from .group import FAILED, LIMITED, UNUSABLE, app, examples
from .options import Cluster, Jobs, MaxCalls, MaxCost, Retry, address, note

if TYPE_CHECKING:
    from ..runs.sweeps.sweep import Point


@app.command(
    epilog=examples(
        "persona sweep params/sweeps/example.yaml --dry-run",
        "persona sweep params/sweeps/example.yaml",
        "persona sweep mine.yaml --max-cost 60 --out outputs/mine",
        "persona sweep mine.yaml --cluster 4",
    )
)
def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.yaml", help="what is varied: docs/sweeps.md")],
    out: Annotated[Path | None, typer.Option(help="folder of the sweep [default: outputs/sweep-NAME]")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list the points, and estimate calls and cost")] = False,
    json: Annotated[bool, typer.Option("--json", help="for programs: points and numbers as one JSON object")] = False,
    retry_failed: Retry = False,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    jobs: Jobs = None,
    cluster: Cluster = None,
) -> None:
    """Run a preset at several models, parameters and seeds, and collect what they found.

    Each combination is a point, a run in its own folder. The sweep's folder has one table and one figure of all points,
    and a page that links the runs. Points that are done are not run again: the same command goes on after Ctrl-C, a
    failure or a limit. --max-calls and --max-cost hold for all points together, with those of earlier commands. With
    --cluster each worker runs whole points, if there are at least as many as workers. The exit code is 1 if a point is
    not done, 2 if something given can't be used, and 3 at an endpoint's limit.
    """
    from ..runs.executing import cluster as clusters
    from ..runs.sweeps import sweep as sweeps
    from ..runs.sweeps import sweeping, tables, words

    given = sweeps.load(file)
    points = sweeps.points(given)
    folder = out or files.ROOT / "outputs" / f"sweep-{given.name}"
    sweeping.check_same(given, folder)
    note(sweeps.check(points, max_cost, asks=not dry_run))
    if dry_run:
        _estimate(points, folder, json)
        return
    if retry_failed:
        n = store.Store().forget_failed()
        typer.echo(f"{counted(n, 'failed reply', 'failed replies')} will be asked again", err=json)
    typer.echo(address(folder), err=json)

    def say(line: str) -> None:
        typer.echo(line, err=json)

    with clusters.joined(cluster, say, kernels=True) as there:
        found, errors = sweeping.execute(given, points, folder, max_calls, max_cost, say, retry_failed, jobs, there)
    if json:
        typer.echo(tables.as_json(found))
    else:
        typer.echo(f"{words.said(found)}\n{address(folder)}")
    if errors & {LimitError.__name__, EndpointError.__name__}:
        raise typer.Exit(LIMITED if LimitError.__name__ in errors else UNUSABLE)
    if (found.points["state"] != tables.DONE).any():
        raise typer.Exit(FAILED)


def _estimate(points: list["Point"], folder: Path, json: bool) -> None:
    """Show which points there are and what those that are not done would ask."""
    from ..runs.sweeps import sweeping, tables

    found = tables.collect(points, folder)
    counts = sweeping.estimated(points, found)
    typer.echo((sweeping.estimate_json if json else sweeping.estimate_text)(counts, found))
    if counts.table["failure"].notna().any():
        raise typer.Exit(FAILED)
