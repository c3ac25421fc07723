"""Samples of personas: their columns, ids, balance, filters and files."""

import hashlib
import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from persona_lib import UserError, personas
from persona_lib.attributes import CENSUS, COLUMNS, NAMES
from persona_lib.census import Population, Records, balance, distances, margins
from persona_lib.personas import enrichment, ids, queries, regions, sampling


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return personas.sample(2_000, seed=3)


def test_columns_are_the_33_attributes_then_the_auxiliary_ones(people):
    auxiliary = ["state", "ideology label", "given name", "written by", "failure"]
    auxiliary += ["redrawn", "redrawn because", "inconsistent"]
    assert list(people.columns) == [*COLUMNS, "persona_split", *auxiliary]
    assert people.columns[:33].tolist() == list(NAMES)
    always = ["age", "sex", "race", "ancestry", "place of birth", "religion", "lifestyle", "state", "written by"]
    assert people[always].notna().all(axis=None)
    adults = people[people["age"] >= 18]
    assert adults[["big five scores", "defining quirks", "mannerisms", "ideology"]].notna().all(axis=None)
    assert people["failure"].isna().all() and people["inconsistent"].isna().all()


def test_the_same_seed_gives_the_same_personas_and_another_seed_others(people):
    pd.testing.assert_frame_equal(*(personas.sample(300, seed=3) for _ in range(2)))
    assert not set(personas.sample(300, seed=4).index) & set(people.index)


def test_the_hash_of_what_people_are_drawn_from_leaves_out_what_no_draw_reads(monkeypatch, tmp_path):
    hashes = []
    for changed in (None, *ids.APART, "jobs.csv", "population.npz"):
        own = tmp_path / str(changed)
        for folder in (distances.DATA, ids.FOLDER):
            shutil.copytree(folder, own, dirs_exist_ok=True)
        if changed:
            (own / changed).write_bytes(b"other")
        monkeypatch.setattr(distances, "DATA", own)
        with monkeypatch.context() as patched:
            patched.setattr(ids, "FOLDER", own)
            hashes.append(ids.drawn_from.__wrapped__())
        monkeypatch.undo()
    assert len(set(hashes[: len(ids.APART) + 1])) == 1 and len(set(hashes)) == 3


def test_twins_have_ids_of_their_own_that_do_not_depend_on_their_row(people):
    drawn = sampling._draw(sampling._likely(), 20_000, seed=3)  # the census core alone
    twins = drawn[list(CENSUS)].astype("str").duplicated(keep=False)
    assert 0.002 < twins.mean() < 0.2
    for table in (drawn, people):
        assert table.index.is_unique and table.index.name == "persona_id"
    assert set(ids.of(drawn[list(CENSUS)].iloc[::-1], 3)) == set(drawn.index)


def test_personas_are_balanced_unless_told_otherwise(people):
    random = personas.sample(2_000, seed=3, balanced=False)
    singles = [distances.tvd(distances.shares(p), distances.census_shares()).mean() for p in (people, random)]
    assert singles[0] < 0.002 and singles[1] > 0.012


def test_above_20_000_personas_are_drawn_at_random(monkeypatch):
    monkeypatch.setattr(sampling, "BALANCED_TO", 200)
    monkeypatch.setattr(balance, "choose", None)  # would fail if it were called
    assert len(personas.sample(201, seed=3)) == 201


def test_a_filter_holds_for_everybody_and_the_margins_are_those_of_all_who_match(monkeypatch):
    where = "age >= 18 and sex == 'Female' and `marital status` != 'Married'"
    women = personas.sample(500, seed=1, where=where)
    assert len(women) == 500 and (women["age"] >= 18).all() and set(women["sex"]) == {"Female"}
    assert "Married" not in set(women["marital status"])
    everybody = distances.shares(Population.load().sample(50_000, seed=9).query(where))
    by_chance = personas.sample(500, seed=1, where=where, balanced=False)
    away = [distances.tvd(distances.shares(people), everybody).mean() for people in (women, by_chance)]
    assert away[0] < away[1] / 2


