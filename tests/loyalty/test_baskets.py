"""Baskets: what can be priced, and every basket that cannot."""

import msgspec
import pytest

from loyalty.amounts import LARGEST_MINOR
from loyalty.baskets import (
    MOST_CODES,
    MOST_LINES,
    MOST_MILLI,
    MOST_TAX_BP,
    BadBasket,
    CertificateAsk,
    Place,
    Tender,
    WrongCurrency,
    check_basket,
)
from tests.loyalty.build import basket, bytes_of, cash, compiled, earn, line, member, place, promotion, quote


def test_a_basket_of_plain_lines_is_taken():
    check_basket(basket(line(1, 250), line(7, 0), line(3, LARGEST_MINOR - 250)), "EUR")


def test_an_empty_basket_is_taken():
    check_basket(basket(), "EUR")


AS_LARGE_AS_CAN_BE = {
    "quantity_milli": MOST_MILLI,
    "unit_price_minor": LARGEST_MINOR,
    "floor_unit_minor": LARGEST_MINOR,
    "tax_bp": MOST_TAX_BP,
}


def test_the_largest_basket_there_can_be_is_taken_and_quoted():
    lines = [line(1, LARGEST_MINOR, **AS_LARGE_AS_CAN_BE), *(line(n, 0) for n in range(2, MOST_LINES + 1))]
    codes = tuple(f"C{n}" for n in range(MOST_CODES))
    facts = {
        "coupons": codes,
        "events": codes,
        "prizes": codes,
        "certificates": tuple(CertificateAsk(code=code, amount_minor=LARGEST_MINOR) for code in codes),
        "tenders": (cash(LARGEST_MINOR),),
        "points_to_spend": LARGEST_MINOR,
        "from_wallet_minor": LARGEST_MINOR,
    }
    check_basket(basket(*lines, **facts), "EUR")
    asked = quote(compiled(promotion("base", earn(1, 1))), *lines, view=member(), **facts)
    assert (asked.totals.net_minor, asked.totals.points_earned) == (LARGEST_MINOR, LARGEST_MINOR)
    assert len(asked.coupons_refused) == len(asked.prizes_refused) == len(asked.certificates_refused) == MOST_CODES


