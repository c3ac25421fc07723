"""Exports in the forms of other tools, and a data card that reports what is wrong."""

import json
import shutil

import pandas as pd
import pytest
import yaml
from endpoint import Endpoint
from writers import build, write

from persona_lib import UserError, local
from persona_lib.preferences import dataset, exports, gates, licences
from persona_lib.preferences.splits import CELLS


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    with pytest.MonkeyPatch.context() as patch, Endpoint(write) as endpoint:
        patch.setenv("PERSONA_STORE", str(folder / "store.sqlite"))
        return build(endpoint.url, folder / "set", n=8, dense=(2, 3))


def test_the_published_form_has_its_columns_and_splits(source, tmp_path):
    folder = exports.write(source, tmp_path / "hub")
    train = pd.read_parquet(folder / "train-00000.parquet")
    assert list(train.columns[:6]) == ["persona", "instruction", "original", "critique", "data", "question type"]
    context = pd.read_parquet(folder / "context-00000.parquet")
    assert len(train) + len(context) == 24 and set(train["question type"]) == {"train"}
    assert train["persona"].str.startswith("age: 2").all() and (train["data"] == "It depends.").all()
    heldout = pd.read_parquet(folder / "heldout_test-00000.parquet")
    assert len(heldout) == 8 and set(heldout["question type"]) == {"test"}
    assert set(heldout["instruction"]).isdisjoint(train["instruction"])


@pytest.mark.parametrize("form", ["published", "trl"])
def test_nobody_of_the_test_side_is_in_the_split_to_train_on(source, tmp_path, form):
    folder = exports.write(source, tmp_path / "hub", form)
    train, context = (pd.read_parquet(folder / f"{use}-00000.parquet") for use in ("train", "context"))
    assert set(train["persona_split"]) == {"train"} and set(context["persona_split"]) == {"test"}
    for name, rows in (("train", train), ("context", context)):
        assert set(rows["use"]) == set(rows["cell"]) == {name} and set(rows["prompt_split"]) == {"train"}
    tests = pd.concat(pd.read_parquet(folder / f"{use}-00000.parquet") for use in ("seen_test", "heldout_test"))
    assert not set(tests["use"]) & {"train", "context"}


def test_the_card_names_the_files_of_each_split_and_tells_sizes_checks_and_gates(source, tmp_path):
    folder = exports.write(source, tmp_path / "hub")
    head, text = (folder / "README.md").read_text().removeprefix("---\n").split("\n---\n", 1)
    files = yaml.safe_load(head)["configs"][0]["data_files"]
    assert {f["split"]: len(list(folder.glob(f["path"]))) for f in files} == {
        "train": 1,
        "context": 1,
        "seen_test": 1,
        "heldout_test": 1,
    }
    assert (
        "| train | 18 |" in text and "| context | 6 |" in text and "| are longer than the base answer | 0.0% |" in text
    )
    assert "| the longer answer | 48 | 0.0% |" in text and "**flagged**" in text
    assert "100.0% of the personas are adults" in text and "a step failed: none" in text


@pytest.mark.parametrize("form", ["published", "trl"])
def test_the_card_explains_every_column_of_every_table(source, tmp_path, form):
    folder = exports.write(source, tmp_path / "hub", form)
    _, *tables = (folder / "README.md").read_text().split("| column of ")
    told = {
        table.partition(" |")[0]: [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:] if line]
        for table in (part.partition("\n\n")[0] for part in tables)
    }
    assert told == {
        "the splits, and `dense`": list(pd.read_parquet(folder / "train-00000.parquet")),
        "`negatives`": list(pd.read_parquet(folder / "negatives.parquet")),
        "`contexts`": list(pd.read_parquet(folder / "contexts.parquet")),
    }


def test_trl_rows_are_chats_with_the_profile_as_system_message(source, tmp_path):
    row = pd.read_parquet(exports.write(source, tmp_path / "trl", "trl") / "train-00000.parquet").iloc[0]
    assert [m["role"] for m in row["prompt"]] == ["system", "user"] and "age: " in row["prompt"][0]["content"]
    assert row["chosen"][0] == {"role": "assistant", "content": "It depends."}
    assert row["rejected"][0]["content"] == "It depends on much."


def test_a_users_file_holds_the_persona_and_its_pairs_by_use(source, tmp_path):
    folder = exports.write(source, tmp_path / "users", "users")
    assert len(list(folder.glob("*.json"))) == 8
    user = json.loads((folder / "p3.json").read_text())
    assert user["persona"].startswith("age: 23") and len(user["train"]) == 3 and len(user["seen_test"]) == 2
    assert len(user["contexts"]) == 5  # draws
    assert {pair for context in user["contexts"] for pair in context} == {pair["pair_id"] for pair in user["train"]}