@pytest.mark.parametrize(("n", "drawn"), [(5, 20_000), (500, 50_000), (5_000, 200_000)])
def test_a_hundred_people_per_persona_stand_for_all_who_match_a_filter(monkeypatch, n, drawn):
    class Drawn(Exception):
        pass

    def draw(source, size, seed):
        raise Drawn(size)

    monkeypatch.setattr(sampling, "_draw", draw)
    with pytest.raises(Drawn, match=f"^{drawn}$"):
        personas.sample(n, where=personas.ADULTS)


def test_a_filter_for_few_draws_until_there_are_enough(monkeypatch):
    monkeypatch.setattr(sampling, "FIRST", 1_000)
    rare = personas.sample(30, seed=1, where="age == 40", balanced=False)
    assert len(rare) == 30 and set(rare["age"]) == {40} and rare.index.is_unique


def test_a_filter_that_matches_nobody_in_the_first_draw_is_tried_on_larger_ones_with_any_seed(monkeypatch):
    monkeypatch.setattr(sampling, "FIRST", 10)
    monkeypatch.setattr(sampling, "GIVE_UP", 2_000)
    for seed in range(5):
        assert set(personas.sample(3, seed, where="age == 40", balanced=False)["age"]) == {40}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("age > 99", "the filter 'age > 99' matches 0 of 30,000 people drawn, and 5 are needed"),
        ("religion == 'Jedi'", "matches 0 of 25,000 people drawn, and 5 are needed"),
        ("age >= 18 and (sex == 'Female'", "can't be read: close its brackets and quotes"),
        ("age in [1,2", "can't be read: close its brackets and quotes"),
        ("1 / 0 > age", "can't be read: division by zero"),
        ("sex.str.contains('(')", "can't be read: missing \\)"),
        ("agee > 3", "can't be read: name 'agee' is not defined"),
        ("age >", "can't be read: invalid syntax"),
        ("sex > 3", "can't be read: Unordered Categoricals"),
        ("age + 1", "'age \\+ 1' is not true or false of a person"),
        ("age = 3", "is not true or false of a person"),
    ],
)
def test_a_filter_that_matches_nobody_or_cannot_be_read_is_refused_in_one_line(monkeypatch, where, said):
    monkeypatch.setattr(sampling, "GIVE_UP", 30_000)
    monkeypatch.setattr(sampling, "GIVE_UP_ENRICHED", 25_000)
    with pytest.raises(UserError, match=said) as caught:
        personas.sample(5, where=where)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "where",
    ["Sex == 'Female'", "marital_status == 'Married'", "Marital status=='Married'", "`Marital-Status` == 'Married'"],
)
def test_a_filter_finds_columns_in_any_spelling(people, where):
    plain = "sex == 'Female'" if "Sex" in where else "`marital status` == 'Married'"
    assert queries.fits(people, where).tolist() == people.eval(plain).tolist()
    assert queries.spelt(where, people).replace("==", " == ").split() == plain.split()


def test_texts_and_names_within_names_are_no_columns_of_a_filter():
    untouched = "`sex` == 'marital status' and x.Age > 1 and language == \"Sex\" and agee > 3"
    assert queries.spelt(untouched, ["sex", "age", "marital status"]) == untouched
    assert enrichment.needed(queries.spelt("Ideology label == 'Liberal'", ["ideology", "ideology label"]))


