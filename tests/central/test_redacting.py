"""Goods of old receipts are let go; books, chains and seals verify as before, and nothing open loses its evidence."""

import hashlib
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from central.coalition.streams import revoke_till
from central.console.history import history_of
from central.corrections.corrections import wish_of
from central.database import tables as t
from central.intake.quarantine import items, key_named, show, write_off
from central.ports import BadSettings, SystemClock, read_settings, reading, writing
from central.recomputing.borne import borne_by
from central.streams.evidence import hash_at, told_again
from central.streams.sealing import Sealer
from central.upkeep.redacting import held_back, redact
from central.verify.books import verify_books
from loyalty.approvals import Override, stamped
from loyalty.facts.receipts import EMPTY
from loyalty.lots import EventRef
from sync.keys import one_key
from sync.wire import Problem
from tests.central.busy_day import Day, open_to_damage, run
from tests.central.office import Office
from tests.central.test_quarantine import broken, wish_for
from tests.central.tills import DAY, NOW, Centre, Till, told

KEPT_DAYS = 60
LATER = NOW + 61 * DAY


def let_go(centre: Centre, now_ms: int = LATER) -> int:
    return redact(centre.engine, KEPT_DAYS, now_ms, centre.random)


def settle_all(centre: Centre) -> None:
    """People decide about everything, two months ago."""
    while centre.recompute().events:
        pass
    with reading(centre.engine) as tx:
        names = [one.name for one in items(tx)]
    with writing(centre.engine) as tx:
        tx.execute(update(t.flag).values(state="settled"))
        for name in names:
            write_off(tx, key_named(tx, name), note="a test till", by="ana", user_id="1", now_ms=NOW,
                      randomness=centre.random)  # fmt: skip


def bodies(centre: Centre) -> list[bytes]:
    rows = centre.rows(select(t.batch.c.body).order_by(t.batch.c.last_seq))
    return [zlib.decompress(bytes(body)) for (body,) in rows]


def books(centre: Centre) -> tuple[Any, ...]:
    """Everything that is made of events, as it stands."""
    tables = (t.posting, t.lot, t.debt, t.account, t.event, t.approval)
    return tuple(sorted(map(repr, centre.rows(select(table)))) for table in tables)


def violations(centre: Centre) -> list[str]:
    return sorted({one.code for one in verify_books(centre.engine, one_key(centre.signer.public)).violations})


def left_of(centre: Centre, ref: EventRef) -> dict[str, Any]:
    here = t.batch.c.till_id == ref.till_id, t.batch.c.first_seq <= ref.seq, t.batch.c.last_seq >= ref.seq
    ((first, body),) = centre.rows(select(t.batch.c.first_seq, t.batch.c.body).where(*here))
    return dict(msgspec.json.decode(zlib.decompress(body).split(b"\n")[ref.seq - first]))


@pytest.fixture
def till(centre: Centre) -> Till:
    return centre.till()


def sold(centre: Centre, till: Till) -> EventRef:
    """One sale of a member, received and recomputed."""
    ref = till.sell("R1", 4_000, told(centre.member()))
    till.upload()
    settle_all(centre)
    return ref


def test_a_day_without_its_goods_verifies_as_before(centre: Centre) -> None:
    day = Day(centre)
    settle_all(centre)
    sealer = Sealer(centre.engine, centre.signer, SystemClock())
    sealer.seal()
    signed = select(t.batch.c.header, t.batch.c.signature).order_by(t.batch.c.till_id, t.batch.c.last_seq)
    before, evidence = books(centre), centre.rows(signed)
    places = [(till.head.till_id, seq) for till in (day.acme, day.bolt) for seq in range(1, till.sent + 1)]
    with reading(centre.engine) as tx:
        hashes = [hash_at(tx, till_id, 1, seq) for till_id, seq in places]
        points = verify_books(centre.engine).points
    assert any(b'[1,"tea"' in body for body in bodies(centre))
    assert let_go(centre) == 3
    assert not any(goods in body for body in bodies(centre) for goods in (b'[1,"tea"', b'"bread"', b'"lines"'))
    assert (books(centre), centre.rows(signed)) == (before, evidence)
    with reading(centre.engine) as tx:
        assert [hash_at(tx, till_id, 1, seq) for till_id, seq in places] == hashes
    sealer.seal()
    verified = verify_books(centre.engine, one_key(centre.signer.public))
    assert (verified.violations, verified.points, verified.blocks) == ((), points, 2)
    assert let_go(centre) == 0


def test_nothing_goes_before_its_time_or_where_it_is_to_stay_for_ever(centre: Centre, till: Till) -> None:
    sold(centre, till)
    assert let_go(centre, NOW + 60 * DAY) == 0
    assert redact(centre.engine, 0, LATER, centre.random) == 0
    assert centre.rows(select(t.batch.c.redacted_ms)) == [(0,)]
    assert let_go(centre, NOW + 60 * DAY + 1) == 1


