"""The keys that a till signs by, and what the sessions need to know of it."""

from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from central.coalition.streams import LOST, at
from central.database.asking import ask, ask_first, ask_one
from central.database.rows import put
from central.database.tables import stream, till, till_key
from sync.keys import PublicKey, PublicKeys
from sync.ports import TillRecord, TillState
from sync.refusals import KeyRefused
from sync.rotation import NewKey

_TILL = (
    select(stream, till.c.install_id)
    .join_from(till, stream, at(till.c.till_id, till.c.epoch))
    .where(till.c.till_id == bindparam("till_id"))
)

_KEYS = (
    select(till_key, stream.c.state.label("enrolment"))
    .outerjoin_from(till_key, stream, at(till_key.c.till_id, till_key.c.epoch))
    .where(till_key.c.till_id == bindparam("till_id"))
    .order_by(till_key.c.key_no)
)


def till_record(connection: Connection, till_id: str) -> TillRecord | None:
    """What the sessions need to know of a till; none when it was never enrolled."""
    row = ask_first(connection, _TILL, {"till_id": till_id})
    if row is None:
        return None
    keys = ask(connection, _KEYS, {"till_id": till_id})
    state: TillState = row.state
    return TillRecord(
        till_id=till_id,
        epoch=row.epoch,
        keys=PublicKeys(keys=tuple(_public_key(key) for key in keys)),
        state=state,
        genesis=bytes.fromhex(row.genesis),
        install_id=row.install_id,
        counter=row.counter,
        announced_seq=row.announced_seq,
        is_undecided=row.state == "suspended" and row.reason == LOST,
    )


def _public_key(row: Any) -> PublicKey:
    return PublicKey(
        key_no=row.key_no,
        public=row.public,
        epoch=row.epoch,
        until_seq=row.until_seq,
        is_replaced=row.state == "replaced",
        is_revoked=row.state == "revoked",
        is_stopped=row.enrolment == "revoked",
    )


def take_key(tx: Connection, said: NewKey, now_ms: int) -> int:
    """A till's new key; see `sync.ports.CentreStore.take_key`."""
    new = {"till_id": said.till_id, "key_no": said.new_key_no, "public": said.new_public, "epoch": said.epoch,
           "from_ms": now_ms}  # fmt: skip
    first = bool(put(tx, till_key, [new], "nothing", ["key_no"]))
    here = till_key.c.till_id == said.till_id
    kept = tx.execute(select(till_key.c.public).where(here, till_key.c.key_no == said.new_key_no)).scalar_one()
    if kept != said.new_public:
        raise KeyRefused("This number stands for another key of the till; ask head office.")
    if first:
        old = update(till_key).where(here, till_key.c.key_no == said.key_no, till_key.c.state == "active")
        tx.execute(old.values(state="replaced", until_seq=said.rotation_seq))
        tx.execute(update(till).where(till.c.till_id == said.till_id).values(new_key_wanted=0))
    until = select(till_key.c.until_seq).where(here, till_key.c.key_no == said.key_no)
    return int(tx.execute(until).scalar_one())


def want_new_key(tx: Connection, till_id: str) -> None:
    """Ask a till, with its next hello, to make itself a new key."""
    tx.execute(update(till).where(till.c.till_id == till_id).values(new_key_wanted=1))


_KEY_WANTED = select(till.c.new_key_wanted).where(till.c.till_id == bindparam("till_id"))


def is_key_wanted(connection: Connection, till_id: str) -> bool:
    """Whether the till was asked and has not done it yet."""
    return bool(ask_one(connection, _KEY_WANTED, {"till_id": till_id}))


def revoke_key(tx: Connection, till_id: str, key_no: int) -> bool:
    """What this key signs goes to quarantine from now on. False where there is no such key."""
    here = till_key.c.till_id == till_id, till_key.c.key_no == key_no
    return tx.execute(update(till_key).where(*here).values(state="revoked")).rowcount == 1
