"""Goods, tenders, and where and when they are sold."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated

import msgspec

from loyalty.amounts import LARGEST_MINOR
from loyalty.trouble import Refusal

_HALF_LETTER = re.compile("[\ud800-\udfff]")

MOST_LINES = 2000
MOST_CODES = 100
MOST_MILLI = 10**12
MOST_TAX_BP = 100_000
LATEST_MS = 10**14  # the year 5138: a clock may be wrong, but it must stay a date


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
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
    tax_bp: int = 0  # its rate of tax, in the amount or on top of it as the basket says


class Tender(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A means of payment laid against the basket: cash, card, voucher."""

    kind: str
    amount_minor: int


class Place(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """Where and when: ids of partner, store and till, the instant with the store's offset, the business date."""

    partner_id: str
    store_id: str
    till_id: str
    channel: str
    sold_at_ms: Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
    offset_min: Annotated[int, msgspec.Meta(ge=-18 * 60, le=18 * 60)]
    business_date: date
    till_kind: str = ""


class CertificateAsk(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A certificate laid against the basket; `amount_minor` 0 asks for as much as there is.

    `code` stands for money, so the shell hands in a token of it, as of a card.
    """

    code: str
    amount_minor: int = 0


class CertificateSale(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A line that sells a certificate, or tops one up, with what it costs; `code` is a token, see `CertificateAsk`."""

    line: int
    code: str


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """What is being rung up, in one currency; `receipt_id` is the caller's and kept through every retry.

    Attributes:
        coupons: codes as entered, in that order.
        events: what happened besides: enrolment, referral, survey.
        prizes: ids of prizes asked for; each pays one unit of its goods with points.
    """

    receipt_id: str
    currency: str
    lines: tuple[Line, ...]
    tax_included: bool = True
    tenders: tuple[Tender, ...] = ()
    coupons: tuple[str, ...] = ()
    points_to_spend: int = 0
    events: tuple[str, ...] = ()
    prizes: tuple[str, ...] = ()
    certificates: tuple[CertificateAsk, ...] = ()
    from_wallet_minor: int = 0
    certificates_sold: tuple[CertificateSale, ...] = ()


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
    if max(map(len, (basket.coupons, basket.events, basket.prizes, basket.certificates))) > MOST_CODES:
        raise BadBasket(f"At most {MOST_CODES} codes of a kind fit on one basket; take some off.", most=MOST_CODES)
    asked = [basket.points_to_spend, basket.from_wallet_minor, *(one.amount_minor for one in basket.certificates)]
    if min(asked) < 0 or max(asked) > LARGEST_MINOR:
        raise BadBasket("What certificates and wallet pay lies between 0 and any sale; check it.", asked=asked)
    if _HALF_LETTER.search("".join((basket.receipt_id, *_kinds(basket)))):
        raise BadBasket("A text of the basket holds half a character (a lone surrogate); send it as UTF-8.")
    if any(not 0 <= tender.amount_minor <= LARGEST_MINOR for tender in basket.tenders):
        raise BadBasket("A tender is negative, or larger than any sale; money given back is no tender of a sale.")
    if not _are_sound(basket.lines):
        seen: set[int] = set()
        for line in basket.lines:
            _check_line(line, seen)
    _check_sold(basket)
    if sum(line.amount_minor for line in basket.lines) > LARGEST_MINOR:
        raise BadBasket("The basket costs more than any sale; check the amounts.", lines=len(basket.lines))


def _check_sold(basket: Basket) -> None:
    """A certificate is one piece, costs what goes onto it, and bears no tax: that is due on what is bought with it."""
    if not basket.certificates_sold:
        return
    lines = {line.line: line for line in basket.lines}
    for n, one in enumerate(basket.certificates_sold):
        line = lines.get(one.line)
        if line is None or any(one.line == other.line or one.code == other.code
                               for other in basket.certificates_sold[:n]):  # fmt: skip
            raise BadBasket("Each certificate sold has a line of its own, and stands on one only.", line=one.line)
        if line.amount_minor <= 0 or line.quantity_milli != 1000 or line.tax_bp:
            raise BadBasket(
                f"Line {line.line} sells a certificate: send quantity 1, its amount, and no tax; tax is due on what is"
                " bought with it.",
                line=line.line,
            )


def _kinds(basket: Basket) -> Iterable[str]:
    return (tender.kind for tender in basket.tenders)


def _are_sound(lines: Sequence[Line]) -> bool:
    """Whether no line is at fault; where one is, they are looked at singly for what to say of it."""
    numbers = set()
    for line in lines:
        numbers.add(line.line)
        if not (
            line.line >= 1
            and line.sku
            and 0 <= line.amount_minor <= LARGEST_MINOR
            and 0 <= line.unit_price_minor <= LARGEST_MINOR
            and 0 <= line.floor_unit_minor <= LARGEST_MINOR
            and 0 <= line.quantity_milli <= MOST_MILLI
            and 0 <= line.tax_bp <= MOST_TAX_BP
        ):
            return False
    return len(numbers) == len(lines)


def _check_line(line: Line, seen: set[int]) -> None:
    if line.line < 1 or line.line in seen:
        raise BadBasket("Line numbers count from 1 and appear once each.", line=line.line)
    seen.add(line.line)
    if not line.sku:
        raise BadBasket(f"Line {line.line} has no sku; send the article number.", line=line.line)
    amount, milli, price, floor, tax = (
        line.amount_minor, line.quantity_milli, line.unit_price_minor, line.floor_unit_minor, line.tax_bp,
    )  # fmt: skip
    if amount < 0 or milli < 0 or price < 0 or floor < 0 or tax < 0:
        raise BadBasket(
            f"Line {line.line} is negative. Goods that come back go through a return, not a sale.",
            line=line.line,
            amount_minor=line.amount_minor,
        )
    if max(amount, price, floor) > LARGEST_MINOR or milli > MOST_MILLI or tax > MOST_TAX_BP:
        raise BadBasket(f"Line {line.line} is larger than any sale; check its figures.", line=line.line)
