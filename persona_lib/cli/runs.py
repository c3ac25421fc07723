"""Commands that run notebooks: run, estimate, rehearse."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import EndpointError, LimitError, files, store
from .group import FAILED, LIMITED, UNUSABLE, app, examples
from .options import (
    BaseUrl,
    MaxCalls,
    MaxCost,
    ModelName,
    Only,
    P,
    PresetName,
    Retry,
    note,
    options_given,
    pairs_of,
    plan_of,
    stems,
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
) -> None:
    """Run the notebooks of a preset.

    Notebooks of an earlier run in the folder are replaced one by one, each when the new one is done; those that are not
    chosen stay. A second run asks the model nothing again. After a budget has stopped a run, the same command with a
    larger one continues it. The exit code is 1 if a notebook failed or most items of a step did, 2 if something given
    can't be used, and 3 at an endpoint's limit: the same command goes on later.
    """
    from ..model.usage import counted
    from ..runs import manifests, preflight
    from ..runs.run import run as execute

    chosen, planned = plan_of(preset, only, model, base_url, p)
    folder = out or files.ROOT / "outputs" / chosen.name
    note([*preflight.check(planned, max_cost=max_cost), *manifests.of_other_people(folder, planned)])
    if retry_failed:
        n = store.Store().forget_failed()
        typer.echo(f"{counted(n, 'failed reply', 'failed replies')} will be asked again")
    manifest = execute(chosen, planned, folder, max_calls, max_cost)
    typer.echo(summary(manifest))
    typer.echo((folder / "index.html").absolute())
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
    pairs: Annotated[bool, typer.Option("--pairs", help="of the data set of 'persona pairs' instead")] = False,
    json: Annotated[bool, typer.Option("--json", help="for programs: rows, sums and notes as one JSON object")] = False,
) -> None:
    """Estimate calls, tokens, cost and time of a preset's notebooks before anything is sent.

    The notebooks run with made-up replies; what the store holds takes no call. The exit code is 1 if a notebook fails.
    """
    from ..runs import estimate, preflight

    if pairs:
        settings = pairs_of(preset, options_given(model, base_url, p), asks=False)
        found = estimate.of_pairs(settings)
    else:
        planned = plan_of(preset, only, model, base_url, p)[1]
        note(preflight.check(planned, asks=False))
        found = estimate.of(planned)
    typer.echo(estimate.as_json(found) if json else "\n".join([estimate.text(found.table), *found.notes]))
    if found.table["failure"].notna().any():
        raise typer.Exit(FAILED)


def _code(manifest: dict[str, Any]) -> int:
    """Return the exit code of a run."""
    errors = [entry["error"]["name"] for entry in _own(manifest).values() if entry["error"]]
    if LimitError.__name__ in errors:
        return LIMITED
    if EndpointError.__name__ in errors:
        return UNUSABLE
    return 0 if manifest["status"] == "done" else FAILED


def _own(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the notebooks of a run itself, without those that are left in its folder by earlier ones."""
    return {stem: entry for stem, entry in manifest["notebooks"].items() if entry["run"] == manifest["started"]}


def summary(manifest: dict[str, Any]) -> str:
    """Return a line for each notebook, and one for what the run used."""
    from ..model.usage import cost_text, counted
    from ..runs import notebooks

    lines = []
    for stem, entry in _own(manifest).items():
        error = entry["error"]
        what = f"{error['name']}: {notebooks.as_seen(error['message'])}" if error else entry.get("headline", "")
        if entry.get("lost"):
            what = f"most items failed ({'; '.join(entry['lost'])})  {what}"
        took = f"{entry['seconds']:.0f} s" if entry["status"] != "not run" else ""
        lines.append(f"{entry['status']:8}{stem}  {took}  {what}".rstrip())
    used = manifest["usage"]
    again = f" ({used['reasked']} of them asked again)" if used["reasked"] else ""
    lines.append(
        f"{manifest['seconds']:.0f} s, {counted(used['calls'], 'model call')}{again}, {used['cached']:,} found in the "
        f"store, {counted(used['failed'], 'failed item')}, {counted(used['tokens_in'] + used['tokens_out'], 'token')}, "
        f"{cost_text(used['cost'])}"
    )
    return "\n".join(lines)


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
    from ..runs import parameters, presets, rehearse

    chosen = presets.load(preset)
    folder = out or files.ROOT / "outputs" / "rehearsal" / chosen.name
    done = rehearse.rehearse(chosen, stems(only), parameters.read(p or []), folder, seed)
    typer.echo(f"{rehearse.text(done.table)}\n{(folder / 'index.html').absolute()}")
    if done.failed:
        raise typer.Exit(FAILED)
