"""Predicates: they mean what pandas' own `eval` makes of them, and an unreadable one is named."""

import re

import numpy as np
import pandas as pd
import pytest

from persona_lib import UserError, census
from persona_lib.personas import phrases, predicates, texts


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    drawn = census.Population.load().sample(12_000, seed=5)
    rng = np.random.default_rng(5)
    traits = [f"Extraversion: {level}" for level in ("Extremely Low", "Low", "Average", "High", "Extremely High")]
    drawn["big five scores"] = rng.choice(traits, len(drawn))
    return drawn.rename(index="p{}".format).rename_axis("persona_id")


def test_predicates_say_what_pandas_own_eval_makes_of_them(people):
    table = predicates.table(people)
    columns = dict(table.items())
    whose = {who for name in (texts.QUIRKS | texts.SETS).values() for who in phrases.load(name)["who"]}
    terms = {text for name in ("predicates", "loose") for text in predicates.read(name).values()}
    assert len(whose) > 50 and len(terms) > 20
    for text in whose | terms | {"(age in [3, 4]) == infant", "not age < 18 and age not in [40, 50]"}:
        own = pd.eval(text, engine="python", resolvers=[columns])
        assert (predicates.hold([text], table)[:, 0] == own.to_numpy(dtype=bool)).all(), text


def test_a_predicate_that_cannot_be_read_is_named(people):
    for text in ("adult and rihc", "18 < age < 65", "age in [3, 4] == infant"):
        with pytest.raises(UserError, match=rf"predicate '{re.escape(text)}' can't be read .*see data/predicates.yaml"):
            predicates.hold([text], predicates.table(people.head(2)))


def test_no_predicates_give_a_table_without_columns(people):
    assert predicates.hold([], predicates.table(people.head(3))).shape == (3, 0)
