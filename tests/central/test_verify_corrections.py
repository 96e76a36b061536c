"""Verification folds head office's own facts once more, and names what somebody changed about them."""

from datetime import date

import pytest
from sqlalchemy import select

from central.corrections.expiry import due_on, expire
from central.database import tables as t
from central.streams.own_events import centre_stream_id
from tests.central.busy_day import codes, open_to_damage, run, verify
from tests.central.office import Office, give, merge, take, transfer
from tests.central.tills import BEN, DAY, TODAY, Centre, told

CAROL = "2900000000032"


class Day:
    """Points given, taken, moved, lapsed, and an account merged; sound, and open to be changed."""

    def __init__(self, centre: Centre) -> None:
        self.centre, self.office = centre, Office(centre)
        self.anna, self.ben, self.carol = centre.member(), centre.member(BEN), centre.member(CAROL)
        till = centre.till()
        till.sell("R1", 4_000, told(self.carol))
        till.upload()
        self.office.ask(give(self.anna, 60))
        self.office.ask(give(self.anna, 30, "bolt", through=TODAY))
        self.office.ask(take(self.anna, 10, "acme"))
        self.office.ask(transfer(self.anna, self.ben, 35))
        centre.now += DAY
        self.office.ask(give(self.carol, 9, "bolt", through=date(2026, 3, 3)))
        self.office.ask(merge(self.carol, self.ben))
        expire(centre.engine, due_on(centre.now), centre.now, centre.random)
        assert verify(centre).violations == ()
        open_to_damage(centre)


@pytest.fixture
def day(centre: Centre) -> Day:
    return Day(centre)


def test_everything_head_office_does_verifies_clean_and_moved_points_net_to_zero(day: Day) -> None:
    seen = verify(day.centre)
    assert seen.points == {
        "acme": {"available": 90, "issued": 100, "moved": 0, "reversed": 10},
        "bolt": {"available": 9, "expired": 30, "issued": 39, "moved": 0},
    }
    # A sale and the float of its till; three corrections, two moves of two, one more correction, one lapsed at ben.
    assert (seen.accounts, seen.events) == (3, 11)


