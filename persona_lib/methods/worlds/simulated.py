"""A world with a known truth: simulated people with latent utilities, whose choices and best predictions are known.

The utility of a candidate with features x for a person of group g is (w + d_g + B s)'x: w is shared by all, d_g by the
group, s is the person's own place in `rank` dimensions. A choice is logistic in the difference of two utilities.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from ... import UserError, seeds
from .world import World, checked

NAME = "known truth"
# Of conversations: sizes of their world, and answers to each.
TALKS = {"prompts": 60, "heldout": 40, "history": 60, "tests": 40, "dimensions": 48, "rank": 3}
ANSWERS = 4
QUALITY = 0.5  # standard deviation of what all like in an answer, and no feature tells
TYPICAL = 15  # conversations of a person, on average


@dataclass(frozen=True)
class Design:
    """The sizes and the truth of a simulated world.

    `seen`, `unseen`: people to learn from, and others. `prompts`, `heldout`: prompts to learn from, and others.
    `candidates`: answers to each prompt. `history`, `tests`: choices of each person about prompts of each kind.
    `dimensions`: of an answer's features. `rank`: of the people's differences. `groups`: number of groups. `shared`,
    `between`, `within`: standard deviations of the utility of a random difference of two answers, due to what all
    share, to groups, and to persons. `ties`: smallest difference that a person sees. `pull`: added to the utility of
    the answer shown first. `noise`: scale of the logistic errors.
    """

    seen: int = 1000
    unseen: int = 300
    prompts: int = 300
    heldout: int = 100
    candidates: int = 4
    history: int = 64
    tests: int = 20
    dimensions: int = 128
    rank: int = 6
    groups: int = 3
    shared: float = 1.0
    between: float = 0.0
    within: float = 1.8
    ties: float = 0.0
    pull: float = 0.0
    noise: float = 1.0


def world(design: Design | None = None, seed: int = 0) -> World:
    """Draw a world.

    Returns:
        Its people have the attribute `group`, its candidates `features`, and `truth` is known. Texts are numbers, so
        that no method learns from their words.

    Raises:
        UserError: a size is below 1, more choices are asked for than there are prompts, or a scale is negative.
    """
    return drawn(design or Design(), seed)[0]


def drawn(design: Design, seed: int, salt: str = "") -> tuple[World, np.ndarray]:
    """Return a world as `world` does, and the true weights of its people: array (people, dimensions).

    With a salt, which nobody knows, people and labels are drawn by digests of part, seed and salt: features are public,
    and the state of a generator that draws all could be found from them. Features and pairs depend on the seed alone.
    """
    _check(design)
    rng = seeds.rng("a world with a known truth", seed)
    of_people, of_labels = (_secret(part, seed, salt) if salt else rng for part in ("people", "labels"))
    people = _people(design, of_people, seed)
    prompts, candidates = _texts(design)
    shown = _shown(design, rng)  # people x choices x 2: candidate numbers
    # The difference of two answers has a length of about 1, and each of its coordinates a spread of 1 / sqrt(d).
    x = rng.normal(size=(len(candidates), design.dimensions)) / np.sqrt(2 * design.dimensions)
    vectors = _vectors(design, of_people, people["group"].str.removeprefix("group ").astype(int).to_numpy() - 1)
    gap = np.einsum("pcd,pd->pc", x[shown[:, :, 0]] - x[shown[:, :, 1]], vectors)  # people x choices
    truth = expit((gap + design.pull) / design.noise)
    chosen = np.where(np.abs(gap) < design.ties, 0.5, of_labels.random(gap.shape) < truth)
    ids = candidates["candidate_id"].to_numpy()
    choices = pd.DataFrame(
        {
            "choice_id": [f"choice {i}" for i in range(gap.size)],
            "persona_id": np.repeat(people.index, gap.shape[1]),
            "prompt_id": candidates["prompt_id"].to_numpy()[shown[:, :, 0].ravel()],
            "first": ids[shown[:, :, 0].ravel()],
            "second": ids[shown[:, :, 1].ravel()],
            "p_first": chosen.ravel(),
        }
    )
    about = f"{len(people):,} simulated people, utilities of rank {design.rank}, {design.groups} groups, seed {seed}"
    features = pd.DataFrame(x, ids, [f"x{i}" for i in range(design.dimensions)])
    known = pd.Series(truth.ravel(), choices["choice_id"], name="truth")
    return checked(World(NAME, about, people, prompts, candidates, choices, features, known)), vectors


def _secret(part: str, seed: int, salt: str) -> np.random.Generator:
    """Return the generator of one part of a hidden world: no other part tells its state."""
    return seeds.rng("parts of a hidden world", int(seeds.digest(f"{part} {seed} {salt}"), 16))


def conversations(seen: int = 300, unseen: int = 100, seed: int = 0) -> World:
    """Return simulated people who choose the best of four answers in conversations, some people in many, most in few.

    Each conversation gives three pairs: the chosen answer against each other one. How many conversations a person has
    is geometric, and says nothing about what they prefer. An answer has a quality that everybody likes and no feature
    tells.

    Args:
        seen: people to learn from.
        unseen: people to predict.
        seed: of the draw.

    Returns:
        A world as `simulated.world` returns it; conversations about one prompt are between the same answers.
    """
    world, vectors = drawn(Design(seen, unseen, **TALKS), seed)
    rng = seeds.rng("conversations", seed)
    assert world.features is not None
    x = world.features.to_numpy()  # answers x dimensions, four after another for each prompt
    quality = rng.normal(scale=QUALITY, size=len(x))
    share = np.minimum(rng.geometric(1 / TYPICAL, len(world.people)) / (TALKS["history"] + TALKS["tests"]), 1)
    person = world.people.index.get_indexer(world.choices["persona_id"])
    kept = rng.random(len(person)) < share[person]
    person, prompt = person[kept], pd.Index(world.prompts["prompt_id"]).get_indexer(world.choices["prompt_id"][kept])
    answers = ANSWERS * prompt[:, None] + np.arange(ANSWERS)  # conversations x answers
    utility = np.einsum("cad,cd->ca", x[answers], vectors[person]) + quality[answers]
    order = np.argsort(-(utility + rng.gumbel(size=utility.shape)), axis=1)  # the chosen answer first
    pairs = np.stack([np.repeat(order[:, :1], ANSWERS - 1, axis=1), order[:, 1:]], axis=2).reshape(-1, 2)
    row = np.repeat(np.arange(len(answers)), ANSWERS - 1)
    turned = rng.random(len(row)) < 0.5
    pairs[turned] = pairs[turned, ::-1]
    ids = world.candidates["candidate_id"].to_numpy()[answers[row[:, None], pairs]]
    choices = pd.DataFrame(
        {
            "choice_id": [f"choice {i}" for i in range(len(row))],
            "persona_id": world.people.index[person[row]],
            "prompt_id": world.prompts["prompt_id"].to_numpy()[prompt[row]],
            "first": ids[:, 0],
            "second": ids[:, 1],
            "p_first": (~turned).astype(float),
        }
    )
    gap = utility[row, pairs[:, 0]] - utility[row, pairs[:, 1]]
    truth = pd.Series(expit(gap), choices["choice_id"], name="truth")
    about = f"{len(world.people):,} simulated people, {len(answers):,} conversations, seed {seed}"
    return checked(world._replace(name="conversations", about=about, choices=choices, truth=truth))


def _people(design: Design, rng: np.random.Generator, seed: int) -> pd.DataFrame:
    n = design.seen + design.unseen
    sides = ["train"] * design.seen + ["test"] * design.unseen
    group = [f"group {number + 1}" for number in rng.integers(design.groups, size=n)]
    index = pd.Index([f"simulated-{seed}-{i}" for i in range(n)], name="persona_id", dtype="str")
    return pd.DataFrame({"persona_split": sides, "group": group}, index, dtype="str")


def _texts(design: Design) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return prompts and candidates, whose texts are numbers."""
    sides = ["train"] * design.prompts + ["heldout"] * design.heldout
    prompts = pd.DataFrame(
        {"prompt_id": [f"prompt {i}" for i in range(len(sides))], "prompt_split": sides}, dtype="str"
    )
    prompts.insert(1, "prompt", prompts["prompt_id"])
    ids = prompts["prompt_id"].repeat(design.candidates).reset_index(drop=True)
    number = pd.Series(np.tile(np.arange(design.candidates), len(prompts))).astype("str")
    candidates = pd.DataFrame(
        {"candidate_id": ids + ", answer " + number, "prompt_id": ids, "text": "answer " + number}
    )
    return prompts, candidates


