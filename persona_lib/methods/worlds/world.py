"""A world: people, prompts, candidate answers and choices, in one format for simulated, real and synthetic people.

A folder of four tables holds a world, so that anybody's data can be brought; `docs/methods.md` lists their columns.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ... import UserError, files, seeds
from ...personas import split
from ...personas.sides import SPLITS as PEOPLE_SPLITS
from ...preferences.splits import CONTEXT
from ...prompts.bank import SPLITS as PROMPT_SPLITS
from ...texts import a_name, line, read_text

TABLES = ("people", "prompts", "candidates", "choices")
NEEDED = {
    "people": (),
    "prompts": ("prompt_id", "prompt", "prompt_split"),
    "candidates": ("candidate_id", "prompt_id", "text"),
    "choices": ("choice_id", "persona_id", "prompt_id", "first", "second", "p_first"),
}
ASIDE = 0.25  # share of the train prompts of each person that are tested on, not learned from
TESTS = ("seen_seen", "seen_unseen", "unseen_seen", "unseen_unseen")


class World(NamedTuple):
    """What methods are compared on.

    `people`: index `persona_id`; `persona_split` (train or test); other columns are attributes, which may serve as
    groups, and `profile`, a text. `prompts`: `prompt_id`, `prompt`, `prompt_split` (train or heldout). `candidates`:
    `candidate_id`, `prompt_id`, `text` (missing where writing it failed). `choices`: `choice_id`, `persona_id`,
    `prompt_id`, `first` and `second` (candidate ids, in the order shown), `p_first` (1 if the person chose the first, 0
    if the second, 0.5 for a tie, or a probability; missing with `failure`), `failure`. `features`: one row of numbers
    per candidate, index `candidate_id`; None if they come from the texts. `truth`: the true probability of the first
    by `choice_id`, which only simulated people have and no method sees.
    """

    name: str
    about: str
    people: pd.DataFrame
    prompts: pd.DataFrame
    candidates: pd.DataFrame
    choices: pd.DataFrame
    features: pd.DataFrame | None = None
    truth: pd.Series | None = None


def answers(world: World) -> dict[str, np.ndarray]:
    """Return the texts of each prompt's candidates by its id, each text once and without missing ones."""
    texts = world.candidates.dropna(subset="text").drop_duplicates(["prompt_id", "text"])
    return {prompt: own.to_numpy(object) for prompt, own in texts.groupby("prompt_id")["text"]}


def checked(world: World) -> World:
    """Return the world with the columns that may be left out, or say what is wrong with it.

    Raises:
        UserError: a column is missing, an id is doubled or unknown, both candidates are the same, a number is out of
            its range, or a candidate lacks features.
    """
    try:
        a_name(world.name)
    except ValueError as error:
        raise UserError(f"world {error}; it is the first line of world.txt, or the folder's name") from error
    for name in TABLES:
        if missing := [column for column in NEEDED[name] if column not in getattr(world, name)]:
            raise UserError(
                f"{name} of world '{world.name}' lacks {', '.join(missing)}; docs/methods.md has its columns"
            )
    people = world.people.rename_axis("persona_id")
    if "persona_split" not in people:
        people = people.assign(persona_split=split(people.index))
    choices = world.choices if "failure" in world.choices else world.choices.assign(failure=None)
    given = choices["p_first"].replace("", None)  # an empty cell of CSV: the choice is missing
    numbers = pd.to_numeric(given, errors="coerce")
    if (wrong := given[numbers.isna() & given.notna()]).size:
        raise UserError(f"p_first of world '{world.name}' must be a number; one is {wrong.iloc[0]!r}")
    failure = choices["failure"].astype("str").replace("", None).astype("str")
    if len(silent := choices.loc[choices["p_first"].eq("") & failure.isna(), "choice_id"]):
        raise UserError(f"choice {silent.iloc[0]} has no p_first: say why in failure ({len(silent):,} such)")
    choices = choices.assign(failure=failure, p_first=numbers.astype(float))
    world = world._replace(people=people, choices=choices)
    _check_ids(world)
    _check_values(world)
    return world


def _check_ids(world: World) -> None:
    """Raise UserError for ids that are doubled or lead nowhere."""
    keys = {"prompts": "prompt_id", "candidates": "candidate_id", "choices": "choice_id"}
    known = {"people": world.people.index} | {name: pd.Index(getattr(world, name)[key]) for name, key in keys.items()}
    for name, index in known.items():
        if not index.is_unique:
            raise UserError(f"{name} of world '{world.name}' has the id {index[index.duplicated()][0]} twice")
    own = world.candidates.set_index("candidate_id")["prompt_id"]
    for column, table in {
        "persona_id": "people",
        "prompt_id": "prompts",
        "first": "candidates",
        "second": "candidates",
    }.items():
        odd = world.choices[~world.choices[column].isin(known[table])]
        if len(odd):
            row = odd.iloc[0]
            raise UserError(
                f"choice {row['choice_id']} of world '{world.name}' names {row[column]!r} as {column}, which is not "
                f"among its {table} ({len(odd):,} such choices)"
            )
    for column in ("first", "second"):
        odd = world.choices[world.choices[column].map(own) != world.choices["prompt_id"]]
        if len(odd):
            raise UserError(
                f"choice {odd['choice_id'].iloc[0]} shows a candidate of another prompt ({len(odd):,} such)"
            )


