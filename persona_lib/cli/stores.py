"""Commands that look after response stores: store merge."""

from pathlib import Path
from typing import Annotated

import typer

from .. import store
from .group import FAILED, app, examples

stores = typer.Typer(no_args_is_help=True, help="Response stores: merge those of several machines.")
app.add_typer(stores, name="store")


@stores.command(
    "merge",
    epilog=examples(
        "persona store merge stores/a.sqlite stores/b.sqlite --into outputs/responses.sqlite",
        "persona store merge stores/*.sqlite --into outputs/all.sqlite",
    ),
)
def merge_stores(
    sources: Annotated[list[Path], typer.Argument(help="SQLite files of response stores, which stay as they are")],
    into: Annotated[Path, typer.Option(help="the store that gets all their replies; made if missing")],
) -> None:
    """Merge response stores that several machines wrote into one.

    Any order, and a second time, give the same replies. Of two different replies under one key the successful one
    stays, then the earlier. The exit code is 1 if replies of a damaged store are lost: then keep that file.
    """
    from ..model.usage import counted

    merged = store.merge(sources, into)
    for row in merged.sources.to_dict("records"):
        about = "about " if row["estimated"] else ""
        lost = f", {about}{row['lost']:,} can't be read" if row["lost"] or about else ""
        waiting = f", {row['waiting']:,} wait in batches at an endpoint: only a run with this store fetches them"
        typer.echo(
            f"{row['source']}: {row['read']:,} read, {row['new']:,} new{lost}{waiting if row['waiting'] else ''}"
        )
    typer.echo(
        f"{into.absolute()}: {counted(merged.replies, 'reply', 'replies')}, {merged.failed:,} of them failed; "
        f"{counted(merged.conflicts, 'key')} with different replies"
    )
    if merged.sources["lost"].any() or merged.sources["estimated"].any():
        raise typer.Exit(FAILED)
