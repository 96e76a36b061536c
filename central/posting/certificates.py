"""What tills are told of certificates, and the nightly end of what is on them.

Source: sync.md section 3; docs/certificates.md.
"""

from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, bindparam, select

from central.coalition.streams import stream_head
from central.database.asking import ask
from central.database.tables import certificate
from central.ports import Randomness, replayable, writing
from central.posting.own_posting import post_own
from central.streams.own_events import append_own
from loyalty.certificates import Certificate, CertificateRow
from loyalty.facts.certificate_events import CertificateKept
from sync.ports import TillRecord

STREAM = "certificates"
AT_ONCE = 200


_CHANGED = (
    select(certificate.c.no, certificate.c.code, certificate.c.kept)
    .where(certificate.c.no > bindparam("after"))
    .order_by(certificate.c.no)
    .limit(bindparam("at_most"))
)
_OF_WORTH = _CHANGED.where((certificate.c.balance_minor > 0) | (certificate.c.blocked != ""))


def certificates_after(
    connection: Connection, asking: TillRecord, after: int, limit: int
) -> list[tuple[int, CertificateRow]]:
    """Certificates that changed after a number of their lane; from the beginning, those with something to say."""
    rows = ask(connection, _CHANGED if after else _OF_WORTH, {"after": after, "at_most": limit})
    own_seq = stream_head(connection, asking.till_id, asking.epoch).seq if rows else 0
    return [(row.no, _told(row, own_seq)) for row in rows]


@replayable
def lapse_certificates(engine: Engine, on: date, now_ms: int, randomness: Randomness) -> int:
    """Let lapse what had its last valid day before a date, some certificates at a time; how many. Again until 0."""
    with writing(engine) as tx:
        append_own(tx, STREAM, (), now_ms, randomness)  # one run at a time
        due = select(certificate.c.code).where(
            certificate.c.balance_minor > 0, certificate.c.lapses_on != "", certificate.c.lapses_on < on.isoformat()
        )
        codes = list(tx.execute(due.order_by(certificate.c.code).limit(AT_ONCE)).scalars())
        # What comes onto a certificate later, with a day that is over, lapses under another name.
        numbers = {row.code: row.n for row in tx.execute(select(certificate).where(certificate.c.code.in_(codes)))}
        facts = [
            CertificateKept(receipt_id=f"certificate:{code}:{numbers[code]}", what="lapsed", code=code, on=on)
            for code in codes
        ]
        if facts:
            post_own(tx, STREAM, facts, now_ms, randomness)
        return len(facts)


@replayable
def free_certificate(engine: Engine, code: str, on: date, by: str, now_ms: int, randomness: Randomness) -> bool:
    """Lift the block of a certificate; False where it is not blocked."""
    with writing(engine) as tx:
        append_own(tx, STREAM, (), now_ms, randomness)
        row = tx.execute(select(certificate).where(certificate.c.code == code)).first()
        if row is None or not row.blocked:
            return False
        fact = CertificateKept(receipt_id=f"certificate:{code}:{row.n}", what="freed", code=code, on=on, asked_by=by)
        post_own(tx, STREAM, [fact], now_ms, randomness)
        return True


def _told(row: Row[Any], own_seq: int) -> CertificateRow:
    held = msgspec.json.decode(row.kept, type=Certificate)
    by_day: dict[date, int] = {}
    for one in held.lots:
        by_day[one.key.valid_through] = by_day.get(one.key.valid_through, 0) + one.points
    return CertificateRow(code=row.code, parts=tuple(sorted(by_day.items())), blocked=held.blocked, own_seq=own_seq)
