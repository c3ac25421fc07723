"""Human labels of a run's answers, read from a table: may an answer stand as it is for this person?"""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from .. import UserError, files
from . import calibration

KEYS = ["persona_id", "prompt_id", "condition"]
COLUMNS = [*KEYS, "annotator", "label"]
ALL = "all answers"  # the first row of `winning_rates`


def read(path: str | Path | None, models: Sequence[str] = ()) -> pd.DataFrame:
    """Read labels from a table with the columns COLUMNS, in any spelling, and `model` if there are several writers.

    Args:
        path: of the file; None for no labels.
        models: names of the run's writers. If there are several, a file that does not say whose answers it labels is
            refused here, before anything is asked.

    Returns:
        One row per answer and annotator; `label` is 1 (the answer can stand), 0 (it needs revision) or missing.

    Raises:
        UserError: there is no such file, it lacks a column, a label is something else, a row does not name its answer
            or its annotator, an annotator labels an answer twice, or all labels are of other models.
    """
    if path is None:
        return pd.DataFrame({name: pd.Series(dtype="float" if name == "label" else "str") for name in COLUMNS})
    table = files.read_table(path, [*COLUMNS, "model"]).replace("", None)
    if lacking := [name for name in COLUMNS if name not in table]:
        raise UserError(f"{path} lacks {', '.join(lacking)}: it needs the columns {', '.join(COLUMNS)}")
    _check_models(path, table, models)
    label = table["label"].map({cell: _number(path, cell) for cell in table["label"].unique()}).astype(float)
    if (blank := table[[*_keys(table), "annotator"]].isna().any()).any():
        raise UserError(f"{path} has a row without {blank.idxmax()}: fill it in or leave the row out")
    if table.duplicated([*_keys(table), "annotator"]).any():
        raise UserError(f"{path}: an annotator labels an answer twice: leave one of the rows out")
    return table.assign(label=label)


def _number(path: str | Path, cell: object) -> float:
    """Return a cell of the column `label` as 1, 0 or missing."""
    refusal = UserError(f"{path} has the label {str(cell)!r}: write 1, 0 or nothing")
    try:
        number = float(files.as_numbers(pd.Series([cell], dtype=object)).iloc[0])
    except ValueError:
        raise refusal from None
    if number not in (0, 1) and not pd.isna(number):
        raise refusal
    return number


def _check_models(path: str | Path, table: pd.DataFrame, models: Sequence[str]) -> None:
    """Check that a file says whose answers it labels, if there are several writers."""
    if len(models) > 1 and "model" not in table:
        raise UserError(f"{path} lacks the column model, and there are several writers: {', '.join(models)}")
    named = set(table["model"].dropna()) if "model" in table else set()
    if models and named and not named & set(models):
        raise UserError(f"{path} has labels of {', '.join(sorted(map(str, named)))}, not of {', '.join(models)}")


def _keys(labels: pd.DataFrame) -> list[str]:
    """Return the columns that name an answer."""
    return [*KEYS, "model"] if "model" in labels else KEYS


