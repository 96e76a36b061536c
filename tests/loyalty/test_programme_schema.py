"""The JSON Schema and the page of the programme language: both name everything that the types know."""

import json
import re
from pathlib import Path

import pytest
import yaml
from msgspec import inspect

from loyalty.programme.programme import Programme, programme_schema, read_programme

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/programme.md").read_text("utf-8")
WHOLE = (Path(__file__).parent / "whole_programme.yaml").read_text("utf-8")
SCHEMA = json.loads(json.dumps(programme_schema()))

# JSON Schema 2020-12, of which these keywords are used; `discriminator` is OpenAPI's, for editors that know it.
SHAPES = {
    "$ref": str, "$defs": dict, "title": str, "description": str, "type": str, "properties": dict, "required": list,
    "additionalProperties": bool | dict, "items": bool | dict, "prefixItems": list, "anyOf": list, "enum": list,
    "default": object, "minimum": int, "maximum": int, "exclusiveMinimum": int, "minLength": int,
    "minItems": int, "maxItems": int, "minProperties": int, "propertyNames": dict, "pattern": str, "format": str,
    "discriminator": dict,
}  # fmt: skip
KINDS = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def schemas(node):
    """Every schema within a schema, itself first."""
    yield node
    below = [*node.get("$defs", {}).values(), *node.get("properties", {}).values()]
    below += [*node.get("prefixItems", []), *node.get("anyOf", [])]
    held = (node.get(name) for name in ("additionalProperties", "propertyNames", "items"))
    below += [one for one in held if isinstance(one, dict)]
    for one in below:
        yield from schemas(one)


def test_every_part_of_the_schema_is_json_schema():
    for node in schemas(SCHEMA):
        assert {name for name, value in node.items() if not isinstance(value, SHAPES.get(name, ()))} == set()
        assert node.get("type", "object") in KINDS
        assert set(node.get("required", ())) <= node.get("properties", {}).keys()
        assert node.get("enum", ["x"]) and len(set(node.get("enum", ()))) == len(node.get("enum", ()))
        assert node.get("minimum", 0) <= node.get("maximum", 10**15)
        re.compile(node.get("pattern", ""))
        for leads_to in (node.get("$ref"), *node.get("discriminator", {}).get("mapping", {}).values()):
            assert leads_to is None or leads_to.removeprefix("#/$defs/") in SCHEMA["$defs"]


def complaints(schema, value, path="$"):
    """What a schema has against a value: a reader of JSON Schema as far as ours goes."""
    if ref := schema.get("$ref"):
        yield from complaints(SCHEMA["$defs"][ref.removeprefix("#/$defs/")], value, path)
    if options := schema.get("anyOf"):
        tried = [list(complaints(one, value, path)) for one in options]
        if all(tried):
            yield from min(tried, key=len)
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} enum"
    kind = schema.get("type")
    if kind and (not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path} type"
    elif kind == "object":
        yield from _object_complaints(schema, value, path)
    elif kind == "array":
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{path} length"
        first = schema.get("prefixItems", [])
        for i, one in enumerate(value):
            yield from complaints(first[i] if i < len(first) else schema["items"] or {}, one, f"{path}[{i}]")
    elif kind == "integer":
        above = value > schema.get("exclusiveMinimum", value - 1) and value >= schema.get("minimum", value)
        if not above or value > schema.get("maximum", value):
            yield f"{path} bounds"
    if isinstance(value, str) and (
        len(value) < schema.get("minLength", 0) or not re.search(schema.get("pattern", ""), value)
    ):
        yield f"{path} form"


def _object_complaints(schema, value, path):
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    yield from (f"{path}.{name} missing" for name in schema.get("required", ()) if name not in value)
    if len(value) < schema.get("minProperties", 0):
        yield f"{path} length"
    for name, one in value.items():
        yield from complaints(schema.get("propertyNames", {}), name, f"{path}.{name}")
        if name in known or isinstance(others, dict):
            yield from complaints(known.get(name, others), one, f"{path}.{name}")
        elif others is False:
            yield f"{path}.{name} unknown"


def plain(text):
    """A document as JSON has it: YAML's days and instants are text again."""
    return json.loads(json.dumps(yaml.safe_load(text), default=lambda day: day.isoformat()))


SHIPPED = sorted([*ROOT.glob("docs/examples/*programme*.yaml"), *ROOT.glob("tallypoint/programmes/*.yaml")])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_programme_we_ship_is_as_the_schema_says(path):
    assert list(complaints(SCHEMA, plain(path.read_text("utf-8")))) == []


def test_the_document_that_says_everything_is_as_the_schema_says():
    assert list(complaints(SCHEMA, plain(WHOLE))) == []
    assert read_programme(WHOLE).id == "whole"


