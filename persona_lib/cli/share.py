"""Commands that show runs: list, open, share."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from .. import UserError, files
from .group import app, examples

Run = Annotated[Path, typer.Argument(help="folder of a run, or its name in outputs/")]


@app.command("list", epilog=examples("persona list"))
def list_runs() -> None:
    """List the runs in outputs/: name, date, state, models, notebooks, cost, and what 06 found."""
    from ..model.usage import cost_text
    from ..runs import findings, pages, several

    outputs = files.ROOT / "outputs"
    if not any(outputs.glob("*/manifest.json")):
        raise UserError(f"no runs in {outputs}: make one with `persona run`")
    told = several.read([outputs])
    found = told.notebooks[told.notebooks["notebook"] == findings.CRITIC].set_index("run")["headline"].dropna()
    for name, run in told.runs.sort_values("started", ascending=False).iterrows():
        if isinstance(run["problem"], str):
            typer.echo(f"{name}  can't be read: {run['problem']}")
            continue
        n = (told.notebooks["run"] == name).sum()
        cost = cost_text(None if run.isna()["cost"] else run["cost"])
        facts = (
            name,
            pages.day(str(run["started"])),
            run["status"],
            run["models"] or "no model",
            f"{n} notebooks",
            cost,
        )
        typer.echo("  ".join(map(str, facts)))
        if name in found:
            typer.echo(f"    {found[name]}")


@app.command("open", epilog=examples("persona open outputs/smoke"))
def open_run(run: Run) -> None:
    """Open a run's index in the browser; where there is none, its path is printed alone."""
    index = _folder(run) / "index.html"
    webbrowser.open(index.absolute().as_uri())
    typer.echo(index.absolute())


@app.command("share", epilog=examples("persona share outputs/smoke --out smoke.html"))
def share_run(
    run: Run,
    out: Annotated[Path, typer.Option(help="a file that ends in .html, for one page, or in .zip, for the folder")],
    texts: Annotated[bool, typer.Option("--texts/--no-texts", help="with profiles, answers and raw replies")] = True,
) -> None:
    """Write a run as one file that can be mailed."""
    from ..runs import share

    typer.echo(f"{share.write(_folder(run), out, texts).absolute()}  {out.stat().st_size / 1e6:.1f} MB")


def _folder(run: Path) -> Path:
    """Return the folder of a run that is given by its path or by its name in outputs/."""
    for folder in (run, files.ROOT / "outputs" / run):
        if (folder / "index.html").is_file():
            return folder
    raise UserError(f"no run in {run}: `persona list` shows those in outputs/")
