"""One rule of a programme: where, when and for whom it runs, what must hold, how often, who pays, what it says."""

from datetime import date
from typing import Annotated, Literal

import msgspec

from loyalty.amounts import Positive, Rounding, Spreading, Whole
from loyalty.document import Document, Instant, Language, PromotionId, TimeOfDay, Weekday, Word
from loyalty.programme.benefits import MONEY, POINTS, Benefit, Period, Units, Which
from loyalty.programme.selectors import EVERYTHING, Selector

Stage = Literal["price_list", "before", "main", "after", "redemption", "earning"]
Days = Annotated[int, msgspec.Meta(ge=0, le=36_500)]
Bp = Annotated[int, msgspec.Meta(ge=0, le=10_000)]


# What sets it off


class ByItself(Document, frozen=True, tag="automatic", tag_field="kind"):
    """Nobody needs to ask for it."""


class ByCode(Document, frozen=True, tag="code", tag_field="kind"):
    """One of these codes was entered. Letters count as written by hand: case and blanks make no difference."""

    codes: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1)]


class ByCoupon(Document, frozen=True, tag="coupon", tag_field="kind"):
    """A coupon of this kind was presented; each acts once."""

    coupon: Word


class OnEvent(Document, frozen=True, tag="event", tag_field="kind"):
    """Something happened that the POS tells: enrolment, referral, survey. `visit` is the first sale of a day."""

    event: Word


Trigger = ByItself | ByCode | ByCoupon | OnEvent


# What must hold


class SpendIs(Document, frozen=True, tag="spend", tag_field="kind"):
    """What the selected goods cost lies within bounds; `looks_at` and `tax` default to the programme's options."""

    at_least_minor: Positive | None = None
    more_than_minor: Whole | None = None
    at_most_minor: Whole | None = None
    equal_minor: Whole | None = None
    looks_at: Literal["after", "before", "stage"] | None = None
    tax: Literal["in", "out"] | None = None
    of: Selector = EVERYTHING

    def __post_init__(self) -> None:
        bounds = (self.at_least_minor, self.more_than_minor, self.at_most_minor, self.equal_minor)
        if all(bound is None for bound in bounds):
            raise ValueError("at_least_minor: a bound is missing; give at least one")
        low = max(self.at_least_minor or 0, 0 if self.more_than_minor is None else self.more_than_minor + 1)
        high = self.at_most_minor if self.equal_minor is None else self.equal_minor
        if high is not None and high < low:
            raise ValueError("at_least_minor: no amount lies within these bounds; widen them")


class QuantityIs(Document, frozen=True, tag="quantity", tag_field="kind"):
    """So many units (thousandths) of the selected goods: all together, or on one line."""

    at_least_milli: Positive | None = None
    at_most_milli: Whole | None = None
    per: Literal["basket", "line"] = "basket"
    of: Selector = EVERYTHING

    def __post_init__(self) -> None:
        if self.at_least_milli is None and self.at_most_milli is None:
            raise ValueError("at_least_milli: a bound is missing; give at least one")
        if self.at_most_milli is not None and self.at_most_milli < (self.at_least_milli or 0):
            raise ValueError("at_most_milli: lies below at_least_milli; swap the two")


class TenderIs(Document, frozen=True, tag="tender", tag_field="kind"):
    """So much is paid with one of these means of payment; anything at all where no amount is given."""

    kinds: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1)]
    at_least_minor: Positive = 1


class PurchaseIs(Document, frozen=True, tag="purchase", tag_field="kind"):
    """The member's purchases, this one counted: it is number `number`, or every `every`-th."""

    number: Positive | None = None
    every: Positive | None = None

    def __post_init__(self) -> None:
        if (self.number is None) == (self.every is None):
            raise ValueError("number: give one of number and every")


class Lapsed(Document, frozen=True, tag="lapsed", tag_field="kind"):
    """The member was here before, and not for at least so many days."""

    days: Annotated[int, msgspec.Meta(ge=1, le=36_500)]


