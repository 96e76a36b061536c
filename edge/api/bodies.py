"""The bodies that a POS sends, as types. Names of ARCHITECTURE.md are fixed, new ones may come.

A field that is not known is refused: a misspelt `points_to_spend` would otherwise cost somebody money in silence.
"""

from datetime import date
from typing import Annotated

import msgspec

from loyalty.amounts import CURRENCIES, LARGEST_MINOR, BadQuantity, parse_quantity
from loyalty.baskets import MOST_CODES, MOST_LINES
from loyalty.document import Language

# Long enough for any key of a POS, short enough for an index; no control characters, so it can be printed.
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+(?!\n)$")]
# Of text in the head of an event: head office keeps an event with a zero character in there out of its books.
NO_ZERO = r"^[^\x00]*$"
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$", extra_json_schema={"enum": list(CURRENCIES)})]
_QUANTITY = r"^[0-9]{1,9}(\.[0-9]{1,3})?$"
Quantity = Annotated[str, msgspec.Meta(pattern=_QUANTITY, description="at most three decimals")]
# Of a basket's lines, where `BasketBody` looks at all of them at once: a pattern costs as much as all else of a line.
LineQuantity = Annotated[
    str, msgspec.Meta(description="at most three decimals", extra_json_schema={"pattern": _QUANTITY})
]
# Said in the document; the kernel refuses what is beyond it in words for the cashier (`basket.malformed`).
_MINOR = {"minimum": 0, "maximum": LARGEST_MINOR}
Minor = Annotated[int, msgspec.Meta(extra_json_schema=_MINOR)]
Points = Annotated[int, msgspec.Meta(ge=0, extra_json_schema={"maximum": LARGEST_MINOR})]
Text = Annotated[str, msgspec.Meta(max_length=200)]
_MOST_CODES = msgspec.Meta(extra_json_schema={"maxItems": MOST_CODES})
Codes = Annotated[tuple[Text, ...], _MOST_CODES]
DaySum = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
Scan = Annotated[str, msgspec.Meta(min_length=1, max_length=2048, description="what the reader sent, as it came")]
Instant = Annotated[
    str,
    msgspec.Meta(
        description="RFC 3339 with offset, 2026-03-05T18:30:00+01:00", extra_json_schema={"format": "date-time"}
    ),
]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every body of a POS is: immutable, and strict about its fields."""


class BasketLine(Body, frozen=True, kw_only=True):
    """One line item; `amount_minor` is the truth. `name` is printed on the receipt and kept nowhere."""

    line: Annotated[int, msgspec.Meta(ge=1)]
    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    amount_minor: Minor
    name: Text = ""
    category: tuple[str, ...] = ()
    brand: str = ""
    tags: tuple[str, ...] = ()
    quantity: LineQuantity = "1.000"
    unit_price_minor: Minor = 0
    discountable: bool = True
    accrual: bool = True
    floor_unit_minor: Minor = 0
    tax_bp: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    certificate: Text = ""  # of a line that sells a gift certificate or tops one up: its code


class BasketBody(Body, frozen=True, kw_only=True):
    """Goods in one currency, each amount with its tax where `tax_included`."""

    currency: Currency
    lines: Annotated[tuple[BasketLine, ...], msgspec.Meta(extra_json_schema={"maxItems": MOST_LINES})]
    tax_included: bool = True

    def __post_init__(self) -> None:
        try:
            for quantity in {line.quantity for line in self.lines}:
                parse_quantity(quantity)
        except BadQuantity:
            raise ValueError("Expected each `quantity` as a decimal with at most three places") from None


class TenderBody(Body, frozen=True, kw_only=True):
    """A means of payment laid against the basket; in the basket's currency where none is named."""

    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    amount_minor: Minor
    currency: Currency | None = None


