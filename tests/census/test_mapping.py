"""A census of another country: a mapping reads it; a population of its own attributes is fitted, saved, drawn from."""

import re
import textwrap
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import yaml
from places import ROOT

from persona_lib import UserError, census, personas
from persona_lib.attributes import BY_NAME, CENSUS, COLUMNS
from persona_lib.census import mapping, rules

MAPPING = """
weight: FACTOR
separator: ";"
encoding: latin-1
attributes:
  edad: {column: P03, kind: numeric, missing: [999]}
  sexo: {column: P02, codes: {1: Hombre, 2: Mujer}}
  educación:
    column: NIVEL
    codes: {0: Ninguna, 1: Básica, 2: Básica, 3: Media, 4: Universitaria, 9: null}
    ordered: true
  lengua: {column: IDIOMA, labels: [Español, Quechua, Ñandé]}
  religión: {column: REL, codes: {C: Católica, E: Evangélica, N: Ninguna}}
  situación laboral:
    column: TRAB
    codes: {1: Ocupado, 2: Desocupado, 3: Inactivo}
    universe: {edad: {from: 15}}
  ingreso:
    column: ING
    kind: numeric
    bands: [1, 500, 1000, 2000, 5000]
    round: 10
    universe: {situación laboral: [Ocupado]}
  vivienda: {column: VIV, codes: {1: Casa, 2: Departamento, 3: Choza}}
order: [edad, sexo, lengua, religión, educación, situación laboral, ingreso, vivienda]
rules:
  - never: {educación: [Universitaria]}
    when: {edad: {to: 17}}
"""


def households(n: int = 12_000) -> pd.DataFrame:
    """People as a statistical office would give them: codes, some dependence, weights that differ by place."""
    rng = np.random.default_rng(7)
    age = rng.integers(0, 95, n)
    town = rng.random(n) < 0.5
    level = np.where(age < 6, 0, np.minimum(rng.integers(1, 5, n) + (town & (rng.random(n) < 0.5)), 4))
    level = np.where((age < 18) & (level == 4), 3, level)
    work = np.where(age < 15, 0, np.where(age > 65, 3, rng.choice([1, 1, 1, 2, 3], n)))
    return pd.DataFrame(
        {
            "P03": age,
            "P02": rng.integers(1, 3, n),
            "NIVEL": np.where(rng.random(n) < 0.01, 9, level),
            "IDIOMA": np.where(town, "Español", rng.choice(["Español", "Quechua", "Ñandé"], n)),
            "REL": rng.choice(["C", "E", "N"], n, p=[0.6, 0.3, 0.1]),
            "TRAB": pd.array(np.where(work > 0, work, -1), dtype="Int64").astype("str"),
            "ING": np.where(work == 1, (rng.lognormal(6 + 0.3 * level, 0.8)).round(1), np.nan),
            "VIV": np.where(town, 2, rng.choice([1, 3], n)),
            "FACTOR": np.where(town, 12.5, 4.0),
            "IGNORED": "x",
        }
    ).replace({"TRAB": {"-1": ""}})


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple:
    folder = tmp_path_factory.mktemp("census")
    households().to_csv(folder / "censo_2022.csv", sep=";", index=False, encoding="latin-1")
    (folder / "mapping.yaml").write_text(MAPPING, "utf-8")
    return folder / "censo_2022.csv", folder / "mapping.yaml"


@pytest.fixture(scope="module")
def people(files) -> pd.DataFrame:
    return census.read_mapped(*files)


@pytest.fixture(scope="module")
def population(people, files) -> census.Population:
    return census.Population.fit(people, files[1])


def banded(table: pd.DataFrame, edges=(0, 15, 18, 30, 45, 65, 120)) -> pd.DataFrame:
    table = table.assign(edad=pd.cut(table["edad"].astype(float), edges, right=False).astype("str"))
    return table.assign(
        ingreso=pd.cut(table["ingreso"].astype(float), [-1, 1, 500, 1000, 2000, 5000, np.inf]).astype("str")
    )


def apart(first: pd.DataFrame, second: pd.DataFrame) -> float:
    """Mean distance of all pairs of attributes, each person counted by weight."""
    first, second = (banded(t).assign(weight=t.get("weight", 1.0)).astype({"weight": float}) for t in (first, second))
    names = [name for name in first if name != "weight"]
    found = []
    for pair in combinations(names, 2):
        shares = [
            t.groupby(list(pair), dropna=False, observed=True)["weight"].sum() / t["weight"].sum()
            for t in (first, second)
        ]
        found.append(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)
    return float(np.mean(found))


