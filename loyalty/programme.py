"""The programme document: everything the till may do with a basket, as data, versioned by its content.

One type per thing the document can say; unknown words are refused. Keys in another order, YAML or JSON, give the
same version; another rule gives another one. What the document may say grows by new kinds, never by a changed meaning.
Bounds stand in the types, so whatever `read_programme` lets through can be quoted under.
Source: engine.md, "A shape to start from".
"""

import hashlib
from datetime import date, timedelta
from typing import Annotated, Any, Literal

import msgspec

from loyalty.amounts import Positive, Rounding, Whole, is_currency
from loyalty.cards import CardRules
from loyalty.lots import FOREVER
from loyalty.programme_text import BadProgramme as BadProgramme
from loyalty.programme_text import read_text

PLACES = ("cashier", "customer", "kiosk", "receipt")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Language = Literal["en", "pt-BR", "ru", "pl"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

Word = Annotated[str, msgspec.Meta(min_length=1)]
Path = Annotated[tuple[Word, ...], msgspec.Meta(min_length=1)]
# A counter is named promo:id:period, so the colon is taken.
PromotionId = Annotated[str, msgspec.Meta(pattern="^[^:]+$")]
Percent = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
TimeOfDay = Annotated[str, msgspec.Meta(pattern="^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every part of the document is: immutable, strict about its words, silent about defaults."""


class Selector(Document, frozen=True):
    """Names goods. Within a kind one match is enough, all kinds given must match; empty means everything.

    `category` holds paths from the root: `[Grocery, Dairy]` matches everything below Dairy.
    """

    sku: tuple[Word, ...] = ()
    category: tuple[Path, ...] = ()
    brand: tuple[Word, ...] = ()
    tags: tuple[Word, ...] = ()
    unit_price_from_minor: Whole | None = None
    unit_price_to_minor: Whole | None = None
    exclude: "Selector | None" = None

    def __post_init__(self) -> None:
        low, high = self.unit_price_from_minor, self.unit_price_to_minor
        if low is not None and high is not None and low > high:
            raise ValueError("unit_price_to_minor: lies below unit_price_from_minor; swap the two")


EVERYTHING = Selector()


class PercentOff(Document, frozen=True, tag="percent_off", tag_field="kind"):
    """`percent_bp` basis points off each selected line, rounded per line on the discount."""

    percent_bp: Percent
    of: Selector = EVERYTHING


class AmountOff(Document, frozen=True, tag="amount_off", tag_field="kind"):
    """An amount off: the basket's selected lines together (spread), each line, or each unit."""

    amount_minor: Positive
    per: Literal["basket", "line", "unit"] = "basket"
    of: Selector = EVERYTHING


class Earn(Document, frozen=True, tag="earn", tag_field="kind"):
    """`points` for every `per_minor` paid in money for the selected goods; floored once per receipt."""

    points: Positive
    per_minor: Positive
    of: Selector = EVERYTHING


class MultiplyPoints(Document, frozen=True, tag="multiply_points", tag_field="kind"):
    """Multiplies the rate of every earning promotion on the selected goods; 200 doubles it."""

    times_percent: Annotated[int, msgspec.Meta(gt=100, le=100_000)]
    of: Selector = EVERYTHING


Effect = PercentOff | AmountOff | Earn | MultiplyPoints


class SpendAtLeast(Document, frozen=True, tag="spend", tag_field="kind"):
    """The selected goods must cost this much after earlier promotions."""

    at_least_minor: Positive
    of: Selector = EVERYTHING


class QuantityAtLeast(Document, frozen=True, tag="quantity", tag_field="kind"):
    """So many units (thousandths) of the selected goods must be in the basket."""

    at_least_milli: Positive
    of: Selector = EVERYTHING


Condition = SpendAtLeast | QuantityAtLeast


class Valid(Document, frozen=True):
    """When a promotion runs, in store time: dates inclusive, weekdays, hours `HH:MM` from (in) to (out)."""

    from_on: date | None = None
    to_on: date | None = None
    weekdays: tuple[Weekday, ...] = ()
    hours: tuple[tuple[TimeOfDay, TimeOfDay], ...] = ()

    def __post_init__(self) -> None:
        if self.from_on and self.to_on and self.to_on < self.from_on:
            raise ValueError("to_on: lies before from_on; swap the two, both days count")
        for i, (start, end) in enumerate(self.hours):
            if start >= end:
                raise ValueError(f"hours[{i}]: ends before it starts; split a night at 24:00 into two ranges")


class Where(Document, frozen=True):
    """Partners, stores and channels a promotion runs in; empty means all."""

    partners: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


class Who(Document, frozen=True):
    """Whom a promotion is for: anyone, or card holders; narrowed to segments and tiers (one of each suffices)."""

    card: bool = False
    segments: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()


class Limits(Document, frozen=True):
    """How often one member may have a promotion in a period of store time."""

    times: Positive
    per: Literal["ever", "year", "month", "day"] = "ever"


class Lifetime(Document, frozen=True):
    """How long points live: none set means for ever; the end of a month or year is counted after days and months."""

    days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 0
    months: Annotated[int, msgspec.Meta(ge=0, le=1_200)] = 0
    end_of: Literal["", "month", "year"] = ""


class Message(Document, frozen=True):
    """A sentence for one place, by language, when the promotion applied, was just missed, or always.

    Placeholders: `{saved}`, `{points}`, `{short_of}`, `{balance}`.
    """

    place: Literal["cashier", "customer", "kiosk", "receipt"]
    text: Annotated[dict[Language, Word], msgspec.Meta(min_length=1)]
    case: Literal["applied", "missed", "always"] = "applied"


class Promotion(Document, frozen=True):
    """One rule: where, when and for whom it runs, what must hold, what it does, who pays for it."""

    id: PromotionId
    then: tuple[Effect, ...] = ()
    name: str = ""
    stage: Literal["before", "main", "after"] = "main"
    priority: int = 0
    valid: Valid = Valid()
    where: Where = Where()
    who: Who = Who()
    when: tuple[Condition, ...] = ()
    limits: Limits | None = None
    funded_by: str = ""
    lifetime: Lifetime | None = None
    messages: tuple[Message, ...] = ()


class OfflineCaps(Document, frozen=True):
    """Caps on points spent without asking the centre; DECISIONS 22: none unless the programme says so."""

    sale_points: Whole
    card_points: Whole
    till_points: Whole

    def __post_init__(self) -> None:
        if self.card_points < self.sale_points:
            raise ValueError("card_points: lies below sale_points; a card may be used for at least one sale")
        if self.till_points < self.card_points:
            raise ValueError("till_points: lies below card_points; a till must be able to serve one card")


class Spending(Document, frozen=True):
    """Points as tender: `step_points` are worth `step_minor`; offline spending is off until `offline` is given."""

    step_points: Positive
    step_minor: Positive
    least_points: Whole = 0
    largest_share_bp: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 10_000
    of: Selector = EVERYTHING
    offline: OfflineCaps | None = None

    def __post_init__(self) -> None:
        if self.least_points % self.step_points:
            raise ValueError(f"least_points: is not a multiple of step_points, {self.step_points}; round it up to one")


class Options(Document, frozen=True):
    """Where systems disagree the programme declares; the default is the first column of engine.md's table."""

    percent_rounding: Rounding = "half_up"


class Programme(Document, frozen=True):
    """A whole programme in one currency. `version` is the hash of what it says."""

    id: Word
    currency: str
    name: str = ""
    language: Language = "en"
    options: Options = Options()
    lifetime: Lifetime = Lifetime()
    spending: Spending | None = None
    cards: CardRules = CardRules()
    promotions: tuple[Promotion, ...] = ()
    messages: tuple[Message, ...] = ()

    def __post_init__(self) -> None:
        if not is_currency(self.currency):
            raise ValueError("currency: is not an active ISO 4217 code; use three capital letters such as EUR")
        seen: set[str] = set()
        for i, promotion in enumerate(self.promotions):
            if promotion.id in seen:
                raise ValueError(f"promotions[{i}].id: {promotion.id} is taken; give each promotion an id of its own")
            seen.add(promotion.id)

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


def _days_in(year: int, month: int) -> int:
    return (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
