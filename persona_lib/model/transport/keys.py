"""Read the endpoint's key: from the environment, or from a .env file in the current folder or the project's.

The key is read when a call is made and kept nowhere. `hide` removes it from what an endpoint says.
"""

import os
from pathlib import Path

from dotenv import dotenv_values

from ... import UserError, files

NAME = "OPENAI_API_KEY"
AZURE = "AZURE_OPENAI_API_KEY"  # of an endpoint at Azure; without it, the other one
SHORTEST = 8  # of a real key; a shorter one ("none", "x") would be found within words


def api_key(name: str = NAME) -> str | None:
    """Return the key, or None; the environment wins over .env, the current folder over the project's.

    Args:
        name: of the variable that has it; OPENAI_API_KEY is read where that one is not set.

    Raises:
        UserError: the key has a character that no key has, such as a curly quote that it was pasted with.
    """
    for variable in dict.fromkeys((name, NAME)):
        kept = (_from_file(folder / ".env", variable) for folder in (Path.cwd(), files.ROOT))
        if key := os.environ.get(variable) or next(filter(None, kept), None):
            if not key.isascii():
                raise UserError(f"{variable} has a character that no key has: copy it again, without curly quotes")
            return key
    return None


def hide(text: str) -> str:
    """Return a text without the keys, which some endpoints repeat in their errors."""
    for key in {api_key(), api_key(AZURE)}:
        text = text.replace(key, "[key]") if key and len(key) >= SHORTEST else text
    return text


def _from_file(path: Path, name: str) -> str | None:
    """Return the key in a .env file, or None if there is no file or no key in it."""
    try:
        return dotenv_values(path, interpolate=False).get(name)
    except (OSError, UnicodeDecodeError):
        return None
