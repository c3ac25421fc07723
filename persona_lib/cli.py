"""The command `persona`: runs, samples of personas, and what is installed. To try it: `persona doctor`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import UserError, store


class _OneLine(TyperGroup):
    """What the user can mend ends in one line; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: typer.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            typer.echo(f"error: {error}", err=True)
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            typer.echo(f"error: {error.strerror or error}{where}", err=True)
        except KeyboardInterrupt:
            kept = f"everything answered so far is kept in {store.default_path()}"
            typer.echo(f"\nstopped by Ctrl-C; {kept}; the same command goes on from there", err=True)
            raise typer.Exit(130) from None
        raise typer.Exit(1)


app = typer.Typer(
    cls=_OneLine,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=__doc__,
)


@app.command()
def run(
    preset: Annotated[str, typer.Option(help="name of a preset in params/, or a YAML file")] = "smoke",
    only: Annotated[list[str] | None, typer.Option(help="notebooks to run, such as 06 or 01,06")] = None,
    model: Annotated[str | None, typer.Option(help="the model to ask: local, or its name at the endpoint")] = None,
    base_url: Annotated[str | None, typer.Option(help="address of an OpenAI-compatible endpoint")] = None,
    p: Annotated[list[str] | None, typer.Option("-p", help="KEY=VALUE, a parameter; may be repeated")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the run [default: outputs/PRESET]")] = None,
    retry_failed: Annotated[bool, typer.Option(help="ask again what got no usable reply before")] = False,
    max_calls: Annotated[int | None, typer.Option(min=0, help="stop before more calls are made")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="stop before more USD are spent")] = None,
) -> None:
    """Run the notebooks of a preset.

    A run that is already in the folder is replaced. A second run asks the model nothing again, and one with a larger
    budget goes on where the first was stopped.
    """
    from . import presets, runs

    chosen = presets.load(preset)
    given = _given(p or [])
    given |= {k: v for k, v in {"model": model, "base_url": base_url}.items() if v is not None}
    names = [name.strip() for part in only or [] for name in part.split(",")]
    planned = presets.plan(chosen, names, given)
    if retry_failed:
        typer.echo(f"{store.Store().forget_failed()} failed replies will be asked again")
    folder = out or store.ROOT / "outputs" / chosen.name
    manifest = runs.run(chosen, planned, folder, max_calls, max_cost)
    typer.echo(_summary(manifest))
    typer.echo((folder / "index.html").absolute())
    if manifest["status"] != "done":
        raise typer.Exit(1)


def _given(pairs: list[str]) -> dict[str, Any]:
    """Parameters from KEY=VALUE, the values read as YAML."""
    import yaml

    given = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"-p takes KEY=VALUE, not '{pair}'")
        try:
            given[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"the value in -p '{pair}' is no YAML: put it in quotes") from None
    return given


def _summary(manifest: dict[str, Any]) -> str:
    """What became of each notebook, and what the run used."""
    from .usage import cost_text

    lines = []
    for stem, entry in manifest["notebooks"].items():
        error = entry.get("error")
        what = f"{error['name']}: {error['message']}" if error else entry.get("headline", "nothing recorded")
        lines.append(f"{entry['status']:8}{stem}  {entry['seconds']:.0f} s  {what}")
    used = manifest["usage"]
    lines.append(
        f"{manifest['seconds']:.0f} s, {used['calls']} model calls, {used['cached']} found in the store, "
        f"{used['failed']} failed items, {used['tokens_in'] + used['tokens_out']} tokens, {cost_text(used['cost'])}"
    )
    return "\n".join(lines)


@app.command()
def sample(
    n: Annotated[int, typer.Argument(help="how many personas")],
    out: Annotated[Path, typer.Option(help="the file to write: .parquet, .jsonl, .csv or .txt")],
    seed: Annotated[int, typer.Option(help="of all draws")] = 0,
    pums: Annotated[list[Path] | None, typer.Option(help="census microdata to draw from instead of ours")] = None,
    where: Annotated[str | None, typer.Option(help="a filter, such as \"age < 30 and sex == 'Female'\"")] = None,
    adults: Annotated[bool, typer.Option("--adults", help="people of 18 or older only")] = False,
    random: Annotated[
        bool, typer.Option("--random", help="draw at random, not balanced (the default above 20,000)")
    ] = False,
) -> None:
    """Draw personas and write them as a table, or as text.

    1586 of them with seed 0 are the reference demographic.
    """
    from . import census, personas

    personas.check_suffix(out)
    population = census.Population.fit(census.read_pums(pums)) if pums else None
    filters = [f"({part})" for part in (personas.ADULTS if adults else None, where) if part]
    drawn = personas.sample(n, seed, population, " and ".join(filters) or None, False if random else None)
    personas.save(drawn, out)
    typer.echo(f"{n} personas, seed {seed}: {out}")


@app.command()
def fit(
    files: Annotated[list[Path], typer.Argument(help="person files of the census microdata (PUMS)")],
    out: Annotated[Path, typer.Option(help="where the population model goes, a .npz file")],
) -> None:
    """Fit the population model to census microdata."""
    from . import census

    if out.suffix != ".npz":
        raise UserError(f"{out} must end in .npz")
    population = census.Population.fit(census.read_pums(files))
    population.save(out)
    typer.echo(f"{out}: {out.stat().st_size / 1e3:.0f} kB")
    for name, value in population.provenance.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        typer.echo(f"{name}: {shown}")


@app.command()
def doctor(
    base_url: Annotated[str | None, typer.Option(help="an OpenAI-compatible endpoint to try")] = None,
) -> None:
    """Say what is installed, reachable and missing.

    The exit code is 1 if something is missing that `make run` needs.
    """
    from . import checks

    fine = True
    for check in checks.all_of(base_url):
        typer.echo(f"{'ok     ' if check.fine else 'MISSING' if check.needed else 'no     '} {check.what}")
        fine &= check.fine or not check.needed
    if not fine:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
