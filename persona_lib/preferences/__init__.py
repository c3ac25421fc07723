"""Preference pairs by critique and revision (section 3.2 of the paper), and the data set that is made of them.

Notebook 03 opens this wing: `revise` writes pairs, `splits` deals who is asked what, `negatives` finds hard negatives,
`gates` are cheating baselines that pairs must withstand, `verification` asks a judge, `published` reads the published
PERSONA data. `persona pairs` makes a whole data set (`dataset`), `persona export` writes it for others (`exports`).
"""

from . import dataset, exports, gates, ingredients, negatives, published, splits, verification
from .revision import base_answers, refine, revise, similarity

__all__ = [
    "base_answers",
    "dataset",
    "exports",
    "gates",
    "ingredients",
    "negatives",
    "published",
    "refine",
    "revise",
    "similarity",
    "splits",
    "verification",
]
