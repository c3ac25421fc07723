"""The questions that are put to models: the built-in bank, its train/held-out split, and draws from it.

The bank, data/prompts.csv, holds value-laden questions on which Americans disagree, in our own words. The person
who asks stays open: no question fixes the asker's age, sex, race, faith, marriage, children or job, so that every
persona can ask every question. Used by 06_conditioning and 02_prompts.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from . import UserError

SOURCES = {"builtin": Path(__file__).with_name("data") / "prompts.csv"}

HELDOUT_SHARE = 868 / 3868  # the paper's (section 3.2)

# A question's side is decided by the hash of its own text alone, so it stays where it is whatever joins, leaves
# or is reordered; quotas within a topic would be exactly even, but new questions would move old ones. The evenness
# that a hash lacks the seed gives (rerandomization, Morgan & Rubin 2012): it is the smallest that holds out one or
# two of the six questions in each of the bank's first 31 topics, 42 of 186 in all. Another seed is another split.
SPLIT_SEED = 7751722


def load(source: str = "builtin") -> pd.DataFrame:
    """Return a source's questions: prompt_id, prompt, topic, source, prompt_split ('train' or 'heldout').

    `prompt_id` and `prompt_split` depend on the text alone. An unknown source raises UserError with the known ones.
    """
    if source not in SOURCES:
        raise UserError(f"no prompt source {source!r}: choose one of {', '.join(SOURCES)}")
    bank = pd.read_csv(SOURCES[source])
    return pd.DataFrame(
        {
            "prompt_id": bank["prompt"].map(_id),
            "prompt": bank["prompt"],
            "topic": bank["topic"],
            "source": source,
            "prompt_split": bank["prompt"].map(_split),
        }
    )


def sample(prompts: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """Draw n of the prompts (columns as from `load`), one of each topic in turn, topics in random order.

    The draw depends on the prompts and the seed, not on the order of rows. A larger n only adds to it, so that no
    reply already in store is lost. Raises UserError when n is below 1 or above the number of prompts.
    """
    size = len(prompts)
    if not 1 <= n <= size:
        raise UserError(f"cannot draw {n} of {size} prompts: choose a number from 1 to {size}")
    random = np.random.default_rng(seed)
    shuffled = prompts.sort_values("prompt_id").sample(frac=1, random_state=random)
    turn = shuffled.groupby("topic").cumcount()
    topics = random.permutation(sorted(set(prompts["topic"])))
    place = shuffled["topic"].map({topic: i for i, topic in enumerate(topics)})
    return shuffled.iloc[np.lexsort((place, turn))[:n]].reset_index(drop=True)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _id(prompt: str) -> str:
    return "q" + _hash(prompt)


def _split(prompt: str) -> str:
    return "heldout" if int(_hash(f"{SPLIT_SEED}:{prompt}"), 16) < HELDOUT_SHARE * 16**8 else "train"