def test_a_mapping_reads_codes_as_labels_in_any_script(people):
    raw = households()
    assert list(people.columns) == [*yaml.safe_load(MAPPING)["attributes"], "weight"]
    assert (people["lengua"].astype("str") == raw["IDIOMA"]).all()
    assert (people["educación"].isna() == (raw["NIVEL"] == 9)).all()
    assert (people["educación"] == "Básica").sum() == raw["NIVEL"].isin([1, 2]).sum()
    assert list(people["educación"].cat.categories) == ["Ninguna", "Básica", "Media", "Universitaria"]
    assert people["ingreso"].dtype == "Int64" and people["situación laboral"].isna().sum() == (raw["P03"] < 15).sum()


def test_people_drawn_are_like_those_of_the_other_census(people, population):
    drawn = population.sample(12_000, seed=1)
    assert list(drawn.columns) == list(people.columns.drop("weight"))
    pd.testing.assert_series_equal(drawn.dtypes, people.drop(columns="weight").dtypes)
    real = apart(census.Records(people).sample(6_000, seed=1), people)
    assert apart(drawn, people) < 0.02 and real < 0.03
    assert apart(people.drop(columns="weight"), people) > 0.1  # weights matter here


def test_its_rules_and_universes_hold_for_everyone_drawn(population):
    drawn = population.sample(20_000, seed=2)
    assert not ((drawn["edad"] < 18) & (drawn["educación"] == "Universitaria")).any()
    assert (drawn["situación laboral"].isna() == (drawn["edad"] < 15)).all()
    assert (drawn["ingreso"].notna() == (drawn["situación laboral"] == "Ocupado")).all()
    assert (drawn["ingreso"].dropna() % 10 == 0).all()
    assert population.provenance["against the rules"] == 0


def test_a_population_carries_its_attributes_and_where_it_comes_from(population, people, tmp_path):
    population.save(tmp_path / "población.npz")
    loaded = census.Population.load(tmp_path / "población.npz")
    pd.testing.assert_frame_equal(loaded.sample(3_000, seed=4), population.sample(3_000, seed=4))
    about = loaded.provenance
    assert about["files"] == ["censo_2022.csv"] and about["years"] == ["2022"] and about["weights"] == "FACTOR"
    assert about["persons"] == len(people) and about["stand for"] == round(people["weight"].sum())
    assert about["attributes"] == yaml.safe_load(MAPPING)["order"] and about["fitted"].startswith("20")
    assert (tmp_path / "población.npz").stat().st_size < 400_000


def test_personas_are_drawn_from_it(population):
    drawn = personas.sample(50, seed=1, population=population)
    assert list(drawn.columns) == [*COLUMNS, "persona_split", *population.columns]
    assert drawn.index.is_unique and drawn["sexo"].isin(["Hombre", "Mujer"]).all()


def test_us_rules_hold_only_for_attributes_that_are_the_us(files):
    ours = [BY_NAME[name] for name in CENSUS]
    assert len(rules.rules_for(ours)) == len(rules.RULES)
    spanish = mapping.load(files[1]).drawn()
    assert rules.rules_for(spanish) == []
    some = rules.rules_for([BY_NAME["age"], BY_NAME["marital status"], *spanish])
    assert some and all(set(rule) <= {"age", "marital status"} for rule in some)


def test_a_parquet_file_of_labels_and_two_files_at_once_are_read(files, people, tmp_path):
    raw = households().replace({"TRAB": {"": None}})
    raw.astype({"TRAB": "Int64"}).to_parquet(tmp_path / "half.parquet")
    twice = census.read_mapped([files[0], tmp_path / "half.parquet"], files[1])
    assert len(twice) == 2 * len(people)
    pd.testing.assert_frame_equal(twice[len(people) :].reset_index(drop=True), people)


def test_the_mapping_in_the_docs_is_one_that_reads(files, tmp_path):
    text = (ROOT / "docs" / "census.md").read_text("utf-8")
    block = re.search(r"^ +weight: FACTOR.*?(?=\n\n   \w)", text, re.DOTALL | re.MULTILINE).group()
    (tmp_path / "m.yaml").write_text(textwrap.dedent(block), "utf-8")
    people = census.read_mapped(files[0], tmp_path / "m.yaml")
    assert list(people.columns) == ["age", "sex", "education", "lengua", "employment", "income", "weight"]
    drawn = personas.sample(20, population=census.Population.fit(people, tmp_path / "m.yaml"))
    assert list(drawn.columns) == [*COLUMNS, "persona_split", "lengua", "employment"]
    assert f"sex: {drawn['sex'].iloc[0]}" in personas.describe(drawn.iloc[0])


