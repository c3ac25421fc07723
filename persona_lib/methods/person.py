"""A person who can be asked: questions, which a model in their place answers, or which of two answers they chose."""

from collections.abc import Callable, Sequence

import pandas as pd
from pydantic import create_model

from ..model import LanguageModel
from ..templates import load, text

ANSWER_WORDS = 60


class Person:
    """One person of a trial, who answers at most k questions of a method, each in view of what they said before.

    Attributes: `ask` and `choose`, which a method gets; `left`, how many questions may still be asked; `said`, each
    question with its answer; `pool`, columns `prompt`, `first`, `second`: pairs of answers about which the person can
    be asked.

    Args:
        profile: all that is known of the person; no method sees it.
        model: plays the person; None if there is none.
        k: the most questions.
        chosen: the columns of `pool`, and `p_first`; None for no pairs.
    """

    def __init__(self, profile: str, model: LanguageModel | None, k: int, chosen: pd.DataFrame | None = None):
        self._profile = profile
        self._model = model
        self.left = k
        chosen = pd.DataFrame(columns=["prompt", "first", "second", "p_first"]) if chosen is None else chosen
        self.pool = chosen[["prompt", "first", "second"]]
        self._chosen = chosen["p_first"].to_numpy(float)
        self.said: list[tuple[str, str]] = []

    @property
    def ask(self) -> Callable[[Sequence[str]], list[str]]:
        """What answers questions; a method that holds it holds no person, whose choices and limit are not its own."""
        return lambda questions: self._ask(questions)

    @property
    def choose(self) -> Callable[[int], float]:
        """What says which answer of a pair was chosen, as `ask`."""
        return lambda row: self._choose(row)

    def _ask(self, questions: Sequence[str]) -> list[str]:
        """Return the person's answers. Questions of one call don't see each other's answers; later ones do.

        Raises:
            ValueError: there is no profile or no model, the questions are no list of texts or more than are left, or
                the person gives no answer to one of them.
        """
        if isinstance(questions, str) or not all(isinstance(one, str) and one.strip() for one in questions):
            raise ValueError("questions to a person are a list of texts")
        if len(questions) > self.left:
            raise ValueError(f"{len(questions)} questions are too many: {self.left} may be asked")
        if not len(questions):
            return []
        if self._model is None:
            raise ValueError("nobody plays the person: give the trial a model")
        if not self._profile:
            raise ValueError("nobody can play the person, who has no profile")
        self.left -= len(questions)
        schema = create_model("Answer", answer=(text(ANSWER_WORDS), ...))
        told = {"persona": self._profile, "said": transcript(self.said), "words": ANSWER_WORDS}
        messages = [load("method_person").messages(told | {"question": one}) for one in questions]
        replies = self._model.ask(messages, schema, step="people who are asked")
        answers = [reply.value.answer.strip() if reply.value else "" for reply in replies]  # type: ignore[attr-defined]
        for question, answer, reply in zip(questions, answers, replies, strict=True):
            if not answer:
                raise ValueError(f"no answer to '{question:.60}': {reply.failure or 'it is empty'}")
        self.said += zip(questions, answers, strict=True)
        return answers

    def _choose(self, row: int) -> float:
        """Return what the person chose in a row of `pool`: 1 the first, 0 the second, 0.5 a tie. It is one question.

        Raises:
            ValueError: there is no such row, or no question is left.
        """
        if not 0 <= row < len(self._chosen):
            raise ValueError(f"there is no pair {row} to ask about: there are {len(self._chosen)}")
        if not self.left:
            raise ValueError("1 question is too many: 0 may be asked")
        self.left -= 1
        return float(self._chosen[row])

    def leave(self) -> None:
        """Answer nothing from now on."""
        self.left = 0


def transcript(said: Sequence[tuple[str, str]]) -> str | None:
    """Return questions and answers as text for a prompt; None if there are none."""
    return "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in said) or None
