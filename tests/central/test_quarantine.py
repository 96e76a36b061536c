"""What cannot be posted is kept, and then replayed, fixed by two people, or written off; the books agree each time."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from central.coalition.streams import resume_stream, revoke_till
from central.corrections.corrections import OwnWish
from central.corrections.fixing import read_fact
from central.corrections.wishes import BadWish, FixWish, NotThere
from central.database import tables as t
from central.intake import replaying
from central.intake.quarantine import (
    AlreadyDecided,
    Item,
    ItemKey,
    NoReason,
    UnknownItem,
    count_open,
    items,
    key_named,
    note_outcome,
    show,
    write_off,
)
from central.intake.replaying import NotReadable, Replayed, replay_all, replay_one
from central.ports import reading, writing
from central.posting import books
from central.streams.heads import Unfit
from central.verify.books import verify_books
from loyalty.facts.events import encode
from loyalty.lots import EventRef
from loyalty.pricing.earning import Earned
from sync.wire import Ack, Problem
from tests.central.office import ANA, BEA, Office
from tests.central.tills import NOW, TODAY, Centre, Till, told

UNKNOWN = b'{"type":"gift.v1","receipt_id":"G1"}'


@pytest.fixture
def anna(centre: Centre) -> int:
    return centre.member()


@pytest.fixture
def till(centre: Centre) -> Till:
    return centre.till()


def waiting(centre: Centre) -> list[Item]:
    with reading(centre.engine) as tx:
        return items(tx)


def decided(centre: Centre) -> list[tuple[str, str, str]]:
    with reading(centre.engine) as tx:
        return [(one.name, one.outcome, one.decided_by) for one in items(tx, decided=True)]


def key_of(ref: EventRef) -> ItemKey:
    return ItemKey(till_id=ref.till_id, epoch=ref.epoch, seq=ref.seq)


def replay(centre: Centre, key: ItemKey) -> Replayed:
    return replay_one(centre.engine, key, centre.now, centre.random, "ana")


def replay_everything(centre: Centre) -> Replayed:
    return replay_all(centre.engine, centre.now, centre.random, "ana")


def off(centre: Centre, key: ItemKey, note: str = "a test till") -> None:
    with writing(centre.engine) as tx:
        write_off(tx, key, note=note, by="ana", user_id="1", now_ms=NOW, randomness=centre.random)


def lots(centre: Centre, account_id: int) -> int:
    return sum(row[0] for row in centre.rows(select(t.lot.c.points).where(t.lot.c.account_id == account_id)))


def state(centre: Centre, ref: EventRef) -> tuple[Any, ...]:
    here = t.event.c.till_id == ref.till_id, t.event.c.epoch == ref.epoch, t.event.c.seq == ref.seq
    (row,) = centre.rows(select(t.event.c.state, t.event.c.kind, t.event.c.reason).where(*here))
    return row


def violations(centre: Centre) -> list[tuple[str, Any]]:
    return [(one.code, one.about) for one in verify_books(centre.engine).violations]


@pytest.fixture
def old_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A centre that knows no `receipt.v1` yet; called, it is upgraded."""
    from central.intake import intake, quarantine
    from central.posting import posting
    from central.streams import heads

    def cannot(_: bytes) -> Unfit:
        return Unfit(cause="event.unknown", say="a type of a later version")

    for module in (intake, posting, quarantine, replaying):
        monkeypatch.setattr(module, "read_fit_head", cannot)

    def upgrade() -> None:
        for module in (intake, posting, quarantine, replaying):
            monkeypatch.setattr(module, "read_fit_head", heads.read_fit_head)

    yield upgrade


# What is there


def test_an_unknown_event_is_listed_and_shown_with_its_bytes(centre: Centre, till: Till) -> None:
    ref = till.append(UNKNOWN)
    till.upload()
    (one,) = waiting(centre)
    assert (one.name, one.cause, one.reads) == (f"{ref.till_id}/1/1", "event.unknown", "event.unknown")
    with reading(centre.engine) as tx:
        assert show(tx, key_named(tx, one.name)).payload == UNKNOWN.decode()
        assert count_open(tx) == 1


