"""Laws of goods that come back: parts that add up to the whole leave nothing behind, in whatever order they come."""

from collections import Counter
from collections.abc import Collection
from functools import lru_cache
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.baskets import Basket, CertificateAsk, CertificateSale, Line, Place
from loyalty.facts.counted_points import counted_of
from loyalty.facts.events import encode, own_uses, read_receipt, voided_uses
from loyalty.facts.receipts import Receipt, close_receipt, read_detail
from loyalty.facts.returned_points import AtHand
from loyalty.facts.reversals import Return, ReturnLine, came_back, close_return, close_void, return_lines
from loyalty.ledger.books import Books
from loyalty.lots import EventRef, points_in
from loyalty.members import MemberView, Use, WalletItem, add_uses
from loyalty.pricing.leases import Authority
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.compiled import Compiled
from tests.loyalty.build import (
    amount_off,
    basket,
    books,
    cash,
    compiled,
    day,
    earn,
    held,
    key,
    line,
    member,
    percent_off,
    place,
    post,
    promotion,
    ref,
)

COUPON = WalletItem(code="C1", kind="coupon", of="tenth", account_id=7)
IN_HAND = WalletItem(code="C2", kind="coupon", of="tenth")
OWN_CERTIFICATE = WalletItem(code="G1", kind="certificate", account_id=7, balance_minor=700)
BEARERS = WalletItem(code="G2", kind="certificate", balance_minor=1_100)
SOLD_MINOR = 2_500  # the certificate of a sale that sells one
STOCK = {key("2026-12-31"): 5_000, key("2026-06-30", "bolt", "bolt-1"): 3_000}
NEVER = {"promo:kept:2026-03", "promo:kept"}

OPTIONS = st.fixed_dictionaries({
    "points_on_return": st.sampled_from(["pro_rata", "recompute", "claw_all"]),
    "clawback_short": st.sampled_from(["debt", "clamp", "money"]),
    "coupon_on_return": st.sampled_from(["full", "always"]),
    "spread_over_nothing": st.sampled_from(["nothing", "evenly"]),
    "points_rounding": st.sampled_from(["receipt", "line", "half_up"]),
})  # fmt: skip
LINES = st.lists(
    st.tuples(st.integers(0, 5_000), st.sampled_from([0, 1, 333, 1000, 2000, 5000])), min_size=1, max_size=4
)
ASKS = st.fixed_dictionaries({
    "points": st.sampled_from([0, 0, 30, 700, 9_000]),
    "coupons": st.lists(st.sampled_from(["C1", "C2"]), unique=True, max_size=2),
    "certificates": st.lists(st.sampled_from([("G1", 0), ("G2", 0), ("G2", 77)]), max_size=2, unique_by=lambda c: c[0]),
    "wallet": st.sampled_from([0, 0, 55, 400]),
    "prizes": st.sampled_from([(), ("mug",)]),
    "tenders": st.sampled_from([(), (cash(10_000),)]),
    "sells": st.sampled_from(["", "", "with a code", "without"]),
})  # fmt: skip


