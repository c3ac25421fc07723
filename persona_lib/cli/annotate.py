"""Commands of a study with human raters: annotate export, annotate import."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import UserError
from ..texts import counted
from .group import FAILED, app, examples
from .options import BaseUrl, ModelName

MOST = 10_000  # more than any study has; a slip of the keyboard ends in one line

annotate = typer.Typer(
    no_args_is_help=True, help="A study with human raters: pages for them, and the answers that they hand in."
)
app.add_typer(annotate, name="annotate")


@annotate.command(
    "export",
    epilog=examples(
        "persona annotate export --pairs outputs/pairs --out outputs/study",
        "persona annotate export --pairs mine.csv --raters 5 --participant PROLIFIC_PID --out outputs/study",
        "persona annotate export --model gpt-4.1-mini --n-personas 10 --questions 5 --out outputs/study",
    ),
)
def export_study(
    out: Annotated[Path, typer.Option(help="a new folder; only its pages/ is to be published")],
    pairs: Annotated[
        Path | None, typer.Option(help="what to rate: a .parquet, .csv or .jsonl file, or a folder of preference data")
    ] = None,
    preset: Annotated[str, typer.Option(help="whose model makes the pairs, where none are given")] = "smoke",
    model: ModelName = None,
    base_url: BaseUrl = None,
    personas: Annotated[
        str | None, typer.Option(help="who: sample, a file or the folder of a data set; with --pairs, their personas")
    ] = None,
    prompts: Annotated[str | None, typer.Option(help="the questions: builtin, prism or a file")] = None,
    use: Annotated[str | None, typer.Option(help="train, seen_test, heldout_test or all")] = None,
    n_personas: Annotated[int, typer.Option(max=MOST, help="personas to draw")] = 20,
    questions: Annotated[int, typer.Option(max=MOST, help="questions of each persona to draw")] = 10,
    raters: Annotated[int, typer.Option(max=MOST, help="raters of each persona")] = 4,
    seed: Annotated[int, typer.Option(help="of the draws and of all orders")] = 0,
    checks: Annotated[int, typer.Option(max=MOST, help="attention checks on each page")] = 2,
    post_to: Annotated[str | None, typer.Option(help="also send finished answers to this address")] = None,
    participant: Annotated[
        str | None,
        typer.Option(help="parameter of a page's address with the participant's id: PROLIFIC_PID"),
    ] = None,
    contact: Annotated[str | None, typer.Option(help="address for participants' questions")] = None,
    title: Annotated[str, typer.Option(help="of the pages")] = "Whose answer?",
    templates: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="folder with your own wording")
    ] = None,
) -> None:
    """Write one self-contained page per rater, and assignments.json, which says which answer is which: keep it private.

    A file of pairs has the columns persona_id, profile, prompt_id, prompt, first, second. With --personas it may have
    those of preference pairs: prompt_id, prompt, rejected (first), chosen (second), and persona_id unless each pair is
    for everybody. Without pairs, the model of a preset writes them, for twice as many questions as are rated; the
    preset's prompts, personas and use hold unless others are given.
    """
    from .. import annotation
    from ..annotation import assignments, items

    named = {"personas": personas, "prompts": prompts, "use": use, "model": model, "base_url": base_url}
    options: dict[str, Any] = {
        "checks": checks,
        "post_to": post_to,
        "participant": participant,
        "contact": contact,
        "title": title,
        "templates": templates,
    }
    if pairs:
        if other := [f"--{name.replace('_', '-')}" for name in named if name != "personas" and named[name]]:
            raise UserError(f"{' and '.join(other)} say what a model writes: leave them out with --pairs")
        table = items.read(pairs, personas)
    else:
        _try_export(out, questions, raters, seed, options)
        table = _made(preset, n_personas, items.SPARE * questions, seed, named, templates)
    whole = items.rateable(table)
    if len(whole) < len(table):
        typer.echo(
            f"{len(table) - len(whole)} of {len(table)} pairs give no choice: an answer is missing, or both are alike"
        )
    drawn = items.draw(whole, n_personas, questions, seed)
    written = annotation.export(drawn, out, raters, seed, **options)
    typer.echo(
        f"{counted(len(written), 'page')} of {counted(questions, 'question')} and {counted(checks, 'check')}, "
        f"{raters} for each persona, seed {seed}"
    )
    typer.echo(f"publish: {(out / 'pages').absolute()}")
    typer.echo(f"keep for yourself: {(out / assignments.MANIFEST).absolute()}")


def _try_export(out: Path, questions: int, raters: int, seed: int, options: dict[str, Any]) -> None:
    """Find out what is wrong with a study's options and wording by an export elsewhere, before a model is asked."""
    import tempfile  # the rest, as for any command, when it is needed

    import pandas as pd

    from .. import annotation
    from ..annotation import study

    study.check_new(out)
    shown = {"persona_id": "x", "profile": "age: 40", "prompt": "?", "first": "yes", "second": "no"}
    table = pd.DataFrame([shown | {"prompt_id": str(i)} for i in range(questions)])
    with tempfile.TemporaryDirectory() as folder:
        annotation.export(table, Path(folder) / "study", raters, seed, **options)


