"""Commands that look at what there is: compare, lab, doctor."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import files
from .group import FAILED, app, examples
from .options import an_address, in_outputs, note


@app.command(
    "compare",
    epilog=examples(
        "persona compare mini nano",
        "persona compare outputs/mini outputs/nano --table 08_pass_at_k/results",
        "persona compare outputs --out outputs/comparison",
    ),
)
def compare_runs(
    runs: Annotated[list[Path], typer.Argument(help="two runs or more, or folders of runs; also by name in outputs/")],
    table: Annotated[str, typer.Option(help="NOTEBOOK/TABLE with a score per item")] = "06_conditioning/results",
    by: Annotated[str, typer.Option(help="column of the groups")] = "condition",
    value: Annotated[str, typer.Option(help="column of the score, from 0 to 1")] = "score",
    out: Annotated[Path | None, typer.Option(help="folder for tables, figure and page of the comparison")] = None,
) -> None:
    """Compare two runs, or more, on the items that they share.

    Two runs are compared as a table of differences. Of more, rates are shown beside each other, and each run is
    compared with the first.
    """
    from ..runs import shown
    from ..runs.pages import comparison
    from ..runs.results import compare, several

    told, width = several.read([in_outputs(run) for run in runs]), shutil.get_terminal_size().columns
    if len(told.runs) == 2 and told.runs["problem"].isna().all():
        found = compare.two(told, table, by, value)
        first, second = told.runs["folder"]
        typer.echo(shown(found, f"{second} minus {first}: {value} of {table}").text(width))
    if len(told.runs) != 2 or out:
        beside = compare.many(told, table, by, value)
        note(beside.notes)
    if len(told.runs) != 2:
        typer.echo(comparison.text(beside, width))
    for line in compare.told_apart(told, table.partition("/")[0]):
        typer.echo(line)
    if out:
        typer.echo(comparison.write(beside, told, table, value, out).absolute())


@app.command(
    context_settings={"ignore_unknown_options": True},
    epilog=examples("persona lab"),
)
def lab(
    options: Annotated[list[str] | None, typer.Argument(help="of JupyterLab, such as --no-browser")] = None,
) -> None:
    """Open JupyterLab at a page that says what is here, what to try, and what the last run found."""
    from ..runs.pages import start

    page = start.write().relative_to(files.ROOT)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={files.ROOT}"]
    command += [f"--LabApp.default_url=/lab/tree/{page.as_posix()}", *(options or [])]
    os.execv(sys.executable, command)  # JupyterLab takes this process's place, and its Ctrl-C


@app.command(
    epilog=examples(
        "persona doctor",
        "persona doctor --base-url http://127.0.0.1:8000/v1 --model qwen3",
    )
)
def doctor(
    base_url: Annotated[
        str | None,
        typer.Option(callback=an_address, help="an OpenAI-compatible endpoint to try with one call of each kind"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="the model to try there; default: the first of a few that it lists")
    ] = None,
) -> None:
    """Show what is installed, reachable or missing.

    The exit code is 1 if something is missing that `make run` needs, or a run at the endpoint.
    """
    from ..runs.planning import doctor

    fine = True
    for check in doctor.all_of(base_url, model):
        typer.echo(f"{'ok     ' if check.fine else 'MISSING' if check.needed else 'no     '} {check.what}")
        fine &= check.fine or not check.needed
    if not fine:
        raise typer.Exit(FAILED)
