"""The cashier's day at the counter: exchanges, baskets laid aside, training, and the close with its report."""

from base64 import b64encode
from datetime import date
from typing import get_args

import msgspec

from edge.api import contract, telling
from edge.api.answers import ReturnVoidSaid
from edge.api.bodies import (
    CommitBody,
    DayCloseBody,
    ExchangeBody,
    ExchangeVoidBody,
    ParkBody,
    ResumeBody,
    ReturnBody,
    ReturnVoidBody,
    When,
)
from edge.api.day_answers import (
    CloseReport,
    CloseSaid,
    DroppedSaid,
    ExchangeSaid,
    ExchangeVoidSaid,
    ParkedListSaid,
    ParkedRowSaid,
    ParkedSaid,
    ResumedSaid,
    TrainingSaid,
)
from edge.counter.desk import NOBODY, Desk, Face
from edge.day.day import close_day, closed_day, day_of, figures_of
from edge.day.telling import close_said, report_of
from edge.instants import show_instant
from edge.parking.at_office import ParkedOffice
from edge.parking.over_lan import Elsewhere, ParkedLan, row_of
from edge.parking.parking import AWAY, drop, give, park, park_away, take_up
from edge.refusals import ParkedNoLine
from edge.sale.asks import Asked, DayClosed
from edge.sale.certificates import hold_certificates, let_go_certificates
from edge.sale.exchanging import ExchangeAsk, Exchanged, exchange, exchange_again, find_exchange
from edge.sale.taking_back import sale_of
from edge.sale.till import Till
from edge.sale.voiding_returns import void_exchange, void_return
from loyalty.document import Language
from loyalty.facts.day_totals import DayTotals, SaleTotal, TenderTotal
from loyalty.facts.events import TillClose
from loyalty.facts.receipts import Receipt, read_detail
from loyalty.facts.reversals import VOID
from receipt_templates.compose import AnyView
from receipt_templates.render import render
from receipt_templates.reversal_views import ReturnView
from receipt_templates.slip_views import CloseView, Control, ExchangeView, Figure
from receipt_templates.view import Slip
from receipt_templates.view import local_time as place_time
from sync.parked import ParkedRow

_OUTSIDE = tuple(name for name in When.__struct_fields__)


