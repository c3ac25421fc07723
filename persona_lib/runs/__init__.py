"""Runs: the notebooks of a preset executed in one folder, with a manifest and pages that can be mailed.

Every notebook's last cell calls `runs.record`. The commands of `persona` open the rooms: `presets` says what runs with
which parameters, `run` executes it, `estimate` counts its calls before, `pairs` makes the preference data set,
`compare` compares two runs, `doctor` says what is missing.
"""

from .record import record

__all__ = ["record"]
