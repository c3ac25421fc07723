"""The two sides of the people, train and test: a property of a person's id.

Every sample, file and data set says the same of one person, so what was trained on one is tested on unseen people by
another. Section 3.2 of the paper; prompts have a split of their own (`prompts.load`).
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from .. import UserError, seeds

SPLIT = "persona_split"
SPLITS = ("train", "test")
TEST_SHARE = 586 / 1_586  # the paper's text has 1,586 personas, but also 1,000 + 568
# How others' files name the two sides.
SPELLINGS = {
    **dict.fromkeys(("train", "training", "seen"), "train"),
    **dict.fromkeys(("test", "testing", "unseen", "heldout", "held-out", "held out"), "test"),
}


def split(ids: Iterable[str], given: pd.Series | None = None, source: str | Path = "the table") -> pd.Series:
    """Return the side of each persona, 'train' or 'test': a property of the id, the same in every sample and data set.

    Args:
        ids: of the personas.
        given: what a file says in this order: its word is kept in our spelling ('unseen' is 'test'), gaps are filled.
        source: the file, for the error.

    Returns:
        Index `persona_id`. By the hash of the id, 586 of 1,586 are expected on the test side; counts vary by chance.

    Raises:
        UserError: the file says something else than a side.
    """
    index = pd.Index(ids, name="persona_id", dtype="str")
    place = {i: int(seeds.digest(f"persona split {i}", 8), 16) / 16**8 for i in index.unique()}  # uniform on [0, 1)
    sides = pd.Series(["test" if place[i] < TEST_SHARE else "train" for i in index], index, name=SPLIT, dtype="str")
    if given is None:
        return sides
    said = pd.Series(given.to_numpy(), index, dtype="object").replace(r"^\s*$", None, regex=True)
    known = said.astype("str").str.strip().str.lower().map(SPELLINGS)
    if wrong := sorted(set(map(str, said[known.isna() & said.notna()]))):
        raise UserError(f"{source} has {SPLIT} {', '.join(wrong[:5])}: it takes {' or '.join(SPLITS)}")
    return known.where(known.notna(), sides.to_numpy()).rename(SPLIT).astype("str")
