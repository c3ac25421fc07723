"""Give prompts a topic, and find near-duplicates among them.

A topic is a cluster of the prompts' sentence vectors, labelled by its strongest terms. The default vectors are TF-IDF,
reduced by a singular value decomposition. They see words, not meaning: they find a topic where its prompts share words,
as they do among thousands of prompts. A sentence embedding also sees prompts that mean the same in other words.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import UserError
from ..model import LanguageModel
from ..store import Store
from .bank import NO_TOPIC

Vectors = Callable[[list[str]], np.ndarray]


class Embedder(NamedTuple):
    """What turns texts into vectors: `name` to show, `vectors` (None: TF-IDF) and the `models` that are asked."""

    name: str
    vectors: Vectors | None = None
    models: tuple[LanguageModel, ...] = ()


DIMENSIONS = 100  # of the reduced TF-IDF vectors, where there are as many texts and words
TERMS = 3  # in a label
LITTLE, MUCH = 0.1, 0.5  # adjusted Rand indices: below the first, clusters are no topics; from the second on, they are


def embedder(name: str | None = None, store: Store | None = None) -> Embedder:
    """Return what turns texts into vectors.

    Args:
        name: None for TF-IDF; "local" for the embedded model, or another .gguf file; the folder of a
            sentence-transformers model; or an endpoint's embeddings model as NAME or NAME@ADDRESS.
        store: where an endpoint's or the embedded model's vectors are kept.

    Raises:
        UserError: sentence-transformers is not installed.
    """
    if name is None:
        return Embedder("TF-IDF")
    if name != "local" and Path(name).is_dir():
        try:
            from sentence_transformers import SentenceTransformer  # an optional package
        except ImportError as error:
            raise UserError(
                f"the embedder '{name}' needs `pip install sentence-transformers`; None takes TF-IDF"
            ) from error
        return Embedder(Path(name).name, SentenceTransformer(name).encode)
    from ..model import Model, embed  # openai takes a second, and TF-IDF needs none

    at, _, address = name.partition("@")
    model = Model(at, address or None, store)
    return Embedder(model.name, lambda texts: embed(model, texts), (model,))


def assign(prompts: pd.DataFrame, n_topics: int = 30, seed: int = 0, vectors: Vectors | None = None) -> pd.DataFrame:
    """Give each prompt without a topic the label of its cluster; prompts with a topic keep it.

    Args:
        prompts: columns as returned by `prompts.load`.
        n_topics, seed, vectors: as in `cluster`.
    """
    bare = prompts["topic"] == NO_TOPIC
    if not bare.any():
        return prompts
    # Draws take topics as strata: for that one try is as good as the best of ten, and takes a tenth of the time.
    labels = cluster(prompts["prompt"][bare], n_topics, seed, vectors, tries=1)
    return prompts.assign(topic=prompts["topic"].mask(bare, labels))


def cluster(
    texts: pd.Series, n_topics: int = 30, seed: int = 0, vectors: Vectors | None = None, tries: int = 10
) -> pd.Series:
    """Return the label of each text's cluster: the terms that are strongest in it compared to all texts.

    Args:
        texts: one prompt each.
        n_topics: how many clusters; two with the same strongest terms count as one.
        seed: of the clustering.
        vectors: a function from a list of texts to an array with one row per text (see `embedder`); None for TF-IDF.
        tries: how often the clustering begins anew; the best result counts.

    Raises:
        UserError: fewer different texts than clusters, or no words in the texts.
    """
    from sklearn.cluster import KMeans  # sklearn takes a second, which most users of prompts never need

    weights, words = _tfidf(texts)  # texts x words
    points = _reduced(weights, seed) if vectors is None else _unit(vectors(list(texts)))  # texts x dimensions
    different = len(np.unique(points, axis=0))
    if not 1 <= n_topics <= different:
        raise UserError(
            f"cannot form {n_topics} topics of {different} different prompts: choose a number from 1 to {different}"
        )
    found = KMeans(n_topics, n_init=tries, random_state=seed).fit_predict(points)
    usual = weights.mean(axis=0)
    labels = {}
    for number in set(found):
        strength = weights[found == number].mean(axis=0) - usual
        labels[number] = _label(np.asarray(strength).ravel().round(9), words)
    return pd.Series(found, texts.index).map(labels)


def agreement(by_hand: pd.Series, found: pd.Series) -> float:
    """Return the adjusted Rand index of clusters and the topics that prompts have by themselves.

    Args:
        by_hand: the prompts' own topics.
        found: their clusters, as returned by `cluster`.

    Returns:
        1 if both partition the prompts with a topic in the same way, about 0 if they match by chance; missing if no
        prompt has a topic.
    """
    from sklearn.metrics import adjusted_rand_score  # as in `cluster`

    known = by_hand != NO_TOPIC
    return float(adjusted_rand_score(by_hand[known], found[known])) if known.any() else np.nan


def told(rand: float, name: str) -> str:
    """Return what an `agreement` says about the clusters, in words.

    Args:
        rand: the adjusted Rand index.
        name: of what made the vectors.
    """
    if np.isnan(rand):
        return "No prompt has a topic of its own: there is nothing to compare the clusters with."
    if rand < LITTLE:
        reads = "little better than chance. Do not read them as topics"
    else:
        reads = "topics in part" if rand < MUCH else "the topics by and large"
    return f"Adjusted Rand index {rand:.2f}: the clusters ({name}) are {reads}."


def near_duplicates(prompts: pd.DataFrame, threshold: float = 0.6) -> pd.DataFrame:
    """Find pairs of prompts whose TF-IDF vectors of all words have at least this cosine similarity.

    Args:
        prompts: columns as returned by `prompts.load`.
        threshold: the lowest similarity that counts, from 0 to 1.

    Returns:
        One row per pair, the most similar first: `similarity`, `prompt_id`, `other_id`, `across`, `prompt`, `other`.
        `across`: one prompt is held out and the other is in train, so a model trained on one has nearly seen the other.
    """
    from sklearn import config_context  # as in `cluster`
    from sklearn.feature_extraction.text import TfidfVectorizer  # as in `cluster`
    from sklearn.neighbors import radius_neighbors_graph  # as in `cluster`

    columns = ["similarity", "prompt_id", "other_id", "across", "prompt", "other"]
    if len(prompts) < 2:
        return pd.DataFrame(columns=columns)
    # Each word and each other sign is a token, so that texts without a word can be told apart too.
    vectors = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]").fit_transform(prompts["prompt"])
    with config_context(working_memory=128):  # MB; PRISM against itself would take a gigabyte
        near = radius_neighbors_graph(vectors, 1 - threshold + 1e-9, mode="distance", metric="cosine").tocoo()
    once = near.row < near.col  # the graph has each pair in both directions
    first = prompts.iloc[near.row[once]].reset_index(drop=True)
    second = prompts.iloc[near.col[once]].reset_index(drop=True)
    pairs = {
        "similarity": 1 - near.data[once],
        "prompt_id": first["prompt_id"],
        "other_id": second["prompt_id"],
        "across": first["prompt_split"] != second["prompt_split"],
        "prompt": first["prompt"],
        "other": second["prompt"],
    }
    return pd.DataFrame(pairs, columns=columns).sort_values(
        ["similarity", "prompt_id", "other_id"], ascending=[False, True, True], ignore_index=True
    )


def _tfidf(texts: pd.Series) -> tuple[Any, np.ndarray]:
    """Return the TF-IDF weights (sparse, texts x words) without English stop words, and the words."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # as in `cluster`

    vectorizer = TfidfVectorizer(stop_words="english", sublinear_tf=True)
    try:
        return vectorizer.fit_transform(texts), vectorizer.get_feature_names_out()
    except ValueError as error:  # an empty vocabulary
        raise UserError("these prompts have no words that could tell topics apart") from error


def _reduced(weights: Any, seed: int) -> np.ndarray:
    """Return latent semantic vectors (texts x dimensions) of length 1, or 0 for a text of stop words alone."""
    from sklearn.decomposition import TruncatedSVD  # as in `cluster`
    from sklearn.preprocessing import normalize  # as in `cluster`

    dimensions = min(DIMENSIONS, min(weights.shape) - 1)
    if dimensions > 0:
        with np.errstate(invalid="ignore", divide="ignore"):  # the explained variance of texts that are all the same
            dense = TruncatedSVD(dimensions, random_state=seed).fit_transform(weights)
    else:
        dense = weights.toarray()
    return normalize(dense).round(6)  # the last bits differ between machines: they must move no text


def _unit(vectors: Any) -> np.ndarray:
    """Return vectors (texts x dimensions) of length 1."""
    from sklearn.preprocessing import normalize  # as in `cluster`

    return normalize(np.asarray(vectors, dtype=float)).round(6)


def _label(strength: np.ndarray, words: np.ndarray) -> str:
    """Return the strongest words of a cluster, or 'other' if nothing sets it apart."""
    best = np.argsort(-strength, kind="stable")[:TERMS]
    return ", ".join(words[i] for i in best if strength[i] > 0) or "other"
