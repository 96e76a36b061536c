"""Goods, tenders, and where and when they are sold."""

from datetime import date
from typing import Annotated

import msgspec

from loyalty.amounts import LARGEST_MINOR
from loyalty.trouble import Refusal

MOST_LINES = 2000
LATEST_MS = 10**14  # the year 5138: a clock may be wrong, but it must stay a date


class Line(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One line item as the POS priced it; `amount_minor` is the truth, quantity and unit price inform rules.

    Source: DECISIONS 1. `line` counts from 1 and is unique in its basket; `category` is a path from the root.
    """

    line: int
    sku: str
    amount_minor: int
    quantity_milli: int = 1000
    unit_price_minor: int = 0
    category: tuple[str, ...] = ()
    brand: str = ""
    tags: tuple[str, ...] = ()
    discountable: bool = True
    accrual: bool = True
    floor_unit_minor: int = 0  # no discount takes a unit below this


class Tender(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A means of payment laid against the basket: cash, card, voucher."""

    kind: str
    amount_minor: int


class Place(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where and when: ids of partner, store and till, the instant with the store's offset, the business date."""

    partner_id: str
    store_id: str
    till_id: str
    channel: str
    sold_at_ms: Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
    offset_min: Annotated[int, msgspec.Meta(ge=-18 * 60, le=18 * 60)]
    business_date: date


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """What is being rung up, in one currency; `receipt_id` is the caller's and kept through every retry."""

    receipt_id: str
    currency: str
    lines: tuple[Line, ...]
    tax_included: bool = True
    tenders: tuple[Tender, ...] = ()
    coupons: tuple[str, ...] = ()
    points_to_spend: int = 0


class BadBasket(Refusal):
    code = "basket.malformed"
    status = 422


class WrongCurrency(Refusal):
    code = "basket.wrong_currency"
    status = 422


def check_basket(basket: Basket, currency: str) -> None:
    """Refuse a basket that cannot be priced, before any rule sees it.

    Args:
        basket: as the adapter read it.
        currency: the programme's.
    Raises:
        WrongCurrency: another currency; DECISIONS 2.
        BadBasket: a negative amount or quantity, a line number twice, too many lines, points below zero.
    """
    if basket.currency != currency:
        raise WrongCurrency(
            f"This programme counts in {currency}; ring the basket up in {currency} or sell without loyalty.",
            wanted=currency,
            found=basket.currency,
        )
    if len(basket.lines) > MOST_LINES:
        raise BadBasket(f"A basket holds at most {MOST_LINES} lines; split the sale.", lines=len(basket.lines))
    if basket.points_to_spend < 0:
        raise BadBasket("Points to spend cannot be negative; send 0 to spend none.", points=basket.points_to_spend)
    seen: set[int] = set()
    for line in basket.lines:
        _check_line(line, seen)
    if sum(line.amount_minor for line in basket.lines) > LARGEST_MINOR:
        raise BadBasket("The basket costs more than any sale; check the amounts.", lines=len(basket.lines))


def _check_line(line: Line, seen: set[int]) -> None:
    if line.line < 1 or line.line in seen:
        raise BadBasket("Line numbers count from 1 and appear once each.", line=line.line)
    seen.add(line.line)
    if not line.sku:
        raise BadBasket(f"Line {line.line} has no sku; send the article number.", line=line.line)
    low = min(line.amount_minor, line.quantity_milli, line.unit_price_minor, line.floor_unit_minor)
    if low < 0:
        raise BadBasket(
            f"Line {line.line} is negative. Goods that come back go through a return, not a sale.",
            line=line.line,
            amount_minor=line.amount_minor,
        )
    if max(line.amount_minor, line.quantity_milli, line.unit_price_minor, line.floor_unit_minor) > LARGEST_MINOR:
        raise BadBasket(f"Line {line.line} is larger than any sale; check the amount.", line=line.line)
