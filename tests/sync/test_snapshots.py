"""Members by chunks: what travels comes back the same, a span is what it is, and a till fetches each chunk once."""

import zlib
from datetime import date, timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.members import MemberRow, PublishedMember, Use, WalletItem
from sync.framing import sha256
from sync.ports import SpanDigest
from sync.refusals import BadBody, TooLarge
from sync.snapshots import (
    ChunkMark,
    ChunkRows,
    Manifest,
    Snapshot,
    Span,
    decode_chunk,
    digest_of,
    encode_chunk,
    part_of,
    row_hash,
)
from sync.till_messages import Request
from sync.wire import Answer
from tests.sync.memory import KEY_A, NOON, TILL_A, MemoryCentre
from tests.sync.talk import Talk

WHOLE = Span()
RICH = PublishedMember(
    row=MemberRow(
        account_id=2**53 - 1, version=41, balance_points=-7, tier="gold", segments=("kids", "vegan"),
        birthday_mmdd="0229", counters=(Use(name="promo:milk", amount=2),), joined_on=date(2020, 2, 29),
        lapsing_points=12, lapsing_on=date(2026, 3, 31), stored_minor=500,
        wallet=(WalletItem(code="C1", of="welcome"),), leased_points=3,
    ),
    cards=("00ff" * 8, "ab" * 16),
    language="pl",
)  # fmt: skip
PLAIN = PublishedMember(row=MemberRow(account_id=1, version=0), cards=())
NONE_LEFT = PublishedMember(row=MemberRow(account_id=9, version=3, counters=()), cards=("cd" * 16,))


def mark_of(data: bytes, raw_bytes: int, span: Span = WHOLE, rows: int = 1, as_of: int = 5) -> ChunkMark:
    return ChunkMark(span=span, sha256=sha256(data), rows=rows, wire_bytes=len(data), raw_bytes=raw_bytes, as_of=as_of,
                     own_seq=3)  # fmt: skip


def test_rows_of_every_kind_come_back_as_they_were() -> None:
    chunk = ChunkRows(rows=(PLAIN, NONE_LEFT, RICH), apart=(4, 5))
    data, raw_bytes = encode_chunk(chunk)
    assert decode_chunk(data, mark_of(data, raw_bytes)) == chunk
    assert encode_chunk(chunk) == (data, raw_bytes)
    empty, raw_bytes = encode_chunk(ChunkRows())
    assert decode_chunk(empty, mark_of(empty, raw_bytes)) == ChunkRows()


USES = st.builds(Use, name=st.text(max_size=4), amount=st.integers(-9, 9))
ROWS = st.lists(
    st.builds(
        PublishedMember,
        row=st.builds(
            MemberRow, account_id=st.integers(1, 2**63 - 1), version=st.integers(0, 2**40), own_seq=st.just(0),
            balance_points=st.integers(-(2**53), 2**53), tier=st.sampled_from(["", "silver", "gold"]),
            counters=st.none() | st.lists(USES, max_size=3).map(tuple), lapsing_on=st.none() | st.dates(),
        ),
        cards=st.lists(st.binary(min_size=16, max_size=16).map(bytes.hex), max_size=3).map(tuple),
        home=st.booleans(),
    ),
    max_size=20, unique_by=lambda one: one.row.account_id,
)  # fmt: skip


@given(ROWS)
def test_any_rows_come_back_as_they_were(rows: list[PublishedMember]) -> None:
    chunk = ChunkRows(rows=tuple(sorted(rows, key=lambda one: one.row.account_id)))
    data, raw_bytes = encode_chunk(chunk)
    assert decode_chunk(data, mark_of(data, raw_bytes)) == chunk


@given(st.data())
def test_a_chunk_with_a_flipped_bit_is_refused(data) -> None:
    good, raw_bytes = encode_chunk(ChunkRows(rows=(PLAIN, RICH)))
    bad = bytearray(good)
    bit = data.draw(st.integers(0, 8 * len(bad) - 1))
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadBody):
        decode_chunk(bytes(bad), mark_of(good, raw_bytes))


def test_a_chunk_packed_as_one_plain_stream_is_read_as_well() -> None:
    # As head office wrote them before it chose a way for each column.
    rows = ChunkRows(rows=(PLAIN, NONE_LEFT, RICH))
    data, raw_bytes = encode_chunk(rows)
    plain = zlib.compress(zlib.decompress(data))
    assert plain != data
    assert decode_chunk(plain, mark_of(plain, raw_bytes)) == rows


