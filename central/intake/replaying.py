"""What is in quarantine posted again once it can be read: after an upgrade, or when a stopped till goes on.

An event keeps its place in its till's stream and is posted from there, once; an upload of an earlier enrolment is taken
as if it had come in time. Run again it changes nothing. Source: sync.md sections 6 and 8.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Engine, and_, bindparam, select

from central.coalition.periods import hold_open_period
from central.coalition.streams import at, stream_head
from central.database.asking import ask
from central.database.rows import find, put
from central.database.tables import claim, event, quarantine, quarantine_outcome, stream
from central.intake.intake import claim_ids, count_spent, take_events
from central.intake.quarantine import (
    REUSED,
    AlreadyDecided,
    ItemKey,
    check_open,
    note_outcome,
    one_decides,
    opened_upload,
    payload_in,
    show,
    upload_row,
)
from central.leases.told_leases import note_told
from central.ports import Randomness, reading, replayable, writing
from central.posting.member_facts import take_member_events
from central.posting.posting import Poster
from central.streams.evidence import hash_at, payloads_of
from central.streams.heads import Unfit, read_fit_head
from loyalty.lots import EventRef
from loyalty.programme.programme import Programme
from loyalty.trouble import Refusal
from sync.envelope import OpenedBatch, walk_batch
from sync.refusals import KeyRetired
from sync.verdicts import Already, Take, judge_batch

AT_ONCE = 100
UNREADABLE = "event.%"  # the causes of what could not be read, or not be posted as it was
OPEN_TO = ("active", "left")  # of a till that enrolled anew only what it brings of before is asked for


class NotReadable(Refusal):
    code = "quarantine.not_readable"


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many events were looked at, and how many of them are in the books now."""

    looked_at: int
    posted: int


def replay_all(engine: Engine, now_ms: int, randomness: Randomness, by: str, *, uploads: bool = True) -> Replayed:
    """Every event in quarantine that can be read by now, and every upload that fits its stream by now.

    Args:
        uploads: without them for a chore: what a stopped till sent waits for a person.
    """
    looked_at = posted = 0
    after: tuple[str, int, int] = ("", 0, 0)
    while keys := _readable(engine, after):
        for key in keys:
            looked_at += 1
            posted += _replay_event(engine, key, now_ms, randomness, by)
        after = keys[-1].till_id, keys[-1].epoch, keys[-1].seq
    others = replay_uploads(engine, _uploads(engine) if uploads else (), now_ms, randomness, by)
    return Replayed(looked_at=looked_at + others.looked_at, posted=posted + others.posted)


def replay_uploads(
    engine: Engine, keys: Sequence[ItemKey], now_ms: int, randomness: Randomness, by: str
) -> Replayed:
    """Uploads in this order, each in a transaction of its own."""
    posted = 0
    for key in keys:
        try:
            posted += replay_upload(engine, key, now_ms, randomness, by)
        except (NotReadable, AlreadyDecided):
            continue  # it is shown in quarantine; who asks for it by name is told why
    return Replayed(looked_at=len(keys), posted=posted)


def replay_one(engine: Engine, key: ItemKey, now_ms: int, randomness: Randomness, by: str) -> Replayed:
    """One event or upload; one that was replayed already is told so and changes nothing.

    Raises:
        UnknownItem, AlreadyDecided. NotReadable: why it still cannot be posted.
    """
    with writing(engine) as tx:
        if show(tx, key).item.outcome == "replayed":
            return Replayed(looked_at=1, posted=0)
        check_open(tx, key)
    if key.sha256 and key.seq:
        raise NotReadable("An upload is replayed whole; or fix this event of it.")
    if key.sha256:
        return Replayed(looked_at=1, posted=replay_upload(engine, key, now_ms, randomness, by))
    if not _replay_event(engine, key, now_ms, randomness, by):
        raise NotReadable("This version cannot post it either; wait for a newer one, fix it, or write it off.")
    return Replayed(looked_at=1, posted=1)


