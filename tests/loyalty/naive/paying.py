"""Points as tender, prizes, certificates and the wallet.

Where the page leaves something open the simplest reading was taken:
- a prize pays the first unit in the basket, by line, that still costs something;
- prizes and points as tender draw on the same authority, and both count as points spent;
- the largest share is rounded down;
- the largest share that certificates and wallet may pay is one of what is left to pay for goods that are not
  certificates themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from loyalty.members import WalletItem
from loyalty.programme.programme import Spending
from tests.loyalty.naive.goods import names, spread, units_of
from tests.loyalty.naive.sale import Sale


@dataclass
class Tendered:
    """What was had for points, and what certificates and the wallet paid."""

    prizes: list[tuple[str, int, int]] = field(default_factory=list)
    certificates: list[tuple[str, int, int]] = field(default_factory=list)
    certificates_refused: list[tuple[str, str]] = field(default_factory=list)
    from_wallet: int = 0


def pay_with_points(sale: Sale, would_earn: Callable[[Sale], int]) -> list[tuple[str, int, int]]:
    """Let prizes pay, then points as tender; the prizes that were had: which, on which line, for how many points.

    Args:
        would_earn: the points that a sale earns, worked out to its end.
    """
    had = _prizes(sale)
    rule = sale.programme.spending
    if rule is None or not sale.basket.points_to_spend:
        return had
    payable = [
        cost if names(rule.of, sale.lines[i]) and not sale.is_certificate(i) else 0
        for i, cost in enumerate(sale.costs())
    ]
    money = sum(payable) * rule.largest_share_bp // 10_000

    def paid(points: int) -> Sale:
        twin = sale.copy()
        parts = spread(_worth(points, rule), payable, payable, sale.programme.options.spread_remainder, "moves")
        twin.paid = [one + part for one, part in zip(sale.paid, parts, strict=True)]
        twin.spent += points
        return twin

    points = _granted(rule, money, sale, lambda points: would_earn(paid(points)))
    after = paid(points)
    sale.paid, sale.spent = after.paid, after.spent
    return had


def _worth(points: int, rule: Spending) -> int:
    return points * rule.step_minor // rule.step_points


def may_spend(sale: Sale) -> int:
    """What the till may let this member spend, without points that have lapsed, less what this sale has spent."""
    if sale.view is None or sale.view.account_id is None:
        return 0
    most = sale.authority.points
    if lapsed := _lapsed(sale):
        most = min(most, max(0, sale.view.spendable_points - lapsed))
    return most - sale.spent


def _lapsed(sale: Sale) -> int:
    view, options = sale.view, sale.programme.options
    if view is None or view.lapsing_on is None:
        return 0
    day = view.lapsing_on
    gone = {
        "end_of_day": sale.today > day,
        "start_of_day": sale.today >= day,
        "instant": (sale.local.date(), f"{sale.local:%H:%M}") >= (day, options.expiry_at),
    }[options.expiry]
    return view.lapsing_points if gone else 0


def _granted(rule: Spending, money: int, sale: Sale, earned: Callable[[int], int]) -> int:
    """Points that pay: the most of those that may, and of those that pay the same the fewest."""
    own = sale.programme.options.spends_what_it_earns and sale.view is not None and sale.view.account_id is not None
    left, asked = may_spend(sale), sale.basket.points_to_spend
    # Nobody can spend more than the goods take, whatever they earn with it.
    most_of_all = (money + 1) * rule.step_points // rule.step_minor + rule.step_points if own else left
    fit: list[int] = []
    for points in range(1, most_of_all + 1):
        if (not rule.rest and points % rule.step_points) or not 0 < _worth(points, rule) <= money:
            continue
        if points <= left or points <= left + earned(points):
            fit.append(points)
    if asked > max(fit, default=0) and sale.programme.options.points_over == "refuse":
        return 0
    best = max((points for points in fit if points <= asked), default=0)
    fewest = min((points for points in fit if _worth(points, rule) == _worth(best, rule)), default=0)
    return fewest if fewest >= rule.least_points else 0


def _prizes(sale: Sale) -> list[tuple[str, int, int]]:
    had: list[tuple[str, int, int]] = []
    costs, taken = sale.costs(), set()
    for asked in sale.basket.prizes:
        prize = next((one for one in sale.programme.prizes if one.id == asked), None)
        if prize is None or sale.view is None or prize.points > may_spend(sale):
            continue
        if prize.tiers and (sale.view.tier or sale.programme.base_tier) not in prize.tiers:
            continue
        for unit in (unit for i, line in enumerate(sale.lines) for unit in units_of(i, line, costs[i])):
            fits = names(prize.of, sale.lines[unit.line]) and not sale.is_certificate(unit.line)
            if fits and unit.cost and unit[:2] not in taken:
                taken.add(unit[:2])
                sale.paid[unit.line] += unit.cost
                sale.spent += prize.points
                had.append((prize.id, sale.lines[unit.line].line, prize.points))
                break
    return had


def pay_with_stored_value(sale: Sale) -> Tendered:
    """Certificates as asked for, then the wallet."""
    rule, tendered = sale.programme.certificates, Tendered()
    open_ = sum(cost for i, cost in enumerate(sale.costs()) if not sale.is_certificate(i))
    left = open_ * rule.largest_share_bp // 10_000 if rule else 0
    asked_before: set[str] = set()
    for ask in sale.basket.certificates:
        item = next((one for one in _known(sale) if one.code == ask.code and one.kind == "certificate"), None)
        if reason := _refused(ask.code, item, asked_before, sale):
            tendered.certificates_refused.append((ask.code, reason))
            continue
        asked_before.add(ask.code)
        balance = item.balance_minor if item else 0
        amount = min(ask.amount_minor or balance, balance, left)
        left -= amount
        tendered.certificates.append((ask.code, amount, balance - amount))
    if rule is not None and rule.wallet and sale.view is not None and sale.view.account_id is not None:
        tendered.from_wallet = min(sale.basket.from_wallet_minor, sale.view.stored_minor, left)
    return tendered


def _known(sale: Sale) -> tuple[WalletItem, ...]:
    return sale.bearer + (sale.view.wallet if sale.view else ())


def _refused(code: str, item: WalletItem | None, before: set[str], sale: Sale) -> str:
    if sale.programme.certificates is None or item is None:
        return "unknown_code"
    if code in before:
        return "entered_twice"
    return why_not_good(item, sale, used=item.balance_minor <= 0)


def why_not_good(item: WalletItem, sale: Sale, *, used: bool) -> str:
    """Why a coupon or certificate of its own number is not good here now; empty where it is."""
    if item.account_id is not None and sale.view is None:
        return "needs_card"
    if item.account_id is not None and sale.view is not None and item.account_id != sale.view.account_id:
        return "of_another_member"
    if item.from_on is not None and sale.today < item.from_on:
        return "not_yet_good"
    if item.through is not None and sale.today > item.through:
        return "no_longer_good"
    return "used_before" if used else ""
