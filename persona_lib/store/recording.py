"""Write and read recordings: replies as JSON lines that can be reviewed and committed, a read-only layer of a store."""

import glob
import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from .. import UserError, files
from .requests import Stored, canonical, key_of

RECORDINGS = files.ROOT / "tests" / "recordings"
MOST = 1_400_000  # bytes of one file of a recording, so that it can be reviewed and committed


def write_recording(rows: Iterable[Stored], path: Path | str) -> int:
    """Write outcomes as a recording and return their number.

    After MOST bytes the recording goes on in NAME.2.jsonl and so on; parts of an earlier recording are removed.
    """
    parts: list[list[bytes]] = [[]]
    size = n = 0
    for row in rows:
        outcome = {"request": json.loads(row.request), "reply": json.loads(row.reply), "failure": row.failure}
        line = f"{canonical(outcome)}\n".encode()
        if size + len(line) > MOST:
            parts.append([])
            size = 0
        parts[-1].append(line)
        size += len(line)
        n += 1
    written = [Path(path).with_suffix(".jsonl" if n == 1 else f".{n}.jsonl") for n in range(1, len(parts) + 1)]
    for file, part in zip(written, parts, strict=True):
        files.write(file, partial(_write_lines, part))
    for old in set(_parts(Path(path))) - set(written):
        old.unlink()
    return n


def _write_lines(lines: list[bytes], path: Path) -> None:
    path.write_bytes(b"".join(lines))


def read_recording(recording: str | Path) -> Iterator[Stored]:
    """Yield the outcomes of a recording; each key is computed from the request, not read from the line.

    Args:
        recording: a name in tests/recordings, without .jsonl, or a path.

    Raises:
        UserError: there is no such recording, or a line of it can't be read.
    """
    path = RECORDINGS / f"{recording}.jsonl"
    path = path if path.is_file() else Path(recording)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECORDINGS.glob("*.jsonl") if "." not in p.stem)) or "none"
        raise UserError(f"no recording '{recording}': known ones are {known}; recording=None asks the model")
    for part in _parts(path):
        # Lines of bytes, since texts may contain other line breaks, such as U+2028, which JSON does not escape.
        for number, line in enumerate(filter(None, part.read_bytes().splitlines()), 1):
            try:
                row = json.loads(line)
                request = canonical(row["request"])
                yield Stored(key_of(request), request, canonical(row["reply"]), row["failure"])
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"{part} line {number} is no recorded reply ({error!r:.200}): restore or re-record it"
                ) from error


def _parts(path: Path) -> list[Path]:
    """Return the files of a recording, in order."""
    more = path.parent.glob(f"{glob.escape(path.stem)}.*.jsonl")
    numbered = {int(p.suffixes[-2][1:]): p for p in more if p.suffixes[-2][1:].isdigit()}
    return [*([path] if path.is_file() else []), *(numbered[n] for n in sorted(numbered))]
