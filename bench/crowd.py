"""Members by the million on a till: who they are, and a cache file that holds them, made once and then copied.

Account numbers lie evenly over all that there are, as drawn ones do. The file is kept in the folder for temporary
files, under a name that changes with the code that makes it; making it takes minutes, copying it seconds.
"""

import hashlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.goods import MEMBER
from edge.cache import members as cache_members
from edge.cache import rows as cache_rows
from edge.cache.cache import Cache
from edge.identity import TillIdentity
from edge.ports import SystemClock
from loyalty.cards.cards import Card, card_token
from loyalty.cards.check_digits import gs1_digit
from loyalty.members import MemberRow, PublishedMember, Use
from sync.keys import Signer
from sync.lanes import LaneState
from sync.snapshots import ID_BITS, ChunkMark, ChunkRows, Manifest, Span
from sync.wire import Identity, Page

CARD = "2012345678903"  # of the member who shops
OURS = 7  # their place among all
HOTLISTED = 1_000
_CARD_KEY = bytes.fromhex("22" * 32)
_MAKERS = (cache_rows, cache_members)


def identity(till_id: str = "01" * 16) -> TillIdentity:
    """Of a till that no head office knows."""
    centre = Signer(bytes(31) + b"\x01", 1)
    granted = Identity(
        till_id=till_id, epoch=1, key_no=1, genesis="11" * 32, partner_id="acme", store_id="S1", label="1",
        centre_public_key=centre.public, centre_key_no=1, card_key=_CARD_KEY.hex(), card_key_id="1", server_at_ms=0,
    )  # fmt: skip
    return TillIdentity(seed="33" * 32, install_id="44" * 16, granted=granted)


def member(n: int, count: int, version: int = 1) -> PublishedMember:
    """The member at a place among so many; every till is told of its counters, so that limits can be kept."""
    row = MemberRow(
        account_id=((n << ID_BITS) // count) + 1,
        version=version,
        balance_points=MEMBER.balance_points,
        counters=(Use(name="visits", amount=n % 50 + 1),),
    )
    return PublishedMember(row=row, cards=(token(n),))


def card(n: int) -> str:
    """The number of the card of the member at a place."""
    if n == OURS:
        return CARD
    number = f"20{n:010d}"
    return number + gs1_digit(number)


def token(n: int) -> str:
    """What stands for that number, spread as tokens are."""
    number = card(n)
    return card_token(_CARD_KEY, Card(kind="ean13", number=number, last4=number[-4:]))


def chunk(span: Span, count: int, version: int = 1) -> ChunkRows:
    """What a span holds of so many members."""
    first = -(-(span.first - 1) * count >> ID_BITS) if span.part else 0
    rows = []
    for n in range(max(0, first - 1), count):
        one = member(n, count, version)
        if span.has(one.row.account_id):
            rows.append(one)
        elif one.row.account_id > span.last:
            break
    return ChunkRows(rows=tuple(rows))


def marks(bits: int, count: int) -> Iterator[ChunkMark]:
    """The chunks that so many members come in; of their bytes nothing is told but the span."""
    for part in range(1 << bits):
        span = Span(bits=bits, part=part)
        name = hashlib.sha256(b"%d %d" % (bits, part)).hexdigest()
        yield ChunkMark(
            span=span, sha256=name, rows=count >> bits, wire_bytes=0, raw_bytes=0, as_of=1, own_seq=0
        )  # fmt: skip


def last_page() -> Page:
    """With nothing in it: the run that the snapshot began is over."""
    return Page(lane="members", from_cursor="1", to_cursor="1", version=1, more=False, rows=())


def bits_for(count: int) -> int:
    """So many that about a thousand members are in a chunk."""
    return max(0, (count // 1_000).bit_length() - 1)


def fill(path: Path, count: int) -> None:
    """Make a cache of so many members, through the door by which a snapshot comes in."""
    made = Cache.open(path, identity(), SystemClock(), on_swap=lambda: None)
    try:
        bits = bits_for(count)
        told = tuple(marks(bits, count))
        made.begin_snapshot()
        made.take_manifest(Manifest(as_of=1, version=1, block_no=0, expires_ms=2**53, chunks=told))
        for mark in told:
            made.take_chunk(mark, chunk(mark.span, count))
        made.end_snapshot()
        made.take_page(last_page(), LaneState(cursor="1", version=1))
    finally:
        made.close()


def laid_out(path: Path, count: int) -> float:
    """Put a cache of so many members at `path`. Returns: seconds that making it took now, 0 where it was at hand."""
    sources = b"".join(Path(str(one.__file__)).read_bytes() for one in _MAKERS) + Path(__file__).read_bytes()
    kept = Path(tempfile.gettempdir()) / f"tallypoint-bench-{count}-{hashlib.sha256(sources).hexdigest()[:12]}.db"
    took = 0.0
    if not kept.exists():
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="tallypoint-bench-", dir=kept.parent) as folder:
            fill(Path(folder) / "cache.db", count)
            (Path(folder) / "cache.db").replace(kept)
        took = time.perf_counter() - begun
    shutil.copyfile(kept, path)
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as copied, copied:
        copied.execute("UPDATE lane SET taken_ms = ?", (time.time_ns() // 1_000_000,))  # heard now, not back then
    return took
