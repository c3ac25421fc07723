"""YAML 1.2 on PyYAML, which reads YAML 1.1: 060 is 60, 1e-3 a number; dates, 1:30, 1_000, yes, no, on, off are text.

A key that stands twice in a mapping, and a number that is not finite, are errors. `files` reads users' YAML with it.
"""

import math
import re
from typing import Any

import yaml

# The core schema of YAML 1.2.2 (section 10.3.2); what none of these fits is text. `<<` merges mappings as in YAML 1.1.
_CORE = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN",
    "merge": r"<<",
}
_TAG = "tag:yaml.org,2002:"
# libyaml, where it is installed, is ten times as fast.
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(_BASE):
    """Reads scalars as YAML 1.2's core schema has them."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 (PyYAML fills it by `add_implicit_resolver`)


def _whole(loader: Any, node: yaml.ScalarNode) -> int:
    return int(node.value, {"0o": 8, "0x": 16}.get(node.value[:2], 10))


def _decimal(loader: Any, node: yaml.ScalarNode) -> float:
    if not re.search("[0-9]", node.value) or not math.isfinite(float(node.value)):
        raise ValueError(f"{node.value} in line {node.start_mark.line + 1} is not a finite number")
    return float(node.value)


for _tag, _pattern in _CORE.items():
    Loader.add_implicit_resolver(_TAG + _tag, re.compile(f"(?:{_pattern})$"), None)
Loader.add_constructor(f"{_TAG}int", _whole)
Loader.add_constructor(f"{_TAG}float", _decimal)


def load(text: str) -> Any:
    """Return the value of a YAML document.

    Raises:
        ValueError: it is no YAML, has a key twice, or a number that is not finite.
    """
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_keys(node, loader)
        return loader.construct_document(node)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _check_keys(root: yaml.Node, loader: Any) -> None:
    """Raise ValueError if a mapping has a key twice; 1 and 1.0 are the same one. Merged keys may be replaced."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
            continue
        first: dict[Any, int] = {}
        for key, value in node.value:
            waiting.append(value)
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                said, line = loader.construct_object(key), key.start_mark.line + 1
                if said in first:
                    raise ValueError(f"the key {said} stands twice, in lines {first[said]} and {line}: keep one")
                first[said] = line