WRONG = [
    ({"id": "a"}, "$.currency missing"),
    ({"nonsense": 1}, "$.nonsense unknown"),
    ({"language": "fr"}, "$.language enum"),
    ({"spending": {"step_points": 0, "step_minor": 1}}, "$.spending.step_points bounds"),
    ({"promotions": [{"id": "a", "then": [{"kind": "price_list", "prices": {"": 5}}]}]},
     "$.promotions[0].then[0].prices. form"),
    ({"promotions": [{"id": "a", "then": [{"kind": "multiply_points", "times_percent": 100}]}]},
     "$.promotions[0].then[0].times_percent bounds"),
    ({"promotions": [{"id": "a:b"}]}, "$.promotions[0].id form"),
    ({"promotions": [{"id": "a", "then": [{"kind": "percent_off", "percent_bp": "5"}]}]},
     "$.promotions[0].then[0].percent_bp type"),
    ({"promotions": [{"id": "a", "valid": {"hours": [["09:00"]]}}]}, "$.promotions[0].valid.hours[0] length"),
    ({"promotions": [{"id": "a", "trigger": {"kind": "code", "codes": []}}]}, "$.promotions[0].trigger.codes length"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "complaint"), WRONG, ids=str)
def test_the_schema_refuses_what_the_reader_refuses(facts, complaint):
    document = facts if "id" in facts else {"id": "club", "currency": "EUR"} | facts
    assert complaint in list(complaints(SCHEMA, document))


# Every word of the types.


def parts():
    """Every part that a document can have, by the name of its type."""
    found, left = {}, [inspect.type_info(Programme)]
    while left:
        one = left.pop(0)
        if not isinstance(one, inspect.StructType):
            left += _inside(one)
        elif one.cls.__name__ not in found:
            found[one.cls.__name__] = one
            left += [field.type for field in one.fields]
    return found


def _inside(kind):
    if isinstance(kind, inspect.UnionType):
        return list(kind.types)
    if isinstance(kind, inspect.DictType):
        return [kind.key_type, kind.value_type]
    if isinstance(kind, inspect.VarTupleType):
        return [kind.item_type]
    return list(kind.item_types) if isinstance(kind, inspect.TupleType) else []


def choices(kind):
    """The words that a value may be, but for the empty one; none where any text may stand."""
    if isinstance(kind, inspect.LiteralType):
        return {str(word) for word in kind.values} - {""}
    return {word for one in _inside(kind) for word in choices(one)}


PARTS = parts()


def test_the_schema_has_every_part_with_its_keys():
    kinds = {name: {"kind"} if part.tag else set() for name, part in PARTS.items()}
    assert {name: set(part["properties"]) for name, part in SCHEMA["$defs"].items()} == {
        name: kinds[name] | {field.encode_name for field in part.fields} for name, part in PARTS.items()
    }


def _said(node, kind, said):
    """Note which keys of which parts a document uses."""
    if isinstance(kind, inspect.UnionType):
        structs = [one for one in kind.types if isinstance(one, inspect.StructType)]
        meant = [one for one in structs if not one.tag or (isinstance(node, dict) and node.get("kind") == one.tag)]
        for one in meant if structs else kind.types:
            _said(node, one, said)
    elif isinstance(kind, inspect.StructType) and isinstance(node, dict):
        for field in kind.fields:
            if field.encode_name in node:
                said.add((kind.cls.__name__, field.encode_name))
                _said(node[field.encode_name], field.type, said)
    elif isinstance(kind, inspect.VarTupleType) and isinstance(node, list):
        for one in node:
            _said(one, kind.item_type, said)


def test_the_document_that_says_everything_leaves_no_key_out():
    said = set()
    _said(plain(WHOLE), inspect.type_info(Programme), said)
    every = {(name, field.encode_name) for name, part in PARTS.items() for field in part.fields}
    assert every - said == set()


CODE = {word for span in re.findall(r"`([^`]+)`", PAGE) for word in re.findall(r"[\w-]+", span)}


@pytest.mark.parametrize("name", PARTS)
def test_the_page_names_every_key(name):
    part = PARTS[name]
    keys = {field.encode_name for field in part.fields} | ({str(part.tag)} if part.tag else set())
    assert keys - CODE == set()


@pytest.mark.parametrize("name", PARTS)
def test_the_page_names_every_value(name):
    words = {word for field in PARTS[name].fields for word in choices(field.type)}
    assert {word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", PAGE)} == set()


def test_the_page_names_every_option_with_its_values_the_default_first():
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", PAGE.split("## Options")[1], re.MULTILINE))
    told = {name: re.sub(r" \(.*?\)", "", row).split(", ") for name, row in rows.items()}
    for field in PARTS["Options"].fields:
        if field.encode_name == "expiry_at":
            continue  # a time of day, told with `expiry`
        default = {True: "true", False: "false"}.get(field.default, field.default)
        assert told[field.encode_name][0] == default
        assert set(told[field.encode_name]) == (choices(field.type) or {"true", "false"})
    assert told.keys() == {field.encode_name for field in PARTS["Options"].fields} - {"expiry_at"}
