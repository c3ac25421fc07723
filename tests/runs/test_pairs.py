"""What a preset's data set is made of, and the commands that make and export it."""

import hashlib
import json

import pandas as pd
import pytest
import yaml
from batch_endpoint import (
    BatchEndpoint,
    quick,  # noqa: F401 (a fixture)
)
from commands import one_line, persona
from endpoint import Endpoint, completion, first_token
from writers import write

from persona_lib import UserError, methods, personas
from persona_lib.preferences import dataset
from persona_lib.runs.executing import pairs
from persona_lib.runs.planning import preflight, presets

SIZES = {"n_personas": 3, "train": 2, "seen": 1, "heldout": 1, "train_prompts": 6, "heldout_prompts": 3, "verify": 0}


def preset(**pairs) -> presets.Preset:
    return presets.Preset(name="p", about="", all={"seed": 3, "model": "m", "n": 1}, pairs=SIZES | pairs)


def of_file(path) -> presets.Pairs:
    return presets.pairs(preset(personas=str(path), n_personas=None, min_age=0))


def test_pairs_take_sizes_from_the_preset_models_from_its_all_and_what_is_given_wins():
    settings = presets.pairs(preset(), {"words": 30, "train": 4})
    assert (settings.seed, settings.model, settings.words, settings.train, settings.seen) == (3, "m", 30, 4, 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trian": 1}, "unknown parameter 'trian' of pairs: did you mean 'train'"),
        ({"train": "many"}, "parameter 'train' of pairs takes a whole number from 0, not 'many'"),
        ({"n_personas": 0}, r"parameter 'n_personas' of pairs takes a whole number from 1, or null \(all\), not 0"),
        ({"train": True}, "takes a whole number from 0, not True"),
        ({"judge": 4.1}, "parameter 'judge' of pairs takes a text, or null, not 4.1: write it in quotes"),
        ({"train_prompts": -1}, r"takes a whole number from 0, or null \(all of this side\), not -1"),
    ],
)
def test_a_misspelt_or_mistyped_parameter_is_said(given, said):
    with pytest.raises(UserError, match=said):
        presets.pairs(preset(), given)
    assert presets.pairs(preset(), {"train_prompts": 0}).train_prompts == 0, "as in 03"
    with pytest.raises(UserError, match="has no section 'pairs'"):
        presets.pairs(presets.Preset(name="p", about=""))


def test_the_committed_presets_have_pairs_and_the_paper_its_sizes():
    presets.pairs(presets.load("smoke"))
    paper = presets.pairs(presets.load("paper"))
    assert (paper.n_personas, paper.train, paper.seen, paper.heldout) == (1586, 100, 50, 50)
    assert (paper.train_prompts, paper.heldout_prompts, paper.prompts) == (None, None, "prism"), "all of both sides"
    assert set(presets.plan(presets.load("paper"))) <= set(presets.load("smoke").notebooks)


def test_prompts_are_those_of_the_presets_source_and_sizes(tmp_path):
    table = pairs.questions(presets.pairs(preset(train_prompts=40, heldout_prompts=10)))
    assert table["prompt_split"].value_counts().to_dict() == {"train": 40, "heldout": 10}
    with pytest.raises(UserError, match=r"builtin has .* prompts to train on, and 5000 are asked for: lower train_pro"):
        pairs.questions(presets.pairs(preset(train_prompts=5000)))
    (tmp_path / "own.jsonl").write_text('{"prompt": "hello"}\n{"prompt": "Why?", "prompt_split": "heldout"}\n')
    own = presets.pairs(preset(prompts=str(tmp_path / "own.jsonl"), train_prompts=None, heldout_prompts=None))
    assert set(pairs.questions(own)["prompt"]) == {"hello", "Why?"}


