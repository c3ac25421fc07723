"""Runs: execute the notebooks of a preset in one folder, with a manifest and pages that can be mailed.

Every notebook's last cell calls `runs.record`; one that asks a model says with `runs.limits` what that model allows no
conclusion about. `runs.shown` shows a table, `runs.beside_paper` the paper's numbers beside a run's, and
`runs.items(results)` one item by item; `runs.several` reads folders of runs. The commands of `persona` open the
folders: `planning/` says which notebooks run with which parameters, and checks it; `executing/` runs them, and makes
the data set; `dry_runs/` tells beforehand what they would ask and find (with the made-up model of `planted/`); and
`sweeps/` runs a preset at many points. A notebook tells what it found through `reporting/`, its run keeps that as
`results/`, and readers open `pages/`. `testbed/` runs methods for the command line. `forks` starts kernels; it stays
where installed copies look for it.
"""

from typing import TYPE_CHECKING, Any

from .reporting.limits import limits
from .reporting.paper import beside_paper
from .reporting.record import Finding, record
from .reporting.shown import shown
from .results import several

if TYPE_CHECKING:
    from .pages.item_widget import items

__all__ = ["Finding", "beside_paper", "items", "limits", "record", "several", "shown"]


def __getattr__(name: str) -> Any:
    """Load `items` at first use."""
    if name == "items":
        from .pages.item_widget import items  # it loads widgets and the statistics, which commands need not wait for

        return items
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
