"""The command `persona`: run notebooks, estimate their cost, draw personas, make preference data, check the set-up.

Each command imports what it needs itself, so that `persona --help` answers at once.

Exit codes: 0 done; 1 a notebook failed, nothing was scored, or more than half of a step's items failed; 2 what the user
gave can't be used; 3 an endpoint's limit, and the same command goes on later; 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

from . import annotate, data, methods, people, runs, score, share, stores, submissions, tools  # each adds its commands
from .group import app

__all__ = ["annotate", "app", "data", "methods", "people", "runs", "score", "share", "stores", "submissions", "tools"]
