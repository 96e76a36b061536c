"""A till whose journal went back in time, or was damaged, goes on; head office has everything that is left, once."""

import os
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from central.coalition.slots import open_slot
from central.database import tables as t
from central.ports import writing
from edge.identity import TillIdentity, write_identity_file, write_secret
from edge.leaving import StillUnsent, leave
from edge.line.enrol import EnrolRefused, enrol
from edge.salvage import salvage
from loyalty.facts.events import Opened
from sync.enrolment import fingerprint
from sync.framing import read_json, split
from sync.provisional import FIRST
from sync.wire import SALVAGE_PATH, BatchHeader
from tests.central.recovering import Lane, apart, in_order, receipts
from tests.central.tills import Centre, Till


@pytest.fixture
def lane(centre: Centre, tmp_path: Path) -> Lane:
    """A till with a tail on another file system, as far as it can tell."""
    centre.member()
    (tmp_path / "stick").mkdir()
    return Lane(centre, tmp_path / "till", tmp_path / "stick")


def posted(*receipt_ids: str) -> list[tuple[str, str]]:
    return [(one, "posted") for one in receipt_ids]


# A journal that went back


def test_a_journal_put_back_from_a_copy_never_continues_its_numbering(lane: Lane, centre: Centre, tmp_path: Path):
    lane.sell("r1")
    lane.settle()
    lane.stop()
    lane.copy(tmp_path / "image")
    lane.start()
    lane.sell("r2", "r3")
    lane.settle()
    assert lane.journal.head().seq == 4  # opened, r1, r2, r3
    lane.stop()
    lane.put_back(tmp_path / "image")
    lane.is_cut = True
    lane.start()
    assert (lane.why, lane.identity.epoch, lane.journal.head().seq) == ("journal.went_back", FIRST + 2, 1)
    opened = lane.journal.entries_after(0)[0].event
    assert isinstance(opened, Opened)
    assert (opened.reason, opened.left_epoch, opened.left_seq) == ("journal.went_back", 1, 2)
    # It sells without the line, and lets nobody spend what it may have let them spend before.
    lane.sell("r4")
    assert lane.journal.outbox.suspended() == "journal.went_back"
    assert lane.journal.float_left(lane.clock.now()).points == 0
    assert receipts(centre) == posted("r1", "r2", "r3")
    lane.is_cut = False
    lane.settle()
    assert receipts(centre) == posted("r1", "r2", "r3", "r4")
    assert (lane.journal.backlog(), lane.journal.outbox.left_unsent(), lane.journal.outbox.suspended()) == (0, 0, "")
    epochs = select(t.stream.c.epoch, t.stream.c.state).where(t.stream.c.state != "centre").order_by(t.stream.c.epoch)
    assert centre.rows(epochs) == [(1, "left"), (FIRST + 2, "active")]
    assert centre.figures("stream_provisional") == {"epoch": FIRST + 2, "left_epoch": 1, "here": 4, "missing": 0}
    # It is an epoch like any other from now on.
    lane.stop()
    lane.start()
    assert lane.why == ""
    lane.sell("r5")
    lane.settle()
    assert receipts(centre) == posted("r1", "r2", "r3", "r4", "r5")
    assert lane.journal.float_left(lane.clock.now()).points > 0
    in_order(centre)


def test_a_sale_repeated_after_the_journal_went_back_is_posted_once(lane: Lane, centre: Centre, tmp_path: Path):
    lane.stop()
    lane.copy(tmp_path / "image")
    lane.start()
    lane.sell("r1")
    lane.settle()
    lane.stop()
    lane.put_back(tmp_path / "image")
    lane.start()
    lane.sell("r1", "r2")  # the POS never got its answer, and the till has forgotten it
    lane.settle()
    assert receipts(centre) == [("r1", "posted"), ("r1", "quarantined"), ("r2", "posted")]
    in_order(centre)


