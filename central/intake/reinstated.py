"""What a till sold while it was revoked by mistake, booked as if it had come in time, in the order it was sold.

Two people decide (`central.corrections.reinstating`). From then on the enrolment counts as one that is over, and what
the machine still has of it is taken too. Booking is a transaction an upload: cut short, the chore goes on.
Source: sync.md section 8, "fix, replay, or write off with reason".
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, Engine, and_, func, or_, select, update

from central.coalition.streams import at
from central.database.tables import flag, quarantine, quarantine_outcome, stream, till
from central.intake.quarantine import ItemKey, opened_upload, upload_row
from central.intake.replaying import Replayed, replay_uploads
from central.ports import Randomness, reading, replayable, writing
from sync.refusals import Revoked, TillLeft, UnknownEpoch

REINSTATED = "reinstated"  # the reason of its stream's state
# The second: brought by the lane's next enrolment before the decision; the third: after it, by the revoked one.
KEPT_AS = (Revoked.code, UnknownEpoch.code, TillLeft.code)
_BESIDE = quarantine_outcome.c
_KEPT = quarantine.outerjoin(
    quarantine_outcome,
    and_(_BESIDE.till_id == quarantine.c.till_id, _BESIDE.sha256 == quarantine.c.sha256, _BESIDE.seq == 0),
)


class RevokedStream(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolment that was revoked; `uploads` of it are kept apart, and nobody has decided about them."""

    till_id: str
    epoch: int
    label: str
    store_id: str
    reason: str
    uploads: int


def revoked_streams(connection: Connection) -> list[RevokedStream]:
    """All enrolments that are revoked, by label."""
    whose = and_(quarantine.c.till_id == stream.c.till_id, quarantine.c.epoch == stream.c.epoch)
    open_ones = select(func.count()).select_from(_KEPT).where(whose, quarantine_outcome.c.outcome.is_(None))
    columns = stream.c.till_id, stream.c.epoch, till.c.label, till.c.store_id, stream.c.reason
    chosen = select(*columns, open_ones.correlate(stream).scalar_subquery().label("uploads")).join_from(
        stream, till, stream.c.till_id == till.c.till_id
    )
    rows = connection.execute(chosen.where(stream.c.state == "revoked").order_by(till.c.label, *columns[:2]))
    return [RevokedStream(**row._mapping) for row in rows]


def reinstate_stream(tx: Connection, till_id: str, epoch: int) -> bool:
    """A revoked enrolment counts as one that is over. False when it was not revoked."""
    back = update(stream).where(at(till_id, epoch), stream.c.state == "revoked")
    return tx.execute(back.values(state="left", reason=REINSTATED)).rowcount == 1


def kept_uploads(connection: Connection, till_id: str, epoch: int) -> list[ItemKey]:
    """The uploads that were kept apart since an enrolment was revoked, in the order of what they hold.

    Also those in which it brought what was left of enrolments before it, which were not revoked.
    """
    here = quarantine.c.till_id == till_id, quarantine.c.code.in_(KEPT_AS), quarantine_outcome.c.outcome.is_(None)
    over = select(stream.c.epoch).where(stream.c.till_id == till_id, stream.c.epoch < epoch, stream.c.state == "left")
    whose = quarantine.c.epoch == epoch, quarantine.c.epoch.in_(over)
    waits = select(quarantine.c.epoch, quarantine.c.sha256).select_from(_KEPT).where(*here, or_(*whose))
    spans = []
    for of_epoch, name in connection.execute(waits).all():
        key = ItemKey(till_id=till_id, epoch=of_epoch, sha256=name)
        # One at a time: each may be 320 KiB, and there may be hundreds.
        if (opened := opened_upload(connection, upload_row(connection, key))) is not None:
            spans.append((of_epoch, opened.header.first_seq, opened.header.last_seq, name))
    return [ItemKey(till_id=till_id, epoch=of_epoch, sha256=name) for of_epoch, _, _, name in sorted(spans)]


def replay_reinstated(engine: Engine, now_ms: int, randomness: Randomness, by: str) -> Replayed:
    """Book what is kept of every enrolment that was reinstated; run again it changes nothing.

    What does not follow on yet stays, until the machine brings what lies between.
    """
    looked_at = posted = 0
    for till_id, epoch in _reinstated(engine):
        with reading(engine) as tx:
            keys = kept_uploads(tx, till_id, epoch)
        done = replay_uploads(engine, keys, now_ms, randomness, by)
        looked_at, posted = looked_at + done.looked_at, posted + done.posted
        if keys:
            _settle_alarm(engine, till_id, now_ms, by)
    return Replayed(looked_at=looked_at, posted=posted)


@replayable
def _reinstated(engine: Engine) -> Sequence[tuple[str, int]]:
    with reading(engine) as tx:
        chosen = select(stream.c.till_id, stream.c.epoch).where(stream.c.state == "left", stream.c.reason == REINSTATED)
        return [(row.till_id, row.epoch) for row in tx.execute(chosen.order_by(stream.c.till_id, stream.c.epoch))]


@replayable
def _settle_alarm(engine: Engine, till_id: str, now_ms: int, by: str) -> None:
    """The worklist's row of the till is done with the last of its uploads."""
    with writing(engine) as tx:
        open_ones = select(quarantine.c.sha256).select_from(_KEPT).where(
            quarantine.c.till_id == till_id, quarantine_outcome.c.outcome.is_(None)
        )  # fmt: skip
        if tx.execute(open_ones.limit(1)).first() is None:
            here = flag.c.till_id == till_id, flag.c.cause == "batch_quarantined", flag.c.state == "open"
            done = {"state": "settled", "note": REINSTATED, "settled_by": by, "settled_at_ms": now_ms}
            tx.execute(update(flag).where(*here).values(done))