@lru_cache(maxsize=1024)
def _rules(options: tuple[tuple[str, Any], ...]) -> Compiled:
    tenth = {"kind": "coupon", "coupon": "tenth"}
    return compiled(
        promotion("fund", amount_off(150), funded_by="core", limits={"budget_minor": 10**9}),
        promotion("half", percent_off(5000, sku=["sku2"]), caps=[{"most": 900, "of": "amount", "per": "month"}]),
        promotion("off", percent_off(1250), funded_by="bolt", trigger=tenth, limits={"times": 9, "times_in_all": 90}),
        promotion("kept", percent_off(100),
                  limits={"times": 9, "per": "month", "times_in_all": 99, "on_cancel": "kept"}),
        promotion("base", earn(3, 100)),
        promotion("brand", earn(1, 33), funded_by="core", lifetime={"days": 30},
                  caps=[{"most": 100, "of": "points", "per": "month"}]),
        promotion("big", {"kind": "points", "points": 50}, when=[{"kind": "spend", "at_least_minor": 4000}]),
        promotion("small", {"kind": "points", "points": 20}, when=[{"kind": "spend", "at_most_minor": 2000}]),
        promotion("cash", {**earn(1, 70), "tenders": ["cash"]}),
        promotion("often", {"kind": "points", "points": 7}, when=[{"kind": "purchase", "every": 3}]),
        promotion("much", {"kind": "points", "points": 7},
                  when=[{"kind": "period_spend", "at_least_minor": 900_000, "period": "month"}]),
        promotion("gone", {"kind": "points", "points": 7}, when=[{"kind": "lapsed", "days": 90}]),
        promotion("scarce", {"kind": "points", "points": 40}, funded_by="bolt", limits={"times_in_all": 1}),
        options=dict(options),
        spending={"step_points": 10, "step_minor": 7},
        certificates={"sold": {"tags": ["certificate"]}, "wallet": True},
        coupons=[{"id": "tenth"}],
        prizes=[{"id": "mug", "points": 120, "of": {"sku": ["sku1"]}}],
        lifetime={"months": 6},
    )  # fmt: skip


def rules(options: dict[str, Any]) -> Compiled:
    return _rules(tuple(sorted(options.items())))


def goods_of(rows: list[tuple[int, int]], ask: dict[str, Any], receipt_id: str = "R1") -> Basket:
    lines: list[Line] = [line(n, amount, quantity_milli=milli) for n, (amount, milli) in enumerate(rows, 1)]
    card = len(lines) + 1
    if ask["sells"]:
        lines.append(line(card, SOLD_MINOR, tags=("certificate",)))
    return basket(
        *lines,
        receipt_id=receipt_id,
        points_to_spend=ask["points"],
        coupons=tuple(ask["coupons"]),
        certificates=tuple(CertificateAsk(code=code, amount_minor=amount) for code, amount in ask["certificates"]),
        from_wallet_minor=ask["wallet"],
        prizes=ask["prizes"],
        tenders=ask["tenders"],
        certificates_sold=(CertificateSale(line=card, code="c" * 32),) if ask["sells"] == "with a code" else (),
    )


def the_member(on: Books, counters: tuple[Use, ...] = ()) -> MemberView:
    balance = sum(lot.points for lot in on.lots(7))
    return member(balance_points=balance, spendable_points=balance, counters=counters, stored_minor=600,
                  wallet=(COUPON, OWN_CERTIFICATE))  # fmt: skip


def stocked(stock: dict[Any, int] = STOCK) -> Books:
    on = books()
    on.account(7).lots = dict(stock)
    return on


def sell(on: Books, under: Compiled, goods: Basket, others: tuple[Use, ...] = ()) -> Receipt:
    """A sale at a till that knows what others had of the counters that all share."""
    view = the_member(on)
    quote = quote_basket(
        under, goods, place(), view, bearer=(IN_HAND, BEARERS), shared=others, explain=False,
        authority=Authority(kind="float", points=view.spendable_points, lease_id="float-1"),
    )  # fmt: skip
    return close_receipt(quote, goods, place(), compiled=under, card_token=None)


def in_parts(data: st.DataObject, sold: Receipt, most: int = 4) -> list[list[ReturnLine]]:
    """What came back by visit: any lines, any quantities, in any order, all of it in the end."""
    left = {row.line: row.quantity_milli or 1000 for row in read_detail(sold).lines}
    in_one = {one.line for one in sold.certificates_sold}
    visits = []
    for visit in range(most):
        there = [number for number, milli in left.items() if milli]
        if not there:
            break
        last = visit == most - 1
        chosen = there if last else data.draw(st.lists(st.sampled_from(there), unique=True, min_size=1))
        now = [
            ReturnLine(
                line=number,
                quantity_milli=left[number] if last or number in in_one else data.draw(st.integers(1, left[number])),
            )
            for number in chosen
        ]
        for row in now:
            left[row.line] -= row.quantity_milli
        visits.append(now)
    return visits


