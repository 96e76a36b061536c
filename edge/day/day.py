"""The till close: counts and sums of a business day, for head office and the POS to compare.

A shop that is open beyond midnight sells on the new day before it closes the old one, so a day's events are looked for
from the second close before it on, however late it is closed itself. A close labels and changes nothing else, except
that receipts of its day or an earlier one can no longer be voided (DECISIONS 6, 12), and that baskets parked before it
was over are thrown away.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from edge.day.counts import Day, days_of, events_of
from edge.instants import local_time
from edge.journal.journal import Entry, Journal
from edge.parking.at_office import LATE_MS
from edge.parking.parking import expire
from edge.refusals import BadTime, ClosedOtherwise, DayNotClosed
from edge.sale.approving import approve
from edge.sale.asks import Asked, DayClosed, OverrideAsk, Warn
from edge.sale.recalling import record_of
from edge.sale.till import Till
from loyalty.approvals import Action
from loyalty.baskets import Place
from loyalty.facts.day_totals import (
    COUNTS,
    POINTS,
    CloseDetail,
    DayTotals,
    Difference,
    SaleTotal,
    compare_day,
    totals_of_day,
)
from loyalty.facts.events import Event, TillClose
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Return, ReturnVoid, Void
from loyalty.trouble import InvariantBroken
from sync.chain import StreamHead

NOTHING = DayTotals()


def day_of(till: Till, ask: Asked) -> date:
    """The business date that a close is of: the one that it names, else the one that is open.

    Raises:
        BadTime: the day is still to come, and nothing was sold on it: closed now, it could not be closed any more.
    """
    journal, today = till.journal, till.place(msgspec.structs.replace(ask, business_date=None))
    named = ask.business_date
    with journal.still():
        closes = journal.closes_after(0, most=2)
        sold = days_of(journal.entries_after(_second(closes)))
        if named is None:
            return _open_day(journal, closes, sold, today)
        is_to_come = named > max(sold, default=today.business_date) and named > today.business_date
        if is_to_come and journal.find(f"till_close:{named}") is None:
            raise BadTime(
                f"{named} is still to come, and nothing was sold on it. Close the day that is over.",
                business_date=named.isoformat(),
            )
    return named


def _open_day(journal: Journal, closes: Sequence[Entry], sold: Iterable[date], now: Place) -> date:
    """The business date that a close means which names none: a day lasts until five hours past its midnight.

    Where nothing was sold on it, the one that was closed since it began (the same close, asked for again), else the
    last one before it that nobody closed.
    """
    day = _day_at(now.sold_at_ms, now.offset_min)
    is_open = {on for on in sold if on <= now.business_date and journal.find(f"till_close:{on}") is None}
    if day in is_open or journal.find(f"till_close:{day}") is not None:
        return day
    last = closes[0].event if closes else None
    if isinstance(last, TillClose) and _day_at(last.place.sold_at_ms, now.offset_min) == day:
        return last.place.business_date
    return max((on for on in is_open if on < day), default=max(is_open, default=day))


def _day_at(at_ms: int, offset_min: int) -> date:
    return local_time(at_ms - LATE_MS, offset_min).date()


def _end_of(place: Place) -> int:
    """When the business day of a place is over, in milliseconds since 1970."""
    midnight = datetime.combine(place.business_date + timedelta(days=1), time(), UTC)
    return int(midnight.timestamp()) * 1000 - place.offset_min * 60_000 + LATE_MS


def _second(closes: Sequence[Entry]) -> int:
    """The sequence number of the second of two closes, 0 where there is none."""
    return closes[1].head.seq if len(closes) > 1 else 0


def close_day(
    till: Till,
    business_date: date,
    cashier: str = "",
    *,
    pos: DayTotals = NOTHING,
    sales: Sequence[SaleTotal] | None = None,
    override: OverrideAsk | None = None,
) -> DayClosed:
    """Write the close of a business day; closed already, the same close again.

    Events still to be sent, holds still open and figures that the POS has otherwise are told, and stop nothing.

    Args:
        pos: what the POS counted of the day; `sales`: its own list of sales, where it sent one.
        override: who approves it.
    Raises:
        ClosedOtherwise: the day was closed against other totals of the POS.
        OverrideWanted, OverrideWrong, OverrideLocked: a supervisor must approve what differs.
    """
    journal, close_id = till.journal, f"till_close:{business_date}"
    asked = Asked(sold_at_ms=till.clock.now().wall_ms, business_date=business_date, override=override)
    asked, approval = approve(till.approver, journal, asked, close_id)
    with journal.writing():
        if (before := journal.find(close_id)) is not None:
            _check_same_totals(before.event, pos)
            return _answer(journal, before.event, before.head, replayed=True)
        last = journal.last_close()
        day = events_of(journal.entries_after(_second(journal.closes_before(business_date, most=2))), business_date)
        differences = compare_day(day.entries, pos, sales)
        own = totals_of_day(day.entries)
        detail = CloseDetail(
            cashier=cashier,
            override=till.approver.wanted(_found(differences), approval),
            till=_beside(own),
            pos=pos if pos != NOTHING else None,
            differences=differences,
            overrides=day.overrides,
            offline_receipts=day.offline_receipts,
            parked_expired=expire(journal, _end_of(till.place(asked))),
        )
        close = _close(day, last.head.seq + 1 if last else 1, journal.head().seq, till.place(asked))
        if detail != CloseDetail():
            close = msgspec.structs.replace(close, detail=msgspec.Raw(msgspec.json.encode(detail)))
        head = journal.append(close)
    till.on_closed(head)
    till.on_written()
    return _answer(journal, close, head, replayed=False)


def closed_day(till: Till, business_date: date) -> DayClosed:
    """The close of a business day as it was answered. Raises: DayNotClosed."""
    entry = till.journal.find(f"till_close:{business_date}")
    if entry is None:
        raise DayNotClosed("This day is not closed at this till.", business_date=business_date.isoformat())
    return _answer(till.journal, entry.event, entry.head, replayed=True)


def read_close(close: TillClose) -> CloseDetail:
    """The detail of a close; an empty one where it says nothing."""
    return msgspec.json.decode(close.detail, type=CloseDetail | None) or CloseDetail()


def figures_of(close: TillClose) -> DayTotals:
    """Everything the till counted, head and detail."""
    said = read_close(close).till or NOTHING
    counted = {name: getattr(close, name) for name in ("receipts", "voids", "returns", "net_minor", "returned_minor",
                                                       *POINTS)}  # fmt: skip
    return DayTotals(**counted, discount_minor=said.discount_minor or 0, tenders=said.tenders or ())


def _close(day: Day, next_seq: int, last_seq: int, place: Place) -> TillClose:
    """Sums of those that bear the business date. A voided receipt or return counts as one and its sums stay in: the
    void is an event of its own.

    Args:
        next_seq: of what follows the last close; the range begins there, or with the first event of the day.
    """
    receipts = [move for move in day.moves if isinstance(move, Receipt)]
    returns = [move for move in day.moves if isinstance(move, Return)]
    return TillClose(
        receipt_id=f"till_close:{place.business_date}",
        place=place,
        receipts=len(receipts),
        voids=sum(isinstance(move, Void | ReturnVoid) for move in day.moves),
        returns=len(returns),
        net_minor=sum(receipt.net_minor for receipt in receipts),
        returned_minor=sum(returned.net_minor for returned in returns),
        points_earned=sum(part.points for receipt in receipts for part in receipt.earned),
        points_spent=sum(receipt.redemption.points for receipt in receipts if receipt.redemption),
        points_reversed=sum(part.points for returned in returns for part in returned.reversed),
        first_seq=next_seq if day.first_seq is None else min(next_seq, day.first_seq),
        last_seq=last_seq,
    )


def _beside(own: DayTotals) -> DayTotals | None:
    """What the head of the event has no place for; none where that is nothing."""
    beside = DayTotals(discount_minor=own.discount_minor or None, tenders=own.tenders or None)
    return beside if beside != NOTHING else None


def _found(differences: Iterable[Difference]) -> dict[Action, int]:
    """The greatest difference in money."""
    money = [abs(one.difference) for one in differences if one.figure not in (*COUNTS, *POINTS)]
    return {"day_close": max(money)} if money else {}


def _check_same_totals(before: Event, pos: DayTotals) -> None:
    """A POS that asks again without its totals only wants the answer."""
    if isinstance(before, TillClose) and pos != NOTHING and read_close(before).pos != pos:
        raise ClosedOtherwise(
            "This day is closed already, against other totals. Head office sees what differs; give it the new report.",
            business_date=before.place.business_date.isoformat(),
        )


def _answer(journal: Journal, close: Event, head: StreamHead, *, replayed: bool) -> DayClosed:
    if not isinstance(close, TillClose):
        raise InvariantBroken("an event is named as a till close and is none", receipt_id=close.receipt_id)
    detail = read_close(close)
    unsent, open_holds = journal.backlog(), len(journal.open_holds())
    warnings = []
    if unsent:
        warnings.append(Warn(code="day.unsent", say=f"Events to be sent: {unsent}. Leave the till switched on."))
    if open_holds:
        warnings.append(Warn(code="day.open_holds", say=f"Open sales with points set aside: {open_holds}."))
    if gone := detail.parked_expired:
        warnings.append(Warn(code="day.parked_expired", say=f"Parked baskets thrown away with the close: {gone}."))
    if detail.differences:
        warnings.append(Warn(code="day.differs", say="The totals of the POS differ. Print the report and sign it."))
    return DayClosed(
        close=close,
        detail=detail,
        unsent=unsent,
        open_holds=open_holds,
        warnings=tuple(warnings),
        head=head,
        record=record_of(head),
        replayed=replayed,
    )
