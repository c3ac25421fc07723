"""Notebooks of a run side by side: what they find, in which order, and that none is left when the run is stopped."""

import gc
import json
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import psutil
import pytest
from projects import write_notebook, write_preset
from waits import LONG_S, until

from persona_lib import files
from persona_lib.model.limits.usage import COUNTS
from persona_lib.runs import forks
from persona_lib.runs.executing import kernels, pool, side_by_side
from persona_lib.runs.executing.run import run
from persona_lib.runs.planning import presets

# Each writes when it begins, and waits for one that would never begin if one ran after the other.
MEETS = """
import json, os, time
from pathlib import Path
here = Path("begun")
here.mkdir(exist_ok=True)
(here / me).write_text(str(time.monotonic()))
until = time.monotonic() + 120
while other and not (here / other).exists():
    assert time.monotonic() < until, "it ran alone"
    time.sleep(0.02)
assert Path.cwd().name == "notebooks"
if calls:
    line = {"ask": 0, "step": "asking", "done": calls, "total": 9, "usage": usage | {"calls": calls}}
    with open(os.environ["PERSONA_PROGRESS"], "a") as file:
        file.write(json.dumps(line) + "\\n")
    while f"now {me}: {calls} calls so far" not in Path("../outputs/index.html").read_text():
        assert time.monotonic() < until, "the index does not tell it"
        time.sleep(0.05)
from persona_lib.runs import record
import pandas as pd
record(out, headline=me, metrics={"letters": len(me)}, tables={"one": pd.DataFrame({"me": [me]})}, figures={})
"""
PARAMETERS = "me = {!r}\nother = {!r}\ncalls = 0\nout = None\nusage = {}"
USAGE = dict.fromkeys(COUNTS, 0) | {"cost": 0.0}
STEMS = {"01_a": "06_conditioning", "02_b": "", "06_conditioning": "01_a"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "project"
    for stem, other in STEMS.items():
        write_notebook(root, stem, MEETS, parameters=PARAMETERS.format(stem, other, USAGE))
    write_preset(root, "smoke", "about: Meets.\nnotebooks: {01_a: , 02_b: , 06_conditioning: }")
    monkeypatch.setattr(files, "ROOT", root)
    return root


def test_two_run_side_by_side_the_main_one_first_and_find_what_they_find_one_by_one(project, monkeypatch):
    monkeypatch.setattr(side_by_side, "LOOK_S", 0.1)
    preset, lines = presets.load("smoke"), []
    planned = presets.plan(preset)
    planned["02_b"]["calls"] = 2
    told = run(preset, planned, project / "outputs", say=lines.append, jobs=2)
    assert {stem: entry["status"] for stem, entry in told["notebooks"].items()} == dict.fromkeys(STEMS, "done")
    began = {path.name: float(path.read_text()) for path in (project / "notebooks" / "begun").iterdir()}
    assert max(began, key=lambda stem: began[stem]) == "02_b"
    starts = [entry["started"] for entry in told["notebooks"].values()]
    assert starts[2] <= starts[0] <= starts[1]
    assert {line.split()[1] for line in lines[1:]} == set(STEMS)
    for stem in STEMS:
        assert json.loads((project / "outputs" / stem / "record.json").read_text())["headline"] == stem
        assert (project / "outputs" / f"{stem}.html").is_file()
    assert Path.cwd() != project / "notebooks"
    run(preset, presets.plan(preset, given={"other": ""}), project / "one by one", jobs=1)
    side, one = (recorded(project / name) for name in ("outputs", "one by one"))
    assert side == one and len(one) == 9  # byte for byte


def recorded(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/**/*") if path.is_file()}


def test_a_stopped_run_leaves_no_process_of_several(tmp_path):
    root = tmp_path / "project"
    for stem in ("01_a", "02_b", "03_c"):
        write_notebook(
            root,
            stem,
            'import pathlib, time; pathlib.Path("begun").open("a").write("x"); time.sleep(100)',
            parameters="n = 1",
        )
    write_preset(root, "sleep", "about: Sleeps.\nnotebooks: {01_a: , 02_b: , 03_c: }")
    program = (
        f"from pathlib import Path; from persona_lib import cli, files; files.ROOT = Path({str(root)!r}); cli.app()"
    )
    command = [sys.executable, "-c", f"{program}; cli.app()", "run", "--preset", "sleep", "--jobs", "2"]
    begun = root / "notebooks" / "begun"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: begun.is_file() and begun.read_text() == "xx")
        ours = psutil.Process(process.pid).children(recursive=True)
        assert len(ours) >= 4  # two kernels, the process that they are forked from, and the one that watches the run
        process.send_signal(signal.SIGTERM)  # it stops a run as Ctrl-C does
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)  # as somebody who can't wait does
        _, err = process.communicate(timeout=LONG_S)
    assert process.returncode == 143 and "Traceback" not in err
    assert psutil.wait_procs(ours, timeout=LONG_S)[1] == []
    told = json.loads((root / "outputs/sleep/manifest.json").read_text())
    assert told["status"] == "interrupted"
    assert [entry["status"] for entry in told["notebooks"].values()] == ["interrupted", "interrupted", "not run"]


