"""Places for machines: opened with a one-time code, claimed by the till that shows it."""

from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection, select, update

from central.coalition.registry import partner_of
from central.coalition.settings import generation
from central.coalition.streams import GOING_ON, LOST, at, begin_stream
from central.database.rows import put
from central.database.tables import slot, store, stream, till, till_key
from central.ports import Randomness
from loyalty.cards.card_keys import CardKeys
from loyalty.trouble import Refusal
from sync.enrolment import CODE_BYTES, CODE_TTL_MS, Slot, code_hash, show_code
from sync.wire import Claim


class UnknownStore(Refusal):
    code = "coalition.unknown_store"
    status = 404


class UnknownTillHere(Refusal):
    code = "central.unknown_till"
    status = 404


class TillUndecided(Refusal):
    code = "central.till_undecided"
    status = 409


class NewSlot(msgspec.Struct, frozen=True, kw_only=True):
    """What the person who enrols a till is shown: the one-time code, which is stored nowhere."""

    till_id: str
    code: str
    expires_ms: int


def open_slot(
    tx: Connection, randomness: Randomness, *, store_id: str, label: str, now_ms: int, till_id: str = ""
) -> NewSlot:
    """A place for one machine, claimed with a one-time code within a day.

    Args:
        till_id: the lane that gets a new machine or a new start; "" for a new lane.
    Raises:
        UnknownStore, UnknownTillHere.
        TillUndecided: a restore lost the enrolment of the machine that has the lane, and nobody has decided yet whether
            it goes on. Once another had the lane, what it sold would be booked as of any enrolment that is over.
    """
    if tx.execute(select(store.c.store_id).where(store.c.store_id == store_id)).first() is None:
        raise UnknownStore(f"There is no store {store_id}; load the coalition file that names it.", store_id=store_id)
    if till_id:
        known = tx.execute(select(till.c.epoch).where(till.c.till_id == till_id)).first()
        if known is None:
            raise UnknownTillHere(f"There is no till {till_id}; leave it out for a new one.", till_id=till_id)
        waits = stream.c.state == "suspended", stream.c.reason == LOST
        if tx.execute(select(stream.c.epoch).where(at(till_id, known.epoch), *waits)).first() is not None:
            raise TillUndecided(
                "Since a restore this lane's till waits for a decision. Decide first: `tallypoint central resume` if it"
                " is yours, `tallypoint central revoke` if it was stolen. Then make the code.",
                till_id=till_id,
            )
        epoch = known.epoch + 1
        # Only one code may be open for a lane.
        tx.execute(update(slot).where(slot.c.till_id == till_id, slot.c.used_by_key == "").values(expires_ms=now_ms))
        tx.execute(update(till).where(till.c.till_id == till_id).values(store_id=store_id, label=label))
    else:
        till_id, epoch = randomness.bytes(16).hex(), 1
        put(tx, till, [{"till_id": till_id, "store_id": store_id, "label": label}])
    code = show_code(randomness.bytes(CODE_BYTES))
    row = {"code_hash": code_hash(code), "till_id": till_id, "epoch": epoch, "key_no": epoch,
           "genesis": randomness.bytes(32).hex(), "expires_ms": now_ms + CODE_TTL_MS}  # fmt: skip
    put(tx, slot, [row])
    return NewSlot(till_id=till_id, code=code, expires_ms=now_ms + CODE_TTL_MS)


def find_slot(connection: Connection, hash_of_code: str, *, card_keys: CardKeys) -> Slot | None:
    """The slot behind a code, with the programme's card keys for whoever claims it."""
    joined = select(slot, till.c.store_id, till.c.label).join_from(slot, till).where(slot.c.code_hash == hash_of_code)
    row = connection.execute(joined).mappings().first()
    if row is None:
        return None
    # Whose store it is on the day the code was given out; of one that opens later, whose it will be.
    today = datetime.fromtimestamp((row["expires_ms"] - CODE_TTL_MS) / 1000, UTC).date().isoformat()
    owner = partner_of(connection, row["store_id"], today) or partner_of(connection, row["store_id"], "9999-12-31")
    return Slot(**row, partner_id=owner, card_keys=card_keys, generation=generation(connection))


def claim_slot(tx: Connection, wanted: Slot, claim: Claim, now_ms: int) -> bool:
    """Bind a machine and its key to a slot's till and begin its epoch; see `sync.ports.CentreStore.claim_slot`."""
    mine = {"used_by_key": claim.public_key, "used_by_install": claim.install_id}
    free = update(slot).where(slot.c.code_hash == wanted.code_hash, slot.c.used_by_key == "").values(mine)
    if tx.execute(free).rowcount == 0:
        held = select(slot.c.used_by_key, slot.c.used_by_install).where(slot.c.code_hash == wanted.code_hash)
        # One that is over is given out no more, to whoever has its key.
        going_on = select(stream.c.state).where(at(wanted.till_id, wanted.epoch), stream.c.state.in_(GOING_ON))
        is_theirs = tx.execute(held).first() == (claim.public_key, claim.install_id)
        return is_theirs and tx.execute(going_on).first() is not None
    begun = update(till).where(till.c.till_id == wanted.till_id, till.c.epoch == wanted.epoch - 1)
    if tx.execute(begun.values(epoch=wanted.epoch, install_id=claim.install_id)).rowcount == 0:
        return False
    key = {"till_id": wanted.till_id, "key_no": wanted.key_no, "public": claim.public_key, "epoch": wanted.epoch,
           "from_ms": now_ms}  # fmt: skip
    put(tx, till_key, [key])
    before = stream.c.till_id == wanted.till_id, stream.c.state.in_(GOING_ON)
    tx.execute(update(stream).where(*before).values(state="left"))
    begin_stream(tx, wanted.till_id, wanted.epoch, wanted.genesis, "active", now_ms)
    return True
