"""The Bureau's files as published: every form and year gives the same people; unreadable files are named."""

import re

import numpy as np
import pandas as pd
import pums_files
import pytest
from impossible_people import IMPOSSIBLE
from pums_files import FPARC, HOUSEHOLDS, as_in_2018, files, write, zipped

from persona_lib import UserError, census
from persona_lib.attributes import BY_NAME, CENSUS
from persona_lib.census import pums

FAMILY = BY_NAME["family presence and age"]
STATES = ["csv_pwy.zip", "csv_hwy.zip", "csv_pvt.zip", "csv_hvt.zip"]


@pytest.fixture(scope="module")
def real(shared) -> pd.DataFrame:
    return census.read_pums([shared / "acs" / name for name in STATES])


def wrong(paths, said: str) -> str:
    """Return the one-line message about files that cannot be read."""
    with pytest.raises(UserError, match=said) as caught:
        census.read_pums(paths)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- real files


def test_two_real_states_are_read_completely_with_weights_and_state(shared, real):
    raw = [pd.read_csv(shared / "acs" / name) for name in STATES[::2]]
    assert list(real.columns) == [*CENSUS, "state", "weight"]
    assert len(real) == sum(map(len, raw)) == 13_137
    for name, table in zip(["Wyoming", "Vermont"], raw, strict=True):
        assert real.loc[real["state"] == name, "weight"].sum() == table["PWGTP"].sum()
    assert real.loc[real["state"] == "Wyoming", "weight"].sum() == pytest.approx(587_618, rel=0.001)  # Vintage 2024
    assert real.attrs["years"] == ["2024"] and real.attrs["weights"] == "PWGTP" and real.attrs["files"] == STATES


def test_only_one_real_soldier_breaks_a_rule(real):
    found = {why: len(real.query(rule, engine="python")) for why, rule in IMPOSSIBLE.items()}
    assert {why: n for why, n in found.items() if n} == {"a soldier on a private payroll": 1}


def test_household_columns_are_those_of_the_persons_own_household(shared, real):
    persons, units = (pd.read_csv(shared / "acs" / name) for name in STATES[:2])
    home = units.set_index("SERIALNO").loc[persons["SERIALNO"]]
    codes = real.loc[real["state"] == "Wyoming", "household type"].cat.codes.to_numpy() + 1
    assert (codes == home["HHT"].fillna(0).to_numpy()).all()
    language = real.loc[real["state"] == "Wyoming", "household language"].cat.codes.to_numpy() + 1
    assert (language == home["HHL"].fillna(0).to_numpy()).all()


def test_csv_zipped_and_parquet_give_the_same_people(shared, tmp_path):
    zips = [shared / "acs" / name for name in STATES[:2]]
    plain = [tmp_path / f"psam_{kind}56.csv" for kind in "ph"]
    for path, file in zip(zips, plain, strict=True):
        pd.read_csv(path, dtype="str").to_csv(file, index=False)
    pums.read(zips).to_parquet(tmp_path / "persons.parquet")
    want = census.read_pums(zips)
    pd.testing.assert_frame_equal(census.read_pums(plain), want)
    pd.testing.assert_frame_equal(census.read_pums(tmp_path / "persons.parquet"), want)


def test_the_order_of_the_files_does_not_matter(shared, real):
    other = census.read_pums([shared / "acs" / name for name in reversed(STATES)])
    assert sorted(other["weight"]) == sorted(real["weight"])
    assert other["household type"].value_counts().equals(real["household type"].value_counts())


# --- older and larger releases


@pytest.fixture
def today(tmp_path) -> pd.DataFrame:
    return census.read_pums(write(tmp_path))


def test_family_presence_is_derived_from_the_ages_of_related_children(today):
    homes = np.repeat(range(len(HOUSEHOLDS)), [len(ages) for ages, _, _ in HOUSEHOLDS])
    derived = today["family presence and age"].cat.codes.groupby(homes).unique()
    assert [list(codes) for codes in derived] == [[0 if code is None else code - 1] if code else [-1] for code in FPARC]


def test_without_relationships_everyone_under_18_but_the_householder_is_related(tmp_path):
    persons, housing = files()
    paths = [tmp_path / "p.csv", tmp_path / "h.csv"]
    persons.drop(columns="RELSHIPP").to_csv(paths[0], index=False)
    housing.to_csv(paths[1], index=False)
    with_foster_child = census.read_pums(paths)["family presence and age"]
    assert with_foster_child[persons["AGEP"] == 9].tolist() == [FAMILY.labels[1]]


def test_a_file_under_the_names_of_2018_gives_the_same_people(tmp_path, today):
    tables = dict(zip("ph", as_in_2018(*files()), strict=True))
    for kind, table in tables.items():
        table.to_csv(tmp_path / f"psam_{kind}56.csv", index=False)
    older = census.read_pums([tmp_path / "psam_p56.csv", tmp_path / "psam_h56.csv"])
    pd.testing.assert_frame_equal(older, today)
    tables["h"].drop(columns="FPARC").to_csv(tmp_path / "psam_h56.csv", index=False)  # derived from RELP
    pd.testing.assert_frame_equal(census.read_pums([tmp_path / "psam_p56.csv", tmp_path / "psam_h56.csv"]), today)


def test_family_presence_of_the_bureau_wins_over_the_derived_one(tmp_path):
    persons, housing = as_in_2018(*files())
    housing["FPARC"] = housing["FPARC"].mask(housing["FPARC"].notna(), 4)
    for kind, table in {"p": persons, "h": housing}.items():
        table.to_csv(tmp_path / f"{kind}.csv", index=False)
    people = census.read_pums([tmp_path / "p.csv", tmp_path / "h.csv"])
    assert set(people["family presence and age"].dropna()) == {"No related children"}


