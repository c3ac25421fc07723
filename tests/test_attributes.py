"""The vocabulary: the paper's list of attributes and the Bureau's code lists, compared with their sources."""

import csv

import pandas as pd
import pytest

from persona_lib import attributes
from persona_lib.attributes import ATTRIBUTES, BY_NAME, CENSUS


def dictionary(folder, column: str) -> dict[str, str]:
    """Codes and labels of one PUMS column, not-applicable codes left out."""
    with (folder / "acs" / "PUMS_Data_Dictionary_2019.csv").open(encoding="latin-1") as file:
        rows = [row for row in csv.reader(file) if row[:2] == ["VAL", column]]
    return {row[4]: row[6] for row in rows if not row[4].startswith("b")}


def test_the_33_attributes_are_the_papers_in_its_order(shared):
    paper = pd.read_csv(shared / "figures" / "paper_persona_attributes.csv")
    assert [attribute.name for attribute in ATTRIBUTES] == paper["attribute"].str.lower().tolist()


@pytest.mark.parametrize("name", [name for name in CENSUS if BY_NAME[name].codes and not BY_NAME[name].grouped])
def test_labels_are_the_bureaus_words(shared, name):
    attribute = BY_NAME[name]
    labels = dictionary(shared, attribute.pums)
    assert list(attribute.codes) == [int(code) for code in labels]
    if name != "fertility":  # the one attribute whose Yes and No are spelled out
        assert list(attribute.labels) == list(labels.values())


@pytest.mark.parametrize(("name", "groups"), [("industry category", 19), ("occupation category", 26)])
def test_groups_start_where_the_bureaus_prefix_changes(shared, name, groups):
    labels = dictionary(shared, BY_NAME[name].pums)
    starts = {}
    for code, label in labels.items():
        starts.setdefault(label[:3], int(code))
    assert list(BY_NAME[name].codes) == list(starts.values())
    assert len(starts) == groups


def test_census_columns_are_22_attributes_and_hispanic_origin():
    assert len(CENSUS) == 23
    assert attributes.COLUMNS[33:] == ("hispanic origin",)
    assert len(set(attributes.COLUMNS)) == 34