def test_a_filter_that_names_no_column_or_value_is_told_the_near_ones(people, monkeypatch):
    with pytest.raises(UserError, match=r"did you mean `age`\? columns are age, sex, race"):
        queries.fits(people, "agee > 3")
    with pytest.raises(UserError, match=r"did you mean `religion`\?"):
        queries.fits(people[list(CENSUS)], "religon == 'Jewish'")
    with pytest.raises(
        UserError, match=r"invalid syntax.*: write text in quotes, and columns such as `mar.* backticks$"
    ):
        queries.fits(people, "big status == 'Married'")
    assert queries.never(people, "Sex == 'female' or age == 3") == "sex is not 'female' of any, but Female"
    assert queries.never(people, "sex != 'person'") == "sex is not 'person' of any, but Male, Female"
    assert queries.never(people, "marital status == 'maried'").endswith("'maried' of any, but Married")
    assert queries.never(people, "sex == 'Male' and state == 'Ohio'") == ""
    monkeypatch.setattr(sampling, "GIVE_UP", 20_000)
    with pytest.raises(UserError, match=r"are needed: sex is not 'female' of any, but Female$"):
        personas.sample(5, where="sex == 'female'", balanced=False)


def test_missing_values_match_no_filter():
    assert (personas.sample(20, where="income > 1000", balanced=False)["income"] > 1000).all()


def test_another_population_is_balanced_on_shares_of_its_own(monkeypatch):
    people = Population.load().sample(80_000, seed=5).query("age > 60")

    class Old:
        def sample(self, n, seed):
            return people.sample(n, random_state=seed).reset_index(drop=True)

    monkeypatch.setattr(sampling, "FIRST", 12_000)
    monkeypatch.setattr(sampling, "REFERENCE", 10)
    drawn = personas.sample(400, population=Old())
    away = [distances.tvd(distances.shares(p), distances.shares(people)).mean() for p in (drawn, people[:400])]
    assert (drawn["age"] > 60).all() and away[0] < away[1] / 2


@pytest.mark.parametrize("n", [0, -3, 2.5, "ten", True, None])
def test_an_invalid_size_is_refused_in_one_line(n):
    with pytest.raises(UserError, match="n must be a whole number") as caught:
        personas.sample(n)
    assert "\n" not in str(caught.value)


def test_personas_are_drawn_without_loading_slow_libraries():
    code = "import sys; from persona_lib import personas; personas.sample(10); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "numpy" in loaded and not loaded & {"openai", "sklearn", "scipy.stats", "statsmodels"}


@pytest.fixture(scope="module")
def reference() -> pd.DataFrame:
    return personas.reference()


def test_the_reference_demographic_is_the_same_everywhere(reference):
    core = reference[[*CENSUS, "persona_split"]]
    hashes = [hashlib.sha256(t.to_csv(lineterminator="\n").encode()).hexdigest()[:16] for t in (core, reference)]
    assert hashes == ["69c40d8ea01fe07d", "a19a92bd91a2da49"]


def test_the_reference_demographic_has_about_586_people_to_test_and_each_side_is_balanced(reference):
    # 586 are expected; the standard deviation of the count is 19.
    assert reference["persona_split"].value_counts().to_dict() == {"train": 1_020, "test": 566}
    census = distances.census_shares()
    parts = [reference, *(part for _, part in reference.groupby("persona_split"))]
    away = [distances.tvd(distances.shares(part), census).mean() for part in parts]
    assert away[0] <= 0.002 and max(away) < 0.005
    assert distances.by_pair(reference)["personas"].mean() <= 0.034


def test_hispanic_origins_and_regions_of_birth_are_as_frequent_as_the_bureau_says(reference):
    people = reference.assign(**regions.groups(reference))
    table = margins.compare(people)
    origins = table[table["margin"] == "Hispanic origin"]
    assert len(origins) == 5
    assert ((origins["personas"] - origins["published"]).abs() < 0.1 * origins["published"]).all()
    born = table[table["margin"] == "region of birth"]
    assert len(born) == 6 and (born["personas"] - born["published"]).abs().max() < 0.05
    away = distances.by_attribute(people)["personas"][list(distances.ORIGINS)]
    assert away["region of birth"] < 0.004 and away["ancestry group"] < 0.012


