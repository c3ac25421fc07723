"""The forms in which people have the Bureau's files: each year's, the API's, an extract's, another program's.

The small files are made up; their columns, names and codes are the documented ones: PUMS Data Dictionary 2019 (names,
codes, serial numbers, b's), ACS 2024 1-year PUMS User Guide and Overview, sections VI.B (blanks in the API) and X.F
(ADJINC), and for ST and STATE the release of tidycensus of 17 October 2024.
"""

import gzip
import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from pums_files import FPARC, RELP, files, zipped

from persona_lib import UserError, census
from persona_lib.attributes import BY_NAME, CENSUS

# The people of these households as the Bureau's rules of 'not applicable' have them.
NOBODY = {"SCHL": 3, "ENG": 5, "DREM": 5, "PINCP": 15, "ESR": 16, "COW": 16, "INDP": 16, "OCCP": 16, "MIL": 17}


def people(year: int = 2024) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Persons and housing units whose columns have gaps where an attribute does not apply."""
    persons, housing = files(year)
    persons = persons.astype(dict.fromkeys([*NOBODY, "FER"], "Int64"))
    for column, age in NOBODY.items():
        persons[column] = persons[column].mask(persons["AGEP"] < age)
    persons["FER"] = persons["FER"].mask((persons["SEX"] == 1) | ~persons["AGEP"].between(15, 50))
    homes = len(housing) - 1
    return persons, housing.assign(FPARC=pd.array([*(FPARC * homes)[:homes], None], dtype="Int64"))


def of_year(year: int, persons: pd.DataFrame, housing: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables under the names of a 1-year release."""
    if year <= 2022:
        persons, housing = (table.rename(columns={"STATE": "ST"}) for table in (persons, housing))
    if year <= 2018:
        persons = persons.assign(RELP=persons["RELSHIPP"].map(RELP)).drop(columns="RELSHIPP")
    if year == 2017:  # serial numbers of 13 digits
        persons, housing = (
            table.assign(SERIALNO=table["SERIALNO"].str.replace("HU", "00")) for table in (persons, housing)
        )
    return persons, housing


def both(folder: Path, persons: pd.DataFrame, housing: pd.DataFrame, **how: object) -> list[Path]:
    paths = [folder / "psam_p56.csv", folder / "psam_h56.csv"]
    for path, table in zip(paths, (persons, housing), strict=True):
        table.to_csv(path, index=False, **how)
    return paths


@pytest.fixture
def want(tmp_path) -> pd.DataFrame:
    (tmp_path / "want").mkdir()
    return census.read_pums(both(tmp_path / "want", *people()))


def test_gaps_are_kept_where_an_attribute_does_not_apply(want):
    ages = want["age"]
    assert (want["income"].isna() == (ages < 15)).all() and (want["education"].isna() == (ages < 3)).all()
    assert (want["occupation category"].isna() == (ages < 16)).all() and want["fertility"].isna().any()
    assert not want[["sex", "race", "marital status"]].isna().any(axis=None)


# --- years


@pytest.mark.parametrize("year", range(2018, 2025))
def test_the_form_of_each_year_gives_the_same_people(tmp_path, want, year):
    read = census.read_pums(both(tmp_path, *of_year(year, *people(year))))
    pd.testing.assert_frame_equal(read, want)
    assert read.attrs["years"] == [str(year)]


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [(2017, 2017, "2017"), (2016, 2016, "of unknown year"), (2013, 2017, "2013-2017")],
)
def test_files_from_before_2018_are_refused(tmp_path, first, last, said):
    tables = [of_year(2017, *people(year)) for year in range(first, last + 1)]
    persons, housing = (pd.concat(part, ignore_index=True) for part in zip(*tables, strict=True))
    if said == "of unknown year":  # until 2016 serial numbers had 7 digits
        persons, housing = (t.assign(SERIALNO=t["SERIALNO"].str[-7:].astype(int)) for t in (persons, housing))
    with pytest.raises(UserError, match=rf"psam_p56\.csv is from before 2018 \({said}\)") as error:
        census.read_pums(both(tmp_path, persons, housing))
    assert "\n" not in str(error.value)


