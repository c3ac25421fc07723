"""The page of a run's items: items.html, one file that can be mailed and asks for nothing outside.

The data lie in it once and deflated: every text in one list, everything else as places in that list. Requests are cut
into paragraphs, of which most are shared: a profile, a question and the words of a template are there once. The table
is DataTables, from the package itables (both MIT); the page's own script is data/items.js.
"""

import base64
import hashlib
import json
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from ... import UserError, files, seeds
from ...model.replies.reply import likely_tokens, tokens
from ...store import Store, Stored, exists, read_recording
from ..planning import notebooks
from ..results import findings, manifests
from . import item_tables, pages

Find = Callable[[str], Stored | None]  # an outcome by its key
FILTERS = ("notebook", "table", "condition", "model", "judge", "verdict", "failure")
STEPS = dict(zip(item_tables.KEYS, ("answer", "critique", "revision", "verdict", "choice"), strict=True))
MOST = 60_000  # items of a page; with more, a browser takes long to unpack them
KEY = 16  # characters of a key that are shown
_ROLE = re.compile(r"^((?:answer|critic|judge|critique|revision|base answer): )?([^:]*).*", re.DOTALL)


class Strings:
    """Texts, each once; `of` returns the place of one in `known`, 0 for none."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {"": 0}

    def of(self, text: Any) -> int:
        """Return the place of a text."""
        return self.known.setdefault("" if text is None or pd.isna(text) else str(text), len(self.known))

    def column(self, values: pd.Series) -> list[int]:
        """Return the places of a column's texts."""
        codes, texts = pd.factorize(values)
        found = [*map(self.of, texts), 0]  # a missing value has the code -1
        return [found[code] for code in codes]


def write(folder: Path, texts: bool = True) -> Path:
    """Write the page of a run's items into its folder and return its path; arguments as in `page`."""
    path = folder / pages.ITEMS
    files.write_text(path, page(folder, texts))
    return path


