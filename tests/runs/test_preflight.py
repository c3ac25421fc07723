"""Preflight: what a run lacks is said before anything is asked, in seconds, all at once, a short line each."""

import json
import os

import pandas as pd
import pytest
from aiohttp import web
from commands import persona
from endpoint import Endpoint, say

from persona_lib import UserError, personas, store
from persona_lib.cli import options
from persona_lib.model import Model, catalogue
from persona_lib.model.transport import reach
from persona_lib.runs.planning import endpoints, preflight, presets, sizes


def planned(stem: str = "06", preset: str = "smoke", **given) -> dict:
    return presets.plan(presets.load(preset), [stem], given)


def lines(plan: dict, **more) -> list[str]:
    """Why a run can't start, one line each."""
    with pytest.raises(UserError) as caught:
        preflight.check(plan, **more)
    first, *others = str(caught.value).split("\n  - ")
    if not others:
        begin = "the run can't start: "
        assert first.startswith(begin)
        return [first.removeprefix(begin)]
    assert first == f"the run can't start, for {len(others)} reasons:"
    assert not any("\n" in line for line in others)
    return others


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine with no key and without the optional packages."""
    for room in (preflight, sizes):
        monkeypatch.setattr(room, "find_spec", lambda name: None)
    monkeypatch.setattr(endpoints.keys, "api_key", lambda *_: None)
    monkeypatch.chdir(tmp_path)


# --- all at once


def test_all_that_the_paper_lacks_is_said_before_anything_is_asked(bare):
    found = lines(presets.plan(presets.load("paper")))
    assert found == [
        "a key for gpt-4.1, text-embedding-3-small, gpt-4o, gpt-4.1-mini: set OPENAI_API_KEY, or name your own "
        "endpoint with --base-url",
        "02, 04, 05, 06, 07, 08, 09, 10: PRISM: pip install -e '.[hub]' (or -p prompts=FILE, conversations.jsonl from "
        "https://huggingface.co/datasets/HannahRoseKirk/prism-alignment)",
        "03: data: no file outputs/pairs: make it with `persona pairs --out outputs/pairs` and the same preset",
        "05, 11, 12: the respondents of the GSS: pip install -e '.[humans]' (or -p survey=anes)",
    ]
    assert not any("a key" in line for line in lines(presets.plan(presets.load("paper")), asks=False))
    for command in (["run"], ["estimate"], ["pairs", "--out", "x"], ["estimate", "--pairs"]):
        result = persona(*command, "--preset", "paper")
        assert result.exit_code == 2 and result.stdout == "" and "PRISM: pip install" in result.stderr, command


def test_one_problem_of_several_notebooks_is_one_line_and_a_single_one_is_no_list(tmp_path):
    given = {"personas": str(tmp_path / "gone.csv")}
    found = lines(presets.plan(presets.load("smoke"), ["06", "07"], given))
    assert len(found) == 1 and found[0].startswith("06, 07: ") and "gone.csv" in found[0]


def test_a_run_that_lacks_nothing_starts_with_no_note():
    assert preflight.check(presets.plan(presets.load("smoke")), seeks=False) == []


# --- models


def test_prism_that_cannot_be_downloaded_is_a_line_in_seconds(monkeypatch):
    def down(*_, **__):
        raise OSError("no network")

    def not_there(source):
        raise UserError(f"cannot download {source}, offline: {os.environ.get('HF_HUB_OFFLINE')}")

    monkeypatch.setattr(sizes, "find_spec", lambda name: name)
    monkeypatch.setattr(sizes, "urlopen", down)
    monkeypatch.setattr(sizes.ingredients, "available", not_there)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert lines(planned(prompts="prism"), asks=False) == ["06: prompts: cannot download prism, offline: 1"]


def test_the_counts_of_prism_are_looked_at(monkeypatch):
    monkeypatch.setattr(sizes, "find_spec", lambda name: name)
    monkeypatch.setattr(sizes, "_hub_answers", lambda: True)
    monkeypatch.setattr(sizes.ingredients, "available", lambda source: {"train": 30, "heldout": 7})
    assert lines(planned(prompts="prism"), asks=False) == [
        "06: 8 heldout prompts are asked for, and prism has 7: lower n_prompts, or take all 37 with -p use=all if "
        "no model was trained on them"
    ]


AT = {"base_url": "http://127.0.0.1:1/v1"}
KEY = "a key for gpt-4.1-mini, gpt-4.1: set OPENAI_API_KEY, or name your own endpoint with --base-url"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, [KEY]),
        (AT, []),
        (
            AT | {"judge": "gpt-4.1"},
            [
                "judge 'gpt-4.1' has no address, so that OpenAI is asked, which takes a key: give "
                "-p judge_base_url=ADDRESS, or set OPENAI_API_KEY"
            ],
        ),
        (AT | {"judge": "j", "judge_base_url": "http://127.0.0.1:2/v1"}, []),
        ({"model": "local"}, []),
        ({"recording": "smoke"}, []),
    ],
)
def test_a_key_is_needed_where_openai_is_asked(bare, monkeypatch, given, said):
    monkeypatch.setattr(reach, "problems", lambda asked: [None for _ in asked])
    plan = planned("06", "small", **given)
    assert lines(plan) == said if said else preflight.check(plan) == []


def test_an_address_in_the_environment_is_where_models_without_one_are_asked(bare, monkeypatch):
    with Endpoint(models=("gpt-4.1-mini", "gpt-4.1")) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        assert preflight.check(planned("06", "small")) == []
        endpoint.models = ("gpt-4.1-mini",)
        (said,) = lines(planned("06", "small"))
        assert said == f"{endpoint.url} has no model 'gpt-4.1'; it has gpt-4.1-mini"


def test_addresses_keys_and_models_are_tried_at_once_and_nothing_is_asked(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-key")
    with Endpoint(models=("m", "owner/long")) as endpoint, Endpoint(models=("other",)) as judge:
        fine = {"model": "m", "base_url": endpoint.url, "judge": "other", "judge_base_url": judge.url}
        assert preflight.check(planned(**fine)) == preflight.check(planned(**fine | {"model": "long"})) == []
        found = lines(planned("01", model="m", base_url=endpoint.url, persona_writer="w", persona_filter="v"))
        assert [f"{endpoint.url} has no model '{name}'; it has m, owner/long" for name in "wv"] == found
        found = lines(planned(**fine | {"judge": "m", "more_models": ["n@http://127.0.0.1:1/v1"]}))
        assert found[0] == f"{judge.url} has no model 'm'; it has other"
        assert found[1].startswith("no answer from http://127.0.0.1:1/v1 (")
        assert endpoint.requests == judge.requests == []


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(reach, "PATIENCE_S", 0.3)
    monkeypatch.setattr(reach._Tried, "_look", lambda *_: __import__("asyncio").sleep(60))
    with Endpoint() as endpoint:
        assert lines(planned(model="m", base_url=endpoint.url)) == [
            f"no answer from {endpoint.url} within 0 s: is the server running?"
        ]


def test_an_endpoint_that_lists_no_models_is_asked_for_them_once():
    asked = []

    class Unlisted(Endpoint):
        async def _models(self, request):
            asked.append(request.path)
            raise web.HTTPNotFound

    with Unlisted() as endpoint:
        assert preflight.check(planned(model="m", base_url=endpoint.url)) == []
        assert asked == ["/v1/models"] and [body["messages"] for body in endpoint.requests] == [[]]


def test_more_topics_than_prompts_that_the_filters_leave_are_too_many(tmp_path):
    asked = [f"Is it right to give {thing} to the poor?" for thing in ("money", "food", "time")]
    pd.DataFrame({"prompt": [*asked, "hello", "Too short?"]}).to_csv(tmp_path / "asked.csv", index=False)
    given = {"prompts": str(tmp_path / "asked.csv"), "n_prompts": 3, "n_topics": 4}
    (said,) = lines(presets.plan(presets.load("smoke"), ["02"], given | {"recording": "smoke"}))
    assert said.startswith("02: n_topics is 4, and the filters leave 3 prompts of ")


def test_an_address_without_its_last_part_answers_no_chats():
    with Endpoint() as endpoint:
        (said,) = lines(planned(model="m", base_url=endpoint.url.removesuffix("/v1")))
        assert said.startswith(f"{endpoint.url.removesuffix('/v1')} answers no chats (NotFoundError: ")
        assert said.endswith("many addresses end in /v1")
        embedder = {"embedder": f"e@{endpoint.url.removesuffix('/v1')}"}
        assert preflight.check(planned("02", **embedder)) == [], "it may offer embeddings alone"


def test_a_finished_run_finds_its_replies_though_the_endpoint_is_gone():
    with Endpoint() as endpoint:
        gone = {"model": "m", "base_url": endpoint.url}
        assert preflight.check(planned(**gone)) == []
        Model("m", endpoint.url).ask(say("Hello"))
    assert preflight.check(planned(**gone)) == [f"m at {endpoint.url} can't be asked; the store has replies of it"]
    assert "no answer from" in lines(planned(**gone | {"judge": "j", "judge_base_url": endpoint.url}))[0]


def test_a_model_that_was_found_to_offer_no_log_probabilities_is_asked_for_no_choices(monkeypatch):
    refused = 400, {"error": {"message": "logprobs are not supported"}}
    with Endpoint(lambda body: refused) as endpoint:
        given = {"model": "m", "base_url": endpoint.url, "recording": None}
        plan = presets.plan(presets.load("smoke"), ["04", "06", "10"], given)
        assert preflight.check(plan) == []
        with pytest.raises(UserError, match="offers no log-prob"):
            Model("m", endpoint.url).choose(say("x"))
        (line,) = lines(plan)
        assert line.startswith("m offers no log-probabilities, which choices in 04, 10 need: set `samples`")
        assert preflight.check({stem: values for stem, values in plan.items() if stem == "06_conditioning"}) == []
        sampled = catalogue.Settings(samples=4)
        monkeypatch.setattr(catalogue, "settings", lambda name: sampled)
        assert preflight.check(plan) == [] and len(endpoint.requests) == 1


def test_offline_nothing_is_tried(monkeypatch):
    monkeypatch.setenv("PERSONA_OFFLINE", "1")
    assert preflight.check(planned(model="m", base_url="http://127.0.0.1:1/v1")) == []


def test_a_limit_in_dollars_takes_a_price_of_every_model(bare, monkeypatch):
    monkeypatch.setattr(reach, "problems", lambda asked: [None for _ in asked])
    plan = planned(model="m", judge="gpt-4.1", more_models=["n@http://x/v1"], judge_base_url="http://x/v1", **AT)
    assert lines(plan, max_cost=1.0) == ["max_cost takes a price of m, n: add it to params/prices.yaml"]
    assert preflight.check(plan) == [] == preflight.check(planned(), max_cost=1.0), "the embedded model is free"
    result = persona("run", "--only", "06", "--model", "m", "--base-url", "http://x/v1", "--max-cost", 1)
    assert result.exit_code == 2 and "max_cost takes a price of m: add it" in result.stderr


def test_a_file_that_is_no_model_and_a_store_that_cannot_be_written_are_named(tmp_path, monkeypatch):
    (tmp_path / "x.gguf").write_text("no model")
    (said,) = lines(planned(model=str(tmp_path / "x.gguf")))
    assert "is no GGUF model file" in said
    assert lines(planned(model="gone.gguf")) == ["model: no file gone.gguf"]
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "file" / "responses.sqlite"))
    (said,) = lines(planned())
    assert "responses.sqlite" in said


# --- files


def test_files_people_prompts_and_sizes_that_do_not_fit_are_named_together(tmp_path):
    (tmp_path / "who.csv").write_text("persona_id,age,persona_split\na,30,test\nb,30,train\n")
    given = {"personas": str(tmp_path / "who.csv"), "templates": "nowhere", "n_prompts": 700, "n_items": 9000}
    found = lines(planned(**given))
    assert "06: templates: no folder nowhere" in found
    assert any(line.startswith("06: 700 heldout prompts are asked for, and builtin has ") for line in found)
    assert "06: n_items 9000 exceeds the 4 x 700 pairs of personas and prompts: lower n_items" in found
    of_people = (
        f"06: {tmp_path}/who.csv has 1 people of at least 18 on the test side, and 4 are asked for: lower n_personas"
    )
    assert any(of_people in line for line in found)
    for name, said in (("prompts", "06: prompts: no file ../gone.csv"), ("personas", "06: personas: no ../gone.csv: ")):
        (found,) = lines(planned(**{name: "../gone.csv"}))
        assert found.startswith(said)


@pytest.mark.parametrize(
    ("stem", "name", "text", "said"),
    [
        ("10", "labels", "persona_id,label\na,1\n", "lacks prompt_id, condition, annotator"),
        ("02", "judgments", "persona_id,prompt_id\na,b\n", "p_chosen"),
        ("05", "humans", "persona,rater\na,b\n", "question"),
        ("05", "rated", None, "no file"),
        ("03", "data", "persona,instruction\na: b,c\n", "lacks the columns original, data"),
        ("03", "data", None, "make it with `persona pairs"),
    ],
)
def test_a_file_that_a_later_notebook_would_refuse_is_refused_first(tmp_path, stem, name, text, said):
    path = tmp_path / "own.csv"
    if text:
        path.write_text(text)
    (found,) = lines(planned(stem, **{name: str(path)}))
    assert found.startswith(f"{stem}: {name}: ") and said in found and ".." not in found


def test_a_damaged_data_set_is_one_line_and_one_made_otherwise_is_noted(tmp_path):
    folder = tmp_path / "pairs"
    (folder / "pairs").mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps({"words": 120, "generator": {"name": "m"}}))
    table = pd.DataFrame({"failure": [None]}, dtype="str")
    table.to_parquet(folder / "pairs" / "part-00000.parquet")
    table.to_parquet(folder / "personas.parquet")
    (found,) = lines(planned("03", data=str(folder)))
    assert "prompts.parquet" in found
    table.to_parquet(folder / "prompts.parquet")
    of_people, note = preflight.check(planned("03", data=str(folder)))
    assert of_people.startswith("03: the data set ") and "has people whom another version drew" in of_people
    assert note.startswith("03: the data set ")
    assert note.endswith("was made with model m, not SmolLM2-135M-Instruct and words 120, not 10")
    (folder / "dataset.json").write_text("{")
    assert "dataset.json can't be read as JSON" in lines(planned("03", data=str(folder)))[0]


def test_columns_of_people_that_no_model_is_told_are_named_before_anything_is_asked(tmp_path):
    own = tmp_path / "people.csv"
    rows = "".join(f"p{i},40,Female,Democrat,x,chess,test\n" for i in range(4))
    own.write_text("persona_id,Age,sex,political_views,party_i_like,hobby,persona_split\n" + rows)
    (said,) = preflight.check(planned(personas=str(own)))
    assert said.endswith("no attributes, so no model is told them: party_i_like, hobby")


def test_columns_of_prompts_that_nothing_reads_are_named_and_known_ones_found_in_any_spelling(tmp_path):
    own = tmp_path / "my questions.csv"
    rows = "".join(f"Is law {i} fair?, heldout, n{i}, x, law\n" for i in range(9))
    own.write_text("Prompt, Prompt_Split, Prompt-ID, Side, TOPIC\n" + rows)
    (said,) = preflight.check(planned(prompts=str(own)))
    assert said.startswith(str(own)) and said.endswith(", so no experiment reads them: Side")
    own.write_text("prompt,topic\n" + "".join(f"Is law {i} fair?,law\n" for i in range(99)))
    assert preflight.check(planned(prompts=str(own))) == []


# --- sizes and groups


@pytest.mark.parametrize(
    ("stem", "given", "said"),
    [
        ("06", {"n_subtle": 99}, "n_subtle 99 exceeds the 4 x 8 pairs of personas and prompts: lower n_subtle"),
        ("06", {"n_controls": 99}, "n_controls is 99, and there are 12 control items: lower it, or null takes all"),
        ("08", {"ks": [1, 9]}, "ks reaches 9, and there are 3 samples: lower ks or raise n_samples"),
        ("08", {"temperature": 0}, "3 samples at temperature 0 would be one and the same: raise temperature"),
        ("02", {"n_topics": 5000}, "n_topics is 5000, and the filters leave "),
        ("03", {"n_train": 9}, "n_train + n_seen is 10 prompts per persona, and there are 3: raise train_prompts"),
        ("03", {"n_heldout": 2}, "n_heldout is 2 prompts per persona, and there are 1: raise heldout_prompts"),
        ("05", {"n_respondents": 5000}, "n_respondents is 5000, and ANES 1996 has 944: lower it, or null takes all"),
        ("05", {"orders": 7}, "orders is 7, and 2 options have as many: lower it"),
        ("05", {"by": "star sign"}, "by: ANES 1996 has no 'star sign'; it has "),
        ("10", {"conditions": ["summary"]}, "conditions needs direct"),
        ("10", {"conditions": ["direct", "baseline"]}, "baseline and other_persona are compared anyway"),
        ("09", {"groups": {}, "crossed": [], "single": []}, "there is no group: name attributes in crossed or single"),
        ("09", {"groups": {"x": {"shoe size": 43}}}, "group 'x': personas have no 'shoe size'"),
        ("09", {"groups": {"x": {}}}, "group 'x' names no attribute, so that everybody is in it"),
        ("09", {"crossed": ["sex", "star sign"]}, "personas have no star sign"),
        ("00", {"where": "agee > 3"}, "the filter 'agee > 3' can't be read"),
        ("06", {"more_models": ["local"]}, "two models are named SmolLM2-135M-Instruct, so that their rows would be"),
        ("05", {"more_models": ["m@http://x/v1"], "judge": "m", "judge_base_url": "http://y/v1"}, "are named m"),
        (
            "06",
            {"n_personas": 1, "n_items": 2},
            "the profile of another persona takes two personas at least: raise n_personas",
        ),
    ],
)
def test_numbers_and_groups_that_do_not_fit_are_refused_before_anything_is_asked(stem, given, said):
    (found,) = lines(planned(stem, **given), seeks=False)
    assert found.startswith(f"{stem}: ") and said in found


def test_a_filter_is_tried_on_a_file_that_is_read_whole(tmp_path):
    own = tmp_path / "people.csv"
    own.write_text("persona_id,age,hobby\na,3,chess\n")
    given = {"personas": str(own), "where": "age < 5 and religion != 'x'"}
    assert [note for note in preflight.check(planned("00", **given)) if "hobby" not in note] == []
    (found,) = lines(planned("00", **given | {"where": "hobby == 'chess'"}))
    assert "can't be read: name 'hobby' is not defined" in found


def test_groups_are_checked_against_the_attributes_of_a_file_of_people(tmp_path):
    own = tmp_path / "people.csv"
    people = personas.sample(30, where="age > 17").drop(columns=["race"])
    people.assign(persona_split="test").to_csv(own)
    (found,) = lines(planned("09", personas=str(own)))
    assert "personas have no race group" in found
    assert preflight.check(planned("09", personas=str(own), crossed=["sex"])) != []  # notes of auxiliary columns


def test_attributes_that_nobody_of_a_file_has_are_named(tmp_path):
    own = tmp_path / "people.csv"
    people = personas.sample(30, where="age > 17").drop(columns=["fertility"])
    people.assign(persona_split="test").to_csv(own)
    (found,) = lines(planned("04", personas=str(own), pool=20))
    assert "no attribute 'fertility'" in found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"train": 90}, "train + seen is 91 prompts per persona, and there are 4: raise train_prompts"),
        ({"dense_personas": 9}, "dense_personas is 9, and there are 3 personas: lower it"),
        ({"dense_prompts": 9}, "dense_prompts is 9, and there are 6 prompts: lower it"),
        ({"heldout_prompts": 900}, "900 heldout prompts are asked for, and builtin has "),
    ],
)
def test_a_data_set_that_its_prompts_or_people_do_not_suffice_for_is_refused(given, said):
    settings = presets.pairs(presets.load("smoke"), given)
    (found,) = lines({preflight.PAIRS: settings.model_dump()})
    assert found.startswith("pairs: ") and said in found


def test_the_store_is_where_replies_are_looked_for():
    assert not reach.has_replies(reach.Place("m", "http://x/v1")) and not store.default_path().exists()


@pytest.mark.parametrize(
    ("stem", "given", "said"),
    [
        ("04", {"pool": 1, "n_people": 1, "n_questions": 1, "n_personas": 2, "n_items": 2}, "the pool has 1 people"),
        ("06", {"n_items": 1}, "raise n_items"),
        ("10", {"n_items": 1}, "raise n_items"),
    ],
)
def test_sizes_that_a_later_draw_would_refuse_are_refused_first(stem, given, said):
    (found,) = lines(planned(stem, **given))
    assert said in found


def test_a_file_with_fewer_people_than_the_second_experiment_takes_is_refused(tmp_path):
    drawn = personas.sample(3, 0, side="test")
    drawn.reset_index().to_csv(tmp_path / "own.csv", index=False)
    given = {"personas": str(tmp_path / "own.csv"), "pool": None, "n_personas": 5, "n_items": 5, "min_age": 0}
    assert any("n_personas is 5, and " in line and "has 3 people" in line for line in lines(planned("04", **given)))


def test_a_recording_that_is_not_there_or_damaged_is_refused_first(tmp_path):
    (found,) = lines(planned(recording="/nope/x.jsonl"))
    assert found.startswith("06: recording: no recording '/nope/x.jsonl'")
    (tmp_path / "own.jsonl").write_text("{}\n")
    (found,) = lines(planned(recording=str(tmp_path / "own.jsonl")))
    assert "line 1 is no recorded reply" in found


def test_a_note_names_a_file_as_the_user_gave_it(tmp_path, capsys):
    own = tmp_path / "people.csv"
    own.write_text("persona_id,age,sex,hobby,persona_split\n" + "".join(f"p{i},4{i},Male,x,test\n" for i in range(4)))
    (tmp_path / "wording").mkdir()
    (tmp_path / "wording" / "misspelt.txt").write_text("reply: [answer]\n[user]\n$question\n")
    plan = planned("07", personas=str(own), templates=str(tmp_path / "wording"), n_personas=2, n_items=2)
    options.note(preflight.check(plan, asks=False))
    shown = capsys.readouterr().err
    assert f"note: {own}: these columns" in shown and f"note: {tmp_path / 'wording'}: nothing" in shown
