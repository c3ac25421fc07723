"""The endpoint's key: from the environment, or from a .env file in the current folder or the project's.

It is read where a call is made and kept nowhere else; `hide` takes it out of what an endpoint says of it. Used by
`connection`, `kernels` and `checks`.
"""

import os
import re
from pathlib import Path

from . import UserError, store

NAME = "OPENAI_API_KEY"
SHORTEST = 8  # of a real key; what is shorter ("none", "x") would be found in words

_LINE = re.compile(rf"""\s*(?:export\s+)?{NAME}\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s#]*))""")


def api_key() -> str | None:
    """The key, or None where there is none; the environment wins over .env, the current folder over the project's.

    Raises:
        UserError: it holds what no key does, such as the curly quotes it was pasted with.
    """
    files = (_from_file(folder / ".env") for folder in (Path.cwd(), store.ROOT))
    key = os.environ.get(NAME) or next(filter(None, files), None)
    if key and not key.isascii():
        raise UserError(f"{NAME} holds a letter or quote that is in no key: copy it anew, without curly quotes")
    return key


def hide(text: str) -> str:
    """A text without the key, which some endpoints repeat in their errors."""
    key = api_key()
    return text.replace(key, "[key]") if key and len(key) >= SHORTEST else text


def _from_file(path: Path) -> str | None:
    """The key in a .env file: NAME=value lines, the last one wins."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    values = [next(filter(None, match.groups()), None) for match in map(_LINE.match, lines) if match]
    return values[-1] if values else None
