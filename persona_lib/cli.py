"""The command `persona`: run notebooks, estimate their cost, draw personas, make preference data, check the set-up.

Each command imports what it needs itself, so that `persona --help` answers at once.

Exit codes: 0 done; 1 a notebook failed, nothing was scored, or more than half of a step's items failed; 2 what the user
gave can't be used; 3 an endpoint's limit, and the same command goes on later; 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

import errno
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from . import EndpointError, LimitError, UserError, files, store

if TYPE_CHECKING:
    from .model import Model
    from .runs.presets import Pairs, Preset


FAILED, UNUSABLE, LIMITED = 1, 2, 3  # exit codes
_BROKEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # nothing that the user gave: the disk


class _OneLine(TyperGroup):
    """Show a UserError as one line; anything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        ends: list[int] = []  # signals that stopped the command
        try:
            with _as_ctrl_c(ends):
                return super().invoke(ctx)
        except UserError as error:
            code = LIMITED if isinstance(error, LimitError) else UNUSABLE
            typer.echo(f"error: {_as_seen(str(error))}", err=True)
        except OSError as error:
            code = FAILED if error.errno in _BROKEN else UNUSABLE
            where = f": {error.filename}" if error.filename else ""
            typer.echo(f"error: {error.strerror or error}{where}", err=True)
        except KeyboardInterrupt:
            code = 128 + (ends[0] if ends else signal.SIGINT)
            by = signal.Signals(ends[0]).name if ends else "Ctrl-C"
            kept = f"everything answered so far is kept in {store.default_path()}"
            typer.echo(f"\nstopped by {by}; {kept}; run it again to continue", err=True)
        raise typer.Exit(code)


@contextmanager
def _as_ctrl_c(ends: list[int]) -> Iterator[None]:
    """Let signals that would end this process at once, with its work half done, stop it as Ctrl-C does; note them."""

    def stop(number: int, frame: Any) -> None:
        ends.append(number)
        interrupt = signal.getsignal(signal.SIGINT)  # asyncio has one of its own
        if not callable(interrupt):  # a process in the background ignores Ctrl-C
            raise KeyboardInterrupt
        interrupt(signal.SIGINT, frame)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has one
    ours = [n for n in numbers if signal.getsignal(n) is signal.SIG_DFL]  # nohup ignores SIGHUP
    if threading.current_thread() is not threading.main_thread():
        ours = []
    try:
        for number in ours:
            signal.signal(number, stop)
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _as_seen(message: str) -> str:
    """Return a message with files as seen from the caller's folder, where they are named from the notebooks' folder."""
    from .runs import notebooks  # takes a moment, after an error only

    return notebooks.as_seen(message) if re.search(r"notebooks/\.\./", message) else message


app = typer.Typer(
    cls=_OneLine,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=__doc__.partition("\n")[0],
)


