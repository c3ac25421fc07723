"""Read what raters send back: one row per submission, verified, with everything that speaks against counting it.

A submission is the file that an assignment's page offers for download, or a line of a .jsonl file. Nothing in a file
raises an error here: a file that can't be read is a row, too.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .. import UserError, files, texts
from ..prompts import words
from .assignments import Assignment, Question, Study

MOST_BYTES = 5_000_000
LEAST_MS = 2000  # nobody reads two answers faster
LEAST_SAME = 6  # so many choices on one side happen by chance once in 2**5 = 32 times

_MARKUP = re.compile(r"<[/!?a-zA-Z]|&#?\w+;|javascript:", re.IGNORECASE)

Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Answer(_Strict):
    """One answer as the page writes it: `at` in milliseconds since 1970, `ms` the time that it was in sight."""

    at: Whole
    choice: Literal["", "A", "B"]
    ms: Whole
    reason: str


class Submission(_Strict):
    """A page's file; times in milliseconds since 1970, 0 for what has not happened."""

    agreed: Whole
    answers: list[Answer]
    assignment: str
    code: str | None
    finished: Whole
    format: Literal["persona-annotation 1"]
    participant: str | None
    session: str
    started: Whole


def code(key: str, content: dict[str, Any]) -> str:
    """Return the completion code of a submission: the first 12 hex digits of a SHA-256, as XXXX-XXXX-XXXX.

    Args:
        key: of the assignment.
        content: the submission without its code.
    """
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(f"{key}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:12].upper()
    return "-".join(re.findall("....", digest))


class Reader:
    """Reads the submissions to one study.

    Args:
        study: its items and assignments.
        words_per_minute: the speed above which nobody reads.
    """

    def __init__(self, study: Study, words_per_minute: float):
        self.assignments = {assignment.id: assignment for assignment in study.assignments}
        self.items = study.items
        self.least_ms = []  # of each item: the least time that it takes to read
        for item in study.items:
            n = words.count(f"{item['prompt']} {item['first']} {item['second']}")
            self.least_ms.append(max(LEAST_MS, n / words_per_minute * 60_000))

    def rows(self, path: Path, name: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a file that a page wrote, or of a .jsonl file with one submission per line.

        Args:
            path: of the file.
            name: of the file, as the rows have it.
        """
        raw, failure = content(path)
        if failure:
            yield outcome(name, [("unreadable", failure)])
        elif files.suffix(path) == ".jsonl":
            for number, line in enumerate(raw.splitlines(), 1):
                if line.strip():
                    yield self.row(f"{name}:{number}", line)
        else:
            yield self.row(name, raw)

    def row(self, name: str, text: bytes) -> dict[str, Any]:
        """Return one submission's row, judged."""
        try:
            content = json.loads(text.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            return outcome(name, [("unreadable", f"no whole JSON file ({error})")])
        try:
            # A file may hold half a surrogate pair, a table may not. The code below is checked on the file's own text.
            written = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
            given = Submission.model_validate(json.loads(written))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            said = f"{where}: {first['msg']}" if where else first["msg"]
            return outcome(name, [("foreign", f"not a file of a page of ours ({said})")])
        assignment = self.assignments.get(given.assignment)
        if assignment is None:
            return outcome(name, [("foreign", f"assignment {given.assignment[:40]} is not of this study")])
        content.pop("code")
        verified = given.code is not None and given.code == code(assignment.key, content)
        return self._judged(name, given, assignment, verified)

    def _judged(self, name: str, given: Submission, assignment: Assignment, verified: bool) -> dict[str, Any]:
        """Return the row of a submission to an assignment of this study."""
        questions = assignment.questions
        against = [*_against(given, questions, verified), *self._too_fast(given, questions)]
        return outcome(
            name,
            against,
            _notes(given),
            assignment=assignment.id,
            persona_id=assignment.persona_id,
            rater=assignment.id,
            participant=(given.participant or "").strip() or None,  # the address may name the parameter without a value
            session=given.session,
            code=given.code,
            started=given.started,
            finished=given.finished,
            questions=len(questions),
            answered=sum(_whole(answer) for answer in given.answers),
            ratings=self._ratings(given, questions),
        )

    def _too_fast(self, given: Submission, questions: list[Question]) -> Iterator[tuple[str, str]]:
        """Yield a status and a reason if half of the questions were in sight for less than it takes to read them."""
        seen = [
            (answer.ms, self.least_ms[question.item])
            for answer, question in zip(given.answers, questions, strict=False)
            if question.item is not None and _whole(answer)
        ]
        if seen and median(ms / least for ms, least in seen) < 1:
            seconds = median(ms for ms, _ in seen) / 1000
            yield "too_fast", f"most questions were in sight too briefly to be read (median {seconds:.1f} s)"

    def _ratings(self, given: Submission, questions: list[Question]) -> list[dict[str, Any]]:
        """Return the answers to the study's questions, as choices between the items' first and second answer."""
        ratings = []
        for answer, question in zip(given.answers, questions, strict=False):
            if question.item is None or not answer.choice:
                continue
            item = self.items[question.item]
            rating: dict[str, Any] = {k: v for k, v in item.items() if k in ("persona_id", "prompt_id", "pair_id")}
            rating["choice"] = "first" if answer.choice == question.first else "second"
            rating["first_shown_as"] = question.first
            rating["seconds"] = answer.ms / 1000
            rating["reason"] = answer.reason
            ratings.append(rating)
        return ratings


def _against(given: Submission, questions: list[Question], verified: bool) -> Iterator[tuple[str, str]]:
    """Yield a status and a reason for each problem that excludes a submission, the most serious first."""
    answers, n = given.answers, len(questions)
    answered = sum(map(_whole, answers))
    if len(answers) > n:
        yield "foreign", f"{len(answers)} answers to {n} questions"
    if not verified and (given.code is not None or answered == n):
        yield "tampered", "the completion code does not fit what the file says: it was changed after it was finished"
    if answered < n or not given.finished:
        yield "incomplete", f"{answered} of {n} questions have a choice and a reason"
    if not given.agreed:
        yield "no_consent", "the consent was not given"
    chosen = [(answer.choice, q) for answer, q in zip(answers, questions, strict=False) if answer.choice]
    checks = [choice == q.first for choice, q in chosen if q.item is None]
    if not all(checks):
        yield "failed_check", f"{checks.count(False)} of {len(checks)} attention checks failed"
    letters = [choice for choice, q in chosen if q.item is not None]
    if len(set(letters)) == 1 and len(letters) >= LEAST_SAME:
        yield "same_side", f"answer {letters[0]} was chosen in all {len(letters)} questions, whatever it said"
    if not _consistent_times(given):
        yield "clock", "the times contradict each other: a clock was set back, or they were changed"


def _consistent_times(given: Submission) -> bool:
    """Return whether the times of a submission can all be true."""
    in_sight = [answer.ms for answer in given.answers]
    if any(ms < 0 for ms in in_sight):
        return False
    if not given.finished:
        return True
    moments = [given.agreed, *(answer.at for answer in given.answers)]
    in_order = all(given.started <= moment <= given.finished for moment in moments if moment)
    spent = given.finished - given.started
    return in_order and spent >= sum(in_sight) - 1000  # 1 s for rounding


def _notes(given: Submission) -> list[str]:
    """Return what deserves a look, but does not exclude a submission."""
    reasons = [answer.reason for answer in given.answers]
    markup = [str(n) for n, reason in enumerate(reasons, 1) if _MARKUP.search(reason)]
    notes = [f"markup in the reason of question {', '.join(markup)}"] if markup else []
    same = len(reasons) >= LEAST_SAME and len({reason.strip().lower() for reason in reasons}) == 1
    return notes + (["all reasons are the same"] if same else [])


def _whole(answer: Answer) -> bool:
    """Return whether an answer has a choice and a reason."""
    return bool(answer.choice and answer.reason.strip())


def content(path: Path) -> tuple[bytes, str | None]:
    """Return a file's content, unpacked if it is packed, and None or why it can't be read."""
    try:
        if path.stat().st_size > MOST_BYTES and files.suffix(path) != ".jsonl":
            return b"", f"larger than {MOST_BYTES / 1e6:.0f} MB"
        raw = files.read_bytes(path)
        texts.check_encoding(path, raw[:1000])
        return raw, None
    except OSError as error:
        return b"", f"can't be opened ({error.strerror or error})"
    except UserError as error:
        return b"", str(error).removeprefix(f"{path} ")


def outcome(name: str, against: list[tuple[str, str]], notes: list[str] | None = None, **known: Any) -> dict[str, Any]:
    """Return a submission's row.

    Args:
        name: of the file.
        against: statuses and reasons, the most serious first. The first status becomes the row's, all reasons are
            joined; without any the status is ok.
        notes: what else the reason mentions.
        known: the other fields.
    """
    status = against[0][0] if against else "ok"
    reason = "; ".join([*(reason for _, reason in against), *(notes or [])])
    return {"file": name, "status": status, "reason": reason or None, "ratings": [], **known}


def duplicates(table: pd.DataFrame) -> pd.DataFrame:
    """Keep one good submission per rater and persona, and one per participant: the first that was finished.

    The others get the status 'duplicate'. Files that share a completion code get a note.
    """
    table = table.copy()
    for keys, what in ((["rater", "persona_id"], "assignment was"), (["participant"], "participant")):
        good = table[(table["status"] == "ok") & table[keys].notna().all(axis=1)].sort_values(["finished", "file"])
        first = good.groupby(keys, sort=False)["file"].transform("first")
        later = good.index[good.duplicated(keys)]
        _add(table, later, f"the same {what} answered before, in " + first[later])
        table.loc[later, "status"] = "duplicate"
    named = table[table["code"].notna()]
    again = named.index[named.duplicated("code", keep=False)]
    _add(table, again, "another file has the same completion code")
    return table


def _add(table: pd.DataFrame, rows: pd.Index, reason: pd.Series | str) -> None:
    """Add a reason to those that some rows have."""
    before = table.loc[rows, "reason"].fillna("").astype("str")
    table.loc[rows, "reason"] = before.where(before == "", before + "; ") + reason
