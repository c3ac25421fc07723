"""Human labels of a run's answers, from a CSV file: may an answer stand as it is for this person? Used by 10_judges."""

from pathlib import Path

import pandas as pd

from .. import UserError, files
from . import calibration

KEYS = ["persona_id", "prompt_id", "condition"]
COLUMNS = [*KEYS, "annotator", "label"]


def read(path: str | Path | None) -> pd.DataFrame:
    """Labels from a CSV file with the columns COLUMNS, and `model` where there are several writers.

    Args:
        path: of the file; None for no labels.

    Returns:
        One row per answer and annotator; `label` is 1 (the answer can stand), 0 (it needs revision) or missing.

    Raises:
        UserError: no such file, a column is lacking, a label is something else, a row does not say of what or by whom,
            or an annotator labels an answer twice.
    """
    if path is None:
        return pd.DataFrame({name: pd.Series(dtype="float" if name == "label" else "str") for name in COLUMNS})
    table = files.read_table(path).replace("", None)
    if lacking := [name for name in COLUMNS if name not in table]:
        raise UserError(f"{path} lacks {', '.join(lacking)}: it needs the columns {', '.join(COLUMNS)}")
    label = pd.to_numeric(table["label"], errors="coerce")
    wrong = table["label"].notna() & ~label.isin([0, 1])
    if wrong.any():
        raise UserError(f"{path} has the label {str(table.loc[wrong, 'label'].iloc[0])!r}: write 1, 0 or nothing")
    if (blank := table[[*_keys(table), "annotator"]].isna().any()).any():
        raise UserError(f"{path} has a row without {blank.idxmax()}: fill it in or leave the row out")
    if table.duplicated([*_keys(table), "annotator"]).any():
        raise UserError(f"{path}: an annotator labels an answer twice: leave one of the rows out")
    return table.assign(label=label.astype(float))


def _keys(labels: pd.DataFrame) -> list[str]:
    return [*KEYS, "model"] if "model" in labels else KEYS


def beside(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """A run's answers with the majority of their labels.

    Args:
        results: as from `bench.conditioning`, one sample each.
        labels: as from `read`.

    Returns:
        The rows of `results` as `persona_id`, `prompt_id`, `condition`, `model`, `judge` (the critic's score) and
        `human` (1 or 0; missing without labels and where they are split).

    Raises:
        UserError: the run has several writers and the labels don't say whose answers they are of.
    """
    if len(labels) and "model" not in labels and results["model"].nunique() > 1:
        raise UserError("the run has several writers: the file of labels needs a column model")
    keys = _keys(labels)
    mean = labels.groupby(keys)["label"].mean().rename("human")
    majority = (mean > 0.5).astype(float).where(mean.notna() & (mean != 0.5))
    table = results[[*KEYS, "model"]].assign(judge=results["score"])
    return table.join(majority, on=keys)


def unused(results: pd.DataFrame, labels: pd.DataFrame) -> int:
    """How many labels are of answers that the run does not have."""
    keys = _keys(labels)
    return int((~pd.MultiIndex.from_frame(labels[keys]).isin(pd.MultiIndex.from_frame(results[keys]))).sum())


def stand_in(results: pd.DataFrame, labels: pd.DataFrame, epsilon: float = 0.2) -> pd.DataFrame:
    """May the critic stand in for a human annotator? `calibration.alternative_annotator` of these labels.

    Args:
        results, labels: as in `beside`.
        epsilon: as in `calibration.alternative_annotator`.

    Returns:
        Its table; one row that says so in `note` where fewer than two annotators have labelled the run's answers.

    Raises:
        UserError: as in `beside`.
    """
    keys = _keys(labels)
    wide = labels.pivot(index=keys, columns="annotator", values="label").dropna(axis=1, how="all")
    judge = beside(results, labels).set_index(keys)["judge"]
    wide = wide[wide.index.isin(judge.index)].dropna(axis=1, how="all")
    if len(wide.columns) < 2:
        columns = ["n", "failed", "judge", "annotator", "p", "p_by", "wins", "note"]
        note = f"{len(wide.columns)} annotators of these answers: the test takes two or more"
        return pd.DataFrame([{"note": note}], columns=columns, index=pd.Index(["none"], name="annotator"))
    return calibration.alternative_annotator(judge, wide, epsilon)
