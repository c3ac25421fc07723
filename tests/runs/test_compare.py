"""Two runs compared on the items that both have; what only one has is counted, not compared."""

import json

import pandas as pd
import pytest
from commands import one_line, persona

from persona_lib import UserError
from persona_lib.runs import compare


def run(folder, scores: dict[str, list[float | None]], start: int = 0):
    rows = [
        {
            "persona_id": f"p{i % 12}",
            "prompt_id": f"q{(i + start) // 3}",
            "condition": condition,
            "template": "x",
            "score": score,
        }
        for condition, column in scores.items()
        for i, score in enumerate(column)
    ]
    (folder / "06_conditioning" / "tables").mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(folder / "06_conditioning" / "tables" / "results.parquet")
    entry = {"06_conditioning": {"tables": ["results"]}}
    (folder / "manifest.json").write_text(json.dumps({"notebooks": entry, "versions": {}}))
    return folder


def test_the_same_items_are_compared_and_a_difference_is_found(tmp_path):
    one = run(tmp_path / "a", {"direct": [0.0] * 36, "baseline": [0.0, 1.0] * 18})
    two = run(tmp_path / "b", {"direct": [1.0] * 30 + [None] * 6, "baseline": [0.0, 1.0] * 18, "summary": [1.0] * 36})
    found = compare.runs(one, two)
    assert found.loc["direct", ["n", "failed"]].tolist() == [30, 6] and found.loc["direct", "difference"] == 1
    assert found.loc["baseline", "difference"] == 0 and found.loc["direct", "p_holm"] < 0.01
    assert found.loc["summary", ["n", "only first", "only second"]].tolist() == [0, 0, 36]
    assert "share no item" in found.loc["summary", "note"]
    assert compare.runs(two, one).loc["summary", ["n", "only first", "only second"]].tolist() == [0, 36, 0]


def test_it_is_said_where_writers_judges_or_sizes_differ(tmp_path):
    folders = []
    for name, given in (("a", {"judge": "j", "out": "x"}), ("b", {"judge": None, "out": "y"})):
        folders.append(run(tmp_path / name, {"direct": [1.0] * 6}))
        manifest = json.loads((folders[-1] / "manifest.json").read_text())
        models = [{"identity": {"name": "local", "weights_sha256": name * 64}}, {"identity": {"name": "m"}}]
        manifest["notebooks"]["06_conditioning"] |= {"parameters": {"model": "m", **given}, "models": models}
        (folders[-1] / "manifest.json").write_text(json.dumps(manifest))
    found = compare.differing(*folders)
    assert found == {"judge": ("j", None), "weights": (["a" * 12], ["b" * 12])}
    said = persona("compare", *folders).stdout.splitlines()
    assert said[-2] == f"the runs differ in judge: j in {folders[0]}, None in {folders[1]}"
    assert "the runs differ" not in persona("compare", folders[0], folders[0]).stdout


def test_what_cannot_be_compared_is_said(tmp_path):
    one, two = run(tmp_path / "a", {"direct": [1.0] * 6}), run(tmp_path / "b", {"direct": [1.0] * 6}, start=600)
    with pytest.raises(UserError, match="share no persona x prompt item"):
        compare.runs(one, two)
    manifest = json.loads((two / "manifest.json").read_text())
    manifest["notebooks"]["06_conditioning"]["people"] = "abc"
    (two / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"share no persona x prompt item .*: two versions drew their people"):
        compare.runs(one, two)
    with pytest.raises(UserError, match="has no table 06_conditioning/result: it has 06_conditioning/results"):
        compare.runs(one, one, table="06_conditioning/result")
    with pytest.raises(UserError, match="lacks the columns mood"):
        compare.runs(one, one, by="mood")
    with pytest.raises(UserError, match="is not the folder of a run"):
        compare.runs(tmp_path, one)


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
    one = run(tmp_path / "a", {"direct": [1.0] * 6})
    (one / "manifest.json").write_text(text)
    (line,) = one_line(persona("compare", one, one)).splitlines()
    assert said in line


def test_a_damaged_table_and_columns_that_hold_no_scores_are_one_line(tmp_path):
    one = run(tmp_path / "a", {"direct": [1.0] * 6})
    for by in ("persona_id", "score"):
        with pytest.raises(UserError, match=f"--by {by} is no column of groups"):
            compare.runs(one, one, by=by)
    with pytest.raises(UserError, match=r"condition of .* is no number: choose a score with --value"):
        compare.runs(one, one, by="template", value="condition", table="06_conditioning/results")
    (one / "06_conditioning" / "tables" / "results.parquet").write_bytes(b"PAR1 and no more")
    assert "results.parquet can't be read as parquet" in one_line(persona("compare", one, one))
