"""How what a sale added to counters comes back, by the family of the counter's name.

| counter | comes back |
| --- | --- |
| `promo:…`, `visits…`, `said:…`, `said_here:…`, and any other | with the last part |
| `spend…` | by the share of the money for goods that comes back, certificates that were sold left out |
| `cap:…`, `budget:…` | by the share of what their promotion did: its discounts, or else its points |
| `certificate:…`, `wallet` | by the share of the same money, one after the other |
| `coupon:…` | with the last part, with the first, or never, as the sale's rules say |
| `last:…`, and limits that the sale keeps when it is cancelled | never |

Where points are worked out again, limits and caps of points follow those instead, see `counted_points`.
A coupon that the sale issued goes with the last part: it counts as used from then on.

Source: docs/programme.md "Returns".
"""

from collections.abc import Iterable, Mapping

import msgspec

from loyalty.facts.receipts import Receipt, ReceiptDetail, paid_in_money
from loyalty.members import WALLET, Use, coupon_use
from loyalty.pricing.coupons import coupon_number
from loyalty.shares import Shares, by_turns

_CERTIFICATE = "certificate:"


class StoredBack(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Money that returns to a certificate, by its code, or (without one) to the member's wallet."""

    code: str
    amount_minor: int


class UsesBack:
    """What of a sale's uses belongs to the goods that have come back, and what still stands."""

    def __init__(self, receipt: Receipt, detail: ReceiptDetail, shares: Shares) -> None:
        self._shares = shares
        self._rules = detail.rules
        self._money = _for_goods(detail)
        self._by_promotion = _by_promotion(detail)
        self._stored = _stored(receipt, self._money, shares)

    def of(self, use: Use) -> int:
        """How much of a use has come back."""
        family, _, rest = use.name.partition(":")
        if family == "last" or use.name in self._rules.kept:
            return 0
        if family == "coupon":
            return use.amount if self._coupon_is_back(use.name) else 0
        if self._shares.whole:
            return use.amount
        if use.name in self._stored:
            return -self._stored[use.name]
        if family == "spend":
            return self._shares.in_proportion(use.amount, self._money)
        if family in ("cap", "budget"):
            return self._shares.in_proportion(use.amount, self._by_promotion.get(rest.partition(":")[0], {}))
        return 0

    def _coupon_is_back(self, name: str) -> bool:
        rule = self._rules.of_coupon(name)
        return rule != "never" and (self._shares.anything if rule == "always" else self._shares.whole)


def uses_back(uses: Iterable[Use], before: UsesBack, after: UsesBack) -> tuple[Use, ...]:
    """The uses that a return takes back, those that come to nothing left out."""
    steps = (Use(name=use.name, amount=before.of(use) - after.of(use)) for use in uses)
    return tuple(step for step in steps if step.amount)


def uses_left(uses: Iterable[Use], back: UsesBack) -> tuple[Use, ...]:
    """What is left of uses once some have come back."""
    return tuple(Use(name=use.name, amount=use.amount - back.of(use)) for use in uses)


def coupons_withdrawn(receipt: Receipt) -> tuple[tuple[Use, ...], tuple[Use, ...]]:
    """The uses that make the coupons of a sale worthless once all of it is undone: the member's own, and bearers'."""
    own: list[Use] = []
    shared: list[Use] = []
    for n, coupon in enumerate(receipt.coupons_issued):
        number = coupon_number(coupon, till_id=receipt.place.till_id, receipt_id=receipt.receipt_id, n=n)
        (own if coupon.holder == "personal" else shared).append(Use(name=coupon_use(number), amount=1))
    return tuple(own), tuple(shared)


def stored_back(uses: Iterable[Use]) -> tuple[StoredBack, ...]:
    """The money among uses taken back that returns to certificates and wallet."""
    return tuple(
        StoredBack(code=use.name.removeprefix(_CERTIFICATE) if use.name != WALLET else "", amount_minor=use.amount)
        for use in uses
        if _is_stored(use.name) and use.amount > 0
    )


def _is_stored(name: str) -> bool:
    return name == WALLET or name.startswith(_CERTIFICATE)


def _for_goods(detail: ReceiptDetail) -> dict[int, int]:
    """Money paid by line, without the lines that sold certificates."""
    money, certificates = paid_in_money(detail), detail.rules.certificate_lines
    return {line: paid for line, paid in money.items() if line not in certificates} if certificates else money


def _stored(receipt: Receipt, money: Mapping[int, int], shares: Shares) -> dict[str, int]:
    """What has come back to each certificate and the wallet, by the name of its counter."""
    paid = [use for use in (*receipt.uses, *receipt.shared_uses) if _is_stored(use.name) and use.amount < 0]
    parts = by_turns(shares.of_lines(money), sum(money.values()), [-use.amount for use in paid])
    return {use.name: part for use, part in zip(paid, parts, strict=True)}


def _by_promotion(detail: ReceiptDetail) -> dict[str, dict[int, int]]:
    """What each promotion did by line: its discounts, or its points where it took nothing off."""
    off: dict[str, dict[int, int]] = {}
    points: dict[str, dict[int, int]] = {}
    for effect in detail.effects:
        for sums, figure in ((off, effect.amount_minor), (points, effect.points)):
            if figure:
                lines = sums.setdefault(effect.promotion, {})
                lines[effect.line] = lines.get(effect.line, 0) + figure
    return points | off
