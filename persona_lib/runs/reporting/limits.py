"""Limits: say what the models of a run allow no conclusion about. Notebooks that ask a model end with it."""

from collections.abc import Sequence

from IPython.display import Markdown

from ... import local
from ...model import Model

EMBEDDED = (
    "- *{name}* is the embedded model. With 135 million parameters it is far too small for conclusions: it cannot play "
    "a person, hardly follows an instruction, and repeats what it reads. A run with it shows that every step works on "
    "real replies, and nothing else."
)
DIALECT = "- The endpoint of *{name}* has to be asked in another way than OpenAI's: {what}."
OWN_JUDGE = "- *{name}* judges what it wrote itself. Before you claim anything, name a `judge` of another family."


def limits(models: Sequence[Model], own_judge: bool = False) -> Markdown:
    """Return what holds of the models of this run, as text to show.

    Args:
        models: the models that a notebook asked, the writer first. One that is named twice counts once.
        own_judge: no `judge` was given, so that the writer judges its own answers.

    Returns:
        A list in Markdown: the models with their addresses; how an endpoint had to be asked otherwise; for the
        embedded model, and for a writer that judges itself, a sentence about what follows from that.
    """
    if not models:
        return Markdown("- This run asked no model.")
    different = {model.name: model for model in models}
    asked = ", ".join(f"*{name}* ({model.base_url or 'on this machine'})" for name, model in different.items())
    lines = [f"- This run asked {asked}. Its figures hold for these models and no others."]
    lines += [EMBEDDED.format(name=name) for name, model in different.items() if _is_default(model)]
    lines += [DIALECT.format(name=name, what="; ".join(how)) for name, m in different.items() if (how := m.dialect)]
    if own_judge:
        lines.append(OWN_JUDGE.format(name=models[0].name))
    return Markdown("\n".join(lines))


def _is_default(model: Model) -> bool:
    """Return whether a model has the weights of the embedded default."""
    return model.identity["weights_sha256"] == local.GGUF_SHA256
