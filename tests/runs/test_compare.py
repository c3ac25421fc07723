"""Runs compared on the items that they share; what only one has is counted, not compared."""

import json

import numpy as np
import pandas as pd
import pytest
from commands import one_line, persona
from written_runs import NOTEBOOK, change, results, write

from persona_lib import UserError, plots
from persona_lib.runs.results import compare, several

TABLE = "06_conditioning/results"


def run(folder, scores: dict[str, list[float | None]], start: int = 0, given=None, **entry):
    return write(folder, results(scores, start), given, **entry)


def two(first, second, **how):
    return compare.two(several.read([first, second]), **how)


def many(*folders, **how):
    return compare.many(several.read(folders), **how)


def test_the_same_items_are_compared_and_a_difference_is_found(tmp_path):
    one = run(tmp_path / "a", {"direct": [0.0] * 36, "baseline": [0.0, 1.0] * 18})
    other = run(tmp_path / "b", {"direct": [1.0] * 30 + [None] * 6, "baseline": [0.0, 1.0] * 18, "summary": [1.0] * 36})
    found = two(one, other)
    assert found.loc["direct", ["n", "failed"]].tolist() == [30, 6] and found.loc["direct", "difference"] == 1
    assert found.loc["baseline", "difference"] == 0 and found.loc["direct", "p_holm"] < 0.01
    assert found.loc["summary", ["n", "only first", "only second"]].tolist() == [0, 0, 36]
    assert "share no item" in found.loc["summary", "note"]
    assert two(other, one).loc["summary", ["n", "only first", "only second"]].tolist() == [0, 36, 0]


def test_it_is_said_where_writers_judges_or_sizes_differ(tmp_path):
    folders = []
    for name, given in (("a", {"judge": "j", "out": "x"}), ("b", {"judge": None, "out": "y"})):
        models = [{"identity": {"name": "local", "weights_sha256": name * 64}}, {"identity": {"name": "m"}}]
        folders.append(run(tmp_path / name, {"direct": [1.0] * 6}, given={"model": "m", **given}, models=models))
    found = compare.differing(several.read(folders), NOTEBOOK)
    assert found.T.to_dict("list") == {"judge": ["j", None], "weights": ["a" * 12, "b" * 12]}
    said = persona("compare", *folders).stdout.splitlines()
    assert said[-2] == f"the runs differ in judge: j in {folders[0]}; null in {folders[1]}"
    same = run(tmp_path / "c", {"direct": [1.0] * 6}, given={"model": "m", "judge": "j", "out": "z"}, models=models[:0])
    again = run(
        tmp_path / "d", {"direct": [1.0] * 6}, given={"model": "m", "judge": "j", "out": "w"}, models=models[:0]
    )
    assert "the runs differ" not in persona("compare", same, again).stdout


def test_what_cannot_be_compared_is_said(tmp_path):
    one, other = run(tmp_path / "a", {"direct": [1.0] * 6}), run(tmp_path / "b", {"direct": [1.0] * 6}, start=600)
    with pytest.raises(UserError, match="share no persona x prompt item"):
        two(one, other)
    entry = json.loads((other / "manifest.json").read_text())["notebooks"][NOTEBOOK]
    change(other, notebooks={NOTEBOOK: entry | {"people": "abc"}})
    with pytest.raises(UserError, match=r"share no persona x prompt item .*: two versions drew their people"):
        two(one, other)
    with pytest.raises(UserError, match="has no table 06_conditioning/result: it has 06_conditioning/results"):
        two(one, other, table="06_conditioning/result")
    with pytest.raises(UserError, match="lacks the columns mood"):
        two(one, other, by="mood")
    methods = run(tmp_path / "m", {"direct": [1.0] * 6})
    (methods / "06_conditioning").rename(methods / "11_methods")
    tables = methods / "11_methods" / "tables"
    (tables / "results.parquet").rename(tables / "respondent_scores.parquet")
    told = (methods / "manifest.json").read_text().replace("06_conditioning", "11_methods")
    (methods / "manifest.json").write_text(told.replace('"results"', '"respondent_scores"'))
    with pytest.raises(UserError, match="compare methods with --table 11_methods/respondent_scores --by method"):
        two(methods, other)
    with pytest.raises(UserError, match="is not the folder of a run"):
        two(tmp_path / "c", one)
    for given in ((one,), (one, one), (one, other, one)):
        assert "name" in one_line(persona("compare", *given))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "manifest.json can't be read as JSON"),
        ("[]", "manifest.json can't be read as JSON: it is no object"),
        ("{}", "manifest.json is not the manifest of a run: it lists no notebooks"),
        ('{"notebooks": [1]}', "it lists no notebooks"),
        ('{"notebooks": {"06_conditioning": 1}}', "it lists no notebooks"),
    ],
)
def test_a_damaged_manifest_is_one_line(tmp_path, text, said):
    one, other = (run(tmp_path / name, {"direct": [1.0] * 6}) for name in "ab")
    (one / "manifest.json").write_text(text)
    (line,) = one_line(persona("compare", other, one)).splitlines()
    assert said in line


