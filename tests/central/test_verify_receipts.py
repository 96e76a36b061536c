"""A receipt that does not add up is named, whatever its till said."""

from typing import Any

import msgspec
import pytest

from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from
from tests.central.busy_day import Day, busy_day, codes
from tests.central.tills import PROGRAMME, Centre, told


@pytest.fixture
def day(centre: Centre) -> Day:
    return busy_day(centre)


def odd(day: Day, **changes: Any) -> None:
    """A till sends a receipt of 100.00, 10.00 of it off by a promotion, in which something was changed."""
    view = told(day.ben, 1)
    receipt = day.bolt.receipt("R50", 10_000, view, sku="milk")
    detail = msgspec.json.decode(receipt.detail)
    assert detail["figures"] == [[1, 10_000, 1_000, 90, 0, 9_000, 0]]
    head = {name: value for name, value in changes.items() if name in ("net_minor", "detail")}
    detail |= {name: value for name, value in changes.items() if name not in head}
    day.bolt.append(msgspec.structs.replace(receipt, **{"detail": msgspec.Raw(msgspec.json.encode(detail)), **head}))
    day.bolt.upload()


ODD = {
    "the money of the receipt": ({"net_minor": 9_001}, ["receipt.net"]),
    "what is left of a line": ({"figures": [[1, 10_000, 1_000, 90, 0, 9_001, 0]]}, ["receipt.line"]),
    "the discount of a line": (
        {"figures": [[1, 10_000, 1_001, 90, 0, 8_999, 0]]}, ["receipt.discounts", "receipt.net"]),
    "the points of a line": ({"figures": [[1, 10_000, 1_000, 91, 0, 9_000, 0]]}, ["receipt.earned", "receipt.points"]),
    "points paid on a line": (
        {"figures": [[1, 10_000, 1_000, 90, 5, 8_995, 0]]}, ["receipt.net", "receipt.tender"]),
    "points spent on a line": ({"figures": [[1, 10_000, 1_000, 90, 0, 9_000, 7]]}, ["receipt.spent"]),
    "points of the receipt as a whole": (
        {"effects": [["milk", 1, 1_000, 0, ""], ["base", 1, 0, 90, ""], ["base", 0, 0, 5, ""]]}, ["receipt.earned"]),
    "a discount of no line": (
        {"effects": [["milk", 1, 1_000, 0, ""], ["base", 1, 0, 90, ""], ["base", 0, 5, 0, ""]]}, ["receipt.discounts"]),
    "a promotion on a line that is not there": (
        {"effects": [["milk", 1, 1_000, 0, ""], ["base", 1, 0, 90, ""], ["base", 2, 0, 0, ""]]}, ["receipt.effects"]),
    "a detail that is not one": ({"detail": msgspec.Raw(b"7")}, ["receipt.detail"]),
    "figures that are none": ({"figures": [["a", None]]}, ["receipt.detail"]),
}  # fmt: skip


@pytest.mark.parametrize("what", list(ODD))
def test_a_receipt_that_does_not_add_up_is_named(day: Day, what: str) -> None:
    changes, named = ODD[what]
    odd(day, **changes)
    assert codes(day.centre) == named


def test_a_discount_that_a_partner_pays_without_a_promotion_is_named(day: Day) -> None:
    tea = day.acme.receipt("R50", 400, sku="tea")
    assert [(one.partner_id, one.amount_minor) for one in tea.funded] == [("bolt", 200)]
    day.acme.append(msgspec.structs.replace(tea, funded=()))
    day.acme.upload()
    assert codes(day.centre) == ["receipt.funded"]


def test_discounts_that_the_till_did_charge_make_the_money_of_a_receipt(day: Day) -> None:
    odd(day, charged=[[1, 500]], net_minor=9_500)
    assert codes(day.centre) == []


def test_figures_of_release_one_say_nothing_of_points_spent_and_still_add_up(day: Day) -> None:
    odd(day, figures=[[1, 10_000, 1_000, 90, 0, 9_000]])
    assert codes(day.centre) == []


def test_points_of_a_receipt_in_which_nothing_costs_anything_add_up(day: Day) -> None:
    promotions = [*PROGRAMME["promotions"], {"id": "visit", "then": [{"kind": "points", "points": 25}]}]
    day.bolt.rules = compile_programme(programme_from({**PROGRAMME, "promotions": promotions}))
    free = day.bolt.receipt("R50", 0, told(day.ben, 1))
    assert msgspec.json.decode(free.detail)["effects"] == [["visit", 0, 0, 25, "", "9999-12-31"]]
    day.bolt.append(free)
    day.bolt.upload()
    assert codes(day.centre) == []