@replayable
def _replay_event(engine: Engine, key: ItemKey, now_ms: int, randomness: Randomness, by: str) -> bool:
    """Whether it is in the books now, or waits for what it names."""
    ref = key.ref
    with writing(engine) as tx:
        # The period first, as everybody who posts: a close holds it while it waits for others.
        poster = Poster(tx, period_no=hold_open_period(tx), now_ms=now_ms, randomness=randomness, again=True)
        row = tx.execute(_undecided().where(_place(key)).with_for_update(of=event)).first()
        if row is None:
            return False
        payload = payloads_of(tx, [ref]).get(ref, b"")
        head = read_fit_head(payload)
        if isinstance(head, Unfit) or row.reason == REUSED:
            return False
        if claim_ids(tx, {ref: head}) and not _is_own(tx, ref, head.receipt_id):
            return False
        fresh = {ref: head}
        poster.open(fresh, row.batch_seq)
        poster.post(fresh)
        if poster.rows[ref]["state"] == "quarantined":
            # It breaks the same sum as before. Nothing is written: its row and its finding are there.
            return False
        poster.write(f"replay:{ref.till_id}:{ref.epoch}:{ref.seq}")
        note_told(tx, poster, fresh, {}, now_ms)
        take_member_events(tx, fresh, poster.rows, now_ms, randomness)
        count_spent(tx, (ref.till_id, ref.epoch), fresh, now_ms)
        note_outcome(tx, key, "replayed", note=f"was {row.reason}", by=by, now_ms=now_ms)
        return True


@replayable
def replay_upload(engine: Engine, key: ItemKey, now_ms: int, randomness: Randomness, by: str) -> int:
    """An upload taken as if it had come in time, but for events of it about which a person decided already.

    Returns:
        How many events it brought; 0 where all of them were there.
    Raises:
        UnknownItem, AlreadyDecided. NotReadable: it is no batch, is of a key or a stream that nobody vouches for, or
            does not follow on what is here.
    """
    with writing(engine) as tx:
        one_decides(tx, now_ms, randomness)
        row = upload_row(tx, key)
        opened = opened_upload(tx, row)
        if opened is None:
            raise NotReadable("This is no batch of events; look at it and write it off.")
        header = opened.header
        if row.code == KeyRetired.code:
            raise NotReadable("The key that signed it was replaced or revoked; fix its events one by one.")
        # Held, for its machine may bring the very events at this moment.
        held = select(stream.c.state, stream.c.genesis).where(at(header.till_id, header.epoch))
        own = tx.execute(held.with_for_update(key_share=True)).first()
        if own is None or own.state not in OPEN_TO:
            state = own.state if own else "unknown"
            if state == "revoked":
                raise NotReadable("Its till was revoked, so no machine vouches for it; if by mistake, reinstate it.")
            raise NotReadable(f"Its stream is {state}; let the till go on first, or fix its events one by one.")
        try:
            walked = walk_batch(opened, bytes.fromhex(own.genesis))
        except Refusal as broken:
            raise NotReadable(broken.say) from None
        verdict = judge_batch(
            stream_head(tx, header.till_id, header.epoch),
            header,
            lambda seq: hash_at(tx, header.till_id, header.epoch, seq),
            walked,
        )
        taken = 0
        if isinstance(verdict, Take):
            decided = _decided_inside(tx, opened, verdict)
            if any(one.is_unsure for one in decided):
                raise NotReadable("What was decided of its events is not kept any more; fix the others one by one.")
            _take_others(tx, opened, verdict, decided, now_ms, randomness)
            taken = len(opened.payloads) - verdict.from_index
        elif not isinstance(verdict, Already):
            raise NotReadable("It does not follow on what is here of its stream; fix its events one by one.")
        note_outcome(tx, key, "replayed", note=f"was {row.code}", by=by, now_ms=now_ms)
        return taken


def take_undecided(
    tx: Connection, opened: OpenedBatch, verdict: Take, now_ms: int, randomness: Randomness,
    programme: Programme | None = None,
) -> frozenset[int]:  # fmt: skip
    """`take_events`, but for events about which a person decided while they were kept in an upload: their stream goes
    on over them. One of which nobody can say whether it is such an event waits in quarantine. Args, Returns, Raises: as
    there."""
    return _take_others(tx, opened, verdict, _decided_inside(tx, opened, verdict), now_ms, randomness, programme)


def _take_others(
    tx: Connection, opened: OpenedBatch, verdict: Take, decided: Sequence["_Decided"], now_ms: int,
    randomness: Randomness, programme: Programme | None = None,
) -> frozenset[int]:  # fmt: skip
    # Their ids are taken, by themselves, so that they are posted no second time.
    put(tx, claim, [{**one.ref, "receipt_id": one.receipt_id} for one in decided if one.receipt_id], "nothing")
    served = take_events(tx, opened, verdict, now_ms, randomness, OPEN_TO, programme)
    for one in (one for one in decided if not one.is_unsure):
        note = f"decided in {one.decided_in}"
        note_outcome(tx, ItemKey(**one.ref), "written_off", note=note, by=one.decided_by, now_ms=now_ms)
    return served


