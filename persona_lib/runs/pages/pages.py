"""Pages: the HTML of an executed notebook, and the index page of a run.

Each page is one file that loads nothing from outside its folder and tells the browser so (Content-Security-Policy), so
that it can be mailed and printed. The templates are data/notebook.html.j2 and data/index.html.j2.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from html import escape as html_escape
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import nbformat
from nbconvert import HTMLExporter
from tqdm import tqdm

from ... import files
from ...model.limits import usage
from ..planning import notebooks
from ..reporting.record import INTERVAL
from ..results import findings
from . import pictures, said

DATA = Path(__file__).parents[1] / "data"
CONTENTS = "<!-- contents -->"  # the mark in data/notebook.html.j2
ITEMS = "items.html"  # the page of a run's items, from `item_pages`
RECORDS = "runs.record("  # the cell that calls it is for the run, not for its reader


class RunEntry(NamedTuple):
    """What a notebook's page says of its run: the manifest's content, and the notebook's entry, which may be newer."""

    content: Mapping[str, Any]
    entry: Mapping[str, Any]


def export(notebook: Path, heading: str, run: Collection[str] = (), told: RunEntry | None = None) -> Path:
    """Write the page of an executed notebook beside it and return its path; arguments as in `page`."""
    path = notebook.with_suffix(".html")
    files.write_text(path, page(notebook, heading, run, told))
    return path


def page(
    notebook: Path, heading: str, run: Collection[str] = (), told: RunEntry | None = None, texts: bool = True
) -> str:
    """Return an executed notebook as HTML, with its pictures embedded.

    Under the title stand what was found, the key figure, and the run; code is folded, cells that show nothing with the
    next one, and the cell that records is left out.

    Args:
        notebook: the executed notebook's file; what it recorded lies in a folder of its name beside it.
        heading: the page's title.
        run: the notebooks of its run; a link to one of them leads to its page, a link to another becomes plain text.
        told: what is known of its run.
        texts: whether the page has what its cells print and show as tables, which may be profiles, answers and replies;
            pictures it has in any case.
    """
    executed = nbformat.read(notebook, as_version=4)
    executed.metadata["title"] = heading
    executed.cells = [cell for cell in executed.cells if not _is_for_the_run(cell)]
    first = next(
        (cell for cell in executed.cells if cell.cell_type == "markdown" and cell.source.startswith("# ")), None
    )
    if first:  # the template writes the title, above what was found
        first.source = first.source.partition("\n")[2].lstrip("\n")
    executed.cells = list(_joined(executed.cells))
    if not texts:
        _without_texts(executed.cells)
    if told:
        pictures.into(executed.cells, notebook.with_suffix("") / "figures", told.entry.get("alts", {}))
    stem = notebook.stem
    # Pictures in Markdown cells are files beside the original notebook, not beside its executed copy.
    resources: dict[str, Any] = {"metadata": {"name": heading, "path": str(notebooks.folder())}}
    resources |= {"told": _told(notebook, told), "around": _around(stem, run), "stem": stem}
    from . import item_tables  # it loads the statistics, which a run that fails to start need not wait for

    resources["items_of"] = stem if item_tables.are_in(notebook.with_suffix("")) else None
    html, _ = _exporter().from_notebook_node(executed, resources)
    html = html.replace("<th></th>", "<td></td>")  # the corner of a table of pandas heads nothing
    known = {**told.content["notebooks"], stem: told.entry} if told else {}
    found = findings.trust(known) if stem == findings.CRITIC else None
    return _with_contents(_linked(html, run, {findings.AUDITS: found} if found else {}))


def _joined(cells: Iterable[Any]) -> Iterator[Any]:
    """Yield cells, with code that shows nothing joined to the code that follows it: they are folded as one."""
    held = None
    for cell in cells:
        if held is not None and cell.cell_type == "code":
            cell.source = f"{held.source}\n\n{cell.source}"
        elif held is not None:
            yield held
        silent = cell.cell_type == "code" and not cell.outputs
        held = cell if silent else None
        if not silent:
            yield cell
    if held is not None:
        yield held


def _without_texts(cells: Iterable[Any]) -> None:
    """Remove what code cells show, but for pictures."""
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if "image/png" in one.get("data", ())]


def _is_for_the_run(cell: Any) -> bool:
    """Return whether a cell is no part of a page: it records and did not break, or says what a copy of a run is."""
    records = cell.cell_type == "code" and RECORDS in cell.source and not _broke(cell)
    return records or notebooks.COPIED in cell.metadata.get("tags", ())


