"""Verification finds books that are sound clean, and names what somebody changed, on each engine."""

import pytest
from sqlalchemy import select

from central.database import tables as t
from central.ports import writing
from central.posting.late import post_overdue
from loyalty.lots import EventRef
from tests.central.busy_day import Day, busy_day, close, codes, run, verify
from tests.central.tills import DAY, Centre, told


@pytest.fixture
def day(centre: Centre) -> Day:
    return busy_day(centre)


# Sound books


def test_a_day_with_something_of_everything_verifies_clean(day: Day) -> None:
    seen = verify(day.centre)
    assert (seen.batches, seen.accounts, seen.uncovered_points, seen.violations) == (3, 3, 50, ())
    # Ten of acme's till and four of bolt's; a float of 2,000 for each, and one for the 150 that were spent.
    assert seen.events == 17
    assert seen.granted_points == 4_150
    assert seen.points == {
        "acme": {"available": 318, "issued": 418, "redeemed": 100},
        "bolt": {"available": 220, "issued": 470, "redeemed": 50, "reversed": 200},
    }


def test_a_receipt_of_nobody_with_a_discount_of_another_partner_verifies_clean(day: Day) -> None:
    paid = select(t.posting.c.amount, t.posting.c.source).where(t.posting.c.unit == "currency")
    found = day.centre.rows(paid.order_by(t.posting.c.by_seq))
    assert found == [(200, "issued"), (100, "redeemed"), (450, "issued"), (450, "redeemed")]


def test_a_return_that_waits_for_its_receipt_verifies_clean(day: Day) -> None:
    gone = day.acme.receipt("R9", 5_000, told(day.anna))
    day.bolt.take_back("B9", day.acme.append(gone), gone, 1000)
    day.bolt.upload()
    assert day.centre.rows(select(t.event.c.state).where(t.event.c.receipt_id == "B9")) == [("waiting",)]
    assert codes(day.centre) == []


def test_a_return_posted_after_the_grace_verifies_clean_before_and_after_its_receipt_comes(day: Day) -> None:
    gone = day.acme.receipt("R9", 5_000, told(day.ben))
    day.bolt.take_back("B9", day.acme.append(gone), gone, 1000)
    day.bolt.upload()
    give_up_waiting(day.centre)
    assert codes(day.centre) == []
    day.acme.upload()
    assert codes(day.centre) == []
    # Once more, for part of it: this one has its receipt.
    day.acme.take_back("B10", EventRef(till_id=day.acme.head.till_id, epoch=1, seq=day.acme.head.seq), gone, 500)
    day.acme.upload()
    assert codes(day.centre) == []


def test_nobodys_return_posted_after_the_grace_verifies_clean_before_and_after_its_receipt_comes(day: Day) -> None:
    gone = day.acme.receipt("R9", 600, sku="tea")
    day.bolt.take_back("B9", day.acme.append(gone), gone, 1000)
    day.bolt.upload()
    give_up_waiting(day.centre)
    assert codes(day.centre) == []
    day.acme.upload()
    assert codes(day.centre) == []


def give_up_waiting(centre: Centre) -> None:
    with writing(centre.engine) as tx:
        assert post_overdue(tx, centre.now + 7 * DAY, centre.random) == 1


def test_a_till_that_grants_itself_points_is_quarantined_and_adds_nothing_to_what_was_granted(day: Day) -> None:
    day.acme.append(
        b'{"type":"grant.v1","receipt_id":"x","lease_id":"l","till_id":"t","epoch":1,"points":900,"granted_at_ms":1}'
    )
    day.acme.upload()
    seen = verify(day.centre)
    assert (seen.violations, seen.granted_points) == ((), 4_150)


UNREADABLE = {
    "half": b"[1",
    "no text": b"\xff{",
    "deep": b"[" * 100_000,
    "no type": b'{"type":["x"],"of":7}',
    "no more": b'{"type":"receipt.v1"}',
}


@pytest.mark.parametrize("payload", UNREADABLE.values(), ids=UNREADABLE)
def test_what_nobody_can_read_is_quarantined_and_verifies_clean(day: Day, payload: bytes) -> None:
    day.acme.append(payload)
    day.acme.upload()
    assert codes(day.centre) == []


def test_an_event_that_was_put_into_the_books_and_cannot_be_posted_is_named(day: Day) -> None:
    day.acme.void(EventRef(till_id="f" * 32, epoch=1, seq=1), day.acme.receipt("R9", 500))
    day.acme.upload()
    here = f"account_id = {day.ben}"
    run(day.centre, f"UPDATE event SET state = 'posted', {here}, account_version = 2 WHERE state = 'waiting'")
    run(day.centre, f"UPDATE account SET version = 2 WHERE {here}")
    assert codes(day.centre) == ["event.unfoldable"]


def test_a_line_that_was_erased_before_it_was_sent_verifies_clean(day: Day) -> None:
    day.acme.append(b'{"blanked":"' + b"0" * 64 + b'"}')
    day.acme.upload()
    assert codes(day.centre) == []


def test_a_batch_that_overlaps_the_one_before_verifies_clean(day: Day) -> None:
    day.acme.sell("R9", 700, told(day.ben))
    day.acme.send(day.acme.batch(first=day.acme.sent - 1))
    assert codes(day.centre) == []
    day.acme.sent = day.acme.head.seq
    day.acme.sell("R10", 700, told(day.ben))
    day.acme.upload()
    assert codes(day.centre) == []


def test_a_closed_period_verifies_clean(day: Day) -> None:
    close(day)
    assert codes(day.centre) == []
    day.acme.sell("R9", 700, told(day.ben))
    day.acme.upload()
    assert codes(day.centre) == []


# Books that somebody changed