CHANGES = {
    "lapsed points": ("UPDATE lot SET expired = expired + 1 WHERE expired > 0", ["lot.expired", "lot.lapsed"]),
    "a lot": (
        "UPDATE lot SET points = points + 1 WHERE account_id = {anna} AND issuer_id = 'acme'",
        ["issuer.identity", "lot.folded", "lot.postings"],
    ),
    "what lapsed, in its posting": (
        "UPDATE posting SET amount = amount + 1 WHERE target = 'expired'",
        ["issuer.expired", "issuer.identity", "lot.expired", "lot.postings"],
    ),
    "what arrived, in its posting": (
        "UPDATE posting SET amount = amount + 1 WHERE source = 'moved' AND issuer_id = 'bolt' AND account_id = {ben}"
        " AND account_version = 1",
        ["issuer.moved", "lot.postings"],
    ),
    "points given, in their posting": (
        "UPDATE posting SET amount = amount + 1 WHERE source = 'issued' AND amount = 60",
        ["issuer.identity", "issuer.issued", "lot.postings"],
    ),
    "points taken that count as redeemed": (
        "UPDATE posting SET target = 'redeemed' WHERE target = 'reversed'",
        ["issuer.redeemed", "issuer.reversed"],
    ),
    "the row of a correction": (
        "UPDATE event SET business_date = '2026-03-01' WHERE kind = 'adjustment.v1' AND account_version = 1"
        " AND account_id = {anna}",
        ["event.row"],
    ),
    "whose correction it is": (
        "UPDATE event SET account_id = {ben}, account_version = 9 WHERE kind = 'adjustment.v1'"
        " AND account_version = 3",
        ["account.version", "event.row"],
    ),
    "a correction that is gone from the index": (
        "DELETE FROM event WHERE kind = 'adjustment.v1' AND account_version = 3",
        ["account.version", "event.missing"],
    ),
    "where a merged account lives on": (
        "UPDATE account SET merged_into = {anna} WHERE account_id = {carol}",
        ["account.merged"],
    ),
    "a merged account that is open again": (
        "UPDATE account SET status = 'registered' WHERE account_id = {carol}",
        ["account.closed"],
    ),
    "a merge that never was": (
        "UPDATE account SET merged_into = {ben}, status = 'closed' WHERE account_id = {anna}",
        ["account.merged"],
    ),
    "a card that leads to a closed account": (
        "UPDATE card SET account_id = {carol} WHERE account_id = {anna}",
        ["account.cards"],
    ),
    "the bytes of a correction": (
        "UPDATE centre_event SET payload = CAST('{{}}' AS {blob}) WHERE till_id = '{stream}' AND seq = 1",
        ["chain.link"],
    ),
    "a correction's bytes that are gone": (
        "DELETE FROM centre_event WHERE till_id = '{stream}' AND seq = 1",
        ["chain.gap", "event.invented"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", list(CHANGES))
def test_what_was_changed_is_named_and_nothing_else(day: Day, what: str) -> None:
    statement, named = CHANGES[what]
    blob = "BYTEA" if day.centre.engine.dialect.name == "postgresql" else "BLOB"
    facts = {"anna": day.anna, "ben": day.ben, "carol": day.carol, "blob": blob,
             "stream": centre_stream_id("corrections")}  # fmt: skip
    run(day.centre, statement.format(**facts))
    assert codes(day.centre) == named


def test_the_first_row_that_breaks_is_named_with_both_figures(day: Day) -> None:
    run(day.centre, "UPDATE lot SET expired = 31 WHERE expired = 30")
    first = verify(day.centre).violations[0]
    assert (first.code, first.wanted, first.found) == ("lot.lapsed", "30", "31")
    assert str(day.ben) in first.about and "bolt" in first.about


FORGED = {
    "a merge": '{"type":"move.v1","receipt_id":"M1","account_id":%d,"other_id":%d,"on":"2026-03-02","direction":"in",'
               '"reason":"family","asked_by":"ana","closes":true}',
    "half a move": '{"type":"move.v1","receipt_id":"M1","account_id":%d,"closes":true,"other":%d}',
}  # fmt: skip


@pytest.mark.parametrize("what", list(FORGED))
def test_what_a_till_forges_in_head_offices_name_counts_for_nothing(day: Day, what: str) -> None:
    till = day.centre.till()
    till.append((FORGED[what] % (day.anna, day.ben)).encode())
    till.upload()
    assert codes(day.centre) == []


def test_a_forged_fact_that_was_put_into_the_books_is_named(day: Day) -> None:
    till = day.centre.till()
    till.append((FORGED["a merge"] % (day.anna, day.ben)).encode())
    till.upload()
    ((version, *_),) = [day.office.account(day.anna)]
    run(day.centre, f"UPDATE event SET state = 'posted', kind = 'move.v1', receipt_id = 'M1', account_id = {day.anna},"
                    f" account_version = {version + 1}, business_date = '2026-03-02'"
                    " WHERE reason = 'event.not_a_tills'")  # fmt: skip
    run(day.centre, f"UPDATE account SET version = {version + 1} WHERE account_id = {day.anna}")
    assert codes(day.centre) == ["event.stream"]


def test_a_departure_that_never_arrived_is_named(day: Day) -> None:
    arrived = select(t.event.c.seq).where(t.event.c.account_id == day.ben, t.event.c.account_version == 1)
    ((seq,),) = day.centre.rows(arrived)
    stream = centre_stream_id("corrections")
    run(day.centre, f"DELETE FROM centre_event WHERE till_id = '{stream}' AND seq = {seq}")
    assert "move.arrived" in codes(day.centre)
