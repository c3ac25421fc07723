"""Commands that run notebooks: run, estimate, rehearse."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import EndpointError, LimitError, files, store
from ..texts import counted
from .group import FAILED, LIMITED, UNUSABLE, app, examples
from .options import (
    BaseUrl,
    Cluster,
    Jobs,
    MaxCalls,
    MaxCost,
    ModelName,
    OfPairs,
    Only,
    P,
    PresetName,
    Retry,
    address,
    note,
    plan_of,
    stems,
    works_of,
)


@app.command(
    epilog=examples(
        "persona run",
        "persona run --preset small --model gpt-4.1-mini --max-cost 60",
        "persona run --only 6,11 -p seed=1 --out outputs/again",
        "persona run --only 9 -p 'groups={women: {sex: Female}}'",
        "persona run --model qwen3 --base-url http://127.0.0.1:8000/v1",
    )
)
def run(
    preset: PresetName = "smoke",
    only: Only = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    p: P = None,
    out: Annotated[Path | None, typer.Option(help="folder of the run [default: outputs/PRESET]")] = None,
    retry_failed: Retry = False,
    max_calls: MaxCalls = None,
    max_cost: MaxCost = None,
    jobs: Jobs = None,
    cluster: Cluster = None,
) -> None:
    """Run the notebooks of a preset.

    The address of the run's index page comes first and last, each notebook's finding as it ends. How many notebooks are
    done is shown, and about how long the others will take if each was done in this folder before with these parameters.
    Notebooks run side by side; where the embedded model has to answer, one after the other.

    Notebooks of an earlier run in the folder are replaced one by one, each when the new one is done; those that are not
    chosen stay. A second run asks the model nothing again. After a budget has stopped a run, the same command with a
    larger one continues it. The exit code is 1 if a notebook failed or most items of a step did, 2 if something given
    can't be used, and 3 at an endpoint's limit: the same command goes on later.
    """
    from ..runs.executing import cluster as clusters
    from ..runs.executing.run import run as execute
    from ..runs.pages import said
    from ..runs.planning import preflight
    from ..runs.results import manifests

    chosen, planned = plan_of(preset, only, model, base_url, p)
    folder = out or files.ROOT / "outputs" / chosen.name
    note([*preflight.check(planned, max_cost=max_cost), *manifests.of_other_people(folder, planned)])
    if retry_failed:
        n = store.Store().forget_failed()
        typer.echo(f"{counted(n, 'failed reply', 'failed replies')} will be asked again")
    with clusters.joined(cluster, typer.echo, kernels=True) as there:
        manifest = execute(chosen, planned, folder, max_calls, max_cost, typer.echo, jobs, there)
    typer.echo(f"{said.at_the_end(manifest)}\n{address(folder)}")
    if code := _code(manifest):
        raise typer.Exit(code)


@app.command(
    epilog=examples(
        "persona estimate --preset small",
        "persona estimate --preset small --only 6 --model gpt-4.1-mini -p n_items=500",
        "persona estimate --preset small --pairs",
        "persona estimate --preset small --json",
    )
)
def estimate(
    preset: PresetName = "smoke",
    only: Only = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    p: P = None,
    pairs: OfPairs = False,
    json: Annotated[bool, typer.Option("--json", help="for programs: rows, sums and notes as one JSON object")] = False,
) -> None:
    """Estimate calls, tokens, cost and time of a preset's notebooks before anything is sent.

    The notebooks run with made-up replies; what the store holds takes no call. The exit code is 1 if a notebook fails.
    """
    from ..runs.dry_runs import estimate

    found = estimate.count(works_of(preset, only, model, base_url, p, pairs))
    typer.echo(estimate.as_json(found) if json else "\n".join([estimate.text(found.table), *found.notes]))
    if found.table["failure"].notna().any():
        raise typer.Exit(FAILED)


@app.command(
    epilog=examples(
        "persona params 6",
        "persona params 6 11 --preset small",
        "persona params pairs",
    )
)
def params(
    notebooks: Annotated[
        list[str] | None, typer.Argument(help="6, or a whole name; pairs: of 'persona pairs' [default: all notebooks]")
    ] = None,
    preset: PresetName = "smoke",
) -> None:
    """List the parameters that -p takes: what a preset gives them, what they are, and which values they take.

    Each is written as -p takes it. Where the preset gives another value than the notebook itself, that comes after it.
    """
    from ..runs.planning import parameters, presets

    chosen, shown = presets.load(preset), []
    if parameters.PAIRS in (notebooks or ()):
        shown.append(_listed(parameters.PAIRS, presets.pairs(chosen).model_dump()))
    wanted = [name for name in notebooks or () if name != parameters.PAIRS]
    if wanted or not notebooks:
        shown += [_listed(stem, values) for stem, values in presets.plan(chosen, stems(wanted)).items()]
    typer.echo("\n\n".join(shown))


def _listed(stem: str, values: dict[str, Any]) -> str:
    """Return the parameters of a notebook, or of the data set, with the values of a preset, as lines."""
    from ..runs.planning import notebooks, parameters, presets

    if stem == parameters.PAIRS:
        title, comments = "the data set of 'persona pairs'", {}
        defaults = {name: field.default for name, field in presets.Pairs.model_fields.items()}
    else:
        notebook = notebooks.find(stem)
        title, comments, defaults = notebook.title, notebook.comments, notebook.parameters
    lines = [f"{stem}: {title}"]
    for name, value in values.items():
        default, given = parameters.written(defaults[name]), parameters.written(value)
        other = f"  [default: {default}]" if given != default else ""
        told = "; ".join(filter(None, [comments.get(name), parameters.taken(stem, name, defaults[name])]))
        if name != "out":  # a run sets it itself
            lines += [f"  -p {shlex.quote(f'{name}={given}')}{other}", f"      {told}"]
    return "\n".join(lines)


def _code(manifest: dict[str, Any]) -> int:
    """Return the exit code of a run; notebooks that earlier runs left in its folder don't count."""
    own = [entry for entry in manifest["notebooks"].values() if entry["run"] == manifest["started"]]
    errors = [entry["error"]["name"] for entry in own if entry["error"]]
    if LimitError.__name__ in errors:
        return LIMITED
    if EndpointError.__name__ in errors:
        return UNUSABLE
    return 0 if manifest["status"] == "done" else FAILED


@app.command(
    epilog=examples(
        "persona rehearse",
        "persona rehearse --preset small --only 6 -p n_items=200",
    )
)
def rehearse(
    preset: PresetName = "small",
    only: Only = None,
    p: P = None,
    out: Annotated[Path | None, typer.Option(help="folder [default: outputs/rehearsal/PRESET]")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the planted model")] = 0,
) -> None:
    """Run a preset against a made-up model with known effects: which of them would its sizes find?

    Nothing is sent to the preset's models, and the response store stays as it is. The exit code is 1 if a notebook
    fails.
    """
    from ..runs.dry_runs import rehearse
    from ..runs.planning import parameters, presets

    chosen = presets.load(preset)
    folder = out or files.ROOT / "outputs" / "rehearsal" / chosen.name
    done = rehearse.rehearse(chosen, stems(only), parameters.read(p or []), folder, seed, typer.echo)
    typer.echo(f"{rehearse.text(done.table)}\n{address(folder)}")
    if done.failed:
        raise typer.Exit(FAILED)
