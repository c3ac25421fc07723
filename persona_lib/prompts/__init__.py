"""Prompts: the built-in bank, PRISM or a user's own file; the paper's filters; topics; splits.

Notebook 02 shows the filters (`screening`) and `topics`. The notebooks that ask a model draw people and prompts
together (`preferences.ingredients.draw`).
"""

from . import screening, topics, words
from .bank import COLUMNS, PRISM, balance, is_prism, load, normal, sample

__all__ = ["COLUMNS", "PRISM", "balance", "is_prism", "load", "normal", "sample", "screening", "topics", "words"]
