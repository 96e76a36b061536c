"""Head office comes back from an older backup: a till that pruned every day in between brings again what is lacking."""

from pathlib import Path

import pytest

from central.coalition.slots import open_slot
from central.ports import writing
from edge.journal.journal import Kept
from edge.line.enrol import enrol
from edge.ports import BadSettings, read_settings
from sync.enrolment import fingerprint
from sync.provisional import FIRST
from tests.central.recovering import Lane, apart, in_order, receipts
from tests.central.test_recovered_tills import harm_payload
from tests.central.test_told_leases import backup, put_back
from tests.central.tills import BEN, Centre

DAY_MS = 86_400_000


@pytest.fixture
def lane(centre: Centre, tmp_path: Path) -> Lane:
    centre.member()
    (tmp_path / "stick").mkdir()
    return Lane(centre, tmp_path / "till", tmp_path / "stick")


def live(lane: Lane, days: int, kept: Kept) -> None:
    """A sale a day, sent; every night the till forgets what it may."""
    lane.journal._kept = kept
    for day in range(1, days + 1):
        lane.clock.pass_ms(DAY_MS)
        lane.centre.now += DAY_MS
        lane.sell(f"day{day:02}")
        lane.settle()
        assert lane.journal.backlog() == 0
        lane.journal.prune()


def posted(days: int) -> list[tuple[str, str]]:
    return [(f"day{day:02}", "posted") for day in range(1, days + 1)]


def test_after_thirteen_days_nothing_is_lost_though_few_events_are_kept(lane: Lane, centre: Centre):
    before = backup(centre)
    live(lane, 13, Kept(days=14, events=0))
    assert receipts(centre) == posted(13)
    put_back(centre, before)
    assert receipts(centre) == []
    for _ in range(3):
        lane.settle()
    assert receipts(centre) == posted(13)
    assert (lane.journal.backlog(), lane.journal.outbox.suspended()) == (0, "")
    in_order(centre)


def test_a_small_shop_keeps_months_and_refills_them(lane: Lane, centre: Centre):
    before = backup(centre)
    live(lane, 40, Kept())
    put_back(centre, before)
    for _ in range(3):
        lane.settle()
    assert receipts(centre) == posted(40)
    in_order(centre)


def test_what_is_beyond_retention_is_told_and_the_till_sells_on(lane: Lane, centre: Centre):
    before = backup(centre)
    live(lane, 20, Kept(days=14, events=0))
    put_back(centre, before)
    for _ in range(3):
        lane.settle()
    assert lane.journal.outbox.suspended() == "sync.beyond_retention"
    assert receipts(centre) == []
    assert (0, "sync.beyond_retention") in centre.flags()
    lane.sell("later")
    assert lane.journal.find("later") is not None
    lane.settle()
    assert (receipts(centre), apart(centre)) == ([], [])
    enrol_again(lane)
    lane.sell("after")
    for _ in range(2):
        lane.settle()
    # What it still had is kept apart for a person: nobody can say what lay between.
    assert (receipts(centre), apart(centre)) == ([("after", "posted")], ["sync.gap"])


def test_a_till_beyond_retention_hears_of_members_and_is_not_offline_each_minute(lane: Lane, centre: Centre):
    before = backup(centre)
    live(lane, 20, Kept(days=14, events=0))
    put_back(centre, before)
    lane.settle()
    assert lane.journal.outbox.suspended() == "sync.beyond_retention"
    ben = centre.member(BEN)
    lane.settle()
    assert lane.cache.member_of_account(ben) is not None
    assert not lane.uplink.is_offline()


def test_an_epoch_that_is_over_is_brought_again_too(lane: Lane, centre: Centre):
    before = backup(centre)
    lane.sell("r1", "r2")
    lane.settle()
    lane.stop()
    (lane.folder / "journal.db").rename(lane.folder / "journal.kept")
    (lane.folder / "journal.db").write_bytes(b"not a database, but a page of something else" * 100)
    lane.start()  # nothing can be saved of it
    lane.sell("r3")
    lane.settle()
    lane.stop()
    lane.start()
    lane.sell("r4")
    lane.settle()
    assert receipts(centre) == [(f"r{n}", "posted") for n in (1, 2, 3, 4)]
    put_back(centre, before)
    for _ in range(3):
        lane.settle()
    # What was lost at the till as well is lost now; the rest is here again.
    assert receipts(centre) == [("r3", "posted"), ("r4", "posted")]
    in_order(centre)


