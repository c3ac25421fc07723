"""Write requests as lines of a file that an engine answers, and bring its lines of replies into the store.

The lines are those of the Batch API: `custom_id` is the request's key in the store, `body` what a call would send. A
reply that is brought in is kept as that of a call is: read by the same code, refusals among them, so that they teach
how the engine is to be asked (`lessons`). A line without a reply is counted with its reason.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from .. import UserError
from ..store import Exported, Store, Stored, canonical
from ..texts import counted
from . import embeddings
from .asking.calling import failure_of
from .asking.speaking import IN_WORDS
from .dialects.dialect import is_choice
from .dialects.found import Found
from .dialects.lessons import has_fields, ignores_schema
from .replies import repair
from .replies.reply import read, refuses, tokens
from .transport.batch_results import outcome
from .transport.endpoint import Endpoint, loaded, one_line

LINES = 500  # brought in at once
IGNORED = 10  # structured replies without any field of their schema, after which the engine ignores schemas
SHOWN = 5  # reasons
REASONS = 1000  # different ones that are counted apart


class Engine(NamedTuple):
    """Who is to answer a request: the model's name and address; `embeds`: with vectors."""

    name: str
    base_url: str
    embeds: bool


class Brought(NamedTuple):
    """What replies were brought in.

    `counts` of lines: `answers`, `refused` (kept as refusals), `known` (a reply is there already), `doubled` (the same
    call brought one in), `failed`, `unknown` (no request waits under this key), `cut off` (no whole line at the end of
    a file) and `damaged`. `reasons` are those of failed and refused ones, `examples` the first place of each kind of
    line that brought nothing. `taught` says what the replies taught of a model.
    """

    counts: Counter[str]
    reasons: Counter[str]
    examples: dict[str, str]
    taught: list[str]

    @property
    def useless(self) -> int:
        """Return the number of lines that brought nothing and should have."""
        return sum(self.counts[kind] for kind in ("failed", "unknown", "cut off", "damaged"))


def engine_of(request: Mapping[str, Any]) -> Engine | None:
    """Return who is to answer a request of the store, or None for a model that runs here."""
    who = request.get("embedder") or request["model"]
    return Engine(who["name"], who["base_url"], "embedder" in request) if "base_url" in who else None


def line(key: str, request: dict[str, Any], engine: Engine) -> bytes:
    """Return a request as a line of a file for its engine."""
    if engine.embeds:
        return embeddings.line(key, request, engine.name)
    return Endpoint(engine.name, engine.base_url).line(key, request)


def bring(paths: Sequence[Path], store: Store, by: str | None = None) -> Brought:
    """Bring the replies in files into the store; a file that was brought in before changes nothing.

    Args:
        paths: files of JSON lines, as engines write them.
        store: it has the requests that wait.
        by: the name that the engine gives the model in its replies, where it is another than in the requests.

    Raises:
        UserError: one is no file, and none is brought in; or one is empty or has no line with a reply or an error.
    """
    if missing := next((path for path in paths if not path.is_file()), None):
        raise UserError(f"{missing} is no file: give the files of replies that the engine wrote")
    brought = Brought(Counter(), Counter(), {}, [])
    into = _Into(store, brought, by)
    for path in paths:
        into.file(path)
    return brought


def text(brought: Brought) -> str:
    """Return in lines what was brought in, what was not, and why."""
    counts = brought.counts
    lines = [f"{counted(counts['answers'], 'reply', 'replies')} brought in"]
    told = {
        "refused": "refusals brought in, which teach how the engine is to be asked",
        "known": "lines whose request had a reply already",
        "doubled": "lines more for a request of these files that has its reply",
        "failed": "lines without a reply that can be kept",
        "unknown": "lines under keys that no request of this store has",
        "cut off": "lines cut off at the end of a file",
        "damaged": "lines that are no JSON with a custom_id",
    }
    lines += [
        f"{counts[kind]:,} {said} (first: {brought.examples[kind]})" for kind, said in told.items() if counts[kind]
    ]
    lines += [f"  {counted(n, 'time')}: {reason}" for reason, n in brought.reasons.most_common(SHOWN)]
    if (others := len(brought.reasons) - SHOWN) > 0:
        lines.append(f"  and {others:,} other reasons")
    return "\n".join([*lines, *brought.taught])


