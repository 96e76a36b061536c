"""What we answer, as types. Names of ARCHITECTURE.md are fixed, new ones may come.

Money is minor units of the basket's currency, points are whole, instants RFC 3339.
"""

from typing import Any, Literal

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer is. Readers must pass over fields they do not know."""


class Said(Answer, frozen=True, kw_only=True):
    """Sentences by the place that shows them, each once, most important first."""

    cashier: tuple[str, ...] = ()
    customer: tuple[str, ...] = ()
    kiosk: tuple[str, ...] = ()
    receipt: tuple[str, ...] = ()


class MemberSaid(Answer, frozen=True, kw_only=True):
    """The member behind a card. A card that is not `known` here earns, and spends nothing. `stored_minor` is in the
    wallet."""

    known: bool
    card: str = ""  # "…1234"
    tier: str = ""
    balance_points: int = 0
    spendable_points: int = 0
    stored_minor: int = 0


class DiscountSaid(Answer, frozen=True, kw_only=True):
    """Minor units that one promotion takes off a line."""

    promotion: str
    amount_minor: int


class PointsSaid(Answer, frozen=True, kw_only=True):
    """Points that one promotion grants for a line."""

    promotion: str
    points: int


class LineSaid(Answer, frozen=True, kw_only=True):
    """One line: amount - discounts - paid with points = net."""

    line: int
    discounts: tuple[DiscountSaid, ...]
    points: tuple[PointsSaid, ...]
    paid_with_points_minor: int
    net_minor: int
    amount_minor: int
    discount_minor: int
    points_earned: int
    points_spent: int = 0


class TotalsSaid(Answer, frozen=True, kw_only=True):
    """The receipt's figures, each the sum of its lines', and points of the receipt as a whole. `to_pay_minor` is the
    net less what certificates and the wallet pay."""

    gross_minor: int
    discount_minor: int
    paid_with_points_minor: int
    net_minor: int
    points_earned: int
    points_spent: int
    paid_with_certificates_minor: int = 0
    to_pay_minor: int = 0


class RedemptionSaid(Answer, frozen=True, kw_only=True):
    """The most points that may pay, in whole steps, under which authority; `bound_by` says what keeps it there.

    `per_line_minor` is what they would pay of each line, in the basket's order; `say` is for the cashier where fewer
    were granted than asked for.
    """

    most_points: int
    step: int
    authority: Literal["none", "hold", "lease", "float"]
    bound_by: str
    per_line_minor: tuple[int, ...] = ()
    say: str = ""


class GiftSaid(Answer, frozen=True, kw_only=True):
    """Goods to add at no price; with a `choice` one of its articles, by default `sku`."""

    promotion: str
    sku: str
    units: int
    name: str = ""
    note: str = ""
    choice: tuple[str, ...] = ()


class PrizeSaid(Answer, frozen=True, kw_only=True):
    """A prize that pays one unit of a line with points."""

    prize: str
    line: int
    points: int
    amount_minor: int


class RefusedSaid(Answer, frozen=True, kw_only=True):
    """A code, prize or certificate that did not work, as it was entered; it never stops the sale."""

    code: str
    reason: str
    say: str


class PrizesSaid(Answer, frozen=True, kw_only=True):
    """Prizes asked for."""

    taken: tuple[PrizeSaid, ...] = ()
    refused: tuple[RefusedSaid, ...] = ()


class CertificateSaid(Answer, frozen=True, kw_only=True):
    """What a certificate pays, and what is left on it."""

    code: str
    amount_minor: int
    left_minor: int


class StoredSaid(Answer, frozen=True, kw_only=True):
    """What stored value pays: certificates, and the member's wallet."""

    certificates: tuple[CertificateSaid, ...] = ()
    refused: tuple[RefusedSaid, ...] = ()
    from_wallet_minor: int = 0


class TierSaid(Answer, frozen=True, kw_only=True):
    """The member's tier and how far the next one is, this receipt counted; empty names where there is none."""

    tier: str
    through: str | None = None
    next_tier: str = ""
    measure: str = ""
    wanted: int = 0
    found: int = 0
    short_of: int = 0


class IssuedCouponSaid(Answer, frozen=True, kw_only=True):
    """A coupon for the next visit; its code is there once the receipt is written."""

    promotion: str
    coupon: str
    holder: str
    from_on: str
    through: str
    code: str = ""


class CouponsSaid(Answer, frozen=True, kw_only=True):
    """Codes of this basket, and those that it earns."""

    used: tuple[str, ...] = ()
    refused: tuple[RefusedSaid, ...] = ()
    issued: tuple[IssuedCouponSaid, ...] = ()


class TouchedSaid(Answer, frozen=True, kw_only=True):
    """What one promotion did to one line; line 0 is the receipt as a whole."""

    line: int
    amount_minor: int
    points: int


