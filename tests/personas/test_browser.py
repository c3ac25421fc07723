"""The persona browser: its tables, its widget, and the notebook in a real JupyterLab in a real browser."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
from places import ROOT

from persona_lib import UserError, personas
from persona_lib.personas import browser, profiles
from persona_lib.runs import pages


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return personas.sample(120, seed=4)


def test_an_empty_filter_matches_everybody_and_others_some(people):
    assert browser.find(people, " ") is people
    found = browser.find(people, "age < 30 and sex == 'Female'")
    assert 0 < len(found) < 60 and (found["age"] < 30).all() and set(found["sex"]) == {"Female"}
    with pytest.raises(UserError, match="can't be read"):
        browser.find(people, "agee < 30")


def test_two_personas_side_by_side_differ_where_they_differ(people):
    adults = people[people["age"] >= 30]
    table = browser.compare(people, list(adults.index[:2]))
    first, second = adults.iloc[0], adults.iloc[1]
    assert table.loc["age"].tolist() == [first["age"], second["age"], first["age"] != second["age"]]
    for attribute, row in table.iterrows():
        same = first[attribute] == second[attribute] or (pd.isna(first[attribute]) and pd.isna(second[attribute]))
        assert row["differs"] == (not same), attribute
    assert browser.compare(people, [adults.index[0]])["differs"].eq(False).all()


def test_the_widget_filters_reads_compares_and_says_what_is_wrong_with_a_filter(people):
    where, said, first, second, form, text, table = browser.browser(people).children
    assert said.value == "120 of 120 personas" and len(first.options) == 120
    where.value = "age >= 65"
    old = people[people["age"] >= 65]
    assert said.value == f"{len(old)} of 120 personas" and [i for _, i in first.options] == list(old.index)
    first.value, second.value = old.index[1], old.index[2]
    assert f"age: {old['age'].iloc[1]}" in text.value and "<b>" in table.value
    assert f"{old['given name'].iloc[2]}, {old['age'].iloc[2]}, " in table.value and old.index[2] not in table.value
    form.value = "interview"
    assert "Q: How old are you?" in text.value
    where.value = "agee >= 65"
    assert "can't be read" in said.value and len(first.options) == len(old)
    where.value = "age > 98"
    assert said.value == "0 of 120 personas" and text.value == ""


def test_the_last_choice_is_shown_also_if_widgets_are_handled_in_two_threads(people, monkeypatch):
    _, _, first, _, form, text, _ = browser.browser(people).children
    describe, begun, overtaken = profiles.describe, threading.Event(), threading.Event()

    def slowly(row, kind):
        if kind == "list":
            begun.set()
            overtaken.wait(0.5)
        return describe(row, kind)

    monkeypatch.setattr(profiles, "describe", slowly)
    reader = threading.Thread(target=setattr, args=(first, "index", 3))
    reader.start()
    assert begun.wait(10)
    form.value = "prose"
    overtaken.set()
    reader.join(10)
    assert text.value.startswith("<div>This is about one person.")


def test_a_persona_cannot_write_html_into_the_page(people):
    sly = people.head(2).assign(lifestyle="<script>alert(1)</script>")
    *_, text, table = browser.browser(sly).children
    assert "&lt;script&gt;" in text.value and "<script" not in text.value + table.value


def test_a_text_is_wrapped_and_otherwise_as_described(people):
    row = people[people["age"] >= 30].iloc[0]
    for form in profiles.FORMS:
        shown = browser.read(row, form)
        assert max(map(len, shown.splitlines())) <= browser.WIDTH
        assert shown.split() == personas.describe(row, form).split()


def test_the_page_of_the_notebook_says_where_the_browser_works_and_has_no_script(tmp_path):
    copy = shutil.copy(ROOT / "notebooks" / "00_explore.ipynb", tmp_path)
    page = pages.export(Path(copy), "Who are the personas?").read_text("utf-8")
    assert page.count("Interactive: open the notebook in JupyterLab") == 1 and "<script" not in page


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab on the loopback address that serves a copy of the notebook."""
    shutil.copy(ROOT / "notebooks" / "00_explore.ipynb", tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    own |= {f"JUPYTERLAB_{kind}_DIR": str(tmp_path / kind) for kind in ("SETTINGS", "WORKSPACES")}
    # By default JupyterLab removes outputs that are out of view from the page.
    setting = tmp_path / "SETTINGS" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    setting.parent.mkdir(parents=True)
    setting.write_text('{"windowingMode": "none"}')
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    options = [f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0", "--allow-root"]
    options += [f"--ServerApp.root_dir={tmp_path}", "--IdentityProvider.token=", "--no-browser"]
    options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=os.environ | own | {"PYTHONPATH": path}, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except urllib.error.URLError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def test_the_notebook_in_jupyterlab_lets_one_filter_read_and_compare(browser, lab):
    from playwright.sync_api import expect  # optional: where it is missing, the fixture skips the test

    expect.set_options(timeout=60_000)  # a kernel on a busy machine
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab/tree/00_explore.ipynb")
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    said = page.locator(".jupyter-widgets.widget-label")
    expect(said).to_have_text("1,586 of 1,586 personas")
    where = page.locator(".jupyter-widgets.widget-text input")
    where.fill("age >= 80 and sex == 'Female'")
    where.press("Enter")
    expect(said).to_have_text(re.compile(r"^\d\d of 1,586 personas$"))
    lists = page.locator(".jupyter-widgets.widget-select select")
    expect(lists.nth(1).locator("option")).to_have_count(int(said.text_content().split()[0]))
    lists.nth(0).select_option(index=3)
    lists.nth(1).select_option(index=4)
    page.locator(".widget-dropdown select").select_option("prose")
    expect(page.locator(".widget-html").first).to_contain_text("This is about one person. They are 8")
    expect(page.locator(".widget-html").first).to_contain_text("They are female.")
    table = page.locator(".widget-html table")
    expect(table.locator("thead th")).to_have_count(3)
    assert table.locator("b").count() > 5
    page.close()
