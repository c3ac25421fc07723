"""Write the JSON schema of a structured reply, and say how many words each of its texts was asked for in.

Lengths are wishes: what a reply is checked against has none. Only the embedded model gets bounds, since it is so small
that its texts may not end.
"""

from typing import Any

import openai
from pydantic import BaseModel

from ...templates import Words

CHARS_A_WORD = 8  # that the embedded model may write: more than English takes, so that few texts are cut
_CLOSED = {"enum", "const", "maxLength", "$ref"}


def words(schema: type[BaseModel]) -> dict[str, int]:
    """Return the number of words that each text field was asked for in, by name; one of any length is left out."""
    asked = {name: [m.n for m in field.metadata if isinstance(m, Words)] for name, field in schema.model_fields.items()}
    return {name: n[0] for name, n in asked.items() if n}


def requested(schema: type[BaseModel], bounded: bool) -> dict[str, Any]:
    """Return the part of a request that asks for a schema: its `name` and JSON `schema`.

    Args:
        schema: of the reply.
        bounded: bound each text at `CHARS_A_WORD` characters for each word asked for, as the embedded model needs.
    """
    tool = openai.pydantic_function_tool(schema)["function"]
    parameters: Any = tool["parameters"]
    if bounded:
        for name, n in words(schema).items():
            parameters["properties"][name]["maxLength"] = CHARS_A_WORD * n
    return {"name": tool["name"], "schema": parameters}


def endless(asked: dict[str, Any]) -> bool:
    """Return whether a text of the JSON schema of a request may be of any length."""
    fields = asked["schema"].get("properties", {}).values()
    return any(field.get("type") == "string" and not _CLOSED & field.keys() for field in fields)


def in_order(schema: Any) -> Any:
    """Return a schema of a kept request with its fields in the order in which a model writes them, that of `required`.

    The store's form of a request sorts all names; a strict schema names all its fields in `required`.
    """
    if isinstance(schema, list):
        return [in_order(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    ordered = {name: in_order(value) for name, value in schema.items()}
    if isinstance(fields := ordered.get("properties"), dict):
        names = dict.fromkeys([name for name in ordered.get("required", ()) if name in fields] + list(fields))
        ordered["properties"] = {name: fields[name] for name in names}
    return ordered
