"""The endpoint's key: from the environment, or from a .env file in the current folder or the project's.

It is read where a call is made and kept nowhere else; `hide` takes it out of what an endpoint says of it. Used by
`connection`, `kernels` and `checks`.
"""

import os
from pathlib import Path

from dotenv import dotenv_values

from .. import UserError, files

NAME = "OPENAI_API_KEY"
SHORTEST = 8  # of a real key; what is shorter ("none", "x") would be found in words


def api_key() -> str | None:
    """The key, or None where there is none; the environment wins over .env, the current folder over the project's.

    Raises:
        UserError: it holds what no key does, such as the curly quotes it was pasted with.
    """
    kept = (_from_file(folder / ".env") for folder in (Path.cwd(), files.ROOT))
    key = os.environ.get(NAME) or next(filter(None, kept), None)
    if key and not key.isascii():
        raise UserError(f"{NAME} holds a letter or quote that is in no key: copy it anew, without curly quotes")
    return key


def hide(text: str) -> str:
    """A text without the key, which some endpoints repeat in their errors."""
    key = api_key()
    return text.replace(key, "[key]") if key and len(key) >= SHORTEST else text


def _from_file(path: Path) -> str | None:
    """Return the key in a .env file, or None where there is no such file or no key in it."""
    try:
        return dotenv_values(path, interpolate=False).get(NAME)
    except (OSError, UnicodeDecodeError):
        return None
