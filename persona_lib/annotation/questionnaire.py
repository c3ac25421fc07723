"""Make each assignment of the human study one HTML page that needs no server and contacts no other site.

Wording and look are in data/annotate*; a user's folder may replace the .j2 files.
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
from ..prompts import words
from .assignments import FORMAT, Assignment, Question, Study

DATA = Path(__file__).parent / "data"


def pages(study: Study, shown: dict[str, Any], templates: str | Path | None) -> list[str]:
    """Return the pages of all assignments, in their order.

    Data go into a separate block, escaped as JSON; the page's script inserts them as plain text.

    Args:
        study: items and assignments.
        shown: `title`, `contact`, `participant` as in `annotation.export`.
        templates: folder whose files replace those of data/ with the same name.

    Raises:
        UserError: a template is missing, malformed or uses an unknown variable; the address is not usable.
    """
    _check_address(study.post_to)
    folders = [Path(templates), DATA] if templates else [DATA]
    if not folders[0].is_dir():
        raise UserError(
            f"no folder {folders[0]}: it should hold your own {', '.join(p.name for p in DATA.glob('anno*.j2'))}"
        )
    loader = jinja2.FileSystemLoader(folders)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    script = (DATA / "annotate.js").read_text("utf-8")
    style = (DATA / "annotate.css").read_text("utf-8")
    shown = shown | {
        "post_to": study.post_to,
        "script": Markup(script),
        "style": Markup(style),
        "script_hash": _policy(script),
        "style_hash": _policy(style),
    }
    profiles = {item["persona_id"]: item["profile"] for item in study.items}
    try:
        page = environment.get_template("annotate.html.j2")
        check = environment.get_template("annotate_check.txt.j2")
        written = []
        for assignment in study.assignments:
            asked = [_asked(study, question, check) for question in assignment.questions]
            written.append(page.render(shown | _content(assignment, asked, profiles[assignment.persona_id], shown)))
        return written
    except (jinja2.TemplateError, UnicodeDecodeError) as error:
        raise UserError(f"a template in {folders[0]} can't be used ({error}): see {DATA}/annotate*.j2") from None


def _content(
    assignment: Assignment, asked: list[dict[str, str]], profile: str, shown: dict[str, Any]
) -> dict[str, Any]:
    """Return what differs from page to page."""
    data = {
        "participant": shown["participant"],
        "post_to": shown["post_to"],
        "title": shown["title"],
        "assignment": assignment.id,
        "format": FORMAT,
        "key": assignment.key,
        "questions": asked,
        "profile": [line.split(": ", 1) if ": " in line else ["", line] for line in profile.splitlines() if line],
    }
    n = words.count(" ".join(text for question in asked for text in question.values()))
    # Reading at 200 words per minute, half a minute per question to decide and write, two minutes to begin.
    minutes = int(np.ceil(n / 200 + len(asked) / 2)) + 2
    return {"study": data, "questions": len(asked), "minutes": minutes}


def _asked(study: Study, question: Question, check: jinja2.Template) -> dict[str, str]:
    """Return the texts of one question as they are shown: `prompt`, `a`, `b`."""
    if question.item is None:
        lines = check.render(letter=question.first).strip().splitlines()
        if len(lines) != 3:
            raise UserError(f"{check.filename} must have three lines: the question, answer A, answer B")
        return dict(zip(("prompt", "a", "b"), lines, strict=True))
    item = study.items[question.item]
    a, b = ("first", "second") if question.first == "A" else ("second", "first")
    return {"prompt": item["prompt"], "a": item[a], "b": item[b]}


def _check_address(address: str | None) -> None:
    """Check that what goes into the page's security policy is one plain address."""
    if address is None:
        return
    try:
        parts = urlsplit(address)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine or re.search(r"[^\x21-\x7e]|[;,'\"<>?#]", address):
        raise UserError(f"answers can't be sent to '{address}': the address must look like https://host/path")


def _policy(text: str) -> str:
    """Return the hash by which the page's security policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
