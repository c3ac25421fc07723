"""Time the page of a run's items in Chromium: how long it takes to write, to load, to search, to filter and to open.

    persona rehearse --preset small --out FOLDER && python benchmarks/items.py FOLDER/run --store FOLDER/replies.sqlite

Each time is the median of several tries, in ms, until the page shows the result; of the load from the address to the
table, with unpacking. Needs the test extra and a program chromium.
"""

import argparse
import os
import shutil
import statistics
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from persona_lib.runs.pages import item_pages

TRIES = 5
WORDS = ("neighbor", "refusal", "age: 6", "planted-2", "zzz")
COUNT = "document.querySelector('.dt-info').textContent"
# Run in the page: changes a field, and waits until the table says another number of items and is painted.
SEARCH = """async (word) => {
    const field = document.getElementById('search'); const info = () => document.querySelector('.dt-info').textContent;
    const before = info(); field.value = word; const start = performance.now();
    field.dispatchEvent(new Event('input'));
    while (info() === before && performance.now() - start < 5000) await new Promise(requestAnimationFrame);
    return performance.now() - start; }"""
FILTER = """async (at) => {
    const field = document.querySelectorAll('select[data-column]')[0]; const start = performance.now();
    field.selectedIndex = at % field.options.length; field.dispatchEvent(new Event('change'));
    await new Promise(requestAnimationFrame); return performance.now() - start; }"""
OPEN = """async (id) => {
    const body = document.getElementById('item-body'); const start = performance.now();
    location.hash = id; while (document.getElementById('item').hidden) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame); const took = performance.now() - start;
    location.hash = ''; while (!document.getElementById('item').hidden) await new Promise(requestAnimationFrame);
    return took; }"""


def loaded(page: Page, address: str) -> float:
    """Return how long a page takes to load until its table is there, in ms."""
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path, help="folder of a run")
    arguments.add_argument("--store", help="its response store [default: PERSONA_STORE, or outputs/responses.sqlite]")
    arguments.add_argument("--width", type=int, default=1400)
    given = arguments.parse_args()
    if given.store:
        os.environ["PERSONA_STORE"] = given.store
    start = time.perf_counter()
    page_file = item_pages.write(given.run)
    print(f"written in {time.perf_counter() - start:.1f} s, {page_file.stat().st_size / 1e6:.1f} MB")
    flags = "no-sandbox disable-gpu disable-background-networking disable-component-update disable-sync no-first-run"
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        chromium = playwright.chromium.launch(executable_path=program, args=[f"--{flag}" for flag in flags.split()])
        page = chromium.new_page(viewport={"width": given.width, "height": 900})
        address = page_file.absolute().as_uri()
        took = {"load": [loaded(page, address) for _ in range(TRIES)]}
        print(page.evaluate(COUNT))
        took["search"] = [page.evaluate(SEARCH, word) for word in WORDS]
        page.click("#clear")
        took["filter"] = [page.evaluate(FILTER, 1 + k) for k in range(TRIES)]
        page.click("#clear")
        ids = page.eval_on_selector_all("#items a", "all => all.map(a => a.hash.slice(1))")
        took["open"] = [page.evaluate(OPEN, one) for one in ids[:: max(1, len(ids) // TRIES)][:TRIES]]
        heap = page.evaluate("performance.memory ? performance.memory.usedJSHeapSize : 0")
        chromium.close()
    for what, times in took.items():
        print(f"{what:8}{statistics.median(times):8.0f} ms  (at most {max(times):.0f})")
    print(f"memory of the page: {heap / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