@pytest.fixture(scope="module")
def drawn() -> pd.DataFrame:
    return pairs.people(presets.pairs(preset(n_personas=12)))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_personas_of_a_file_are_read_with_ids_numbers_and_split(drawn, tmp_path, suffix):
    personas.save(drawn, tmp_path / f"people{suffix}")
    people = pairs.people(of_file(tmp_path / f"people{suffix}"))
    assert len(people) == 12 and people.index.tolist() == drawn.index.tolist()
    for name in ("age", "persona_split", "sex", "ideology"):
        assert people[name].tolist() == drawn[name].astype(people[name].dtype).tolist(), name
    for i in people.index:
        assert personas.describe(people.loc[i]) == personas.describe(drawn.loc[i])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("people.csv", "persona_id,age,income,religion\n007,73,45000,None\n010,8,,\n"),
        (
            "people.jsonl",
            '{"persona_id": "007", "age": 73, "income": "45000", "religion": "None"}\n'
            '{"persona_id": "010", "age": 8, "income": null, "religion": ""}\n',
        ),
    ],
)
def test_ids_and_texts_of_a_file_stay_as_they_are_written(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    people = pairs.people(of_file(tmp_path / name))
    assert people.index.tolist() == ["007", "010"]
    assert personas.describe(people.loc["007"]) == "age: 73\nincome: 45000\nreligion: None"
    assert personas.describe(people.loc["010"]) == "age: 8"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("persona_id,age\na,73 years\nb,4\n", "1 values of age that are not numbers, such as '73 years' of a: correct"),
        ('persona_id,income\na,"$45,000"\nb,NA\n', r"has 2 values of income that .* such as '\$45,000' of a: correct"),
        ("persona_id,age\na,3\na,4\n", "has 1 persona_id more than once, the first of them 'a'"),
        ("name,age\na,3\n", "needs a column 'persona_id'"),
        ("persona_id,age\na,3\n,4\n", "needs a column 'persona_id' without gaps"),
        ("persona_id,height\na,3\n", "has none of the attributes"),
    ],
)
def test_a_file_of_personas_that_is_none_is_named(tmp_path, text, said):
    (tmp_path / "people.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        pairs.people(of_file(tmp_path / "people.csv"))
    with pytest.raises(UserError, match=r"no personas '.*people.txt': choose 'sample', a file"):
        pairs.people(of_file(tmp_path / "people.txt"))


def test_grown_ups_are_drawn(drawn):
    assert (drawn["age"] >= 18).all() and drawn.index.is_unique


# --- the commands


@pytest.fixture
def made(tmp_path):
    """A data set made by the command, with the endpoint still there."""
    content = {"about": "small", "pairs": SIZES | {"dense_personas": 2, "dense_prompts": 2}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "people.csv").write_text("persona_id,age,sex\nann,40,Female\nbob,50,Male\ncay,60,Female\n")
    with Endpoint(write) as endpoint:
        options = ["--preset", tmp_path / "small.yaml", "--model", "m", "--base-url", endpoint.url]
        options += ["-p", f"personas={tmp_path / 'people.csv'}"]
        yield endpoint, options, tmp_path / "set", persona("pairs", *options, "--out", tmp_path / "set")


def test_pairs_are_made_by_a_preset_and_a_second_start_asks_nothing(made):
    endpoint, options, folder, result = made
    assert result.exit_code == 0, result.stderr
    assert "12 pairs, 0 of them failed" in result.stdout and "no price known" in result.stdout
    assert f"persona export {folder}" in result.stdout
    pairs, people, questions = dataset.read(folder)
    assert (len(pairs), len(people), len(questions)) == (12, 3, 9)
    calls = len(endpoint.requests)
    again = persona("pairs", *options, "--out", folder)
    assert again.exit_code == 0 and len(endpoint.requests) == calls and "0 model calls" in again.stdout
    assert "differs in words" in one_line(persona("pairs", *options, "--out", folder, "-p", "words=9"))


def test_export_writes_each_form_and_says_in_one_line_what_is_wrong(made):
    _, _, folder, _ = made
    for form in ("published", "trl", "users"):
        result = persona("export", folder, "--out", folder.with_name(form), "--form", form)
        assert result.exit_code == 0 and result.stdout.strip() == str(folder.with_name(form))
    assert "no form 'x'" in one_line(persona("export", folder, "--out", folder / "y", "--form", "x"))
    assert "holds no pairs" in one_line(persona("export", folder / "none", "--out", folder / "y"))


def test_prompts_and_personas_of_ones_own(made, tmp_path):
    _, options, _, _ = made
    (tmp_path / "own.csv").write_text(
        "prompt,prompt_split\nWhy?,train\nWho <b>pays</b>?,train\nHow?,train\nWhen?,heldout\n"
    )
    files = ["-p", f"prompts={tmp_path / 'own.csv'}", "-p", "train_prompts=null", "-p", "heldout_prompts=null"]
    result = persona("pairs", *options, *files, "--out", tmp_path / "own")
    assert result.exit_code == 0, result.stderr
    pairs, people, _ = dataset.read(tmp_path / "own")
    assert set(people.index) == {"ann", "bob", "cay"} and len(pairs) == 12
    assert set(pairs["persona_split"]) <= {"train", "test"} and "Who <b>pays</b>?" in set(pairs["prompt"])
    assert "train + seen is 9 prompts per persona, and there are 3" in one_line(
        persona("pairs", *options, *files, "--out", tmp_path / "more", "-p", "train=8")
    )


def test_a_budget_that_is_reached_stops_and_a_larger_one_goes_on(made, tmp_path):
    endpoint, options, _, _ = made
    (tmp_path / "other.csv").write_text(
        "prompt,prompt_split\n" + "".join(f"New {i}?,{'train' if i else 'heldout'}\n" for i in range(5))
    )
    files = ["-p", f"prompts={tmp_path / 'other.csv'}", "-p", "train_prompts=None", "-p", "heldout_prompts=None"]
    begun = len(endpoint.requests)
    assert (
        "max_calls is reached: 7 of 7"
        in persona("pairs", *options, *files, "--out", tmp_path / "b", "--max-calls", 7).stderr
    )
    assert len(endpoint.requests) - begun == 7
    assert persona("pairs", *options, *files, "--out", tmp_path / "b").exit_code == 0
    assert len(endpoint.requests) - begun <= 5 + 2 * 16


def test_choices_are_a_world_that_methods_run_on_and_a_second_start_asks_nothing(tmp_path):
    def answer(body: dict) -> dict:
        if "response_format" not in body:
            return first_token(A=0.7, B=0.3)
        fields = body["response_format"]["json_schema"]["schema"]["properties"]
        said = hashlib.sha256(str(body["messages"]).encode()).hexdigest()[:8]
        return completion(json.dumps({field: f"It is {said} {field}." for field in fields}))

    folder, file = tmp_path / "block", tmp_path / "people.csv"
    rows = [f"p{i},{30 + i},{'test' if i < 2 else 'train'}" for i in range(6)]
    file.write_text("\n".join(["persona_id,age,persona_split", *rows]) + "\n")
    with Endpoint(answer) as endpoint:
        given = {"base_url": endpoint.url, "form": "choices", "answers": 4, "compared": 2, "personas": str(file)}
        settings = presets.pairs(preset(dense_personas=4, dense_prompts=4), given)
        assert preflight.check({"pairs": settings.model_dump()}, asks=False) == [], "more people than the data set has"
        said = pairs.make(settings, folder)
        assert "64 choices of 4 people about 4 prompts, 0 of them failed" in said and "no price known" in said
        assert "one person prefers the same answer in both orders in 0%" in said
        calls = len(endpoint.requests)
        assert calls == 4 * (2 + 1) + 64
        assert "0 model calls" in pairs.make(settings, folder) and len(endpoint.requests) == calls
    world = methods.load_world(folder)
    assert sorted(world.people["persona_split"]) == ["test", "train", "train", "train"]
    assert sorted(world.prompts["prompt_split"]) == ["heldout", "train", "train", "train"]
    assert len(pd.read_parquet(folder / "report.parquet")) == 4 and pairs.failed(folder, "choices") == 0
    pairs.check_folder(folder, "choices")
    with pytest.raises(UserError, match="holds something else"):
        pairs.check_folder(folder, "pairs")
    with pytest.raises(UserError, match="holds something else, not choices"):
        pairs.check_folder(tmp_path, "choices")  # where the people lie
    with pytest.raises(UserError, match="leave out --batch"):
        pairs.make(settings, folder, batch=True)


def test_the_command_makes_choices(made, tmp_path):
    _, options, folder, _ = made
    assert "takes one of pairs, choices, not 'x'" in one_line(persona("pairs", *options, "--form", "x", "--out", "y"))
    assert "not choices" in one_line(persona("pairs", *options, "--form", "choices", "--out", folder))


@pytest.mark.parametrize("part", ["judge", "batch"])
def test_a_budget_is_one_for_writer_batches_and_judge(part, quick, tmp_path):  # noqa: F811
    def answer(body: dict) -> dict:
        return write(body) if "response_format" in body else first_token(A=0.6, B=0.4)

    with BatchEndpoint(answer, models=("m", "j")) as endpoint:
        given = {"base_url": endpoint.url, "verify": 5, "dense_personas": 0, "dense_prompts": 0}
        given |= {"judge": "j", "judge_base_url": endpoint.url} if part == "judge" else {}
        settings = presets.pairs(preset(), given)
        whole = 9 + 2 * 12
        with pytest.raises(UserError, match=f"max_calls is reached: {whole + 2} of {whole + 2}"):
            pairs.make(settings, tmp_path / "set", batch=part == "batch", max_calls=whole + 2)
        assert len(endpoint.requests) == whole + 2


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (
            ["revision"] * 2 + ["base answer", "order decides"],
            "prefers the revision in 50%, the base answer in 25%, and in 25",
        ),
        (["order decides", None], "prefers neither answer, and in 100% the order decides"),
        ([None], "the judge gave no verdict on any pair"),
    ],
)
def test_the_summary_says_what_the_judge_prefers_and_how_often_the_order_decides(outcomes, said):
    assert said in pairs.preferred(pd.Series(outcomes))
