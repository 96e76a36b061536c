"""What head office told this till, and what becomes of it."""

import os
from datetime import date
from pathlib import Path

import msgspec
import pytest

from edge.cache.cache import ASIDE, Cache
from edge.cache.troubles import BadRow
from edge.sale.till import Till
from loyalty.members import HotlistedCard, MemberRow, PublishedMember, Use
from loyalty.programme.programme import BadProgramme, canonical, read_programme
from sync.framing import sha256
from sync.lanes import LaneState
from sync.snapshots import ChunkMark, ChunkRows, Manifest, Snapshot, Span, decode_chunk, encode_chunk, row_hash
from sync.wire import Lane, Page
from tests.edge.conftest import OpenTill
from tests.edge.counter import ANA, BEN, NOON_MS, PROGRAMME, FakeClock, identity, published, token


@pytest.fixture
def cache(tmp_path: Path, clock: FakeClock) -> Cache:
    return Cache.open(tmp_path / "cache.db", identity(), clock)


def page(lane: Lane, *rows: object, version: int = 1, restart: bool = False) -> tuple[Page, LaneState]:
    raw = tuple(msgspec.Raw(row if isinstance(row, bytes) else msgspec.json.encode(row)) for row in rows)
    cursor = str(version)
    made = Page(
        lane=lane, from_cursor="", to_cursor=cursor, version=version, more=False, restart=restart, rows=raw
    )
    return made, LaneState(cursor=cursor, version=version, expires_ms=NOON_MS + 1_000)


def points_of(cache: Cache, number: str) -> int | None:
    member = cache.member(token(number))
    return member.row.balance_points if member else None


def programme(percent_bp: int) -> bytes:
    return canonical(read_programme(PROGRAMME.replace("percent_bp: 1000", f"percent_bp: {percent_bp}")))


def test_rows_and_lane_survive_a_restart(cache: Cache, tmp_path: Path, clock: FakeClock) -> None:
    cache.take_page(*page("members", published("ana", points=40), version=7))
    cache.take_page(*page("programme", programme(1_000)))
    cache.remember_names({"milk": "Milk 1 l"})
    cache.close()
    again = Cache.open(tmp_path / "cache.db", identity(), clock)
    assert points_of(again, ANA) == 40
    assert again.lane("members") == LaneState(cursor="7", version=7, expires_ms=NOON_MS + 1_000)
    assert [compiled.programme.id for compiled in again.programmes()] == ["corner-shop"]
    assert again.names(["milk", "bread"]) == {"milk": "Milk 1 l"}


def test_an_older_row_never_replaces_a_newer_one(cache: Cache) -> None:
    cache.take_page(*page("members", published("ana", points=40, version=5, own_seq=9)))
    taken = cache.take_page(*page("members", published("ana", points=99, version=4, own_seq=3)))
    assert (points_of(cache, ANA), taken) == (40, [])
    assert cache.take_page(*page("members", published("ana", points=50, version=6, own_seq=10))) == [(1, 10)]
    assert points_of(cache, ANA) == 50


def test_a_card_follows_the_member_it_was_given_to(cache: Cache) -> None:
    cache.take_page(*page("members", published("ana", points=1), published("ben", points=2)))
    lost = msgspec.structs.replace(published("ana", points=1, version=2), cards=())
    found = msgspec.structs.replace(published("ben", points=2, version=2), cards=(token(ANA), token(BEN)))
    cache.take_page(*page("members", lost, found))
    assert (points_of(cache, ANA), points_of(cache, BEN)) == (2, 2)


def test_a_closed_account_is_forgotten(cache: Cache) -> None:
    cache.take_page(*page("members", published("ana")))
    cache.take_page(*page("members", published("ana", version=2, closed=True)))
    assert (points_of(cache, ANA), cache.counts()["member"], cache.counts()["card"]) == (None, 0, 0)


