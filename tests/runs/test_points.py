"""Points of a sweep at the workers of a cluster: the results of one process, and what happens when something ends."""

import json
import pickle
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import swept
from endpoint import Endpoint

from persona_lib import LimitError, UserError, files
from persona_lib.model import Budget
from persona_lib.model.cluster import workers
from persona_lib.model.limits import sharing
from persona_lib.runs.executing import run
from persona_lib.runs.sweeps import at_point, points, sweep, sweeping
from persona_lib.runs.sweeps import pages as sweep_pages
from persona_lib.runs.sweeps.sweep import Sweep
from persona_lib.store import Store, Stored, canonical, key_of

BASE = {"name": "s", "preset": "smoke"}
HERE = SimpleNamespace(host="127.0.0.1")  # a stand-in for a cluster that a command has joined


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose notebook is not executed: stand-ins for runs, here and at workers, write what runs leave."""
    monkeypatch.setattr(files, "ROOT", swept.write_project(tmp_path / "project"))
    monkeypatch.setattr(sweep_pages, "draw", lambda found, folder: None)
    here, there = swept.Runs(), swept.Runs()
    monkeypatch.setattr(run, "run", here)

    def at_worker(packed: bytes) -> at_point.Done:
        work = pickle.loads(packed)
        folder = tmp_path / "worker" / work.preset.name.removeprefix("s: ")
        if work.folder:
            at_point.unpack(work.folder, folder)
        try:
            there(work.preset, work.planned, folder, *work.limits, None, work.jobs, None)
        except UserError as error:
            return at_point.Done(None, str(error), [], "", 0)
        return at_point.Done(at_point.pack(folder), None, [], "", 0)

    monkeypatch.setattr(at_point, "run", at_worker)
    return SimpleNamespace(here=here, there=there)


def dealt(planned, folder: Path, n: int = 1, **given):
    """Run points with n threads as workers."""
    with ThreadPoolExecutor(n) as pool, workers.using(pool, n):
        return sweeping.execute(Sweep(**BASE), planned, folder, cluster=HERE, **given)


def names(runs: swept.Runs) -> list[str]:
    return sorted(name for name, *_ in runs.told)


def test_workers_run_points_where_there_are_as_many_and_else_ask_for_one_after_the_other(project, tmp_path):
    planned = sweep.points(Sweep(**BASE, models=["m"], seeds=[0, 1, 2]))
    found, _ = dealt(planned, tmp_path / "few", 4, jobs=3)
    assert names(project.here) == ["seed=0", "seed=1", "seed=2"] and not project.there.told
    assert project.here.how == (3, HERE)
    again, _ = dealt(planned, tmp_path / "out", 2, jobs=3)
    assert names(project.there) == ["seed=0", "seed=1", "seed=2"] and project.there.how[0] == 3
    pd.testing.assert_frame_equal(again.rows, found.rows)
    pd.testing.assert_frame_equal(again.points, found.points)
    dealt(planned, tmp_path / "out", 2)
    assert len(project.there.told) == len(project.here.told) == 3, "what is done is not run again"


def test_where_the_embedded_model_has_to_answer_points_stay_here(project, tmp_path):
    planned = sweep.points(Sweep(**BASE, models=["m", "local"], seeds=[0, 1]))
    dealt(planned, tmp_path / "out", 2)
    assert names(project.there) == ["m, seed=0", "m, seed=1"]
    assert names(project.here) == ["local,seed=0", "local,seed=1"]


def test_a_point_that_fails_at_a_worker_is_a_row_with_its_reason(project, tmp_path):
    class KilledWorker(Exception):
        """Named as Dask's."""

    def finds(values):
        if values["seed"] == 1:
            raise KilledWorker("a point")
        if values["seed"] == 2:
            raise UserError("no file such.csv")
        return swept.failed("ValueError") if values["seed"] == 3 else swept.found(0.1, "m")

    project.there.finds = finds
    said = []
    planned = sweep.points(Sweep(**BASE, models=["m"], seeds=[0, 1, 2, 3, 4]))
    found, errors = dealt(planned, tmp_path / "out", say=said.append)
    assert found.points["state"].tolist() == ["done", "failed", "failed", "failed", "done"] and errors == {"ValueError"}
    reasons = found.points["reason"].tolist()
    assert reasons[1:4] == [
        *("its workers were killed, one after the other: was memory used up?", "no file such.csv"),
        "ValueError: it went wrong",
    ]
    assert said[0] == "5 points for 1 worker" and said[1] == "point 1 of 5: seed=0" and said[2].startswith("done    01")


