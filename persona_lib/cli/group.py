"""How every command ends: one line for what a user gave, an exit code, and a stop that leaves work in order."""

import errno
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from .. import LimitError, UserError, store

FAILED, UNUSABLE, LIMITED = 1, 2, 3  # exit codes
ORDER = (
    *(
        "run",
        "estimate",
        "rehearse",
        "list",
        "open",
        "share",
        "sample",
        "fit",
        "pairs",
        "export",
        "methods",
        "annotate",
    ),
    *("compare", "doctor"),
)
_BROKEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # nothing that the user gave: the disk


class OneLine(TyperGroup):
    """Show a UserError as one line; anything else is a bug and keeps its traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of a study; those that are not in ORDER come last."""
        return sorted(super().list_commands(ctx), key=lambda name: (*ORDER, name).index(name))

    def invoke(self, ctx: Any) -> Any:
        """Run a command; say in one line why it ended."""
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
    from ..runs import notebooks  # takes a moment, after an error only

    return notebooks.as_seen(message) if re.search(r"notebooks/\.\./", message) else message


app = typer.Typer(
    cls=OneLine,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Run notebooks, estimate their cost, draw personas, make preference data, check the set-up.",
)
