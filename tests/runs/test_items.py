"""Items of a run, one by one: what they are, their page in a real Chromium, what it leaves out, the widget."""

import json
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from endpoint import Endpoint, completion

from persona_lib import UserError, bench, personas, runs
from persona_lib.model import Model
from persona_lib.model.anew import again
from persona_lib.runs.pages import item_pages, item_tables, pages
from persona_lib.store import Store

PEOPLE = pd.DataFrame(
    {
        "age": [63, 30, 41],
        "sex": ["Female", "Male", "Female"],
        "detailed job description": ["school secretary who answers the phone", None, "baker; up at four"],
        "state": ["Ohio", "Texas", None],
    },
    index=pd.Index(["p0", "p1", "p2"], name="persona_id"),
)
PROMPTS = pd.DataFrame({"prompt_id": ["q0", "q1"], "prompt": ["Why <b>so</b>?", "Who pays?"], "topic": "x"})
SLY = "<img src=x onerror=\"document.title='broken'\"></script><script>document.title='broken'</script>"


def answer(body: dict) -> dict:
    """A stand-in for a model: refuses the baseline's first question, and as a judge keeps what direct answers say."""
    said = str(body["messages"])
    if "verdict" in str(body["response_format"]):
        verdict = "keep" if "As you are" in said else "revise"
        return completion(json.dumps({"critique": f"It is a {verdict}.", "grade": 4, "verdict": verdict}))
    if "age: " in said:
        return completion(json.dumps({"answer": f"As you are, do it. {SLY}"}))
    return (
        completion("", refusal="I would rather not") if "Who pays" in said else completion('{"answer": "Just do it."}')
    )


@pytest.fixture
def made(tmp_path) -> tuple[Path, pd.DataFrame]:
    """The folder of a run with one notebook's results, whose replies are in the store; and the results."""
    with Endpoint(answer) as endpoint:
        model = Model("m", endpoint.url)
        drawn = bench.items(PEOPLE, PROMPTS, 6, seed=0)
        results = bench.conditioning(drawn, [model], model, ["baseline", "direct"])
    return run_of(tmp_path / "run", results, PEOPLE), results


def run_of(folder: Path, results: pd.DataFrame, people: pd.DataFrame | None = None, **parameters) -> Path:
    tables = folder / "06_conditioning" / "tables"
    tables.mkdir(parents=True)
    results.to_parquet(tables / "results.parquet")
    if people is not None:
        people.to_parquet(tables / "people.parquet")
    entry = {"title": "06", "status": "done", "error": None, "seconds": 1, "steps": {}, "parameters": parameters}
    about = {"name": "tiny", "about": "A test."}
    manifest = {"started": "2026-01-01T00:00:00+00:00", "status": "done", "versions": {}, "preset": about}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"notebooks": {"06_conditioning": entry}}))
    return folder


def test_items_of_the_notebook_that_matters_most_come_first(made):
    folder, _ = made
    shutil.copytree(folder / "06_conditioning", folder / "03_preferences")
    assert list(item_tables.of_run(folder).table["notebook"].unique()) == ["06_conditioning", "03_preferences"]


def test_each_answer_and_its_verdict_or_failure_is_an_item_of_a_person_described_in_a_few_words(made):
    folder, results = made
    table, people, notes = item_tables.of_run(folder)
    assert len(table) == len(results) == 12 and table["id"].is_unique and notes == []
    assert table["verdict"].value_counts().to_dict() == {"keep": 6, "revise": 3}
    failed = table[table["failure"].notna()]
    assert set(failed["failure"]) == {"answer: refusal: I would rather not"} and len(failed) == 3
    assert people["brief"].to_dict() == {
        "p0": "woman, 63, school secretary, Ohio",
        "p1": "man, 30, Texas",
        "p2": "woman, 41, baker",
    }
    assert people.loc["p0", ["sex", "age group"]].tolist() == ["Female", "55 or older"]
    again = item_tables.of_table(results.iloc[::-1], "06_conditioning", "results").iloc[::-1]
    assert again["id"].tolist() == table["id"].tolist()  # whatever else is in the table