class PeriodSpendIs(Document, frozen=True, tag="period_spend", tag_field="kind"):
    """What the member spent in the running period before this receipt, and with it where `this_receipt`."""

    at_least_minor: Positive | None = None
    at_most_minor: Whole | None = None
    period: Period = "month"
    this_receipt: bool = False

    def __post_init__(self) -> None:
        if self.at_least_minor is None and self.at_most_minor is None:
            raise ValueError("at_least_minor: a bound is missing; give at least one")
        if self.at_most_minor is not None and self.at_most_minor < (self.at_least_minor or 0):
            raise ValueError("at_most_minor: lies below at_least_minor; swap the two")


class BalanceIs(Document, frozen=True, tag="balance", tag_field="kind"):
    """The member's balance before this receipt."""

    at_least_points: Positive


class PointsSpent(Document, frozen=True, tag="points_spent", tag_field="kind"):
    """So many points pay for this basket; known in the stages redemption and earning."""

    at_least_points: Positive = 1


Condition = SpendIs | QuantityIs | TenderIs | PurchaseIs | Lapsed | PeriodSpendIs | BalanceIs | PointsSpent


# When, where, for whom, how often


class Window(Document, frozen=True):
    """Days around a yearly day, which is in."""

    days_before: Annotated[int, msgspec.Meta(ge=0, le=180)] = 0
    days_after: Annotated[int, msgspec.Meta(ge=0, le=180)] = 0


class Valid(Document, frozen=True):
    """When a promotion runs: instants (from in, to out), and in store time dates (inclusive), weekdays, hours `HH:MM`.

    `birthday` and `anniversary` (of joining) are windows around the member's own day.
    """

    from_at: Instant | None = None
    to_at: Instant | None = None
    from_on: date | None = None
    to_on: date | None = None
    weekdays: tuple[Weekday, ...] = ()
    hours: tuple[tuple[TimeOfDay, TimeOfDay], ...] = ()
    birthday: Window | None = None
    anniversary: Window | None = None

    def __post_init__(self) -> None:
        if self.from_at and self.to_at and self.to_at <= self.from_at:
            raise ValueError("to_at: is not after from_at; swap the two")
        if self.from_on and self.to_on and self.to_on < self.from_on:
            raise ValueError("to_on: lies before from_on; swap the two, both days count")
        for i, (start, end) in enumerate(self.hours):
            if start >= end:
                raise ValueError(f"hours[{i}]: ends before it starts; split a night at 24:00 into two ranges")


class Where(Document, frozen=True):
    """Partners, stores, channels and kinds of till a promotion runs in; empty means all."""

    partners: tuple[Word, ...] = ()
    stores: tuple[Word, ...] = ()
    channels: tuple[Word, ...] = ()
    till_kinds: tuple[Word, ...] = ()


class Who(Document, frozen=True):
    """Whom a promotion is for: anyone, or card holders; narrowed to segments and tiers (one of each suffices).

    `control_bp` basis points of the members are left out, always the same ones, so that its effect can be measured.
    """

    card: bool = False
    segments: tuple[Word, ...] = ()
    not_segments: tuple[Word, ...] = ()
    tiers: tuple[Word, ...] = ()
    control_bp: Bp = 0


class Limits(Document, frozen=True):
    """How often it may be had: by one member in a period, by everybody together, and for how much money in all.

    `on_cancel` says whether a use comes back when its receipt is voided or returned whole.
    """

    times: Positive | None = None
    per: Period = "ever"
    times_in_all: Positive | None = None
    budget_minor: Positive | None = None
    on_cancel: Literal["released", "kept"] = "released"

    def __post_init__(self) -> None:
        if self.times is None and self.times_in_all is None and self.budget_minor is None:
            raise ValueError("times: a limit is missing; give times, times_in_all or budget_minor")


