"""A till that was revoked by mistake: two people take back in all that it sold since, in order, once."""

import msgspec
import pytest
from sqlalchemy import select

from central.coalition.streams import revoke_till
from central.coalition.till_keys import revoke_key
from central.corrections.corrections import OwnWish
from central.corrections.reinstating import NotRevoked
from central.corrections.wishes import BadWish, FixWish, ReinstateWish
from central.database import tables as t
from central.intake import replaying
from central.intake.quarantine import AlreadyDecided, ItemKey, items, show
from central.intake.reinstated import RevokedStream, replay_reinstated, revoked_streams
from central.intake.replaying import NotReadable, replay_one
from central.ports import reading, writing
from central.upkeep.redacting import redact
from central.verify.books import verify_books
from sync.refusals import OldEpoch, Revoked, TillLeft
from sync.wire import Ack, Problem
from tests.central.office import ANA, BEA, Office
from tests.central.recovering import Lane, apart, in_order, receipts
from tests.central.test_quarantine import lots, off
from tests.central.tills import DAY, Centre, Till, told


def revoke(centre: Centre, till_id: str) -> None:
    with writing(centre.engine) as tx:
        revoke_till(tx, till_id, "stolen, we thought")


def refused(till: Till, first: int, last: int, code: str = Revoked.code) -> None:
    problem = till.send(till.batch(first, last))
    assert isinstance(problem, Problem) and problem.code == code


def wish(till: Till, **more: object) -> ReinstateWish:
    usual = {"till_id": till.head.till_id, "epoch": till.head.epoch, "reason": "revoked_by_mistake"}
    return ReinstateWish(**{**usual, **more})  # type: ignore[arg-type]


def waiting(centre: Centre) -> list[str]:
    with reading(centre.engine) as tx:
        return [one.cause for one in items(tx)]


def adds_up(centre: Centre) -> None:
    assert verify_books(centre.engine).violations == ()