# Which notebooks, with which parameters: the same for every command that runs them.
_Preset = Annotated[str, typer.Option(help="name of a preset in params/, or a YAML file")]
_Only = Annotated[list[str] | None, typer.Option(help="notebooks to run: 06, or 01,06, or a whole name")]
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

    Notebooks of an earlier run in the folder are replaced one by one, each when the new one is done; those that are not
    chosen stay. A second run asks the model nothing again. After a budget has stopped a run, the same command with a
    larger one continues it. The exit code is 1 if a notebook failed or most items of a step did, 2 if something given
    can't be used, and 3 at an endpoint's limit: the same command goes on later.
    """
    from .model.usage import counted
    from .runs import manifests, preflight
    from .runs.run import run as execute

    chosen, planned = _planned(preset, only, model, base_url, p)
    folder = out or files.ROOT / "outputs" / chosen.name
    _note([*preflight.check(planned, max_cost=max_cost), *manifests.of_other_people(folder, planned)])
    if retry_failed:
        n = store.Store().forget_failed()
        typer.echo(f"{counted(n, 'failed reply', 'failed replies')} will be asked again")
    manifest = execute(chosen, planned, folder, max_calls, max_cost)
    typer.echo(_summary(manifest))
    typer.echo((folder / "index.html").absolute())
    if code := _code(manifest):
        raise typer.Exit(code)


@app.command()
def estimate(
    preset: _Preset = "smoke",
    only: _Only = None,
    model: _Model = None,
    base_url: _BaseUrl = None,
    p: _P = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="of the data set of 'persona pairs' instead")] = False,
) -> None:
    """Estimate calls, tokens, cost and time of a preset's notebooks before anything is sent.

    The notebooks run with made-up replies; what the store holds takes no call. The exit code is 1 if a notebook fails.
    """
    from .runs import estimate, preflight

    if pairs:
        settings = _pairs(preset, _given(model, base_url, p), asks=False)
        table, notes = estimate.of_pairs(settings)
    else:
        planned = _planned(preset, only, model, base_url, p)[1]
        _note(preflight.check(planned, asks=False))
        table, notes = estimate.of(planned)
    typer.echo("\n".join([estimate.text(table), *notes]))
    if table["failure"].notna().any():
        raise typer.Exit(FAILED)


def _planned(
    preset: str, only: list[str] | None, model: str | None, base_url: str | None, p: list[str] | None
) -> tuple["Preset", dict[str, dict]]:
    """Return a preset, and its notebooks with the parameters that the options of a command set."""
    from .runs import endpoints, presets

    chosen, given = presets.load(preset), _given(model, base_url, p)
    planned = presets.plan(chosen, _stems(only), given)
    _note(endpoints.unasked(chosen, planned, given))
    return chosen, planned


def _given(model: str | None, base_url: str | None, p: list[str] | None) -> dict[str, Any]:
    """Return the parameters that the options of a command set."""
    from .runs import parameters

    named = {name: value for name, value in {"model": model, "base_url": base_url}.items() if value is not None}
    given = parameters.read(p or [])
    if twice := sorted(named.keys() & given.keys()):
        option = twice[0].replace("_", "-")
        raise UserError(f"--{option} and -p {twice[0]} say the same, and one would not count: give one of them")
    return given | named


def _stems(only: list[str] | None) -> list[str]:
    """Return the notebooks of the option --only, which may be repeated and may list several."""
    return [name.strip() for part in only or [] for name in part.split(",") if name.strip()] or only or []


def _pairs(preset: str, given: dict[str, Any], **checks: Any) -> "Pairs":
    """Return what a preset and the options of a command say of its data set; `checks` are for `preflight.check`."""
    from .runs import preflight, presets

    settings = presets.pairs(presets.load(preset), given)
    _note(preflight.check({preflight.PAIRS: settings.model_dump()}, **checks))
    return settings


def _note(lines: list[str]) -> None:
    """Show what a user should know before anything is asked."""
    from .runs import notebooks  # takes a moment

    for line in lines:
        typer.echo(f"note: {notebooks.as_seen(line)}", err=True)


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


def _summary(manifest: dict[str, Any]) -> str:
    """Return a line for each notebook, and one for what the run used."""
    from .model.usage import cost_text, counted
    from .runs import notebooks

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


@app.command()
def rehearse(
    preset: _Preset = "small",
    only: _Only = None,
    p: _P = None,
    out: Annotated[Path | None, typer.Option(help="folder [default: outputs/rehearsal/PRESET]")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the planted model")] = 0,
) -> None:
    """Run a preset against a made-up model with known effects: which of them would its sizes find?

    Nothing is sent to the preset's models, and the response store stays as it is. The exit code is 1 if a notebook
    fails.
    """
    from .runs import parameters, presets, rehearse

    chosen = presets.load(preset)
    folder = out or files.ROOT / "outputs" / "rehearsal" / chosen.name
    done = rehearse.rehearse(chosen, _stems(only), parameters.read(p or []), folder, seed)
    typer.echo(f"{rehearse.text(done.table)}\n{(folder / 'index.html').absolute()}")
    if done.failed:
        raise typer.Exit(FAILED)


@app.command()
def sample(
    n: Annotated[int, typer.Argument(help="how many personas")],
    out: Annotated[Path, typer.Option(help="the file to write: .parquet, .jsonl, .csv or .txt")],
    seed: Annotated[int, typer.Option(help="of all draws")] = 0,
    pums: Annotated[list[Path] | None, typer.Option(help="draw real people from these census files instead")] = None,
    where: Annotated[
        str | None, typer.Option(help="a filter, such as \"age < 30 and `marital status` == 'Married'\", in backticks")
    ] = None,
    adults: Annotated[bool, typer.Option("--adults", help="people of 18 or older only")] = False,
    random: Annotated[
        bool, typer.Option("--random", help="draw at random, not balanced (the default above 20,000)")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="the model that writes the texts and looks for inconsistent profiles")
    ] = None,
    base_url: _BaseUrl = None,
    max_calls: Annotated[int | None, typer.Option(min=0, help="stop before more calls are made")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="stop before more USD are spent")] = None,
) -> None:
    """Draw personas and write them as a table, or as text.

    1586 of them with seed 0 are the reference demographic. With a model, about two calls per persona write the texts
    and read the profiles; you may stop at any time: the same command continues.
    """
    from . import census, personas
    from .model.usage import counted

    personas.check_suffix(out)
    if not model and (base_url, max_calls, max_cost) != (None, None, None):
        raise UserError("--base-url, --max-calls and --max-cost are a model's: name it with --model")
    asked = _asked(model, base_url, max_calls, max_cost) if model else None
    population = census.Records(census.read_pums(pums)) if pums else None
    if adults:
        where = f"{personas.ADULTS} and ({where})" if where else personas.ADULTS
    drawn = personas.sample(n, seed, population, where or None, False if random else None, writer=asked, checker=asked)
    personas.save(drawn, out)
    typer.echo(f"{counted(n, 'persona')}, seed {seed}: {out}")
    if asked:
        typer.echo(personas.drift.told(drawn))
        if drawn["failure"].notna().mean() > 0.5:
            raise typer.Exit(FAILED)


def _asked(name: str, base_url: str | None, max_calls: int | None, max_cost: float | None) -> "Model":
    from .model import Model  # openai takes a second, and drawing people without a model needs none

    return Model(name, base_url, max_calls=max_calls, max_cost=max_cost)


@app.command()
def pairs(
    out: Annotated[Path, typer.Option(help="folder of the data set")],
    preset: _Preset = "smoke",
    model: _Model = None,
    base_url: _BaseUrl = None,
    batch: Annotated[bool, typer.Option("--batch", help="write through the Batch API: cheaper, within a day")] = False,
    p: _P = None,
    form: Annotated[str | None, typer.Option(help="pairs, or choices of all people between the same answers")] = None,
    retry_failed: Annotated[bool, typer.Option(help="ask again what got no usable reply before")] = False,
    max_calls: Annotated[int | None, typer.Option(min=0, help="stop before more calls are made")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="stop before more USD are spent")] = None,
) -> None:
    """Make the preference data set of a preset: answers, each revised after the criticism of a persona.

    With --form choices: dense_personas people choose between the same answers to dense_prompts prompts, a world for
    'persona methods run'. You may stop it at any time: the same command continues. The limits hold for all its models
    together. People and prompts of your own: -p personas=FILE -p prompts=FILE. The exit code is 1 if more than half of
    the pairs, or choices, failed.
    """
    from .runs import folders, pairs

    given = _given(model, base_url, p) | ({"form": form} if form else {})
    settings = _pairs(preset, given, max_cost=max_cost)
    pairs.check_folder(out, settings.form)
    with folders.alone(out):
        typer.echo(pairs.make(settings, out, batch, retry_failed, max_calls, max_cost))
    typer.echo(f"{out.absolute()}\n{pairs.then(out, settings.form)}")
    if pairs.failed(out, settings.form) > 0.5:
        raise typer.Exit(FAILED)


@app.command("export")
def export_pairs(
    folder: Annotated[Path, typer.Argument(help="folder of a data set, as 'persona pairs' makes it")],
    out: Annotated[Path, typer.Option(help="folder to write, empty or not there yet")],
    form: Annotated[str, typer.Option(help="published (the PERSONA data's columns), trl, or users")] = "published",
) -> None:
    """Write a preference data set in a form that other tools read, with a data card."""
    from .preferences import exports

    typer.echo(exports.write(folder, out, form).absolute())


@app.command()
def fit(
    files: Annotated[list[str], typer.Argument(help="person and housing files (PUMS); with --download, states")],
    out: Annotated[Path, typer.Option(help="where the population model goes, a .npz file")],
    mapping: Annotated[Path | None, typer.Option(help="YAML file: what another census's columns mean")] = None,
    download: Annotated[int | None, typer.Option(help="year: fetch the 1-year files of the states")] = None,
) -> None:
    """Fit the population model to census microdata.

    Examples: persona fit csv_pwy.zip csv_hwy.zip --out wyoming.npz; persona fit --download 2024 WY VT --out two.npz
    """
    from . import census

    if out.suffix != ".npz":
        raise UserError(f"{out} must end in .npz")
    if download and mapping:
        raise UserError("--download fetches the Bureau's own files, which need no --mapping: leave one of the two out")
    if download:
        files = [str(path) for path in census.download_pums(download, files)]
    people = census.read_mapped(files, mapping) if mapping else census.read_pums(files)
    population = census.Population.fit(people, mapping)
    population.save(out)
    typer.echo(f"{out}: {out.stat().st_size / 1e3:.0f} kB")
    for name, value in population.provenance.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        typer.echo(f"{name}: {shown}")


methods = typer.Typer(no_args_is_help=True, help="A testbed: methods of alignment compared on the same people.")
app.add_typer(methods, name="methods")


@methods.command("run")
def run_methods(
    world: Annotated[
        str, typer.Option(help="known-truth, gss, anes, or the folder of a world or of published preferences")
    ] = "known-truth",
    method: Annotated[
        list[str] | None, typer.Option(help="a method of your own, FILE.py:CLASS; may be repeated")
    ] = None,
    k: Annotated[
        list[int] | None,
        typer.Option(min=0, help="choices of a person that are known; may be repeated; default: 0 2 8 32"),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="independent draws of these choices")] = 1,
    seed: Annotated[int, typer.Option(help="of all draws")] = 0,
    model: Annotated[str | None, typer.Option(help="a language model, for the methods that ask one")] = None,
    base_url: _BaseUrl = None,
    embedder: Annotated[str | None, typer.Option(help="an embeddings model at the same address")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the tables")] = None,
) -> None:
    """Compare methods: what they learn from training people, and how well they predict others from k choices.

    Built-in methods come first. Without --model nothing is asked of any model. Gates against leaks that fire stand
    above the table. docs/methods.md says how to bring a method or a world.
    """
    from .runs import trials

    trial = trials.run(world, method or (), k or trials.KS, draws, seed, model, base_url, embedder)
    typer.echo(trials.said(trial))
    if out:
        trials.write(trial, out)
        typer.echo(f"tables in {out}")


annotate = typer.Typer(
    no_args_is_help=True, help="A study with human raters: pages for them, and the answers that they hand in."
)
app.add_typer(annotate, name="annotate")


@annotate.command("export")
def export_study(
    out: Annotated[Path, typer.Option(help="a new folder; only its pages/ is to be published")],
    pairs: Annotated[
        Path | None, typer.Option(help="what to rate: a .parquet, .csv or .jsonl file, or a folder of preference data")
    ] = None,
    preset: Annotated[str, typer.Option(help="whose model makes the pairs, where none are given")] = "smoke",
    model: _Model = None,
    base_url: _BaseUrl = None,
    personas: Annotated[
        str | None, typer.Option(help="who: sample, a file or the folder of a data set; with --pairs, their personas")
    ] = None,
    prompts: Annotated[str | None, typer.Option(help="the questions: builtin, prism or a file")] = None,
    use: Annotated[str | None, typer.Option(help="train, seen_test, heldout_test or all")] = None,
    n_personas: Annotated[int, typer.Option(help="personas to draw")] = 20,
    questions: Annotated[int, typer.Option(help="questions of each persona to draw")] = 10,
    raters: Annotated[int, typer.Option(help="raters of each persona")] = 4,
    seed: Annotated[int, typer.Option(help="of the draws and of all orders")] = 0,
    checks: Annotated[int, typer.Option(help="attention checks on each page")] = 2,
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
    from . import annotation
    from .annotation import assignments, items
    from .model.usage import counted

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

    from . import annotation
    from .annotation import study

    study.check_new(out)
    shown = {"persona_id": "x", "profile": "age: 40", "prompt": "?", "first": "yes", "second": "no"}
    table = pd.DataFrame([shown | {"prompt_id": str(i)} for i in range(questions)])
    with tempfile.TemporaryDirectory() as folder:
        annotation.export(table, Path(folder) / "study", raters, seed, **options)


def _made(preset: str, n: int, questions: int, seed: int, named: dict[str, str | None], templates: Path | None) -> Any:
    """Let the model of a preset write items; `named` overrides the preset's model, prompts, personas and use."""
    from .model import Model
    from .runs import pairs, presets

    settings = presets.load(preset).all | {name: value for name, value in named.items() if value is not None}
    writer = Model(settings.get("model", "local"), settings.get("base_url"))
    own = {name: settings[name] for name in ("words", "personas", "prompts", "use") if name in settings}
    return pairs.items_to_rate(n, questions, writer, seed, templates=str(templates) if templates else None, **own)


