"""What we answer of the cashier's day: exchanges, parked baskets, training, and the close with its report."""

import msgspec

from edge.api.answers import Answer, Event, ReceiptSaid, ReturnSaid, ReturnVoidSaid, VoidSaid, WarningSaid
from edge.api.bodies import QuoteBody
from loyalty.facts.day_totals import Why


class ExchangeSaid(Answer, frozen=True, kw_only=True):
    """An exchange: both halves, and the one sum that is left. `points_net` is what the member has more, or less."""

    exchange_id: str
    back: ReturnSaid = msgspec.field(name="return")
    receipt: ReceiptSaid
    to_pay_minor: int
    to_hand_out_minor: int
    points_net: int
    text: str
    escpos: str
    html: str
    replayed: bool
    approved_by: str = ""
    training: bool = False


class ExchangeVoidSaid(Answer, frozen=True, kw_only=True):
    """An exchange undone: both voids, and the one sum that is left."""

    exchange_id: str
    back: ReturnVoidSaid = msgspec.field(name="return")
    receipt: VoidSaid
    to_hand_out_minor: int
    to_take_in_minor: int
    points_net: int
    text: str
    replayed: bool
    approved_by: str = ""
    training: bool = False


class ParkedSaid(Answer, frozen=True, kw_only=True):
    """A basket laid aside. `scan_again` counts codes that must be scanned once more."""

    park_id: str
    parked_at: str
    hold_released: bool
    scan_again: int
    replayed: bool
    training: bool = False


class ParkedRowSaid(Answer, frozen=True, kw_only=True):
    """A basket that waits, and at which till; `office`: parked there, it lies at head office now."""

    park_id: str
    note: str
    till_id: str
    till: str
    parked_at: str
    cashier: str
    lines: int
    amount_minor: int
    currency: str
    has_card: bool
    office: bool = False


class ParkedListSaid(Answer, frozen=True, kw_only=True):
    """What waits at the tills of the store, and at head office for any store; `unheard` did not answer, and neither did
    head office where `office_heard` is false."""

    parked: tuple[ParkedRowSaid, ...]
    unheard: tuple[str, ...] = ()
    office_heard: bool = False
    training: bool = False


class ResumedSaid(Answer, frozen=True, kw_only=True):
    """A basket taken up again, to be quoted anew as `sale`; `show_card`: without its card, whose name went with a card
    key, or which was blocked."""

    park_id: str
    resume_id: str
    sale: QuoteBody
    note: str
    scan_again: int
    say: str
    replayed: bool
    training: bool = False
    show_card: bool = False


class DroppedSaid(Answer, frozen=True, kw_only=True):
    """A basket thrown away; it stays so when asked again."""

    park_id: str
    dropped: bool


class TrainingSaid(Answer, frozen=True, kw_only=True):
    """What was practised since; not `active` where nothing was, or once it was left."""

    active: bool
    since: str | None = None
    receipts: int = 0
    returns: int = 0
    voids: int = 0
    parked: int = 0


class ExplainingSaid(Answer, frozen=True, kw_only=True):
    """A receipt that explains a difference, or could; `amount` is its own part of the figure."""

    receipt_id: str
    amount: int
    why: Why


class DifferenceSaid(Answer, frozen=True, kw_only=True):
    """A figure on which POS and till do not agree; `difference` is what the till has more."""

    figure: str
    pos: int
    till: int
    difference: int
    receipts: tuple[ExplainingSaid, ...]
    say: str


class FigureSaid(Answer, frozen=True, kw_only=True):
    """A figure of the day, here and at the POS; none where the POS did not say."""

    figure: str
    till: int
    pos: int | None = None


class TenderSaid(Answer, frozen=True, kw_only=True):
    """What one means of payment came to in sales, change off, here and at the POS."""

    kind: str
    till: int
    pos: int | None = None


class CloseReport(Answer, frozen=True, kw_only=True):
    """Everything that a printed report of the day shows."""

    business_date: str
    store_id: str
    till: str
    closed_at: str
    cashier: str
    approved_by: str
    currency: str
    figures: tuple[FigureSaid, ...]
    tenders: tuple[TenderSaid, ...]
    look_at: tuple[str, ...]
    overrides: int
    offline_receipts: int
    parked_expired: int


class CloseSaid(Answer, frozen=True, kw_only=True):
    """Counts and sums of the business day as this till has them. Gaps and differences warn, they never block."""

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
    differences: tuple[DifferenceSaid, ...]
    report: CloseReport
    text: str
    replayed: bool
    training: bool = False
