"""Clean worlds with written answers: of many shapes and ways of writing, in which only people and their tastes tell.

What is natural stays in: people share tastes for longer answers and for lists, the first place pulls, writers repeat
phrases, answers are in Markdown, cut off, in quotes, with accents, or with blanks at their ends.
"""

import random
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from persona_lib import prompts, seeds
from persona_lib.methods import World, simulated
from persona_lib.methods.worlds.world import checked

WORDS = (  # of a sentence, part by part
    "Your friend|A doctor|The city|A good plan|Most people|The law|My café|An expert|The UNESCO list|Nobody|"
    "All of this|Every parent|The first draft|A small team|What you want|The weather|Your boss|An old rule|Sleep",
    "will help|may cost|should show|often needs|can change|has to weigh|rarely explains|would keep|gives up|pays for|"
    "looks past|comes before|leaves out|must respect|turns into|makes room for|asks for|ends",
    "the price|a new habit|more time|the first step|what you said|a long walk|the naïve view|better food|a clear aim|"
    "less noise|the whole family|two or three reasons|an honest talk|the budget|your health|local rules|a backup",
    "today|in the end|for a while|if you like|without doubt|as Anaïs says|at home|(or not)|when it rains|by next week|"
    "on most days|at your own pace|under U.S. law|with some luck|again and again|for 20 minutes",
)
PARTS = [part.split("|") for part in WORDS]
STOCK = ("It depends on what you need.", "I'm sorry, but I can't help with that.", "Let me know if you have questions!")


@dataclass(frozen=True)
class Habits:
    """How often the writers of a world do what a format can tell, each from 0 to 1, and what readers like of it."""

    listed: float
    bold: float
    quoted: float
    cut: float
    blank: float
    stock: float
    lines: float
    for_length: float  # utility of an answer that is e times as long
    for_lists: float


def world(seed: int) -> World:
    """Return a clean world; its shape, its ids, its vectors and how its answers are written differ by seed."""
    rng = np.random.default_rng(seed)
    made = simulated.world(_design(rng), seed)
    if rng.random() < 0.5:
        made = _apart(made, rng)
    habits = Habits(*rng.beta(0.5, 3, 7), for_length=rng.normal(0.3, 0.2), for_lists=rng.normal(0, 0.3))
    writer = random.Random(seed)  # for single draws ten times as fast as numpy's
    texts = [_answer(habits, writer) for _ in made.candidates.index]
    asked = prompts.load()["prompt"].sample(len(made.prompts), random_state=seed)
    made = made._replace(
        candidates=made.candidates.assign(text=texts), prompts=made.prompts.assign(prompt=asked.to_numpy())
    )
    made = _chosen(_named(made, rng), habits, rng)
    if rng.random() < 0.2:
        made = _both_orders(made)
    return checked(made._replace(features=None) if rng.random() < 0.3 else made)


def _design(rng: np.random.Generator) -> simulated.Design:
    asked, heldout, dimensions = (int(rng.integers(*ends)) for ends in ((20, 80), (10, 40), (4, 17)))
    return simulated.Design(
        seen=int(rng.integers(15, 50)),
        unseen=int(rng.integers(8, 30)),
        prompts=asked,
        heldout=heldout,
        candidates=int(rng.integers(2, 7)),
        history=int(rng.integers(8, 20)),
        tests=int(rng.integers(4, 10)),
        dimensions=dimensions,
        rank=int(rng.integers(1, 5)),
        groups=int(rng.integers(2, 6)),
        shared=rng.uniform(0.3, 1.3),
        between=rng.uniform(0, 1),
        within=rng.uniform(0.5, 2.5),
        ties=float(rng.choice([0, 0.3])),
        pull=rng.uniform(0, 0.3),
    )


def _apart(world: World, rng: np.random.Generator) -> World:
    """Give each choice two answers of its own, as conversations have them."""
    c = world.choices
    number = rng.permutation(2 * len(c))
    own = {
        side: [f"own {i}" for i in part] for side, part in zip(("first", "second"), np.split(number, 2), strict=True)
    }
    rows = [pd.DataFrame({"candidate_id": own[side], "prompt_id": c["prompt_id"], "was": c[side]}) for side in own]
    candidates = pd.concat(rows, ignore_index=True)
    assert world.features is not None
    features = world.features.loc[candidates["was"]].set_axis(candidates["candidate_id"])
    return world._replace(
        candidates=candidates[["candidate_id", "prompt_id"]], choices=c.assign(**own), features=features
    )


def _answer(habits: Habits, writer: random.Random) -> str:
    said = [" ".join(map(writer.choice, PARTS)) + writer.choice("....!") for _ in range(writer.randint(1, 6))]
    if len(said) > 1 and writer.random() < habits.stock:
        said[-1] = writer.choice(STOCK)
    if writer.random() < habits.bold:
        said[0] = f"**{said[0]}**"
    if len(said) > 1 and writer.random() < habits.listed:
        text = said[0] + "".join(f"\n- {one}" for one in said[1:])
    else:
        text = ("\n\n" if writer.random() < habits.lines else " ").join(said)
    text = f'"{text}"' if writer.random() < habits.quoted else text
    text = text[: writer.randint(20, 20 + len(text))] if writer.random() < habits.cut else text
    return text + writer.choice([" ", "\n", "  "]) if writer.random() < habits.blank else text


def _named(world: World, rng: np.random.Generator) -> World:
    """Give answers ids that are hashes, or numbers in a random order, and put them into a random order or by prompt."""
    old = world.candidates["candidate_id"]
    number = rng.permutation(len(old))
    new = [seeds.digest(f"answer {i}", 16) for i in number]
    if rng.random() < 0.5:
        new = [f"answer {i}" for i in number]
    ids = dict(zip(old, new, strict=True))
    candidates = world.candidates.assign(candidate_id=new)
    if rng.random() < 0.5:
        candidates = candidates.iloc[rng.permutation(len(candidates))].reset_index(drop=True)
    assert world.features is not None
    sides = {side: world.choices[side].map(ids) for side in ("first", "second")}
    return world._replace(
        candidates=candidates, choices=world.choices.assign(**sides), features=world.features.rename(index=ids)
    )


def _chosen(world: World, habits: Habits, rng: np.random.Generator) -> World:
    """Let people choose anew, with what they share of tastes for a way of writing; ties stay."""
    text = world.candidates.set_index("candidate_id")["text"]
    liked = habits.for_length * np.log(text.str.len()) + habits.for_lists * text.str.contains("\n- ")
    c = world.choices
    gap = logit(c["choice_id"].map(world.truth)) + c["first"].map(liked) - c["second"].map(liked)
    chosen = (rng.random(len(c)) < expit(gap)).astype(float)
    return world._replace(choices=c.assign(p_first=chosen.where(c["p_first"] != 0.5, 0.5)), truth=None)


def _both_orders(world: World) -> World:
    """Show each pair in both orders, one row after the other."""
    c = world.choices
    turned = c.assign(
        choice_id=c["choice_id"] + " turned", first=c["second"], second=c["first"], p_first=1 - c["p_first"]
    )
    return world._replace(choices=pd.concat([c, turned]).sort_index(kind="stable").reset_index(drop=True))
