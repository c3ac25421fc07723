"""Vectors of answers: those of the world's candidates, and of texts that come later."""

import numpy as np
import pytest

from persona_lib import UserError, methods
from persona_lib.methods import simulated

DESIGN = simulated.Design(seen=4, unseen=2, prompts=6, heldout=3, history=3, tests=2, dimensions=4, rank=1)
WORDS = ("cats sleep all day", "dogs run far", "birds sing at dawn", "fish swim in the deep sea")


def world(**change):
    made = simulated.world(DESIGN, seed=1)
    texts = [f"{WORDS[i % 4]} {i}" for i in range(len(made.candidates))]
    return made._replace(candidates=made.candidates.assign(text=texts), **change)


def test_a_new_text_gets_the_vector_of_its_words():
    made = world(features=None)
    embed = methods.embedder(made)
    before = embed(["prompt 0"], [made.candidates["text"][0]])
    new = embed(["prompt 0"] * 3, ["Cats sleep", "cats sleep", "zebra"])
    assert np.allclose(new[0], new[1]) and np.allclose(new[2], 0), "a word that no candidate has counts nothing"
    near = [embed(["prompt 0"], [text])[0] @ new[0] for text in made.candidates["text"][:4]]
    assert np.argmax(near) == 0
    assert np.array_equal(embed(["prompt 0"], [made.candidates["text"][0]]), before)


def test_a_world_with_features_alone_has_no_vector_of_a_new_text():
    with pytest.raises(UserError, match=r"^world 'known truth' has features .*'a new text': name an embeddings model$"):
        methods.embedder(world())(["prompt 0"], ["a new text"])
