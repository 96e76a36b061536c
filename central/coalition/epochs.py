"""Epochs of a till that its centre did not begin, or that are over: given by the till itself, left behind, given back.

A till that lost its numbering goes on in an epoch of its own making. When it is heard, that epoch becomes its present
one, provided that it holds the key of its present enrolment; what it still has of earlier epochs is taken for these.
Source: DECISIONS 20; sync.md section 7.
"""

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, case, select, update

from central.coalition.settings import generation
from central.coalition.streams import GOING_ON, LOST, at, begin_stream
from central.coalition.till_keys import till_record
from central.database.rows import put
from central.database.tables import slot, store, stream, till, till_key
from central.worklist.worklist import raise_alarm
from sync.papers import Paper
from sync.ports import TillRecord
from sync.provisional import may_be_provisional, provisional_genesis
from sync.refusals import RewindFound
from sync.rotation import ROTATED, NewKey
from sync.wire import BatchHeader, Hello

PROVISIONAL = "stream_provisional"
LEFT = "till_left"
UNHEARD = "stream_unheard"


def adopt_provisional(tx: Connection, said: Hello | NewKey, now_ms: int) -> bool:
    """See `sync.ports.CentreStore.adopt_provisional`. What is known to be missing goes onto the worklist."""
    before, key = _present(tx, said.till_id), _speaking_key(tx, said)
    if before is None or key is None or key.epoch != before.epoch:
        return False
    if isinstance(said, Hello) and before.install_id != said.install_id:
        return False
    genesis = _granted_genesis(tx, said.till_id, key.key_no)
    # A rewind is just what the new epoch answers. A fork or a clone waits for a person, in the new epoch as in the old.
    is_open = before.state == "active" or (before.state == "suspended" and before.reason == RewindFound.code)
    if genesis is None or not (is_open or before.state == "suspended") or before.reason == LOST:
        return False
    moved = update(till).where(till.c.till_id == said.till_id, till.c.epoch == before.epoch)
    if tx.execute(moved.values(epoch=said.epoch)).rowcount == 0:
        return False
    tx.execute(update(till_key).where(*_key(said.till_id, key.key_no)).values(epoch=said.epoch))
    # A code that is open for the lane names the epoch after the one before: it would be refused as somebody else's.
    tx.execute(update(slot).where(slot.c.till_id == said.till_id, slot.c.used_by_key == "").values(expires_ms=now_ms))
    tx.execute(update(stream).where(at(said.till_id, before.epoch)).values(state="left"))
    state = "active" if is_open else "suspended"
    begin_stream(tx, said.till_id, said.epoch, provisional_genesis(genesis, said.epoch).hex(), state, now_ms)
    # What came of it in a file before it was heard has begun the stream already.
    reason = "" if is_open else before.reason
    tx.execute(update(stream).where(at(said.till_id, said.epoch)).values(state=state, reason=reason))
    raise_alarm(
        tx, PROVISIONAL, said.till_id, now_ms, epoch=said.epoch, left_epoch=before.epoch, here=before.seq,
        missing=max(0, before.announced_seq - before.seq),
    )  # fmt: skip
    return True


def ended_stream(tx: Connection, header: BatchHeader, now_ms: int) -> TillRecord | None:
    """See `sync.ports.CentreStore.ended_stream`."""
    row = tx.execute(select(stream.c.state, stream.c.genesis).where(at(header.till_id, header.epoch))).first()
    if row is None and may_be_provisional(header.epoch):
        # It went on by itself twice before it was heard, or was enrolled anew before it was.
        granted = _granted_genesis(tx, header.till_id, header.key_no)
        if granted is None:
            return None
        genesis = provisional_genesis(granted, header.epoch).hex()
        begin_stream(tx, header.till_id, header.epoch, genesis, "left", now_ms)
        raise_alarm(tx, UNHEARD, header.till_id, now_ms, epoch=header.epoch)
        return _as_of(tx, header, genesis)
    return _as_of(tx, header, row.genesis) if row is not None and row.state == "left" else None