def test_a_restart_page_replaces_every_row(cache: Cache) -> None:
    cache.take_page(*page("members", published("ana")))
    cache.take_page(*page("hotlist", HotlistedCard(card_token=token(ANA), reason="lost")))
    cache.take_page(*page("members", published("ben"), version=2, restart=True))
    cache.take_page(*page("hotlist", HotlistedCard(card_token=token(BEN), reason="stolen"), version=2, restart=True))
    assert (points_of(cache, ANA), points_of(cache, BEN)) == (None, 1_000)
    assert (cache.blocked(token(ANA)), cache.blocked(token(BEN))) == (None, "stolen")


def test_whom_a_run_did_not_tell_of_is_forgotten_with_their_cards(cache: Cache) -> None:
    everybody = [member(n) for n in range(1, 8)]
    cache.take_page(*page("members", *everybody))
    cache.take_page(*page("members", everybody[1], everybody[4], version=2, restart=True))
    known = [one.row.account_id for one in everybody if cache.member(one.cards[0])]
    assert (known, cache.counts()["member"], cache.counts()["card"]) == ([2, 5], 2, 2)


def test_forgetting_many_members_leaves_the_connection_with_the_memory_it_had(cache: Cache) -> None:
    writer = cache._database.writer
    usual = writer.execute("PRAGMA cache_size").fetchone()
    cache.take_page(*page("members", *(member(n) for n in range(1, 8))))
    cache.take_page(*page("members", member(2), version=2, restart=True))
    assert (cache.counts()["member"], writer.execute("PRAGMA cache_size").fetchone()) == (1, usual)


def member(account_id: int) -> PublishedMember:
    row = MemberRow(account_id=account_id, version=1, balance_points=1)
    return PublishedMember(row=row, cards=(f"{account_id:032x}",))


def test_a_lane_that_begins_anew_is_never_without_its_rows(cache: Cache, tmp_path: Path, clock: FakeClock) -> None:
    cache.take_page(*page("members", published("ana", points=40), published("ben"), version=7))
    cache.take_page(*page("hotlist", *blocks(ANA, BEN), version=7))
    for lane, row in (("members", published("ben", points=60, version=2)), ("hotlist", *blocks(BEN))):
        first, _ = page(lane, row, version=8, restart=True)  # type: ignore[arg-type]
        cache.take_page(msgspec.structs.replace(first, more=True), LaneState(cursor="3", version=7))
    assert (points_of(cache, ANA), points_of(cache, BEN), cache.blocked(token(ANA))) == (40, 60, "lost")
    cache.close()
    cache = Cache.open(tmp_path / "cache.db", identity(), clock)  # a run goes on after a restart of the service
    for lane in ("members", "hotlist"):
        cache.take_page(*page(lane, version=8))  # type: ignore[arg-type]
    assert (points_of(cache, ANA), points_of(cache, BEN)) == (None, 60)
    assert (cache.blocked(token(ANA)), cache.blocked(token(BEN)), cache.counts()["card"]) == (None, "lost", 1)


def blocks(*numbers: str) -> tuple[HotlistedCard, ...]:
    return tuple(HotlistedCard(card_token=token(number), reason="lost") for number in numbers)


EVERYBODY, OURS = Span(), Span(home="S1")


def chunk_of(cache: Cache, span: Span, *rows: PublishedMember, own_seq: int = 0, apart: tuple[int, ...] = ()) -> list:
    data, raw_bytes = encode_chunk(ChunkRows(rows=rows, apart=apart))
    mark = ChunkMark(span=span, sha256=sha256(data), rows=len(rows), wire_bytes=len(data), raw_bytes=raw_bytes,
                     as_of=9, own_seq=own_seq)  # fmt: skip
    return cache.take_chunk(mark, decode_chunk(data, mark))


def at_home(member: PublishedMember) -> PublishedMember:
    counted = msgspec.structs.replace(member.row, counters=(Use(name="promo:milk", amount=1),))
    return msgspec.structs.replace(member, row=counted, home=True)


def away(member: PublishedMember) -> PublishedMember:
    return msgspec.structs.replace(member, row=msgspec.structs.replace(member.row, counters=None), home=False)


