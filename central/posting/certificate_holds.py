"""Money of a certificate set aside for one till, for a sale that is about to be paid with it.

A hold says no more than how much other tills may have set aside meanwhile: a fact that arrives is booked whatever was
held. It ends with the sale's arrival, or by itself. It is no part of the books, and nothing is folded from it.
Source: docs/certificates.md "Paying with one".
"""

from datetime import timedelta

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from central.database.rows import put
from central.database.tables import certificate, certificate_hold
from loyalty.certificates import Certificate
from loyalty.lots import EventRef
from loyalty.moments import utc_date
from sync.desk import CertificateHeld, DeskAsk

LASTS_MS = 15 * 60_000
REMEMBERED_MS = 24 * 3_600_000


def hold_certificate(tx: Connection, ask: DeskAsk, now_ms: int) -> CertificateHeld:
    """Set aside for the till that asks what it wants, as far as it is there and no other till has it.

    Asked again it takes the place of what this till had; 0 gives it back.
    """
    one, of = certificate_hold.c, certificate_hold.c.code == ask.certificate
    tx.execute(delete(certificate_hold).where(one.till_id == ask.till_id, one.until_ms < now_ms - REMEMBERED_MS))
    # Tills that ask for one certificate at once wait for each other here.
    row = tx.execute(select(certificate).where(certificate.c.code == ask.certificate).with_for_update()).first()
    theirs = of, one.till_id != ask.till_id, one.until_ms > now_ms
    others = int(tx.execute(select(func.coalesce(func.sum(one.amount_minor), 0)).where(*theirs)).scalar_one())
    free = _live(msgspec.json.decode(row.kept, type=Certificate), now_ms) if row else 0
    amount = max(0, min(ask.amount_minor, free - others))
    kept = {"code": ask.certificate, "till_id": ask.till_id, "amount_minor": amount, "until_ms": now_ms + LASTS_MS}
    put(tx, certificate_hold, [kept], {"amount_minor": "given", "until_ms": "given"})
    return CertificateHeld(amount_minor=amount, until_ms=now_ms + LASTS_MS)


def end_hold(tx: Connection, code: str, by: EventRef) -> None:
    """A sale of this till arrived that paid with a certificate: what it had set aside for it is free."""
    one = certificate_hold.c
    tx.execute(update(certificate_hold).where(one.code == code, one.till_id == by.till_id).values(amount_minor=0))


def _live(held: Certificate, now_ms: int) -> int:
    """What is on it and may be good today somewhere: the till knows its own business date."""
    yesterday = utc_date(now_ms) - timedelta(days=1)
    return 0 if held.blocked else sum(part.points for part in held.lots if part.key.valid_through >= yesterday)
