"""The notebooks, replayed from the recording: committed outputs are what the code gives, and a run holds together."""

import json
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from places import ROOT
from replayed import LOOKED_AT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_outputs_are_what_the_code_gives(notebook, executed):
    cells = sum(cell.cell_type == "code" for cell in nbformat.read(notebook, 4).cells)
    said = executed.said
    assert re.findall(rf"^([A-Z]+) {notebook.name}::", said, re.M) == ["PASSED"] * cells, said[-5000:]


def bare(headline: str) -> list[str]:
    """Return the sentences of a headline that have a share or a difference, and no interval or word of its lack."""
    sentences = re.split(r"(?<=[^0-9])[.;] ", headline)
    estimates = (re.sub(r"\([^()]*\)", "", one) for one in sentences)
    found = [one for one, told in zip(sentences, estimates, strict=True) if re.search(r"\d(%| points)", told)]
    return [one for one in found if "interval" not in one and not one.startswith("To detect a gap")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_estimate_of_a_headline_has_an_interval_and_no_finding_calls_a_difference_what_may_be_none(path):
    code = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    (cell,) = [cell for cell in code if "print(headline)" in cell.source]
    (said,) = [output.text for output in cell.outputs if output.output_type == "stream"]
    assert not bare(said)
    (finding,) = re.findall(r'Finding(?:\.of)?\(\s*f?"([^"]+)"|says = f?"([^"]+)"', "\n".join(c.source for c in code))
    assert not re.search(r"\b(more|better|worse|higher|lower)\b", "".join(finding))


def test_an_estimate_without_an_interval_is_found():
    assert bare("Talks: 63% right as tested; it moves by +4 points (95% interval +1 to +7, n = 9).")
    assert not bare("Talks: 63% (95% interval 60% to 66%, n = 9) right. Chance (50%) is less; 3 of 5 are clear.")


def test_an_output_that_differs_from_the_code_is_found(executed):
    assert re.findall(r"^([A-Z]+) wrong.ipynb::", executed.said, re.M) == ["FAILED"]
    assert "what the code gives" in executed.said and "something else" in executed.said


def test_a_replayed_run_makes_no_call(replay):
    records = [json.loads((replay / stem / "record.json").read_text()) for stem in LOOKED_AT]
    used = [model["usage"] for record in records for model in record["models"]]
    assert sum(usage["calls"] for usage in used) == 0 and sum(usage["cached"] for usage in used) >= 64
    manifest = json.loads((replay / "manifest.json").read_text())
    assert {stem: entry["status"] for stem, entry in manifest["notebooks"].items()} == dict.fromkeys(LOOKED_AT, "done")


def test_conditioning_compares_the_same_items_under_each_condition(replay):
    results = pd.read_parquet(replay / "06_conditioning" / "tables" / "results.parquet")
    scores = pd.read_parquet(replay / "06_conditioning" / "tables" / "scores.parquet")
    assert len(results) == 8 * 6 and results["prompt_id"].nunique() == 8
    per_condition = results.groupby("condition")[["persona_id", "prompt_id"]].apply(lambda g: set(map(tuple, g.values)))
    assert per_condition.map(len).eq(8).all() and all(items == per_condition.iloc[0] for items in per_condition)
    assert (scores["n"] + scores["failed"]).eq(8).all()
    assert scores["rate"].tolist() == pytest.approx(results.groupby("condition", sort=False)["score"].mean().tolist())
    assert {"baseline", "direct", "chain_of_thought", "summary", "other_persona"} <= set(results["condition"])
    assert (scores["low"] < scores["rate"]).all() and (scores["rate"] < scores["high"] + 1e-9).all()


def tables(replay: Path, stem: str, *names: str) -> list[pd.DataFrame]:
    return [pd.read_parquet(replay / stem / "tables" / f"{name}.parquet") for name in names]


def test_left_out_attributes_are_judged_by_two_annotators_on_the_same_answers_and_hidden_on_the_same_items(replay):
    choices, pairs, summed = tables(replay, "04_leave_one_out", "choices", "pairs", "summed")
    annotators = choices.groupby("pair_id")["version"].apply(sorted)
    assert annotators.map(list).eq([["with", "without"]] * len(annotators)).all()
    assert choices.groupby("pair_id")[["rejected", "chosen"]].nunique(dropna=False).eq(1).all(axis=None)
    assert (pairs["n"] + pairs["failed"]).eq(2 * choices["prompt_id"].nunique()).all()
    moved, compared = tables(replay, "04_leave_one_out", "moved", "compared")
    assert set(moved.index) == set(summed.index) and (moved["n"] + moved["failed"]).sum() == len(compared)
    against_base = choices[choices["refined_for"] != "both"]
    both = against_base.pivot(index=["attribute", "persona_id", "pair_id"], columns="version", values="choice").dropna()
    raw = (both["with"] == both["without"]).groupby(level=[0, 1]).mean()
    said = pairs.set_index(["attribute", "persona_id"])["raw"].dropna()
    assert raw.to_dict() == pytest.approx(said.to_dict())
    assert summed["undefined"].sum() == pairs["kappa"].isna().sum() and "placebo" in summed.index
    hidden, losses = tables(replay, "04_leave_one_out", "hidden", "losses")
    items = hidden.groupby("hidden")[["persona_id", "prompt_id"]].apply(lambda g: set(map(tuple, g.to_numpy())))
    assert all(own <= items["nothing"] for own in items)
    corrected = losses[losses["p_holm"].notna()]
    assert (corrected["p_holm"] >= corrected["p"]).all() and losses["hidden"].iloc[-1] == "placebo"
    assert losses["difference"][:-1].is_monotonic_increasing


def test_summaries_are_those_of_the_conditioning_and_every_attribute_of_each_persona_is_judged(replay):
    (given,) = tables(replay, "06_conditioning", "results")
    results, verdicts, rates, each = tables(replay, "07_summaries", "results", "verdicts", "rates", "each")
    same = given[given["condition"] == "summary"].set_index(["persona_id", "prompt_id"])["working"]
    summaries = results.set_index(["persona_id", "prompt_id"])["working"].to_dict()
    assert len(summaries) == 2 and summaries.items() <= same.to_dict().items()
    # The line of the Big Five names five traits, which are judged one by one.
    named = results["profile"].str.replace("big five scores: ", "").str.lower()
    names = named.str.replace(r", (?=\w+: )", "\n", regex=True)
    lines = results.assign(attribute=names.str.findall(r"(?m)^([^:\n]+): ")).explode("attribute")
    key = ["persona_id", "prompt_id", "attribute"]
    assert set(map(tuple, lines[key].to_numpy())) == set(map(tuple, verdicts[key].to_numpy()))
    counted = rates.set_index("attribute")
    assert (counted["n"] + counted["failed"]).sum() == len(verdicts) and len(counted) == 37
    assert counted["rate"].dropna().to_dict() == pytest.approx(verdicts.groupby("attribute")["score"].mean().to_dict())
    assert each["attributes"].sum() == len(verdicts)


def test_curves_start_from_the_share_kept_and_part_as_k_grows(replay):
    samples, curves, known = tables(replay, "08_pass_at_k", "samples", "curves", "known")
    sizes = samples.groupby(["persona_id", "prompt_id"]).size()
    assert sizes.eq(3).all() and len(sizes) == 4
    rates = curves.pivot(index="measure", columns="k", values="rate")
    assert rates[1].tolist() == pytest.approx([samples["score"].mean()] * 2)
    assert rates.loc["pass@k"].is_monotonic_increasing and rates.loc["pass^k"].is_monotonic_decreasing
    assert (curves["low"] <= curves["rate"] + 1e-9).all() and (curves["rate"] <= curves["high"] + 1e-9).all()
    reported = known.set_index(["errors", "share", "k"])["reported"]
    assert reported["independent errors", 0.0, 16] == pytest.approx(0.56, abs=0.001)
    assert reported["errors correlated by 0.3", 0.0, 16] < 0.3, "errors of one item come together"
