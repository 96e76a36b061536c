"""What was quoted is not priced again when it is paid, as long as nothing it depends on has changed."""

from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import pytest

from edge.sale.priced import MOST_ANSWERED, MOST_QUOTES, Priced, Told
from edge.sale.till import Till
from loyalty.baskets import Basket, Line, Place, Tender, WrongCurrency
from loyalty.members import MemberView, Use
from loyalty.pricing.leases import NO_AUTHORITY, Authority
from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import read_programme
from loyalty.trouble import Refusal
from tests.edge.counter import NOON_MS, commit, line, published, sale

RULES = """
id: p
currency: EUR
cards: {{ranges: [{{kind: ean13, prefix: "20"}}]}}
promotions:
  - id: base
    then: [{{kind: earn, points: 1, per_minor: 100}}]
  - id: less
    {when}
    then: [{{kind: percent_off, percent_bp: 1000}}]
"""
DAY = "who: {card: true}"
HOURS = 'valid: {hours: [["08:00", "20:00"]]}'
INSTANT = 'valid: {from_at: "2026-01-01T00:00:00Z"}'
CASH = "when: [{kind: tender, kinds: [cash], at_least_minor: 1}]"
MINUTE_MS = 60_000
PAID = (Tender(kind="cash", amount_minor=900),)
LINES = (Line(line=1, sku="bread", amount_minor=1_000, quantity_milli=1_000),)