def take_back(
    on: Books, under: Compiled, sold: Receipt, visits: list[list[ReturnLine]], others: tuple[Use, ...] = (),
    *, where: Place | None = None, strange: Collection[int] = (), older: int = 0,
) -> list[Return]:  # fmt: skip
    """Bring goods back at a till that knows everything, and post it.

    Args:
        strange: visits at which the till has no programme; `older`: so many came before the till looked at counters.
    """
    made: list[Return] = []
    uses: tuple[Use, ...] = sold.uses
    shared = add_uses(others, sold.shared_uses)
    for number, now in enumerate(visits):
        earlier, standing = came_back(sold, made)
        counted = None if number < older else counted_of(sold, ((one.uses, one.shared_uses) for one in made))
        at_hand = AtHand(programmes=() if number in strange else (under,), view=the_member(on, uses),
                         standing=standing, shared=shared, counted=counted)  # fmt: skip
        returned = close_return(
            f"B{number}", sold, ref(1), where or place(), earlier=earlier, lines=now, at_hand=at_hand
        )
        uses, shared = add_uses(uses, returned.uses), add_uses(shared, returned.shared_uses)
        post(on, returned, 100 + number)
        made.append(returned)
    return made


def state(on: Books) -> tuple[dict[Any, int], list[Any]]:
    return {lot.key: lot.points for lot in on.lots(7)}, on.account(7).debts


def folded(sold: Receipt, returns: list[Return]) -> dict[str, int]:
    uses = add_uses((), [use for event in (sold, *returns) for use in (*event.uses, *event.shared_uses)])
    return {use.name: use.amount for use in uses}


@settings(max_examples=400)
@given(OPTIONS, LINES, ASKS, st.data())
def test_parts_in_any_order_are_a_whole_return_are_a_void(options, rows, ask, data):
    under, goods = rules(options), goods_of(rows, ask)
    in_pieces, at_once, voided = stocked(), stocked(), stocked()
    sold = sell(in_pieces, under, goods)
    for on in (in_pieces, at_once, voided):
        post(on, sold, 1)

    visits = in_parts(data, sold)
    pieces = take_back(in_pieces, under, sold, visits)
    everything = [ReturnLine(line=row.line, quantity_milli=row.quantity_milli or 1000) for row in goods.lines]
    (whole,) = take_back(at_once, under, sold, [everything])
    void = close_void(sold, ref(1), place())
    post(voided, void, 2)

    assert state(in_pieces) == state(at_once) == state(voided) == (STOCK, [])
    for on in (in_pieces, at_once, voided):
        left = on.recorded(ref(1))
        assert left is not None
        assert (left.granted, left.redeemed, left.funded, left.net_minor) == ((), (), (), 0)

    assert sum(one.net_minor for one in pieces) == whole.net_minor == sold.net_minor
    assert sum(one.restored_points for one in pieces) == whole.restored_points
    assert by_code(pieces) == by_code([whole])
    assert funded(pieces) == funded([whole]) == funded([sold])
    assert folded(sold, pieces) == folded(sold, [whole])
    assert folded(sold, [whole]).keys() <= NEVER | {"last:visit"}
    assert (whole.uses, whole.shared_uses) == (void.uses, void.shared_uses)
    for one in pieces:
        assert min(one.net_minor, one.paid_out_minor, one.restored_points, one.withheld_minor) >= 0
        assert all(part.amount_minor > 0 for part in one.restored)
        assert encode(one)  # what is written can be read again


RECOUNTED = st.sampled_from(["recompute", "claw_all"])


