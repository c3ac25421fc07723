"""Pages: the HTML of an executed notebook, and the index page of a run.

Each page is one file that loads nothing from outside its folder and tells the browser so (Content-Security-Policy), so
that it can be mailed and printed. The templates are data/notebook.html.j2 and data/index.html.j2.
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from html import escape as html_escape
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from nbconvert import HTMLExporter
from tqdm import tqdm

from .. import files, local
from ..model import usage
from . import notebooks
from .record import INTERVAL

DATA = Path(__file__).parent / "data"
ITEMS = "items.html"  # the page of a run's items, from `item_pages`
CRITIC, AUDITS = "06_conditioning", "10_judges"  # the second says how far the critic of the first can be trusted
TRUST = "trust"  # the metric of the second that says so, in a sentence
# Parameters that make the critic: who it is, and what it is asked.
SAME = ("model", "base_url", "judge", "judge_base_url", "templates", "critique_words")


def trust(entries: Mapping[str, Any]) -> str | None:
    """Return how far the critic of 06 can be trusted as 10 found it; None without it, or if it audited another critic.

    Args:
        entries: the notebooks in a run's manifest.
    """
    critic, audits = (entry.get("kept", entry) for entry in (entries.get(stem, {}) for stem in (CRITIC, AUDITS)))
    named = [{name: entry.get("parameters", {}).get(name) for name in SAME} for entry in (critic, audits)]
    return audits.get("metrics", {}).get(TRUST) if named[0] == named[1] else None


def export(
    notebook: Path, heading: str, run: Collection[str] = (), found: str | None = None, about: str | None = None
) -> Path:
    """Write an executed notebook as HTML beside it, with its pictures embedded.

    Args:
        notebook: the executed notebook's file.
        heading: the page's title.
        run: the notebooks of its run; a link to one of them leads to its page, a link to another becomes plain text.
        found: what `trust` returns, to stand beside a link to 10.
        about: what its run is for, which stands above it: a page may be read without the others.

    Returns:
        The path of the page.
    """
    executed = nbformat.read(notebook, as_version=4)
    executed.metadata["title"] = heading
    # Pictures in Markdown cells are files beside the original notebook, not beside its executed copy.
    resources = {"metadata": {"name": heading, "path": str(notebooks.folder())}, "about": about}
    from . import item_tables  # it loads the statistics, which a run that fails to start need not wait for

    resources["items_of"] = notebook.stem if item_tables.are_in(notebook.with_suffix("")) else None
    html, _ = _exporter().from_notebook_node(executed, resources)
    page = notebook.with_suffix(".html")
    files.write_text(page, _linked(html, run, {AUDITS: found} if found else {}))
    return page


@cache
def _exporter() -> HTMLExporter:
    """Return what renders notebooks; it compiles the templates once, which takes as long as a page."""
    loaders = [jinja2.FileSystemLoader(DATA)]
    return HTMLExporter(
        template_file="notebook.html.j2", extra_loaders=loaders, embed_images=True, exclude_anchor_links=True
    )


def _linked(html: str, run: Collection[str], found: Mapping[str, str]) -> str:
    """Return a page whose links to notebooks lead to the pages of these, or are plain text if the run has none.

    Args:
        html: the page.
        run: the notebooks of the run.
        found: what some of them found, to be told behind a link to them.
    """

    def there(link: re.Match[str]) -> str:
        said = f": {html_escape(found[link[1]].rstrip('.'))}" if link[1] in found else ""
        return (f'<a href="{link[1]}.html{link[2]}"{link[3]}>{link[4]}</a>' if link[1] in run else link[4]) + said

    known = "|".join(map(re.escape, notebooks.stems()))
    return re.sub(rf'<a href="({known})\.ipynb(#[^"]*|)"([^>]*)>(.*?)</a>', there, html) if known else html


def environment() -> jinja2.Environment:
    """Return what renders the templates of pages."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(DATA),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def index(manifest: Mapping[str, Any], items: bool = False) -> str:
    """Return the HTML of a run's index page.

    Args:
        manifest: the content of the run's manifest.
        items: whether the run has a page of its items.
    """
    templates = environment()
    templates.filters |= {"figure": figure, "cost": usage.cost_text, "span": _span, "day": _day}
    embedded = [m["name"] for m in manifest["models"] if m.get("weights_sha256") == local.GGUF_SHA256]
    before = manifest["before"]
    used = usage.total([manifest["usage"], before["usage"]]) if before else manifest["usage"]
    shown = {
        "run": manifest,
        "embedded": embedded,
        "trust": {CRITIC: (AUDITS, trust(manifest["notebooks"]))},
        "used": used,
        "items": items,
    }
    return templates.get_template("index.html.j2").render(shown)


def figure(value: Any) -> str:
    """Return a metric as text: three significant digits, a comma for thousands, and its interval and n if known."""
    if value is None:
        return "missing"
    if isinstance(value, Mapping):
        middle, low, high, n = (figure(value[name]) for name in INTERVAL)
        return f"{middle} ({'no interval' if value['low'] is None else f'{low} to {high}'}, n = {n})"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,}"
    return f"{value:.3g}"


def _span(seconds: float) -> str:
    """Return a time span as text: seconds below two minutes, else minutes and seconds."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{tqdm.format_interval(seconds)} min"


def _day(moment: str) -> str:
    """Return a time in ISO format as text such as '2 January 2026, 10:00 UTC'."""
    return datetime.fromisoformat(moment).strftime("%-d %B %Y, %H:%M UTC")