def test_a_damaged_table_and_columns_that_hold_no_scores_are_one_line(tmp_path):
    one, other = (run(tmp_path / name, {"direct": [1.0] * 6}) for name in "ab")
    for by in ("persona_id", "score"):
        with pytest.raises(UserError, match=f"--by {by} is no column of groups"):
            two(one, other, by=by)
    with pytest.raises(UserError, match=r"condition of .* is no number: choose a score with --value"):
        two(one, other, by="template", value="condition")
    (one / "06_conditioning" / "tables" / "results.parquet").write_bytes(b"PAR1 and no more")
    assert "results.parquet can't be read as parquet" in one_line(persona("compare", one, other))


def three(folder):
    """Three runs of models that do the same, better in `direct`, and do not know the other's condition."""
    zero, one = [0.0] * 36, [1.0] * 36
    scores = ({"direct": zero, "baseline": zero}, {"direct": one[:30] + [None] * 6, "baseline": zero},
              {"direct": zero, "summary": one})  # fmt: skip
    return [run(folder / m, own, given={"model": m}) for m, own in zip(("m1", "m2", "m3"), scores, strict=True)]


def test_several_runs_stand_beside_each_other_and_are_paired_with_the_first(tmp_path):
    found = many(*three(tmp_path))
    at = found.compared.set_index(["group", "label"])
    assert list(at.index.unique("group")) == ["direct", "baseline", "summary"] and len(at) == 9
    assert at.loc[("direct", "m2"), ["n", "failed", "rate", "shared", "unscored", "difference"]].tolist() == [
        *(30, 6, 1, 30, 6, 1)
    ]
    assert at.loc[("direct", "m2"), "low"] > 0.5
    assert at.xs("m1", level="label")[["shared", "difference", "p_holm"]].isna().all(axis=None)
    assert at.loc[("summary", "m1"), "n"] == 0 and "no such group" in at.loc[("summary", "m1"), "note"]
    assert at.loc[("summary", "m3"), ["shared", "only_first", "only_here"]].tolist() == [0, 0, 36]
    known = at["p"].dropna()  # one family: direct of two runs, baseline of one
    assert len(known) == 3 and at.loc[("direct", "m2"), "p_holm"] == pytest.approx(min(1, 3 * known.min()))
    assert "1 of 3 differences from m1 are clear" in compare.said(found.compared)
    assert "m2 in direct: +100 points" in compare.said(found.compared) and found.notes == []
    assert found.changed[["label", "group", "first", "here"]].drop_duplicates().values.tolist() == [
        ["m2", "direct", 0, 1]
    ]
    assert len(found.changed) == 30


def test_of_two_runs_several_find_what_two_find(tmp_path):
    rng = np.random.default_rng(0)
    a, b = (run(tmp_path / name, {"direct": list(rng.integers(0, 2, 36).astype(float))}) for name in "ab")
    row, beside = two(a, b).loc["direct"], many(a, b).compared.iloc[1]
    parts = ["shared", "unscored", "difference", "difference_low", "difference_high", "p", "p_holm"]
    assert beside[parts].tolist() == row[["n", "failed", "difference", "low", "high", "p", "p_holm"]].tolist()


def labels(tmp_path, *given):
    places = [run(tmp_path / f"r{i}", {"direct": [1.0] * 6}, given=own) for i, own in enumerate(given)]
    return list(many(*places).compared["label"])


