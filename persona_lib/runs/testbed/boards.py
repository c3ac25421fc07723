"""The page of a leaderboard: submissions by world and k, in one file. Its template is data/board.html.j2."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ... import UserError, files
from ...methods import board, gates
from ...methods.submitted.board import Section
from ...methods.submitted.checking import Checked
from ...texts import line
from ..pages import pages
from .submitting import Outcome, Round

PAGE, TABLE = "index.html", "leaderboard"
OPTIONAL = ("parameters", "cost", "commit")  # columns that stand only where a method tells something
WIDTH = 140  # of a drawn interval, in pixels


def write(outcome: Outcome, folder: Path) -> list[str]:
    """Write the page and its table (CSV and parquet) into a folder.

    Args:
        outcome: of `submitting.check`.
        folder: of the page.

    Returns:
        What is left out, one line each: submissions with a problem, unusable folders, worlds with hidden labels.

    Raises:
        UserError: nothing is left to show; two submissions have one name, or other draws, seeds or cells; the folder
            holds something else.
    """
    check_folder(folder)
    left = [*outcome.unusable, *(line for own in outcome.rounds for line in _left(own))]
    worlds = [_world(number, own) for number, own in enumerate(outcome.rounds, 1) if _fit(own)]
    if not worlds:
        raise UserError(f"no submission can stand on a board: {left[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    for half in folder.glob(".*.part.*"):  # left by a process that was killed
        half.unlink()
    rows = [
        section.table.assign(world=shown["name"], world_sha256=shown["sha256"])
        for shown in worlds
        for section in shown["sections"]
    ]
    table = pd.concat(rows, ignore_index=True)
    files.write(folder / f"{TABLE}.parquet", table.to_parquet)
    files.write(folder / f"{TABLE}.csv", lambda half: table.to_csv(half, index=False))
    files.write_text(folder / PAGE, html(worlds, left))
    return left


def check_folder(folder: Path) -> None:
    """Raise UserError if a folder can't be written, or holds something else than a board or its parts."""
    files.check_folder(folder, (PAGE, f"{TABLE}.parquet", f"{TABLE}.csv"), "a leaderboard")


def html(worlds: Sequence[dict[str, Any]], left: Sequence[str]) -> str:
    """Return the page: worlds as `_world` returns them, and what is left out."""
    template = pages.environment().get_template("board.html.j2")
    return template.render(worlds=worlds, left=left, table=TABLE, width=WIDTH)


def _left(own: Round) -> list[str]:
    """Return what is left out of a board, and why."""
    lines = []
    for entry in own.checked:
        where = f"{entry.submission.about.name} ({entry.submission.folder})"
        if entry.problems:
            more = f", and {len(entry.problems) - 1} more" if len(entry.problems) > 1 else ""
            lines.append(f"{where}: {line(entry.problems[0], 300)}{more}")
        elif entry.predictions is None:
            lines.append(f"{where}: it has answers only, and no predictions")
        elif entry.scores.empty:
            lines.append(f"{where}: the labels of world '{own.world.name}' are hidden")
    return lines


def _fit(own: Round) -> list[Checked]:
    return [entry for entry in own.checked if not entry.problems and not entry.scores.empty]


def _world(number: int, own: Round) -> dict[str, Any]:
    """Return what the page shows of a world."""
    entries = _fit(own)
    by_name = {entry.submission.about.name: entry for entry in entries}
    about = entries[0].submission.about
    fired = gates.lines(own.gates, "of the world, ")
    for name, entry in by_name.items():
        fired += gates.lines(entry.gates, f"{name}, ")
    found = board.sections(entries, own.world)
    ends = pd.concat([section.table for section in found])
    span = float(ends["low"].min()), float(ends["high"].max(skipna=True))
    return {
        "anchor": f"world-{number}",
        "name": own.world.name,
        "about": own.world.about,
        "sha256": own.sha256,
        "cell": own.cell.replace("_", " people, ") + " prompts",
        "draws": about.draws,
        "seed": about.seed,
        "gates": [line.removeprefix("GATE ") for line in fired],
        "sections": found,
        "shown": [_section(section, by_name, span) for section in found],
        "absent": {section.k: sorted(set(by_name) - set(section.table["method"])) for section in found},
        "columns": [name for name in OPTIONAL if any(board.shown(entry)[name] for entry in entries)],
        "told": {name: board.shown(entry) for name, entry in by_name.items()},
        "span": [f"{end:.2f}" for end in span],
    }


def _section(section: Section, by_name: dict[str, Checked], span: tuple[float, float]) -> dict[str, Any]:
    """Return a section's rows as texts, with the places of each interval on a line of WIDTH pixels."""
    low, high = span
    rows = []
    for row in section.table.to_dict("records"):
        places = [(row[end] - low) / max(high - low, 1e-9) * WIDTH for end in ("low", "accuracy", "high")]
        known = pd.notna(row["low"])
        rows.append(
            {
                "rank": f"{row['best']}" if row["best"] == row["worst"] else f"{row['best']}\u2013{row['worst']}",
                "method": row["method"],
                "accuracy": f"{row['accuracy']:.3f}",
                "interval": f"{row['low']:.3f} to {row['high']:.3f}" if known else "not estimable",
                "note": row["note"],
                "places": [f"{place:.1f}" for place in places] if known else None,
                "people": f"{row['people']:,}",
                "n": f"{row['n']:,}",
                "failed": f"{row['failed']:,}",
                "brier": f"{row['brier']:.3f}",
                "fired": bool(by_name[row["method"]].gates["fired"].any()),
            }
            | board.shown(by_name[row["method"]])
        )
    return {"k": section.k, "says": section.says, "comparisons": section.comparisons, "rows": rows}
