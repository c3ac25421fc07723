"""The command `persona`: what it takes, what it says in one line, and its exit codes."""

import errno
import json
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from commands import one_line, persona
from endpoint import Endpoint, completion
from projects import write_project

from persona_lib import EndpointError, LimitError, UserError, census, files, local, store
from persona_lib.runs.pages import said
from persona_lib.runs.planning import notebooks, parameters, presets
from persona_lib.runs.results import folders


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own; no notebook of it is executed here."""
    monkeypatch.setattr(files, "ROOT", write_project(tmp_path / "project"))
    return files.ROOT


@pytest.fixture
def started(monkeypatch):
    """What `persona run` hands to `runs.run`, in place of a run; `status` is what becomes of it."""
    told = {"status": "done"}

    def run(preset, planned, folder, max_calls, max_cost, say, jobs, cluster):
        told.update(preset=preset.name, planned=planned, folder=folder, max_calls=max_calls, max_cost=max_cost)
        entry = {"status": told["status"], "seconds": 2.0, "error": None, "headline": "Half of it.", "run": "now"}
        entry |= told.get("entry", {})
        if told["status"] == "failed" and not entry.get("lost"):
            entry["error"] = {"name": told.get("error", "ValueError"), "message": "no such thing"}
        usage = {"calls": 5, "reasked": 0, "cached": 3, "failed": 1, "tokens_in": 40, "tokens_out": 9, "cost": None}
        of_before = entry | {"run": "before", "status": "failed", "error": {"name": "LimitError", "message": "x"}}
        say(said.of_notebook("01_good", entry))
        notebooks = {"01_good": entry, "09_kept": of_before}
        begun = {"status": told["status"], "started": "now", "seconds": 3.0}
        return begun | {"notebooks": notebooks, "usage": usage}

    monkeypatch.setattr("persona_lib.runs.executing.run.run", run)
    monkeypatch.setattr("persona_lib.model.transport.reach.problems", lambda asked: [None for _ in asked])
    return told


def test_a_run_ends_with_what_it_used_and_the_address_of_the_index(project, started):
    result = persona("run")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0 and lines[-1] == (project / "outputs" / "smoke" / "index.html").as_uri()
    assert lines[0] == "done    01_good  2 s  Half of it."
    assert lines[1] == "3 s, 5 model calls, 3 found in the store, 1 failed item, 49 tokens, no price known"


def test_a_failed_run_exits_with_1_and_names_the_error(project, started):
    started["status"] = "failed"
    result = persona("run")
    assert result.exit_code == 1 and "failed  01_good  2 s  ValueError: no such thing" in result.stdout
    assert "09_kept" not in result.stdout  # an earlier run left it there


@pytest.mark.parametrize(("error", "code"), [("LimitError", 3), ("EndpointError", 2), ("UserError", 1)])
def test_an_exit_code_says_why_a_run_ended(project, started, error, code):
    started.update(status="failed", error=error)
    assert persona("run").exit_code == code


def test_a_run_most_of_whose_items_failed_exits_with_1_and_names_the_step(project, started):
    started.update(status="failed", entry={"status": "done", "lost": ["judging: 3 of 4 items failed"]})
    result = persona("run")
    assert result.exit_code == 1 and "most items failed (judging: 3 of 4 items failed)" in result.stdout


@pytest.mark.parametrize(("error", "code"), [(LimitError, 3), (EndpointError, 2), (UserError, 2)])
def test_an_error_that_ends_a_command_has_its_exit_code(project, monkeypatch, error, code):
    def wrong(*_):
        raise error("it rains: take an umbrella")

    monkeypatch.setattr(presets, "load", wrong)
    assert one_line(persona("run"), code) == "error: it rains: take an umbrella\n"


def test_a_file_named_from_the_notebooks_is_shown_as_the_caller_sees_it(project, monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def wrong(*_):
        raise UserError(f"no file {project}/notebooks/../../here/mine.csv, nor {project}/notebooks/../../other.csv")

    monkeypatch.setattr(presets, "load", wrong)
    assert one_line(persona("run")) == f"error: no file mine.csv, nor {tmp_path}/other.csv\n"


def test_options_become_parameters_of_the_notebooks_that_declare_them(project, started, tmp_path):
    options = ["--only", "01,02", "--model", "m", "--base-url", "http://x", "-p", "share=1", "-p", "recording=null"]
    assert persona("run", *options, "--out", tmp_path / "here").exit_code == 0
    assert list(started["planned"]) == ["01_good", "02_bad"] and started["folder"] == tmp_path / "here"
    for values in started["planned"].values():
        assert values.items() >= {"model": "m", "base_url": "http://x", "share": 1, "recording": None}.items()


def test_an_empty_part_of_only_is_no_notebook(project, started):
    assert persona("run", "--only", "01,").exit_code == 0
    assert list(started["planned"]) == ["01_good"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--preset", "smok"], "unknown preset 'smok': did you mean 'smoke'? known: smoke"),
        (["--only", "07"], "unknown notebook '07': known: 01_good, 02_bad"),
        (["--only", ""], "unknown notebook '': known: 01_good, 02_bad"),
        (["--only", ","], "unknown notebook ',': known: 01_good, 02_bad"),
        (["-p", "sede=1"], "unknown parameter 'sede' of 01_good, 02_bad: did you mean 'seed'?"),
        (["-p", "seed=one"], "parameter 'seed' of 01_good takes a whole number from 0 to 4294967295, not 'one'"),
        (["-p", "seed"], "-p takes KEY=VALUE, not 'seed'"),
        (["-p", "seed=["], "-p seed=[: '[' can't be read as YAML"),
        (["-p", "share=.nan"], "-p share=.nan: "),
        (["-p", "out=x"], "choose its folder with --out"),
    ],
)
def test_wrong_options_are_one_line_before_anything_runs(project, started, options, said):
    assert said in one_line(persona("run", *options))
    assert "planned" not in started


def test_wording_in_a_folder_that_is_not_there_is_refused(tmp_path):
    options = ["annotate", "export", "--out", tmp_path / "study", "--templates", tmp_path / "nowhere"]
    result = persona(*options)
    assert result.exit_code == 2 and "nowhere' does not exist" in result.stderr


def test_a_folder_of_something_else_is_one_line(project):
    assert "choose a folder with --out" in one_line(persona("run", "--out", project / "params"))


def test_a_full_disk_is_one_line(project, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "outputs/x")

    monkeypatch.setattr("persona_lib.runs.executing.run.run", full)
    assert one_line(persona("run"), 1) == "error: No space left on device: outputs/x\n"


def test_a_byte_that_is_no_text_is_one_line(project, tmp_path):
    table = pd.DataFrame({"persona_id": "p", "profile": "age: 40", "prompt_id": ["a", "b", "c", "d"], "prompt": "?"})
    table.assign(first="yes", second="no").to_csv(tmp_path / "pairs.csv")
    options = ["--pairs", tmp_path / "pairs.csv", "--out", tmp_path / "study", "--n-personas", 1, "--questions", 2]
    assert "byte that is no text in UTF-8" in one_line(persona("annotate", "export", *options, "--title", "\udcff"))
    assert "'--checks' must be less" in one_line(persona("annotate", "export", *options, "--checks", 10**30))


def test_used_up_memory_is_one_line(project, monkeypatch):
    def too_much(*_):
        raise MemoryError

    monkeypatch.setattr("persona_lib.runs.executing.run.run", too_much)
    assert one_line(persona("run"), 1).startswith("error: memory is used up: ask for fewer")
    assert "'n' must be less than or equal to 10000000" in one_line(persona("sample", 10**30, "--out", "p.csv"))


def test_a_reader_who_has_enough_is_no_error(project, monkeypatch):
    def closed(*_):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("persona_lib.runs.executing.run.run", closed)
    assert (persona("run").exit_code, persona("run").stderr) == (1, "")  # `persona run | head`


def test_what_the_user_wrote_stays_one_line_whatever_it_holds(project):
    said = one_line(persona("run", "--preset", "a\n\x1b[31mb\x00"))
    assert said.startswith("error: unknown preset 'a \\x1b[31mb\\x00': known: smoke")


def test_a_bug_keeps_its_traceback(project, monkeypatch):
    monkeypatch.setattr("persona_lib.runs.executing.run.run", lambda *_: {}["status"])
    assert isinstance(persona("run").exception, KeyError)


def test_ctrl_c_anywhere_is_one_line_and_130(project, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(presets, "load", stopped)
    result = persona("run")
    assert result.exit_code == 130 and str(store.default_path()) in result.stderr
    assert result.stderr.strip().count("\n") == 0


def test_retry_failed_forgets_what_got_no_usable_reply(project, started):
    with_failure = store.Stored("k1", "{}", "{}", "refused"), store.Stored("k2", "{}", "{}", None)
    store.Store().put(with_failure)
    assert "planned" not in started
    assert "1 failed reply will be asked again" in persona("run", "--retry-failed").stdout
    assert store.Store().counts() == {"replies": 1, "failed": 0}


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_sample_writes_the_kind_of_file_that_the_name_says(tmp_path, suffix):
    from persona_lib import personas

    out = tmp_path / f"p.{suffix}"
    assert persona("sample", 3, "--out", out, "--seed", 7).exit_code == 0
    readers = {"parquet": pd.read_parquet, "csv": pd.read_csv, "jsonl": lambda path: pd.read_json(path, lines=True)}
    read, drawn = readers[suffix](out).reset_index(), personas.sample(3, seed=7)
    assert read["persona_id"].astype(str).tolist() == drawn.index.astype(str).tolist()
    assert read["age"].tolist() == drawn["age"].tolist()


def test_sample_of_nobody_or_into_another_kind_of_file_is_refused(tmp_path):
    refused = one_line(persona("sample", 3, "--out", tmp_path / "p.xlsx"))
    assert "p.xlsx must end in one of .parquet, .jsonl, .csv, .txt" in refused
    assert "1 or more" in one_line(persona("sample", 0, "--out", tmp_path / "p.csv"))
    assert "there is no folder" in one_line(persona("sample", 3, "--out", tmp_path / "no" / "p.csv"))


def test_sample_takes_adults_and_a_filter_together(tmp_path):
    options = ["--adults", "--where", "sex == 'Female' and `health insurance` == 'No health insurance coverage'"]
    assert persona("sample", 20, "--random", "--out", tmp_path / "p.csv", *options).exit_code == 0
    table = pd.read_csv(tmp_path / "p.csv")
    assert (table["age"] >= 18).all() and set(table["sex"]) == {"Female"} and len(table) == 20
    assert set(table["health insurance"]) == {"No health insurance coverage"}


def test_sample_at_random_differs_from_a_balanced_one(tmp_path):
    for name, options in (("balanced", []), ("random", ["--random"])):
        assert persona("sample", 50, "--out", tmp_path / f"{name}.txt", *options).exit_code == 0
    texts = [(tmp_path / f"{name}.txt").read_text("utf-8") for name in ("balanced", "random")]
    assert all(text.count("\n\nage: ") == 49 for text in texts) and texts[0] != texts[1]


def test_sample_with_a_model_lets_it_write_and_read_and_says_what_came_of_it(tmp_path):
    def answer(body: dict) -> dict:
        fields = body["response_format"]["json_schema"]["schema"]["properties"]
        reply = {name: f"{name} no {len(endpoint.requests)}" for name in fields}
        return completion(
            json.dumps(reply | {"attribute": "none", "verdict": "consistent"} if "why" in fields else reply)
        )

    with Endpoint(answer) as endpoint:
        options = ["--model", "m", "--base-url", endpoint.url, "--out", tmp_path / "p.csv"]
        result = persona("sample", 4, "--random", *options)
    assert result.exit_code == 0 and "texts: m (4)" in result.stdout
    assert "0 of 4 profiles were drawn anew, and 0 are still inconsistent" in result.stdout
    assert set(pd.read_csv(tmp_path / "p.csv")["written by"]) == {"m"}
    assert "name it with --model" in one_line(persona("sample", 3, "--out", tmp_path / "q.csv", "--max-calls", 3))


def test_fit_names_an_unreadable_file(tmp_path):
    (tmp_path / "people.parquet").write_text("no parquet")
    assert "people.parquet" in one_line(persona("fit", tmp_path / "people.parquet", "--out", tmp_path / "p.npz"))
    assert "must end in .npz" in one_line(persona("fit", tmp_path / "people.parquet", "--out", tmp_path / "p.txt"))


def test_sample_may_draw_from_microdata_of_ones_own(shared, tmp_path):
    """Real people: each is one of the file, with the state."""
    files = [shared / "acs" / name for name in ("csv_pwy.zip", "csv_hwy.zip")]
    result = persona("sample", 20, "--out", tmp_path / "p.csv", "--pums", files[0], "--pums", files[1])
    drawn = pd.read_csv(tmp_path / "p.csv")
    assert result.exit_code == 0 and (drawn["state"] == "Wyoming").all()
    real = census.read_pums(files)
    assert set(zip(drawn["age"], drawn["income"].fillna(-1), strict=True)) <= set(
        zip(real["age"], real["income"].astype(float).fillna(-1), strict=True)
    )


def test_sample_names_what_is_wrong_with_microdata(shared, tmp_path):
    housing = shared / "acs" / "csv_hwy.zip"
    assert "no persons" in one_line(persona("sample", 20, "--out", tmp_path / "p.csv", "--pums", housing))


def test_fit_takes_another_countrys_census_with_a_mapping(tmp_path):
    pd.DataFrame({"A": range(2000), "S": [1, 2] * 1000}).assign(A=lambda t: t["A"] % 90).to_csv(tmp_path / "c.csv")
    form = "attributes: {età: {column: A, kind: numeric}, sesso: {column: S, codes: {1: Uomo, 2: Donna}}}"
    (tmp_path / "m.yaml").write_text(form, "utf-8")
    result = persona("fit", tmp_path / "c.csv", "--mapping", tmp_path / "m.yaml", "--out", tmp_path / "p.npz")
    assert result.exit_code == 0 and "attributes: età, sesso" in result.stdout
    assert set(census.Population.load(tmp_path / "p.npz").sample(100)["sesso"]) == {"Uomo", "Donna"}


def test_fit_writes_a_population_and_says_where_it_comes_from(shared, tmp_path):
    people = pd.read_parquet(shared / "acs" / "us_persons_2024.parquet").head(3000)
    people.to_parquet(tmp_path / "few.parquet")
    result = persona("fit", tmp_path / "few.parquet", "--out", tmp_path / "p.npz")
    assert result.exit_code == 0 and (tmp_path / "p.npz").is_file()
    assert "kB" in result.stdout and {"files: few.parquet", "persons: 3000"} <= set(result.stdout.splitlines())


# --- params


def test_params_lists_what_p_takes_with_preset_default_and_comment(project):
    lines = persona("params", "1").stdout.splitlines()
    assert lines[0] == "01_good: What 01_good asks"
    at = lines.index("  -p n_items=4  [default: 8]")  # the preset's value
    assert lines[at + 1] == "      a whole number from 1" and "  -p share=0.5" in lines
    assert not any("out=" in line for line in lines)
    assert "unknown notebook '7'" in one_line(persona("params", "7"))
    assert "has no section 'pairs'" in one_line(persona("params", "pairs"))


def test_what_params_lists_can_be_given_back():
    shown = persona("params", "--preset", "small").stdout
    assert all(f"{stem}: " in shown for stem in notebooks.stems())
    for stem, values in presets.plan(presets.load("small")).items():
        lines = shown.partition(f"{stem}: ")[2].partition("\n\n")[0].splitlines()[1:]
        given = [shlex.split(line.partition("  [default: ")[0])[1] for line in lines[::2]]
        expected = {name: json.loads(json.dumps(value)) for name, value in values.items() if name != "out"}
        assert parameters.read(given) == expected
    said = notebooks.find("06_conditioning").comments["n_items"]
    assert said == "persona x prompt pairs, at most n_personas * n_prompts" and f"      {said}; a whole" in shown
    pairs = persona("params", "pairs").stdout
    assert "  -p dense_personas=2  [default: 0]" in pairs and "01_personas" not in pairs


# --- doctor


@pytest.fixture
def model_file(tmp_path, monkeypatch):
    """A stand-in for the embedded model's file in the cache."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    monkeypatch.setattr(local, "cached_path", lambda: path)
    monkeypatch.setattr(local, "GGUF_SHA256", local.sha256(path))
    return path


