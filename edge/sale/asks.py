"""What a till is asked and what it answers, without HTTP: one Struct for each.

An ask carries ids that the caller made and keeps through every retry. `card` is what was scanned, or the
`card_token` that `Till.identify` answered; a scanned number becomes a token before anything else happens.
Defaults are left out of the bytes that are hashed, so that a new field does not make a retry look like another ask.
"""

import hashlib
from datetime import date
from typing import Literal

import msgspec

from loyalty.baskets import Basket, Line
from loyalty.document import Language
from loyalty.facts.day_totals import CloseDetail
from loyalty.facts.events import TillClose
from loyalty.facts.receipts import Charged, Receipt, ReceiptDetail
from loyalty.facts.returned_lines import ReturnLine
from loyalty.facts.reversals import Return, ReturnDetail, ReturnVoid, Void
from loyalty.members import MemberView
from loyalty.pricing.leases import Kind
from loyalty.pricing.quotes import MayRedeem, Quote
from sync.chain import StreamHead


class OverrideAsk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who approves, why, and the code by which they are known; taken out before anything is hashed or kept."""

    supervisor: str
    reason: str = ""
    code: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When, where and by whom. No offset means the store's, no business date the local date of `sold_at_ms`."""

    sold_at_ms: int
    offset_min: int | None = None
    business_date: date | None = None
    cashier: str = ""
    training: bool = False
    channel: str = "pos"
    language: Language | None = None
    override: OverrideAsk | None = None


class SaleAsk(Asked, frozen=True, kw_only=True):
    """A basket to quote. With `hold_id` its points are drawn on that hold."""

    basket: Basket
    card: str | None = None
    hold_id: str | None = None


class CommitAsk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sale that was paid. `programme_version` and `digest` come from its quote, "" where the POS kept none;
    `charged` are the discounts that the POS took, empty where it took the quoted ones."""

    sale: SaleAsk
    receipt_id: str
    programme_version: str = ""
    digest: str = ""
    charged: tuple[Charged, ...] = ()


class HoldAsk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Points to set aside for a basket that is still open; with `partial` fewer are better than none."""

    hold_id: str
    card: str
    points: int
    partial: bool = False


class VoidAsk(Asked, frozen=True, kw_only=True):
    """A whole committed receipt to undo."""

    receipt_id: str


class VoidReturnAsk(Asked, frozen=True, kw_only=True):
    """A whole return to undo."""

    return_id: str


class VoidExchangeAsk(Asked, frozen=True, kw_only=True):
    """Both halves of an exchange to undo."""

    exchange_id: str


class ReturnAsk(Asked, frozen=True, kw_only=True):
    """Goods that come back. With `of`, the receipt that sold them, `goods` and `card` are not looked at;
    without it `goods` holds the returned goods in full, under the line numbers of `lines`, and `tax_included` says
    whether their amounts are with tax."""

    return_id: str
    lines: tuple[ReturnLine, ...]
    of: str | None = None
    goods: tuple[Line, ...] = ()
    currency: str = ""
    card: str | None = None
    tax_included: bool = True


class Warn(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know that stops nothing: a stable code and a sentence."""

    code: str
    say: str


class Identified(msgspec.Struct, frozen=True, kw_only=True):
    """What was scanned. A `code` goes back to the POS as it came; a card shows its last four digits, never more.

    `view` is none for a code; for a card that this till does not know, `known` is false and it has no account.
    """

    outcome: Literal["card", "code"]
    text: str = ""
    aim: str | None = None
    card_token: str | None = None
    last4: str = ""
    known: bool = False
    view: MemberView | None = None
    language: str = ""
    warnings: tuple[Warn, ...] = ()


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What this till knows of a card, as of the last word from head office (`as_of_ms`, 0 for never)."""

    card_token: str
    known: bool
    view: MemberView
    language: str
    as_of_ms: int


class Quoted(msgspec.Struct, frozen=True, kw_only=True):
    """A quote, and how far to trust what it was told of the member.

    `entered` says what the POS sent where the quote has something that stands for it; `besides`, by the same, how much
    is on a certificate that may not pay here now. `on_asking` is what could be spent once head office has set it aside,
    by its last word; none where that is no more.
    """

    quote: Quote
    card_token: str | None
    known: bool
    as_of_ms: int
    offline: bool
    warnings: tuple[Warn, ...] = ()
    entered: dict[str, str] = {}
    besides: dict[str, int] = {}
    on_asking: MayRedeem | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Points set aside until `lapses_at_ms` (wall clock; the till itself counts on the monotonic one), under what."""

    hold_id: str
    points: int
    lapses_at_ms: int
    replayed: bool
    authority: Kind = "float"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it stands in the journal. `record` is eight digits of its hash, to print."""

    head: StreamHead
    record: str
    replayed: bool


class Committed(Written, frozen=True, kw_only=True):
    """A receipt. `quote` is made again from what was recorded, the same as at the sale; none when its
    programme has left this till. `card_token` is of the card on the ask, none where it is only looked up;
    `language` is of what is said of it."""

    receipt: Receipt
    detail: ReceiptDetail
    quote: Quote | None
    language: Language
    card_token: str | None = None


class Voided(Written, frozen=True, kw_only=True):
    """A receipt that is undone."""

    void: Void
    receipt: Receipt


class TakenBack(Written, frozen=True, kw_only=True):
    """Goods that came back."""

    returned: Return
    detail: ReturnDetail


class Unreturned(Written, frozen=True, kw_only=True):
    """A return that is undone."""

    void: ReturnVoid
    returned: Return
    detail: ReturnDetail

    @property
    def points_given(self) -> int:
        """Points that the return had taken, granted again."""
        return sum(part.points for part in self.void.earned)

    @property
    def points_taken(self) -> int:
        """Points that the return had given back or granted anew."""
        return self.void.spent_points + sum(part.points for part in self.void.reversed)

    @property
    def points_net(self) -> int:
        """What the member has more, or less, than before."""
        return self.points_given - self.points_taken


class DayClosed(Written, frozen=True, kw_only=True):
    """A till close, and what is still under way (told now, so a retry may tell less)."""

    close: TillClose
    detail: CloseDetail
    unsent: int
    open_holds: int
    warnings: tuple[Warn, ...] = ()


def ask_sha256(ask: msgspec.Struct) -> str:
    """The hash by which a retry is known from another ask under the same id. Hand in tokens, never card numbers."""
    return hashlib.sha256(msgspec.json.encode(ask, order="deterministic")).hexdigest()
