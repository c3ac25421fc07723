"""Preference pairs by critique and revision (section 3.2 of the paper), and the data set made of them.

Notebook 03 opens this wing, and every notebook that asks about people draws them and its prompts here
(`ingredients.draw`), from the sides of their splits that no data set trains on. `revise` writes pairs, `splits` decides
which persona gets which prompt, `negatives` finds hard negatives, `gates` are baselines that try to cheat,
`verification` asks a judge, `published` reads the published PERSONA data. `persona pairs` makes a whole data set
(`dataset`); `persona export` writes it in the forms that other tools read (`exports`).
"""

from . import dataset, exports, gates, ingredients, negatives, published, splits, verification
from .revision import base_answers, refine, refined, revise, similarity

__all__ = [
    "base_answers",
    "dataset",
    "exports",
    "gates",
    "ingredients",
    "negatives",
    "published",
    "refine",
    "refined",
    "revise",
    "similarity",
    "splits",
    "verification",
]
