"""Prompts: the built-in bank, PRISM or a user's own file; the paper's filters; topics; splits.

Notebook 02 shows the filters (`screening`) and `topics`. Every notebook that asks a model draws its prompts here:
`prompts.sample(prompts.load(), n, seed)`.
"""

from . import screening, topics
from .bank import COLUMNS, balance, load, sample, split

__all__ = ["COLUMNS", "balance", "load", "sample", "screening", "split", "topics"]