class Counting:
    """Prices, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, *args: Any, **more: Any) -> Quote:
        self.times += 1
        return quote_basket(*args, **more)


def told(when: str = DAY, **more: Any) -> Told:
    place = Place(
        partner_id="fresh", store_id="s1", till_id="t", channel="pos", sold_at_ms=NOON_MS, offset_min=0,
        business_date=date(2026, 3, 2),
    )  # fmt: skip
    return Told(
        compiled=compile_programme(read_programme(RULES.format(when=when))),
        basket=Basket(receipt_id="Q1", currency="EUR", lines=LINES),
        place=place,
        view=MemberView(account_id=7, balance_points=500, spendable_points=500, counters=()),
        authority=NO_AUTHORITY,
        bearer=(),
        shared=None,
        language="en",
        **more,
    )


def change(one: Told, part: str, **more: Any) -> Told:
    return msgspec.structs.replace(one, **{part: msgspec.structs.replace(getattr(one, part), **more)})


CASES: list[tuple[str, str, Callable[[Told], Told], bool]] = [
    ("nothing", DAY, lambda one: one, True),
    ("the id of the receipt", DAY, lambda one: change(one, "basket", receipt_id="R1"), True),
    ("a minute later", DAY, lambda one: change(one, "place", sold_at_ms=NOON_MS + MINUTE_MS), True),
    ("what is paid with", DAY, lambda one: change(one, "basket", tenders=PAID), True),
    ("what is paid with, where it counts", CASH, lambda one: change(one, "basket", tenders=PAID), False),
    ("a day later", DAY, lambda one: change(one, "place", sold_at_ms=NOON_MS + 24 * 60 * MINUTE_MS), False),
    ("within the minute, by the hour", HOURS, lambda one: change(one, "place", sold_at_ms=NOON_MS + 999), True),
    ("a minute later, by the hour", HOURS, lambda one: change(one, "place", sold_at_ms=NOON_MS + MINUTE_MS), False),
    ("a moment later, by the instant", INSTANT, lambda one: change(one, "place", sold_at_ms=NOON_MS + 1), False),
    ("another channel", DAY, lambda one: change(one, "place", channel="kiosk"), False),
    ("another offset", DAY, lambda one: change(one, "place", offset_min=60), False),
    ("a dearer line", DAY, lambda one: change(one, "basket", lines=(
        msgspec.structs.replace(LINES[0], amount_minor=1_001),)), False),
    ("points to spend", DAY, lambda one: change(one, "basket", points_to_spend=1), False),
    ("a point more on the account", DAY, lambda one: change(one, "view", balance_points=501), False),
    ("a visit more", DAY, lambda one: change(one, "view", counters=(Use(name="visits", amount=1),)), False),
    ("nobody's card", DAY, lambda one: msgspec.structs.replace(one, view=None), False),
    ("points that may be spent", DAY, lambda one: msgspec.structs.replace(
        one, authority=Authority(kind="float", points=5)), False),
    ("a counter of everybody", DAY, lambda one: msgspec.structs.replace(one, shared=()), False),
    ("another language", DAY, lambda one: msgspec.structs.replace(one, language="pl"), False),
    ("another programme", DAY, lambda one: msgspec.structs.replace(one, compiled=told(HOURS).compiled), False),
]  # fmt: skip


@pytest.mark.parametrize(("what", "when", "changed", "holds"), CASES, ids=[case[0] for case in CASES])
def test_a_quote_holds_again_only_where_the_kernel_would_be_told_the_same(
    what: str, when: str, changed: Callable[[Told], Told], holds: bool
):
    counting = Counting()
    priced, first = Priced(counting), told(when)
    quote = priced.quote(first)
    again = priced.again(changed(first), quote.digest)
    assert counting.times == (1 if holds else 2)
    assert again == priced.anew(changed(first))


def test_a_basket_that_cannot_be_is_turned_away_though_its_quote_is_known():
    priced, first = Priced(), told()
    quote = priced.quote(first)
    with pytest.raises(Refusal):
        priced.again(change(first, "basket", tenders=(Tender(kind="cash", amount_minor=-1),)), quote.digest)
    with pytest.raises(WrongCurrency):
        priced.again(change(first, "basket", currency="USD"), quote.digest)


def test_only_the_last_quotes_are_remembered():
    counting = Counting()
    priced, first = Priced(counting), told()
    baskets = [change(first, "basket", receipt_id=f"Q{n}", points_to_spend=n) for n in range(MOST_QUOTES + 1)]
    digests = [priced.quote(one).digest for one in baskets]
    counting.times = 0
    for one, digest in zip(baskets, digests, strict=True):
        priced.again(one, digest)
    assert counting.times == 1  # the oldest


def test_two_members_with_the_same_goods_each_have_their_own_quote():
    counting = Counting()
    priced, ana = Priced(counting), told()
    ben = change(change(ana, "view", account_id=8, balance_points=9), "basket", receipt_id="Q2")
    quotes = [priced.quote(one) for one in (ana, ben)]
    assert quotes[0].digest == quotes[1].digest
    counting.times = 0
    assert [priced.again(one, quotes[0].digest) for one in (ana, ben)] == quotes
    assert counting.times == 0


def test_of_a_basket_that_is_still_rung_up_the_last_quote_is_remembered():
    counting = Counting()
    priced, first = Priced(counting), told()
    more = change(first, "basket", points_to_spend=1)
    digests = [priced.quote(one).digest for one in (first, more)]
    counting.times = 0
    for one, digest, times in ((more, digests[1], 0), (first, digests[0], 1)):
        priced.again(one, digest)
        assert counting.times == times


def test_a_sale_that_was_quoted_is_written_as_one_that_never_was(till: Till):
    till.priced = Priced(counting := Counting())
    basket = sale(line(1, "bread", 1_000), line(2, "milk", 250), points=200)
    quote = till.quote(basket).quote
    paid = till.commit(commit("R1", basket, programme_version=quote.programme_version, digest=quote.digest))
    assert counting.times == 1
    till.priced = Priced()
    told_anew = till.commit(commit("R1", basket, programme_version=quote.programme_version, digest=quote.digest))
    assert (told_anew.replayed, told_anew.quote, told_anew.receipt) == (True, paid.quote, paid.receipt)


def test_the_second_of_two_sales_of_a_member_is_priced_with_the_first_in_the_books(till: Till):
    till.priced = Priced(counting := Counting())
    quote = till.quote(sale()).quote
    for number, times in (("R1", 1), ("R2", 2)):  # points and counters of the first are the member's by then
        till.commit(commit(number, programme_version=quote.programme_version, digest=quote.digest))
        assert counting.times == times


def test_what_head_office_tells_of_a_member_between_quote_and_commit_is_in_the_receipt(till: Till):
    quote = till.quote(sale()).quote
    till.cache.load_members([published("ana", points=123, version=2)])
    paid = till.commit(commit("R1", programme_version=quote.programme_version, digest=quote.digest))
    assert paid.detail.view is not None and paid.detail.view.balance_points == 123


def test_a_sale_that_is_asked_again_is_answered_without_being_priced_again(till: Till, monkeypatch: pytest.MonkeyPatch):
    counting = Counting()
    monkeypatch.setattr("loyalty.facts.receipts.quote_basket", counting)
    first = till.commit(commit("R1"))
    for n in range(2, MOST_ANSWERED + 1):
        till.commit(commit(f"R{n}"))
    again = till.commit(commit("R1"))
    assert (again.replayed, again.quote is first.quote, counting.times) == (True, True, 0)
    till.commit(commit("R99"))  # one too many: the oldest is worked out of its bytes once, and comes out the same
    for _ in range(2):
        recalled = till.commit(commit("R1"))
        assert (recalled.replayed, recalled.quote, counting.times) == (True, first.quote, 1)


def test_a_sale_is_answered_in_another_language_by_a_quote_in_that_language(till: Till):
    first = till.commit(commit("R1"))
    assert till.receipt("R1", "pl").quote is not first.quote
    assert till.receipt("R1", first.language).quote is first.quote
