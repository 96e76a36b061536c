"""The goods of old receipts are let go: what books, limits and statements are made of stays, in its place in the chain.

A batch is redacted whole and once, when nobody needs the goods in it any more: all of it is posted and recomputed, and
no row of the worklist or the quarantine is open about it. It is proven once more before; from then on an event of head
office vouches for what is left. What people fixed, and uploads that were kept aside, go with them.
Source: ledger.md rule 6; house.md section 3; docs/operations.md "What is kept for how long".
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, exists, func, or_, select, update

from central.database.tables import batch, centre_event, correction, event, flag, quarantine, quarantine_outcome
from central.ports import Randomness, reading, replayable, writing
from central.streams.evidence import genesis_of, inflated
from central.streams.own_events import append_own
from central.worklist.worklist import raise_alarm
from loyalty.facts.redacting import EFFECTS, Redacted, RedactedPlace, redacted
from loyalty.moments import DAY_MS
from sync.chain import StreamHead, payload_digest, walk_digests
from sync.wire import BatchHeader

REDACTIONS = "redactions"
DAMAGED = "batch_damaged"
AT_ONCE = 20  # batches that one step redacts: a few megabytes
LOOKED_AT = 1_000


@replayable
def redact(engine: Engine, days: int, now_ms: int, randomness: Randomness) -> int:
    """One step of letting go what is older than `days`, in one transaction; 0 days for never.

    Returns:
        Batches, events of head office, uploads and wishes that it touched; 0 when nothing is left to do.
    """
    before_ms = now_ms - days * DAY_MS
    if not days:
        return 0
    with reading(engine) as connection:
        if not _is_anything_due(connection, before_ms):
            return 0
    with writing(engine) as tx:
        head = append_own(tx, REDACTIONS, (), now_ms, randomness)
        places = [*_batches(tx, before_ms, now_ms), *_fixed(tx, before_ms, now_ms)]
        if places:
            done = Redacted(receipt_id=f"redacted:{head.seq + 1}", places=tuple(places))
            append_own(tx, REDACTIONS, [done], now_ms, randomness)
        return len(places) + _uploads(tx, before_ms) + _wishes(tx, before_ms, now_ms)


def held_back(connection: Connection, days: int, now_ms: int) -> int:
    """How many batches are older than that and still whole, as something in them is open."""
    if not days:
        return 0
    old = batch.c.redacted_ms == 0, batch.c.received_at_ms < now_ms - days * DAY_MS
    return int(connection.execute(select(func.count()).select_from(batch).where(*old, _is_open())).scalar_one())


def _is_anything_due(connection: Connection, before_ms: int) -> bool:
    asked = (
        _due(before_ms, 1), _due_fixes(before_ms),
        select(quarantine.c.sha256).where(*_due_upload(before_ms)), _due_wishes(before_ms),
    )  # fmt: skip
    return any(connection.execute(one.limit(1)).first() is not None for one in asked)


# Batches


def _is_open() -> ColumnElement[bool]:
    """Whether an event of a batch waits, is not recomputed, or has a row that nobody has decided about."""
    mine = event.c.till_id == batch.c.till_id, event.c.epoch == batch.c.epoch
    inside = event.c.seq.between(batch.c.posted_from, batch.c.last_seq)
    decided = exists().where(_same_place(quarantine_outcome, event), quarantine_outcome.c.sha256 == "")
    undone = or_(
        event.c.state == "waiting",
        and_(event.c.state == "posted", event.c.checked == ""),
        and_(event.c.state == "quarantined", ~decided),
    )
    flagged = exists().where(
        flag.c.till_id == batch.c.till_id, flag.c.epoch == batch.c.epoch, flag.c.state == "open",
        flag.c.seq.between(batch.c.posted_from, batch.c.last_seq),
    )  # fmt: skip
    return or_(exists().where(*mine, inside, undone), flagged)


def _due(before_ms: int, at_most: int) -> Any:
    old = batch.c.redacted_ms == 0, batch.c.received_at_ms < before_ms
    places = select(batch.c.till_id, batch.c.epoch, batch.c.last_seq).where(*old, ~_is_open())
    return places.order_by(batch.c.received_at_ms, batch.c.till_id, batch.c.last_seq).limit(at_most)


def _batches(tx: Connection, before_ms: int, now_ms: int) -> Iterator[RedactedPlace]:
    done = 0
    for place in tx.execute(_due(before_ms, LOOKED_AT)).all():
        row = tx.execute(select(batch).where(*_at(batch, place))).one()
        digests = _proven(tx, row)
        if digests is None:
            # It is evidence of something else now, and verification says of what.
            raise_alarm(tx, DAMAGED, row.till_id, now_ms, of_epoch=row.epoch, last_seq=row.last_seq)
            continue
        found = _found(tx, row)
        lines = enumerate(inflated(row.body), row.first_seq)
        body = zlib.compress(b"".join(redacted(one, EFFECTS if seq in found else ()) + b"\n" for seq, one in lines))
        kept = {"redacted_ms": now_ms, "digests": b"".join(digests), "body": body}
        tx.execute(update(batch).where(*_at(batch, place)).values(kept))
        yield _place(row.till_id, row.epoch, row.last_seq, body)
        done += 1
        if done == AT_ONCE:
            break


def _found(tx: Connection, row: Row[Any]) -> set[int]:
    """The events of a batch about which there was a finding: what it cost whom is told by what promotions did there."""
    here = flag.c.till_id == row.till_id, flag.c.epoch == row.epoch
    inside = flag.c.seq.between(row.first_seq, row.last_seq)
    return set(tx.execute(select(flag.c.seq).where(*here, inside)).scalars())


def _proven(tx: Connection, row: Row[Any]) -> Sequence[bytes] | None:
    """`d_n` of each event of a batch that is as its till signed it; none of another."""
    genesis = genesis_of(tx, row.till_id, row.epoch)
    try:
        header = msgspec.json.decode(bytes(row.header), type=BatchHeader)
        digests = [payload_digest(genesis, line) for line in inflated(row.body)]
    except (msgspec.MsgspecError, zlib.error):
        return None
    before = StreamHead(till_id=row.till_id, epoch=row.epoch, seq=header.first_seq - 1, hash=header.prev_hash)
    ends = [(head.seq, head.hash) for head in walk_digests(before, digests)][-1:]
    as_signed = hashlib.sha256(bytes(row.body)).hexdigest() == header.body_sha256
    return digests if as_signed and ends == [(header.last_seq, header.head_hash)] else None


# What people posted instead of an event


def _due_fixes(before_ms: int) -> Any:
    outcome = quarantine_outcome.c
    at_fact = and_(event.c.receipt_id == outcome.fact_id, event.c.kind == "fixed.v1")
    flagged = exists().where(_same_place(flag, event), flag.c.state == "open")
    chosen = select(centre_event.c.till_id, centre_event.c.epoch, centre_event.c.seq).select_from(quarantine_outcome)
    chosen = chosen.join(event, at_fact).join(centre_event, _same_place(centre_event, event))
    old = outcome.outcome == "fixed", outcome.fact_id != "", outcome.decided_at_ms < before_ms
    return chosen.where(*old, centre_event.c.redacted_ms == 0, event.c.checked != "", ~flagged).distinct()


def _fixed(tx: Connection, before_ms: int, now_ms: int) -> Iterator[RedactedPlace]:
    for place in tx.execute(_due_fixes(before_ms).limit(AT_ONCE)).all():
        here = _at(centre_event, place)
        genesis = genesis_of(tx, place.till_id, place.epoch)
        payload = bytes(tx.execute(select(centre_event.c.payload).where(*here)).scalar_one())
        left = redacted(payload)
        kept = {"redacted_ms": now_ms, "digest": payload_digest(genesis, payload), "payload": left}
        tx.execute(update(centre_event).where(*here).values(kept))
        yield _place(place.till_id, place.epoch, place.seq, left)


def _due_wishes(before_ms: int) -> Any:
    """Wishes for such a fact, as they were asked for, done or refused."""
    old = correction.c.decided_at_ms.between(1, before_ms - 1), correction.c.state != "asked"
    return select(correction.c.correction_id, correction.c.fact).where(
        correction.c.kind == "fix", *old, correction.c.redacted_ms == 0
    )


def _wishes(tx: Connection, before_ms: int, now_ms: int) -> int:
    rows = tx.execute(_due_wishes(before_ms).limit(AT_ONCE)).all()
    for row in rows:
        wish = msgspec.json.decode(bytes(row.fact), type=dict[str, msgspec.Raw])
        left = msgspec.json.encode(wish | {"fact": msgspec.Raw(redacted(bytes(wish["fact"])))})
        here = correction.c.correction_id == row.correction_id
        tx.execute(update(correction).where(here).values(fact=left, redacted_ms=now_ms))
    return len(rows)


# Uploads that were kept aside


def _due_upload(before_ms: int) -> tuple[ColumnElement[bool], ...]:
    outcome = quarantine_outcome.c
    decided = exists().where(
        outcome.till_id == quarantine.c.till_id, outcome.sha256 == quarantine.c.sha256, outcome.seq == 0,
        outcome.decided_at_ms < before_ms,
    )  # fmt: skip
    return func.length(quarantine.c.evidence) > 0, decided


def _uploads(tx: Connection, before_ms: int) -> int:
    """What was decided about loses its bytes; their hash says what they were."""
    return tx.execute(update(quarantine).where(*_due_upload(before_ms)).values(evidence=b"")).rowcount


def _place(till_id: str, epoch: int, seq: int, left: bytes) -> RedactedPlace:
    return RedactedPlace(till_id=till_id, epoch=epoch, seq=seq, sha256=hashlib.sha256(left).hexdigest())


def _at(table: Any, place: Row[Any]) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in place._mapping.items()]


def _same_place(one: Any, other: Any) -> ColumnElement[bool]:
    return and_(*(one.c[name] == other.c[name] for name in ("till_id", "epoch", "seq")))
