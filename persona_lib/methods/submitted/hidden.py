"""A hidden demographic: a world whose tested labels stay private until it is closed, with a commitment to them.

`open_world` splits a world into a public and a private folder; `close_world` puts both together, if the labels are
those that were committed to. Submissions are made on `veiled` worlds in any case, so that no method can meet a label.
"""

import hashlib
import secrets
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from ... import UserError, files, seeds
from .. import cases
from ..worlds import world as worlds
from ..worlds.world import TESTS, World, cells

HIDDEN = "the label is hidden"  # the reason why a tested choice of a public world has no label
COMMITMENT, LABELS, SALT = "hidden.yaml", "labels.parquet", "salt.txt"
PUBLIC, PRIVATE = "public", "private"


def labels(world: World) -> pd.Series:
    """Return what people chose in the tested choices: `p_first` by `choice_id`, without those that nobody knows."""
    tested = world.choices[cells(world).isin(TESTS)].set_index("choice_id")
    return tested["p_first"].dropna()


def blinded(world: World) -> World:
    """Return the world without the labels of tested choices; HIDDEN is their reason.

    Other columns of `choices` than those of a world are left out: they may tell the labels.
    """
    choices = world.choices[[*worlds.NEEDED["choices"], "failure"]]
    gone = choices["choice_id"].isin(labels(world).index)
    p, failure = choices["p_first"].mask(gone), choices["failure"].mask(gone, HIDDEN)
    return world._replace(choices=choices.assign(p_first=p, failure=failure), truth=None)


def veiled(world: World) -> World:
    """Return the world as methods run on it: each tested choice is a tie, which has no right answer."""
    choices = blinded(world).choices
    p = choices["p_first"].mask(choices["failure"] == HIDDEN, 0.5)
    return world._replace(choices=choices.assign(p_first=p), truth=None)


def digests(world: World) -> dict[str, str]:
    """Return the SHA-256 of each table of a world as CSV, without the labels of tested choices.

    A world has the same digests before and after it is closed, whatever the format of its files.
    """
    world = blinded(world)
    tables = {name: getattr(world, name) for name in (*worlds.TABLES, "features")}
    tables["people"] = world.people.reset_index()
    if world.features is not None:
        tables["features"] = world.features.rename_axis("candidate_id").reset_index()
    return {name: seeds.digest(table.to_csv(index=False)) for name, table in tables.items() if table is not None}


def digest(world: World) -> str:
    """Return the one digest of `digests`: SHA-256 of lines `NAME SHA-256`, in their order."""
    return seeds.digest("".join(f"{name} {value}\n" for name, value in digests(world).items()))


def labels_digest(world: World) -> str | None:
    """Return the SHA-256 of the labels of tested choices as CSV; None if they are hidden."""
    known = labels(world)
    return seeds.digest(known.to_csv()) if len(known) else None


def new_salt() -> str:
    """Return 64 hex digits that nobody can guess. It is the one draw that no seed decides: a seed can be tried."""
    return secrets.token_hex(32)


def asked(world: World) -> World:
    """Return the world with those tested choices alone that nothing else in it tells.

    Those that no trial asks are left out (`cases.asked`), and those of which a later turn quotes one answer.
    """
    texts = cases.texts(veiled(world))
    tested = texts[texts["cell"].isin(TESTS) & texts["p_first"].notna()]
    safe = cases.asked(tested)
    safe = safe[~cases.quoted(world, safe).any(axis=1)]
    choices = world.choices.drop(tested.index.difference(safe.index)).reset_index(drop=True)
    return world._replace(choices=choices)


def open_world(world: World, folder: str | Path, salt: str, seed: int) -> dict[str, Any]:
    """Split a world into a folder to publish and one to keep; of the tested choices those that are `asked`.

    PUBLIC has the world without the labels of tested choices, for people of both sides, and `hidden.yaml`:
    `commitment` (SHA-256 of the bytes of labels.parquet, then those of the salt), `world_sha256`, `labels` (their
    number), `seed`. PRIVATE has `labels.parquet` (`choice_id`, `p_first`) and `salt.txt`.

    Args:
        world: with labels. Its description is replaced, since it may tell how to make it again.
        folder: empty or not there yet.
        salt: of `new_salt`.
        seed: of which the world was made; a name for this round.

    Returns:
        The content of `hidden.yaml`.

    Raises:
        UserError: the folder holds something, or the world has no label to hide.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} holds something: choose a new folder, so that no earlier labels are lost")
    world = asked(world)
    known = labels(world)
    if known.empty:
        raise UserError(f"world '{world.name}' has no label of a tested choice to hide")
    about = f"hidden demographic, round {seed}: {len(world.people):,} people, {len(known):,} labels hidden"
    public = blinded(world)._replace(about=about)
    worlds.save(public, folder / PUBLIC)
    (folder / PRIVATE).mkdir()
    files.write(folder / PRIVATE / LABELS, known.reset_index().to_parquet)
    files.write_text(folder / PRIVATE / SALT, salt)
    told = {"commitment": commitment(folder / PRIVATE), "world_sha256": digest(public), "labels": len(known)}
    told |= {"seed": seed}
    # No JSON: a folder's .json files are tables.
    files.write_text(folder / PUBLIC / COMMITMENT, yaml.safe_dump(told, sort_keys=False))
    return told


def commitment(private: Path) -> str:
    """Return the SHA-256 of labels.parquet followed by salt.txt.

    Raises:
        UserError: one of both is missing.
    """
    missing = [name for name in (LABELS, SALT) if not (private / name).is_file()]
    if missing:
        raise UserError(f"{private} has no {missing[0]}: name the folder with {LABELS} and {SALT}")
    return hashlib.sha256((private / LABELS).read_bytes() + (private / SALT).read_bytes()).hexdigest()


def close_world(public: str | Path, private: str | Path, out: str | Path) -> World:
    """Put the labels into a hidden world, if they are those that it was opened with, and write it whole.

    Args:
        public, private: of `open_world`; also the folders that others have kept and published.
        out: folder for the world with its labels, the commitment and the salt.

    Raises:
        UserError: the labels or the salt are others than those committed to, the public part has changed since, or
            `out` is a folder with something in it.
    """
    public, private, out = Path(public), Path(private), Path(out)
    told = files.read_yaml(public / COMMITMENT)
    if not isinstance(told, dict) or not {"commitment", "world_sha256"} <= set(told):
        raise UserError(f"{public / COMMITMENT} has no commitment: take the folder that was published")
    if commitment(private) != told["commitment"]:
        raise UserError(f"{private} has other labels, or another salt, than {public / COMMITMENT} is committed to")
    world = worlds.load(public)
    if digest(world) != told["world_sha256"]:
        raise UserError(f"{public} has changed since it was opened: take the folder that was published")
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out} holds something: choose a new folder")
    known = files.read_table(private / LABELS).set_index("choice_id")["p_first"]
    choices = world.choices
    there = choices["choice_id"].isin(known.index)
    if there.sum() != len(known) or not (choices.loc[there, "failure"] == HIDDEN).all():
        raise UserError(f"{private / LABELS} has labels of choices that {public} does not hide")
    p = choices["p_first"].mask(there, choices["choice_id"].map(known))
    closed = world._replace(choices=choices.assign(p_first=p, failure=choices["failure"].mask(there)))
    about = world.about.replace("labels hidden", "labels, which were hidden")
    worlds.save(closed._replace(about=about), out)
    for source in (public / COMMITMENT, private / LABELS, private / SALT):
        (out / source.name).write_bytes(source.read_bytes())
    return closed
