"""Goods that come back as the centre books them: every choice a programme has, recomputed and verified."""

from datetime import date
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.coalition.programmes import publish
from central.database.tables import debt, lot
from central.ports import writing
from loyalty.facts.counted_points import counted_of
from loyalty.facts.receipts import Receipt
from loyalty.facts.returned_points import AtHand
from loyalty.facts.reversals import Return, ReturnLine, came_back, close_return
from loyalty.lots import EventRef
from loyalty.members import MemberView
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from
from tests.central.busy_day import verify
from tests.central.tills import NOW, PROGRAMME, Centre, Till, told

NEXT_YEAR = date(2027, 1, 5)
EVER = "9999-12-31"


class Shop:
    """A centre and a till under a programme of its own, and one sale of 100.00 in four pieces of 25.00."""

    def __init__(self, centre: Centre, options: dict[str, Any], **facts: Any) -> None:
        self.centre, self.anna = centre, centre.member()
        document = {**PROGRAMME, "options": options, **facts}
        with writing(centre.engine) as tx:
            publish(tx, msgspec.json.encode(document), NOW)
        self.till: Till = centre.till()
        self.till.hello()
        self.till.rules = compile_programme(programme_from(document))
        self.sold: Receipt = self.till.receipt("R1", 10_000, told(self.anna))
        self.of: EventRef = self.till.append(self.sold)
        self.returns: list[Return] = []

    def bring(self, milli: int, **facts: Any) -> Return:
        """Part of the one line comes back at this till."""
        returned = self.made(milli, **facts)
        self.till.append(returned)
        self.returns.append(returned)
        return returned

    def made(self, milli: int, *, on: date = date(2026, 3, 2), view: MemberView | None = None) -> Return:
        """The same, not yet written."""
        earlier, standing = came_back(self.sold, self.returns)
        counted = counted_of(self.sold, ((one.uses, one.shared_uses) for one in self.returns))
        at_hand = AtHand(programmes=(self.till.rules,), view=view, standing=standing, counted=counted)
        return close_return(
            f"B{len(self.returns)}", self.sold, self.of, self.till.place(on), earlier=earlier,
            lines=(ReturnLine(line=1, quantity_milli=milli),), at_hand=at_hand,
        )  # fmt: skip

    def lots(self) -> list[tuple[Any, ...]]:
        held = select(lot.c.valid_through, lot.c.points).where(lot.c.points > 0).order_by(lot.c.valid_through)
        return self.centre.rows(held)

    def debts(self) -> list[tuple[Any, ...]]:
        return self.centre.rows(select(debt.c.issuer_id, debt.c.points))


def assert_books_hold(centre: Centre) -> None:
    """Nothing was decided otherwise than it is here, and the books are those that the bytes make."""
    assert centre.recompute().differs == 0
    assert verify(centre).violations == ()


def test_what_is_clawed_back_and_earned_anew_is_one_receipt_over_several_uploads(centre: Centre) -> None:
    shop = Shop(centre, {"points_on_return": "claw_all"}, lifetime={"end_of": "year"})
    shop.till.upload()
    assert shop.lots() == [("2026-12-31", 100)]
    first = shop.bring(250, on=NEXT_YEAR)
    assert ([part.points for part in first.reversed], [part.points for part in first.earned]) == ([100], [75])
    shop.till.upload()
    assert shop.lots() == [("2027-12-31", 75)]
    second = shop.bring(250, on=NEXT_YEAR)
    assert ([part.points for part in second.reversed], [part.points for part in second.earned]) == ([75], [50])
    shop.till.upload()
    assert shop.lots() == [("2027-12-31", 50)]
    shop.bring(500, on=NEXT_YEAR)
    shop.till.upload()
    assert (shop.lots(), shop.debts(), centre.flags()) == ([], [], [])
    assert_books_hold(centre)


def test_a_void_that_comes_late_takes_what_was_earned_anew_too(centre: Centre) -> None:
    shop = Shop(centre, {"points_on_return": "claw_all"}, lifetime={"end_of": "year"})
    shop.bring(250, on=NEXT_YEAR)
    shop.till.upload()
    shop.till.void(shop.of, shop.sold)
    shop.till.upload()
    assert (shop.lots(), shop.debts()) == ([], [])
    assert verify(centre).violations == ()


