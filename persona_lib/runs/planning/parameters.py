"""Parameters: what each parameter of a notebook, or of the data set, may be, checked before anything runs.

Its kind is declared here by its name, since a default of None tells no type and no default tells a range. Parameters of
notebooks that are not declared take what has the type of their default.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from ... import UserError, files
from ...attributes import NAMES
from ...personas.profiles import FORMS, Form
from ...preferences.ingredients import USES

SURVEYS = ("anes", "gss")
LARGEST_SEED = 2**32 - 1  # scikit-learn and pandas take no larger one


class Kind(NamedTuple):
    """What a parameter may be: `type` as pydantic checks it (strictly), and `said`, the same in words."""

    type: Any
    said: str


def _whole(least: int, none: str = "") -> Kind:
    """Return the kind of a whole number from `least`; `none` says what None means, if it may be None."""
    number = Annotated[int, Field(ge=least)]
    words = f"a whole number from {least}"
    return Kind(number | None, f"{words}, or null ({none})") if none else Kind(number, words)


def _between(low: float, high: float) -> Kind:
    return Kind(Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)], f"a number from {low:g} to {high:g}")


def _any_of(names: Iterable[str]) -> Any:
    literal: Any = Literal  # for mypy, which takes no names in its brackets
    return literal[tuple(names)]


def _one_of(names: Iterable[str]) -> Kind:
    return Kind(_any_of(names), f"one of {', '.join(names)}")


_attribute: Any = _any_of(NAMES)
_Name = Annotated[str, Field(pattern=r"\S")]
_member: Any = Annotated[list[Any], Field(min_length=1)] | dict[str, Any] | str | float | int | bool | None
TEXT = Kind(_Name, "a text")
TEXT_OR_NONE = Kind(_Name | None, "a text, or null")
LIST = Kind(list[_Name], "a list of texts, such as [a, b]")
SOME = Kind(Annotated[list[_Name], Field(min_length=1)], "a list of one text or more, such as [a, b]")
SIZE = _whole(1)
SIZE_OR_ALL = _whole(1, "all")
LENGTH = _whole(1, "no length is asked for")

_BELOW_1 = Kind(Annotated[float, Field(ge=0, lt=1)], "a number from 0 to less than 1")

KINDS: dict[str, Kind] = {
    **dict.fromkeys(("model", "personas", "prompts", "by"), TEXT),
    **dict.fromkeys(("base_url", "judge", "judge_base_url", "data", "embedder", "humans", "judgments"), TEXT_OR_NONE),
    **dict.fromkeys(("labels", "out", "rated", "recording", "templates", "where", "world", "choices"), TEXT_OR_NONE),
    **dict.fromkeys(("persona_writer", "persona_filter"), TEXT_OR_NONE),
    **dict.fromkeys(("more_models", "controls", "crossed", "single", "own_methods"), LIST),
    "conditions": SOME,
    "subtle": Kind(SOME.type | None, f"{SOME.said}, or null (conditions)"),
    **dict.fromkeys(("n", "n_read", "n_personas", "n_prompts", "n_items", "n_people", "n_questions"), SIZE),
    **dict.fromkeys(
        ("n_topics", "n_verify", "n_samples", "n_forms", "n_compared", "n_unseen", "draws", "orders"), SIZE
    ),
    **dict.fromkeys(("pool", "n_controls", "n_respondents"), SIZE_OR_ALL),
    **dict.fromkeys(("words", "working_words", "critique_words"), LENGTH),
    "seed": Kind(Annotated[int, Field(ge=0, le=LARGEST_SEED)], f"a whole number from 0 to {LARGEST_SEED}"),
    **dict.fromkeys(("min_age", "least", "n_retested", "n_others", "n_train", "n_seen", "n_heldout"), _whole(0)),
    **dict.fromkeys(("train_prompts", "heldout_prompts"), _whole(0, "all of this side")),
    "n_subtle": _whole(1, "n_items"),
    "ks": Kind(Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)], "a list of whole numbers from 1"),
    "left_out": Kind(list[_attribute], "a list of the paper's attributes, such as [age, marital status]"),
    "forms": Kind(Annotated[list[Form], Field(min_length=1)], f"a list of {', '.join(FORMS)}"),
    "form": _one_of(FORMS),
    "profiles": Kind(
        Annotated[list[tuple[Form, Annotated[int, Field(ge=0)] | None]], Field(min_length=1)],
        "a list of pairs of a form and a seed or null, such as [[list, 1], [prose, null]]",
    ),
    "groups": Kind(
        dict[_Name, dict[_Name, _member]], "groups by name, such as {women: {sex: Female}, old: {age: {from: 65}}}"
    ),
    "use": _one_of(USES),
    "survey": _one_of(SURVEYS),
    "similarity": _between(0, 1),
    "temperature": _between(0, 2),
    **dict.fromkeys(("false_positive", "false_negative"), _BELOW_1),
    **dict.fromkeys(("epsilon", "error_correlation"), _between(0, 1)),
    "gap": Kind(Annotated[float, Field(gt=0, lt=1)], "a number between 0 and 1"),
}
PAIRS = "pairs"  # in place of a notebook: the data set
# Of the data set alone, or where a notebook or the data set means something else by a name.
OWN: dict[tuple[str, str], Kind] = {
    ("02_prompts", "n_prompts"): _whole(0),  # 0 sorts all
    ("11_methods", "model"): TEXT_OR_NONE,
    ("11_methods", "n_seen"): SIZE,
    ("12_why_reports_differ", "n_seen"): SIZE,
    ("11_methods", "ks"): Kind(
        Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)], "a list of whole numbers from 0"
    ),
    (PAIRS, "n_personas"): SIZE_OR_ALL,
    **{(PAIRS, name): _whole(0) for name in ("train", "seen", "heldout", "shots", "verify")},
    **{(PAIRS, name): _whole(0) for name in ("dense_personas", "dense_prompts")},
    (PAIRS, "form"): _one_of(("pairs", "choices")),
    **{(PAIRS, name): SIZE for name in ("answers", "compared")},
}
_TEXTS = (TEXT, TEXT_OR_NONE)
# Of a parameter that is not declared, by the type of its default.
_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list",
    list: "a list",
}


def read(pairs: Iterable[str]) -> dict[str, Any]:
    """Read parameters from KEY=VALUE, as a command line has them.

    The values are YAML, and None is null, as the notebooks write it. A parameter that takes a text is taken as it is
    written: judge=4.10 is '4.10'.

    Raises:
        UserError: there is no sign of equality, a value is no YAML, or a name comes twice.
    """
    given = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise UserError(f"-p takes KEY=VALUE, not '{pair}'")
        if name in given:
            raise UserError(f"-p gives {name} twice, and one would not count: give it once")
        given[name] = None if value == "None" else _value(pair, value, is_text=KINDS.get(name) in _TEXTS)
    return given


def _value(pair: str, value: str, is_text: bool) -> Any:
    try:
        found = files.parse_yaml(value, f"'{value}'")
    except UserError as error:
        if is_text:
            return value
        raise UserError(f"-p {pair}: {error}; texts with signs take quotes") from None
    return value if is_text and found is not None and not isinstance(found, str) else found


def written(value: Any) -> str:
    """Return a value as `read` takes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def taken(stem: str, name: str, default: Any) -> str:
    """Say in words what a parameter of a notebook, or of PAIRS, takes."""
    kind = OWN.get((stem, name)) or KINDS.get(name)
    return kind.said if kind else _TYPES.get(type(default), "a value without infinite numbers")


