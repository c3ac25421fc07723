"""A table in a file of the user's own, its texts as they are written: an id 007, an answer None.

Used by `items`, `ingredients` and `original`.
"""

from pathlib import Path

import pandas as pd

from . import UserError

READERS = {
    ".parquet": pd.read_parquet,
    ".csv": lambda path: pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig"),
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype=False),
}


def read(path: Path) -> pd.DataFrame:
    """The table; in CSV all columns are text and an empty cell is an empty text.

    Raises:
        UserError: the file's name ends otherwise, or it is not there or no such table.
    """
    if path.suffix not in READERS:
        raise UserError(f"{path} must end in one of {', '.join(READERS)}")
    try:
        return READERS[path.suffix](path)
    except (OSError, ValueError) as error:  # pandas' and pyarrow's errors are such
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} can't be read as {path.suffix[1:]}: {reason}") from error
