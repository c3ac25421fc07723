"""Ask language models many items at once, or have them choose between options, through the response store.

No other wing contacts an endpoint. The embedded model, any OpenAI-compatible server and OpenAI itself work the same,
in a script and inside a notebook. Every notebook that asks a model opens this wing: `Model(name, base_url)`.
Experiments annotate `LanguageModel`, the small protocol that they need.

The way of a call, from room to room:

    model       Model.ask writes the settings of a request and counts its usage
    running     each ask runs in a thread with an event loop of its own ...
    session     ... in a Session: many items at once, each asked again if its reply does not validate
    speaking    a Speaker writes the request in the endpoint's dialect (dialect, found), which replies teach (lessons)
    calling     a Caller looks into the store; else it makes the call once, within the budgets (budget), and keeps it
    connection  a Connection sends it at the endpoint's pace (pace, quota), and again where that may help
    sharing     budget and pace are those of the run, which all its processes share, if there is one
    endpoint    an Endpoint opens the client, checks key and model, and names the fields as the endpoint does

Where work for many items asks little for each, `together` makes one ask of what all of it asks at the same time.
With a cluster, `shards` deals an ask between running and session, `at_worker` asks a shard, `workers` reaches them.
`batches` takes the place of `connection` for the Batch API, `dry` where replies are made up. `anew` asks again what is
kept as no answer.
"""

from typing import TYPE_CHECKING, Any

from .budget import Budget
from .choices import Choices
from .protocol import LanguageModel, Messages, no_twins
from .reply import Reply

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
