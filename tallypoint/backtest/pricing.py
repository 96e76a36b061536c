"""Sales of a file priced under one programme, without tills or ledger: each quote is folded into its member at once.

What a receipt earns can be spent on the next one, counters go on from receipt to receipt, and points lapse on the day
after their last valid day.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from loyalty.baskets import Basket, Place, Tender
from loyalty.lots import FOREVER
from loyalty.members import MemberRow, MemberView, Use, add_uses, view_of
from loyalty.pricing.leases import NO_AUTHORITY, Authority
from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import Compiled
from loyalty.programme.tiers import Standing, judge_tier
from tallypoint.receipts_file import FileReceipt

NO_TILL = "0" * 32
NO_STORE = "store"
NO_DEPARTMENT = "(none)"
WHOLE_RECEIPT = "(whole receipt)"
PARTNERS = ("first", "second")  # as a replay has them
CHANNEL = "pos"  # what a till says where its POS says nothing


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """One sale of the file, ready to be priced under any programme.

    `member` counts members from 1 in the order of their first sale, 0 is nobody; `departments` go by line.
    """

    basket: Basket
    place: Place
    member: int
    sales_minor: int
    departments: tuple[str, ...]


class Sum(msgspec.Struct, kw_only=True):
    """What one slice of the sales adds up to."""

    receipts: int = 0
    sales_minor: int = 0
    discount_minor: int = 0
    points: int = 0


class PromotionSum(msgspec.Struct, kw_only=True):
    """What one promotion adds up to; see `PromotionFigures`."""

    receipts: int = 0
    members: set[int] = msgspec.field(default_factory=set)
    discount_minor: int = 0
    discount_funded_minor: int = 0
    points: int = 0
    points_funded: int = 0
    gifts: int = 0
    coupons: int = 0


class Member(msgspec.Struct, kw_only=True):
    """A member as the sales so far left them; `lots` are points by last valid day, in the order they were earned."""

    number: int
    visits: int = 0
    counters: tuple[Use, ...] = ()
    standing: Standing | None = None
    lots: dict[date, int] = msgspec.field(default_factory=dict)
    sum: Sum = msgspec.field(default_factory=Sum)
    paid_with_points_minor: int = 0
    points_spent: int = 0

    @property
    def balance(self) -> int:
        """Points that have not lapsed."""
        return sum(self.lots.values())


class Given(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one receipt got and spent."""

    discount_minor: int
    points: int
    paid_with_points_minor: int
    points_spent: int


def sales_in_order(receipts: Iterable[FileReceipt], currency: str, partner_of: Mapping[str, str]) -> list[Sale]:
    """The sales of a file by the instant they were made, then as they stand in the file; returns are left out.

    Args:
        partner_of: every store of the file; see `deal`.
    """
    numbers: dict[str, int] = {}
    # By the instant: two datetimes of one zone compare by the clock on the wall, which an hour in autumn shows twice.
    by_time = sorted((one for one in receipts if not one.is_return), key=lambda one: one.sold_at.timestamp())
    return [
        _sale(one, currency, partner_of, numbers.setdefault(one.card, len(numbers) + 1) if one.card else 0)
        for one in by_time
    ]


