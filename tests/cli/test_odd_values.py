"""Whatever a user gives an option or argument: it works, or one line says what is wrong. No traceback, no long wait."""

import itertools
import os

import pytest
from commands import LEAVES, persona

from persona_lib import UserError

ODD = ("", "-1", "nan", "9" * 30, "/dev/null", "{", "x\ny", "bin.csv", "\udcff", "http://[", "full", "=1", "~")
# What a command needs beside the option that is tried.
NEEDS = {
    ("sample",): {"": ["0"], "--out": "o.csv"},  # for nobody: it says so, unless something else is wrong
    ("fit",): {"": ["bin.csv"], "--out": "o.npz"},
    ("pairs",): {"--out": "o"},
    ("requests",): {"--out": "o"},
    ("export",): {"": ["full"], "--out": "o"},
    ("sweep",): {"": ["bin.csv"], "--out": "o"},
    ("open",): {"": ["full"]},
    ("share",): {"": ["full"], "--out": "o.zip"},
    ("score",): {"": ["bin.csv"], "--model": "local", "--out": "o.csv"},
    ("compare",): {"": ["full", "other"]},
    ("methods", "run"): {"--world": "full", "--k": "0"},
    ("methods", "submit"): {"--world": "full", "--method": "mean", "--out": "o"},
    ("methods", "seal"): {"": ["full"]},
    ("methods", "check"): {"": ["full"]},
    ("methods", "leaderboard"): {"": ["full"], "--out": "o"},
    ("methods", "export"): {"": ["full"], "--out": "o"},
    ("methods", "hidden", "open"): {"--out": "full", "--seed": "1"},
    ("methods", "hidden", "close"): {"": ["full", "full"], "--out": "o"},
    ("store", "merge"): {"": ["bin.csv"], "--into": "o"},
    ("store", "export"): {"--out": "o"},
    ("annotate", "export"): {"--out": "o", "--pairs": "bin.csv"},
    ("annotate", "import"): {"": ["full"], "--out": "o"},
}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder with files that nothing can use; no notebook is executed, and no model asked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin.csv").write_bytes(bytes(range(256)))
    for name in ("full", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("[]")

    def stop(*_, **__):
        raise UserError("far enough")

    for name in (
        "executing.run.run",
        "dry_runs.rehearse.rehearse",
        "executing.pairs.make",
        "executing.pairs.items_to_rate",
        "dry_runs.estimate.count",
        "planning.doctor.all_of",
        "pages.start.write",
        "dry_runs.waves._drafted",
    ):
        monkeypatch.setattr(f"persona_lib.runs.{name}", stop)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_odd_values_end_in_one_line(elsewhere, path):
    needs = NEEDS.get(path, {})
    odd = itertools.cycle(ODD[len(path[-1]) % len(ODD) :] + ODD[: len(path[-1]) % len(ODD)])  # another one first
    for parameter in LEAVES[path].params:
        if getattr(parameter, "is_flag", False):
            continue
        option = "" if parameter.param_type_name == "argument" else parameter.opts[0]
        for value in (next(odd), next(odd)):
            given = needs | {option: value}
            words = [word for name, own in given.items() if name for word in (name, own)]
            last = given.get("", [])
            result = persona(*path, *words, "--", *([last] if isinstance(last, str) else last))
            assert result.exception is None or isinstance(result.exception, SystemExit), (words, last)
            assert result.exit_code in (0, 1, 2), (words, last)
            wrong = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
            if result.exit_code == 2 and path != ("methods", "check"):  # which lists problems, each a line
                assert len(wrong) == 1 and wrong[0].startswith("error: "), (words, last, result.stderr)
    assert {name for name in os.listdir() if name.startswith("o")} <= {"o", "o.csv", "o.npz", "other"}