def test_a_parquet_files_name_tells_its_year_where_its_serial_numbers_do_not(tmp_path):
    persons, housing = people()
    table = persons.merge(housing[["SERIALNO", "HHT", "HHL", "FPARC"]], on="SERIALNO").drop(columns="SERIALNO")
    for name, years in {"acs_2019.parquet": ["2019"], "drawn_2000.parquet": ["2000"], "x.parquet": []}.items():
        table.to_parquet(tmp_path / name)
        assert census.read_pums(tmp_path / name).attrs["years"] == years
    table.to_parquet(tmp_path / "acs_2016.parquet")
    with pytest.raises(UserError, match=r"before 2018 \(2016\)"):
        census.read_pums(tmp_path / "acs_2016.parquet")


def test_a_five_year_extract_need_not_have_people_of_each_year(tmp_path):
    tables = {year: of_year(2018 if year == 2018 else 2022, *people(year)) for year in range(2018, 2023)}
    housing = pd.concat([housing for _, housing in tables.values()], ignore_index=True)
    persons = pd.concat([tables[year][0] for year in (2018, 2021)], ignore_index=True)
    read = census.read_pums(both(tmp_path, persons, housing))
    assert read.attrs["years"] == ["2018", "2019", "2020", "2021", "2022"] and len(read) == 32
    # 2018 has RELP, 2021 RELSHIPP, in one file; FPARC follows from both.
    derived = census.read_pums(both(tmp_path, persons, housing.drop(columns="FPARC")))
    pd.testing.assert_frame_equal(derived, read)


def test_releases_are_not_mixed(tmp_path):
    (tmp_path / "five").mkdir()
    years = [people(year) for year in range(2019, 2024)]
    five = both(tmp_path / "five", *(pd.concat(t, ignore_index=True) for t in zip(*years, strict=True)))
    with pytest.raises(UserError, match=r"different years \(psam_p56.csv 2019-2023, psam_h56.csv 2019-2023, .* 2023"):
        census.read_pums([*five, *both(tmp_path, *people(2023))])


# --- the Bureau's API


def api(table: pd.DataFrame, blanks: str) -> pd.DataFrame:
    """A table as the API sends it: texts, and a code instead of each gap."""
    codes = {BY_NAME[name].pums: min(BY_NAME[name].codes, default=1) for name in CENSUS}
    lowest = {column: code - 1 if blanks == "lowest" else 0 for column, code in codes.items()}
    gaps = lowest | ({"INDP": "N", "OCCP": "N"} if blanks == "letters" else {}) | {"PINCP": -19999}
    texts = {
        name: [str(gaps[name] if pd.isna(cell) else cell) for cell in table[name]]
        for name in table
        if not (table[name].isna().any() and name not in gaps)
    }
    return pd.DataFrame(texts)


@pytest.mark.parametrize("blanks", ["0", "lowest", "letters"])
@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet", "csv.gz"])
def test_an_extract_from_the_api_has_other_codes_for_not_applicable(tmp_path, want, form, blanks):
    persons, housing = people()
    table = persons.merge(housing[["SERIALNO", "HHT", "HHL", "FPARC"]], on="SERIALNO")
    table = table.assign(HHT=table["HHT"].mask(table["AGEP"] > 65), HHL=table["HHL"].mask(table["AGEP"] > 65))
    sent = api(table.assign(ADJINC="1.010145"), blanks).rename(columns={"STATE": "ST"}).assign(state="56")
    path = tmp_path / f"pums.{form}"
    content = {
        "json": lambda: json.dumps([list(sent), *sent.to_numpy().tolist()]),  # names first
        "jsonl": lambda: sent.to_json(orient="records", lines=True),
        "csv": lambda: sent.to_csv(index=False),
        "csv.gz": lambda: sent.to_csv(index=False),
        "parquet": lambda: "",
    }[form]().encode()
    path.write_bytes(gzip.compress(content) if form.endswith("gz") else content)
    if form == "parquet":
        sent.to_parquet(path)
    read = census.read_pums(path)
    old = want["age"] > 65
    columns = ["household type", "household language", "family presence and age"]
    assert read.loc[old, columns[:2]].isna().all(axis=None)
    pd.testing.assert_frame_equal(read.drop(columns=columns), want.drop(columns=columns))


