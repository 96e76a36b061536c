"""Money of a certificate set aside for one till, for a sale that is about to be paid with it.

A hold says no more than how much other tills may have set aside meanwhile: a fact that arrives is booked whatever was
held. Its till may pay it for a quarter of an hour, with the line or without, so it is kept until that sale arrives, the
till gives it back, or the till said after that time that it had nothing left to send; after a day it is over anyhow.
It is no part of the books, and nothing is folded from it. Source: docs/certificates.md "Paying with one".
"""

from datetime import timedelta

import msgspec
from sqlalchemy import Connection, delete, select, update

from central.coalition.streams import at, raised
from central.database.rows import find, put
from central.database.tables import certificate, certificate_hold, stream
from loyalty.certificates import Certificate
from loyalty.lots import EventRef
from loyalty.moments import utc_date
from sync.desk import CertificateHeld, DeskAsk

LASTS_MS = 15 * 60_000
REMEMBERED_MS = 24 * 3_600_000
UNDER_WAY_MS = 5 * 60_000  # what a till said so long ago may only arrive now


def hold_certificate(tx: Connection, ask: DeskAsk, now_ms: int) -> CertificateHeld:
    """Set aside for the till that asks what it wants, as far as it is there and no other till has it.

    Asked again it takes the place of what this till had; 0 gives it back. What was asked before that, and comes later,
    changes nothing and is told what holds now.
    """
    one, of = certificate_hold.c, certificate_hold.c.code == ask.certificate
    _forget(tx, ask, now_ms)
    # Tills that ask for one certificate at once wait for each other here.
    row = tx.execute(select(certificate).where(certificate.c.code == ask.certificate).with_for_update()).first()
    if (later := _asked_later(tx, ask, now_ms)) is not None:
        return later
    if ask.held_until_ms:
        mine = of, one.till_id == ask.till_id, one.until_ms == ask.held_until_ms
        tx.execute(update(certificate_hold).where(*mine).values(amount_minor=0, counter=ask.counter))
        return CertificateHeld(amount_minor=0, until_ms=ask.held_until_ms)
    free = _live(msgspec.json.decode(row.kept, type=Certificate), now_ms) if row else 0
    amount = max(0, min(ask.amount_minor, free - _of_others(tx, ask, now_ms)))
    kept = {"code": ask.certificate, "till_id": ask.till_id, "amount_minor": amount, "until_ms": now_ms + LASTS_MS,
            "epoch": ask.epoch, "counter": ask.counter}  # fmt: skip
    put(tx, certificate_hold, [kept], dict.fromkeys(("amount_minor", "until_ms", "epoch", "counter"), "given"))
    return CertificateHeld(amount_minor=amount, until_ms=now_ms + LASTS_MS)


def _forget(tx: Connection, ask: DeskAsk, now_ms: int) -> None:
    """Rows of this till that are long over; how far its asks had been counted by then is kept with its stream."""
    one = certificate_hold.c
    over = delete(certificate_hold).where(one.till_id == ask.till_id, one.until_ms <= now_ms - REMEMBERED_MS)
    gone = tx.execute(over.returning(one.epoch, one.counter)).all()
    if newest := max((row.counter for row in gone if row.epoch == ask.epoch), default=0):
        upto = raised(stream.c.holds_counter, newest)
        tx.execute(update(stream).where(at(ask.till_id, ask.epoch)).values(holds_counter=upto))


def _asked_later(tx: Connection, ask: DeskAsk, now_ms: int) -> CertificateHeld | None:
    """What holds now, where this till asked for something else after this ask; none where this is the newest."""
    if not ask.counter:
        return None  # a till of before asks were counted
    one = certificate_hold.c
    here = one.code == ask.certificate, one.till_id == ask.till_id, one.epoch == ask.epoch
    row = tx.execute(select(certificate_hold).where(*here)).first()
    if row is not None:
        is_old = ask.counter <= row.counter
        return CertificateHeld(amount_minor=row.amount_minor, until_ms=row.until_ms) if is_old else None
    upto = tx.execute(select(stream.c.holds_counter).where(at(ask.till_id, ask.epoch))).scalar() or 0
    return CertificateHeld(amount_minor=0, until_ms=now_ms) if ask.counter <= upto else None


def _of_others(tx: Connection, ask: DeskAsk, now_ms: int) -> int:
    """What other tills may pay with it, or may have paid and not told yet."""
    one = certificate_hold.c
    theirs = one.code == ask.certificate, one.till_id != ask.till_id, one.amount_minor > 0
    rows = tx.execute(select(certificate_hold).where(*theirs, one.until_ms > now_ms - REMEMBERED_MS)).all()
    over = [row for row in rows if row.until_ms <= now_ms]
    level = {
        (said.till_id, said.epoch): said.level_at_ms
        for said in find(tx, stream, [{"till_id": row.till_id, "epoch": row.epoch} for row in over])
    }
    told = {row for row in over if level.get((row.till_id, row.epoch), 0) >= row.until_ms + UNDER_WAY_MS}
    return sum(row.amount_minor for row in rows if row not in told)


def end_hold(tx: Connection, code: str, by: EventRef) -> None:
    """A sale of this till arrived that paid with a certificate: what it had set aside for it is free."""
    one = certificate_hold.c
    tx.execute(update(certificate_hold).where(one.code == code, one.till_id == by.till_id).values(amount_minor=0))


def _live(held: Certificate, now_ms: int) -> int:
    """What is on it and may be good today somewhere: the till knows its own business date."""
    yesterday = utc_date(now_ms) - timedelta(days=1)
    return 0 if held.blocked else sum(part.points for part in held.lots if part.key.valid_through >= yesterday)
