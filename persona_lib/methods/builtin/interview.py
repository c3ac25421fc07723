"""A method that interviews: a model writes questions, the person answers, and a model predicts from the transcript."""

import numpy as np
import pandas as pd
from pydantic import create_model

from ... import seeds
from ...templates import load, text
from ..person import transcript
from .prompted import Prompted

ROUNDS = 4  # of an interview at most: each waits for the one before
QUESTION_WORDS = 30
EXAMPLES = 5  # prompts of training people from which the interviewer sees what is asked


class Interview(Prompted):
    """The model asks the person k questions, and predicts from their answers alone (GATE 2310.11589).

    Questions are open, and written in up to ROUNDS rounds: a later round sees all answers before, and up to k = ROUNDS
    each round has one question. At k = 0 it is the method that is told nothing. Simplified: GATE asks people, one
    question after another at any k; here a model plays them. Pep (2602.15012) and PReF (2503.06358) ask what a model
    of all people expects to tell most; here the writing model judges that.
    """

    name = "interview"
    sees = ("questions",)

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        prompts = pairs["prompt"].unique()
        shown = seeds.rng("prompts shown to an interviewer", self.seed).permutation(prompts)[:EXAMPLES]
        self.examples = "\n".join(f"- {prompt}" for prompt in shown)

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        said: list[tuple[str, str]] = []
        for n in rounds(self.questions):
            asked = self._written(n, transcript(said))
            said += zip(asked, self.ask(asked), strict=True)
        self.told = {"interview": transcript(said)}

    def _written(self, n: int, said: str | None) -> list[str]:
        """Return n questions, written in view of what the person has said."""
        fields = [f"question_{i + 1}" for i in range(n)]
        schema = create_model("Questions", **dict.fromkeys(fields, (text(QUESTION_WORDS), ...)))  # type: ignore[call-overload]
        told = {"n": n, "fields": ", ".join(fields), "said": said, "examples": self.examples}
        (reply,) = self.model.ask([load("method_interview").messages(told)], schema, step=f"{self.name}: questions")
        if reply.failure:
            raise ValueError(f"no questions were written: {reply.failure}")
        return [getattr(reply.value, field) for field in fields]


def rounds(k: int) -> list[int]:
    """Return how many questions each round has: k in all, in at most ROUNDS rounds of nearly equal size."""
    return [len(part) for part in np.array_split(np.arange(k), ROUNDS) if len(part)]
