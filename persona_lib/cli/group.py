"""How every command ends: one line for what a user gave, an exit code, and a stop that leaves work in order."""

import errno
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from .. import LimitError, UserError, store

FAILED, UNUSABLE, LIMITED = 1, 2, 3  # exit codes
ORDER = (
    *("run", "estimate", "requests", "replies", "params", "rehearse", "sweep", "list", "open", "share", "sample"),
    *("fit", "pairs", "export", "methods", "annotate", "score", "compare", "store", "lab", "doctor"),
)
PACKAGE = "persona-workbench"
_BROKEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # nothing that the user gave: the disk


def examples(*lines: str) -> str:
    """Return the end of a command's help: examples, each a line of its own."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])  # \b keeps the lines of a paragraph


class OneLine(TyperGroup):
    """Show what a user gave wrongly as one line; anything else is a bug and keeps its traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of a study; those that are not in ORDER come last."""
        return sorted(super().list_commands(ctx), key=lambda name: (*ORDER, name).index(name))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            _refuse(error)
            raise typer.Exit(UNUSABLE) from None

    def invoke(self, ctx: Any) -> Any:
        """Run a command; say in one line why it ended."""
        ends: list[int] = []  # signals that stopped the command
        try:
            with _as_ctrl_c(ends):
                return super().invoke(ctx)
        except TyperException as error:
            code = UNUSABLE
            _refuse(error)
        except UserError as error:
            code = LIMITED if isinstance(error, LimitError) else UNUSABLE
            _say(_as_seen(str(error)))
        except OSError as error:
            if error.errno == errno.EPIPE:  # `| head`: its reader has enough
                raise
            code = FAILED if error.errno in _BROKEN else UNUSABLE
            _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        except UnicodeEncodeError as error:
            if not re.search(r"[\ud800-\udfff]", str(error.object)):
                raise
            code = UNUSABLE  # the shell passes bytes that are no text, which a file's name may be
            _say("what you gave has a byte that is no text in UTF-8: leave it out, or write it in UTF-8")
        except MemoryError:
            code = FAILED
            _say("memory is used up: ask for fewer at once, or on a larger machine")
        except KeyboardInterrupt:
            code = 128 + (ends[0] if ends else signal.SIGINT)
            by = signal.Signals(ends[0]).name if ends else "Ctrl-C"
            kept = f"everything answered so far is kept in {store.default_path()}"
            typer.echo(f"\nstopped by {by}; {kept}; run it again to continue", err=True)
        raise typer.Exit(code)


def _say(wrong: str) -> None:
    """Show what is wrong as one line, whatever the user's own words contain."""
    shown = re.sub(r"[\x00-\x1f\x7f]", lambda sign: repr(sign[0])[1:-1], re.sub(r"\s*\n\s*", " ", wrong))
    typer.echo(f"error: {shown}", err=True)


def _refuse(error: TyperException) -> None:
    """Say in our own voice what is wrong with a command line; a group without a command shows its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        raise error
    said = re.sub(r" \(Possible options?: (.*)\)$", r". Did you mean \1?", error.format_message())
    said = re.sub(r"^Invalid value for (.*?): Input should be (.*?)(, unable to parse.*)?$", r"\1 must be \2", said)
    said = (said[0].lower() + said[1:]).rstrip(".").replace(". Did you mean", ": did you mean")
    if context := getattr(error, "ctx", None):
        said += f"{'' if said.endswith('?') else ';'} '{context.command_path} -h' shows what it takes"
    _say(said)


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
        for number in ours:  # a process that ends already does so with the exit code that says why
            signal.signal(number, signal.SIG_IGN if ends else signal.SIG_DFL)


def _as_seen(message: str) -> str:
    """Return a message with files as seen from the caller's folder, where they are named from the notebooks' folder."""
    from ..runs.planning import notebooks  # takes a moment, after an error only

    return notebooks.as_seen(message) if re.search(r"notebooks/\.\./", message) else message


app = typer.Typer(
    cls=OneLine,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "persona run                       # the notebooks, with the embedded model",
        "persona estimate --preset small   # what they would ask at larger sizes",
        "persona run -h                    # what a command takes",
    ),
)


def _version(asked: bool) -> None:
    if asked:
        python = ".".join(map(str, sys.version_info[:3]))
        typer.echo(f"{PACKAGE} {metadata.version(PACKAGE)}, Python {python}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run notebooks, estimate their cost, draw personas, make preference data, check the set-up."""