def beside(results: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return a run's answers with the critic's score and the mean of their human labels.

    Args:
        results: as returned by `bench.conditioning`, one sample each.
        labels: as returned by `read`.

    Returns:
        The rows of `results` as `persona_id`, `prompt_id`, `condition`, `model`, `judge` (the critic's score) and
        `human` (from 0 to 1, missing without labels). Answers on which people are split are no random part of all, so
        they count by the share of their labels.

    Raises:
        UserError: the run has several writers and the labels do not name them.
    """
    if len(labels) and "model" not in labels and results["model"].nunique() > 1:
        raise UserError("the run has several writers: the file of labels needs a column model")
    keys = _keys(labels)
    mean = labels.groupby(keys)["label"].mean().rename("human")
    table = results[[*KEYS, "model"]].assign(judge=results["score"])
    return table.join(mean, on=keys)


def split(table: pd.DataFrame) -> str:
    """Return on how many answers people differ, in words; the table is of `beside`."""
    return f"on {table['human'].between(0, 1, inclusive='neither').sum()} of which people differ"


def unused(results: pd.DataFrame, labels: pd.DataFrame) -> int:
    """Count the labels of answers that the run does not have."""
    keys = _keys(labels)
    labelled = pd.MultiIndex.from_frame(labels[keys])
    answered = pd.MultiIndex.from_frame(results[keys])
    return int((~labelled.isin(answered)).sum())


def strangers(labels: pd.DataFrame, conditions: Collection[str], models: Collection[str] = ()) -> str:
    """Return in one sentence which conditions and models of labels a run does not have, or an empty text.

    Args:
        labels: as returned by `read`.
        conditions, models: of the run; without `models` those of the labels are not looked at.
    """
    told = []
    for column, known in (("condition", conditions), ("model", models)):
        if column not in labels or not known:
            continue
        names = labels[column].dropna().astype("str")
        for name, n in names[~names.isin([*known])].value_counts(sort=False).items():
            near = get_close_matches(str(name), [*known], 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            told.append(f"{n} of {column} {name!r} ({hint}this run has {', '.join(known)})")
    return f"labels of no answer of this run are left out: {'; '.join(told)}" if told else ""


def stand_in(results: pd.DataFrame, labels: pd.DataFrame, epsilon: float = 0.2) -> pd.DataFrame:
    """Test whether the critic may replace a human annotator: `calibration.alternative_annotator` of these labels.

    Args:
        results, labels: as in `beside`.
        epsilon: as in `calibration.alternative_annotator`.

    Returns:
        The table of `calibration.alternative_annotator`, a row per annotator, clustered by persona and prompt over all
        conditions. If fewer than two annotators labelled answers of the run, one row `none` whose `note` says so.

    Raises:
        UserError: as in `beside`.
    """
    judge, humans = _side_by_side(results, labels)
    if len(humans.columns) < 2:
        columns = ["n", "failed", "judge", "annotator", "epsilon", "p", "p_by", "wins", "note"]
        note = f"{len(humans.columns)} annotators of these answers: the test takes two or more"
        return pd.DataFrame([{"note": note}], columns=columns, index=pd.Index(["none"], name="annotator"))
    return calibration.alternative_annotator(judge, humans, epsilon)


def winning_rates(
    results: pd.DataFrame, labels: pd.DataFrame, epsilon: float = 0.2, by: str | None = "condition"
) -> pd.DataFrame:
    """Compute the winning rate of the critic against human annotators (Calderon et al. 2025), overall and by group.

    Each annotator is left out in turn. The critic beats this annotator if a test shows that it agrees with the
    remaining annotators better than the annotator does, less epsilon; `stand_in` returns the tests. The winning rate
    is the share of annotators whom the critic beats. At 0.5 or more, the critic may replace a human annotator.

    Args:
        results, labels: as in `beside`.
        epsilon: as in `calibration.alternative_annotator`.
        by: column of `results` whose groups get a row each; None for the overall row alone. Each row is a test of its
            own: nothing is corrected for the number of groups.

    Returns:
        Index `by` (`answers` if None), 'all answers' first, then the groups in order of appearance; and

        - `n`: answers that the test rests on, with a score of the critic and labels of two annotators or more;
        - `annotators`: annotators with a test;
        - `epsilon`: as given;
        - `winning_rate`: share of them that the critic beats, from 0 to 1, missing without a test;
        - `advantage`: share of answers, averaged over annotators, on which the critic agrees with the others at least
          as well as the annotator does, from 0 to 1 (Calderon's average advantage probability), missing without a test;
        - `passes`: the winning rate is 0.5 or more, missing without a test;
        - `note`: the different notes of the tests, or empty.

    Raises:
        UserError: as in `beside`.
    """
    groups = {ALL: results}
    if by is not None:
        groups |= {str(group): own for group, own in results.groupby(by, sort=False)}
    rows = []
    for own in groups.values():
        tests = stand_in(own, labels, epsilon)
        judge, humans = _side_by_side(own, labels)
        scored = humans.index.isin(judge.dropna().index)
        n = int((scored & (humans.notna().sum(axis=1) > 1)).sum())
        note = "; ".join(dict.fromkeys(text for text in tests["note"] if text))
        rows.append(calibration.winning_rate(tests).assign(n=n, note=note, epsilon=epsilon))
    table = pd.concat(rows, ignore_index=True).set_axis(pd.Index(groups, name=by or "answers"))
    passes = table["passes"].astype("boolean").where(table["annotators"] > 0)
    columns = ["n", "annotators", "epsilon", "winning_rate", "advantage", "passes", "note"]
    return table.assign(passes=passes)[columns]


def _side_by_side(results: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
    """Return the critic's score by answer, and the labels (answers of the run x annotators who labelled any)."""
    keys = _keys(labels)
    judge = beside(results, labels).set_index(keys)["judge"]
    humans = labels.pivot(index=keys, columns="annotator", values="label")
    humans = humans[humans.index.isin(judge.index)].dropna(axis=1, how="all")
    return judge, humans
