"""Every notebook against the planted model: its tables hold what is planted, every call counts, and its prose is true.

One rehearsal of all notebooks, at sizes, lengths, prompts and models that are not the defaults.
"""

import importlib.util
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from urllib.request import Request, urlopen

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from commands import one_line, persona
from places import ROOT
from scipy.stats import binom
from waits import LONG_S

from persona_lib import bench, personas, preferences, prompts, stats
from persona_lib.attributes import NAMES
from persona_lib.runs.dry_runs import rehearse
from persona_lib.runs.planted import EFFECTS, Endpoint, Planted, World, texts, truth

SIZES = {
    "01_personas": {"n": 300, "n_read": 9},
    "02_prompts": {"n_prompts": 60, "n_topics": 7},
    "03_preferences": {
        **{"n_personas": 6, "n_train": 4, "n_seen": 2, "n_heldout": 2},
        **{"train_prompts": 6, "heldout_prompts": 3, "n_verify": 40},
    },
    "04_leave_one_out": {"n_people": 5, "n_questions": 3, "pool": 90, "n_personas": 9, "n_items": 27},
    "05_fidelity": {"n_people": 7, "n_questions": 5, "n_respondents": 60},
    "06_conditioning": {"n_personas": 25, "n_prompts": 20, "n_items": 60, "n_controls": 5},
    "07_summaries": {"n_personas": 25, "n_prompts": 20, "n_items": 40},
    "08_pass_at_k": {"n_personas": 11, "n_prompts": 13, "n_items": 22, "n_samples": 6, "ks": [1, 2, 6]},
    "09_intersections": {"n_personas": 25, "n_prompts": 20, "n_items": 60},
    "10_judges": {
        **{"n_personas": 25, "n_prompts": 20, "n_items": 30, "n_controls": 5, "n_forms": 9, "n_compared": 9},
        "conditions": ["direct", "chain_of_thought", "summary"],
    },
}
SETTINGS = {"words": 70, "working_words": None, "critique_words": 60, "seed": 3}
STEMS = tuple(SIZES)
THINGS = ("a second job", "an old friend", "a noisy street", "a loan", "a garden", "a long trip", "a new church")
WHEN = ("money is short", "my family disagrees", "I am often tired", "nobody asks me", "it may be too late")
HOW = ("How should I think about", "What would be fair about", "When is it time to give up on")


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """The folder of a rehearsal of all notebooks, with people and prompts of files."""
    folder = tmp_path_factory.mktemp("planted")
    questions = [f"{how} {thing} if {when}?" for how in HOW for thing in THINGS for when in WHEN]
    pd.DataFrame({"prompt": questions}).to_csv(folder / "asked.csv", index=False)
    personas.save(personas.sample(450, 5, balanced=False), folder / "people.parquet")
    ours = {"prompts": str(folder / "asked.csv"), "personas": str(folder / "people.parquet")}
    preset = {"about": "A test.", "all": SETTINGS | ours, "notebooks": SIZES}
    (folder / "trial.yaml").write_text(yaml.safe_dump(preset))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSONA_STORE", str(folder / "the user's.sqlite"))
        patch.setenv("MPLBACKEND", "agg")  # no cell shows its figures: other tests look at them
        ran = persona("rehearse", "--preset", folder / "trial.yaml", "--out", folder / "out")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    assert not (folder / "the user's.sqlite").exists(), "a rehearsal leaves the user's store alone"
    (folder / "out" / "said.txt").write_text(ran.stdout)
    return folder / "out"