def check(stem: str, name: str, value: Any, default: Any) -> None:
    """Check a parameter of a notebook, or of PAIRS, against its declared kind, or else against its default.

    Raises:
        UserError: it is something else, out of its range, no finite number, or a list that names something twice.
    """
    kind = OWN.get((stem, name)) or KINDS.get(name)
    wrong = _misfit(kind, value) if kind else not (_fits(value, default) and _finite(value))
    if wrong:
        quotes = ": write it in quotes" if kind in _TEXTS and isinstance(value, int | float) else ""
        raise UserError(f"parameter '{name}' of {stem} takes {taken(stem, name, default)}, not {_shown(value)}{quotes}")
    items = [item for item in value if isinstance(item, str | int)] if isinstance(value, list | tuple) else []
    if again := [item for item in items if items.count(item) > 1]:
        raise UserError(f"parameter '{name}' of {stem} names {again[0]} twice: name it once")


def _misfit(kind: Kind, value: Any) -> bool:
    try:
        TypeAdapter(kind.type).validate_python(_plain(value), strict=True)
    except ValidationError:
        return True
    return not _finite(value)


def _finite(value: Any) -> bool:
    """Return whether no number in a value, however deep, is infinite or not a number: a notebook can't hold one."""
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _plain(value: Any) -> Any:
    """Return a value with lists for tuples and tuples for pairs within lists, as the kinds have them."""
    if isinstance(value, list | tuple):
        return [tuple(item) if isinstance(item, list | tuple) else item for item in value]
    return value


def _shown(value: Any) -> str:
    """Return a value as an error shows it: a list as YAML writes it."""
    return repr(list(value)) if isinstance(value, list | tuple) else "null" if value is None else repr(value)


def _fits(value: Any, default: Any) -> bool:
    """Return whether a value has the type of a default: None allows any value, a float also a whole number."""
    if default is None:
        return True
    if isinstance(value, bool) or isinstance(default, bool):
        return type(value) is type(default)
    also: dict[type, tuple[type, ...]] = {float: (int, float), tuple: (tuple, list)}
    return isinstance(value, also.get(type(default), type(default)))
