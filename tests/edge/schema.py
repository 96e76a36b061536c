"""A JSON Schema validator for exactly the words our OpenAPI document uses; a word it does not know fails the test."""

import re
from typing import Any

_KNOWN = {
    "$ref", "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "pattern", "minLength",
    "maxLength", "minimum", "maximum", "default", "description", "title", "format", "allOf", "oneOf", "not", "const",
    "minItems", "maxItems",
}  # fmt: skip
_TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int, "number": float,
}  # fmt: skip


def mistakes(
    value: Any, schema: dict[str, Any], document: dict[str, Any], at: str = "$", *, is_rule: bool = False
) -> list[str]:
    """What is wrong with `value`, one sentence each; empty when it fits.

    Args:
        is_rule: the schema says how fields go together, and not which fields there are.
    """
    strange = set(schema) - _KNOWN
    if strange:
        return [f"{at}: the schema says {sorted(strange)}, which this validator does not know"]
    if "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return mistakes(value, target, document, at)
    if "anyOf" in schema:
        tried = [mistakes(value, one, document, at, is_rule=is_rule) for one in schema["anyOf"]]
        if all(tried):
            return [f"{at}: fits none: {tried}"]
    if "oneOf" in schema:
        tried = [mistakes(value, one, document, at, is_rule=is_rule) for one in schema["oneOf"]]
        if tried.count([]) != 1:
            return [f"{at}: fits {tried.count([])}: {tried}"]
    for rule in schema.get("allOf", ()):
        if found := mistakes(value, rule, document, at, is_rule=True):
            return found
    if "not" in schema and not mistakes(value, schema["not"], document, at, is_rule=is_rule):
        return [f"{at}: {value!r} is what it must not be"]
    if "const" in schema and value != schema["const"]:
        return [f"{at}: {value!r} is not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is not one of {schema['enum']}"]
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or (kind in ("integer", "number") and isinstance(value, bool))):
        return [f"{at}: {value!r} is no {kind}"]
    if isinstance(value, dict):
        return _object(value, schema, document, at, is_rule)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return [f"{at}: {len(value)} items"]
        of = schema.get("items", {})
        return [m for i, one in enumerate(value) for m in mistakes(one, of, document, f"{at}[{i}]", is_rule=is_rule)]
    return _plain(value, schema, at)


def _object(
    value: dict[str, Any], schema: dict[str, Any], document: dict[str, Any], at: str, is_rule: bool
) -> list[str]:
    properties = schema.get("properties", {})
    found = [f"{at}: lacks {name}" for name in schema.get("required", ()) if name not in value]
    for name, part in value.items():
        if name in properties:
            found += mistakes(part, properties[name], document, f"{at}.{name}", is_rule=is_rule)
        elif is_rule:
            continue
        elif properties and schema.get("additionalProperties") is not None:
            found.append(f"{at}: {name} is not in the document")
        elif properties:
            found.append(f"{at}: answers {name}, which the document does not tell")
    return found


def _plain(value: Any, schema: dict[str, Any], at: str) -> list[str]:
    found = []
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r} does not match {schema['pattern']}")
    if "minLength" in schema and len(value) < schema["minLength"]:
        found.append(f"{at}: too short")
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        found.append(f"{at}: too long")
    if "minimum" in schema and value < schema["minimum"]:
        found.append(f"{at}: {value} is below {schema['minimum']}")
    if "maximum" in schema and value > schema["maximum"]:
        found.append(f"{at}: {value} is above {schema['maximum']}")
    return found
