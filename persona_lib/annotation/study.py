"""The human study as a kit: pages for raters who put themselves in a persona's place, and what they answered.

Section 4.2 of the paper: 20 personas, 10 questions each, 4 raters a persona, the majority of 3. docs/human_study.md
says how to run one. Used by 05_fidelity.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from .. import UserError, seeds
from ..stats import agreement
from . import assignments, questionnaire, submissions
from .items import checked

KEPT = 3
"""Raters whose votes make a majority, of those who rated a persona."""
CHOICES = ("first", "second")
WORDS_PER_MINUTE = 600.0
"""Who reads faster than this doesn't read: about twice as fast as fast readers."""

_RATING = ["persona_id", "prompt_id", "pair_id", "rater", "choice", "first_shown_as", "seconds", "reason"]
_SUBMISSION = ["file", "status", "counted", "reason", "persona_id", "rater", "participant", "session", "code"]
_SUBMISSION += ["started", "finished", "answered", "questions", "ratings"]


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
        folder: only its pages/ is to be published; assignments.json says which answer is which.
        raters: pages per persona.
        seed: of the order of questions and answers. Of two raters one sees an answer as A, the other as B, and each
            sees the first answer as A in half of the questions.
        checks: attention checks per page, spread over it.
        post_to: address that finished answers are sent to, beside the download; the page may talk to no other.
        participant: name of the parameter in a page's address that carries the participant's number, if one is wanted.
        contact: whom participants may write to; it stands in the consent text.
        title: of the pages.
        templates: folder with files of the user's own that replace those of data/ of the same name:
            annotate_consent.html.j2, annotate_task.html.j2, annotate_check.txt.j2, annotate.html.j2.

    Returns:
        One row per page: `assignment`, `file`, `persona_id`, `rater` (0 ...), `questions`, `checks`.

    Raises:
        UserError: items are malformed, the folder holds something, an address, a template or the seed can't be used.
    """
    seeds.check_seed(seed)
    table, folder = checked(items), Path(folder)
    if raters < 1 or checks < 0:
        raise UserError("take at least 1 rater and 0 checks")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty: give a new folder, or the pages of two studies would be mixed")
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
        (folder / assignment.file).write_text(page, "utf-8")
    assignments.save(study, folder)  # last, so that a folder with a manifest is whole
    columns = {"assignment": "id", "file": "file", "persona_id": "persona_id", "rater": "rater"}
    written = pd.DataFrame({name: [getattr(a, field) for a in study.assignments] for name, field in columns.items()})
    counts = [sum(q.item is None for q in a.questions) for a in study.assignments]
    return written.assign(questions=[len(a.questions) for a in study.assignments] - np.array(counts), checks=counts)


def read(
    files: Iterable[str | Path], folder: str | Path | None = None, words_per_minute: float = WORDS_PER_MINUTE
) -> pd.DataFrame:
    """Read what raters handed in, and judge each submission; nothing in a file is an error here, it is a row.

    Args:
        files: files that pages wrote (.json, or .jsonl with one a line), tables of others' ratings (.csv with columns
            persona, question, rater, choice; choice is first, second, A, B, 1 or 2), or folders of such.
        folder: where `export` wrote; not needed for tables.
        words_per_minute: a submission is too fast if half of its questions were in sight for less than their words
            take at this speed, or than 2 s.

    Returns:
        One row per submission: `file`, `status`, `counted` (bool; set it by hand to overrule), `reason` (all that
        speaks against it, or is worth a look; else missing), `persona_id`, `rater` (the assignment, or the table's),
        `participant`, `session`, `code`, `started`, `finished` (UTC), `answered`, `questions`, `ratings` (as in
        `votes`). Status is ok, or the first that holds of unreadable, foreign (not of this study), tampered,
        incomplete, no_consent, failed_check, same_side (always answer A, or always B), clock, too_fast, duplicate. Of
        several good submissions to one assignment, or by one participant, the one that was finished first is counted.

    Raises:
        UserError: there are no files, or assignments.json is needed and missing.
    """
    paths = _paths(files)
    rows = []
    if kit := [p for p in paths if p.suffix != ".csv"]:
        if folder is None:
            raise UserError(f"{kit[0]} needs the folder that `persona annotate export` wrote: name it (--study)")
        reader = submissions.Reader(assignments.load(folder), words_per_minute)
        rows += [row for path in kit for row in reader.rows(path)]
    rows += [row for path in paths if path.suffix == ".csv" for row in submissions.table_rows(path)]
    table = pd.DataFrame(rows, columns=[c for c in _SUBMISSION if c != "counted"])
    for moment in ("started", "finished"):
        known = pd.to_numeric(table[moment], errors="coerce")
        table[moment] = pd.to_datetime(known.where(known > 0), unit="ms", utc=True, errors="coerce")
    table = submissions.duplicates(table)
    table.insert(2, "counted", table["status"] == "ok")
    return table


def _paths(files: Iterable[str | Path]) -> list[Path]:
    """The files, and those of folders, each once."""
    found: dict[Path, Path] = {}
    for given in map(Path, files):
        inside = (
            sorted(p for p in given.iterdir() if p.suffix in (".json", ".jsonl", ".csv")) if given.is_dir() else [given]
        )
        found |= {p.resolve(): p for p in inside if p.name != assignments.MANIFEST}
    if not found:
        raise UserError("there are no submissions to read: name .json, .jsonl or .csv files, or folders of them")
    if absent := [p for p in found.values() if not p.is_file()]:
        raise UserError(f"no file {absent[0]}")
    return list(found.values())


def votes(handed_in: pd.DataFrame) -> pd.DataFrame:
    """The ratings of the submissions that count, one row each.

    Args:
        handed_in: as from `read`; `counted` decides.

    Returns:
        `persona_id`, `prompt_id`, `pair_id`, `rater`, `choice` (first or second, the order undone; missing where a
        table's choice can't be read), `first_shown_as` (A or B), `seconds` (in sight), `reason`.
    """
    counted = handed_in[handed_in["counted"]]
    rows = [{"rater": s.rater} | rating for s in counted.itertuples() for rating in s.ratings]
    table = pd.DataFrame(rows, columns=_RATING)
    texts = [c for c in _RATING if c != "seconds"]
    return table.astype(dict.fromkeys(texts, "str") | {"seconds": float})


def majority(ratings: pd.DataFrame, kept: int = KEPT, seed: int = 0) -> pd.DataFrame:
    """What most raters chose for each persona and question.

    Of a question's raters `kept` count, so that there is no tie. Who has rated most of the persona's questions goes
    first; among equals chance decides once for the persona (a hash of seed, persona and rater), blind to what they
    chose: dropping the one who agrees least would make people look more alike than they are. What `read` refuses is
    dropped before, which is what a fourth rater is for. Where fewer remain, a tie or a single vote is no majority.

    Args:
        ratings: as from `votes`.
        kept: raters that count per question, an odd number.
        seed: of the chance.

    Returns:
        Index `persona_id`, `prompt_id`; columns `choice` (first, second, or missing), `for_first`, `for_second` (votes
        that count), `dropped` (raters whose vote does not, a comma between, or missing), `failure` (why there is no
        choice, or missing).

    Raises:
        UserError: `kept` is even or below 1.
    """
    if kept < 1 or kept % 2 == 0:
        raise UserError(f"a majority of {kept} raters can be a tie: take an odd number")
    item = ["persona_id", "prompt_id"]
    index = pd.MultiIndex.from_frame(ratings[item].drop_duplicates().sort_values(item))
    valid = ratings.dropna(subset="choice")
    size = valid.groupby(["persona_id", "rater"])["choice"].transform("size")
    chance = {pair: _chance(seed, *pair) for pair in set(zip(valid["persona_id"], valid["rater"], strict=True))}
    turn = [chance[pair] for pair in zip(valid["persona_id"], valid["rater"], strict=True)]
    ordered = valid.assign(size=-size, turn=turn).sort_values(["size", "turn"])
    counts = ordered.groupby(item).cumcount() < kept
    table = ordered[counts].groupby([*item, "choice"]).size().unstack().rename_axis(columns=None)
    table = table.reindex(index=index, columns=["first", "second"]).fillna(0).astype(int).add_prefix("for_")
    cast, ahead = table.sum(axis=1), table["for_first"] - table["for_second"]
    lacking = pd.Series(
        np.select([cast == 0, cast == 1, ahead == 0], ["no vote", "a single vote", "a tie"], None), index
    )
    lacking = lacking.astype("str").mask((cast == 1) & (kept == 1))
    choice = pd.Series(np.where(ahead > 0, "first", "second"), index, dtype="str").where(lacking.isna())
    dropped = ordered[~counts].groupby(item)["rater"].agg(", ".join).reindex(index).astype("str")
    return pd.concat({"choice": choice}, axis=1).join(table).assign(dropped=dropped, failure=lacking)


def as_judge(won: pd.DataFrame, name: str = "people") -> pd.DataFrame:
    """A majority as one judge more among those of `fidelity.play`, where first is rejected and second chosen.

    Returns:
        `persona_id`, `prompt_id`, `judge`, `choice` (rejected, chosen, or missing), `failure`.
    """
    rows = won.reset_index()[["persona_id", "prompt_id", "choice", "failure"]].assign(judge=name)
    return rows.assign(choice=rows["choice"].map({"first": "rejected", "second": "chosen"}).astype("str"))


def _chance(seed: int, persona: str, rater: str) -> str:
    """The place of a rater in a persona's order."""
    return seeds.digest(f"{seed} {persona} {rater}")


def reliability(ratings: pd.DataFrame) -> pd.DataFrame:
    """How far raters agree with each other, for each persona and for all: of all that count, before any is dropped.

    Args:
        ratings: as from `votes`.

    Returns:
        Index `persona_id`, the last of them 'all', and `coefficient` (raw agreement, AC1, PABAK, Krippendorff's alpha,
        Fleiss' kappa); columns `raters`, `estimate`, `low`, `high`, `n` (questions with two ratings or more), `failed`
        (questions with fewer), `undefined` (personas without an estimate) and `note`, as in `agreement.among`. A
        persona's questions are independent items; all items are clustered by persona and by question.
    """
    item = ["persona_id", "prompt_id"]
    index = pd.MultiIndex.from_frame(ratings[item].drop_duplicates().sort_values(item))
    valid = ratings.dropna(subset="choice")
    # Raters differ from persona to persona: which of an item's raters stands in which column makes no difference.
    wide = valid.assign(place=valid.groupby(item).cumcount()).pivot(index=item, columns="place", values="choice")
    wide = wide.reindex(index)
    labels = index.to_frame(index=False)
    counts = np.column_stack([wide.eq(choice).sum(axis=1) for choice in CHOICES])
    tables, known = {}, {}
    for persona, at in labels.groupby("persona_id").indices.items():
        # Nor does the order of a persona's questions: in a large study many personas have the same counts.
        same = tuple(sorted(map(tuple, counts[at].tolist())))
        if same not in known:
            known[same] = agreement.among(wide.iloc[at], options=CHOICES)
        tables[persona] = known[same]
    undefined = sum(table["estimate"].isna().astype(int) for table in tables.values())
    table = pd.concat(tables | {"all": agreement.among(wide, labels, CHOICES)}, names=["persona_id"])
    raters = valid.groupby("persona_id")["rater"].nunique()
    raters["all"] = valid["rater"].nunique()
    table.insert(0, "raters", raters.reindex(table.index.get_level_values(0), fill_value=0).to_numpy())
    table.insert(6, "undefined", table["estimate"].isna().astype(int))
    table.loc["all", "undefined"] = np.broadcast_to(undefined, len(table.loc["all"]))
    return table


def write(handed_in: pd.DataFrame, folder: str | Path, kept: int = KEPT, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Count what raters handed in and write four tables into a folder, each as .parquet and .csv.

    In the CSV files a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Args:
        handed_in: as from `read`.
        folder: where the tables go.
        kept: raters that count per question.
        seed: of which are dropped.

    Returns:
        `submissions` (without `ratings`), `votes`, `majority`, `reliability`.
    """
    cast = votes(handed_in)
    tables = {
        "submissions": handed_in.drop(columns="ratings").set_index("file"),
        "votes": cast.set_index("persona_id"),
    }
    tables |= {"majority": majority(cast, kept, seed), "reliability": reliability(cast)}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet")
        flat = table.reset_index()
        texts = flat.select_dtypes("str")
        flat[texts.columns] = texts.apply(lambda column: column.str.replace(r"^(?=[=+@\t\r-])", "'", regex=True))
        flat.to_csv(folder / f"{name}.csv", index=False)
    return tables