def test_a_wrong_form_an_occupied_target_and_a_missing_source_are_refused(source, tmp_path):
    with pytest.raises(UserError, match="no form 'tlr': choose one of published, trl, users"):
        exports.write(source, tmp_path / "x", "tlr")
    with pytest.raises(UserError, match="holds something already"):
        exports.write(source, source)
    with pytest.raises(UserError, match="holds no pairs"):
        exports.write(tmp_path / "none", tmp_path / "x")


@pytest.mark.parametrize("form", exports.FORMS)
def test_an_unfinished_set_is_refused_and_leaves_the_target_folder_free(source, tmp_path, form):
    half = shutil.copytree(source, tmp_path / "half")
    (half / "negatives.parquet").unlink()
    with pytest.raises(UserError, match=r"negatives.parquet is not there yet: finish it with `persona pairs`"):
        exports.write(half, tmp_path / "hub", form)
    assert exports.write(source, tmp_path / "hub", form).is_dir()


@pytest.mark.parametrize("form", ["published", "trl"])
def test_the_folder_is_loaded_by_datasets_with_its_splits_and_configurations(source, tmp_path, form):
    datasets = pytest.importorskip("datasets")
    folder = str(exports.write(source, tmp_path / "hub", form))
    load = lambda *names: datasets.load_dataset(folder, *names, cache_dir=str(tmp_path / "cache"))  # noqa: E731
    loaded = load()
    assert {split: len(rows) for split, rows in loaded.items()} == {
        "train": 18,
        "context": 6,
        "seen_test": 16,
        "heldout_test": 8,
    }
    first = loaded["train"][0]
    if form == "published":
        assert first["data"] == "It depends." and first["question type"] == "train" and first["cell"] in CELLS
    else:
        assert first["prompt"][1]["role"] == "user" and first["chosen"][0]["content"] == "It depends."
    assert datasets.get_dataset_config_names(folder) == ["default", "dense", "negatives", "contexts"]
    dense, negatives, contexts = (load(name)["train"] for name in ("dense", "negatives", "contexts"))
    assert len(dense) == 6 and len(negatives) == 2 * 48
    assert set(contexts["pair_id"]) <= {*loaded["train"]["pair_id"], *loaded["context"]["pair_id"]}


def test_the_card_reports_what_a_judge_prefers_and_on_how_many_pairs(source, tmp_path):
    assert "No judge has verified these pairs." in exports.card(source, "trl")
    pairs, *_ = dataset.read(source)
    verdicts = pairs.head(6).assign(judge="j", outcome=["revision"] * 4 + ["order decides", None])
    verdicts = verdicts.assign(cell="train", p_first=0.9, p_second=0.8, p_chosen=0.85)
    with_verdicts = shutil.copytree(source, tmp_path / "set")
    verdicts.to_parquet(with_verdicts / "verification.parquet")
    text = exports.card(with_verdicts, "trl")
    assert "How often does j, in the role of the persona," in text and "| all pairs | 5 | 1 | 80.0% |" in text
    assert "| all pairs |" in text.split("## Verification")[1] and "20.0% |" in text
    assert "| one order, shown first | 6 | 0 | 100.0% |" in text and "| mean probability | 6 | 0 | 85.0% |" in text
    rows = [line.split(" |")[0] for line in text.split("## Verification")[1].splitlines() if line.startswith("| ")]
    assert len(set(rows)) == len(rows) and "| train" in rows, "no group is listed twice"


def test_nothing_on_the_card_is_nan(source, tmp_path):
    pairs, *_ = dataset.read(source)
    unscored = shutil.copytree(source, tmp_path / "set")
    verdicts = pairs.head(4).assign(judge="j", outcome=None, cell="train", p_first=None, p_second=None, p_chosen=None)
    verdicts = verdicts.astype({"outcome": "str", "p_first": float, "p_second": float, "p_chosen": float})
    verdicts.to_parquet(unscored / "verification.parquet")
    for path in unscored.glob("pairs/*.parquet"):
        part = pd.read_parquet(path).assign(failure="critique: refusal", chosen=None, longer=None, identical=None)
        part.assign(refuses=None, quotes=None).astype({"chosen": "str"}).to_parquet(path)
    text = exports.card(unscored, "trl")
    assert "nan" not in text.lower().replace("finance", "")
    assert "| are identical to it | not estimable |" in text
    assert "| all pairs | 0 | 4 | not estimable | not estimable | not estimable | not estimable |" in text
    assert "| mean probability | 0 | 4 | not estimable | not estimable |" in text