def test_an_emptied_journal_is_noticed_by_its_tail(lane: Lane, centre: Centre):
    lane.sell("r1", "r2")
    lane.settle()
    lane.stop()
    (lane.folder / "journal.db").write_bytes(b"")
    lane.start()
    assert lane.why == "journal.went_back"
    lane.sell("r3")
    lane.settle()
    assert receipts(centre) == posted("r1", "r2", "r3")
    in_order(centre)


def test_a_code_from_before_a_till_began_an_epoch_of_its_own_has_lapsed_and_is_no_alarm(lane: Lane, centre: Centre):
    """Somebody gives out a code for a till that is in trouble; it is started once more before the code is typed in."""
    lane.sell("r1")
    lane.settle()
    lane.stop()
    (lane.folder / "journal.db").write_bytes(b"")
    with writing(centre.engine) as tx:
        slot = open_slot(
            tx, centre.random, store_id="S1", label="lane", now_ms=centre.now, till_id=lane.identity.till_id
        )
    lane.start()
    lane.settle()
    lane.stop()
    with pytest.raises(EnrolRefused, match="has lapsed; ask head office for a new one"):
        enrol(
            lane.settings, lane.clock, code=slot.code, fingerprint=fingerprint(centre.signer.public),
            exchange=lambda url, body: lane.exchange(url, body, 0), random_bytes=os.urandom, again=True,
        )  # fmt: skip
    assert centre.rows(select(t.flag.c.cause).where(t.flag.c.cause == "enrolment.code_used")) == []


def test_events_that_were_announced_and_are_lost_are_named_by_their_number(lane: Lane, centre: Centre, tmp_path: Path):
    lane.sell("r1")
    lane.settle()
    lane.stop()
    lane.copy(tmp_path / "image")
    lane.start()
    lane.sell("r2", "r3")
    lane.clock.pass_ms(2 * 3_600_000)
    step = lane.uplink.ask()  # the hello, which announces them
    assert not isinstance(step, int)
    lane.uplink.give(step, lane.exchange("http://centre.test" + step.path, step.body, 1_000))
    assert not isinstance(lane.uplink.ask(), int)  # the batch is noted in the tail, and never arrives
    lane.stop()
    lane.put_back(tmp_path / "image")
    lane.start()
    assert lane.why == "journal.went_back"
    lane.settle()
    assert centre.figures("stream_provisional") == {"epoch": FIRST + 2, "left_epoch": 1, "here": 2, "missing": 2}


def test_a_till_that_went_back_unnoticed_and_sold_beyond_what_was_known_brings_the_proof(
    centre: Centre, tmp_path: Path
):
    """It stands further than head office, whose word of where it stands tells the till alone that they differ."""
    centre.member()
    lane = Lane(centre, tmp_path / "till")
    lane.sell("r1")
    lane.settle()
    lane.stop()
    lane.copy(tmp_path / "image")
    lane.start()
    lane.sell("r2", "r3")
    lane.settle()
    lane.stop()
    lane.put_back(tmp_path / "image")
    lane.start()
    lane.is_cut = True
    lane.sell("x2", "x3", "x4", "x5")
    lane.is_cut = False
    for _ in range(3):
        lane.settle()
    assert (receipts(centre), apart(centre)) == (posted("r1", "r2", "r3"), ["sync.fork"])
    assert (0, "sync.fork") in centre.flags()
    assert lane.journal.outbox.suspended() in ("sync.fork", "sync.suspended")


def test_a_till_without_a_tail_goes_on_as_before(centre: Centre, tmp_path: Path):
    centre.member()
    lane = Lane(centre, tmp_path / "till")
    lane.sell("r1")
    lane.stop()
    lane.start()
    assert (lane.why, lane.identity.epoch, lane.tail.trouble) == ("", 1, "")


