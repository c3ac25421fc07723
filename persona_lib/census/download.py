"""Download the Census Bureau's microdata files into the user's cache folder.

An interrupted download resumes where it stopped. A file gets its final name only after it has been checked.
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
    """Download the person and the housing file of each state, unless they have been downloaded before.

    Args:
        year: of the release, from 2018 on; for a 5-year file the last of the five.
        states: postal codes or names ("WY", "Vermont"), or "us" for the national files (about 1 GB).
        kind: "1-Year" or "5-Year".
        folder: where the files go, under YEAR/KIND; by default the user's cache folder.
        base_url: another address with the Bureau's folders.

    Returns:
        The files, as `census.read_pums` takes them.

    Raises:
        UserError: an argument is invalid, or a file cannot be downloaded or is damaged.
    """
    if kind not in KINDS:
        raise UserError(f"kind must be one of {', '.join(KINDS)}; it is {kind!r}.")
    if not isinstance(year, int) or year < FIRST_YEAR:
        raise UserError(f"year must be {FIRST_YEAR} or later: older files have other columns; it is {year!r}.")
    postal = [_postal(state) for state in ([states] if isinstance(states, str) else states)]
    if not postal:
        raise UserError("no state given: name postal codes such as WY, or us for all.")
    folder = (Path(folder) if folder else user_cache_path("persona-workbench") / "pums") / str(year) / kind
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"csv_{record}{code}.zip" for code in dict.fromkeys(postal) for record in "ph"]
    return [_fetched(f"{base_url}/{year}/{kind}/{name}", folder / name) for name in names]


def _postal(state: str) -> str:
    """Return the two letters that name the state in the Bureau's file names."""
    table = pd.read_csv(pums.STATES)
    known = {"us": "us", **dict(zip(table["name"].str.lower(), table["postal"].str.lower(), strict=True))}
    wanted = str(state).strip().lower()
    code = known.get(wanted, wanted)
    if code not in known.values():
        raise UserError(f"unknown state {state!r}: name its postal code such as WY, its name, or us for all.")
    return code


def _fetched(url: str, path: Path) -> Path:
    """Return the file, after downloading it in up to `TRIES` attempts and checking it."""
    if path.is_file():
        return path
    part = path.with_suffix(".part.zip")
    by_hand = f"download {url} by hand and name the file (persona sample N --pums FILE ...)"
    for tried in range(1, TRIES + 1):
        resumed = part.is_file()
        try:
            _fetch(url, part)
            pums.check(part)
            return part.replace(path)
        except UserError as error:  # complete, but damaged or of another form
            part.unlink()
            if not resumed:  # a resumed part may be of an older edition: start again
                raise UserError(f"{url} is not usable ({str(error).rstrip('.')}): {by_hand}.") from error
            reason = str(error)
        except HTTPError as error:
            error.close()
            reason = f"{error.code} {error.reason}"
            if error.code == 416:  # the part is longer than the file
                part.unlink(missing_ok=True)
            elif error.code < 500 and error.code not in (408, 429):
                raise UserError(
                    f"{url} can't be downloaded ({reason}): check year, state and kind, or {by_hand}."
                ) from error
        except (URLError, OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        time.sleep(PAUSE_S * tried if tried < TRIES else 0)
    raise UserError(f"{url} can't be downloaded ({reason}): try again, the download resumes; or {by_hand}.")


def _fetch(url: str, part: Path) -> None:
    """Append the rest of a file to its part, with a progress bar. Raise OSError if the connection ends early."""
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "persona-workbench"} | ({"Range": f"bytes={have}-"} if have else {})
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT_S) as response:
        have = have if response.status == 206 else 0  # without "partial content" the file comes whole
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        name = url.rsplit("/", 1)[-1]
        bar = {"total": total, "initial": have, "desc": name, "unit": "B", "unit_scale": True, "leave": False}
        with part.open("ab" if have else "wb") as file, tqdm.wrapattr(response, "read", **bar) as body:
            shutil.copyfileobj(body, file)
    if total and part.stat().st_size < total:
        raise OSError(f"the connection ended after {part.stat().st_size:,} of {total:,} bytes")