def test_an_upload_of_a_revoked_till_is_shown_event_by_event(centre: Centre, till: Till, anna: int) -> None:
    till.sell("R1", 4_000, told(anna))
    till.append(UNKNOWN)
    with writing(centre.engine) as tx:
        revoke_till(tx, till.head.till_id, "stolen")
    assert isinstance(till.send(till.batch()), Problem)
    (one,) = waiting(centre)
    assert (one.kind, one.cause, one.seq) == ("upload", "sync.revoked", 0)
    with reading(centre.engine) as tx:
        inside = show(tx, key_named(tx, one.name[:10])).events
    assert [(e.seq, e.receipt_id, e.reads) for e in inside] == [(1, "R1", "fit"), (2, "", "event.unknown")]


@pytest.mark.parametrize(
    "name", ["", "x", "0" * 64, "0" * 32 + "/1/1", "a/b/c", "1/2/3/4", "%%%%%%%%", "0" * 64 + "/9"]
)
def test_a_name_of_nothing_is_refused(centre: Centre, name: str) -> None:
    with reading(centre.engine) as tx, pytest.raises(UnknownItem):
        show(tx, key_named(tx, name))


# Replay


def test_an_event_of_a_later_version_posts_after_the_upgrade_once(
    centre: Centre, till: Till, anna: int, old_version: Any
) -> None:
    ref = till.sell("R1", 4_000, told(anna))
    assert till.upload().flagged == ((1, "event.unknown"),)
    assert replay_everything(centre) == Replayed(looked_at=1, posted=0)
    old_version()
    assert lots(centre, anna) == 0
    assert replay_everything(centre) == Replayed(looked_at=1, posted=1)
    assert (lots(centre, anna), state(centre, ref)) == (40, ("posted", "receipt.v1", ""))
    assert replay_everything(centre) == Replayed(looked_at=0, posted=0)
    assert replay(centre, key_of(ref)) == Replayed(looked_at=1, posted=0)
    assert lots(centre, anna) == 40
    assert decided(centre) == [(f"{ref.till_id}/1/1", "replayed", "ana")]
    assert centre.rows(select(t.flag.c.state)) == [("settled",)]
    assert violations(centre) == []


