"""Runs: execute the notebooks of a preset in one folder, with a manifest and pages that can be mailed.

Every notebook's last cell calls `runs.record`; one that asks a model says with `runs.limits` what that model allows no
conclusion about. The commands of `persona` open the rooms: `presets` says which notebooks run with which parameters,
`run` executes them, `estimate` counts their calls beforehand, `pairs` makes the preference data set, `several` reads
folders of runs, `compare` and `comparison` put them beside each other, and `doctor` checks the installation.
"""

from . import several
from .limits import limits
from .record import record

__all__ = ["limits", "record", "several"]
