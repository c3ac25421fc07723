"""Time kappas between all pairs of annotators: our matrix against scikit-learn's function, called pair by pair.

Run: `python benchmarks/agreement.py --annotators 1586 --items 200`. scikit-learn is timed on 500 pairs.
"""

import argparse
import time

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from persona_lib.stats.agreement import kappa_matrix

PAIRS = 500  # on which scikit-learn is timed


def main(annotators: int, items: int) -> None:
    """Print both times, their ratio and the largest difference between their kappas."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.choice(["A", "B"], (annotators, items)))
    began = time.perf_counter()
    matrix = kappa_matrix(table).to_numpy()
    ours = time.perf_counter() - began
    pairs = rng.integers(annotators, size=(PAIRS, 2))
    values = table.to_numpy()
    began = time.perf_counter()
    theirs = [cohen_kappa_score(values[a], values[b]) for a, b in pairs]
    each = (time.perf_counter() - began) / PAIRS
    apart = np.abs(matrix[tuple(pairs.T)] - theirs).max()
    print(f"{annotators:,} annotators, {items:,} items: {annotators**2:,} kappas in {ours:.2f} s")
    print(f"scikit-learn: {each * 1e3:.2f} ms per pair, {each * annotators**2 / ours:,.0f} times as long for all pairs")
    print(f"largest difference in {PAIRS} pairs: {apart:.1e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotators", type=int, default=1_586)
    parser.add_argument("--items", type=int, default=200)
    main(**vars(parser.parse_args()))