def test_columns_that_come_as_if_drawn_take_little_more_than_what_is_said_in_them() -> None:
    # One of twelve days for each of 8,000 members is 3.585 bits, so 3,585 bytes; a tenth off is kept in code and head.
    dice = Random(12)
    days = [date(2026, 7, 1) + timedelta(days=30 * dice.randrange(12)) for _ in range(8_000)]
    rows = [MemberRow(account_id=n, version=1, lapsing_on=day) for n, day in enumerate(days, 1)]
    same = [MemberRow(account_id=n, version=1) for n in range(1, 8_001)]
    with_days, without = (
        len(encode_chunk(ChunkRows(rows=tuple(PublishedMember(row=row, cards=()) for row in told)))[0])
        for told in (rows, same)
    )
    assert 3_585 <= with_days - without < 3_585 * 1.1


@given(st.binary(max_size=200))
def test_bytes_that_are_no_chunk_are_refused_though_they_hash_right(raw: bytes) -> None:
    data = zlib.compress(raw)
    with pytest.raises(BadBody):
        decode_chunk(data, mark_of(data, len(raw)))


def test_a_chunk_is_no_larger_than_it_may_be_and_holds_its_own_span() -> None:
    heavy = msgspec.structs.replace(PLAIN, language="x" * 9_000_000)
    with pytest.raises(TooLarge):
        encode_chunk(ChunkRows(rows=(heavy,)))
    data, raw_bytes = encode_chunk(ChunkRows(rows=(PLAIN, RICH)))
    with pytest.raises(BadBody):
        decode_chunk(data, mark_of(data, raw_bytes, Span(bits=1, part=0)))


# Account numbers are drawn below 2**53; the last part has whatever lies above.
SPANS = """
    bits part first             last
    0    0    0                 9223372036854775807
    1    0    0                 4503599627370495
    1    1    4503599627370496  9223372036854775807
    3    2    2251799813685248  3377699720527871
"""


def test_a_span_is_a_fixed_part_of_all_numbers() -> None:
    for row in SPANS.strip().splitlines()[1:]:
        bits, part, first, last = map(int, row.split())
        span = Span(bits=bits, part=part)
        assert (span.first, span.last) == (first, last), row
        assert (part_of(first, bits), part_of(last, bits)) == (part, part), row
    assert not Span(bits=1, part=0).has(4503599627370496)


def test_tills_that_share_a_span_agree_on_a_row_and_on_nothing_else() -> None:
    shared = row_hash(RICH, WHOLE)
    counters = msgspec.structs.replace(RICH.row, counters=None)
    away = msgspec.structs.replace(RICH, row=counters)
    told = msgspec.structs.replace(RICH, row=msgspec.structs.replace(RICH.row, own_seq=77))
    fuller = msgspec.structs.replace(told.row, lapsing_later=((date(2026, 4, 30), 5),))
    ours = msgspec.structs.replace(told, home=True, row=fuller)
    assert row_hash(told, WHOLE) == shared
    # Of a member of our own store we are told counters and which points lapse later; for everybody neither counts.
    assert row_hash(ours, WHOLE) == row_hash(away, WHOLE) != shared
    assert row_hash(ours, Span(home="S1")) not in (row_hash(away, Span(home="S1")), shared)
    richer = msgspec.structs.replace(RICH.row, balance_points=-6)
    assert row_hash(msgspec.structs.replace(RICH, row=richer), WHOLE) != shared
    assert row_hash(msgspec.structs.replace(RICH, cards=RICH.cards[:1]), WHOLE) != shared
    assert digest_of([3, 5]) == digest_of([5, 3]) == 6


# A till and its snapshot


class Bootstrap:
    """A centre with two chunks, the first of 10 kB, and a till that begins."""

    def __init__(self) -> None:
        self.centre = MemoryCentre((TILL_A, KEY_A))
        self.made = [self.make(Span(home="S1"), 600, as_of=7), self.make(Span(), 3, as_of=5)]
        self.talk = Talk(self.centre)
        self.tell()

    def make(self, span: Span, count: int, as_of: int) -> ChunkMark:
        rows = tuple(
            PublishedMember(row=MemberRow(account_id=n, version=as_of), cards=(sha256(b"%d" % n)[:32],))
            for n in range(1, count + 1)
        )
        data, raw_bytes = encode_chunk(ChunkRows(rows=rows))
        mark = mark_of(data, raw_bytes, span, count, as_of)
        self.centre.chunks[mark.sha256] = data
        return mark

    def tell(self, expires_ms: int = NOON + 86_400_000) -> None:
        self.centre.manifest = Manifest(as_of=5, version=0, block_no=1, expires_ms=expires_ms, chunks=tuple(self.made))

    def until(self, kind: str) -> Request:
        for _ in range(40):
            request = self.talk.ask()
            if request.kind == kind:
                return request
            self.talk.give(request, self.talk.carry(request))
        raise AssertionError(f"no {kind} was asked for")

    def until_level(self) -> None:
        """Until pages are asked for again; what they say does not matter here."""
        while self.talk.till.held is not None:
            request = self.talk.ask()
            if self.talk.till.held is not None:
                self.talk.give(request, self.talk.carry(request))

    def carried(self, kind: str) -> Request:
        request = self.until(kind)
        self.talk.give(request, self.talk.carry(request))
        return request