@annotate.command("import")
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
    from . import annotation, stats
    from .model.usage import counted

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


@app.command("compare")
def compare_runs(
    first: Annotated[Path, typer.Argument(help="folder of a run")],
    second: Annotated[Path, typer.Argument(help="folder of another run")],
    table: Annotated[str, typer.Option(help="NOTEBOOK/TABLE with a score per item")] = "06_conditioning/results",
    by: Annotated[str, typer.Option(help="column of the groups")] = "condition",
    value: Annotated[str, typer.Option(help="column of the score")] = "score",
) -> None:
    """Compare two runs on the items that both have."""
    from .runs import compare

    found = compare.runs(first, second, table, by, value)
    typer.echo(f"{second} minus {first}: {value} of {table}\n{found.round(3).to_string()}")
    for name, (one, other) in compare.differing(first, second, table).items():
        typer.echo(f"the runs differ in {name}: {one} in {first}, {other} in {second}")


@app.command()
def doctor(
    base_url: Annotated[
        str | None, typer.Option(help="an OpenAI-compatible endpoint to try with one call of each kind")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="the model to try there; default: the first of a few that it lists")
    ] = None,
) -> None:
    """Show what is installed, reachable or missing.

    The exit code is 1 if something is missing that `make run` needs, or a run at the endpoint.
    """
    from .runs import doctor

    fine = True
    for check in doctor.all_of(base_url, model):
        typer.echo(f"{'ok     ' if check.fine else 'MISSING' if check.needed else 'no     '} {check.what}")
        fine &= check.fine or not check.needed
    if not fine:
        raise typer.Exit(FAILED)


if __name__ == "__main__":
    app()