def test_files_hold_the_published_columns_and_the_text(reference, tmp_path):
    few = reference.head(40)
    texts = [personas.describe(row) for _, row in few.iterrows()]
    for suffix in ("parquet", "jsonl", "csv", "txt"):
        personas.save(few, tmp_path / f"p.{suffix}")
    table = pd.read_parquet(tmp_path / "p.parquet")
    assert list(table.columns) == [*few.columns, "persona"] and table["persona"].tolist() == texts
    assert table.index.equals(few.index) and table["income"].equals(few["income"])
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text("utf-8").splitlines()]
    assert [line["persona_id"] for line in lines] == few.index.tolist() and lines[3]["persona"] == texts[3]
    assert {type(line["income"]) for line in lines} <= {int, type(None)}
    assert (tmp_path / "p.txt").read_text("utf-8").strip().split("\n\n") == texts
    assert pd.read_csv(tmp_path / "p.csv")["age"].tolist() == few["age"].tolist()


def test_a_file_in_a_folder_that_there_is_not_is_refused_before_anything_is_asked(tmp_path):
    with pytest.raises(UserError, match=r"x.csv can't be written: there is no folder .*make it first$"):
        personas.check_suffix(tmp_path / "none" / "x.csv")


# --- the split


def test_a_side_is_a_property_of_the_id_in_every_sample(people):
    pd.testing.assert_series_equal(people["persona_split"], personas.split(people.index))
    pd.testing.assert_series_equal(personas.split(people.index[::-1])[::-1], people["persona_split"])
    for other in (personas.sample(300, seed=3, balanced=False), personas.sample(50, seed=9, where=personas.ADULTS)):
        pd.testing.assert_series_equal(other["persona_split"], personas.split(other.index))


@pytest.mark.parametrize(
    "options", [{}, {"where": personas.ADULTS}, {"balanced": False}, {"where": "`religion` == 'Jewish'"}]
)
def test_people_of_one_side_are_drawn_until_there_are_enough(options):
    for n, side in ((20, "train"), (20, "test"), (1, "test")):
        drawn = personas.sample(n, seed=5, side=side, **options)
        assert len(drawn) == n and set(drawn["persona_split"]) == {side} and drawn.index.is_unique


def test_a_sample_of_one_side_is_balanced_too():
    drawn = personas.sample(1_000, side="test")
    assert distances.tvd(distances.shares(drawn), distances.census_shares()).mean() < 0.004


def test_few_real_people_are_drawn_again_until_one_side_has_enough():
    real = Records(Population.load().sample(12, 1))
    assert len(personas.sample(20, population=real, side="test")) == 20


def test_a_side_that_there_is_not_or_that_nobody_is_on_is_one_line(monkeypatch):
    with pytest.raises(UserError, match="there is no side 'heldout' of the split: choose one of train, test"):
        personas.sample(3, side="heldout")
    monkeypatch.setattr(sampling, "MOST", 100)
    monkeypatch.setattr(sampling, "split", lambda ids: pd.Series("train", ids))
    with pytest.raises(UserError, match=r"0 of \d+ people drawn are on the test side, and 3 are needed"):
        personas.sample(3, side="test", balanced=False)


def test_a_files_own_sides_are_kept_in_our_spelling_and_gaps_go_by_the_id():
    ids = [f"p{i}" for i in range(6)]
    given = pd.Series(["Train", "unseen", " TEST ", "", None, "held-out"])
    by_id = personas.split(ids).tolist()
    assert personas.split(ids, given).tolist() == ["train", "test", "test", by_id[3], by_id[4], "test"]
    assert personas.split(["a", "a"], pd.Series([None, "test"])).tolist() == [personas.split(["a"])["a"], "test"]
    with pytest.raises(UserError, match=r"mine\.csv has persona_split both, none of it: it takes train or test"):
        personas.split(ids, pd.Series(["both", "none of it", "train", "", "", ""]), "mine.csv")
