"""One batch, one transaction: claimed, posted, stored as received, the stream advanced.

A fact is never refused. What cannot be read or was seen before is quarantined, what names an event that has not
arrived waits for it, and the sequence advances all the same. Source: sync.md section 2; house.md sections 4 and 5.
"""

from collections.abc import Iterable, Mapping, Set
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, or_, select, update

from central.coalition.registry import partner_of
from central.coalition.streams import at, raised
from central.database.asking import ask, ask_one, tell, tell_each
from central.database.rows import Soon, find, put_soon
from central.database.tables import batch, claim, stream, till
from central.intake.till_close import close_flags
from central.leases.granting import top_up
from central.leases.told_leases import note_told, proofs_of, proven
from central.ports import Randomness, without_waiting
from central.posting.member_facts import take_member_events
from central.posting.posting import AT_ONCE, Heads, Poster
from central.streams.evidence import told_again
from central.streams.heads import Unfit, read_fit_head
from central.worklist.worklist import raise_alarm, raise_flags
from loyalty.facts.events import Event, TillClose
from loyalty.facts.lease_events import LeaseMoved
from loyalty.facts.receipts import Receipt, points_drawn
from loyalty.facts.reversals import ReturnVoid, Reversal, Void
from loyalty.ledger.books import NOBODY, Flag
from loyalty.lots import EventRef
from loyalty.programme.programme import Programme
from sync.envelope import OpenedBatch
from sync.refusals import StreamMoved
from sync.verdicts import Take
from sync.wire import BatchHeader


def take_events(
    tx: Connection,
    opened: OpenedBatch,
    verdict: Take,
    now_ms: int,
    randomness: Randomness,
    states: tuple[str, ...] = ("active",),
    programme: Programme | None = None,
) -> frozenset[int]:
    """Post the events of a batch from `verdict.from_index` on, store the batch, advance its stream.

    Args:
        states: of its stream, in which it is taken; more of them only where a person says so.
        programme: the one in force, to whose caps the till's float is topped up; none to leave it.

    Returns:
        The accounts that sales of it were for.
    Raises:
        StreamMoved: the stream is not where the verdict found it, or is not open any more; nothing is written.
    """
    header = opened.header
    period_no = _advance(tx, header, verdict, now_ms, states)
    payloads = {EventRef(till_id=header.till_id, epoch=header.epoch, seq=seq): payload
                for seq, payload in enumerate(opened.payloads, header.first_seq)}  # fmt: skip
    new = list(payloads)[verdict.from_index :]
    with without_waiting(tx):
        _store_batch(tx, opened, new[0].seq, now_ms)
        read, reused = _read_and_claim(tx, {ref: payloads[ref] for ref in new})
    heads = _fit(read)
    fresh = {ref: head for ref, head in heads.items() if ref not in reused}
    poster = Poster(tx, period_no=period_no, now_ms=now_ms, randomness=randomness)
    seen_before, strange = _seen_before(tx, heads, reused, payloads), _strange_places(tx, fresh)
    # Before any account is locked, for nobody has to wait for it; unless the till tells of lost grants, or of leases
    # that rest, which count first.
    tells_of_leases = any(isinstance(head, LeaseMoved) for head in fresh.values())
    if not tells_of_leases:
        _settle_float(tx, header, fresh, programme, now_ms, randomness)
    mark = f"{header.till_id}:{header.epoch}:{header.last_seq}"
    poster.open(fresh, header.last_seq, mark)
    proofs = proofs_of(tx, fresh, opened.shown)
    fresh = proven(fresh, proofs)
    with without_waiting(tx):
        poster.post(fresh)
        for ref, unfit in read.items():
            if isinstance(unfit, Unfit):
                poster.strike(ref, unfit.cause, unfit.say, header.last_seq)
        for ref, say in seen_before.items():
            poster.strike(ref, "receipt_id_reused", say, header.last_seq, heads[ref])
        poster.flags += strange
        poster.write(mark)
    note_told(tx, poster, fresh, proofs, now_ms)
    take_member_events(tx, fresh, poster.rows, now_ms, randomness)
    if tells_of_leases:
        _settle_float(tx, header, fresh, programme, now_ms, randomness)
    for ref, head in fresh.items():
        if isinstance(head, TillClose):
            raise_flags(tx, close_flags(tx, ref, head), poster.rows, now_ms)
    sold = {ref for ref, head in fresh.items() if isinstance(head, Receipt)}
    return frozenset(poster.rows[ref]["account_id"] for ref in sold) - {NOBODY}


