"""Share: a run as one file that can be mailed: its index, notebooks and items as one HTML page, or its folder as a zip.

The page is one document, so that it is searched and printed as a whole. Links between its parts lead to places on it;
links to files that stay behind are plain text.
"""

import base64
import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from ... import UserError, files
from ..results import findings, manifests
from . import item_pages, item_tables, pages

COLORS = 128  # of a picture; a figure has fewer, but for its smoothed edges
DATA = '<script type="text/plain"'  # a block that is no script, but the items' data
LEFT_OUT = (".lock", ".new")
_PICTURE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")
_LINK = re.compile(r'<a href="([^":#]*)(?:#([^"]*))?"([^>]*)>(.*?)</a>', re.DOTALL)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_SCRIPT = re.compile(r"<script[ >].*?</script>", re.DOTALL)
_TAG = re.compile(r"^<script[^>]*>|</script>$")
_ID = re.compile(r' (id|aria-labelledby)="([^"]+)"')


def write(folder: Path, out: Path, texts: bool = True) -> Path:
    """Write a run as one file.

    Args:
        folder: of the run.
        out: the file: .html, or .zip for the whole folder with its tables and notebooks.
        texts: whether the page has what people and models said: without them its items have no texts, and of its
            notebooks only prose, findings and pictures are there.

    Returns:
        `out`.

    Raises:
        UserError: there is no run in the folder, `out` is neither .html nor .zip, or a zip is wanted without texts.
    """
    content = manifests.read(folder) if (folder / manifests.NAME).is_file() else None
    if content is None:
        inner = sorted((path.parent for path in folder.rglob(manifests.NAME)), key=lambda path: len(path.parts))
        such = f", such as {inner[0]}" if inner else ""
        raise UserError(f"{folder} is no run: give the folder of one, which has a {manifests.NAME}{such}")
    if out.suffix == ".html":
        files.write_text(out, page(folder, content, texts))
    elif out.suffix != ".zip":
        raise UserError(f"{out} must end in .html or .zip")
    elif not texts:
        raise UserError("a .zip has the run's tables, thus all texts: without them, choose a file that ends in .html")
    else:
        files.write(out, lambda half: _zip(folder, half))
    return out


def _zip(folder: Path, out: Path) -> None:
    """Write all files of a run as a zip, in a folder of its name."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            inner = path.relative_to(folder)
            if path.is_file() and inner.parts[0] not in LEFT_OUT:
                archive.write(path, Path(folder.name) / inner)


def page(folder: Path, content: Mapping[str, Any], texts: bool = True) -> str:
    """Return a run as one page.

    Args:
        folder: of the run.
        content: of its manifest.
        texts: as in `write`.
    """
    entries = content["notebooks"]
    there = [stem for stem in findings.ordered(entries) if (folder / f"{stem}.ipynb").is_file()]
    parts, styles = [], []
    for stem in there:
        entry = entries[stem].get("kept", entries[stem])
        told = pages.RunEntry(content, entry)
        html = pages.page(folder / f"{stem}.ipynb", entries[stem]["title"], there, told, texts)
        parts.append({"kind": "notebook", "id": f"{stem}-page", "html": _own(_inner(html), stem)})
        styles += _STYLE.findall(html)
    scripts: list[str] = []
    items = any(item_tables.are_in(folder / stem) for stem in entries)
    if items:
        html = item_pages.page(folder, texts)
        scripts, styles = _SCRIPT.findall(html), [*styles, *_STYLE.findall(html)]
        parts.append({"kind": "items", "id": "items-page", "html": _inner(html)})
    known = {"index.html": "index-page", **{f"{stem}.html": f"{stem}-page" for stem in there}}
    known |= {pages.ITEMS: "items-page"} if items else {}
    shown = {
        "name": content["preset"]["name"],
        "index": Markup(_linked(_with_figures(_inner(pages.index(content, items)), folder), known)),
        "parts": [part | {"html": Markup(_PICTURE.sub(_shrunk, _linked(part["html"], known)))} for part in parts],
        "style": Markup("\n".join(dict.fromkeys(styles))),
        "scripts": Markup("\n".join(scripts)),
        "allowed": [item_pages.allowed(_TAG.sub("", script)) for script in scripts if not script.startswith(DATA)],
    }
    return pages.environment().get_template("share.html.j2").render(shown)


def _inner(html: str) -> str:
    """Return what is in the main element of a page."""
    return html.partition("<main>")[2].rpartition("</main>")[0]


def _own(html: str, stem: str) -> str:
    """Return a notebook's part with ids, and links to them, that no other notebook has."""
    html = _ID.sub(rf' \1="{stem}--\2"', html)
    html = re.sub(r'(href="#|url\(#)([^")]+)', rf"\g<1>{stem}--\g<2>", html)
    return re.sub(r'aria-label="((?:On this|Other|Run)[^"]*)"', rf'aria-label="\1 ({stem})"', html)


def _linked(html: str, known: Mapping[str, str]) -> str:
    """Return a part whose links to pages lead to their places, and to files that stay behind are plain text."""

    def there(link: re.Match[str]) -> str:
        name, place, more, text = link.groups()
        if not name:
            return link[0]
        if name not in known:
            return text
        stem = name.removesuffix(".html")
        inside = place if name == pages.ITEMS else f"{stem}--{place}"
        return f'<a href="#{inside if place else known[name]}"{more}>{text}</a>'

    return _LINK.sub(there, html)


def _with_figures(html: str, folder: Path) -> str:
    """Return the index with its figures in it, each as PNG of few colours or as SVG, whichever is smaller."""

    def there(source: re.Match[str]) -> str:
        png = folder / source[1]
        if not png.is_file():
            return source[0]
        small = _few_colors(png.read_bytes())
        svg = png.with_suffix(".svg")
        drawn = svg.read_bytes() if svg.is_file() else small
        kind, data = ("svg+xml", drawn) if len(drawn) < len(small) else ("png", small)
        return f'src="data:image/{kind};base64,{base64.b64encode(data).decode()}"'

    return re.sub(r'src="([^":]+\.png)"', there, html)


def _shrunk(picture: re.Match[str]) -> str:
    """Return an embedded PNG with few colours."""
    return f"data:image/png;base64,{base64.b64encode(_few_colors(base64.b64decode(picture[1]))).decode()}"


def _few_colors(png: bytes) -> bytes:
    """Return a PNG with at most COLORS colours, or as it is if that is smaller."""
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLORS).save(out, "PNG", optimize=True)
    return min(png, out.getvalue(), key=len)
