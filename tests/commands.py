"""The command `persona`, called in this process."""

from typer.testing import CliRunner

from persona_lib import cli


def persona(*arguments):
    """What `persona` with these arguments does."""
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def one_line(result) -> str:
    """The one line that a command says when the user can mend it."""
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    return result.stderr
