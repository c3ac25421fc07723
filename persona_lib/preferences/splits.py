"""The design of a preference data set: which persona is asked which prompt, and what for. Section 3.2 of the paper.

Personas and prompts are independent: the train prompts are dealt like cards, one shuffled deck after another, so that
each is used as often as any other. Splits are by hash, so that nothing moves when the data grow. Used by
03_preferences and `persona pairs`.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from .. import UserError, seeds

SPLITS = ("train", "heldout")  # of prompts
TRAIN, SEEN, HELDOUT, DENSE = "train", "seen_test", "heldout_test", "dense"
CELLS = ("train", "context", "seen_seen", "seen_unseen", "unseen_seen", "unseen_unseen")
UNSEEN = ("unseen", "test")  # personas: by `persona_splits`, and by the split that `personas.sample` draws
UNSEEN_SHARE = 586 / 1586  # of personas; the paper's text has 1,586 personas and also 1,000 + 568


def persona_splits(ids: Iterable[str], unseen: float = UNSEEN_SHARE) -> pd.Series:
    """'train' or 'unseen' for each persona id (index), decided by the hash of the id alone."""
    ids = pd.Index(ids, name="persona_id", dtype="str")
    place = [int(seeds.digest(f"persona split {i}", 8), 16) / 16**8 for i in ids]
    return pd.Series(np.where(np.array(place) < unseen, "unseen", "train"), index=ids, dtype="str")


def deal(
    ids: Iterable[str], prompts: pd.DataFrame, train: int = 100, seen: int = 50, heldout: int = 50, seed: int = 0
) -> pd.DataFrame:
    """Deal prompts to personas.

    Args:
        ids: of the personas, in order; more of them at the end leave the hands of the others as they are.
        prompts: columns `prompt_id` and `prompt_split` ('train' or 'heldout').
        train, seen: train prompts per persona, to train on and to test on.
        heldout: held-out prompts per persona, to test on.
        seed: of the decks.

    Returns:
        One row per persona and prompt: `persona_id`, `prompt_id`, `use` (train, seen_test or heldout_test). No pair
        comes twice, and for training no prompt is used more than twice more than another.

    Raises:
        UserError: a persona needs more prompts than there are.
    """
    # In the order of the ids, so that a hand does not depend on how the table of prompts was sorted.
    decks = {s: np.sort(prompts.loc[prompts["prompt_split"] == s, "prompt_id"].to_numpy(str)) for s in SPLITS}
    for split, size in (("train", train + seen), ("heldout", heldout)):
        if size > len(decks[split]):
            raise UserError(f"{size} {split} prompts per persona are asked for, and there are {len(decks[split])}")
    ids = list(ids)
    known = _hands(len(decks["train"]), train + seen, seeds.rng("prompts dealt for training", seed))
    new = _hands(len(decks["heldout"]), heldout, seeds.rng("prompts dealt for testing", seed))
    uses = np.zeros(len(decks["train"]), dtype=int)
    rows = []
    for persona, hand, other in zip(ids, known, new, strict=False):
        # Those trained on least so far are trained on; within a hand, which is shuffled, chance decides among equals.
        hand = hand[np.argsort(uses[hand], kind="stable")]
        uses[hand[:train]] += 1
        chosen = np.concatenate([decks["train"][hand], decks["heldout"][other]])
        rows.append(pd.DataFrame({"persona_id": persona, "prompt_id": chosen}))
    use = np.tile(np.repeat([TRAIN, SEEN, HELDOUT], [train, seen, heldout]), len(ids))
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["persona_id", "prompt_id"])
    return table.assign(use=use).astype("str")


def _hands(cards: int, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Hands of `size` different cards from one shuffled deck after another, so that all are dealt equally often."""
    rest = np.empty(0, dtype=int)
    while True:
        if len(rest) < size:
            fresh = rng.permutation(cards)
            # What is still in hand from the last deck comes last of this one: no card twice in a hand.
            again = np.isin(fresh, rest)
            rest = np.concatenate([rest, fresh[~again], fresh[again]])
        yield rest[:size]
        rest = rest[size:]


def dense(ids: Iterable[str], prompt_ids: Iterable[str], n_personas: int, n_prompts: int) -> pd.DataFrame:
    """Every prompt for every persona of a subset, as collaborative methods need it.

    Returns:
        Columns `persona_id`, `prompt_id`, `use` (dense). Who and what is in it goes by hash: some of each split.

    Raises:
        UserError: the block is larger than what there is.
    """
    sizes = {"personas": (list(ids), n_personas), "prompts": (list(prompt_ids), n_prompts)}
    for kind, (there, n) in sizes.items():
        if n > len(there):
            raise UserError(f"{n} {kind} are asked for in the dense block, and there are {len(there)}")
    chosen = [sorted(there, key=lambda i: seeds.digest(f"dense {i}"))[:n] for there, n in sizes.values()]
    pairs = pd.MultiIndex.from_product(chosen, names=["persona_id", "prompt_id"])
    return pairs.to_frame(index=False).assign(use=DENSE).astype("str")


def cells(pairs: pd.DataFrame) -> pd.Series:
    """The official split on both axes, from `persona_split`, `prompt_split` and `use`; one of `CELLS` for each pair.

    A method trains on `train`: train pairs of train personas. Four cells test it, named by persona and prompt: in
    `seen_seen` it knows both (not the pair), in `unseen_unseen` neither. `context` holds the train pairs of unseen
    personas: what may be shown of a new person (see `contexts`), but not trained on.
    """
    who = np.where(pairs["persona_split"].isin(UNSEEN), "unseen", "seen")
    what = np.where(pairs["prompt_split"] == "heldout", "unseen", "seen")
    tests = pd.Series(who, pairs.index, dtype="str") + "_" + what
    return tests.mask(pairs["use"] == TRAIN, np.where(who == "seen", "train", "context"))


def contexts(pairs: pd.DataFrame, shots: int = 8, draws: int = 5, seed: int = 0) -> pd.DataFrame:
    """Few-shot contexts: pairs of a persona that a method may be shown before it is tested on the others.

    Args:
        pairs: columns `pair_id`, `persona_id`, `prompt_id`, `use`; those with a `failure` are left out.
        shots: pairs per context; the first k of them are the context of k shots, so that the curve from 0 to all is
            one of nested sets.
        draws: independent contexts per persona.
        seed: of the draws. They go by hash, so that a persona's context does not depend on the others.

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