def test_a_till_without_members_is_sent_to_the_chunks_and_goes_on_by_pages_from_the_oldest() -> None:
    boot = Bootstrap()
    boot.carried("snapshot")
    first = boot.carried("chunk")
    assert (first.chunk, first.start) == (boot.made[0], 0)
    assert boot.talk.session.status(boot.talk.moment()).chunks_left == 1
    second = boot.carried("chunk")
    assert second.chunk == boot.made[1]
    assert boot.talk.till.held and boot.talk.till.held.done == tuple(boot.made)
    boot.until_level()
    assert boot.talk.till.lane("members").cursor == "5"
    assert len(boot.talk.till.rows) == 603


def test_a_chunk_comes_in_parts_and_a_line_that_breaks_loses_only_the_part_at_hand() -> None:
    boot = Bootstrap()
    boot.carried("snapshot")
    starts = []
    for turn in range(200):
        request = boot.until("chunk")
        if request.chunk != boot.made[0]:
            break
        starts.append(request.start)
        if turn < 5 or turn % 2:  # each failure halves what is asked for, down to 4 kB
            boot.talk.session.no_answer(boot.talk.moment(), request)
        else:
            boot.talk.now += 1_000  # 4 kB a second: no faster than that is seen
            boot.talk.give(request, boot.talk.carry(request))
    assert starts == sorted(starts)
    # 10 kB by 4 kB and more as the line shows what it does; no part twice but those that were cut.
    assert 2 <= len(set(starts)) <= 3
    assert len(boot.talk.till.rows) == 600


def test_what_came_of_a_chunk_before_the_line_broke_is_not_fetched_again() -> None:
    boot = Bootstrap()
    boot.carried("snapshot")
    data = boot.centre.chunks[boot.made[0].sha256]
    request = boot.until("chunk")
    answer = boot.talk.carry(request)
    at = answer.body.index(data[:100])
    boot.talk.session.no_answer(boot.talk.moment(), request, "line.down", answer.body[: at + 1_234])
    second = boot.until("chunk")
    assert (second.chunk, second.start) == (boot.made[0], 1_234)
    boot.talk.give(second, boot.talk.carry(second))
    while (third := boot.until("chunk")).chunk == boot.made[0]:
        boot.talk.give(third, boot.talk.carry(third))
    assert len(boot.talk.till.rows) == 600


def test_what_does_not_prove_itself_is_no_part_of_a_chunk_though_the_line_broke() -> None:
    boot = Bootstrap()
    boot.carried("snapshot")
    data = boot.centre.chunks[boot.made[0].sha256]
    earlier = boot.until("chunk")
    answer = boot.talk.carry(earlier).body
    at = answer.index(data[:100])
    forged = answer[:100] + bytes([answer[100] ^ 1]) + answer[101 : at + 500]
    for came in (answer[: at - 65], answer[: at - 1], answer[:at], forged):  # in its header, its signature, at its end
        boot.talk.session.no_answer(boot.talk.moment(), earlier, "line.down", came)
        earlier = boot.until("chunk")
        assert earlier.start == 0
    # The answer to another request, and not to this one.
    boot.talk.session.no_answer(boot.talk.moment(), earlier, "line.down", answer[: at + 500])
    assert boot.until("chunk").start == 0


def test_bytes_that_turned_over_before_the_line_broke_cost_the_chunk_once_more() -> None:
    boot = Bootstrap()
    boot.carried("snapshot")
    data = boot.centre.chunks[boot.made[0].sha256]
    request = boot.until("chunk")
    answer = boot.talk.carry(request).body
    at = answer.index(data[:100])
    boot.talk.session.no_answer(boot.talk.moment(), request, "line.down", answer[:at] + bytes(500))
    starts = []
    while (again := boot.until("chunk")).chunk == boot.made[0]:
        starts.append(again.start)
        boot.talk.give(again, boot.talk.carry(again))
        boot.talk.now += 120_000  # what did not prove itself has time
    assert starts[0] == 500  # not seen before the whole is there
    assert starts.count(0) == 1
    assert len(boot.talk.till.rows) == 600


def test_a_session_that_begins_again_asks_only_for_chunks_that_are_not_taken() -> None:
    boot = Bootstrap()
    boot.carried("snapshot")
    boot.carried("chunk")
    boot.talk.start()
    assert boot.carried("chunk").chunk == boot.made[1]
    assert len(boot.talk.till.rows) == 603


