"""What is promised lies on one page: floats and holds say the same as ever, after a restart and while house is kept."""

from pathlib import Path

import pytest

from edge.journal.journal import Journal
from edge.journal.promises import HOLD_MS, FloatLeft, Hold
from sync.wire import Grant, SignedGrant
from tests.edge.counter import FakeClock, identity

DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path, clock: FakeClock) -> Journal:
    journal = Journal.open(path, identity(), clock)
    granted(journal, clock, "F1", 1, 300)
    return journal


def granted(journal: Journal, clock: FakeClock, lease_id: str, grant_no: int, points: int) -> None:
    now = clock.now()
    grant = Grant(
        lease_id=lease_id, grant_no=grant_no, till_id="ab" * 16, epoch=1, key_no=1, account_id=None, points=points,
        spend_for_s=86_400, settle_until_ms=now.wall_ms + 7 * DAY_MS, granted_at_ms=now.wall_ms,
    )  # fmt: skip
    with journal.writing():
        journal.promises.take_grants([SignedGrant(grant=grant, signed=b"signed")], now)


def held(journal: Journal, clock: FakeClock, hold_id: str, points: int) -> None:
    with journal.writing():
        journal.promises.add_hold(
            Hold(hold_id=hold_id, account_id=7, points=points, lease_id="F1", ask_sha256="", opened=clock.now())
        )


def paid(journal: Journal, clock: FakeClock, hold_id: str, points: int, receipt_id: str) -> None:
    with journal.writing():
        journal.promises.spend(points, clock.now())
        journal.promises.capture(hold_id, receipt_id)


def told(journal: Journal, *hold_ids: str) -> list[tuple[str, str | None]]:
    found = [journal.promises.hold(hold_id) for hold_id in hold_ids]
    return [(hold.state, hold.receipt_id) for hold in found if hold]


def promised(journal: Journal) -> list[tuple[object, ...]]:
    return journal._database.rows("SELECT what, id, points, receipt_id FROM promised ORDER BY 1, 2")


def test_a_captured_hold_names_its_receipt_before_and_after_the_next_one_is_opened(
    journal: Journal, clock: FakeClock
) -> None:
    held(journal, clock, "h1", 100)
    assert told(journal, "h1") == [("open", None)]
    paid(journal, clock, "h1", 80, "r1")
    assert told(journal, "h1") == [("captured", "r1")]
    assert promised(journal) == [("float", "F1", 80, None), ("hold", "h1", 100, "r1")]
    held(journal, clock, "h2", 30)
    assert told(journal, "h1", "h2") == [("captured", "r1"), ("open", None)]
    assert promised(journal) == [("float", "F1", 80, None), ("hold", "h2", 30, None)]
    assert [hold.hold_id for hold in journal.open_holds()] == ["h2"]
    assert journal.float_left(clock.now()) == FloatLeft(lease_id="F1", points=190)  # 300 - 80 - 30


def test_what_was_spent_of_a_float_and_which_holds_are_open_outlives_a_restart(
    journal: Journal, clock: FakeClock, path: Path
) -> None:
    held(journal, clock, "h1", 100)
    held(journal, clock, "h2", 50)
    paid(journal, clock, "h1", 100, "r1")
    journal.close()
    again = Journal.open(path, identity(), clock)
    assert told(again, "h1", "h2") == [("captured", "r1"), ("open", None)]
    assert again.float_left(clock.now()) == FloatLeft(lease_id="F1", points=150)
    again.close()


def test_a_released_hold_keeps_nothing_and_a_lapsed_one_is_not_looked_at_for_ever(
    journal: Journal, clock: FakeClock
) -> None:
    held(journal, clock, "h1", 100)
    held(journal, clock, "h2", 50)
    with journal.writing():
        journal.promises.release("h1")
    assert told(journal, "h1") == [("released", None)]
    assert journal.float_left(clock.now()).points == 250
    clock.pass_ms(HOLD_MS)
    held(journal, clock, "h3", 20)
    assert promised(journal) == [("hold", "h3", 20, None)]
    assert told(journal, "h1", "h2", "h3") == [("released", None), ("open", None), ("open", None)]
    assert [hold.hold_id for hold in journal.open_holds()] == ["h3"]


def test_a_hold_that_lapsed_for_others_while_its_sale_was_under_way_still_names_its_receipt(
    journal: Journal, clock: FakeClock
) -> None:
    held(journal, clock, "h1", 100)
    clock.pass_ms(HOLD_MS)
    held(journal, clock, "h2", 50)
    paid(journal, clock, "h1", 100, "r1")
    assert told(journal, "h1", "h2") == [("captured", "r1"), ("open", None)]


def test_a_float_used_up_is_forgotten_with_what_was_spent_of_it_and_the_last_one_stays(
    journal: Journal, clock: FakeClock
) -> None:
    granted(journal, clock, "F2", 2, 200)
    with journal.writing():
        journal.promises.spend(320, clock.now())  # the older one first
    assert promised(journal) == [("float", "F1", 300, None), ("float", "F2", 20, None)]
    assert journal.float_left(clock.now()) == FloatLeft(lease_id="F2", points=180)
    journal.prune()
    assert promised(journal) == [("float", "F2", 20, None)]
    assert journal.float_left(clock.now()) == FloatLeft(lease_id="F2", points=180)


def test_holds_of_an_epoch_that_is_over_are_promised_no_more(journal: Journal, clock: FakeClock, path: Path) -> None:
    held(journal, clock, "h1", 100)
    journal.close()
    again = Journal.open(path, identity(epoch=2), clock)
    assert promised(again) == []
    again.close()


def test_open_holds_are_found_without_looking_at_every_hold_of_two_weeks(journal: Journal) -> None:
    asked: list[str] = []
    journal._database.writer.set_trace_callback(asked.append)
    journal.open_holds()
    journal._database.writer.set_trace_callback(None)
    (query,) = asked
    plan = [row[3] for row in journal._database.rows(f"EXPLAIN QUERY PLAN {query}")]
    assert plan[0].startswith("SEARCH p USING PRIMARY KEY (what=?") and not any("SCAN" in step for step in plan), plan