@pytest.mark.parametrize("what", ["not recomputed", "a row of the worklist", "in quarantine", "a return that waits"])
def test_goods_stay_while_something_about_them_is_open(centre: Centre, till: Till, what: str) -> None:
    ref = sold(centre, till)
    if what == "not recomputed":
        run(centre, update(t.event).values(checked=""))
    elif what == "a row of the worklist":
        flag = {"till_id": ref.till_id, "epoch": 1, "seq": ref.seq, "cause": "decision_differs", "n": 0,
                "figures": "{}", "state": "open", "raised_at_ms": NOW, "last_at_ms": NOW}  # fmt: skip
        with writing(centre.engine) as tx:
            tx.execute(t.flag.insert().values(**flag))
    else:
        till.append(b'{"type":"gift.v1","receipt_id":"G1"}')
        if what == "a return that waits":
            elsewhere = EventRef(till_id="e" * 32, epoch=1, seq=1)
            till.take_back("B1", elsewhere, till.receipt("R9", 500), 1000)
        till.upload()
        if what == "a return that waits":
            settle_all(centre)
        # The batch before it is of no interest to anybody.
        assert let_go(centre) == 1
    with reading(centre.engine) as tx:
        assert held_back(tx, KEPT_DAYS, LATER) == 1
        assert held_back(tx, KEPT_DAYS, NOW) == held_back(tx, 0, LATER) == 0
    assert let_go(centre) == 0
    run(centre, update(t.event).where(t.event.c.state == "waiting").values(state="posted"), 1 if "waits" in what else 0)
    settle_all(centre)
    assert let_go(centre) == 1


def test_who_approved_it_is_still_there(centre: Centre, till: Till) -> None:
    receipt = till.receipt("R1", 4_000)
    boss = Override(supervisor="9", reason="damaged")
    ref = till.append(msgspec.structs.replace(receipt, detail=stamped(receipt.detail, boss)))
    till.upload()
    settle_all(centre)
    assert let_go(centre) == 1
    assert left_of(centre, ref)["detail"]["override"] == {"supervisor": "9", "reason": "damaged"}
    assert set(left_of(centre, ref)["detail"]) <= {"programme_version", "cashier", "override"}
    assert (violations(centre), len(centre.rows(select(t.approval)))) == ([], 1)


def test_goods_that_come_back_later_are_booked_by_what_their_return_says(centre: Centre, till: Till) -> None:
    anna = centre.member()
    receipt = till.receipt("R1", 4_000, told(anna))
    ref = till.append(receipt)
    till.upload()
    settle_all(centre)
    assert let_go(centre) == 1
    back = till.take_back("B1", ref, receipt, 500)
    till.upload()
    assert centre.recompute().skipped == 1  # the goods of the sale are not there to work it out again
    assert centre.rows(select(t.lot.c.points)) == [(20,)]
    here = t.event.c.seq == back.seq
    assert centre.rows(select(t.event.c.state, t.event.c.points_reversed).where(here)) == [("posted", 20)]
    assert (violations(centre), centre.flags()) == ([], [])


def test_the_same_receipt_told_again_is_still_known_as_the_same(centre: Centre, till: Till) -> None:
    ref = sold(centre, till)
    payload = till.events[0].payload
    assert let_go(centre) == 1
    with reading(centre.engine) as tx:
        assert told_again(tx, [(ref, payload), (ref, payload + b" ")]) == {(ref, payload)}
    till.append(payload)
    till.upload()
    said = centre.figures("receipt_id_reused")["say"]
    assert said == "Its id belongs to event 1 of epoch 1, which has the same content."


def test_what_people_posted_instead_loses_its_goods_too(centre: Centre, till: Till) -> None:
    ref, right = broken(till, centre.member())
    office = Office(centre)
    asked = office.ask(wish_for(ref, right))
    office.approve(asked.correction_id)
    settle_all(centre)
    before = books(centre)
    assert let_go(centre) == 3  # the batch, the fact, the wish
    with reading(centre.engine) as tx:
        wish = wish_of(tx.execute(select(t.correction)).one())
    assert msgspec.structs.replace(wish.fact, detail=EMPTY) == msgspec.structs.replace(right, detail=EMPTY)
    facts = b"".join(bytes(row[0]) for row in centre.rows(select(t.centre_event.c.payload)))
    wishes = b"".join(bytes(row[0]) for row in centre.rows(select(t.correction.c.fact)))
    assert b'"bread"' not in facts + wishes
    assert (books(centre), violations(centre)) == (before, [])
    assert let_go(centre) == 0


def test_an_upload_that_was_decided_about_leaves_its_hash(centre: Centre, till: Till) -> None:
    till.sell("R1", 4_000, told(centre.member()))
    with writing(centre.engine) as tx:
        revoke_till(tx, till.head.till_id, "stolen")
    data = till.batch()
    assert isinstance(till.send(data), Problem)
    assert let_go(centre) == 0  # nobody has decided
    settle_all(centre)
    assert let_go(centre) == 1
    name = hashlib.sha256(data).hexdigest()
    assert centre.rows(select(t.quarantine.c.sha256, t.quarantine.c.evidence)) == [(name, b"")]
    with reading(centre.engine) as tx:
        shown = show(tx, key_named(tx, name[:10]))
    assert (shown.item.outcome, shown.events) == ("written_off", ())
    assert (violations(centre), let_go(centre)) == ([], 0)