def test_incomes_are_in_dollars_of_the_files_year(today):
    assert set(today["income"]) == {round(20_000 * 1.010145)}
    assert today.attrs["income"] == "adjusted by ADJINC"


def test_a_five_year_file_in_two_parts_is_read_whole(tmp_path):
    years = [files(year) for year in range(2019, 2024)]
    persons, housing = (pd.concat(tables, ignore_index=True) for tables in zip(*years, strict=True))
    halves = {"psam_pusa.csv": persons[:30], "psam_pusb.csv": persons[30:]}
    paths = [zipped(tmp_path / "csv_pus.zip", halves), zipped(tmp_path / "csv_hus.zip", {"psam_husa.csv": housing})]
    people = census.read_pums(paths)
    assert len(people) == len(persons) and people.attrs["years"] == ["2019", "2020", "2021", "2022", "2023"]


# --- bad input


def test_files_of_one_kind_alone_are_named(tmp_path):
    persons, housing = write(tmp_path)
    assert "csv_hwy.zip has housing units and no persons" in wrong(housing, "name the person file")
    assert "csv_pwy.zip lacks the household's HHT, HHL" in wrong(persons, "name the housing file")


def test_files_of_different_years_are_named(tmp_path):
    (tmp_path / "old").mkdir()
    persons, _ = write(tmp_path)
    _, housing = write(tmp_path / "old", year=2023)
    assert re.search(r"csv_pwy.zip 2024, csv_hwy.zip 2023", wrong([persons, housing], "different years"))
    assert "different years" in wrong([*write(tmp_path), *write(tmp_path / "old", 2023, 50, "vt")], "vt.zip 2023")


def test_files_of_different_states_are_named(tmp_path):
    wyoming, vermont = write(tmp_path), write(tmp_path, state=50, postal="vt")
    wrong([wyoming[0], vermont[1]], "nobody lives in the households of csv_hvt.zip")
    wrong(
        [*wyoming, vermont[0]], r"16 persons have no household \(such as 2024HU50\d+\): name the housing file of each"
    )
    wrong([*wyoming, vermont[1]], "nobody lives in the households of csv_hvt.zip")


def test_a_state_without_people_is_named(tmp_path):
    persons, housing = files(state=50)
    empty = zipped(tmp_path / "csv_pvt.zip", {"psam_p50.csv": persons[:0]})
    full = zipped(tmp_path / "csv_hvt.zip", {"psam_h50.csv": housing})
    assert "csv_pvt.zip has no rows" in wrong([*write(tmp_path), empty, full], "leave that state out")


def test_a_file_named_twice_is_refused(tmp_path):
    persons, housing = write(tmp_path)
    wrong([persons, persons, housing], "the same persons occur twice")
    wrong([persons, housing, housing], "the same households occur twice")


@pytest.mark.parametrize(("column", "kind"), [("PWGTP", 0), ("SCHL", 0), ("SERIALNO", 0), ("HHL", 1), ("SERIALNO", 1)])
def test_a_missing_column_is_named(tmp_path, column, kind):
    tables = list(files())
    tables[kind] = tables[kind].drop(columns=column)
    paths = [zipped(tmp_path / f"csv_{k}wy.zip", {f"{k}.csv": t}) for k, t in zip("ph", tables, strict=True)]
    said = wrong(paths, column)
    assert paths[kind].name in said and "lacks" in said


def test_releases_that_differ_in_their_columns_are_not_mixed(tmp_path):
    write(tmp_path)
    persons, housing = files(state=50)
    other = zipped(tmp_path / "csv_pvt.zip", {"p.csv": persons.drop(columns="ADJINC")})
    homes = zipped(tmp_path / "csv_hvt.zip", {"h.csv": housing})
    wrong([tmp_path / "csv_pwy.zip", other, tmp_path / "csv_hwy.zip", homes], "csv_pvt.zip lacks ADJINC")


def test_a_truncated_zip_is_named(tmp_path):
    persons, housing = write(tmp_path, times=50)
    persons.write_bytes(persons.read_bytes()[:-500])
    assert str(persons) in wrong([persons, housing], "can't be read as an intact zip")


def test_a_damaged_zip_is_named(tmp_path):
    persons, housing = write(tmp_path, times=50)
    content = bytearray(persons.read_bytes())
    content[2_000:2_100] = bytes(100)
    persons.write_bytes(content)
    assert str(persons) in wrong([persons, housing], "can't be read as an intact zip")


def test_a_code_that_is_not_a_number_is_named(tmp_path):
    persons, housing = files()
    paths = [tmp_path / "p.csv", tmp_path / "h.csv"]
    persons.astype({"SEX": "str"}).assign(SEX="male").to_csv(paths[0], index=False)
    housing.to_csv(paths[1], index=False)
    wrong(paths, r"PUMS column SEX has codes that the dictionary lacks \(male\)")
    persons.astype({"PINCP": "str"}).assign(PINCP="much").to_csv(paths[0], index=False)
    wrong(paths, r"PUMS column PINCP has codes that the dictionary lacks \(much\)")
    persons.astype({"SEX": float}).assign(SEX=1.5).to_csv(paths[0], index=False)
    wrong(paths, r"PUMS column SEX has codes that the dictionary lacks \(1.5\)")


def test_an_unknown_state_is_named(tmp_path):
    wrong(write(tmp_path, state=99), r"STATE has codes of no known state \(99\)")


def test_the_maker_of_these_files_covers_every_column():
    persons, housing = pums_files.files()
    assert {*pums.PERSON, "PWGTP", "SERIALNO"} <= set(persons) and {"HHT", "HHL"} <= set(housing)