def _check_values(world: World) -> None:
    """Raise UserError for equal candidates and numbers out of range."""
    same = world.choices[world.choices["first"] == world.choices["second"]]
    if len(same):
        raise UserError(f"choice {same['choice_id'].iloc[0]} is between a candidate and itself ({len(same):,} such)")
    chosen = world.choices["p_first"]
    if not chosen.dropna().between(0, 1).all():
        raise UserError(
            f"p_first of world '{world.name}' must lie from 0 to 1; one is {chosen[~chosen.between(0, 1)].iloc[0]}"
        )
    for table, column, values in (
        ("people", "persona_split", PEOPLE_SPLITS),
        ("prompts", "prompt_split", PROMPT_SPLITS),
    ):
        own = getattr(world, table)[column]
        if len(odd := own[~own.isin(values)]):
            raise UserError(f"{column} of world '{world.name}' says {odd.iloc[0]!r}: write {' or '.join(values)}")
    told = world.candidates.loc[world.candidates["text"].notna(), "candidate_id"]
    shown = world.choices["first"].isin(told) & world.choices["second"].isin(told)
    if len(odd := world.choices.loc[chosen.notna() & ~shown, "choice_id"]):
        raise UserError(
            f"choice {odd.iloc[0]} has a p_first, and an answer without text ({len(odd):,} such): empty "
            "p_first, and say why in failure"
        )
    _check_features(world)


def _check_features(world: World) -> None:
    """Raise UserError for answers without a vector, and vectors that are not numbers."""
    if world.features is None:
        return
    index = world.features.index
    if not index.is_unique:
        raise UserError(f"features of world '{world.name}' have the candidate {index[index.duplicated()][0]} twice")
    ids = world.candidates.loc[world.candidates["text"].notna(), "candidate_id"]
    if len(lacking := ids[~ids.isin(index)]):
        raise UserError(
            f"features of world '{world.name}' lack the candidate {lacking.iloc[0]} ({len(lacking):,} such)"
        )
    numbers = world.features.select_dtypes("number")
    if numbers.shape != world.features.shape or not np.isfinite(numbers.to_numpy(float)).all():
        raise UserError(f"features of world '{world.name}' must be numbers, none of them missing")


def cells(world: World) -> pd.Series:
    """Return the cell of each choice: `train`, `context`, or one of TESTS, named by person, then prompt.

    Methods learn from `train` and are shown `context`, the history of people who are not in training. Of the train
    prompts of each person, a hash puts a quarter aside for `seen_seen` and `unseen_seen`. All choices of one person
    about one prompt lie on one side.

    Returns:
        On the index of `choices`.
    """
    choices = world.choices
    test = (choices["persona_id"].map(world.people["persona_split"]) == "test").to_numpy()
    heldout = (choices["prompt_id"].map(world.prompts.set_index("prompt_id")["prompt_split"]) == "heldout").to_numpy()
    places = ("aside " + choices["persona_id"] + choices["prompt_id"])[~heldout].tolist()
    aside = np.zeros(len(choices), dtype=bool)
    aside[~heldout] = [_fraction(place) < ASIDE for place in places]
    who = np.where(test, "unseen", "seen")
    cell = np.where(heldout, "unseen", np.where(aside, "seen", "history"))
    named = pd.Series(who, choices.index, dtype="str") + "_" + cell
    return named.replace({"seen_history": "train", "unseen_history": CONTEXT})


def _fraction(text: str) -> float:
    return int(seeds.digest(text, 12), 16) / 16**12


def lines(person: pd.Series) -> str:
    """Return a person's attributes as lines of text, without those that are missing."""
    return "\n".join(f"{str(name).replace('_', ' ')}: {value}" for name, value in person.dropna().items())


def save(world: World, folder: str | Path) -> Path:
    """Write a world's tables into a folder, as parquet; `load` reads them."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        files.write(folder / f"{name}.parquet", getattr(world, name).to_parquet)
    if world.features is not None:
        files.write(folder / "features.parquet", world.features.to_parquet)
    files.write_text(folder / "world.txt", f"{world.name}\n{world.about}\n")
    return folder


def load(folder: str | Path) -> World:
    """Read a world from a folder with the tables people, prompts, candidates and choices in any table format.

    Raises:
        UserError: a table is missing or unreadable, or `checked` finds something wrong.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: a world is a folder with {', '.join(TABLES)} as tables")
    tables = {name: files.read_table(_found(folder, name)) for name in TABLES}
    if "persona_id" in tables["people"]:
        tables["people"] = tables["people"].set_index("persona_id")
    about = read_text(folder / "world.txt").splitlines() if (folder / "world.txt").is_file() else []
    return checked(
        World(
            about[0].strip() if about else folder.resolve().name,
            " ".join(about[1:]),
            **tables,
            features=_features(folder),
        )
    )


def _features(folder: Path) -> pd.DataFrame | None:
    """Return the table of features, if there is one: numbers by `candidate_id`, which may be a column."""
    if not _tables(folder, "features"):
        return None
    table = files.read_table(path := _found(folder, "features"))
    table = table.set_index("candidate_id") if "candidate_id" in table else table
    try:
        return table.apply(files.as_numbers) if files.suffix(path) == ".csv" else table
    except ValueError as error:
        raise UserError(f"{path} must have numbers beside candidate_id ({line(str(error))})") from error


def _tables(folder: Path, name: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"{name}.*") if files.is_table(path))


def _found(folder: Path, name: str) -> Path:
    """Return the one file with a table of this name."""
    found = _tables(folder, name)
    if not found:
        raise UserError(
            f"{folder} has no table '{name}' (such as {name}.parquet or {name}.csv): a world has {', '.join(TABLES)}"
        )
    if len(found) > 1:
        raise UserError(f"{folder} has the table '{name}' twice, as {found[0].name} and {found[1].name}: leave one")
    return found[0]
