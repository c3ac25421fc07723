"""The human study as a kit: write pages for raters who judge in a persona's place, then read and count their answers.

Section 4.2 of the paper: 20 personas, 10 questions each, 4 raters per persona, the majority of 3. docs/human_study.md
tells how to run a study.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pandas as pd

from .. import UserError, files, seeds
from . import assignments, inbox, questionnaire, submissions, tables
from .counting import KEPT, majority, reliability, votes
from .items import checked

WORDS_PER_MINUTE = 600.0
"""A rater who is faster did not read: about twice the speed of fast readers."""

_SUBMISSION = (
    *("file", "status", "reason", "persona_id", "rater", "participant", "session", "code"),
    *("started", "finished", "answered", "questions", "ratings"),
)


def check_new(folder: Path) -> None:
    """Raise UserError if a study's folder has something in it, or is no folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty: give a new folder, or the pages of two studies would be mixed")


def export(
    items: pd.DataFrame,
    folder: str | Path,
    raters: int = 4,
    seed: int = 0,
    *,
    checks: int = 2,
    post_to: str | None = None,
    participant: str | None = None,
    contact: str | None = None,
    title: str = "Whose answer?",
    templates: str | Path | None = None,
) -> pd.DataFrame:
    """Write one page per persona and rater into `folder`/pages, and assignments.json, which `read` needs.

    Args:
        items: one row per persona and question: `persona_id`, `profile` (the persona as lines `attribute: value`),
            `prompt_id`, `prompt`, `first` and `second` (the two answers), maybe `pair_id`. All rows are used.
        folder: a new or empty folder. Publish only its pages/: assignments.json reveals which answer is which.
        raters: pages per persona.
        seed: of the order of questions and answers. Raters come in pairs: what one sees as A, the other sees as
            B. Each sees the first answer as A in half of the questions.
        checks: attention checks per page, spread over it.
        post_to: address that finished answers are sent to, in addition to the download; pages contact no other.
        participant: name of the parameter in a page's address that carries the participant's number; None for none.
        contact: the address for participants' questions, shown in the consent text.
        title: of the pages.
        templates: folder with the user's own files, which replace those of data/ with the same name:
            annotate_consent.html.j2, annotate_task.html.j2, annotate_check.txt.j2, annotate.html.j2.

    Returns:
        One row per page: `assignment`, `file`, `persona_id`, `rater` (0 ...), `questions`, `checks`.

    Raises:
        UserError: items are malformed, the folder is not empty, or the address, a template or the seed is not usable.
    """
    seeds.check_seed(seed)
    table = checked(items)
    folder = Path(folder)
    if raters < 1 or checks < 0:
        raise UserError(f"take at least 1 rater and 0 checks, not {raters} and {checks}")
    check_new(folder)
    study = assignments.Study(
        format=assignments.FORMAT,
        seed=seed,
        raters=raters,
        post_to=post_to,
        items=table.to_dict("records"),
        assignments=assignments.assign(table, raters, seed, checks),
    )
    shown = {"participant": participant, "contact": contact, "title": title}
    pages = questionnaire.pages(study, shown, templates)
    (folder / "pages").mkdir(parents=True, exist_ok=True)
    for assignment, page in zip(study.assignments, pages, strict=True):
        files.write_text(folder / assignment.file, page)
    assignments.save(study, folder)  # last, so that a folder with a manifest is complete
    return pd.DataFrame([_page(assignment) for assignment in study.assignments])


def _page(assignment: assignments.Assignment) -> dict[str, object]:
    """Return the row of `export` for a page."""
    checks = sum(question.item is None for question in assignment.questions)
    return {
        "assignment": assignment.id,
        "file": assignment.file,
        "persona_id": assignment.persona_id,
        "rater": assignment.rater,
        "questions": len(assignment.questions) - checks,
        "checks": checks,
    }


def read(
    files: Iterable[str | Path], folder: str | Path | None = None, words_per_minute: float = WORDS_PER_MINUTE
) -> pd.DataFrame:
    """Read what raters handed in and judge each submission. Bad content never raises: it becomes a row.

    Args:
        files: files that pages wrote (.json, or .jsonl with one per line), tables of ratings collected elsewhere (.csv
            or .parquet with columns persona, question, rater, choice; choice is first, second, A, B, 1 or 2), or
            folders of these, with their subfolders. Any of them may be packed with gzip.
        folder: where `export` wrote; not needed for tables.
        words_per_minute: a submission is too fast if half of its questions were in sight for less than 2 s, or for less
            than reading their words takes at this speed.

    Returns:
        One row per submission, and per file of a folder that is not read: `file` (its name from the folder), `status`,
        `counted` (bool; set it by hand to overrule), `reason` (everything that speaks against it or deserves a look;
        else missing), `persona_id`, `rater` (the assignment, or the table's), `participant`, `session`, `code`,
        `started`, `finished` (UTC), `answered`, `questions`, `ratings` (as in `votes`).

        `status` is ok, or the first that applies of unreadable, foreign (not of this study), tampered, incomplete,
        no_consent, failed_check, same_side (always answer A, or always B), clock, too_fast, duplicate. Of several good
        submissions to one assignment, or by one participant, the one that was finished first counts.

    Raises:
        UserError: there are no files, assignments.json is needed and missing, or the codes of a table's choices may
            mean either answer.
    """
    read, left_out = inbox.found(files)
    pages = {path: name for path, name in read.items() if not inbox.is_table(path)}
    rows = []
    if pages:
        if folder is None:
            raise UserError(f"{min(pages)} needs the folder that `persona annotate export` wrote: name it (--study)")
        reader = submissions.Reader(assignments.load(folder), words_per_minute)
        rows += [row for path, name in pages.items() for row in reader.rows(path, name)]
    rows += tables.rows({path: name for path, name in read.items() if inbox.is_table(path)})
    rows += [submissions.outcome(name, [("unreadable", why)]) for name, why in left_out.items()]
    table = pd.DataFrame(rows, columns=list(_SUBMISSION))
    for moment in ("started", "finished"):
        known = pd.to_numeric(table[moment], errors="coerce")
        table[moment] = pd.to_datetime(known.where(known > 0), unit="ms", utc=True, errors="coerce")
    table = submissions.duplicates(table)
    table.insert(2, "counted", table["status"] == "ok")
    return table


def write(handed_in: pd.DataFrame, folder: str | Path, kept: int = KEPT, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Count what raters handed in and write four tables into a folder, each as .parquet and .csv.

    In the CSV files a text that a spreadsheet would run as a formula gets an apostrophe in front.

    Args:
        handed_in: as returned by `read`.
        folder: where the tables go.
        kept: raters that count per question.
        seed: of the choice of raters to drop.

    Returns:
        `submissions` (without `ratings`), `votes`, `majority`, `reliability`.
    """
    cast = votes(handed_in)
    written = {
        "submissions": handed_in.drop(columns="ratings").set_index("file"),
        "votes": cast.set_index("persona_id"),
        "majority": majority(cast, kept, seed),
        "reliability": reliability(cast),
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in written.items():
        files.write(folder / f"{name}.parquet", table.to_parquet)
        flat = table.reset_index()
        texts = flat.select_dtypes("str")
        flat[texts.columns] = texts.apply(lambda column: column.str.replace(r"^(?=[=+@\t\r-])", "'", regex=True))
        files.write(folder / f"{name}.csv", partial(flat.to_csv, index=False))
    return written
