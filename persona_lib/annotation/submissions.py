"""What came back from raters, one row each: read, verified, and what speaks against counting it, in words.

A submission is the file that an assignment's page hands out, or a line of a .jsonl file. Nothing here raises for what
is in a file. Used by humans.py.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .assignments import Question, Study

MOST_BYTES = 5_000_000
LEAST_MS = 2000  # nobody reads two answers in less
LEAST_SAME = 6  # so many choices on one side come about by chance once in 2**5 = 32 times

_MARKUP = re.compile(r"<[/!?a-zA-Z]|&#?\w+;|javascript:", re.IGNORECASE)

Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
_TABLE_CHOICES = {"first": "first", "a": "first", "1": "first", "second": "second", "b": "second", "2": "second"}
_TABLE_NAMES = {"persona": "persona_id", "question": "prompt_id", "prompt": "prompt_id"}


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Answer(_Strict):
    """One answer as the page writes it: `at` in milliseconds since 1970, `ms` for how long it was in sight."""

    at: Whole
    choice: Literal["", "A", "B"]
    ms: Whole
    reason: str


class Submission(_Strict):
    """A page's file; times in milliseconds since 1970, 0 for what hasn't happened."""

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
    """The completion code of a submission without its code: the first 12 hex digits of SHA-256, as XXXX-XXXX-XXXX."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(f"{key}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:12].upper()
    return "-".join(re.findall("....", digest))