# What is changed, in one row unless said; and all that verification says about it.
CHANGES = {
    "a lot": (
        "UPDATE lot SET points = points + 1 WHERE account_id = {anna} AND issuer_id = 'acme'",
        ["issuer.identity", "lot.folded", "lot.postings"],
    ),
    "a lot that is gone": (
        "DELETE FROM lot WHERE account_id = {ben} AND issuer_id = 'bolt'",
        ["issuer.identity", "lot.folded", "lot.postings"],
    ),
    "the amount of a posting": (
        "UPDATE posting SET amount = amount + 1 WHERE account_id = {ben} AND source = 'issued'",
        ["issuer.identity", "issuer.issued", "lot.postings"],
    ),
    "a posting that is gone": (
        "DELETE FROM posting WHERE account_id = {anna} AND target = 'redeemed' AND issuer_id = 'acme'",
        ["issuer.identity", "issuer.redeemed", "lot.postings"],
    ),
    "whom a redemption reimburses": (
        "UPDATE posting SET at_partner_id = 'bolt' WHERE account_id = {anna} AND target = 'redeemed'"
        " AND issuer_id = 'acme'",
        ["issuer.redeemed"],
    ),
    "the price of a redemption": (
        "UPDATE posting SET priced_by = 'funding' WHERE account_id = {anna} AND target = 'redeemed'"
        " AND issuer_id = 'acme'",
        ["issuer.redeemed"],
    ),
    "the period of a posting": (
        "UPDATE posting SET period_no = 2 WHERE account_id = {ben} AND source = 'issued'",
        ["posting.period"],
    ),
    "the place of a posting in its account": (
        "UPDATE posting SET account_version = 2 WHERE account_id = {ben} AND source = 'issued'",
        ["posting.version"],
    ),
    "a discount that another partner pays": (
        "UPDATE posting SET amount = 201 WHERE unit = 'currency' AND amount = 200",
        ["partner.funded"],
    ),
    "an account's version": ("UPDATE account SET version = 9 WHERE account_id = {anna}", ["account.version"]),
    "an event that is gone from the index": (
        "DELETE FROM event WHERE account_id = {ben}",
        ["account.version", "event.missing"],
    ),
    "nobody's event that is gone from the index": (
        "DELETE FROM event WHERE receipt_id = 'R4'",
        ["event.missing"],
    ),
    "an event's money": ("UPDATE event SET net_minor = net_minor + 1 WHERE receipt_id = 'R4'", ["event.row"]),
    "an event's day": ("UPDATE event SET business_date = '2026-03-03' WHERE receipt_id = 'R4'", ["event.row"]),
    "an event's account": (
        "UPDATE event SET account_id = {anna}, account_version = 9 WHERE account_id = {ben}",
        ["account.version", "event.account"],
    ),
    "an event's state": ("UPDATE event SET state = 'lost' WHERE reason = 'event.unknown'", ["event.state"]),
    "an event's type": ("UPDATE event SET kind = 'void.v1' WHERE account_id = {ben}", ["event.row"]),
    "an event that is kept out": (
        "UPDATE event SET state = 'quarantined' WHERE account_id = {ben}",
        ["account.version"],
    ),
    "an event nobody sent": (
        "INSERT INTO event SELECT till_id, epoch, 99, kind, state, reason, 'R99', account_id, account_version,"
        " partner_id, store_id, business_date, sold_at_ms, net_minor, points_earned, points_spent, points_reversed,"
        " of_till, of_epoch, of_seq, period_no, batch_seq, checked FROM event WHERE receipt_id = 'R4'",
        ["event.invented"],
    ),
    "a debt too many": (
        "INSERT INTO debt VALUES ({ben}, 0, '', '', 'acme', 'acme-1', 5, '{till}', 1, 2, 1)",
        ["debt.folded"],
    ),
    "the hash of a stream": (
        "UPDATE stream SET hash = '{zeros}' WHERE till_id = '{till}'",
        ["chain.head"],
    ),
    "the number of a stream": ("UPDATE stream SET seq = seq - 1 WHERE till_id = '{till}'", ["chain.head"]),
    "the secret of a stream": ("UPDATE stream SET genesis = '{zeros}' WHERE till_id = '{till}'", ["chain.link"]),
    "a secret that is none": ("UPDATE stream SET genesis = 'zz' WHERE till_id = '{till}'", ["stream.unreadable"]),
    "the number of a batch's first event": (
        "UPDATE batch SET first_seq = 2 WHERE till_id = '{till}' AND last_seq = 4",
        ["batch.place"],
    ),
    "the number a batch was posted from": (
        "UPDATE batch SET posted_from = 0 WHERE till_id = '{till}' AND last_seq = 4",
        ["batch.place"],
    ),
    "a batch that is gone": (
        "DELETE FROM batch WHERE till_id = '{till}' AND last_seq = 4",
        ["chain.gap", "event.invented"],
    ),
    "the last batch, gone": (
        "DELETE FROM batch WHERE till_id = '{till}' AND last_seq = 10",
        ["chain.head", "event.invented"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", list(CHANGES))
def test_what_was_changed_is_named_and_nothing_else(day: Day, what: str) -> None:
    statement, named = CHANGES[what]
    facts = {"anna": day.anna, "ben": day.ben, "till": day.acme.head.till_id, "zeros": "0" * 64}
    run(day.centre, statement.format(**facts))
    assert codes(day.centre) == named


def test_a_violation_says_where_and_both_figures(day: Day) -> None:
    run(day.centre, f"UPDATE lot SET points = 71 WHERE account_id = {day.ben}")
    one = next(one for one in verify(day.centre).violations if one.code == "lot.folded")
    assert (one.wanted, one.found) == ("70", "71")
    assert str(day.ben) in one.about and "bolt" in one.about
