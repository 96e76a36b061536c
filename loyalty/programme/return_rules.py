"""What a sale's programme says about its return, written down with the sale.

So a till that has lost that programme, or never had it, still takes the goods back as was promised at the sale.
Source: docs/programme.md "Returns".
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from loyalty.members import Use, WalletItem, coupon_use
from loyalty.programme.programme import Programme
from loyalty.programme.promotion import ByCoupon

PointsOnReturn = Literal["pro_rata", "recompute", "claw_all"]
ClawbackShort = Literal["debt", "clamp", "money"]
CouponOnReturn = Literal["full", "always", "never"]
_STRICTEST: tuple[CouponOnReturn, ...] = ("never", "full", "always")


class CouponRule(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """When the use of a coupon comes back, by the name of its counter."""

    name: str
    on_return: CouponOnReturn


class ReturnRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How this sale comes back.

    Attributes:
        coupons: the coupons used that do not come back on a full return only.
        kept: names of uses that stay when the receipt is voided or returned whole.
        step_points, step_minor: what points are worth, for money withheld; 0 where points cannot be spent.
        certificate_lines: lines that sold certificates, which count towards no spend, and of which certificates and
            wallet paid nothing. Sales of before do not name them: what comes back of these goes by the share of all
            lines.
    """

    points_on_return: PointsOnReturn = "pro_rata"
    clawback_short: ClawbackShort = "debt"
    coupons: tuple[CouponRule, ...] = ()
    kept: tuple[str, ...] = ()
    step_points: int = 0
    step_minor: int = 0
    certificate_lines: tuple[int, ...] = ()

    def of_coupon(self, name: str) -> CouponOnReturn:
        """When the use of this coupon comes back."""
        return next((rule.on_return for rule in self.coupons if rule.name == name), "full")


PLAIN = ReturnRules()


def rules_of_sale(
    programme: Programme,
    uses: Iterable[Use],
    coupons: Iterable[WalletItem],
    certificate_lines: tuple[int, ...] = (),
) -> ReturnRules:
    """What the programme says about the return of a sale.

    Args:
        uses: the sale's, shared ones too.
        coupons: those that the till knew of, which tell of which kind a code is.
    """
    options, spending = programme.options, programme.spending
    names = {use.name for use in uses}
    limited = {name: name.split(":")[1] for name in names if name.startswith("promo:")}  # its id, perhaps a period
    ids = set(limited.values())
    promotions = programme.promotions if ids else ()  # there may be thousands, and most sales count under none
    keeping = {one.id for one in promotions if one.id in ids and one.limits and one.limits.on_cancel == "kept"}
    withheld = spending if options.clawback_short == "money" else None
    rules = ReturnRules(
        points_on_return=options.points_on_return,
        clawback_short=options.clawback_short,
        coupons=tuple(_coupon_rules(programme, names, coupons)),
        kept=tuple(sorted(name for name, promotion in limited.items() if promotion in keeping)),
        step_points=withheld.step_points if withheld else 0,
        step_minor=withheld.step_minor if withheld else 0,
        certificate_lines=certificate_lines,
    )
    return PLAIN if rules == PLAIN else rules


def _coupon_rules(programme: Programme, names: set[str], coupons: Iterable[WalletItem]) -> Iterable[CouponRule]:
    kinds = {coupon_use(item.code): item.of for item in coupons if item.kind == "coupon"}
    for name in sorted(names & kinds.keys()):
        declared = {
            promotion.options.coupon_on_return or programme.options.coupon_on_return
            for promotion in programme.promotions
            if isinstance(promotion.trigger, ByCoupon) and promotion.trigger.coupon == kinds[name]
        }
        # A code may set off several promotions; the one that gives least back decides.
        on_return: CouponOnReturn = next((rule for rule in _STRICTEST if rule in declared), "full")
        if on_return != "full":
            yield CouponRule(name=name, on_return=on_return)
