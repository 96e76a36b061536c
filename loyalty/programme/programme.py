"""The programme document: everything the till may do with a basket, as data, versioned by its content.

One type per thing the document can say; unknown words are refused. Keys in another order, YAML or JSON, give the
same version; another rule gives another one. What the document may say grows by new kinds, never by a changed meaning.
Bounds stand in the types, so whatever `read_programme` lets through can be quoted under.
Source: engine.md, "A shape to start from".
"""

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Annotated, Any, Literal

import msgspec

from loyalty.amounts import Positive, Rounding, Spreading, Whole, is_currency
from loyalty.cards.cards import CardRules
from loyalty.document import Document, Language, PromotionId, TimeOfDay, Word
from loyalty.lots import FOREVER
from loyalty.programme.benefits import IssueCoupon, Period, Which
from loyalty.programme.member_rules import MemberRules
from loyalty.programme.promotion import Bp, ByCoupon, Days, Lifetime, Message, Promotion
from loyalty.programme.selectors import EVERYTHING, Selector
from loyalty.programme.text import BadProgramme as BadProgramme
from loyalty.programme.text import read_text


class LeaseRules(Document, frozen=True):
    """Points of a member that a till may spend without asking, because they were taken out of the balance before.

    Attributes:
        share_bp: of the member's points, at most; `most_points`: and no more than these, for one store.
        spend_for_hours: after these a till stops by itself.
        settle_for_days: so much later the centre takes back what no till accounted for; none waits for ever.
    """

    share_bp: Bp = 3_000
    most_points: Positive = 2_000
    spend_for_hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 31)] = 48
    settle_for_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] | None = 7


class OfflineCaps(Document, frozen=True):
    """Caps on points spent without asking the centre; DECISIONS 22: none unless the programme says so.

    Attributes:
        sale_points, card_points, till_points: on floats, for one sale, one card and one till between two words of the
            centre.
        store_points: for all tills of a store together; each has its equal share of it.
        sales_in_a_row: so many sales of one card may be paid that way before the centre is heard.
        lease: how members' points are set aside for tills; none keeps leases off.
    """

    sale_points: Whole
    card_points: Whole
    till_points: Whole
    store_points: Whole | None = None
    sales_in_a_row: Positive | None = None
    lease: LeaseRules | None = None

    def __post_init__(self) -> None:
        if self.card_points < self.sale_points:
            raise ValueError("card_points: lies below sale_points; a card may be used for at least one sale")
        if self.till_points < self.card_points:
            raise ValueError("till_points: lies below card_points; a till must be able to serve one card")
        if self.store_points is not None and self.store_points < self.sale_points:
            raise ValueError("store_points: lies below sale_points; a store must be able to serve one sale")


class Spending(Document, frozen=True):
    """Points as tender: `step_points` are worth `step_minor`; offline spending is off until `offline` is given.

    With `rest` the last part may be less than a step, so that points can pay a sum to its last minor unit. With
    `online` a till that reaches the centre asks it to set points aside for a sale, whatever the caps.
    """

    step_points: Positive
    step_minor: Positive
    least_points: Whole = 0
    largest_share_bp: Bp = 10_000
    rest: bool = False
    of: Selector = EVERYTHING
    offline: OfflineCaps | None = None
    online: bool = False

    def __post_init__(self) -> None:
        if self.least_points % self.step_points and not self.rest:
            raise ValueError(f"least_points: is not a multiple of step_points, {self.step_points}; round it up to one")


