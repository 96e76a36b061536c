"""Certificates and the wallet: tender that was paid in before. They pay after points and change no line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.baskets import CertificateAsk
from loyalty.members import UNKNOWN_CARD
from loyalty.pricing.stored_value import StoredPaid, stored_paid
from tests.loyalty.build import (
    A_FLOAT,
    SPENDING,
    certificate,
    compiled,
    coupon,
    day,
    earn,
    line,
    member,
    percent_off,
    promotion,
    quote,
    steps_of,
    use,
)

SOLD = {"sold": {"sku": ["card"]}, "wallet": True}
RULES = compiled(certificates=SOLD)


def paid(asked):
    """`(code, amount, left)` of each certificate, what the wallet pays, what is left to pay."""
    return (
        [(one.code, one.amount_minor, one.left_minor) for one in asked.certificates],
        asked.from_wallet_minor,
        asked.totals.to_pay_minor,
    )


def laid(*pairs):
    return tuple(CertificateAsk(code=code, amount_minor=amount) for code, amount in pairs)


def with_one(item, *, view=None, amount=0, cost=1000, rules=RULES):
    return quote(rules, line(1, cost), view=view, bearer=[item] if item else [], certificates=laid(("G1", amount)))


PAYS = [
    # What is on it, what is asked of it, what the goods cost: what it pays, what is left on it, what is left to pay.
    (3000, 0, 1000, (1000, 2000, 0)),
    (600, 0, 1000, (600, 0, 400)),
    (1000, 0, 1000, (1000, 0, 0)),
    (600, 250, 1000, (250, 350, 750)),
    (600, 601, 1000, (600, 0, 400)),
    (600, 0, 0, (0, 600, 0)),
    (1, 0, 10**15, (1, 0, 10**15 - 1)),
    (10**15, 0, 10**15, (10**15, 0, 0)),
]


@pytest.mark.parametrize(("balance", "amount", "cost", "told"), PAYS)
def test_a_certificate_pays_what_is_asked_is_on_it_and_is_due(balance, amount, cost, told):
    asked = with_one(certificate("G1", balance), amount=amount, cost=cost)
    pays, left, to_pay = told
    assert paid(asked) == ([("G1", pays, left)], 0, to_pay)
    assert steps_of(asked.shared_uses) == ({"certificate:G1": -pays} if pays else {})


REFUSED = [
    (None, None, "unknown_code"),
    (certificate("G1", 0), None, "nothing_left"),
    (certificate("G1", 500, account_id=7), member(), ""),
    (certificate("G1", 500, account_id=7), None, "needs_card"),
    (certificate("G1", 500, account_id=7), UNKNOWN_CARD, "of_another_member"),
    (certificate("G1", 500, account_id=8), member(), "of_another_member"),
    (certificate("G1", 500, from_on=day("2026-03-03")), None, "not_yet_good"),
    (certificate("G1", 500, through=day("2026-03-01")), None, "no_longer_good"),
    (certificate("G1", 500, from_on=day("2026-03-02"), through=day("2026-03-02")), None, ""),
    (certificate("G1", 0, through=day("2026-03-01")), None, "no_longer_good"),
    (coupon("G1"), None, "unknown_code"),
]


@pytest.mark.parametrize(("item", "view", "reason"), REFUSED)
def test_a_certificate_serves_whom_it_is_for_on_its_days(item, view, reason):
    asked = with_one(item, view=view)
    assert [one.reason for one in asked.certificates_refused] == ([reason] if reason else [])
    assert asked.totals.to_pay_minor == (1000 if reason else 500)


def test_a_programme_without_certificates_takes_none():
    asked = with_one(certificate("G1", 500), rules=compiled())
    assert [one.reason for one in asked.certificates_refused] == ["unknown_code"]
    asked = quote(compiled(), line(1, 1000), view=member(stored_minor=500), from_wallet_minor=500)
    assert (asked.from_wallet_minor, asked.totals.to_pay_minor) == (0, 1000)


def test_a_certificate_is_counted_with_whom_it_belongs_to():
    wallet = (certificate("G2", 500, account_id=7),)
    asked = quote(
        RULES, line(1, 2000), view=member(wallet=wallet, stored_minor=300), bearer=[certificate("G1", 400)],
        certificates=laid(("G2", 0), ("G1", 0)), from_wallet_minor=9999,
    )  # fmt: skip
    assert paid(asked) == ([("G2", 500, 0), ("G1", 400, 0)], 300, 800)
    assert steps_of(asked.uses) == {"certificate:G2": -500, "wallet": -300}
    assert steps_of(asked.shared_uses) == {"certificate:G1": -400}


def test_the_token_of_a_certificate_is_taken_to_the_letter():
    # Other than a coupon's code it is a hash: no letter of it looks like another.
    asked = quote(RULES, line(1, 1000), bearer=[certificate("ab-1", 500)], certificates=laid(("AB1", 0)))
    assert [one.reason for one in asked.certificates_refused] == ["unknown_code"]


def test_the_same_certificate_twice_pays_once():
    asked = quote(RULES, line(1, 2000), bearer=[certificate("G1", 500)], certificates=laid(("G1", 100), ("G1", 100)))
    assert paid(asked) == ([("G1", 100, 400)], 0, 1900)
    assert [(one.code, one.reason) for one in asked.certificates_refused] == [("G1", "entered_twice")]


WALLETS = [
    (member(stored_minor=400), 300, 300),
    (member(stored_minor=400), 500, 400),
    (member(stored_minor=0), 500, 0),
    (member(stored_minor=5000), 5000, 1000),
    (member(stored_minor=5000), 0, 0),
    (None, 500, 0),
    (UNKNOWN_CARD, 500, 0),
]


@pytest.mark.parametrize(("view", "asked", "told"), WALLETS)
def test_a_wallet_pays_what_is_in_it_for_the_member_it_belongs_to(view, asked, told):
    found = quote(RULES, line(1, 1000), view=view, from_wallet_minor=asked)
    assert (found.from_wallet_minor, found.totals.to_pay_minor) == (told, 1000 - told)
    assert steps_of(found.uses) == ({"wallet": -told} if told else {})


SHARES = [(10_000, 1000), (5000, 500), (3333, 333), (1, 0)]


@pytest.mark.parametrize(("share_bp", "told"), SHARES)
def test_certificates_and_wallet_pay_a_share_of_the_goods_together(share_bp, told):
    rules = compiled(certificates=SOLD | {"largest_share_bp": share_bp})
    asked = quote(
        rules, line(1, 1000), line(2, 5000, sku="card"), view=member(stored_minor=200), bearer=[certificate("G1", 900)],
        certificates=laid(("G1", 0)), from_wallet_minor=200,
    )  # fmt: skip
    assert asked.totals.paid_with_certificates_minor == min(told, 900)
    assert asked.from_wallet_minor == told - min(told, 900)
    assert asked.totals.to_pay_minor == 6000 - told


def test_what_is_sold_as_a_certificate_is_neither_discounted_nor_earns_nor_is_paid_with_stored_value():
    rules = compiled(
        promotion("half", percent_off(5000)), promotion("base", earn(1, 100)), certificates=SOLD, spending=SPENDING
    )
    asked = quote(
        rules, line(1, 5000, sku="card"), line(2, 1000), view=member(stored_minor=9999), authority=A_FLOAT,
        points_to_spend=400, bearer=[certificate("G1", 200)], certificates=laid(("G1", 0)), from_wallet_minor=9999,
    )  # fmt: skip
    # 10.00 is halved; 400 points pay 2.00; the certificate 2.00, the wallet the 1.00 left; 3.00 earn.
    assert [(row.discount_minor, row.paid_with_points_minor, row.net_minor) for row in asked.lines] == [
        (0, 0, 5000), (500, 200, 300),
    ]  # fmt: skip
    assert paid(asked) == ([("G1", 200, 0)], 100, 5000)
    assert asked.totals.points_earned == 3


def test_a_certificate_that_is_sold_is_no_spend_of_its_buyer():
    rules = compiled(
        promotion("many", percent_off(1), when=[{"kind": "period_spend", "at_least_minor": 10**9}]), certificates=SOLD
    )
    asked = quote(rules, line(1, 5000, sku="card"), line(2, 700), view=member())
    assert steps_of(asked.uses) == {"spend:2026-03": 700}


def test_what_stored_value_paid_can_be_read_off_the_uses_of_a_sale():
    asked = quote(
        RULES, line(1, 2000), view=member(wallet=(certificate("G2", 500, account_id=7),), stored_minor=300),
        bearer=[certificate("G1", 400)], certificates=laid(("G2", 0), ("G1", 150)), from_wallet_minor=120,
    )  # fmt: skip
    assert stored_paid((*asked.uses, *asked.shared_uses)) == StoredPaid(certificates_minor=650, wallet_minor=120)
    others = [use("visits"), use("wallets", -7), use("coupon:C1"), use("promo:wallet", -3)]
    assert stored_paid(iter(others)) == StoredPaid(certificates_minor=0, wallet_minor=0)


@given(
    st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 3000),
    st.integers(1, 10_000),
)  # fmt: skip
def test_stored_value_never_pays_more_than_there_is_is_asked_or_is_due(cost, one, other, stored, asked, share_bp):
    rules = compiled(certificates=SOLD | {"largest_share_bp": share_bp})
    found = quote(
        rules, line(1, cost), view=member(stored_minor=stored), bearer=[certificate("A", one), certificate("B", other)],
        certificates=laid(("A", asked), ("B", 0)), from_wallet_minor=asked,
    )  # fmt: skip
    pays = {row.code: row.amount_minor for row in found.certificates}
    assert 0 <= pays.get("A", 0) <= min(one, asked or one)
    assert 0 <= pays.get("B", 0) <= other
    assert 0 <= found.from_wallet_minor <= min(stored, asked)
    total = sum(pays.values()) + found.from_wallet_minor
    assert total * 10_000 <= cost * share_bp
    assert found.totals.to_pay_minor == cost - total
