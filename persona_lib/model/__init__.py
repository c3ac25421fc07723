"""Ask language models many items at once, or have them choose between options, through the response store.

No other wing contacts an endpoint. The embedded model, any OpenAI-compatible server and OpenAI itself work the same,
in a script and inside a notebook. Every notebook that asks a model opens this wing: `Model(name, base_url)`.
Experiments annotate `LanguageModel`, the small protocol that they need.

The way of a call, from folder to folder:

    model       Model.ask writes the settings of a request and counts its usage
    cluster/    with a cluster, `shards` deals the ask to its workers, which `workers` reaches; `at_worker` asks a shard
    asking/     each ask is `running` in a `session`: many items at once, each again if its reply does not validate;
                `speaking` writes a request as the endpoint takes it, `calling` looks into the store, else makes the
                call once and keeps its reply, `progress` shows how far they are; `asked` is what all of them know
    transport/  `connection` sends a call at the endpoint's pace, and again where that may help, `batches` through the
                Batch API; `endpoint` has the client, `keys` its key, and `reach` asks whether it would answer
    limits/     `budget` and `pace`, which are the run's by `sharing`; `quota` reads an endpoint's, `usage` counts
    dialects/   which fields an endpoint takes: its `dialect`, `found` by the `lessons` of its replies
    replies/    what is asked for (`protocol`, `schemas`), and what a `reply` says: its `choices`, its `repair`; `dry`
                makes replies up

`embeddings` are asked beside it; `exchange` writes requests to a file for an engine and reads its replies. `anew` asks
again what is kept as no answer. `catalogue` has what models cost and need. Where work for many items asks little for
each, `together` makes one ask of what all of it asks at the same time.
"""

from typing import TYPE_CHECKING, Any

from .limits.budget import Budget
from .replies.choices import Choices
from .replies.protocol import LanguageModel, Messages, no_twins
from .replies.reply import Reply

if TYPE_CHECKING:
    from .embeddings import embed
    from .model import Model, several

__all__ = ["Budget", "Choices", "LanguageModel", "Messages", "Model", "Reply", "embed", "no_twins", "several"]


def __getattr__(name: str) -> Any:
    """Load `Model`, `several` or `embed` at first use."""
    if name in ("Model", "several", "embed"):
        from . import embeddings, model  # openai takes a second, and `persona sample` needs none

        return getattr(embeddings if name == "embed" else model, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