class OverrideBody(Body, frozen=True, kw_only=True):
    """A supervisor's approval. `code` may be left out where the till knows no supervisors."""

    supervisor: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    reason: Annotated[str, msgspec.Meta(max_length=120)] = ""
    code: Annotated[str, msgspec.Meta(max_length=200)] = ""


class When(Body, frozen=True, kw_only=True):
    """When and by whom; what is absent is now, today, nobody. A store or till that is named must be this one."""

    sold_at: Instant | None = None
    business_date: date | None = None
    cashier: Text = ""
    store_id: str | None = None
    till_id: str | None = None
    channel: Annotated[str, msgspec.Meta(min_length=1, max_length=40, pattern=NO_ZERO)] = "pos"
    language: Language | None = None
    training: bool = False
    override: OverrideBody | None = None


class CertificateBody(Body, frozen=True, kw_only=True):
    """A gift certificate laid against the basket; an amount of 0 asks for as much as there is on it."""

    code: Text
    amount_minor: Annotated[int, msgspec.Meta(ge=0, extra_json_schema={"maximum": LARGEST_MINOR})] = 0


class SaleBody(When, frozen=True, kw_only=True):
    """What a quote request and a commit have in common."""

    basket: BasketBody
    quote_id: Annotated[str, msgspec.Meta(max_length=80)] = ""
    card: Scan | None = None
    cards: Annotated[tuple[Scan, ...], msgspec.Meta(description="in order; the last is the sale's")] = ()
    hold_id: Id | None = None
    coupons: Codes = ()
    points_to_spend: Points = 0
    events: Codes = ()
    prizes: Codes = ()
    certificates: Annotated[tuple[CertificateBody, ...], _MOST_CODES] = ()
    from_wallet_minor: Annotated[int, msgspec.Meta(ge=0, extra_json_schema={"maximum": LARGEST_MINOR})] = 0
    tenders: tuple[TenderBody, ...] = ()


class QuoteBody(SaleBody, frozen=True, kw_only=True):
    """POST /v1/quotes. May be asked again as often as the basket changes; nothing is written."""


class ParkBody(SaleBody, frozen=True, kw_only=True):
    """POST /v1/parked: a basket laid aside. `note` says what to know it by, never who the customer is; `anywhere`: at
    head office, to be resumed at any store of the partner."""

    park_id: Id
    note: Annotated[str, msgspec.Meta(max_length=60)] = ""
    anywhere: bool = False


class ResumeBody(Body, frozen=True, kw_only=True):
    """POST /v1/parked/{park_id}/resume. `till_id`: the till that parked it, and `office`, as it was listed."""

    resume_id: Id
    till_id: str | None = None
    office: bool = False
    training: bool = False


class ChargedBody(Body, frozen=True, kw_only=True):
    """The discount that the POS took off a line, where it differs from the quote's."""

    line: int
    discount_minor: Annotated[int, msgspec.Meta(ge=0)]


class CommitBody(SaleBody, frozen=True, kw_only=True):
    """POST /v1/receipts: a quote request, the id of the receipt, and what the quote named."""

    receipt_id: Id
    programme_version: str = ""
    digest: Annotated[str, msgspec.Meta(max_length=64)] = ""
    charged: tuple[ChargedBody, ...] = ()


class IdentifyBody(Body, frozen=True, kw_only=True):
    """POST /v1/cards/identify. `keyed`: somebody typed it, so it may be a phone number or what is printed on a tag."""

    card: Scan
    aim: Annotated[str, msgspec.Meta(pattern=r"^\][A-Za-z][0-9A-Za-z]$")] | None = None
    keyed: bool = False


class HoldBody(Body, frozen=True, kw_only=True):
    """POST /v1/holds: points set aside for an open basket. With `partial` fewer are better than none."""

    hold_id: Id
    card: Scan
    points: Annotated[int, msgspec.Meta(ge=1)]
    partial: bool = False
    training: bool = False


