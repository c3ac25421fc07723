"""The persona browser: its tables, its widget, and the notebook in a real JupyterLab in a real browser."""

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
from places import ROOT
from waits import LONG_S, until

from persona_lib import UserError, personas
from persona_lib.personas import browser, profiles, search
from persona_lib.runs.pages import pages, start


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


def test_words_labels_and_ranges_find_people(people):
    found = browser.find(people, words="teacher")
    told = personas.profiles.texts(found)
    assert 0 < len(found) < len(people) and told.str.contains("teacher", case=False).all()
    assert len(browser.find(people, words='"sex: male"')) == (people["sex"] == "Male").sum()
    assert browser.find(people, words="eacher").empty  # a word is looked for from its beginning
    assert len(browser.find(people, words='"Never married" ohio')) <= len(browser.find(people, words="Ohio married"))
    found = browser.find(people, "age > 20", "catholic", {"sex": "Female", "income": (10_000, 60_000)})
    assert len(found) and found["income"].between(10_000, 60_000).all() and set(found["sex"]) == {"Female"}
    assert found["religion"].eq("Catholic").all() and (found["age"] > 20).all()
    with pytest.raises(UserError, match="have no 'shoe size'"):
        browser.find(people, chosen={"shoe size": "44"})


def test_shares_of_those_found_stand_beside_everybodys(people):
    old = people[people["age"] >= 75]
    table = search.shares(people, old)
    assert table.loc[("age", "75 or older")].tolist() == [len(old) / len(people), 1.0]
    for attribute, part in table.groupby("attribute"):
        assert part.sum().round(9).tolist() == [1.0, 1.0], attribute
        assert len(part) <= max(search.MOST + 1, len(search.AGES))
    assert search.shares(people, people.head(0))["found"].isna().all()
    assert search.bars(table).count("<table") == len(search.GROUPS)


def test_the_widget_starts_with_an_adult_filters_reads_and_compares(people):
    seen = browser.browser(people)
    assert seen.said.value == "120 of 120 personas" and len(seen.list.df) == 120
    assert people.loc[seen.chosen[0], "age"] >= 18
    seen.query.value = "age >= 65"
    old = people[people["age"] >= 65]
    assert seen.said.value == f"{len(old)} of 120 personas" and seen.list.df["age"].tolist() == old["age"].tolist()
    seen.list.selected_rows = [1, 2]
    assert seen.chosen == list(old.index[1:3])
    assert f"age: {old['age'].iloc[1]}" in seen.cards.value and "<b>" in seen.table.value
    assert f"{old['given name'].iloc[2]}, {old['age'].iloc[2]}" in seen.table.value
    seen.form.value = "interview"
    assert "Q: How old are you?" in seen.cards.value
    seen.query.value = "age > 98"
    assert seen.said.value == "0 of 120 personas" and seen.cards.value == "" and seen.chosen == []
    seen.clear.click()
    assert seen.said.value == "120 of 120 personas" and seen.chosen
    seen.choices["sex"].value = "Male"
    seen.ranges["age"].value = (30.0, 50.0)
    assert set(seen.list.df["sex"]) == {"Male"} and seen.list.df["age"].between(30, 50).all()


@pytest.mark.parametrize(("query", "told"), [("teacher", "Words go into the search"), ("age ==", "can't be read")])
def test_a_query_that_cannot_be_read_is_told_in_one_line_and_the_list_stays(people, query, told):
    seen = browser.browser(people)
    seen.query.value = query
    assert told in seen.said.value and "\n" not in seen.said.value and len(seen.list.df) == 120


def test_nobody_to_browse_is_an_error(people):
    with pytest.raises(UserError, match="no people"):
        browser.browser(people.head(0))


def test_people_without_some_attributes_are_browsed_too(people):
    seen = browser.browser(people[["sex", "religion"]].astype("str"))
    assert seen.said.value == "120 of 120 personas" and list(seen.ranges) == [] and len(seen.chosen) == 1


def test_the_last_choice_is_shown_also_if_widgets_are_handled_in_two_threads(people, monkeypatch):
    seen = browser.browser(people)
    describe, begun, overtaken = profiles.texts, threading.Event(), threading.Event()

    def slowly(few, kind):
        if kind == "list":
            begun.set()
            overtaken.wait(0.5)
        return describe(few, kind)

    monkeypatch.setattr(profiles, "texts", slowly)
    reader = threading.Thread(target=setattr, args=(seen.list, "selected_rows", [3]))
    reader.start()
    assert begun.wait(LONG_S)
    seen.form.value = "prose"
    overtaken.set()
    reader.join(LONG_S)
    assert "<div>This is about one person." in seen.cards.value


def test_a_persona_cannot_write_html_into_the_page(people):
    sly = people.head(2).assign(lifestyle="<script>alert(1)</script>", **{"given name": "<script>x</script>"})
    seen = browser.browser(sly)
    seen.list.selected_rows = [0, 1]
    assert "&lt;script&gt;" in seen.cards.value and "&lt;script&gt;" in seen.table.value
    assert "<script" not in seen.cards.value + seen.table.value + seen.shares.value
    assert "<script" not in seen.list._dt_args["data_json"]