class WhySaid(Answer, frozen=True, kw_only=True):
    """One promotion that could concern the basket: applied, with the lines it touched, or what it is short of (empty
    where no figure would do)."""

    promotion: str
    applied: bool
    say: str
    short_of: str
    condition: str = ""
    wanted: str = ""
    found: str = ""
    lines: tuple[TouchedSaid, ...] = ()


class WarningSaid(Answer, frozen=True, kw_only=True):
    """Something a person should know that stops nothing."""

    code: str
    say: str


class QuoteSaid(Answer, frozen=True, kw_only=True):
    """What the basket would earn or could spend now. `as_of` is when the centre's figures reached this till."""

    quote_id: str
    programme_version: str
    digest: str
    currency: str
    member: MemberSaid | None
    lines: tuple[LineSaid, ...]
    totals: TotalsSaid
    redemption: RedemptionSaid
    gifts: tuple[GiftSaid, ...]
    coupons: CouponsSaid
    messages: Said
    why: tuple[WhySaid, ...]
    as_of: str | None
    offline: bool
    warnings: tuple[WarningSaid, ...] = ()
    prizes: PrizesSaid = PrizesSaid()
    stored: StoredSaid = StoredSaid()
    tier: TierSaid | None = None


class Event(Answer, frozen=True, kw_only=True):
    """Where a fact stands in the till's chain; `record` is what a complaint quotes."""

    till_id: str
    epoch: int
    seq: int
    record: str


class ReceiptSaid(Answer, frozen=True, kw_only=True):
    """A committed sale, written for good. `text` is the receipt for the POS to print.

    `replayed` says that it had been committed before; all else is as it was then.
    """

    receipt_id: str
    event: Event
    totals: TotalsSaid
    programme_version: str
    digest: str
    lines: tuple[LineSaid, ...]
    charged_differs: bool
    messages: Said
    offline: bool
    text: str
    replayed: bool
    coupons_issued: tuple[IssuedCouponSaid, ...] = ()


class RenderedSaid(Answer, frozen=True, kw_only=True):
    """A receipt, return or void as text, as a print job (base64) and as a page."""

    receipt_id: str
    event: Event
    text: str
    escpos: str
    html: str
    copy: bool


class ReturnSaid(Answer, frozen=True, kw_only=True):
    """What went back: money, points taken back and points given back.

    `paid_out_minor` is what the customer is handed: the net less what returns to certificates and wallet.
    `withheld_minor` was kept for points that are gone, and is not in the net; `points_earned` are those of goods that
    stay, judged anew.
    """

    return_id: str
    of: str | None
    event: Event
    net_minor: int
    points_reversed: int
    points_restored: int
    text: str
    replayed: bool
    paid_out_minor: int = 0
    to_certificates_minor: int = 0
    to_wallet_minor: int = 0
    withheld_minor: int = 0
    points_earned: int = 0


class VoidSaid(Answer, frozen=True, kw_only=True):
    """The whole receipt undone."""

    receipt_id: str
    event: Event
    points_reversed: int
    points_restored: int
    text: str
    replayed: bool


class HoldSaid(Answer, frozen=True, kw_only=True):
    """Points set aside until `until`, or until the receipt that names the hold."""

    hold_id: str
    points: int
    until: str
    replayed: bool


class ReleasedSaid(Answer, frozen=True, kw_only=True):
    """A hold given back; it stays given back when asked again."""

    hold_id: str
    released: bool


class CardSaid(Answer, frozen=True, kw_only=True):
    """What a scan was. A `code` goes back to the POS untouched in `text`.

    `card_token` may be sent as `card` from now on, so that the number need not be kept.
    """

    outcome: Literal["card", "code"]
    text: str = ""
    aim: str | None = None
    card_token: str | None = None
    member: MemberSaid | None = None
    language: str = ""
    warnings: tuple[WarningSaid, ...] = ()


class ScannedSaid(Answer, frozen=True, kw_only=True):
    """The last thing read here, if later than the cursor sent; `say` is for the cashier where nothing came of it."""

    cursor: int
    scan: CardSaid | None
    say: str = ""
    code: str = ""


class BalanceSaid(Answer, frozen=True, kw_only=True):
    """What this till knows of a card, as of the last word from head office."""

    member: MemberSaid
    card_token: str
    as_of: str | None
    offline: bool


class CloseSaid(Answer, frozen=True, kw_only=True):
    """Counts and sums of the business day as this till has them. Gaps warn, they never block."""

    business_date: str
    event: Event
    receipts: int
    voids: int
    returns: int
    net_minor: int
    returned_minor: int
    points_earned: int
    points_spent: int
    points_reversed: int
    unsent: int
    open_holds: int
    warnings: tuple[WarningSaid, ...]
    replayed: bool


class ProblemSaid(Answer, frozen=True, kw_only=True):
    """RFC 9457; `code` is stable, `detail` is for the reader, with the next step."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    figures: dict[str, Any]
