"""The till over HTTP. A route reads a body, asks the desk and answers; `door` turns strangers and troubles away."""

from pathlib import Path

import msgspec
from flask import Flask, Response, request

from edge.api.bodies import CommitBody, HoldBody, IdentifyBody, QuoteBody, ReturnBody, VoidBody
from edge.counter.balances import balance_said
from edge.counter.desk import Desk
from edge.counter.screens import Place
from edge.day.desk import DayDesk
from edge.devices.peripherals import Peripherals
from edge.devices.readers import Readers
from edge.members.desk import MembersDesk
from edge.parking.at_office import ParkedOffice
from edge.parking.over_lan import ParkedLan
from edge.web.bodies import answer, choice_of, is_training, number_of, read, wanted
from edge.web.certificates_http import add_certificates
from edge.web.day_http import add_day
from edge.web.door import answer_troubles, guard
from edge.web.health import Health
from edge.web.members_http import add_members
from edge.web.openapi import JSON, openapi
from edge.web.page_sessions import COOKIE, PageSessions
from edge.web.pages import add_pages
from edge.web.printing_http import add_printing
from edge.web.short_way import ShortWay
from edge.web.words import LANGUAGES
from loyalty.document import Language

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FOLDER = Path(__file__).parent


def till_app(
    desk: Desk,
    health: Health,
    readers: Readers,
    peripherals: Peripherals | None = None,
    parked_lan: ParkedLan | None = None,
    members: MembersDesk | None = None,
    parked_office: ParkedOffice | None = None,
) -> Flask:
    """The Flask application of one till."""
    app = Flask("edge", root_path=str(_FOLDER))
    app.url_map.merge_slashes = False  # an id may have any slashes
    sessions = PageSessions(desk.settings, lambda: desk.clock.now().mono_ms)
    app.wsgi_app = ShortWay(app.wsgi_app, desk)  # type: ignore[method-assign]
    guard(app, desk.settings, sessions)
    answer_troubles(app, health.incident, health.refused)
    _sales(app, desk)
    _reversals(app, desk)
    _cards(app, desk, readers)
    day = DayDesk(desk, parked_lan, parked_office)
    add_day(app, day)
    add_certificates(app, desk)
    add_members(app, members or MembersDesk(desk, None), lambda: sessions.is_panel(request.cookies.get(COOKIE)))
    add_printing(app, desk, day, peripherals or Peripherals(desk.settings, desk))
    _watching(app, desk, health)
    add_pages(app, desk, sessions)
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
        copy, one = choice_of("copy", ("true", "false")) != "false", choice_of("format", ("text", "escpos", "html"))
        language = choice_of("language", LANGUAGES) or None
        return rendered(desk.at(is_training()), receipt_id, one, language=language, copy=copy)

    @app.post("/v1/holds")
    def post_hold() -> Response:
        said = desk.hold(read(HoldBody))
        return answer(said, 200 if said.replayed else 201)

    @app.delete("/v1/holds/<path:hold_id>")
    def delete_hold(hold_id: str) -> Response:
        return answer(desk.at(is_training()).release(hold_id))


def _reversals(app: Flask, desk: Desk) -> None:
    @app.post("/v1/receipts/<path:receipt_id>/void")
    def post_void(receipt_id: str) -> Response:
        said = desk.void(receipt_id, read(VoidBody))
        return answer(said, 200 if said.replayed else 201)

    @app.post("/v1/returns")
    def post_return() -> Response:
        said = desk.take_back(read(ReturnBody))
        return answer(said, 200 if said.replayed else 201)


def _cards(app: Flask, desk: Desk, readers: Readers) -> None:
    @app.post("/v1/cards/identify")
    def post_identify() -> Response:
        return answer(desk.identify(read(IdentifyBody)))

    @app.get("/v1/cards/last")
    def get_last_card() -> Response:
        return answer(readers.last(number_of("after") if "after" in request.args else None))

    @app.get("/v1/balance")
    def get_balance() -> Response:
        return answer(balance_said(desk.at(is_training()), wanted("card")))


def _watching(app: Flask, desk: Desk, health: Health) -> None:
    @app.get("/v1/status")
    def get_status() -> Response:
        return answer(health.status())

    @app.get("/v1/screen")
    def get_screen() -> Response:
        return answer(desk.screens.shown(_place()))

    @app.get("/events")
    def get_events() -> Response:
        return Response(desk.screens.stream(_place()), mimetype="text/event-stream")

    @app.get("/metrics")
    def get_metrics() -> Response:
        return Response(health.metrics(), content_type=METRICS_TYPE)

    @app.get("/openapi.json")
    def get_openapi() -> Response:
        return Response(msgspec.json.encode(openapi()), mimetype=JSON)


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


def _place() -> Place:
    """Which page listens; `door` has seen to it that it may be told as much."""
    place: Place = choice_of("for", ("customer", "kiosk", "cashier")) or "customer"
    return place
