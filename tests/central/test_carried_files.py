"""What a till cannot send goes to head office in a file, its answers come back in another; and how a till leaves."""

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from central.coalition.streams import revoke_till
from central.database import tables as t
from central.intake.imports import Imported, import_file
from central.ports import writing
from edge.leaving import Gone, LeaveRefused, NotCovered, StillUnsent, leave
from edge.line.exporting import NothingToExport, export, take_answers
from loyalty.trouble import Refusal
from sync.exports import open_answers
from sync.framing import open_signed, split
from sync.keys import one_key
from sync.wire import ACK_TAG, Ack, Answer
from tests.central.recovering import Lane, NoLine, apart, in_order, receipts
from tests.central.tills import NOW, Centre, Till

POSTED = "posted"


@pytest.fixture
def lane(centre: Centre, tmp_path: Path) -> Lane:
    centre.member()
    return Lane(centre, tmp_path / "till")


def exported(lane: Lane) -> bytes:
    return export(lane.folder, lane.identity, lane.clock.wall_ms).data


def imported(centre: Centre, data: bytes) -> Imported:
    return import_file(data, session=centre.session, store=centre.store, signer=centre.signer, now_ms=centre.now)


# Files


def test_a_file_is_taken_as_the_line_would_have_been_and_its_answers_settle_the_till(lane: Lane, centre: Centre):
    lane.sell("r1")
    lane.settle()
    lane.is_cut = True
    lane.sell("r2", "r3")
    told = export(lane.folder, lane.identity, lane.clock.wall_ms)
    assert (told.batches, told.events) == (1, 2)
    done = imported(centre, told.data)
    assert (done.taken, done.apart) == (1, 0)
    assert receipts(centre) == [("r1", POSTED), ("r2", POSTED), ("r3", POSTED)]
    assert lane.journal.backlog() == 2
    settled = take_answers(lane.journal, lane.identity, done.answers, NOW)
    assert (settled.acked_seq, settled.apart, lane.journal.backlog()) == (4, (), 0)
    with pytest.raises(NothingToExport):
        exported(lane)
    # The line comes back: neither side thinks that anything is missing or new.
    lane.is_cut = False
    lane.sell("r4")
    lane.settle()
    assert (len(receipts(centre)), lane.journal.backlog(), lane.journal.outbox.suspended()) == (4, 0, "")
    in_order(centre)


def test_the_same_file_again_posts_nothing_and_says_the_same(lane: Lane, centre: Centre):
    lane.is_cut = True
    lane.sell("r1", "r2")
    data = exported(lane)
    first, second = imported(centre, data), imported(centre, data)
    keys = one_key(centre.signer.public)
    heads = [
        [open_signed(ACK_TAG, one.body, Ack, keys)[0].head for one in open_answers(done.answers, keys)[1]]
        for done in (first, second)
    ]
    assert heads[0] == heads[1] == [lane.journal.head()]
    assert receipts(centre) == [("r1", POSTED), ("r2", POSTED)]
    in_order(centre)


def test_a_file_that_was_overtaken_by_the_line_changes_nothing(lane: Lane, centre: Centre):
    lane.is_cut = True
    lane.sell("r1")
    data = exported(lane)
    lane.is_cut = False
    lane.sell("r2")
    lane.settle()
    done = imported(centre, data)
    settled = take_answers(lane.journal, lane.identity, done.answers, NOW)
    assert (done.apart, settled.acked_seq, len(receipts(centre))) == (0, 3, 2)
    in_order(centre)


def test_more_than_five_hundred_events_are_several_batches(lane: Lane, centre: Centre):
    lane.is_cut = True
    lane.sell(*(f"r{n}" for n in range(620)))
    told = export(lane.folder, lane.identity, lane.clock.wall_ms)
    assert told.batches == 2
    done = imported(centre, told.data)
    assert done.taken == 2
    assert take_answers(lane.journal, lane.identity, done.answers, NOW).acked_seq == 621


@pytest.mark.parametrize("at", [10, 100, -20])
def test_a_file_that_was_changed_on_the_way_is_not_taken_at_all(lane: Lane, centre: Centre, at: int):
    lane.is_cut = True
    lane.sell("r1")
    data = bytearray(exported(lane))
    data[at] ^= 1
    with pytest.raises(Refusal):
        imported(centre, bytes(data))
    assert receipts(centre) == []


def test_answers_of_another_till_or_another_centre_are_not_believed(lane: Lane, centre: Centre, tmp_path: Path):
    lane.is_cut = True
    lane.sell("r1")
    other = Lane(centre, tmp_path / "other")
    other.is_cut = True
    other.sell("x1")
    theirs = imported(centre, exported(other)).answers
    with pytest.raises(Refusal) as refused:
        take_answers(lane.journal, lane.identity, theirs, NOW)
    assert refused.value.code == "export.other_till"
    forged = bytearray(imported(centre, exported(lane)).answers)
    forged[2 + 20] ^= 1
    with pytest.raises(Refusal):
        take_answers(lane.journal, lane.identity, bytes(forged), NOW)
    assert lane.journal.backlog() == 1


def test_a_till_that_was_replaced_brings_its_last_sales_in_a_file(lane: Lane, centre: Centre):
    lane.is_cut = True
    lane.sell("r1")
    Till(centre, "S1", till_id=lane.identity.till_id)
    done = imported(centre, exported(lane))
    assert (done.taken, receipts(centre)) == (1, [("r1", POSTED)])
    in_order(centre)


