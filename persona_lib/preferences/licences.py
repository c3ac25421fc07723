"""Say under which terms a data set's parts may be used: its prompts, its personas, and the texts of its writer.

Nobody but their owners can license prompts, personas or a model's texts. A data card therefore names the licence of
each part that we know, and says where we don't.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from .. import local
from ..prompts import PRISM

APACHE, CC_BY, OTHER = "apache-2.0", "cc-by-4.0", "other"  # the hub's names
SAMPLE = "sample"  # the source of personas that were drawn here
MOST_SOURCES = 5  # of the user's own that are named


class Terms(NamedTuple):
    """What holds of one part: the hub's name of its licence, and a sentence that says it."""

    licence: str
    text: str


def of(prompts: pd.DataFrame, about: Mapping[str, Any]) -> list[Terms]:
    """Return the terms of a data set's parts: prompts, texts, personas.

    Args:
        prompts: with the column `source`; without it, their source counts as unknown.
        about: the content of dataset.json.
    """
    unknown = pd.Series("a source that was not recorded", prompts.index)
    by_source = of_prompts(prompts.get("source", unknown))
    return [*by_source, of_writer(about["generator"]), of_personas(about.get("personas_from"))]


def of_prompts(sources: pd.Series) -> list[Terms]:
    """Return the terms of prompts: of the bank's, of PRISM's, and of the user's own, as far as there are any.

    Args:
        sources: the column `source` of the prompts.
    """
    counts = sources.value_counts(sort=False)
    bank, prism = (int(counts.reindex(names, fill_value=0).sum()) for names in (["builtin", "control"], ["prism"]))
    own = counts.drop(["builtin", "control", "prism"], errors="ignore")
    terms = []
    if bank:
        text = f"{bank:,} prompts are from the bank of PERSONA workbench: Apache License 2.0."
        terms.append(Terms(APACHE, text))
    if prism:
        text = (
            f"{prism:,} prompts are from the PRISM Alignment Dataset (Kirk et al. 2024, arXiv 2404.16019, "
            f"https://huggingface.co/datasets/{PRISM}): CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). "
            "PRISM's participants wrote them; here they were filtered, and their words were not changed."
        )
        terms.append(Terms(CC_BY, text))
    if len(own):
        names = ", ".join(map(_shown, own.index[:MOST_SOURCES])) + (", ..." if len(own) > MOST_SOURCES else "")
        text = (
            f"{own.sum():,} prompts are from {names}. Their licence is not known here: whoever publishes this names it."
        )
        terms.append(Terms(OTHER, text))
    return terms


def of_writer(generator: Mapping[str, Any]) -> Terms:
    """Return the terms of the answers, critiques and revisions.

    Args:
        generator: the writer's `name`, `base_url` and `weights_sha256`, as in dataset.json.
    """
    name, address, sha256 = (generator.get(key) for key in ("name", "base_url", "weights_sha256"))
    if sha256 == local.GGUF_SHA256:
        text = f"The answers, critiques and revisions are texts of {local.real_name('local')}: Apache License 2.0."
        return Terms(APACHE, text)
    if address is None:
        text = f"The answers, critiques and revisions are texts of {name}. The terms of these weights hold for them."
        return Terms(OTHER, text)
    text = (
        f"The answers, critiques and revisions are texts of {name}, asked at {address}. The terms of {name}'s provider "
        "hold for them; they may limit what the texts may be used for, such as training other models."
    )
    return Terms(OTHER, text)


def of_personas(origin: str | None) -> Terms:
    """Return the terms of the personas.

    Args:
        origin: where they come from: "sample", the user's file or folder, or None if that is not known.
    """
    if origin == SAMPLE:
        text = "The personas were drawn by PERSONA workbench, from census microdata and survey figures: "
        return Terms(APACHE, f"{text}Apache License 2.0. No row describes a real person.")
    where = "a source that was not recorded" if origin is None else _shown(Path(origin).name)
    text = (
        f"The personas come from {where}. Their licence, and whether they describe real people, is not known here: "
        "whoever publishes this says it."
    )
    return Terms(OTHER, text)


def head(terms: list[Terms]) -> str:
    """Return the value of `license` in the card's YAML head: the hub's name, or a list of them, in order."""
    names = list(dict.fromkeys(part.licence for part in terms))
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


def _shown(name: Any) -> str:
    """Return a name from a user's file as code in one line of Markdown."""
    return f"`{' '.join(str(name).replace('`', '').split())[:60]}`"
