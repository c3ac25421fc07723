"""The pages of the human study in a real Chromium: filled in, reloaded, handed in, read back, and looked at."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from raters import items

from persona_lib import annotation
from persona_lib.annotation import assignments

EVIL = '</script><script>window.hurt = 1</script><img src="http://192.0.2.1/x" onerror="window.hurt = 2">{{ 7 * 7 }}'
SLOWLY = 1.0  # words a minute, which the tests are faster than on any machine
REASON = 'She "wants" it \\ so\u2028 \U0001f600 é < & '


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a study's first page in a window of a given size; no error, no outside request may come of it."""
    contexts, faults = [], []

    def open_page(width=1400, height=900, script=None, query="", table=None, scheme="light", **options):
        options = {"raters": 2, "checks": 1} | options
        annotation.export(items(1, 4) if table is None else table, tmp_path / "study", **options)
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        context.set_default_timeout(60_000)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.clock.install()
        page.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: faults.append(str(e)))
        allowed = ("file:", "data:", "blob:", options.get("post_to") or "file:")
        page.on("request", lambda r: None if r.url.startswith(allowed) else faults.append(r.url))
        assignment = assignments.load(tmp_path / "study").assignments[0]
        page.goto((tmp_path / "study" / assignment.file).as_uri() + query)
        return page, assignment

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def begin(page):
    """Consent and go on to the first question."""
    page.check("#agree")
    page.click("#consent .main")
    page.click("#task .main")


def answer(page, letter, reason="it fits"):
    page.click(f"label.answer:has([value={letter}])")
    page.fill("#reason", reason)
    page.click("#next")


def download(page, tmp_path):
    with page.expect_download() as event:
        page.click("#download")
    event.value.save_as(tmp_path / event.value.suggested_filename)
    return tmp_path / event.value.suggested_filename


def letters(assignment):
    """What a rater answers who passes the checks and prefers the second answer."""
    return [q.first if q.item is None else {"A": "B", "B": "A"}[q.first] for q in assignment.questions]


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def violations(page):
    found = Axe().run(page).response["violations"]
    return [(v["id"], [n["html"][:90] for n in v["nodes"]]) for v in found]


@pytest.mark.parametrize("width", [400, 1400])
def test_an_assignment_is_filled_in_by_keyboard_reloaded_half_way_downloaded_and_imported(opened, tmp_path, width):
    page, assignment = opened(width)
    keys = page.keyboard
    for key in ("Tab", "Space", "Tab", "Enter"):
        keys.press(key)
    assert page.inner_text("h1:visible") == "What to do" and fits(page)
    page.focus("#task .main")
    keys.press("Enter")
    wanted = letters(assignment)
    for n, letter in enumerate(wanted):
        assert page.inner_text("#count") == f"Question {n + 1} of 5" and fits(page)
        keys.press({"A": "1", "B": "b"}[letter])
        keys.press("Enter")
        assert page.inner_text("#problem") == "Please say in a few words why."
        keys.type(REASON + str(n))
        page.clock.fast_forward(15_000)
        if n == 2:
            page.reload()
            page.locator("#count", has_text="Question 3 of 5").wait_for()
            assert page.inner_text("#count") == "Question 3 of 5" and page.input_value("#reason") == REASON + "2"
            assert page.is_checked(f"[value={letter}]")
            page.focus("#reason")
        keys.press("Enter")
    assert page.inner_text("h1:visible") == "Thank you" and fits(page)
    code = page.inner_text("#code")
    path = download(page, tmp_path)
    page.reload()
    assert page.inner_text("#code") == code and page.inner_text("h1:visible") == "Thank you"
    table = annotation.read([path], tmp_path / "study")
    assert table["status"].tolist() == ["ok"] and table["code"].tolist() == [code]
    votes = annotation.votes(table)
    assert (votes["choice"] == "second").all() and len(votes) == 4 and votes["seconds"].between(15, 20).all()
    assert set(votes["reason"]) <= {REASON + str(n) for n in range(5)}


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1400, "dark")])
def test_axe_finds_nothing_on_any_step(opened, width, scheme):
    page, assignment = opened(width, scheme=scheme)
    assert violations(page) == []
    page.click("#consent .main")
    assert "Please tick the box" in page.inner_text("#consent-problem") and violations(page) == []
    page.check("#agree")
    page.click("#consent .main")
    assert violations(page) == []
    page.click("#task .main")
    assert violations(page) == []
    if width == 400:
        page.click("summary")
        assert page.is_visible("aside >> text=likes order") and fits(page) and violations(page) == []
        page.click("summary")
    page.click("#next")
    assert page.inner_text("#problem") == "Please choose answer A or answer B." and violations(page) == []
    for letter in letters(assignment):
        answer(page, letter)
    assert page.is_visible("#code") and violations(page) == []


