"""Head office comes back from a backup that is older than a till's enrolment: the till shows what it was granted."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from central.backups.restoring import note_restore
from central.coalition.registry import load_coalition
from central.coalition.slots import TillUndecided, open_slot
from central.coalition.streams import resume_stream, revoke_till
from central.database import tables as t
from central.intake.reinstated import reinstate_stream, replay_reinstated
from central.ports import writing
from sync.chain import StreamHead
from sync.provisional import FIRST, provisional_genesis
from sync.refusals import NotOurAnswer
from sync.wire import SALVAGE_PATH, Ack, HelloAnswer, Problem
from tests.central import test_told_leases
from tests.central.recovering import Lane, apart, in_order, receipts
from tests.central.test_keys import refused_page
from tests.central.test_refill import enrol_again
from tests.central.test_told_leases import backup, put_back
from tests.central.tills import COALITION, Centre, Till

LOST = "enrolment_lost"


@pytest.fixture(autouse=True)
def member(centre: Centre) -> int:
    return centre.member()


def lane_of(centre: Centre, tmp_path: Path) -> Lane:
    (tmp_path / "stick").mkdir()
    return Lane(centre, tmp_path / "till", tmp_path / "stick")


def settle(lane: Lane) -> None:
    for _ in range(3):
        lane.settle()


def within_two_minutes(lane: Lane) -> None:
    """It is not waited for the hello of the hour."""
    until_ms = lane.clock.now().mono_ms + 120_000
    while lane.clock.now().mono_ms < until_ms:
        lane.clock.pass_ms(min(20_000, lane.uplink.run_once()))


def go_on(centre: Centre, till_id: str, epoch: int = 1) -> None:
    """What `central resume` does."""
    with writing(centre.engine) as tx:
        assert resume_stream(tx, till_id, epoch)


def streams(centre: Centre, till_id: str) -> list[tuple[Any, ...]]:
    chosen = select(t.stream.c.epoch, t.stream.c.state, t.stream.c.reason).where(t.stream.c.till_id == till_id)
    return centre.rows(chosen.order_by(t.stream.c.epoch))


def posted(*receipt_ids: str) -> list[tuple[str, str]]:
    return [(one, "posted") for one in receipt_ids]


def sold(centre: Centre, store_id: str = "S1") -> Till:
    """A till that has sold r1, which is here."""
    till = Till(centre, store_id)
    till.sell("r1", 1_000)
    till.upload()
    return till


def two_lost(centre: Centre) -> tuple[Till, Till]:
    """A lane that is new since the backup, and was given to a second machine since: the first sold r1, that one r2."""
    before = backup(centre)
    early = sold(centre)
    late = Till(centre, "S1", till_id=early.head.till_id, seed="late")
    late.sell("r2", 1_000)
    late.upload()
    put_back(centre, before)
    return early, late


def shown(till: Till) -> str:
    """What head office says to a hello with the till's paper: a code, "" for well."""
    return said(till.hello(paper=till.identity.paper))


def said(answer: Any) -> str:
    return answer.code if isinstance(answer, Problem) else ""


# A lane that is new since the backup


def test_a_till_enrolled_since_the_backup_brings_every_sale_once_a_person_lets_it_go_on(
    centre: Centre, tmp_path: Path
) -> None:
    before = backup(centre)
    lane = lane_of(centre, tmp_path)
    lane.sell("r1", "r2")
    lane.settle()
    assert receipts(centre) == posted("r1", "r2")
    put_back(centre, before)
    lane.sell("r3")
    settle(lane)
    # It is known again, and waits; nothing of it is booked, and it goes on selling.
    assert streams(centre, lane.identity.till_id) == [(1, "suspended", LOST)]
    assert centre.figures(LOST) == {
        "epoch": 1, "store_id": "S1", "label": "Lane", "enrolled_at_ms": lane.identity.granted.server_at_ms,
    }  # fmt: skip
    assert (receipts(centre), apart(centre), lane.journal.outbox.suspended()) == ([], [], "sync.suspended")
    lane.sell("r4")
    go_on(centre, lane.identity.till_id)
    within_two_minutes(lane)
    assert receipts(centre) == posted("r1", "r2", "r3", "r4")
    assert centre.rows(select(t.lot.c.points)) == [(40,)]  # a point a euro, 10.00 each
    assert (lane.journal.backlog(), lane.journal.outbox.suspended()) == (0, "")
    # What was granted to it stands again, once, and it spends on.
    assert centre.rows(select(t.stream.c.float_granted).where(t.stream.c.state == "active")) == [(2_000,)]
    assert lane.journal.float_left(lane.clock.now()).points == 2_000
    lane.stop()
    lane.start()
    lane.sell("r5")
    settle(lane)
    assert receipts(centre) == posted("r1", "r2", "r3", "r4", "r5")
    assert [cause for _, cause in centre.flags() if cause == LOST] == [LOST]
    in_order(centre)