def page(folder: Path, texts: bool = True) -> str:
    """Return the page of a run's items.

    Args:
        folder: of the run.
        texts: whether the page has what people and models said: questions, profiles, answers, critiques, requests, raw
            replies and labels. Without them an item has ids, condition, models, verdict and its probability, and the
            kind of its failure.

    Raises:
        UserError: there is no run in the folder, or a table of it is damaged.
    """
    found = fewer(item_tables.of_run(folder))
    manifest = {"models": []} | (manifests.read(folder) or {})
    if not texts:
        found = without_texts(found)
    sources = _sources(manifest, found.notes) if texts else []
    content = content_of(found, sources, texts) | {"preset": manifest["preset"]["name"]}
    packed = zlib.compress(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
    scripts = [_datatables(), (pages.DATA / "items.js").read_text("utf-8")]
    shown = {
        "run": manifest,
        "embedded": [findings.name(model) for model in manifest["models"] if findings.is_embedded(model)],
        "scripts": [Markup(script) for script in scripts],
        "allowed": [allowed(script) for script in scripts],
        "data": base64.b64encode(packed).decode(),
        "filters": FILTERS,
        "groups": content["groups"],
        "notes": found.notes,
        "texts": texts,
    }
    return pages.environment().get_template("items.html.j2").render(shown)


def fewer(found: item_tables.Items, most: int = MOST) -> item_tables.Items:
    """Return at most so many items: failed ones first, then all of some persons and questions, by a hash of both.

    A note says how many there are.
    """
    n = len(found.table)
    if n <= most:
        return found
    place = found.table["prompt_id"].str.cat(found.table["persona_id"], "|").map(seeds.digest)
    order = pd.DataFrame({"scored": found.table["failure"].isna(), "place": place}).sort_values(["scored", "place"])
    note = f"{most:,} of {n:,} items are on this page: failed ones, and some persons and questions with all conditions."
    return found._replace(table=found.table.loc[order.index[:most].sort_values()], notes=[*found.notes, note])


def _datatables() -> str:
    """Return the code of DataTables: the module of itables, which here hands it to the page's own script."""
    code = (resources.files("itables") / "html" / "dt_bundle.js").read_text("utf-8")
    return re.sub(r"export\s*\{[^}]*?([\w$]+) as default[^}]*\}", r"window.DataTable=\1", code)


def allowed(script: str) -> str:
    """Return the hash by which the page's security policy allows an inline script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _sources(manifest: Mapping[str, Any], notes: list[str]) -> list[Find]:
    """Return how outcomes are found: in the response store, if there is one, and in the recordings of the notebooks."""
    named = {entry["parameters"].get("recording") for entry in manifest["notebooks"].values()}
    found: list[Find] = [Store().get] if exists() else []
    for recording in sorted(filter(None, named)):
        file = notebooks.folder() / recording  # a path is as seen from the notebooks
        try:
            found.append({row.key: row for row in read_recording(file if file.is_file() else recording)}.get)
        except UserError as error:
            notes.append(str(error))
    return found


def without_texts(found: item_tables.Items) -> item_tables.Items:
    """Return items without what people and models said: see `write`."""
    table = found.table.assign(prompt=found.table["prompt_id"], human=math.nan)
    table["failure"] = table["failure"].str.replace(_ROLE, r"\1\2", regex=True)
    table[["profile", *item_tables.TEXTS, *item_tables.KEYS]] = None
    return item_tables.Items(table, found.people.iloc[:0], [])


def content_of(found: item_tables.Items, sources: Sequence[Find], texts: bool = True) -> dict[str, Any]:
    """Return what the page's script reads.

    Args:
        found: the items.
        sources: how outcomes are found by their key, in this order.
        texts: whether the items have texts and requests.

    Returns:
        `strings`; `columns`: a list of places in it per column of the items (of `person` in `people`); `p` and `human`
        (None if missing); `groups` (names) and `people`; and with texts, by item, `texts` (pairs of name and text) and
        `trail` (pairs of step and place in `requests`), and `requests`, of which those that no store has are a key.
    """
    strings = Strings()
    table = found.table
    ids = list(dict.fromkeys(table["persona_id"]))
    known = found.people.reindex(ids)
    groups = [name for name in item_tables.GROUPS if name in known and known[name].notna().any()]
    places = {persona: place for place, persona in enumerate(ids)}
    shown = ["id", "notebook", "table", "persona_id", "prompt_id", "prompt", "profile", *FILTERS[2:]]
    content: dict[str, Any] = {
        "columns": {name: strings.column(table[name]) for name in shown},
        "people": [
            {"id": strings.of(i), "brief": strings.of(row.get("brief")), "profile": strings.of(row.get("profile"))}
            | {"groups": [strings.of(row[name]) for name in groups]}
            for i, row in known.iterrows()
        ],
        "groups": groups,
        "p": [None if pd.isna(p) else round(p, 4) for p in table["p"]],
        "human": [None if pd.isna(share) else round(share, 4) for share in table["human"]],
    }
    content["columns"]["person"] = [places[persona] for persona in table["persona_id"]]
    if texts:
        said, trail, requests = _said(table, strings, sources)
        content |= {"texts": said, "trail": trail, "requests": requests}
    return content | {"strings": list(strings.known)}


def _said(table: pd.DataFrame, strings: Strings, sources: Sequence[Find]) -> tuple[list, list, list]:
    """Return each item's texts and trail, and the requests; texts of one item are near each other in the strings."""
    places: dict[str, int] = {}
    requests: list[dict[str, Any]] = []
    said, trails = [], []
    for row in table[[*item_tables.TEXTS, *item_tables.KEYS]].to_dict("records"):
        texts = [(name, row[name]) for name in item_tables.TEXTS if not pd.isna(row[name])]
        said.append([[strings.of(name), strings.of(text)] for name, text in texts])
        trail = []
        for column, step in STEPS.items():
            keys = [] if pd.isna(row[column]) else row[column].split()
            for number, key in enumerate(keys, 1):
                if key not in places:
                    places[key] = len(requests)
                    requests.append(_exchange(key, sources, strings))
                trail.append([strings.of(f"{step} {number}" if len(keys) > 1 else step), places[key]])
        trails.append(trail)
    return said, trails, requests


def _exchange(key: str, sources: Sequence[Find], strings: Strings) -> dict[str, Any]:
    """Return a request and its raw reply, as places in the strings; the key alone if no store has it."""
    kept = next(filter(None, (find(key) for find in sources)), None)
    if kept is None:
        return {"key": key[:KEY]}
    told = exchange(kept)
    messages = [[strings.of(role), [*map(strings.of, text.split("\n\n"))]] for role, text in told.pop("messages")]
    return {"key": key[:KEY], "messages": messages} | {name: strings.of(text) for name, text in told.items() if text}


def exchange(kept: Stored) -> dict[str, Any]:
    """Return what was sent and what came back, to be read.

    Returns:
        `messages` (pairs of role and text), `model` (its name, and address if any), `settings` (all other fields of the
        request as JSON), `reply` (as the endpoint sent it, as JSON, without log-probabilities), `tokens` (the first
        token's likeliest alternatives, if the reply is a choice) and `failure`; the last two may be empty.
    """
    request, reply = json.loads(kept.request), json.loads(kept.reply)
    who = request.pop("model", {})
    sent = [(str(m.get("role", "")), _text(m.get("content"))) for m in request.pop("messages", [])]
    places = tokens(reply) or []
    choices = reply.get("choices")
    if isinstance(choices, list):
        reply = reply | {"choices": [{k: v for k, v in one.items() if k != "logprobs"} for one in choices]}
    likely = likely_tokens(places[0]) if len(places) == 1 else []
    return {
        "messages": sent,
        "model": " at ".join(str(who[name]) for name in ("name", "base_url") if who.get(name)) or _text(who),
        "settings": _text(request),
        "reply": _text(reply),
        "tokens": ", ".join(f"{t['token']!r} {math.exp(t['logprob']):.3f}" for t in likely),
        "failure": kept.failure or "",
    }


def _text(value: Any) -> str:
    """Return a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
