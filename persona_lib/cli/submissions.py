"""Commands of the testbed's submissions: methods submit, seal, check, leaderboard, export, hidden open and close."""

from pathlib import Path
from typing import Annotated

import typer

from .group import FAILED, UNUSABLE, examples
from .methods import methods
from .options import BaseUrl

hidden = typer.Typer(no_args_is_help=True, help="A rolling hidden demographic: new people, whose labels stay private.")
methods.add_typer(hidden, name="hidden")

WORLD = "known-truth, gss, anes, or the folder of a world or of published preferences"
Worlds = Annotated[list[str] | None, typer.Option("--world", help=f"{WORLD}; may be repeated; default: known-truth")]
Folders = Annotated[list[Path], typer.Argument(help="folders of submissions")]


@methods.command(epilog=examples("persona methods submit --method my_method.py:MyMethod --out outputs/mine"))
def submit(
    method: Annotated[str, typer.Option(help="a method of your own, FILE.py:CLASS, or the name of a built-in one")],
    out: Annotated[Path, typer.Option(help="folder of the submission")],
    world: Annotated[str, typer.Option(help=WORLD)] = "known-truth",
    k: Annotated[
        list[int] | None, typer.Option(min=0, help="as in 'methods run'; may be repeated; default: 0 2 8 32")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, max=100, help="independent draws of the choices that are known")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="of all draws")] = 0,
    model: Annotated[str | None, typer.Option(help="a language model, for a method that asks one")] = None,
    base_url: BaseUrl = None,
    embedder: Annotated[str | None, typer.Option(help="an embeddings model at the same address")] = None,
    hardware: Annotated[str, typer.Option(help="what it ran on, in your words")] = "",
    contamination: Annotated[str, typer.Option(help="what the method may have met of this world before")] = "",
) -> None:
    """Run one method and write its predictions as a folder that others can check.

    The method runs without the labels of tested choices, hidden or not. docs/submissions.md has the folder's form. The
    exit code is 1 if more than half of the predictions are missing.
    """
    from ..runs.testbed import submitting

    options = submitting.Options(
        k or submitting.KS, draws, seed, model, base_url, embedder, hardware=hardware, contamination=contamination
    )
    done = submitting.submit(world, method, out, options)
    typer.echo(f"{submitting.board.text(done)}\n{out.absolute()}")
    if done.predictions is not None and done.predictions["p_first"].isna().mean() > 0.5:
        raise typer.Exit(FAILED)


@methods.command(epilog=examples("persona methods seal outputs/mine"))
def seal(
    folder: Annotated[Path, typer.Argument(help="folder with a method.yaml and predictions of your own")],
    world: Annotated[str, typer.Option(help=WORLD)] = "known-truth",
) -> None:
    """Write the manifest of a submission that you wrote by hand, or seal one again after a hidden world was closed."""
    from ..runs.testbed import submitting

    submitting.seal(folder, world)
    typer.echo(folder / "manifest.json")


@methods.command(epilog=examples("persona methods check outputs/mine outputs/theirs"))
def check(folders: Folders, world: Worlds = None) -> None:
    """Check submissions: whole and unchanged, every score computed again, gates against leaks.

    Each problem is one line. The exit code is 1 if something is wrong or a gate fires, and 2 if a folder can't be used.
    """
    from ..runs.testbed import submitting

    outcome = submitting.check(folders, world or [submitting.KNOWN_TRUTH])
    typer.echo(submitting.said(outcome))
    if outcome.unusable or outcome.wrong:
        raise typer.Exit(UNUSABLE if outcome.unusable else FAILED)


@methods.command(epilog=examples("persona methods leaderboard outputs/mine outputs/theirs --out outputs/board"))
def leaderboard(
    folders: Folders,
    out: Annotated[Path, typer.Option(help="folder of the page")],
    world: Worlds = None,
) -> None:
    """Write a page that compares submissions, with ranks as intervals; all scores are computed from the predictions.

    Submissions with a problem are left out, and the page says why. The exit code is 1 if one was.
    """
    from ..runs.testbed import boards, submitting

    boards.check_folder(out)
    outcome = submitting.check(folders, world or [submitting.KNOWN_TRUTH])
    left = boards.write(outcome, out)
    typer.echo("\n".join([*left, str((out / "index.html").absolute())]))
    if left:
        raise typer.Exit(FAILED)


@methods.command(epilog=examples("persona methods export outputs/mine --out outputs/mine_inspect"))
def export(
    folder: Annotated[Path, typer.Argument(help="folder of a submission")],
    out: Annotated[Path, typer.Option(help="folder to write, empty or not there yet")],
    form: Annotated[str, typer.Option(help="inspect (a log of inspect-ai) or every-eval-ever")] = "inspect",
    world: Annotated[str, typer.Option(help=WORLD)] = "known-truth",
) -> None:
    """Write a submission in a form that tools for evaluations read."""
    from ..runs.testbed import submitting

    for path in submitting.export(folder, out, form, world):
        typer.echo(path)


@hidden.command("open", epilog=examples("persona methods hidden open --out outputs/round --seed 7"))
def open_hidden(
    out: Annotated[Path, typer.Option(help="folder, new or empty; gets the folders public and private")],
    seed: Annotated[int, typer.Option(min=0, help="of the people, and the round's name")],
    world: Annotated[
        str | None, typer.Option(help="folder of 'persona pairs --form choices'; default: people with a known truth")
    ] = None,
) -> None:
    """Open a round: a world to publish without the labels of tested choices, with a commitment to them."""
    from ..runs.testbed import submitting

    typer.echo(submitting.open_round(out, seed, world))


@hidden.command(
    "close",
    epilog=examples("persona methods hidden close outputs/round/public outputs/round/private --out outputs/opened"),
)
def close_hidden(
    public: Annotated[Path, typer.Argument(help="the public folder")],
    private: Annotated[Path, typer.Argument(help="the folder with labels.parquet and salt.txt")],
    out: Annotated[Path, typer.Option(help="folder for the world with its labels, new or empty")],
) -> None:
    """Close a round: verify that the labels are those committed to, and write the world with them."""
    from ..methods import hidden

    world = hidden.close_world(public, private, out)
    typer.echo(f"the labels are those committed to: {len(hidden.labels(world)):,}\n{out.absolute()}")
