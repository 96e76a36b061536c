"""A transfer is balanced for each issuer, overdraws nothing unless it may, and is one fact for each account."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as some

from loyalty.facts.transfers import (
    MOST,
    BadAmount,
    Leg,
    NoLegs,
    Overdrawn,
    Part,
    TooMuchHeld,
    Transferred,
    Unbalanced,
    by_account,
    check_transfer,
)
from loyalty.ledger.books import Books
from loyalty.ledger.transfer_postings import post_transfer, transfer_key
from loyalty.lots import EventRef

ANNA, BEN, TILL = 1, 2, 3
ON = date(2026, 3, 2)


def debit(account_id: int, amount: int, issuer_id: str = "EUR") -> Leg:
    return Leg(account_id=account_id, issuer_id=issuer_id, side="debit", amount=amount)


def credit(account_id: int, amount: int, issuer_id: str = "EUR") -> Leg:
    return Leg(account_id=account_id, issuer_id=issuer_id, side="credit", amount=amount)


def test_what_is_there_may_be_transferred_to_the_last_unit():
    check_transfer([debit(ANNA, 500), credit(BEN, 300), credit(TILL, 200)], {(ANNA, "EUR"): 500})


def test_one_unit_more_than_is_there_may_not():
    with pytest.raises(Overdrawn) as refused:
        check_transfer([debit(ANNA, 501), credit(BEN, 501)], {(ANNA, "EUR"): 500})
    assert refused.value.figures == {"has": 500, "wanted": 501}


def test_it_may_where_the_asker_lets_it():
    check_transfer([debit(ANNA, 501), credit(BEN, 501)], {(ANNA, "EUR"): 500}, may_overdraw=True)


def test_an_account_below_nothing_may_be_credited_but_not_debited_further():
    held = {(ANNA, "EUR"): -100, (BEN, "EUR"): 100}
    check_transfer([debit(BEN, 50), credit(ANNA, 50)], held)
    with pytest.raises(Overdrawn):
        check_transfer([debit(ANNA, 1), credit(BEN, 1)], held)


def test_both_legs_of_one_account_count_together():
    check_transfer([debit(ANNA, 500), credit(ANNA, 500)], {})


@pytest.mark.parametrize(
    "legs",
    [
        [debit(ANNA, 100)],
        [debit(ANNA, 100), credit(BEN, 99)],
        [debit(ANNA, 100), credit(BEN, 100, "USD")],
        [debit(ANNA, 100), credit(BEN, 100), credit(TILL, 1, "USD")],
    ],
)
def test_debits_and_credits_of_each_issuer_are_equal(legs: list[Leg]):
    with pytest.raises(Unbalanced):
        check_transfer(legs, {}, may_overdraw=True)


def test_two_issuers_in_one_transfer_are_balanced_each_for_itself():
    legs = [debit(ANNA, 100), credit(BEN, 100), debit(BEN, 90, "USD"), credit(ANNA, 90, "USD")]
    check_transfer(legs, {(ANNA, "EUR"): 100, (BEN, "USD"): 90})


def test_a_transfer_of_nothing_is_none():
    with pytest.raises(NoLegs):
        check_transfer([], {})


@pytest.mark.parametrize("amount", [0, -5, MOST + 1])
def test_an_amount_is_positive_and_fits_the_books(amount: int):
    with pytest.raises(BadAmount):
        check_transfer([debit(ANNA, amount), credit(BEN, amount)], {}, may_overdraw=True)


def test_a_balance_that_would_not_fit_the_books_is_refused():
    held = {(BEN, "EUR"): 10**18}
    with pytest.raises(TooMuchHeld):
        check_transfer([debit(ANNA, 1), credit(BEN, 1)], held, may_overdraw=True)


def test_each_account_gets_its_own_legs_in_one_fact():
    legs = [debit(BEN, 7), credit(ANNA, 4), credit(BEN, 1), credit(ANNA, 2)]
    assert by_account(legs) == {
        BEN: (part("debit", 7), part("credit", 1)),
        ANNA: (part("credit", 4), part("credit", 2)),
    }


def part(side: str, amount: int, issuer_id: str = "EUR") -> Part:
    return Part(issuer_id=issuer_id, side=side, amount=amount)  # type: ignore[arg-type]


def post(books: Books, seq: int, account_id: int, *parts: Part) -> None:
    event = Transferred(receipt_id=f"t{seq}", transfer_id="t", account_id=account_id, on=ON, parts=parts)
    posted = post_transfer(event, EventRef(till_id="ab" * 16, epoch=1, seq=seq), books)
    assert [(one.unit, one.n) for one in posted.postings] == [("point", n + 1) for n in range(len(parts))]
    books.take(posted)


def test_a_fact_moves_its_accounts_lot_and_counts_in_its_version():
    books = Books((), 1)
    post(books, 1, ANNA, part("credit", 300), part("debit", 120), part("credit", 5, "USD"))
    post(books, 2, ANNA, part("debit", 200))
    account = books.account(ANNA)
    assert account.version == 2
    assert account.lots == {transfer_key("EUR"): -20, transfer_key("USD"): 5}


LEGS = some.lists(
    some.builds(
        Leg,
        account_id=some.integers(1, 4),
        issuer_id=some.sampled_from(["EUR", "USD"]),
        side=some.sampled_from(["debit", "credit"]),
        amount=some.integers(1, 50),
    ),
    max_size=6,
)


@given(LEGS)
def test_whatever_is_let_through_leaves_the_sum_of_each_issuer_as_it_was(legs: list[Leg]):
    try:
        check_transfer(legs, {}, may_overdraw=True)
    except (Unbalanced, NoLegs):
        return
    books = Books((), 1)
    for seq, (account_id, parts) in enumerate(by_account(legs).items(), 1):
        post(books, seq, account_id, *parts)
    for issuer in ("EUR", "USD"):
        assert sum(account.lots.get(transfer_key(issuer), 0) for account in books.accounts.values()) == 0