def _made(preset: str, n: int, questions: int, seed: int, named: dict[str, str | None], templates: Path | None) -> Any:
    """Let the model of a preset write items; `named` overrides the preset's model, prompts, personas and use."""
    from ..model import Model
    from ..runs.executing import pairs
    from ..runs.planning import presets

    settings = presets.load(preset).all | {name: value for name, value in named.items() if value is not None}
    writer = Model(settings.get("model", "local"), settings.get("base_url"))
    own = {name: settings[name] for name in ("words", "personas", "prompts", "use") if name in settings}
    return pairs.items_to_rate(n, questions, writer, seed, templates=str(templates) if templates else None, **own)


@annotate.command(
    "import",
    epilog=examples("persona annotate import submissions --study outputs/study --out outputs/ratings"),
)
def import_(
    files: Annotated[list[Path], typer.Argument(help="submissions (.json, .jsonl), tables (.csv), folders of them")],
    out: Annotated[Path, typer.Option(help="the folder where the tables go")],
    study: Annotated[Path | None, typer.Option(help="the folder of the export; tables (.csv) need none")] = None,
    kept: Annotated[int, typer.Option(help="raters whose votes make a question's majority")] = 3,
    seed: Annotated[int, typer.Option(help="of which rater is dropped")] = 0,
) -> None:
    """Verify and count what raters handed in; write submissions, votes, majority and agreement as tables.

    The exit code is 1 if no submission counts.
    """
    from .. import annotation, stats

    submitted = annotation.read(files, study)
    tables = annotation.write(submitted, out, kept, seed)
    for status, n in submitted["status"].value_counts().items():
        typer.echo(f"{n:6} {status}")
    for row in submitted[submitted["reason"].notna()].head(20).itertuples():
        typer.echo(f"{row.file}: {row.status}: {row.reason}")
    noted = int(submitted["reason"].notna().sum())
    if noted > 20:
        typer.echo(f"... and {noted - 20} more with a reason: see submissions.csv")
    won, overall = tables["majority"], tables["reliability"].loc["all"]
    shown = ["estimate", "low", "high", "n", "note"]
    alike = stats.share(*overall.loc["raw agreement", shown])
    kappa = stats.number(*overall.loc["Fleiss' kappa", shown])
    typer.echo(
        f"{counted(len(tables['votes']), 'vote')}, {won['choice'].notna().sum()} of {counted(len(won), 'question')} "
        "with a majority; "
        f"raters agree in {alike} of pairs, Fleiss' kappa {kappa}"
    )
    typer.echo(out.absolute())
    if not submitted["counted"].any():
        raise typer.Exit(FAILED)
