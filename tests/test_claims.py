"""What README, CHANGELOG and docs claim: counts are held at a small size, and each measured figure names its command.

The rule for measured figures: a paragraph, list item or table that has one names, in backticks or as an indented line,
the command that prints it. A figure that is a setting stands in SETTINGS, with the code that sets it; one that others
published stands in QUOTED, with its source. Everything else is a measurement.
"""

import ast
import importlib.util
import inspect
import json
import multiprocessing
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import typer.main
import yaml
from endpoint import Endpoint, completion
from places import ROOT
from waits import LONG_S
from writers import build, write

from persona_lib import census, cli, personas, prompts
from persona_lib.annotation import items, study, submissions
from persona_lib.attributes import ATTRIBUTES, CENSUS
from persona_lib.methods import coverage
from persona_lib.model import Model, together
from persona_lib.model.cluster import shards
from persona_lib.model.replies import schemas
from persona_lib.model.transport import connection, endpoint
from persona_lib.personas import regions
from persona_lib.runs.executing import kernels, pairs, pool

PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
}
README, CHANGELOG = PAGES["README.md"], PAGES["CHANGELOG.md"]
UNITS = "s|ms|minutes?|hours?|kB|MB|GB|MiB|calls/s|tokens/s|calls|tokens|times|generations|requests"
FIGURE = re.compile(
    r"(?<![\w.,/=-])(?:\d[\d,]*(?:\.\d+)?(?: (?:to|or|and) \d[\d,]*(?:\.\d+)?)?"
    rf"(?: (?:{UNITS})\b|%(?! interval))|0\.\d+(?![\w.]))"
)
COMMAND = re.compile(r"^(?:\w+=\S+ )*(?:python benchmarks/\w+\.py|persona [a-z]+|make [a-z]+)\b")

# Figures that are no measurements: the phrase on the page, and the value that the code has.
SETTINGS = {
    "largest k that 90% of the tested people": (0.9, coverage.COVERED),
    "up to 256 cases": (256, together.WAVE),
    "up to 64 requests in flight": (64, inspect.signature(Model).parameters["max_in_flight"].default),
    "may take up to 600 s": (600, endpoint.TIMEOUT_S),
    "refused all calls for 300 s": (300, connection.PATIENCE_S),
    "20 calls in a row": (20, connection.FAILURES_IN_A_ROW),
    "larger than 5 MB": (5, submissions.MOST_BYTES / 1e6),
    "at 600 per minute, or than 2 s": ((600, 2), (study.WORDS_PER_MINUTE, submissions.LEAST_MS / 1000)),
    "in 6 questions or more (by chance once in 32 times)": (32, 2 ** (submissions.LEAST_SAME - 1)),
    "shards of 200 to 1,000 requests": ((200, 1000), (shards.LEAST, shards.MOST)),
    "Fewer than\n400 requests": (400, 2 * shards.LEAST),
    "with 1.5 GB of free memory for each": (1.5, pool.MEMORY / 1e9),
    "one that has not ended after 5 s then": (5, kernels.PATIENCE_S),
    "each of the four slots has 8,192 tokens": (8192, 32768 / 4),
}
# Of the documentation of other servers, which docs/endpoints.md names as its source, and of papers, which are named.
QUOTED = (
    "less than 24 GB of video memory the default is 4,096\ntokens",
    "queues up to 512 requests",
    "arXiv 2512.23067 reports a Kendall's tau of 0.08 to 0.31",
)


def blocks(page: str) -> list[str]:
    """Return a page's paragraphs and list items; a table and indented lines belong to the paragraph before them."""
    parts: list[str] = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:- |\d\. ))", page):
        if parts and block.startswith(("|", "    ")):
            parts[-1] += "\n" + block
        else:
            parts.append(block)
    return parts


def commands(block: str) -> list[str]:
    """Return the commands in a block: whole spans in backticks, and indented lines without their comments."""
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", block)]
    lines = [
        line.split("   #")[0].strip() for line in block.replace("\\\n", " ").splitlines() if line.startswith("    ")
    ]
    return [command for command in spans + lines if COMMAND.match(command)]