EMBEDDED = {"name": "SmolLM2-135M-Instruct", "base_url": None, "weights_sha256": local.GGUF_SHA256}
WEIGHTS = {"name": "their-7b", "base_url": None, "weights_sha256": "0" * 64}
ENDPOINT = {"name": "gpt-x", "base_url": "https://api.example.org/v1", "weights_sha256": None}


@pytest.mark.parametrize(
    ("sources", "generator", "personas_from", "licence", "said"),
    [
        (
            ["builtin"],
            EMBEDDED,
            "sample",
            "apache-2.0",
            ["2 prompts are from the bank", "texts of SmolLM2-135M-Instruct"],
        ),
        (
            ["prism"],
            EMBEDDED,
            "sample",
            ["cc-by-4.0", "apache-2.0"],
            ["Kirk et al. 2024, arXiv 2404.16019", "CC BY 4.0"],
        ),
        (
            ["prism"],
            ENDPOINT,
            "sample",
            ["cc-by-4.0", "other", "apache-2.0"],
            ["The terms of gpt-x's provider", "Kirk"],
        ),
        (["builtin"], ENDPOINT, "sample", ["apache-2.0", "other"], ["asked at https://api.example.org/v1"]),
        (["builtin"], WEIGHTS, "sample", ["apache-2.0", "other"], ["texts of their-7b. The terms of these weights"]),
        (
            ["mine.csv"],
            ENDPOINT,
            "sample",
            ["other", "apache-2.0"],
            ["from `mine.csv`. Their licence is not known here"],
        ),
        (["mine.csv"], ENDPOINT, "/home/me/people.csv", "other", ["personas come from `people.csv`"]),
        (["builtin", "prism"], EMBEDDED, "sample", ["apache-2.0", "cc-by-4.0"], ["1 prompts are from the PRISM"]),
        (["builtin"], EMBEDDED, None, ["apache-2.0", "other"], ["from a source that was not recorded"]),
    ],
)
def test_the_licence_follows_prompts_writer_and_personas(
    source, tmp_path, sources, generator, personas_from, licence, said
):
    made = shutil.copytree(source, tmp_path / "set")
    prompts = pd.read_parquet(made / "prompts.parquet").head(2)
    prompts.assign(source=(sources * 2)[:2]).to_parquet(made / "prompts.parquet")
    about = json.loads((made / "dataset.json").read_text())
    about |= {"generator": generator, "personas_from": personas_from}
    (made / "dataset.json").write_text(json.dumps(about))
    text = exports.card(made, "trl")
    assert yaml.safe_load(text.split("---\n")[1])["license"] == licence
    assert all(part in text for part in said), text
    assert ("No row describes a real person" in text) == (personas_from == "sample"), "nobody vouches for a user's file"
    assert ("census" in text) == (personas_from == "sample") and "/home/me" not in text
    assert ("Kirk" in text) == ("prism" in sources) and ("too small" in text) == (generator is EMBEDDED)


def test_a_hostile_source_stays_code_in_one_line():
    table = pd.DataFrame({"source": ["`x`\n- <b>free</b> to use", *map(str, range(9))]})
    (terms,) = licences.of_prompts(table["source"])
    assert "from `x - <b>free</b> to use`, `0`, `1`, `2`, `3`, ...." in terms.text and "\n" not in terms.text


def test_the_gates_of_the_card_count_on_a_part_of_a_large_data_set(source, monkeypatch):
    monkeypatch.setattr(gates, "MOST", 12)
    text = exports.card(source, "trl")
    assert "| the longer answer | 12 | 0.0% |" in text and "Counted on 12 of the pairs." in text


def test_a_data_set_of_several_parts_is_exported_whole(tmp_path):
    with Endpoint(write) as endpoint:
        several = build(endpoint.url, tmp_path / "set", n=60)
    folder = exports.write(several, tmp_path / "hub")
    assert len(list((several / "pairs").iterdir())) == 3 == len(list(folder.glob("train-*.parquet")))
    exported = [pd.concat(map(pd.read_parquet, folder.glob(f"{use}-*"))) for use in ("train", "context")]
    assert sum(map(len, exported)) == 180
    text = (folder / "README.md").read_text()
    assert f"| train | {len(exported[0])} |" in text and "| the longer answer | 360 | 0.0% |" in text
