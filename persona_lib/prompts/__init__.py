"""The questions: the built-in bank, PRISM or a file of the user's own; the paper's filters; topics; splits.

Notebook 02 opens this wing for its rooms `screening` and `topics`. Every notebook that asks a model takes its questions
from here: `prompts.sample(prompts.load(), n, seed)`.
"""

from . import screening, topics
from .bank import COLUMNS, balance, load, sample, split

__all__ = ["COLUMNS", "balance", "load", "sample", "screening", "split", "topics"]
