"""An assignment of the human study as one HTML page that needs no server and asks nothing of any other site.

The wording and look are data/annotate*; a user's folder may replace the .j2 files. Used by humans.py.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
import numpy as np
from markupsafe import Markup

from .. import UserError
from .assignments import FORMAT, Assignment, Question, Study

DATA = Path(__file__).parent / "data"


def pages(study: Study, shown: dict[str, Any], templates: str | Path | None) -> list[str]:
    """The pages of all assignments, in their order.

    Data are escaped as JSON in a block of their own, which the page's script inserts as plain text.

    Args:
        study: items and assignments.
        shown: `title`, `contact`, `participant` as in `humans.export`.
        templates: folder whose files go before those of data/.

    Raises:
        UserError: a template is missing, malformed or asks for what it isn't given; the address can't be used.
    """
    _check_address(study.post_to)
    folders = [Path(templates), DATA] if templates else [DATA]
    if not folders[0].is_dir():
        raise UserError(
            f"no folder {folders[0]}: it should hold your own {', '.join(p.name for p in DATA.glob('anno*.j2'))}"
        )
    loader = jinja2.FileSystemLoader(folders)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    script, style = ((DATA / f"annotate.{kind}").read_text("utf-8") for kind in ("js", "css"))
    shown = shown | {"post_to": study.post_to, "script_hash": _policy(script), "style_hash": _policy(style)}
    shown |= {"script": Markup(script), "style": Markup(style)}
    profiles = {item["persona_id"]: item["profile"] for item in study.items}
    try:
        page, check = (environment.get_template(f"annotate{kind}.j2") for kind in (".html", "_check.txt"))
        asked = [[_asked(study, q, check) for q in a.questions] for a in study.assignments]
        pairs = zip(study.assignments, asked, strict=True)
        return [page.render(shown | _content(a, q, profiles[a.persona_id], shown)) for a, q in pairs]
    except (jinja2.TemplateError, UnicodeDecodeError) as error:
        raise UserError(f"a template in {folders[0]} can't be used ({error}): see {DATA}/annotate*.j2") from None


def _content(
    assignment: Assignment, asked: list[dict[str, str]], profile: str, shown: dict[str, Any]
) -> dict[str, Any]:
    """What differs from page to page."""
    data = {name: shown[name] for name in ("participant", "post_to", "title")}
    data |= {"assignment": assignment.id, "format": FORMAT, "key": assignment.key, "questions": asked}
    data["profile"] = [
        (["", line] if ": " not in line else line.split(": ", 1)) for line in profile.splitlines() if line
    ]
    words = len(" ".join(text for question in asked for text in question.values()).split())
    # 200 words a minute to read, half a minute a question to decide and write, two minutes for the beginning.
    return {"study": data, "questions": len(asked), "minutes": int(np.ceil(words / 200 + len(asked) / 2)) + 2}


def _asked(study: Study, question: Question, check: jinja2.Template) -> dict[str, str]:
    """The texts of one question as they are shown: `prompt`, `a`, `b`."""
    if question.item is None:
        lines = check.render(letter=question.first).strip().splitlines()
        if len(lines) != 3:
            raise UserError(f"{check.filename} must have three lines: the question, answer A, answer B")
        return dict(zip(("prompt", "a", "b"), lines, strict=True))
    item = study.items[question.item]
    a, b = ("first", "second") if question.first == "A" else ("second", "first")
    return {"prompt": item["prompt"], "a": item[a], "b": item[b]}


def _check_address(address: str | None) -> None:
    """What goes into the page's security policy must be one plain address."""
    if address is None:
        return
    try:
        parts = urlsplit(address)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine or re.search(r"[^\x21-\x7e]|[;,'\"<>?#]", address):
        raise UserError(f"'{address}' is no address to send answers to: it must look like https://host/path")


def _policy(text: str) -> str:
    """The hash by which the page's security policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