@pytest.mark.parametrize(("error", "run_there"), [("BudgetError", 2), ("LimitError", 5)])
def test_after_a_limit_no_point_begins_and_at_an_endpoint_s_end_those_of_its_model_wait(
    project, tmp_path, error, run_there
):
    project.there.finds = lambda v: (
        swept.failed(error) if (v["model"], v["seed"]) == ("m", 1) else swept.found(0.1, "m")
    )
    planned = sweep.points(Sweep(**BASE, models=["m", "w"], seeds=[0, 1, 2]))
    found, errors = dealt(planned, tmp_path / "out", max_calls=100, max_cost=9.0)
    assert errors == {error} and found.points["state"].tolist()[:3] == ["done", "failed", "not run"]
    waits = ["not run"] if error == "BudgetError" else ["done"]
    assert found.points["state"].tolist()[3:] == waits * 3
    assert len(project.there.told) == run_there
    assert all((calls, cost) == (100, 9.0) for _, calls, cost in project.there.told), "what is left for all together"


def test_when_the_cluster_ends_the_page_is_written_and_the_same_command_goes_on(project, tmp_path):
    class CommClosedError(Exception):
        """A stand-in for Dask's."""

    CommClosedError.__module__ = "distributed.comm.core"

    def finds(values):
        if values["seed"] == 1:
            raise CommClosedError("gone")
        return swept.found(0.1, "m")

    fine, project.there.finds = project.there.finds, finds
    planned = sweep.points(Sweep(**BASE, models=["m"], seeds=[0, 1, 2]))
    with pytest.raises(LimitError, match="the cluster does not go on: CommClosedError: gone"):
        dealt(planned, tmp_path / "out")
    assert "1 of 3 points are done" in (tmp_path / "out" / "index.html").read_text()
    project.there.told, project.there.finds = [], fine
    found, _ = dealt(planned, tmp_path / "out")
    assert names(project.there) == ["seed=1", "seed=2"] and set(found.points["state"]) == {"done"}


def test_a_point_s_folder_goes_to_the_worker_and_what_is_the_user_s_own_comes_back(project, tmp_path):
    planned = sweep.points(Sweep(**BASE, models=["m"], seeds=[0, 1]))
    fine = project.there.finds
    project.there.finds = lambda v: fine(v) | {"steps": {"a": swept.USED | {"failed": 1 - v["seed"]}}}
    dealt(planned, tmp_path / "out")
    (tmp_path / "out" / "seed=0" / "notes.txt").write_text("mine")
    project.there.told = []
    dealt(planned, tmp_path / "out", retry=True)
    assert names(project.there) == ["seed=0"] and (tmp_path / "out" / "seed=0" / "notes.txt").read_text() == "mine"


def test_replies_of_another_machine_come_once_and_those_of_this_one_are_there(monkeypatch, tmp_path):
    def row(n: int, failure: str | None = None) -> Stored:
        request = canonical({"n": n})
        return Stored(key_of(request), request, "{}", failure)

    own = Store()
    own.put([row(0)])
    kept: list[tuple[Stored, ...]] = [(row(1), row(2, "refused")), (row(3),), ()]

    def in_a_process(work, folder, environment):
        """A stand-in for the process: it has got replies."""
        asked = Store(environment["PERSONA_STORE"], base=[environment["PERSONA_STORE_BASE"]])
        found.append([asked.get(row(n).key) is not None for n in range(4)])
        asked.put(kept.pop(0))
        return "no run"

    found: list[list[bool]] = []
    monkeypatch.setattr(at_point, "_in_a_process", in_a_process)
    monkeypatch.setattr(points, "here", lambda: "the sweep's machine")
    turn = points.Turn(1, SimpleNamespace(preset=None, planned={}, name="a"), [])
    dealer = points.Dealer(tmp_path / "out", AtOnce(), (None, None), {})
    came = []
    for _ in range(3):
        ended = dealer._begun(turn)
        came.append([stored.key for stored in ended.result().rows])
        assert dealer._take(turn, ended) == "no run"
    assert came == [[row(1).key, row(2).key], [row(3).key], []]
    assert found == [[True, False, False, False], [True, True, True, False], [True] * 4]
    assert own.counts() == {"replies": 4, "failed": 1}, "they are in the store of the sweep"
    kept.append(())
    points.Dealer(tmp_path / "out", AtOnce(), (None, None), {}, again=True)._begun(turn)
    assert found[-1] == [True, True, False, True], "a failed reply is asked again"


class AtOnce:
    """A stand-in for workers, and for their executor: it runs what it gets before it returns."""

    def __init__(self):
        self.executor = self

    def submit(self, work, *given) -> Future:
        future = Future()
        future.set_result(work(*given))
        return future


def test_a_process_that_was_free_for_long_is_ended_and_not_taken(monkeypatch):
    ended = []
    fresh, stale = (SimpleNamespace(free_since=time.monotonic() - s, end=lambda s=s: ended.append(s)) for s in (1, 40))
    monkeypatch.setattr(at_point, "_FREE", [fresh, stale])
    assert at_point._free() is fresh and ended == [40] and at_point._free() is None


