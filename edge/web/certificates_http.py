"""POST /v1/certificates: a body comes in, the till is asked, the POS is answered."""

from flask import Flask, Response

from edge.api import contract
from edge.api.certificate_bodies import SHOWN, CertificateOrderBody, CertificatePart, CertificateSaid
from edge.api.telling import event_said
from edge.counter.desk import Desk
from edge.instants import show_known
from edge.sale.certificates import CertificateOrder, Certified, last_day, order_certificate
from edge.web.bodies import answer, read
from loyalty.lots import FOREVER


def certificate_said(desk: Desk, body: CertificateOrderBody) -> CertificateSaid:
    """Answer a body. Raises: as `order_certificate`."""
    desk = desk.at(body.training)
    code = contract.certificate_code(body.code)
    with desk.writing:
        ask = CertificateOrder(
            **contract.asked(body, desk.here(body.request_id)),
            request_id=body.request_id,
            action=body.action,
            code=code,
            amount_minor=body.amount_minor,
            currency=body.currency or "",
            reason=contract.without_payment(body.reason),
        )
        told = order_certificate(desk.till, ask)
    return _said(desk, body, told, code[-SHOWN:])


def add_certificates(app: Flask, desk: Desk) -> None:
    """The route."""

    @app.post("/v1/certificates")
    def post_certificate() -> Response:
        said = certificate_said(desk, read(CertificateOrderBody))
        return answer(said, 201 if said.event and not said.replayed else 200)


def _said(desk: Desk, body: CertificateOrderBody, told: Certified, end: str) -> CertificateSaid:
    standing, offset_min = told.standing, desk.settings.offset_min
    days = [(None if day == FOREVER else day.isoformat(), amount) for day, amount in standing.parts]
    last = last_day(standing.parts)
    return CertificateSaid(
        request_id=body.request_id,
        action=body.action,
        certificate=f"…{end}",
        state=standing.state,
        balance_minor=standing.balance_minor,
        may_pay_minor=standing.may_pay_minor,
        valid_through=last.isoformat() if last else None,
        parts=tuple(CertificatePart(amount_minor=amount, valid_through=day) for day, amount in days),
        say=told.say,
        as_of=show_known(desk.till.cache.heard_ms("members"), offset_min),
        offline=desk.is_offline(),
        event=event_said(told.written) if told.written else None,
        replayed=bool(told.written and told.written.replayed),
    )
