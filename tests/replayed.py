"""All notebooks executed once over the recording, by nbval; and a run's folder that is made of it."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from nbformat import v4
from places import ROOT
from pytest import MonkeyPatch

from persona_lib.runs import forks
from persona_lib.runs.executing import kernels, run
from persona_lib.runs.planning import presets
from persona_lib.runs.reporting.record import VARIABLE as RECORD

LOOKED_AT = ("04_leave_one_out", "06_conditioning", "07_summaries", "08_pass_at_k")  # what they record is looked at


class Executed(NamedTuple):
    """`folder` has what each notebook of `LOOKED_AT` recorded; `said` is what nbval says of all cells."""

    folder: Path
    said: str


def execute(folder: Path, environment: Mapping[str, str]) -> Executed:
    """Execute copies of all notebooks and compare their outputs with the committed ones; and of one that is wrong."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if path.stem in LOOKED_AT:
            first = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
            first.source = first.source.replace("\nout = None", f"\nout = {path.stem!r}")
        nbformat.write(notebook, folder / path.name)
    nbformat.write(_wrong(), folder / "wrong.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-cell-timeout=480", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "nbval.plugin", "-W", "default", "-rpfEs", "."]
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the other plugins take seconds to load
    alone |= {"JUPYTER_DEFAULT_PROVISIONER_NAME": forks.NAME}
    done = subprocess.run(
        command, env={**environment, **alone}, capture_output=True, text=True, timeout=540, cwd=folder
    )
    return Executed(folder, done.stdout)


def _wrong() -> Any:
    """A notebook whose only output is not what its code gives."""
    cell = v4.new_code_cell("print('what the code gives')", execution_count=1)
    cell.outputs = [v4.new_output("stream", name="stdout", text="something else\n")]
    return v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}, cells=[cell])


def written(executed: Executed, folder: Path) -> None:
    """Make the folder of a run of the notebooks that are looked at, as a run makes it, of what they recorded."""

    def recorded(stem: str, _: Any, target: Path, steps: Path, environment: Mapping[str, str]) -> None:
        shutil.copy(ROOT / "notebooks" / f"{stem}.ipynb", target)
        shutil.copytree(executed.folder / stem, environment[RECORD])

    preset = presets.load("smoke")
    with MonkeyPatch.context() as patch:
        patch.setattr(kernels, "execute", recorded)
        run.run(preset, presets.plan(preset, LOOKED_AT, {"recording": "smoke"}), folder)
