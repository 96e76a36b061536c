"""The OpenAPI 3.1 document of the till, made from the types that read and write the bodies."""

from typing import Any, Literal

import msgspec

from edge import answers, bodies
from edge.screens import Screen
from edge.status import StatusSaid

VERSION = "1.0.0"
PROBLEM = "application/problem+json"
JSON = "application/json"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One route: what it takes, what it answers when all is well. Every trouble is a problem document.

    Attributes:
        path: as OpenAPI writes it, `/v1/receipts/{receipt_id}`.
        query: names of optional parameters, with what they say.
        empty: the body may be left out whole.
        media: of the answer, where it is not JSON.
    """

    method: Literal["get", "post", "delete"]
    path: str
    summary: str
    takes: type[msgspec.Struct] | None = None
    answers: type[msgspec.Struct] | None = None
    status: int = 200
    query: dict[str, str] = {}
    empty: bool = False
    media: tuple[str, ...] = (JSON,)


_CARD = "What was scanned, or the card_token of an earlier answer."
OPERATIONS = (
    Operation(method="post", path="/v1/cards/identify", summary="Say what was scanned.",
              takes=bodies.IdentifyBody, answers=answers.CardSaid),
    Operation(method="get", path="/v1/cards/last", summary="The last thing that a reader of this till read.",
              answers=answers.ScannedSaid, query={"after": "The cursor of the last answer; 0 at first."}),
    Operation(method="post", path="/v1/quotes", summary="Price a basket. Nothing is written; ask as often as you like.",
              takes=bodies.QuoteBody, answers=answers.QuoteSaid),
    Operation(method="post", path="/v1/holds", summary="Set points aside for an open basket.",
              takes=bodies.HoldBody, answers=answers.HoldSaid, status=201),
    Operation(method="delete", path="/v1/holds/{hold_id}", summary="Give points back that were set aside.",
              answers=answers.ReleasedSaid),
    Operation(method="post", path="/v1/receipts", summary="Write a paid sale. The same id again, the same answer.",
              takes=bodies.CommitBody, answers=answers.ReceiptSaid, status=201),
    Operation(method="get", path="/v1/receipts/{receipt_id}",
              summary="A receipt, return or void of this till, ready to print.", answers=answers.RenderedSaid,
              media=(JSON, "text/plain", "application/octet-stream", "text/html"),
              query={"format": "text, escpos or html for that one alone.", "language": "en, pt-BR, ru or pl.",
                     "copy": "false for the first print; every other one says that it is a copy."}),
    Operation(method="post", path="/v1/receipts/{receipt_id}/void", summary="Undo a whole receipt before the close.",
              takes=bodies.VoidBody, answers=answers.VoidSaid, status=201, empty=True),
    Operation(method="post", path="/v1/returns", summary="Take goods back.",
              takes=bodies.ReturnBody, answers=answers.ReturnSaid, status=201),
    Operation(method="get", path="/v1/balance", summary="What this till knows of a card.",
              answers=answers.BalanceSaid, query={"card": _CARD}),
    Operation(method="post", path="/v1/day-close", summary="Close a business day.",
              takes=bodies.DayCloseBody, answers=answers.CloseSaid, status=201, empty=True),
    Operation(method="get", path="/v1/status", summary="How this till is.", answers=StatusSaid),
    Operation(method="get", path="/v1/screen", summary="What the customer display shows now.", answers=Screen),
    Operation(method="get", path="/events", summary="The same as it changes: server-sent events `screen`, `beat`.",
              media=("text/event-stream",)),
    Operation(method="get", path="/metrics", summary="Figures for Prometheus.", media=("text/plain",)),
    Operation(method="get", path="/customer", summary="The customer display.", media=("text/html",),
              query={"lang": "en, pt-BR, ru or pl; else the language of the sale.", "theme": "light or dark."}),
    Operation(method="get", path="/openapi.json", summary="This document."),
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """The whole document, as plain values."""
    types = [kind for one in OPERATIONS for kind in (one.takes, one.answers) if kind] + [answers.ProblemSaid]
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tallypoint till",
            "version": VERSION,
            "description": "The loyalty service beside the POS. Money is integer minor units, quantities are decimal "
            "strings, points are integers, instants RFC 3339 with offset. Ids are the caller's, kept through retries.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"pos": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": [*_in_path(operation.path), *_in_query(operation.query)],
        "responses": {
            str(operation.status): {"description": operation.summary, "content": _content(operation)},
            "default": {
                "description": "A problem; `code` is stable, `detail` says what to do.",
                "content": {PROBLEM: {"schema": _ref(answers.ProblemSaid)}},
            },
        },
    }
    if operation.takes:
        body = {JSON: {"schema": _ref(operation.takes)}}
        told["requestBody"] = {"required": not operation.empty, "content": body}
    if operation.path.startswith("/v1/") and operation.path != "/v1/screen":
        told["security"] = [{"pos": []}, {}]
    return told


def _content(operation: Operation) -> dict[str, Any]:
    answer = {"schema": _ref(operation.answers)} if operation.answers else {"schema": {"type": "object"}}
    return {media: answer if media == JSON else {"schema": {"type": "string"}} for media in operation.media}


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _in_path(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _in_query(query: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": name == "card", "description": says, "schema": {"type": "string"}}
        for name, says in query.items()
    ]
