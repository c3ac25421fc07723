"""Load and fill the wording of every prompt: one text file each, in this folder or in one of the user's own.

A file begins with its settings in YAML (`reply:` lists the fields of the structured reply, in order). Its chat
messages follow, each under [system] or [user], with $variables. Every wing that asks a model loads its wording here;
notebooks pass a folder of the user's own as the parameter `templates`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template as Text
from typing import Annotated, cast

import yaml
from pydantic import Field

from .. import UserError, files, seeds

FOLDER = Path(__file__).parent

_ROLE = re.compile(r"^\[(system|user)\]\n", re.MULTILINE)
# The '<' of what looks like a delimiter: one of ours (<persona> ... </persona>) or of a chat format (<|im_end|>). Data
# with such a text could otherwise close a delimiter.
_DELIMITER = re.compile(r"<(?=\s*/?\s*(?:persona|question|answer|critique|summary)\b|\|)", re.IGNORECASE)


@dataclass(frozen=True)
class Template:
    """One wording: `name`, `reply` (fields of the structured reply, in order), `sha256` of the file (12 hex digits)."""

    name: str
    reply: tuple[str, ...]
    sha256: str
    parts: tuple[tuple[str, Text], ...]

    @property
    def variables(self) -> set[str]:
        """Return the names that are marked with $ in the text."""
        return {v for _, text in self.parts for v in text.get_identifiers()}

    def messages(self, values: Mapping[str, object]) -> list[dict[str, str]]:
        """Return the chat messages with `values` filled in, after `neutralize`; unused values are ignored.

        Raises:
            UserError: variables of the template have no value; the message names all of them.
        """
        wanted = self.variables
        if missing := sorted(wanted - values.keys()):
            raise UserError(f"template '{self.name}' needs {', '.join(missing)}; given are {', '.join(sorted(values))}")
        filled = {v: neutralize(str(values[v])) for v in wanted}
        return [{"role": role, "content": text.substitute(filled).strip()} for role, text in self.parts]


def bounded(words: int) -> type[str]:
    """Return the type of a text field of a reply, at most 8 x `words` characters long, so that replies end."""
    return cast("type[str]", Annotated[str, Field(max_length=8 * words)])


def neutralize(data: str) -> str:
    """Replace the opening '<' of everything in data that looks like a delimiter by '‹'."""
    return _DELIMITER.sub("‹", data)


def load(name: str, folder: str | Path | None = None) -> Template:
    """Read a template by name from the user's `folder` if it has it, else from the built-in ones.

    Raises:
        UserError: there is no such folder or template (the known ones are listed), or the file is malformed.
    """
    if folder and not Path(folder).is_dir():
        raise UserError(f"no folder '{folder}': name one with templates of your own, or leave `templates` out")
    folders = [Path(folder), FOLDER] if folder else [FOLDER]
    path = next((p for f in folders if (p := f / f"{name}.txt").is_file()), None)
    if path is None:
        known = sorted({p.stem for f in folders for p in f.glob("*.txt")})
        raise UserError(f"no template '{name}' in {', '.join(map(str, folders))}: known are {', '.join(known)}")
    raw = path.read_text(encoding="utf-8")
    head, *rest = _ROLE.split(raw)
    try:
        settings = yaml.safe_load(head) or {}
        parts = tuple((role, Text(text)) for role, text in zip(rest[::2], rest[1::2], strict=True))
        if not parts or not all(text.is_valid() for _, text in parts):
            raise ValueError("it needs [system] or [user] lines, and $$ for a dollar sign")
        return Template(name, tuple(settings["reply"]), seeds.digest(raw, 12), parts)
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{files.unreadable(path, 'a template', error)}: see {FOLDER / 'direct.txt'} for the form"
        ) from error
