"""The command `persona`: runs, estimates, samples of personas, what is installed. To try it: `persona doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from . import UserError, store

if TYPE_CHECKING:
    from .presets import Preset


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


# Which notebooks, and with which parameters: the same for every command that runs them.
_Preset = Annotated[str, typer.Option(help="name of a preset in params/, or a YAML file")]
_Only = Annotated[list[str] | None, typer.Option(help="notebooks to run, such as 06 or 01,06")]
_Model = Annotated[str | None, typer.Option(help="the model to ask: local, or its name at the endpoint")]
_BaseUrl = Annotated[str | None, typer.Option(help="address of an OpenAI-compatible endpoint")]
_P = Annotated[list[str] | None, typer.Option("-p", help="KEY=VALUE, a parameter; may be repeated")]


@app.command()
def run(
    preset: _Preset = "smoke",
    only: _Only = None,
    model: _Model = None,
    base_url: _BaseUrl = None,
    p: _P = None,
    out: Annotated[Path | None, typer.Option(help="folder of the run [default: outputs/PRESET]")] = None,
    retry_failed: Annotated[bool, typer.Option(help="ask again what got no usable reply before")] = False,
    max_calls: Annotated[int | None, typer.Option(min=0, help="stop before more calls are made")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="stop before more USD are spent")] = None,
) -> None:
    """Run the notebooks of a preset.

    A run that is already in the folder is replaced. A second run asks the model nothing again, and one with a larger
    budget goes on where the first was stopped.
    """
    from . import runs

    chosen, planned = _planned(preset, only, model, base_url, p)
    if retry_failed:
        typer.echo(f"{store.Store().forget_failed()} failed replies will be asked again")
    folder = out or store.ROOT / "outputs" / chosen.name
    manifest = runs.run(chosen, planned, folder, max_calls, max_cost)
    typer.echo(_summary(manifest))
    typer.echo((folder / "index.html").absolute())
    if manifest["status"] != "done":
        raise typer.Exit(1)


@app.command()
def estimate(
    preset: _Preset = "smoke", only: _Only = None, model: _Model = None, base_url: _BaseUrl = None, p: _P = None
) -> None:
    """Count the model calls and tokens of a preset's notebooks, their cost and time, before anything is sent.

    The notebooks run with made-up replies; what the store has takes no call. The exit code is 1 if one of them fails.
    """
    from . import estimate

    _, planned = _planned(preset, only, model, base_url, p)
    table, notes = estimate.of(planned)
    typer.echo("\n".join([estimate.text(table), *notes]))
    if table["failure"].notna().any():
        raise typer.Exit(1)


def _planned(
    preset: str, only: list[str] | None, model: str | None, base_url: str | None, p: list[str] | None
) -> tuple["Preset", dict[str, dict]]:
    """A preset, and its notebooks with their parameters, as the options of a command say."""
    from . import presets

    chosen = presets.load(preset)
    given = _given(p or []) | {k: v for k, v in {"model": model, "base_url": base_url}.items() if v is not None}
    names = [name.strip() for part in only or [] for name in part.split(",")]
    return chosen, presets.plan(chosen, names, given)


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
    pums: Annotated[list[Path] | None, typer.Option(help="census files whose people to draw instead")] = None,
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
    population = census.Records(census.read_pums(pums)) if pums else None
    filters = [f"({part})" for part in (personas.ADULTS if adults else None, where) if part]
    drawn = personas.sample(n, seed, population, " and ".join(filters) or None, False if random else None)
    personas.save(drawn, out)
    typer.echo(f"{n} personas, seed {seed}: {out}")


@app.command()
def fit(
    files: Annotated[list[Path], typer.Argument(help="person and housing files of the census microdata (PUMS)")],
    out: Annotated[Path, typer.Option(help="where the population model goes, a .npz file")],
    mapping: Annotated[Path | None, typer.Option(help="YAML file: what another census's columns mean")] = None,
) -> None:
    """Fit the population model to census microdata."""
    from . import census

    if out.suffix != ".npz":
        raise UserError(f"{out} must end in .npz")
    people = census.read_mapped(files, mapping) if mapping else census.read_pums(files)
    population = census.Population.fit(people, mapping)
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