class Options(Document, frozen=True):
    """Where systems disagree the programme declares; each default is the first choice of engine.md's table.

    Attributes:
        spread_remainder: who gets what is left over when an amount is spread.
        spread_over_nothing: whether points of the basket go to goods that cost nothing, in equal parts.
        percent_rounding, percent_rounds, percent_per: how, on the discount or on the resulting price, per line or unit.
        stacking: how promotions without a group of their own add up within a stage.
        stacking_base: percentages are of what earlier promotions left, or of the price before them.
        priority: which number goes first; `as_listed` looks at the order of the document alone.
        exclusive: whether an exclusive promotion wins over others of higher priority.
        exclusive_over: whether it keeps out everything else, or only what does the same (money off, points).
        spend_looks_at, spend_tax: what a minimum spend is measured on.
        rewarded_unit: which unit a reward is for; `gift_lines`: whether units that cost nothing count.
        amount_each: what `per: each` means.
        earn_on, earn_tax: what points are earned on.
        spends_what_it_earns: whether a sale may spend the points that it earns itself.
        points_on_return, clawback_short, coupon_on_return: see `reversals`.
        lot_order: which points are spent first.
        points_rounding: floored once per promotion and receipt, floored per line, or half up per receipt.
        expiry: points are good through their last day, gone at its start, or gone at `expiry_at` of it (store time).
        points_over: asking for more points than allowed grants the most allowed, or is refused.
        floor_rest: what a floor price refuses moves to other lines, or is dropped.
    """

    spread_remainder: Spreading = "largest_remainder"
    spread_over_nothing: Literal["nothing", "evenly"] = "nothing"
    percent_rounding: Rounding = "half_up"
    percent_rounds: Literal["discount", "price"] = "discount"
    percent_per: Literal["line", "unit"] = "line"
    stacking: Literal["sequential", "best_of", "best_of_line", "sum"] = "sequential"
    stacking_base: Literal["remaining", "original"] = "remaining"
    priority: Literal["high_first", "low_first", "as_listed"] = "high_first"
    exclusive: Literal["exclusive_wins", "priority_wins"] = "exclusive_wins"
    exclusive_over: Literal["everything", "same_kind"] = "everything"
    spend_looks_at: Literal["after", "before"] = "after"
    spend_tax: Literal["in", "out"] = "in"
    rewarded_unit: Which = "cheapest"
    gift_lines: Literal["ignored", "counted"] = "ignored"
    amount_each: Literal["unit", "line"] = "unit"
    earn_on: Literal["paid", "before_discounts", "before_points"] = "paid"
    earn_tax: Literal["in", "out"] = "in"
    spends_what_it_earns: bool = False
    points_on_return: Literal["pro_rata", "recompute", "claw_all"] = "pro_rata"
    clawback_short: Literal["debt", "clamp", "money"] = "debt"
    coupon_on_return: Literal["full", "always", "never"] = "full"
    lot_order: Literal["valid_through", "first_earned"] = "valid_through"
    points_rounding: Literal["receipt", "line", "half_up"] = "receipt"
    expiry: Literal["end_of_day", "start_of_day", "instant"] = "end_of_day"
    expiry_at: TimeOfDay = "24:00"
    points_over: Literal["largest", "refuse"] = "largest"
    floor_rest: Literal["moves", "dropped"] = "moves"


class Group(Document, frozen=True):
    """Promotions that add up in their own way, and with whom: with everybody, or only with the groups in `with_`."""

    id: Word
    stacking: Literal["sequential", "best_of", "best_of_line", "sum"] = "sequential"
    with_: tuple[Word, ...] | None = msgspec.field(default=None, name="with")


class CouponKind(Document, frozen=True):
    """A kind of coupon: for whoever brings it or for one member, good from some days after issue for so many days."""

    id: PromotionId
    name: str = ""
    holder: Literal["bearer", "personal"] = "bearer"
    good_after_days: Days = 0
    good_for_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 30


class Prize(Document, frozen=True):
    """Goods that can be had for points: one unit of the goods `of` for `points`."""

    id: Word
    points: Positive
    of: Selector
    name: str = ""
    note: str = ""
    tiers: tuple[Word, ...] = ()


class Certificates(Document, frozen=True):
    """Stored value. `sold` names the goods that are certificates: they earn nothing and are never discounted.

    Attributes:
        largest_share_bp: the most of a receipt that certificates and wallet may pay.
        lifetime: how long the money on a certificate is good; for ever where nothing is said.
        offline_minor: the most that one certificate may pay at a till that does not reach head office, until it does.
    """

    sold: Selector
    largest_share_bp: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10_000
    wallet: bool = False
    lifetime: Lifetime = Lifetime()
    offline_minor: Whole = 0


class Threshold(Document, frozen=True):
    """So much spend or so many purchases within the running period, or within the last `days` days."""

    spend_minor: Positive | None = None
    purchases: Positive | None = None
    period: Period = "year"
    days: Annotated[int, msgspec.Meta(ge=1, le=800)] | None = None

    def __post_init__(self) -> None:
        if (self.spend_minor is None) == (self.purchases is None):
            raise ValueError("spend_minor: give one of spend_minor and purchases")


class Tier(Document, frozen=True):
    """A tier of membership: how it is reached, how it is kept, and how long it lasts once reached.

    It lasts to the end of the year after it was reached, or `lasts_days`; then `keep` (else `reach`) is judged, and
    after `grace_days` more without it the member goes down to the tier that was earned.
    """

    id: Word
    reach: Threshold
    keep: Threshold | None = None
    lasts_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] | None = None
    grace_days: Days = 0
    name: str = ""


class Speaking(Document, frozen=True):
    """Who is heard first, and how much is said: at most so many sentences a place, partners in this order.

    With `own_first` the partner of the store speaks before the others.
    """

    at_most: dict[Literal["cashier", "customer", "kiosk", "receipt"], Whole] = msgspec.field(default_factory=dict)
    partners: tuple[Word, ...] = ()
    own_first: bool = True