class ReturnedLine(Body, frozen=True, kw_only=True):
    """What comes back of one line. Without a receipt the goods must be named; their points are those of today."""

    line: Annotated[int, msgspec.Meta(ge=1)]
    quantity: Quantity = "1.000"
    amount_minor: Minor = 0
    sku: Annotated[str, msgspec.Meta(max_length=80)] = ""
    name: Text = ""
    category: tuple[str, ...] = ()
    brand: str = ""
    tags: tuple[str, ...] = ()
    unit_price_minor: Minor = 0
    discountable: bool = True
    accrual: bool = True
    tax_bp: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0


class ReturnBody(When, frozen=True, kw_only=True):
    """POST /v1/returns. `of` is the receipt's id, none where the customer has none; then `tax_included` says whether
    the amounts are with tax."""

    return_id: Id
    lines: tuple[ReturnedLine, ...]
    of: Id | None = None
    card: Scan | None = None
    currency: Currency | None = None
    tax_included: bool = True


class VoidBody(When, frozen=True, kw_only=True):
    """POST /v1/receipts/{id}/void: the whole receipt, same till, before its close."""


class ReturnVoidBody(When, frozen=True, kw_only=True):
    """POST /v1/returns/{id}/void: the whole return, same till, before its close."""


class ExchangeVoidBody(When, frozen=True, kw_only=True):
    """POST /v1/exchanges/{id}/void: both halves, same till, before its close."""


class ExchangedReturn(Body, frozen=True, kw_only=True):
    """What comes back in an exchange: a return but for who, when and by whose leave."""

    return_id: Id
    lines: tuple[ReturnedLine, ...]
    of: Id | None = None
    card: Scan | None = None
    currency: Currency | None = None
    tax_included: bool = True


class ExchangedSale(Body, frozen=True, kw_only=True):
    """What is sold in an exchange: a commit but for who, when and by whose leave."""

    receipt_id: Id
    basket: BasketBody
    quote_id: Annotated[str, msgspec.Meta(max_length=80)] = ""
    card: Scan | None = None
    hold_id: Id | None = None
    coupons: Codes = ()
    points_to_spend: Points = 0
    events: Codes = ()
    prizes: Codes = ()
    certificates: Annotated[tuple[CertificateBody, ...], _MOST_CODES] = ()
    from_wallet_minor: Annotated[int, msgspec.Meta(ge=0, extra_json_schema={"maximum": LARGEST_MINOR})] = 0
    tenders: tuple[TenderBody, ...] = ()
    programme_version: str = ""
    digest: Annotated[str, msgspec.Meta(max_length=64)] = ""
    charged: tuple[ChargedBody, ...] = ()


class ExchangeBody(When, frozen=True, kw_only=True):
    """POST /v1/exchanges: goods back and others sold, both or neither."""

    exchange_id: Id
    back: ExchangedReturn = msgspec.field(name="return")
    receipt: ExchangedSale


class TenderSum(Body, frozen=True, kw_only=True):
    """What one means of payment came to in a day's sales, change off."""

    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    amount_minor: DaySum


class TotalsBody(Body, frozen=True, kw_only=True):
    """What the POS counted of the day; what is left out is not compared."""

    receipts: DaySum | None = None
    voids: DaySum | None = None
    returns: DaySum | None = None
    net_minor: DaySum | None = None
    discount_minor: DaySum | None = None
    returned_minor: DaySum | None = None
    points_earned: DaySum | None = None
    points_spent: DaySum | None = None
    points_reversed: DaySum | None = None
    tenders: tuple[TenderSum, ...] | None = None


class SaleSum(Body, frozen=True, kw_only=True):
    """A sale in the POS's own list of the day."""

    receipt_id: Id
    net_minor: DaySum


class DayCloseBody(When, frozen=True, kw_only=True):
    """POST /v1/day-close: the business date to close, the open one where none is named; what the POS counted of it."""

    totals: TotalsBody | None = None
    sales: tuple[SaleSum, ...] | None = None
