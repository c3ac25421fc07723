"""Language models: ask many at once, or choose between options, with the response store in front of each.

Nothing else in the package talks to an endpoint. The embedded model, any OpenAI-compatible server and OpenAI itself
work the same, in a script and inside a notebook. Every notebook that asks a model opens this wing:
`Model(name, base_url)`. Experiments annotate `LanguageModel`, the small protocol that they need.
"""

from typing import TYPE_CHECKING, Any

from .choices import Choices
from .protocol import LanguageModel, Messages, no_twins
from .reply import Reply

if TYPE_CHECKING:
    from .model import Model, several

__all__ = ["Choices", "LanguageModel", "Messages", "Model", "Reply", "no_twins", "several"]


def __getattr__(name: str) -> Any:
    """Load `Model` when it is used."""
    if name in ("Model", "several"):
        from . import model  # openai takes a second, for which `persona sample` need not wait

        return getattr(model, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
