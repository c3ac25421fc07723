"""Commands that look after response stores: store merge, stats, prune, export."""

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from .. import store
from ..texts import counted
from .group import FAILED, app, examples

stores = typer.Typer(no_args_is_help=True, help="Response stores: what is in one, merged, made smaller, exported.")
app.add_typer(stores, name="store")

File = Annotated[
    Path | None, typer.Argument(help="SQLite file of a store; default: PERSONA_STORE, or outputs/responses.sqlite")
]


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
    stays, then the earlier. The exit code is 1 if replies of a damaged store are lost, or nothing of a file
    can be read: then keep that file.
    """

    merged = store.merge(sources, into)
    for row in merged.sources.to_dict("records"):
        if isinstance(row["unreadable"], str):
            typer.echo(f"{row['source']}: nothing of it can be read ({row['unreadable']}): is it a response store?")
            continue
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
    if n := merged.sources["unreadable"].count():
        typer.echo(f"{n} of {counted(len(merged.sources), 'store')} can't be read")
    if merged.sources["lost"].any() or merged.sources["estimated"].any():
        raise typer.Exit(FAILED)


@stores.command("stats", epilog=examples("persona store stats", "persona store stats stores/a.sqlite --json"))
def show_stats(
    file: File = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs: one JSON object")] = False,
) -> None:
    """Count a store's replies by model: how many, failed among them, their size, the oldest and the newest."""
    from ..runs import shown

    path = file or store.default_path()
    found, size = store.stats(path), path.stat().st_size
    replies, failed = int(found["replies"].sum()), int(found["failed"].sum())
    if as_json:
        sums = {"file": str(path.absolute()), "bytes": size, "replies": replies, "failed": failed}
        typer.echo(json.dumps(sums | {"models": found.to_dict("records")}, indent=1, ensure_ascii=False))
        return
    mb = found.assign(bytes=found["bytes"] / 1e6).rename(columns={"bytes": "MB"})
    caption = f"{path}: {counted(replies, 'reply', 'replies')}, {failed:,} failed, {size / 1e6:,.1f} MB"
    typer.echo(shown(mb, caption).text(shutil.get_terminal_size().columns))


@stores.command(
    "prune",
    epilog=examples(
        "persona store prune --failed --dry-run",
        "persona store prune outputs/responses.sqlite --model gpt-4.1-mini --before 2026-06-01",
    ),
)
def prune_store(
    file: File = None,
    failed: Annotated[bool, typer.Option("--failed", help="replies that are no answers")] = False,
    model: Annotated[str | None, typer.Option(help="those of one model, as 'persona store stats' names it")] = None,
    before: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="those that came before this day (UTC)")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count them")] = False,
) -> None:
    """Delete replies from a store and make its file smaller; all conditions that are given must hold.

    A run then asks again for what is deleted.
    """

    path = file or store.default_path()
    n = store.prune(path, failed, model, before.date() if before else None, dry_run)
    typer.echo(f"{counted(n, 'reply', 'replies')} {'would be' if dry_run else 'are'} deleted from {path.absolute()}")


@stores.command("export", epilog=examples("persona store export --out outputs/replies"))
def export_store(
    out: Annotated[Path, typer.Option(help="folder of the parquet files")],
    file: File = None,
) -> None:
    """Write a store's replies as parquet files, one for each first digit of the keys; equal replies give equal bytes.

    The exit code is 1 if replies are damaged and left out.
    """

    n, damaged = store.export(out, file)
    left = f"; {damaged:,} damaged and left out" if damaged else ""
    typer.echo(f"{out.absolute()}: {counted(n, 'reply', 'replies')}{left}")
    if damaged:
        raise typer.Exit(FAILED)
