"""Commands of the testbed: methods run."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .group import app, examples
from .options import BaseUrl, Cluster

methods = typer.Typer(no_args_is_help=True, help="A testbed: methods of alignment compared on the same people.")
app.add_typer(methods, name="methods")


@methods.command(
    "run",
    epilog=examples(
        "persona methods run",
        "persona methods run --world gss --k 4 --k 16 --draws 5 --out outputs/gss",
        "persona methods run --method my_method.py:MyMethod",
        "persona methods run --world outputs/choices --model gpt-4.1-mini --answers 20",
    ),
)
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
    seed: Annotated[int, typer.Option(min=0, help="of all draws")] = 0,
    model: Annotated[str | None, typer.Option(help="a language model, for the methods that ask one")] = None,
    base_url: BaseUrl = None,
    embedder: Annotated[str | None, typer.Option(help="an embeddings model at the same address")] = None,
    answers: Annotated[
        int, typer.Option(min=0, help="people for whom methods answer prompts; takes --model, and costs calls")
    ] = 0,
    judge: Annotated[
        str | None, typer.Option(help="a model at the same address that judges the answers; default: --model")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the tables, as parquet and CSV")] = None,
    cluster: Cluster = None,
) -> None:
    """Compare methods: what they learn from training people, and how well they predict others from k choices.

    Built-in methods come first. Without --model nothing is asked of any model. Gates against leaks that fire stand
    above the tables: predictions at the largest k, accuracy at each k, pluralism, and what people prefer of what a
    method picks. With --answers methods write answers. docs/methods.md says how to bring a method or a world.
    """
    from .. import files
    from ..model.asking.progress import seldom
    from ..runs.executing import cluster as clusters
    from ..runs.testbed import trials

    if out:
        files.check_folder(out)
    say = partial(typer.echo, err=True)
    setting = k or trials.KS, draws, seed
    with clusters.joined(cluster, typer.echo) as there, clusters.limited(there), seldom():
        trial = trials.run(world, method or (), *setting, model, base_url, embedder, answers, judge, say)
    typer.echo(trials.said(trial))
    if out:
        trials.write(trial, out)
        typer.echo(f"tables in {out}; accuracy.csv has each method at each k, with its interval and n")
    if failing := trials.failing(trial, method or ()):
        typer.echo("\n".join(failing), err=True)
        raise typer.Exit(1)
