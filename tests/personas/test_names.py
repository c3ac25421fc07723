"""Given names: of the sex and the decade of birth, and in no text that a model is told."""

import numpy as np
import pandas as pd
import pytest

from persona_lib import personas
from persona_lib.personas import enrichment, names


def people(n: int, **values) -> pd.DataFrame:
    return pd.DataFrame(values, index=pd.Index([f"p{i}" for i in range(n)], name="persona_id"))


@pytest.mark.parametrize(
    ("age", "sex", "usual", "rare"), [(80, "Female", "Mary", "Madison"), (12, "Female", "Emma", "Dorothy"),
                                      (55, "Male", "Michael", "Liam"), (3, "Male", "Liam", "Gary")]
)  # fmt: skip
def test_names_are_of_the_sex_and_the_decade_of_birth(age, sex, usual, rare):
    drawn = names.draw(people(4_000, age=age, sex=sex), seed=0)["given name"]
    table = pd.read_csv(names.FOLDER / "names.csv")
    decade = min(2010, (names.YEAR - age) // 10 * 10)
    own = table[(table["born"] == decade) & (table["sex"] == sex)].set_index("name")["people"]
    assert set(drawn) <= set(own.index) and (drawn == rare).mean() < 0.001
    assert (drawn == usual).mean() == pytest.approx(own[usual] / own.sum(), abs=0.01)


def test_names_depend_on_id_and_seed_alone():
    everybody = people(50, age=np.arange(50), sex="Male")
    drawn = names.draw(everybody, seed=1)
    pd.testing.assert_frame_equal(names.draw(everybody.iloc[::-5], seed=1), drawn.iloc[::-5])
    assert (names.draw(everybody, seed=2) != drawn).any(axis=None)


def test_who_has_no_age_or_no_sex_has_no_name():
    table = people(3, age=pd.array([30, None, 40], "Int64"), sex=["Male", "Male", None])
    assert names.draw(table, seed=1)["given name"].notna().tolist() == [True, False, False]


def test_a_label_reads_like_a_person_and_belongs_to_one():
    table = people(4, age=[74, 74, 3, 40], state=["Texas", "Texas", "Ohio", None])
    table["given name"] = ["Ruth", "Ruth", "Ava", None]
    assert names.handles(table).tolist() == ["Ruth, 74, Texas", "Ruth, 74, Texas (p1)", "Ava, 3, Ohio", "p3"]
    assert names.handles(table.drop(columns="state")).iloc[0] == "Ruth, 74"
    assert names.handles(table[["age"]]).tolist() == ["p0", "p1", "p2", "p3"]


def test_every_persona_has_a_name_and_no_profile_tells_it():
    drawn = personas.sample(40, seed=1)
    assert drawn["given name"].notna().all() and "given name" in enrichment.COLUMNS
    assert "given name" not in personas.NAMES
    told = personas.profiles.texts(drawn)
    assert not [name for name, text in zip(drawn["given name"], told, strict=True) if f"name: {name}" in text]
    named = personas.profiles.texts(drawn, named=True)
    assert (named == "given name: " + drawn["given name"] + "\n" + told).all()