def test_an_event_that_our_own_code_trips_over_stops_nobody_and_posts_after_an_update(
    centre: Centre, till: Till, anna: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = books.post_event

    def trips(head: Any, *rest: Any) -> Any:
        if head.receipt_id in ("R2", "R4"):
            raise KeyError("2037000001238")
        return real(head, *rest)

    monkeypatch.setattr(books, "post_event", trips)
    till.sell("R1", 1_000, told(anna))
    bad, anonymous = till.sell("R2", 4_000, told(anna)), till.sell("R4", 500)
    till.sell("R3", 2_000, told(anna))
    assert till.upload().flagged == ((2, "event.unpostable"), (3, "event.unpostable"))
    assert state(centre, bad) == state(centre, anonymous) == ("quarantined", "receipt.v1", "event.unpostable")
    assert lots(centre, anna) == 30
    assert "cannot be posted: KeyError at " in caplog.text and "2037000001238" not in caplog.text
    assert replay_everything(centre) == Replayed(looked_at=2, posted=0)
    assert violations(centre) == []
    monkeypatch.setattr(books, "post_event", real)
    assert replay_everything(centre) == Replayed(looked_at=2, posted=2)
    assert lots(centre, anna) == 70
    assert violations(centre) == []


def test_goods_that_came_back_meanwhile_post_right_after_their_replayed_receipt(
    centre: Centre, till: Till, anna: int, old_version: Any
) -> None:
    receipt = till.receipt("R1", 4_000, told(anna))
    ref = till.append(receipt)
    till.upload()
    old_version()
    back = till.take_back("B1", ref, receipt, 1000)
    till.upload()
    assert state(centre, back)[0] == "waiting"
    replay(centre, key_of(ref))
    assert (state(centre, ref)[0], state(centre, back)[0], lots(centre, anna)) == ("posted", "posted", 0)
    assert violations(centre) == []


def test_a_replayed_return_waits_for_its_receipt_like_any(
    centre: Centre, till: Till, anna: int, old_version: Any
) -> None:
    other = centre.till("S2")
    receipt = other.receipt("R1", 4_000, told(anna))
    ref = other.append(receipt)
    back = till.take_back("B1", ref, receipt, 1000)
    till.upload()
    old_version()
    replay(centre, key_of(back))
    assert state(centre, back)[0] == "waiting"
    other.upload()
    assert (state(centre, back)[0], lots(centre, anna)) == ("posted", 0)
    assert violations(centre) == []


def test_an_id_that_was_posted_meanwhile_is_not_posted_again(
    centre: Centre, till: Till, anna: int, old_version: Any
) -> None:
    ref = till.sell("R1", 4_000, told(anna))
    till.upload()
    old_version()
    till.sell("R1", 9_000, told(anna))
    till.upload()
    with pytest.raises(NotReadable):
        replay(centre, key_of(ref))
    assert (lots(centre, anna), violations(centre)) == (90, [])


def test_what_still_cannot_be_read_stays_where_it_is(centre: Centre, till: Till) -> None:
    ref = till.append(UNKNOWN)
    till.upload()
    with pytest.raises(NotReadable):
        replay(centre, key_of(ref))
    assert state(centre, ref)[0] == "quarantined"
    assert replay_everything(centre) == Replayed(looked_at=1, posted=0)


def test_an_upload_of_the_enrolment_before_is_taken_as_if_it_had_come_in_time(
    centre: Centre, till: Till, anna: int
) -> None:
    till.sell("R1", 4_000, told(anna))
    late = till.batch()
    newer = Till(centre, "S1", till_id=till.head.till_id, seed="new machine")
    problem = till.send(late)
    assert isinstance(problem, Problem) and problem.code == "sync.old_epoch"
    assert replay_everything(centre) == Replayed(looked_at=1, posted=1)
    assert replay_everything(centre) == Replayed(looked_at=0, posted=0)
    newer.sell("R2", 1_000, told(anna))
    newer.upload()
    assert (lots(centre, anna), violations(centre)) == (50, [])


def test_an_upload_of_a_stopped_till_waits_until_the_till_goes_on(centre: Centre, till: Till, anna: int) -> None:
    till.sell("R1", 4_000, told(anna))
    data = till.batch()
    centre.store.suspend(till.head.till_id, 1, "sync.fork", b"proof", NOW)
    assert isinstance(till.send(data), Problem)
    upload = next(one for one in waiting(centre) if one.cause == "sync.suspended")
    key = ItemKey(till_id=upload.till_id, epoch=1, sha256=upload.name)
    with pytest.raises(NotReadable):
        replay(centre, key)
    with writing(centre.engine) as tx:
        resume_stream(tx, till.head.till_id, 1)
    assert replay(centre, key).posted == 1
    # The till does not know, sends it again, and hears that it is here.
    assert isinstance(till.send(till.batch()), Ack)
    assert (lots(centre, anna), violations(centre)) == (40, [])


def test_an_upload_that_a_person_decides_about_while_all_are_replayed_holds_up_none_behind_it(
    centre: Centre, anna: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tills = [centre.till(), centre.till()]
    for till in tills:
        till.sell("R1", 4_000, told(anna))
        centre.store.suspend(till.head.till_id, 1, "sync.fork", b"proof", NOW)
        assert isinstance(till.send(till.batch()), Problem)
        with writing(centre.engine) as tx:
            resume_stream(tx, till.head.till_id, 1)
        centre.now += 1
    # The list shows the newest first, and what each till was stopped for.
    last, first = [one for one in waiting(centre) if one.cause == "sync.suspended"]
    one_by_one = replaying.replay_upload

    def decided_meanwhile(engine: Any, key: ItemKey, *args: Any) -> int:
        if key.sha256 == first.name:
            off(centre, key)
        return one_by_one(engine, key, *args)

    monkeypatch.setattr(replaying, "replay_upload", decided_meanwhile)
    assert replay_everything(centre).posted == 1
    assert decided(centre) == [(last.name, "replayed", "ana"), (first.name, "written_off", "ana")]
    assert (lots(centre, anna), violations(centre)) == (40, [])


@pytest.mark.parametrize("decided_as", ["written_off", "fixed"])
def test_what_was_decided_of_a_stopped_tills_upload_holds_when_the_till_sends_it_by_itself(
    centre: Centre, till: Till, anna: int, decided_as: str
) -> None:
    sale = till.receipt("R1", 4_000, told(anna))
    ref = till.append(sale)
    till.sell("R2", 1_000, told(anna))
    centre.store.suspend(till.head.till_id, 1, "sync.clone", b"proof", NOW)
    assert isinstance(till.send(till.batch()), Problem)
    (upload,) = [one for one in waiting(centre) if one.cause == "sync.suspended"]
    if decided_as == "fixed":
        named = msgspec.structs.replace(sale, receipt_id="R1b")
        Office(centre).done(wish_for(ref, named, sha256=upload.name, reason="till_stopped"))
    else:
        off(centre, ItemKey(till_id=ref.till_id, epoch=1, seq=ref.seq, sha256=upload.name))
    before = 40 if decided_as == "fixed" else 0
    assert lots(centre, anna) == before
    with writing(centre.engine) as tx:
        resume_stream(tx, till.head.till_id, 1)
    till.upload()
    assert (lots(centre, anna), violations(centre)) == (before + 10, [])


def test_where_the_bytes_of_a_decided_upload_are_gone_an_event_in_its_place_waits_for_people(
    centre: Centre, till: Till, anna: int
) -> None:
    ref = till.sell("R1", 4_000, told(anna))
    till.sell("R2", 1_000, told(anna))
    centre.store.suspend(till.head.till_id, 1, "sync.clone", b"proof", NOW)
    assert isinstance(till.send(till.batch()), Problem)
    (upload,) = [one for one in waiting(centre) if one.cause == "sync.suspended"]
    off(centre, ItemKey(till_id=ref.till_id, epoch=1, sha256=upload.name, seq=ref.seq))
    with writing(centre.engine) as tx:
        tx.execute(update(t.quarantine).values(evidence=b""))
        resume_stream(tx, till.head.till_id, 1)
    till.upload()
    assert lots(centre, anna) == 10
    assert key_of(ref).name in [one.name for one in waiting(centre)]


# Fix


def broken(till: Till, anna: int) -> tuple[EventRef, Any]:
    """A sale of 40 points whose head says ten million million."""
    right = till.receipt("R1", 4_000, told(anna))
    wrong = msgspec.structs.replace(right, earned=(Earned(issuer_id="acme", valid_through=TODAY, points=10**12),) * 11)
    ref = till.append(wrong)
    assert till.upload().flagged == ((1, "event.out_of_range"),)
    return ref, right


def wish_for(ref: EventRef, fact: Any, **more: Any) -> FixWish:
    usual = {"till_id": ref.till_id, "epoch": ref.epoch, "seq": ref.seq, "reason": "wrong_figures"}
    return FixWish(**{**usual, "fact": read_fact(encode(fact)), **more})


def test_a_head_that_a_person_corrected_posts_once_another_agrees(centre: Centre, till: Till, anna: int) -> None:
    ref, right = broken(till, anna)
    office = Office(centre)
    asked = office.ask(wish_for(ref, right, note="the till was mended"))
    assert (asked.state, asked.points, lots(centre, anna)) == ("asked", 40, 0)
    with pytest.raises(OwnWish):
        office.approve(asked.correction_id, ANA)
    office.approve(asked.correction_id, BEA)
    assert (lots(centre, anna), state(centre, ref)[0]) == (40, "quarantined")
    assert decided(centre) == [(f"{ref.till_id}/1/1", "fixed", "bea")]
    assert centre.rows(select(t.event.c.kind, t.event.c.account_id).where(t.event.c.state == "posted")) == [
        ("fixed.v1", anna)
    ]
    assert violations(centre) == []


def test_what_was_fixed_is_not_fixed_replayed_or_written_off_again(centre: Centre, till: Till, anna: int) -> None:
    ref, right = broken(till, anna)
    office = Office(centre)
    asked = office.ask(wish_for(ref, right))
    also = office.ask(wish_for(ref, right))
    office.approve(asked.correction_id)
    for again in (
        lambda: office.approve(also.correction_id), lambda: replay(centre, key_of(ref)),
        lambda: off(centre, key_of(ref)),
    ):  # fmt: skip
        with pytest.raises(AlreadyDecided):
            again()
    assert (lots(centre, anna), violations(centre)) == (40, [])


def test_a_sale_whose_id_was_taken_gets_the_one_it_should_have(centre: Centre, till: Till, anna: int) -> None:
    till.sell("R1", 4_000, told(anna))
    other = till.receipt("R1", 1_000, told(anna))
    ref = till.append(other)
    till.upload()
    office = Office(centre)
    with pytest.raises(BadWish, match="belongs to event 1"):
        office.ask(wish_for(ref, other))
    office.done(wish_for(ref, msgspec.structs.replace(other, receipt_id="R1b"), reason="id_reused"))
    assert (lots(centre, anna), violations(centre)) == (50, [])


def test_a_fix_that_makes_no_sense_is_refused_in_a_sentence(centre: Centre, till: Till, anna: int) -> None:
    ref, right = broken(till, anna)
    office, replaced = Office(centre), msgspec.structs.replace
    elsewhere = EventRef(till_id=ref.till_id, epoch=1, seq=77)
    back = replaced(till.returned("B1", ref, right, ()), of=elsewhere)
    for wish, trouble in (
        (wish_for(ref, right, reason="because"), BadWish),
        (wish_for(elsewhere, right), UnknownItem),
        (wish_for(ref, replaced(right, account_id=anna + 1)), BadWish),
        (wish_for(ref, back), NotThere),
    ):
        with pytest.raises(trouble):
            office.ask(wish)
    for text in (b"", b"[]", UNKNOWN, encode(right).replace(b'"R1"', b'""')):
        with pytest.raises(BadWish):
            read_fact(text)
    assert lots(centre, anna) == 0


def test_the_other_branch_of_a_fork_is_taken_event_by_event(centre: Centre, till: Till, anna: int) -> None:
    # A copy of the till sold R2 while the till itself sold R3 under the same number.
    till.sell("R1", 4_000, told(anna))
    till.upload()
    at_fork = till.head
    till.sell("R3", 3_000, told(anna))
    till.upload()
    till.head, till.events, till.sent = at_fork, till.events[:1], 1
    till.sell("R2", 2_000, told(anna))
    problem = till.send(till.batch())
    assert isinstance(problem, Problem) and problem.code == "sync.fork"
    (upload,) = waiting(centre)
    with reading(centre.engine) as tx:
        shown = show(tx, key_named(tx, upload.name))
        (event,) = shown.events
        assert (event.receipt_id, event.reads) == ("R2", "fit")
        payload = show(tx, key_named(tx, event.name)).payload
    ref = EventRef(till_id=event.till_id, epoch=event.epoch, seq=event.seq)
    fact = read_fact(payload)
    Office(centre).done(wish_for(ref, fact, sha256=upload.name, reason="till_stopped"))
    assert lots(centre, anna) == 90
    # With its only event decided, nothing is left to decide about the upload.
    assert {one[1] for one in decided(centre)} == {"fixed"}
    assert waiting(centre) == []
    assert violations(centre) == []


def test_what_was_decided_of_a_copys_sales_says_nothing_of_the_tills_own_under_the_same_numbers(
    centre: Centre, till: Till, anna: int
) -> None:
    till.sell("R1", 4_000, told(anna))
    till.upload()
    at_fork = till.head
    till.sell("R2", 3_000, told(anna))
    till.upload()
    own = till.head, till.events
    till.head, till.events = at_fork, till.events[:1]
    till.sell("C2", 9_000, told(anna))
    till.sell("C3", 9_000, told(anna))
    till.sent = 1
    till.send(till.batch())
    till.head, till.events, till.sent = own[0], own[1], 2
    ref = till.sell("R3", 2_000, told(anna))
    till.send(till.batch())
    uploads = {one.cause: one.name for one in waiting(centre)}
    for seq in (2, 3):
        key = ItemKey(till_id=ref.till_id, epoch=1, seq=seq, sha256=uploads["sync.fork"])
        off(centre, key, "a test on a copy of the disk")
    with writing(centre.engine) as tx:
        resume_stream(tx, till.head.till_id, 1)
    assert replay(centre, ItemKey(till_id=ref.till_id, epoch=1, sha256=uploads["sync.suspended"])).posted == 1
    assert (state(centre, ref)[0], lots(centre, anna)) == ("posted", 90)
    assert violations(centre) == []


def test_an_anonymous_sale_is_fixed_on_nobodys_books(centre: Centre, till: Till) -> None:
    sale = till.receipt("R1", 4_000, None)
    ref = till.append(msgspec.structs.replace(sale, receipt_id=""))
    till.upload()
    Office(centre).done(wish_for(ref, sale, reason="unreadable"))
    assert violations(centre) == []
    assert decided(centre)[0][1] == "fixed"


# Write-off


def test_what_is_written_off_is_kept_with_the_reason(centre: Centre, till: Till, anna: int) -> None:
    ref, right = broken(till, anna)
    with pytest.raises(NoReason):
        off(centre, key_of(ref), "  ")
    off(centre, key_of(ref), "rung up in a training")
    with pytest.raises(AlreadyDecided):
        off(centre, key_of(ref))
    with pytest.raises(AlreadyDecided):
        Office(centre).ask(wish_for(ref, right))
    assert (waiting(centre), lots(centre, anna)) == ([], 0)
    (row,) = centre.rows(select(t.flag.c.state, t.flag.c.note, t.flag.c.settled_by))
    assert row == ("settled", "rung up in a training", "ana")
    assert centre.rows(select(t.audit.c.action)) == [("quarantine.written_off",)]
    assert violations(centre) == []
    with reading(centre.engine) as tx:
        assert '"R1"' in show(tx, key_of(ref)).payload


def test_the_outcome_itself_cannot_be_changed(centre: Centre, till: Till, anna: int) -> None:
    ref, _ = broken(till, anna)
    off(centre, key_of(ref))
    if centre.engine.dialect.name == "sqlite":
        with pytest.raises(DBAPIError, match="append-only"), writing(centre.engine) as tx:
            tx.execute(t.quarantine_outcome.delete())


# What verify sees


def test_an_outcome_that_the_books_do_not_bear_out_is_a_violation(centre: Centre, till: Till, anna: int) -> None:
    ref, _ = broken(till, anna)
    with writing(centre.engine) as tx:
        note_outcome(tx, key_of(ref), "fixed", note="", by="eve", now_ms=NOW, fact_id="fix:none")
    assert [code for code, _ in violations(centre)] == ["quarantine.fact"]


def test_a_written_off_event_that_is_in_the_books_is_a_violation(centre: Centre, till: Till, anna: int) -> None:
    ref = till.sell("R1", 4_000, told(anna))
    till.upload()
    with writing(centre.engine) as tx:
        note_outcome(tx, key_of(ref), "written_off", note="x", by="eve", now_ms=NOW)
    assert [code for code, _ in violations(centre)] == ["quarantine.state"]


def test_a_till_that_fixes_itself_is_quarantined(centre: Centre, till: Till, anna: int) -> None:
    ref, right = broken(till, anna)
    Office(centre).done(wish_for(ref, right))
    payloads = [bytes(row[0]) for row in centre.rows(select(t.centre_event.c.payload))]
    (fixed,) = [payload for payload in payloads if b"fixed.v1" in payload]
    till.append(fixed)
    assert till.upload().flagged == ((2, "event.not_a_tills"),)
    assert (lots(centre, anna), violations(centre)) == (40, [])