# --- bad input


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"column: P02": "column: P99"}, "lacks the columns P99 that the mapping names"),
        ({"weight: FACTOR": "weight: PESO"}, "lacks the columns PESO"),
        (
            {"educación: [Univ": "educacion: [Univ"},
            "no such attribute: educacion; the mapping has edad, sexo",
        ),
        ({"order: [edad, ": "order: [edat, "}, "no such attribute: edat"),
        ({"order: [edad, ": "order: ["}, "order must name each attribute once"),
        ({"[Universitaria]": "[Superior]"}, "educación has no label Superior"),
        ({"{edad: {from: 15}}": "{edat: {from: 15}}"}, "no such attribute: edat"),
        ({"[Ocupado]": "{from: 3}"}, "a predicate on situación laboral must be labels"),
        ({"{to: 17}": "[Hombre]"}, "a predicate on edad must be from and to"),
        ({"kind: numeric, missing: [999]": "kind: numeric, bands: [10, 20]"}, "edad cuts a band at 18: make 18"),
        ({"2: Mujer": "3: Mujer"}, r"column P02 has codes that the mapping lacks \(2\): add them to sexo"),
        ({"column: IDIOMA, labels": "column: IDIOMA, kind: numeric, labels"}, "a categorical attribute needs either"),
        ({"column: ING": "column: IDIOMA"}, r"column IDIOMA has values that are not numbers \(Español"),
        ({"1: Hombre": "1: yes"}, "attributes.sexo.codes.1: .*in quotes"),
        ({"round: 10": "rounded: 10"}, "attributes.ingreso.rounded: Extra inputs"),
        ({"[1, 500,": "[500, 1,"}, "bands must be rising"),
        ({"latin-1": "utf-8"}, "can't be read .*see separator and encoding"),
        ({"latin-1": "no-code"}, "can't be read .*see separator and encoding"),
        ({'";"': '","'}, "lacks the columns P03, P02, NIVEL"),
        ({"  sexo:": "  weight:"}, "an attribute must not be called weight"),
        ({"rules:": "rules: ["}, "can't be read as YAML"),
        ({"when: {edad: {to: 17}}": "when: {educación: [Media]}"}, "has the same attribute as its never"),
    ],
)
def test_a_mapping_that_does_not_fit_is_named_in_one_line(files, tmp_path, change, said):
    text = MAPPING
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "m.yaml").write_text(text, "utf-8")
    with pytest.raises(UserError, match=said) as caught:
        census.read_mapped(files[0], tmp_path / "m.yaml")
    assert "\n" not in str(caught.value)


def test_a_missing_mapping_an_empty_file_and_zero_weights_are_named(files, tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml can't be read"):
        census.read_mapped(files[0], tmp_path / "none.yaml")
    households()[:0].to_csv(tmp_path / "empty.csv", sep=";", index=False)
    with pytest.raises(UserError, match=r"empty\.csv has no rows"):
        census.read_mapped(tmp_path / "empty.csv", files[1])
    households().assign(FACTOR=0).to_csv(tmp_path / "zero.csv", sep=";", index=False, encoding="latin-1")
    with pytest.raises(UserError, match="not all 0"):
        census.Population.fit(census.read_mapped(tmp_path / "zero.csv", files[1]), files[1])


def test_a_table_that_does_not_fit_the_mapping_is_named(people, files):
    with pytest.raises(UserError, match=r"lacks age, .*census.read_pums"):
        census.Population.fit(people)
    with pytest.raises(UserError, match=r"lacks sexo: .*census.read_mapped"):
        census.Population.fit(people.drop(columns="sexo"), files[1])
    with pytest.raises(UserError, match=r"sexo has values that are not among its labels \(hombre"):
        census.Population.fit(people.assign(sexo="hombre"), files[1])


def test_rules_that_leave_people_no_value_are_named(files, tmp_path):
    more = "  - never: {vivienda: [Casa, Departamento, Choza, null]}\n    when: {sexo: [Mujer]}\n"
    (tmp_path / "m.yaml").write_text(MAPPING + more, "utf-8")
    stuck = census.Population.fit(census.read_mapped(files[0], tmp_path / "m.yaml"), tmp_path / "m.yaml")
    assert stuck.provenance["against the rules"] > 5_000
    with pytest.raises(UserError, match="the rules leave a person no value of vivienda"):
        stuck.sample(100)
