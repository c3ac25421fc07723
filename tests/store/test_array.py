"""The job script of docs/scale.md: each task hands its store back, also when it is stopped. `persona` is a stand-in."""

import os
import re
import subprocess
import sys

import pytest
from places import ROOT

from persona_lib.store import Store, Stored, canonical, key_of, merge

# Asks one request that the base has and one of the task's own; `slow` tasks then go on until they are stopped.
PERSONA = """#!{python}
import os, sys, time
from persona_lib.store import Store, Stored, canonical, key_of
task = sys.argv[sys.argv.index("-p") + 1]
store = Store()
for n in ("base", task):
    request = canonical({{"n": n}})
    if not store.get(key_of(request)):
        store.put([Stored(key_of(request), request, '"from the task"', None)])
if task == "seed=1":
    print("asked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def place(tmp_path):
    """A folder with the script, a base, and a `persona` that stands in for the command."""
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    script = next(one for one in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) if "SLURM_ARRAY_TASK_ID" in one)
    (tmp_path / "array.sh").write_text(script)
    (tmp_path / "stores").mkdir()
    request = canonical({"n": "base"})
    Store(tmp_path / "stores" / "base.sqlite").put([Stored(key_of(request), request, '"from the base"', None)])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "persona").write_text(PERSONA.format(python=sys.executable))
    (tmp_path / "bin" / "persona").chmod(0o755)
    (tmp_path / "node").mkdir()
    return tmp_path


def task(place, number):
    variables = {
        "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(number), "SLURM_SUBMIT_DIR": str(place),
        "TMPDIR": str(place / "node"), "PATH": f"{place / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    return subprocess.Popen(["bash", place / "array.sh"], env=os.environ | variables, stdout=subprocess.PIPE, text=True)


def test_each_task_hands_back_what_it_asked_also_one_whose_time_is_up(place):
    first, stopped = task(place, 0), task(place, 1)
    assert stopped.stdout.readline() == "asked\n"
    stopped.terminate()
    assert first.wait(timeout=60) == 0 and stopped.wait(timeout=60) == 143
    first.stdout.close()
    stopped.stdout.close()
    handed = sorted((place / "stores").glob("replies-*.sqlite"))
    assert [path.name for path in handed] == ["replies-7-0.sqlite", "replies-7-1.sqlite"]
    assert not any((place / "node").iterdir())
    merged = merge([place / "stores" / "base.sqlite", *handed], place / "all.sqlite")
    assert (merged.replies, merged.conflicts) == (3, 0)  # neither asked what the base has


def test_the_first_array_of_all_needs_no_base_and_no_folder_for_it(place):
    for path in (place / "stores").iterdir():
        path.unlink()
    (place / "stores").rmdir()
    with task(place, 0) as first:
        assert first.wait(timeout=60) == 0
    assert Store(place / "stores" / "replies-7-0.sqlite").get(key_of(canonical({"n": "base"})))