def _broke(cell: Any) -> bool:
    """Return whether a cell ended in an error."""
    return any(output.output_type == "error" for output in cell.outputs)


def _told(notebook: Path, told: RunEntry | None) -> dict[str, Any]:
    """Return what stands under a title: `about`, `headline`, `figure` (HTML), `tables`, `figures`, `run`.

    Of a notebook that is in no run, all are empty.
    """
    if told is None:
        return {"about": None, "headline": None, "figure": None, "tables": [], "figures": [], "run": []}
    content, entry = told
    key = entry.get("figure")
    alt = entry.get("alts", {}).get(key)
    git = content.get("git")
    facts = [
        ("run", content["preset"]["name"]),
        ("model", ", ".join(dict.fromkeys(map(findings.name, findings.models(entry)))) or "none"),
        ("judge", entry["parameters"].get("judge")),
        ("date", day(content["started"])),
        ("commit", git["commit"][:7] + (" with changes" if git["dirty"] else "") if git else None),
        ("calls", figure(usage.total(entry["steps"].values())["calls"]) if entry["steps"] else None),
        ("cost", usage.cost_text(usage.total(entry["steps"].values())["cost"]) if entry["steps"] else None),
    ]
    return {
        "about": content["preset"]["about"],
        "headline": entry.get("headline"),
        "figure": pictures.html(notebook.with_suffix("") / "figures", key, alt or entry.get("headline", ""), bool(alt)),
        "tables": entry.get("tables", []),
        "figures": entry.get("figures", []),
        "run": [(name, value) for name, value in facts if value],
    }


def _around(stem: str, run: Collection[str]) -> list[tuple[str, str, str]]:
    """Return the notebooks before and after one in its run, as ("previous" or "next", stem, title)."""
    known = set(notebooks.stems())
    order = [name for name in sorted(run) if name in known]
    if stem not in order:
        return []
    at = order.index(stem)
    beside = [("previous", at - 1), ("next", at + 1)]
    return [(what, order[i], notebooks.find(order[i]).title) for what, i in beside if 0 <= i < len(order)]


def _with_contents(html: str) -> str:
    """Return a page with the links to its second-level headings in place of the mark that its template leaves."""
    found = re.findall(r'<h2 id="([^"]+)">(.*?)(?:<a class="anchor-link".*?)?</h2>', html)
    links = "".join(f'<li><a href="#{anchor}">{re.sub("<[^>]+>", "", text)}</a></li>' for anchor, text in found)
    return html.replace(CONTENTS, f"<ol>{links}</ol>")


@cache
def _exporter() -> HTMLExporter:
    """Return what renders notebooks; it compiles the templates once, which takes as long as a page."""
    loaders = [jinja2.FileSystemLoader(DATA)]
    return HTMLExporter(
        template_file="notebook.html.j2", extra_loaders=loaders, embed_images=True, anchor_link_text="#"
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
    templates.filters |= {"figure": figure, "cost": usage.cost_text, "span": _span, "day": day}
    templates.filters |= {"state": findings.state, "named": findings.name, "workers": said.of_workers}
    asked, entries = manifest["models"], manifest["notebooks"].values()
    before = manifest["before"]
    used = usage.total([manifest["usage"], before["usage"]]) if before else manifest["usage"]
    shown = {
        "run": manifest,
        "judges": list(dict.fromkeys(filter(None, (entry.get("parameters", {}).get("judge") for entry in entries)))),
        "embedded": [findings.name(model) for model in asked if findings.is_embedded(model)],
        "findings": findings.rows(manifest["notebooks"]),
        "order": findings.ordered(manifest["notebooks"]),
        "trust": {findings.CRITIC: (findings.AUDITS, findings.trust(manifest["notebooks"]))},
        "used": used,
        "items": items,
    }
    return templates.get_template("index.html.j2").render(shown)


def figure(value: Any) -> str:
    """Return a metric as text, with a true minus: three significant digits, commas, and interval and n if known."""
    if value is None:
        return "missing"
    if isinstance(value, Mapping):
        middle, low, high, n = (figure(value[name]) for name in INTERVAL)
        return f"{middle} ({'no interval' if value['low'] is None else f'{low} to {high}'}, n = {n})"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    text = f"{value:,}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def _span(seconds: float) -> str:
    """Return a time span as text: seconds below two minutes, else minutes and seconds."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{tqdm.format_interval(seconds)} min"


def day(moment: str) -> str:
    """Return a time in ISO format as text such as '2 January 2026, 10:00 UTC'."""
    return datetime.fromisoformat(moment).strftime("%-d %B %Y, %H:%M UTC")
