"""Personality: the Big Five, given sex and age.

Means and spread by sex and age are J. A. Johnson's IPIP-NEO-120 norms; correlations are those of van der Linden et al.
2010 (meta-analysis, observed correlations). `data/README.md` has the sources.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from .. import seeds

DATA = Path(__file__).parent / "data"
YOUNGEST = 12  # the youngest age with a personality
TRAITS = ("Openness", "Conscientiousness", "Extraversion", "Agreeableness", "Neuroticism")
LEVELS = ("Extremely Low", "Low", "Average", "High", "Extremely High")
CUTS = (-1.5, -0.5, 0.5, 1.5)  # standard deviations from the mean of US adults: T scores of 35, 45, 55 and 65
# Van der Linden, te Nijenhuis and Bakker 2010, in the order of TRAITS.
CORRELATIONS = np.array(
    [
        [1, 0.14, 0.31, 0.14, -0.12],
        [0.14, 1, 0.21, 0.31, -0.32],
        [0.31, 0.21, 1, 0.18, -0.26],
        [0.14, 0.31, 0.18, 1, -0.26],
        [-0.12, -0.32, -0.26, -0.26, 1],
    ]
)


def draw(people: pd.DataFrame, seed: int = 0) -> pd.Series:
    """Draw the Big Five as one text per person, 'Openness: High, Conscientiousness: Average, ...'; missing under 12.

    `people` has the columns `sex` and `age`.
    """
    places = np.searchsorted(CUTS, scores(people, seed).to_numpy(), side="right")
    levels = np.array(LEVELS, dtype=object)[places]  # people x TRAITS
    texts = [", ".join(f"{trait}: {level}" for trait, level in zip(TRAITS, row, strict=True)) for row in levels]
    return pd.Series(texts, index=people.index).where(people["age"].ge(YOUNGEST))


def scores(people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Draw the scores behind the labels: columns TRAITS, in standard deviations from the mean of US adults."""
    mean, spread = norms_of(people, _norms())
    independent = seeds.rng("psychographics", seed, 5).standard_normal((len(people), len(TRAITS)))
    correlated = independent @ np.linalg.cholesky(CORRELATIONS).T
    return pd.DataFrame(mean + spread * correlated, index=people.index, columns=list(TRAITS))


def norms_of(people: pd.DataFrame, norms: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread at each person's sex and age, interpolated linearly between the ages of the norms.

    Args:
        people: columns `sex` and `age`.
        norms: columns `sex`, `trait`, `age`, `mean`, `spread`, in standard deviations of US adults.

    Returns:
        Two arrays, people x TRAITS.
    """
    mean = np.zeros((len(people), len(TRAITS)))
    spread = np.zeros((len(people), len(TRAITS)))
    for (sex, trait), part in norms.groupby(["sex", "trait"]):
        who = people["sex"].eq(sex).to_numpy()
        ages = people["age"][who]
        column = TRAITS.index(trait)
        mean[who, column] = np.interp(ages, part["age"], part["mean"])
        spread[who, column] = np.interp(ages, part["age"], part["spread"])
    return mean, spread


@cache
def _norms() -> pd.DataFrame:
    return pd.read_csv(DATA / "big_five.csv")
