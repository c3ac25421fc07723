"""The human study: what people rate, pages for them that need no server, and what they hand in, verified and counted.

`persona annotate export` and `persona annotate import` drive this wing; notebook 05 reads ratings with it
(`annotation.read`, `annotation.votes`, `annotation.majority`). `items` are what is rated, `assignments` who sees what,
`questionnaire` the pages, `submissions` what comes back.
"""

from . import assignments, items
from .study import as_judge, export, majority, read, reliability, votes, write

__all__ = ["as_judge", "assignments", "export", "items", "majority", "read", "reliability", "votes", "write"]
