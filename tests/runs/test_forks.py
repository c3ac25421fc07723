"""Kernels that are forked: they begin with what takes long to import, and are otherwise like new processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from places import ROOT
from waits import LONG_S, runs, until

from persona_lib import UserError
from persona_lib.runs import forks

TOLD = """
import json, os, sys
import numpy as np
told = {"ours": os.environ["OURS"], "inherited": "HOME" in os.environ, "folder": os.getcwd(), "pid": os.getpid()}
told |= {"parent": os.getppid(), "group": os.getpgid(0), "random": np.random.random()}
told |= {"imported": "seaborn" in sys.modules, "named": "seaborn" in globals()}
import matplotlib, pandas
from persona_lib.personas import phrases
told |= {"read": phrases.load.cache_info().currsize > 0}
told |= {"columns": pandas.get_option("display.max_columns"), "backend": matplotlib.get_backend()}
print(json.dumps(told))
"""


class Kernel(AsyncKernelManager):
    spec = get_kernel_dict() | {"env": {"OURS": "yes"}, "metadata": forks.chosen()}
    kernel_spec = KernelSpec(**spec)


class Blind(Kernel):
    kernel_spec = KernelSpec(**Kernel.spec | {"env": {"MPLBACKEND": "agg"}})


def execute(*cells: str, folder: Path, kernel: type = Kernel) -> list:
    """What the cells put out."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_manager_class=kernel, kernel_name="python3", resources=resources).execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> list[dict]:
    """What two kernels tell of themselves."""
    folders = [tmp_path_factory.mktemp("kernel") for _ in range(2)]
    return [json.loads(execute(TOLD, folder=folder)[0][0]["text"]) | {"asked": str(folder)} for folder in folders]


def test_kernels_are_forked_from_one_process_that_is_not_the_caller(told):
    parents = {kernel["parent"] for kernel in told}
    assert len(parents) == 1 and os.getpid() not in parents
    assert told[0]["pid"] != told[1]["pid"]


def test_a_kernel_has_imported_and_read_what_takes_long_but_names_nothing(told):
    assert all(kernel["imported"] and kernel["read"] and not kernel["named"] for kernel in told)


def test_a_kernel_has_the_folder_the_environment_and_the_process_group_it_should(told):
    for kernel in told:
        assert kernel["folder"] == kernel["asked"] and kernel["ours"] == "yes" and kernel["inherited"]
        assert kernel["group"] == kernel["pid"]  # Ctrl-C does not reach it


def test_kernels_do_not_draw_the_same_random_numbers(told):
    assert told[0]["random"] != told[1]["random"]


def test_tables_are_shown_as_in_a_notebook_that_imports_pandas_itself(told):
    assert {kernel["columns"] for kernel in told} == {20}  # 0 in a terminal


def test_figures_are_shown_in_the_notebook(told, tmp_path):
    assert {kernel["backend"] for kernel in told} == {"module://matplotlib_inline.backend_inline"}
    (shown,) = execute("import matplotlib.pyplot as plt\nplt.plot([1, 2]);", folder=tmp_path)
    assert "image/png" in shown[0]["data"]
    (hidden,) = execute("import matplotlib.pyplot as plt\nplt.plot([1, 2]);", folder=tmp_path, kernel=Blind)
    assert hidden == [], "the environment named a backend that shows nothing"


def test_our_figures_are_shown_without_being_drawn_once_before(tmp_path):
    hooks = "print([hook.__module__ for hook in get_ipython().events.callbacks['post_execute']])"
    shown, said = execute("from persona_lib.plots import style\nstyle.axes();", hooks, folder=tmp_path)
    assert "image/png" in shown[0]["data"]
    assert "matplotlib_inline.backend_inline" in said[0]["text"] and "pyplot" not in said[0]["text"]


def test_a_kernel_ends_when_its_caller_is_killed(tmp_path):
    pid = tmp_path / "pid"
    cell = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(100)"
    program = "from pathlib import Path; from runs.test_forks import execute; "
    program += f"execute({cell!r}, folder=Path({str(tmp_path)!r}))"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT / "tests") as process:
        until(lambda: pid.is_file() and pid.read_text())
        process.kill()
    until(lambda: not runs(int(pid.read_text())))


def test_a_script_without_a_guard_is_not_run_again_by_its_kernels(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from runs.test_forks import Path, execute
print("script", execute("print(1 + 1)", folder=Path({str(tmp_path)!r}))[0][0].text)
""")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=LONG_S)
    assert done.stdout.split() == ["script", "2"]


def test_a_kernel_that_dies_is_found_dead(tmp_path):
    from nbclient.exceptions import DeadKernelError

    with pytest.raises(DeadKernelError):
        execute(f"import os; os.kill(os.getpid(), {signal.SIGKILL.value})", folder=tmp_path)


def test_elsewhere_than_on_linux_no_fork_is_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert forks.chosen() == {}


def test_an_installation_from_before_is_told_so(monkeypatch):
    monkeypatch.setattr(forks, "NAME", "unheard-of")
    with pytest.raises(UserError, match="older than its code: run `make run`"):
        forks.chosen()
