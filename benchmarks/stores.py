"""Time the merge of response stores beside SQLite's own copy of the same rows, and count what is lost of a damaged one.

    python benchmarks/stores.py --replies 1000000

Two stores of equal size are written; a fifth of each one's keys is in both, with another reply. In turn they are merged
by `store.merge`, in a process of its own (its start counts), and copied by `INSERT OR IGNORE ... SELECT`, into a file
with a store's settings (write-ahead log) and into one with SQLite's defaults. Then a copy of the first one, of which a
twentieth of the pages is overwritten, is merged. Needs 8 kB on the disk for each reply.
"""

import argparse
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from persona_lib.store import Store, Stored, canonical, key_of, opening

AT_ONCE = 10_000
PAGE = 8192  # bytes
MERGE = """
import resource, sys
from persona_lib.store import merge
merged = merge(sys.argv[2:], sys.argv[1])
print(merged.replies, merged.conflicts, int(merged.sources["read"].sum()), int(merged.sources["lost"].sum()))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # KiB on Linux
"""


def write(path: Path, low: int, high: int) -> Path:
    """Write a store with a reply of about 700 characters to each number; another file has other replies to the same."""
    store, words, draw = Store(path, base=()), [f"{n * 7919 % 16**6:06x}" for n in range(5000)], random.Random(low)
    for start in range(low, high, AT_ONCE):
        rows = []
        for n in range(start, min(start + AT_ONCE, high)):
            first = n * 37 % 4800
            request = canonical({"messages": [f"{n} {' '.join(words[first : first + 140])}"], "model": {"name": "m"}})
            reply = canonical({"text": " ".join(draw.choices(words, k=100))})
            rows.append(Stored(key_of(request), request, reply, None))
        store.put(rows)
    store.db.close()
    return path


def damaged(source: Path, path: Path) -> Path:
    """Copy a store, and overwrite each twentieth of its pages after the first ones."""
    shutil.copy(source, path)
    with path.open("r+b") as file:  # not in memory: what starts a process lends it its own largest memory
        for at in range(20 * PAGE, path.stat().st_size, 20 * PAGE):
            file.seek(at)
            file.write(random.Random(0).randbytes(PAGE))
    return path


def wrong(path: Path, source: Path) -> int:
    """Return how many replies of a file are not those of another."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("ATTACH ? AS source", (str(source),))
        query = "SELECT count(*) FROM (SELECT * FROM main.replies EXCEPT SELECT * FROM source.replies)"
        return int(db.execute(query).fetchone()[0])


def ours(into: Path, sources: list[Path]) -> tuple[list[int], float]:
    """Merge in a process of its own, and return its counts and its largest memory in MiB."""
    done = subprocess.run([sys.executable, "-c", MERGE, into, *sources], check=True, capture_output=True, text=True)
    counts, memory = done.stdout.splitlines()
    return [int(n) for n in counts.split()], float(memory)


def bare(into: Path, sources: list[Path], defaults: bool) -> None:
    """Copy the rows by SQLite alone."""
    db = sqlite3.connect(into, isolation_level=None) if defaults else opening.read_write(into)
    db.executescript(opening.TABLES)
    for source in sources:
        db.execute("ATTACH ? AS source", (str(source),))
        db.execute("INSERT OR IGNORE INTO main.replies SELECT * FROM source.replies")
        db.execute("DETACH source")
    db.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--replies", type=int, default=1_000_000)
    arguments.add_argument("--tries", type=int, default=3)
    arguments.add_argument("--folder", help="on the disk to measure [default: that of temporary files]")
    given = arguments.parse_args()
    half, tenth = given.replies // 2, given.replies // 10
    took: dict[str, list[float]] = {"merge": [], "bare, as a store": [], "bare, defaults": []}
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        folder, into, memory = Path(temporary), Path(temporary) / "into.sqlite", 0.0
        sources = [write(folder / "a.sqlite", 0, half), write(folder / "b.sqlite", half - tenth, 2 * half - tenth)]
        print(f"{2 * half:,} replies, {sum(source.stat().st_size for source in sources) / 1e6:,.0f} MB", flush=True)
        for _ in range(given.tries):
            for name, times in took.items():
                os.sync()  # what was written before is not written on the time of this one
                start = time.perf_counter()
                if name == "merge":
                    counts, used = ours(into, sources)
                    memory = max(memory, used)
                else:
                    bare(into, sources, name.endswith("defaults"))
                times.append(time.perf_counter() - start)
                empty(folder)
        own = statistics.median(took["merge"])
        for name, times in took.items():
            each, middle = ", ".join(f"{t:.1f}" for t in times), statistics.median(times)
            print(f"{name:18}{middle:7.1f} s  ({each}); merging has {middle / own:.2f} of its speed")
        print(f"{counts[0]:,} replies, {counts[1]:,} keys with different ones; at most {memory:,.0f} MiB of memory")
        start = time.perf_counter()
        counts, memory = ours(into, [damaged(sources[0], folder / "damaged.sqlite")])
        print(
            f"with a twentieth of the pages overwritten: {counts[2]:,} read, {counts[3]:,} lost, "
            f"{wrong(into, sources[0]):,} wrong, {time.perf_counter() - start:.1f} s, at most {memory:,.0f} MiB"
        )


def empty(folder: Path) -> None:
    """Remove what was merged."""
    for path in folder.glob("into.sqlite*"):
        path.unlink()


if __name__ == "__main__":
    main()
