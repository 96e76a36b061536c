"""What is kept out of the books, and what became of it: events in quarantine, and uploads that were kept aside.

Nothing here is ever deleted. An item is replayed once it can be read, fixed by people, or written off; the outcome is
a row beside it. Source: sync.md section 8.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, func, select, update

from central.audit import note_down
from central.database.rows import find, put
from central.database.tables import claim, event, flag, quarantine, quarantine_outcome, till_key
from central.ports import Randomness
from central.posting.account_facts import CORRECTIONS
from central.streams.evidence import payloads_of, told_again
from central.streams.heads import Unfit, kind_of, read_fit_head
from central.streams.own_events import append_own
from loyalty.lots import EventRef
from loyalty.trouble import Refusal
from sync.envelope import OpenedBatch, open_batch

REUSED = "receipt_id_reused"
MOST_ROWS = 200
LONGEST_NOTE = 2000
SHORTEST_NAME = 8


class UnknownItem(Refusal):
    code = "quarantine.unknown_item"
    status = 404


class AlreadyDecided(Refusal):
    code = "quarantine.decided"


class NoReason(Refusal):
    code = "quarantine.no_reason"
    status = 422


class ItemKey(msgspec.Struct, frozen=True, kw_only=True):
    """Names an item: an event by its place (`sha256` ""), an upload by its hash (`seq` 0), or an event inside one."""

    till_id: str
    epoch: int
    seq: int = 0
    sha256: str = ""

    @property
    def name(self) -> str:
        """As lists show it and commands take it."""
        if not self.sha256:
            return f"{self.till_id}/{self.epoch}/{self.seq}"
        return f"{self.sha256}/{self.seq}" if self.seq else self.sha256

    @property
    def ref(self) -> EventRef:
        """The place the event has, or says it has."""
        return EventRef(till_id=self.till_id, epoch=self.epoch, seq=self.seq)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing kept out of the books.

    Attributes:
        name: see `ItemKey.name`.
        cause: a stable code: why it is here.
        kind: the event's type as far as it can be read; `upload` for a whole request.
        reads: what can be made of it today: `fit`, or why it cannot be posted.
        outcome: "" while nobody has decided.
    """

    name: str
    till_id: str
    epoch: int
    seq: int
    cause: str
    kind: str
    receipt_id: str = ""
    received_at_ms: int = 0
    reads: str = ""
    outcome: str = ""
    note: str = ""
    decided_by: str = ""
    fact_id: str = ""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An item with its bytes: the payload of an event as text, or the events inside an upload."""

    item: Item
    payload: str = ""
    events: tuple[Item, ...] = ()


def items(connection: Connection, *, decided: bool = False, limit: int = MOST_ROWS) -> list[Item]:
    """Uploads and events that wait for a decision, the newest uploads first; or those that were decided."""
    done = quarantine_outcome.c.outcome.is_not(None) if decided else quarantine_outcome.c.outcome.is_(None)
    beside = quarantine_outcome.c
    same_upload = and_(beside.till_id == quarantine.c.till_id, beside.sha256 == quarantine.c.sha256, beside.seq == 0)
    uploads = select(quarantine, *_outcome()).outerjoin(quarantine_outcome, same_upload).where(done)
    newest = (quarantine.c.received_at_ms.desc(), quarantine.c.sha256)
    found = [_upload(row) for row in connection.execute(uploads.order_by(*newest).limit(limit))]
    events = select(event, *_outcome()).outerjoin(quarantine_outcome, _same_event()).where(done)
    # What was replayed is not in quarantine any more; its outcome says that it was.
    events = events if decided else events.where(event.c.state == "quarantined")
    places = (event.c.till_id, event.c.epoch, event.c.seq)
    rows = connection.execute(events.order_by(*places).limit(limit)).all()
    payloads = payloads_of(connection, [_ref(row) for row in rows])
    return found + [_event(row, payloads.get(_ref(row), b"")) for row in rows]


def count_open(connection: Connection) -> int:
    """How many items nobody has decided about."""
    beside = quarantine_outcome.c
    same_upload = and_(beside.till_id == quarantine.c.till_id, beside.sha256 == quarantine.c.sha256, beside.seq == 0)
    uploads = select(func.count()).select_from(quarantine.outerjoin(quarantine_outcome, same_upload))
    events = select(func.count()).select_from(event.outerjoin(quarantine_outcome, _same_event()))
    nobody = beside.outcome.is_(None)
    kept = connection.execute(uploads.where(nobody)).scalar_one()
    return int(kept + connection.execute(events.where(nobody, event.c.state == "quarantined")).scalar_one())


def show(connection: Connection, key: ItemKey) -> Shown:
    """One item, with what is in it. Raises: UnknownItem."""
    if not key.sha256:
        chosen = select(event, *_outcome()).outerjoin(quarantine_outcome, _same_event())
        row = connection.execute(chosen.where(_at(key))).first()
        if row is None or (row.state != "quarantined" and row.outcome is None):
            raise UnknownItem("No such event is in quarantine; look at the list again.", name=key.name)
        payload = payloads_of(connection, [key.ref]).get(key.ref, b"")
        return Shown(item=_event(row, payload), payload=payload.decode("utf-8", "replace"))
    row = upload_row(connection, key)
    opened = opened_upload(connection, row)
    if not key.seq:
        return Shown(item=_upload(row), events=tuple(_inside(connection, row, opened)))
    payload = payload_in(opened, key)
    of_upload = next(one for one in _inside(connection, row, opened) if one.seq == key.seq)
    return Shown(item=of_upload, payload=payload.decode("utf-8", "replace"))


def key_named(connection: Connection, name: str) -> ItemKey:
    """The item that a list calls so; an upload may be named by the first letters of its hash.

    Raises:
        UnknownItem: none, or more than one.
    """
    parts = name.strip().split("/")
    numbers = parts[1:]
    if len(parts) > 3 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in numbers):
        raise UnknownItem(f"{name} names nothing; take the name from the list.", name=name)
    if len(parts) == 3:
        return ItemKey(till_id=parts[0], epoch=int(parts[1]), seq=int(parts[2]))
    found: Sequence[Row[Any]] = ()
    if len(parts[0]) >= SHORTEST_NAME and parts[0].isalnum():
        begins = quarantine.c.sha256.like(parts[0] + "%")
        found = connection.execute(select(quarantine).where(begins).limit(2)).all()
    if len(found) != 1:
        raise UnknownItem(f"{len(found)} uploads are called {parts[0]}; write more of its hash.", name=name)
    seq = int(numbers[0]) if numbers else 0
    return ItemKey(till_id=found[0].till_id, epoch=found[0].epoch, sha256=found[0].sha256, seq=seq)


def write_off(
    tx: Connection, key: ItemKey, *, note: str, by: str, user_id: str, now_ms: int, randomness: Randomness
) -> None:
    """A person decides that it is not posted, and why; it stays as evidence.

    Raises:
        UnknownItem, AlreadyDecided, NoReason.
    """
    if not note.strip() or len(note) > LONGEST_NOTE or "\0" in note:
        raise NoReason(f"Say why it is written off, in at most {LONGEST_NOTE} characters; it is kept with the item.")
    one_decides(tx, now_ms, randomness)
    check_open(tx, key)
    note_outcome(tx, key, "written_off", note=note.strip(), by=by, now_ms=now_ms)
    note_down(tx, randomness, user_id=user_id, action="quarantine.written_off", about=key.name, now_ms=now_ms)


def one_decides(tx: Connection, now_ms: int, randomness: Randomness) -> None:
    """Keep others who fix, write off or replay an upload out until the transaction ends: of an upload and an event
    inside it, the later one has to see what became of the other."""
    append_own(tx, CORRECTIONS, (), now_ms, randomness)


def check_open(connection: Connection, key: ItemKey) -> Shown:
    """The item, which nobody has decided about. Raises: UnknownItem, AlreadyDecided."""
    shown = show(connection, key)
    if shown.item.outcome:
        raise AlreadyDecided(f"This was {shown.item.outcome.replace('_', ' ')} already; nothing is done twice.")
    return shown


def note_outcome(
    tx: Connection, key: ItemKey, outcome: str, *, note: str, by: str, now_ms: int, fact_id: str = ""
) -> None:
    """Write down what became of an item, and settle its row of the worklist.

    An upload all of whose events are decided is decided with the last of them. Raises: AlreadyDecided.
    """
    row = {**msgspec.structs.asdict(key), "outcome": outcome, "note": note, "decided_by": by, "decided_at_ms": now_ms,
           "fact_id": fact_id}  # fmt: skip
    if not put(tx, quarantine_outcome, [row], "nothing", ["seq"]):
        raise AlreadyDecided("Somebody decided about this meanwhile; look at the list again.")
    if not key.sha256:
        here = flag.c.till_id == key.till_id, flag.c.epoch == key.epoch, flag.c.seq == key.seq
        struck = select(event.c.reason).where(_at(key)).scalar_subquery()
        told = flag.c.cause == struck if outcome != "replayed" else flag.c.figures.like('%"say":%')
        settled = {"state": "settled", "note": note or outcome, "settled_by": by, "settled_at_ms": now_ms}
        tx.execute(update(flag).where(*here, told, flag.c.state == "open").values(settled))
    elif key.seq:
        whole = msgspec.structs.replace(key, seq=0)
        upload = upload_row(tx, whole)
        inside = list(_inside(tx, upload, opened_upload(tx, upload)))
        if upload.outcome is None and all(one.outcome or one.reads == "posted" for one in inside):
            note_outcome(tx, whole, "fixed", note="all of its events are decided", by=by, now_ms=now_ms)


def upload_row(connection: Connection, key: ItemKey) -> Row[Any]:
    """An upload kept aside, with its outcome. Raises: UnknownItem."""
    beside = quarantine_outcome.c
    same = and_(beside.till_id == quarantine.c.till_id, beside.sha256 == quarantine.c.sha256, beside.seq == 0)
    chosen = select(quarantine, *_outcome()).outerjoin(quarantine_outcome, same)
    here = quarantine.c.till_id == key.till_id, quarantine.c.sha256 == key.sha256
    row = connection.execute(chosen.where(*here)).first()
    if row is None:
        raise UnknownItem("No such upload is kept aside; look at the list again.", name=key.name)
    return row


def opened_upload(connection: Connection, row: Row[Any]) -> OpenedBatch | None:
    """The batch in an upload; none where it is something else, such as a hello that proves a rewind."""
    listed = select(till_key.c.key_no, till_key.c.public).where(till_key.c.till_id == row.till_id)
    keys = {key.key_no: key.public for key in connection.execute(listed)}
    try:
        return open_batch(bytes(row.evidence), lambda _, key_no: keys.get(key_no))
    except Refusal:
        return None


def payload_in(opened: OpenedBatch | None, key: ItemKey) -> bytes:
    """The bytes of one event of an upload. Raises: UnknownItem."""
    if opened is None or not opened.header.first_seq <= key.seq <= opened.header.last_seq:
        raise UnknownItem("This upload holds no such event, or no longer; look at what it holds.", name=key.name)
    return opened.payloads[key.seq - opened.header.first_seq]


def _inside(connection: Connection, row: Row[Any], opened: OpenedBatch | None) -> Iterator[Item]:
    """The events of an upload: each with what it is, whether the books have it already, and its outcome."""
    if opened is None:
        return
    header = opened.header
    keys = [{"till_id": row.till_id, "sha256": row.sha256, "epoch": row.epoch, "seq": seq}
            for seq in range(header.first_seq, header.last_seq + 1)]  # fmt: skip
    outcomes = {one.seq: one for one in find(connection, quarantine_outcome, keys)}
    heads = {seq: read_fit_head(payload) for seq, payload in enumerate(opened.payloads, header.first_seq)}
    names = [{"till_id": row.till_id, "receipt_id": head.receipt_id}
             for head in heads.values() if not isinstance(head, Unfit)]  # fmt: skip
    claimed = {one.receipt_id: EventRef(till_id=one.till_id, epoch=one.epoch, seq=one.seq)
               for one in find(connection, claim, names)}  # fmt: skip
    told = {seq: (claimed.get(head.receipt_id), opened.payloads[seq - header.first_seq])
            for seq, head in heads.items() if not isinstance(head, Unfit)}  # fmt: skip
    posted = told_again(connection, [(owner, payload) for owner, payload in told.values() if owner])
    for seq, head in heads.items():
        key, done = ItemKey(till_id=row.till_id, epoch=header.epoch, seq=seq, sha256=row.sha256), outcomes.get(seq)
        reads, receipt_id = "fit", ""
        if isinstance(head, Unfit):
            reads = head.cause
        else:
            receipt_id = head.receipt_id
            if told[seq][0]:
                reads = "posted" if told[seq] in posted else REUSED
        yield Item(
            name=key.name,
            till_id=row.till_id,
            epoch=header.epoch,
            seq=seq,
            cause=row.code,
            kind="" if isinstance(head, Unfit) else kind_of(head),
            receipt_id=receipt_id,
            received_at_ms=row.received_at_ms,
            reads=reads,
            outcome=done.outcome if done else "",
            note=done.note if done else "",
            decided_by=done.decided_by if done else "",
            fact_id=done.fact_id if done else "",
        )


def _upload(row: Row[Any]) -> Item:
    key = ItemKey(till_id=row.till_id, epoch=row.epoch, sha256=row.sha256)
    return Item(
        name=key.name,
        till_id=row.till_id,
        epoch=row.epoch,
        seq=0,
        cause=row.code,
        kind="upload",
        received_at_ms=row.received_at_ms,
        **_decided(row),
    )


def _event(row: Row[Any], payload: bytes) -> Item:
    head = read_fit_head(payload)
    reads = head.cause if isinstance(head, Unfit) else "fit"
    return Item(
        name=f"{row.till_id}/{row.epoch}/{row.seq}",
        till_id=row.till_id,
        epoch=row.epoch,
        seq=row.seq,
        cause=row.reason,
        kind=row.kind,
        receipt_id=row.receipt_id,
        reads=reads if row.reason != REUSED else REUSED,
        **_decided(row),
    )


def _decided(row: Row[Any]) -> dict[str, str]:
    return {
        "outcome": row.outcome or "",
        "note": row.outcome_note or "",
        "decided_by": row.decided_by or "",
        "fact_id": row.fact_id or "",
    }


def _outcome() -> Sequence[Any]:
    beside = quarantine_outcome.c
    return beside.outcome, beside.note.label("outcome_note"), beside.decided_by, beside.fact_id


def _same_event() -> Any:
    beside = quarantine_outcome.c
    here = and_(beside.till_id == event.c.till_id, beside.epoch == event.c.epoch, beside.seq == event.c.seq)
    return and_(here, beside.sha256 == "")


def _at(key: ItemKey) -> Any:
    return and_(event.c.till_id == key.till_id, event.c.epoch == key.epoch, event.c.seq == key.seq)


def _ref(row: Row[Any]) -> EventRef:
    return EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)