def test_what_a_revoked_till_brings_is_kept_apart(lane: Lane, centre: Centre):
    lane.is_cut = True
    lane.sell("r1")
    with writing(centre.engine) as tx:
        revoke_till(tx, lane.identity.till_id, "stolen")
    done = imported(centre, exported(lane))
    assert (done.taken, done.apart, receipts(centre), apart(centre)) == (0, 1, [], ["sync.revoked"])
    settled = take_answers(lane.journal, lane.identity, done.answers, NOW)
    assert settled.apart == ("sync.revoked",)
    assert lane.journal.backlog() == 1


def test_a_revoked_till_brings_everything_into_quarantine_by_itself_and_keeps_it(lane: Lane, centre: Centre):
    lane.settle()
    lane.is_cut = True
    lane.sell(*(f"r{n}" for n in range(510)))
    with writing(centre.engine) as tx:
        revoke_till(tx, lane.identity.till_id, "stolen")
    lane.is_cut = False
    lane.settle()
    lane.settle()
    assert lane.journal.outbox.suspended() == "sync.revoked"
    assert (receipts(centre), apart(centre)) == ([], ["sync.revoked", "sync.revoked"])
    assert lane.journal.backlog() == 511  # and that it rests its float
    lane.sell("later")
    lane.settle()
    assert len(apart(centre)) == 3


# Leaving


def left(lane: Lane, **how: object) -> Gone:
    lane.stop()
    return leave(lane.settings, lane.clock, exchange=lambda url, body: lane.exchange(url, body, 0), **how)


def state_of(centre: Centre, lane: Lane) -> tuple[str, str]:
    here = t.stream.c.till_id == lane.identity.till_id, t.stream.c.epoch == lane.identity.epoch
    (row,) = centre.rows(select(t.stream.c.state, t.stream.c.reason).where(*here))
    return row  # type: ignore[return-value]


def test_a_till_that_sent_everything_leaves_and_forgets_everything(lane: Lane, centre: Centre):
    lane.sell("r1")
    lane.settle()
    (lane.folder / "damaged-1").mkdir()
    (lane.folder / "damaged-1" / "journal.db").write_bytes(b"old")
    (lane.folder / "identity-1.json").write_bytes((lane.folder / "identity.json").read_bytes())
    (lane.folder / "identity-1.json").chmod(0o600)
    assert left(lane) == Gone(till_id=lane.identity.till_id, to_come=0)
    assert [path.name for path in lane.folder.iterdir()] == ["service.lock"]
    assert state_of(centre, lane) == ("left", "till_left")
    # The lane may have another machine, and nothing of the old one's is lost.
    again = Till(centre, "S1", till_id=lane.identity.till_id)
    again.sell("s1", 500)
    again.upload()
    assert receipts(centre) == [("r1", POSTED), ("s1", POSTED)]
    in_order(centre)


def test_a_till_does_not_leave_while_anything_is_unsent(lane: Lane, centre: Centre):
    lane.settle()
    lane.sell("r1")
    with pytest.raises(StillUnsent) as refused:
        left(lane)
    assert refused.value.figures == {"unsent": 1, "people": 0}
    assert (lane.folder / "identity.json").exists()
    assert state_of(centre, lane) == ("active", "")


def test_a_till_leaves_with_a_file_and_its_last_sales_come_after_it(lane: Lane, centre: Centre):
    lane.settle()
    lane.sell("r1", "r2")
    data = exported(lane)
    gone = left(lane, exported=data)
    assert gone.to_come == 2
    assert not (lane.folder / "journal.db").exists()
    assert centre.figures("till_left") == {"epoch": 1, "to_come": 2}
    assert imported(centre, data).taken == 1
    assert receipts(centre) == [("r1", POSTED), ("r2", POSTED)]
    assert imported(centre, data).taken == 1
    in_order(centre)


def test_a_file_from_before_the_last_sale_does_not_let_a_till_leave(lane: Lane):
    lane.is_cut = True
    lane.sell("r1")
    data = exported(lane)
    lane.sell("r2")
    with pytest.raises(NotCovered):
        left(lane, exported=data)
    assert (lane.folder / "identity.json").exists()


def test_a_till_that_is_not_heard_keeps_everything_unless_it_leaves_alone(lane: Lane, centre: Centre):
    lane.settle()
    lane.is_cut = True
    with pytest.raises(NoLine):
        left(lane)
    assert (lane.folder / "identity.json").exists()
    assert left(lane, alone=True).to_come is None
    assert not (lane.folder / "identity.json").exists()
    assert state_of(centre, lane) == ("active", "")


def test_a_till_that_head_office_stopped_does_not_leave(lane: Lane, centre: Centre):
    lane.settle()
    with writing(centre.engine) as tx:
        tx.execute(t.stream.update().where(t.stream.c.till_id == lane.identity.till_id).values(state="suspended"))
    with pytest.raises(LeaveRefused, match="decision at head office"):
        left(lane)
    assert (lane.folder / "identity.json").exists()


def test_when_the_answer_to_a_leave_is_lost_it_is_asked_again(lane: Lane, centre: Centre):
    lane.settle()
    lane.stop()

    def lose(url: str, body: bytes) -> Answer:
        lane.exchange(url, body, 0)
        raise NoLine("the answer was lost")

    with pytest.raises(NoLine):
        leave(lane.settings, lane.clock, exchange=lose)
    assert state_of(centre, lane) == ("left", "till_left")
    assert left(lane).to_come == 0


def test_an_answer_that_head_office_did_not_sign_destroys_nothing(lane: Lane):
    lane.settle()
    lane.stop()

    def portal(url: str, body: bytes) -> Answer:
        answer = lane.exchange(url, body, 0)
        parts = split(answer.body)
        return msgspec.structs.replace(answer, body=answer.body[:2] + parts.json + bytes(64))

    with pytest.raises(Refusal):
        leave(lane.settings, lane.clock, exchange=portal)
    assert (lane.folder / "identity.json").exists()