@pytest.mark.parametrize("page", PAGES)
def test_every_measured_figure_names_the_command_that_prints_it(page):
    text = PAGES[page]
    for phrase in (*SETTINGS, *QUOTED):
        text = text.replace(phrase, "")
    nameless = {block: found for block in blocks(text) if (found := FIGURE.findall(block)) and not commands(block)}
    assert nameless == {}, "name the command, or list the figure as a setting"


@pytest.mark.parametrize("phrase", [*SETTINGS, *QUOTED])
def test_a_figure_that_is_no_measurement_stands_on_a_page_and_is_what_the_code_sets(phrase):
    assert any(phrase in text for text in PAGES.values())
    said, is_set = SETTINGS.get(phrase, (None, None))
    assert said == is_set


def test_the_rule_finds_a_figure_without_its_command():
    figures = "It takes 7.5 s, 231 MiB and 1.2 to 1.4 ms; 93 to 97% of 95% intervals; at 0.018, 638,268 calls."
    assert len(FIGURE.findall(figures)) == 6
    assert FIGURE.findall("Python 3.11, Figs. 6 to 9, section 5.1, 1,586 personas, n=0.5, 2024") == []
    page = "It takes\n1 s (`python\nbenchmarks/pums.py FOLDER`).\n\n- 2 s\n- 3 s, `pums.py`"
    assert [commands(block) for block in blocks(page)] == [["python benchmarks/pums.py FOLDER"], [], []]


def test_every_command_that_a_page_shows_is_there_with_its_options():
    shown = {command for text in PAGES.values() for block in blocks(text) for command in commands(block)}
    assert len(shown) > 30
    for line in sorted(shown):
        words = [word for word in shlex.split(line.split(";")[0]) if not re.match(r"^[A-Z_]+=", word)]
        options = {word for word in words if re.match(r"^--?[a-z]", word)}
        if words[0] == "python":
            source = (ROOT / words[1]).read_text("utf-8")
            known = {option for option in options if f'"{option}"' in source}
        elif words[0] == "make":
            known = {""}
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), line
        else:
            command: Any = typer.main.get_command(cli.app)
            for word in words[1:]:
                command = command.commands[word] if hasattr(command, "commands") else command
            both = (name for own in command.params for name in (*own.opts, *own.secondary_opts))
            known = {*both, "-h", "--help"}
        assert options <= known, f"{line}: there is no {options - known}"


def literals(folder: Path) -> list[str]:
    """Return the texts in a folder's Python files, those of f-strings with '…' for what is filled in."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_every_error_message_that_the_page_on_endpoints_explains_is_one_of_ours():
    table = PAGES["docs/endpoints.md"].split("## Error messages and what to do")[1]
    messages = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    ours = "\n".join(literals(ROOT / "persona_lib")).replace("`", "")
    assert len(messages) >= 10
    for message in messages:
        # Of the page's example only what is filled in differs: names in quotes, numbers, addresses, classes of errors.
        parts = re.split(r"\.\.\.|'[^']*'|\bhttp\S+|\b\w+Error\b|\b(?:qwen|gpt-4\.1-mini)\b|\d+|A, B", message)
        longest = max((part.strip(" :;,()") for part in parts), key=len)
        assert len(longest) > 10 and longest in ours, f"no message has '{longest}'"


def benchmark(name: str) -> ModuleType:
    """Import a script of benchmarks/ by its path."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_changelog_names_rates_and_iccs_of_its_claim_on_coverage_as_the_benchmark_plants_them():
    planted = benchmark("coverage").RATES
    rates, iccs = zip(*planted, strict=True)
    said = (
        f"rates from {min(rates)} to {max(rates)} and intraclass correlations (ICC) from {min(iccs):g} to {max(iccs)}"
    )
    assert said in " ".join(CHANGELOG.split())


