"""Who belongs to the coalition: partners, stores, terms; and its tills, their enrolment, keys and streams."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection, bindparam, case, select, update

from central.coalition.new_terms import booked_before
from central.database.asking import ask, ask_first, ask_one, tell
from central.database.rows import put
from central.database.tables import partner, period, setting, slot, store, store_partner, stream, terms, till, till_key
from central.ports import Randomness
from loyalty.amounts import Whole, exponent_of
from loyalty.cards.card_keys import FIRST_KEY, CardKeys
from loyalty.moments import utc_date
from loyalty.terms import Terms, check_terms
from loyalty.trouble import Refusal
from sync.chain import ZERO_HASH, StreamHead
from sync.enrolment import CODE_BYTES, CODE_TTL_MS, Slot, code_hash, show_code
from sync.keys import PublicKey, PublicKeys
from sync.ports import TillRecord, TillState
from sync.refusals import KeyRefused
from sync.rotation import NewKey
from sync.wire import Claim, Hello, Peer

LONG_AGO = date(1970, 1, 1)
GOING_ON = ("active", "suspended")  # a stream that is not over
LOST = "enrolment_lost"  # why one is suspended that a till showed after a restore
OPERATOR_MOST = "operator_most_minor"
_OPEN_PERIOD = select(period.c.period_no).where(period.c.state == "open").order_by(period.c.period_no.desc()).limit(1)
_OPEN_PERIOD_HELD = _OPEN_PERIOD.with_for_update(read=True)


class BadCoalition(Refusal):
    code = "coalition.malformed"
    status = 422


class UnknownStore(Refusal):
    code = "coalition.unknown_store"
    status = 404


class UnknownTillHere(Refusal):
    code = "central.unknown_till"
    status = 404


class StoreEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A store of a partner, from a date on."""

    store_id: str
    name: str = ""
    from_on: date = LONG_AGO


class TermsEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`loyalty.terms.Terms` without the partner, who is named around it."""

    terms_id: str
    from_on: date
    fee_micro: int = 0
    funding_micro: int = 0
    advance_micro: int = 0
    reimburse_micro: int = 0
    expiry_back_micro: int = 0
    refunds_fee: bool = False
    uncovered_micro: int = 0


class PartnerEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A retailer with its stores and dated terms.

    Attributes:
        limit_minor: how far its points may expose the operator.
        expected_redemption_bp: the share of its points that is expected to be redeemed.
        shares_defaults: its weight among the partners that agreed to share what another does not pay; 0: it did not.
    """

    partner_id: str
    name: str = ""
    limit_minor: Whole | None = None
    expected_redemption_bp: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 10_000
    shares_defaults: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    stores: tuple[StoreEntry, ...] = ()
    terms: tuple[TermsEntry, ...] = ()


