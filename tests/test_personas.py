"""Personas: their columns, their ids and their text."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, personas
from persona_lib.attributes import CENSUS, COLUMNS, NAMES


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return personas.sample(2_000, seed=3)


def test_columns_are_the_33_attributes_then_the_auxiliary_ones(people):
    assert list(people.columns) == list(COLUMNS)
    assert people.columns[:33].tolist() == list(NAMES)
    assert people.drop(columns=list(CENSUS)).isna().all(axis=None)
    assert people[["age", "sex", "race", "disability"]].notna().all(axis=None)


def test_the_same_seed_gives_the_same_personas_and_another_seed_others(people):
    pd.testing.assert_frame_equal(personas.sample(2_000, seed=3), people)
    assert not set(personas.sample(2_000, seed=4).index) & set(people.index)


def test_twins_have_ids_of_their_own_that_do_not_depend_on_their_row(people):
    twins = people[list(CENSUS)].astype("str").duplicated(keep=False)
    assert 0.002 < twins.mean() < 0.2
    assert people.index.is_unique and people.index.name == "persona_id"
    assert set(personas._ids(people.iloc[::-1], 3)) == set(people.index)


def test_a_persona_reads_as_lines_of_attribute_and_value(people):
    adult = people[(people["age"] >= 16) & (people["income"] > 0)].iloc[0]
    lines = dict(line.split(": ", 1) for line in personas.describe(adult).splitlines())
    assert list(lines) == [name for name in NAMES if pd.notna(adult[name])]
    assert lines["age"] == str(adult["age"]) and lines["income"] == str(int(adult["income"]))
    assert lines["sex"] == adult["sex"]


def test_a_childs_text_skips_what_does_not_apply():
    row = pd.Series({"age": 7.0, "sex": "Female", "income": np.nan, "religion": None, "hispanic origin": "Cuban"})
    assert personas.describe(row) == "age: 7\nsex: Female"


@pytest.mark.parametrize("n", [0, -3, 2.5, "ten", True, None])
def test_a_size_that_is_no_size_is_refused_in_one_line(n):
    with pytest.raises(UserError, match="n must be a whole number") as caught:
        personas.sample(n)
    assert "\n" not in str(caught.value)


def test_personas_are_drawn_without_loading_the_library_that_fits():
    code = "import sys; from persona_lib import personas; personas.sample(10); assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