@settings(max_examples=300)
@given(RECOUNTED, st.sampled_from(["2026-03-02", "2026-04-02"]), LINES, ASKS, st.data())
def test_limits_and_caps_of_points_count_just_the_points_that_stand(way, on_day, rows, ask, data):
    """All points of core are `brand`'s, capped by the month; all of bolt are `scarce`'s, 40 once for everybody."""
    under, on = rules({"points_on_return": way}), stocked()
    sold = sell(on, under, goods_of(rows, ask))
    post(on, sold, 1)
    back = take_back(on, under, sold, in_parts(data, sold), where=place(business_date=day(on_day)))
    for number in range(len(back) + 1):
        counted, standing = folded(sold, back[:number]), Counter[str]()
        standing.update({part.issuer_id: 0 for part in sold.earned})
        for part in (*sold.earned, *(part for one in back[:number] for part in one.earned)):
            standing[part.issuer_id] += part.points
        for part in (part for one in back[:number] for part in (*one.reversed, *one.withheld)):
            standing[part.issuer_id] -= part.points
        assert sum(n for name, n in counted.items() if name.startswith("cap:brand:points:")) == standing["core"]
        assert 40 * counted.get("promo:scarce", 0) == standing["bolt"]


@settings(max_examples=200)
@given(RECOUNTED, LINES, ASKS, st.data())
def test_nothing_stays_counted_whatever_the_till_knew_of_the_programme_or_looked_at_before(way, rows, ask, data):
    under, on = rules({"points_on_return": way}), stocked()
    sold = sell(on, under, goods_of(rows, ask))
    post(on, sold, 1)
    visits = in_parts(data, sold)
    strange = data.draw(st.sets(st.integers(0, len(visits) - 1)))
    older = data.draw(st.integers(0, len(visits) - 1))
    back = take_back(on, under, sold, visits, strange=strange, older=older)
    assert folded(sold, back).keys() <= NEVER | {"last:visit"}
    for number in range(len(back)):
        assert all(n > 0 for name, n in folded(sold, back[:number]).items() if name.startswith(("cap:", "promo:")))


def by_code(returns: list[Return]) -> Counter[str]:
    return Counter({part.code: 0 for one in returns for part in one.restored}) + sum(
        (Counter({part.code: part.amount_minor}) for one in returns for part in one.restored), Counter()
    )


def funded(events: list[Any]) -> Counter[str]:
    return sum((Counter({part.partner_id: part.amount_minor}) for one in events for part in one.funded), Counter())


@given(LINES, ASKS, st.data())
def test_what_is_taken_back_less_what_is_granted_anew_is_what_the_sale_granted(rows, ask, data):
    for way in ("pro_rata", "recompute", "claw_all"):
        under = rules({"points_on_return": way})
        on = stocked()
        sold = sell(on, under, goods_of(rows, ask))
        post(on, sold, 1)
        net: Counter[Any] = Counter()
        for one in take_back(on, under, sold, in_parts(data, sold)):
            net.update({(part.issuer_id, part.valid_through): part.points for part in one.reversed})
            net.subtract({(part.issuer_id, part.valid_through): part.points for part in one.earned})
        assert +net == Counter({(part.issuer_id, part.valid_through): part.points for part in sold.earned})


@given(LINES, ASKS, st.sampled_from(["with a code", "without"]), st.data())
def test_no_money_of_certificates_and_wallet_is_handed_out(rows, ask, sells, data):
    """Cash is only what was paid in cash for goods, and the price of the certificate that was sold."""
    under, on = rules({}), stocked()
    sold = sell(on, under, goods_of(rows, ask | {"sells": sells}))
    post(on, sold, 1)
    cash_left, back = sold.to_pay_minor - SOLD_MINOR, 0
    visits = in_parts(data, sold)
    for now, returned in zip(visits, take_back(on, under, sold, visits), strict=True):
        before, back = back, back + sum(row.quantity_milli for row in now if row.line == len(rows) + 1)
        for_certificate = SOLD_MINOR * back // 1000 - SOLD_MINOR * before // 1000
        cash_left -= returned.paid_out_minor - for_certificate
        assert cash_left >= 0
    assert cash_left == 0


