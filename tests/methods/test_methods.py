"""Methods that need no model: controls, and what linear and latent ones learn where the truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from persona_lib import methods
from persona_lib.methods import Setting, controls, groups, latent, linear, scores, simulated
from persona_lib.methods.builtin import logistic
from persona_lib.methods.builtin.tally import tally

SIZES = {"seen": 200, "unseen": 60, "prompts": 60, "heldout": 30, "history": 48, "tests": 20, "dimensions": 12}
STRUCTURED = simulated.Design(**SIZES, rank=2, within=2.5)
ALIKE = simulated.Design(**SIZES, rank=2, within=0.0)
K = 32
LEARNERS = (linear.Pooled, linear.Shrunk, latent.LowRank, latent.Mixture, latent.Encoder, latent.IdealPoints)


def tried(world, kinds, ks=(K,)):
    embed = methods.embedder(world)
    return methods.trial(world, [kind(embed) for kind in kinds], Setting(ks=ks))


@pytest.mark.parametrize("precision", [0.3, 1.0, 10.0])
def test_weights_equal_scikit_learns(precision):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 7))
    y = (rng.random(300) < expit(z @ rng.normal(size=7))).astype(float)
    theirs = LogisticRegression(C=1 / precision, fit_intercept=False, tol=1e-10, max_iter=1000).fit(z, y).coef_[0]
    assert logistic.weights(z, y, precision) == pytest.approx(theirs, abs=1e-5)
    sample = rng.integers(1, 4, 300)
    model = LogisticRegression(C=1 / precision, fit_intercept=False, tol=1e-10, max_iter=1000)
    assert logistic.weights(z, y, precision, sample) == pytest.approx(model.fit(z, y, sample).coef_[0], abs=1e-5)


@pytest.mark.parametrize("variance", [0.01, 1.0, 100.0])
def test_a_persons_place_is_the_posterior_mode_of_their_weights(variance):
    rng = np.random.default_rng(1)
    z, shared = rng.normal(size=(2, 9, 20)), rng.normal(size=20)
    y = np.array([[1, 0, 1, 1, 0.5, 0, 1, 0, 1], [0, 0, 1, 0.5, 1, 1, 0, 1, 1]])
    known = np.array([[1] * 9, [1] * 6 + [0] * 3])
    narrow, directions = logistic.narrow(z)
    both = logistic.times(directions, logistic.place(narrow, y, z @ shared, variance, known))
    for own, of, chosen, n in zip(both, z, y, (9, 6), strict=True):
        alone = logistic.weights(of[:n], chosen[:n], 1 / variance, offset=of[:n] @ shared)
        assert own == pytest.approx(alone, abs=1e-3)
        assert np.allclose(logistic.place(of[:n], chosen[:n], of[:n] @ shared, variance), alone, atol=1e-3)
    for nothing in (logistic.place(z[:, :0], y[:, :0], 0.0, variance), logistic.place(z, y, z @ shared, 0.0)):
        assert nothing.shape == (2, 20) and not nothing.any()


def test_choices_counted_by_pair_give_the_weights_of_all_of_them():
    world = simulated.world(simulated.Design(**SIZES | {"seen": 20}, ties=0.3), 1)
    text = world.candidates.set_index("candidate_id")["text"]
    shown = {side: world.choices[side].map(text) for side in ("first", "second")}
    given = world.choices.assign(**shown, prompt=world.choices["prompt_id"], person=lambda t: t.index % 20)
    method = linear.Pooled(methods.embedder(world))
    method.fit(given, None)
    z = method.gaps(given["prompt"], given["first"], given["second"])
    assert method.weights == pytest.approx(logistic.weights(z, given["p_first"].to_numpy(), linear.RIDGE), abs=1e-6)
    choices, pairs = tally(method, given)
    assert len(choices.z) == len(pairs[0]) < len(given) and (choices.z[choices.pair] == z).all()


def pairs(*rows):
    return pd.DataFrame(rows, columns=["person", "prompt", "first", "second", "p_first"])


def arrays(*rows):
    return tuple(np.array(column, dtype=object) for column in zip(*rows, strict=True))


def test_controls_say_what_their_names_say():
    asked = arrays(("q", "a", "bb"), ("q", "bb", "a"), ("q", "cc", "bb"), ("r", "a", "bb"))
    assert controls.Longer(None).prefer(*asked).tolist() == [0, 1, 0.5, 0]
    majority = controls.Majority(None)
    majority.fit(pairs((0, "q", "a", "bb", 1.0), (1, "q", "bb", "a", 1.0), (2, "q", "a", "bb", 1.0)), pd.DataFrame())
    assert majority.prefer(*asked) == pytest.approx([2 / 3, 1 / 3, 0.5, 0.5])


class Keeps(methods.Method):
    """Keeps the context that it was given."""

    name = "keeps"

    def adapt(self, context, person):
        self.context = context


def test_a_control_sees_anothers_history_or_its_own_with_the_labels_in_disorder():
    known = pairs(*[(person, f"q{i}", "a", "b", float(person)) for person in (0, 1) for i in range(6)])
    own = known[known["person"] == 1].drop(columns="person").assign(prompt=[f"own {i}" for i in range(6)])
    own["p_first"] = [1.0, 1, 1, 0, 0, 0]
    other, shuffled = controls.other_history(Keeps)(None), controls.shuffled(Keeps)(None)
    for method in (other, shuffled):
        method.fit(known, pd.DataFrame())
        method.adapt(own.head(4) if method is other else own, pd.Series(dtype=object))
    assert len(other.context) == 4 and set(other.context["prompt"]) <= {f"q{i}" for i in range(6)}
    assert shuffled.context["prompt"].tolist() == own["prompt"].tolist()
    assert shuffled.context["p_first"].tolist() != own["p_first"].tolist()
    assert sorted(shuffled.context["p_first"]) == sorted(own["p_first"])
    assert (methods.title(type(other)), methods.title(type(shuffled))) == (
        "keeps, another's history",
        "keeps, labels shuffled",
    )


class Oracle(latent.LowRank):
    """Low rank whose weights and directions are the true ones."""

    name = "knows the directions"

    def fit(self, pairs, people):
        pass


@pytest.fixture(scope="module")
def structured():
    world, vectors = simulated.drawn(STRUCTURED, 3)
    middle = vectors.mean(axis=0)
    sizes, directions = np.linalg.svd(vectors - middle, full_matrices=False)[1:]
    known = {"weights": middle, "basis": directions[:2].T * sizes[:2] / np.sqrt(len(vectors))}
    oracle = type("Known", (Oracle,), known)
    others = (controls.other_history(latent.LowRank), controls.shuffled(latent.LowRank))
    predictions = tried(world, (*LEARNERS, oracle, *others), (0, 4, K))
    return world, predictions, scores.expected(predictions, world).unstack("k")


def test_low_rank_beats_pooled_and_nearly_reaches_a_method_that_knows_the_directions(structured):
    _, predictions, truth = structured
    at = truth[K]
    assert at["low rank"] > at["pooled"] + 0.1 and at["low rank"] > at["per person, shrunk"]
    assert at["low rank"] > at["knows the directions"] - 0.03
    gaps = scores.differences(predictions, "pooled", K).set_index("minuend")
    assert gaps.loc["low rank", "low"] > 0 and gaps.loc["low rank", "p_holm"] < 0.001


def test_methods_that_learn_directions_gain_with_each_choice_known(structured):
    truth = structured[2]
    learned = truth.loc[["low rank", "mixture of prototypes", "latent person, encoded", "ideal points"]]
    assert (learned[4] > learned[0] + 0.01).all() and (learned[K] > learned[4] + 0.01).all()
    assert truth.loc["pooled"].nunique() == 1


def test_a_history_that_is_not_the_persons_helps_nobody(structured):
    truth = structured[2]
    for name in ("low rank, another's history", "low rank, labels shuffled"):
        assert truth.loc[name, K] < truth.loc["pooled", K] + 0.02


def test_without_differences_between_people_no_method_beats_the_pooled_one():
    kinds = (*LEARNERS, groups.Groups, groups.Attributes, groups.WorstGroup)
    gaps = scores.differences(tried(simulated.world(ALIKE, 0), kinds), "pooled", K)
    assert not ((gaps["p_holm"] < 0.05) & (gaps["difference"] > 0)).any()
    assert gaps["difference"].min() > -0.05


def test_groups_are_learned_where_they_differ():
    world = simulated.world(simulated.Design(**SIZES, rank=1, within=0.0, between=2.0, shared=0.5), 1)
    predictions = tried(world, (linear.Pooled, groups.Groups, groups.Attributes, groups.WorstGroup), (0,))
    truth = scores.expected(predictions, world).xs(0, level="k")
    assert truth["per group"] > truth["pooled"] + 0.05 and truth["logit on attributes"] > truth["pooled"] + 0.05
    worst = scores.groups(predictions, world, 0, ["group"]).groupby("method", observed=True)["accuracy"].min()
    assert worst["worst group first"] > worst["pooled"] - 0.02


def test_attributes_of_one_person_are_coded_as_in_a_table_and_new_or_missing_ones_are_no_group():
    told = {"group": ["a", "b", "a", "b"], "age": [20.0, 30, 40, 50]}
    coding = groups.Coding(pd.DataFrame(told))
    new = pd.DataFrame({"group": ["b", "c", None], "age": [25, None, 99]}, index=["p", "q", "r"])
    assert coding.group(new, "group").tolist() == [1, -1, -1] and coding.group(new, "age").tolist() == [0, -1, 3]
    assert [coding.of(row)[0].tolist() for _, row in new.iterrows()] == coding.of(new).tolist()
    assert coding.of(new)[0].tolist() == [1, 0, 1, 1, 0, 0, 0] and coding.of(new)[1].tolist() == [1, *[0] * 6]
    assert groups.Coding(pd.DataFrame(index=[0, 1])).of(pd.Series(dtype=object)).tolist() == [[1]]


def test_the_logit_on_attributes_is_scikit_learns():
    world = simulated.world(simulated.Design(**SIZES | {"seen": 40}, rank=1, between=2.0), 1)
    method = groups.Attributes(methods.embedder(world))
    choices = world.choices.iloc[:800]
    text = world.candidates.set_index("candidate_id")["text"]
    number, ids = pd.factorize(choices["persona_id"])
    shown = {"prompt": choices["prompt_id"], "first": choices["first"].map(text), "second": choices["second"].map(text)}
    method.fit(
        pd.DataFrame({"person": number, "p_first": choices["p_first"], **shown}), world.people.loc[ids, ["group"]]
    )
    z, a = method.gaps(*shown.values()), method.coding.of(world.people.loc[ids, ["group"]])[number]
    products = np.einsum("nd,na->nda", z, a).reshape(len(z), -1)
    theirs = LogisticRegression(C=1 / groups.ATTRIBUTE_RIDGE, fit_intercept=False, tol=1e-8, max_iter=1000)
    known = theirs.fit(products, choices["p_first"]).coef_[0]
    assert method.weights.ravel() == pytest.approx(known, abs=2e-3)


def test_a_method_with_one_choice_or_one_training_person_still_predicts():
    world = simulated.world(
        simulated.Design(seen=1, unseen=3, prompts=8, heldout=6, history=6, tests=4, dimensions=4, rank=1)
    )
    predictions = tried(world, methods.OFFLINE, (0, 1))
    assert predictions["failure"].isna().all(), predictions["failure"].dropna().unique()