@pytest.mark.parametrize("name", ["labels", "portraits", "kappa", "annotators"])
def test_a_table_of_the_coverage_benchmark_keeps_the_promise_at_a_small_size(name):
    planted = benchmark("coverage")
    table = planted.tables()[name]
    for given in table.cells[1::3][:2]:
        row = planted.computed((table.cell, given, 60))
        assert row[""] == "" or row[""].endswith("or chance"), row


def test_beside_the_published_package_half_the_calls_and_tokens_and_every_item_scored_or_refused(tmp_path):
    """benchmarks/persona_bench.py with 24 items and the package's tokens as recorded, so that nothing is installed."""
    contest = benchmark("persona_bench")

    class Here(contest.Side):
        """Our side; what isn't killed runs in this process."""

        def finish(self, folder: Path) -> dict:
            return contest.ours(self.url, self.items, folder, self.in_flight)

    n = 24
    contest.write_items(tmp_path, n)
    port: Any = multiprocessing.Queue()
    server = multiprocessing.Process(target=contest.serve, args=(port, 0.05), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{port.get(timeout=LONG_S)}/v1"
        has = Here("ours", sys.executable, url, tmp_path, n, in_flight=4, latency_s=0.05).measure(refused=0.1)
    finally:
        server.terminate()
        server.join()
    figures = contest.against_bars(has, contest.package_tokens(tmp_path), n)
    assert has["answered before SIGKILL"] >= n - 4 and has["with HTTP 400: refusals"] > 0
    assert figures.pop("accounted") == n and figures.pop("seconds") > 0
    assert {name: value for name, value in figures.items() if value > contest.BARS[name]} == {}
    # As README and CHANGELOG say: 2 calls in place of 4, half the tokens.
    assert figures["calls per item"] == 2 and round(figures["share of the package's tokens"], 1) == 0.5


def test_the_speed_of_the_embedded_model_is_measured_on_the_requests_as_recorded():
    speed = benchmark("local")
    recorded = {
        json.dumps(request["schema"]): request["schema"] for request in speed.recorded(None) if request.get("schema")
    }
    assert len(recorded) > 5
    for schema in recorded.values():
        assert (
            schemas.requested(speed.reply_class(schema), bounded=True)["schema"]["properties"]
            == schema["schema"]["properties"]
        )


def test_the_papers_data_set_takes_two_calls_a_pair_and_one_a_prompt(tmp_path):
    with Endpoint(write) as stand_in:
        build(stand_in.url, tmp_path / "set", n=8)  # each of the 20 prompts is dealt to somebody
        assert len(stand_in.requests) == 20 + 2 * 8 * (3 + 2 + 1)
    sizes = yaml.safe_load((ROOT / "params" / "paper.yaml").read_text("utf-8"))["pairs"]
    written = sizes["n_personas"] * (sizes["train"] + sizes["seen"] + sizes["heldout"])
    calls = 3868 + 2 * written  # a prompt of PRISM is answered once
    assert calls == benchmark("pairs").CALLS
    assert f"{calls:,} calls" in PAGES["docs/preference_data.md"] and f"{written:,}" in CHANGELOG


def test_the_pairs_of_a_study_take_as_many_calls_as_claimed():
    questions = 2
    with Endpoint(write) as stand_in:
        pairs.items_to_rate(2, items.SPARE * questions, Model("m", stand_in.url))
        each = len(stand_in.requests) / questions
    assert (
        f"It writes twice as many questions as are rated, since some replies fail: {each * 10:.0f} calls."
        in " ".join(PAGES["docs/human_study.md"].split())
    )


def test_the_distances_of_the_demographic_are_as_claimed():
    ours = census.distances.by_attribute(personas.sample(1586, 0)).mean(numeric_only=True)
    assert f"mean distance of {ours['personas']:.4f} from the margins of the fitted sample" in " ".join(
        CHANGELOG.split()
    )
    assert f"a random draw of real people is at {ours['real people']:.3f}" in " ".join(CHANGELOG.split())
    people = personas.reference(0)
    compared = census.margins.compare(people.assign(**regions.groups(people)))
    published = census.margins.by_margin(compared).mean(numeric_only=True)
    assert (
        f"published tables of the Census Bureau at {published['personas']:.4f}, a random draw at "
        f"{published['real people']:.4f}" in " ".join(CHANGELOG.split())
    )
    said = "less than half as far from the Bureau's published tables as a random draw of as many real people"
    assert f"{said}, and a ninth as far from the sample that was fitted" in " ".join(PAGES["docs/people.md"].split())
    assert published["real people"] > 2 * published["personas"] and ours["real people"] > 9 * ours["personas"]
    halves = census.distances.half_distances()["tvd"]
    assert f"{halves[1]:.4f} to held-out people (two real halves: {halves[0]:.4f};" in " ".join(CHANGELOG.split())


def test_attributes_questions_and_topics_are_as_many_as_claimed():
    assert f"all {len(ATTRIBUTES)} attributes. {len(CENSUS)} census attributes drawn jointly" in CHANGELOG
    bank = prompts.load()
    asked = f"{len(bank)} questions over {bank['topic'].nunique()} topics and {len(prompts.load('control'))} controls"
    assert asked in CHANGELOG
    assert f"{len(bank)} questions on {bank['topic'].nunique()} topics" in PAGES["docs/people.md"]


def test_the_shares_of_the_split_are_as_claimed():
    said = " ".join(PAGES["docs/people.md"].split())
    assert "on average 586 of 1,586 people and 868 of 3,868 prompts are for testing" in said
    ids = pd.Series([f"p{i}" for i in range(20_000)])
    assert (personas.split(ids) == "test").mean() == pytest.approx(586 / 1586, abs=0.02)
    assert prompts.bank.HELDOUT_SHARE == 868 / 3868
    assert (prompts.load()["prompt_split"] == "heldout").mean() == pytest.approx(868 / 3868, abs=0.02)


def test_the_readmes_python_runs_as_it_stands(monkeypatch, capsys):
    code = "\n".join(re.findall(r"^    ((?:from|writer|people|results|print).*)", README, re.MULTILINE))
    with Endpoint(answer_anything, models=("gpt-4.1-mini",)) as stand_in:
        monkeypatch.setenv("OPENAI_BASE_URL", stand_in.url)
        monkeypatch.setenv("OPENAI_API_KEY", "x")
        exec(compile(code, "README.md", "exec"), {})
    assert code.count("\n") == 4
    assert len(stand_in.requests) > 600 and "chain_of_thought" in capsys.readouterr().out


def answer_anything(body: dict) -> dict:
    """Fill each field of the schema that is asked for; no two answers are the same."""
    return completion(json.dumps(benchmark("persona_bench").filled(_schema(body), str(hash(str(body))))))


def _schema(body: dict) -> dict:
    return body["response_format"]["json_schema"]["schema"]


def test_every_function_that_a_page_names_is_handed_on_by_its_wing():
    wings = {path.parent.name for path in (ROOT / "persona_lib").glob("*/__init__.py")}
    named = {
        name
        for page, text in PAGES.items()
        if page != "CHANGELOG.md"  # which also names what is gone
        for name in re.findall(
            rf"\b((?:{'|'.join(wings)})(?:\.(?!(?:py|gguf|parquet|csv|md)\b)[a-z]\w*)+)(?=[`(])", text
        )
    }
    assert len(named) > 15
    for name in sorted(named):
        wing, *path = name.split(".")
        value: Any = importlib.import_module(f"persona_lib.{wing}")
        for part in path:
            assert hasattr(value, part), f"there is no {name}"
            value = getattr(value, part)


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_every_link_of_a_page_leads_to_a_file(page):
    text = (ROOT / page).read_text("utf-8")
    linked = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert [target for target in linked if not (ROOT / page).parent.joinpath(target).exists()] == []
