"""Clusters of a command: which are refused and how, and one that Dask starts here."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from endpoint import Endpoint
from projects import write_project
from waits import LONG_S

from persona_lib import UserError, files
from persona_lib.model.asking.progress import Dealt
from persona_lib.model.cluster import workers
from persona_lib.model.limits import usage
from persona_lib.runs.executing import cluster, kernels
from persona_lib.runs.executing.run import run
from persona_lib.runs.pages import said
from persona_lib.runs.planning import notebooks, presets


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("0", "--cluster 0: take 1 to"),
        ("-1", "--cluster -1: take 1 to"),
        ("99999", "take 1 to"),
        ("four", "takes a number of workers, .* not 'four'"),
        ("http://127.0.0.1:1", "not 'http://127.0.0.1:1'"),
        ("missing.json", "no file missing.json"),
        ("odd.json", "odd.json is not the file of a scheduler"),
        ("list.json", "list.json is not the file of a scheduler"),
        ("tcp://127.0.0.1:1", "no scheduler answers at tcp://127.0.0.1:1"),
    ],
)
def test_what_is_no_cluster_is_said_in_a_line_within_seconds(given, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "CONNECT_S", 0.5)
    Path("odd.json").write_text("{")
    Path("list.json").write_text("[]")
    with pytest.raises(UserError, match=said) as told, cluster.joined(given, print):
        pass
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_port_where_something_else_listens_is_no_scheduler_within_seconds(scheme, monkeypatch):
    monkeypatch.setattr(workers, "CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # as an HTTP server is, which waits for a request
        address = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=f"no scheduler answers at {address}"):
            workers.connect(address)


@pytest.mark.parametrize("given", ["2", "tcp://127.0.0.1:1"])
def test_without_dask_the_line_says_what_to_install(given, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[cluster\]'"), cluster.joined(given, print):
        pass


def test_workers_that_can_t_do_the_work_are_named(monkeypatch):
    monkeypatch.delenv("AZURE_OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    fine = workers.about()
    assert "sk-0123456789" not in json.dumps(fine)
    cluster._check({"tcp://a:1": fine}, "tcp://s:1")
    wrong = {
        "other": fine | {"version": "0.0.1", "host": "old"},
        "changed": fine | {"code": "0", "host": "edited"},
        "bare": ModuleNotFoundError("No module named 'persona_lib'"),
        "keyless": fine | {"keys": [], "host": "poor"},
    }
    for name, line in [
        ("other", "worker other on old has another version of persona-workbench"),
        ("changed", "worker changed on edited has another version"),
        ("bare", "worker bare can't load persona_lib"),
        ("keyless", "worker keyless on poor has no OPENAI_API_KEY"),
    ]:
        with pytest.raises(UserError, match=line):
            cluster._check({"tcp://a:1": fine, name: wrong[name]}, "tcp://s:1")
    with pytest.raises(UserError, match="and 1 more"):
        cluster._check(wrong, "tcp://s:1")
    with pytest.raises(UserError, match="the scheduler at tcp://s:1 has no worker"):
        cluster._check({}, "tcp://s:1")


def test_limits_are_left_to_the_block_where_there_is_no_cluster():
    with cluster.joined(None, print) as there, cluster.limited(there, 3, 1.5) as limits:
        assert there is None and limits == (3, 1.5)


class Client:
    """A stand-in for Dask's: its workers are those that `there` names."""

    def __init__(self, *there: str):
        self.there = there

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self.there, 1)


