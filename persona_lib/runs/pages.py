"""Pages: the HTML of an executed notebook and the index page of a run.

Both are one file that asks for nothing outside its folder, and say so to the browser (Content-Security-Policy), so
that they can be mailed and printed. The templates are data/notebook.html.j2 and data/index.html.j2.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from nbconvert import HTMLExporter
from tqdm import tqdm

from ..model import usage
from . import notebooks

DATA = Path(__file__).parent / "data"


def export(notebook: Path, heading: str) -> Path:
    """Write an executed notebook as HTML beside it, pictures embedded, and return where."""
    executed = nbformat.read(notebook, as_version=4)
    executed.metadata["title"] = heading
    exporter = HTMLExporter(
        template_file="notebook.html.j2",
        extra_loaders=[jinja2.FileSystemLoader(DATA)],
        embed_images=True,
        exclude_anchor_links=True,
    )
    # Pictures in the prose lie beside the notebook that was executed, not beside its copy.
    resources = {"metadata": {"name": heading, "path": str(notebooks.folder())}}
    page = notebook.with_suffix(".html")
    page.write_text(exporter.from_notebook_node(executed, resources)[0], "utf-8")
    return page


def index(manifest: Mapping[str, Any]) -> str:
    """The index page of a run, from its manifest."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DATA),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": _figure, "cost": usage.cost_text, "span": _span, "day": _day}
    return environment.get_template("index.html.j2").render(run=manifest)


def _figure(value: Any) -> str:
    """A metric as a reader likes it: three significant digits, thousands apart."""
    if value is None:
        return "missing"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) or abs(value) >= 1000 else f"{value:.3g}"


def _span(seconds: float) -> str:
    """A time span: seconds below two minutes, else minutes and seconds."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{tqdm.format_interval(seconds)} min"


def _day(moment: str) -> str:
    """A time in UTC as a reader likes it."""
    return datetime.fromisoformat(moment).strftime("%-d %B %Y, %H:%M UTC")
