"""Options that several commands have, and what they say of a preset's notebooks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import UserError, files

if TYPE_CHECKING:
    from ..runs.dry_runs.estimate import Work
    from ..runs.planning.presets import Pairs, Preset


def an_address(given: str | None) -> str | None:
    """Return an endpoint's address.

    Raises:
        UserError: it is none, or contains a password.
    """
    if given:
        from ..runs.planning import presets  # takes a moment

        presets.check_addresses({"base_url": given})
    return given


def in_outputs(run: Path) -> Path:
    """Return a run's folder as it is given; where there is none, the one with this name in outputs/."""
    return next((path for path in (run, files.ROOT / "outputs" / run) if path.exists()), run)


# Which notebooks, with which parameters: the same for every command that runs them.
PresetName = Annotated[str, typer.Option(help="name of a preset in params/, or a YAML file")]
Only = Annotated[
    list[str] | None, typer.Option(metavar="NOTEBOOK", help="notebooks to run: 6, or 6,11, or a whole name")
]
ModelName = Annotated[str | None, typer.Option(help="the model to ask: local, or its name at the endpoint")]
BaseUrl = Annotated[str | None, typer.Option(callback=an_address, help="address of an OpenAI-compatible endpoint")]
P = Annotated[
    list[str] | None,
    typer.Option("-p", metavar="KEY=VALUE", help="a parameter, which 'persona params' lists; may be repeated"),
]
OfPairs = Annotated[bool, typer.Option("--pairs", help="of the data set of 'persona pairs' instead")]
Retry = Annotated[bool, typer.Option("--retry-failed", help="ask again what got no usable reply before")]
MaxCalls = Annotated[int | None, typer.Option(min=0, metavar="N", help="stop before more calls are made")]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="most notebooks side by side [default: what cores and memory allow]"),
]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="N|ADDRESS|FILE", help="workers to start here, a Dask scheduler's address, or its file"),
]
MaxCost = Annotated[float | None, typer.Option(min=0, metavar="USD", help="stop before more USD are spent")]


def plan_of(
    preset: str, only: list[str] | None, model: str | None, base_url: str | None, p: list[str] | None
) -> tuple["Preset", dict[str, dict]]:
    """Return a preset, and its notebooks with the parameters that the options of a command set."""
    from ..runs.planning import endpoints, presets

    chosen, given = presets.load(preset), options_given(model, base_url, p)
    planned = presets.plan(chosen, stems(only), given)
    note(endpoints.unasked(chosen, planned, given))
    return chosen, planned


def works_of(
    preset: str, only: list[str] | None, model: str | None, base_url: str | None, p: list[str] | None, pairs: bool
) -> "dict[str, Work]":
    """Return what asks the models of a preset's notebooks, or with `pairs` of its data set, checked."""
    from ..runs.dry_runs import estimate
    from ..runs.planning import preflight

    if pairs:
        return estimate.works_of_pairs(pairs_of(preset, options_given(model, base_url, p), asks=False))
    _, planned = plan_of(preset, only, model, base_url, p)
    note(preflight.check(planned, asks=False))
    return estimate.works(planned)


def options_given(model: str | None, base_url: str | None, p: list[str] | None) -> dict[str, Any]:
    """Return the parameters that the options of a command set."""
    from ..runs.planning import parameters

    named = {name: value for name, value in {"model": model, "base_url": base_url}.items() if value is not None}
    given = parameters.read(p or [])
    if twice := sorted(named.keys() & given.keys()):
        option = twice[0].replace("_", "-")
        raise UserError(f"--{option} and -p {twice[0]} say the same, and one would not count: give one of them")
    return given | named


def stems(only: list[str] | None) -> list[str]:
    """Return the notebooks of the option --only, which may be repeated and may list several."""
    return [name.strip() for part in only or [] for name in part.split(",") if name.strip()] or only or []


def address(folder: Path) -> str:
    """Return the address of a folder's index page, which a terminal and a browser open."""
    return (folder / "index.html").absolute().as_uri()


def note(lines: list[str]) -> None:
    """Show what a user should know before anything is asked."""
    from ..runs.planning import notebooks  # takes a moment

    for line in lines:
        typer.echo(f"note: {notebooks.as_seen(line)}", err=True)


def pairs_of(preset: str, given: dict[str, Any], **checks: Any) -> "Pairs":
    """Return what a preset and the options of a command say of its data set; `checks` are for `preflight.check`."""
    from ..runs.planning import preflight, presets

    settings = presets.pairs(presets.load(preset), given)
    note(preflight.check({preflight.PAIRS: settings.model_dump()}, **checks))
    return settings