class DayDesk:
    """What a cashier does beside single sales and returns.

    Args:
        desk: the real one; what is asked in training goes to its training.
        lan: asks the other tills of the store for parked baskets; none where tills do not share.
        office: keeps baskets at head office; none for a till that stays alone.
    """

    def __init__(self, desk: Desk, lan: ParkedLan | None = None, office: ParkedOffice | None = None) -> None:
        self._desk, self._lan, self._office = desk, lan, office

    def slip(self, event_id: str, *, language: Language | None, copy: bool = True, training: bool = False) -> AnyView:
        """What this till printed under an id: of a sale, return or void, an exchange, or a close (`till_close:` and its
        day). Raises: ReceiptUnknown."""
        desk = self._desk.at(training)
        entry = desk.till.journal.find(event_id)
        if entry is None and desk.till.journal.exchanges.find(event_id) is not None:
            return _exchange_view(desk, exchange_again(desk.till, event_id, language), language, NOBODY, copy)
        if entry is not None and isinstance(entry.event, TillClose):
            told = closed_day(desk.till, entry.event.place.business_date)
            return _close_view(desk, told, _report_of(desk, told), language, copy)
        return desk.slip(event_id, language=language, copy=copy)

    # Training

    def training(self) -> TrainingSaid:
        """What was practised."""
        return self._desk.training.said()

    def leave_training(self) -> TrainingSaid:
        """Forget what was practised; a sale of training leaves the screens too."""
        said = self._desk.training.leave()
        self._desk.at_hand.leave_training()
        if self._desk.screens.now().training:
            self._desk.leave_sale()
        return said

    # Exchanges

    def exchange(self, body: ExchangeBody) -> ExchangeSaid:
        """Goods back and others sold, both or neither."""
        desk = self._desk.at(body.training)
        outside = {name: getattr(body, name) for name in _OUTSIDE}
        back = ReturnBody(**outside, **msgspec.structs.asdict(body.back))
        sale = CommitBody(**outside, **msgspec.structs.asdict(body.receipt))
        if desk.till.journal.find(sale.receipt_id) is None:
            hold_certificates(desk.till, sale.certificates)
        with desk.writing:
            ask = ExchangeAsk(
                exchange_id=body.exchange_id,
                back=contract.return_ask(back, desk.here(back.return_id)),
                sale=contract.commit_ask(sale, desk.here(sale.receipt_id)),
            )
            told = exchange(desk.till, ask)
        desk.remember_names({**contract.names_in(back), **contract.names_in(sale)})
        face = desk.face(sale.card)
        if not told.replayed:
            names = contract.names_in(sale)
            reader = desk.reader(body.language, told.sold.receipt.account_id, face)
            desk.show_paid(told.sold, names, reader, sale.quote_id)
        return self._exchange_said(desk, told, body.language, face)

    def exchange_again(self, exchange_id: str, *, language: Language | None, training: bool) -> ExchangeSaid:
        """An exchange as it was answered, its slip a copy."""
        desk = self._desk.at(training)
        return self._exchange_said(desk, exchange_again(desk.till, exchange_id, language), language, NOBODY, copy=True)

    def void_exchange(self, exchange_id: str, body: ExchangeVoidBody) -> ExchangeVoidSaid:
        """An exchange undone in both halves, or in neither."""
        desk = self._desk.at(body.training)
        with desk.writing:
            kept = find_exchange(desk.till, exchange_id)
            here = desk.here(VOID + kept.receipt_id)
            told = void_exchange(desk.till, contract.exchange_void_ask(body, exchange_id, here))
        desk.show_undone(kept.receipt_id)
        reader = desk.reader(body.language, told.sold.void.account_id)
        sold = desk.slips.of_void(told.sold, reader)
        back = desk.slips.of_return_void(told.back, sale_of(desk.till, told.back.void.of_receipt), reader)
        view = msgspec.structs.replace(
            sold, number=exchange_id, exchange="", what="exchange",
            brought_back_minor=back.total_minor, stored=back.stored,
            to_hand_out_minor=max(0, told.net_minor), to_pay_minor=max(0, -told.net_minor),
            taken_back_points=max(0, -told.points_net), given_back_points=max(0, told.points_net),
        )  # fmt: skip
        if not told.replayed:
            desk.slips.print_new(view)
        void = telling.void_said(told.sold, render(sold, "text", desk.slips.paper))
        return ExchangeVoidSaid(
            exchange_id=exchange_id,
            back=telling.return_void_said(told.back, render(back, "text", desk.slips.paper)),
            receipt=void,
            to_hand_out_minor=view.to_hand_out_minor,
            to_take_in_minor=view.to_pay_minor,
            points_net=told.points_net,
            text=render(view, "text", desk.slips.paper),
            replayed=told.replayed,
            approved_by=void.approved_by,
            training=desk.till.is_training,
        )

    def void_return(self, return_id: str, body: ReturnVoidBody) -> ReturnVoidSaid:
        """A whole return undone."""
        desk = self._desk.at(body.training)
        with desk.writing:
            told = void_return(desk.till, contract.return_void_ask(body, return_id, desk.here(VOID + return_id)))
        reader = desk.reader(body.language, told.void.account_id)
        view = desk.slips.of_return_void(told, sale_of(desk.till, told.void.of_receipt), reader)
        if not told.replayed:
            desk.slips.print_new(view)
        said = telling.return_void_said(told, render(view, "text", desk.slips.paper))
        return msgspec.structs.replace(said, training=desk.till.is_training)

    def _exchange_said(
        self, desk: Desk, told: Exchanged, language: Language | None, face: Face, *, copy: bool = False
    ) -> ExchangeSaid:
        view = _exchange_view(desk, told, language, face, copy)
        if not told.replayed:
            desk.slips.print_new(view)
        override = told.sold.detail.override
        in_words = desk.in_words(telling.spent_under(told.sold.receipt))
        return ExchangeSaid(
            exchange_id=told.exchange_id,
            back=telling.return_said(told.back, render(view.returned, "text", desk.slips.paper)),
            receipt=telling.receipt_said(told.sold, render(view.sold, "text", desk.slips.paper), in_words),
            to_pay_minor=view.to_pay_minor,
            to_hand_out_minor=view.to_hand_out_minor,
            points_net=view.points_net,
            text=render(view, "text", desk.slips.paper),
            escpos=b64encode(render(view, "escpos", desk.slips.printer)).decode(),
            html=render(view, "html", desk.slips.paper),
            replayed=told.replayed,
            approved_by=override.supervisor if override else "",
            training=desk.till.is_training,
        )

    # Baskets laid aside

    def park(self, body: ParkBody) -> ParkedSaid:
        """Lay a basket aside; the display goes back to between sales."""
        desk = self._desk.at(body.training)
        # When and where are not kept; what cannot be is refused as in a quote, and not when the basket comes back.
        contract.asked(body, desk.here())
        body = desk.cards.last(body)
        is_away = body.anywhere and not body.training
        end = desk.face(body.card).last4
        told = park_away(desk.till, body, self._at_office().leave, end) if is_away else park(desk.till, body, end)
        if not told.replayed:
            let_go_certificates(desk.till, body.certificates)
            desk.remember_names(contract.names_in(body))
            desk.leave_sale(body.quote_id)
        return ParkedSaid(
            park_id=body.park_id,
            parked_at=show_instant(told.basket.parked_ms, desk.settings.offset_min),
            hold_released=told.hold_released,
            scan_again=told.sale.scan_again,
            replayed=told.replayed,
            training=desk.till.is_training,
        )

    def parked(self, *, training: bool) -> ParkedListSaid:
        """What waits: here, at the other tills of the store, at head office."""
        desk = self._desk.at(training)
        own = desk.till.identity.till_id
        rows = [_row_said(desk, own, desk.label, row_of(basket)) for basket in desk.till.journal.parked.open()]
        if training:
            return ParkedListSaid(parked=tuple(rows), training=training)
        told = self._lan.elsewhere() if self._lan else Elsewhere()
        for there in told.listed:
            for row in there.rows:
                rows.append(_row_said(desk, there.till_id, there.label or there.till_id[:8], row))
        away = self._office.elsewhere() if self._office else None
        for one in away or ():
            said = _row_said(desk, one.till_id, f"{one.store}, {one.till}", one.row)
            rows.append(msgspec.structs.replace(said, office=True))
        return ParkedListSaid(parked=tuple(rows), unheard=told.unheard, office_heard=away is not None)

    def resume(self, park_id: str, body: ResumeBody) -> ResumedSaid:
        """Take a basket up again, from this till, from the one where it lies, or from head office."""
        desk = self._desk.at(body.training)
        journal, own = desk.till.journal, desk.till.identity.till_id
        before = journal.parked.find(park_id)
        is_away = body.office if before is None else before.state in AWAY
        if is_away and not body.training:
            basket = self._at_office().bring(park_id, body.resume_id, body.till_id or own)
        elif before is None and self._lan is not None and not body.training and body.till_id != own:
            basket = self._lan.bring(park_id, body.resume_id, body.till_id)
        else:
            basket = give(journal, park_id, own, body.resume_id)
        taken = take_up(desk.till, basket.body)
        if taken.sale.card is not None:
            desk.remember_end(taken.sale.card, taken.last4)
        return ResumedSaid(
            park_id=park_id,
            resume_id=body.resume_id,
            sale=taken.sale,
            note=taken.note,
            scan_again=taken.scan_again,
            show_card=taken.show_card,
            say=taken.say,
            replayed=before is not None and before.state == "taken",
            training=desk.till.is_training,
        )

    def _at_office(self) -> ParkedOffice:
        if self._office is None:
            raise ParkedNoLine("This till stays alone, without head office. Park the basket here.")
        return self._office

    def drop(self, park_id: str, *, training: bool) -> DroppedSaid:
        """Throw a basket away that lies here, or that this till left at head office."""
        till = self._desk.at(training).till
        before = till.journal.parked.find(park_id)
        if before is not None and before.state in AWAY:
            self._at_office().withdraw(park_id)
        else:
            drop(till, park_id)
        return DroppedSaid(park_id=park_id, dropped=True)

    # The close

    def close_day(self, body: DayCloseBody) -> CloseSaid:
        """Close a business day."""
        desk = self._desk.at(body.training)
        asked = contract.asked(body, desk.here())
        day = day_of(desk.till, Asked(**asked))
        sales = None if body.sales is None else [SaleTotal(**msgspec.structs.asdict(one)) for one in body.sales]
        told = close_day(desk.till, day, asked["cashier"], pos=_totals(body), sales=sales, override=asked["override"])
        return self._close_said(desk, told, body.language)

    def closed_day(self, day: date, *, language: Language | None, training: bool) -> CloseSaid:
        """A close as it was answered."""
        desk = self._desk.at(training)
        return self._close_said(desk, closed_day(desk.till, day), language)

    def _close_said(self, desk: Desk, told: DayClosed, language: Language | None) -> CloseSaid:
        report = _report_of(desk, told)
        view = _close_view(desk, told, report, language)
        if not told.replayed:
            desk.slips.print_new(view)
        return close_said(told, report, render(view, "text", desk.slips.paper), training=desk.till.is_training)


