"""What an alignment method is: a class that learns from training people, adapts to one person, and prefers an answer.

A researcher's own method is one class in one file (`load`); `docs/methods.md` shows it from an empty file on.
"""

import copy
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeGuard

import numpy as np
import pandas as pd

from .. import UserError
from ..texts import a_name, line

SIGHTS = ("history", "groups", "profile", "questions")
# (prompts, answers) -> array (n, dimensions): a vector of each answer to its prompt.
Texts: TypeAlias = Iterable[str]  # a list, an array, or a column of a table
Embed = Callable[[Texts, Texts], np.ndarray]
Ask = Callable[[Sequence[str]], list[str]]  # questions -> the person's answers


def _nobody(question: Any) -> Any:
    raise RuntimeError("there is nobody to ask: declare 'questions' in `sees`, and ask in `adapt`")


class Method:
    """A method of pluralistic alignment. Override `fit`, `adapt` and `prefer`, and say in `sees` what it may see.

    `answer` picks the best of several answers by `prefer`; a method that writes answers overrides it, too.

    `name`: stands in tables; by default that of the class. `sees`: any of `history` (k choices of a person), `groups`
    (a person's attributes), `profile` (the profile as text), `questions` (answers to k questions of one's own). What is
    not declared is not handed over.

    `ask(questions)` returns the person's answers, and `questions` is how many may be asked of this person: k of the
    trial. A model plays the person. `choose(row)` is a question, too: it returns what the person chose in a row of
    `pool`, pairs of their history, one for each prompt (columns `prompt`, `first`, `second`). People are asked in
    `adapt` alone, before the tested answers are shown. More questions, a person without a profile and an answer that
    fails raise ValueError, which becomes the reason in the person's rows.

    A trial calls `fit` once, and for each person a copy of the fitted method: first `adapt`, then `prefer`. What
    `adapt` stores on `self` is therefore this person's alone.

    Args:
        embed: gives vectors of answers; equal texts give equal vectors.
        model: a language model, for methods that ask one; None offline.
        seed: of the method's draws.
    """

    name: ClassVar[str] = ""
    sees: ClassVar[tuple[str, ...]] = ("history",)
    ask: Ask = staticmethod(_nobody)
    choose: Callable[[int], float] = staticmethod(_nobody)
    pool: pd.DataFrame = pd.DataFrame(columns=["prompt", "first", "second"])
    questions: int = 0

    def __init__(self, embed: Embed, model: Any = None, seed: int = 0):
        self.embed = embed
        self.model = model
        self.seed = seed

    def fit(self, pairs: pd.DataFrame, people: pd.DataFrame) -> None:
        """Learn from the choices of the training people.

        Args:
            pairs: columns `person` (a number), `prompt`, `first`, `second` (texts), `p_first` (1 if the person chose
                the first, 0 if the second, 0.5 for a tie).
            people: index `person`; `profile` and attributes, if declared in `sees`.
        """

    def adapt(self, context: pd.DataFrame, person: pd.Series) -> None:
        """Adapt to one person.

        Args:
            context: k choices of this person, columns as `pairs` without `person`; no row if k is 0 or `history` is
                not declared.
            person: their `profile` and attributes, if declared in `sees`.
        """

    def prefer(self, prompt: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the probability that the person prefers the first answer.

        Args:
            prompt, first, second: arrays (n,) of texts.

        Returns:
            Array (n,), from 0 to 1; 0.5 abstains.
        """
        raise NotImplementedError

    def answer(self, prompt: np.ndarray, candidates: Sequence[np.ndarray]) -> np.ndarray:
        """Return an answer to each prompt for the person; a method that writes its own overrides this.

        By default it is the best of n: the candidate with the highest mean probability of beating the others, by
        `prefer`, which is asked once for each pair. Of equally good ones it is the first.

        Args:
            prompt: array (m,) of texts.
            candidates: m arrays of different texts, one array per prompt.

        Returns:
            Array (m,) of texts; in place of one that is missing, a ValueError that says why.
        """
        rows = [(i, *pair) for i, own in enumerate(candidates) for pair in combinations(range(len(own)), 2)]
        at, one, other = np.array(rows, dtype=int).reshape(-1, 3).T
        shown = [np.array([candidates[i][c] for i, c in zip(at, side, strict=True)], object) for side in (one, other)]
        p = np.asarray(self.prefer(prompt[at], *shown), dtype=float) if rows else np.empty(0)
        wins = np.zeros((len(candidates), max(map(len, candidates), default=0)))
        np.add.at(wins, (at, one), p)
        np.add.at(wins, (at, other), 1 - p)
        best = [_best(own, row[: len(own)].round(9)) for own, row in zip(candidates, wins, strict=True)]
        return np.array(best, dtype=object)

    def copy(self) -> "Method":
        """Return a copy for one person; what `fit` learned is shared."""
        return copy.copy(self)

    def gaps(self, prompt: Texts, first: Texts, second: Texts) -> np.ndarray:
        """Return the vector of the first answer less that of the second: array (n, dimensions).

        Raises:
            TypeError: one of the three is a bare text, which would be read letter by letter.
        """
        if any(isinstance(one, str) for one in (prompt, first, second)):
            raise TypeError("gaps takes lists or arrays of texts: write [text] in place of a bare text")
        return self.embed(prompt, first) - self.embed(prompt, second)


def _best(candidates: np.ndarray, wins: np.ndarray) -> str | ValueError:
    """Return the first candidate with the most wins, or why there is none."""
    if not len(candidates):
        return ValueError("the prompt has no candidates to pick from")
    if np.isnan(wins).any():
        return ValueError("a comparison of candidates is missing")
    return str(candidates[np.argmax(wins)])


def told(answers: np.ndarray, n: int) -> list[tuple[str | None, str | None]]:
    """Return n answers of `Method.answer` as texts, each with None, or as None with why it is missing.

    Raises:
        ValueError: there are not n of them, or one is neither a text nor an error.
    """
    if len(answers) != n:
        raise ValueError(f"returned {len(answers)} answers to {n} prompts")
    if odd := [one for one in answers if not isinstance(one, str | Exception)]:
        raise ValueError(f"returned {odd[0]!r} in place of an answer")
    return [(None, str(one)) if isinstance(one, Exception) else (str(one), None) for one in answers]


def is_count(number: Any) -> TypeGuard[int]:
    """Return whether a value is a whole number, 0 or more."""
    return isinstance(number, Integral) and not isinstance(number, bool) and int(number) >= 0


def reason(error: BaseException) -> str:
    """Return an error of a method as one line of at most 300 characters."""
    try:
        says = str(error)
    except Exception:  # a class of the user's own
        says = "its text can't be made"
    return line(f"{type(error).__name__}: {says}", 300)


def made(kind: type[Method], embed: Embed, model: Any, seed: int) -> Method:
    """Return a method that can be fitted.

    Raises:
        UserError: its `__init__` fails, takes something else, or does not call that of `Method`.
    """
    try:
        method = kind(embed, model, seed)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"'{title(kind)}' can't be made with (embed, model, seed): {reason(error)}") from error
    if not {"embed", "model", "seed"} <= set(vars(method)):
        raise UserError(f"'{title(kind)}' is half made: call super().__init__(embed, model, seed) in its __init__")
    return method


def title(method: type[Method]) -> str:
    """Return the name of a method in tables."""
    return method.name or method.__name__


def load(place: str) -> type[Method]:
    """Return a method of the user's own, named as FILE.py:CLASS.

    Raises:
        UserError: there is no such file or class, the file has an error, or the class is no method.
    """
    path, _, name = place.rpartition(":")
    if not path.endswith(".py") or not name:
        raise UserError(f"'{place}' names no method: write FILE.py:CLASS, such as my_method.py:MyMethod")
    if not Path(path).is_file():
        raise UserError(f"no file {path}: a method of your own is named as FILE.py:CLASS")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a file that exits doesn't end ours
        raise UserError(f"{path} can't be imported: {reason(error)}") from error
    found = getattr(module, name, None)
    if found is None:
        raise UserError(f"{path} has no class '{name}': it has {', '.join(_classes(module)) or 'no class'}")
    return checked(found, place)


def _classes(module: Any) -> list[str]:
    return [
        name for name, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__
    ]


def checked(method: Any, place: str) -> type[Method]:
    """Return a class if it is a method.

    Raises:
        UserError: it is none, its name or `parameters` can't stand in a table, or it declares what nobody can see.
    """
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise UserError(f"{place} is no method: derive its class from persona_lib.methods.Method")
    try:
        a_name(title(method))
    except ValueError as error:
        raise UserError(f"{place}: {error}") from error
    if not (is_count(number := getattr(method, "parameters", None)) or number is None):
        raise UserError(f"{place} has `parameters` {line(repr(number), 60)}: write a whole number, 0 or more")
    if isinstance(method.sees, str):
        raise UserError(f"{place} declares to see a text: write a tuple, such as sees = ('{method.sees}',)")
    if not isinstance(method.sees, tuple | list | set | frozenset):
        raise UserError(f"{place} declares to see {line(repr(method.sees), 60)}: write a tuple, () for nothing")
    if odd := [sight for sight in method.sees if sight not in SIGHTS]:
        raise UserError(f"{place} declares to see {odd[0]!r}: declare any of {', '.join(SIGHTS)}")
    if method.prefer is Method.prefer:
        raise UserError(f"{place} has no `prefer`, which every method needs")
    return method
