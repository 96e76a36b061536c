"""Chunks of the members: what is in them, when they are made anew, and who is told that somebody is gone."""

import msgspec
import pytest
from sqlalchemy import delete, select, update

import central.tills.snapshots
from central.database import tables as t
from central.database.lanes import floor_of, forget_tombstones, jump_all, mark_changed
from central.members.members import block_card, lift_block, set_facts
from central.ports import reading, writing
from central.tills.snapshots import SnapshotMaker, chunk_part, has_snapshot, manifest_for
from loyalty.members import PublishedMember, Use, view_of
from sync.framing import open_signed, pack
from sync.keys import one_key
from sync.snapshots import ChunkMark, ChunkRows, Manifest, Span, decode_chunk, row_hash
from sync.wire import ASK_TAG, PAGE_PATH, PROBLEM_TAG, URGENT_PATH, DigestAsk, PageAsk, Problem
from tests.central.tills import ANNA, BEN, DAY, Centre, CentreClock, Till, told

HOUR = 3_600_000
MILK = Use(name="promo:milk", amount=1)


@pytest.fixture
def maker(centre: Centre) -> SnapshotMaker:
    return SnapshotMaker(centre.engine, CentreClock(centre), rows=50)


def make(centre: Centre, maker: SnapshotMaker) -> int:
    centre.store.stamp()
    made = 0
    while now := maker.step():
        made += now
    return made


def manifest(till: Till) -> Manifest:
    record = till.centre.store.till(till.head.till_id)
    assert record
    with reading(till.centre.engine) as connection:
        return manifest_for(connection, record, till.centre.now)


def rows_of(centre: Centre, mark: ChunkMark) -> ChunkRows:
    with reading(centre.engine) as connection:
        data = chunk_part(connection, mark.sha256, 0, 2**20)
    assert data is not None
    return decode_chunk(data, mark)


def the_row(till: Till, account_id: int) -> tuple[PublishedMember, int]:
    """A member as the chunk for everybody has it, and which events of this till are in it."""
    (mark,) = (one for one in manifest(till).chunks if not one.span.home and one.span.has(account_id))
    (row,) = (one for one in rows_of(till.centre, mark).rows if one.row.account_id == account_id)
    return row, mark.own_seq


def enter(centre: Centre, count: int, first: int = 0, store: str = "") -> list[int]:
    """Accounts without cards, spread evenly over all numbers."""
    ids = [(n * 0x1F35A96B4D3C7) % 2**53 + 1 for n in range(first, first + count)]
    with writing(centre.engine) as tx:
        tx.execute(t.account.insert(), [{"account_id": one, "version": 0} for one in ids])
        tx.execute(t.member.insert(), [{"account_id": one, "home_store_id": store} for one in ids])
        mark_changed(tx, set(ids), f"entered {first}")
    centre.store.stamp()
    return ids


# What is in them


def test_a_shared_row_and_what_the_till_did_since_are_what_a_page_says(centre: Centre, maker: SnapshotMaker) -> None:
    one, other, anna = centre.till("S1"), centre.till("S2"), centre.member()
    one.sell("R1", 10_000, told(anna), sku="milk")
    one.upload()
    other.sell("R1", 5_000, told(anna))
    other.upload()
    assert make(centre, maker) == 1
    one.sell("R2", 3_000, told(anna, 2))
    one.upload()
    one.sell("R3", 1_000)
    one.upload()
    row, own_seq = the_row(one, anna)
    # 90 points for milk at a tenth off and 50 at the other store; the 30 since are the till's own, still.
    assert (row.row.balance_points, row.row.version, row.row.own_seq, own_seq) == (140, 2, 0, 1)
    page = msgspec.json.decode(one.page("members", "0").rows[0], type=PublishedMember).row
    assert (page.balance_points, page.own_seq) == (170, 3)
    kept = [Use(name="points:earned", amount=30)]
    assert view_of(row.row, kept).balance_points == view_of(page, []).balance_points == 170
    assert the_row(other, anna)[1] == 1
    # A till that is enrolled anew, or was never heard, has nothing in it.
    assert the_row(centre.till("S1"), anna)[1] == 0


