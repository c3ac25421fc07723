"""Methods of pluralistic alignment, compared on the same people: what a method is, built-in ones, trials and scores.

Notebooks 11 and 12 open this wing. A world (`worlds/`: simulated, surveyed, published, written) holds people, prompts,
candidates and choices. `trial` fits methods (`method`, `builtin/`) on its training people, adapts them to others from k
choices, and predicts the rest; `scoring/` says how often each is right, `pluralism/` how it serves people who differ,
`leaks/` whether a choice can be told without the person, and `submitted/` keeps predictions as folders for others to
check. `Method` is the class to derive a method of one's own from.
"""

from . import costs, pluralism
from .builtin import active, calibrated, controls, groups, interview, latent, linear, prompted
from .cases import CELL, Setting
from .embedding import embedder
from .leaks import gates, mistakes
from .method import Method, title
from .method import load as load_method
from .scoring import coverage, generation, policy, premises, scores
from .scoring.scores import best
from .scoring.tracks import run as tracks
from .submitted import board, checking, hidden, submissions
from .trial import run as trial
from .worlds import choices, pairs, published, simulated, surveyed
from .worlds.published import load as load_world
from .worlds.world import World, cells
from .worlds.world import save as save_world

# Methods that need no language model, in the order of tables: controls first.
OFFLINE: tuple[type[Method], ...] = (
    controls.Longer,
    controls.Majority,
    linear.Pooled,
    groups.Attributes,
    groups.Groups,
    groups.WorstGroup,
    linear.Shrunk,
    latent.LowRank,
    active.Active,
    latent.Mixture,
    latent.IdealPoints,
    latent.Encoder,
)
# Methods that ask a language model at any endpoint, and train nothing.
PROMPTED: tuple[type[prompted.Prompted], ...] = (
    prompted.Prompted,
    prompted.GroupPrompt,
    prompted.Profile,
    prompted.Shots,
    prompted.Written,
    prompted.Telling,
    interview.Interview,
    calibrated.Calibrated,
)

__all__ = [
    "CELL",
    "OFFLINE",
    "PROMPTED",
    "Method",
    "Setting",
    "World",
    "active",
    "best",
    "board",
    "calibrated",
    "cells",
    "checking",
    "choices",
    "controls",
    "costs",
    "coverage",
    "embedder",
    "gates",
    "generation",
    "groups",
    "hidden",
    "interview",
    "latent",
    "linear",
    "load_method",
    "load_world",
    "mistakes",
    "pairs",
    "pluralism",
    "policy",
    "premises",
    "prompted",
    "published",
    "save_world",
    "scores",
    "simulated",
    "submissions",
    "surveyed",
    "title",
    "tracks",
    "trial",
]
