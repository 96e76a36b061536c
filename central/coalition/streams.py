"""The streams of events: one for each epoch of a till, where it stands, and whether it may go on."""

from typing import Any

from sqlalchemy import Connection, bindparam, case, select, update

from central.coalition.periods import hold_open_period
from central.database.asking import ask, ask_first
from central.database.rows import put
from central.database.tables import stream
from sync.chain import ZERO_HASH, StreamHead

GOING_ON = ("active", "suspended")  # a stream that is not over
LOST = "enrolment_lost"  # why one is suspended that a till showed after a restore


def begin_stream(tx: Connection, till_id: str, epoch: int, genesis: str, state: str, now_ms: int) -> None:
    """A stream at its beginning; one that is there already stays as it is."""
    row = {"till_id": till_id, "epoch": epoch, "hash": ZERO_HASH, "genesis": genesis, "state": state,
           "period_no": hold_open_period(tx), "opened_at_ms": now_ms}  # fmt: skip
    put(tx, stream, [row], "nothing")


def at(till_id: Any, epoch: Any) -> Any:
    """The condition that names one stream."""
    return (stream.c.till_id == till_id) & (stream.c.epoch == epoch)


# Made once, for making a statement takes longer than running it.
_HEAD = select(stream.c.seq, stream.c.hash).where(at(bindparam("till_id"), bindparam("epoch")))


def stream_head(connection: Connection, till_id: str, epoch: int) -> StreamHead:
    """Where a stream stands; at its beginning where nothing came yet."""
    row = ask_first(connection, _HEAD, {"till_id": till_id, "epoch": epoch})
    if row is None:
        return StreamHead(till_id=till_id, epoch=epoch)
    return StreamHead(till_id=till_id, epoch=epoch, seq=row.seq, hash=row.hash)


_COUNTED = (
    update(stream)
    .where(at(bindparam("till"), bindparam("in_epoch")), stream.c.counter < bindparam("to"))
    .values(counter=bindparam("to"), heard_at_ms=bindparam("now_ms"))
    .returning(stream.c.counter)
)


def take_counter(tx: Connection, till_id: str, epoch: int, counter: int, now_ms: int) -> bool:
    """Raise a till's request counter and note that it was heard; False when it is not above the last seen.

    An idle till says hello once an hour, but asks for the hotlist every twenty seconds: that is a sign of life too.
    """
    return bool(ask(tx, _COUNTED, {"till": till_id, "in_epoch": epoch, "to": counter, "now_ms": now_ms}))


def raised(column: Any, to: Any) -> Any:
    """The greater of a column and a number, or a parameter, in the SQL that all engines share."""
    return case((column < to, to), else_=column)


def stop_stream(tx: Connection, till_id: str, epoch: int, reason: str) -> bool:
    """Suspend an active stream until a person decides; False when it was stopped already."""
    stopped = update(stream).where(at(till_id, epoch), stream.c.state == "active")
    return tx.execute(stopped.values(state="suspended", reason=reason)).rowcount == 1


def resume_stream(tx: Connection, till_id: str, epoch: int) -> bool:
    """A person decided: the stream goes on. False when it was not suspended."""
    resumed = update(stream).where(at(till_id, epoch), stream.c.state == "suspended")
    return tx.execute(resumed.values(state="active", reason="")).rowcount == 1


def revoke_till(tx: Connection, till_id: str, reason: str) -> None:
    """A stolen or retired till: its uploads go to quarantine from now on, and it gets no more pages."""
    present = update(stream).where(stream.c.till_id == till_id, stream.c.state.in_(GOING_ON))
    tx.execute(present.values(state="revoked", reason=reason))
