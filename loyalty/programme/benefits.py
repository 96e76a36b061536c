"""What a promotion does once it holds: the kinds that may stand under `then`.

Each takes effect on the goods that `of` selects. How each is worked out is in the module of its idea: discounts,
buy_get, bundles, scales, earning, gifts, coupons. Source: engine.md, capabilities 1 to 4, 9, 15, 19, 22, 23, 25.
"""

from typing import Annotated, Literal

import msgspec

from loyalty.amounts import Positive, Whole
from loyalty.document import Document, Percent, Word
from loyalty.programme.selectors import EVERYTHING, Selector

Which = Literal["cheapest", "dearest", "basket"]
Period = Literal["ever", "year", "quarter", "month", "day"]
Units = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class PercentOff(Document, frozen=True, tag="percent_off", tag_field="kind"):
    """`percent_bp` basis points off each unit, each line, or the selected lines together; rounded as declared."""

    percent_bp: Percent
    per: Literal["unit", "line", "basket"] | None = None
    of: Selector = EVERYTHING


class AmountOff(Document, frozen=True, tag="amount_off", tag_field="kind"):
    """An amount off: the basket's selected lines together (spread), each line, each unit, or each complete group.

    `each` is per unit or per line as the programme's option `amount_each` says; `group` takes it off once for every
    `group_of` whole units.
    """

    amount_minor: Positive
    per: Literal["basket", "line", "unit", "each", "group"] = "basket"
    group_of: Units | None = None
    of: Selector = EVERYTHING

    def __post_init__(self) -> None:
        if (self.per == "group") != (self.group_of is not None):
            raise ValueError("group_of: goes with `per: group`, and only with it; give both or neither")


class SetPrice(Document, frozen=True, tag="set_price", tag_field="kind"):
    """The selected goods cost `unit_price_minor` a unit; goods that are cheaper already stay as they are."""

    unit_price_minor: Whole
    of: Selector = EVERYTHING


class PriceList(Document, frozen=True, tag="price_list", tag_field="kind"):
    """A price a unit by article; an article that is cheaper already stays as it is."""

    prices: Annotated[dict[Word, Whole], msgspec.Meta(min_length=1)]


class BuyGet(Document, frozen=True, tag="buy_get", tag_field="kind"):
    """For every `buy_units` of the goods `buy`, `get_units` of the goods `get` are free, or cheaper by a figure.

    Without `get` the rewarded units are of the same goods. `times` bounds how often. With `counts` a rewarded unit
    also counts as bought: buy 3 get 1 is then three for the price of two.
    """

    buy_units: Units
    buy: Selector = EVERYTHING
    get_units: Units = 1
    get: Selector | None = None
    percent_bp: Percent | None = None
    amount_minor: Positive | None = None
    price_minor: Whole | None = None
    times: Units | None = None
    counts: bool = False
    which: Which | None = None

    def __post_init__(self) -> None:
        if sum(figure is not None for figure in (self.percent_bp, self.amount_minor, self.price_minor)) > 1:
            raise ValueError("percent_bp: a reward has one figure; keep one of percent_bp, amount_minor, price_minor")
        if self.counts and self.get is None and self.get_units > self.buy_units:
            raise ValueError("get_units: more are rewarded than bought; with `counts` they are among those bought")


class BundlePart(Document, frozen=True):
    """So many units of these goods in each bundle."""

    units: Units = 1
    of: Selector = EVERYTHING


class Bundle(Document, frozen=True, tag="bundle", tag_field="kind"):
    """Goods together: every complete set of parts costs a set price, or is cheaper by a percentage or an amount.

    `which` says what is put into bundles: by default the units that save the customer most.
    """

    parts: Annotated[tuple[BundlePart, ...], msgspec.Meta(min_length=1, max_length=20)]
    price_minor: Whole | None = None
    percent_bp: Percent | None = None
    amount_minor: Positive | None = None
    times: Units | None = None
    which: Which = "dearest"

    def __post_init__(self) -> None:
        if sum(figure is not None for figure in (self.percent_bp, self.amount_minor, self.price_minor)) != 1:
            raise ValueError("price_minor: a bundle has one figure; give one of price_minor, percent_bp, amount_minor")


class ScaleStep(Document, frozen=True):
    """From `from_` (in) to `to` (in): a percentage, or an amount off."""

    from_: Whole = msgspec.field(name="from")
    to: Whole | None = None
    percent_bp: Percent | None = None
    amount_minor: Positive | None = None

    def __post_init__(self) -> None:
        if (self.percent_bp is None) == (self.amount_minor is None):
            raise ValueError("percent_bp: a step has one figure; give percent_bp or amount_minor")
        if self.to is not None and self.to < self.from_:
            raise ValueError("to: lies below from; swap the two, both bounds count")