def test_one_enrolled_by_a_code_that_the_backup_has_unused_comes_back_and_the_code_has_lapsed(centre: Centre) -> None:
    with writing(centre.engine) as tx:
        slot = open_slot(tx, centre.random, store_id="S1", label="Lane", now_ms=centre.now)
    before = backup(centre)
    till = Till(centre, "S1", slot=slot)
    till.sell("r1", 1_000)
    till.upload()
    put_back(centre, before)
    assert shown(till) == "sync.suspended"
    with pytest.raises(AssertionError, match="has lapsed"):
        Till(centre, "S1", slot=slot, seed="another machine")
    go_on(centre, till.identity.till_id)
    assert shown(till) == ""
    till.sent = 0
    till.upload()
    assert receipts(centre) == posted("r1")
    in_order(centre)


def test_one_that_was_revoked_since_the_backup_books_nothing_and_hears_nothing_before_a_person_decides(
    centre: Centre,
) -> None:
    before = backup(centre)
    till = sold(centre)
    with writing(centre.engine) as tx:
        revoke_till(tx, till.identity.till_id, "stolen")
    put_back(centre, before)
    assert shown(till) == "sync.suspended"
    till.sell("r2", 900_000)
    assert said(till.send(till.batch(1, 2))) == said(till.send(till.batch(1, 2), SALVAGE_PATH)) == "sync.suspended"
    assert refused_page(till) == "sync.suspended"
    assert said(till.ask("H1", 1, 10)) == "sync.suspended"
    assert (receipts(centre), apart(centre)) == ([], ["sync.suspended"] * 2)
    with writing(centre.engine) as tx:
        revoke_till(tx, till.identity.till_id, "stolen")
    assert shown(till) == said(till.send(till.batch(1, 2), SALVAGE_PATH)) == "sync.revoked"
    assert receipts(centre) == []
    in_order(centre)


def in_an_epoch_of_its_own(till: Till) -> None:
    """The till begins one that it gives itself."""
    alone = FIRST + 9
    till.genesis, till.events, till.sent = provisional_genesis(till.genesis, alone), [], 0
    till.head = till.start = StreamHead(till_id=till.head.till_id, epoch=alone)


def test_nor_does_whoever_has_it_get_round_that_by_epochs_of_his_own(centre: Centre) -> None:
    before = backup(centre)
    till = sold(centre)
    put_back(centre, before)
    assert shown(till) == "sync.suspended"
    granted = till.genesis, till.head, till.events
    in_an_epoch_of_its_own(till)
    till.sell("r2", 900_000)
    assert said(till.send(till.batch(), SALVAGE_PATH)) == shown(till) == refused_page(till) == "sync.suspended"
    assert streams(centre, till.head.till_id) == [(1, "suspended", LOST)]
    own = till.genesis, till.head, till.events
    till.genesis, till.head, till.events = granted
    till.start = StreamHead(till_id=till.head.till_id, epoch=1)
    assert said(till.send(till.batch(1, 1), SALVAGE_PATH)) == "sync.suspended"
    assert receipts(centre) == []
    # Once it goes on, all of that is brought.
    go_on(centre, till.head.till_id)
    till.genesis, till.head, till.events = own
    assert shown(till) == ""
    assert streams(centre, till.head.till_id) == [(1, "left", ""), (FIRST + 9, "active", "")]
    till.genesis, till.head, till.events = granted
    assert isinstance(till.send(till.batch(1, 1), SALVAGE_PATH), Ack)
    till.genesis, till.head, till.events = own
    till.start = StreamHead(till_id=till.head.till_id, epoch=FIRST + 9)
    assert isinstance(till.send(till.batch(1, 1)), Ack)
    assert receipts(centre) == posted("r1", "r2")
    in_order(centre)


