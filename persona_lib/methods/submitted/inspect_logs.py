"""A submission as a log of inspect-ai. Needs the optional extra `inspect`."""

from pathlib import Path

import pandas as pd
from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalResults,
    EvalSample,
    EvalScore,
    EvalSpec,
    write_eval_log,
)
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import Score

from ..worlds.world import World
from .checking import Checked

SCORER = "preferred"


def write(entry: Checked, rows: pd.DataFrame, world: World, folder: Path) -> Path:
    """Write a log and return its path.

    Args:
        entry: checked.
        rows: predictions with `prompt`, `first`, `second`, `said`, `right` and `score`, as `exports` makes them.
        world: that they are about.
        folder: of the log.
    """
    about = entry.submission.about
    created = str(entry.submission.manifest.get("created", ""))
    model = f"persona-testbed/{about.name}"
    samples = [_sample(row, model) for row in rows.to_dict("records")]
    ids = list(dict.fromkeys(str(sample.id) for sample in samples))
    told = about.model_dump(exclude={"name"}, exclude_none=True)
    spec = EvalSpec(
        created=created,
        task="persona_testbed",
        task_args={"world": world.name, "ks": about.ks, "draws": about.draws, "cell": about.cell, "seed": about.seed},
        dataset=EvalDataset(name=world.name, samples=len(ids), sample_ids=ids),
        model=model,
        config=EvalConfig(epochs=about.draws),
        metadata=told,
    )
    results = EvalResults(total_samples=len(samples), completed_samples=len(samples), scores=_scores(entry, rows))
    path = folder / f"{created[:19].replace(':', '-')}_persona-testbed.eval"
    write_eval_log(EvalLog(status="success", eval=spec, results=results, samples=samples), str(path))
    return path


def _sample(row: dict, model: str) -> EvalSample:
    known = {key: row[key] for key in ("choice_id", "persona_id", "prompt_id", "k", "draw")}
    missing = pd.isna(row["p_first"])
    found = {"p_first": None if missing else row["p_first"], "failure": str(row["failure"]) if missing else None}
    score = Score(value=row["score"], answer=row["said"], metadata=found) if pd.notna(row["score"]) else None
    return EvalSample(
        id=f"{row['choice_id']} k={row['k']}",
        epoch=row["draw"] + 1,
        input=row["prompt"],
        choices=[row["first"], row["second"]],
        target=row["right"],
        output=ModelOutput.from_content(model, "" if missing else row["said"]),
        scores={SCORER: score or Score.unscored(metadata=found)},
        metadata=known,
    )


def _scores(entry: Checked, rows: pd.DataFrame) -> list[EvalScore]:
    """Return our scores at each k: the mean over people with its interval, which differs from the mean over samples."""
    made = []
    for row in entry.scores.to_dict("records"):
        at = rows[rows["k"] == row["k"]]["score"]
        metrics = {
            name: EvalMetric(name=name, value=float(row[name]))
            for name in ("accuracy", "low", "high", "brier")
            if pd.notna(row[name])
        }
        name = f"{SCORER}, k = {row['k']}"
        known, unknown = int(at.notna().sum()), int(at.isna().sum())
        made.append(
            EvalScore(name=name, scorer=SCORER, metrics=metrics, scored_samples=known, unscored_samples=unknown)
        )
    return made
