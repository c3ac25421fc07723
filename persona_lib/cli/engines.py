"""Commands that let an engine answer files of requests: requests, replies."""

from pathlib import Path
from typing import Annotated

import typer

from .group import FAILED, app, examples
from .options import BaseUrl, ModelName, OfPairs, Only, P, PresetName, works_of


@app.command(
    epilog=examples(
        "persona requests --preset small --model Qwen/Qwen3-32B --base-url http://gpu:8000/v1 --out wave.jsonl",
        "persona requests --preset small --only 6,8 --out wave.jsonl",
        "persona requests --preset small --pairs --out wave.jsonl",
    )
)
def requests(
    out: Annotated[
        Path, typer.Option(dir_okay=False, help="file to write, .jsonl; of several models each has its own, named so")
    ],
    preset: PresetName = "smoke",
    only: Only = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    p: P = None,
    pairs: OfPairs = False,
) -> None:
    """Write the requests that the response store lacks into files that an engine answers offline.

    The files have the Batch API's form, which vLLM's run-batch and others take. Nothing is sent. Requests that depend
    on missing replies come in a later wave: bring in the replies with 'persona replies' and give the same command
    again, until nothing is lacking. --base-url is the address that replies are kept under; nothing has to answer there.
    The exit code is 1 if a notebook fails that lacks nothing.
    """
    from ..runs.dry_runs import waves

    works = works_of(preset, only, model, base_url, p, pairs)
    wave = waves.write(works, out, waves.plan(preset, pairs, works))
    typer.echo(waves.text(wave))
    if wave.failed:
        raise typer.Exit(FAILED)


@app.command(
    epilog=examples(
        "persona replies wave.replies.jsonl",
        "persona replies out/part-*.jsonl errors.jsonl",
        "persona replies wave.replies.jsonl --by /models/qwen3-32b-awq",
    )
)
def replies(
    files: Annotated[list[Path], typer.Argument(help="files of replies, JSON lines")],
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="the model's name in the replies, where it is another one")
    ] = None,
) -> None:
    """Bring the replies of an engine to the files of 'persona requests' into the response store.

    Lines that bring nothing are counted with their reason: their requests come again in the next wave. To bring in the
    same file twice changes nothing. The exit code is 1 if more than half of the lines brought nothing.
    """
    from ..model import exchange
    from ..store import Store

    brought = exchange.bring(files, Store(), by)
    typer.echo(exchange.text(brought))
    if brought.useless > brought.counts.total() / 2:
        raise typer.Exit(FAILED)
