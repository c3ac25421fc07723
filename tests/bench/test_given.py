"""Answers that exist already are judged: `persona score`."""

import pandas as pd
import pytest
from commands import one_line, persona
from endpoint import Endpoint, completion
from places import ROOT

PAGE = (ROOT / "docs" / "score.md").read_text("utf-8")
PROMPT, ANSWER = "Why vote?", "One vote counts."
PEOPLE = "persona_id,age,religion\nann,67,Catholic\nbob,34,\n"
ROWS = [
    {"persona_id": "ann", "prompt_id": "n1", "prompt": PROMPT, "answer": ANSWER, "condition": "ours"},
    {"persona_id": "bob", "prompt_id": "n1", "prompt": PROMPT, "answer": "A bad one.", "condition": "ours"},
    {"persona_id": "ann", "prompt_id": "n2", "prompt": "Why save?", "answer": "", "condition": "ours"},
    {"persona_id": "bob", "prompt_id": "n2", "prompt": "Why save?", "answer": "Prices rise.", "condition": "theirs"},
]


def judge(body: dict) -> dict:
    """A stand-in for a judge: it keeps all but bad answers."""
    verdict = "revise" if "A bad one." in body["messages"][-1]["content"] else "keep"
    return completion(f'{{"critique": "So.", "grade": 4, "verdict": "{verdict}"}}')


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "store.sqlite"))
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "answers.csv").write_text(PAGE.split("```csv\n")[1].split("```")[0])
    return tmp_path


def test_answers_of_ones_own_are_judged_and_counted(here):
    with Endpoint(judge, models=("m",)) as stand_in:
        asked = ("--model", "m", "--base-url", stand_in.url, "--personas", here / "people.csv")
        done = persona("score", here / "answers.csv", *asked, "--out", here / "judged.csv")
        assert done.exit_code == 0, done.stderr
        assert len(stand_in.requests) == 3
        assert all("religion: Catholic" in str(r) for r in stand_in.requests if ANSWER in str(r))
    table = pd.read_csv(here / "judged.csv")
    assert table["score"].fillna(-1).tolist() == [1, 0, -1, 1]
    assert table["failure"].dropna().tolist() == ["no answer in the file"]
    shown = [" ".join(line.split()) for line in done.stdout.splitlines()[2:4]]
    assert shown[0].startswith("ours 2 1 50% ")  # condition, n, failed, rate
    assert all(line in " ".join(PAGE.split()) for line in shown), "the page shows what the command prints"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"drop": "answer"}, "lacks answer"),
        ({"persona_id": "eve"}, "no profile of eve"),
        ({"persona_id": ""}, "a row without persona_id"),
        ({"persona_id": "ann", "prompt_id": "n1", "condition": "ours"}, "two answers with the same"),
    ],
)
def test_a_table_that_cannot_be_judged_is_one_line(here, change, said):
    table = pd.DataFrame(ROWS)
    if "drop" in change:
        table = table.drop(columns=change["drop"])
    else:
        table.loc[3, list(change)] = list(change.values())
    table.to_csv(here / "answers.csv", index=False)
    told = ("--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--personas", here / "people.csv")
    assert said in one_line(persona("score", here / "answers.csv", *told, "--out", here / "judged.csv"))


def test_without_profiles_the_line_says_what_to_add(here):
    line = one_line(persona("score", here / "answers.csv", "--model", "m", "--out", here / "judged.csv"))
    assert "no column profile" in line and "--personas FILE" in line
