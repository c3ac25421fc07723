"""The Census Bureau's microdata files from its public address, kept in the user's cache folder.

A download that was cut off goes on where it was; a file gets its name only when it has been checked. Used by `census`;
to try it: `python -c "from persona_lib import census; census.download_pums(2024, ['WY'])"`.
"""

import http.client
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pandas as pd
from platformdirs import user_cache_path
from tqdm import tqdm

from .. import UserError
from . import pums

BUREAU = "https://www2.census.gov/programs-surveys/acs/data/pums"
KINDS = ("1-Year", "5-Year")
FIRST_YEAR = 2018
TRIES = 5
PAUSE_S = 2.0
TIMEOUT_S = 60.0


def download_pums(
    year: int,
    states: str | Sequence[str],
    kind: str = "1-Year",
    folder: str | Path | None = None,
    base_url: str = BUREAU,
) -> list[Path]:
    """Fetch the person and the housing file of each state; what has been fetched before is not fetched again.

    Args:
        year: of the release, from 2018 on; of a 5-year file the last.
        states: postal codes or names ("WY", "Vermont"), or "us" for the national files (about 1 GB).
        kind: "1-Year" or "5-Year".
        folder: where they go, under YEAR/KIND; by default the user's cache folder.
        base_url: another address with the Bureau's folders.

    Returns the files, as `census.read_pums` takes them. Raises UserError when a file can't be had or is not whole.
    """
    if kind not in KINDS:
        raise UserError(f"kind must be one of {', '.join(KINDS)}; it is {kind!r}.")
    if not isinstance(year, int) or year < FIRST_YEAR:
        raise UserError(f"year must be {FIRST_YEAR} or later: older files have other columns; it is {year!r}.")
    postal = [_postal(state) for state in ([states] if isinstance(states, str) else states)]
    if not postal:
        raise UserError("no state is named: name postal codes such as WY, or us for all.")
    folder = (Path(folder) if folder else user_cache_path("persona-workbench") / "pums") / str(year) / kind
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"csv_{record}{code}.zip" for code in dict.fromkeys(postal) for record in "ph"]
    return [_fetched(f"{base_url}/{year}/{kind}/{name}", folder / name) for name in names]


def _postal(state: str) -> str:
    """The two letters in the Bureau's file names."""
    table = pd.read_csv(pums.STATES)
    known = {"us": "us", **dict(zip(table["name"].str.lower(), table["postal"].str.lower(), strict=True))}
    code = known.get(str(state).strip().lower(), str(state).strip().lower())
    if code not in known.values():
        raise UserError(f"unknown state {state!r}: name its postal code such as WY, its name, or us for all.")
    return code


def _fetched(url: str, path: Path) -> Path:
    """The file, fetched in as many tries as it takes and checked."""
    if path.is_file():
        return path
    part = path.with_suffix(".part.zip")
    by_hand = f"fetch {url} by hand and name the file (persona sample N --pums FILE ...)"
    for tried in range(1, TRIES + 1):
        resumed = part.is_file()
        try:
            _fetch(url, part)
            pums.check(part)
            return part.replace(path)
        except UserError as error:  # it has arrived, and is not what it should be
            part.unlink()
            if not resumed:
                raise UserError(f"{url} is not usable ({str(error).rstrip('.')}): {by_hand}.") from error
            reason = str(error)
        except HTTPError as error:
            error.close()
            reason = f"{error.code} {error.reason}"
            if error.code == 416:  # the part is longer than the file
                part.unlink(missing_ok=True)
            elif error.code < 500 and error.code not in (408, 429):
                raise UserError(f"{url} can't be had ({reason}): check year, state and kind, or {by_hand}.") from error
        except (URLError, OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        time.sleep(PAUSE_S * tried if tried < TRIES else 0)
    raise UserError(f"{url} can't be had ({reason}): try again, it goes on where it was; or {by_hand}.")


def _fetch(url: str, part: Path) -> None:
    """Write the rest of a file to what is there of it, with a bar. Raises an OSError when the connection ends early."""
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "persona-workbench"} | ({"Range": f"bytes={have}-"} if have else {})
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT_S) as response:
        have = have if response.status == 206 else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        bar = {
            "total": total,
            "initial": have,
            "desc": url.rsplit("/", 1)[-1],
            "unit": "B",
            "unit_scale": True,
            "leave": False,
        }
        with part.open("ab" if have else "wb") as file, tqdm.wrapattr(response, "read", **bar) as body:
            shutil.copyfileobj(body, file)
    if total and part.stat().st_size < total:
        raise OSError(f"the connection ended after {part.stat().st_size:,} of {total:,} bytes")
