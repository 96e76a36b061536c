"""Rows out of the bytes of a damaged SQLite file and its log, without SQLite: whatever page they lie on.

A page that cannot be read as one of a table is passed over; what is found proves nothing until its hash does. So rows
of pages that are no longer used, and of a transaction that was taken back, may be among them.
Source: the SQLite database file format, sections 1.5, 1.6, 2.1 and 4.1.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from edge.journal.left_behind import Loose, SalvagedEvent, SalvagedPerson
from sync.desk import Sealed

_TABLE_LEAF = 0x0D
_WAL_HEADER, _FRAME_HEADER = 32, 24
_SIZES = frozenset(1 << power for power in range(9, 17))
_EVENT_COLUMNS, _SEALED_COLUMNS, _LOOSE_COLUMNS = (9, 10), 5, (3, 4)
_LONGEST_CHAIN = 4_096  # overflow pages; no event is that long, but a damaged chain may go round
_BAD_PAGE = (ValueError, IndexError, OverflowError, UnicodeDecodeError)

Value = int | bytes | str | None
Page = Callable[[int], bytes]


def carve(db: bytes, wal: bytes) -> list[tuple[Value, ...]]:
    """Every record of every table leaf page, of the file and of its log, each once.

    Args:
        db: the file, whole or cut short.
        wal: its log; empty for none.
    """
    size = _page_size(db, wal)
    frames = list(_frames(wal, size))
    newest = dict(frames)  # the last frame of a page wins

    def now(number: int) -> bytes:
        return newest.get(number) or db[(number - 1) * size : number * size]

    def before(number: int) -> bytes:
        return db[(number - 1) * size : number * size]

    found: dict[tuple[Value, ...], None] = {}
    for number in range(1, len(db) // size + 2):
        for page in (now, before):
            found.update(dict.fromkeys(_records(before(number), number, size, page)))
    for number, page_bytes in frames:
        found.update(dict.fromkeys(_records(page_bytes, number, size, now)))
    return list(found)


def is_sound_log(wal: bytes) -> bool:
    """Whether SQLite will read a log at all: it takes one with a damaged header for one that was never written."""
    magic = int.from_bytes(wal[:4], "big")
    if len(wal) < _WAL_HEADER or magic not in (0x377F0682, 0x377F0683):
        return False
    order: Literal["big", "little"] = "big" if magic & 1 else "little"
    first = second = 0
    for at in range(0, 24, 8):
        first = (first + int.from_bytes(wal[at : at + 4], order) + second) & 0xFFFFFFFF
        second = (second + int.from_bytes(wal[at + 4 : at + 8], order) + first) & 0xFFFFFFFF
    return wal[24:32] == first.to_bytes(4, "big") + second.to_bytes(4, "big")


def event_of(record: tuple[Value, ...]) -> SalvagedEvent | None:
    """The event that a record is, if its columns have the types of one."""
    if len(record) not in _EVENT_COLUMNS:
        return None
    # The first of ten is its place, which is the row's own number; older journals have none.
    epoch, seq, receipt_id, ask_sha256, kind, of_id, written_ms, payload, hash_ = record[-9:]
    if not (isinstance(epoch, int) and isinstance(seq, int) and isinstance(written_ms, int) and epoch > 0 < seq):
        return None
    if not (isinstance(receipt_id, str) and isinstance(ask_sha256, str) and isinstance(kind, str)):
        return None
    if not (isinstance(payload, bytes) and isinstance(hash_, str) and isinstance(of_id, str | None)):
        return None
    return SalvagedEvent(
        epoch=epoch, seq=seq, receipt_id=receipt_id, ask_sha256=ask_sha256, kind=kind, of_id=of_id,
        written_ms=written_ms, payload=payload, hash=hash_,
    )  # fmt: skip


def person_of(record: tuple[Value, ...]) -> SalvagedPerson | None:
    """Who a new member is, if a record is what is kept sealed of one. That it is whole, its hash in an event proves."""
    if len(record) != _SEALED_COLUMNS:
        return None
    event_id, epoch, exchange_key, body, taken_ms = record
    if not (isinstance(event_id, str) and isinstance(epoch, int) and isinstance(taken_ms, int) and event_id and epoch):
        return None
    try:
        sealed = msgspec.convert({"exchange_key": exchange_key, "body": body}, Sealed)
    except msgspec.ValidationError:
        return None
    return SalvagedPerson(event_id=event_id, epoch=epoch, sealed=sealed)


def loose_of(record: tuple[Value, ...]) -> Loose | None:
    """A batch that an earlier salvage left hanging in the air, if a record is one. That it is whole, its signature
    proves."""
    if len(record) not in _LOOSE_COLUMNS:
        return None
    epoch, first_seq, batch = record[:3]
    if not (isinstance(epoch, int) and isinstance(first_seq, int) and isinstance(batch, bytes)):
        return None
    return Loose(epoch=epoch, first_seq=first_seq, batch=batch)


def mark_of(record: tuple[Value, ...], till_id: str) -> tuple[int, str] | None:
    """(seq, hash) that the centre acknowledged, if a record is a row of the stream table of this till.

    The epoch is the row's own number, which a record does not hold; a hash is of one epoch only.
    """
    if len(record) < 8 or record[1] != till_id:
        return None
    seq, hash_ = record[2], record[3]
    return (seq, hash_) if isinstance(seq, int) and isinstance(hash_, str) and len(hash_) == 64 else None


def _page_size(db: bytes, wal: bytes) -> int:
    said = int.from_bytes(db[16:18], "big")
    said = 65_536 if said == 1 else said
    in_log = int.from_bytes(wal[8:12], "big")
    return next((size for size in (in_log, said) if size in _SIZES), 4_096)


def _frames(wal: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    step = _FRAME_HEADER + size
    for at in range(_WAL_HEADER, len(wal) - step + 1, step):
        yield int.from_bytes(wal[at : at + 4], "big"), wal[at + _FRAME_HEADER : at + step]


def _records(page: bytes, number: int, size: int, other: Page) -> Iterator[tuple[Value, ...]]:
    start = 100 if number == 1 else 0
    if len(page) <= start + 8 or page[start] != _TABLE_LEAF:
        return
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    for index in range(min(cells, size // 4)):
        at = start + 8 + 2 * index
        try:
            yield _record(_payload(page, int.from_bytes(page[at : at + 2], "big"), size, other))
        except _BAD_PAGE:
            continue


def _payload(page: bytes, at: int, size: int, other: Page) -> bytes:
    """The bytes of a cell's record, the part that lies on overflow pages included."""
    length, at = _varint(page, at)
    _, at = _varint(page, at)  # the row's number
    most = size - 35
    if length <= most:
        return _exactly(page[at : at + length], length)
    least = (size - 12) * 32 // 255 - 23
    local = least + (length - least) % (size - 4)
    local = local if local <= most else least
    parts, left = [_exactly(page[at : at + local], local)], length - local
    following = int.from_bytes(_exactly(page[at + local : at + local + 4], 4), "big")
    for _ in range(_LONGEST_CHAIN):
        if not left:
            return b"".join(parts)
        overflow = other(following)
        taken = min(left, size - 4)
        parts.append(_exactly(overflow[4 : 4 + taken], taken))
        following, left = int.from_bytes(overflow[:4], "big"), left - taken
    raise ValueError("the overflow pages go round")


def _record(payload: bytes) -> tuple[Value, ...]:
    end, at = _varint(payload, 0)
    kinds = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values: list[Value] = []
    at = end
    for kind in kinds:
        width = _width(kind)
        values.append(_value(kind, _exactly(payload[at : at + width], width)))
        at += width
    return tuple(values)


def _width(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    return (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)[kind]


def _value(kind: int, part: bytes) -> Value:
    if kind == 0:
        return None
    if kind >= 12:
        return part.decode("utf-8") if kind % 2 else part
    return kind - 8 if kind in (8, 9) else int.from_bytes(part, "big", signed=True)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count in range(9):
        byte = data[at]
        at += 1
        if count == 8:
            return value << 8 | byte, at
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            break
    return value, at


def _exactly(part: bytes, length: int) -> bytes:
    if len(part) != length:
        raise ValueError("a cell reaches beyond its page")
    return part