@given(LINES, ASKS, st.data())
def test_nobody_is_granted_what_the_others_have_had_by_bringing_goods_back(rows, ask, data):
    others = (Use(name="promo:scarce", amount=1),)
    for way in ("recompute", "claw_all"):
        under, on = rules({"points_on_return": way}), stocked()
        sold = sell(on, under, goods_of(rows, ask), others)
        post(on, sold, 1)
        returns = take_back(on, under, sold, in_parts(data, sold), others)
        assert {part.issuer_id for event in (sold, *returns) for part in event.earned} <= {"acme", "core"}


@given(LINES, ASKS, st.data())
def test_a_sale_that_spends_what_it_earns_leaves_no_debt_and_no_points_behind(rows, ask, data):
    """Which lots hold the points may differ by the order: what comes back first takes what is there."""
    under = rules({"spends_what_it_earns": True, "points_on_return": data.draw(st.sampled_from(
        ["pro_rata", "recompute", "claw_all"]))})  # fmt: skip
    stock = data.draw(st.sampled_from([{}, {key("2026-12-31"): 40}, STOCK]))
    on = stocked(stock)
    sold = sell(on, under, goods_of(rows, ask))
    posted = post(on, sold, 1)
    # These books know nothing of the certificates that customers bring; points are what is asked here.
    assert [flag.cause for flag in posted.flags if flag.cause != "certificate_uncovered"] == []
    take_back(on, under, sold, in_parts(data, sold))
    lots, debts = state(on)
    assert (sum(lots.values()), debts) == (sum(stock.values()), [])


@given(LINES, ASKS, st.data())
def test_whatever_two_tills_take_back_at_once_nothing_comes_back_twice(rows, ask, data):
    """Each knows only of its own returns. What both took back is paid out twice and flagged, but booked once."""
    on = stocked()
    sold = sell(on, rules({}), goods_of(rows, ask))
    post(on, sold, 1)
    spent, granted = sold.redemption.points if sold.redemption else 0, sum(part.points for part in sold.earned)
    paid_out, over, complete = 0, False, False
    for till in ("T1", "T2"):
        visits, earlier = in_parts(data, sold, 3), []
        stops = data.draw(st.integers(1, len(visits)))
        complete = complete or stops == len(visits)
        for number, now in enumerate(visits[:stops]):
            made = close_return(f"{till}{number}", sold, ref(1), place(), earlier=earlier, lines=now)
            flags = [flag.cause for flag in post(on, made, number + 2, till_id=till).flags]
            paid_out, over = paid_out + made.net_minor, over or "returned_twice" in flags
            earlier += now
    left, (lots, debts) = on.recorded(ref(1)), state(on)
    assert left is not None
    assert over or paid_out <= sold.net_minor
    back, gone = spent - points_in(left.redeemed), granted - points_in(left.granted)
    assert 0 <= back <= spent and 0 <= gone <= granted and left.net_minor >= 0
    assert (sum(lots.values()), debts) == (sum(STOCK.values()) - spent + granted + back - gone, [])
    if complete:
        assert (left.granted, left.redeemed, left.net_minor) == ((), (), 0)
        assert state(on) == (STOCK, [])


STEPS = st.lists(st.tuples(st.sampled_from(["sell", "return", "return", "void"]), st.integers(0, 5)), max_size=12)


