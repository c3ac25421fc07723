"""Iterative proportional fitting, for the scripts that calibrate committed tables."""

from collections.abc import Sequence

import numpy as np


def rake(table: np.ndarray, targets: Sequence[tuple[tuple[int, ...], np.ndarray]], rounds: int = 500) -> np.ndarray:
    """Scale a table until its margins equal the targets.

    Args:
        table: an array with any number of axes. Cells with 0 stay 0.
        targets: pairs of axes and the required sums over all other axes. If they contradict each other slightly, they
            are met in this order, the last one exactly.
        rounds: how often all targets are applied in turn.

    Returns:
        The scaled table, of the same shape.
    """
    table = table.copy()
    for _ in range(rounds):
        for axes, target in targets:
            others = tuple(axis for axis in range(table.ndim) if axis not in axes)
            now = table.sum(axis=others, keepdims=True)
            shape = [table.shape[axis] if axis in axes else 1 for axis in range(table.ndim)]
            ratio = np.divide(target.reshape(shape), now, out=np.zeros_like(now), where=now > 0)
            table *= ratio
    return table