def readmit(tx: Connection, paper: Paper, genesis: bytes, now_ms: int) -> bool:
    """See `sync.ports.CentreStore.readmit`. What the till was told since the backup nobody here knows any more: that it
    was revoked, perhaps. So nothing of it is taken before a person lets it go on."""
    till_id, epoch = paper.till_id, paper.epoch
    known_store = select(store.c.store_id).where(store.c.store_id == paper.store_id)
    if generation(tx) <= paper.generation or tx.execute(known_store).first() is None:
        return False
    place = {"store_id": paper.store_id, "label": paper.label}
    put(tx, till, [{"till_id": till_id, **place}], "nothing")
    begun = update(till).where(till.c.till_id == till_id, till.c.epoch < epoch)
    if tx.execute(begun.values(epoch=epoch, install_id=paper.install_id, **place)).rowcount == 0:
        return False
    # A code that is open for the lane is of an epoch that is taken.
    tx.execute(update(slot).where(slot.c.till_id == till_id, slot.c.used_by_key == "").values(expires_ms=now_ms))
    key = {"till_id": till_id, "key_no": paper.till_key_no, "public": paper.public, "epoch": epoch,
           "from_ms": paper.granted_at_ms}  # fmt: skip
    put(tx, till_key, [key])
    # An earlier one that waits for a person is not let in by a later one.
    earlier = stream.c.till_id == till_id, stream.c.state.in_(GOING_ON)
    is_lost = stream.c.reason == LOST
    tx.execute(update(stream).where(*earlier).values(state=case((is_lost, "revoked"), else_="left")))
    begin_stream(tx, till_id, epoch, genesis.hex(), "suspended", now_ms)
    tx.execute(update(stream).where(at(till_id, epoch)).values(reason=LOST))
    raise_alarm(tx, LOST, till_id, now_ms, epoch=epoch, store_id=paper.store_id, label=paper.label,
                enrolled_at_ms=paper.granted_at_ms)  # fmt: skip
    return True


def leave(tx: Connection, till_id: str, epoch: int, to_come: int, now_ms: int) -> None:
    """Its till has gone and was told so; the lane may be given to another machine."""
    gone = update(stream).where(at(till_id, epoch), stream.c.state == "active")
    if tx.execute(gone.values(state="left", reason=LEFT)).rowcount and to_come:
        raise_alarm(tx, LEFT, till_id, now_ms, epoch=epoch, to_come=to_come)


def _as_of(tx: Connection, header: BatchHeader, genesis: str) -> TillRecord | None:
    present = till_record(tx, header.till_id)
    if present is None:
        return None
    return msgspec.structs.replace(present, epoch=header.epoch, state="left", genesis=bytes.fromhex(genesis))


def _present(tx: Connection, till_id: str) -> Row[tuple[int, str, str, str, int, int]] | None:
    """The till with its present stream, held until this transaction ends."""
    here = (stream.c.till_id == till.c.till_id) & (stream.c.epoch == till.c.epoch)
    columns = (till.c.epoch, till.c.install_id, stream.c.state, stream.c.reason, stream.c.seq, stream.c.announced_seq)
    chosen = select(*columns).join_from(till, stream, here).where(till.c.till_id == till_id)
    return tx.execute(chosen.with_for_update()).first()


def _speaking_key(tx: Connection, said: Hello | NewKey) -> Row[tuple[int, int]] | None:
    """The key by which a till is known from now on: its new one where that was taken before and the answer lost."""
    columns = till_key.c.key_no, till_key.c.epoch
    if isinstance(said, NewKey):
        told = select(*columns, till_key.c.public, till_key.c.state).where(*_key(said.till_id, said.new_key_no))
        if (new := tx.execute(told).first()) is not None:
            return new if (new.public, new.state) == (said.new_public, "active") else None
    return tx.execute(select(*columns).where(*_key(said.till_id, said.key_no))).first()


def _granted_genesis(tx: Connection, till_id: str, key_no: int) -> bytes | None:
    """The genesis that was granted with a key, or with the one that it replaced."""
    # An enrolment's key has the number of its epoch.
    found = tx.execute(select(stream.c.genesis).where(at(till_id, key_no % ROTATED))).scalar()
    return bytes.fromhex(found) if found else None


def _key(till_id: str, key_no: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return till_key.c.till_id == till_id, till_key.c.key_no == key_no