class Scale(Document, frozen=True, tag="scale", tag_field="kind"):
    """More off the more is bought: by spend or quantity in this basket, or by the member's spend in a period.

    Steps are in minor units for spend, in thousandths for quantity; both bounds are in. A step without `to` reaches
    to the next one's `from`. `graduated` gives each step's percentage only to what lies within it.
    """

    steps: Annotated[tuple[ScaleStep, ...], msgspec.Meta(min_length=1, max_length=50)]
    by: Literal["spend", "quantity", "period_spend"] = "spend"
    period: Period = "year"
    this_receipt: bool = False
    graduated: bool = False
    which: Which | None = None
    of: Selector = EVERYTHING

    def __post_init__(self) -> None:
        for i, (step, after) in enumerate(zip(self.steps, self.steps[1:], strict=False)):
            if after.from_ <= (step.from_ if step.to is None else step.to):
                raise ValueError(f"steps[{i + 1}].from: overlaps the step before it; list steps apart and ascending")
        if self.graduated:
            if self.by == "period_spend":
                raise ValueError("graduated: shares this basket out, which `by: period_spend` does not measure")
            for i, step in enumerate(self.steps):
                if step.percent_bp is None:
                    raise ValueError(f"steps[{i}].amount_minor: a graduated step takes a percentage; give percent_bp")


class Earn(Document, frozen=True, tag="earn", tag_field="kind"):
    """`points` for every `per_minor` of what the selected goods cost, as the option `earn_on` measures it.

    `tenders` narrows it to the share of the money that was paid so.
    """

    points: Positive
    per_minor: Positive
    tenders: tuple[Word, ...] = ()
    of: Selector = EVERYTHING


class Points(Document, frozen=True, tag="points", tag_field="kind"):
    """A fixed number of points: once for the basket, for each selected line, or for each whole unit."""

    points: Positive
    per: Literal["basket", "line", "unit"] = "basket"
    of: Selector = EVERYTHING


class MultiplyPoints(Document, frozen=True, tag="multiply_points", tag_field="kind"):
    """Multiplies the rate of every earning promotion on the selected goods; 200 doubles it."""

    times_percent: Annotated[int, msgspec.Meta(gt=100, le=100_000)]
    of: Selector = EVERYTHING


class GiftItem(Document, frozen=True):
    """Goods that may be given, and what the cashier should know of the stock."""

    sku: Word
    name: str = ""
    note: str = ""


class Gift(Document, frozen=True, tag="gift", tag_field="kind"):
    """Goods to be added at no price: `units` of one of `items`, once, or again for every `for_units` or `for_minor`."""

    items: Annotated[tuple[GiftItem, ...], msgspec.Meta(min_length=1, max_length=100)]
    units: Units = 1
    for_units: Units | None = None
    for_minor: Positive | None = None
    times: Units | None = None
    of: Selector = EVERYTHING

    def __post_init__(self) -> None:
        if self.for_units is not None and self.for_minor is not None:
            raise ValueError("for_minor: a gift repeats by one measure; keep for_units or for_minor")


class IssueCoupon(Document, frozen=True, tag="issue_coupon", tag_field="kind"):
    """A coupon of a kind of the programme for the next visit, printed with a code of its own."""

    coupon: Word


Benefit = (
    PercentOff
    | AmountOff
    | SetPrice
    | PriceList
    | BuyGet
    | Bundle
    | Scale
    | Earn
    | Points
    | MultiplyPoints
    | Gift
    | IssueCoupon
)
# What takes money off, what grants points, what does neither.
MONEY = (PercentOff, AmountOff, SetPrice, PriceList, BuyGet, Bundle, Scale)
POINTS = (Earn, Points, MultiplyPoints)
EXTRAS = (Gift, IssueCoupon)


def selectors_of(benefit: Benefit) -> tuple[Selector, ...]:
    """Every selector that a benefit looks at; a price list is one of its articles."""
    if isinstance(benefit, BuyGet):
        return (benefit.buy,) if benefit.get is None else (benefit.buy, benefit.get)
    if isinstance(benefit, Bundle):
        return tuple(part.of for part in benefit.parts)
    if isinstance(benefit, PriceList):
        return (Selector(sku=tuple(benefit.prices)),)
    return () if isinstance(benefit, IssueCoupon) else (benefit.of,)