def test_two_epochs_of_one_till_are_brought_again(lane: Lane, centre: Centre, tmp_path: Path):
    before = backup(centre)
    lane.sell("r1", "r2")
    lane.settle()
    lane.stop()
    lane.copy(tmp_path / "image")
    lane.start()
    lane.sell("r3")
    lane.settle()
    lane.stop()
    lane.put_back(tmp_path / "image")
    lane.start()
    lane.sell("r4")
    lane.settle()
    assert receipts(centre) == [(f"r{n}", "posted") for n in (1, 2, 3, 4)]
    put_back(centre, before)
    for _ in range(3):
        lane.settle()
    assert receipts(centre) == [(f"r{n}", "posted") for n in (1, 2, 4)]
    assert lane.journal.outbox.left_unsent() == 0
    in_order(centre)


def test_a_till_in_an_epoch_of_its_own_that_runs_while_head_office_is_put_back_is_known_again_within_minutes(
    lane: Lane, centre: Centre, tmp_path: Path
):
    before = backup(centre)
    lane.stop()
    lane.copy(tmp_path / "image")
    lane.start()
    lane.sell("r1")
    lane.settle()
    lane.stop()
    lane.put_back(tmp_path / "image")
    lane.start()
    lane.sell("r2")
    lane.settle()
    put_back(centre, before)
    lane.sell("r3")
    until_ms = lane.clock.now().mono_ms + 120_000
    while lane.clock.now().mono_ms < until_ms:
        lane.clock.pass_ms(min(20_000, lane.uplink.run_once()))
    assert receipts(centre) == [("r2", "posted"), ("r3", "posted")]
    assert (lane.journal.backlog(), lane.journal.outbox.suspended()) == (0, "")
    in_order(centre)


def test_what_hangs_in_the_air_is_brought_again_too(lane: Lane, centre: Centre):
    before = backup(centre)
    lane.is_cut = True
    lane.sell("r1", "r2", "r3")
    lane.stop()
    harm_payload(lane.folder / "journal.db", "r2")
    lane.start()
    lane.is_cut = False
    lane.settle()
    assert (receipts(centre), apart(centre)) == ([("r1", "posted")], ["sync.gap"])
    put_back(centre, before)
    for _ in range(3):
        lane.settle()
    assert (receipts(centre), apart(centre)) == ([("r1", "posted")], ["sync.gap"])
    assert lane.journal.left.loose() == []
    lane.clock.pass_ms(15 * DAY_MS)
    lane.journal.prune()
    put_back(centre, before)
    for _ in range(3):
        lane.settle()
    assert apart(centre) == []


def test_a_till_enrolled_since_the_backup_is_enrolled_again_under_a_number_that_it_had(lane: Lane, centre: Centre):
    lane.sell("r1")
    lane.settle()
    before = backup(centre)
    enrol_again(lane)
    lane.sell("r2")
    lane.settle()
    lane.sell("r3")
    assert (receipts(centre), lane.identity.epoch) == ([("r1", "posted"), ("r2", "posted")], 2)
    put_back(centre, before)  # which knows of one enrolment, and gives the second a secret of its own
    enrol_again(lane)
    assert (lane.identity.granted.epoch, lane.identity.epoch > FIRST, lane.why) == (2, True, "")
    assert lane.journal.find("r3") is not None
    lane.sell("r4")
    for _ in range(3):
        lane.settle()
    assert receipts(centre) == [("r1", "posted"), ("r4", "posted")]
    assert apart(centre) == ["sync.bad_chain"]  # r2 and r3, for a person
    assert (lane.journal.backlog(), lane.journal.outbox.suspended()) == (0, "")
    in_order(centre)
    lane.stop()
    lane.start()
    lane.sell("r5")
    lane.settle()
    assert receipts(centre)[-1] == ("r5", "posted")


def enrol_again(lane: Lane) -> None:
    centre, till_id = lane.centre, lane.identity.till_id
    lane.stop()
    with writing(centre.engine) as tx:
        slot = open_slot(tx, centre.random, store_id="S1", label="Lane", now_ms=centre.now, till_id=till_id)
    enrol(
        lane.settings, lane.clock, code=slot.code, fingerprint=fingerprint(centre.signer.public),
        exchange=lambda url, body: lane.exchange(url, body, 0), random_bytes=centre.random.bytes, again=True,
    )  # fmt: skip
    lane.start()


@pytest.mark.parametrize(("name", "value"), [("KEPT_DAYS", "13"), ("KEPT_EVENTS", "49999"), ("BALLAST_MB", "-1")])
def test_less_than_head_office_relies_on_cannot_be_set(name: str, value: str):
    with pytest.raises(BadSettings):
        read_settings(None, {"TALLYPOINT_TILL_DATA_DIR": "till", f"TALLYPOINT_TILL_{name}": value})


def test_more_can_be_set(tmp_path: Path):
    settings = read_settings(
        None,
        {"TALLYPOINT_TILL_DATA_DIR": "till", "TALLYPOINT_TILL_KEPT_DAYS": "60", "TALLYPOINT_TILL_KEPT_EVENTS": "90000"},
    )
    assert (settings.kept_days, settings.kept_events, settings.ballast_mb, settings.tail_path) == (60, 90_000, 16, "")
