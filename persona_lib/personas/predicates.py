"""Predicates of people, written in YAML: pandas expressions over the attributes and over named terms.

data/predicates.yaml defines the terms. `phrases` says with predicates whom a phrase suits, and `consistency` what
contradicts itself.
"""

import ast
from collections import ChainMap
from collections.abc import Iterable, Mapping
from functools import cache, reduce
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import UserError, files
from ..attributes import BY_NAME, COLUMNS

FOLDER = Path(__file__).parent / "data"

Columns = Mapping[str, pd.Series | np.ndarray]  # what an expression can name
Parts = dict[str, np.ndarray]  # comparisons that several expressions share, by their text: each is made once


class Parsed(NamedTuple):
    """An expression in two steps: comparisons of columns, each with its text, then `and`, `or` and `not` of them."""

    parts: dict[str, CodeType]
    whole: CodeType
    names: set[str]


@cache
def read(name: str) -> Any:
    """Return the content of data/NAME.yaml."""
    return files.read_yaml(FOLDER / f"{name}.yaml")


def table(people: pd.DataFrame) -> pd.DataFrame:
    """Return everything that a predicate can name: the people's attributes and the terms.

    Args:
        people: one row per person, with `age` and any other attributes.

    Returns:
        The index of `people`. One column per attribute, with an underscore for each space in its name (all missing
        where `people` lacks the attribute), then one boolean column per term.

    Raises:
        UserError: the people have no age, or the index has duplicates.
    """
    if "age" not in people or people["age"].isna().any():
        raise UserError("the people have no age: give a table of personas with the census attributes")
    if not people.index.is_unique:
        raise UserError("the index of the people has duplicates: give one row per persona_id")
    columns: dict[str, pd.Series | np.ndarray] = {name.replace(" ", "_"): _column(people, name) for name in COLUMNS}
    parts: Parts = {}
    for term, expression in read("predicates").items():
        columns[term] = _evaluate(expression, columns, parts)
    return pd.DataFrame(columns, index=people.index)


def loosened(table: pd.DataFrame) -> pd.DataFrame:
    """Return a `table` with the terms of data/loose.yaml, which are wider, and all terms that build on them."""
    columns = _named(table)
    parts: Parts = {}
    changed = set(read("loose"))
    for term, expression in (read("predicates") | read("loose")).items():
        if term in changed or changed & _parsed(expression).names:
            columns[term] = _evaluate(expression, columns, parts)
            changed.add(term)
    return table.assign(**{term: columns[term] for term in changed})


def hold(expressions: Iterable[str], table: pd.DataFrame) -> np.ndarray:
    """Evaluate predicates for each person of a `table`.

    Returns:
        Whether each predicate holds: booleans, people x expressions.

    Raises:
        UserError: an expression can't be read.
    """
    expressions = list(expressions)
    used = {name for text in expressions for name in _parsed(text).names}
    columns, parts = _named(table[[name for name in table if name in used]]), Parts()
    values = {text: _evaluate(text, columns, parts) for text in dict.fromkeys(expressions)}
    holds = np.array([values[text] for text in expressions], dtype=bool)
    return holds.reshape(len(expressions), len(table)).T  # the reshape keeps both axes if there are no expressions


def _named(table: pd.DataFrame) -> dict[str, pd.Series | np.ndarray]:
    """Return the columns by name; boolean terms as bare arrays, which pandas need not align at each step."""
    return {name: column.to_numpy() if column.dtype == bool else column for name, column in table.items()}


def _column(people: pd.DataFrame, name: str) -> pd.Series:
    """Return one attribute of the people as numbers, texts or categories; all missing if they lack it."""
    numeric = BY_NAME[name].kind == "numeric"
    dtype = "float" if numeric else "str"
    if name not in people:
        return pd.Series(np.nan if numeric else None, people.index, dtype=dtype)
    values = people[name]
    return values if isinstance(values.dtype, pd.CategoricalDtype) else values.astype(dtype)


def _evaluate(expression: str, columns: Columns, parts: Parts) -> np.ndarray:
    """Evaluate an expression; comparisons that are not in `parts` are put there."""
    # The expressions come from the files in data/. Without builtins they see the columns only.
    scope: dict[str, Any] = {"__builtins__": {}}
    parsed = _parsed(expression)
    try:
        for text, code in parsed.parts.items():
            if text not in parts:
                parts[text] = np.asarray(eval(code, scope, columns).astype(bool))
        return np.asarray(eval(parsed.whole, scope, ChainMap(parts, columns)).astype(bool))  # type: ignore[arg-type]
    except (ValueError, TypeError, AttributeError, NameError) as error:
        raise _unreadable(expression, error) from error


@cache
def _parsed(expression: str) -> Parsed:
    """Parse an expression once, with the operators of columns; `DataFrame.eval` would do it at every call."""
    try:
        tree = _ForColumns().visit(ast.parse(expression.strip(), mode="eval"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        apart = _Apart()
        whole = compile(ast.fix_missing_locations(apart.visit(tree)), "<predicate>", "eval")
        return Parsed(apart.found, whole, names)
    except (SyntaxError, ValueError) as error:
        raise _unreadable(expression, error) from error


def _unreadable(expression: str, error: Exception) -> UserError:
    return UserError(f"the predicate {expression!r} can't be read ({error}): see data/predicates.yaml")


class _ForColumns(ast.NodeTransformer):
    """Replace `and`, `or`, `not` and `in`, which work on single values, by their counterparts for columns."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """Turn `a and b` into `a & b`, and `a or b` into `a | b`."""
        operator = ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr()
        return reduce(lambda left, right: ast.BinOp(left, operator, right), map(self.visit, node.values))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """Turn `not a` into `~a`."""
        operator = ast.Invert() if isinstance(node.op, ast.Not) else node.op
        return ast.UnaryOp(operator, self.visit(node.operand))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Turn `a in b` into `a.isin(b)`, and `a not in b` into its inverse."""
        self.generic_visit(node)
        (operator,) = node.ops  # a chain such as `18 < age < 65` has no counterpart: ValueError
        if not isinstance(operator, ast.In | ast.NotIn):
            return node
        found = ast.Call(ast.Attribute(node.left, "isin", ast.Load()), node.comparators, [])
        return found if isinstance(operator, ast.In) else ast.UnaryOp(ast.Invert(), found)


class _Apart(ast.NodeTransformer):
    """Put a name in the place of each comparison and call, and keep its code: `found` has it by its text."""

    def __init__(self) -> None:
        self.found: dict[str, CodeType] = {}

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        return self._named(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return self._named(node)

    def _named(self, node: ast.expr) -> ast.expr:
        text = ast.unparse(node)
        self.found[text] = compile(ast.fix_missing_locations(ast.Expression(node)), "<predicate>", "eval")
        return ast.Name(text, ast.Load())