def test_a_chunk_that_was_replaced_is_looked_up_again_and_what_was_taken_stays_taken() -> None:
    boot = Bootstrap()
    boot.carried("snapshot")
    boot.carried("chunk")
    boot.centre.chunks.clear()
    boot.made = [boot.make(Span(home="S1"), 601, as_of=11), boot.make(Span(), 4, as_of=12)]
    boot.tell()
    boot.carried("chunk")  # it is told that this one is unknown
    boot.carried("snapshot")
    assert boot.carried("chunk").chunk == boot.made[1]
    boot.until_level()
    assert boot.talk.till.lane("members").cursor == "7"  # the older of the two that it took
    assert len(boot.talk.till.rows) == 604


def test_a_manifest_that_is_out_of_date_is_asked_for_again() -> None:
    boot = Bootstrap()
    boot.tell(expires_ms=NOON)
    boot.carried("snapshot")
    assert boot.until("snapshot")
    boot.tell()
    boot.carried("snapshot")
    assert boot.until("chunk")


def test_a_manifest_older_than_what_the_till_has_is_a_rollback() -> None:
    boot = Bootstrap()
    boot.talk.till.lanes["members"] = msgspec.structs.replace(boot.talk.till.lane("members"), version=9)
    boot.carried("snapshot")
    assert boot.talk.session.status(boot.talk.moment()).line.last_error == "sync.page_refused"
    assert boot.talk.till.held == Snapshot()


def test_only_the_centre_can_send_a_till_back_to_the_beginning() -> None:
    talk = Talk(MemoryCentre((TILL_A, KEY_A)))
    while (request := talk.ask()).kind != "page" or request.lane != "members":
        talk.give(request, talk.carry(request))
    for body in (b"", b'{"code":"sync.must_snapshot"}'):
        talk.give(request, Answer(status=410, body=body))
    assert talk.till.held is None


def test_hotlist_and_sales_go_before_members_at_every_turn() -> None:
    boot = Bootstrap()
    boot.carried("snapshot")
    assert boot.until("chunk").kind == "chunk"
    boot.talk.sell(1)
    assert boot.talk.ask().kind == "batch"
    boot.talk.now += 20_000
    boot.carried("batch")
    hotlist = boot.talk.ask()
    assert (hotlist.kind, hotlist.lane) == ("page", "hotlist")


# Digests


def test_a_part_that_differs_is_fetched_once_and_again_only_when_it_changed() -> None:
    talk = Talk(MemoryCentre((TILL_A, KEY_A)))
    talk.turn()
    span = Span(bits=1, part=1)
    talk.centre.compared = SpanDigest(span=span, rows=3, digest=0, apart=())
    ranges = []
    for _ in range(400):
        request = talk.ask()
        if request.kind == "range":
            ranges.append((request.span, request.start))
            break
        talk.give(request, talk.carry(request))
    assert ranges == [(span, 4503599627370496)]
    assert talk.session.status(talk.moment()).repairs == 1


def test_a_comparison_that_was_not_answered_waits_for_its_next_turn() -> None:
    talk = Talk(MemoryCentre((TILL_A, KEY_A)))
    while (request := talk.ask()).kind != "digest":
        talk.give(request, talk.carry(request))
    talk.now += 30_000  # head office needs longer than that
    talk.session.no_answer(talk.moment(), request, "line.too_slow")
    start, kinds = talk.now, set()
    while talk.now < start + 570_000:
        request = talk.ask()
        kinds.add(request.kind)
        talk.give(request, talk.carry(request))
    assert kinds == {"page"}
    while (request := talk.ask()).kind != "digest":
        talk.give(request, talk.carry(request))
    assert talk.now < start + 620_000


# Busy centres


def test_a_busy_centre_holds_back_uploads_and_members_while_hotlist_and_hello_go_on() -> None:
    talk = Talk(MemoryCentre((TILL_A, KEY_A)))
    talk.until_quiet()
    talk.sell(1)
    while (request := talk.ask()).kind != "batch":
        talk.give(request, talk.carry(request))
    start = talk.now
    talk.give(request, Answer(status=503, body=b"", retry_after_s=600))
    kinds: dict[str, int] = {}
    while talk.now < start + 590_000:
        request = talk.ask()
        kinds[f"{request.kind} {request.lane}"] = kinds.get(f"{request.kind} {request.lane}", 0) + 1
        talk.give(request, talk.carry(request))
    assert set(kinds) == {"page hotlist", "page programme"}
    assert kinds["page hotlist"] >= 28
    assert talk.session.status(talk.moment()).line.state == "online"
    while (request := talk.ask()).kind != "batch":
        talk.give(request, talk.carry(request))
    # Ten minutes, and at most a tenth and a second more.
    assert start + 600_000 <= talk.now <= start + 661_000
