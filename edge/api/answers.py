"""What we answer, as types. Names of ARCHITECTURE.md are fixed, new ones may come.

Money is minor units of the basket's currency, points are whole, instants RFC 3339. What the kernel tells of a basket is
answered as it is.
"""

from typing import Any, Literal

import msgspec

from loyalty.pricing.coupons import IssuedCoupon, RefusedCode
from loyalty.pricing.explaining import Why
from loyalty.pricing.gifts import GiftGiven
from loyalty.pricing.leases import Kind
from loyalty.pricing.quotes import MayRedeem, Totals
from loyalty.pricing.spending import PrizeTaken
from loyalty.pricing.stored_value import CertificatePaid
from loyalty.programme.tiers import TierProgress


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


class DiscountSaid(Answer, frozen=True, kw_only=True, gc=False):
    """Minor units that one promotion takes off a line."""

    promotion: str
    amount_minor: int


class PointsSaid(Answer, frozen=True, kw_only=True, gc=False):
    """Points that one promotion grants for a line."""

    promotion: str
    points: int


class LineSaid(Answer, frozen=True, kw_only=True, gc=False):
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


class PrizesSaid(Answer, frozen=True, kw_only=True):
    """Prizes asked for."""

    taken: tuple[PrizeTaken, ...] = ()
    refused: tuple[RefusedCode, ...] = ()


class StoredSaid(Answer, frozen=True, kw_only=True):
    """What stored value pays: certificates, and the member's wallet."""

    certificates: tuple[CertificatePaid, ...] = ()
    refused: tuple[RefusedCode, ...] = ()
    from_wallet_minor: int = 0


class CouponsSaid(Answer, frozen=True, kw_only=True):
    """Codes of this basket, and those that it earns."""

    used: tuple[str, ...] = ()
    refused: tuple[RefusedCode, ...] = ()
    issued: tuple[IssuedCoupon, ...] = ()


class WarningSaid(Answer, frozen=True, kw_only=True):
    """Something a person should know that stops nothing."""

    code: str
    say: str


class CardReplacedSaid(Answer, frozen=True, kw_only=True):
    """Two cards were presented for one basket: the last one, `now`, is the sale's."""

    was: str
    now: str
    hold_released: bool
    say: str


class RedemptionSaid(MayRedeem, frozen=True, kw_only=True):
    """The most points that a receipt may spend as it was quoted. `ask_points`, worth `ask_minor`, may be spent once
    they were set aside by head office (`POST /v1/holds`), as far as it said last; 0 where that is no more."""

    ask_points: int = 0
    ask_minor: int = 0


class QuoteSaid(Answer, frozen=True, kw_only=True):
    """What the basket would earn or could spend now. `as_of` is when the centre's figures reached this till."""

    quote_id: str
    programme_version: str
    digest: str
    currency: str
    member: MemberSaid | None
    lines: tuple[LineSaid, ...]
    totals: Totals
    redemption: RedemptionSaid
    gifts: tuple[GiftGiven, ...]
    coupons: CouponsSaid
    messages: Said
    why: tuple[Why, ...]
    as_of: str | None
    offline: bool
    warnings: tuple[WarningSaid, ...] = ()
    prizes: PrizesSaid = PrizesSaid()
    stored: StoredSaid = StoredSaid()
    tier: TierProgress | None = None
    card_replaced: CardReplacedSaid | None = None
    training: bool = False


class Event(Answer, frozen=True, kw_only=True):
    """Where a fact stands in the till's chain; `record` is what a complaint quotes."""

    till_id: str
    epoch: int
    seq: int
    record: str


class CertificateSoldSaid(Answer, frozen=True, kw_only=True):
    """A certificate that a line sold or topped up: what went onto it, and its last day (null: none)."""

    line: int
    amount_minor: int
    valid_through: str | None


class ReceiptSaid(Answer, frozen=True, kw_only=True):
    """A committed sale, written for good. `text` is the receipt for the POS to print.

    `replayed` says that it had been committed before; all else is as it was then. `authority` is the step at which
    points were spent, as in the answer of a hold, and `authority_say` the same in words for the cashier.
    """

    receipt_id: str
    event: Event
    totals: Totals
    programme_version: str
    digest: str
    lines: tuple[LineSaid, ...]
    charged_differs: bool
    messages: Said
    offline: bool
    text: str
    replayed: bool
    coupons_issued: tuple[IssuedCoupon, ...] = ()
    authority: Kind = "none"
    authority_say: str = ""
    certificates_sold: tuple[CertificateSoldSaid, ...] = ()
    approved_by: str = ""
    training: bool = False


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
    approved_by: str = ""
    training: bool = False


class VoidSaid(Answer, frozen=True, kw_only=True):
    """The whole receipt undone: what the customer is handed, and besides it what goes back onto certificates and into
    the wallet."""

    receipt_id: str
    event: Event
    to_hand_out_minor: int
    points_reversed: int
    points_restored: int
    text: str
    replayed: bool
    approved_by: str = ""
    training: bool = False


class ReturnVoidSaid(Answer, frozen=True, kw_only=True):
    """A whole return undone: the money taken in again, points granted again, and points taken that it had given."""

    return_id: str
    event: Event
    to_take_in_minor: int
    points_given: int
    points_taken: int
    text: str
    replayed: bool
    approved_by: str = ""
    training: bool = False


class HoldSaid(Answer, frozen=True, kw_only=True):
    """Points set aside until `until`, or until the receipt that names the hold: by head office (`hold`), on what the
    till has of the member's (`lease`), or on what it may promise by itself (`float`): `authority`, and
    `authority_say` in words."""

    hold_id: str
    points: int
    until: str
    replayed: bool
    authority: Kind = "float"
    authority_say: str = ""
    training: bool = False


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
    """What was read here next after the cursor sent; `say` is for the cashier where nothing came of it."""

    cursor: int
    scan: CardSaid | None
    say: str = ""
    code: str = ""


class ExpiringSaid(Answer, frozen=True, kw_only=True):
    """Points that lapse together; `on` is the last day on which they can be spent."""

    on: str
    points: int


class StoredBalanceSaid(Answer, frozen=True, kw_only=True):
    """Money of the member's own: in the wallet, and on certificates that are good today."""

    wallet_minor: int
    certificates_minor: int
    currency: str


class BalanceSaid(Answer, frozen=True, kw_only=True):
    """What this till knows of a card, as of the last word from head office.

    `pending_points` were granted here and are not confirmed yet. `expiring` are points by the last day on which they
    can be spent, the next four at most. `spendable_now_points` can be spent at this till now, at the step `authority`,
    in words in `authority_say`. `tier_name` and `next_tier_name` are what customers call the tiers of `member` and
    `tier`. `text` is a slip to print.
    """

    member: MemberSaid
    card_token: str
    as_of: str | None
    offline: bool
    pending_points: int = 0
    expiring: tuple[ExpiringSaid, ...] = ()
    spendable_now_points: int = 0
    authority: Kind = "none"
    authority_say: str = ""
    tier: TierProgress | None = None
    tier_name: str = ""
    next_tier_name: str = ""
    stored: StoredBalanceSaid | None = None
    text: str = ""


class ProblemSaid(Answer, frozen=True, kw_only=True):
    """RFC 9457; `code` is stable, `detail` is for the reader, with the next step."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    figures: dict[str, Any]