def test_a_batch_that_is_not_as_signed_stays_as_evidence_and_holds_up_no_other(centre: Centre, till: Till) -> None:
    sold(centre, till)
    till.sell("R2", 700)
    till.upload()
    settle_all(centre)
    open_to_damage(centre)
    bad = zlib.compress(bodies(centre)[0].replace(b'"R1"', b'"R7"'))
    run(centre, update(t.batch).where(t.batch.c.last_seq == 1).values(body=bad))
    assert let_go(centre) == 1
    assert centre.rows(select(t.batch.c.redacted_ms).order_by(t.batch.c.last_seq)) == [(0,), (LATER,)]
    assert centre.flags() == [(0, "batch_damaged")]
    assert violations(centre) == ["batch.body"]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ({"body": zlib.compress(b"{}\n")}, ["event.head", "redacted.left"]),
        ({"digests": b"d" * 32}, ["chain.link"]),
        ({"digests": b""}, ["batch.events"]),
        ({"redacted_ms": 0}, ["batch.body", "redacted.left"]),
        ({"body": b"not compressed"}, ["batch.body", "redacted.left"]),
    ],
    ids=["other events", "other digests", "no digests", "said to be whole", "not compressed"],
)
def test_what_is_left_cannot_be_changed_unseen(
    centre: Centre, till: Till, damage: dict[str, Any], named: list[str]
) -> None:
    sold(centre, till)
    let_go(centre)
    assert violations(centre) == []
    open_to_damage(centre)
    run(centre, update(t.batch).values(damage))
    assert set(named) <= set(violations(centre))


def test_nobody_redacts_beside_head_offices_own_event(centre: Centre, till: Till) -> None:
    sold(centre, till)
    open_to_damage(centre)
    forged = {"redacted_ms": LATER, "digests": b"d" * 32, "body": zlib.compress(b"{}\n")}
    run(centre, update(t.batch).values(forged))
    assert "redacted.left" in violations(centre)


@pytest.fixture
def in_a_file(tmp_path: Path) -> Iterator[Centre]:
    made = Centre(f"sqlite:///{tmp_path / 'central.db'}")
    yield made
    made.engine.dispose()


def test_a_batch_changes_once_and_by_redacting_only(in_a_file: Centre) -> None:
    centre = in_a_file
    sold(centre, centre.till())
    changes = [{"body": b"x"}, {"redacted_ms": LATER, "header": b"{}"}, {"redacted_ms": LATER, "received_at_ms": 1}]
    for change in changes:
        with pytest.raises(DBAPIError, match="batch is append-only"):
            run(centre, update(t.batch).values(change))
    let_go(centre)
    with pytest.raises(DBAPIError, match="batch is append-only"):
        run(centre, update(t.batch).values(redacted_ms=LATER + 1, body=b"x"))


def test_what_was_let_go_is_gone_from_the_file(in_a_file: Centre) -> None:
    centre = in_a_file
    sold(centre, centre.till())
    ((body,),) = centre.rows(select(t.batch.c.body))
    file = Path(str(centre.engine.url.database))

    def is_there() -> bool:
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        return bytes(body)[-60:] in file.read_bytes()

    assert is_there()
    let_go(centre)
    assert not is_there()


def test_who_bears_what_stays_as_it_was(centre: Centre) -> None:
    """Two tills that were apart gave the milk once each: ten percent of 20.00, which their partner pays."""
    anna = centre.member()
    for till in (centre.till(), centre.till("S3")):
        till.sell("R1", 2_000, told(anna), sku="milk")
        till.upload()
    settle_all(centre)
    with reading(centre.engine) as tx:
        before = borne_by(tx, "acme", "EUR")
    assert [(one.cause, one.amount_minor - one.points) for one in before] == [("limit_overshot", 200)]
    assert let_go(centre) == 2
    assert not any(b'"lines"' in body for body in bodies(centre))
    with reading(centre.engine) as tx:
        assert borne_by(tx, "acme", "EUR") == before


def test_a_members_page_shows_old_sales_with_their_points(centre: Centre, till: Till) -> None:
    sold(centre, till)
    ((anna,),) = centre.rows(select(t.account.c.account_id).where(t.account.c.version > 0))
    with reading(centre.engine) as tx:
        (before,) = history_of(tx, anna).entries
    let_go(centre)
    with reading(centre.engine) as tx:
        (after,) = history_of(tx, anna).entries
    assert before.promotions == (("base", 40),)
    assert after == msgspec.structs.replace(before, promotions=())


@pytest.mark.parametrize("days", ["1", "59", "-1", "soon"])
def test_a_term_that_is_too_short_is_refused(days: str) -> None:
    with pytest.raises(BadSettings, match="receipt_days"):
        read_settings(None, {"TALLYPOINT_CENTRAL_RECEIPT_DAYS": days})
    assert read_settings(None, {"TALLYPOINT_CENTRAL_RECEIPT_DAYS": "60"}).receipt_days == 60
    assert read_settings(None, {}).receipt_days == 730