def test_a_run_from_before_people_and_keys_were_recorded_has_items_too(made, tmp_path):
    _, results = made
    old = run_of(tmp_path / "old", results.drop(columns=["answer_key", "verdict_key"]))
    table, people, _ = item_tables.of_run(old)
    assert len(table) == 12 and table["answer_key"].isna().all()
    assert people["brief"].tolist() == ["woman, 63, school secretary", "man, 30", "woman, 41, baker"]
    assert item_pages.write(old).is_file()


def test_human_labels_stand_beside_the_verdicts_and_a_file_that_is_gone_is_noted(made, tmp_path):
    _, results = made
    row = results[results["condition"] == "direct"].iloc[0]
    label = {"persona_id": row.persona_id, "prompt_id": row.prompt_id, "condition": "direct"}
    labels = pd.DataFrame([label | {"annotator": who, "label": n} for who, n in (("a", 1), ("b", 0))])
    labels.to_csv(tmp_path / "labels.csv", index=False)
    folder = run_of(tmp_path / "labelled", results, labels=str(tmp_path / "labels.csv"))
    table, _, notes = item_tables.of_run(folder)
    assert table.loc[table["human"].notna(), "human"].to_dict() == {row.name: 0.5} and notes == []
    (tmp_path / "labels.csv").unlink()
    table, _, (note,) = item_tables.of_run(folder)
    assert note.endswith("(labels.csv)") and table["human"].isna().all()


def test_tables_of_pairs_choices_and_survey_answers_are_read_as_items_and_summaries_are_not():
    choice = {"persona_id": ["p"], "prompt_id": ["q"], "judge": ["j"], "choice": ["chosen"], "p_chosen": [0.8]}
    choices = pd.DataFrame(choice | {"design": ["shared"], "failure": [None], "choice_key": ["a b"]})
    two = pd.concat([choices, choices.assign(design="opposite", choice=None, failure="tie")], ignore_index=True)
    found = item_tables.of_table(two)
    assert found["condition"].tolist() == ["design: shared", "design: opposite"] and found["id"].is_unique
    assert found["verdict"].tolist()[0] == "chosen" and found["p"].tolist() == [0.8, 0.8]
    survey = {"source": ["m", "majority"], "answer": ["yes", "no"], "truth": ["no", "no"], "confidence": [0.7, None]}
    asked = {"item": "taxes, ANES 2024", "failure": None, "choice_key": ["a", None]}
    (row,) = item_tables.of_table(pd.DataFrame({"persona_id": "p", "prompt_id": "q"} | survey | asked)).to_dict(
        "records"
    )
    assert (row["judge"], row["verdict"], row["prompt"], row["p"]) == ("m", "yes", "taxes, ANES 2024", 0.7)
    assert pd.isna(row["answer"]) and row["truth"] == "no"
    assert item_tables.of_table(pd.DataFrame({"group": ["x"], "rate": [0.5], "failed": [0]})).empty


def test_a_choice_has_the_two_answers_that_it_is_between(tmp_path):
    pair = {"prompt_id": ["q"], "prompt": ["Why?"], "chosen": ["Yes."], "rejected": ["No."]}
    choice = pd.DataFrame({"persona_id": "p", "prompt_id": ["q"], "choice": "chosen", "failure": None})
    folder = run_of(tmp_path / "run", choice.assign(design="shared"))
    pd.DataFrame(pair | {"design": ["shared"]}).to_parquet(folder / "06_conditioning" / "tables" / "pairs.parquet")
    (row,) = item_tables.of_run(folder).table.to_dict("records")
    assert (row["prompt"], row["chosen"], row["rejected"]) == ("Why?", "Yes.", "No.")
    rival = choice.assign(pair_id="a", comparison="another's revision")
    folder = run_of(tmp_path / "rivals", rival)
    own = pd.DataFrame(pair | {"pair_id": ["a"], "persona_id": "p", "failure": None})
    own.to_parquet(folder / "06_conditioning" / "tables" / "pairs.parquet")
    rows = item_tables.of_run(folder).table.set_index("table")
    assert rows.loc["results", "chosen"] == "Yes." and pd.isna(rows.loc["results", "rejected"])