_HERE = at(bindparam("till"), bindparam("in_epoch"))
_CONTACT = {
    "counter": raised(stream.c.counter, bindparam("said")),
    "announced_seq": raised(stream.c.announced_seq, bindparam("announced")),
    "heard_at_ms": bindparam("now_ms"),
    "backlog": bindparam("behind"),
    # A batch that somebody sends once more says how it was then.
    "level_at_ms": case(
        (and_(stream.c.counter < bindparam("said"), bindparam("behind") == 0), bindparam("now_ms")),
        else_=stream.c.level_at_ms,
    ),
}
_HEARD = update(stream).where(_HERE).values(_CONTACT)


@cache
def _advanced(states: tuple[str, ...]) -> Any:
    """Moves a stream on from just where it is thought to be."""
    is_taken = or_(*(stream.c.state == state for state in states))
    guard = stream.c.seq == bindparam("from_seq"), stream.c.hash == bindparam("from_hash"), is_taken
    values = {"seq": bindparam("to_seq"), "hash": bindparam("to_hash"), **_CONTACT}
    return update(stream).where(_HERE, *guard).values(values).returning(stream.c.period_no)


def note_contact(tx: Connection, header: BatchHeader, now_ms: int) -> None:
    """A batch that was here already still says that the till lives, and how far it is."""
    tell(tx, _HEARD, _contact(header, now_ms))


def _advance(tx: Connection, header: BatchHeader, verdict: Take, now_ms: int, states: tuple[str, ...]) -> int:
    """Move the stream on from just where the verdict saw it; the period that its new events belong to."""
    seen = {"from_seq": verdict.after.seq, "from_hash": verdict.after.hash}
    moved = {"to_seq": header.last_seq, "to_hash": header.head_hash, **_contact(header, now_ms)}
    period_no = ask_one(tx, _advanced(states), {**seen, **moved})
    if period_no is None:
        raise StreamMoved("The stream moved on meanwhile.", retry_after_s=1)
    return int(period_no)


def _contact(header: BatchHeader, now_ms: int) -> dict[str, Any]:
    return {
        "till": header.till_id,
        "in_epoch": header.epoch,
        "said": header.counter,
        "announced": header.last_seq + header.backlog,
        "now_ms": now_ms,
        "behind": header.backlog,
    }


def _read_and_claim(
    tx: Connection, payloads: Mapping[EventRef, bytes]
) -> tuple[dict[EventRef, Event | Unfit], dict[EventRef, str]]:
    """The heads of these events, and those whose receipt id belongs to another event, with the id.

    While the database claims the ids of some, the next are read.
    """
    read: dict[EventRef, Event | Unfit] = {}
    first: dict[str, EventRef] = {}
    left, claimed = list(payloads), []
    while left:
        some, left = left[:AT_ONCE], left[AT_ONCE:]
        heads = {ref: read_fit_head(payloads[ref]) for ref in some}
        read |= heads
        claimed.append(_claim(tx, _fit(heads), first))
    won = {row.receipt_id for answer in claimed for row in answer()}
    return read, _lost(_fit(read), first, won)


def _fit(read: Mapping[EventRef, Event | Unfit]) -> dict[EventRef, Event]:
    return {ref: head for ref, head in read.items() if not isinstance(head, Unfit)}


def claim_ids(tx: Connection, heads: Heads) -> dict[EventRef, str]:
    """Claim the receipt ids of a batch. Returns the events whose id belongs to another event, with the id."""
    first: dict[str, EventRef] = {}
    return _lost(heads, first, {row.receipt_id for row in _claim(tx, heads, first)()})


def _claim(tx: Connection, heads: Heads, first: dict[str, EventRef]) -> Soon:
    """Claim ids that no event before bears; `first` remembers who does."""
    named = {ref: head.receipt_id for ref, head in heads.items() if first.setdefault(head.receipt_id, ref) == ref}
    rows = [{"till_id": ref.till_id, "receipt_id": name, "epoch": ref.epoch, "seq": ref.seq}
            for ref, name in named.items()]  # fmt: skip
    return put_soon(tx, claim, rows, "nothing", ["receipt_id"])


def _lost(heads: Heads, first: Mapping[str, EventRef], won: Set[str]) -> dict[EventRef, str]:
    return {ref: head.receipt_id for ref, head in heads.items()
            if head.receipt_id not in won or first[head.receipt_id] != ref}  # fmt: skip


