"""What is measured of the ledger is what it says: the same rows on every side, a history that adds up. No times."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, inspect, select, text

from bench.ledger import growth, parts
from bench.ledger.ceilings import Copied, DrivenByHand, RowByRow, SetBySet
from bench.ledger.centre import NOW_MS, Centre, NotTaken, Seat
from bench.ledger.history import account_of, buyers, fill, story
from bench.ledger.ingest import Opening
from bench.ledger.postgres import NoPostgres
from bench.ledger.reading import Night, Reader
from bench.ledger.sales import Till
from bench.ledger.sums import Apart, check_sums
from bench.ledger.worker import read_batches, write_batches
from bench.ledger.written import MOVED, NEW, NotAll, Written, check_all_seen, receipts_of, sizes, written_by
from bench.table import exit_status, line
from central.database import tables as t
from central.database.tables import metadata
from central.ports import reading, writing
from central.recomputing.recompute import recompute_pending
from loyalty.facts.events import read_head
from loyalty.facts.receipts import Receipt, read_detail
from sync.envelope import open_batch

MEMBERS = 30
RECEIPTS = 20  # of a batch here


@pytest.fixture
def young(central_url: str) -> Iterator[tuple[Centre, Seat]]:
    """A centre whose members have shopped four times, and its till."""
    made = begun(central_url)
    yield made
    made[0].close()


def test_a_batch_is_of_receipts_of_ten_lines_of_which_some_pay_with_points(tmp_path: Path) -> None:
    centre, seat = begun(f"sqlite:///{tmp_path / 'a.db'}")
    earning, spending = till(seat, spend_percent=0).batch(RECEIPTS), till(seat, spend_percent=30).batch(200)
    receipts = heads(earning, seat)
    assert [len(read_detail(one).lines) for one in receipts] == [10] * RECEIPTS
    assert all(one.earned and one.redemption is None for one in receipts)
    assert 40 < sum(one.redemption is not None for one in heads(spending, seat)) < 80
    centre.close()


def test_every_member_comes_once_before_any_comes_twice_and_hot_ones_always(tmp_path: Path) -> None:
    centre, seat = begun(f"sqlite:///{tmp_path / 'a.db'}")
    known = buyers(story(4), MEMBERS)
    often = Till(seat, known[2:], spend_percent=0, always=known[:2])
    came = [{one.account_id for one in heads(often.batch(16), seat)} for _ in range(2)]
    assert came[0] & came[1] == {account_of(0), account_of(1)}
    assert len(came[0] | came[1]) == 30
    centre.close()


def test_every_centre_takes_the_same_batches(tmp_path: Path) -> None:
    (first, seat), (second, other) = (begun(f"sqlite:///{tmp_path / name}") for name in ("a.db", "b.db"))
    assert (seat.till_id, seat.genesis) == (other.till_id, other.genesis)
    data = till(seat).batch(RECEIPTS)
    for centre in (first, second):
        centre.take(data)
        assert rows(centre, select(t.flag.c.cause)) == []
    assert contents(first) == contents(second)
    with pytest.raises(NotTaken, match="bad_body"):
        first.take(data[:-1])
    first.close(), second.close()


def test_what_tills_were_told_is_explained_so_that_recomputing_finds_the_same(young: tuple[Centre, Seat]) -> None:
    centre, seat = young
    centre.take(till(seat).batch(RECEIPTS))
    done = recompute_pending(centre.engine, 500, NOW_MS)
    assert (done.same, done.differs, done.skipped) == (20, 0, 0)


def test_a_member_of_twelve_months_has_twenty_postings_and_one_who_is_new_has_four() -> None:
    """Sixteen receipts of 120 points; every fourth spends 50."""
    year, new = story(16), story(4)
    assert (year.postings, year.buyer_version, year.buyer_balance) == (20, 16, 16 * 120 - 4 * 50)
    assert (new.postings, new.buyer_version, new.buyer_balance) == (4, 4, 480)


def test_the_history_of_all_members_adds_up_as_one_does(central_url: str) -> None:
    centre = Centre(central_url)
    centre.begin(1)
    before = indexes(centre)
    assert fill(centre.engine, story(16), MEMBERS) == 600
    with reading(centre.engine) as connection:
        assert check_sums(connection) == 1_200
        assert connection.execute(select(func.sum(t.lot.c.points))).scalar_one() == 30 * 1_720
        assert connection.execute(select(func.count(t.event.c.seq.distinct()))).scalar_one() == 16
    assert {one.account_id for one in rows(centre, select(t.posting.c.account_id))} == accounts()
    assert indexes(centre) == before
    centre.close()


def test_no_two_members_share_an_account() -> None:
    assert len({account_of(member) for member in range(10_000)}) == 10_000
    assert all(0 < account_of(member) < 2**53 for member in (0, 999_999))


def test_sums_that_do_not_hold_are_found(young: tuple[Centre, Seat]) -> None:
    centre, seat = young
    centre.take(till(seat).batch(RECEIPTS))
    with reading(centre.engine) as connection:
        assert check_sums(connection) > 0
    with writing(centre.engine) as tx:
        tx.execute(text("UPDATE lot SET points = points + 1 WHERE account_id = :it"), {"it": account_of(3)})
    with reading(centre.engine) as connection, pytest.raises(Apart, match="lots that are not their postings"):
        check_sums(connection)


def test_receipts_that_left_no_posting_are_found(young: tuple[Centre, Seat]) -> None:
    with writing(young[0].engine) as tx:
        tx.execute(text("UPDATE event SET points_earned = points_earned + 7"))
    with reading(young[0].engine) as connection, pytest.raises(Apart, match="earned"):
        check_sums(connection)


def test_all_that_a_batch_wrote_is_told(young: tuple[Centre, Seat]) -> None:
    centre, seat = young
    one, before = taken(centre, till(seat).batch(RECEIPTS))
    assert {name: len(some) for name, some in one.new.items() if name in ("event", "claim", "batch", "changed")} == {
        "event": 20, "claim": 20, "batch": 1, "changed": 20,
    }  # fmt: skip
    assert len(one.moved["account"]) == 20
    check_all_seen(centre.engine, before, [one])
    lost = msgspec.structs.replace(one, new={**one.new, "claim": one.new["claim"][1:]})
    with pytest.raises(NotAll, match="claim"):
        check_all_seen(centre.engine, before, [lost])


def test_single_receipts_together_are_the_batch(young: tuple[Centre, Seat]) -> None:
    one, _ = taken(young[0], till(young[1]).batch(RECEIPTS))
    single = list(receipts_of(one))
    assert [len(some["event"]) for some in single] == [1] * 20
    for name in ("posting", "use", "account", "lot", "changed"):
        assert sorted(row for some in single for row in some.get(name, ())) == sorted((one.new | one.moved)[name])


@pytest.mark.postgresql
@pytest.mark.parametrize("how", ["ready", "values", "row by row", "by hand"])
def test_the_ceiling_leaves_the_very_same_rows(how: str, fresh_postgres: Callable[[], str]) -> None:
    url = fresh_postgres()
    (centre, seat), (other, _) = begun(fresh_postgres()), begun(url)
    copied, rows, single = Copied(url), RowByRow(url), DrivenByHand(url)
    for data in batches(seat):
        one, _ = taken(centre, data)
        if how == "row by row":
            rows.write(one)
        elif how == "by hand":
            single.write(one)
        else:
            {"ready": copied.write, "values": copied.write_values}[how](copied.prepare(one))
    copied.connection.close(), single.connection.close(), rows.engine.dispose()
    without = ("batch",) if how in ("row by row", "by hand") else ()
    assert contents(other, *without) == contents(centre, *without)
    centre.close(), other.close()


def test_sets_written_to_a_file_leave_the_very_same_rows(tmp_path: Path) -> None:
    (centre, seat), (other, _) = (begun(f"sqlite:///{tmp_path / name}") for name in ("a.db", "b.db"))
    sets = SetBySet(f"sqlite:///{tmp_path / 'b.db'}")
    for data in batches(seat):
        sets.write(taken(centre, data)[0])
    sets.connection.close()
    assert contents(other) == contents(centre)
    centre.close(), other.close()


def test_opening_a_batch_writes_nothing(young: tuple[Centre, Seat]) -> None:
    before = sizes(young[0].engine)
    Opening(young[0], [till(young[1]).batch(RECEIPTS)])()
    assert sizes(young[0].engine) == before


def test_workers_read_the_batches_one_after_the_other(tmp_path: Path) -> None:
    write_batches(tmp_path / "batches", [b"one", b"three"])
    assert list(read_batches(tmp_path / "batches")) == [b"one", b"three"]


def test_a_member_is_read_with_all_that_happened(central_url: str) -> None:
    centre = Centre(central_url)
    (seat,) = centre.begin(1)
    fill(centre.engine, story(16), MEMBERS)
    centre.take(Till(seat, buyers(story(16), 5), spend_percent=0).batch(5))
    reader = Reader(central_url)
    assert reader.balance() >= 1_720
    assert reader.history() in (16, 17)
    assert reader.recent_history() == 17
    assert reader.one_event().startswith("R")
    reader.close()
    centre.close()


def test_a_night_lets_the_points_of_a_quarter_lapse(central_url: str) -> None:
    centre = Centre(central_url)
    centre.begin(1)
    fill(centre.engine, story(16), MEMBERS)
    night = Night(central_url, date(2027, 3, 29))
    assert night.round() > 0
    with pytest.raises(NotTaken, match="no points lapse"):
        night.round()
    night.close()
    with reading(centre.engine) as connection:
        left = select(func.sum(t.lot.c.points)).where(t.lot.c.valid_through <= "2027-03-28")
        assert connection.execute(left).scalar_one() == 0
        assert connection.execute(select(func.sum(t.lot.c.points))).scalar_one() == 30 * (1_720 - 40)
    centre.close()


GB = 10**9


@pytest.mark.parametrize(
    ("size", "filled", "took_s", "free", "says"),
    [
        (20_000_000, 6_000_000, 120, 79 * GB, ""),
        (20_000_000, 6_000_000, 120, 37 * GB, "needs 30 GB of disk, 37 are free"),
        (20_000_000, 6_000_000, 1_800, 79 * GB, "filling would take 100 minutes"),
        (1_000_000, 0, 0, 79 * GB, ""),
    ],
)
def test_no_more_is_filled_than_disk_and_time_allow(
    size: int, filled: int, took_s: float, free: int, says: str
) -> None:
    assert growth.too_much(size, filled, took_s, free) == says


def test_without_postgresql_the_table_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise NoPostgres("no PostgreSQL: apt-get install postgresql")

    monkeypatch.setattr(parts, "server", none)
    (row,) = parts.rows()
    assert line(row).endswith("not measured: no PostgreSQL: apt-get install postgresql")
    assert exit_status([row]) == 0


def begun(url: str) -> tuple[Centre, Seat]:
    centre = Centre(url)
    (seat,) = centre.begin(1)
    fill(centre.engine, story(4), MEMBERS)
    return centre, seat


def till(seat: Seat, *, spend_percent: int = 30) -> Till:
    return Till(seat, buyers(story(4), MEMBERS), spend_percent=spend_percent)


def batches(seat: Seat) -> list[bytes]:
    selling = till(seat)
    return [selling.batch(RECEIPTS) for _ in range(3)]


def heads(data: bytes, seat: Seat) -> list[Receipt]:
    opened = open_batch(data, lambda till_id, key_no: seat.signer.public)
    found = [read_head(payload) for payload in opened.payloads]
    assert all(isinstance(one, Receipt) for one in found)
    return found  # type: ignore[return-value]


def taken(centre: Centre, data: bytes) -> tuple[Written, dict[str, int]]:
    """What a batch wrote, and how many rows there were before."""
    before = sizes(centre.engine)
    centre.take(data)
    with reading(centre.engine) as connection:
        return written_by(connection, data), before


def contents(centre: Centre, *without: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that batches write."""
    found = {}
    for table in (*NEW, *MOVED):
        plain = [one for one in table.c if one.name not in ("created_at_ms", "since_ms")]
        if table.name not in without:
            found[table.name] = sorted(tuple(row) for row in rows(centre, select(*plain)))
    return found


def rows(centre: Centre, query: Any) -> list[Any]:
    with reading(centre.engine) as connection:
        return list(connection.execute(query))


def accounts() -> set[int]:
    return {account_of(member) for member in range(MEMBERS)}


def indexes(centre: Centre) -> set[tuple[str, Any, tuple[Any, ...]]]:
    """Keys and indexes of all tables."""
    seen = inspect(centre.engine)
    found = set()
    for name in metadata.tables:
        found |= {(name, one["name"], tuple(one["column_names"])) for one in seen.get_indexes(name)}
        found.add((name, "key", tuple(seen.get_pk_constraint(name)["constrained_columns"])))
    return found