def deal(stores: Iterable[str], partners: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Every store's partner: as `known`, else by a hash of its id, so that it stays the same in every run."""
    return {
        store: known.get(store) or partners[int.from_bytes(hashlib.sha256(store.encode()).digest()[:8]) % len(partners)]
        for store in stores
    }


class Run:
    """One programme over a file: quotes a sale, takes a quote in, and adds up."""

    def __init__(self, compiled: Compiled, *, spend_points: bool) -> None:
        self.compiled = compiled
        self.programme = compiled.programme
        self.spends = spend_points and self.programme.spending is not None
        self.base = Standing(tier=self.programme.base_tier)
        self.shared: tuple[Use, ...] = ()
        self.total = Sum()
        self.paid_with_points_minor = 0
        self.points_spent = 0
        self.points_lapsed = 0
        self.given: list[Given] = []
        self.members: dict[int, Member] = {}
        self.promotions = {promotion.id: PromotionSum() for promotion in self.programme.promotions}
        self.departments: dict[str, Sum] = {}
        self.days: dict[str, Sum] = {}
        self.partners: dict[str, Sum] = {}

    def quote(self, sale: Sale) -> Quote:
        """Price a sale as its member stands now. Raises: as `quote_basket`; the member is then as before."""
        view = self._view(sale) if sale.member else None
        if not self.spends or view is None:
            return self._ask(sale, view, NO_AUTHORITY, 0)
        authority = Authority(kind="hold", points=view.spendable_points) if view.spendable_points else NO_AUTHORITY
        quote = self._ask(sale, view, authority, 0)
        most = quote.redemption.most_points
        return self._ask(sale, view, authority, most) if most else quote

    def _ask(self, sale: Sale, view: MemberView | None, authority: Authority, points: int) -> Quote:
        basket = msgspec.structs.replace(sale.basket, points_to_spend=points) if points else sale.basket
        return quote_basket(
            self.compiled, basket, sale.place, view, authority=authority, shared=self.shared, explain=False
        )

    def take(self, sale: Sale, quote: Quote) -> None:
        """Fold a quote of this sale into its member and into every sum."""
        totals = quote.totals
        given = Given(
            discount_minor=totals.discount_minor,
            points=totals.points_earned,
            paid_with_points_minor=totals.paid_with_points_minor,
            points_spent=totals.points_spent,
        )
        self.given.append(given)
        self.paid_with_points_minor += given.paid_with_points_minor
        self.points_spent += given.points_spent
        if quote.shared_uses:
            self.shared = add_uses(self.shared, quote.shared_uses)
        day = sale.place.business_date.isoformat()
        for one in (self.total, _of(self.days, day), _of(self.partners, sale.place.partner_id)):
            _add(one, sale.sales_minor, given.discount_minor, given.points)
        self._departments(sale, quote)
        self._promotions(sale, quote)
        if sale.member:
            self._fold(self.members[sale.member], sale, quote, given)

    def close(self) -> None:
        """What lapsed by the last day of the file, also of members who did not come back."""
        last = max(self.days, default="")
        for member in self.members.values():
            for day in [day for day in member.lots if day.isoformat() < last]:
                self.points_lapsed += member.lots.pop(day)

    def _view(self, sale: Sale) -> MemberView:
        member = self.members.setdefault(sale.member, Member(number=sale.member))
        on = sale.place.business_date
        if member.lots:
            for day in [day for day in member.lots if day < on]:
                self.points_lapsed += member.lots.pop(day)
        if self.programme.tiers:
            counters = {use.name: use.amount for use in member.counters}
            member.standing = judge_tier(self.programme, member.standing or self.base, counters, on)
        standing = member.standing or self.base
        next_day = min(member.lots, default=FOREVER)
        row = MemberRow(
            account_id=member.number,
            version=member.visits,
            balance_points=member.balance,
            tier=standing.tier,
            tier_through=standing.through,
            counters=member.counters,
            lapsing_points=member.lots.get(next_day, 0) if next_day != FOREVER else 0,
            lapsing_on=next_day if next_day != FOREVER else None,
        )
        return view_of(row, (), on=on)

    def _fold(self, member: Member, sale: Sale, quote: Quote, given: Given) -> None:
        """The member after this sale: one visit more, counters further, points spent and earned."""
        member.visits += 1
        member.counters = add_uses(member.counters, quote.uses)
        member.paid_with_points_minor += given.paid_with_points_minor
        member.points_spent += given.points_spent
        _add(member.sum, sale.sales_minor, given.discount_minor, given.points)
        if quote.spends_own:
            self._earn(member, quote)
            self._spend(member, given.points_spent)
        else:
            self._spend(member, given.points_spent)
            self._earn(member, quote)

    def _earn(self, member: Member, quote: Quote) -> None:
        for part in quote.earned:
            member.lots[part.valid_through] = member.lots.get(part.valid_through, 0) + part.points

    def _spend(self, member: Member, points: int) -> None:
        """Points from the lots that lapse soonest, or that were earned first."""
        first_earned = self.programme.options.lot_order == "first_earned"
        for day in list(member.lots) if first_earned else sorted(member.lots):
            if not points:
                return
            taken = min(points, member.lots[day])
            points -= taken
            member.lots[day] -= taken
            if not member.lots[day]:
                del member.lots[day]

    def _departments(self, sale: Sale, quote: Quote) -> None:
        whole = quote.totals.points_earned
        seen = set()
        for line, name in zip(quote.lines, sale.departments, strict=True):
            one = _of(self.departments, name)
            one.sales_minor += line.amount_minor
            one.discount_minor += line.discount_minor
            one.points += line.points_earned
            whole -= line.points_earned
            if name not in seen:
                seen.add(name)
                one.receipts += 1
        if whole:
            _add(_of(self.departments, WHOLE_RECEIPT), 0, 0, whole)

    def _promotions(self, sale: Sale, quote: Quote) -> None:
        touched = set()
        own = ("", sale.place.partner_id)
        for effect in quote.effects:
            one = self.promotions[effect.promotion]
            touched.add(effect.promotion)
            one.discount_minor += effect.amount_minor
            one.points += effect.points
            if effect.funded_by not in own:
                one.discount_funded_minor += effect.amount_minor
                one.points_funded += effect.points
        for gift in quote.gifts:
            touched.add(gift.promotion)
            self.promotions[gift.promotion].gifts += gift.units
        for coupon in quote.coupons_issued:
            touched.add(coupon.promotion)
            self.promotions[coupon.promotion].coupons += 1
        for name in touched:
            one = self.promotions[name]
            one.receipts += 1
            if sale.member:
                one.members.add(sale.member)


def _sale(receipt: FileReceipt, currency: str, partner_of: Mapping[str, str], member: int) -> Sale:
    total = sum(line.amount_minor for line in receipt.lines)
    offset = receipt.sold_at.utcoffset() or timedelta()
    return Sale(
        basket=Basket(
            receipt_id=receipt.receipt_id,
            currency=currency,
            lines=tuple(receipt.lines),
            tenders=(Tender(kind="money", amount_minor=total),),
        ),
        place=Place(
            partner_id=partner_of[receipt.store],
            store_id=receipt.store or NO_STORE,
            till_id=NO_TILL,
            channel=CHANNEL,
            sold_at_ms=int(receipt.sold_at.timestamp() * 1000),
            offset_min=offset // timedelta(minutes=1),
            business_date=receipt.sold_at.date(),
        ),
        member=member,
        sales_minor=total,
        departments=tuple(line.category[0] if line.category else NO_DEPARTMENT for line in receipt.lines),
    )


def _of(sums: dict[str, Sum], name: str) -> Sum:
    if name not in sums:
        sums[name] = Sum()
    return sums[name]


def _add(one: Sum, sales_minor: int, discount_minor: int, points: int) -> None:
    one.receipts += 1
    one.sales_minor += sales_minor
    one.discount_minor += discount_minor
    one.points += points
