"""What prompts are about: clusters of their sentence vectors, labelled by their strongest terms, and near-duplicates.

The default vectors are TF-IDF, reduced by a singular value decomposition: they see words, not meaning, and find topics
where prompts of a topic share words, as thousands of prompts do. A sentence embedding sees more. Used by 02_prompts.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from .. import UserError
from .bank import NO_TOPIC

Embedder = str | Callable[[list[str]], np.ndarray]

DIMENSIONS = 100  # of the reduced TF-IDF vectors, where there are as many texts and words
TERMS = 3  # in a label


def assign(prompts: pd.DataFrame, n_topics: int = 30, seed: int = 0, embedder: Embedder | None = None) -> pd.DataFrame:
    """Give a topic to the prompts that have none: the label of their cluster. Those that have one keep it.

    Args:
        prompts: columns as from `prompts.load`.
        n_topics, seed, embedder: as in `cluster`.
    """
    bare = prompts["topic"] == NO_TOPIC
    if not bare.any():
        return prompts
    return prompts.assign(topic=prompts["topic"].mask(bare, cluster(prompts["prompt"][bare], n_topics, seed, embedder)))


def cluster(texts: pd.Series, n_topics: int = 30, seed: int = 0, embedder: Embedder | None = None) -> pd.Series:
    """The label of each text's cluster: the terms that are strongest in it compared to all texts.

    Args:
        texts: one prompt each.
        n_topics: how many clusters; two with the same strongest terms count as one.
        seed: of the clustering.
        embedder: None for TF-IDF; the name or folder of a sentence-transformers model; or a function from a list of
            texts to an array with a row each.

    Raises:
        UserError: fewer texts than clusters, no words in the texts, or sentence-transformers is not installed.
    """
    from sklearn.cluster import KMeans

    terms, names = _terms(texts)
    points = _reduced(terms, seed) if embedder is None else _embedded(list(texts), embedder)
    different = len(np.unique(points, axis=0))
    if not 1 <= n_topics <= different:
        raise UserError(
            f"cannot form {n_topics} topics of {different} different prompts: choose a number from 1 to {different}"
        )
    found = KMeans(n_topics, n_init=10, random_state=seed).fit_predict(points)
    usual = terms.mean(axis=0)
    labels = {k: _label(np.asarray(terms[found == k].mean(axis=0) - usual).ravel().round(9), names) for k in set(found)}
    return pd.Series(found, texts.index).map(labels)


def near_duplicates(prompts: pd.DataFrame, threshold: float = 0.6) -> pd.DataFrame:
    """Pairs of prompts whose TF-IDF vectors, of all words, have at least this cosine similarity.

    Returns:
        One row per pair, the closest first: `similarity`, `prompt_id`, `other_id`, `prompt`, `other`, and `across`:
        whether one is held out and the other in train, where the held-out prompt is known to whoever saw the other.
    """
    from sklearn import config_context
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import radius_neighbors_graph

    columns = ["similarity", "prompt_id", "other_id", "across", "prompt", "other"]
    if len(prompts) < 2:
        return pd.DataFrame(columns=columns)
    # Each word and each other sign is a token, so that texts without a word can be told apart too.
    vectors = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]").fit_transform(prompts["prompt"])
    with config_context(working_memory=128):  # MB; PRISM against itself would take a gigabyte
        near = radius_neighbors_graph(vectors, 1 - threshold + 1e-9, mode="distance", metric="cosine").tocoo()
    once = near.row < near.col
    first, second = (prompts.iloc[i[once]].reset_index(drop=True) for i in (near.row, near.col))
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


def _terms(texts: pd.Series):
    """TF-IDF of the telling words (sparse, a row per text) and the words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(stop_words="english", sublinear_tf=True)
    try:
        return vectorizer.fit_transform(texts), vectorizer.get_feature_names_out()
    except ValueError as error:  # an empty vocabulary
        raise UserError("these prompts have no words from which topics could be told") from error


def _reduced(terms, seed: int) -> np.ndarray:
    """Latent semantic vectors of length 1, or 0 for a text without telling words."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    dimensions = min(DIMENSIONS, min(terms.shape) - 1)
    with np.errstate(invalid="ignore", divide="ignore"):  # the explained variance of texts that are all the same
        dense = TruncatedSVD(dimensions, random_state=seed).fit_transform(terms) if dimensions > 0 else terms.toarray()
    return normalize(dense).round(6)  # so that the last bits, which differ between machines, move no text


def _embedded(texts: Sequence[str], embedder: Embedder) -> np.ndarray:
    from sklearn.preprocessing import normalize

    if isinstance(embedder, str):
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise UserError(
                f"the embedder '{embedder}' needs `pip install sentence-transformers`; None takes TF-IDF"
            ) from error
        embedder = SentenceTransformer(embedder).encode
    return normalize(np.asarray(embedder(texts), dtype=float)).round(6)


def _label(strength: np.ndarray, names: np.ndarray) -> str:
    best = np.argsort(-strength, kind="stable")[:TERMS]
    return ", ".join(names[i] for i in best if strength[i] > 0) or "other"
