"""Variance components: planted ones are found, and the covariance of groups' gaps is the one that simulation shows."""

import numpy as np
import pytest

from persona_lib.stats.components import Components, components, covariance_of_gaps


def drawn(rng: np.random.Generator, persona: np.ndarray, prompt: np.ndarray, sd: tuple) -> np.ndarray:
    effects = rng.normal(0, sd[0], persona.max() + 1)[persona] + rng.normal(0, sd[1], prompt.max() + 1)[prompt]
    return effects + rng.normal(0, sd[2], len(persona))


def test_components_are_unbiased_in_unbalanced_tables():
    rng = np.random.default_rng(0)
    cells = np.sort(rng.choice(40 * 25, 500, replace=False))
    persona, prompt = cells // 25, cells % 25
    found = [components(drawn(rng, persona, prompt, (0.5, 0.4, 0.8)), persona, prompt) for _ in range(200)]
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - [0.25, 0.16, 0.64]) < 4 * error).all()


def test_without_shared_clusters_all_variance_is_rest_and_without_apart_pairs_nothing_is_known():
    x = np.array([0.0, 1.0, 1.0, 0.0])
    alone = components(x, np.arange(4), np.arange(4))
    assert alone[:2] == (0, 0) and alone.rest == pytest.approx(x.var(ddof=1))
    assert components(x, np.zeros(4, int), np.arange(4)) is None
    opposite = components(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert min(opposite) == 0 and sum(opposite) == pytest.approx(0), "no component is below 0"


def test_gaps_of_overlapping_groups_vary_as_their_covariance_says():
    rng = np.random.default_rng(1)
    cells = np.sort(rng.choice(12 * 9, 60, replace=False))
    persona, prompt = cells // 9, cells % 9
    members = rng.random((12, 4)) < 0.4
    inside = members[persona]
    gaps = []
    for _ in range(4_000):
        x = drawn(rng, persona, prompt, (0.5, 0.6, 0.7))
        gaps.append([x[column].mean() - x.mean() for column in inside.T])
    wanted = covariance_of_gaps(Components(0.25, 0.36, 0.49), members, persona, prompt)
    assert np.allclose(np.cov(np.array(gaps).T), wanted, atol=5 * wanted.max() * np.sqrt(2 / 4_000))
