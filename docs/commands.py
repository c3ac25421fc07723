"""Write docs/commands.md, what each command takes, from the commands' own help: `make docs`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import typer.main

from persona_lib import cli

START = """# Commands

`persona COMMAND -h` shows the same; `persona --version` shows the version. This page is written by `make docs`.

Exit codes: 0 done; 1 a notebook failed, nothing was scored, or more than half of a step's items failed; 2 what you gave
can't be used; 3 an endpoint's limit, the same command goes on later; 130 Ctrl-C.
"""


def page() -> str:
    """Return the page: a section for each command, in the order of a study."""
    return "\n".join([START, *sections(typer.main.get_command(cli.app), "persona")])


def sections(command: Any, path: str, parent: Any = None) -> Iterator[str]:
    """Yield the section of a command, or those of a group's commands."""
    context = typer.Context(command, info_name=path, parent=parent)
    if hasattr(command, "commands"):
        for name in command.list_commands(context):
            yield from sections(command.commands[name], f"{path} {name}")
        return
    text = re.sub(r"(?<=\S)\n(?=\S)", " ", re.sub(r"\n +", "\n", command.help.strip()))
    rows = filter(None, (parameter.get_help_record(context) for parameter in command.params))
    table = "\n".join(f"| `{name}` | {said} |" for name, said in (map(_cell, row) for row in rows))
    options = f"| option | |\n|---|---|\n{table}\n\n" if table else ""
    lines = command.epilog.splitlines()[2:]  # after the sign that keeps lines, and the heading
    examples = "\n".join(f"  {line}" for line in lines)
    yield f"## {path}\n\n{text}\n\n{options}{examples}\n"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


if __name__ == "__main__":
    (Path(__file__).parent / "commands.md").write_text(page(), "utf-8")
