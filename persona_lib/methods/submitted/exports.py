"""Submissions in the forms of other tools: a log of inspect-ai, and records of Every Eval Ever."""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from ... import UserError, files, seeds
from ..cases import texts
from ..scoring import scores
from ..worlds.world import World
from .checking import Checked

INSPECT, EVERY_EVAL = "inspect", "every-eval-ever"
SIDES = ("first", "second")
TASK = "persona-testbed"
SCHEMA = "0.3.0"  # of Every Eval Ever


def write(entry: Checked, world: World, folder: Path, form: str) -> list[Path]:
    """Write a submission in another tool's form, and return the files.

    Args:
        entry: checked, with predictions and without problems.
        world: that it is about, with the labels.
        folder: new or empty.
        form: INSPECT or EVERY_EVAL.

    Raises:
        UserError: the form is unknown, the submission has a problem or no scores, the folder holds something, or
            inspect-ai is not installed.
    """
    makers = {INSPECT: inspect, EVERY_EVAL: every_eval_ever}
    if form not in makers:
        raise UserError(f"no form '{form}': choose one of {', '.join(makers)}")
    files.check_folder(folder)
    if entry.problems:
        raise UserError(f"{entry.submission.folder}: {entry.problems[0]}")
    if entry.scores.empty:
        raise UserError(f"{entry.submission.folder} has no scores to export: labels are hidden, or it has answers only")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} holds something: choose a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    return makers[form](entry, world, folder)


def _rows(entry: Checked, world: World) -> pd.DataFrame:
    """Return the predictions with texts and `score`; choices that are ties have none, and a missing one has a half."""
    assert entry.predictions is not None
    shown = texts(world)[["choice_id", "prompt", *SIDES]]
    rows = entry.predictions.merge(shown, on="choice_id", validate="many_to_one")
    graded = scores.graded(rows.assign(p_first=rows["p_first"].fillna(0.5)))
    return rows.assign(score=graded["score"], said=graded["p_first"].map(_said), right=rows["chosen"].map(_said))


def _said(p: float) -> str:
    return "tie" if abs(p - 0.5) <= scores.HALF else SIDES[int(p < 0.5)]


def every_eval_ever(entry: Checked, world: World, folder: Path) -> list[Path]:
    """Write an aggregate record and one line per prediction, as the schema 0.3.0 of Every Eval Ever has them.

    The schema is that of the package every-eval-ever 0.3.0 (Batzner et al. 2026, arXiv 2606.14516), which needs Python
    3.12: it is no dependency, and its command `every_eval_ever validate` checks the files. A method is entered as the
    model `persona-testbed/NAME`. Choices that are ties have no right answer and no line.
    """
    about = entry.submission.about
    slug = re.sub(r"[^a-z0-9]+", "-", about.name.lower()).strip("-") or "method"
    place = folder / "data" / TASK / TASK / slug
    place.mkdir(parents=True)
    created = str(entry.submission.manifest.get("created", ""))
    identity = {"evaluation_id": f"{TASK}/{TASK}_{slug}/{created}", "schema_version": SCHEMA}
    name = uuid.UUID(hex=seeds.digest(json.dumps(entry.submission.manifest, sort_keys=True), 32), version=4)
    lines = list(_instances(entry, world, identity, f"{TASK}/{slug}"))
    detailed = place / f"{name}_samples.jsonl"
    files.write_text(detailed, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    record = identity | {
        "evaluation_timestamp": created,
        "retrieved_timestamp": str(int(datetime.fromisoformat(created).timestamp())),
        "source_metadata": {
            "source_name": "PERSONA workbench, testbed of methods",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "persona-workbench", "version": metadata.version("persona-workbench")},
        "model_info": {
            "name": about.name,
            "id": f"{TASK}/{slug}",
            "additional_details": {"deployment_type": "unknown", "model_availability": "unknown"} | _details(entry),
        },
        "evaluation_results": [_result(row, entry, world) for row in entry.scores.to_dict("records")],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": detailed.relative_to(folder).as_posix(),
            "hash_algorithm": "sha256",
            "checksum": seeds.digest(detailed.read_text("utf-8")),
            "total_rows": len(lines),
        },
    }
    aggregate = place / f"{name}.json"
    files.write_json(aggregate, record)
    return [aggregate, detailed]


def _details(entry: Checked) -> dict[str, str]:
    """Return what a method says of itself, as texts."""
    told = entry.submission.about.model_dump(exclude={"name", "world"}, exclude_none=True)
    return {key: ", ".join(map(str, value)) if isinstance(value, list) else str(value) for key, value in told.items()}


def _result(row: dict[str, Any], entry: Checked, world: World) -> dict[str, Any]:
    about = entry.submission.about
    score: dict[str, Any] = {"score": row["accuracy"]}
    if pd.notna(row["low"]):
        interval = {"lower": row["low"], "upper": row["high"], "confidence_level": 0.95}
        clustered = "clustered by person and prompt"
        score["uncertainty"] = {"confidence_interval": interval | {"method": clustered}, "num_samples": row["n"]}
    score["details"] = {"people": str(row["people"]), "missing": str(row["failed"]), "brier": f"{row['brier']:.6f}"}
    return {
        "evaluation_result_id": f"k={row['k']}",
        "evaluation_name": f"{world.name}, k = {row['k']}",
        "source_data": {
            "dataset_name": world.name,
            "source_type": "other",
            "additional_details": {"sha256": about.world_sha256, "about": world.about, "cell": about.cell},
        },
        "metric_config": {
            "evaluation_description": "which of two answers a person prefers, from k of their choices",
            "metric_id": "accuracy",
            "metric_name": "Accuracy, macro over people",
            "metric_kind": "accuracy",
            "metric_unit": "proportion",
            "metric_parameters": {"k": row["k"], "draws": about.draws},
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": score,
    }


def _instances(entry: Checked, world: World, identity: dict[str, str], model: str) -> Iterator[dict[str, Any]]:
    for row in _rows(entry, world).dropna(subset="score").to_dict("records"):
        missing = pd.isna(row["p_first"])
        output = [] if missing else [f"{row['p_first']:.6g}"]
        found = {"turn_idx": 0, "source": "output.raw", "extracted_value": row["said"], "is_terminal": True}
        yield identity | {
            "model_id": model,
            "evaluation_name": f"{world.name}, k = {row['k']}",
            "evaluation_result_id": f"k={row['k']}",
            "sample_id": f"{row['choice_id']} draw {row['draw']}",
            "sample_hash": seeds.digest(row["prompt"] + row[row["right"]]),
            "interaction_type": "single_turn",
            "input": {"raw": row["prompt"], "reference": [row[row["right"]]], "choices": [row[side] for side in SIDES]},
            "output": {"raw": output},
            "answer_attribution": [found | {"extraction_method": "probability of the first above one half"}],
            "evaluation": {"score": row["score"], "is_correct": row["score"] == 1},
            "error": str(row["failure"]) if missing else None,
            "metadata": {"persona_id": str(row["persona_id"]), "prompt_id": str(row["prompt_id"])},
        }


def inspect(entry: Checked, world: World, folder: Path) -> list[Path]:
    """Write a log that inspect-ai reads and shows, with a sample for each choice and k, and an epoch for each draw."""
    try:
        from . import inspect_logs  # needs the optional extra inspect
    except ModuleNotFoundError as error:
        raise UserError('inspect-ai is not installed: pip install -e ".[inspect]"') from error
    return [inspect_logs.write(entry, _rows(entry, world), world, folder)]