def test_a_tail_that_cannot_be_written_is_told_and_stops_no_sale(centre: Centre, tmp_path: Path):
    centre.member()
    lane = Lane(centre, tmp_path / "till", tmp_path / "nowhere" / "tail")
    lane.sell("r1")
    lane.settle()
    assert lane.tail.trouble == "No such file or directory"
    assert receipts(centre) == posted("r1")


def test_a_machine_that_was_replaced_gives_itself_no_epoch_that_counts_but_brings_its_sales(lane: Lane, centre: Centre):
    """It comes back from a shelf with a journal that went back."""
    lane.sell("r1")
    lane.settle()
    lane.stop()
    Till(centre, "S1", till_id=lane.identity.till_id)
    (lane.folder / "journal.db").write_bytes(b"")
    for end in ("-wal", "-shm"):
        (lane.folder / f"journal.db{end}").unlink(missing_ok=True)
    lane.start()
    assert lane.why == "journal.went_back"
    lane.sell("r2")
    lane.settle()
    assert lane.journal.outbox.suspended() == "sync.unknown_epoch"
    assert receipts(centre) == posted("r1", "r2")
    assert (lane.journal.backlog(), centre.flags()) == (0, [(0, "stream_unheard")])
    states = select(t.stream.c.epoch, t.stream.c.state).where(t.stream.c.till_id == lane.identity.till_id)
    assert sorted(centre.rows(states)) == [(1, "left"), (2, "active"), (FIRST + 2, "left")]
    assert lane.journal.float_left(lane.clock.now()).points == 0
    in_order(centre)


# A journal that was damaged


def harm_payload(path: Path, receipt_id: str) -> None:
    """One letter of a sale turns into another."""
    with sqlite3.connect(path) as db:
        (payload,) = db.execute("SELECT payload FROM event WHERE receipt_id = ?", (receipt_id,)).fetchone()
        changed = payload.replace(b'"bread"', b'"break"')
        assert changed != payload
        db.execute("UPDATE event SET payload = ? WHERE receipt_id = ?", (changed, receipt_id))
    db.close()


def test_of_a_damaged_journal_everything_true_reaches_head_office_once(lane: Lane, centre: Centre):
    lane.sell("r1", "r2")
    lane.settle()
    lane.is_cut = True
    lane.sell("r3", "r4", "r5", "r6")
    lane.stop()
    harm_payload(lane.folder / "journal.db", "r5")
    began = time.monotonic()
    lane.start()
    lane.sell("r7")
    assert time.monotonic() - began < 60
    assert lane.why == "journal.salvaged"
    # A sale that was saved is answered as it was, though its journal is another file.
    assert lane.journal.find("r4") is not None
    assert lane.journal.find("r5") is None
    lane.is_cut = False
    lane.settle()
    assert receipts(centre) == posted("r1", "r2", "r3", "r4", "r7")
    assert lane.journal.outbox.left_unsent() == 0
    assert apart(centre) == ["sync.gap"]  # r6 hangs in the air, for r5 before it is lost
    assert (lane.journal.left.loose(), len(list(lane.folder.glob("damaged-*/journal.db")))) == ([], 1)
    in_order(centre)
    lane.settle()
    assert apart(centre) == ["sync.gap"]


def test_what_was_salvaged_and_came_already_is_not_posted_twice(lane: Lane, centre: Centre):
    lane.sell("r1", "r2")
    lane.settle()
    lane.stop()
    with sqlite3.connect(lane.folder / "journal.db") as db:
        db.execute("UPDATE stream SET acked_seq = 0, acked_hash = ?", ("0" * 64,))
    db.close()
    harm_payload(lane.folder / "journal.db", "r2")
    lane.start()
    lane.settle()
    assert receipts(centre) == posted("r1", "r2")
    assert lane.journal.outbox.left_unsent() == 0
    in_order(centre)