def test_a_chunk_for_everybody_takes_nothing_from_a_member_of_our_own_store(cache: Cache) -> None:
    cache.begin_snapshot()
    ana, ben = at_home(published("ana", points=40, version=5)), published("ben", version=3)
    assert chunk_of(cache, OURS, ana, own_seq=4) == [(1, 4)]
    # Of two of the same age ours is kept, for it has the counters; of one that is newer the figures count.
    assert chunk_of(cache, EVERYBODY, away(ana), ben, own_seq=4) == [(2, 4)]
    kept = cache.member(token(ANA))
    assert kept and (kept.home, kept.row.own_seq, len(kept.row.counters or ())) == (True, 4, 1)
    newer = away(published("ana", points=90, version=6))
    assert chunk_of(cache, EVERYBODY, newer, ben, own_seq=6) == [(1, 6), (2, 6)]
    assert points_of(cache, ANA) == 90


def test_a_chunk_is_older_than_what_a_page_told_and_leaves_it(cache: Cache) -> None:
    cache.take_page(*page("members", published("ana", points=99, version=8, own_seq=7), version=12))
    cache.begin_snapshot()
    assert chunk_of(cache, EVERYBODY, published("ana", points=40, version=5)) == []
    assert points_of(cache, ANA) == 99


def test_a_member_who_moved_away_keeps_the_row_and_loses_the_counters(cache: Cache) -> None:
    cache.take_page(*page("members", at_home(published("ana", points=40, version=5)), version=7))
    cache.begin_snapshot()
    chunk_of(cache, OURS)
    left = cache.member(token(ANA))
    assert left and (left.row.balance_points, left.row.counters, left.home) == (40, None, False)


def test_a_member_who_moved_away_is_as_head_office_tells_everybody_of_them(cache: Cache) -> None:
    ana = at_home(published("ana", points=40, version=5, lapsing_later=((date(2026, 4, 30), 5),)))
    cache.take_page(*page("members", ana, version=7))
    cache.begin_snapshot()
    chunk_of(cache, OURS)
    told = row_hash(away(published("ana", points=40, version=5)), EVERYBODY)
    assert cache.digest(EVERYBODY, frozenset()) == (1, f"{told:016x}")


def test_a_row_that_a_bad_disk_changed_does_not_keep_the_members_of_the_store_from_coming(cache: Cache) -> None:
    cache.take_page(*page("members", at_home(published("ana")), version=7))
    with cache._database.writing() as writer:
        writer.execute("UPDATE member SET row = ?", (b"\xff{",))
    cache.begin_snapshot()
    assert chunk_of(cache, OURS, at_home(published("ben")), own_seq=4) == [(2, 4)]
    assert cache.counts()["member"] == 1
    assert chunk_of(cache, EVERYBODY, away(published("ana", points=40)), own_seq=4) == [(1, 4)]
    assert points_of(cache, ANA) == 40


def test_a_snapshot_survives_a_restart_and_ends_where_its_oldest_chunk_stood(
    cache: Cache, tmp_path: Path, clock: FakeClock
) -> None:
    cache.take_page(*page("members", published("ana", points=40), published("ben"), version=3))
    cache.begin_snapshot()
    assert cache.snapshot() == Snapshot()
    chunk_of(cache, EVERYBODY, published("ben", points=60, version=2), apart=(7,))
    (done,) = cache.snapshot().done  # type: ignore[union-attr]
    manifest = Manifest(as_of=11, version=12, block_no=1, expires_ms=NOON_MS, chunks=(done,))
    cache.take_manifest(manifest)
    cache.close()
    cache = Cache.open(tmp_path / "cache.db", identity(), clock)
    assert cache.snapshot() == Snapshot(manifest=manifest, done=(done,))
    assert cache.heard_ms("members") == clock.wall_ms
    cache.end_snapshot()
    assert (cache.snapshot(), cache.lane("members").cursor, cache.lane("members").version) == (None, "9", 3)
    assert points_of(cache, ANA) == 40  # she may yet be told of
    cache.take_page(*page("members", version=12))
    assert (points_of(cache, ANA), points_of(cache, BEN)) == (None, 60)


