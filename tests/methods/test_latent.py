"""Latent methods where people differ in nothing, or in one direction."""

import numpy as np
import pytest

from persona_lib import methods
from persona_lib.methods import Setting, latent, linear, simulated
from persona_lib.methods.builtin.tally import once

KINDS = (latent.LowRank, latent.Mixture, latent.IdealPoints, latent.Encoder)
DESIGN = simulated.Design(seen=20, unseen=6, prompts=30, heldout=10, history=16, tests=4, dimensions=4, rank=1)


def anew(learned):
    """Return a function of `once` that has learned nothing yet."""
    return once(learned.__wrapped__)


@pytest.mark.parametrize("rank", [0, 1])
def test_people_who_differ_in_nothing_or_in_one_direction_are_no_failure(rank, monkeypatch):
    monkeypatch.setattr(latent, "best_rank", lambda *_: rank)
    monkeypatch.setattr(latent, "learned", anew(latent.learned))
    world = simulated.world(DESIGN, seed=1)
    embed = methods.embedder(world)
    table = methods.trial(world, [kind(embed) for kind in (linear.Pooled, *KINDS)], Setting(ks=(4,)))
    assert table["failure"].isna().all()
    p = {name: own["p_first"].to_numpy() for name, own in table.groupby("method", observed=True)}
    differ = [not np.allclose(p[kind.name], p[linear.Pooled.name], atol=1e-3) for kind in KINDS]
    assert all(differ) if rank else not any(differ)


def test_methods_that_share_directions_learn_them_once_and_anew_from_other_choices(monkeypatch):
    learned = []
    learn = latent.learned.__wrapped__
    monkeypatch.setattr(latent, "learned", once(lambda choices: learned.append(choices) or learn(choices)))
    for seed in (1, 2):
        world = simulated.world(DESIGN, seed)
        embed = methods.embedder(world)
        both = methods.trial(world, [kind(embed) for kind in KINDS], Setting(ks=(4,)))
        assert len(learned) == seed
    monkeypatch.setattr(latent, "learned", anew(latent.learned))
    alone = methods.trial(world, [latent.Mixture(embed)], Setting(ks=(4,)))["p_first"]
    assert both.loc[both["method"] == latent.Mixture.name, "p_first"].tolist() == alone.tolist()


@pytest.mark.parametrize("kind", [kind for kind in methods.OFFLINE if "questions" not in kind.sees])
def test_a_method_that_is_fitted_again_predicts_the_same(kind, monkeypatch):
    world = simulated.world(DESIGN, seed=1)
    method = kind(methods.embedder(world))
    setting = Setting(ks=(4,))
    one = methods.trial(world, [method], setting)["p_first"]
    monkeypatch.setattr(latent, "learned", anew(latent.learned))
    monkeypatch.setattr(linear, "pooled", anew(linear.pooled))
    again = methods.trial(world, [method], setting)["p_first"]
    assert one.notna().all() and one.tolist() == again.tolist()


def test_what_methods_share_can_not_be_changed():
    world = simulated.world(DESIGN, seed=1)
    method, pooled = (kind(methods.embedder(world)) for kind in (latent.LowRank, linear.Pooled))
    methods.trial(world, [method, pooled], Setting(ks=(0,)))
    for shared in (method.weights, method.basis, method.places, pooled.weights):
        with pytest.raises(ValueError, match="read-only"):
            shared += 1


def test_people_left_out_to_learn_from_are_not_the_last_of_the_file(monkeypatch):
    monkeypatch.setattr(latent, "learned", anew(latent.learned))
    fitted = []
    start = latent.start
    monkeypatch.setattr(latent, "start", lambda choices, rank: fitted.append(choices) or start(choices, rank))
    world = simulated.world(DESIGN, seed=1)
    methods.trial(world, [latent.LowRank(methods.embedder(world))], Setting(ks=(0,)))
    cells, people = methods.cells(world), world.choices["persona_id"]
    first = people.isin(world.people.index[:16]) & (cells == "train")
    assert fitted[0].person.max() == 15 and fitted[0].y.tolist() != world.choices.loc[first, "p_first"].tolist()


def test_a_bare_text_is_not_read_letter_by_letter():
    method = linear.Pooled(methods.embedder(simulated.world(DESIGN, seed=1)))
    with pytest.raises(TypeError, match=r"write \[text\] in place of a bare text"):
        method.gaps("prompt 1", ["answer 0"], ["answer 1"])
