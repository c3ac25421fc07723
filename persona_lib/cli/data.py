"""Commands that make preference data: pairs, export."""

from pathlib import Path
from typing import Annotated

import typer

from .group import FAILED, app, examples
from .options import BaseUrl, Cluster, MaxCalls, MaxCost, ModelName, P, PresetName, Retry, options_given, pairs_of


@app.command(
    epilog=examples(
        "persona pairs --out outputs/pairs",
        "persona pairs --preset small --model gpt-4.1-mini --batch --max-cost 60 --out outputs/small",
        "persona pairs -p personas=people.csv -p prompts=questions.txt --out outputs/mine",
        "persona pairs --form choices --out outputs/choices",
    )
)
def pairs(
    out: Annotated[Path, typer.Option(help="folder of the data set")],
    preset: PresetName = "smoke",
    model: ModelName = None,
    base_url: BaseUrl = None,
    batch: Annotated[bool, typer.Option("--batch", help="write through the Batch API: cheaper, within a day")] = False,
    p: P = None,
    form: Annotated[str | None, typer.Option(help="pairs, or choices of all people between the same answers")] = None,
    retry_failed: Retry = False,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    cluster: Cluster = None,
) -> None:
    """Make the preference data set of a preset: answers, each revised after the criticism of a persona.

    With --form choices: dense_personas people choose between the same answers to dense_prompts prompts, a world for
    'persona methods run'. You may stop it at any time: the same command continues. The limits hold for all its models
    together. People and prompts of your own: -p personas=FILE -p prompts=FILE. The exit code is 1 if more than half of
    the pairs, or choices, failed.
    """
    from ..runs.executing import cluster as clusters
    from ..runs.executing import pairs
    from ..runs.results import folders

    given = options_given(model, base_url, p) | ({"form": form} if form else {})
    settings = pairs_of(preset, given, max_cost=max_cost)
    pairs.check_folder(out, settings.form)
    joined = clusters.joined(cluster, typer.echo)
    with folders.alone(out), joined as there, clusters.limited(there, max_calls, max_cost) as limits:
        typer.echo(pairs.make(settings, out, batch, retry_failed, *limits))
    typer.echo(f"{out.absolute()}\n{pairs.then(out, settings.form)}")
    if pairs.failed(out, settings.form) > 0.5:
        raise typer.Exit(FAILED)


@app.command(
    "export",
    epilog=examples(
        "persona export outputs/pairs --out outputs/hub",
        "persona export outputs/pairs --out outputs/trl --form trl",
    ),
)
def export_pairs(
    folder: Annotated[Path, typer.Argument(help="folder of a data set, as 'persona pairs' makes it")],
    out: Annotated[Path, typer.Option(help="folder to write, empty or not there yet")],
    form: Annotated[str, typer.Option(help="published (the PERSONA data's columns), trl, or users")] = "published",
) -> None:
    """Write a preference data set in a form that other tools read, with a data card."""
    from ..preferences import exports

    typer.echo(exports.write(folder, out, form).absolute())