def test_a_store_that_came_since_the_backup_is_entered_before_its_till_is_known(centre: Centre) -> None:
    before = backup(centre)
    acme, bolt = COALITION["partners"]
    grown = {**COALITION, "partners": [{**acme, "stores": [*acme["stores"], {"store_id": "S9"}]}, bolt]}
    with writing(centre.engine) as tx:
        load_coalition(tx, grown, centre.now)
    till = sold(centre, "S9")
    put_back(centre, before)
    assert (shown(till), streams(centre, till.head.till_id)) == ("sync.unknown_till", [])
    with writing(centre.engine) as tx:
        load_coalition(tx, grown, centre.now)
    assert shown(till) == "sync.suspended"


def test_no_paper_counts_where_no_restore_came_after_it(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    before = backup(centre)
    till = sold(centre)
    with monkeypatch.context() as unnoted:
        unnoted.setattr(test_told_leases, "note_restore", lambda _tx: None)
        put_back(centre, before)
    assert (shown(till), streams(centre, till.head.till_id)) == ("sync.unknown_till", [])
    put_back(centre, before)
    assert shown(till) == "sync.suspended"


def test_its_lane_gets_no_other_machine_before_a_person_decides(centre: Centre) -> None:
    before = backup(centre)
    till = sold(centre)
    put_back(centre, before)
    assert shown(till) == "sync.suspended"
    # The new machine would make the enrolment one that is over, of which whatever is still brought is booked.
    with writing(centre.engine) as tx, pytest.raises(TillUndecided, match="central revoke"):
        open_slot(tx, centre.random, store_id="S1", label="Lane", now_ms=centre.now, till_id=till.head.till_id)
    with writing(centre.engine) as tx:
        revoke_till(tx, till.head.till_id, "stolen")
    new = Till(centre, "S1", till_id=till.head.till_id, seed="new")
    assert said(till.send(till.batch(1, 1), SALVAGE_PATH)) == "sync.revoked"
    new.sell("r2", 1_000)
    new.upload()
    assert receipts(centre) == posted("r2")
    in_order(centre)


def test_one_that_goes_on_gives_its_lane_to_another_machine_as_ever(centre: Centre) -> None:
    before = backup(centre)
    till = sold(centre)
    put_back(centre, before)
    assert shown(till) == "sync.suspended"
    go_on(centre, till.head.till_id)
    Till(centre, "S1", till_id=till.head.till_id, seed="new")
    assert isinstance(till.send(till.batch(1, 1), SALVAGE_PATH), Ack)
    assert receipts(centre) == posted("r1")


# A lane of before that was enrolled once more


def test_a_lane_enrolled_once_more_since_the_backup_comes_back_with_what_it_sold_under_either(
    centre: Centre, tmp_path: Path
) -> None:
    lane = lane_of(centre, tmp_path)
    before = backup(centre)
    lane.sell("r1")
    lane.settle()
    lane.sell("r2")
    enrol_again(lane)
    lane.sell("r3")
    put_back(centre, before)
    # What is left of the enrolment before waits too, for its machine may be one that was revoked.
    for _ in range(3):
        with pytest.raises(NotOurAnswer):
            lane.settle()
    assert streams(centre, lane.identity.till_id) == [(1, "left", ""), (2, "suspended", LOST)]
    assert receipts(centre) == []
    go_on(centre, lane.identity.till_id, 2)
    settle(lane)
    assert receipts(centre) == posted("r1", "r2", "r3")
    assert (lane.journal.backlog(), lane.journal.outbox.left_unsent(), apart(centre)) == (0, 0, [])
    in_order(centre)


def test_one_that_was_given_to_another_machine_since_the_restore_stays_with_that(centre: Centre) -> None:
    first = sold(centre)
    before = backup(centre)
    lost = Till(centre, "S1", till_id=first.head.till_id, seed="lost")
    lost.sell("r2", 1_000)
    lost.upload()
    put_back(centre, before)
    new = Till(centre, "S1", till_id=first.head.till_id, seed="new")
    assert (new.head.epoch, lost.head.epoch) == (2, 2)
    assert shown(lost) == "sync.bad_signature"
    new.sell("r3", 1_000)
    new.upload()
    assert receipts(centre) == posted("r1", "r3")
    assert LOST not in [cause for _, cause in centre.flags()]


def test_of_two_enrolments_since_the_backup_the_later_is_the_lanes_and_the_earlier_waits_for_two_people(
    centre: Centre,
) -> None:
    early, late = two_lost(centre)
    assert shown(early) == shown(late) == "sync.suspended"
    assert streams(centre, early.head.till_id) == [(1, "revoked", LOST), (2, "suspended", LOST)]
    assert shown(early) == said(early.send(early.batch(1, 1), SALVAGE_PATH)) == "sync.revoked"
    go_on(centre, late.head.till_id, 2)
    late.sent = 0
    late.upload()
    assert said(early.send(early.batch(1, 1), SALVAGE_PATH)) == "sync.revoked"
    assert receipts(centre) == posted("r2")
    with writing(centre.engine) as tx:
        assert reinstate_stream(tx, early.head.till_id, 1)
    replay_reinstated(centre.engine, centre.now, centre.random, "ada")
    assert receipts(centre) == posted("r1", "r2")
    in_order(centre)


def test_the_earlier_of_them_does_not_keep_the_lane_by_an_epoch_of_its_own(centre: Centre) -> None:
    early, late = two_lost(centre)
    in_an_epoch_of_its_own(early)
    assert shown(early) == shown(late) == "sync.suspended"
    assert streams(centre, early.head.till_id) == [(1, "revoked", LOST), (2, "suspended", LOST)]
    go_on(centre, late.head.till_id, 2)
    late.sent = 0
    late.upload()
    assert shown(early) == "sync.revoked"
    assert receipts(centre) == posted("r2")
    in_order(centre)


@pytest.mark.parametrize("is_alone", [False, True], ids=["in its epoch", "in one of its own"])
def test_a_machine_of_before_that_is_revoked_once_more_before_tills_are_heard_brings_nothing(
    centre: Centre, is_alone: bool
) -> None:
    stolen = sold(centre)
    before = backup(centre)
    with writing(centre.engine) as tx:
        revoke_till(tx, stolen.head.till_id, "stolen")
    late = Till(centre, "S1", till_id=stolen.head.till_id, seed="late")
    late.sell("r3", 1_000)
    late.upload()
    put_back(centre, before)
    with writing(centre.engine) as tx:
        revoke_till(tx, stolen.head.till_id, "stolen")
    if is_alone:
        in_an_epoch_of_its_own(stolen)
    stolen.sell("r2", 900_000)
    assert (shown(stolen), shown(late)) == ("sync.revoked", "sync.suspended")
    go_on(centre, late.head.till_id, 2)
    late.sent = 0
    late.upload()
    assert said(stolen.send(stolen.batch(), SALVAGE_PATH)) == "sync.revoked"
    assert receipts(centre) == posted("r1", "r3")
    in_order(centre)


def test_the_earlier_of_them_is_not_heard_any_more_once_the_later_is_known(centre: Centre) -> None:
    before = backup(centre)
    early = sold(centre)
    late = Till(centre, "S1", till_id=early.head.till_id, seed="late")
    put_back(centre, before)
    assert (shown(late), shown(early)) == ("sync.suspended", "sync.bad_signature")
    assert streams(centre, early.head.till_id) == [(2, "suspended", LOST)]


def test_one_that_is_known_changes_nothing_by_its_paper(centre: Centre) -> None:
    put_back(centre, backup(centre))
    till = sold(centre)
    assert shown(till) == ""
    put_back(centre, backup(centre))
    assert isinstance(till.hello(paper=till.identity.paper), HelloAnswer)
    assert streams(centre, till.head.till_id) == [(1, "active", "")]


def test_a_copy_on_another_machine_is_still_a_copy(centre: Centre) -> None:
    before = backup(centre)
    till = sold(centre)
    put_back(centre, before)
    assert shown(till) == "sync.suspended"
    own, till.install = till.install, "another machine"
    assert shown(till) == "sync.clone"
    go_on(centre, till.head.till_id)
    assert shown(till) == "sync.clone"
    till.install = own
    assert shown(till) == "sync.suspended"
    assert streams(centre, till.head.till_id) == [(1, "suspended", "sync.clone")]
    assert receipts(centre) == []


def test_a_second_restore_of_the_same_backup_brings_it_back_once_more(centre: Centre, tmp_path: Path) -> None:
    before = backup(centre)
    lane = lane_of(centre, tmp_path)
    lane.sell("r1")
    lane.settle()
    for name in ("r2", "r3"):
        put_back(centre, before)
        with writing(centre.engine) as tx:
            note_restore(tx, centre.now)  # as the command does: later than any number before
        lane.sell(name)
        settle(lane)
        assert receipts(centre) == []
        go_on(centre, lane.identity.till_id)
        settle(lane)
    assert receipts(centre) == posted("r1", "r2", "r3")
    in_order(centre)