def test_columns_are_labelled_by_model_and_else_by_what_differs(tmp_path):
    assert labels(tmp_path / "1", {"model": "m1"}, {"model": "m2", "seed": 1}) == ["m1", "m2"]
    assert labels(tmp_path / "2", {"model": "m", "seed": 0}, {"model": "m", "seed": 1}) == ["m, seed=0", "m, seed=1"]
    seeds = [{"model": m, "seed": s} for m, s in (("m1", 0), ("m2", 0), ("m2", 1))]
    assert labels(tmp_path / "3", *seeds) == ["m1", "m2, seed=0", "m2, seed=1"]
    assert labels(tmp_path / "4", {"model": "m"}, {"model": "m"}) == ["m, r0", "m, r1"]
    long = [{"model": "m", "judge": name * 40} for name in "ab"]
    assert labels(tmp_path / "5", *long) == ["m, r0", "m, r1"]
    assert labels(tmp_path / "6", {"n": 1}, {"n": 2}) == ["n=1", "n=2"]
    assert labels(tmp_path / "7", {"n": 1}, {"n": 1}, {"n": 2}) == ["r0", "r1", "r2"]


def test_each_model_of_a_run_is_a_column(tmp_path):
    scores = {"direct": [1.0] * 36}
    both = pd.concat([results(scores, model=name) for name in ("m1", "m2")])
    found = many(write(tmp_path / "a", both), write(tmp_path / "b", results(scores, model="m2")))
    assert list(found.compared["label"]) == ["m1", "m2, a", "m2, b"] and set(found.compared["n"]) == {36}


def test_a_run_without_the_table_or_without_shared_items_is_told_in_a_line(tmp_path):
    places = three(tmp_path)
    places += [write(tmp_path / state, None, status=state) for state in ("running", "failed")]
    places += [run(tmp_path / "others", {"direct": [1.0] * 36}, start=600, people="abc", given={"model": "m6"})]
    places += [write(tmp_path / "bare", results({"direct": [1.0]}).drop(columns="score"))]
    found = many(*places)
    said = ["its notebook is 'running'", "its notebook is 'failed'", "lacks the columns score", "drew their people"]
    assert len(found.notes) == 4 and all(text in note for text, note in zip(said, found.notes, strict=True))
    assert found.compared["label"].unique().tolist() == ["m1", "m2", "m3", "m6"]
    done = persona("compare", *places)
    assert done.exit_code == 0 and done.stderr.count("note: ") == 4
    with pytest.raises(UserError, match="its notebook is 'running'"):
        many(places[0], places[3])
    assert "its notebook is 'failed'" in one_line(persona("compare", places[4], places[0]))
    line = one_line(persona("compare", *places[:3], "--by", "mood"))
    assert "m1/06_conditioning/results lacks the columns mood" in line and "(and 2 more runs can't" in line
    beyond = [run(tmp_path / f"beyond{i}", {"direct": [5.0]}) for i in range(3)]
    assert "score must lie from 0 to 1" in one_line(persona("compare", *beyond))


def test_the_text_has_a_row_per_group_and_a_column_per_run(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    lines = persona("compare", *three(tmp_path)).stdout.splitlines()
    assert lines[2].split() == ["group", "m1", "m2", "m3"]
    assert any(line.startswith("summary") and line.split()[1:3] == ["none", "none"] for line in lines)
    assert any("+100*" in line and line.startswith("direct") for line in lines)
    assert "the runs differ in model: m1 in" in lines[-1]


def test_the_figure_says_each_rate_and_draws_twelve_runs_with_long_names():
    names = [f"organisation/a-model-whose-name-is-long-{i}" for i in range(12)]
    rows = [(g, n, 36, i / 12, 0.0, 1.0, i == 3) for g in ("direct", "summary") for i, n in enumerate(names)]
    rows[-1] = ("summary", names[-1], 0, np.nan, np.nan, np.nan, False)
    table = pd.DataFrame(rows, columns=["group", "label", "n", "rate", "low", "high", "clear"])
    ax = plots.runs.several(table, "A finding", "share kept")
    panels = ax.figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == ["direct", "summary"]
    assert [text.get_text() for text in panels[1].texts] == [*(f"{i / 12:.0%}" for i in range(11)), "no rate"]
    marks = [line.get_markerfacecolor() for line in panels[0].lines[1:]]
    assert [mark != "white" for mark in marks] == [True, False, False, True, *[False] * 8]
    assert "n = 36 items" in ax.figure.get_supxlabel()
