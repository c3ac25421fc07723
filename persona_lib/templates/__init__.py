"""Load and fill the wording of every prompt: one text file each, in this folder or in one of the user's own.

A file begins with its settings in YAML (`reply:` lists the fields of the structured reply, in order). Its chat
messages follow, each under [system] or [user], with $variables. A passage in double square brackets is optional: it is
left out if one of its variables is None. Every wing that asks a model loads its wording here; notebooks pass a folder
of the user's own as the parameter `templates`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from string import Template as Text
from typing import Annotated, NamedTuple, cast

from .. import UserError, files, seeds, yaml12

FOLDER = Path(__file__).parent

_ROLE = re.compile(r"^\[(system|user)\]\n", re.MULTILINE)
_LIKE_ROLE = re.compile(r"^[ \t]*\[[ \t]*\w+[ \t]*\][ \t]*$", re.MULTILINE)  # [usr], [assistant], [User]
_OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
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

    @cached_property
    def variables(self) -> set[str]:
        """Return the names that are marked with $ in the text."""
        return {v for _, part in self.parts for v in part.get_identifiers()}

    def messages(self, values: Mapping[str, object]) -> list[dict[str, str]]:
        """Return the chat messages with `values` filled in, after `neutralize`; unused values are ignored.

        Raises:
            UserError: variables of the template have no value, or one that no optional passage has is None; the message
                names all of them.
        """
        wanted = self.variables
        if missing := sorted(wanted - values.keys()):
            raise UserError(f"template '{self.name}' needs {', '.join(missing)}; given are {', '.join(sorted(values))}")
        parts = _without(self.parts, frozenset(v for v in wanted if values[v] is None))
        filled = {v: neutralize(str(values[v])) for v in wanted if values[v] is not None}
        try:
            return [{"role": role, "content": part.substitute(filled).strip()} for role, part in parts]
        except KeyError as error:
            raise UserError(
                f"template '{self.name}' needs a value for {error.args[0]}: give one, or put the passage that needs it "
                "in [[ ]], so that it can be left out"
            ) from None


@cache
def _without(parts: tuple[tuple[str, Text], ...], absent: frozenset[str]) -> tuple[tuple[str, Text], ...]:
    """Return the parts of a template without the optional passages that need an absent variable."""

    def chosen(passage: re.Match[str]) -> str:
        named = Text(passage[1]).get_identifiers()
        if not named:
            return passage[0]  # double brackets of the text itself
        return "" if absent & set(named) else passage[1]

    return tuple((role, Text(_OPTIONAL.sub(chosen, part.template))) for role, part in parts)


def _is_field(name: object) -> bool:
    """Return whether a reply may have a field of this name: pydantic keeps some for itself."""
    return isinstance(name, str) and name.isidentifier() and not name.startswith(("_", "model_"))


@dataclass(frozen=True)
class Words:
    """How many words were asked for in a text field of a reply; a longer text is valid."""

    n: int


def text(words: int | None) -> type[str]:
    """Return the type of a text field of a reply in which at most `words` words are asked for; None: any length.

    It is a plain string: the length is a wish. It carries `Words`, which the model layer reads.

    Raises:
        UserError: `words` is below 1.
    """
    if words is not None and words < 1:
        raise UserError(f"a text of {words} words can't be asked for: take 1 or more, or None for any length")
    return str if words is None else cast("type[str]", Annotated[str, Words(words)])


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
    raw = files.read_text(path).replace("\r\n", "\n")
    head, *rest = _ROLE.split(raw)
    try:
        settings = yaml12.load(head) or {}
        parts = tuple((role, Text(part)) for role, part in zip(rest[::2], rest[1::2], strict=True))
        if not parts or not all(part.is_valid() for _, part in parts):
            raise ValueError("it needs [system] or [user] lines, and $$ for a dollar sign")
        for _, part in parts:
            _check_brackets(part.template)
        if not isinstance(settings, dict) or "reply" not in settings:
            raise ValueError("it lacks the line `reply: [answer]` above the first [system] or [user]")
        reply = settings["reply"]
        if not isinstance(reply, list) or len(set(map(str, reply))) < len(reply) or not all(map(_is_field, reply)):
            raise ValueError("`reply:` lists the fields of the reply, different names such as [reasoning, answer]")
        return Template(name, tuple(reply), seeds.digest(raw, 12), parts)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{files.unreadable(path, 'a template', error)}: see {FOLDER / 'direct.txt'} for the form"
        ) from error


def _check_brackets(part: str) -> None:
    """Raise ValueError for a line that looks like a role and is none, or an optional passage that does not end."""
    if strange := _LIKE_ROLE.search(part):
        raise ValueError(f"the line {strange[0].strip()} begins no message: write [system] or [user]")
    nested = any("[[" in passage and Text(passage).get_identifiers() for passage in _OPTIONAL.findall(part))
    if nested or "[[" in _OPTIONAL.sub("", part):
        raise ValueError("a passage in [[ has no end: close it with ]] before the next")


class Step(NamedTuple):
    """A use of a template: its name, the `variables` that are filled in, and the fields that its reply has.

    `fields` may be in the reply, and `needed` must be. None: any, of which the last is the answer.
    """

    template: str
    variables: frozenset[str]
    fields: frozenset[str] | None = frozenset()
    needed: frozenset[str] = frozenset()


def check(step: Step, folder: str | Path | None = None) -> Template:
    """Return the template of a step, after a look whether it can be filled in and its reply has the fields it needs.

    Raises:
        UserError: as `load`, or the template asks for what there is not; the message says what there is.
    """
    template = load(step.template, folder)
    if unknown := sorted(template.variables - step.variables):
        marked = ", ".join(f"${name}" for name in unknown)
        known = ", ".join(f"${name}" for name in sorted(step.variables))
        raise UserError(f"template '{step.template}': nothing fills {marked}; it may use {known}")
    fields = set(template.reply)
    if step.fields is None and not fields:
        raise UserError(f"template '{step.template}' asks for no answer: name its fields in `reply:`")
    if step.fields is not None and not step.needed <= fields <= step.fields:
        allowed = ", ".join(sorted(step.fields)) or "no fields"
        needs = f", and needs {', '.join(sorted(step.needed))}" if step.needed else ""
        raise UserError(
            f"template '{step.template}' has `reply: [{', '.join(template.reply)}]`: it may have {allowed}{needs}"
        )
    return template
