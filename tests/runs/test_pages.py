"""A run's pages in a real Chromium, on a phone and on a desk: nothing broken, fetched, cut off or hidden."""

import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import figures
import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from places import ROOT

from persona_lib.runs.pages import pages

PAGES = ("index", "01_personas", "06_conditioning")
NO_FIGURE = "Array.from(document.images).filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.src.slice(0, 80))"
SHRUNK = """Math.min(...Array.from(document.images).map(i =>
    i.width / i.naturalWidth / (i.closest('.notebook header') ? 0.6 : 1)),
    ...Array.from(document.querySelectorAll('figure > svg')).map(s =>
    s.getBoundingClientRect().width / (s.viewBox.baseVal.width * 96 / 72)))"""  # the header has the recorded PNG
FIGURES = "document.querySelectorAll('figure > :is(img, svg)').length"
CUT_OFF = """Array.from(document.body.querySelectorAll('*'))
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.parentElement.closest('[tabindex]'))
    .map(e => e.outerHTML.slice(0, 80))"""
SMALLEST = """Math.min(...Array.from(document.body.querySelectorAll('*'))
    .filter(e => Array.from(e.childNodes).some(n => n.nodeType === 3 && n.textContent.trim()))
    .filter(e => e.checkVisibility() && !e.closest('svg, style'))
    .map(e => parseFloat(getComputedStyle(e).fontSize)))"""


@pytest.fixture(scope="module")
def folder(replay):
    """The folder of the replayed run, and in it the page of the largest notebook as it is committed."""
    pages.export(Path(shutil.copy(ROOT / "notebooks" / "01_personas.ipynb", replay)), "Personas")
    return replay


@pytest.fixture
def opened(browser, folder, request):
    """Opens a page of that folder at a width; nothing may come of it but the page, and nothing is fetched."""
    faults = []

    def open_page(name: str, width: int):
        context = browser.new_context(viewport={"width": width, "height": 900})
        request.addfinalizer(context.close)
        page = context.new_page()
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: faults.append(str(e)))

        def only_the_folder(route):
            url = route.request.url
            if url.startswith("data:") or Path(unquote(urlsplit(url).path)).is_relative_to(folder):
                return route.continue_()
            faults.append(url)
            return route.abort()

        page.route("**/*", only_the_folder)
        page.goto((folder / f"{name}.html").as_uri())
        return page

    yield open_page
    assert faults == []


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_readable_and_asks_for_nothing_outside_its_folder(opened, name, width):
    page = opened(name, width)
    assert page.evaluate(NO_FIGURE) == [] and page.evaluate(FIGURES) >= 2
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width and page.evaluate(CUT_OFF) == []
    assert "width=device-width" in page.get_attribute("meta[name=viewport]", "content")
    assert page.evaluate(SMALLEST) >= 12
    # 0.6 of a PNG's 160 dots to the inch, or all of a notebook's 86 to 100, and 8 points are 8 points.
    assert page.evaluate(SHRUNK) >= (0.95 if name != "index" else 0.6 if width > 400 else 0.5)
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize("name", PAGES)
def test_on_paper_nothing_is_cut_off_or_folded_and_the_index_has_its_table(opened, name):
    page = opened(name, 718)  # A4 between Chromium's margins
    page.emulate_media(media="print")
    wide = CUT_OFF.replace(" && !e.parentElement.closest('[tabindex]')", " && e.checkVisibility()")
    assert page.evaluate(wide) == []
    assert not page.locator("details.code, .back, .scroll > .usage").filter(visible=True).count()
    assert name != "index" or page.locator(".findings thead").is_visible()


def test_a_finding_has_the_width_of_a_phone(opened):
    cell = opened("index", 400).locator(".findings tbody td").first
    assert cell.bounding_box()["width"] > 300


def test_every_link_of_the_index_leads_somewhere(opened, replay):
    page = opened("index", 1400)
    links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
    assert len(links) > 60 and any(link.endswith("/items.html") for link in links)
    for link in map(urlsplit, links):
        assert link.scheme == "file" and Path(unquote(link.path)).is_file(), link.geturl()
        if link.fragment and link.path.endswith("index.html"):
            assert page.query_selector(f"[id='{link.fragment}']"), link.geturl()


def test_every_figure_of_a_run_is_lettered_in_8_points_at_least_and_says_n(replay):
    found = figures.written(replay)
    assert len(found) == 9 and not any(found.values()), found


def test_a_negative_metric_has_a_true_minus():
    assert [pages.figure(value) for value in (-0.0123, -2000, 3)] == ["−0.0123", "−2,000", "3"]


def test_code_that_shows_nothing_is_folded_with_the_next(tmp_path):
    v4, shown = nbformat.v4, [nbformat.v4.new_output("stream", text="it says")]
    cells = [v4.new_code_cell("a = 1"), v4.new_code_cell("b = 2"), v4.new_code_cell("print(a)", outputs=shown)]
    cells += [v4.new_code_cell("c = 3"), v4.new_markdown_cell("Prose."), v4.new_code_cell("d = 4")]
    nbformat.write(v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    html = pages.page(tmp_path / "n.ipynb", "A page")
    assert html.count("<summary>Code</summary>") == 3 and "it says" in html
    assert html.index("Prose.") > html.index('<span class="mi">3</span>') > html.index("it says")


def test_a_link_to_a_notebook_leads_to_its_page_where_the_run_has_that_notebook(tmp_path):
    text = "[how far](10_judges.ipynb), [where](07_summaries.ipynb#x), [elsewhere](https://a.example/b.ipynb)"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), tmp_path / "n.ipynb")
    html = pages.export(tmp_path / "n.ipynb", "A page", ["10_judges", "07_summaries"]).read_text("utf-8")
    assert '<a href="10_judges.html">how far</a>' in html and '<a href="07_summaries.html#x">where</a>' in html
    assert "https://a.example/b.ipynb" in html
    html = pages.export(tmp_path / "n.ipynb", "A page", []).read_text("utf-8")
    assert "<p>how far, where, " in html
