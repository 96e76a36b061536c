"""Each thing that always holds can be seen to break: a history is played, something is done to it, and it is judged."""

import json
import zlib
from itertools import count

from msgspec import structs

from central.intake import intake
from central.posting.posting import Poster
from edge.journal.journal import Journal
from edge.journal.promises import Promises
from edge.journal.troubles import JournalBroken
from tallypoint.fleet import run
from tallypoint.fleet.clock import MachineClock
from tallypoint.fleet.evidence import chain, holds_number
from tallypoint.fleet.mishaps import Mishaps
from tallypoint.fleet.record import Record
from tallypoint.fleet.run import AGAIN, judge
from tallypoint.fleet.world import Fleet, Plan

WORKED = "bbde24d81093e29baf47ce866650dfbdd5cb80a94ffbd6b0b51dcb12eb834729"


def plan(seed: int = 3, *, transactions: int = 60, tills: int = 2) -> Plan:
    return Plan(tills=tills, transactions=transactions, seed=seed, faults=())


def played(seed: int = 3) -> Fleet:
    fleet = Fleet(plan(seed))
    fleet.play()
    return fleet


def at_centre(fleet: Fleet, *statements: str) -> None:
    """Change the centre's disk behind its back, also what is append-only."""
    disk = fleet.office.disk.connection
    for (name,) in disk.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        disk.execute(f"DROP TRIGGER {name}")
    disk.execute("PRAGMA foreign_keys = OFF")
    for statement in statements:
        disk.execute(statement)


def broken(fleet: Fleet) -> set[str]:
    """The kinds of what does not hold, such as `lost`; those of the centre's own check left out."""
    return {one.split(":")[0] for one in judge(fleet).violations} - {"books"}


def test_a_history_that_nobody_touched_holds():
    assert judge(played()).violations == ()


def test_an_answered_event_that_is_nowhere_is_lost():
    fleet = played()
    told = next(one for one in fleet.record.told.values() if one.kind == "sale" and one.place[2] > 5)
    till_id, epoch, seq, _ = told.place
    last = f"till_id = '{till_id}' AND epoch = {epoch} AND last_seq >= {seq}"
    at_centre(fleet, f"DELETE FROM batch WHERE {last}")
    for machine in fleet.machines:
        machine.disk.writer.execute("DELETE FROM event WHERE epoch = ? AND seq >= ?", (epoch, seq))
    report = judge(fleet)
    assert report.lost >= 1
    assert any(told.event_id in one for one in report.violations if one.startswith("lost:"))
    assert "chain" in broken(fleet)


def test_a_centre_that_acknowledges_what_it_does_not_keep_is_found(monkeypatch):
    monkeypatch.setattr(intake, "_store_batch", lambda *_: None)
    fleet = Fleet(plan())
    for pos in fleet._pos:
        pos.does({"sale": 1})
    fleet.play()
    assert {"chain", "pending"} <= broken(fleet)


def test_an_acknowledged_event_that_the_centre_forgot_is_found_though_its_till_was_put_back_to_before():
    fleet = played()
    disk, machine = fleet.office.disk.connection, fleet.machines[0]
    stream = f"till_id = '{machine.identity.till_id}' AND epoch = 1"
    (last,) = disk.execute(f"SELECT max(last_seq) FROM batch WHERE {stream}").fetchone()
    (first,) = disk.execute(f"SELECT posted_from FROM batch WHERE {stream} AND last_seq = {last}").fetchone()
    (hash_,) = machine.disk.writer.execute("SELECT hash FROM event WHERE seq = ?", (first - 1,)).fetchone()
    at_centre(
        fleet, f"DELETE FROM batch WHERE {stream} AND last_seq = {last}",
        f"DELETE FROM event WHERE {stream} AND seq >= {first}",
        f"UPDATE stream SET seq = {first - 1}, hash = '{hash_}' WHERE {stream}",
    )  # fmt: skip
    gone = machine.disk.writer.execute("SELECT epoch, seq, hash FROM event WHERE seq >= ?", (first,)).fetchall()
    fleet.record.removed |= {(machine.identity.till_id, *place) for place in gone}
    fleet.mishaps.odd_tills.add(machine.identity.till_id)
    machine.disk.writer.execute("DELETE FROM event WHERE seq >= ?", (first,))
    found = broken(fleet)
    assert "acked" in found
    assert not found & {"lost", "pending", "chain", "events"}  # nothing else says so


def test_a_receipt_posted_twice_is_found():
    fleet = played()
    (name,) = fleet.office.disk.connection.execute(
        "SELECT receipt_id FROM event WHERE kind = 'receipt.v1' LIMIT 1"
    ).fetchone()
    at_centre(fleet, "UPDATE event SET receipt_id = '" + name + "' WHERE rowid IN"
                     " (SELECT rowid FROM event WHERE kind = 'receipt.v1' LIMIT 2)")  # fmt: skip
    report = judge(fleet)
    assert report.duplicated == 1
    assert any(one.startswith(f"duplicated: {name}") for one in report.violations)


