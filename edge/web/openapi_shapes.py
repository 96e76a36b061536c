"""What the till's OpenAPI document says beside the types: words of a query, ids in a path, fields that go together.

A body or query that fits the document is never refused as malformed; what it may still be refused for, each operation
lists by status. Source: docs/till-api.md; JSON Schema 2020-12.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A word of a query; an empty one counts as left out, unless it is `required`."""

    name: str
    says: str
    schema: Schema
    required: bool = False


def choice(name: str, says: str, *words: str) -> Query:
    """One of some words."""
    return Query(name=name, says=says, schema={"type": "string", "enum": [*words, ""]})


LANGUAGE = choice("language", "en, pt-BR, ru or pl.", "en", "pt-BR", "ru", "pl")
TRAINING = choice("training", "true for what was practised.", "true", "false")
SCREEN = choice("for", "Which page listens; customer where none is named.", "customer", "kiosk", "cashier")
_CURSOR: Schema = {"type": "string", "pattern": "^[0-9]{1,15}$"}
AFTER = Query(name="after", says="The cursor of the last answer; 0 at first.", schema=_CURSOR)
SCANNED_AFTER = Query(
    name="after", says="The cursor of the last answer; left out for the last reading alone.", schema=_CURSOR
)
_WANTED: Schema = {"type": "string", "minLength": 1, "maxLength": 2048}
CARD = Query(name="card", says="What was scanned, or the card_token of an earlier answer.", schema=_WANTED,
             required=True)  # fmt: skip
RECEIPT = Query(name="of", says="The receipt's id.", schema=_WANTED, required=True)
FISCAL = (
    Query(name="columns", says="16 to 64; 0 for 40.",
          schema={"type": "string", "pattern": "^(0|1[6-9]|[2-5][0-9]|6[0-4])$"}),
    Query(name="lines", says="1 to 40; 0 for 8.", schema={"type": "string", "pattern": "^([0-9]|[123][0-9]|40)$"}),
    LANGUAGE,
    TRAINING,
)  # fmt: skip
LOOK = (
    choice("lang", "en, pt-BR, ru or pl; else the language of the sale.", "en", "pt-BR", "ru", "pl"),
    choice("theme", "light or dark.", "light", "dark"),
    choice("text", "big for larger letters.", "big"),
    choice("contrast", "more for stronger colours.", "more"),
)

_IN_PATH: Mapping[str, Schema] = {
    "business_date": {"type": "string", "format": "date"},
}
_ID: Schema = {"type": "string", "minLength": 1}

REFUSALS: Mapping[int, str] = {
    403: "Not without a supervisor's approval, or not by this cashier.",
    404: "Nothing here goes by this id or card.",
    409: "It stands for something else already, or what is known here does not allow it now.",
    422: "It can be read, and is not so here: another till, currency or day, a card of another programme.",
    429: "Too many tries; wait a little.",
    503: "Head office, a printer or a programme is wanted, and is not there now.",
}

_CARD_THERE: Schema = {"type": "string"}
_GOODS_NAMED: Schema = {"items": {"required": ["sku"], "properties": {"sku": {"minLength": 1}}}}
_RETURN: Schema = {
    "properties": {"lines": {"minItems": 1}},
    # With the receipt its lines are enough; without it the goods themselves are wanted.
    "anyOf": [
        {"required": ["of"], "properties": {"of": {"type": "string"}}},
        {"properties": {"lines": _GOODS_NAMED}},
    ],
}
TOGETHER: Mapping[str, Schema] = {
    # A line that sells a certificate is one piece, costs what goes onto it, and bears no tax.
    "BasketLine": {
        "anyOf": [
            {"properties": {"certificate": {"const": ""}}},
            {"properties": {"quantity": {"pattern": r"^1(\.0{1,3})?$"}, "tax_bp": {"const": 0},
                            "amount_minor": {"minimum": 1}}},
        ]
    },
    "FindBody": {
        "anyOf": [{"required": [name], "properties": {name: {"minLength": 1}}} for name in ("phone", "email")]
    },
    "CardBody": {
        "oneOf": [
            {"required": [named], "properties": {"what": {"const": what}, named: _CARD_THERE}}
            for what, named in (("issue", "member_card"), ("replace", "old_card"), ("block", "card"))
        ]
    },
    "ClaimBody": {
        "oneOf": [
            {"required": [one], "properties": {one: {"not": {"type": "null"}}, other: {"type": "null"}}}
            for one, other in (("receipt_id", "printed"), ("printed", "receipt_id"))
        ]
    },
    "PrintedReceipt": {
        "anyOf": [
            {"required": ["record"], "properties": {"record": {"minLength": 1}}},
            {"required": ["total_minor", "sold_at"],
             "properties": {"total_minor": {"type": "integer"}, "sold_at": {"minLength": 1}}},
        ]
    },
    "ReturnBody": _RETURN,
    "ExchangedReturn": _RETURN,
}


def put_together(schemas: dict[str, Schema]) -> None:
    """Say of bodies which of their fields go together."""
    for name, rule in TOGETHER.items():
        schemas[name]["allOf"] = [rule]


def in_path(path: str) -> list[Schema]:
    """The parameters of a path as OpenAPI writes it."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": _IN_PATH.get(name, _ID)} for name in names]


def in_query(query: tuple[Query, ...]) -> list[Schema]:
    """The parameters of a query."""
    return [
        {"name": one.name, "in": "query", "required": one.required, "description": one.says, "schema": one.schema}
        for one in query
    ]
