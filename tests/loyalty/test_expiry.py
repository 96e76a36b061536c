"""What lapses when."""

from loyalty.ledger.books import Books, Posting
from loyalty.ledger.expiry import expire_lots
from loyalty.lots import Expiry
from loyalty.moments import Moment
from tests.loyalty.build import TERMS, day, key, ref

NOON = Moment(on=day("2026-03-02"), weekday="mon", at="12:00")


def lapsed(expiry, on="2026-03-02", now=None):
    """Which of three lots a run takes: their last valid days."""
    books = Books(TERMS, 1)
    books.account(7).lots = {key("2026-03-01"): 5, key("2026-03-02"): 6, key("2026-03-03"): 7, key(): 8}
    posted = expire_lots(7, ref(1), day(on), books, now=now, expiry=expiry)
    return [(row.key.valid_through.day, row.amount) for row in posted.postings]


def test_a_lot_lapses_when_its_last_day_is_over():
    assert lapsed(Expiry()) == [(1, 5)]
    assert lapsed(Expiry(), now=NOON) == [(1, 5)]


def test_a_lot_lapses_as_its_last_day_begins_where_the_programme_says_so():
    assert lapsed(Expiry(when="start_of_day")) == [(1, 5), (2, 6)]
    assert lapsed(Expiry(when="start_of_day"), on="2026-03-04") == [(1, 5), (2, 6), (3, 7)]


def test_a_lot_lapses_at_an_instant_where_the_programme_says_so():
    assert lapsed(Expiry(when="instant", at="12:00"), now=NOON) == [(1, 5), (2, 6)]
    assert lapsed(Expiry(when="instant", at="12:01"), now=NOON) == [(1, 5)]
    assert lapsed(Expiry(when="instant", at="12:00")) == [(1, 5)]


def test_a_run_writes_one_row_for_each_lot_soonest_first_under_the_next_version_of_the_account():
    books = Books(TERMS, 4)
    books.account(7).lots = {key("2026-03-01"): 5, key("2026-02-28", "bolt", "bolt-1"): 6, key(): 8}
    books.account(7).version = 3
    posted = expire_lots(7, ref(9), day("2026-03-02"), books)
    assert (posted.ref, posted.account_id, posted.account_version) == (ref(9), 7, 4)
    common = {
        "account_id": 7,
        "account_version": 4,
        "unit": "point",
        "source": "available",
        "target": "expired",
        "at_terms_id": "none",
        "by": ref(9),
        "of": ref(9),
        "period_no": 4,
        "origin_period_no": 4,
    }
    assert posted.postings == (
        Posting(n=1, amount=6, key=key("2026-02-28", "bolt", "bolt-1"), at_partner_id="bolt", **common),
        Posting(n=2, amount=5, key=key("2026-03-01"), at_partner_id="acme", **common),
    )


def test_a_run_that_finds_nothing_leaves_the_account_at_its_version():
    books = Books(TERMS, 4)
    books.account(7).lots = {key("2026-03-02"): 5}
    books.account(7).version = 3
    posted = expire_lots(7, ref(9), day("2026-03-02"), books)
    assert (posted.account_version, posted.postings) == (3, ())
