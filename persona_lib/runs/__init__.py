"""Runs: execute the notebooks of a preset in one folder, with a manifest and pages that can be mailed.

Every notebook's last cell calls `runs.record`. The commands of `persona` open the rooms: `presets` says which notebooks
run with which parameters, `run` executes them, `estimate` counts their calls beforehand, `pairs` makes the preference
data set, `compare` compares two runs, and `doctor` checks the installation.
"""

from .record import record

__all__ = ["record"]
