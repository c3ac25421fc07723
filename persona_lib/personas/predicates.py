"""Conditions on people, written in YAML: pandas expressions over the attributes and over named terms.

The terms are those of data/conditions.yaml. Used by `phrases` (who a phrase suits) and `consistency` (what can't be).
"""

import ast
from collections.abc import Iterable
from functools import cache, reduce
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import pandas as pd

from .. import UserError, files
from ..attributes import BY_NAME, COLUMNS

FOLDER = Path(__file__).parent / "data"


@cache
def read(name: str) -> Any:
    """What data/NAME.yaml holds."""
    return files.read_yaml(FOLDER / f"{name}.yaml")


def table(people: pd.DataFrame, loose: bool = False) -> pd.DataFrame:
    """The people's attributes, '_' for each space, and each term as a column of True and False.

    An attribute that the people lack is missing for all. With `loose` the terms that data/loose.yaml has are read as
    it has them.

    Raises UserError where there is no age, or more than one row per persona.
    """
    if "age" not in people or people["age"].isna().any():
        raise UserError("the people have no age: give a table of personas with the census attributes")
    if not people.index.is_unique:
        raise UserError("the index of the people repeats itself: give one row per persona_id")
    columns = {name.replace(" ", "_"): _column(people, name) for name in COLUMNS}
    for term, expression in (read("conditions") | (read("loose") if loose else {})).items():
        columns[term] = _evaluate(expression, columns)
    return pd.DataFrame(columns, index=people.index)


def hold(expressions: Iterable[str], table: pd.DataFrame) -> np.ndarray:
    """For each person of `table` and each expression whether it holds: array (people, expressions) of booleans."""
    # Terms as bare arrays: columns would be aligned by their index at each step.
    columns = {name: column.to_numpy() if column.dtype == bool else column for name, column in table.items()}
    values = {text: _evaluate(text, columns) for text in dict.fromkeys(expressions)}
    holds = [values[text] for text in expressions]
    return np.array(holds, dtype=bool).reshape(len(holds), len(table)).T


def _column(people: pd.DataFrame, name: str) -> pd.Series:
    if name not in people:
        return pd.Series(np.nan if BY_NAME[name].kind == "numeric" else None, people.index, dtype=_dtype(name))
    values = people[name]
    return values if isinstance(values.dtype, pd.CategoricalDtype) else values.astype(_dtype(name))


def _dtype(name: str) -> str:
    return "float" if BY_NAME[name].kind == "numeric" else "str"


def _evaluate(expression: str, columns: dict[str, pd.Series | np.ndarray]) -> np.ndarray:
    try:
        return np.asarray(eval(_compiled(expression), {"__builtins__": {}}, columns).astype(bool))
    except (SyntaxError, ValueError, TypeError, AttributeError, NameError) as error:
        raise UserError(f"the condition {expression!r} can't be read ({error}): see data/conditions.yaml") from error


@cache
def _compiled(expression: str) -> CodeType:
    """The expression with the operators that columns have; pandas' own `eval` does the same, anew each time."""
    tree = _OfColumns().visit(ast.parse(expression.strip(), mode="eval"))
    return compile(ast.fix_missing_locations(tree), "<condition>", "eval")


class _OfColumns(ast.NodeTransformer):
    """`and`, `or`, `not` and `in` become what columns have in their place."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        operator = ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr()
        return reduce(lambda left, right: ast.BinOp(left, operator, right), map(self.visit, node.values))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operator = ast.Invert() if isinstance(node.op, ast.Not) else node.op
        return ast.UnaryOp(operator, self.visit(node.operand))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        (operator,) = node.ops  # columns have nothing like a chain of comparisons
        if not isinstance(operator, ast.In | ast.NotIn):
            return node
        found = ast.Call(ast.Attribute(node.left, "isin", ast.Load()), node.comparators, [])
        return found if isinstance(operator, ast.In) else ast.UnaryOp(ast.Invert(), found)