def test_a_missing_table_or_a_folder_without_a_run_is_told_in_one_line(made, tmp_path):
    folder, _ = made
    (folder / "06_conditioning" / "tables" / "results.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"results\.parquet can't be read .* run its notebook again"):
        item_tables.of_run(folder)
    with pytest.raises(UserError, match="no run in"):
        item_tables.of_run(tmp_path / "none")


def test_a_page_has_each_text_once_and_what_was_asked_in_shared_paragraphs(made):
    folder, results = made
    content = item_pages.content_of(item_tables.of_run(folder), [Store().get])
    strings = content["strings"]
    assert len(set(strings)) == len(strings) and strings.count(results["profile"][0]) == 1
    direct = next(i for i, row in enumerate(results.itertuples()) if row.condition == "direct")
    steps = {strings[step]: content["requests"][place] for step, place in content["trail"][direct]}
    assert list(steps) == ["answer", "verdict"]
    sent = ["\n\n".join(strings[part] for part in parts) for _, parts in steps["verdict"]["messages"]]
    assert results["answer"][direct] in " ".join(sent) and results["profile"][direct] in " ".join(sent)
    assert json.loads(strings[steps["answer"]["reply"]])["choices"][0]["message"]["content"].startswith('{"answer"')
    lost = item_pages.content_of(item_tables.of_run(folder), [])
    assert all(list(request) == ["key"] for request in lost["requests"])  # which the page says


def test_without_texts_the_page_has_nothing_that_people_or_models_said(made):
    folder, _ = made
    content = item_pages.content_of(item_pages.without_texts(item_tables.of_run(folder)), [], texts=False)
    assert not content.keys() & {"texts", "trail", "requests"} and content["groups"] == []
    said = "\n".join(content["strings"])
    for text in ("secretary", "Female", "Ohio", "do it", "It is a", "pays", "rather not", "age:"):
        assert text not in said, text
    assert {"keep", "revise", "answer: refusal", "p0", "q1", "direct"} <= set(content["strings"])
    assert "has no texts" in item_pages.write(folder, texts=False).read_text("utf-8")


def test_a_page_of_too_many_items_has_the_failed_ones_and_whole_persons_and_questions_and_says_so(made):
    found = item_tables.of_run(made[0])
    few = item_pages.fewer(found, 7)
    assert few.notes == [
        "7 of 12 items are on this page: failed ones, and some persons and questions with all conditions."
    ]
    assert few.table["failure"].notna().sum() == 3 and few.table.index.is_monotonic_increasing
    scored = few.table[few.table["failure"].isna()]
    assert len(scored) == 4 and scored.duplicated(["persona_id", "prompt_id"]).any()
    assert item_pages.fewer(found, 12) is found


def test_the_page_of_a_notebook_leads_to_its_items_if_it_has_any(made):
    folder, _ = made
    for stem in ("06_conditioning", "02_prompts"):
        nbformat.write(nbformat.v4.new_notebook(), folder / f"{stem}.ipynb")
    assert (
        'href="items.html#notebook=06_conditioning"' in pages.export(folder / "06_conditioning.ipynb", "06").read_text()
    )
    assert "items.html" not in pages.export(folder / "02_prompts.ipynb", "02").read_text()


@pytest.fixture
def opened(browser, made, request):
    """Opens the page at a width and an address's end; nothing is fetched, and no script fails."""
    page_file = item_pages.write(made[0])
    faults = []

    def open_page(end: str = "", width: int = 1400, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        request.addfinalizer(context.close)
        page = context.new_page()
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else faults.append(r.url))
        page.goto(page_file.as_uri() + end)
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_page
    assert faults == []


def shown(page) -> int:
    return page.locator("#items tbody tr:has(a)").count()


def test_an_item_is_found_by_search_and_filters_and_opened_by_its_address(opened, made):
    table = item_tables.of_run(made[0]).table
    page = opened()
    assert shown(page) == 12
    page.fill("#search", "RATHER not")
    page.locator(".dt-info", has_text="3 items").first.wait_for()
    page.click("#clear")
    page.select_option("select[data-group=sex]", label="Female (8)")
    page.select_option("select[data-column=verdict]", label="keep (6)")
    assert shown(page) == 4
    page.click("th:has-text('person')")
    first = page.locator("#items tbody tr:first-child a", has_text="woman, 41, baker")
    first.wait_for()  # it is sorted a moment later
    wanted = first.get_attribute("href")
    first.click()
    page.wait_for_selector("#item:not([hidden])")
    assert page.url.endswith(wanted) and "As you are, do it." in page.text_content("#item")

    row = table[(table["condition"] == "direct") & (table["prompt_id"] == "q0")].iloc[0]
    page = opened(f"#{row['id']}", 400, "dark")
    assert page.text_content("#item h2") == "Why <b>so</b>?" and page.is_hidden("#list")
    sides = page.locator("article.answer")
    assert [sides.nth(k).locator("h4").text_content() for k in range(2)] == ["baseline: revise", "direct: keep"]
    assert page.locator("article.own h4").text_content() == "direct: keep"
    assert page.locator("article.own mark").all_text_contents()[:3] == ["As", "you", "are,"]
    assert "It is a keep." in page.text_content("#item-body") and SLY in page.text_content("#item-body")
    page.locator("details", has_text="raw reply: verdict").locator("summary").click()
    asked = page.locator("details[open] pre").all_text_contents()
    assert row["answer"] in " ".join(asked) and json.loads(asked[-1])["choices"][0]["finish_reason"] == "stop"
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.title() == "Items of run tiny"  # nothing in a text was run
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 400


def test_a_failed_item_tells_the_command_that_asks_again_and_an_unknown_id_is_told(opened, made):
    table = item_tables.of_run(made[0]).table
    page = opened(f"#{table.loc[table['failure'].notna(), 'id'].iloc[0]}")
    assert "persona run --preset tiny --only 06 --retry-failed" in page.text_content("#item")
    assert "kept as no answer: refusal" in page.text_content("#item")
    page = opened("#nobody")
    assert page.is_visible("#unknown") and shown(page) == 12
    page = opened("#notebook=06_conditioning")
    assert page.is_hidden("#unknown") and page.locator("select[data-column=notebook]").input_value() != ""


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_the_page_is_accessible_on_a_desk_and_on_a_phone(opened, made, width, scheme):
    page = opened("", width, scheme)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    ids = ["", f"#{item_tables.of_run(made[0]).table['id'].iloc[0]}"]
    for end in ids:
        page.evaluate("end => { location.hash = end; }", end)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        found = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")] == []


def test_a_person_in_a_few_words_says_what_is_known():
    table = pd.DataFrame(
        {
            "age": [9, 70, None],
            "sex": ["Male", "Female", None],
            "detailed job description": [None, "x" * 60, None],
            "occupation category": [None, "Legal", None],
            "employment status": [None, "Not in labor force", "Unemployed"],
        },
        index=list("abc"),
    )
    assert personas.brief(table).tolist() == ["boy, 9", "woman, 70, legal", "out of work"]


def test_in_jupyterlab_an_item_is_searched_read_and_if_it_failed_asked_again():
    refuses = True

    def now_answers(body: dict) -> dict:
        told = answer(body)
        return told if refuses or not told["choices"][0]["message"].get("refusal") else completion('{"answer": "You."}')

    with Endpoint(now_answers) as endpoint:
        model = Model("m", endpoint.url)
        drawn = bench.items(PEOPLE, PROMPTS, 6, seed=0)
        results = bench.conditioning(drawn, [model], model, ["baseline", "direct"])
        wanted, said, chosen, button, text = runs.items(results, PEOPLE, [Model("other", endpoint.url), model]).children
        assert said.value == "12 of 12 items" and button.disabled and "raw reply" in text.value
        wanted.value = "As you are"
        assert said.value == "6 of 12 items" and chosen.options[0][0].startswith(
            "woman, 63, school secretary, Ohio  |  direct"
        )
        assert "<img" not in text.value and "&lt;img src=x" in text.value
        wanted.value = "RATHER not"
        assert said.value == "3 of 12 items" and not button.disabled
        refuses, asked = False, len(endpoint.requests)
        button.click()
        assert "New reply. Run the cell again" in text.value and "You." in text.value and button.disabled
        assert len(endpoint.requests) == asked + 1 and endpoint.requests[-1] in endpoint.requests[:asked]
        after = bench.conditioning(drawn, [model], model, ["baseline", "direct"])
        assert after["failure"].isna().all()  # all three share this request, as no person is told to the baseline
        with pytest.raises(UserError, match="keeps an answer under"):
            again(model, after["answer_key"].dropna().iloc[-1])
        with pytest.raises(UserError, match="keeps nothing under"):
            again(model, "0" * 64)
    assert runs.items(pd.DataFrame({"x": [1]})).children[1].value == "0 of 0 items"
