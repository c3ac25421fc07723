"""On whom methods are compared: people who have k choices, and predictions that are missing."""

from typing import Any

import pandas as pd

COVERED = 0.9  # share of the tested people on whom methods are compared


def alike(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions of the same people at every k, so that methods and sizes of contexts can be compared.

    The largest k is the last at which no fewer methods than elsewhere predict for 90% of the tested people. People for
    whom one of these methods has no prediction there, mostly since their history is shorter, are left out at each k.

    Args:
        predictions: of `trial.run`.
    """
    known = predictions.dropna(subset="p_first")
    served = known.groupby(["k", "method"], observed=True)["persona_id"].nunique().unstack()
    covered = served >= COVERED * predictions["persona_id"].nunique()
    if not covered.to_numpy().any():
        return predictions
    enough = covered.sum(axis=1)
    k = enough.index[enough == enough.max()].max()
    at = known[(known["k"] == k) & known["method"].isin(covered.columns[covered.loc[k]])]
    methods = at.groupby("persona_id", observed=True)["method"].nunique()
    same = methods.index[methods == enough.max()]
    return predictions[(predictions["k"] <= k) & predictions["persona_id"].isin(same)]


def who(predictions: pd.DataFrame) -> str:
    """Return in words on how many people, and up to which k, `alike` compares methods, and what it leaves out."""
    kept = alike(predictions)
    n, of = (rows["persona_id"].nunique() for rows in (kept, predictions))
    asked, last = sorted(predictions["k"].unique()), kept["k"].max()
    left = "".join(f"; left out: k = {k}, which too few people reach" for k in asked if k > last)
    return f"k asked: {', '.join(map(str, asked))}; compared up to k = {last} on {n:,} of {of:,} people{left}"


def missing(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how many predictions are missing and why: `method`, `k`, `failure`, `choices`; none has no row.

    People whose histories are too short, and numbers outside 0 to 1, are one reason each.
    """
    gone = predictions.dropna(subset="failure")
    why = gone["failure"].astype("str").str.replace(r"^has \d+ choices", "has too few choices", regex=True)
    why = why.str.replace(r"(outside 0 to 1): .*", r"\1", regex=True)
    sized = r"for (\d+) choices$"  # one reason, whatever the number of choices
    n = why.str.extract(sized, expand=False).astype("Int64")
    rows = gone.assign(failure=why.str.replace(sized, "for N choices", regex=True), sizes=n)
    keys = ["method", "k", "failure"]
    counts = rows.groupby(keys, observed=True).agg(
        choices=("choice_id", "size"), sizes=("sizes", lambda own: ", ".join(map(str, sorted(own.dropna().unique()))))
    )
    table = counts.reset_index()
    told = [
        why.replace("for N choices", f"for {n} choices")
        for why, n in zip(table["failure"], table["sizes"], strict=True)
    ]
    return table.drop(columns="sizes").assign(failure=told)


def tables_of(found: Any) -> dict[str, pd.DataFrame]:
    """Return the tables among the fields of what a trial found, a NamedTuple, by name."""
    return {name: table for name, table in found._asdict().items() if isinstance(table, pd.DataFrame)}
