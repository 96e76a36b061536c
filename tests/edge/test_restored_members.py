"""Members after head office was restored: versions count anew there, and its rows hold all the same."""

from pathlib import Path

import msgspec
import pytest

from edge.cache.cache import Cache
from loyalty.members import PublishedMember
from sync.framing import sha256
from sync.lanes import LaneState
from sync.snapshots import ChunkMark, ChunkRows, Manifest, Span, decode_chunk, encode_chunk
from sync.wire import Page
from tests.edge.conftest import FakeClock
from tests.edge.counter import identity, published
from tests.edge.test_cache import ANA, points_of


@pytest.fixture
def cache(tmp_path: Path, clock: FakeClock) -> Cache:
    return Cache.open(tmp_path / "cache.db", identity(), clock)


def page_of(generation: int, *members: PublishedMember, first: int = 0, last: int = 0) -> Page:
    rows = tuple(msgspec.Raw(msgspec.json.encode(member)) for member in members)
    return Page(lane="members", from_cursor="", to_cursor="", version=9, more=False, rows=rows, first=first, last=last,
                generation=generation)  # fmt: skip


def test_a_row_of_a_restored_centre_holds_though_its_version_is_lower(cache: Cache) -> None:
    state = LaneState(version=9)
    cache.take_page(page_of(0, published("ana", points=67, version=19, own_seq=4)), state)
    assert cache.take_page(page_of(0, published("ana", points=71, version=17, own_seq=4)), state) == []
    assert points_of(cache, ANA) == 67
    assert cache.take_page(page_of(7, published("ana", points=71, version=17, own_seq=4)), state) == [(1, 4)]
    assert points_of(cache, ANA) == 71
    # Within the generation versions count as ever, and an earlier one brings nothing any more.
    assert cache.take_page(page_of(7, published("ana", points=60, version=16, own_seq=4)), state) == []
    assert cache.take_page(page_of(0, published("ana", points=67, version=19, own_seq=4)), state) == []
    assert cache.take_page(page_of(7, published("ana", points=75, version=18, own_seq=4)), state) == [(1, 4)]
    assert points_of(cache, ANA) == 75


def test_a_row_that_lacks_what_this_till_let_be_spent_is_not_taken_before_it_has_it(cache: Cache) -> None:
    """The till forgot its uses up to event 9 when the row that had them came; without them 100 points are too many."""
    state = LaneState(version=9)
    cache.take_page(page_of(0, published("ana", points=20, version=19, own_seq=9)), state)
    assert cache.take_page(page_of(7, published("ana", points=100, version=15, own_seq=3)), state) == []
    assert points_of(cache, ANA) == 20
    assert cache.take_page(page_of(7, published("ana", points=20, version=16, own_seq=9)), state) == [(1, 9)]


def test_a_row_that_cannot_be_read_gives_way(cache: Cache) -> None:
    state = LaneState(version=9)
    cache.take_page(page_of(0, published("ana", points=20, version=19, own_seq=9)), state)
    with cache._database.writing() as writer:
        writer.execute("UPDATE member SET row = ?", (b"\xff{",))
    assert cache.take_page(page_of(7, published("ana", points=30, version=2, own_seq=1)), state) == [(1, 1)]


def test_chunks_and_ranges_of_a_restored_centre_hold_too(cache: Cache) -> None:
    cache.take_page(page_of(0, published("ana", points=67, version=19, own_seq=4)), LaneState(version=9))
    data, raw_bytes = encode_chunk(ChunkRows(rows=(published("ana", points=50, version=3),)))
    mark = ChunkMark(span=Span(), sha256=sha256(data), rows=1, wire_bytes=len(data), raw_bytes=raw_bytes, as_of=9,
                     own_seq=3)  # fmt: skip
    cache.begin_snapshot()
    for generation, own_seq, taken in ((0, 4, []), (7, 3, []), (7, 4, [(1, 4)])):
        marked = msgspec.structs.replace(mark, own_seq=own_seq)
        manifest = Manifest(as_of=9, version=9, block_no=1, expires_ms=1, chunks=(marked,), generation=generation)
        cache.take_manifest(manifest)
        assert cache.take_chunk(marked, decode_chunk(data, marked)) == taken
    assert points_of(cache, ANA) == 50
    cache.take_range(page_of(8, published("ana", points=10, version=1, own_seq=4), last=10), False)
    # What the range brought is of the eighth generation: the seventh is over.
    assert cache.take_page(page_of(7, published("ana", points=50, version=3, own_seq=4)), LaneState(version=9)) == []
    assert points_of(cache, ANA) == 10


def test_rows_that_head_office_has_just_so_are_of_its_generation(cache: Cache) -> None:
    """Nothing changed of them since it was put back, so no page tells of them."""
    cache.take_page(page_of(0, published("ana", version=19, own_seq=4), published("ben", version=3)), LaneState())
    cache.agree(Span(), frozenset({2}), 7)
    assert cache.has_members_before(7)  # Ben was left apart
    cache.take_page(page_of(7, published("ben", version=3)), LaneState())
    assert not cache.has_members_before(7)
    # From here on versions count.
    assert cache.take_page(page_of(7, published("ana", points=5, version=18, own_seq=9)), LaneState()) == []
    cache.agree(Span(), frozenset(), 3)
    assert not cache.has_members_before(7)


def test_of_a_member_of_our_own_store_a_part_of_everybody_says_too_little(cache: Cache) -> None:
    ana = msgspec.structs.replace(published("ana"), home=True)
    cache.take_page(page_of(0, ana), LaneState())
    cache.agree(Span(), frozenset(), 7)
    assert cache.has_members_before(7)
    cache.agree(Span(home="S1"), frozenset(), 7)
    assert not cache.has_members_before(7)
