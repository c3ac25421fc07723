"""The command `persona`, called in this process."""

import typer.main
from typer.testing import CliRunner

from persona_lib import cli


def persona(*arguments):
    """Run `persona` with these arguments and return its result."""
    return CliRunner().invoke(cli.app, [str(a) for a in arguments], prog_name="persona")


def one_line(result, code: int = 2) -> str:
    """Check that a command ended with one line for the user and an exit code, and return that line."""
    assert result.exit_code == code and result.stdout == ""
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    return result.stderr


def leaves(command=None, path=()):
    """The commands that do something: the words of each, and the command."""
    command = command or typer.main.get_command(cli.app)
    inner = getattr(command, "commands", None)
    if inner is None:
        return {path: command}
    return {at: leaf for name in inner for at, leaf in leaves(inner[name], (*path, name)).items()}


LEAVES = leaves()
