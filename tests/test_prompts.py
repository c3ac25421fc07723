"""The bank is fit to be quoted, ids and split hold when it grows, and draws are spread over topics."""

import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from persona_lib import UserError, prompts


@pytest.fixture(scope="module")
def bank() -> pd.DataFrame:
    return prompts.load()


def test_schema(bank):
    assert list(bank) == ["prompt_id", "prompt", "topic", "source", "prompt_split"]
    assert not bank.isna().any(axis=None)
    assert set(bank["source"]) == {"builtin"}
    assert set(bank["prompt_split"]) == {"train", "heldout"}


def test_unknown_source_is_named_with_the_known_ones():
    with pytest.raises(UserError, match=r"'prsm'.*builtin"):
        prompts.load("prsm")


def test_size(bank):
    assert len(bank) >= 150
    per_topic = bank["topic"].value_counts()
    assert len(per_topic) >= 25
    assert per_topic.min() >= 5


def test_form(bank):
    text = bank["prompt"]
    assert text.str.endswith("?").all()
    assert text.str.split().str.len().between(8, 45).all()
    assert (text == text.str.split().str.join(" ")).all(), "stray white space would change an id"
    assert not text.str.contains(r"\b(?:19|20)\d\d\b|\b(?:recent|latest|nowadays)", case=False).any(), "dated"


def test_asker_stays_open(bank):
    """A persona of 22 cannot ask about its grandson, nor a single one about its wife."""
    kin = "wife|husband|spouse|boyfriend|girlfriend|kids?|child(?:ren)?|sons?|daughters?|grand\\w+"
    others = "mom|mother|dad|father|parents|boss|employer|job|church|faith"
    roles = rf"\bmy (?:\w+ )?(?:{kin}|{others})\b"
    assert bank.loc[bank["prompt"].str.contains(roles, case=False), "prompt"].tolist() == []


def test_no_near_duplicates(bank):
    vectors = TfidfVectorizer().fit_transform(bank["prompt"])
    likeness = (vectors @ vectors.T).toarray()
    pairs = zip(*(likeness > 0.6).nonzero(), strict=True)
    close = [(bank["prompt"][i], bank["prompt"][j]) for i, j in pairs if i < j]
    assert close == []


def test_ids_and_split_are_those_once_given(bank):
    assert bank["prompt_id"].is_unique
    given = bank.set_index("prompt")[["prompt_id", "prompt_split"]].apply(tuple, axis=1)
    assert given["Is spanking a small child discipline or harm?"] == ("qfc7a44a5", "train")
    assert given["Should landlords charge whatever the market will bear?"] == ("q8b80b6ae", "train")
    assert given["How worried should an ordinary family be about global warming?"] == ("qeb11e9fe", "heldout")


def test_split_has_the_papers_share_and_is_even_over_topics(bank):
    heldout = bank["prompt_split"] == "heldout"
    assert heldout.mean() == pytest.approx(868 / 3868, abs=0.04)
    by_topic = heldout.groupby(bank["topic"]).mean()
    assert by_topic.between(0.1, 0.4).all(), by_topic


def test_growth_moves_no_question(bank, monkeypatch, tmp_path):
    new = [f"Is it right to do favor number {i} for a stranger?" for i in range(4000)]
    added = pd.DataFrame({"topic": ["AI and technology", "favors"] * 2000, "prompt": new})
    grown = pd.concat([added, bank[::-1]])[["topic", "prompt"]]
    grown.to_csv(tmp_path / "grown.csv", index=False)
    monkeypatch.setitem(prompts.SOURCES, "builtin", tmp_path / "grown.csv")
    after = prompts.load()
    kept = after[after["prompt"].isin(bank["prompt"])]
    pd.testing.assert_frame_equal(kept[::-1].reset_index(drop=True), bank)
    joined = after[~after["prompt"].isin(bank["prompt"])]
    # Among 4,000 new questions the share held out is the paper's within three standard errors (0.0066 each).
    assert (joined["prompt_split"] == "heldout").mean() == pytest.approx(868 / 3868, abs=0.02)


@pytest.mark.parametrize("n", [1, 8, 31, 40, 150])
def test_sample_is_distinct_and_spread_over_topics(bank, n):
    drawn = prompts.sample(bank, n, seed=3)
    assert len(drawn) == n
    assert list(drawn.index) == list(range(n))
    assert drawn["prompt_id"].is_unique
    pd.testing.assert_frame_equal(drawn, drawn[["prompt_id"]].merge(bank, on="prompt_id"))
    per_topic = drawn["topic"].value_counts().reindex(bank["topic"].unique(), fill_value=0)
    assert per_topic.max() - per_topic.min() <= 1


def test_sample_of_uneven_topics_takes_turns(bank):
    uneven = bank[bank["topic"].isin(["guns", "race"])].iloc[:8]
    drawn = prompts.sample(uneven, 8, seed=0)
    assert set(drawn["topic"][:2]) == set(drawn["topic"][2:4]) == {"guns", "race"}
    assert set(drawn["topic"][4:]) == {"guns"}


def test_small_topics_are_drawn_as_often_as_large_ones(bank):
    uneven = bank[bank["topic"].isin(["guns", "race"])].iloc[:7]
    first = [prompts.sample(uneven, 1, seed)["topic"][0] for seed in range(200)]
    assert 70 <= first.count("race") <= 130


def test_sample_depends_on_seed_and_not_on_the_order_of_rows(bank):
    drawn = prompts.sample(bank, 40, seed=0)
    pd.testing.assert_frame_equal(drawn, prompts.sample(bank[::-1], 40, seed=0))
    assert set(drawn["prompt_id"]) != set(prompts.sample(bank, 40, seed=1)["prompt_id"])
    assert drawn["topic"].tolist() != prompts.sample(bank, 40, seed=1)["topic"].tolist()


def test_larger_sample_begins_with_the_smaller(bank):
    pd.testing.assert_frame_equal(prompts.sample(bank, 100, seed=0)[:12], prompts.sample(bank, 12, seed=0))


def test_whole_bank_can_be_drawn_and_no_more_or_less(bank):
    size = len(bank)
    assert set(prompts.sample(bank, size, seed=0)["prompt_id"]) == set(bank["prompt_id"])
    for n in (0, -1, size + 1):
        with pytest.raises(UserError, match=rf"^cannot draw {n} of {size} prompts: .* 1 to {size}$"):
            prompts.sample(bank, n, seed=0)
