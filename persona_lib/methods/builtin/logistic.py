"""Logistic regression without a constant and with a Gaussian prior on the weights, by Newton's method.

scikit-learn's has no prior other than one around zero with equal variances, which is what shrinking a person towards
the others needs. Without it, both give the same weights (a test compares them).
"""

import numpy as np
from scipy.special import expit, log_expit

STEPS = 25
HALVINGS = 8
TOLERANCE = 1e-6


def weights(
    z: np.ndarray,
    y: np.ndarray,
    precision: float,
    sample: np.ndarray | None = None,
    start: np.ndarray | None = None,
    steps: int = STEPS,
    offset: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Return the maximum a posteriori weights under a normal prior around 0.

    Args:
        z: array (n, d) of differences of two answers' features.
        y: array (n,), probability that the first was chosen, 0 to 1.
        precision: of the prior, above 0.
        sample: array (n,) of the observations' weights; None for equal ones.
        start: array (d,) to begin from; None for zeros.
        steps: of Newton's method, at most.
        offset: array (n,) added to each score.

    Returns:
        Array (d,).
    """
    d = z.shape[1]
    w = np.zeros(d) if start is None else start.copy()
    sample = np.ones(len(y)) if sample is None else sample
    score = offset + z @ w
    value = sample @ log_likelihood(score, y) - precision * (w @ w) / 2
    for _ in range(steps):
        p = expit(score)
        gradient = z.T @ (sample * (y - p)) - precision * w
        hessian = (z.T * (sample * np.maximum(p * (1 - p), 1e-6))) @ z
        hessian[np.diag_indices(d)] += precision
        step = np.linalg.solve(hessian, gradient)
        along = z @ step
        for half in range(HALVINGS):  # far from the mode a whole step may lead away from it
            size = 0.5**half
            new = w + size * step
            reached = sample @ log_likelihood(score + size * along, y) - precision * (new @ new) / 2
            if reached >= value - 1e-12 * abs(value):
                break
        w, score, value = new, score + size * along, reached
        if np.abs(size * step).max() < TOLERANCE * max(1.0, np.abs(w).max()):
            break
    return w


def moved(z: np.ndarray, y: np.ndarray, start: np.ndarray, variance: float) -> np.ndarray:
    """Return how far one person's weights move the predictions' scores from those of the others.

    The person's weights are those of the others plus a draw from a normal distribution with the same variance in each
    direction.
    Newton's method runs in the n choices, not in the d dimensions, since n is small.

    Args:
        z: array (n, d) of the person's choices, n from 0.
        y: array (n,) of what they chose.
        start: array (n,) of the others' scores for these choices.
        variance: of the prior.

    Returns:
        Array (n,) of coefficients a: the person's weights are those of the others plus variance * z' a.
    """
    n = len(y)
    a = np.zeros(n)
    if not n:
        return a
    kernel = variance * (z @ z.T)
    moves = np.zeros(n)  # kernel @ a
    value = log_likelihood(start, y).sum()
    for _ in range(STEPS):
        p = expit(start + moves)
        curve = np.maximum(p * (1 - p), 1e-6)
        step = np.linalg.solve(kernel + np.diag(1 / curve), moves + (y - p) / curve) - a
        along = kernel @ step
        for half in range(HALVINGS):  # far from the mode a whole step may lead away from it
            size = 0.5**half
            new = log_likelihood(start + moves + size * along, y).sum() - (a + size * step) @ (moves + size * along) / 2
            if new >= value - 1e-12:
                break
        gain, value = new - value, new
        a = a + size * step
        moves = moves + size * along
        if gain < TOLERANCE:
            break
    return a


def log_likelihood(score: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the log likelihood of choices with these scores, each."""
    return y * log_expit(score) + (1 - y) * log_expit(-score)
