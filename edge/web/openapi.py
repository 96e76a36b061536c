"""The OpenAPI 3.1 document of the till, made from the types that read and write the bodies."""

from typing import Any, Literal

import msgspec

from edge.api import answers, bodies, day_answers, member_bodies, page_bodies, slip_bodies
from edge.api.certificate_bodies import CertificateOrderBody, CertificateSaid
from edge.api.status import StatusSaid
from edge.counter import at_hand, recounting
from edge.counter.screens import Screen
from edge.devices import peripherals
from edge.web.openapi_shapes import (
    AFTER,
    CARD,
    FISCAL,
    LANGUAGE,
    LOOK,
    RECEIPT,
    REFUSALS,
    SCANNED_AFTER,
    SCREEN,
    TRAINING,
    Query,
    choice,
    in_path,
    in_query,
    put_together,
)

VERSION = "1.0.0"
PROBLEM = "application/problem+json"
JSON = "application/json"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One route: what it takes, what it answers when all is well. Every trouble is a problem document.

    Attributes:
        path: as OpenAPI writes it, `/v1/receipts/{receipt_id}`.
        query: its words, beside `training` where the body has it.
        refuses: with which statuses it may say no to what fits the document; anything may be answered 400 for what
            does not, 401, 413, 5xx.
        empty: the body may be left out whole.
        media: of the answer, where it is not JSON.
    """

    method: Literal["get", "post", "delete"]
    path: str
    summary: str
    takes: type[msgspec.Struct] | None = None
    answers: type[msgspec.Struct] | None = None
    status: int = 200
    query: tuple[Query, ...] = ()
    refuses: tuple[int, ...] = ()
    empty: bool = False
    media: tuple[str, ...] = (JSON,)


_SALE = (403, 404, 409, 422, 429, 503)  # whatever a sale or what undoes one may meet
_COPY = choice("copy", "false for the first print; every other one says that it is a copy.", "true", "false")
OPERATIONS = (
    Operation(method="post", path="/v1/cards/identify", summary="Say what was scanned.",
              takes=bodies.IdentifyBody, answers=answers.CardSaid, refuses=(409, 422, 429)),
    Operation(method="get", path="/v1/cards/last", summary="What a reader of this till read next.",
              answers=answers.ScannedSaid, query=(SCANNED_AFTER,)),
    Operation(method="post", path="/v1/quotes", summary="Price a basket. Nothing is written; ask as often as you like.",
              takes=bodies.QuoteBody, answers=answers.QuoteSaid, refuses=_SALE),
    Operation(method="post", path="/v1/holds", summary="Set points aside for an open basket.",
              takes=bodies.HoldBody, answers=answers.HoldSaid, status=201, refuses=_SALE),
    Operation(method="delete", path="/v1/holds/{hold_id}", summary="Give points back that were set aside.",
              answers=answers.ReleasedSaid, refuses=(404, 409)),
    Operation(method="post", path="/v1/receipts", summary="Write a paid sale. The same id again, the same answer.",
              takes=bodies.CommitBody, answers=answers.ReceiptSaid, status=201, refuses=_SALE),
    Operation(method="get", path="/v1/receipts/{receipt_id}",
              summary="A receipt, return or void of this till, ready to print.", answers=answers.RenderedSaid,
              media=(JSON, "text/plain", "application/octet-stream", "text/html"),
              query=(choice("format", "text, escpos or html for that one alone.", "text", "escpos", "html"), LANGUAGE,
                     _COPY, TRAINING), refuses=(404,)),
    Operation(method="post", path="/v1/receipts/{receipt_id}/print",
              summary="Print it once more; an exchange or a close, too.", answers=peripherals.PrintSaid, status=202,
              query=(LANGUAGE, choice("copy", "false where the first print never came out.", "true", "false"),
                     TRAINING),
              refuses=(404, 409, 503)),
    Operation(method="post", path="/v1/receipts/{receipt_id}/void", summary="Undo a whole receipt before the close.",
              takes=bodies.VoidBody, answers=answers.VoidSaid, status=201, empty=True, refuses=_SALE),
    Operation(method="post", path="/v1/returns", summary="Take goods back.",
              takes=bodies.ReturnBody, answers=answers.ReturnSaid, status=201, refuses=_SALE),
    Operation(method="post", path="/v1/certificates", summary="Ask about a certificate, activate, top up or block it.",
              takes=CertificateOrderBody, answers=CertificateSaid, status=201, refuses=(409, 422, 503)),
    Operation(method="get", path="/v1/enrolment", summary="What a customer may be asked who wants to join.",
              answers=member_bodies.EnrolmentSaid, query=(LANGUAGE,)),
    Operation(method="post", path="/v1/members", summary="A new member with a card.",
              takes=member_bodies.EnrolBody, answers=member_bodies.MemberMade, status=201, refuses=_SALE),
    Operation(method="post", path="/v1/members/find", summary="A member's cards by telephone or e-mail.",
              takes=member_bodies.FindBody, answers=member_bodies.FoundAll, refuses=(429, 503)),
    Operation(method="post", path="/v1/cards", summary="Give a member a card, replace one, or block one.",
              takes=member_bodies.CardBody, answers=member_bodies.CardDone, status=201, refuses=_SALE),
    Operation(method="post", path="/v1/consents", summary="A consent given or withdrawn.",
              takes=member_bodies.ConsentAskBody, answers=member_bodies.ConsentDone, status=201, refuses=_SALE),
    Operation(method="post", path="/v1/consents/confirm", summary="A consent confirmed by the code from its slip.",
              takes=member_bodies.ConfirmBody, answers=member_bodies.ConsentDone, status=201, refuses=(403, 409, 422)),
    Operation(method="get", path="/v1/consents", summary="What stands of a card's consents.",
              answers=member_bodies.ConsentsSaid,
              query=(CARD, TRAINING), refuses=(409, 422, 429)),
    Operation(method="post", path="/v1/claims", summary="Claim a receipt without a card for one that is brought later.",
              takes=member_bodies.ClaimBody, answers=member_bodies.ClaimSaid, status=201, refuses=_SALE),
    Operation(method="get", path="/v1/claims/{claim_id}", summary="What became of a claim.",
              answers=member_bodies.ClaimSaid, query=(TRAINING,), refuses=(404, 409)),
    Operation(method="get", path="/v1/balance", summary="What this till knows of a card.",
              answers=answers.BalanceSaid, query=(CARD, TRAINING), refuses=(409, 422, 429)),
    Operation(method="post", path="/v1/exchanges", summary="Take goods back and sell others: both or neither.",
              takes=bodies.ExchangeBody, answers=day_answers.ExchangeSaid, status=201, refuses=_SALE),
    Operation(method="get", path="/v1/exchanges/{exchange_id}", summary="An exchange as it was answered, to print.",
              answers=day_answers.ExchangeSaid, query=(LANGUAGE, TRAINING), refuses=(404,)),
    Operation(method="post", path="/v1/exchanges/{exchange_id}/void",
              summary="Undo both halves of an exchange before the close.", takes=bodies.ExchangeVoidBody,
              answers=day_answers.ExchangeVoidSaid, status=201, empty=True, refuses=_SALE),
    Operation(method="post", path="/v1/returns/{return_id}/void", summary="Undo a whole return before the close.",
              takes=bodies.ReturnVoidBody, answers=answers.ReturnVoidSaid, status=201, empty=True, refuses=_SALE),
    Operation(method="post", path="/v1/parked", summary="Lay an open basket aside.",
              takes=bodies.ParkBody, answers=day_answers.ParkedSaid, status=201, refuses=_SALE),
    Operation(method="get", path="/v1/parked", summary="Baskets that wait at the tills of the store.",
              answers=day_answers.ParkedListSaid, query=(TRAINING,)),
    Operation(method="post", path="/v1/parked/{park_id}/resume", summary="Take a parked basket up again.",
              takes=bodies.ResumeBody, answers=day_answers.ResumedSaid, status=201, refuses=(404, 409, 503)),
    Operation(method="delete", path="/v1/parked/{park_id}", summary="Throw a parked basket away.",
              answers=day_answers.DroppedSaid, query=(TRAINING,), refuses=(404, 409, 503)),
    Operation(method="get", path="/v1/training", summary="What was practised.", answers=day_answers.TrainingSaid),
    Operation(method="delete", path="/v1/training", summary="Leave training; all of it is forgotten.",
              answers=day_answers.TrainingSaid),
    Operation(method="post", path="/v1/day-close", summary="Close a business day, against the totals of the POS.",
              takes=bodies.DayCloseBody, answers=day_answers.CloseSaid, status=201, empty=True,
              refuses=(403, 409, 422, 429)),
    Operation(method="get", path="/v1/day-close/{business_date}", summary="A close as it was answered.",
              answers=day_answers.CloseSaid, query=(LANGUAGE, TRAINING), refuses=(404,)),
    Operation(method="get", path="/v1/fiscal-lines/{receipt_id}", summary="A receipt as lines for a fiscal printer.",
              answers=slip_bodies.FiscalSaid,
              query=FISCAL, refuses=(404,)),
    Operation(method="post", path="/v1/slips/welcome", summary="A slip for a new member or card. Nothing is written.",
              takes=slip_bodies.WelcomeSlip, answers=slip_bodies.SlipSaid),
    Operation(method="post", path="/v1/slips/certificate", summary="A slip of a gift certificate. Nothing is written.",
              takes=slip_bodies.CertificateSlip, answers=slip_bodies.SlipSaid),
    Operation(method="post", path="/v1/slips/balance", summary="What this till knows of a card, as a slip.",
              takes=slip_bodies.BalanceSlip, answers=slip_bodies.SlipSaid, refuses=(409, 422, 429)),
    Operation(method="post", path="/v1/slips/claim", summary="A slip of a claim of points. Nothing is written.",
              takes=slip_bodies.ClaimSlip, answers=slip_bodies.SlipSaid),
    Operation(method="get", path="/v1/status", summary="How this till is.", answers=StatusSaid),
    Operation(method="get", path="/v1/screen", summary="What the customer display shows now.", answers=Screen,
              query=(SCREEN,)),
    Operation(method="get", path="/events", summary="The same as it changes: server-sent events `screen`, `beat`.",
              media=("text/event-stream",), query=(SCREEN,)),
    Operation(method="get", path="/metrics", summary="Figures for Prometheus.", media=("text/plain",)),
    Operation(method="get", path="/v1/at-hand", summary="The sale at hand, as a page may act on it.",
              answers=at_hand.AtHandSaid),
    Operation(method="post", path="/v1/choices", summary="Lay a card, points or a language against the sale at hand.",
              takes=at_hand.ChoiceBody, answers=at_hand.ChoiceSaid, status=201, refuses=_SALE),
    Operation(method="get", path="/v1/choices", summary="What was chosen at a page, for the POS to send on.",
              answers=at_hand.ChoicesSaid, query=(AFTER,)),
    Operation(method="get", path="/v1/returnable", summary="What of a receipt can still come back.",
              answers=recounting.ReceiptLeft, query=(RECEIPT, TRAINING), refuses=(404,)),
    Operation(method="post", path="/v1/help", summary="Ask the screens for somebody to help at the kiosk.",
              takes=page_bodies.HelpBody, answers=page_bodies.HelpSaid, empty=True),
    Operation(method="post", path="/v1/page-tickets", summary="A link that opens the cashier panel once.",
              takes=page_bodies.TicketBody, answers=page_bodies.TicketSaid, status=201),
    Operation(method="post", path="/session", summary="Sign in at the cashier panel.",
              takes=page_bodies.SignInBody, answers=page_bodies.SessionSaid, status=201, refuses=(403, 429)),
    Operation(method="delete", path="/session", summary="Sign out.", answers=page_bodies.SessionSaid),
    *(Operation(method="get", path=path, summary=summary, media=("text/html",),
                query=LOOK)
      for path, summary in (("/customer", "The customer display."), ("/kiosk", "The self-checkout."),
                            ("/cashier", "The cashier panel; `ticket` opens it for the cashier of the POS."))),
    Operation(method="get", path="/openapi.json", summary="This document."),
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """The whole document, as plain values."""
    types = [kind for one in OPERATIONS for kind in (one.takes, one.answers) if kind] + [answers.ProblemSaid]
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    put_together(schemas)
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tallypoint till",
            "version": VERSION,
            "description": "The loyalty service beside the POS. Money is integer minor units, quantities are decimal "
            "strings, points are integers, instants RFC 3339 with offset. Integers are written without a point: 3, not "
            "3.0, which JSON Schema does not tell apart. Ids are the caller's, kept through retries.",
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
        "parameters": [*in_path(operation.path), *in_query((*operation.query, *_practised(operation)))],
        "responses": {
            str(operation.status): {"description": operation.summary, "content": _content(operation)},
            "default": {
                "description": "A problem; `code` is stable, `detail` says what to do.",
                "content": {PROBLEM: {"schema": _ref(answers.ProblemSaid)}},
            },
        },
    }
    problem = {PROBLEM: {"schema": _ref(answers.ProblemSaid)}}
    for status in operation.refuses:
        told["responses"][str(status)] = {"description": REFUSALS[status], "content": problem}
    if operation.status == 201:
        again = {"description": "The same, as it was answered the first time.", "content": _content(operation)}
        told["responses"]["200"] = again
    if operation.takes:
        body = {JSON: {"schema": _ref(operation.takes)}}
        told["requestBody"] = {"required": not operation.empty, "content": body}
    if operation.path.startswith("/v1/") and operation.path != "/v1/screen":
        told["security"] = [{"pos": []}, {}]
    return told


def _practised(operation: Operation) -> tuple[Query, ...]:
    """Every body that may be practised may be so by a word of the query, for a void may have no body at all."""
    return (TRAINING,) if operation.takes and "training" in operation.takes.__struct_fields__ else ()


def _content(operation: Operation) -> dict[str, Any]:
    answer = {"schema": _ref(operation.answers)} if operation.answers else {"schema": {"type": "object"}}
    return {media: answer if media == JSON else {"schema": {"type": "string"}} for media in operation.media}


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