def test_the_code_for_not_applicable_is_an_error_where_everybody_has_a_value(tmp_path):
    persons, housing = people()
    with pytest.raises(UserError, match=r"SEX has codes that the dictionary lacks \(0\)"):
        census.read_pums(both(tmp_path, persons.assign(SEX=0), housing))


def test_a_loss_of_the_lowest_legal_value_is_an_income(tmp_path):
    persons, housing = people()
    read = census.read_pums(both(tmp_path, persons.assign(PINCP=-19998, ADJINC=1_000_000), housing))
    assert set(read["income"]) == {-19998}


# --- ADJINC


@pytest.mark.parametrize(
    ("cells", "income"),
    [("1.019518", 20390), ("1019518", 20390), ("1019518.0", 20390), ("1", 20000), ("0.9", 18000), ("1500000", 30000)],
)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_factor_of_incomes_is_read_in_either_form(tmp_path, cells, income, form):
    persons, housing = people()
    paths = both(tmp_path, persons.assign(ADJINC=cells, PINCP=20_000), housing)
    if form == "parquet":
        table = persons.merge(housing[["SERIALNO", "HHT", "HHL", "FPARC"]], on="SERIALNO")
        paths = [tmp_path / "a.parquet"]
        table.assign(ADJINC=float(cells), PINCP=20_000).to_parquet(paths[0])
    assert set(census.read_pums(paths)["income"]) == {income}


@pytest.mark.parametrize("cell", ["0", "1.6", "0.5", "101", "101014", "10101450", "-1010145", "x", "", " ", None])
def test_a_factor_that_is_none_or_a_gap_is_an_error(tmp_path, cell):
    persons, housing = people()
    factors = ["1010145"] * (len(persons) - 1) + [cell]
    with pytest.raises(UserError, match="PUMS column ADJINC has 1 values that are no factor, such as ") as error:
        census.read_pums(both(tmp_path, persons.assign(ADJINC=factors), housing))
    assert "\n" not in str(error.value)


# --- other programs


@pytest.mark.parametrize("gap", ["", " ", "    ", "NA", "NaN", "nan", "<NA>", ".", "NULL", "#N/A", "#NULL!", r"\N"])
def test_files_that_another_program_saved_are_read(tmp_path, want, gap):
    persons, housing = people()
    floats = [name for name in persons if name not in ("RT", "SERIALNO")]
    saved = both(
        tmp_path, persons.astype(dict.fromkeys(floats, "Float64")), housing.astype({"HHT": "Float64"}), na_rep=gap
    )
    pd.testing.assert_frame_equal(census.read_pums(saved), want)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_files_with_another_separator_and_rows_of_gaps_at_the_end_are_read(tmp_path, want, separator):
    persons, housing = people()
    paths = both(tmp_path, persons, housing, sep=separator)
    with paths[0].open("a") as file:  # as a spreadsheet saves them
        file.write(2 * (separator * (len(persons.columns) - 1) + "\n"))
    pd.testing.assert_frame_equal(census.read_pums(paths), want)


def test_persons_and_housing_units_in_one_zip_are_read(tmp_path, want):
    persons, housing = people()
    path = zipped(tmp_path / "wyoming.zip", {"psam_p56.csv": persons, "psam_h56.csv": housing})
    pd.testing.assert_frame_equal(census.read_pums(path), want)


@pytest.mark.parametrize("column", ["AGEP", "SEX", "RAC1P", "HISP", "CIT"])
def test_a_gap_is_an_error_where_everybody_has_a_value(tmp_path, column):
    persons, housing = people()
    persons[column] = persons[column].astype("Int64").where(persons.index > 0)
    with pytest.raises(UserError, match=rf"PUMS column {column} has codes that the dictionary lacks \(a gap\)"):
        census.read_pums(both(tmp_path, persons, housing))


