"""Views of the slips that are no sale and no return: certificates, welcome, balance, claims, exchanges, the close.

Whoever asks for one fills it in; numbers of cards and codes of certificates pass through here to the paper only, and
are in no `repr`, so that no log has them.
"""

from datetime import date, datetime
from typing import Literal

import msgspec

from receipt_templates.reversal_views import ReturnView
from receipt_templates.view import Lapsing, NextTier, ReceiptView, Slip


class CertificateView(Slip, frozen=True, kw_only=True, tag="certificate.v1", tag_field="slip"):
    """A gift certificate sold, topped up, used, or asked about.

    Attributes:
        amount_minor: what it was sold for, what was added, or what it paid; 0 where it was only asked about.
        left_minor: what is left on it; none where nobody knows here.
        code: whole, on the slip of whoever bought it; `ending` as `…0042` everywhere else.
        through: its last day; none where it never lapses.
        waits: head office has not heard of it, so it cannot pay yet.
    """

    what: Literal["sold", "topped_up", "redeemed", "asked"]
    amount_minor: int = 0
    left_minor: int | None = None
    code: str = ""
    ending: str = ""
    through: date | None = None
    waits: bool = False

    def __repr__(self) -> str:
        return f"CertificateView({self.number!r}, {self.what!r})"


class WelcomeView(Slip, frozen=True, kw_only=True, tag="welcome.v1", tag_field="slip"):
    """For a new member, or a card that took the place of another.

    Attributes:
        card_number: given for this paper only; empty for a printed card that was handed over.
        card_code: how it is drawn; an EAN-13 whose check digit is wrong comes out as its number.
        card_link: what is drawn instead of the number, where a scanner would not know the number alone.
        confirm_code, confirm_url: to confirm a consent with; the code in groups as it is typed.
    """

    card_number: str = ""
    card_code: Literal["ean13", "code128", "qr"] = "ean13"
    card_link: str = ""
    confirm_code: str = ""
    confirm_url: str = ""

    def __repr__(self) -> str:
        return f"WelcomeView({self.number!r})"


class BalanceView(Slip, frozen=True, kw_only=True, tag="balance.v1", tag_field="slip"):
    """What a member has.

    Attributes:
        spendable_points: at this till, now; none where it is the whole balance.
        pending_points: earned, and not confirmed yet.
        wallet_minor: stored value; 0 prints none.
        as_of: when head office's figures reached this till, in local time.
    """

    spendable_points: int | None = None
    pending_points: int = 0
    lapsing: tuple[Lapsing, ...] = ()
    tier: str = ""
    next_tier: NextTier | None = None
    wallet_minor: int = 0
    as_of: datetime | None = None


class ClaimView(Slip, frozen=True, kw_only=True, tag="claim.v1", tag_field="slip"):
    """Points asked for afterwards, for a receipt without a card; `points` is none where only head office has them."""

    of_number: str
    points: int | None = None
    state: Literal["provisional", "granted", "refused"] = "provisional"


class ExchangeView(Slip, frozen=True, kw_only=True, tag="exchange.v1", tag_field="slip"):
    """Goods brought back and others taken along, with one sum: to pay, or to hand out. Change is what the tenders of
    the sale are above it."""

    returned: ReturnView
    sold: ReceiptView
    to_pay_minor: int = 0
    to_hand_out_minor: int = 0
    change_minor: int = 0
    points_net: int = 0


Figure = Literal[
    "receipts", "voids", "returns", "net_minor", "discount_minor", "returned_minor",
    "points_earned", "points_spent", "points_reversed",
]  # fmt: skip


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of the day, or what one kind of tender came to, as the till has it and as the POS says, if it does."""

    figure: Figure | None = None
    tender: str = ""
    till: int
    pos: int | None = None


class CloseView(Slip, frozen=True, kw_only=True, tag="close.v1", tag_field="slip"):
    """The report of a till's day. `look_at` are the numbers of receipts that explain differences."""

    business_date: date
    controls: tuple[Control, ...] = ()
    look_at: tuple[str, ...] = ()
    overrides: int = 0
    offline_receipts: int = 0
    unsent: int = 0
    open_holds: int = 0
    parked_expired: int = 0
