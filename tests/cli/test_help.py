"""What `persona` says of itself: help with examples, its version, and one line for a mistyped command line."""

import importlib.util
import shlex
from importlib import metadata

import pytest
from commands import LEAVES, one_line, persona
from places import ROOT


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_each_command_explains_itself_with_examples_that_it_takes(path):
    shown, long = persona(*path, "-h"), persona(*path, "--help")
    assert shown.exit_code == 0 and shown.stdout == long.stdout
    examples = [line.strip() for line in shown.stdout.partition("Examples:\n")[2].splitlines()]
    assert examples and not {"Traceback", "\b"} & set(shown.stdout.split())
    for line in examples:
        words = shlex.split(line)
        assert tuple(words[: len(path) + 1]) == ("persona", *path)
        LEAVES[path].make_context("persona", words[len(path) + 1 :])  # refuses an unknown option, and a missing one


def test_the_page_of_the_commands_is_their_help():
    spec = importlib.util.spec_from_file_location("commands_page", ROOT / "docs" / "commands.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert written == module.page(), "run `python docs/commands.py`"
    assert all(f"\n## persona {' '.join(path)}\n" in written for path in LEAVES)


def test_groups_and_the_command_itself_explain_themselves():
    for path in ((), ("methods",), ("methods", "hidden"), ("annotate",)):
        assert persona(*path, "-h").exit_code == 0 and persona(*path, "-h").stdout.startswith("Usage: persona")
        assert persona(*path).exit_code == 2  # without a command, the help


def test_the_version_is_that_of_the_package():
    shown = persona("--version")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"persona-workbench {metadata.version('persona-workbench')}, Python 3.")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rum", "no such command 'rum': did you mean 'run'? 'persona -h' shows what it takes"),
        ("methods rn", "no such command 'rn': did you mean 'run'? 'persona methods -h' shows what it takes"),
        ("--verson", "no such option: --verson: did you mean --version?"),
        ("run --modle x", "no such option: --modle: did you mean --model, --only? 'persona run -h' shows"),
        ("run --zzz", "no such option: --zzz; 'persona run -h' shows what it takes"),
        ("run --out", "option '--out' requires an argument"),
        ("run --max-calls x", "'--max-calls' must be a valid integer; 'persona run -h'"),
        ("run --max-cost nan", "'--max-cost' must be greater than or equal to 0; 'persona run -h'"),
        ("run more", "got unexpected extra argument(s) (more); 'persona run -h' shows what it takes"),
        ("sample --out x.csv", "missing argument 'n'; 'persona sample -h' shows what it takes"),
        ("doctor --base-url http://[", "base_url takes an address such as http://localhost:8000/v1, not 'http://['"),
        ("sample 3 --out x.csv --model m --base-url me:pw@x", "base_url contains a password"),
        ("compare", "missing argument 'runs'; 'persona compare -h' shows what it takes"),
    ],
)
def test_a_mistyped_command_line_is_one_line_that_helps(line, said):
    assert one_line(persona(*line.split())).startswith(f"error: {said}")
