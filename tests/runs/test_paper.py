"""What the paper reports stands beside what a run found."""

import json

import numpy as np
import pandas as pd
import pytest
from places import ROOT

from persona_lib import runs
from persona_lib.runs.reporting.shown import DATA


def cells(shown) -> dict[str, dict[str, str]]:
    """Return the rows of a table by its figure."""
    return shown.table.set_index("figure").to_dict("index")


def test_an_estimate_has_its_interval_and_both_n_and_what_may_differ():
    found = cells(
        runs.beside_paper(
            "06",
            {
                "kept without the persona": (0.38, 0.09, 0.8, 8),
                "kept, summary less direct": (-0.125, -0.5, 0.3, np.int64(1200)),
                "too obvious, direct": (0.25, np.nan, np.nan, 4),
                "questions": 8,
            },
        )
    )
    baseline = found["kept without the persona"]
    assert (baseline["this run"], baseline["n"], baseline["the paper"]) == ("38% [9, 80]", "8", "about 5%")
    assert baseline["may differ in"] == "writer, critic, people, questions" and baseline["section"] == "5.1"
    gap = found["kept, summary less direct"]
    assert gap["this run"] == "−12 points [−50, +30]" and gap["n"] == "1,200"
    assert found["too obvious, direct"]["this run"] == "25% [no interval]"
    assert found["questions"]["this run"] == "8" and found["questions"]["the paper"] == "700"
    assert found["too obvious, chain of thought"]["this run"] == "–", "what was not measured is a row"


def test_a_kappa_a_count_in_words_and_a_missing_value():
    name = "kappa, the model and the people's majority"
    assert cells(runs.beside_paper("05", {name: (0.45, -0.1, 0.8, 90)}))[name]["this run"] == "0.45 [−0.10, 0.80]"
    assert cells(runs.beside_paper("05", {name: None}))[name]["this run"] == "–"
    assert cells(runs.beside_paper("05", {name: (np.nan, np.nan, np.nan, 0)}))[name]["this run"] == "–"
    kept = "prompts kept by all filters"
    assert cells(runs.beside_paper("02", {kept: "5 of 12 (42%)"}))[kept]["this run"] == "5 of 12 (42%)"


def test_a_figure_that_the_paper_lacks_is_refused():
    with pytest.raises(ValueError, match="no figure typo for notebook 06"):
        runs.beside_paper("06", {"typo": 1})


def test_each_number_of_the_paper_has_its_place_in_the_paper_and_a_unit():
    known = pd.read_csv(DATA / "paper.csv", dtype=str, keep_default_na=False)
    assert known["where"].ne("").all() and known["paper"].ne("").all()
    assert set(known["unit"]) <= {"share", "points", "number", "count"}
    assert not known.duplicated(["notebook", "figure"]).any()


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb"))[1:], ids=lambda path: path.stem)
def test_a_notebook_shows_the_paper_s_numbers_or_says_that_there_are_none(path):
    notebook = json.loads(path.read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in notebook]
    (heading,) = [i for i, source in enumerate(sources) if source.startswith("## Beside the paper")]
    known = pd.read_csv(DATA / "paper.csv", dtype=str)["notebook"].eq(path.stem[:2]).any()
    if known:
        assert f'runs.beside_paper("{path.stem[:2]}"' in sources[heading + 1].replace("(\n    ", "(")
    else:
        assert "no number of this" in " ".join(sources[heading].split())