def test_a_centre_that_books_points_twice_is_found():
    fleet = played()
    at_centre(fleet, "UPDATE lot SET points = 2 * points WHERE points > 0")
    assert {"balance", "copies"} <= broken(fleet)
    assert any(one.startswith("books: ") for one in judge(fleet).violations)


def test_what_was_answered_with_no_points_in_all_counts_by_what_head_office_books_of_it():
    """What goods without their receipt give back of a spend is not booked, be their sum nothing."""
    fleet = played()
    place, told = next((place, one) for place, one in fleet.record.told.items() if one.kind == "sale" and one.points)
    nowhere = ((place[0], 9, 9), "of a copy")
    fleet.record.told[place] = told._replace(points=0, restored=-told.points, of=nowhere)
    assert "balance" not in broken(fleet)


def test_a_centre_that_puts_a_sound_event_aside_is_found(monkeypatch):
    outcome, struck = Poster._outcome, []

    def strike(poster, ref, head):
        if ref.seq == 5:
            struck.append(ref)
            return poster._struck(ref, head, "made_up", "For no reason.")
        return outcome(poster, ref, head)

    monkeypatch.setattr(Poster, "_outcome", strike)
    report = judge(played())
    assert struck
    assert report.quarantined == 2  # the fifth event of either till; those of the centre's own streams are not a till's
    assert "quarantined" in {one.split(":")[0] for one in report.violations}


def test_an_event_that_no_till_wrote_is_invented():
    fleet = played()
    machine = fleet.machines[0]
    seq = machine.journal.head().seq
    del fleet.record.told[next(place for place in fleet.record.told if place[:3] == (machine.identity.till_id, 1, seq))]
    machine.disk.writer.execute("DELETE FROM event WHERE seq = ?", (seq,))
    assert "invented" in broken(fleet)


def test_a_changed_byte_in_a_stored_batch_is_found():
    fleet = played()
    at_centre(fleet, "UPDATE batch SET signature = zeroblob(64) WHERE rowid = (SELECT max(rowid) FROM batch)")
    assert any("is not signed by its till" in one for one in judge(fleet).violations)


def test_an_event_that_is_stored_and_not_in_the_index_is_found():
    fleet = played()
    at_centre(fleet, "DELETE FROM event WHERE rowid = (SELECT max(rowid) FROM event WHERE kind = 'receipt.v1')")
    assert any(one.startswith("events: ") for one in judge(fleet).violations)


def test_a_gap_between_stored_batches_is_found():
    fleet = played()
    at_centre(fleet, "UPDATE batch SET posted_from = posted_from + 1 WHERE rowid = (SELECT max(rowid) FROM batch)")
    assert any(" goes on at " in one for one in judge(fleet).violations)


def test_a_card_number_in_what_was_sent_is_found():
    fleet = played()
    disk = fleet.office.disk.connection
    at_centre(fleet)
    rowid, body = disk.execute("SELECT rowid, body FROM batch ORDER BY rowid DESC LIMIT 1").fetchone()
    spoken = zlib.decompress(body).replace(b'"milk"', f'"{fleet.cards[0]}"'.encode())
    assert spoken != zlib.decompress(body)
    disk.execute("UPDATE batch SET body = ? WHERE rowid = ?", (zlib.compress(spoken), rowid))
    assert any(one.startswith("card number: in the events of ") for one in judge(fleet).violations)


def test_a_till_that_answers_nobody_is_stuck(monkeypatch):
    fleet = Fleet(plan(transactions=4))

    def refuse(*_, **__):
        raise JournalBroken("Nothing can be written.")

    monkeypatch.setattr(Journal, "append", refuse)
    fleet.play()
    assert any(one.startswith("stuck: till-0 answers no sale") for one in judge(fleet).violations)


def test_a_stream_that_goes_back_is_found():
    fleet = played()
    fleet.talk._heads[fleet.machines[0].identity.till_id, 1] = 10_000
    fleet._left, fleet._is_over = 5, False
    fleet._ask(fleet.machines[0], fleet._pos[0]._sale())
    fleet.talk.wake(fleet.machines[0])
    while fleet.machines[0].journal.backlog():
        fleet.time.step()
    assert "head" in broken(fleet)


def test_a_history_is_not_over_while_a_certificate_waits_for_its_number():
    fleet = played()
    assert fleet.behind() == []
    at_centre(fleet, "UPDATE certificate SET no = 0 WHERE code = (SELECT min(code) FROM certificate WHERE n > 0)")
    assert fleet.behind() == ["the centre"]


def test_a_till_whose_copy_of_a_member_is_another_is_found():
    fleet = played()
    cache = fleet.machines[1].cache_disk.writer
    account, row = cache.execute("SELECT account_id, row FROM member LIMIT 1").fetchone()
    said = json.loads(row)
    said["row"]["balance_points"] = 1 + said["row"].get("balance_points", 0)
    cache.execute("UPDATE member SET row = ? WHERE account_id = ?", (json.dumps(said).encode(), account))
    assert broken(fleet) == {"copies"}