@given(STEPS, LINES, st.data())
def test_points_are_as_they_were_once_everything_that_was_bought_has_come_back(steps, rows, data):
    """Whatever was bought, spent and brought back in between, and whoever was short of points meanwhile."""
    under = rules({"spends_what_it_earns": data.draw(st.booleans())})
    on = stocked({key("2026-12-31"): 100})
    open_sales: dict[EventRef, tuple[Receipt, list[ReturnLine]]] = {}
    for seq, (what, which) in enumerate(steps, 10):
        if what == "sell":
            ask = data.draw(ASKS) | {"coupons": [], "certificates": [], "wallet": 0, "sells": ""}
            sold = sell(on, under, goods_of(rows, ask, f"R{seq}"))
            post(on, sold, seq)
            open_sales[ref(seq)] = (sold, [])
        elif open_sales:
            of = list(open_sales)[which % len(open_sales)]
            sold, earlier = open_sales[of]
            if what == "void" and not earlier:
                post(on, close_void(sold, of, place()), seq)
                del open_sales[of]
            else:
                _some_comes_back(data, on, of, seq, open_sales)
    for seq, (of, (sold, earlier)) in enumerate(open_sales.items(), 900):
        gone = Counter({row.line: 0 for row in earlier})
        for row in earlier:
            gone[row.line] += row.quantity_milli
        left = [ReturnLine(line=row.line, quantity_milli=(row.quantity_milli or 1000) - gone[row.line])
                for row in read_detail(sold).lines if (row.quantity_milli or 1000) > gone[row.line]]  # fmt: skip
        if left:
            post(on, close_return(f"E{seq}", sold, of, place(), earlier=earlier, lines=left), seq)
    worth = sum(held(on).values()) - sum(debt.points for debt in on.account(7).debts)
    assert worth == 100


def _some_comes_back(
    data: st.DataObject, on: Books, of: EventRef, seq: int, sales: dict[EventRef, tuple[Receipt, list[ReturnLine]]]
) -> None:
    sold, earlier = sales[of]
    chosen = data.draw(st.sampled_from([row.line for row in read_detail(sold).lines]))
    whole = next(row.quantity_milli or 1000 for row in read_detail(sold).lines if row.line == chosen)
    left = whole - sum(row.quantity_milli for row in earlier if row.line == chosen)
    if left:
        now = [ReturnLine(line=chosen, quantity_milli=data.draw(st.integers(1, left)))]
        post(on, close_return(f"B{seq}", sold, of, place(), earlier=earlier, lines=now), seq)
        sales[of] = (sold, [*earlier, *now])


@given(LINES, ASKS, st.data())
def test_a_receipt_read_from_its_bytes_comes_back_the_same_at_any_till(rows, ask, data):
    on = stocked()
    sold = sell(on, rules({}), goods_of(rows, ask))
    read = read_receipt(encode(sold))
    elsewhere = place(partner_id="bolt", store_id="S9", till_id="T9")
    for now in in_parts(data, sold, 1):
        here = close_return("B1", sold, ref(1), elsewhere, earlier=(), lines=now)
        there = close_return("B1", read, ref(1), elsewhere, earlier=(), lines=now)
        assert encode(here) == encode(there)
        assert here.net_minor == return_lines(read, read_detail(read), (), now).net_minor


@given(LINES, ASKS)
def test_till_and_centre_count_the_same_points_for_a_sale_and_its_void(rows, ask):
    on = stocked()
    sold = sell(on, rules({}), goods_of(rows, ask))
    uses = add_uses((), (*own_uses(sold), *voided_uses(sold)))
    assert {use.name: use.amount for use in uses if use.name == "points:spent"} == {}
    by_name = {use.name: use.amount for use in uses}
    assert by_name.get("points:earned", 0) == by_name.get("points:reversed", 0)


def test_the_laws_are_tried_on_sales_that_use_everything():
    """So that no law holds because nothing happens."""
    on = stocked()
    ask = {"points": 700, "coupons": ["C1", "C2"], "certificates": [("G1", 0), ("G2", 77)], "wallet": 55,
           "prizes": ("mug",), "tenders": (cash(10_000),), "sells": "with a code"}  # fmt: skip
    sold = sell(on, rules({"points_on_return": "recompute"}), goods_of([(4_000, 2000), (3_000, 1000)], ask))
    names = {use.name.split(":")[0] for use in (*sold.uses, *sold.shared_uses)}
    assert names == {"budget", "cap", "certificate", "coupon", "last", "promo", "spend", "visits", "wallet"}
    assert sold.redemption is not None and len(sold.earned) == 3 and len(sold.funded) == 2
    assert msgspec.json.decode(sold.detail)["rules"]["points_on_return"] == "recompute"