def test_the_index_says_how_workers_are_while_a_run_goes_on_and_at_its_end_what_they_did(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", write_project(tmp_path / "project"))
    monkeypatch.setattr("persona_lib.runs.executing.side_by_side.LOOK_S", 0.05)
    client, index = Client("tcp://a:1", "tcp://b:1"), tmp_path / "out" / "index.html"
    steps = {"ask": 0, "step": "answers", "total": 1240, "usage": usage.total([])}
    seen = []

    def execute(stem, parameters, target, file, environment):
        """A stand-in for a kernel, which deals to workers."""
        dealt = asdict(Dealt(8, 1240, 240, 1, ["tcp://a:1", "tcp://b:1", "tcp://c:1"]))
        file.write_text(json.dumps(steps | {"done": 240, "dealt": dealt}) + "\n")
        client.there = ("tcp://b:1", "tcp://c:1")
        seen.append(shown(index, "240 of 1,240 requests answered"))
        dealt |= {"answered": 1240, "asking": []}
        with file.open("a") as more:
            more.write(json.dumps(steps | {"done": 1240, "dealt": dealt}) + "\n")
        shutil.copy(notebooks.find(stem).path, target)

    monkeypatch.setattr(kernels, "execute", execute)
    preset = presets.load("smoke")
    with socket.create_server(("127.0.0.1", 0)) as scheduler:
        there = cluster.Joined(f"tcp://127.0.0.1:{scheduler.getsockname()[1]}", client)
    content = run(preset, presets.plan(preset, ["01"]), index.parent, cluster=there)
    now = "2 asking, 240 of 1,240 requests answered, 1 shard begun again, 1 worker lost."
    assert f"2 workers at {there.address}: {now}" in seen[0]
    did = {"workers": 2, "lost": 1, "shards": 8, "requests": 1240, "answered": 1240, "repeated": 1}
    assert content["cluster"] == did
    page = index.read_text()
    assert "2 workers: 1,240 requests in 8 shards, 1,240 answered, 1 shard begun again, 1 worker lost." in page
    assert there.address not in page


def shown(index: Path, what: str) -> str:
    """The index page once it shows something."""
    until = time.monotonic() + 20
    while what not in (text := index.read_text()):
        assert time.monotonic() < until, text
        time.sleep(0.02)
    return text


def test_the_line_on_workers_says_only_what_there_is_to_say():
    state = {"address": "tcp://s:1", "workers": 4, "lost": 0, "asking": 3, "shards": 8}
    state |= {"requests": 6400, "answered": 1240, "repeated": 0}
    assert said.of_workers(state, over=False) == "4 workers at tcp://s:1: 3 asking, 1,240 of 6,400 requests answered"
    assert said.of_workers(state | {"requests": 0, "asking": 0}, over=False) == "4 workers at tcp://s:1: 0 asking"
    assert said.of_workers(state | {"workers": 1}, over=True) == "1 worker: 6,400 requests in 8 shards, 1,240 answered"


ASKING = """
import os, signal, sys, threading, time
from endpoint import say
from persona_lib.model import Model
from persona_lib.model.cluster import shards
from persona_lib.model.cluster.workers import connect, present
from persona_lib.runs.executing import cluster
from persona_lib.store import Store

shards.LEAST, shards.MOST = 4, 16

def kill():
    client = connect(os.environ["PERSONA_CLUSTER"])
    first, *_ = client.run(os.getpid).values()
    while Store().counts()["replies"] < 60:
        time.sleep(0.05)
    os.kill(first, signal.SIGKILL)
    client.close()

if __name__ == "__main__":
    model = Model("m", sys.argv[1], max_in_flight=4)
    with cluster.joined("2", print) as there, cluster.limited(there, 500):
        killer = threading.Thread(target=kill)
        killer.start()
        replies = model.ask(say(*map(str, range(120))))
        killer.join()
    assert [reply.text for reply in replies] == list(map(str, range(120)))
    assert "PERSONA_CLUSTER" not in os.environ
"""


def test_workers_that_dask_starts_share_an_ask_and_one_that_is_killed_loses_only_what_was_in_flight(tmp_path):
    script = tmp_path / "asking.py"
    script.write_text(ASKING)
    there = os.environ | {"PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(Path(__file__).parents[1])])}
    with Endpoint(delay_s=0.15, meets=5) as endpoint:
        done = subprocess.run(
            [sys.executable, str(script), endpoint.url], capture_output=True, text=True, env=there, timeout=2 * LONG_S
        )
        assert done.returncode == 0, done.stderr
        assert "cluster: 2 workers at tcp://127.0.0.1:" in done.stdout and "dashboard: http://127.0.0.1:" in done.stdout
        last = done.stdout.splitlines()[-1]
        assert re.match(r"cluster: [12] workers?: 119 requests in \d+ shards, 119 answered, ", last)
        # The shard that it was asking, and maybe one of which the scheduler had not heard that it was done.
        assert re.search(r", (1 shard|2 shards) begun again, 1 worker lost$", last), "it was asking"
        assert 5 <= endpoint.most_in_flight <= 8
        assert 120 <= len(endpoint.requests) <= 120 + 4
