"""The programme document: everything the till may do with a basket, as data, versioned by its content.

One type per thing the document can say; unknown words are refused. Keys in another order, YAML or JSON, give the
same version; another rule gives another one. What the document may say grows by new kinds, never by a changed meaning.
Source: engine.md, "A shape to start from".
"""

import hashlib
from datetime import date, timedelta
from typing import Any, Literal

import msgspec
import yaml

from loyalty.amounts import Rounding
from loyalty.cards import CardRules
from loyalty.lots import FOREVER
from loyalty.trouble import Refusal

PLACES = ("cashier", "customer", "kiosk", "receipt")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Language = Literal["en", "pt-BR", "ru", "pl"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every part of the document is: immutable, strict about its words, silent about defaults."""


class Selector(Document, frozen=True):
    """Names goods. Within a kind one match is enough, all kinds given must match; empty means everything.

    `category` holds paths from the root: `[Grocery, Dairy]` matches everything below Dairy.
    """

    sku: tuple[str, ...] = ()
    category: tuple[tuple[str, ...], ...] = ()
    brand: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    unit_price_from_minor: int | None = None
    unit_price_to_minor: int | None = None
    exclude: "Selector | None" = None


EVERYTHING = Selector()


class PercentOff(Document, frozen=True, tag="percent_off", tag_field="kind"):
    """`percent_bp` basis points off each selected line, rounded per line on the discount."""

    percent_bp: int
    of: Selector = EVERYTHING


class AmountOff(Document, frozen=True, tag="amount_off", tag_field="kind"):
    """An amount off: the basket's selected lines together (spread), each line, or each unit."""

    amount_minor: int
    per: Literal["basket", "line", "unit"] = "basket"
    of: Selector = EVERYTHING


class Earn(Document, frozen=True, tag="earn", tag_field="kind"):
    """`points` for every `per_minor` paid in money for the selected goods; floored once per receipt."""

    points: int
    per_minor: int
    of: Selector = EVERYTHING


class MultiplyPoints(Document, frozen=True, tag="multiply_points", tag_field="kind"):
    """Multiplies the rate of every earning promotion on the selected goods; 200 doubles it."""

    times_percent: int
    of: Selector = EVERYTHING


Effect = PercentOff | AmountOff | Earn | MultiplyPoints


class SpendAtLeast(Document, frozen=True, tag="spend", tag_field="kind"):
    """The selected goods must cost this much after earlier promotions."""

    at_least_minor: int
    of: Selector = EVERYTHING


class QuantityAtLeast(Document, frozen=True, tag="quantity", tag_field="kind"):
    """So many units (thousandths) of the selected goods must be in the basket."""

    at_least_milli: int
    of: Selector = EVERYTHING


Condition = SpendAtLeast | QuantityAtLeast


class Valid(Document, frozen=True):
    """When a promotion runs, in store time: dates inclusive, weekdays, hours `HH:MM` from (in) to (out)."""

    from_on: date | None = None
    to_on: date | None = None
    weekdays: tuple[Weekday, ...] = ()
    hours: tuple[tuple[str, str], ...] = ()


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

    times: int
    per: Literal["ever", "year", "month", "day"] = "ever"


class Lifetime(Document, frozen=True):
    """How long points live: none set means for ever; the end of a month or year is counted after days and months."""

    days: int = 0
    months: int = 0
    end_of: Literal["", "month", "year"] = ""


class Message(Document, frozen=True):
    """A sentence for one place, by language, when the promotion applied, was just missed, or always.

    Placeholders: `{saved}`, `{points}`, `{short_of}`, `{balance}`.
    """

    place: Literal["cashier", "customer", "kiosk", "receipt"]
    text: dict[Language, str]
    case: Literal["applied", "missed", "always"] = "applied"


class Promotion(Document, frozen=True):
    """One rule: where, when and for whom it runs, what must hold, what it does, who pays for it."""

    id: str
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

    sale_points: int
    card_points: int
    till_points: int


class Spending(Document, frozen=True):
    """Points as tender: `step_points` are worth `step_minor`; offline spending is off until `offline` is given."""

    step_points: int
    step_minor: int
    least_points: int = 0
    largest_share_bp: int = 10_000
    of: Selector = EVERYTHING
    offline: OfflineCaps | None = None


class Options(Document, frozen=True):
    """Where systems disagree the programme declares; the default is the first column of engine.md's table."""

    percent_rounding: Rounding = "half_up"


class Programme(Document, frozen=True):
    """A whole programme in one currency. `version` is the hash of what it says."""

    id: str
    currency: str
    name: str = ""
    language: Language = "en"
    options: Options = Options()
    lifetime: Lifetime = Lifetime()
    spending: Spending | None = None
    cards: CardRules = CardRules()
    promotions: tuple[Promotion, ...] = ()
    messages: tuple[Message, ...] = ()

    @property
    def version(self) -> str:
        """SHA-256 of the canonical bytes, 64 hex digits."""
        return hashlib.sha256(canonical(self)).hexdigest()


class BadProgramme(Refusal):
    code = "programme.malformed"
    status = 422


def read_programme(text: str | bytes) -> Programme:
    """A programme from YAML or JSON.

    Raises:
        BadProgramme: not a document, or one that says what the language does not know; `programme check`
            names the line and the remedy.
    """
    try:
        return programme_from(yaml.safe_load(text))
    except (yaml.YAMLError, UnicodeDecodeError) as trouble:
        where = getattr(trouble, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise BadProgramme(f"The programme is not YAML or JSON{line}; mend the file and check it again.") from None


def programme_from(document: Any) -> Programme:
    """A programme from decoded YAML or JSON. Raises: BadProgramme."""
    try:
        return msgspec.convert(document, Programme)
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