@pytest.fixture(scope="module")
def manifest(done) -> dict:
    return json.loads((done / "run" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def found(done) -> pd.DataFrame:
    return pd.read_parquet(done / "effects.parquet")


# Tables


@pytest.mark.parametrize("stem", STEMS)
def test_the_docs_describe_every_column_that_a_notebook_writes(done, stem):
    section = (ROOT / "docs" / "tables.md").read_text("utf-8").split(f"\n## {stem}\n")[1].split("\n## ")[0]
    said = {name: set(re.findall("`([^`]+)`", cells)) for name, cells in re.findall(r"\| `(\w+)` \| (.*)", section)}
    tables = rehearse.tables(done / "run")[stem]
    assert tables.keys() == said.keys()
    # Of a survey's answers each option is a column; groups of respondents are made by an attribute.
    said_by = [table["answer"].dropna() for table in tables.values() if "answer" in table]
    options = {option for answers in said_by for option in answers} if stem == "05_fidelity" else set()
    for name, table in tables.items():
        written = {*table.columns, *table.index.names} - {None, *NAMES, *options}
        assert written <= said[name], f"docs/tables.md lacks columns of {stem}/{name}"


def test_the_intervals_of_every_notebook_hold_what_is_planted(found):
    assert set(found["notebook"]) == set(STEMS)
    # Intervals of one notebook share their items, so that the misses of all vary more than 200 tosses of a coin.
    assert len(found) > 150 and found["holds"].mean() > 0.92, found[~found["holds"]].to_string()
    missed = (~found["holds"]).groupby(found["notebook"]).agg(["sum", "size"])
    most = binom.isf(0.001, missed["size"], 0.05)  # intervals that hold in 95 of 100 miss more in 1 of 1,000 notebooks
    assert (missed["sum"] <= most).all(), missed
    # A wrong table is off by more than chance allows: in standard errors, no estimate is far away.
    error = (found["high"] - found["low"]) / 2 / 1.96
    away = ((found["estimate"] - found["planted"]) / error).abs()
    assert (away < 4).all(), found[away >= 4].to_string()


def test_the_intervals_are_no_wider_than_clusters_of_items_make_them(found):
    independent = 2 * 1.96 * np.sqrt(0.25 / found["n"])  # the width for a share of one half of independent items
    wider = ((found["high"] - found["low"]) / independent).groupby(found["notebook"]).median()
    assert (wider < 2.5).all(), wider


def test_where_nothing_is_planted_nearly_nothing_is_found(found):
    none = found[(found["planted"] - found["null"]).abs() < rehearse.NONE]
    assert len(none) > 10 and none["found"].sum() <= binom.isf(0.001, len(none), 0.05)


@pytest.mark.parametrize(
    ("stem", "effect", "sign"),
    [
        ("01_personas", "tone and texts", 1),
        ("06_conditioning", "direct − baseline", 1),
        ("06_conditioning", "summary − baseline", 1),
        ("06_conditioning", "graded, direct − baseline", 1),
        ("06_conditioning", "too much, direct − baseline", 1),
        ("10_judges", "chosen, summary", 1),
    ],
)
def test_large_planted_effects_are_found_with_their_sign(found, stem, effect, sign):
    row = found[(found["notebook"] == stem) & (found["effect"] == effect)].squeeze()
    assert sign * (row["planted"] - row["null"]) > 0 and sign * (row["estimate"] - row["null"]) > 0
    assert row["found"]


def test_the_family_of_06_has_the_primary_contrasts_first(done):
    differences = rehearse.tables(done / "run")["06_conditioning"]["differences"]
    pairs = list(zip(differences["minuend"], differences["subtrahend"], strict=True))
    assert pairs[:3] == [("summary", "direct"), ("chain_of_thought", "direct"), ("direct", "other_persona")]
    assert differences["p_holm"].ge(differences["p"] - 1e-12).all()


def test_the_critic_is_placed_by_its_control_items(done):
    tables = rehearse.tables(done / "run")
    for judge in ("planted-1", "planted-2"):
        kept = tables["10_judges"]["threshold"].loc[judge]["rate"]
        assert kept["suitable"] > 0.7 and kept["unsuitable"] < 0.3


# Calls


def test_each_call_counts_and_only_refusals_are_unscored(done, manifest):
    usage = manifest["usage"]
    with closing(sqlite3.connect(done / "replies.sqlite")) as replies:
        requests, failed = replies.execute("SELECT count(*), count(failure) FROM replies").fetchone()
        refused = replies.execute("SELECT count(*) FROM replies WHERE failure LIKE 'refusal%'").fetchone()[0]
    assert usage["calls"] == requests and usage["reasked"] == 0, "no call beyond need"
    assert failed == refused and failed <= 0.005 * requests
    results = rehearse.tables(done / "run")["06_conditioning"]["results"]
    assert results["score"].isna().sum() == results["failure"].str.contains("refusal").sum()


def test_texts_longer_than_asked_are_answers(done):
    results = rehearse.tables(done / "run")["06_conditioning"]["results"]
    longer = results["answer_words"] > SETTINGS["words"]
    assert 0.3 < longer.mean() < 0.7 and results.loc[longer, "score"].notna().all()
    working = results.loc[results["condition"] == "chain_of_thought", "working_words"].dropna()
    assert working.between(80, 200).all()
    assert results["critique_words"].dropna().between(20, 45).all()


def test_the_command_says_what_the_sizes_find(done, found):
    said = (done / "said.txt").read_text()
    assert rehearse.summary(found) in said and str(done / "index.html") in said
    page = (done / "index.html").read_text()
    assert rehearse.summary(found) in unescape(page) and page.count("<tr") == len(found) + len(STEMS)
    assert "the same\ntable" in page and (done / "effects.csv").is_file()
    for stem in STEMS:
        above = (done / "run" / f"{stem}.html").read_text().partition("<h1")[0]
        assert f'<p class="notice">{rehearse.ABOUT}</p>' in above, "a page that is read alone says so, too"


# Prose: what would not be true of this run, whatever its figures

UNTRUE = {
    "the embedded model": r"SmolLM|\b135 ?(?:M\b|million)|\bembedded model|\bthe embedded\b|\btiny model",
    "what that model can't do": r"\bfar too small\b|\b(?:model|writer|judge) is too small\b|\brepeats what it read\b",
    "a default": r"\b[Bb]y default\b|\b[Tt]he default\b|\bdefault (?:run|model|size|preset|judge|writer)s?\b",
    "a size in words": r"\b(?:two|three|four|six|eight|ten|twelve) (?:items|samples|summaries)\b",
    "few of something": r"\bhandful\b|\b[Aa] few (?:items|personas|people|questions|samples|tries)\b",
    "the smoke run": r"\bsmoke\b|\btwo cores\b|\b[Tt]his small run\b",
    "the model's alias": r"\b(?:model|writer|judge|critic|classifier|reader|annotator|source)s?: local\b"
    r"|(?<!\w)local(?:'s|’s|, told nothing|, prose| and local)(?!\w)",
    "our own bank": r"\b(?:403|558) questions\b|\b(?:come|comes|sampled|drawn|taken) from (?:our|the) (?:own )?bank\b"
    r"|\bbank(?: by default| instead of)\b",
    "our own people": r"\*(?:Personas|People)(?: and questions| and prompts)?\.\* Ours\b",
    "one model for all": r"\bwriter judges its(?:elf| own)\b|\bmodel is both writer and judge\b",
    "another's models": r"\bgpt-4(?:\.1|o)(?:-mini|-nano)?\b",
    "a path of this machine": r"(?<![\w.])/(?:work|tmp|home|root|usr|var|opt|private|Users)/|site-packages",
    "a warning": r"\b\w*Warning\b|\bTraceback\b|\bDeprecat",
    "a missing figure": r"(?<![\w-])nan%|(?<![\w-])nan\b(?= (?:of|points|to))|\bNone of (?:None|nan)\b|<NA>%",
}


def untrue(text: str) -> dict[str, str]:
    """What a text says that is not true of this run, with the words around it."""
    said = {}
    for what, pattern in UNTRUE.items():
        if match := re.search(pattern, text):
            said[what] = " ".join(text[max(0, match.start() - 80) : match.end() + 80].split())
    return said


def rendered(path: Path) -> Iterator[str]:
    """The text of each Markdown cell and output of an executed notebook, as a reader sees it."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            yield cell.source
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            yield output.get("text", "")
            yield data.get("text/markdown", "")
            page = re.sub(r"<style.*?</style>|<[^>]+>", " ", data.get("text/html", ""), flags=re.DOTALL)
            yield unescape(page) or data.get("text/plain", "")


@pytest.mark.parametrize("stem", STEMS)
def test_the_prose_of_a_notebook_is_true_of_the_run(done, stem):
    pages = [text for text in rendered(done / "run" / f"{stem}.ipynb") if text.strip()]
    assert len(pages) > 15, "the check reads the notebook"
    found = [said for text in pages for said in untrue(text).items()]
    assert not found, "\n".join(f"{what}: {words}" for what, words in found)
    shown = "\n".join(pages)
    assert "planted-1" in shown or stem == "01_personas"
    if stem not in ("01_personas", "02_prompts", "08_pass_at_k"):
        assert "planted-2" in shown, "the judge is named"


@pytest.mark.parametrize("stem", STEMS)
def test_a_notebook_shows_nothing_on_stderr_and_its_headline_is_true(done, manifest, stem):
    cells = nbformat.read(done / "run" / f"{stem}.ipynb", as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert {output.get("name") for output in outputs if output.output_type == "stream"} <= {"stdout"}
    headline = manifest["notebooks"][stem]["headline"]
    assert not untrue(headline) and re.search(r"\d", headline) and "nan" not in headline.lower().split()


# A sentence of the kind that each pattern is for, and sentences that must pass.
BAD = {
    "the embedded model": "By its size SmolLM2 with 135 million parameters writes.",
    "what that model can't do": "It is far too small for conclusions.",
    "a default": "The default is one model.",
    "a size in words": "With two items nothing can be said.",
    "few of something": "With a handful of personas a group is one person.",
    "the smoke run": "In the smoke run nothing happens.",
    "the model's alias": "Share kept (critic: local)",
    "our own bank": "The questions come from our own bank instead of PRISM.",
    "our own people": "- *Personas.* Ours, adults only.",
    "one model for all": "The writer judges its own writing.",
    "another's models": "gpt-4.1-mini writes.",
    "a path of this machine": "read from /tmp/pytest-1/asked.csv",
    "a warning": "RuntimeWarning: Precision loss occurred",
    "a missing figure": "The critic keeps nan% of answers.",
}
GOOD = (
    "They follow local news closely and moved to Local 12.",
    "The baseline's answer followed by filler: two answers, in both orders; one item per person.",
    "Topics by sentence embeddings; 2 items, 135 of 700 answers, none of them missing.",
    "GPT-4 wrote the paper's pairs. The bank has 31 topics.",
    "The judge planted-2 keeps 55% of planted-1's answers (95% interval 48 to 62%, n = 60).",
)


@pytest.mark.parametrize("what", UNTRUE)
def test_the_check_of_prose_finds_each_kind_of_bad_sentence(what, done):
    assert what in untrue(BAD[what])
    pages = list(rendered(done / "run" / "06_conditioning.ipynb"))
    assert what in untrue("\n\n".join([*pages, BAD[what]])), "also among other text"


@pytest.mark.parametrize("sentence", GOOD)
def test_the_check_of_prose_lets_good_sentences_pass(sentence):
    assert untrue(sentence) == {}


# The planted model itself, and the comparison


def asked(**more) -> dict:
    fields = {"critique": {"type": "string"}, "verdict": {"enum": ["keep", "revise"]}}
    schema = {"name": "Critic", "schema": {"properties": fields}}
    system = "You review answers\n<persona>\nage: 40\n</persona>\nIn 80 words."
    user = "<question>\nWhy?\n</question>\n<answer>\nBecause.\n</answer>"
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    form = {"type": "json_schema", "json_schema": schema}
    return {"model": "planted-2", "temperature": 0, "messages": messages, "response_format": form, **more}


def test_the_planted_model_is_a_function_of_the_request_and_its_seed():
    said = [World(seed).reply(asked())["choices"][0]["message"]["content"] for seed in (0, 0, 1)]
    assert said[0] == said[1] != said[2]
    warm = [World().reply(asked(temperature=1), turn)["choices"][0]["message"]["content"] for turn in (0, 0, 1)]
    assert warm[0] == warm[1] != warm[2], "at a temperature above 0 each turn says another thing"


def test_answers_tell_nothing_without_the_code_and_all_to_a_planted_judge():
    values = {"age": "40", "sex": "Female", "religion": "Catholic", "income": "12000"}
    marks = {texts.marked("direct", "planted-1", values, str(i)) for i in range(50)}
    assert len({mark[6:12] for mark in marks}) == 50, "no two marks begin alike"
    mark = texts.mark(f"Some words. {marks.pop()}")
    assert mark.kind == "direct" and mark.writer == texts.tag("planted-1")
    whole = "\n".join(f"{name}: {value}" for name, value in (values | {"political views": "Democrat"}).items())
    assert texts.is_for(mark, whole) and texts.untold(mark, whole) == ["political views"]
    assert not texts.is_for(mark, "age: 71\nsex: Male\nreligion: Jewish\nincome: 90000")
    assert texts.mark("No mark (ref. abc) here.") is None


def test_a_table_that_is_off_is_noticed():
    scores = pd.DataFrame(
        {"n": [400, 400], "rate": [0.55, 0.90], "low": [0.50, 0.87], "high": [0.60, 0.93]},
        index=pd.MultiIndex.from_tuples([("m", "direct"), ("m", "baseline")], names=["model", "condition"]),
    )
    found = truth.compared({"06_conditioning": {"scores": scores}}, {"06_conditioning": {}})
    assert found["holds"].tolist() == [True, False] and found["planted"].tolist() == [0.55, EFFECTS.keep["baseline"]]


def test_an_effect_is_found_where_the_notebook_finds_it():
    contrast = {"minuend": "direct", "subtrahend": "baseline", "n": 50, "difference": 0.3, "low": 0.02, "high": 0.58}
    rows = pd.DataFrame([contrast | {"p_holm": p} for p in (0.03, 0.08, None)])
    tables = {"06_conditioning": {"differences": rows, "subtlety_differences": rows.drop(columns="p_holm")}}
    table = truth.compared(tables, {"06_conditioning": {}})
    assert table["found"].tolist() == [True, False, False] + [True] * 3, "corrected, or else by the interval"
    assert table["p"].tolist()[:3] == [0.03, 0.08, 1] and table["p"].iloc[3:].isna().all()
    assert "finds 4 of 6 planted differences" in rehearse.summary(table)


def test_a_kappa_has_no_p_of_another_test_and_nothing_beyond_1_is_detectable():
    row = {"attribute": "age", "people": 5, "n": 50, "raw": 0.9, "raw_low": 0.8, "raw_high": 0.95, "kappa": 0.7}
    row |= {"low": 0.6, "high": 0.8, "gap": -0.1, "gap_low": -0.9, "gap_high": 0.7, "p": 0.4, "p_holm": 0.4}
    table = truth.compared({"04_leave_one_out": {"summed": pd.DataFrame([row])}}, {"04_leave_one_out": {}})
    table = table.set_index("effect")
    assert pd.isna(table.loc["kappa, age", "p"]) and table.loc["equal choices less the placebo's, age", "p"] == 0.4
    assert table.loc["kappa, age", "detectable"] < 0.2
    assert pd.isna(table.loc["equal choices less the placebo's, age", "detectable"]), "1.14 would be"


def test_the_planted_model_stands_in_for_a_model_without_a_server():
    world = World(1)
    writer, judge = Planted("planted-1", world), Planted("planted-2", world)
    people, questions = preferences.ingredients.draw("sample", "builtin", 30, 40, "heldout_test", 1)
    items = bench.items(people, questions, 120, 1)
    results = bench.conditioning(items, [writer], judge, ["baseline", "summary"], probabilities=True)
    kept = stats.rates(results, by="condition")
    assert kept.loc["baseline", "low"] <= 0.2 <= kept.loc["baseline", "high"]
    assert kept.loc["summary", "low"] <= 0.65 <= kept.loc["summary", "high"]
    assert writer.reasked == judge.reasked == 0 and results["p_score"].notna().sum() == results["score"].notna().sum()


# The command and the benchmark


def test_what_a_preset_lacks_is_said_before_anything_runs(tmp_path):
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"about": "A test.", "notebooks": {"06_conditioning": {}}}))
    out = tmp_path / "out"
    done = persona("rehearse", "--preset", tmp_path / "own.yaml", "-p", "prompts=nowhere.csv", "--out", out)
    assert "nowhere.csv" in one_line(done) and not out.exists()


def test_each_model_of_a_preset_has_a_planted_one_in_its_place():
    values = {"model": "a", "base_url": None, "judge": "b", "judge_base_url": None, "data": "outputs/pairs"}
    values |= {"more_models": ["c@http://elsewhere/v1", "a", "d"], "embedder": None, "n_items": 5}
    planned = {"05_fidelity": values, "08_pass_at_k": {"model": "a", "base_url": None}}
    planned["01_personas"] = {"model": "a", "persona_writer": "w", "persona_filter": None}
    names = rehearse._with_stand_ins(planned, "http://here/v1")
    assert names == {"planted-1", "planted-2", "planted-3", "planted-4"}
    assert values["more_models"] == [f"planted-{i}@http://here/v1" for i in (3, 1, 4)]
    assert (values["model"], values["judge"], values["judge_base_url"]) == ("planted-1", "planted-2", "http://here/v1")
    assert values["data"] is values["embedder"] is None and values["n_items"] == 5
    assert planned["01_personas"] == {"model": "planted-1", "persona_writer": "planted-1", "persona_filter": None}
    assert planned["08_pass_at_k"] == {"model": "planted-1", "base_url": "http://here/v1"}


def test_the_planted_endpoint_embeds_questions_of_a_topic_near_each_other():
    bank = prompts.load("builtin").groupby("topic").head(2).head(40)
    with Endpoint(World()) as endpoint:
        body = {"model": "planted-1", "input": list(bank["prompt"])}
        request = Request(f"{endpoint.url}/embeddings", json.dumps(body).encode(), {"Content-Type": "application/json"})
        data = json.loads(urlopen(request, timeout=LONG_S).read())["data"]
    vectors = np.array([row["embedding"] for row in data])
    nearest = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.fill_diagonal(nearest, np.inf)
    topics = bank["topic"].to_numpy()
    assert (topics[nearest.argmin(axis=1)] == topics).all()


def test_the_benchmark_counts_calls_and_intervals():
    spec = importlib.util.spec_from_file_location("planted_benchmark", ROOT / "benchmarks" / "planted.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    results = [benchmark.one((stem, 1)) for stem in ("02_prompts", "07_summaries")]
    shown = benchmark.shown(pd.concat([table for table, _ in results]), pd.DataFrame([used for _, used in results]))
    assert set(benchmark.STUDIES) == set(STEMS)
    assert shown.loc["all", "reasked"] == 0 and shown.loc["all", "calls"] > 1000
    assert shown.loc["all", "unscored, %"] <= 0.5 and 85 < shown.loc["all", "held, %"] <= 100
