"""Small files in the Bureau's form: made-up people in made-up households, under the column names of any release."""

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pandas as pd

from persona_lib.attributes import BY_NAME, CENSUS

CODES = {BY_NAME[name].pums: min(BY_NAME[name].codes, default=30) for name in CENSUS}

# Who lives together: ages and relationships (RELSHIPP), the householder first, and the household's type.
HOUSEHOLDS = [
    ([40, 38, 3, 10], [20, 21, 25, 25], 1),  # a couple with a toddler and a child of 10
    ([30, 2], [20, 30], 3),  # a grandmother with a toddler
    ([50, 16], [20, 27], 2),  # a father with a stepchild
    ([60, 58], [20, 23], 1),  # a couple alone
    ([35, 33, 9], [20, 21, 35], 1),  # a couple with a foster child: not related
    ([70], [20], 4),  # a man alone
    ([25, 24], [20, 34], 5),  # two who share a home: no family
]
FPARC = [3, 1, 2, 4, 4, None, None]
RELP = {20: 0, 21: 1, 23: 1, 25: 2, 27: 4, 30: 7, 34: 12, 35: 14}


def files(year: int = 2024, state: int = 56, times: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A table of persons and one of housing units, in today's names."""
    persons, housing = [], []
    for number, (ages, relations, kind) in enumerate(HOUSEHOLDS * times):
        serial = f"{year}HU{state:02d}{number:05d}"
        housing.append({"RT": "H", "SERIALNO": serial, "STATE": state, "NP": len(ages), "HHT": kind, "HHL": 1})
        for order, (age, relation) in enumerate(zip(ages, relations, strict=True), start=1):
            own = {"SERIALNO": serial, "SPORDER": order, "STATE": state, "PWGTP": 10 * order, "ADJINC": 1_010_145}
            codes = {column: code for column, code in CODES.items() if column not in ("HHT", "HHL", "FPARC")}
            persons.append({"RT": "P", **codes, **own, "RELSHIPP": relation, "AGEP": age, "PINCP": 20_000, "PUMA": 100})
    housing.append(housing[-1] | {"SERIALNO": f"{year}HU{state:02d}99999", "NP": 0, "HHT": None, "HHL": None})  # vacant
    return pd.DataFrame(persons), pd.DataFrame(housing).astype({"HHT": "Int64", "HHL": "Int64"})


def as_in_2018(persons: pd.DataFrame, housing: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same under the names of 2018: ST, RELP, lower-case replicate weights, FPARC in the housing file."""
    persons = persons.rename(columns={"STATE": "ST", "RELSHIPP": "RELP"}).assign(pwgtp1=1)
    persons["RELP"] = persons["RELP"].map(RELP)
    homes = len(housing) - 1
    family = pd.array([*(FPARC * homes)[:homes], None], dtype="Int64")
    return persons, housing.rename(columns={"STATE": "ST"}).assign(FPARC=family)


def write(folder: Path, year: int = 2024, state: int = 56, postal: str = "wy", times: int = 1) -> list[Path]:
    """Both tables as the zips that the Bureau would publish."""
    persons, housing = files(year, state, times)
    return [
        zipped(folder / f"csv_p{postal}.zip", {f"psam_p{state:02d}.csv": persons}),
        zipped(folder / f"csv_h{postal}.zip", {f"psam_h{state:02d}.csv": housing}),
    ]


def zipped(path: Path, tables: dict[str, pd.DataFrame]) -> Path:
    """A zip of CSV files, with the readme that the Bureau's has too."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("ACS2024_PUMS_README.pdf", b"%PDF")
        for name, table in tables.items():
            archive.writestr(name, table.to_csv(index=False))
    return path
