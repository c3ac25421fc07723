"""Wording: are the templates that a run will use complete? A wrong one would show only after others have been paid for.

What fills a template is known here for each step that has one; a test compares it with what notebooks fill in.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ... import UserError
from ...bench.conditions import FILLED
from ...bench.conditions import use as condition
from ...prompts import bank
from ...templates import FOLDER, Step, Template, check, load

_PERSON = frozenset({"persona", "question", "answer"})
_CRITIC = _PERSON | {"keep", "revise", "words"}


_JUDGED: dict[str, Any] = {"fields": frozenset({"critique", "grade", "verdict"}), "needed": frozenset({"verdict"})}
_CHOSEN = frozenset({"persona", "question", "first", "second"})

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
    "04_leave_one_out": (*REVISED, PREFERRED, condition("direct"), CRITIC),
    "05_fidelity": (*REVISED, PREFERRED, Step("survey", SURVEY), Step("survey_nobody", SURVEY)),
    "06_conditioning": (CRITIC, SUBTLE),
    "07_summaries": (
        condition("summary"),
        CRITIC,
        Step("kept", frozenset({"persona", "summary", "attributes", "kept", "dropped"})),
    ),
    "08_pass_at_k": (CRITIC,),
    "09_intersections": (CRITIC,),
    "10_judges": (
        *(condition(name) for name in ("other_persona", "baseline")),
        *(CRITIC._replace(template=name) for name in ("critic", "critic_revise_first", "critic_reworded")),
        PREFERRED,
        Step("whose", frozenset({"personas", "question", "answer"})),
    ),
    "pairs": (
        *REVISED,
        PREFERRED,
        condition("direct"),
        Step("diverge", frozenset({"question", "n", "fields", "words"})),
    ),
}
_CONDITIONS = ("conditions", "controls", "subtle")
# What a step is about, as far as its built-in template shows it. Lengths and names of verdicts may be left out.
_ABOUT = frozenset({"persona", "personas", "other_persona", "question", "answer", "critique"}) | frozenset(
    {"first", "second", "summary", "options"}
)
_PEOPLE = {"persona", "other_persona"}


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
            template = check(step, where)
            shows_others |= "other_persona" in template.variables
            if step.variables == FILLED:
                yield from _unlike(step, template, where)
        except UserError as error:
            yield str(error)
    if shows_others and values.get("n_personas") == 1:
        yield "the profile of another persona takes two personas at least: raise n_personas"
    elif shows_others and values.get("n_items") == 1:
        yield "the profile of another persona takes two items at least, of two personas: raise n_items"


def _unlike(step: Step, template: Template, where: Path | None) -> Iterator[str]:
    """Yield what makes a condition of the user's wording another one than its name says."""
    if lacking := _unshown(step, template, where):
        yield f"template '{step.template}' of {where} lacks {lacking}: the model would not be told it"
    if (
        _replaces(step, where)
        and (shown := template.variables & _PEOPLE)
        and not load(step.template).variables & _PEOPLE
    ):
        marked = ", ".join(f"${name}" for name in sorted(shown))
        yield f"template '{step.template}' of {where} shows {marked}, though it is to tell of nobody: rename it"


def _unshown(step: Step, template: Template, where: Path | None) -> str:
    """Return what a template of the user's does not show of what its step is about; empty if it shows all."""
    if not where or not (where / f"{step.template}.txt").is_file():
        return ""
    needed = load(step.template).variables & _ABOUT if _replaces(step, where) else {"question"} & step.variables
    return ", ".join(f"${name}" for name in sorted(needed - template.variables))


def _replaces(step: Step, where: Path | None) -> bool:
    """Return whether a step's template is the user's, in place of a built-in one."""
    name = f"{step.template}.txt"
    return bool(where) and (Path(str(where)) / name).is_file() and (FOLDER / name).is_file()


def unshown(planned: Mapping[str, Mapping[str, Any]], folder: Path) -> Iterator[str]:
    """Yield a line for each step, beside the conditions, whose template of the user's leaves out what it is about."""
    seen = {}
    for stem, values in planned.items():
        where = folder / str(values["templates"]) if values.get("templates") else None
        for step in steps(stem, values, folder) if where else ():
            if step.variables != FILLED and (lacking := _unshown(step, check(step, where), where)):
                seen[f"template '{step.template}' of {where} does not show {lacking}: the model is not told it"] = stem
    yield from seen


def unused(planned: Mapping[str, Mapping[str, Any]], folder: Path) -> Iterator[str]:
    """Yield a line for each folder of the user's with templates that nothing in a run asks with: misspelt ones."""
    used = {step.template for stem, values in planned.items() for step in steps(stem, values, folder)}
    for own in dict.fromkeys(values.get("templates") for values in planned.values()):
        there = {path.stem for path in (folder / str(own)).glob("*.txt")} if own else set()
        built_in = {path.stem for path in FOLDER.glob("*.txt")}
        if strange := sorted(there - used - built_in):
            yield f"{own}: nothing in this run asks with {', '.join(f'{name}.txt' for name in strange)}"


def steps(stem: str, values: Mapping[str, Any], folder: Path) -> Iterator[Step]:
    """Yield the steps of a notebook that ask with a template."""
    yield from STEPS.get(stem, ())
    for name in (name for several in _CONDITIONS for name in values.get(several) or ()):
        yield condition(name)
    source = str(values.get("prompts", ""))
    if source and not values.get("data") and bank.is_prism(folder / source if (folder / source).is_file() else source):
        yield SORTED
