"""Routes for paper: a slip once more on the till's own printer, and slips of what a POS or a page knows."""

from flask import Flask, Response

from edge.api.slip_bodies import BalanceSlip, CertificateSlip, ClaimSlip, FiscalSaid, WelcomeSlip
from edge.counter.desk import Desk
from edge.counter.slips_asked import balance_slip, slip_asked
from edge.day.desk import DayDesk
from edge.devices.peripherals import Peripherals
from edge.web.bodies import BadQuery, answer, choice_of, is_training, number_of, read
from edge.web.words import LANGUAGES
from receipt_templates.as_fiscal import COLUMNS, LINES, MOST_LINES, render_fiscal


def add_printing(app: Flask, desk: Desk, day: DayDesk, peripherals: Peripherals) -> None:
    """Add `POST /v1/receipts/{receipt_id}/print`, `GET /v1/fiscal-lines/{receipt_id}` and `POST /v1/slips/…`."""

    @app.post("/v1/receipts/<path:receipt_id>/print")
    def post_print(receipt_id: str) -> Response:
        language, copy = choice_of("language", LANGUAGES) or None, choice_of("copy", ("true", "false")) != "false"
        view = day.slip(receipt_id, language=language, copy=copy, training=is_training())
        return answer(peripherals.print_again(receipt_id, view), 202)

    @app.get("/v1/fiscal-lines/<path:receipt_id>")
    def get_fiscal_lines(receipt_id: str) -> Response:
        view = desk.at(is_training()).slip(receipt_id, language=choice_of("language", LANGUAGES) or None, copy=False)
        columns, lines = number_of("columns") or COLUMNS, number_of("lines") or LINES
        if not (16 <= columns <= 64 and lines <= MOST_LINES):
            raise BadQuery(f"A fiscal printer lends lines of 16 to 64 columns, {MOST_LINES} at most.", columns=columns)
        told = render_fiscal(view, columns=columns, lines=lines)
        return answer(FiscalSaid(lines=told.lines, no_room=told.no_room, barred=told.barred))

    @app.post("/v1/slips/welcome")
    def post_welcome() -> Response:
        return answer(slip_asked(desk, read(WelcomeSlip)))

    @app.post("/v1/slips/certificate")
    def post_certificate_slip() -> Response:
        return answer(slip_asked(desk, read(CertificateSlip)))

    @app.post("/v1/slips/balance")
    def post_balance_slip() -> Response:
        return answer(balance_slip(desk, read(BalanceSlip)))

    @app.post("/v1/slips/claim")
    def post_claim_slip() -> Response:
        return answer(slip_asked(desk, read(ClaimSlip)))
