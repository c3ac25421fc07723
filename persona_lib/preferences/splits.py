"""The design of a preference data set: which persona gets which prompt, and for what use. Section 3.2 of the paper.

Personas and prompts are crossed independently. Train prompts are dealt like cards, one shuffled deck after another, so
that each is used equally often. Who and what is to test on is decided by the hashes of their ids (`personas.split`,
`prompts.load`): the design takes the sides as they are.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from .. import UserError, personas, seeds
from ..prompts.bank import SPLITS

TRAIN, SEEN, HELDOUT, DENSE = "train", "seen_test", "heldout_test", "dense"
CONTEXT = "context"  # train pairs of test personas, which a method may be shown but must not train on
CELLS = ("train", CONTEXT, "seen_seen", "seen_unseen", "unseen_seen", "unseen_unseen")


def deal(
    ids: Iterable[str], prompts: pd.DataFrame, train: int = 100, seen: int = 50, heldout: int = 50, seed: int = 0
) -> pd.DataFrame:
    """Deal prompts to personas.

    Args:
        ids: of the personas, in order; ids added at the end do not change the prompts of the others.
        prompts: columns `prompt_id` and `prompt_split` ('train' or 'heldout').
        train: train prompts per persona to train on.
        seen: train prompts per persona to test on.
        heldout: held-out prompts per persona to test on.
        seed: of the decks.

    Returns:
        One row per persona and prompt: `persona_id`, `prompt_id`, `use` (train, seen_test or heldout_test). No pair
        occurs twice. For training, the numbers of uses of any two prompts differ by at most 2.

    Raises:
        UserError: a persona needs more prompts than there are.
    """
    # Sorted by id, so that the deal does not depend on the order of the table.
    decks = {s: np.sort(prompts.loc[prompts["prompt_split"] == s, "prompt_id"].to_numpy(str)) for s in SPLITS}
    for split, size in (("train", train + seen), ("heldout", heldout)):
        if size > len(decks[split]):
            raise UserError(f"{size} {split} prompts per persona are asked for, and there are {len(decks[split])}")
    ids = list(ids)
    hands = _hands(len(decks["train"]), train + seen, seeds.rng("prompts dealt for training", seed))
    new_hands = _hands(len(decks["heldout"]), heldout, seeds.rng("prompts dealt for testing", seed))
    trained = np.zeros(len(decks["train"]), dtype=int)  # how often each prompt was trained on so far
    dealt = []  # of each persona: train + seen + heldout prompt ids
    for _, hand, new in zip(ids, hands, new_hands, strict=False):  # hands never end
        # Train on the prompts that were trained on least. The hand is shuffled: among equals, chance decides.
        hand = hand[np.argsort(trained[hand], kind="stable")]
        trained[hand[:train]] += 1
        dealt.append(np.concatenate([decks["train"][hand], decks["heldout"][new]]))
    uses = np.repeat([TRAIN, SEEN, HELDOUT], [train, seen, heldout])
    table: dict[str, Any] = {
        "persona_id": np.repeat(np.array(ids, dtype=object), len(uses)),
        "prompt_id": np.concatenate(dealt) if dealt else [],
        "use": np.tile(uses, len(ids)),
    }
    return pd.DataFrame(table).astype("str")


def _hands(cards: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield hands of `size` different cards from one shuffled deck after another, without end.

    No card is dealt for the k-th time before each was dealt k - 1 times, so that all are dealt equally often.

    Args:
        cards: size of the deck; a hand contains numbers from 0 to `cards` - 1.
        size: of a hand, at most `cards`.
        rng: shuffles the decks.
    """
    rest = np.empty(0, dtype=int)  # the cards to deal next, in order
    while True:
        if len(rest) < size:
            deck = rng.permutation(cards)
            # Cards left over from the last deck go to the end of the new one: no hand gets a card twice.
            left_over = np.isin(deck, rest)
            rest = np.concatenate([rest, deck[~left_over], deck[left_over]])
        yield rest[:size]
        rest = rest[size:]


def dense(ids: Iterable[str], prompt_ids: Iterable[str], n_personas: int, n_prompts: int) -> pd.DataFrame:
    """Pair every prompt with every persona of a subset, as collaborative methods need it.

    Returns:
        Columns `persona_id`, `prompt_id`, `use` (dense). Hashes of the ids choose the subset, so that it mixes splits.

    Raises:
        UserError: the block needs more personas or prompts than there are.
    """
    sizes = {"personas": (list(ids), n_personas), "prompts": (list(prompt_ids), n_prompts)}
    for kind, (there, n) in sizes.items():
        if n > len(there):
            raise UserError(f"{n} {kind} are asked for in the dense block, and there are {len(there)}")
    chosen = [sorted(there, key=lambda i: seeds.digest(f"dense {i}"))[:n] for there, n in sizes.values()]
    pairs = pd.MultiIndex.from_product(chosen, names=["persona_id", "prompt_id"])
    return pairs.to_frame(index=False).assign(use=DENSE).astype("str")


def cells(pairs: pd.DataFrame) -> pd.Series:
    """Return the official split over both axes: one of `CELLS` for each pair.

    A method trains on `train`: train pairs of train personas. Four cells test it, named by persona, then prompt: in
    `seen_seen` both were in training (but not the pair), in `unseen_unseen` neither. `context` holds the train pairs of
    unseen personas, which a method may be shown (see `contexts`), but must not train on.

    Args:
        pairs: columns `persona_id`, `persona_split`, `prompt_split`, `use`.

    Raises:
        UserError: `persona_split` names no side.
    """
    split = personas.split(pairs["persona_id"], pairs["persona_split"], "the data set")
    who = np.where(split == "test", "unseen", "seen")
    what = np.where(pairs["prompt_split"] == "heldout", "unseen", "seen")
    tests = pd.Series(who, pairs.index, dtype="str") + "_" + what
    return tests.mask(pairs["use"].isin([TRAIN, CONTEXT]), np.where(who == "seen", "train", CONTEXT))


def contexts(pairs: pd.DataFrame, shots: int = 8, draws: int = 5, seed: int = 0) -> pd.DataFrame:
    """Draw few-shot contexts: pairs of a persona that a method may see before it is tested on others.

    Args:
        pairs: columns `pair_id`, `persona_id`, `prompt_id`, `use`, `failure`; failed pairs are left out.
        shots: pairs per context. The first k are the context of k shots, so that the sets are nested along a curve over
            the number of shots.
        draws: independent contexts per persona.
        seed: of the draws. Pairs are ordered by hash, so that a persona's contexts do not depend on other personas.

    Returns:
        Columns `persona_id`, `draw` (0, 1, ...), `shot` (1, 2, ...), `pair_id`: train pairs, each once per draw.
    """
    own = pairs[(pairs["use"] == TRAIN) & pairs["failure"].isna()]
    tables = []
    for draw in range(draws):
        place = (f"context {seed} {draw} " + own["persona_id"] + own["prompt_id"]).map(seeds.digest)
        table = own[["persona_id", "pair_id"]].assign(draw=draw, place=place).sort_values(["persona_id", "place"])
        shot = table.groupby("persona_id").cumcount() + 1
        tables.append(table.assign(shot=shot)[shot <= shots])
    every = pd.concat(tables).sort_values(["persona_id", "draw", "shot"], ignore_index=True)
    return every[["persona_id", "draw", "shot", "pair_id"]]
