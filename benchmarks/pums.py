"""Measure the time and memory it takes to read a national file of census microdata and to draw from it.

    python benchmarks/pums.py FOLDER [PERSONS]

FOLDER holds csv_p??.zip and csv_h??.zip of a few states. The script repeats their rows, with new household numbers, up
to about PERSONS (1,000,000 by default), and writes them as csv_pus.zip and csv_hus.zip in two parts each. These files
are about as wide as the Bureau's own; the added columns contain ones. The national file of one year has 3.4 million
persons.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pandas as pd

from persona_lib import census

NATION = 3_400_000
WIDTH = {"p": 287, "h": 241}


def write(folder: Path, path: Path, kind: str, times: int) -> int:
    """Write the states' rows `times` times; return the number of rows."""
    table = pd.concat([pd.read_csv(file, dtype="str") for file in sorted(folder.glob(f"csv_{kind}??.zip"))])
    table = table.assign(**{f"X{i}": "1" for i in range(WIDTH[kind] - table.shape[1])})
    head, tail = table["SERIALNO"].str[:6], table["SERIALNO"].str[6:]
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        for part, numbers in {"a": range(times // 2), "b": range(times // 2, times)}.items():
            with archive.open(f"psam_{kind}us{part}.csv", "w", force_zip64=True) as file:
                for number in numbers:
                    copy = table.assign(SERIALNO=head + f"{number:03d}" + tail)
                    copy.to_csv(file, index=False, header=number == numbers[0])
    return len(table) * times


def main(folder: str, persons: str = "1000000") -> None:
    once = sum(len(pd.read_csv(file)) for file in Path(folder).glob("csv_p??.zip"))
    with tempfile.TemporaryDirectory() as made:
        paths = {kind: Path(made) / f"csv_{kind}us.zip" for kind in WIDTH}
        counts = {kind: write(Path(folder), path, kind, round(int(persons) / once)) for kind, path in paths.items()}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        start = time.perf_counter()
        people = census.read_pums([*paths.values()])
        seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    assert len(people) == counts["p"]
    print(f"read {len(people):,} persons: {seconds:.0f} s, peak memory {memory:.2f} GB ({before:.2f} GB before)")
    scale = NATION / len(people)
    nation = f"{seconds * scale:.0f} s, {before + (memory - before) * scale:.2f} GB"
    print(f"extrapolated to {NATION:,} persons: {nation}")
    start = time.perf_counter()
    census.Records(people).sample(1_586)
    print(f"draw 1,586 of them: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
