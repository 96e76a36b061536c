"""The close of a day as it is answered and printed: figures side by side, and a sentence for each that differs."""

from collections.abc import Iterable

from edge.api.day_answers import (
    CloseReport,
    CloseSaid,
    DifferenceSaid,
    ExplainingSaid,
    FigureSaid,
    TenderSaid,
)
from edge.api.telling import event_said, warned
from edge.day.day import figures_of
from edge.instants import show_instant
from edge.sale.asks import DayClosed
from loyalty.amounts import exponent_of
from loyalty.facts.day_totals import COUNTS, FIGURES, POINTS, TENDER, DayTotals, Difference
from loyalty.facts.events import TillClose

_WORDS = {
    "receipts": "receipts", "voids": "voids", "returns": "returns", "net_minor": "in sales",
    "discount_minor": "in discounts", "returned_minor": "in returns", "points_earned": "points earned",
    "points_spent": "points spent", "points_reversed": "points taken back",
}  # fmt: skip
_SURE = ("only_here", "only_at_pos", "amount_differs")


def close_said(told: DayClosed, report: CloseReport, text: str, *, training: bool = False) -> CloseSaid:
    """A till close. Args: `text`: its printed report."""
    close = told.close
    return CloseSaid(
        business_date=close.place.business_date.isoformat(),
        event=event_said(told),
        receipts=close.receipts,
        voids=close.voids,
        returns=close.returns,
        net_minor=close.net_minor,
        returned_minor=close.returned_minor,
        points_earned=close.points_earned,
        points_spent=close.points_spent,
        points_reversed=close.points_reversed,
        unsent=told.unsent,
        open_holds=told.open_holds,
        warnings=warned(told.warnings),
        differences=tuple(difference_said(one, report.currency) for one in told.detail.differences),
        report=report,
        text=text,
        replayed=told.replayed,
        training=training,
    )


def report_of(told: DayClosed, *, till: str, currency: str) -> CloseReport:
    """Everything that a printed report of the day shows. Args: what the till is called, and the programme's money."""
    close, detail = told.close, told.detail
    ours, pos = figures_of(close), detail.pos or DayTotals()
    override = detail.override
    named = (one.receipt_id for difference in detail.differences for one in difference.receipts)
    return CloseReport(
        business_date=close.place.business_date.isoformat(),
        store_id=close.place.store_id,
        till=till,
        closed_at=show_instant(close.place.sold_at_ms, close.place.offset_min),
        cashier=detail.cashier,
        approved_by=override.supervisor if override else "",
        currency=currency,
        figures=tuple(FigureSaid(figure=name, till=getattr(ours, name), pos=getattr(pos, name)) for name in FIGURES),
        tenders=_tenders(close, pos),
        look_at=tuple(dict.fromkeys(named)),
        overrides=detail.overrides,
        offline_receipts=detail.offline_receipts,
        parked_expired=detail.parked_expired,
    )


def difference_said(one: Difference, currency: str) -> DifferenceSaid:
    """A difference with a sentence for who closes the day."""
    return DifferenceSaid(
        figure=one.figure,
        pos=one.pos,
        till=one.till,
        difference=one.difference,
        receipts=tuple(
            ExplainingSaid(receipt_id=row.receipt_id, amount=row.amount, why=row.why) for row in one.receipts
        ),
        say=_sentence(one, currency),
    )


def _sentence(one: Difference, currency: str) -> str:
    what = _WORDS.get(one.figure) or f"in {one.figure.removeprefix(TENDER)}"
    names = ", ".join(row.receipt_id for row in one.receipts[:3])
    more = len(one.receipts) - 3
    names += f" and {more} more" if more > 0 else ""
    if one.difference == 0:
        return f"The sum {what} agrees, single receipts do not. Look at {names}."
    amount = _amount(abs(one.difference), one.figure, currency)
    said = f"This till has {amount} {'more' if one.difference > 0 else 'less'} {what} than the POS."
    if not one.receipts:
        return f"{said} No receipt explains it; compare the journal of the POS with the list of this till."
    sure = any(row.why in _SURE for row in one.receipts)
    return f"{said} {'Look at' if sure else 'It may be'} {names}."


def _amount(number: int, figure: str, currency: str) -> str:
    if figure in COUNTS or figure in POINTS:
        return str(number)
    places = exponent_of(currency) if currency else 2
    whole, part = divmod(number, 10**places)
    return f"{whole}.{part:0{places}}" if places else str(whole)


def _tenders(close: TillClose, pos: DayTotals) -> tuple[TenderSaid, ...]:
    ours = {one.kind: one.amount_minor for one in figures_of(close).tenders or ()}
    theirs = {one.kind: one.amount_minor for one in pos.tenders or ()}
    return tuple(TenderSaid(kind=kind, till=ours.get(kind, 0), pos=theirs.get(kind)) for kind in _sorted(ours, theirs))


def _sorted(*kinds: Iterable[str]) -> list[str]:
    return sorted({kind for some in kinds for kind in some})
