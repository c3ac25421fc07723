"""The figure of steerability: every rating is drawn in its place, and what is missing or too much is marked."""

import figures
import numpy as np
import pandas as pd
import pytest

from persona_lib import plots


def table(n: int) -> pd.DataFrame:
    names = [f"$person$ {i}" for i in range(n)]
    square = np.full((n, n), 2.0) + 3 * np.eye(n)
    return pd.DataFrame(square, pd.Index(names, name="written_for"), pd.Index(names, name="persona_id"))


@pytest.mark.parametrize("n", [0, 1, 3, 12, 60])
def test_a_matrix_can_be_read_with_few_and_many_people(n):
    assert figures.faults(lambda: plots.pluralism.matrix(table(n), "A title")) == []


def test_rows_are_whom_answers_were_written_for():
    square = table(3)
    square.iloc[0, 2] = 4
    square.iloc[2, 0] = np.nan
    ax = plots.pluralism.matrix(square, "A title")
    drawn = ax.collections[0].get_array().reshape(3, 3)
    assert drawn[0, 2] == 4 and drawn.mask[2, 0] and [drawn[i, i] for i in range(3)] == [5, 5, 5]
    assert ax.get_ylabel() == "written for" and ax.get_yticklabels()[0].get_text() == r"\$person\$ 0"


def test_a_matrix_without_ratings_says_so():
    ax = plots.pluralism.matrix(table(2) * np.nan, "A title")
    assert "nothing could be scored" in figures.said(ax)
    assert figures.functions(plots.pluralism) == {"matrix"}