ASK = """
from persona_lib.model import Model
from persona_lib.store import Store
asked = Model(model, base_url, Store(), max_in_flight=2)
replies = asked.ask([[{"role": "user", "content": f"question {i} {seed if size > 5 else ''}"}] for i in range(size)])
if seed == 2:
    raise ValueError("nothing to judge")
"""
RECORD = """
import matplotlib.pyplot as plt
import pandas as pd
from persona_lib import runs
texts = pd.DataFrame({"text": [reply.text for reply in replies]})
runs.record(out, headline="It helps.", metrics={"size": size}, models=[asked], tables={"all": texts},
            figures={"one": plt.subplots()[1]},
            finding=runs.Finding("share kept", 0.5 + seed / 10, 0.4, 0.7, size, "share"))
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A project whose notebooks are executed, also by the processes of workers."""
    root = swept.write_project(tmp_path_factory.mktemp("real") / "project", ASK, RECORD)
    body = (
        f"from pathlib import Path; from persona_lib import files; files.ROOT = Path({str(root)!r}); {at_point._BODY}"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(at_point, "_BODY", body)
        patch.setattr(sweep_pages, "draw", lambda found, folder: None)
        patch.setenv("OPENAI_API_KEY", "x")
        yield root
        while at_point._FREE:
            at_point._FREE.pop().end()


def results(folder: Path) -> dict[str, bytes]:
    """The tables of a sweep and of its runs."""
    found = [*folder.glob("points.*"), *folder.glob("*/*/tables/*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_points_at_workers_of_another_machine_leave_the_bytes_of_one_process(real, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", real)
    with Endpoint() as endpoint:
        given = {"models": [f"m@{endpoint.url}"], "seeds": [0, 2], "parameters": {"size": [3]}}
        planned = sweep.points(Sweep(**BASE, **given))
        sweeping.execute(Sweep(**BASE), planned, tmp_path / "alone")
        sent = [body["messages"] for body in endpoint.requests]
        endpoint.requests.clear()
        monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "new" / "r.sqlite"))
        monkeypatch.setattr(points, "here", lambda: "the sweep's machine")
        found, errors = dealt(planned, tmp_path / "dealt", max_calls=50)
        assert [body["messages"] for body in endpoint.requests] == sent
    assert errors == {"ValueError"}, found.points["reason"].tolist()
    assert found.points["calls"].sum() == len(sent) == 3
    assert results(tmp_path / "dealt") == results(tmp_path / "alone") and len(results(tmp_path / "alone")) == 4
    assert Store(tmp_path / "new" / "r.sqlite", base=[]).counts()["replies"] == 3
    (entry,) = json.loads((tmp_path / "dealt" / "seed=0" / "manifest.json").read_text())["notebooks"].values()
    assert entry["parameters"]["out"] == "01_ask" and not list((tmp_path / "dealt").glob(".new*"))


def test_a_process_ends_with_its_worker_and_asks_no_more_and_the_next_point_has_a_new_one(real, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", real)
    folder = tmp_path / "persona-point-x" / "run"
    with Endpoint(delay_s=0.1) as endpoint, sharing.served(Budget(max_calls=500)) as shared:
        (point,) = sweep.points(Sweep(**BASE, models=[f"m@{endpoint.url}"], parameters={"size": [400]}))
        work = begun(point, shared, tmp_path, monkeypatch)
        process = at_point._free() or at_point._Process()
        ended = []
        running = threading.Thread(target=lambda: ended.append(ended_with(process, work, folder)))
        running.start()
        until(lambda: len(endpoint.requests) >= 6)
        assert (folder / "index.html").is_file()
        process._process.stdin.close()  # as when its worker is killed
        running.join(20)
        assert ended == [EOFError] and process.end() == 1 and not folder.exists()
        time.sleep(0.3)
        n = len(endpoint.requests)
        time.sleep(0.5)
        assert len(endpoint.requests) == n < 100, "a kernel goes on"
        assert Store().counts()["replies"] >= n - 2, "what was answered is kept"
    monkeypatch.setattr(at_point, "_BODY", "import sys; sys.stdin.buffer.read(1); raise SystemExit(7)")
    said = at_point._in_a_process(work, folder, {})
    assert said == "its process has ended at the worker (exit code 7): was memory used up?" and not at_point._FREE


def ended_with(process, work, folder):
    try:
        return process.run(work, folder, work.environment)
    except Exception as error:
        return type(error)


def begun(point, shared, tmp_path, monkeypatch) -> at_point.Work:
    """What is sent of a point."""
    monkeypatch.setattr(at_point, "run", pickle.loads)
    dealer = points.Dealer(tmp_path / "out", AtOnce(), (None, None), shared)
    return dealer._begun(points.Turn(1, point, list(point.planned))).result()


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)
