"""What head office told this till, and what becomes of it."""

from pathlib import Path

import msgspec
import pytest

from edge.cache import Cache
from edge.cache_troubles import BadRow
from edge.till import Till
from loyalty.members import HotlistedCard
from loyalty.programme import BadProgramme, canonical, read_programme
from sync.lanes import LaneState
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


def test_names_of_goods_do_not_grow_without_end(
    cache: Cache, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.cache.MOST_NAMES", 3)
    for grams in range(5):
        cache.remember_names({f"21012340{grams:05d}": "Ham by weight"})
    newest = ["2101234000002", "2101234000003", "2101234000004"]
    every = [f"21012340{grams:05d}" for grams in range(5)]
    assert list(cache.names(every)) == newest
    cache.close()
    assert list(Cache.open(tmp_path / "cache.db", identity(), clock).names(every)) == newest
