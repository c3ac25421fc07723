"""Seeds: the register of random streams, and stable hashes for ids.

A random draw of our own that a seed decides is made by `rng(stream, seed)`, so that a change in one step leaves the
draws of all others as they are. Streams without a number draw what the bare seed gives; two streams share the number
71 since the first release. Outside the register are what libraries draw (scikit-learn's and pandas' `random_state` take
the bare seed), hard negatives (a hash per prompt), and the jitter of a figure, which needs no seed. The numbers are
part of every result: never change one.
"""

from hashlib import sha256

import numpy as np

from . import UserError

# Stream -> what follows the seed in numpy's SeedSequence.
STREAMS: dict[str, tuple[int, ...]] = {
    "people of the population model": (),
    "people of the census records": (),
    "prompts sampled": (),
    "people balanced": (4,),
    "items of the bench": (6,),
    "people of a file": (11,),
    "origins": (1790,),  # the year of the first census
    "psychographics": (1972,),  # the year of the first General Social Survey
    "prompts dealt for training": (31,),
    "prompts dealt for testing": (32,),
    "order of the attributes": (33,),
    "attribute left out": (41,),
    "placebo line": (42,),
    "answers with an owner": (51,),
    "candidates of a choice": (52,),
    "runs resampled": (53,),
    "people who play": (61,),
    "synthetic votes": (67,),
    "order of survey options": (71,),
    "items to rate": (71,),  # as above since the first release: both streams keep their draws
    "orders of a rater": (72,),
    "respondents": (73,),
    "caricature": (79,),
    "caricature by chance": (83,),
    "a world with a known truth": (91,),
    "histories of others": (92,),
    "histories shuffled": (93,),
    "worst people by chance": (94,),
    "contexts of an encoder": (95,),
    "conversations": (96,),
    "people and prompts split anew": (97,),
    "prompts shown to an interviewer": (98,),
    "choices simulated": (99,),
    "people of two orders": (100,),
    "worst groups by chance": (101,),
    "answers dealt to others": (102,),
    "answers drawn from predictions": (103,),
    "parts of a hidden world": (104,),
    "training people left out": (105,),
}


def rng(stream: str, seed: int, *more: int) -> np.random.Generator:
    """Return the generator of a named stream.

    Args:
        stream: a name in `STREAMS`.
        seed: the user's seed, a whole number from 0.
        more: numbers that tell draws of one stream apart, such as the place of an attribute.
    """
    check_seed(seed)
    return np.random.default_rng([seed, *STREAMS[stream], *more])


def check_seed(seed: int) -> None:
    """Raise UserError for a seed that is not a whole number from 0."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f"seed must be a whole number, 0 or more; it is {seed!r}.")


def digest(text: str, digits: int = 64) -> str:
    """Return the first hex digits of a text's SHA-256: ids, orders and splits that are the same on every machine."""
    return sha256(text.encode()).hexdigest()[:digits]
