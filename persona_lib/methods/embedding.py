"""Vectors of answers: a world's own features, those of an embeddings model, or TF-IDF where no model is at hand."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from .. import UserError
from ..model import Model
from ..model.embeddings import embed
from .method import Embed, Texts
from .worlds.world import World

DIMENSIONS = 64  # of the vectors made of TF-IDF
Vectors = Callable[[Sequence[str]], np.ndarray]  # texts -> array (texts, dimensions)


def embedder(world: World, model: Model | None = None) -> Embed:
    """Return what gives the vector of an answer to a prompt; equal texts have equal vectors.

    The world's candidates are embedded once. Other texts, such as generated answers, are embedded when they come: by
    the model, or in the words and directions that TF-IDF found in the candidates.

    Args:
        world: whose candidates are embedded.
        model: an embeddings model; None for the world's `features`, or TF-IDF of the candidates' words, reduced to
            DIMENSIONS main directions (latent semantic analysis).

    Raises:
        UserError: when the vectors of a world with `features` are asked for a text that is none of its candidates.
    """
    told = world.candidates.dropna(subset="text")
    prompt = told["prompt_id"].map(world.prompts.set_index("prompt_id")["prompt"])
    texts = told["text"]
    new: Vectors
    if model is not None:
        new = partial(_embedded, model)
        vectors = new(list(texts))
    elif world.features is not None:
        vectors, new = world.features.loc[told["candidate_id"]].to_numpy(float), _refuse(world.name)
    else:
        vectors, new = _tfidf(texts)
    row = {key: i for i, key in enumerate(zip(prompt, texts, strict=True))}

    def of(prompts: Texts, answers: Texts) -> np.ndarray:
        nonlocal vectors
        keys = list(zip(prompts, answers, strict=True))
        if missing := [key for key in dict.fromkeys(keys) if key not in row]:
            vectors = np.concatenate([vectors, new([answer for _, answer in missing])])
            row.update({key: len(row) + i for i, key in enumerate(missing)})
        return vectors[[row[key] for key in keys]]

    return of


def _embedded(model: Model, texts: Sequence[str]) -> np.ndarray:
    return embed(model, texts, step="embeddings of answers").astype(float)


def _refuse(name: str) -> Vectors:
    """Return what refuses texts of which a world has no features; methods get it, so it doesn't hold the world."""

    def refuse(texts: Sequence[str]) -> np.ndarray:
        raise UserError(
            f"world '{name}' has features of its candidates alone, so that other answers have no vector, such as "
            f"{texts[0][:40]!r}: name an embeddings model"
        )

    return refuse


def _tfidf(texts: pd.Series) -> tuple[np.ndarray, Vectors]:
    """Return the texts' main directions by TF-IDF, array (texts, at most DIMENSIONS), and what embeds other texts."""
    from sklearn.decomposition import TruncatedSVD  # a second, for which other commands need not wait
    from sklearn.feature_extraction.text import TfidfVectorizer  # the same

    # Each word and each other sign is a token, so that texts without a word can be told apart, too.
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    if not texts.str.contains(r"\S").any():
        return np.zeros((len(texts), 1)), lambda others: np.zeros((len(others), 1))
    counts = words.fit_transform(texts)
    size = min(DIMENSIONS, *(length - 1 for length in counts.shape))
    if size < 1:
        return counts.toarray(), lambda others: words.transform(others).toarray()
    reduced = TruncatedSVD(size, random_state=0)
    with np.errstate(invalid="ignore"):  # equal texts have no variance to explain
        return reduced.fit_transform(counts), lambda others: reduced.transform(words.transform(others))
