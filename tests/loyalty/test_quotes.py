"""Quotes: stages in order, sums that hold, a reason for everything, the same bytes on every machine."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.baskets import CertificateAsk
from loyalty.members import UNKNOWN_CARD
from loyalty.pricing.quotes import check_sums
from loyalty.trouble import InvariantBroken
from tests.loyalty.build import (
    A_FLOAT,
    SPENDING,
    amount_off,
    basket,
    bundle,
    buy_get,
    bytes_of,
    certificate,
    compiled,
    coupon,
    earn,
    fixed,
    gift,
    line,
    member,
    multiply,
    off,
    percent_off,
    place,
    promotion,
    quantity,
    quote,
    scale,
    spend,
    use,
)

ROOT = Path(__file__).parents[2]
MUG = {"id": "mug", "points": 100, "of": {"sku": ["mug"]}}


def figures(asked):
    """Lines as `(line, amount, discount, points earned, paid with points, net, points spent)`."""
    return [msgspec.structs.astuple(row) for row in asked.lines]


def why(asked):
    """`spring: yes, 1.00 EUR off` or `spring: when.spend, 3.20 EUR more.` for each promotion."""
    return [f"{row.promotion}: {'yes' if row.applied else row.condition}, {row.say}" for row in asked.why]


def test_a_basket_is_discounted_then_paid_with_points_and_what_is_left_earns():
    rules = compiled(
        promotion("dairy", percent_off(1000, category=[["Dairy"]])), promotion("base", earn(1, 100)), spending=SPENDING
    )
    asked = quote(
        rules,
        line(1, 1000, category=("Dairy",)),
        line(2, 600),
        view=member(),
        points_to_spend=600,
        authority=A_FLOAT,
    )
    # 10 % of 10.00 is 1.00. 600 points are 3.00 over 9.00 and 6.00: 1.80 and 1.20.
    # 7.20 and 4.80 in money are 12.00: 12 points, 7.2 and 4.8, so 7 and 5.
    # The 600 points are spent where the 3.00 are: 360 and 240.
    assert figures(asked) == [(1, 1000, 100, 7, 180, 720, 360), (2, 600, 0, 5, 120, 480, 240)]
    assert bytes_of(asked.totals) == (
        b'{"gross_minor":1600,"discount_minor":100,"paid_with_points_minor":300,"net_minor":1200,'
        b'"points_earned":12,"points_spent":600,"paid_with_certificates_minor":0,"to_pay_minor":1200}'
    )
    assert (asked.redemption.most_points, asked.redemption.step, asked.redemption.authority) == (3000, 100, "float")
    assert why(asked) == ["dairy: yes, 1.00 EUR off", "base: yes, 12 points"]


def test_each_discount_is_taken_of_what_earlier_ones_left():
    rules = compiled(
        promotion("last", amount_off(100), stage="after"),
        promotion("half", percent_off(5000)),
        promotion("tenth", percent_off(1000), priority=1),
    )
    # 10.00 - 1.00 = 9.00, half of it 4.50, then 1.00.
    assert figures(quote(rules, line(1, 1000))) == [(1, 1000, 650, 0, 0, 350, 0)]


def test_a_minimum_spend_looks_at_what_earlier_promotions_left():
    rules = compiled(
        promotion("tenth", percent_off(1000), priority=1), promotion("big", amount_off(100), when=[spend(1000)])
    )
    assert why(quote(rules, line(1, 1100))) == ["tenth: yes, 1.10 EUR off", "big: when.spend, 0.10 EUR more."]


def test_a_promotion_that_only_earns_looks_at_the_price_after_all_discounts():
    rules = compiled(
        promotion("base", earn(1, 100), stage="before", when=[spend(1000)]), promotion("tenth", percent_off(1000))
    )
    assert quote(rules, line(1, 1100), view=member()).totals.points_earned == 0
    assert quote(rules, line(1, 1200), view=member()).totals.points_earned == 10  # 10.80


def test_without_a_card_there_are_discounts_and_no_points():
    rules = compiled(promotion("tenth", percent_off(1000)), promotion("base", earn(1, 100)))
    asked = quote(rules, line(1, 1000), points_to_spend=100, authority=A_FLOAT)
    assert (asked.totals.discount_minor, asked.totals.points_earned, asked.earned) == (100, 0, ())


def test_an_unknown_card_earns_and_spends_nothing():
    rules = compiled(promotion("base", earn(1, 100)), spending=SPENDING)
    asked = quote(rules, line(1, 1000), view=UNKNOWN_CARD, points_to_spend=100)
    assert (asked.totals.points_earned, asked.totals.points_spent, asked.redemption.authority) == (10, 0, "none")


def test_points_belong_to_who_funds_them_and_live_as_their_promotion_says():
    rules = compiled(
        promotion("base", earn(1, 100)),
        promotion("brand", earn(2, 100), funded_by="bolt", lifetime={"days": 30}),
        lifetime={"end_of": "year"},
    )
    asked = quote(rules, line(1, 500), view=member())
    assert [msgspec.to_builtins(row) for row in asked.earned] == [["acme", "2026-12-31", 5], ["bolt", "2026-04-01", 10]]


def test_a_limited_promotion_counts_its_use_only_when_it_did_something():
    limits = {"times": 1, "per": "month"}
    rules = compiled(promotion("dairy", percent_off(1000, category=[["Dairy"]]), limits=limits))
    milk = line(1, 1000, category=("Dairy",))
    assert quote(rules, milk, view=member()).uses == (use("promo:dairy:2026-03"),)
    assert quote(rules, line(1, 0, category=("Dairy",)), view=member()).uses == ()
    assert quote(rules, milk, view=member(counters=(use("promo:dairy:2026-03"),))).uses == ()


def test_every_refused_code_comes_back_and_never_stops_the_sale():
    asked = quote(compiled(), line(1, 100), coupons=("SPRING", "X"))
    refused = [(row.code, row.reason) for row in asked.coupons_refused]
    assert refused == [("SPRING", "unknown_code"), ("X", "unknown_code")]
    assert asked.totals.net_minor == 100


def test_a_promotion_that_holds_and_finds_nothing_says_so():
    rules = compiled(promotion("late", percent_off(1000)), promotion("all", percent_off(10_000), priority=1))
    assert why(quote(rules, line(1, 500))) == [
        "all: yes, 5.00 EUR off",
        "late: then, Nothing in this basket counts for it.",
    ]


def test_a_promotion_about_other_goods_is_not_mentioned():
    assert quote(compiled(promotion("milk", percent_off(1000, sku=["milk"]))), line(1, 500)).why == ()


MISSED = [{"place": "customer", "case": "missed", "text": {"en": "{short_of} more!", "pl": "Jeszcze {short_of}!"}}]


def test_a_near_miss_is_said_with_what_is_still_missing():
    rules = compiled(promotion("big", amount_off(100), when=[spend(1000)], messages=MISSED))
    assert [one.text for one in quote(rules, line(1, 680)).messages] == ["3.20 more!"]
    assert [one.text for one in quote(rules, line(1, 680), language="pl").messages] == ["Jeszcze 3,20!"]


def test_a_near_miss_in_weight_is_said_in_parts_of_a_unit():
    rules = compiled(promotion("kilo", amount_off(100), when=[quantity(1000)], messages=MISSED))
    asked = quote(rules, line(1, 680, quantity_milli=650))
    assert [one.text for one in asked.messages] == ["0.35 more!"]
    assert [row.short_of for row in asked.why] == ["0.35"]


def test_a_promotion_that_is_for_others_is_not_a_near_miss():
    rules = compiled(promotion("big", amount_off(100), who={"tiers": ["gold"]}, messages=MISSED))
    assert quote(rules, line(1, 680), view=member()).messages == ()


def test_a_promotion_of_words_alone_speaks_when_it_holds():
    hello = [{"place": "kiosk", "text": {"en": "Hello, {balance} points."}}]
    rules = compiled(promotion("hello", who={"card": True}, messages=hello))
    asked = quote(rules, line(1, 100), view=member(balance_points=12))
    assert [one.text for one in asked.messages] == ["Hello, 12 points."]
    assert quote(rules, line(1, 100)).messages == ()


def test_the_programmes_own_message_sums_up_the_receipt():
    total = [{"place": "receipt", "text": {"en": "Saved {saved}, earned {points}."}}]
    rules = compiled(promotion("tenth", percent_off(1000)), promotion("base", earn(1, 100)), messages=total)
    assert [one.text for one in quote(rules, line(1, 1000), view=member()).messages] == ["Saved 1.00, earned 9."]


def test_the_digest_changes_with_anything_that_is_priced():
    rules, other = compiled(promotion("tenth", percent_off(1000))), compiled(promotion("tenth", percent_off(1001)))
    digests = [
        quote(rules, line(1, 1000)).digest,
        quote(rules, line(1, 1001)).digest,
        quote(rules, line(2, 1000)).digest,
        quote(rules, line(1, 1000, sku="other")).digest,
        quote(rules, line(1, 1000), line(2, 0)).digest,
        quote(rules, line(1, 1000), coupons=("A",)).digest,
        quote(rules, line(1, 1000), points_to_spend=1).digest,
        quote(other, line(1, 1000)).digest,
    ]
    assert len(set(digests)) == 8


def test_the_digest_changes_with_how_a_receipt_is_paid_beside_money():
    rules = compiled(spending=SPENDING, certificates={"sold": {"sku": ["card"]}, "wallet": True}, prizes=[MUG])
    facts = {"view": member(stored_minor=500), "authority": A_FLOAT, "bearer": [certificate("G1", 500)]}
    digests = [
        quote(rules, line(1, 1000, sku="mug"), **facts, **asked).digest
        for asked in (
            {}, {"points_to_spend": 100}, {"from_wallet_minor": 1}, {"from_wallet_minor": 2}, {"prizes": ("mug",)},
            {"certificates": (CertificateAsk(code="G1"),)}, {"events": ("survey",)}, {"tax_included": False},
            {"certificates": (CertificateAsk(code="G1", amount_minor=1),)},
        )
    ]  # fmt: skip
    assert len(set(digests)) == len(digests)


def test_explanations_change_nothing_but_themselves():
    for goods in ([], [{"amount_minor": 1999, "category": ("Dairy",), "brand": "Alp"}, {"amount_minor": 301}]):
        lines = [line(n, **row) for n, row in enumerate(goods, 1)]
        told, silent = (
            quote(RULES, *lines, view=member(), authority=A_FLOAT, points_to_spend=700, explain=explain)
            for explain in (True, False)
        )
        assert silent.why == ()
        assert bytes_of(msgspec.structs.replace(told, why=())) == bytes_of(silent)


def test_what_was_told_is_told_again():
    coupons, counted = [coupon("C1"), coupon("C2")], [use("promo:floor", 1)]
    asked = quote(RULES, line(1, 1000), view=member(), authority=A_FLOAT, bearer=coupons, shared=counted)
    assert (asked.view, asked.authority, asked.bearer, asked.shared) == (
        member(), A_FLOAT, tuple(coupons), tuple(counted),
    )  # fmt: skip
    assert (quote(RULES, line(1, 1000)).bearer, quote(RULES, line(1, 1000)).shared) == ((), None)


def test_the_digest_does_not_depend_on_who_asks_under_which_id():
    rules = compiled(promotion("tenth", percent_off(1000)))
    assert quote(rules, line(1, 1000), receipt_id="R2").digest == quote(rules, line(1, 1000)).digest


def test_sums_that_do_not_hold_never_leave_the_kernel():
    whole = quote(compiled(promotion("tenth", percent_off(1000))), line(1, 1000))
    replace = msgspec.structs.replace
    for broken in (
        replace(whole, totals=replace(whole.totals, net_minor=901)),
        replace(whole, totals=replace(whole.totals, discount_minor=99, net_minor=901)),
        replace(whole, totals=replace(whole.totals, points_earned=1)),
        replace(whole, lines=(replace(whole.lines[0], net_minor=899),)),
        replace(whole, lines=(replace(whole.lines[0], discount_minor=1001, net_minor=-1),)),
        replace(whole, lines=(replace(whole.lines[0], points_earned=1),)),
        replace(whole, lines=(replace(whole.lines[0], points_spent=1),)),
        replace(whole, totals=replace(whole.totals, to_pay_minor=-1)),
        replace(whole, effects=()),
    ):
        with pytest.raises(InvariantBroken):
            check_sums(broken)


# Laws

STEPS = ({"from": 500, "percent_bp": 500}, {"from": 2000, "percent_bp": 1500})
RULES = compiled(
    promotion("floor", amount_off(300), priority=3, limits={"times": 2}),
    promotion("dairy", percent_off(1250, category=[["Dairy"]]), amount_off(7, "unit", tags=["bio"]), funded_by="bolt"),
    promotion("each", amount_off(15, "line", brand=["Alp"]), stage="after", when=[spend(1500)]),
    promotion("base", earn(3, 100, exclude={"tags": ["tobacco"]})),
    promotion("double", multiply(200, category=[["Dairy"]]), funded_by="core", lifetime={"months": 3}),
    promotion("four", earn(7, 90, brand=["Alp"]), when=[quantity(4000)]),
    promotion("three", bundle((2, {}), (1, {"category": [["Dairy"]]}), price_minor=900), stage="before"),
    promotion("second", buy_get(1, percent_bp=5000, buy={"brand": ["Alp"]}), group="g", stage="after"),
    promotion("steps", scale(*STEPS, of={"tags": ["bio"]}), group="g", stage="after"),
    promotion("late", percent_off(300), stage="redemption", when=[{"kind": "points_spent"}]),
    promotion("cup", gift("cup", for_minor=1000)),
    promotion("visit", fixed(11), trigger={"kind": "event", "event": "visit"}),
    groups=[{"id": "g", "stacking": "best_of_line"}],
    spending=SPENDING | {"largest_share_bp": 6000, "of": {"exclude": {"tags": ["tobacco"]}}},
    messages=[{"place": "receipt", "text": {"en": "Saved {saved}"}}],
)
GOODS = st.builds(
    dict,
    sku=st.sampled_from(["a", "b"]),
    amount_minor=st.integers(0, 4000),
    quantity_milli=st.integers(1, 4000),
    category=st.sampled_from([(), ("Dairy",), ("Dairy", "Milk")]),
    brand=st.sampled_from(["", "Alp"]),
    tags=st.sampled_from([(), ("bio",), ("tobacco",)]),
    floor_unit_minor=st.just(0) | st.integers(0, 500),
    discountable=st.booleans(),
    accrual=st.booleans(),
)
BASKETS = st.lists(GOODS, max_size=7)
ASKED = st.integers(0, 5000)


def of(goods, points=0, rules=RULES):
    lines = [line(i + 1, **row) for i, row in enumerate(goods)]
    return quote(rules, *lines, view=member(), points_to_spend=points, authority=A_FLOAT)


@given(BASKETS, ASKED)
def test_line_figures_add_up_to_the_receipt_and_nothing_is_negative(goods, points):
    asked = of(goods, points)
    columns = list(zip(*figures(asked), strict=True)) or [()] * 7
    totals = asked.totals
    whole = sum(effect.points for effect in asked.effects if effect.line == 0)
    assert [sum(column) for column in columns[1:]] == [
        totals.gross_minor,
        totals.discount_minor,
        totals.points_earned - whole,
        totals.paid_with_points_minor,
        totals.net_minor,
        totals.points_spent,
    ]
    assert all(figure >= 0 for row in figures(asked) for figure in row)
    assert totals.points_spent <= points
    assert totals.paid_with_points_minor == totals.points_spent // 100 * 50
    assert sum(effect.points for effect in asked.effects) == sum(row.points for row in asked.earned)


@given(BASKETS, ASKED)
def test_asking_twice_gives_the_same_bytes(goods, points):
    assert bytes_of(of(goods, points)) == bytes_of(of(goods, points))


@given(BASKETS, ASKED, st.randoms(use_true_random=False))
def test_line_numbers_are_names_and_decide_nothing(goods, points, random):
    numbers = list(range(1, len(goods) + 1))
    random.shuffle(numbers)
    renamed = [line(number, **row) for number, row in zip(numbers, goods, strict=True)]
    asked = quote(RULES, *renamed, view=member(), points_to_spend=points, authority=A_FLOAT)
    assert [row[1:] for row in figures(asked)] == [row[1:] for row in figures(of(goods, points))]


ONE_DISCOUNT = compiled(promotion("off", amount_off(333)), promotion("base", earn(7, 45)), spending=SPENDING)


@given(BASKETS, ASKED, st.booleans(), st.randoms(use_true_random=False))
def test_lines_in_another_order_make_the_same_receipt(goods, points, accrual, random):
    # Where only some lines earn, it matters on which of them an odd cent falls.
    goods = [row | {"accrual": accrual} for row in goods]
    turned = list(goods)
    random.shuffle(turned)
    assert of(turned, points, ONE_DISCOUNT).totals == of(goods, points, ONE_DISCOUNT).totals


@pytest.mark.parametrize(("first", "points"), [(True, 5), (False, 6)])
def test_an_odd_cent_off_falls_on_the_first_of_equal_lines_whether_it_earns_or_not(first, points):
    # 3.33 over 6.19, 0.67 and 0.67: 273.7, 29.6 and 29.6. One of the last two earns, 7 points on 0.45, and 0.01 besides
    # it: 7 x 38 / 45 = 5.9 where it bears the odd cent, else 7 x 39 / 45 = 6.07.
    equals = (line(2, 67, accrual=first), line(3, 67, accrual=not first))
    asked = quote(ONE_DISCOUNT, line(1, 619, accrual=False), *equals, line(4, 1, discountable=False), view=member())
    assert (off(asked), asked.totals.points_earned) == ([274, 30, 29, 0], points)


@given(BASKETS, GOODS, st.integers(2, 4))
def test_lines_of_equal_content_share_alike_but_for_the_odd_unit_of_the_first(goods, twin, times):
    # Without floors: what a floor refuses is spread again, with an odd unit of its own.
    plain = [row | {"floor_unit_minor": 0} for row in [twin] * times + goods]
    shares = [row.discount_minor for row in of(plain, rules=ONE_DISCOUNT).lines[:times]]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] - shares[-1] <= 1


@given(BASKETS, ASKED)
def test_promotions_about_other_goods_change_nothing(goods, points):
    others = [promotion(f"other{i}", percent_off(5000, sku=[f"x{i}"])) for i in range(20)]
    rules = compiled(promotion("tenth", percent_off(1000)), promotion("base", earn(1, 100)))
    more = compiled(*others, promotion("tenth", percent_off(1000)), promotion("base", earn(1, 100)))
    assert figures(of(goods, points, rules)) == figures(of(goods, points, more))


def test_another_process_with_another_hash_seed_gives_the_same_bytes():
    code = """
import sys
from tests.loyalty.test_quotes import RULES, of
goods = [
    {"amount_minor": 1999, "quantity_milli": 2000, "category": ("Dairy", "Milk"), "brand": "Alp", "tags": ("bio",)},
    {"amount_minor": 301, "brand": "Alp"}, {"amount_minor": 999, "tags": ("tobacco",)}, {"amount_minor": 1},
]
import msgspec
sys.stdout.buffer.write(msgspec.json.encode(of(goods, 700)))
"""
    told = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("0", "1", "31337")
    }  # fmt: skip
    goods = [
        {"amount_minor": 1999, "quantity_milli": 2000, "category": ("Dairy", "Milk"), "brand": "Alp", "tags": ("bio",)},
        {"amount_minor": 301, "brand": "Alp"},
        {"amount_minor": 999, "tags": ("tobacco",)},
        {"amount_minor": 1},
    ]
    assert told == {bytes_of(of(goods, 700))}


def test_nothing_handed_in_is_changed():
    here, goods = place(), basket(line(1, 1000, tags=("bio",)))
    before = bytes_of([here, goods])
    quote(RULES, *goods.lines, view=member(), place=here)
    assert bytes_of([here, goods]) == before
