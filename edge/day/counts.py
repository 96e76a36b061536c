"""What each event of a business day adds to the day's figures, as the till has them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from edge.journal.journal import Entry
from loyalty.approvals import approved_in
from loyalty.baskets import Place
from loyalty.facts.day_totals import PAID_HERE, TENDER, DayEntry
from loyalty.facts.events import Event, UnknownEvent
from loyalty.facts.receipts import Receipt, ReceiptDetail, read_detail
from loyalty.facts.reversals import VOID, Return, ReturnVoid, Void
from loyalty.pricing.stored_value import stored_paid

Moves = Receipt | Return | Void | ReturnVoid
_log = logging.getLogger(__name__)


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """The events of a day, what they add, and how many of them somebody approved or were made offline; `first_seq` is
    the first one's, none for a day without any."""

    first_seq: int | None
    moves: tuple[Moves, ...]
    entries: tuple[DayEntry, ...]
    overrides: int
    offline_receipts: int


def events_of(entries: Iterable[Entry], business_date: date) -> Day:
    """What bears a business date: sales, returns and voids, and how much of anything was approved."""
    known = [(entry.head.seq, event) for entry in entries if (event := _known(entry))]
    kept = [(seq, event) for seq, event in known if _day_of(event) == business_date]
    of_day = [event for _, event in kept]
    moves = tuple(event for event in of_day if isinstance(event, Moves))
    voided = {move.receipt_id.removeprefix(VOID) for move in moves if isinstance(move, Void | ReturnVoid)}
    details = {move.receipt_id: read_detail(move) for move in moves if isinstance(move, Receipt)}
    exchanged = {approved_in(bytes(move.detail)).exchange: move for move in moves if isinstance(move, Return)}
    return Day(
        first_seq=kept[0][0] if kept else None,
        moves=moves,
        entries=tuple(_entry(move, details.get(move.receipt_id), voided, exchanged) for move in moves),
        overrides=sum(approved_in(bytes(event.detail)).override is not None for event in of_day),
        offline_receipts=sum(detail.offline for detail in details.values()),
    )


def days_of(entries: Iterable[Entry]) -> set[date]:
    """The business dates that sales, returns and voids bear."""
    known = (_known(entry) for entry in entries)
    return {event.place.business_date for event in known if isinstance(event, Moves)}


def _known(entry: Entry) -> Event | None:
    """What an entry says; none where a later version wrote it, which this one took the place of: a day must close all
    the same, and head office, which can read it, says what the till did not count."""
    try:
        return entry.event
    except UnknownEvent as trouble:
        _log.warning("an event is not counted in the close of its day: %s", trouble)
        return None


def _day_of(event: Event) -> date | None:
    """The business date that an event bears; none for one of no place."""
    place: Place | None = getattr(event, "place", None)
    return place.business_date if place else None


def _entry(move: Moves, detail: ReceiptDetail | None, voided: set[str], exchanged: Mapping[str, Return]) -> DayEntry:
    """Args: `exchanged` are returns by the exchange that they are half of."""
    if isinstance(move, Receipt) and detail is not None:
        back = exchanged.get(detail.exchange) if detail.exchange else None
        return DayEntry(
            receipt_id=move.receipt_id,
            adds=_of_sale(move, detail, back.paid_out_minor if back else 0),
            is_voided=move.receipt_id in voided,
            charged_differs=bool(detail.charged),
        )
    if isinstance(move, Return):
        reversed_points = sum(part.points for part in move.reversed)
        adds = {"returns": 1, "returned_minor": move.net_minor, "points_reversed": reversed_points}
        return DayEntry(receipt_id=move.receipt_id, adds=adds, is_voided=move.receipt_id in voided)
    return DayEntry(receipt_id=move.receipt_id, adds={"voids": 1})


def _of_sale(receipt: Receipt, detail: ReceiptDetail, back_minor: int) -> dict[str, int]:
    """Args: `back_minor` is what the goods that came back in its exchange paid of it."""
    taken: Sequence[int] = [one.discount_minor for one in detail.charged or detail.figures]
    spent = receipt.redemption
    adds = {
        "receipts": 1,
        "net_minor": receipt.net_minor,
        "discount_minor": sum(taken),
        "points_earned": sum(part.points for part in receipt.earned),
        "points_spent": spent.points if spent else 0,
    }
    stored = stored_paid((*receipt.uses, *receipt.shared_uses))
    to_pay = max(0, receipt.to_pay_minor - back_minor)
    paid: dict[str, int] = {}
    for tender in detail.tenders:
        if tender.kind not in PAID_HERE:
            paid[tender.kind] = paid.get(tender.kind, 0) + tender.amount_minor
    # What was handed back is in no drawer; only cash gives change.
    change = max(0, sum(paid.values()) - to_pay)
    if "cash" in paid:
        paid["cash"] -= min(change, paid["cash"])
    ours = (spent.amount_minor if spent else 0, stored.certificates_minor, stored.wallet_minor)
    paid |= {kind: minor for kind, minor in zip(PAID_HERE, ours, strict=True) if minor}
    return adds | {TENDER + kind: minor for kind, minor in paid.items()}
