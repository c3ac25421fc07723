"""The planted model as a function of a request, and as a stand-in for a `Model`."""

import json
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import openai
from pydantic import BaseModel

from ...model import Choices, Messages, Reply
from ...model.replies.choices import chances, from_rows
from ...model.replies.reply import read, tokens
from ...store import canonical
from . import texts
from .choices import choice
from .effects import EFFECTS, Effects
from .requests import Request
from .verdicts import filled


class World:
    """All planted models with one seed: they differ by their names alone.

    Args:
        seed: of all draws; another seed draws other people's and questions' effects, and all noise, anew.
        effects: what is planted.
    """

    def __init__(self, seed: int = 0, effects: Effects = EFFECTS):
        self.seed = seed
        self.effects = effects

    def reply(self, body: Mapping[str, Any], turn: int = 0) -> dict[str, Any]:
        """Return the completion of a request.

        Args:
            body: as an OpenAI-compatible endpoint gets it.
            turn: how often this request was made before; at a temperature above 0 each turn has another reply.
        """
        asked = Request(body)
        nonce = f"{self.seed}|{canonical(body)}|{turn if asked.sampled else 0}"
        chance = random.Random(texts.number(nonce))
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        logprobs = None
        if asked.refusable and chance.random() < self.effects.refused:
            message["refusal"] = "I would rather not answer this."
        elif asked.fields and "choice" not in asked.fields:
            values, keep = self._values(asked, nonce, chance)
            message["content"] = json.dumps(values, ensure_ascii=False)
            logprobs = _of_verdict(message["content"], values["verdict"], keep) if keep is not None else None
        else:
            shares = choice(asked, self.effects, self.seed)
            picked = (
                chance.choices([*shares], [*shares.values()])[0]
                if asked.sampled
                else max(shares, key=lambda letter: shares[letter])
            )
            message["content"] = json.dumps({"choice": picked}) if asked.fields else picked
            logprobs = [_token(picked, shares)]
        done = {"index": 0, "finish_reason": "stop", "message": message}
        if body.get("logprobs") and logprobs:
            done["logprobs"] = {"content": logprobs}
        sent = sum(len(m["content"]) for m in body["messages"]) // 4
        said = len(message["content"]) // 4 + 1
        usage = {"prompt_tokens": sent, "completion_tokens": said, "total_tokens": sent + said}
        return {"id": "x", "object": "chat.completion", "created": 0, "model": asked.model} | {
            "choices": [done],
            "usage": usage,
        }

    def _values(self, asked: Request, nonce: str, chance: random.Random) -> tuple[dict[str, Any], float | None]:
        """Return a value for each field, in the schema's order, and a critic's probability of `keep`."""
        listed, keep = filled(asked, self.effects, self.seed, chance.random())
        values = {
            field: listed[field] if field in listed else self._text(asked, field, nonce, chance)
            for field in asked.fields
        }
        return values, keep

    def _text(self, asked: Request, field: str, nonce: str, chance: random.Random) -> str:
        """Return the text of a field, of about the length that was asked for."""
        effects = self.effects
        if field in ("critique", "why"):
            return texts.prose(chance.randint(*effects.critique_words), chance)
        if field == "summary":
            return self._summary(asked, chance)
        wanted = asked.words(field)
        n = chance.randint(*effects.reasoning_words) if wanted is None else length(wanted, chance, effects)
        if field not in ("answer", "revision"):
            return texts.prose(n, chance)
        told = asked.person.values if asked.profile else {}
        return f"{texts.prose(max(1, n - 2), chance)} {texts.marked(asked.kind, asked.model, told, nonce)}"

    def _summary(self, asked: Request, chance: random.Random) -> str:
        """Return a summary of the person that leaves some attributes out."""
        told = []
        for name, value in asked.person.values.items():
            share = self.effects.drop.get(name, self.effects.drop_other)
            if texts.uniform(self.seed, "drop", asked.model, asked.person.key, asked.question, name) >= share:
                told.append(f"The {name}: {value}.")
        return " ".join([*told, texts.prose(15, chance)])


def length(wanted: int, chance: random.Random, effects: Effects) -> int:
    """Return how many words a text has that was asked for in so many."""
    longer = chance.random() < effects.above
    return max(3, round(wanted * (chance.uniform(1.2, 1.5) if longer else chance.uniform(0.88, 1.12))))


def _token(text: str, shares: Mapping[str, float]) -> dict[str, Any]:
    """Return a token with the probabilities of its alternatives."""
    likely = [{"token": token, "logprob": math.log(share)} for token, share in shares.items() if share > 0]
    return {"token": text, "logprob": math.log(max(shares[text], 1e-12)), "top_logprobs": likely}


def _of_verdict(content: str, verdict: str, keep: float) -> list[dict[str, Any]]:
    """Return the tokens of a critic's reply: all before the verdict, the verdict, and the rest."""
    before, _, after = content.rpartition(verdict)
    certain = [_token(text, {text: 1.0}) for text in (before, after)]
    return [certain[0], _token(verdict, {"keep": keep, "revise": 1 - keep}), certain[1]]


class Planted:
    """A planted model that is asked within this process: a `LanguageModel`, quick enough for many runs.

    `calls` counts the different requests, `reasked` the replies that did not validate.
    """

    def __init__(self, name: str, world: World):
        self.name = name
        self.world = world
        self.calls: Counter[str] = Counter()
        self.reasked = 0
        self.failed = 0

    def ask(
        self,
        messages: Iterable[Messages],
        schema: type[BaseModel] | None = None,
        temperature: float = 0,
        max_tokens: int | None = None,
        sample: int = 0,
        step: str = "asking",
        logprobs: bool = False,
    ) -> list[Reply]:
        """Return one reply per message list, as `Model.ask` does."""
        body: dict[str, Any] = {"model": self.name, "temperature": temperature}
        if logprobs:
            body["logprobs"] = True
        if schema is not None:
            tool = openai.pydantic_function_tool(schema)["function"]
            form = {"name": tool["name"], "strict": True, "schema": tool["parameters"]}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        replies = []
        for one in messages:
            sent = body | {"messages": one}
            raw = self.world.reply(sent, sample)
            self.calls[canonical(sent | {"sample": sample})] += 1
            text, value, failure = read(raw, schema)
            self.reasked += bool(failure and failure.startswith("invalid"))
            self.failed += failure is not None
            replies.append(Reply(text, value, failure, False, tokens(raw)))
        return replies

    def choices(
        self, messages: Iterable[Messages], options: Sequence[str] = ("A", "B"), step: str = "choosing"
    ) -> Choices:
        """Return the probability of each option for each message list, as `Model.choices` does."""
        rows = []
        for one in messages:
            sent = {"model": self.name, "temperature": 0, "messages": one, "max_tokens": 1, "logprobs": True}
            self.calls[canonical(sent)] += 1
            rows.append(chances(self.world.reply(sent), options))
        found = from_rows(rows, options)
        self.failed += int(np.isnan(found.mass).sum())
        return found