def _seen_before(
    tx: Connection, heads: Heads, reused: Mapping[EventRef, str], payloads: Mapping[EventRef, bytes]
) -> dict[EventRef, str]:
    """For each event with somebody else's id, a sentence that names the other and says whether they are the same."""
    found = find(tx, claim, [{"till_id": ref.till_id, "receipt_id": name} for ref, name in reused.items()])
    owners = {row.receipt_id: EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq) for row in found}
    before = told_again(tx, [(owners[name], payloads[ref]) for ref, name in reused.items()])
    said = {}
    for ref, name in reused.items():
        owner = owners[name]
        same = "the same" if (owner, payloads[ref]) in before or payloads.get(owner) == payloads[ref] else "other"
        said[ref] = f"Its id belongs to event {owner.seq} of epoch {owner.epoch}, which has {same} content."
    return said


def _strange_places(tx: Connection, heads: Heads) -> list[Flag]:
    """What an event says of its place is booked as it says, for it may be right: a person looks."""
    own = {row.till_id: row.store_id for row in find(tx, till, _tills(heads), ("till_id", "store_id"))}
    sales = {ref: head for ref, head in heads.items() if isinstance(head, Receipt | Reversal)}
    days = {(head.place.store_id, head.place.business_date) for head in sales.values()}
    owners = {(store_id, on): partner_of(tx, store_id, on.isoformat()) for store_id, on in days}
    flags = []
    for ref, head in sales.items():
        place = head.place
        if place.till_id != ref.till_id:
            flags.append(Flag(of=ref, cause="till_differs", figures={"told": place.till_id}))
        if place.store_id != own.get(ref.till_id):
            figures = {"told": place.store_id, "enrolled": own.get(ref.till_id, "")}
            flags.append(Flag(of=ref, cause="store_differs", figures=figures))
        elif place.partner_id != (owner := owners[place.store_id, place.business_date]):
            flags.append(Flag(of=ref, cause="partner_differs", figures={"told": place.partner_id, "owner": owner}))
        undone = head.undoes if isinstance(head, ReturnVoid) else head.of if isinstance(head, Void) else ref
        if undone.till_id != ref.till_id:
            flags.append(Flag(of=ref, cause="void_elsewhere", figures={"of_till": undone.till_id}))
    return flags


def _tills(heads: Iterable[EventRef]) -> list[dict[str, str]]:
    return [{"till_id": till_id} for till_id in {ref.till_id for ref in heads}]


_STORED = batch.insert()


def _store_batch(tx: Connection, opened: OpenedBatch, posted_from: int, now_ms: int) -> None:
    header = opened.header
    place = {"till_id": header.till_id, "epoch": header.epoch, "last_seq": header.last_seq}
    kept = {"header": opened.header_bytes, "signature": opened.signature, "body": opened.body}
    seqs = {"first_seq": header.first_seq, "posted_from": posted_from}
    whole = {"received_at_ms": now_ms, "redacted_ms": 0, "digests": b""}
    tell_each(tx, _STORED, [{**place, **seqs, **kept, **whole}])


def _settle_float(
    tx: Connection,
    header: BatchHeader,
    heads: Heads,
    programme: Programme | None,
    now_ms: int,
    randomness: Randomness,
) -> None:
    """Take what a batch spent off the till's float, and top that up."""
    whose = header.till_id, header.epoch
    count_spent(tx, whose, heads, now_ms)
    top_up(tx, programme, *whose, now_ms, randomness, taken=header.grants)


_FLOATS = select(stream.c.float_granted, stream.c.float_spent).where(_HERE)
_SPENT = update(stream).where(_HERE).values(float_spent=bindparam("to"))


def count_spent(tx: Connection, whose: tuple[str, int], heads: Heads, now_ms: int) -> None:
    """Points spent on the till's floats, so that they can be topped up: never more than it was granted."""
    paid = [head for head in heads.values() if isinstance(head, Receipt) and head.redemption]
    spent = sum(points_drawn(head) for head in paid if head.redemption and head.redemption.authority == "float")
    if not spent:
        return
    here = {"till": whose[0], "in_epoch": whose[1]}
    (row,) = ask(tx, _FLOATS, here)
    left = row.float_granted - row.float_spent
    tell(tx, _SPENT, {**here, "to": row.float_spent + min(spent, left)})
    if spent > left:
        raise_alarm(tx, "float_overspent", whose[0], now_ms, epoch=whose[1], spent=spent, float_left=left)