def test_a_kernel_that_ends_by_itself_leaves_the_others_to_be_stopped(monkeypatch):
    class Ending:  # a stand-in
        has_kernel = True

        async def interrupt_kernel(self) -> None:
            self.has_kernel = False
            raise RuntimeError("Cannot interrupt kernel. No kernel is running!")

    monkeypatch.setattr(kernels, "LOOK_S", 0.01)
    ended, over = [Ending(), Ending()], threading.Event()
    monkeypatch.setattr(kernels, "_STARTED", set(ended))
    over.set()
    stopping = threading.Thread(target=kernels.stop, args=(over,))
    stopping.start()
    stopping.join(LONG_S)
    assert not any(one.has_kernel for one in ended)
    del stopping
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    assert not [one for one in told if "event loop" in str(one.message)], "the thread has left its loop open"


def test_a_kernel_that_can_t_be_forked_fails_its_own_notebook_alone(project, monkeypatch):
    start, tries = forks._Process.start, []

    def started(process):
        tries.append(process)
        if len(tries) == 1:
            raise EOFError("unexpected EOF")  # as multiprocessing does when the process that it forks from is killed
        start(process)

    monkeypatch.setattr(forks._Process, "start", started)
    preset = presets.load("smoke")
    told = run(preset, presets.plan(preset, given={"other": ""}), project / "outputs", jobs=1)
    status = {stem: entry["status"] for stem, entry in told["notebooks"].items()}
    assert status == {"06_conditioning": "failed", "01_a": "done", "02_b": "done"}
    assert "the kernel did not start (unexpected EOF)" in told["notebooks"]["06_conditioning"]["error"]["message"]


def test_as_many_run_at_once_as_there_is_room_for_and_one_where_the_embedded_model_answers(monkeypatch, tmp_path):
    local, there = {"model": "local", "recording": None}, {"model": "m", "base_url": "http://x/v1"}
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    monkeypatch.setattr(pool, "LIMIT", tmp_path / "memory.max")
    available = psutil.virtual_memory()._replace(available=int(5 * pool.MEMORY))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
    assert pool.jobs(13, []) == pool.jobs(13, [there, {"model": None}, local | {"recording": "smoke"}]) == 5
    assert pool.jobs(3, [there]) == 3
    for limit, n in (("max\n", 5), (f"{int(2.5 * pool.MEMORY)}\n", 2), ("1000\n", 1)):  # of a container
        pool.LIMIT.write_text(limit)
        assert pool.jobs(13, [there]) == n
    pool.LIMIT.unlink()
    assert pool.jobs(13, [there], 9) == 9 and pool.jobs(13, [there, local], 9) == 1
    assert pool.jobs(13, [there, local]) == pool.jobs(13, [there | {"judge": "local"}]) == 1
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available._replace(available=0))
    assert pool.jobs(13, []) == 1
