"""A census of another country: a mapping reads it; a population of its own attributes is fitted, saved, drawn from."""

import gzip
import re
import textwrap
from collections.abc import Callable
from itertools import combinations
from zipfile import ZipFile

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


def test_the_docs_mapping_of_an_ipums_extract_reads_one(tmp_path):
    """An extract in the form of usa_00001.csv.gz: its names, its codes, its numbers for missing."""
    text = (ROOT / "docs" / "census.md").read_text("utf-8")
    block = re.search(r"^ +weight: PERWT.*?(?=\n\n    people)", text, re.DOTALL | re.MULTILINE).group()
    (tmp_path / "ipums.yaml").write_text(textwrap.dedent(block))
    n, rng = 3000, np.random.default_rng(3)
    age = rng.integers(0, 97, n)
    extract = pd.DataFrame(
        {
            "YEAR": 2024,
            "SAMPLE": 202401,
            "SERIAL": np.arange(n),
            "PERNUM": 1,
            "PERWT": rng.integers(1, 300, n).astype(float),
            "SEX": rng.integers(1, 3, n),
            "AGE": age,
            "MARST": np.where(age < 15, 6, rng.integers(1, 7, n)),
            "RACE": rng.integers(1, 10, n),
            "RACED": 100,
            "HISPAN": rng.choice([0, 1, 4, 9], n),
            "EDUC": rng.integers(0, 12, n),
            "EMPSTAT": np.where(age < 16, 0, rng.integers(1, 4, n)),
            "CLASSWKR": np.where(age < 16, 0, rng.integers(1, 3, n)),
            "INCTOT": np.where(age < 15, 9999999, rng.choice([-3000, 0, 42_000, 1_230_000], n)),
        }
    )
    extract.to_csv(tmp_path / "usa_00001.csv.gz", index=False)
    people = census.read_mapped(tmp_path / "usa_00001.csv.gz", tmp_path / "ipums.yaml")
    assert (people["income"].isna() == (age < 15)).all() and people["income"].max() == 1_230_000
    assert (people["employment"].isna() == (age < 16)).all() and people["worker"].isna().sum() == (age < 16).sum()
    assert people["hispanic"].isna().sum() == (extract["HISPAN"] == 9).sum()
    assert people["weight"].sum() == extract["PERWT"].sum()
    drawn = personas.sample(20, population=census.Population.fit(people, tmp_path / "ipums.yaml"))
    assert "marital status: " in personas.describe(drawn.iloc[0])


# --- codes and files in other writing


INCOMES = """
attributes:
  income: {column: INC, kind: numeric, missing: [9999999, -1, X], bands: [0, 1, 10000]}
  sex: {column: SEX, codes: {1: Male, 02: Female}, missing: [9]}
  marital: {column: M, codes: {1: Married, 2: Single, N: null, "no": Never asked}}
"""


@pytest.fixture
def incomes(tmp_path) -> Callable[..., pd.DataFrame]:
    """Read a table of texts as CSV, or of any cells as parquet, by the mapping above."""
    (tmp_path / "m.yaml").write_text(INCOMES)

    def read(table: pd.DataFrame, name: str = "a.csv") -> pd.DataFrame:
        (table.to_parquet if name.endswith("parquet") else table.to_csv)(tmp_path / name, index=False)
        return census.read_mapped(tmp_path / name, tmp_path / "m.yaml")

    return read


@pytest.mark.parametrize(
    "missing", ["9999999", "9999999.0", " 9999999", "09999999", "9999999.", "9.999999E6", "-1.00", "X", " "]
)
def test_a_code_for_missing_is_the_same_number_in_any_writing(incomes, missing):
    people = incomes(pd.DataFrame({"INC": [" 5000", missing], "SEX": ["1.0", "09"], "M": ["N", "1"]}))
    assert people["income"][0] == 5000 and people["income"].isna()[1]
    assert people["sex"].astype("str").fillna("-").tolist() == ["Male", "-"]


@pytest.mark.parametrize("kind", ["int64", "float64", "Int64", "str", "object", "category"])
def test_codes_of_a_parquet_file_are_read_whatever_their_type(incomes, kind):
    table = pd.DataFrame({"INC": [9999999, 20], "SEX": [2, 1], "M": [1, 2]}).astype(kind)
    people = incomes(table, "a.parquet")
    assert people["income"].isna().tolist() == [True, False] and people["income"][1] == 20
    assert people["sex"].tolist() == ["Female", "Male"] and people["marital"].tolist() == ["Married", "Single"]


def test_letters_and_numbers_are_codes_of_one_column(incomes):
    people = incomes(pd.DataFrame({"INC": "1", "SEX": "1", "M": ["1", "2.0", " N ", "no", "", "02"]}))
    assert people["marital"].astype("str").fillna("-").tolist() == [
        "Married",
        "Single",
        "-",
        "Never asked",
        "-",
        "Single",
    ]
    with pytest.raises(UserError, match=r"column M has codes that the mapping lacks \(NA, n\): add them to marital"):
        incomes(pd.DataFrame({"INC": "1", "SEX": "1", "M": ["n", "1", "NA"]}))