@pytest.mark.parametrize("column", ["PINCP", "PWGTP"])
@pytest.mark.parametrize("number", ["inf", "-inf", "1e400"])
def test_a_number_that_is_infinite_is_an_error(tmp_path, column, number):
    persons, housing = people()
    with pytest.raises(UserError, match=f"PUMS column {column} has codes that the dictionary lacks"):
        census.read_pums(both(tmp_path, persons.assign(**{column: number}), housing))


def test_a_spreadsheet_is_no_zip_of_microdata(tmp_path):
    with ZipFile(tmp_path / "p.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(UserError, match=r"p\.xlsx can't be read as .*it has no CSV file in it"):
        census.read_pums(tmp_path / "p.xlsx")


@pytest.mark.parametrize("name", ["p.zip", "p.csv", "p.parquet", "p.jsonl"])
def test_a_file_that_is_not_there_is_said_to_be_missing_and_not_damaged(tmp_path, name):
    with pytest.raises(UserError, match=f"^no file {tmp_path / name}: [^;]*$"):
        census.read_pums(tmp_path / name)


def test_a_zip_from_a_mac_in_capitals_and_other_ends_of_lines_are_read(tmp_path, want):
    persons, housing = people()
    mac = zipped(tmp_path / "CSV_PWY.ZIP", {"x/PSAM_P56.CSV": persons, "__MACOSX/x/._PSAM_P56.CSV": pd.DataFrame()})
    zipped(tmp_path / "csv_hwy.zip", {"._psam_h56.csv": pd.DataFrame(), "psam_h56.csv": housing})
    pd.testing.assert_frame_equal(census.read_pums([mac, tmp_path / "csv_hwy.zip"]), want)
    paths = both(tmp_path, persons, housing, lineterminator="\r")
    paths[1].write_bytes(b"\xef\xbb\xbf" + paths[1].read_bytes())
    pd.testing.assert_frame_equal(census.read_pums(paths), want)
    for path in paths:
        path.write_bytes(path.read_text().encode("utf-16"))
    with pytest.raises(UserError, match=r"psam_p56\.csv is in UTF-16: save it in UTF-8"):
        census.read_pums(paths)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("column", "other"), [("PWGTP", "pwgtp"), ("STATE", "ST"), ("AGEP", " AgeP"), ("SERIALNO", "Serialno")]
)
def test_a_column_that_stands_twice_is_read_where_both_agree_and_named_where_not(tmp_path, want, column, other, form):
    persons, housing = people()
    table = persons.merge(housing[["SERIALNO", "HHT", "HHL", "FPARC"]], on="SERIALNO")
    path = tmp_path / f"twice.{form}"

    def write_with(cells: pd.Series) -> Path:
        (table.to_csv if form == "csv" else table.to_parquet)(path, index=False)
        both = table.assign(**{other: cells})
        (both.to_csv if form == "csv" else both.to_parquet)(path, index=False)
        return path

    agreeing = table[column].astype(float) if column == "PWGTP" else table[column]
    pd.testing.assert_frame_equal(census.read_pums(write_with(agreeing)), want)
    differing = table[column].where(np.arange(len(table)) > 0, "2024HU5699998" if column == "SERIALNO" else 55)
    with pytest.raises(UserError, match=f"has the column {column} twice, as {column} and {other}: leave one"):
        census.read_pums(write_with(differing))


def test_the_same_name_twice_in_a_csv_file_is_told_apart(tmp_path):
    persons, housing = people()
    paths = both(tmp_path, persons.assign(again=3), housing)
    paths[0].write_text(paths[0].read_text().replace("again", "PWGTP", 1))
    with pytest.raises(UserError, match="has the column PWGTP twice, as PWGTP and PWGTP"):
        census.read_pums(paths)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_extract_of_ipums_is_told_where_to_go(tmp_path, form):
    extract = pd.DataFrame({"YEAR": [2024], "SERIAL": [1], "PERNUM": [1], "PERWT": [10.0], "SEX": [1], "AGE": [40]})
    (extract.to_csv if form == "csv" else extract.to_parquet)(tmp_path / f"usa_00001.{form}", index=False)
    with pytest.raises(UserError, match=r"is an extract of IPUMS, .*: read it with a mapping \(docs/census\.md\)"):
        census.read_pums(tmp_path / f"usa_00001.{form}")