class Reader:
    """Reads submissions to one study; `words_per_minute` is the speed above which nobody reads."""

    def __init__(self, study: Study, words_per_minute: float):
        self.assignments = {a.id: a for a in study.assignments}
        self.items = study.items
        words = (len(f"{i['prompt']} {i['first']} {i['second']}".split()) for i in study.items)
        self.least_ms = [max(LEAST_MS, n / words_per_minute * 60_000) for n in words]

    def rows(self, path: Path) -> Iterator[dict[str, Any]]:
        """The submissions of a file that a page wrote, or of a .jsonl file of such."""
        lines, failure = content(path)
        if failure:
            yield outcome(path.name, [("unreadable", failure)])
        elif path.suffix == ".jsonl":
            parts = [(n, line) for n, line in enumerate(lines.splitlines(), 1) if line.strip()]
            yield from (self.row(f"{path.name}:{n}", line) for n, line in parts)
        else:
            yield self.row(path.name, lines)

    def row(self, name: str, text: bytes) -> dict[str, Any]:
        """One submission, judged."""
        try:
            content = json.loads(text.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            return outcome(name, [("unreadable", f"no whole JSON file ({error})")])
        try:
            # Half a character can be in a file, but in no table; the code below is of the file.
            written = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
            given = Submission.model_validate(json.loads(written))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            return outcome(
                name, [("foreign", f"not a file of a page of ours ({where}: {first['msg']})".replace("(: ", "("))]
            )
        assignment = self.assignments.get(given.assignment)
        if assignment is None:
            return outcome(name, [("foreign", f"assignment {given.assignment[:40]} is not of this study")])
        questions = assignment.questions
        content.pop("code")
        verified = given.code is not None and given.code == code(assignment.key, content)
        against = [*_against(given, questions, verified), *self._too_fast(given, questions)]
        known = {"assignment": assignment.id, "persona_id": assignment.persona_id, "rater": assignment.id}
        participant = (given.participant or "").strip() or None  # an address may name the parameter and give nothing
        known |= {"participant": participant, "session": given.session, "code": given.code}
        known |= {"started": given.started, "finished": given.finished, "questions": len(questions)}
        known["answered"] = sum(_whole(a) for a in given.answers)
        return outcome(name, against, _notes(given), **known, ratings=self._ratings(given, questions))

    def _too_fast(self, given: Submission, questions: list[Question]) -> Iterator[tuple[str, str]]:
        asked = [
            (a, q.item) for a, q in zip(given.answers, questions, strict=False) if q.item is not None and _whole(a)
        ]
        if asked and median(a.ms / self.least_ms[item] for a, item in asked) < 1:
            seconds = median(a.ms for a, _ in asked) / 1000
            yield "too_fast", f"most questions were in sight too briefly to be read (median {seconds:.1f} s)"

    def _ratings(self, given: Submission, questions: list[Question]) -> list[dict[str, Any]]:
        """The answers to the study's questions, in terms of the items' first and second answer."""
        ratings = []
        for answer, question in zip(given.answers, questions, strict=False):
            if question.item is None or not answer.choice:
                continue
            choice = "first" if answer.choice == question.first else "second"
            told = {"choice": choice, "first_shown_as": question.first, "seconds": answer.ms / 1000}
            item = {k: v for k, v in self.items[question.item].items() if k in ("persona_id", "prompt_id", "pair_id")}
            ratings.append(item | told | {"reason": answer.reason})
        return ratings


def _against(given: Submission, questions: list[Question], verified: bool) -> Iterator[tuple[str, str]]:
    """What speaks against counting a submission, the weightiest first: a status and a reason each."""
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
    pairs = list(zip(answers, questions, strict=False))
    checks = [a.choice == q.first for a, q in pairs if q.item is None and a.choice]
    if not all(checks):
        yield "failed_check", f"{checks.count(False)} of {len(checks)} attention checks failed"
    letters = [a.choice for a, q in pairs if q.item is not None and a.choice]
    if len(set(letters)) == 1 and len(letters) >= LEAST_SAME:
        yield "same_side", f"answer {letters[0]} was chosen in all {len(letters)} questions, whatever stood there"
    times = [given.agreed, *(a.at for a in answers)]
    backwards = given.finished and not all(given.started <= t <= given.finished for t in times if t)
    in_sight = sum(a.ms for a in answers)
    if (
        backwards
        or any(a.ms < 0 for a in answers)
        or (given.finished and given.finished - given.started < in_sight - 1000)
    ):
        yield "clock", "the times contradict each other: a clock was set back, or they were changed"


def _notes(given: Submission) -> list[str]:
    """What is worth a look, but no reason not to count."""
    reasons = [a.reason for a in given.answers]
    markup = [str(n) for n, reason in enumerate(reasons, 1) if _MARKUP.search(reason)]
    notes = [f"markup in the reason of question {', '.join(markup)}"] if markup else []
    same = len(reasons) >= LEAST_SAME and len({r.strip().lower() for r in reasons}) == 1
    return notes + (["all reasons are the same"] if same else [])


def _whole(answer: Answer) -> bool:
    return bool(answer.choice and answer.reason.strip())


def content(path: Path) -> tuple[bytes, str | None]:
    """A file's content, or why it can't be had."""
    try:
        if path.stat().st_size > MOST_BYTES and path.suffix not in (".jsonl", ".csv"):
            return b"", f"larger than {MOST_BYTES / 1e6:.0f} MB"
        return path.read_bytes(), None
    except OSError as error:
        return b"", f"can't be opened ({error.strerror})"


def outcome(name: str, against: list[tuple[str, str]], notes: list[str] | None = None, **known: Any) -> dict[str, Any]:
    """A submission's row: its status is the first that speaks against it, its reason all of them and the notes."""
    status = against[0][0] if against else "ok"
    reason = "; ".join([*(reason for _, reason in against), *(notes or [])])
    return {"file": name, "status": status, "reason": reason or None, "ratings": [], **known}


def duplicates(table: pd.DataFrame) -> pd.DataFrame:
    """Leave one good submission per rater and persona, and one per participant: the first that was finished."""
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
    """Add a reason to those of some rows."""
    before = table.loc[rows, "reason"].fillna("").astype("str")
    table.loc[rows, "reason"] = before.where(before == "", before + "; ") + reason


def table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The submissions in a table of ratings from elsewhere, one for each rater and persona; nothing in a file raises.

    The CSV file has the columns persona, question, rater, choice. Ratings are taken as they are.
    """
    raw, failure = content(path)
    if failure:
        yield outcome(path.name, [("unreadable", failure)])
        return
    try:
        table = pd.read_csv(BytesIO(raw), dtype="str", keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError) as error:
        yield outcome(path.name, [("unreadable", f"no CSV table ({error})")])
        return
    table.columns = [_TABLE_NAMES.get(name, name) for name in table.columns.str.strip().str.lower()]
    needed = ["persona_id", "prompt_id", "rater", "choice"]
    if sorted(c for c in table.columns if c in needed) != sorted(needed):
        yield outcome(
            path.name, [("foreign", "a table of ratings has the columns persona, question, rater, choice, each once")]
        )
        return
    for (persona, rater), own in table.groupby(["persona_id", "rater"], sort=False):
        yield _table_row(path.name, persona, rater, own)


def _table_row(name: str, persona: str, rater: str, own: pd.DataFrame) -> dict[str, Any]:
    """One rater's ratings of one persona."""
    own = own.assign(choice=own["choice"].str.strip().str.lower().map(_TABLE_CHOICES))
    if "seconds" in own:
        own["seconds"] = pd.to_numeric(own["seconds"], errors="coerce")
    contradicted = own.groupby("prompt_id")["choice"].transform("nunique") > 1
    own["choice"] = own["choice"].mask(contradicted)
    unique = own.sort_values("choice", kind="stable").drop_duplicates("prompt_id").sort_index()
    unread = int(unique["choice"].isna().sum())
    against = [("incomplete", "no choice can be read")] if unread == len(unique) else []
    if not persona.strip() or not rater.strip():
        against.insert(0, ("foreign", f"{len(own)} rows name no persona or no rater"))
    notes = [
        f"{unread} of {len(unique)} choices are neither first, second, A, B, 1, 2, or contradict each other"
    ] * bool(unread)
    notes += [f"{len(own) - len(unique)} ratings are repeated"] * (len(own) > len(unique))
    kept = [c for c in ("persona_id", "prompt_id", "pair_id", "choice", "seconds", "reason") if c in unique]
    counts = {"questions": len(unique), "answered": len(unique) - unread}
    known = {"persona_id": persona, "rater": rater, "ratings": unique[kept].to_dict("records")}
    return outcome(name, against, notes, **known, **counts)
