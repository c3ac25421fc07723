"""Waves: write what a preset lacks into files that an engine answers, as far as it is known without the replies.

Notebooks run as for an estimate, each twice if replies are missing, with made-up replies that differ in all they say.
What both drafts ask does not depend on a missing reply: it is written now. The rest comes in later waves, once the
replies to this one are in the store. A draft that fails at its made-up replies only leaves more to the next wave.
"""

import re
import shutil
import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from ...model.exchange import Engine, engine_of, line
from ...model.replies import dry
from ...store import Exported, Journal, Store, canonical, made_up
from ...texts import counted
from .estimate import Work

NOTED = 1000  # requests that are noted at once


class File(NamedTuple):
    """A file of requests for one model, and about how many tokens they send."""

    engine: Engine
    path: Path
    requests: int
    tokens_in: int


class Wave(NamedTuple):
    """What is written: `number` from 1 (0: nothing), `over` waves if nothing is lacking any more, `files`, requests.

    `again` requests were written before and have no reply yet, `here` are those of a model that runs here, `away` those
    that wait in a batch at their endpoint; neither is written. `failed` are the errors of notebooks that lack nothing
    and fail all the same.
    """

    number: int
    over: int
    files: list[File]
    by_notebook: dict[str, int]
    again: int
    here: int
    away: int
    failed: dict[str, str]

    @property
    def requests(self) -> int:
        """Return the number of requests in all files."""
        return sum(self.by_notebook.values())


def write(works: Mapping[str, Work], out: Path, plan: str) -> Wave:
    """Write what the store lacks for some works, the requests of each model into a file of their own.

    Args:
        works: from `estimate.works` or `estimate.works_of_pairs`.
        out: the file; of several models each has one, with its name before the suffix.
        plan: what is asked for, the same from wave to wave.
    """
    with tempfile.TemporaryDirectory() as temporary, _Files(out) as files:
        drafts = [Path(temporary) / f"draft-{n}.sqlite" for n in (1, 2)]
        ends, failed = _drafted(works, drafts)
        store = Store()  # while notebooks ran, no connection to it stood open
        exported, journal = Exported(store), Journal(store)
        by_notebook: Counter[str] = Counter()
        new = here = away = 0
        found = made_up.of_both(*drafts)
        while part := list(islice(found, NOTED)):
            mine = []
            for number, key, request in part:
                engine = engine_of(request)
                if engine is None:
                    here += 1
                elif journal.batch_of(key):
                    away += 1
                else:
                    files.add(engine, key, request)
                    mine.append((key, canonical(request)))
                    by_notebook[list(works)[bisect_left(ends, number)]] += 1
            new += exported.note(mine)
        written = files.done(store)
    n = by_notebook.total()
    number = exported.wave(plan, bool(new)) if n else 0
    over = exported.over(plan) if not n + here + away + len(failed) else 0
    return Wave(number, over, written, dict(by_notebook), n - new, here, away, failed)


def plan(preset: str, pairs: bool, works: Mapping[str, Work]) -> str:
    """Return what tells the waves of one plan from those of others: its preset and notebooks."""
    return canonical({"preset": preset, "pairs": pairs, "notebooks": list(works)})


def _drafted(works: Mapping[str, Work], drafts: list[Path]) -> tuple[list[int], dict[str, str]]:
    """Draft all works; return the last number of each in the first draft, and the errors of those that lack nothing."""
    for path in drafts:
        Store(scratch=path)
    ends = [0]
    failed = {}
    for name, work in works.items():
        error = _once(work, drafts[0], 1, name)
        ends.append(made_up.last(drafts[0]))
        if ends[-1] > ends[-2]:
            _once(work, drafts[1], 2, name)
        elif error:
            failed[name] = f"{error['name']}: {error['message']}"
    return ends[1:], failed


def _once(work: Work, scratch: Path, draft: int, name: str) -> dict[str, str] | None:
    """Draft a work once."""
    environment = {"PERSONA_SCRATCH": str(scratch), "PERSONA_DRAFT": str(draft), "MPLBACKEND": "agg"}
    steps = scratch.with_name(f"{name}.{draft}.jsonl")
    steps.touch()
    return work(steps, environment)


class _Files:
    """The files of a wave: each is filled beside its place, and takes it when all are whole."""

    def __init__(self, out: Path):
        self._out = out
        self._open: dict[Engine, IO[bytes]] = {}
        self._n: Counter[Engine] = Counter()
        self._chars: Counter[Engine] = Counter()

    def __enter__(self) -> "_Files":
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f".{self._out.stem}.", dir=self._out.parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._open.values():
            file.close()
        shutil.rmtree(self._folder)

    def add(self, engine: Engine, key: str, request: dict[str, Any]) -> None:
        """Write a request."""
        if engine not in self._open:
            self._open[engine] = (self._folder / str(len(self._open))).open("wb")
        self._open[engine].write(line(key, request, engine))
        self._n[engine] += 1
        self._chars[engine] += len(request["input"]) if engine.embeds else dry.sent(request)

    def done(self, store: Store) -> list[File]:
        """Put all files at their places."""
        written = []
        taken: set[str] = set()
        for place, (engine, file) in enumerate(self._open.items(), 1):
            file.close()
            own = "." + re.sub(r"[^\w.-]+", "-", engine.name) if len(self._open) > 1 else ""
            if own.casefold() in taken:  # some file systems do not tell a from A
                own += f".{place}"
            taken.add(own.casefold())
            path = self._out.with_name(f"{self._out.stem}{own}{self._out.suffix}")
            Path(file.name).replace(path)
            who = {"name": engine.name, "base_url": engine.base_url}
            tokens = round(self._chars[engine] / dry.scale(store, who).chars_in)
            written.append(File(engine, path, self._n[engine], tokens))
        return written


def text(wave: Wave) -> str:
    """Return what is written, in lines: the wave, its notebooks, its files, and what to do with them."""
    lines = [f"{name} fails and lacks nothing: {error}" for name, error in wave.failed.items()]
    if wave.here:
        lines.append(
            f"{counted(wave.here, 'request')} of a model that runs here: no file has them, `persona run` makes them"
        )
    if wave.away:
        lines.append(f"{counted(wave.away, 'request')} waiting in a batch at the endpoint: no file has them")
    if not wave.requests:
        after = f" after {counted(wave.over, 'wave')}" if wave.over else ""
        told = [] if lines else [f"nothing is lacking{after}: `persona run` with the same options makes no call"]
        return "\n".join([*lines, *told])
    more = "more " if wave.number > 1 else ""
    again = f" ({wave.again:,} of them written before, and without a reply)" if wave.again else ""
    lines.append(f"wave {wave.number}: {counted(wave.requests, f'{more}request')}{again}")
    lines += [f"  {name}: {n:,}" for name, n in wave.by_notebook.items()]
    for file in wave.files:
        what = "texts to embed" if file.engine.embeds else "requests"
        lines.append(
            f"{file.path}: {file.requests:,} {what}, about {file.tokens_in:,} tokens, for {file.engine.name} at "
            f"{file.engine.base_url}"
        )
    replies = [file.path.with_name(f"{file.path.stem}.replies.jsonl") for file in wave.files]
    lines.append("to answer them with vLLM, for one:")
    for file, path in zip(wave.files, replies, strict=True):
        lines.append(f"  vllm run-batch -i {file.path} -o {path} --model {file.engine.name}")
    lines.append(f"then: persona replies {' '.join(map(str, replies))}, and `persona requests` again for the next wave")
    return "\n".join(lines)
