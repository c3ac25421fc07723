"""Personas: synthetic people with the paper's 33 attributes, drawn from the census and written as text.

Every notebook that needs people starts here: `personas.sample(n, seed)`, `personas.describe(row)`, and for whole tables
`personas.profiles.texts(people)`. 00 opens the `browser` and changes people (`editing`); 01 shows how people are made
(`enrichment`, `psychographics`, `filtering`, `drift`); 05 takes survey `respondents`. The paper's section 3.1 and
appendix A.
"""

from ..attributes import NAMES
from . import (
    browser,
    consistency,
    drift,
    editing,
    enrichment,
    filtering,
    profiles,
    psychographics,
    regions,
    respondents,
)
from .ids import ID
from .names import brief, handles
from .profiles import describe
from .sampling import ADULTS, PAPER, check_suffix, reference, sample, save, split

__all__ = [
    "ADULTS",
    "ID",
    "NAMES",
    "PAPER",
    "brief",
    "browser",
    "check_suffix",
    "consistency",
    "describe",
    "drift",
    "editing",
    "enrichment",
    "filtering",
    "handles",
    "profiles",
    "psychographics",
    "reference",
    "regions",
    "respondents",
    "sample",
    "save",
    "split",
]
