"""A slip that was asked for: its view from the body and what the till knows of itself. Nothing of it is kept."""

from base64 import b64encode
from typing import Any

import msgspec

from edge.api.contract import without_payment
from edge.api.slip_bodies import AnySlip, BalanceSlip, CertificateSlip, ClaimSlip, SlipSaid, WelcomeSlip
from edge.api.telling import ending_of
from edge.counter.balances import enquire, slip_of
from edge.counter.desk import Desk
from edge.instants import local_time
from loyalty.cards.cards import Card, read_card, typed_number
from receipt_templates.compose import AnyView
from receipt_templates.render import render
from receipt_templates.slip_views import CertificateView, ClaimView, WelcomeView

_DRAWN = {"luhn": "code128", "gsrn": "qr"}
_GSRN_LINK = "https://id.gs1.org/8018/"  # GS1 Digital Link, canonical form


def slip_asked(desk: Desk, body: AnySlip) -> SlipSaid:
    """Lay a slip out, and print it where that is asked for and there is a printer."""
    return _laid_out(desk, _view(desk, body), body.print)


def balance_slip(desk: Desk, body: BalanceSlip) -> SlipSaid:
    """What this till knows of a card, as a slip. Raises: as `enquire`."""
    view = slip_of(desk, enquire(desk.till, body.card), desk.face(body.card).last4)
    return _laid_out(desk, msgspec.structs.replace(view, language=body.language or view.language), body.print)


def _laid_out(desk: Desk, view: AnyView, to_print: bool) -> SlipSaid:
    return SlipSaid(
        text=render(view, "text", desk.slips.paper),
        escpos=b64encode(render(view, "escpos", desk.slips.printer)).decode(),
        html=render(view, "html", desk.slips.paper),
        printed=to_print and desk.slips.print_new(view),
    )


def _view(desk: Desk, body: AnySlip) -> AnyView:
    currency = body.currency if isinstance(body, CertificateSlip) else ""
    said: dict[str, Any] = {
        "language": body.language or desk.settings.language,
        "shop": desk.slips.shop(currency),
        "currency": currency,
        "number": without_payment(body.number),
        "till_id": desk.slips.till_name,
        "sold_at": local_time(desk.clock.now().wall_ms, desk.offset_min),
        "cashier": without_payment(body.cashier),
        "record": body.record,
        "member": ending_of(body.last4),
        "copy": body.copy,
        "training": body.training or desk.till.is_training,
        "offline": body.offline,
    }
    match body:
        case WelcomeSlip():
            return WelcomeView(
                **said,
                **_card_drawn(desk, body),
                confirm_code=without_payment(body.confirm_code),
                confirm_url=without_payment(body.confirm_url),
            )
        case CertificateSlip():
            return CertificateView(
                **said,
                what=body.what,
                amount_minor=body.amount_minor,
                left_minor=body.left_minor,
                code=without_payment(body.code),
                ending=without_payment(body.ending),
                through=body.through,
                waits=body.waits,
            )
        case ClaimSlip():
            return ClaimView(**said, of_number=without_payment(body.of_number), points=body.points, state=body.state)


def _card_drawn(desk: Desk, body: WelcomeSlip) -> dict[str, Any]:
    """The number of a new card, and how it is drawn so that a scanner finds the card again."""
    programmes = desk.till.cache.programmes()
    card = read_card(programmes[0].programme.cards, body.card_number) if programmes else None
    if not isinstance(card, Card):
        return {"card_number": without_payment(body.card_number), "card_code": body.card_code or "ean13"}
    code = body.card_code or _DRAWN.get(card.kind, "ean13")
    link = f"{_GSRN_LINK}{card.number}" if card.kind == "gsrn" and code == "qr" else ""
    # Not what was sent: a payment card may stand on another track beside ours.
    return {"card_number": typed_number(card), "card_code": code, "card_link": link}
