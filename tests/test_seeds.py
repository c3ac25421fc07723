"""Named random streams and stable hashes: the same numbers for ever."""

import numpy as np
import pytest

from persona_lib import UserError, seeds


@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_a_stream_without_a_number_draws_what_the_bare_seed_gives(seed):
    ours, bare = seeds.rng("prompts sampled", seed), np.random.default_rng(seed)
    assert (ours.random(5) == bare.random(5)).all()


def test_streams_differ_from_each_other_but_for_the_two_that_share_a_number():
    numbers = [n for n in seeds.STREAMS.values() if n]
    assert len(numbers) - len(set(numbers)) == 1
    assert seeds.STREAMS["items to rate"] == seeds.STREAMS["order of survey options"]


def test_further_numbers_tell_draws_of_one_stream_apart():
    first, second = (seeds.rng("psychographics", 3, *more).random() for more in ((), (5,)))
    assert first != second and second == np.random.default_rng([3, 1972, 5]).random()


@pytest.mark.parametrize("seed", [-1, 1.0, "1", None, True])
def test_a_seed_must_be_a_whole_number_from_0(seed):
    with pytest.raises(UserError, match="seed must be a whole number"):
        seeds.check_seed(seed)


def test_a_digest_is_the_beginning_of_the_sha256():
    assert seeds.digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