def test_a_block_can_be_lifted(cache: Cache) -> None:
    cache.take_page(*page("hotlist", HotlistedCard(card_token=token(ANA), reason="lost")))
    cache.take_page(*page("hotlist", HotlistedCard(card_token=token(ANA), reason="lost", lifted=True), version=2))
    assert cache.blocked(token(ANA)) is None


def test_the_last_two_programmes_are_kept_newest_first(cache: Cache) -> None:
    cache.take_page(*page("programme", programme(1_000), programme(2_000), version=2))
    cache.take_page(*page("programme", programme(3_000), version=3))
    cache.take_page(*page("programme", programme(3_000), version=4))
    held = [compiled.programme.promotions[1].then[0].percent_bp for compiled in cache.programmes()]  # type: ignore[union-attr]
    assert held == [3_000, 2_000]


@pytest.mark.parametrize(
    ("lane", "row", "error"),
    [
        ("members", b'{"row": 5}', BadRow),
        ("hotlist", b"[]", BadRow),
        ("programme", b'{"id":"p","currency":"EUR","from":"tomorrow"}', BadProgramme),
    ],
)
def test_a_row_that_cannot_be_read_leaves_lane_and_rows_as_they_were(
    cache: Cache, lane: Lane, row: bytes, error: type[Exception]
) -> None:
    cache.take_page(*page("members", published("ana", points=40)))
    before = cache.lane(lane)
    good = published("ben") if lane == "members" else programme(1_000)
    rows = (row,) if lane == "hotlist" else (good, row)
    with pytest.raises(error):
        cache.take_page(*page(lane, *rows, version=9))
    assert cache.lane(lane) == before
    assert (points_of(cache, BEN), cache.programmes()) == (None, ())


def test_a_lane_past_its_time_is_told(cache: Cache, clock: FakeClock) -> None:
    cache.take_page(*page("hotlist"))
    clock.pass_ms(999)
    assert not any(lane.expired for lane in cache.lane_status())
    clock.pass_ms(1)
    assert [lane.lane for lane in cache.lane_status() if lane.expired] == ["hotlist"]


def test_an_empty_page_is_noted_once_an_hour(cache: Cache, clock: FakeClock) -> None:
    cache.take_page(*page("members"))
    clock.pass_ms(3_599_999)
    cache.take_page(*page("members"))
    assert cache.heard_ms("members") == NOON_MS
    clock.pass_ms(1)
    cache.take_page(*page("members"))
    assert cache.heard_ms("members") == NOON_MS + 3_600_000


def test_what_is_known_is_as_of_when_everybody_was_told_of_last(
    cache: Cache, tmp_path: Path, clock: FakeClock
) -> None:
    def heard(at: Cache) -> tuple[int, int]:
        return at.heard_ms("members") - NOON_MS, at.as_of_ms() - NOON_MS

    first, state = page("members", published("ben"), version=3)
    cache.take_page(msgspec.structs.replace(first, more=True), state)
    assert heard(cache) == (0, 0)  # nobody is here of whom it was said longer ago
    cache.take_page(*page("members", published("ana", points=40), version=3))
    # Back after ten days: first the others come, in pages or in a chunk, and Ana is known as she was.
    clock.pass_ms(864_000_000)
    cache.take_page(msgspec.structs.replace(first, more=True), state)
    assert heard(cache) == (864_000_000, 0)
    cache.begin_snapshot()
    clock.pass_ms(5_000)
    chunk_of(cache, EVERYBODY, published("ben", version=2))
    cache.end_snapshot()
    assert heard(cache) == (864_005_000, 0)
    cache.close()
    cache = Cache.open(tmp_path / "cache.db", identity(), clock)
    assert heard(cache) == (864_005_000, 0)
    cache.take_page(*page("members", published("ana", points=60, version=2), version=12))
    assert heard(cache) == (864_005_000, 864_005_000)


def test_a_new_epoch_begins_with_an_empty_cache_but_keeps_the_programme(
    cache: Cache, tmp_path: Path, clock: FakeClock
) -> None:
    cache.take_page(*page("members", published("ana", own_seq=100)))
    cache.take_page(*page("programme", programme(1_000)))
    cache.close()
    # A row that counted 100 events of the old stream would hide the first 100 of the new one.
    again = Cache.open(tmp_path / "cache.db", identity(epoch=2), clock)
    assert (points_of(again, ANA), again.lane("members"), again.lane("programme")) == (None, LaneState(), LaneState())
    assert len(again.programmes()) == 1


