"""A return undone whole, and an exchange undone in both halves: same till, before the close, the same answer again.

Source: docs/till-api.md "Voiding a return", "An exchange"; docs/decisions/void-of-a-return.md.
"""

import msgspec

from edge.journal.journal import Entry
from edge.refusals import HasReturns, ReturnUnknown, VoidMoneySpent, VoidOfExchange, VoidPointsSpent
from edge.sale.approving import approve
from edge.sale.asks import Unreturned, Voided, VoidExchangeAsk, VoidReturnAsk
from edge.sale.certificates import check_may_go_on, left_on
from edge.sale.exchanging import find_exchange
from edge.sale.recalling import record_of
from edge.sale.taking_back import check_day, member_now, read_return, sale_of, unreturned, write_void
from edge.sale.till import Till
from loyalty.approvals import Override, approved_in, stamped
from loyalty.facts.return_voids import close_return_void, standing_returns
from loyalty.facts.reversals import VOID, Return, ReturnVoid
from loyalty.trouble import InvariantBroken


class ExchangeVoided(msgspec.Struct, frozen=True, kw_only=True):
    """Both voids of an exchange: of its sale, then of its return."""

    exchange_id: str
    sold: Voided
    back: Unreturned

    @property
    def replayed(self) -> bool:
        """Whether it was undone before."""
        return self.sold.replayed

    @property
    def net_minor(self) -> int:
        """What the customer is handed; below 0 what they pay."""
        return self.sold.receipt.to_pay_minor - self.back.void.paid_in_minor

    @property
    def points_net(self) -> int:
        """What the member has more, or less, than before."""
        receipt = self.sold.receipt
        spent = receipt.redemption.points if receipt.redemption else 0
        return spent - sum(part.points for part in receipt.earned) + self.back.points_net


def void_return(till: Till, ask: VoidReturnAsk) -> Unreturned:
    """Undo a whole return of this till, before its close and before more of its receipt came back.

    Returns:
        The void; the same again when it is undone already, whoever asks.
    Raises:
        ReturnUnknown: not a return of this till.
        DayIsClosed, HasReturns, VoidOfCertificate, VoidPointsSpent, VoidMoneySpent: what to do instead.
        VoidOfExchange: void the whole exchange.
        OverrideWanted, OverrideWrong, OverrideLocked: a supervisor must approve it.
        TrainingSale, BadTime.
    """
    till.check_training(ask)
    ask, approval = approve(till.approver, till.journal, ask, VOID + ask.return_id)
    with till.journal.writing():
        done = _write(till, ask, ask.return_id, approval)
    if not done.replayed:
        till.on_written()
    return done


def void_exchange(till: Till, ask: VoidExchangeAsk) -> ExchangeVoided:
    """Undo both halves of an exchange, or neither; the sale first, so that the points it spent are there again.

    Raises:
        ExchangeUnknown: not an exchange of this till.
        And as `void_receipt` and `void_return`.
    """
    till.check_training(ask)
    kept = find_exchange(till, ask.exchange_id)
    ask, approval = approve(till.approver, till.journal, ask, VOID + kept.receipt_id)
    with till.journal.writing():
        sold = write_void(till, ask, kept.receipt_id, approval, exchange=ask.exchange_id)
        back = _write(till, ask, kept.return_id, approval, exchange=ask.exchange_id)
    if sold.replayed != back.replayed:
        raise InvariantBroken("half of an exchange was voided by itself", exchange_id=ask.exchange_id)
    if not sold.replayed:
        till.on_written()
    return ExchangeVoided(exchange_id=ask.exchange_id, sold=sold, back=back)


def _write(
    till: Till, ask: VoidReturnAsk | VoidExchangeAsk, return_id: str, approval: Override | None, exchange: str = ""
) -> Unreturned:
    journal = till.journal
    entry = journal.find(return_id)
    returned = entry.event if entry else None
    if entry is None or not isinstance(returned, Return):
        raise ReturnUnknown("This till keeps no such return. Void it at the till that took the goods back.")
    if (before := journal.find(VOID + return_id)) is not None:
        return unreturned(before, returned)
    _check_may_void(till, entry, returned, exchange)
    approval = till.approver.wanted({"void": returned.net_minor}, approval)
    void = close_return_void(returned, entry.ref, till.place(ask), cashier=ask.cashier)
    _check_points(till, void, exchange)
    _check_money(till, void, exchange)
    void = msgspec.structs.replace(void, detail=stamped(void.detail, approval, exchange))
    head = journal.append(void, of_id=returned.of_receipt or None)
    return Unreturned(
        void=void, returned=returned, detail=read_return(returned), head=head, record=record_of(head), replayed=False
    )


def _check_may_void(till: Till, entry: Entry, returned: Return, exchange: str) -> None:
    half_of = approved_in(bytes(returned.detail)).exchange
    if half_of != exchange:
        raise VoidOfExchange(
            f"This return is half of exchange {half_of}. Void the exchange instead, or bring the new goods back.",
            exchange_id=half_of,
        )
    standing = standing_returns(one.event for one in till.journal.reversals_of(returned.of_receipt))
    if standing and standing[-1].receipt_id != returned.receipt_id:
        raise HasReturns("More of this receipt came back after this return. Void the later return first.")
    day = returned.place.business_date
    check_day(till.journal, entry.head, day, "The day of this return is closed. Sell the goods again.")
    check_may_go_on(till, returned.certificates_back, entry.head.seq)


def _check_points(till: Till, void: ReturnVoid, exchange: str) -> None:
    """Points that came back and are spent again must be there, as far as this till knows the member."""
    receipt = sale_of(till, void.of_receipt)
    view = member_now(till, receipt, void.place.business_date) if receipt and void.spent_points else None
    if view is None or view.account_id is None:
        return
    granted = sum(part.points for part in void.earned) - sum(part.points for part in void.reversed)
    there = max(0, view.balance_points) + granted
    if there < void.spent_points:
        raise VoidPointsSpent(
            f"Of the {void.spent_points} points that came back {max(0, there)} are left. {_instead(exchange)}",
            asked=void.spent_points,
            left=max(0, there),
        )


def _check_money(till: Till, void: ReturnVoid, exchange: str) -> None:
    """Money that went back to certificates and wallet pays again, so it must be there, as far as this till knows."""
    receipt = sale_of(till, void.of_receipt) if void.restored else None
    on = void.place.business_date
    view = member_now(till, receipt, on) if receipt else None
    in_wallet = view.stored_minor if view else None
    for part in void.restored:
        left = left_on(till, part.code, on) if part.code else in_wallet
        if left is not None and left < part.amount_minor:
            raise VoidMoneySpent(
                f"Money that went back to a certificate or the wallet is not there any more. {_instead(exchange)}",
                asked_minor=part.amount_minor,
                left_minor=max(0, left),
            )


def _instead(exchange: str) -> str:
    """What to do where the return stays: the customer has the goods of an exchange that they want to give back."""
    return "Take the new goods back as a return, and sell the others again." if exchange else "Sell the goods again."
