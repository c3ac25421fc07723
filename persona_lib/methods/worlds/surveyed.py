"""Real people as a world: respondents of a survey, whose answers to k questions are known and others are predicted.

Each question is a prompt and its possible answers are the candidates. A respondent's answer is a choice against each
answer that they did not give.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ... import seeds
from ...personas import respondents
from .world import World, checked


def world(survey: str = "gss", n: int | None = None, seed: int = 0) -> World:
    """Return the respondents of a survey as a world.

    Args:
        survey: `gss` or `anes` of `personas.respondents`.
        n: how many respondents; None for all.
        seed: of their draw.

    Returns:
        All questions are train prompts: the choices that a hash puts aside are tested, so use the cell unseen_seen.
        `features` are indicators of the answers, since 18 questions are too few to learn from their words. Which
        answer comes first is decided by a hash.

    Raises:
        UserError: as `respondents.load` and `sample`.
    """
    drawn = respondents.sample(respondents.load(survey), n, seed)
    prompts = drawn.questions[["prompt_id", "prompt", "item"]].assign(prompt_split="train")
    candidates = prompts[["prompt_id"]].merge(pd.Series(drawn.options, name="text"), how="cross")
    named = candidates["prompt_id"] + ": " + candidates["text"]
    # By a hash, in whose order they stand: neither id nor place says which answer is frequent.
    candidates.insert(0, "candidate_id", named.map(lambda one: seeds.digest(one, 16)))
    candidates = candidates.sort_values("candidate_id", ignore_index=True)
    features = pd.DataFrame(np.eye(len(candidates)), candidates["candidate_id"])
    features.columns = [f"x{i}" for i in range(len(candidates))]
    choices = _choices(drawn.answers.dropna(subset="answer"), drawn.options)
    about = f"{len(drawn.people):,} respondents: {drawn.about}"
    people = respondents.bands(drawn.people)
    return checked(World(drawn.title, about, people, prompts, candidates, choices, features))


def _choices(answers: pd.DataFrame, options: Sequence[str]) -> pd.DataFrame:
    """Return each answer as choices against the answers not given."""
    both = answers.merge(pd.Series(options, name="other"), how="cross")
    both = both[both["other"] != both["answer"]].reset_index(drop=True)
    named = (both["prompt_id"] + ": " + both[column] for column in ("answer", "other"))
    given, other = (names.map(lambda one: seeds.digest(one, 16)) for names in named)
    ids = both["persona_id"] + " " + other
    first = np.array([int(seeds.digest(f"shown first {i}", 2), 16) % 2 == 0 for i in ids])
    return pd.DataFrame(
        {
            "choice_id": ids,
            "persona_id": both["persona_id"],
            "prompt_id": both["prompt_id"],
            "first": given.where(first, other),
            "second": other.where(first, given),
            "p_first": first.astype(float),
        }
    )
