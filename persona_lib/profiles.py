"""A persona as text: the published list of lines, prose, or an interview; attributes in order or shuffled.

The form alone can change what a model answers (arXiv 2507.16076), so it is a factor to vary and a
column in every result. The wording lies in data/profiles.yaml. Used by every notebook that shows a model a persona.
"""

from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from . import UserError
from .attributes import NAMES

WORDING = Path(__file__).parent / "data" / "profiles.yaml"
Form = Literal["list", "prose", "interview"]
FORMS: tuple[str, ...] = get_args(Form)


def describe(row: pd.Series, form: Form = "list", shuffle_seed: int | None = None) -> str:
    """Write a persona as text; what is missing is left out, auxiliary columns are not written.

    Args:
        row: a persona. Age and income are written as plain integers.
        form: `list` is lines `attribute: value`, the published PERSONA form; `prose` a paragraph in the third person;
            `interview` a question and an answer per attribute.
        shuffle_seed: None keeps the paper's order of attributes; a number is one other order, the same for everybody.

    Raises:
        UserError: the form is unknown.
    """
    if form not in FORMS:
        raise UserError(f"no form {form!r} of a persona: choose one of {', '.join(FORMS)}")
    known = {name: _text(value) for name, value in row.reindex(_order(shuffle_seed)).dropna().items()}
    if form == "prose":
        return " ".join(["This is about one person.", *(_sentence(name, value) for name, value in known.items())])
    if form == "interview":
        return "\n".join(f"Q: {_wording()[name]['question']}\nA: {value}" for name, value in known.items())
    return "\n".join(f"{name}: {value}" for name, value in known.items())


def lines(row: pd.Series) -> str:
    """The published form, in the paper's order."""
    return describe(row)


def order_name(shuffle_seed: int | None) -> str:
    """What a result's column `profile_order` calls an order: 'given', or 'shuffled' and its seed."""
    return "given" if shuffle_seed is None else f"shuffled {shuffle_seed}"


def _order(shuffle_seed: int | None) -> list[str]:
    if shuffle_seed is None:
        return list(NAMES)
    return [NAMES[place] for place in np.random.default_rng([shuffle_seed, 33]).permutation(len(NAMES))]


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, int | float | np.number) else str(value)


def _sentence(name: str, value: str) -> str:
    """One attribute in prose: a sentence of its label's own, or the attribute's with the value in it."""
    wording = _wording()[name]
    if own := wording.get("labels", {}).get(value):
        return own
    sentence = wording.get("says", f"Their {name}: {{value}}.").format(value=value)
    return sentence if sentence[-1] in ".!?" else sentence + "."


@cache
def _wording() -> dict[str, dict]:
    import yaml

    return yaml.safe_load(WORDING.read_text("utf-8"))