def _shown(design: Design, rng: np.random.Generator) -> np.ndarray:
    """Return two candidates of each choice: people x choices x 2; nobody gets a prompt twice."""
    n = design.seen + design.unseen
    asked = []
    for first, size, number in ((0, design.prompts, design.history), (design.prompts, design.heldout, design.tests)):
        asked.append(first + np.argsort(rng.random((n, size)), axis=1)[:, :number])
    prompt = np.concatenate(asked, axis=1)  # people x choices
    two = np.argsort(rng.random((*prompt.shape, design.candidates)), axis=2)[:, :, :2]
    return prompt[:, :, None] * design.candidates + two


def _vectors(design: Design, rng: np.random.Generator, group: np.ndarray) -> np.ndarray:
    """Return the true weights of each person: people x dimensions."""
    d, r = design.dimensions, design.rank
    shared = rng.normal(size=d) * design.shared
    of_group = rng.normal(size=(design.groups, d)) * design.between
    basis = np.linalg.qr(rng.normal(size=(d, r)))[0]  # dimensions x rank
    own = rng.normal(size=(len(group), r)) * np.sqrt(d / r) * design.within
    return shared + of_group[group] + own @ basis.T


def _check(design: Design) -> None:
    """Raise UserError for sizes and scales that make no world."""
    for name in ("seen", "unseen", "prompts", "heldout", "history", "tests", "dimensions", "rank", "groups"):
        if getattr(design, name) < 1:
            raise UserError(f"{name} of a simulated world is {getattr(design, name)}: it must be 1 or more")
    if design.candidates < 2:
        raise UserError(f"candidates is {design.candidates}: a choice needs 2 or more")
    for name in ("shared", "between", "within", "ties"):
        if not getattr(design, name) >= 0:
            raise UserError(f"{name} of a simulated world is {getattr(design, name)}: it must be 0 or more")
    if not design.noise > 0:
        raise UserError(f"noise of a simulated world is {design.noise}: it must be above 0")
    for few, many in (("history", "prompts"), ("tests", "heldout"), ("rank", "dimensions")):
        if getattr(design, few) > getattr(design, many):
            raise UserError(
                f"{few} is {getattr(design, few)}, but {many} is {getattr(design, many)}: take at most as many"
            )
