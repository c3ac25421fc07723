"""Read the endpoint's key: from the environment, or from a .env file in the current folder or the project's.

The key is read when a call is made and kept nowhere. `hide` removes it from what an endpoint says.
"""

import os
from pathlib import Path

from dotenv import dotenv_values

from .. import UserError, files

NAME = "OPENAI_API_KEY"
SHORTEST = 8  # of a real key; a shorter one ("none", "x") would be found within words


def api_key() -> str | None:
    """Return the key, or None; the environment wins over .env, the current folder over the project's.

    Raises:
        UserError: the key has a character that no key has, such as a curly quote that it was pasted with.
    """
    kept = (_from_file(folder / ".env") for folder in (Path.cwd(), files.ROOT))
    key = os.environ.get(NAME) or next(filter(None, kept), None)
    if key and not key.isascii():
        raise UserError(f"{NAME} has a character that no key has: copy it again, without curly quotes")
    return key


def hide(text: str) -> str:
    """Return a text without the key, which some endpoints repeat in their errors."""
    key = api_key()
    return text.replace(key, "[key]") if key and len(key) >= SHORTEST else text


def _from_file(path: Path) -> str | None:
    """Return the key in a .env file, or None if there is no file or no key in it."""
    try:
        return dotenv_values(path, interpolate=False).get(NAME)
    except (OSError, UnicodeDecodeError):
        return None