def test_a_till_that_finds_another_member_by_a_card_is_found():
    fleet = played()
    fleet.machines[1].cache_disk.writer.execute(
        "UPDATE card SET account_id = (SELECT max(account_id) FROM member)"
        " WHERE account_id = (SELECT min(account_id) FROM card)"
    )
    assert broken(fleet) == {"copies"}


def test_a_card_number_on_a_disk_is_found():
    fleet = played()
    fleet.machines[0].cache_disk.writer.execute("INSERT INTO goods (sku, name) VALUES ('note', ?)", (fleet.cards[0],))
    assert broken(fleet) == {"card number"}


def test_a_till_that_spends_beyond_its_float_is_found(monkeypatch):
    monkeypatch.setattr(Promises, "spend", lambda *_: None)
    fleet = Fleet(Plan(tills=1, transactions=60, seed=4, faults=("partition",)))
    fleet.pace.doings.update({"sale": 10, "spend": 200, "hold": 0})
    for pos in fleet._pos:
        pos.does(fleet.pace.doings)
    fleet.machines[0].until_ms = 10**12
    monkeypatch.setattr("edge.sale.knowing._of_float", _of_a_till_that_never_counts)
    fleet.play()
    assert "authority" in broken(fleet)


def _of_a_till_that_never_counts(journal, known, caps, now):
    from loyalty.pricing.leases import Authority

    left = journal.float_left(now)
    return Authority(kind="float", points=80, lease_id=left.lease_id or "float:1:1") if known.member else Authority()


def test_more_overspent_than_could_be_is_found():
    fleet = played()
    fleet.record.overspent = 1_000_000
    assert broken(fleet) == {"overspent"}


def test_overspending_is_what_was_paid_beyond_all_that_was_ever_earned():
    record = Record()
    record.trade(1, earned=10, spent=0)
    record.trade(1, earned=0, spent=14)
    record.trade(2, earned=100, spent=3)
    assert record.overspent == 4
    record.trade(1, earned=50, spent=0)
    record.trade(1, earned=0, spent=40)
    assert record.overspent == 4


def test_a_till_that_cannot_send_is_stuck(monkeypatch):
    monkeypatch.setattr(Mishaps, "stop", lambda _: None)
    fleet = Fleet(plan(transactions=10))
    fleet.machines[0].until_ms = 10**12
    fleet.play()
    report = judge(fleet)
    assert report.stuck == 1
    assert "stuck: till-0 did not come level after the faults had ended" in report.violations
    assert "pending" in broken(fleet)


def test_what_waits_at_the_centre_for_good_is_found():
    fleet = played()
    at_centre(fleet, "INSERT INTO waiting VALUES ('aa', 1, 1, 'bb', 1, 1, 0, 'R1')")
    assert "queues" in broken(fleet)


def test_a_till_that_does_not_know_a_retry_is_found(monkeypatch):
    find = Journal.find
    monkeypatch.setattr(Journal, "find", lambda journal, name: None if "-r" in name else find(journal, name))
    monkeypatch.setattr(Journal, "append", _under_another_id(Journal.append))
    fleet = played(seed=6)
    assert any("became another event" in one for one in judge(fleet).violations)


def _under_another_id(append):
    numbers = count()

    def write(journal, event, **more):
        return append(journal, structs.replace(event, receipt_id=f"{event.receipt_id}~{next(numbers)}"), **more)

    return write


def test_a_second_run_that_differs_is_told(monkeypatch):
    steps = iter((0, 1, 0, 0, 0))
    begin = MachineClock.__init__

    def skewed(clock, world, name, skew_ms=0):
        begin(clock, world, name, skew_ms + (next(steps, 5) if name == "till-0" else 0))

    monkeypatch.setattr(MachineClock, "__init__", skewed)
    report = run.run_seed(plan(transactions=10), twice=True)
    assert report.violations == (AGAIN,)


def test_the_oracle_walks_the_chain_of_the_protocol():
    # sync.md section 1, worked with openssl: d = HMAC-SHA256(32 zero bytes, "x"), then
    # SHA-256("TP-EV1" + 16 bytes aa + u32 1 + u64 1 + 32 zero bytes + d).
    assert chain(("aa" * 16, 1), bytes(32), "0" * 64, 0, [b"x"]) == [WORKED]


def test_a_card_number_is_told_from_one_that_only_begins_like_it():
    cards = frozenset({"2990712340017", "2990712340024"})
    assert holds_number(b"so 2990712340024 it is", cards)
    assert not holds_number(b"so 2990712340031 it is", cards)
    assert not holds_number(b"2990712", cards)


def test_uses_that_a_till_adds_to_a_row_though_all_is_level_are_found_and_those_of_nobody_are_not():
    fleet = played()
    machine = fleet.machines[0]
    (account,) = machine.cache_disk.writer.execute("SELECT min(account_id) FROM member").fetchone()

    def add(account_id: int) -> None:
        values = (account_id, 1, 100_000, "spend:2026-03", 5)
        machine.disk.writer.execute("INSERT INTO own_use VALUES (?, ?, ?, ?, ?)", values)

    add(4711)  # an account that was closed
    assert broken(fleet) == set()
    add(account)
    assert broken(fleet) == {"copies"}
