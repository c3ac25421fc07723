"""Take a chat request apart: whose profile is in it, what is asked, what is to be judged, and how long it may be."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from . import texts

_DATA = re.compile(r"<(persona|question|answer(?: [AB])?|critique|summary)>\n(.*?)\n</\1>", re.DOTALL)
_OPTION = re.compile(r"^([A-H])\. (.*)$", re.MULTILINE)
_CANDIDATE = re.compile(r"^\(([A-H])\)\n(.*?)\s*(?=^\([A-H]\)$|\Z)", re.MULTILINE | re.DOTALL)
_LENGTH = re.compile(r"(\d+) words")


class Request:
    """A chat request.

    `model` is asked about `question`, on behalf of or in the place of the person of `profile` (empty if there is
    none). `answers` are the ones to judge, `summary` is one to read, `instruction` is the text without all of these.
    `fields` are the properties of the reply's JSON schema, `options` and `candidates` what letters stand for.
    `sampled`: the temperature is above 0.
    """

    def __init__(self, body: Mapping[str, Any]):
        system, user = (
            "\n".join(m["content"] for m in body["messages"] if m["role"] == role) for role in ("system", "user")
        )
        both = f"{system}\n{user}"
        data = dict(_DATA.findall(both))
        self.model: str = body["model"]
        self.profile: str = data.get("persona", "")
        self.question: str = data.get("question", user)
        self.answers = [data[name] for name in ("answer", "answer A", "answer B") if name in data]
        self.summary: str = data.get("summary", "")
        # Without delimiters, the user's message is the question alone.
        self.instruction = _DATA.sub("", both if _DATA.search(user) else system)
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
        self.fields: dict[str, Any] = schema.get("properties", {})
        self.options = dict(_OPTION.findall(self.instruction))
        self.candidates = dict(_CANDIDATE.findall(system)) if "(A)\n" in system else {}
        self.sampled = (body.get("temperature") or 0) > 0

    @cached_property
    def person(self) -> texts.Person:
        """The person of the profile."""
        return texts.person(self.profile)

    def words(self, field: str) -> int | None:
        """Return how many words were asked for of a field's text, if a number was."""
        after = self.instruction.partition(f'"{field}"')[2]
        for other in self.fields:
            after = after.partition(f'"{other}"')[0]
        numbers = _LENGTH.findall(after)
        alike = {name.rstrip("_0123456789") for name in self.fields}  # answer_1, answer_2 are asked for at once
        if not numbers and len(alike) == 1:
            numbers = _LENGTH.findall(self.instruction)
        return int(numbers[0]) if numbers else None

    @property
    def refusable(self) -> bool:
        """Whether this asks for an answer to a person, which the planted model now and then refuses."""
        return "answer" in self.fields and bool(self.profile)

    @property
    def kind(self) -> str:
        """How the answer to this request is written, one of `texts.KINDS`."""
        if "revision" in self.fields:
            return "revision"
        if not self.profile:
            return "baseline"
        return "chain_of_thought" if "reasoning" in self.fields else "summary" if "summary" in self.fields else "direct"


def kind_for(answer: str, profile: str) -> str:
    """Return what an answer is to a person: its kind, `other_persona` or `other_revision` if written for another."""
    mark = texts.mark(answer)
    if mark is None or mark.kind == "baseline" or texts.is_for(mark, profile):
        return mark.kind if mark else "baseline"
    return "other_revision" if mark.kind == "revision" else "other_persona"