def test_an_extract_is_read_packed_zipped_by_a_mac_in_capitals_and_with_a_byte_order_mark(incomes, tmp_path):
    table = pd.DataFrame({"INC": ["1", "2"], "SEX": ["1", "2"], "M": ["1", "2"]})
    text = table.to_csv(index=False)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "b.CSV").write_bytes(text.replace("\n", "\r").encode("utf-8-sig"))
    (tmp_path / "c.json").write_text(table.to_json(orient="records"))
    with ZipFile(tmp_path / "d.ZIP", "w") as archive:
        archive.writestr("data/x.CSV", text)
        archive.writestr("__MACOSX/data/._x.CSV", b"\0\5\x16\7\0")
        archive.writestr("readme.txt", "SEX")
    want = incomes(table)
    for name in ("a.csv.gz", "b.CSV", "c.json", "d.ZIP"):
        pd.testing.assert_frame_equal(census.read_mapped(tmp_path / name, tmp_path / "m.yaml"), want)


@pytest.mark.parametrize("number", ["inf", "-inf", "1e400", "99999999999999999999", "NaN", "9,999,999"])
def test_a_cell_that_is_no_number_is_named(incomes, number):
    with pytest.raises(UserError, match=rf"column INC has values that are not numbers \({number}\)"):
        incomes(pd.DataFrame({"INC": [number, "1"], "SEX": "1", "M": "1"}))


def test_a_date_is_no_number_and_a_list_no_code(incomes):
    table = pd.DataFrame({"INC": pd.to_datetime(["2020-01-01"]), "SEX": 1, "M": 1})
    with pytest.raises(UserError, match="column INC has values that are not numbers"):
        incomes(table, "a.parquet")
    with pytest.raises(UserError, match="has lists in the column SEX: write one code"):
        incomes(pd.DataFrame({"INC": 1, "SEX": [[1]], "M": 1}), "a.parquet")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("INC,SEX,INC,M\n1,1,2,1\n", "has the column INC twice: keep one"),
        ("INC,SEX,M\n1,1,1\n1,1,1,1\n", "Expected 3 columns, got 4"),
        ("INC,SEX,M\n1,1,1,1\n", "Expected 3 columns, got 4"),
        ("INC,SEX,M\n1,1\n", "Expected 3 columns, got 2"),
        ("INC;SEX;M\n1;1;1\n", "lacks the columns INC, SEX, M that the mapping names: .*separator"),
        ("", "lacks the columns INC, SEX, M"),
    ],
)
def test_a_csv_file_whose_cells_may_stand_in_the_wrong_column_is_refused(incomes, tmp_path, text, said):
    incomes(pd.DataFrame({"INC": ["1"], "SEX": "1", "M": "1"}))
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(UserError, match=said) as error:
        census.read_mapped(tmp_path / "b.csv", tmp_path / "m.yaml")
    assert "\n" not in str(error.value)


def test_a_header_may_have_blanks_and_quotes_and_cells_line_breaks(incomes, tmp_path):
    want = incomes(pd.DataFrame({"INC": ["1"], "SEX": "1", "M": "1"}))
    (tmp_path / "b.csv").write_text('\n INC ,"SEX",note,M\n1,1,"two\nlines",1\n\n')
    pd.testing.assert_frame_equal(census.read_mapped(tmp_path / "b.csv", tmp_path / "m.yaml"), want)


def test_a_file_in_utf_16_is_named_or_read_if_the_mapping_says_so(incomes, tmp_path):
    want = incomes(pd.DataFrame({"INC": ["1"], "SEX": ["1"], "M": ["1"]}))
    (tmp_path / "u.csv").write_bytes((tmp_path / "a.csv").read_text().encode("utf-16"))
    with pytest.raises(UserError, match=r"u\.csv is in UTF-16: save it in UTF-8"):
        census.read_mapped(tmp_path / "u.csv", tmp_path / "m.yaml")
    (tmp_path / "u.yaml").write_text(f"{INCOMES}\nencoding: UTF_16\n")
    pd.testing.assert_frame_equal(census.read_mapped(tmp_path / "u.csv", tmp_path / "u.yaml"), want)


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
        ({"1: Hombre": "1: true"}, "attributes.sexo.codes.1: .*in quotes"),
        ({"round: 10": "rounded: 10"}, "attributes.ingreso.rounded: Extra inputs"),
        ({"[1, 500,": "[500, 1,"}, "bands must be rising"),
        ({"latin-1": "utf-8"}, "can't be read .*see separator and encoding"),
        ({"latin-1": "no-code"}, "can't be read .*see separator and encoding"),
        ({'";"': '","'}, "lacks the columns P03, P02, NIVEL"),
        ({"  sexo:": "  weight:"}, "an attribute must not be called weight"),
        ({"rules:": "rules: ["}, "can't be read as YAML"),
        ({"1: Hombre, 2": "1: Hombre, 1"}, "the key 1 stands twice, in lines 7 and 7: keep one"),
        ({"  vivienda:": "  sexo:"}, "the key sexo stands twice, in lines 7 and 24"),
        ({"1: Hombre, 2": "1: Hombre, '01': Varón, 2"}, "attributes.sexo: the code 01 stands twice"),
        ({"missing: [999]": "missing: [999, '0999']"}, "attributes.edad: the code 0999 stands twice"),
        ({"2: Mujer}": "2: Mujer}, missing: [2.0]"}, "the code 2.0 has a label and is missing"),
        ({"round: 10": "round: .inf"}, "can't be read as YAML: .inf in line 22 is not a finite number"),
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
    with pytest.raises(UserError, match="weights are not numbers above 0"):
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
