"""Methods that train nothing: a language model predicts the choice from what its prompt says of the person.

They work with any endpoint. Each choice is asked in both orders: p = (P(A | first, second) + P(B | second, first)) / 2,
so that a model that leans to one place does not count it as a preference. They write answers with what they predict
from.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pandas as pd
from pydantic import create_model

from ... import UserError
from ...model import Messages
from ...prompts.words import count
from ...templates import load, text
from ..method import Embed, Method
from ..worlds.world import lines
from .linear import Pooled

TELLING = 4  # pairs that are shown beside a written profile
NOTE_WORDS = 80
Told: TypeAlias = Mapping[str, str | None]  # what a prompt says of a person, by the template's variable
NOTHING = dict.fromkeys(("persona", "groups", "written", "interview", "pairs"))


class Prompted(Method):
    """One answer for all: the model predicts for a person of whom it is told nothing (the generic model of 2605.13307).

    Raises:
        UserError: there is no model.
    """

    name = "told nothing"
    sees: ClassVar[tuple[str, ...]] = ()

    def __init__(self, embed: Embed, model: Any = None, seed: int = 0):
        if model is None:
            raise UserError(f"the method '{self.name}' asks a language model: give it one")
        super().__init__(embed, model, seed)
        self.told: Told = {}

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return self.chances([self.told] * len(prompt), prompt, first, second)

    def chances(self, told: Sequence[Told], prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the probability of each first answer: array (n,), missing where one of the orders shows none.

        Args:
            told: what the prompt of each choice says of the person.
            prompt, first, second: arrays (n,) of texts.

        Raises:
            ValueError: no reply shows a choice.
        """
        asked = [*zip(told, prompt, first, second, strict=True), *zip(told, prompt, second, first, strict=True)]
        replies = self.model.choices([_messages(*one) for one in asked], ("A", "B"), step=self.name)
        chance = replies.probabilities[:, 0].reshape(2, -1)  # orders x choices
        if np.isnan(chance).all():
            raise ValueError(f"no reply shows a choice, such as: {next(filter(None, replies.failures))}")
        return (chance[0] + 1 - chance[1]) / 2

    def answer(self, prompt: np.ndarray, candidates: Sequence[np.ndarray]) -> np.ndarray:
        lengths = [count(answer) for own in candidates for answer in own]
        words = max(10, int(np.median(lengths).round(-1))) if lengths else None  # as long as candidates are: whole tens
        template = load("method_answer")
        messages = [template.messages(NOTHING | dict(self.told) | {"question": one, "words": words}) for one in prompt]
        schema = create_model("Answer", answer=(text(words), ...))
        replies = self.model.ask(messages, schema, step=f"{self.name}: answers")
        return np.array([ValueError(r.failure) if r.failure else r.value.answer for r in replies], dtype=object)


def _messages(told: Told, prompt: str, first: str, second: str) -> Messages:
    shown = {"question": prompt, "first": first, "second": second}
    return load("method_prefer").messages(NOTHING | dict(told) | shown)


class Profile(Prompted):
    """The whole profile in the prompt (PERSONA 2407.17387): what a model reaches that knows the person.

    An oracle, if profiles are true. Simplified: PERSONA's models write answers for the person, here they choose.

    Raises:
        ValueError: the person has no profile; the reason in their rows.
    """

    name = "profile in the prompt"
    sees: ClassVar[tuple[str, ...]] = ("profile",)

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        if not person["profile"]:
            raise ValueError("this person has no profile")
        self.told = {"persona": person["profile"]}


class Judged(Profile):
    """The best of n by a judge who knows the profile: it writes nothing, and predicts as `Profile` does."""

    name = "best of n by a judge with the profile"
    answer = Method.answer


class GroupPrompt(Prompted):
    """A person's groups in the prompt, and nothing of themselves (group steering, as in 2502.16761 and 2510.17516).

    Simplified: SubPOP and SimBench predict the distribution of a group's answers, here it is each member's choice, and
    all groups of the person are told at once.
    """

    name = "groups in the prompt"
    sees = ("groups",)

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        self.told = {"groups": lines(person)}


class Shots(Prompted):
    """The k choices in the prompt as they are; 2512.23067 finds this the strongest simple method.

    Simplified: it writes answers there, here it predicts choices. Ties, which show no preference, are left out.
    """

    name = "choices in the prompt"
    sees = ("history",)

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        self.told = {"pairs": written_out(context)}


class Written(Prompted):
    """A profile written from the k choices, used alone (SynthesizeMe 2506.05598, PLUS 2507.13579, POPI 2510.17881).

    Simplified: they also train the writer or search among its profiles; here one is written, at temperature 0.
    """

    name = "profile written from choices"
    sees = ("history",)

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        pairs = written_out(context)
        self.told = {"written": self._note(pairs) if pairs else None}

    def _note(self, pairs: str) -> str:
        schema = create_model("Note", summary=(text(NOTE_WORDS), ...))
        messages = load("method_write").messages({"pairs": pairs, "words": NOTE_WORDS})
        (reply,) = self.model.ask([messages], schema, step=f"{self.name}: notes")
        if reply.failure:
            raise ValueError(f"no profile was written: {reply.failure}")
        return str(reply.value.summary)


class Telling(Written):
    """A written profile with the few choices that surprise the pooled model most (SynthesizeMe 2506.05598, its text).

    Surprise is |p - y|, the distance of the pooled model's probability from what the person chose; the TELLING largest
    are shown. Simplified as `Written` is.
    """

    name = "written profile and telling choices"

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        self.pooled = Pooled(self.embed)
        self.pooled.fit(pairs, people)

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        super().adapt(context, person)
        shown = (context[side].to_numpy() for side in ("prompt", "first", "second"))
        surprise = (context["p_first"] - self.pooled.prefer(*shown)).abs() if len(context) else context["p_first"]
        most = surprise.sort_values(ascending=False, kind="stable").index[:TELLING]
        self.told = {**self.told, "pairs": written_out(context.loc[sorted(most)])}


def written_out(context: pd.DataFrame) -> str | None:
    """Return choices as text for a prompt; None if there are none. A tie shows no preference and is left out."""
    parts = []
    for row in context.itertuples():
        if row.p_first == 0.5:
            continue
        liked, other = (row.first, row.second) if row.p_first > 0.5 else (row.second, row.first)
        parts.append(f"Question: {row.prompt}\nPreferred answer: {liked}\nOther answer: {other}")
    return "\n\n".join(parts) or None
