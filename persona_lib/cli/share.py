"""Commands that show runs: list, open, share."""

import webbrowser
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from .. import UserError, files
from ..texts import counted
from .group import app, examples
from .options import in_outputs

Run = Annotated[Path, typer.Argument(help="folder of a run, or its name in outputs/")]


@app.command("list", epilog=examples("persona list"))
def list_runs() -> None:
    """List the runs in outputs/: name, date, state, models, notebooks, cost, and what 06 found.

    Of a folder of runs, such as that of a sweep, one line says how many are in it.
    """
    outputs = files.ROOT / "outputs"
    inside = list(_inside(outputs))
    if any(outputs.glob("*/manifest.json")):
        _list(outputs)
    elif not inside:
        raise UserError(f"no runs in {outputs}: make one with `persona run`")
    for line in inside:
        typer.echo(line)


def _inside(outputs: Path) -> Iterator[str]:
    """Yield a line for each folder in outputs/ that is no run and has runs in it, as those of sweeps and rehearsals."""

    inner = defaultdict(list)
    for path in (*outputs.glob("*/*/manifest.json"), *outputs.glob("*/*/*/manifest.json")):
        inner[path.relative_to(outputs).parts[0]].append(path)
    for name in sorted(inner):
        if not (outputs / name / "manifest.json").is_file():
            newest = max(inner[name], key=lambda path: path.stat().st_mtime).parent.relative_to(outputs)
            n = len(inner[name])
            yield f"{name}  {counted(n, 'run')} in it{', the newest' if n > 1 else ':'} {newest.as_posix()}"


def _list(outputs: Path) -> None:
    """Say what each run in a folder is, the newest first."""
    from ..model.limits.usage import cost_text
    from ..runs.pages import pages
    from ..runs.results import findings, several

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
            counted(int(n), "notebook"),
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
    from ..runs.pages import share

    typer.echo(f"{share.write(_folder(run), out, texts).absolute()}  {out.stat().st_size / 1e6:.1f} MB")


def _folder(run: Path) -> Path:
    """Return the folder of a run that is given by its path or by its name in outputs/."""
    folder = in_outputs(run)
    if not (folder / "index.html").is_file():
        raise UserError(f"no run in {run}: `persona list` shows those in outputs/")
    return folder