def _totals(body: DayCloseBody) -> DayTotals:
    if body.totals is None:
        return DayTotals()
    said = msgspec.structs.asdict(body.totals)
    tenders = body.totals.tenders
    paid = None if tenders is None else tuple(
        TenderTotal(kind=contract.without_payment(one.kind) or "card", amount_minor=one.amount_minor)
        for one in tenders
    )  # fmt: skip
    return DayTotals(**{**said, "tenders": paid})


def _money_of(till: Till, close: TillClose) -> str:
    """The currency of the day's last sale, for a till whose cache was lost with the programme; "" without a sale."""
    written = reversed(till.journal.entries_after(close.first_seq - 1))
    sales = (entry.event for entry in written if isinstance(entry.event, Receipt))
    return next((read_detail(sale).currency for sale in sales), "")


def _row_said(desk: Desk, till_id: str, till: str, row: ParkedRow) -> ParkedRowSaid:
    return ParkedRowSaid(
        park_id=row.park_id,
        note=row.note,
        till_id=till_id,
        till=till,
        parked_at=show_instant(row.parked_at_ms, desk.settings.offset_min),
        cashier=row.cashier,
        lines=row.lines,
        amount_minor=row.amount_minor,
        currency=row.currency,
        has_card=row.has_card,
    )


