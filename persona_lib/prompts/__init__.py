"""Prompts: the built-in bank, PRISM or a user's own file; the paper's filters; topics; splits.

Notebook 02 shows the filters (`screening`), `topics` and how much an answer depends on the persona. The notebooks that
ask a model draw people and prompts together (`preferences.ingredients.draw`).
"""

from . import screening, topics, words
from .bank import COLUMNS, PRISM, balance, is_prism, load, normal, sample, unused
from .dependence import persona_dependence

__all__ = [
    "COLUMNS",
    "PRISM",
    "balance",
    "is_prism",
    "load",
    "normal",
    "persona_dependence",
    "sample",
    "screening",
    "topics",
    "unused",
    "words",
]