class _Into:
    """The replies of some files on their way into the store."""

    def __init__(self, store: Store, brought: Brought, by: str | None):
        self._store = store
        self._exported = Exported(store)
        self._brought = brought
        self._by = by
        self._last = self._exported.last()  # of the replies that were there before
        self._keeps: set[str] = set()  # the models of which a reply keeps to its schema
        self._said: set[str] = set()

    def file(self, path: Path) -> None:
        """Bring in a file."""
        lines = items = 0
        with path.open("rb") as file:
            numbered = enumerate(file, 1)
            while part := list(islice(numbered, LINES)):
                rows = list(self._rows(path, part))
                lines += sum(bool(text.strip()) for _, text in part)
                items += len(rows)
                self._keep(rows)
                if lines >= LINES and not items:
                    break  # it is something else
        if not lines:
            raise UserError(f"{path} is empty: look into the engine's own messages")
        if not items:
            raise UserError(f"{path} has no replies ({self._brought.examples['damaged']}): give the engine's output")

    def _rows(self, path: Path, part: Iterable[tuple[int, bytes]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield the lines that have a key: where each stands, the key, and the whole line."""
        for number, text in part:
            if not text.strip():
                continue
            where = f"{path.name} line {number}"
            try:
                item = loaded(text.decode())
                key = item["custom_id"]
            except (ValueError, KeyError, TypeError):
                kind = "damaged" if text.endswith(b"\n") else "cut off"
                self._count(kind, where, one_line(text[:80].decode(errors="replace")))
                continue
            if "method" in item and "body" in item and "response" not in item:
                raise UserError(f"{path} has requests, not replies: give the file that the engine wrote")
            yield where, str(key), item

    def _keep(self, rows: list[tuple[str, str, dict[str, Any]]]) -> None:
        """Keep the replies in some lines."""
        kept: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {}  # by key: place, request, reply
        for where, key, item in rows:
            place = self._exported.place(key)
            text = None if key in kept or place else self._exported.request(key)
            if text is None:
                told = "doubled" if key in kept or place > self._last else "known" if place else "unknown"
                self._count(told, where, key[:16])
                continue
            request = json.loads(text)
            reply, final = self._reply(request, item)
            if final:
                kept[key] = where, request, reply
            else:
                self._count("failed", where, reply["error"])
                self._reason(reply["error"])
        for key in self._ignored(kept):
            where, request, reply = kept.pop(key)
            self._count("failed", where, "it ignores the JSON schema")
            self._reason("the reply has no field of its JSON schema")
        self._exported.answer(Stored(key, "", *_stored(request, reply)) for key, (_, request, reply) in kept.items())
        for where, _, reply in kept.values():
            self._count("refused" if refuses(reply) else "answers", where, str(reply.get("error")))
            if refuses(reply):
                self._reason(reply["error"])

    def _reply(self, request: dict[str, Any], item: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Return the reply to a request, and whether it is to be kept."""
        if "embedder" in request:
            return embeddings.of_line(item)
        reply, final = outcome(item)
        said = reply.get("model")
        if final and isinstance(said, str) and not self._is_by(said, request["model"]["name"]):
            asked = request["model"]["name"]
            return {"error": f"the reply is by {said}, not by {asked}; if that is its name there: --by '{said}'"}, False
        if final and is_choice(request) and tokens(reply) is None and read(reply)[0]:
            return {"error": "the choice has no log-probabilities: have the engine send them, or set `samples`"}, False
        return reply, final

    def _is_by(self, said: str, asked: str) -> bool:
        """Return whether a reply's model is the one that was asked: by its name, its folder's, or that of a version."""
        name, wanted = said.rstrip("/").rpartition("/")[2].lower(), asked.rpartition("/")[2].lower()
        return said in ("", self._by) or name == wanted or name.startswith(f"{wanted}-20")

    def _ignored(self, kept: Mapping[str, tuple[str, dict[str, Any], dict[str, Any]]]) -> list[str]:
        """Return the keys of replies of models that turn out to ignore JSON schemas; from now on messages say these."""
        ignored: dict[str, list[str]] = {}
        for key, (_, request, reply) in kept.items():
            if "schema" in request and request.get("format") != "none" and not repair.times(request["messages"]):
                who = canonical(request["model"])
                if has_fields(request, reply):
                    self._keeps.add(who)
                elif ignores_schema(request, reply):
                    ignored.setdefault(who, []).append(key)
        gone = {who: keys for who, keys in ignored.items() if who not in self._keeps and len(keys) >= IGNORED}
        for who in gone.keys() - self._said:
            self._said.add(who)
            found = Found(self._store, json.loads(who), json.loads(who)["name"])
            found.recall()
            found.learn(found.present, IN_WORDS)
            self._brought.taught.append(f"{json.loads(who)['name']}: {'; '.join(found.present.said())}")
        return [key for keys in gone.values() for key in keys]

    def _count(self, kind: str, where: str, what: str) -> None:
        """Count a line, and remember the first of its kind."""
        self._brought.counts[kind] += 1
        self._brought.examples.setdefault(kind, f"{where}: {what}")

    def _reason(self, reason: str) -> None:
        """Count why a line has no answer."""
        reasons = self._brought.reasons
        reasons[reason if reason in reasons or len(reasons) < REASONS else "other reasons"] += 1


def _stored(request: Mapping[str, Any], reply: dict[str, Any]) -> tuple[str, str | None]:
    """Return a reply as the store keeps it, and why it is no answer (or None)."""
    return canonical(reply), None if "embedder" in request else failure_of(request, reply)
