"""What everybody together may have only so often, given by tills that were apart: all of it stands, and it is seen."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from central.coalition.programmes import publish
from central.corrections.wishes import FixWish
from central.database.tables import event, flag
from central.ports import writing
from central.posting.late import post_overdue
from central.recomputing.recompute import recompute_pending
from central.verify.books import verify_books
from loyalty.baskets import Basket, Line
from loyalty.facts.receipts import Receipt, close_receipt
from loyalty.facts.returned_lines import ReturnLine
from loyalty.lots import EventRef
from loyalty.members import MemberView, Use, WalletItem
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from
from tests.central.office import Office
from tests.central.tills import DAY, MINUTE, NOW, PROGRAMME, Centre, Till, told

LIMITED: dict[str, Any] = {
    **PROGRAMME,
    "coupons": [{"id": "back"}],
    "promotions": [
        *PROGRAMME["promotions"],
        {
            "id": "back",
            "trigger": {"kind": "coupon", "coupon": "back"},
            "then": [{"kind": "amount_off", "amount_minor": 200}],
        },
        {
            "id": "tea",
            "limits": {"times_in_all": 1},
            "then": [{"kind": "amount_off", "amount_minor": 100, "of": {"sku": ["tea"]}}],
        },
        {
            "id": "pot",
            "limits": {"budget_minor": 1000},
            "then": [{"kind": "percent_off", "percent_bp": 5000, "of": {"sku": ["pot"]}}],
        },
    ],
}
RULES = compile_programme(programme_from(LIMITED))


@pytest.fixture
def pair(centre: Centre) -> tuple[Till, Till]:
    """Two tills of two stores under the limited programme."""
    with writing(centre.engine) as tx:
        publish(tx, msgspec.json.encode(LIMITED), NOW)
    one, other = centre.till("S1"), centre.till("S2")
    one.rules = other.rules = RULES
    return one, other


def sold(
    till: Till, receipt_id: str, sku: str, amount: int, *, minute: int = 0, coupons: Sequence[str] = (),
    view: MemberView | None = None, shared: tuple[Use, ...] = (),
) -> Receipt:  # fmt: skip
    """A sale of one line so many minutes after noon, told what its own till knows; not yet written."""
    place = msgspec.structs.replace(till.place(), sold_at_ms=NOW + minute * MINUTE)
    lines = (Line(line=1, sku=sku, amount_minor=amount),)
    basket = Basket(receipt_id=receipt_id, currency="EUR", lines=lines, coupons=tuple(coupons))
    hand = [WalletItem(code=code, of="back", account_id=view.account_id if view else None) for code in coupons]
    quote = quote_basket(till.rules, basket, place, view, bearer=hand, shared=shared)
    return close_receipt(quote, basket, place, compiled=till.rules, card_token=None)


def name_of(ref: EventRef) -> str:
    return f"{ref.till_id}:{ref.epoch}:{ref.seq}"


def findings(centre: Centre) -> list[tuple[str, str, str, str]]:
    """(event, receipt, cause, counter) of the worklist."""
    named = select(flag.c.till_id, flag.c.epoch, flag.c.seq, flag.c.receipt_id, flag.c.cause, flag.c.figures)
    return sorted(
        (f"{till}:{epoch}:{seq}", receipt_id, cause, msgspec.json.decode(figures)["counter"])
        for till, epoch, seq, receipt_id, cause, figures in centre.rows(named)
    )


@pytest.mark.parametrize("first", [0, 1])
def test_a_coupon_taken_at_two_tills_stands_twice_and_the_later_sale_names_the_earlier(
    centre: Centre, pair: tuple[Till, Till], first: int
) -> None:
    earlier, later = pair
    refs = [earlier.append(sold(earlier, "R1", "bread", 900, coupons=["A1"])),
            later.append(sold(later, "R2", "bread", 900, minute=5, coupons=["A1"]))]  # fmt: skip
    for till in (pair[first], pair[1 - first]):
        assert till.upload().flagged == ()
        centre.recompute()
    assert findings(centre) == [(name_of(refs[1]), "R2", "coupon_used_twice", "coupon:A1")]
    assert centre.figures("coupon_used_twice") == {
        "counter": "coupon:A1", "limit": 1, "used": 2, "other": name_of(refs[0])}  # fmt: skip
    # Both receipts are booked as they were paid.
    assert centre.rows(select(event.c.net_minor, event.c.state)) == [(700, "posted"), (700, "posted")]
    assert verify_books(centre.engine).violations == ()


def test_a_coupon_taken_once_and_an_offer_given_once_are_nothing_to_look_at(
    centre: Centre, pair: tuple[Till, Till]
) -> None:
    one, other = pair
    one.append(sold(one, "R1", "tea", 900, coupons=["A1"]))
    other.append(sold(other, "R1", "pot", 2_000, coupons=["A2"]))
    for till in pair:
        till.upload()
    assert (centre.recompute().same, findings(centre)) == (2, [])


def test_an_offer_limited_in_all_that_two_tills_gave_is_found(centre: Centre, pair: tuple[Till, Till]) -> None:
    one, other = pair
    first = one.append(sold(one, "R1", "tea", 900))
    second = other.append(sold(other, "R1", "tea", 900, minute=1))
    third = other.append(sold(other, "R2", "tea", 900, minute=2))  # its till had given it already
    for till in pair:
        till.upload()
    assert centre.recompute().differs == 2
    assert findings(centre) == sorted(
        (name_of(ref), receipt_id, "limit_overshot", "promo:tea") for ref, receipt_id in ((second, "R1"), (third, "R2"))
    )
    rows = centre.rows(select(flag.c.seq, flag.c.figures).order_by(flag.c.seq))
    told_of = [msgspec.json.decode(figures) for _, figures in rows]
    assert [(one["used"], one["other"]) for one in told_of] == [(2, name_of(first)), (3, name_of(second))]


def test_a_budget_that_two_tills_spent_is_found(centre: Centre, pair: tuple[Till, Till]) -> None:
    one, other = pair
    first = one.append(sold(one, "R1", "pot", 1_200))  # 6.00 off
    second = other.append(sold(other, "R1", "pot", 1_000, minute=1))  # 5.00 off: 11.00 of 10.00
    for till in pair:
        till.upload()
    centre.recompute()
    assert findings(centre) == [(name_of(second), "R1", "budget_overshot", "budget:pot")]
    assert centre.figures("budget_overshot") == {
        "counter": "budget:pot", "limit": 1_000, "used": 1_100, "other": name_of(first)}  # fmt: skip


@pytest.mark.parametrize("undone", [0, 1])
def test_a_void_of_either_leaves_nothing_to_look_at(centre: Centre, pair: tuple[Till, Till], undone: int) -> None:
    for minute, till in enumerate(pair):
        receipt = sold(till, "R1", "tea", 900, minute=minute, coupons=["A1"])
        ref = till.append(receipt)
        if till is pair[undone]:
            till.void(ref, receipt)
    for till in pair:
        till.upload()
    centre.recompute()
    assert findings(centre) == []
    assert verify_books(centre.engine).violations == ()


def test_what_was_voided_is_not_counted_among_what_went_beyond(centre: Centre, pair: tuple[Till, Till]) -> None:
    one, other = pair
    first = one.append(sold(one, "R1", "tea", 900))
    undone = sold(one, "R2", "tea", 900, minute=1)
    one.void(one.append(undone), undone)
    third = other.append(sold(other, "R1", "tea", 900, minute=2))
    for till in pair:
        till.upload()
    centre.recompute()
    assert findings(centre) == [(name_of(third), "R1", "limit_overshot", "promo:tea")]
    assert centre.figures("limit_overshot") == {
        "counter": "promo:tea", "limit": 1, "used": 2, "other": name_of(first)}  # fmt: skip


def test_a_budget_comes_back_with_what_is_returned(centre: Centre, pair: tuple[Till, Till]) -> None:
    one, other = pair
    receipt = sold(one, "R1", "pot", 1_200)  # 6.00 off, of which a half comes back
    one.take_back("B1", one.append(receipt), receipt, 500)
    other.append(sold(other, "R1", "pot", 1_400, minute=1))  # 7.00 off: 10.00 in all
    for till in pair:
        till.upload()
    centre.recompute()
    assert findings(centre) == []


def test_a_sale_that_arrives_late_puts_the_one_after_it_beyond_the_limit(
    centre: Centre, pair: tuple[Till, Till]
) -> None:
    slow, quick = pair
    first = slow.append(sold(slow, "R1", "tea", 900))
    second = quick.append(sold(quick, "R2", "tea", 900, minute=9))
    quick.upload()
    assert (centre.recompute().same, findings(centre)) == (1, [])
    slow.upload()
    assert centre.recompute().same == 1
    assert findings(centre) == [(name_of(second), "R2", "limit_overshot", "promo:tea")]
    assert centre.figures("limit_overshot")["other"] == name_of(first)


def test_looking_again_and_in_small_portions_finds_nothing_twice(centre: Centre, pair: tuple[Till, Till]) -> None:
    one, other = pair
    one.append(sold(one, "R1", "tea", 900, coupons=["A1"]))
    one.append(sold(one, "R2", "bread", 900, minute=1, coupons=["A2"]))
    second = other.append(sold(other, "R1", "tea", 900, minute=2, coupons=["A1", "A2"]))
    for till in pair:
        till.upload()
    wanted = [
        (name_of(second), "R1", "coupon_used_twice", "coupon:A1"),
        (name_of(second), "R1", "coupon_used_twice", "coupon:A2"),
        (name_of(second), "R1", "limit_overshot", "promo:tea"),
    ]
    for portion in (1, 500, 2):
        while recompute_pending(centre.engine, portion, centre.now).events:
            pass
        assert findings(centre) == wanted
        with writing(centre.engine) as tx:
            tx.execute(update(event).values(checked=""))


def test_each_coupon_of_a_receipt_is_told_of_when_its_other_use_arrives(
    centre: Centre, pair: tuple[Till, Till]
) -> None:
    one, other = pair
    second = other.append(sold(other, "R9", "bread", 900, minute=9, coupons=["A1", "A2"]))
    other.upload()
    centre.recompute()
    for receipt_id, code in (("R1", "A2"), ("R2", "A1")):
        one.append(sold(one, receipt_id, "bread", 900, coupons=[code]))
        one.upload()
        centre.recompute()
    assert findings(centre) == [
        (name_of(second), "R9", "coupon_used_twice", "coupon:A1"),
        (name_of(second), "R9", "coupon_used_twice", "coupon:A2"),
    ]


def test_a_members_own_coupon_taken_at_two_tills_is_found_on_their_account(
    centre: Centre, pair: tuple[Till, Till]
) -> None:
    anna = centre.member()
    refs = [till.append(sold(till, "R1", "bread", 900, coupons=["OWN"], view=told(anna))) for till in pair]
    for till in pair:
        till.upload()
    centre.recompute()
    assert centre.flags() == [(1, "coupon_used_twice")]
    assert centre.figures("coupon_used_twice") == {
        "counter": "coupon:OWN", "limit": 1, "used": 2, "other": name_of(refs[0])}  # fmt: skip


def test_without_the_programme_only_coupons_are_known_to_serve_once(centre: Centre) -> None:
    one, other = centre.till("S1"), centre.till("S2")
    one.rules = other.rules = RULES  # which nobody has published
    for minute, till in enumerate((one, other)):
        till.append(sold(till, "R1", "tea", 900, minute=minute, coupons=["A1"]))
        till.upload()
    centre.recompute()
    assert [cause for _, cause in centre.flags()] == ["coupon_used_twice", "programme_unknown", "programme_unknown"]


def test_counters_beyond_any_sale_are_kept_apart(centre: Centre, pair: tuple[Till, Till]) -> None:
    one, _ = pair
    wild = (Use(name="promo:tea", amount=10**13), Use(name="promo:pot", amount=1))
    one.append(msgspec.structs.replace(sold(one, "R1", "tea", 900), shared_uses=wild))
    one.upload()
    assert centre.rows(select(event.c.state, event.c.reason)) == [("quarantined", "event.out_of_range")]


def test_goods_of_a_receipt_that_is_not_here_take_nothing_from_what_another_one_had(
    centre: Centre, pair: tuple[Till, Till]
) -> None:
    """The till gave the number of R1 to R2 as well, and R2 never comes; its tea does, and R1 had the only one all the
    same."""
    one, other = pair
    ref = one.append(sold(one, "R1", "tea", 500))
    one.upload()
    second = sold(one, "R2", "tea", 500)
    back = one.returned("B2", ref, second, (ReturnLine(line=1, quantity_milli=1000),))
    assert [use.amount for use in back.shared_uses] == [-1]
    one.append(back)
    one.upload()
    centre.now += 8 * DAY
    with writing(centre.engine) as tx:
        assert post_overdue(tx, centre.now, centre.random) == 1
    for minute in (5, 6):
        other.append(sold(other, f"R{minute}", "tea", 500, minute=minute))
    other.upload()
    recompute_pending(centre.engine, 100, centre.now)
    found = select(flag.c.receipt_id).where(flag.c.cause == "limit_overshot").order_by(flag.c.receipt_id)
    assert centre.rows(found) == [("R5",), ("R6",)]
    assert verify_books(centre.engine).violations == ()


def overshot(centre: Centre) -> list[tuple[str, str]]:
    """Event and receipt of what went beyond the only tea; the worklist also names what was in quarantine."""
    chosen = select(flag.c.till_id, flag.c.epoch, flag.c.seq, flag.c.receipt_id).where(flag.c.cause == "limit_overshot")
    return sorted((f"{till}:{epoch}:{seq}", receipt_id) for till, epoch, seq, receipt_id in centre.rows(chosen))


@pytest.mark.parametrize("how", ["return", "void"])
def test_goods_of_a_receipt_that_people_posted_take_back_what_it_had(
    centre: Centre, pair: tuple[Till, Till], how: str
) -> None:
    """R1 stands in head office's own stream, its goods name the place that its till gave it: one tea of the three that
    were sold came back, so the second of the others is one too many, and the first is not."""
    one, other = pair
    sound = sold(one, "R1", "tea", 500)
    ref = one.append(msgspec.structs.replace(sound, shared_uses=(*sound.shared_uses, Use(name="x", amount=10**13))))
    one.upload()
    assert centre.rows(select(event.c.state)) == [("quarantined",)]
    wish = FixWish(till_id=ref.till_id, epoch=ref.epoch, seq=ref.seq, fact=sound, reason="wrong_figures")
    Office(centre).done(wish)
    if how == "void":
        one.void(ref, sound)
    else:
        one.take_back("B1", ref, sound, 1_000)
    assert one.upload().flagged == ()
    second = other.append(sold(other, "R2", "tea", 500, minute=5))
    third = other.append(sold(other, "R3", "tea", 500, minute=6))
    other.upload()
    centre.recompute()
    assert overshot(centre) == [(name_of(third), "R3")]
    assert centre.figures("limit_overshot") == {
        "counter": "promo:tea", "limit": 1, "used": 2, "other": name_of(second)}  # fmt: skip
    assert verify_books(centre.engine).violations == ()


def test_a_receipt_that_people_posted_and_kept_counts_in_the_order_of_its_sale(
    centre: Centre, pair: tuple[Till, Till]
) -> None:
    one, other = pair
    sound = sold(one, "R1", "tea", 500)
    ref = one.append(msgspec.structs.replace(sound, shared_uses=(*sound.shared_uses, Use(name="x", amount=10**13))))
    one.upload()
    second = other.append(sold(other, "R2", "tea", 500, minute=5))
    other.upload()
    centre.recompute()
    assert overshot(centre) == []
    wish = FixWish(till_id=ref.till_id, epoch=ref.epoch, seq=ref.seq, fact=sound, reason="wrong_figures")
    Office(centre).done(wish)
    centre.recompute()
    third = other.append(sold(other, "R3", "tea", 500, minute=6))
    other.upload()
    centre.recompute()
    assert overshot(centre) == [(name_of(second), "R2"), (name_of(third), "R3")]
