"""Verdicts of the planted model as a judge: on answers, summaries, questions and profiles."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ... import files
from ...attributes import NAMES
from ...judges import control_items
from ...judges.control_items import SUITABLE, UNSUITABLE
from ...judges.verdicts import KEEP, REVISE, SUBTLE, TOO_MUCH
from ...methods import premises
from ...methods.scoring.premises import ACCEPTED, QUESTIONED
from ...prompts import load as load_prompts
from ...templates import load as load_template
from . import texts
from .effects import OLD, Effects
from .requests import Request, kind_for
from .texts import centered, uniform

KEPT, DROPPED = "kept", "dropped"


def filled(asked: Request, effects: Effects, seed: int, dice: float) -> tuple[dict[str, Any], float | None]:
    """Return a judge's value for each field of the reply that is no text, and the probability of `keep` if it is one.

    Args:
        asked: the request.
        effects: what is planted.
        seed: of all draws.
        dice: from 0 to 1; decides a verdict at a temperature above 0.
    """
    values: dict[str, Any] = {}
    options = {field: _options(schema) for field, schema in asked.fields.items()}
    keep = sure_of_keep(asked, effects, seed) if {KEEP, REVISE} == set(options.get("verdict", ())) else None
    for field, kinds in options.items():
        if {KEPT, DROPPED} == set(kinds):
            values[field] = _told(asked, field, effects, seed)
        elif field == "grade":
            values[field] = 3 if keep is None else 1 + round(4 * keep)
        elif field == "verdict" and keep is not None:
            values[field] = KEEP if keep > (dice if asked.sampled else 0.5) else REVISE
        elif field == "verdict":
            values[field] = _verdict(asked, kinds, effects, seed)
        elif kinds:
            values[field] = kinds[-1]
    return values, keep


def _options(schema: Mapping[str, Any]) -> Sequence[Any]:
    """Return the values that a field may have, if they are listed."""
    return schema.get("enum") or ([schema["const"]] if "const" in schema else [])


def sure_of_keep(asked: Request, effects: Effects, seed: int) -> float:
    """Return the probability with which a critic keeps an answer; above a half, its verdict is to keep it."""
    what = (seed, asked.model, asked.person.key, asked.question, texts.name_of(asked.answers[0]))
    keeps = uniform("verdict", *what) < share_kept(asked, effects, seed)
    changes = {
        "revise first": effects.revise_first * _revise_first(asked.instruction),
        "reworded": effects.reworded * (not asked.instruction.startswith(_usual())),
        "form": effects.form * (asked.person.form != "list"),
    }
    for name, share in changes.items():
        keeps ^= uniform(name, *what) < share
    least, most = effects.sure
    sure = least + (most - least) * uniform("sure", *what)
    return sure if keeps else 1 - sure


def share_kept(asked: Request, effects: Effects, seed: int) -> float:
    """Return the share of such answers that a critic keeps: by how it was written, for whom, and by whom."""
    answer = asked.answers[0]
    if (suitable := _control_answers().get(answer.strip())) is not None:
        return 1 - effects.control_error if suitable else effects.control_error
    kind = kind_for(answer, asked.profile).replace("other_revision", "other_persona")
    share = effects.keep[kind]
    mark = texts.mark(answer)
    if mark and kind not in ("baseline", "other_persona"):
        share += sum(effects.untold.get(name, 0) for name in texts.untold(mark, asked.profile))
        old = int(asked.person.values.get("age", 0)) >= OLD
        share += effects.gap * (old - effects.older)
    if mark and mark.writer == texts.tag(asked.model):
        share += effects.own
    most = effects.person + effects.question + effects.item
    room = min(1.0, share / most, (1 - share) / most)  # no share may leave 0 to 1
    moved = (
        effects.person * centered(seed, "person", asked.person.key)
        + effects.question * centered(seed, "question", asked.question)
        + effects.item * centered(seed, "item", asked.person.key, asked.question, kind)
    )
    return share + room * moved


def _verdict(asked: Request, options: Sequence[str], effects: Effects, seed: int) -> str:
    """Return one of two verdicts that are not a critic's."""
    if {SUBTLE, TOO_MUCH} == set(options):
        kind = kind_for(asked.answers[0], asked.profile).replace("other_revision", "other_persona")
        what = (asked.person.key, asked.question, texts.name_of(asked.answers[0]))
        return TOO_MUCH if uniform(seed, "subtle", asked.model, *what) < effects.too_much[kind] else SUBTLE
    if {ACCEPTED, QUESTIONED} == set(options):
        return ACCEPTED if _accepts(asked, effects, seed) else QUESTIONED
    if asked.profile:
        share = effects.consistent
    else:
        share = effects.factual if asked.question in _control_questions() else effects.value_laden
    yes = uniform(seed, "verdict", asked.model, asked.profile, asked.question) < share
    return options[0] if yes else options[-1]


def _accepts(asked: Request, effects: Effects, seed: int) -> bool:
    """Return whether an answer goes along with a false premise; the hand-written ones do as they are meant to."""
    answer = asked.answers[0]
    mark = texts.mark(answer)
    share = effects.premise["baseline" if mark is None or mark.kind == "baseline" else "direct"]
    if (meant := _premise_answers().get(answer.strip())) is not None:
        share = 1 - effects.control_error if meant else effects.control_error
    return uniform(seed, "premise", asked.model, asked.question, texts.name_of(answer)) < share


def _told(asked: Request, field: str, effects: Effects, seed: int) -> str:
    """Return whether a summary tells an attribute, with a few mistakes."""
    # A field that is no attribute is one of the five traits, which are told or left out together.
    name = next((name for name in NAMES if name.replace(" ", "_") == field), "big five scores")
    told = f"The {name}: " in asked.summary
    wrong = uniform(seed, "read", asked.model, asked.profile, asked.summary, field) < effects.misread
    return KEPT if told ^ wrong else DROPPED


def _revise_first(instruction: str) -> bool:
    """Return whether an instruction names `revise` before `keep`."""
    return 0 <= instruction.find(f'"{REVISE}"') < instruction.find(f'"{KEEP}"')


@cache
def _usual() -> str:
    """Return how the critic's instruction begins."""
    (_, first), *_ = load_template("critic").parts
    return first.template.partition("<persona>")[0].strip()


@cache
def _control_questions() -> set[str]:
    return set(load_prompts("control")["prompt"])


@cache
def _control_answers() -> dict[str, bool]:
    """Return whether each hand-written control answer is suitable."""
    items = files.read_yaml(control_items.ITEMS)
    return {item[kind].strip(): kind == SUITABLE for item in items for kind in (SUITABLE, UNSUITABLE)}


@cache
def _premise_answers() -> dict[str, bool]:
    """Return whether each hand-written answer goes along with its false premise."""
    told = premises.questions()
    return {answer.strip(): kind == "accepts" for kind in premises.KINDS for answer in told[kind]}