class Programme(Document, frozen=True):
    """A whole programme in one currency. `version` is the hash of what it says.

    `base_tier` is the tier of members who have reached none.
    """

    id: Word
    currency: str
    name: str = ""
    language: Language = "en"
    options: Options = Options()
    lifetime: Lifetime = Lifetime()
    spending: Spending | None = None
    cards: CardRules = CardRules()
    promotions: tuple[Promotion, ...] = ()
    groups: tuple[Group, ...] = ()
    coupons: tuple[CouponKind, ...] = ()
    prizes: tuple[Prize, ...] = ()
    certificates: Certificates | None = None
    tiers: tuple[Tier, ...] = ()
    base_tier: str = ""
    speaking: Speaking = Speaking()
    messages: tuple[Message, ...] = ()
    members: MemberRules = MemberRules()

    def __post_init__(self) -> None:
        if not is_currency(self.currency):
            raise ValueError("currency: is not an active ISO 4217 code; use three capital letters such as EUR")
        for part in ("promotions", "groups", "coupons", "prizes", "tiers"):
            _check_ids(part, [entry.id for entry in getattr(self, part)])
        for path, kind, name in _references(self):
            if name not in {entry.id for entry in getattr(self, kind)}:
                raise ValueError(f"{path}: {name} is not among the {kind}; add it there, or correct the name")

    @property
    def version(self) -> str:
        """SHA-256 of the canonical bytes, 64 hex digits."""
        return hashlib.sha256(canonical(self)).hexdigest()


def read_programme(text: str | bytes) -> Programme:
    """A programme from YAML or JSON.

    Raises:
        BadProgramme: not a document, or one that says what the language does not know or cannot mean;
            `check_programme` names the lines and the remedies.
        CardRangeMalformed, CardRangesOverlap, CardRangeIsPayment: of its card ranges.
    """
    return programme_from(read_text(text))


def programme_from(document: Any) -> Programme:
    """A programme from decoded YAML or JSON. Raises: as `read_programme`."""
    try:
        programme = msgspec.convert(document, Programme)
        canonical(programme)
        return programme
    except UnicodeEncodeError:
        raise BadProgramme("The programme holds half a character (a lone surrogate); type the text again.") from None
    except (msgspec.ValidationError, RecursionError) as trouble:
        raise BadProgramme(f"The programme says something we do not know: {trouble}") from None


def canonical(programme: Programme) -> bytes:
    """The bytes that are hashed, published and signed: JSON, keys sorted, defaults left out."""
    return msgspec.json.encode(programme, order="deterministic")


def programme_schema() -> dict[str, Any]:
    """The JSON Schema of the document, generated from these types."""
    return msgspec.json.schema(Programme)


def valid_through(lifetime: Lifetime, business_date: date) -> date:
    """The last day on which points granted on `business_date` can be spent; `FOREVER` where none is set."""
    if lifetime == Lifetime():
        return FOREVER
    month0 = business_date.year * 12 + business_date.month - 1 + lifetime.months
    year, month = divmod(month0, 12)
    day = date(year, month + 1, min(business_date.day, _days_in(year, month + 1))) + timedelta(days=lifetime.days)
    if lifetime.end_of == "month":
        return day.replace(day=_days_in(day.year, day.month))
    return date(day.year, 12, 31) if lifetime.end_of == "year" else day


def _check_ids(part: str, ids: list[str]) -> None:
    seen: set[str] = set()
    for i, one in enumerate(ids):
        if one in seen:
            raise ValueError(f"{part}[{i}].id: {one} is taken; give each of the {part} an id of its own")
        seen.add(one)


def _references(programme: Programme) -> Iterator[tuple[str, str, str]]:
    """Every name that must stand elsewhere in the document: where it is used, among what it must be, the name."""
    for i, promotion in enumerate(programme.promotions):
        if promotion.group:
            yield f"promotions[{i}].group", "groups", promotion.group
        if isinstance(promotion.trigger, ByCoupon):
            yield f"promotions[{i}].trigger.coupon", "coupons", promotion.trigger.coupon
        for n, benefit in enumerate(promotion.then):
            if isinstance(benefit, IssueCoupon):
                yield f"promotions[{i}].then[{n}].coupon", "coupons", benefit.coupon
    for i, group in enumerate(programme.groups):
        for n, other in enumerate(group.with_ or ()):
            yield f"groups[{i}].with[{n}]", "groups", other


def _days_in(year: int, month: int) -> int:
    return (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