def test_a_text_is_wrapped_and_otherwise_as_described(people):
    row = people[people["age"] >= 30].iloc[0]
    for form in profiles.FORMS:
        shown = browser.read(row, form)
        assert max(map(len, shown.splitlines())) <= browser.WIDTH
        assert shown.split() == personas.describe(row, form).split()


def test_the_page_of_the_notebook_says_where_the_browser_works_and_has_no_script(tmp_path):
    copy = Path(shutil.copy(ROOT / "notebooks" / "00_explore.ipynb", tmp_path))
    page = pages.export(copy, "Who are the personas?").read_text("utf-8")
    widgets = copy.read_text("utf-8").count("application/vnd.jupyter.widget-view+json")
    assert page.count("Interactive: open the notebook in JupyterLab") == widgets > 0 and "<script" not in page


def free_port() -> int:
    """A port that nobody listens at, and that is given to no connection meanwhile: those have ports from 32768 on."""
    for port in random.sample(range(20_000, 32_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab on the loopback address that serves a copy of the notebook and the start page."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "00_explore.ipynb", tmp_path / "notebooks")
    start.write(tmp_path / "outputs")
    port = free_port()
    own = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    own |= {f"JUPYTERLAB_{kind}_DIR": str(tmp_path / kind) for kind in ("SETTINGS", "WORKSPACES")}
    # By default JupyterLab removes outputs that are out of view from the page.
    setting = tmp_path / "SETTINGS" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    setting.parent.mkdir(parents=True)
    setting.write_text('{"windowingMode": "none"}')
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    options = [f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0", "--allow-root"]
    options += [f"--ServerApp.root_dir={tmp_path}", "--IdentityProvider.token=explore", "--no-browser"]
    options += ["--LabApp.default_url=/lab/tree/outputs/START.ipynb"]
    options += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=os.environ | own | {"PYTHONPATH": path}, stderr=log
        )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert server.poll() is None, (tmp_path / "log").read_text()
        with suppress(OSError):  # it does not listen yet, or is slow
            urllib.request.urlopen(f"{address}/api", timeout=5).close()
            return True
        return False

    try:
        until(answers)
        yield address
    finally:
        server.terminate()
        server.wait(LONG_S)


def test_in_jupyterlab_the_start_page_leads_to_a_browser_that_finds_and_compares_as_in_notebook_7(browser, lab):
    from playwright.sync_api import expect  # optional: where it is missing, the fixture skips the test

    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(1000 * LONG_S)  # a kernel on a busy machine
    page.goto(f"{lab}/?token=explore")
    expect(page.get_by_role("heading", name="Three things to try")).to_be_visible()
    page.locator(".jp-RenderedMarkdown a", has_text="00_explore").first.click()
    expect(page.get_by_role("heading", name="Who are the personas?")).to_be_visible()
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    said = page.locator(".jupyter-widgets.widget-label").first
    expect(said).to_have_text("1,586 of 1,586 personas")
    words = page.get_by_placeholder("teacher")
    words.fill("teacher")
    words.press("Enter")
    expect(said).to_have_text(re.compile(r"^\d\d of 1,586 personas$"))
    rows = page.locator(".dt-scroll-body tbody tr")
    expect(page.locator(".dt-info")).to_contain_text(f"of {said.text_content().split()[0]} entries")
    card = page.locator(".widget-tab .widget-html").first
    rows.nth(3).click()
    name, age = rows.nth(3).locator("td").all_text_contents()[:2]
    expect(card).to_contain_text(f"{name}, {age}, ")
    rows.nth(4).click(modifiers=["Control"])
    page.locator(".widget-tab .lm-TabBar-tab", has_text="Compare").click()
    table = page.locator(".widget-tab .widget-html table").first
    expect(table.locator("thead th")).to_have_count(3)
    assert table.locator("b").count() > 5
    page.close()
    plain = browser.new_page(viewport={"width": 1400, "height": 1000})  # Notebook 7, on the same server
    plain.set_default_timeout(60_000)
    plain.goto(f"{lab}/notebooks/notebooks/00_explore.ipynb?token=explore")
    expect(plain.get_by_role("heading", name="Who are the personas?")).to_be_visible()
    plain.get_by_role("menuitem", name="Run", exact=True).click()
    plain.get_by_role("menuitem", name=re.compile("^Run All Cells")).click()
    expect(plain.locator(".jupyter-widgets.widget-label").first).to_have_text("1,586 of 1,586 personas")
    row = plain.locator(".dt-scroll-body tbody tr").nth(3)
    row.click()
    name, age = row.locator("td").all_text_contents()[:2]
    expect(plain.locator(".widget-tab .widget-html").first).to_contain_text(f"{name}, {age}, ")
    plain.close()