def test_more_points_than_any_account_holds_are_refused():
    rules = compiled(promotion("base", earn(2, 1)))
    assert quote(rules, line(1, LARGEST_MINOR // 2), view=member()).totals.points_earned == LARGEST_MINOR
    with pytest.raises(BadBasket):
        quote(rules, line(1, LARGEST_MINOR // 2 + 1), view=member())


def test_another_currency_is_refused_with_the_one_to_use():
    with pytest.raises(WrongCurrency) as told:
        check_basket(basket(line(1, 250), currency="PLN"), "EUR")
    assert told.value.figures == {"wanted": "EUR", "found": "PLN"}
    assert told.value.say == "This programme counts in EUR; ring the basket up in EUR or sell without loyalty."


WRONG = [
    ("a negative amount", basket(line(1, -1))),
    ("a negative quantity", basket(line(1, 100, quantity_milli=-1000))),
    ("a negative unit price", basket(line(1, 100, unit_price_minor=-1))),
    ("a negative floor", basket(line(1, 100, floor_unit_minor=-1))),
    ("an amount larger than any sale", basket(line(1, LARGEST_MINOR + 1))),
    ("a quantity larger than any sale", basket(line(1, 1, quantity_milli=LARGEST_MINOR + 1))),
    ("lines that together cost more than any sale", basket(line(1, 1), line(2, LARGEST_MINOR))),
    ("a line number twice", basket(line(1, 100), line(1, 100))),
    ("a line number below 1", basket(line(0, 100))),
    ("no sku", basket(line(1, 100, sku=""))),
    ("points below zero", basket(line(1, 100), points_to_spend=-1)),
    ("too many lines", basket(*(line(i, 1) for i in range(1, MOST_LINES + 2)))),
    ("a unit price larger than any sale", basket(line(1, 1, unit_price_minor=LARGEST_MINOR + 1))),
    ("a floor larger than any sale", basket(line(1, 1, floor_unit_minor=LARGEST_MINOR + 1))),
    ("more units than any sale has", basket(line(1, 1, quantity_milli=MOST_MILLI + 1))),
    ("a negative rate of tax", basket(line(1, 1, tax_bp=-1))),
    ("a rate of tax beyond any", basket(line(1, 1, tax_bp=MOST_TAX_BP + 1))),
    ("too many coupons", basket(coupons=("C",) * (MOST_CODES + 1))),
    ("too many events", basket(events=("survey",) * (MOST_CODES + 1))),
    ("too many prizes", basket(prizes=("mug",) * (MOST_CODES + 1))),
    ("too many certificates", basket(certificates=(CertificateAsk(code="G"),) * (MOST_CODES + 1))),
    ("a certificate asked for less than nothing", basket(certificates=(CertificateAsk(code="G", amount_minor=-1),))),
    ("a certificate asked for more than any sale",
     basket(certificates=(CertificateAsk(code="G", amount_minor=LARGEST_MINOR + 1),))),
    ("less than nothing from the wallet", basket(from_wallet_minor=-1)),
    ("more than any sale from the wallet", basket(from_wallet_minor=LARGEST_MINOR + 1)),
    ("more points than any account holds", basket(points_to_spend=LARGEST_MINOR + 1)),
    ("a negative tender", basket(tenders=(cash(100), cash(-1)))),
    ("a tender larger than any sale", basket(tenders=(cash(LARGEST_MINOR + 1),))),
]  # fmt: skip


@pytest.mark.parametrize(("what", "wrong"), WRONG, ids=[what for what, _ in WRONG])
def test_a_basket_that_cannot_be_priced_is_refused(what, wrong):
    with pytest.raises(BadBasket) as told:
        check_basket(wrong, "EUR")
    assert told.value.code == "basket.malformed"


HALF = "caf\ud800"  # half of a pair; it has no place in UTF-8, so no receipt could carry it
HALVES = [
    ("an article", [line(1, 100, sku=HALF)], {}),
    ("a receipt", [], {"receipt_id": HALF}),
    ("a tender", [], {"tenders": (Tender(kind=HALF, amount_minor=1),)}),
    ("a coupon", [], {"coupons": (HALF,)}),
    ("an event", [], {"events": (HALF,)}),
    ("a prize", [], {"prizes": (HALF,)}),
    ("a certificate", [], {"certificates": (CertificateAsk(code=HALF),)}),
]


@pytest.mark.parametrize(("what", "lines", "facts"), HALVES, ids=[what for what, _, _ in HALVES])
def test_a_text_with_half_a_character_is_refused_and_not_garbled(what, lines, facts):
    with pytest.raises(BadBasket, match="half a character"):
        quote(compiled(), *lines, **facts)


def test_goods_that_come_back_are_sent_to_a_return():
    with pytest.raises(BadBasket, match="go through a return, not a sale"):
        check_basket(basket(line(1, 100), line(2, -50)), "EUR")


def test_a_place_travels_as_a_row():
    row = b'["acme","S1","T1","store",1772452800000,0,"2026-03-02","kiosk"]'
    assert bytes_of(place(till_kind="kiosk")) == row
    assert msgspec.json.decode(row, type=Place) == place(till_kind="kiosk")


def test_a_place_from_before_there_were_kinds_of_till_can_still_be_read():
    assert msgspec.json.decode(b'["acme","S1","T1","store",1772452800000,0,"2026-03-02"]', type=Place) == place()


WRONG_PLACES = [
    b'["acme","S1","T1","store",-1,0,"2026-03-02"]',
    b'["acme","S1","T1","store",100000000000001,0,"2026-03-02"]',
    b'["acme","S1","T1","store",1772452800000,1081,"2026-03-02"]',
    b'["acme","S1","T1","store",1772452800000,0,"2026-02-30"]',
    b'["acme","S1","T1","store",1772452800000,0]',
]


@pytest.mark.parametrize("row", WRONG_PLACES)
def test_a_place_at_no_possible_moment_cannot_be_read(row):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(row, type=Place)
