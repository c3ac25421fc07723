"""Model one attribute given others: a classification tree as a few small arrays that fit, walk and draw.

A leaf's counts are the conditional distribution (Reiter 2005, "Using CART to generate partially synthetic public
use microdata"; the R package synthpop). Codes are small integers (uint8).
"""

from dataclasses import dataclass

import numpy as np

LEAF = 100  # least number of persons in a leaf, and so behind any distribution


@dataclass(frozen=True)
class Tree:
    """A tree over p predictors for a target of k codes; nodes are in depth-first order, a left child after its parent.

    Attributes:
        ranks: array (p x codes), the order in which each predictor's codes are split.
        feature: array (nodes,), the predictor that the node splits on; -1 in a leaf.
        threshold: array (nodes,); persons with a rank up to it go left.
        right: array (nodes,), the right child; in a leaf its row of `counts`.
        counts: array (leaves x k), how many persons of the fit have each code, or how many people they stand for.
    """

    ranks: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    right: np.ndarray
    counts: np.ndarray

    def leaves(self, codes: np.ndarray) -> np.ndarray:
        """Return the row of `counts` for each person.

        Args:
            codes: array (persons x p).
        """
        ranks = self.ranks[np.arange(codes.shape[1]), codes] if codes.size else codes  # persons x p
        node = np.zeros(len(codes), dtype=np.intp)  # persons; all start at the root
        walking = np.arange(len(codes))  # persons who are not in a leaf yet
        while walking.size:
            at = node[walking]
            feature = self.feature[at]
            inner = feature >= 0
            walking, at, feature = walking[inner], at[inner], feature[inner]
            left = ranks[walking, feature] <= self.threshold[at]
            node[walking] = np.where(left, at + 1, self.right[at])
        return self.right[node].astype(np.intp)

    def draw(self, codes: np.ndarray, allowed: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Draw each person's code among the allowed ones.

        Args:
            codes: array (persons x p), the predictors.
            allowed: array (persons x k), whether the person may have the code; at least one per person.
            uniform: array (persons,) of numbers in [0, 1), one per draw.

        Returns:
            Array (persons,) of codes. If a leaf has none of a person's allowed codes, the counts of the whole fit
            replace its own; if those have none either, all allowed codes are equally likely.
        """
        drawn = allowed.argmax(axis=1)  # persons; final where only one code is allowed
        open_ = np.flatnonzero(allowed.sum(axis=1) > 1)  # persons with a choice
        allowed = allowed[open_]  # open x k, as the weights
        weights = self.counts[self.leaves(codes[open_])] * allowed
        everybody = self.counts.sum(axis=0)  # k
        evenly = np.ones(self.counts.shape[1], dtype=int)  # k
        for fallback in (everybody, evenly):
            empty = ~weights.any(axis=1)
            weights[empty] = fallback * allowed[empty]
        # Inverse transform: the code is the number of cumulated weights that the person's point reaches.
        upto = weights.cumsum(axis=1)
        point = uniform[open_] * upto[:, -1]
        drawn[open_] = (upto <= point[:, None]).sum(axis=1)
        return drawn.astype(np.uint8)


def fit(codes: np.ndarray, target: np.ndarray, k: int, ordered: list[bool], weight: np.ndarray | None = None) -> Tree:
    """Grow a tree for one attribute.

    Args:
        codes: array (persons x p), the predictors.
        target: array (persons,), the codes to predict.
        k: number of codes of the target.
        ordered: for each predictor, whether its codes have an order.
        weight: array (persons,) of whole numbers, how many people each person stands for; leaves hold at least `LEAF`
            persons all the same.
    """
    from sklearn.tree import DecisionTreeClassifier  # takes seconds, and drawing does not need it

    p = codes.shape[1]
    ranks = np.tile(np.arange(256, dtype=np.uint8), (p, 1))
    if not len(target):  # the rules settle it for everybody: one leaf without counts
        none = np.zeros(1, dtype=np.uint8)
        return Tree(ranks, none.astype(np.int8) - 1, none, none.astype(np.uint16), np.zeros((1, k), dtype=np.int64))
    for j in np.flatnonzero(~np.array(ordered, dtype=bool)):
        ranks[j] = _ranks(codes[:, j], target, k, weight)
    x = ranks[np.arange(p), codes] if p else np.zeros((len(target), 1))  # persons x p
    grown = DecisionTreeClassifier(min_samples_leaf=LEAF, criterion="entropy", random_state=0)
    tree = grown.fit(x, target, sample_weight=weight).tree_
    leaf = tree.children_left == -1  # nodes
    right = np.where(leaf, leaf.cumsum() - 1, tree.children_right)  # nodes
    counts = np.zeros((leaf.sum(), k), dtype=np.int64)
    of_person = right[tree.apply(x.astype(np.float32))]  # persons: row of counts
    np.add.at(counts, (of_person, target), 1 if weight is None else weight)
    return Tree(
        ranks,
        np.where(leaf, -1, tree.feature).astype(np.int8),
        np.where(leaf, 0, np.floor(tree.threshold)).astype(np.uint8),
        right.astype(np.min_scalar_type(int(right.max()))),
        counts,
    )


def _ranks(predictor: np.ndarray, target: np.ndarray, k: int, weight: np.ndarray | None) -> np.ndarray:
    """Order a predictor's codes along the first axis of their correspondence analysis with the target.

    A tree splits along an order. For a target of two codes this order contains the best of all splits (Breiman et al.
    1984, theorem 4.5).

    Returns:
        Array (256,), the rank of each code; 0 for codes that do not occur.
    """
    cells = predictor.astype(int) * k + target
    table = np.bincount(cells, weight, minlength=256 * k).reshape(256, k).astype(float)
    seen = np.flatnonzero(table.sum(axis=1))
    shares = table[seen] / table.sum()  # seen codes x k
    rows = shares.sum(axis=1)
    columns = shares.sum(axis=0)
    expected = np.outer(rows, columns)
    residuals = np.divide(shares - expected, np.sqrt(expected), out=np.zeros_like(shares), where=expected > 0)
    axis = np.linalg.svd(residuals, full_matrices=False)[0][:, 0] / np.sqrt(rows)  # seen codes
    ranks = np.zeros(256, dtype=np.uint8)
    ranks[seen[np.argsort(axis.round(9), kind="stable")]] = np.arange(len(seen))
    return ranks
