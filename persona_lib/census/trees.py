"""One attribute given others: a classification tree as a few small arrays that fit, walk and draw.

The leaf's counts are the conditional distribution (Reiter 2005, "Using CART to generate partially synthetic public
use microdata"; the R package synthpop). Codes are small integers (uint8). Used by `census`.
"""

from dataclasses import dataclass

import numpy as np

LEAF = 100  # persons in the smallest leaf: no distribution speaks of fewer


@dataclass(frozen=True)
class Tree:
    """A tree over p predictors for a target of k codes. Nodes are in depth-first order: left is the next node.

    `ranks` (p x codes): the order in which each predictor's codes are split; `feature` (nodes): the predictor asked
    about, -1 in a leaf; `threshold` (nodes): ranks up to it go left; `right` (nodes): the right child, or in a
    leaf its row of `counts` (leaves x k): how many persons of the fit have each code, or stand for it.
    """

    ranks: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    right: np.ndarray
    counts: np.ndarray

    def leaves(self, codes: np.ndarray) -> np.ndarray:
        """Row of `counts` for each person; `codes` is persons x p."""
        ranks = self.ranks[np.arange(codes.shape[1]), codes] if codes.size else codes
        node = np.zeros(len(codes), dtype=np.intp)
        walking = np.arange(len(codes))
        while walking.size:
            at = node[walking]
            feature = self.feature[at]
            inner = feature >= 0
            walking, at, feature = walking[inner], at[inner], feature[inner]
            left = ranks[walking, feature] <= self.threshold[at]
            node[walking] = np.where(left, at + 1, self.right[at])
        return self.right[node].astype(np.intp)

    def draw(self, codes: np.ndarray, allowed: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Draw each person's code among those `allowed` (persons x k), one number from [0, 1) per person.

        A leaf that holds none of the allowed codes yields to the whole fit, and that to an even draw.
        """
        drawn = allowed.argmax(axis=1)
        open_ = np.flatnonzero(allowed.sum(axis=1) > 1)
        allowed = allowed[open_]
        weights = self.counts[self.leaves(codes[open_])] * allowed
        for fallback in (self.counts.sum(axis=0), np.ones(self.counts.shape[1], dtype=int)):
            empty = ~weights.any(axis=1)
            weights[empty] = fallback * allowed[empty]
        upto = weights.cumsum(axis=1)
        drawn[open_] = (upto <= (uniform[open_] * upto[:, -1])[:, None]).sum(axis=1)
        return drawn.astype(np.uint8)


def fit(codes: np.ndarray, target: np.ndarray, k: int, ordered: list[bool], weight: np.ndarray | None = None) -> Tree:
    """Grow a tree for `target` (k codes) on `codes` (persons x p); `ordered` says which predictors have an order.

    `weight`: whole numbers, how many people each person stands for; leaves hold enough persons all the same.
    """
    from sklearn.tree import DecisionTreeClassifier  # sampling must not wait for scikit-learn

    p = codes.shape[1]
    ranks = np.tile(np.arange(256, dtype=np.uint8), (p, 1))
    if not len(target):  # settled for everybody: a leaf that knows nothing
        none = np.zeros(1, dtype=np.uint8)
        return Tree(ranks, none.astype(np.int8) - 1, none, none.astype(np.uint16), np.zeros((1, k), dtype=np.int64))
    for j in np.flatnonzero(~np.array(ordered, dtype=bool)):
        ranks[j] = _ranks(codes[:, j], target, k, weight)
    grown = DecisionTreeClassifier(min_samples_leaf=LEAF, criterion="entropy", random_state=0)
    x = ranks[np.arange(p), codes] if p else np.zeros((len(target), 1))
    tree = grown.fit(x, target, sample_weight=weight).tree_
    leaf = tree.children_left == -1
    right = np.where(leaf, leaf.cumsum() - 1, tree.children_right)
    counts = np.zeros((leaf.sum(), k), dtype=np.int64)
    np.add.at(counts, (right[tree.apply(x.astype(np.float32))], target), 1 if weight is None else weight)
    return Tree(
        ranks,
        np.where(leaf, -1, tree.feature).astype(np.int8),
        np.where(leaf, 0, np.floor(tree.threshold)).astype(np.uint8),
        right.astype(np.min_scalar_type(int(right.max()))),
        counts,
    )


def _ranks(predictor: np.ndarray, target: np.ndarray, k: int, weight: np.ndarray | None) -> np.ndarray:
    """Order a predictor's codes along the first axis of their correspondence analysis with the target.

    A tree splits along an order; for a target of two codes this one contains the best split of any kind (Breiman et
    al. 1984, theorem 4.5).
    """
    table = np.bincount(predictor.astype(int) * k + target, weight, minlength=256 * k).reshape(256, k).astype(float)
    seen = np.flatnonzero(table.sum(axis=1))
    shares = table[seen] / table.sum()
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    expected = np.outer(rows, columns)
    residuals = np.divide(shares - expected, np.sqrt(expected), out=np.zeros_like(shares), where=expected > 0)
    axis = np.linalg.svd(residuals, full_matrices=False)[0][:, 0] / np.sqrt(rows)
    ranks = np.zeros(256, dtype=np.uint8)
    ranks[seen[np.argsort(axis.round(9), kind="stable")]] = np.arange(len(seen))
    return ranks