def test_doctor_finds_all_that_a_run_needs(project, model_file, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    store.Store().put([store.Stored("k", "{}", "{}", "refused")])
    result = persona("doctor")
    assert result.exit_code == 0 and "MISSING" not in result.stdout
    for line in ("Python 3", "package papermill 2", "model.gguf", "1 replies, 1 of them failed", "presets: smoke"):
        assert line in result.stdout
    assert "OPENAI_API_KEY is set" in result.stdout and "sk-secret" not in result.stdout


def test_doctor_fails_on_a_damaged_model_file(project, model_file):
    model_file.write_bytes(b"GGUF, half of it")
    result = persona("doctor")
    assert result.exit_code == 1 and "MISSING embedded model" in result.stdout


def test_doctor_fails_on_a_key_that_cannot_be_sent(project, model_file, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "“sk-secret”")
    result = persona("doctor", "--base-url", "http://127.0.0.1:9/v1")
    assert result.exit_code == 1 and "sk-secret" not in result.stdout
    assert result.stdout.splitlines()[-1].startswith("MISSING OPENAI_API_KEY has a character that no key has")


def test_doctor_fails_on_a_store_that_is_none(project, model_file):
    store.default_path().write_text("not a database, for sure")
    result = persona("doctor")
    assert result.exit_code == 1 and "can't serve as response store" in result.stdout


def test_doctor_without_a_fetched_model_or_a_store_says_what_will_come(project, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "cached_path", lambda: tmp_path / "none.gguf")
    result = persona("doctor")
    assert result.exit_code == 0
    assert "not fetched yet" in result.stdout and "is not there yet" in result.stdout
    assert not store.default_path().exists()  # looking makes nothing


def test_help_needs_none_of_the_heavy_libraries():
    program = "import sys; from persona_lib import cli; print({'pandas', 'papermill', 'openai'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_fit_fetches_the_states_that_it_is_told(project, monkeypatch, tmp_path):
    asked = {}

    def download(year, states):
        asked.update(year=year, states=states)
        raise UserError("no network here")

    monkeypatch.setattr(census, "download_pums", download)
    result = persona("fit", "--download", "2024", "WY", "Vermont", "--out", tmp_path / "two.npz")
    assert one_line(result) == "error: no network here\n" and asked == {"year": 2024, "states": ["WY", "Vermont"]}
    result = persona("fit", "--download", 2024, "WY", "--mapping", "m.yaml", "--out", tmp_path / "two.npz")
    assert "--download fetches the Bureau's own files" in one_line(result)


def test_none_is_read_as_the_notebooks_write_it(project, started):
    assert persona("run", "-p", "recording=None", "-p", "base_url=null").exit_code == 0
    assert all(values["recording"] is None and values["base_url"] is None for values in started["planned"].values())


def test_what_a_run_lacks_is_one_line_before_it_starts(project, started, monkeypatch):
    monkeypatch.setattr("persona_lib.model.transport.keys.api_key", lambda *_: None)
    said = one_line(persona("run", "--model", "m"))
    assert said.startswith("error: the run can't start: a key for m: set OPENAI_API_KEY, or name your own endpoint")
    assert "planned" not in started


def test_calls_that_asked_again_are_in_the_summary():
    usage = {"calls": 5, "reasked": 2, "cached": 3, "failed": 1, "tokens_in": 40, "tokens_out": 9, "cost": None}
    assert said.at_the_end({"started": "now", "notebooks": {}, "usage": usage, "seconds": 3.0}).startswith(
        "3 s, 5 model calls (2 of them asked again), 3 found in the store"
    )


@pytest.fixture
def made(project, monkeypatch, tmp_path):
    """What `persona pairs` does in place of a data set: two of three pairs are made, or the given ones."""
    told = {"failures": [None, None, "x"]}

    def make(settings, out, *_):
        with pytest.raises(UserError, match="in use by process"), folders.alone(out):
            pass
        return "made"

    table = {"columns": lambda *_: pd.DataFrame({"failure": told["failures"]}, dtype=object)}
    monkeypatch.setattr("persona_lib.cli.data.pairs_of", lambda *_, **__: SimpleNamespace(form="pairs"))
    monkeypatch.setattr("persona_lib.runs.executing.pairs.make", make)
    monkeypatch.setattr("persona_lib.preferences.dataset.columns", table["columns"])
    return told


def test_pairs_hold_their_folder_and_most_of_them_failed_is_an_exit_code(made, tmp_path):
    assert persona("pairs", "--out", tmp_path / "pairs").exit_code == 0
    made["failures"] = [None, "x", "x"]
    assert persona("pairs", "--out", tmp_path / "pairs").exit_code == 1
    (tmp_path / "pairs" / "thesis.txt").touch()
    assert "holds something else, not a preference data set" in one_line(persona("pairs", "--out", tmp_path / "pairs"))


def test_a_study_may_name_the_model_that_writes_its_pairs(monkeypatch, tmp_path):
    asked = {}

    def items(n, questions, writer, seed, **own):
        asked.update(name=writer.name, address=writer.base_url)
        raise UserError("no more")

    monkeypatch.setattr("persona_lib.runs.executing.pairs.items_to_rate", items)
    options = ["annotate", "export", "--out", tmp_path / "study", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"]
    assert one_line(persona(*options)) == "error: no more\n"
    assert asked == {"name": "m", "address": "http://127.0.0.1:9/v1"}
    given = one_line(persona(*options, "--pairs", tmp_path / "x.csv"))
    assert "--model and --base-url say what a model writes: leave them out with --pairs" in given


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--raters", "0"], "take at least 1 rater"),
        (["--seed", "-1"], "seed must be"),
        (["--post-to", "nowhere"], "nowhere"),
        (["--questions", "0"], ""),
    ],
)
def test_what_is_wrong_with_a_study_is_said_before_a_model_writes_for_it(monkeypatch, tmp_path, options, said):
    monkeypatch.setattr(
        "persona_lib.runs.executing.pairs.items_to_rate", lambda *_, **__: pytest.fail("a model was asked")
    )
    assert said in one_line(persona("annotate", "export", "--out", tmp_path / "study", *options))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert "full is not empty" in one_line(persona("annotate", "export", "--out", tmp_path / "full"))