def test_a_damaged_cache_is_put_aside_and_the_till_sells_on(till: Till, open_till: OpenTill, tmp_path: Path) -> None:
    till.cache.close()
    till.journal.close()
    (tmp_path / "cache.db").write_bytes(b"scratched" * 1_000)
    after = open_till()
    assert (tmp_path / "cache.db.damaged").exists()
    assert after.cache.lane("members") == LaneState()
    after.cache.load_programme(read_programme(PROGRAMME))
    assert after.cache.member(token(ANA)) is None


def test_a_programme_of_another_version_of_the_service_is_fetched_anew(
    cache: Cache, tmp_path: Path, clock: FakeClock
) -> None:
    cache.take_page(*page("programme", programme(1_000)))
    with cache._database.writing() as writer:
        writer.execute("UPDATE programme SET document = ?", (b'{"id":"p","newer":1}',))
    cache.close()
    again = Cache.open(tmp_path / "cache.db", identity(), clock)
    assert (again.programmes(), again.lane("programme")) == ((), LaneState())


def test_after_thirty_days_without_head_office_a_till_forgets_people(cache: Cache, clock: FakeClock) -> None:
    cache.take_page(*page("members", published("ana", points=40), version=7))
    cache.take_page(*page("programme", programme(1_000)))
    clock.pass_ms(30 * 86_400_000)
    assert not cache.forget_members()
    clock.pass_ms(1)
    assert cache.forget_members()
    assert (points_of(cache, ANA), cache.counts()["member"], cache.counts()["card"]) == (None, 0, 0)
    assert (cache.lane("members"), len(cache.programmes())) == (LaneState(), 1)
    assert not cache.forget_members()
    cache.take_page(*page("members", published("ana", points=50), version=9))
    assert points_of(cache, ANA) == 50


def test_a_damaged_cache_that_was_put_aside_is_kept_for_no_longer_than_people_are(tmp_path: Path) -> None:
    clock = FakeClock()
    for name in ("cache.db", "cache.db-wal"):
        (tmp_path / name).write_bytes(b"scratched" * 1_000)
        os.utime(tmp_path / name, (NOON_MS / 1000, NOON_MS / 1000))
    cache = Cache.open(tmp_path / "cache.db", identity(), clock)
    aside = tmp_path / "cache.db.damaged"
    clock.pass_ms(30 * 86_400_000)
    cache.forget_members()
    assert aside.exists()
    clock.pass_ms(1)
    cache.forget_members()
    assert sorted(path.name for path in tmp_path.iterdir() if ASIDE in path.name) == []


def test_names_of_goods_do_not_grow_without_end(
    cache: Cache, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.cache.cache.MOST_NAMES", 3)
    for grams in range(5):
        cache.remember_names({f"21012340{grams:05d}": "Ham by weight"})
    newest = ["2101234000002", "2101234000003", "2101234000004"]
    every = [f"21012340{grams:05d}" for grams in range(5)]
    assert list(cache.names(every)) == newest
    cache.close()
    assert list(Cache.open(tmp_path / "cache.db", identity(), clock).names(every)) == newest


def test_before_the_members_of_an_epoch_that_is_over_go_their_cards_can_be_asked_for(
    cache: Cache, tmp_path: Path, clock: FakeClock
) -> None:
    cache.take_page(*page("members", published("ana"), published("ben")))
    cache.close()
    found: list[dict[int, list[str]]] = []
    for own in (identity(), identity(epoch=2), identity(epoch=2), identity(epoch=2, till_id="cd" * 16)):
        Cache.open(tmp_path / "cache.db", own, clock, leaving=lambda of: found.append(dict(of([1, 4711])))).close()
    # Once, as the second epoch begins; another till's members are not this one's to tell.
    assert found == [{1: [token(ANA)]}]
