"""Certificates over one transaction: read and locked with the events that name them, written back with their order.

Source: house.md section 5; ledger.md rule 4.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, update

from central.database.rows import hold, put
from central.database.tables import certificate, certificate_move
from central.posting.certificate_holds import end_hold
from loyalty.certificates import Certificate
from loyalty.facts.events import Event
from loyalty.ledger.books import Books, Posted
from loyalty.ledger.certificate_postings import certificates_in
from loyalty.lots import EventRef


def open_certificates(tx: Connection, books: Books, events: Iterable[Event]) -> None:
    """Keep others from the certificates that these events name, in the order of their tokens, and read them."""
    codes = {code for event in events for code in certificates_in(event)} - books.certificates.keys()
    for row in hold(tx, certificate, [_blank(code) for code in codes], ("code", "kept")):
        books.certificates[row.code] = msgspec.json.decode(row.kept, type=Certificate)


def write_certificates(tx: Connection, everything: Iterable[Posted]) -> None:
    """Write down what became of them and in which order. Without a number, so that they get one and tills are told."""
    moves: list[dict[str, Any]] = []
    last: dict[str, Certificate] = {}
    for posted in everything:
        for code, held in posted.certificates:
            moves.append({"code": code, "n": held.n, **msgspec.structs.asdict(posted.ref)})
            last[code] = held
    if not last:
        return
    put(tx, certificate_move, moves)
    # Of the sales alone that were paid with it: one that puts money on it was not what its till had some set aside for.
    paid = ((code, one.ref) for one in everything for code, held in one.certificates if _was_paid_by(held, one.ref))
    for code, by in dict.fromkeys(paid):
        end_hold(tx, code, by)
    put(tx, certificate, [_row(code, held) for code, held in last.items()], _WRITTEN)


def tell_anew(tx: Connection, codes: Iterable[str]) -> None:
    """Let tills be told of these certificates as if they had changed; of one that nobody sold there is nothing to
    tell."""
    if codes := sorted(codes):
        tx.execute(update(certificate).where(certificate.c.code.in_(codes), certificate.c.n > 0).values(no=0))


def _was_paid_by(held: Certificate, ref: EventRef) -> bool:
    return any(spend.of == ref for spend in held.spends)


def _blank(code: str) -> dict[str, Any]:
    return {"code": code, "n": 0, "kept": "{}"}


def _row(code: str, held: Certificate) -> dict[str, Any]:
    return {
        "code": code, "n": held.n, "kept": msgspec.json.encode(held).decode(),
        "balance_minor": held.balance_minor, "owed_minor": held.owed_minor,
        "lapses_on": min((one.key.valid_through.isoformat() for one in held.lots), default=""),
        "blocked": held.blocked, "no": 0,
    }  # fmt: skip


_WRITTEN: dict[str, Any] = {one.name: "given" for one in certificate.c if not one.primary_key}
