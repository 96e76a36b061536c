"""The till close: counts and sums of a business day since the last close, for head office to compare.

It labels and changes nothing else, except that receipts before it can no longer be voided (DECISIONS 6, 12).
"""

from collections.abc import Sequence
from datetime import date

import msgspec

from edge.asks import Asked, DayClosed, Warn
from edge.journal import Entry, Journal
from edge.recalling import record_of
from edge.till import Till
from loyalty.baskets import Place
from loyalty.events import Event, TillClose
from loyalty.receipts import Receipt
from loyalty.reversals import Return, Void
from loyalty.trouble import InvariantBroken
from sync.chain import StreamHead


class CloseDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who closed it."""

    cashier: str = ""


def close_day(till: Till, business_date: date, cashier: str = "") -> DayClosed:
    """Write the close of a business day; closed already, the same close again.

    Events still to be sent and holds still open are told, and stop nothing.
    """
    journal = till.journal
    with journal.writing():
        if (before := journal.find(f"till_close:{business_date}")) is not None:
            return _answer(journal, before.event, before.head, replayed=True)
        asked = Asked(sold_at_ms=till.clock.now().wall_ms, business_date=business_date)
        last = journal.last_close()
        entries = journal.entries_after(last.head.seq if last else 0)
        close = _totals(entries, journal.head().seq, till.place(asked))
        if cashier:
            detail = msgspec.Raw(msgspec.json.encode(CloseDetail(cashier=cashier)))
            close = msgspec.structs.replace(close, detail=detail)
        head = journal.append(close)
    till.on_closed(head)
    till.on_written()
    return _answer(journal, close, head, replayed=False)


def _totals(entries: Sequence[Entry], last_seq: int, place: Place) -> TillClose:
    """Sums of those that bear the business date. A voided receipt counts as one and its sums stay in: the void is
    an event of its own."""
    moves = [entry.event for entry in entries if isinstance(entry.event, Receipt | Return | Void)]
    moves = [event for event in moves if event.place.business_date == place.business_date]
    receipts = [event for event in moves if isinstance(event, Receipt)]
    returns = [event for event in moves if isinstance(event, Return)]
    return TillClose(
        receipt_id=f"till_close:{place.business_date}",
        place=place,
        receipts=len(receipts),
        voids=sum(isinstance(event, Void) for event in moves),
        returns=len(returns),
        net_minor=sum(receipt.net_minor for receipt in receipts),
        returned_minor=sum(returned.net_minor for returned in returns),
        points_earned=sum(part.points for receipt in receipts for part in receipt.earned),
        points_spent=sum(receipt.redemption.points for receipt in receipts if receipt.redemption),
        points_reversed=sum(part.points for returned in returns for part in returned.reversed),
        first_seq=entries[0].head.seq if entries else last_seq + 1,
        last_seq=last_seq,
    )


def _answer(journal: Journal, close: Event, head: StreamHead, *, replayed: bool) -> DayClosed:
    if not isinstance(close, TillClose):
        raise InvariantBroken("an event is named as a till close and is none", receipt_id=close.receipt_id)
    unsent, open_holds = journal.backlog(), len(journal.open_holds())
    warnings = []
    if unsent:
        warnings.append(Warn(code="day.unsent", say=f"{unsent} events wait to be sent; leave the till switched on."))
    if open_holds:
        warnings.append(Warn(code="day.open_holds", say=f"{open_holds} sales with points set aside are still open."))
    return DayClosed(
        close=close,
        unsent=unsent,
        open_holds=open_holds,
        warnings=tuple(warnings),
        head=head,
        record=record_of(head),
        replayed=replayed,
    )