class Coalition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The coalition file: one currency, its partners; `operator_most_minor` is the most that the operator bears of what
    one of them does not pay before those that agreed share it, none for all of it."""

    currency: str
    partners: tuple[PartnerEntry, ...]
    operator_most_minor: Whole | None = None


class NewSlot(msgspec.Struct, frozen=True, kw_only=True):
    """What the person who enrols a till is shown: the one-time code, which is stored nowhere."""

    till_id: str
    code: str
    expires_ms: int


# The coalition


def load_coalition(tx: Connection, document: Mapping[str, Any], now_ms: int) -> Coalition:
    """Take partners, stores and terms from a document; the same document again changes nothing.

    Raises:
        BadCoalition: unknown words, another currency than before, or terms that were changed after the fact, or that
            would have priced what is booked already.
        BadTerms, UnknownCurrency: as the kernel says.
    """
    try:
        coalition = msgspec.convert(document, Coalition)
    except msgspec.ValidationError as trouble:
        raise BadCoalition(f"The coalition file says something we do not know: {trouble}") from None
    exponent_of(coalition.currency)
    if get_setting(tx, "currency", coalition.currency) != coalition.currency:
        raise BadCoalition("The currency of a coalition cannot change; start a new centre for another one.")
    put(tx, setting, [{"name": "currency", "value": coalition.currency}], "nothing")
    _take_terms(tx, coalition, utc_date(now_ms))
    for one in coalition.partners:
        put(tx, store, [{"store_id": s.store_id, "name": s.name or s.store_id} for s in one.stores], {"name": "given"})
        owned = [{"store_id": s.store_id, "from_on": s.from_on.isoformat(), "partner_id": one.partner_id}
                 for s in one.stores]  # fmt: skip
        put(tx, store_partner, owned, {"partner_id": "given"})
    put(tx, period, [{"period_no": 1, "state": "open", "opened_at_ms": now_ms}], "nothing")
    return coalition


def _take_terms(tx: Connection, coalition: Coalition, today: date) -> None:
    new = [Terms(partner_id=one.partner_id, **msgspec.structs.asdict(entry))
           for one in coalition.partners for entry in one.terms]  # fmt: skip
    check_terms(new)
    known = {one.terms_id: one for one in all_terms(tx)}
    for one in new:
        if known.get(one.terms_id, one) != one:
            # Lots carry the id of their terms, so another price under the same id would change the past.
            raise BadCoalition(
                f"Terms {one.terms_id} are in force with other prices; write new terms with a new id and a later date.",
                terms_id=one.terms_id,
            )
        if one.terms_id not in known and (day := booked_before(tx, one, {*known.values(), *new}, today)):
            raise BadCoalition(
                f"Terms {one.terms_id} begin on {one.from_on}, and points of {one.partner_id} are booked without them"
                f" up to {day}; let them begin on a later day, best one that is still to come.",
                terms_id=one.terms_id,
            )
    names = [{"partner_id": one.partner_id, "name": one.name or one.partner_id, "limit_minor": one.limit_minor,
              "expected_redemption_bp": one.expected_redemption_bp, "shares_defaults": one.shares_defaults}
             for one in coalition.partners]  # fmt: skip
    told = ("name", "limit_minor", "expected_redemption_bp", "shares_defaults")
    put(tx, partner, names, dict.fromkeys(told, "given"))
    most = "" if coalition.operator_most_minor is None else str(coalition.operator_most_minor)
    put(tx, setting, [{"name": OPERATOR_MOST, "value": most}], {"value": "given"})
    put(tx, terms, [_terms_row(one) for one in new], "nothing")


def _terms_row(one: Terms) -> dict[str, Any]:
    return {**msgspec.structs.asdict(one), "from_on": one.from_on.isoformat(), "refunds_fee": int(one.refunds_fee)}


_TERMS = select(terms)


def all_terms(connection: Connection) -> tuple[Terms, ...]:
    """The terms of all partners."""
    return tuple(_terms(row._mapping) for row in ask(connection, _TERMS))


def _terms(row: Any) -> Terms:
    return Terms(**{**row, "from_on": date.fromisoformat(row["from_on"]), "refunds_fee": bool(row["refunds_fee"])})


_OWNER = (
    select(store_partner.c.partner_id)
    .where(store_partner.c.store_id == bindparam("store"), store_partner.c.from_on <= bindparam("day"))
    .order_by(store_partner.c.from_on.desc())
    .limit(1)
)


def partner_of(connection: Connection, store_id: str, on: str) -> str:
    """The partner a store belongs to on a date (ISO); "" where it belongs to none."""
    return ask_one(connection, _OWNER, {"store": store_id, "day": on}) or ""


_SETTING = select(setting.c.value).where(setting.c.name == bindparam("named"))


def get_setting(connection: Connection, name: str, default: str = "") -> str:
    """A value that the database keeps for all processes."""
    found = ask_one(connection, _SETTING, {"named": name})
    return default if found is None else found


def generation(connection: Connection) -> int:
    """Begun with each restore from a backup, later than any before it; 0 where there was none."""
    return int(get_setting(connection, "generation", "0"))


def open_period_no(connection: Connection) -> int:
    """The period that new postings belong to; 1 before any coalition was loaded."""
    return ask_one(connection, _OPEN_PERIOD) or 1


def hold_open_period(tx: Connection) -> int:
    """The open period's number, kept open until this transaction ends.

    So it cannot be cut, and summed, between this reading and the postings that are stamped with it. SQLite has one
    writer and ignores the lock.
    """
    # Where none is found there is no period yet, or we waited while the page was turned: the next one is seen only now.
    return ask_one(tx, _OPEN_PERIOD_HELD) or ask_one(tx, _OPEN_PERIOD_HELD) or 1


# Enrolment


def open_slot(
    tx: Connection, randomness: Randomness, *, store_id: str, label: str, now_ms: int, till_id: str = ""
) -> NewSlot:
    """A place for one machine, claimed with a one-time code within a day.

    Args:
        till_id: the lane that gets a new machine or a new start; "" for a new lane.
    Raises:
        UnknownStore, UnknownTillHere.
    """
    if tx.execute(select(store.c.store_id).where(store.c.store_id == store_id)).first() is None:
        raise UnknownStore(f"There is no store {store_id}; load the coalition file that names it.", store_id=store_id)
    if till_id:
        known = tx.execute(select(till.c.epoch).where(till.c.till_id == till_id)).first()
        if known is None:
            raise UnknownTillHere(f"There is no till {till_id}; leave it out for a new one.", till_id=till_id)
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


# Streams


def begin_stream(tx: Connection, till_id: str, epoch: int, genesis: str, state: str, now_ms: int) -> None:
    """A stream at its beginning; one that is there already stays as it is."""
    row = {"till_id": till_id, "epoch": epoch, "hash": ZERO_HASH, "genesis": genesis, "state": state,
           "period_no": hold_open_period(tx), "opened_at_ms": now_ms}  # fmt: skip
    put(tx, stream, [row], "nothing")


def at(till_id: Any, epoch: Any) -> Any:
    """The condition that names one stream."""
    return (stream.c.till_id == till_id) & (stream.c.epoch == epoch)


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


def _beside() -> Any:
    """The other tills of a till's store that may upload, with the keys that they sign by."""
    own = select(till.c.store_id).where(till.c.till_id == bindparam("till_id")).scalar_subquery()
    here = (stream.c.till_id == till.c.till_id) & (stream.c.epoch == till.c.epoch)
    key = (till_key.c.till_id == till.c.till_id) & (till_key.c.epoch == till.c.epoch)
    others = select(
        till.c.till_id, till.c.label, till.c.epoch, till_key.c.key_no, till_key.c.public, stream.c.about
    ).select_from(till.join(stream, here).join(till_key, key))
    chosen = others.where(till.c.store_id == own, till.c.till_id != bindparam("till_id"), stream.c.state == "active",
                          till_key.c.state == "active")  # fmt: skip
    return chosen.order_by(till.c.till_id, till_key.c.key_no)


