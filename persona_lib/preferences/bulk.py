"""A data set's requests sent ahead through the Batch API in three waves: base answers, critiques, revisions.

What comes back is in the store, where it is found when the pairs are made; what is unusable is asked again then, one by
one. Requests are written only as they go out, since all of them would not fit into memory. Used by `persona pairs`.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator

import pandas as pd

from ..model import Model
from .revision import Requests, base_requests, critique_requests, critiques, items, revision_requests


def send_base_answers(prompts: pd.DataFrame, bulk: Model, words: int, templates: str | None) -> None:
    """The first wave; arguments as in `preferences.base_answers`, and the writer with `batch=True`."""
    _send(bulk, [base_requests(prompts, words, templates)])


def send_pairs(
    blocks: Collection[pd.DataFrame],
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    base: pd.DataFrame,
    writer: Model,
    bulk: Model,
    words: int,
    templates: str | None,
) -> None:
    """The second and the third wave.

    Args:
        blocks: what is dealt, in parts of a size that fits into memory.
        people, prompts, base, writer, words, templates: as in `preferences.revise`; the writer is asked for what came
            back unusable.
        bulk: the writer with `batch=True`.
    """

    def item_blocks() -> Iterator[pd.DataFrame]:
        return (items(own, people, prompts, base) for own in blocks)

    def revisions(block: pd.DataFrame) -> Requests:
        return revision_requests(block, critiques(block, writer, words, templates), words, templates)

    _send(bulk, (critique_requests(block, words, templates) for block in item_blocks()))
    _send(bulk, map(revisions, item_blocks()))


def _send(bulk: Model, requests: Iterable[Requests]) -> None:
    """One wave: the requests of all blocks, which differ in their messages only."""
    blocks = iter(requests)
    first = next(blocks)
    messages = (message for block in itertools.chain([first], blocks) for message in block.messages)
    bulk.send(messages, first.schema, first.step)