class Cap(Document, frozen=True):
    """The most of one measure: units rewarded, money off, or points; on a receipt, or by one member in a period.

    `first` says which units are rewarded while they last.
    """

    most: Positive
    of: Literal["units", "amount", "points"]
    per: Literal["receipt", "ever", "year", "quarter", "month", "day"] = "receipt"
    first: Which | None = None


class Lifetime(Document, frozen=True):
    """How long points live: none set means for ever; the end of a month or year is counted after days and months."""

    days: Days = 0
    months: Annotated[int, msgspec.Meta(ge=0, le=1_200)] = 0
    end_of: Literal["", "month", "year"] = ""


class SayAtMost(Document, frozen=True):
    """How often a sentence is heard in a period: by each member, wherever they shop; or at each till, by whomever."""

    times: Units = 1
    per: Period | Literal["week"] = "day"
    each: Literal["member", "till"] = "member"


class Message(Document, frozen=True):
    """A sentence for one place, by language, when the promotion applied, was just missed, or always.

    Placeholders: `{saved}`, `{points}`, `{short_of}`, `{balance}`.
    """

    place: Literal["cashier", "customer", "kiosk", "receipt"]
    text: Annotated[dict[Language, Word], msgspec.Meta(min_length=1)]
    case: Literal["applied", "missed", "always"] = "applied"
    at_most: SayAtMost | None = None


class OwnOptions(Document, frozen=True):
    """What a promotion declares otherwise than its programme; see `Options` for what each means."""

    spread_remainder: Spreading | None = None
    spread_over_nothing: Literal["nothing", "evenly"] | None = None
    percent_rounding: Rounding | None = None
    percent_rounds: Literal["discount", "price"] | None = None
    percent_per: Literal["line", "unit"] | None = None
    stacking_base: Literal["remaining", "original"] | None = None
    spend_looks_at: Literal["after", "before"] | None = None
    spend_tax: Literal["in", "out"] | None = None
    rewarded_unit: Which | None = None
    gift_lines: Literal["ignored", "counted"] | None = None
    amount_each: Literal["unit", "line"] | None = None
    earn_on: Literal["paid", "before_discounts", "before_points"] | None = None
    earn_tax: Literal["in", "out"] | None = None
    points_rounding: Literal["receipt", "line", "half_up"] | None = None
    floor_rest: Literal["moves", "dropped"] | None = None
    coupon_on_return: Literal["full", "always", "never"] | None = None


class Promotion(Document, frozen=True):
    """One rule. `exclusive` and `group` say what it combines with; `skip_reduced` passes over goods already reduced."""

    id: PromotionId
    then: tuple[Benefit, ...] = ()
    name: str = ""
    trigger: Trigger = ByItself()
    stage: Stage = "main"
    priority: Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)] = 0
    exclusive: bool = False
    group: str = ""
    valid: Valid = Valid()
    where: Where = Where()
    who: Who = Who()
    when: tuple[Condition, ...] = ()
    limits: Limits | None = None
    caps: tuple[Cap, ...] = ()
    options: OwnOptions = OwnOptions()
    skip_reduced: bool = False
    funded_by: str = ""
    lifetime: Lifetime | None = None
    messages: tuple[Message, ...] = ()

    def __post_init__(self) -> None:
        if self.stage == "earning" and self.takes_money_off:
            raise ValueError("stage: nothing is taken off any more in the stage earning; choose an earlier one")
        if self.stage == "redemption" and self.grants_points and not self.takes_money_off:
            raise ValueError("stage: points are granted in the stage earning; choose that one, or leave it out")

    @property
    def takes_money_off(self) -> bool:
        """Whether any of its benefits is a discount."""
        return any(isinstance(benefit, MONEY) for benefit in self.then)

    @property
    def grants_points(self) -> bool:
        """Whether any of its benefits grants points."""
        return any(isinstance(benefit, POINTS) for benefit in self.then)