def test_a_whole_stretch_is_booked_in_the_order_it_was_sold_once_another_person_agrees(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    till.sell("R1", 1_000, told(anna))
    till.upload()
    revoke(centre, till.head.till_id)
    second = till.receipt("R2", 4_000, told(anna))
    ref = till.append(second)
    till.sell("R3", 500, told(anna))
    till.take_back("B1", ref, second, 1000)
    till.sell("R4", 2_000, told(anna))
    # They come in the wrong order, and overlap: what is last comes first.
    refused(till, 4, 5)
    refused(till, 2, 3)
    refused(till, 3, 4)
    office = Office(centre)
    asked = office.ask(wish(till, note="it stood in the back room"))
    # 40 earned, 5 earned, 40 taken back, 20 earned; what two uploads hold counts once.
    assert (asked.state, asked.points, lots(centre, anna)) == ("asked", 105, 10)
    with pytest.raises(OwnWish):
        office.approve(asked.correction_id, ANA)
    office.approve(asked.correction_id, BEA)
    assert lots(centre, anna) == 10 + 5 + 20
    states = select(t.event.c.seq, t.event.c.state).where(t.event.c.till_id == till.head.till_id)
    assert centre.rows(states.order_by(t.event.c.account_version)) == [(n, "posted") for n in (1, 2, 3, 4, 5)]
    assert waiting(centre) == []
    assert centre.rows(select(t.flag.c.cause, t.flag.c.state)) == [("batch_quarantined", "settled")]
    said = select(t.audit.c.user_id, t.audit.c.action, t.audit.c.about).where(t.audit.c.action == "till.reinstated")
    assert centre.rows(said) == [(BEA.user_id, "till.reinstated", till.head.till_id)]
    outcomes = centre.rows(select(t.quarantine_outcome.c.outcome, t.quarantine_outcome.c.decided_by))
    assert outcomes == [("replayed", "bea")] * 3
    adds_up(centre)


def test_asked_or_run_again_it_changes_nothing(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    revoke(centre, till.head.till_id)
    till.sell("R1", 4_000, told(anna))
    refused(till, 1, 1)
    office = Office(centre)
    office.done(wish(till))
    again = replay_reinstated(centre.engine, centre.now, centre.random, "chore")
    assert (again.looked_at, again.posted) == (0, 0)
    with pytest.raises(NotRevoked):
        office.ask(wish(till))
    assert lots(centre, anna) == 40
    adds_up(centre)


def test_cut_short_after_the_decision_the_chore_books_the_rest(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, till = centre.member(), centre.till()
    revoke(centre, till.head.till_id)
    till.sell("R1", 4_000, told(anna))
    till.sell("R2", 1_000, told(anna))
    refused(till, 1, 1)
    refused(till, 2, 2)
    real, calls = replaying.replay_upload, []

    def dies(*how: object) -> int:
        calls.append(how)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*how)  # type: ignore[arg-type]

    monkeypatch.setattr(replaying, "replay_upload", dies)
    office = Office(centre)
    with pytest.raises(KeyboardInterrupt):
        office.done(wish(till))
    assert lots(centre, anna) == 40
    monkeypatch.setattr(replaying, "replay_upload", real)
    assert replay_reinstated(centre.engine, centre.now, centre.random, "chore").posted == 1
    assert (lots(centre, anna), waiting(centre)) == (50, [])
    adds_up(centre)


def test_an_event_that_a_person_fixed_or_wrote_off_before_stays_as_they_decided(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    revoke(centre, till.head.till_id)
    fixed = till.receipt("R1", 4_000, told(anna))
    till.append(fixed)
    till.sell("R2", 1_000, told(anna))
    till.sell("R3", 500, told(anna))
    refused(till, 1, 3)
    with reading(centre.engine) as tx:
        (upload,) = items(tx)
    office = Office(centre)
    key = {"till_id": till.head.till_id, "epoch": 1, "sha256": upload.name}
    office.done(FixWish(**key, seq=1, fact=fixed, reason="till_stopped"))
    off(centre, ItemKey(**key, seq=2), "a test sale")
    assert lots(centre, anna) == 40
    office.done(wish(till))
    assert lots(centre, anna) == 45
    states = select(t.event.c.seq, t.event.c.state).where(t.event.c.till_id == till.head.till_id)
    assert centre.rows(states.order_by(t.event.c.seq)) == [(1, "quarantined"), (2, "quarantined"), (3, "posted")]
    assert waiting(centre) == []
    adds_up(centre)


def test_what_was_booked_with_its_upload_is_not_fixed_any_more_under_another_id(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    revoke(centre, till.head.till_id)
    sold = till.receipt("R1", 4_000, told(anna))
    till.append(sold)
    refused(till, 1, 1)
    with reading(centre.engine) as tx:
        (upload,) = items(tx)
    office = Office(centre)
    fact = msgspec.structs.replace(sold, receipt_id="R1b")
    key = {"till_id": till.head.till_id, "epoch": 1, "seq": 1, "sha256": upload.name}
    asked = office.ask(FixWish(**key, fact=fact, reason="till_stopped"))
    office.done(wish(till))
    with pytest.raises(AlreadyDecided):
        office.approve(asked.correction_id)
    assert lots(centre, anna) == 40
    adds_up(centre)


def test_where_what_was_decided_is_not_kept_any_more_the_rest_waits_for_people(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    revoke(centre, till.head.till_id)
    till.sell("R1", 4_000, told(anna))
    till.sell("R2", 1_000, told(anna))
    refused(till, 1, 1)
    with reading(centre.engine) as tx:
        (upload,) = items(tx)
    off(centre, ItemKey(till_id=till.head.till_id, epoch=1, sha256=upload.name, seq=1), "a test sale")
    centre.now += 61 * DAY
    assert redact(centre.engine, 60, centre.now, centre.random) == 1
    refused(till, 1, 2)
    Office(centre).done(wish(till))
    # Which event it was that somebody wrote off, nobody can say: it could be booked all the same.
    assert (lots(centre, anna), waiting(centre)) == (0, [Revoked.code])
    assert replay_reinstated(centre.engine, centre.now, centre.random, "chore").posted == 0


def test_a_part_that_is_missing_stays_where_it_is_until_the_machine_brings_it(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    revoke(centre, till.head.till_id)
    for n, amount in enumerate((4_000, 1_000, 500), 1):
        till.sell(f"R{n}", amount, told(anna))
    refused(till, 1, 1)
    refused(till, 3, 3)
    Office(centre).done(wish(till))
    assert (lots(centre, anna), waiting(centre)) == (40, [Revoked.code])
    assert centre.rows(select(t.flag.c.state)) == [("open",)]
    # Nobody enrolled the lane yet, so the machine is told that its enrolment is over.
    refused(till, 2, 2, TillLeft.code)
    replay_reinstated(centre.engine, centre.now, centre.random, "chore")
    assert (lots(centre, anna), waiting(centre)) == (55, [])
    adds_up(centre)


def test_enrolled_anew_it_brings_the_rest_of_the_stretch_itself(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    revoke(centre, till.head.till_id)
    till.sell("R1", 4_000, told(anna))
    refused(till, 1, 1)
    newer = Till(centre, "S1", till_id=till.head.till_id, seed="again")
    with reading(centre.engine) as tx:
        (kept,) = revoked_streams(tx)
    assert kept == RevokedStream(
        till_id=till.head.till_id, epoch=1, label="Lane", store_id="S1", reason="stolen, we thought", uploads=1
    )
    Office(centre).done(wish(till))
    newer.sell("R2", 1_000, told(anna))
    assert isinstance(newer.send(newer.batch()), Ack)
    refused(till, 1, 1, OldEpoch.code)
    assert lots(centre, anna) == 50
    adds_up(centre)


def test_a_real_till_gets_everything_booked_and_acknowledged(centre: Centre, tmp_path) -> None:
    centre.member()
    lane = Lane(centre, tmp_path / "till")
    lane.sell("r1")
    lane.settle()
    # The line is cut in time: it is revoked before it can hear so, and sells on with its card keys.
    lane.is_cut = True
    lane.sell("r2", "r3")
    revoke(centre, lane.identity.till_id)
    lane.is_cut = False
    lane.settle()
    assert (receipts(centre), apart(centre)) == ([("r1", "posted")], [Revoked.code])
    Office(centre).done(
        ReinstateWish(till_id=lane.identity.till_id, epoch=lane.identity.epoch, reason="revoked_by_mistake")
    )
    assert receipts(centre) == [("r1", "posted"), ("r2", "posted"), ("r3", "posted")]
    lane.stop()
    lane.start()
    lane.settle()
    assert lane.journal.backlog() == 0
    in_order(centre)


def test_what_it_sells_after_the_decision_is_sent_once(centre: Centre, tmp_path) -> None:
    centre.member()
    lane = Lane(centre, tmp_path / "till")
    lane.sell("r1")
    lane.settle()
    revoke(centre, lane.identity.till_id)
    lane.sell("r2")
    lane.settle()
    Office(centre).done(
        ReinstateWish(till_id=lane.identity.till_id, epoch=lane.identity.epoch, reason="revoked_by_mistake")
    )
    # Nobody has enrolled it anew yet, and its service goes on.
    lane.sell("r3")
    lane.settle()
    assert receipts(centre) == [("r1", "posted"), ("r2", "posted"), ("r3", "posted")]
    assert (lane.journal.backlog(), lane.left.send()) == (0, 0)
    in_order(centre)


def test_what_is_no_mistake_is_refused(centre: Centre) -> None:
    till, office = centre.till(), Office(centre)
    with pytest.raises(NotRevoked):
        office.ask(wish(till))
    with pytest.raises(NotRevoked):
        office.ask(wish(till, epoch=7))
    revoke(centre, till.head.till_id)
    with pytest.raises(BadWish):
        office.ask(wish(till, reason="because"))


def test_what_a_thief_signed_with_a_revoked_key_is_not_booked_along(centre: Centre) -> None:
    anna, till = centre.member(), centre.till()
    with writing(centre.engine) as tx:
        revoke_key(tx, till.head.till_id, 1)
    till.sell("R1", 4_000, told(anna))
    refused(till, 1, 1, "sync.key_retired")
    revoke(centre, till.head.till_id)
    office = Office(centre)
    office.done(wish(till))
    with reading(centre.engine) as tx:
        (upload,) = items(tx)
        key = ItemKey(till_id=upload.till_id, epoch=1, sha256=upload.name)
        assert show(tx, key).item.outcome == ""
    with pytest.raises(NotReadable, match="revoked"):
        replay_one(centre.engine, key, centre.now, centre.random, "ana")
    assert lots(centre, anna) == 0


def test_an_enrolment_before_it_that_was_really_stolen_stays_kept_apart(centre: Centre) -> None:
    anna, stolen = centre.member(), centre.till()
    revoke(centre, stolen.head.till_id)
    stolen.sell("R1", 4_000, told(anna))
    refused(stolen, 1, 1)
    newer = Till(centre, "S1", till_id=stolen.head.till_id, seed="again")
    revoke(centre, stolen.head.till_id)
    newer.sell("R2", 1_000, told(anna))
    refused(newer, 1, 1)
    Office(centre).done(wish(newer))
    assert (lots(centre, anna), waiting(centre)) == (10, [Revoked.code])
    adds_up(centre)