_BESIDE = _beside()


def peers_of(connection: Connection, till_id: str) -> tuple[Peer, ...]:
    """The other tills of a till's store that listen on its LAN and may upload, as they last said."""
    peers = []
    for row in ask(connection, _BESIDE, {"till_id": till_id}):
        address = msgspec.json.decode(row.about, type=dict[str, Any]).get("lan", "")
        if address:
            key = {"epoch": row.epoch, "key_no": row.key_no, "public": row.public}
            peers.append(Peer(till_id=row.till_id, **key, address=address, label=row.label))
    return tuple(peers)


_ABOUT = select(stream.c.about).where(at(bindparam("till"), bindparam("in_epoch")))


def held_by(connection: Connection, till_id: str, epoch: int) -> tuple[str, ...]:
    """The ids of the card keys in force that a till said it holds; the first for one that says nothing of keys."""
    about = ask_one(connection, _ABOUT, {"till": till_id, "in_epoch": epoch})
    return held_in(about or "{}")


def held_in(about: str) -> tuple[str, ...]:
    """The same, of what its last hello said."""
    return card_keys_in(msgspec.json.decode(about, type=dict[str, Any]))


def card_keys_in(said: dict[str, Any]) -> tuple[str, ...]:
    """The same, read already."""
    return tuple(said.get("card_keys") or (FIRST_KEY,))


def said_by_tills(connection: Connection) -> list[tuple[str, dict[str, Any]]]:
    """Of each till that may upload, its label and what its last hello said of itself, by label."""
    present = (stream.c.till_id == till.c.till_id) & (stream.c.epoch == till.c.epoch)
    chosen = select(till.c.label, stream.c.about).join_from(till, stream, present)
    rows = connection.execute(chosen.where(stream.c.state.in_(GOING_ON)).order_by(till.c.label))
    return [(row.label, msgspec.json.decode(row.about, type=dict[str, Any])) for row in rows]


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


_GREETED = (
    update(stream)
    .where(at(bindparam("till"), bindparam("in_epoch")))
    .values(
        announced_seq=raised(stream.c.announced_seq, bindparam("announced")),
        heard_at_ms=bindparam("now_ms"),
        backlog=bindparam("behind"),
        level_at_ms=case((stream.c.seq >= bindparam("announced"), bindparam("now_ms")), else_=stream.c.level_at_ms),
        about=bindparam("said"),
    )
)


def note_hello(tx: Connection, hello: Hello, now_ms: int) -> None:
    """What a till says of itself."""
    about = {"version": hello.version, "boot": hello.boot, "cursors": hello.cursors, "suspended": hello.suspended,
             "lan": hello.lan, "card_keys": hello.card_keys, "sealing_key": hello.sealing_key,
             "oldest_unsent_s": hello.oldest_unsent_s, "disk_free_mb": hello.disk_free_mb}  # fmt: skip
    told = {"announced": hello.head_seq, "now_ms": now_ms, "behind": hello.backlog,
            "said": msgspec.json.encode(about).decode()}  # fmt: skip
    tell(tx, _GREETED, {"till": hello.till_id, "in_epoch": hello.epoch, **told})


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