def salvaged(lane: Lane, *, harmed: str, following: str) -> None:
    """The till starts over a sale whose bytes were harmed, and sells on."""
    lane.stop()
    harm_payload(lane.folder / "journal.db", harmed)
    lane.start()
    assert lane.why == "journal.salvaged"
    lane.sell(following)


def test_a_till_salvaged_twice_before_it_was_heard_brings_everything(lane: Lane, centre: Centre):
    lane.is_cut = True
    lane.sell("r1")
    salvaged(lane, harmed="r1", following="r2")
    salvaged(lane, harmed="r2", following="r3")
    lane.is_cut = False
    lane.settle()
    assert receipts(centre) == posted("r3")
    states = select(t.stream.c.state).where(t.stream.c.till_id == lane.identity.till_id).order_by(t.stream.c.epoch)
    assert centre.rows(states) == [("left",), ("left",), ("active",)]
    assert lane.journal.outbox.left_unsent() == 0
    in_order(centre)


def test_what_hung_in_the_air_survives_a_second_salvage(lane: Lane, centre: Centre):
    lane.is_cut = True
    lane.sell("r1", "r2", "r3")
    salvaged(lane, harmed="r2", following="r4")
    salvaged(lane, harmed="r4", following="r5")
    lane.is_cut = False
    lane.settle()
    assert receipts(centre) == posted("r1", "r5")
    ((code, evidence),) = centre.rows(select(t.quarantine.c.code, t.quarantine.c.evidence))
    assert (code, read_json(split(evidence), BatchHeader).first_seq) == ("sync.gap", 4)  # r3: opened, r1 and r2 before
    in_order(centre)


def test_a_salvage_cut_short_between_its_files_is_ended_by_the_next_start(lane: Lane, centre: Centre, tmp_path: Path):
    lane.sell("r1", "r2")
    lane.stop()
    harm_payload(lane.folder / "journal.db", "r2")
    lane.start()
    lane.stop()
    # As if power went after the damaged file was moved, before its log was and the new one had its name.
    (lane.folder / "journal.db").rename(lane.folder / "journal-salvaged.db")
    write_secret(lane.folder / "salvaged-identity.json", lane.identity)
    (lane.folder / "journal.db-wal").write_bytes(b"a log of another file" * 500)
    lane.start()
    assert (lane.why, lane.journal.find("r1") is not None) == ("", True)
    lane.settle()
    assert receipts(centre) == posted("r1")


def test_a_till_whose_salvage_was_cut_short_does_not_leave_without_what_was_saved(lane: Lane):
    lane.is_cut = True
    lane.sell("r1", "r2")
    lane.stop()
    harm_payload(lane.folder / "journal.db", "r2")
    lane.start()
    lane.stop()
    # As if power went after the damaged file was moved, before the new one had its name.
    (lane.folder / "journal.db").rename(lane.folder / "journal-salvaged.db")
    write_secret(lane.folder / "salvaged-identity.json", lane.identity)
    with pytest.raises(StillUnsent):
        leave(lane.settings, lane.clock, exchange=lambda url, body: lane.exchange(url, body, 0), alone=True)
    lane.start()
    assert lane.journal.find("r1") is not None


def test_somebody_elses_batch_of_an_epoch_that_is_over_is_kept_apart(centre: Centre):
    till = centre.till()
    till.sell("x1", 500)
    batch = till.batch()
    Till(centre, "S1", till_id=till.head.till_id)  # enrolled anew before it was sent
    assert centre.session.answer(centre.now, SALVAGE_PATH, batch, centre.store).status == 200
    assert receipts(centre) == posted("x1")
    assert centre.session.answer(centre.now, SALVAGE_PATH, batch, centre.store).status == 200
    till.sell("x2", 500)
    till.sell("x3", 500)
    late = centre.session.answer(centre.now, SALVAGE_PATH, till.batch(first=3), centre.store)
    assert (late.status, apart(centre)) == (409, ["sync.gap"])
    in_order(centre)