def test_the_heading_takes_the_focus_on_each_step_and_the_way_from_it_is_the_order_of_reading(opened):
    page, _ = opened()
    begin(page)
    focused = "document.activeElement.id || document.activeElement.value || document.activeElement.className"
    assert page.evaluate(focused) == "prompt"
    met = []
    for _ in range(5):
        page.keyboard.press("Tab")
        met.append(page.evaluate(focused))
    assert met == ["A", "reason", "back", "next", "shortcuts"]
    page.uncheck("#shortcuts")
    page.focus("#prompt")
    page.keyboard.press("1")
    assert not page.is_checked("[value=A]"), "single keys can be switched off"


def test_going_back_keeps_every_answer_and_a_changed_one_is_the_one_that_counts(opened, tmp_path):
    page, assignment = opened()
    begin(page)
    for letter in ("A", "B", "A"):
        answer(page, letter, f"said {letter}")
    for _ in range(3):
        page.click("#asked .back")
    assert page.is_checked("[value=A]") and page.input_value("#reason") == "said A"
    page.keyboard.press("2")
    page.click("#asked .back")
    assert page.inner_text("h1:visible") == "What to do"
    page.click("#task .main")
    assert page.is_checked("[value=B]")
    page.fill("#reason", "   ")
    page.click("#next")
    assert page.inner_text("#problem") == "Please say in a few words why.", "blanks are no reason"
    page.fill("#reason", "line one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("a 1 b 2")
    page.click("#next")
    for letter in letters(assignment)[1:]:
        answer(page, letter)
    given = json.loads(download(page, tmp_path).read_text())
    assert given["answers"][0]["choice"] == "B" and given["answers"][0]["reason"] == "line one\na 1 b 2"


def test_hostile_data_are_shown_as_the_text_that_they_are(opened):
    table = items(1, 2).assign(first=EVIL, second=EVIL, prompt=EVIL, profile=f"age: {EVIL}\n{EVIL}: {EVIL}\n{EVIL}")
    page, _ = opened(table=table, title=EVIL, contact=EVIL, checks=0)
    assert EVIL in page.inner_text("#consent")
    begin(page)
    for place in ("#prompt", "#text-a", "#text-b", "aside dd >> nth=0"):
        assert page.inner_text(place) == EVIL
    assert page.evaluate("window.hurt") is None and page.locator("img").count() == 0


def test_an_inline_script_that_slipped_in_would_not_run(browser, tmp_path):
    written = annotation.export(items(1, 2), tmp_path / "study", raters=1)
    page = browser.new_page()
    page.goto((tmp_path / "study" / written["file"][0]).as_uri())
    script = "Object.assign(document.createElement('script'), {textContent: 'window.hurt = 1'})"
    with page.expect_console_message() as told:
        page.evaluate(f"document.body.append({script})")
    assert "Content Security Policy" in told.value.text and page.evaluate("window.hurt") is None
    page.close()


@pytest.mark.parametrize(
    "script",
    [
        "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }",
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError') } })",
    ],
)
def test_a_browser_that_keeps_nothing_says_so_and_the_page_works_all_the_same(opened, tmp_path, script):
    page, assignment = opened(script=script)
    assert page.is_visible("#unkept")
    begin(page)
    for letter in letters(assignment):
        answer(page, letter)
    (row,) = annotation.read([download(page, tmp_path)], tmp_path / "study", SLOWLY).itertuples()
    assert row.status == "too_fast"


def test_what_was_kept_and_cannot_be_read_is_as_if_nothing_were(opened):
    page, _ = opened()
    for kept in ("{", "null", "[]", '{"answers": []}', '{"answers": 3, "page": "end"}'):
        page.evaluate("text => localStorage.setItem(place, text)", kept)
        page.evaluate("outdated = true")
        page.reload()
        assert page.inner_text("h1:visible") == "Before you begin", kept
    begin(page)
    assert page.inner_text("#count") == "Question 1 of 5"


@pytest.fixture
def inbox():
    """A server on the loopback that takes submissions; refuses the first so many."""
    received, refuse = [], [1]

    class Inbox(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(503 if refuse else 200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            received.append(None if refuse and refuse.pop() else body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Inbox)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/in", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_answers_go_to_the_studys_address_with_the_participants_number_and_again_if_they_did_not_arrive(
    browser, inbox, tmp_path
):
    address, received = inbox
    annotation.export(items(1, 2), tmp_path / "study", raters=1, post_to=address, participant="PID")
    assignment = assignments.load(tmp_path / "study").assignments[0]
    page = browser.new_page()
    page.goto((tmp_path / "study" / assignment.file).as_uri() + "?PID=p%3C7&other=x")
    assert address in page.inner_text("#consent") and "participant number" in page.inner_text("#consent")
    begin(page)
    for letter in letters(assignment):
        answer(page, letter)
    page.wait_for_selector("#again:visible")
    assert "could not be sent" in page.inner_text("#sent")
    page.click("#again")
    page.wait_for_selector("text=Your answers have arrived.")
    page.close()
    (tmp_path / "posted.jsonl").write_bytes(received[1])
    row = annotation.read([tmp_path / "posted.jsonl"], tmp_path / "study", SLOWLY).iloc[0]
    assert len(received) == 2 and row["participant"] == "p<7" and row["status"] == "too_fast"


def test_without_a_name_for_it_no_number_in_the_address_is_taken(opened, tmp_path):
    page, assignment = opened(query="?PROLIFIC_PID=secret&participant=secret")
    begin(page)
    for letter in letters(assignment):
        answer(page, letter)
    assert "secret" not in download(page, tmp_path).read_text()


@pytest.mark.parametrize("query", ["?PID=", "?PID=%20"])
def test_a_blank_number_in_the_address_is_none(opened, tmp_path, query):
    page, assignment = opened(query=query, participant="PID")
    begin(page)
    for letter in letters(assignment):
        answer(page, letter)
    assert json.loads(download(page, tmp_path).read_text())["participant"] is None


def test_time_counts_only_while_a_question_is_in_sight(opened, tmp_path):
    page, assignment = opened()
    page.clock.fast_forward(500_000)
    begin(page)
    page.clock.fast_forward(200_000)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.fast_forward(700_000)
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    for letter in letters(assignment):
        answer(page, letter)
    given = json.loads(download(page, tmp_path).read_text())
    first, *others = (a["ms"] for a in given["answers"])
    assert 200_000 <= first < 300_000 and max(others) < 100_000  # the browser itself may take seconds
    assert given["finished"] - given["started"] >= 1_400_000


def test_a_second_tab_goes_on_where_the_first_is_and_the_first_follows(opened):
    page, _ = opened()
    begin(page)
    answer(page, "A")
    other = page.context.new_page()
    for _ in range(100):  # a browser hands what is kept to other tabs a moment later, on a busy machine seconds later
        other.goto(page.url)
        if other.inner_text("#count"):
            break
        page.wait_for_timeout(500)
    assert other.inner_text("#count") == "Question 2 of 5"
    answer(other, "B", "from there")
    expect(page.locator("#count")).to_have_text("Question 3 of 5")
    page.click("#asked .back")
    assert page.input_value("#reason") == "from there"
    expect(other.locator("#count")).to_have_text("Question 2 of 5")  # now that one follows
