"""The till over HTTP. A route reads a body, asks the desk and answers; `door` turns strangers and troubles away."""

from pathlib import Path
from typing import Any, TypeVar

import msgspec
from flask import Flask, Response, render_template, request

from edge.bodies import CommitBody, DayCloseBody, HoldBody, IdentifyBody, QuoteBody, ReturnBody, VoidBody
from edge.contract import read_body
from edge.desk import Desk
from edge.door import answer_troubles, guard
from edge.health import Health
from edge.openapi import JSON, openapi
from edge.readers import Readers
from loyalty.document import Language
from loyalty.trouble import BadInput

LANGUAGES = ("en", "pt-BR", "ru", "pl")
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FOLDER = Path(__file__).parent

Body = TypeVar("Body")


class BadQuery(BadInput):
    code = "request.bad_query"


def till_app(desk: Desk, health: Health, readers: Readers) -> Flask:
    """The Flask application of one till."""
    app = Flask("edge", root_path=str(_FOLDER))
    app.url_map.merge_slashes = False  # an id may have any slashes
    guard(app, desk.settings)
    answer_troubles(app, health.incident)
    _sales(app, desk)
    _reversals(app, desk)
    _cards(app, desk, readers)
    _watching(app, desk, health)
    return app


def _sales(app: Flask, desk: Desk) -> None:
    @app.post("/v1/quotes")
    def post_quote() -> Response:
        return answer(desk.quote(read(QuoteBody)))

    @app.post("/v1/receipts")
    def post_receipt() -> Response:
        said = desk.commit(read(CommitBody))
        return answer(said, 200 if said.replayed else 201)

    @app.get("/v1/receipts/<path:receipt_id>")
    def get_receipt(receipt_id: str) -> Response:
        copy, one = _choice("copy", ("true", "false")) != "false", _choice("format", ("text", "escpos", "html"))
        return rendered(desk, receipt_id, one, language=_choice("language", LANGUAGES) or None, copy=copy)

    @app.post("/v1/holds")
    def post_hold() -> Response:
        said = desk.hold(read(HoldBody))
        return answer(said, 200 if said.replayed else 201)

    @app.delete("/v1/holds/<path:hold_id>")
    def delete_hold(hold_id: str) -> Response:
        return answer(desk.release(hold_id))


def _reversals(app: Flask, desk: Desk) -> None:
    @app.post("/v1/receipts/<path:receipt_id>/void")
    def post_void(receipt_id: str) -> Response:
        said = desk.void(receipt_id, read(VoidBody))
        return answer(said, 200 if said.replayed else 201)

    @app.post("/v1/returns")
    def post_return() -> Response:
        said = desk.take_back(read(ReturnBody))
        return answer(said, 200 if said.replayed else 201)

    @app.post("/v1/day-close")
    def post_day_close() -> Response:
        said = desk.close_day(read(DayCloseBody))
        return answer(said, 200 if said.replayed else 201)


def _cards(app: Flask, desk: Desk, readers: Readers) -> None:
    @app.post("/v1/cards/identify")
    def post_identify() -> Response:
        return answer(desk.identify(read(IdentifyBody)))

    @app.get("/v1/cards/last")
    def get_last_card() -> Response:
        return answer(readers.last(_number("after")))

    @app.get("/v1/balance")
    def get_balance() -> Response:
        return answer(desk.balance(_wanted("card")))


def _watching(app: Flask, desk: Desk, health: Health) -> None:
    @app.get("/v1/status")
    def get_status() -> Response:
        return answer(health.status())

    @app.get("/v1/screen")
    def get_screen() -> Response:
        return answer(desk.screens.now())

    @app.get("/events")
    def get_events() -> Response:
        return Response(desk.screens.stream(), mimetype="text/event-stream")

    @app.get("/metrics")
    def get_metrics() -> Response:
        return Response(health.metrics(), content_type=METRICS_TYPE)

    @app.get("/customer")
    def get_customer() -> str:
        language = _choice("lang", LANGUAGES) or desk.settings.language
        theme = _choice("theme", ("light", "dark"))
        return render_template("customer.html", language=language, theme=theme, programme=desk.programme_name())

    @app.get("/openapi.json")
    def get_openapi() -> Response:
        return Response(msgspec.json.encode(openapi()), mimetype=JSON)


def read(kind: type[Body]) -> Body:
    """The body of this request as its type. Raises: BadInput, NoSuchField."""
    return read_body(request.get_data(cache=False), kind)


def answer(said: msgspec.Struct, status: int = 200) -> Response:
    """An answer as JSON."""
    return Response(msgspec.json.encode(said), status, mimetype=JSON)


def rendered(desk: Desk, receipt_id: str, one: str, *, language: Language | None, copy: bool) -> Response:
    """A receipt in all its renderings, or in one."""
    if one == "escpos":
        return Response(desk.print_job(receipt_id, language=language, copy=copy), mimetype="application/octet-stream")
    said = desk.rendered(receipt_id, language=language, copy=copy)
    if one == "html":
        return Response(said.html, mimetype="text/html", headers={"Content-Security-Policy": _SLIP_POLICY})
    return Response(said.text, mimetype="text/plain") if one == "text" else answer(said)


# A receipt page brings its own style and nothing else.
_SLIP_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


def _choice(name: str, allowed: tuple[str, ...]) -> Any:
    value = request.args.get(name, "")
    if value and value not in allowed:
        raise BadQuery(f"{name} may be {', '.join(allowed)}.", name=name)
    return value


def _number(name: str) -> int:
    value = request.args.get(name, "0")
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise BadQuery(f"{name} is a whole number, the cursor of the last answer.", name=name)
    return int(value)


def _wanted(name: str) -> str:
    value = request.args.get(name, "")
    if not 0 < len(value) <= 2048:
        raise BadQuery(f"Give {name} in the query, such as ?{name}=….", name=name)
    return value