class _Decided(NamedTuple):
    """The place of an event, its id where that can be read, and in which upload who decided about it.

    `is_unsure` where the bytes of that upload are not kept any more: a copy of the till may have written another event
    under the same number.
    """

    ref: dict[str, Any]
    receipt_id: str
    decided_in: str
    decided_by: str
    is_unsure: bool


_BESIDE = quarantine_outcome.c
_IN_UPLOADS = (
    select(_BESIDE.sha256, _BESIDE.seq, _BESIDE.decided_by)
    .where(
        _BESIDE.till_id == bindparam("till"), _BESIDE.epoch == bindparam("in_epoch"), _BESIDE.sha256 != "",
        _BESIDE.seq.between(bindparam("first"), bindparam("last")),
    )
    .order_by(_BESIDE.seq)
)  # fmt: skip


def _decided_inside(tx: Connection, opened: OpenedBatch, verdict: Take) -> list[_Decided]:
    """The new events that were fixed or written off while they were kept in an upload."""
    header = opened.header
    first_seq = header.first_seq + verdict.from_index
    asked = {"till": header.till_id, "in_epoch": header.epoch, "first": first_seq, "last": header.last_seq}
    uploads: dict[str, OpenedBatch | None] = {}
    found: dict[int, _Decided] = {}
    for sha256, seq, by in ask(tx, _IN_UPLOADS, asked):
        key = ItemKey(till_id=header.till_id, epoch=header.epoch, seq=seq, sha256=sha256)
        if sha256 not in uploads:
            uploads[sha256] = opened_upload(tx, upload_row(tx, key))
        payload, is_unsure = opened.payloads[seq - header.first_seq], uploads[sha256] is None
        if is_unsure or payload_in(uploads[sha256], key) == payload:
            head = read_fit_head(payload)
            receipt_id = "" if isinstance(head, Unfit) else head.receipt_id
            one = _Decided(msgspec.structs.asdict(key.ref), receipt_id, sha256, by, is_unsure)
            found[seq] = one if seq not in found or not is_unsure else found[seq]
    return list(found.values())


def _is_own(tx: Connection, ref: EventRef, receipt_id: str) -> bool:
    """Whether the event claimed its id when it came, and only then broke a sum."""
    found = find(tx, claim, [{"till_id": ref.till_id, "receipt_id": receipt_id}])
    return [(row.epoch, row.seq) for row in found] == [(ref.epoch, ref.seq)]


@replayable
def _readable(engine: Engine, after: tuple[str, int, int]) -> Sequence[ItemKey]:
    """The next events that nobody decided about and that could not be read."""
    place = event.c.till_id, event.c.epoch, event.c.seq
    with reading(engine) as tx:
        chosen = _undecided().where(event.c.reason.like(UNREADABLE), _beyond(place, after))
        rows = tx.execute(chosen.order_by(*place).limit(AT_ONCE)).all()
    return [ItemKey(till_id=row.till_id, epoch=row.epoch, seq=row.seq) for row in rows]


@replayable
def _uploads(engine: Engine) -> Sequence[ItemKey]:
    beside = quarantine_outcome.c
    same = and_(beside.till_id == quarantine.c.till_id, beside.sha256 == quarantine.c.sha256, beside.seq == 0)
    chosen = select(quarantine).outerjoin(quarantine_outcome, same).where(beside.outcome.is_(None))
    # As they came: one follows on the other.
    with reading(engine) as tx:
        rows = tx.execute(chosen.order_by(quarantine.c.received_at_ms, quarantine.c.sha256)).all()
    return [ItemKey(till_id=row.till_id, epoch=row.epoch, sha256=row.sha256) for row in rows]


def _undecided() -> Any:
    beside = quarantine_outcome.c
    here = and_(beside.till_id == event.c.till_id, beside.epoch == event.c.epoch, beside.seq == event.c.seq)
    joined = select(event).outerjoin(quarantine_outcome, and_(here, beside.sha256 == ""))
    return joined.where(event.c.state == "quarantined", beside.outcome.is_(None))


def _beyond(place: tuple[Any, Any, Any], after: tuple[str, int, int]) -> Any:
    till_id, epoch, seq = place
    later = and_(till_id == after[0], epoch > after[1]) | and_(till_id == after[0], epoch == after[1], seq > after[2])
    return (till_id > after[0]) | later


def _place(key: ItemKey) -> Any:
    return and_(event.c.till_id == key.till_id, event.c.epoch == key.epoch, event.c.seq == key.seq)
