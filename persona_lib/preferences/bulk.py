"""Send a data set's requests ahead through the Batch API, in three waves: base answers, critiques, revisions.

The replies go into the response store; `base_answers` and `revise` find them there. They ask again, one by one, for
what came back unusable. Requests are generated while they are sent, because all of them would not fit into memory.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

import pandas as pd

from ..model import LanguageModel
from .revision import Requests, base_requests, critique_requests, critiques, items, revision_requests

if TYPE_CHECKING:
    from ..model import Model


def send_base_answers(prompts: pd.DataFrame, bulk: "Model", words: int | None, templates: str | None) -> None:
    """Send the first wave.

    Args:
        prompts, words, templates: as in `base_answers`.
        bulk: the writer with `batch=True`.
    """
    _send(bulk, [base_requests(prompts, words, templates)])


def send_pairs(
    blocks: Collection[pd.DataFrame],
    people: pd.DataFrame,
    prompts: pd.DataFrame,
    base: pd.DataFrame,
    writer: LanguageModel,
    bulk: "Model",
    words: int | None,
    templates: str | None,
) -> None:
    """Send the second wave, then the third.

    Args:
        blocks: the dealt pairs, in parts small enough for memory.
        people, prompts, base, words, templates: as in `revise`.
        writer: asked one by one for critiques that came back unusable, before the revisions are sent.
        bulk: the writer with `batch=True`.
    """

    def item_blocks() -> Iterator[pd.DataFrame]:
        return (items(dealt, people, prompts, base) for dealt in blocks)

    def revisions(block: pd.DataFrame) -> Requests:
        said = critiques(block, writer, words, templates)
        return revision_requests(block, said, words, templates)

    _send(bulk, (critique_requests(block, words, templates) for block in item_blocks()))
    _send(bulk, (revisions(block) for block in item_blocks()))


def _send(bulk: "Model", requests: Iterable[Requests]) -> None:
    """Send one wave: the requests of all blocks, which share schema and step and differ in their messages."""
    blocks = iter(requests)
    first = next(blocks)
    messages = (message for block in itertools.chain([first], blocks) for message in block.messages)
    bulk.send(messages, first.schema, first.step)