def test_points_that_are_gone_are_let_go_and_on_the_worklist(centre: Centre) -> None:
    shop = Shop(centre, {"clawback_short": "clamp"})
    shop.till.sell("R2", 8_000, told(shop.anna, 1, 100), spend=80)
    shop.till.upload()
    assert shop.lots() == [(EVER, 99)]  # 20 left, and 79 for the 79.20 in money
    shop.till.sell("R3", 9_000, told(shop.anna, 2, 99), spend=99)
    shop.bring(1_000)
    shop.till.upload()
    # 89 for 89.01, and all of it goes towards the 100
    assert (shop.lots(), shop.debts()) == ([], [])
    assert centre.flags() == [(4, "clawback_clamped")]
    assert centre.figures("clawback_clamped") == {"asked": 100, "taken": 89, "let_go": 11}
    assert_books_hold(centre)


def test_points_that_are_gone_are_kept_in_money_and_nobody_owes_them(centre: Centre) -> None:
    shop = Shop(centre, {"clawback_short": "money"})
    shop.till.sell("R2", 100, told(shop.anna, 1, 100), spend=100)
    returned = shop.bring(1_000, view=told(shop.anna, 2, 0))
    assert (returned.net_minor, returned.withheld_minor, returned.withheld_points) == (9_900, 100, 100)
    shop.till.upload()
    assert (shop.lots(), shop.debts(), centre.flags()) == ([], [], [])
    assert_books_hold(centre)


def test_a_sale_that_spends_what_it_earns_is_booked_so_and_comes_back_whole(centre: Centre) -> None:
    shop = Shop(centre, {"spends_what_it_earns": True})
    own = shop.till.receipt("R2", 5_000, told(shop.anna, 1, 0), spend=40)
    assert (own.spends_own, own.earned[0].points) == (True, 49)
    of = shop.till.append(own)
    shop.till.upload()
    assert shop.lots() == [(EVER, 109)]
    shop.till.append(close_return("B9", own, of, shop.till.place(), earlier=(),
                                  lines=(ReturnLine(line=1, quantity_milli=1000),)))  # fmt: skip
    shop.till.upload()
    assert (shop.lots(), shop.debts()) == ([(EVER, 100)], [])
    assert verify(centre).violations == ()


@pytest.mark.parametrize(("name", "wrong"), [
    ("reversed", ()), ("earned", ()), ("clamp", True), ("net_minor", 2_501), ("withheld_minor", 1),
])  # fmt: skip
def test_a_return_that_gives_back_otherwise_than_its_programme_says_is_found(
    centre: Centre, name: str, wrong: Any
) -> None:
    shop = Shop(centre, {"points_on_return": "claw_all"})
    honest = shop.made(250)
    assert (honest.net_minor, [part.points for part in honest.earned]) == (2_500, [75])
    shop.till.append(msgspec.structs.replace(honest, **{name: wrong}))
    shop.till.upload()
    assert centre.recompute().differs == 1
    assert {f"till_{name}", f"centre_{name}"} == set(centre.figures("decision_differs"))


def test_a_return_under_a_programme_nobody_published_is_left_alone(centre: Centre) -> None:
    shop = Shop(centre, {"points_on_return": "recompute"})
    returned = shop.bring(250)
    assert msgspec.json.decode(returned.detail)["how"] == "recompute"
    shop.till.upload()
    assert_books_hold(centre)
    other = {**PROGRAMME, "id": "other", "options": {"points_on_return": "recompute"}}
    shop.till.rules = compile_programme(programme_from(other))
    sold = shop.till.receipt("R9", 100)
    of = shop.till.append(sold)
    shop.till.append(close_return("B9", sold, of, shop.till.place(), earlier=(),
                                  lines=(ReturnLine(line=1, quantity_milli=500),),
                                  at_hand=AtHand(programmes=(shop.till.rules,))))  # fmt: skip
    shop.till.upload()
    assert centre.recompute().skipped == 2