def test_a_till_of_the_members_own_store_agrees_on_the_row_that_all_tills_share(
    centre: Centre, maker: SnapshotMaker
) -> None:
    till, anna = centre.till("S1"), centre.member(home_store_id="S1")
    lot = {"account_id": anna, "issuer_id": "acme", "terms_id": "acme-1", "points": 10}
    with writing(centre.engine) as tx:
        tx.execute(t.lot.insert(), [{**lot, "valid_through": f"2026-0{month}-28"} for month in (3, 4, 5)])
    make(centre, maker)
    page = till.page("members", "0")
    row = msgspec.json.decode(page.rows[0], type=PublishedMember)
    assert len(row.row.lapsing_later) == 2  # which its own store alone is told
    record = centre.store.till(till.head.till_id)
    assert record
    for place, home in enumerate(("S1", "")):
        ask = DigestAsk(**till._says(), cursor=page.to_cursor, place=place)
        said = centre.store.digest_for(record, ask, centre.now)
        assert said
        assert (said.span.home, said.rows, said.digest) == (home, 1, row_hash(row, said.span))


def test_what_comes_while_a_chunk_is_made_is_in_neither_the_row_nor_the_till_s_head(
    centre: Centre, maker: SnapshotMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, anna = centre.till("S1"), centre.member()
    one.sell("R1", 10_000, told(anna))
    one.upload()
    centre.store.stamp()
    making = central.tills.snapshots._make

    def and_meanwhile(*args: object) -> object:
        if one.sent == 1:
            one.sell("R2", 2_000, told(anna, 1, 100))
            one.upload()
            centre.store.stamp()
        return making(*args)

    monkeypatch.setattr(central.tills.snapshots, "_make", and_meanwhile)
    assert maker.step() == 1
    row, own_seq = the_row(one, anna)
    assert (row.row.balance_points, own_seq) == (100, 1)
    # Its number is above that of the chunk, so pages bring the rest.
    page = one.page("members", str(manifest(one).as_of))
    assert [msgspec.json.decode(one, type=PublishedMember).row.balance_points for one in page.rows] == [120]


def test_an_account_with_an_event_that_waits_is_told_by_pages_alone(centre: Centre, maker: SnapshotMaker) -> None:
    one, other, anna, ben = centre.till("S1"), centre.till("S2"), centre.member(ANNA), centre.member(BEN)
    receipt = one.receipt("R1", 10_000, told(anna))
    other.sell("R1", 20_000, told(anna))
    other.take_back("B1", one.append(receipt), receipt, 500)  # of a receipt that has not come
    other.upload()
    assert make(centre, maker) == 1
    (mark,) = manifest(other).chunks
    chunk = rows_of(centre, mark)
    assert ([row.row.account_id for row in chunk.rows], chunk.apart) == ([ben], (anna,))
    rows = [msgspec.json.decode(row, type=PublishedMember).row for row in other.page("members", str(mark.as_of)).rows]
    assert [(row.account_id, row.own_seq, row.balance_points) for row in rows] == [(anna, 1, 200)]


def test_counters_are_in_the_chunks_of_the_member_s_own_store_alone(centre: Centre, maker: SnapshotMaker) -> None:
    one, other = centre.till("S1"), centre.till("S2")
    anna, ben = centre.member(ANNA, home_store_id="S1"), centre.member(BEN)
    for n, account_id in enumerate((anna, ben)):
        one.sell(f"R{n}", 10_000, told(account_id), sku="milk")
    one.upload()
    make(centre, maker)
    assert [mark.span for mark in manifest(one).chunks] == [Span(home="S1"), Span()]
    assert [mark.span for mark in manifest(other).chunks] == [Span()]
    own, everybody = (rows_of(centre, mark).rows for mark in manifest(one).chunks)
    assert [(row.row.account_id, row.home, row.row.counters) for row in own] == [(anna, True, (MILK,))]
    assert {row.row.account_id: (row.home, row.row.counters) for row in everybody} == {
        anna: (False, None), ben: (False, (MILK,)),
    }  # fmt: skip


# When they are made


def test_only_chunks_that_changed_enough_are_made_anew(centre: Centre, maker: SnapshotMaker) -> None:
    ids, till = enter(centre, 1_000), centre.till()
    assert make(centre, maker) == 32
    assert make(centre, maker) == 0
    before = {mark.span: mark.sha256 for mark in manifest(till).chunks}
    assert sum(mark.rows for mark in manifest(till).chunks) == 1_000
    with writing(centre.engine) as tx:
        set_facts(tx, ids[0], centre.random, tier="gold")
    assert make(centre, maker) == 0
    centre.now += 6 * HOUR
    assert make(centre, maker) == 1
    after = {mark.span: mark.sha256 for mark in manifest(till).chunks}
    assert [span.has(ids[0]) for span in after if after[span] != before[span]] == [True]
    assert make(centre, maker) == 0


def test_a_chunk_is_made_at_once_when_a_tenth_of_it_changed(centre: Centre) -> None:
    maker = SnapshotMaker(centre.engine, CentreClock(centre), rows=1_000)
    ids = enter(centre, 600)
    assert make(centre, maker) == 1
    for count, made in ((59, 0), (60, 1)):
        with writing(centre.engine) as tx:
            for one in ids[:count]:
                set_facts(tx, one, centre.random, tier=f"after {count}")
        assert make(centre, maker) == made, count


def test_a_member_who_moves_leaves_the_chunk_of_the_old_store(centre: Centre, maker: SnapshotMaker) -> None:
    anna, one = centre.member(home_store_id="S1"), centre.till("S1")
    ben = centre.member(BEN, home_store_id="S1")
    make(centre, maker)
    with writing(centre.engine) as tx:
        set_facts(tx, anna, centre.random, home_store_id="S2")
    centre.now += 6 * HOUR
    make(centre, maker)
    own = rows_of(centre, manifest(one).chunks[0]).rows
    assert [row.row.account_id for row in own] == [ben]


def test_what_did_not_change_is_as_good_as_new_so_that_pages_stay_short(
    centre: Centre, maker: SnapshotMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(central.tills.snapshots, "LEAST_LAG", 40)
    ids, till = enter(centre, 100), centre.till()
    make(centre, maker)
    low = [one for one in ids if one < 2**52]
    for turn in range(12):
        with writing(centre.engine) as tx:
            for one in low[:3]:
                set_facts(tx, one, centre.random, tier=f"turn {turn}")
        make(centre, maker)
    assert manifest(till).version - manifest(till).as_of <= 40


def test_no_chunk_stays_behind_what_pages_can_go_on_from(centre: Centre, maker: SnapshotMaker) -> None:
    ids, till = enter(centre, 100), centre.till()
    make(centre, maker)
    low = min(ids)
    for _ in range(100):  # one member of the first half changes each day; nothing in the other does
        with writing(centre.engine) as tx:
            set_facts(tx, low, centre.random, tier=f"{centre.now}")
        make(centre, maker)
        with writing(centre.engine) as tx:
            forget_tombstones(tx, centre.now)
        centre.now += DAY
    gone = enter(centre, 1, 100)[0]
    with writing(centre.engine) as tx:
        tx.execute(update(t.account).where(t.account.c.account_id == gone).values(status="closed"))
    centre.now += 95 * DAY
    with writing(centre.engine) as tx:
        forget_tombstones(tx, centre.now - 94 * DAY)
        assert forget_tombstones(tx, centre.now) == 1
    make(centre, maker)
    begun = manifest(till)
    with reading(centre.engine) as connection:
        assert begun.as_of >= floor_of(connection, "members") > 100
    assert answer_to(till, "members", str(begun.as_of)) is None


def test_members_of_whom_there_is_more_to_say_than_a_chunk_may_hold_come_in_smaller_ones(
    centre: Centre, maker: SnapshotMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {*enter(centre, 40), *enter(centre, 4, 40, store="S1")}
    till = centre.till("S1")
    make(centre, maker)
    spans = [Span(home="S1"), Span()]
    assert [mark.span for mark in manifest(till).chunks] == spans
    monkeypatch.setattr("sync.snapshots.MAX_RAW_BYTES", 400)  # below what 47 numbers and a head come to
    enter(centre, 3, 44, store="S1")
    centre.now += 6 * HOUR
    assert make(centre, maker) > 0
    chunks = manifest(till).chunks
    assert [(mark.span.home, mark.span.bits) for mark in chunks] == [("S1", 0), ("", 1), ("", 1)]
    assert all(mark.raw_bytes <= 400 for mark in chunks)
    told = [row.row.account_id for mark in chunks[1:] for row in rows_of(centre, mark).rows]
    assert len(told) == 47 and ids < set(told)
    assert make(centre, maker) == 0
    again = SnapshotMaker(centre.engine, CentreClock(centre), rows=50)  # head office starts anew
    assert make(centre, again) == 0
    assert [mark.sha256 for mark in manifest(till).chunks] == [mark.sha256 for mark in chunks]


def test_finer_chunks_take_over_once_all_of_them_are_there(
    centre: Centre, maker: SnapshotMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(central.tills.snapshots, "AT_ONCE", 3)
    enter(centre, 100)
    till = centre.till()
    make(centre, maker)
    assert [mark.span.bits for mark in manifest(till).chunks] == [1, 1]
    enter(centre, 300, 100)
    seen = []
    while maker.step():
        seen.append([mark.span.bits for mark in manifest(till).chunks])
    assert seen == [[1, 1], [1, 1], [3] * 8]
    assert centre.rows(select(t.chunk.c.bits).distinct()) == [(3,)]


def test_heads_are_kept_as_long_as_a_chunk_needs_them(centre: Centre, maker: SnapshotMaker) -> None:
    till, anna = centre.till(), centre.member()
    for turn in range(4):
        till.sell(f"R{turn}", 1_000, told(anna, turn))
        till.upload()
        make(centre, maker)
        centre.now += 6 * HOUR
    assert centre.rows(select(t.snapshot_head.c.seq)) == [(4,)]


def test_a_restored_centre_goes_on_with_the_chunks_of_its_backup(centre: Centre, maker: SnapshotMaker) -> None:
    till, anna = centre.till(), centre.member()
    make(centre, maker)
    with writing(centre.engine) as tx:
        jump_all(tx)
    page = till.page("members", str(manifest(till).as_of))
    assert (page.rows, page.version) == ((), 1_000_000_001)
    with writing(centre.engine) as tx:
        set_facts(tx, anna, centre.random, tier="gold")
    assert len(till.page("members", str(manifest(till).as_of)).rows) == 1


# Who is gone


def answer_to(till: Till, lane: str, cursor: str, path: str = PAGE_PATH) -> Problem | None:
    """The signed refusal of a page; none where it came."""
    data = pack(ASK_TAG, PageAsk(**till._says(), lane=lane, cursor=cursor, limit=100), till.signer)
    said = till.centre.session.answer(till.centre.now, path, data, till.centre.store)
    if said.status == 200:
        return None
    return open_signed(PROBLEM_TAG, said.body, Problem, one_key(till.centre.signer.public))[0]


def test_accounts_that_are_closed_or_taken_away_are_told_as_gone(centre: Centre) -> None:
    till, anna, ben = centre.till(), centre.member(ANNA), centre.member(BEN)
    start = till.page("members").to_cursor
    with writing(centre.engine) as tx:
        tx.execute(update(t.account).where(t.account.c.account_id == anna).values(status="closed"))
        for table in (t.member, t.card, t.account):
            tx.execute(delete(table).where(table.c.account_id == ben))
        mark_changed(tx, {anna, ben}, "gone")
    rows = [msgspec.json.decode(row, type=PublishedMember) for row in till.page("members", start).rows]
    assert {row.row.account_id: (row.closed, row.row.version) for row in rows} == {anna: (True, 0), ben: (True, 2**53)}


def test_what_is_gone_is_told_for_ninety_days_and_then_who_did_not_hear_begins_anew(
    centre: Centre, maker: SnapshotMaker
) -> None:
    till, anna, ben = centre.till(), centre.member(ANNA), centre.member(BEN)
    old = till.page("members").to_cursor

    def each_day(days: int) -> int:
        forgotten = 0
        for _ in range(days):
            with writing(centre.engine) as tx:
                forgotten += forget_tombstones(tx, centre.now)
            centre.now += DAY
        return forgotten

    each_day(1)
    with writing(centre.engine) as tx:
        tx.execute(update(t.account).where(t.account.c.account_id == anna).values(status="closed"))
        mark_changed(tx, {anna}, "closed")
    heard = till.page("members", old).to_cursor
    assert each_day(90) == 0
    assert [msgspec.json.decode(row, type=PublishedMember).closed for row in till.page("members", old).rows] == [True]
    assert each_day(2) == 1
    with reading(centre.engine) as connection:
        assert floor_of(connection, "members") == int(heard)
    assert till.page("members", old).restart  # there are no chunks yet
    make(centre, maker)
    refused = answer_to(till, "members", old)
    assert refused and (refused.code, refused.status) == ("sync.must_snapshot", 410)
    from_nothing = answer_to(till, "members", "")
    assert from_nothing and from_nothing.code == "sync.must_snapshot"
    assert answer_to(till, "members", heard) is None
    assert ben in {row.row.account_id for row in rows_of(centre, manifest(till).chunks[0]).rows}


def test_lifted_blocks_are_forgotten_too_and_an_old_hotlist_begins_anew(centre: Centre) -> None:
    till = centre.till()
    with writing(centre.engine) as tx:
        block_card(tx, "aa" * 16, "lost", centre.now)
        block_card(tx, "bb" * 16, "lost", centre.now)
    old = till.page("hotlist").to_cursor
    with writing(centre.engine) as tx:
        lift_block(tx, "aa" * 16, centre.now)
        forget_tombstones(tx, centre.now)
    centre.now += 90 * DAY
    with writing(centre.engine) as tx:
        assert forget_tombstones(tx, centre.now) == 1
    page = till.page("hotlist", old)
    assert (page.restart, len(page.rows)) == (True, 1)
    assert not till.page("hotlist", page.to_cursor).restart


# Bytes and paths


def test_a_page_stays_below_the_bytes_that_were_asked_for_and_loses_no_row(centre: Centre) -> None:
    till, ids = centre.till(), enter(centre, 60)
    seen: list[int] = []
    cursor, sizes = "", []
    while True:
        ask = PageAsk(**till._says(), lane="members", cursor=cursor, limit=50, most_bytes=1_000)
        record = centre.store.till(till.head.till_id)
        assert record
        page = centre.store.page_for(record, ask, centre.now)
        sizes.append(sum(len(bytes(row)) for row in page.rows))
        seen += [msgspec.json.decode(row, type=PublishedMember).row.account_id for row in page.rows]
        cursor = page.to_cursor
        if not page.more:
            break
    assert sorted(seen) == sorted(ids)
    assert max(sizes) <= 1_000
    assert len(sizes) > 3
    tight = PageAsk(**till._says(), lane="members", cursor="", limit=50, most_bytes=1)
    assert len(centre.store.page_for(record, tight, centre.now).rows) == 1


def test_a_range_is_all_that_there_is_of_some_accounts_now(centre: Centre) -> None:
    till, ids = centre.till(), sorted(enter(centre, 30, store="S1"))
    closed = ids[4]
    with writing(centre.engine) as tx:
        tx.execute(update(t.account).where(t.account.c.account_id == closed).values(status="closed"))
    record = centre.store.till(till.head.till_id)
    assert record
    first, last, seen = ids[2], ids[20], []
    for home in (False, True):
        at, seen = first, []
        while True:
            ask = PageAsk(**till._says(), lane="members", cursor="7", limit=5, first=at, last=last, home=home)
            page = centre.store.page_for(record, ask, centre.now)
            assert (page.first, page.from_cursor, page.to_cursor) == (at, "7", "7")
            seen += [msgspec.json.decode(row, type=PublishedMember).row.account_id for row in page.rows]
            if not page.more:
                assert page.last == last
                break
            at = page.last + 1
        assert seen == [one for one in ids[2:21] if one != closed]
    away = PageAsk(**till._says(), lane="members", cursor="7", limit=50, first=1, last=2**63 - 1, home=True)
    other = centre.store.till(centre.till("S2").head.till_id)
    assert other and centre.store.page_for(other, away, centre.now).rows == ()


def test_under_the_path_of_what_is_urgent_no_members_are_served(centre: Centre) -> None:
    till = centre.till()
    assert answer_to(till, "hotlist", "", URGENT_PATH) is None
    assert answer_to(till, "programme", "", URGENT_PATH) is None
    refused = answer_to(till, "members", "", URGENT_PATH)
    assert refused and refused.code == "sync.bad_envelope"


def test_a_centre_without_chunks_says_so(centre: Centre) -> None:
    till = centre.till()
    centre.member()
    with reading(centre.engine) as connection:
        assert not has_snapshot(connection)
    assert manifest(till).chunks == ()
    assert till.page("members").restart
