"""The benchmark's notebooks against a model with one answer to everything and a judge that is never valid."""

import json
from pathlib import Path

import figures
import pandas as pd
import pytest
from commands import persona
from endpoint import Endpoint, completion

STEMS = (
    "04_leave_one_out",
    "05_fidelity",
    "07_summaries",
    "08_pass_at_k",
    "09_intersections",
    "10_judges",
)


def answer(body: dict) -> dict:
    """As writer, the same to everybody; as judge, nothing that could be read."""
    fields = body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("properties", {})
    judging = "verdict" in fields or "age" in fields or not fields
    reply = completion("As a judge I would rather not." if judging else json.dumps(dict.fromkeys(fields, "Yes.")))
    if body.get("logprobs") and not fields:
        content = [{"token": "As", "logprob": 0, "top_logprobs": [{"token": "As", "logprob": 0}]}]
        reply["choices"][0]["logprobs"] = {"content": content}
    return reply


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    options = ["--only", ",".join(stem[:2] for stem in STEMS), "--model", "m", "--out", folder / "run"]
    with pytest.MonkeyPatch.context() as patch, Endpoint(answer) as endpoint:
        patch.setenv("PERSONA_STORE", str(folder / "replies.sqlite"))
        done = persona("run", *options, "--base-url", endpoint.url)
    assert done.exit_code == 1 and done.stdout.count("most items failed") == len(STEMS), done.stdout + done.stderr
    return folder / "run"


def table(run: Path, stem: str, name: str) -> pd.DataFrame:
    return pd.read_parquet(run / stem / "tables" / f"{name}.parquet")


def test_every_notebook_ends_with_a_headline_that_says_what_is_missing(run):
    records = {stem: json.loads((run / stem / "record.json").read_text()) for stem in STEMS}
    said = {stem[:2]: record["headline"] for stem, record in records.items()}
    assert said["04"].startswith("No choice could be compared. Against the base answer the same person chooses alike")
    assert said["04"].endswith("No change of the score by hiding an attribute could be measured.")
    assert said["07"].startswith("No summary could be judged: ") and said["07"].endswith("are without a verdict.")
    assert said["08"].startswith("m, chain of thought: pass@1 is not estimable")
    assert said["05"].endswith("Of 5 claims for it, 0 are supported and 0 refuted, each by its own 95% interval.")
    assert "it is right in an unknown share (n = 0; nothing scored) of its answers" in said["05"]
    assert said["09"].startswith("m, chain of thought: none of 8 answers has a verdict of m. 54 further groups have no")
    assert said["10"].startswith("m gave no verdicts by which the control items could place it.")
    assert "The order of the answers decides an unknown share (n = 0; nothing scored) of its choices;" in said["10"]
    assert "nan" not in " ".join(said.values()).lower()
    drawn = [run / stem / "figures" / f"{name}.png" for stem in STEMS for name in records[stem]["figures"]]
    assert 0 < len(drawn) < 10, "of nothing no figure is drawn"
    assert all(path.stat().st_size > 10_000 for path in drawn)
    found = figures.written(run)
    assert len(found) == len(drawn) and not any(found.values()), found


def test_what_failed_is_a_row_with_its_reason(run):
    choices, hidden = (table(run, "04_leave_one_out", name) for name in ("choices", "hidden"))
    assert choices["failure"].str.match("revision: the same (as the base answer|with and without the attribute)").all()
    assert len(choices) == 2 * 3 * 2 * len(choices[["attribute", "persona_id"]].drop_duplicates()), "none is left out"
    assert hidden["failure"].str.startswith("critic: invalid reply").all() and hidden["answer"].eq("Yes.").all()
    losses = table(run, "04_leave_one_out", "losses")
    assert losses["note"].eq("nothing scored").all() and losses["failed"].gt(0).all()
    verdicts, rates = (table(run, "07_summaries", name) for name in ("verdicts", "rates"))
    assert verdicts["failure"].str.startswith("judge: invalid reply").all() and verdicts["lexical"].notna().all()
    assert rates["failed"].sum() == len(verdicts) and rates["rate"].isna().all()
    answers, scores = table(run, "05_fidelity", "answers"), table(run, "09_intersections", "scores")
    simulated = answers["source"].str.startswith("m") & (answers["source"] != "multinomial logit on the attributes")
    assert answers[simulated]["failure"].notna().all() and answers[~simulated]["score"].notna().all()
    assert scores["rate"].isna().all() and scores["failed"].sum() > 0 and scores["note"].ne("").all()
    chosen = table(run, "10_judges", "choices")
    assert chosen["failure"].notna().all() and chosen["score"].isna().all()
    curves, distinct = (table(run, "08_pass_at_k", name) for name in ("curves", "distinct"))
    assert curves["failed"].eq(4).all() and curves["n"].eq(0).all() and curves["note"].eq("nothing scored").all()
    assert distinct["rate"].tolist() == pytest.approx([1 / 3]), "one answer, three times"
