"""Wording: are the templates that a run will use complete? A wrong one would show only after others have been paid for.

What fills a template is known here for each step that has one; a test compares it with what notebooks fill in.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .. import UserError, templates
from ..prompts import bank

_PERSON = frozenset({"persona", "question", "answer"})
_CRITIC = _PERSON | {"keep", "revise", "words"}


class Step(NamedTuple):
    """A template that a notebook uses: the `variables` that are filled in, and the fields of the reply.

    `fields` may be used, of which `needed` must be; None: any, of which the last is the answer.
    """

    template: str
    variables: frozenset[str]
    fields: frozenset[str] | None = frozenset()
    needed: frozenset[str] = frozenset()


_JUDGED = {"fields": frozenset({"critique", "grade", "verdict"}), "needed": frozenset({"verdict"})}
_CHOSEN = frozenset({"persona", "question", "first", "second"})
CONDITION = frozenset({"persona", "other_persona", "question", "words", "working_words"})

SORTED = Step("value_laden", frozenset({"question", "yes", "no"}), frozenset({"verdict"}), frozenset({"verdict"}))
PREFERRED = Step("prefer", _CHOSEN)
BASE = Step("baseline", frozenset({"question", "words"}), None)
REVISED = (
    BASE,
    Step("critique", _PERSON | {"words"}, None),
    Step("revision", _PERSON | {"critique", "words"}, None),
)
CRITIC = Step("critic", _CRITIC, **_JUDGED)
SUBTLE = Step("subtlety", _PERSON | {"subtle", "too_much", "words"}, **_JUDGED)
SURVEY = frozenset({"persona", "question", "options"})

# The steps of each notebook beside its conditions, and of the data set.
STEPS: dict[str, tuple[Step, ...]] = {
    "02_prompts": (SORTED,),
    "03_preferences": (*REVISED, PREFERRED),
    "04_leave_one_out": (*REVISED, PREFERRED, Step("direct", CONDITION, None), CRITIC),
    "05_fidelity": (*REVISED, PREFERRED, Step("survey", SURVEY), Step("survey_nobody", SURVEY)),
    "06_conditioning": (CRITIC, SUBTLE),
    "07_summaries": (
        Step("summary", CONDITION, None),
        CRITIC,
        Step("kept", frozenset({"persona", "summary", "attributes", "kept", "dropped"})),
    ),
    "08_pass_at_k": (CRITIC,),
    "09_intersections": (CRITIC,),
    "10_judges": (
        *(Step(name, CONDITION, None) for name in ("other_persona", "baseline")),
        *(CRITIC._replace(template=name) for name in ("critic", "critic_revise_first", "critic_reworded")),
        PREFERRED,
        Step("whose", frozenset({"personas", "question", "answer"})),
    ),
    "pairs": (*REVISED, PREFERRED),
}
_CONDITIONS = ("conditions", "controls", "subtle")


def problems(stem: str, values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield what is wrong with the templates of a notebook, or of the data set.

    Args:
        stem: the notebook, or 'pairs'.
        values: its parameters.
        folder: which the user's folder of templates is named from.
    """
    own = values.get("templates")
    where = folder / str(own) if own else None
    if where and not where.is_dir():
        yield f"templates: no folder {own}"
        return
    shows_others = False
    for step in dict.fromkeys(steps(stem, values, folder)):
        try:
            shows_others |= "other_persona" in check(step, where).variables
        except UserError as error:
            yield str(error)
    if shows_others and values.get("n_personas") == 1:
        yield "the profile of another persona takes two personas at least: raise n_personas"


def steps(stem: str, values: Mapping[str, Any], folder: Path) -> Iterator[Step]:
    """Yield the steps of a notebook that ask with a template."""
    yield from STEPS.get(stem, ())
    for name in (name for several in _CONDITIONS for name in values.get(several, ())):
        yield Step(name, CONDITION, None)
    source = str(values.get("prompts", ""))
    if source and not values.get("data") and bank.is_prism(folder / source if (folder / source).is_file() else source):
        yield SORTED


def check(step: Step, folder: Path | None = None) -> templates.Template:
    """Return the template of a step, after a look whether it can be filled in and its reply has the fields it needs.

    Raises:
        UserError: there is no such template, it can't be read, or it asks for what there is not.
    """
    template = templates.load(step.template, folder)
    if unknown := sorted(template.variables - step.variables):
        marked = ", ".join(f"${name}" for name in unknown)
        known = ", ".join(f"${name}" for name in sorted(step.variables))
        raise UserError(f"template '{step.template}': nothing fills {marked}; it may use {known}")
    fields = set(template.reply)
    if step.fields is None and not fields:
        raise UserError(f"template '{step.template}' asks for no answer: name its fields in `reply:`")
    if step.fields is not None and not step.needed <= fields <= step.fields:
        allowed = ", ".join(sorted(step.fields)) or "no fields"
        needs = f", and needs {', '.join(sorted(step.needed))}" if step.needed else ""
        raise UserError(
            f"template '{step.template}' has `reply: [{', '.join(template.reply)}]`: it may have {allowed}{needs}"
        )
    return template