def _exchange_view(desk: Desk, told: Exchanged, language: Language | None, face: Face, copy: bool) -> ExchangeView:
    reader = desk.reader(language, told.sold.receipt.account_id, face)
    sold = desk.slips.of_receipt(told.sold, reader, copy=copy)
    returned = desk.slips.of_return(told.back, sale_of(desk.till, told.back.detail.of_receipt), reader, copy=copy)
    if not isinstance(returned, ReturnView):
        raise TypeError("the slip of a return is none")
    return ExchangeView(
        **{name: getattr(sold, name) for name in Slip.__struct_fields__} | {"number": told.exchange_id, "exchange": ""},
        returned=returned,
        sold=sold,
        to_pay_minor=max(0, told.net_minor),
        to_hand_out_minor=max(0, -told.net_minor),
        change_minor=max(0, sum(paid.amount_minor for paid in sold.tenders) - max(0, told.net_minor)),
        points_net=told.points_net,
    )


def _report_of(desk: Desk, told: DayClosed) -> CloseReport:
    return report_of(told, till=desk.label, currency=desk.currency() or _money_of(desk.till, told.close))


def _close_view(
    desk: Desk, told: DayClosed, report: CloseReport, language: Language | None, copy: bool = False
) -> CloseView:
    ours, pos = figures_of(told.close), told.detail.pos or DayTotals()
    figures = [Control(figure=name, till=getattr(ours, name), pos=getattr(pos, name)) for name in get_args(Figure)]
    tenders = [Control(tender=one.kind, till=one.till, pos=one.pos) for one in report.tenders]
    override = told.detail.override
    return CloseView(
        language=language or desk.settings.language,
        shop=desk.slips.shop(report.currency),
        currency=report.currency,
        number="",
        till_id=desk.slips.till_name,
        sold_at=place_time(told.close.place),
        cashier=report.cashier,
        record=told.record,
        copy=copy,
        training=desk.till.is_training,
        approved_by=report.approved_by,
        reason=override.reason if override else "",
        business_date=told.close.place.business_date,
        controls=(*figures, *tenders),
        look_at=report.look_at,
        overrides=report.overrides,
        offline_receipts=report.offline_receipts,
        unsent=0 if copy else told.unsent,  # as of now, and written nowhere
        open_holds=0 if copy else told.open_holds,
        parked_expired=report.parked_expired,
    )  # fmt: skip
