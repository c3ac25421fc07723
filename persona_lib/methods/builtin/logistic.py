"""Logistic regression without a constant and with a Gaussian prior on the weights, by Newton's method.

scikit-learn's has no prior other than one around zero with equal variances, which is what shrinking a person towards
the others needs, and fits one person at a time. Without them, both give the same weights (a test compares them).
"""

import numpy as np
from scipy.special import expit, log_expit

STEPS = 25
HALVINGS = 8
TOLERANCE = 1e-6  # of the log posterior


def weights(
    z: np.ndarray,
    y: np.ndarray,
    precision: float,
    sample: np.ndarray | float = 1.0,
    start: np.ndarray | None = None,
    steps: int = STEPS,
    offset: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Return the maximum a posteriori weights under a normal prior around 0, of one regression or of many.

    Args:
        z: array (..., n, d) of differences of two answers' features; dimensions before the last two are regressions.
        y: array (..., n), probability that the first was chosen, 0 to 1.
        precision: of the prior, above 0.
        sample: array (..., n) of the observations' weights.
        start: array (..., d) to begin from; None for zeros.
        steps: of Newton's method, at most.
        offset: array (..., n) added to each score.

    Returns:
        Array (..., d).
    """
    z_t = z.swapaxes(-1, -2)
    ridge = precision * np.eye(z.shape[-1])

    def posterior(w: np.ndarray, score: np.ndarray) -> np.ndarray:
        return (sample * log_likelihood(score, y)).sum(axis=-1) - precision * (w * w).sum(axis=-1) / 2

    w = np.zeros(z_t.shape[:-1]) if start is None else start
    score = offset + times(z, w)
    value = posterior(w, score)
    for _ in range(steps):
        p = expit(score)
        gradient = times(z_t, sample * (y - p)) - precision * w
        curved = np.sqrt(sample * np.maximum(p * (1 - p), 1e-6))[..., None] * z
        step = np.linalg.solve(curved.swapaxes(-1, -2) @ curved + ridge, gradient[..., None])[..., 0]
        along = times(z, step)
        size, worse = np.full((*value.shape, 1), 2.0), np.ones(value.shape, dtype=bool)
        for _ in range(HALVINGS):  # far from the mode a whole step may lead away from it
            size[worse] /= 2
            reached = posterior(w + size * step, score + size * along)
            worse = reached < value - 1e-12 * np.abs(value)
            if not worse.any():
                break
        w, score, gain, value = w + size * step, score + size * along, reached - value, reached
        if (gain < TOLERANCE).all():
            break
    return w


def place(
    z: np.ndarray, y: np.ndarray, start: np.ndarray, variance: float, sample: np.ndarray | float = 1.0
) -> np.ndarray:
    """Return where people stand in the directions in which people may differ, from their choices: array (..., r).

    The mode of the posterior; the prior is a normal distribution around 0 with the same variance in each direction.

    Args:
        z: array (..., n, r) of a person's choices, n from 0; dimensions before the last two are people.
        y: array (..., n) of what they chose.
        start: array (..., n) of the others' scores for these choices.
        variance: of the prior, from 0.
        sample: as in `weights`.
    """
    root = np.sqrt(variance)  # in units of it the precision is 1, also where people do not differ
    return root * weights(root * z, y, 1.0, sample, offset=start)


def narrow(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return choices in no more directions than there are choices: arrays (..., n, m) and (..., d, m), m <= n, d.

    The second are the directions, of length 1 and at right angles. A mode lies in them, and takes less time to find
    where a person's n choices are fewer than the d dimensions.
    """
    directions, coordinates = np.linalg.qr(z.swapaxes(-1, -2))
    return coordinates.swapaxes(-1, -2), directions


def times(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the product of matrices (..., n, d) and vectors (..., d): array (..., n)."""
    return (z @ w[..., None])[..., 0]


def log_likelihood(score: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the log likelihood of choices with these scores, each."""
    return y * score + log_expit(-score)