@pytest.mark.parametrize("is_noted", [True, False], ids=["noted", "tail out of reach"])
def test_a_till_enrolled_anew_before_its_own_epoch_was_heard_brings_that_too(
    lane: Lane, centre: Centre, is_noted: bool
):
    lane.sell("r1")
    lane.is_cut = True
    lane.stop()
    harm_payload(lane.folder / "journal.db", "r1")
    lane.start()
    lane.sell("r2")
    assert lane.identity.epoch > FIRST
    lane.stop()
    again = Till(centre, "S1", till_id=lane.identity.till_id)  # head office knows of nothing, and gives epoch 2
    write_identity_file(
        lane.folder, TillIdentity(seed=again.secret.hex(), install_id=again.install, granted=again.identity)
    )
    if is_noted:
        lane.tail.note(again.head)  # as enrolling does, where power does not go just then
    lane.start()
    assert (lane.why, lane.identity.epoch, lane.journal.head().seq) == ("", 2, 1)
    opened = lane.journal.entries_after(0)[0].event
    assert isinstance(opened, Opened)
    assert (opened.left_epoch, opened.left_seq) == (FIRST + 2, 2)
    lane.sell("r3")
    lane.is_cut = False
    lane.settle()
    lane.settle()
    assert receipts(centre) == posted("r2", "r3")
    assert lane.journal.outbox.left_unsent() == 0
    in_order(centre)


def test_of_one_disk_in_two_machines_one_goes_on_and_the_other_brings_its_sales(
    lane: Lane, centre: Centre, tmp_path: Path
):
    lane.sell("r1")
    lane.settle()
    lane.stop()
    lane.copy(tmp_path / "image")
    tail = tmp_path / "stick" / "tallypoint-tail"
    marks = tail.read_bytes()
    (lane.folder / "journal.db").write_bytes(b"")
    for end in ("-wal", "-shm"):
        (lane.folder / f"journal.db{end}").unlink(missing_ok=True)
    lane.start()
    lane.sell("r2")
    lane.settle()
    assert lane.journal.outbox.suspended() == ""
    lane.stop()
    # The other one draws another epoch, below or above: it is not the till's present one, so it waits.
    lane.put_back(tmp_path / "image")
    tail.write_bytes(marks)
    (lane.folder / "journal.db").write_bytes(b"")
    for end in ("-wal", "-shm"):
        (lane.folder / f"journal.db{end}").unlink(missing_ok=True)
    lane.drawn = -1
    lane.start()
    assert lane.identity.epoch == FIRST + 1
    lane.sell("r9")
    lane.settle()
    assert lane.journal.outbox.suspended() == "sync.old_epoch"
    assert receipts(centre) == posted("r1", "r2", "r9")
    assert [cause for _, cause in centre.flags()] == ["stream_provisional", "stream_unheard"]
    in_order(centre)


@pytest.mark.parametrize(
    "cut", ["_write_file", "_write_journal", "write_secret", "_move_aside", "finish_salvage", "write_identity_file"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_wherever_a_salvage_is_cut_short_the_next_start_ends_it(
    lane: Lane, centre: Centre, monkeypatch: pytest.MonkeyPatch, cut: str, when: str
):
    lane.is_cut = True
    lane.sell("r1", "r2", "r3")
    lane.stop()
    harm_payload(lane.folder / "journal.db", "r3")
    step = getattr(salvage, cut)

    class Cut(Exception):
        pass

    def cut_short(*given: object) -> None:
        if when == "after":
            step(*given)
        raise Cut

    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(salvage, cut, cut_short)
        lane.start()
    lane.start()
    lane.sell("r4")
    assert [one for one in ("r1", "r2", "r3") if lane.journal.find(one)] == ["r1", "r2"]
    lane.is_cut = False
    lane.settle()
    lane.settle()
    assert receipts(centre) == posted("r1", "r2", "r4")
    in_order(centre)
