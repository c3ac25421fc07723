"""The human study: items to rate, pages for raters that need no server, and submissions, verified and counted.

`persona annotate export` and `persona annotate import` drive this wing; notebook 05 reads ratings with it
(`annotation.read`, `annotation.votes`, `annotation.majority`). `items` are what is rated, `assignments` who sees what,
`questionnaire` makes the pages, `inbox` finds the files that come back, `submissions` reads those of the pages and
`tables` ratings from elsewhere, `counting` counts. `study` puts these together.
"""

from . import assignments, items
from .counting import as_judge, each_rater, majority, reliability, votes
from .study import export, read, write

__all__ = [
    "as_judge",
    "assignments",
    "each_rater",
    "export",
    "items",
    "majority",
    "read",
    "reliability",
    "votes",
    "write",
]
