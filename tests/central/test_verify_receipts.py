"""A receipt that does not add up is named, whatever its till said."""

from typing import Any

import msgspec
import pytest

from tests.central.busy_day import Day, busy_day, codes
from tests.central.tills import Centre, told


@pytest.fixture
def day(centre: Centre) -> Day:
    return busy_day(centre)


def odd(day: Day, **changes: Any) -> None:
    """A till sends a receipt of 100.00, 10.00 of it off by a promotion, in which something was changed."""
    view = told(day.ben, 1)
    receipt = day.bolt.receipt("R50", 10_000, view, sku="milk")
    detail = msgspec.json.decode(receipt.detail)
    assert detail["figures"] == [[1, 10_000, 1_000, 90, 0, 9_000]]
    head = {name: value for name, value in changes.items() if name in ("net_minor", "detail")}
    detail |= {name: value for name, value in changes.items() if name not in head}
    day.bolt.append(msgspec.structs.replace(receipt, **{"detail": msgspec.Raw(msgspec.json.encode(detail)), **head}))
    day.bolt.upload()


ODD = {
    "the money of the receipt": ({"net_minor": 9_001}, ["receipt.net"]),
    "what is left of a line": ({"figures": [[1, 10_000, 1_000, 90, 0, 9_001]]}, ["receipt.line"]),
    "the discount of a line": (
        {"figures": [[1, 10_000, 1_001, 90, 0, 8_999]]}, ["receipt.discounts", "receipt.net"]),
    "the points of a line": ({"figures": [[1, 10_000, 1_000, 91, 0, 9_000]]}, ["receipt.earned", "receipt.points"]),
    "points paid on a line": (
        {"figures": [[1, 10_000, 1_000, 90, 5, 8_995]]}, ["receipt.net", "receipt.tender"]),
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
