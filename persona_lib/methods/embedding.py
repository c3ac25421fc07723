"""Vectors of answers: a world's own features, those of an embeddings model, or TF-IDF where no model is at hand."""

import numpy as np
import pandas as pd

from ..model import Model
from ..model.embeddings import embed
from .method import Embed, Texts
from .worlds import World

DIMENSIONS = 64  # of the vectors made of TF-IDF


def embedder(world: World, model: Model | None = None) -> Embed:
    """Return what gives the vector of an answer to a prompt; equal texts have equal vectors.

    Args:
        world: whose candidates are embedded, once.
        model: an embeddings model; None for the world's `features`, or TF-IDF of the candidates' words, reduced to
            DIMENSIONS main directions (latent semantic analysis).
    """
    told = world.candidates.dropna(subset="text")
    prompt = told["prompt_id"].map(world.prompts.set_index("prompt_id")["prompt"])
    texts = told["text"]
    if model is not None:
        vectors = embed(model, list(texts), step="embeddings of answers").astype(float)
    elif world.features is not None:
        vectors = world.features.loc[told["candidate_id"]].to_numpy(float)
    else:
        vectors = _tfidf(texts)
    row = {key: i for i, key in enumerate(zip(prompt, texts, strict=True))}

    def of(prompts: Texts, answers: Texts) -> np.ndarray:
        return vectors[[row[key] for key in zip(prompts, answers, strict=True)]]

    return of


def _tfidf(texts: pd.Series) -> np.ndarray:
    """Return the texts' main directions by TF-IDF: array (texts, at most DIMENSIONS)."""
    from sklearn.decomposition import TruncatedSVD  # a second, for which other commands need not wait
    from sklearn.feature_extraction.text import TfidfVectorizer  # the same

    # Each word and each other sign is a token, so that texts without a word can be told apart, too.
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    if not texts.str.contains(r"\S").any():
        return np.zeros((len(texts), 1))
    words = vectorizer.fit_transform(texts)
    size = min(DIMENSIONS, *(length - 1 for length in words.shape))
    if size < 1:
        return words.toarray()
    with np.errstate(invalid="ignore"):  # equal texts have no variance to explain
        return TruncatedSVD(size, random_state=0).fit_transform(words)
