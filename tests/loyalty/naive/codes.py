"""Codes as entered: which promotions each sets off, and which are refused before anything runs.

Where the page leaves something open the simplest reading was taken:
- plain codes set a promotion off once; a code whose promotions are all set off already is kept out;
- a code or a coupon that no promotion waits for is not known;
- a promotion that an event or a code sets off has its turn even without goods in the basket.
"""

from dataclasses import dataclass

from loyalty.members import WalletItem
from loyalty.programme.benefits import Benefit, Bundle, BuyGet, IssueCoupon, PriceList
from loyalty.programme.promotion import ByCode, ByCoupon, OnEvent, Promotion
from loyalty.programme.selectors import EVERYTHING, Selector
from tests.loyalty.naive.goods import names
from tests.loyalty.naive.paying import why_not_good
from tests.loyalty.naive.sale import Run, Sale


@dataclass(frozen=True)
class Entered:
    """A code, its place among those entered, the coupon it names if any, and why it is refused out of hand."""

    code: str
    place: int
    coupon: WalletItem | None = None
    refused: str = ""


def entered_codes(sale: Sale) -> list[Entered]:
    found: list[Entered] = []
    for place, code in enumerate(sale.basket.coupons):
        if _plain(code) in {_plain(one.code) for one in found}:
            found.append(Entered(code, place, refused="entered_twice"))
            continue
        known = sale.bearer + (sale.view.wallet if sale.view else ())
        coupon = next((one for one in known if one.kind == "coupon" and _plain(one.code) == _plain(code)), None)
        if not any(_is_set_off(promotion, code, coupon) for promotion in sale.programme.promotions):
            found.append(Entered(code, place, refused="unknown_code"))
        elif coupon is None:
            found.append(Entered(code, place))
        else:
            found.append(Entered(code, place, coupon, why_not_good(coupon, sale, used=coupon.used > 0)))
    return found


def all_runs(sale: Sale, entered: list[Entered]) -> list[Run]:
    """Every promotion that is set off, once for each thing that sets it off."""
    runs: list[Run] = []
    for listed, promotion in enumerate(sale.programme.promotions):
        if not isinstance(promotion.trigger, ByCode | ByCoupon):
            if isinstance(promotion.trigger, OnEvent) or _has_goods(promotion, sale):
                runs.append(Run(promotion, listed))
            continue
        asked = [one for one in entered if not one.refused and _is_set_off(promotion, one.code, one.coupon)]
        if isinstance(promotion.trigger, ByCode):
            asked = asked[:1]
        runs += [Run(promotion, listed, one.place, one.code) for one in asked]
    return runs


def _has_goods(promotion: Promotion, sale: Sale) -> bool:
    """Whether a benefit names any goods of the basket, or needs none."""
    return not promotion.then or any(
        isinstance(benefit, IssueCoupon) or names(selector, line)
        for benefit in promotion.then
        for selector in _selectors(benefit)
        for line in sale.lines
    )


def _selectors(benefit: Benefit) -> list[Selector]:
    if isinstance(benefit, BuyGet):
        return [benefit.buy, *([] if benefit.get is None else [benefit.get])]
    if isinstance(benefit, Bundle):
        return [part.of for part in benefit.parts]
    if isinstance(benefit, PriceList):
        return [Selector(sku=tuple(benefit.prices))]
    return [EVERYTHING] if isinstance(benefit, IssueCoupon) else [benefit.of]


def _is_set_off(promotion: Promotion, code: str, coupon: WalletItem | None) -> bool:
    if isinstance(promotion.trigger, ByCode):
        return coupon is None and _plain(code) in {_plain(one) for one in promotion.trigger.codes}
    return coupon is not None and isinstance(promotion.trigger, ByCoupon) and promotion.trigger.coupon == coupon.of


def _plain(code: str) -> str:
    """Case and blanks make no difference."""
    return "".join(code.split()).casefold()
