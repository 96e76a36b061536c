"""Void and return, from what the receipt recorded. Asked again under the same id, the same answer."""

from collections.abc import Iterable, Iterator
from datetime import date

import msgspec

from edge.journal.journal import Entry, Journal
from edge.refusals import (
    DayIsClosed,
    GoodsMissing,
    HasReturns,
    IdReused,
    ReceiptUnknown,
    ReturnOfUnknownReceipt,
    ReturnOfVoided,
    VoidOfExchange,
)
from edge.sale.approving import approve
from edge.sale.asked_before import hashes_before
from edge.sale.asks import ReturnAsk, TakenBack, Unreturned, VoidAsk, Voided, VoidExchangeAsk, ask_sha256
from edge.sale.certificates import check_unused
from edge.sale.knowing import know, token_of
from edge.sale.recalling import check_id, check_same, record_of
from edge.sale.till import Till
from loyalty.approvals import Action, Override, approved_in, stamped
from loyalty.baskets import Basket
from loyalty.facts.counted_points import counted_of
from loyalty.facts.events import TillClose
from loyalty.facts.receipts import Receipt
from loyalty.facts.return_voids import standing_returns
from loyalty.facts.returned_points import AtHand
from loyalty.facts.reversals import (
    VOID,
    Return,
    ReturnDetail,
    ReturnVoid,
    Void,
    came_back,
    close_return,
    close_unreferenced,
    close_void,
)
from loyalty.members import MemberView, Use, here_already
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.compiled import Compiled
from loyalty.trouble import InvariantBroken
from sync.chain import StreamHead


def void_receipt(till: Till, ask: VoidAsk) -> Voided:
    """Undo a whole receipt of this till, before its close and before any of it came back.

    Returns:
        The void; the same again when it is undone already, whoever asks.
    Raises:
        ReceiptUnknown: not a receipt of this till.
        DayIsClosed, HasReturns: take the goods back as a return instead.
        VoidOfExchange: void the whole exchange.
        OverrideWanted, OverrideWrong, OverrideLocked: a supervisor must approve it.
        TrainingSale, BadTime.
    """
    till.check_training(ask)
    journal = till.journal
    ask, approval = approve(till.approver, journal, ask, VOID + ask.receipt_id)
    with journal.writing():
        done = write_void(till, ask, ask.receipt_id, approval)
    if not done.replayed:
        till.on_written()
    return done


def write_void(
    till: Till, ask: VoidAsk | VoidExchangeAsk, receipt_id: str, approval: Override | None, exchange: str = ""
) -> Voided:
    """Write the void of a receipt inside the journal's transaction, or find it there.

    Args:
        exchange: the exchange that is voided with it.
    Raises: as `void_receipt`.
    """
    journal = till.journal
    entry = journal.find(receipt_id)
    receipt = entry.event if entry else None
    if entry is None or not isinstance(receipt, Receipt):
        raise ReceiptUnknown("This till keeps no such receipt. Void it at the till that sold it.")
    if (before := journal.find(VOID + receipt_id)) is not None:
        return _voided(before, receipt)
    _check_may_void(journal, entry.head, receipt, exchange)
    check_unused(till, receipt.certificates_sold, entry.ref)
    approval = till.approver.wanted({"void": receipt.net_minor}, approval)
    void = close_void(receipt, entry.ref, till.place(ask), cashier=ask.cashier)
    void = msgspec.structs.replace(void, detail=stamped(void.detail, approval, exchange))
    head = journal.append(void, of_id=receipt_id)
    return Voided(void=void, receipt=receipt, head=head, record=record_of(head), replayed=False)


def take_back(till: Till, ask: ReturnAsk) -> TakenBack:
    """Take goods back: against the receipt that sold them, or without one at today's prices.

    Amounts that the POS pays out are kept as it says, beside ours.

    Raises:
        IdReused, IdReserved, TrainingSale, BadTime.
        ReturnOfUnknownReceipt: not of this till; the sentence says what to do.
        ReturnOfVoided, ReturnsMoreThanSold, UnknownLine.
        GoodsMissing: no line at all; without a reference, a line without its goods.
        CertificateWithoutReceipt: without a reference, a line that sold a certificate.
        OverrideWanted, OverrideWrong, OverrideLocked: a supervisor must approve it.
        BadBasket, WrongCurrency, PaymentCardScanned, CardUnreadable, NotOurCard, NoProgramme.
    """
    ready = ready_return(till, ask)
    with till.journal.writing():
        done = write_return(till, ready)
    if not done.replayed:
        till.on_written()
    return done


class ReadyReturn(msgspec.Struct, frozen=True, kw_only=True):
    """A return about to be written; as `edge.sale.deciding.ReadySale`."""

    ask: ReturnAsk
    sha: str
    approval: Override | None = None
    exchange: str = ""


def ready_return(till: Till, ask: ReturnAsk, exchange: str = "") -> ReadyReturn:
    """Look at a return before its transaction begins. Raises: as `take_back`."""
    check_id(ask.return_id)
    till.check_training(ask)
    token = None if ask.of is not None else token_of(till.current().programme, till.identity, ask.card, till.shown)
    ask, approval = approve(till.approver, till.journal, msgspec.structs.replace(ask, card=token), ask.return_id)
    return ReadyReturn(ask=ask, sha=ask_sha256(ask), approval=approval, exchange=exchange)


def shas_of_return(till: Till, ask: ReturnAsk) -> Iterator[str]:
    """What a return may have been known by before a card key was retired."""
    return hashes_before(till.names, ask, ask.card, lambda one, token: msgspec.structs.replace(one, card=token))


def write_return(till: Till, ready: ReadyReturn) -> TakenBack:
    """Write a return inside the journal's transaction, or find it there. Raises: as `take_back`."""
    ask = ready.ask
    if (before := till.journal.find(ask.return_id)) is not None:
        return _taken_back_again(before, ready.sha, shas_of_return(till, ask))
    returned = _without_reference(till, ask, ask.card) if ask.of is None else _of_receipt(till, ask, ask.of)
    check_unused(till, returned.certificates_back, returned.of)
    action: Action = "return" if ask.of is not None else "return_without_receipt"
    approval = till.approver.wanted({action: returned.net_minor}, ready.approval)
    returned = msgspec.structs.replace(returned, detail=stamped(returned.detail, approval, ready.exchange))
    till.names.say(returned.place, ask.card)
    head = till.journal.append(returned, ask_sha256=ready.sha, of_id=ask.of)
    return _taken_back(returned, head, replayed=False)


def reversal_again(till: Till, event_id: str) -> TakenBack | Voided | Unreturned | None:
    """A return or void of this till as it was answered; None for an id that stands for neither."""
    entry = till.journal.find(event_id)
    match entry.event if entry else None:
        case Return() as returned if entry:
            return _taken_back(returned, entry.head, replayed=True)
        case Void() if entry and (receipt := sale_of(till, event_id.removeprefix(VOID))):
            return _voided(entry, receipt)
        case ReturnVoid() if entry:
            return unreturned_again(till, entry)
        case _:
            return None


def unreturned_again(till: Till, entry: Entry) -> Unreturned | None:
    """The void of a return as it was answered; none once the return is forgotten here."""
    found = till.journal.find(entry.event.receipt_id.removeprefix(VOID))
    return unreturned(entry, found.event) if found and isinstance(found.event, Return) else None


def unreturned(before: Entry, returned: Return) -> Unreturned:
    """A return that was undone before."""
    if not isinstance(before.event, ReturnVoid):
        raise InvariantBroken("an event is named as a void and is none", receipt_id=before.event.receipt_id)
    return Unreturned(
        void=before.event, returned=returned, detail=read_return(returned), head=before.head,
        record=record_of(before.head), replayed=True,
    )  # fmt: skip


def sale_of(till: Till, receipt_id: str) -> Receipt | None:
    """The sale that a reversal names; None for none, or once it is forgotten here."""
    entry = till.journal.find(receipt_id) if receipt_id else None
    return entry.event if entry and isinstance(entry.event, Receipt) else None


def check_day(journal: Journal, head: StreamHead, day: date, say: str) -> None:
    """Refuse to undo what lies before the close of its day, or of a later one, or in an earlier epoch. Raises:
    DayIsClosed."""
    if head.epoch != journal.head().epoch or any(
        isinstance(close.event, TillClose) and close.event.place.business_date >= day
        for close in journal.closes_after(head.seq)
    ):
        raise DayIsClosed(say)


def _check_may_void(journal: Journal, head: StreamHead, receipt: Receipt, exchange: str) -> None:
    half_of = approved_in(bytes(receipt.detail)).exchange
    if half_of != exchange:
        raise VoidOfExchange(
            f"This sale is half of exchange {half_of}. Void the exchange instead, or take its goods back as a return.",
            exchange_id=half_of,
        )
    if standing_returns(one.event for one in journal.reversals_of(receipt.receipt_id)):
        raise HasReturns("Goods of this receipt came back already. Take the others back as a return.")
    day = receipt.place.business_date
    check_day(journal, head, day, "The day of this receipt is closed. Take the goods back as a return.")


def _of_receipt(till: Till, ask: ReturnAsk, receipt_id: str) -> Return:
    entry = till.journal.find(receipt_id)
    receipt = entry.event if entry else None
    if entry is None or not isinstance(receipt, Receipt):
        raise ReturnOfUnknownReceipt(
            "This till does not know that receipt. Return the goods at the till that sold them, or without a receipt.",
            receipt_id=receipt_id,
        )
    if not ask.lines:
        raise GoodsMissing("Name the lines of the receipt that come back, at least one.")
    before = [reversal.event for reversal in till.journal.reversals_of(receipt_id)]
    if any(isinstance(one, Void) for one in before):
        raise ReturnOfVoided("This receipt was voided as a whole; nothing of it can come back.")
    returns = standing_returns(before)
    earlier, standing = came_back(receipt, returns)
    counted = counted_of(receipt, ((one.uses, one.shared_uses) for one in returns))
    place = till.place(ask)
    view = member_now(till, receipt, place.business_date)
    programmes = till.cache.programmes()
    shared = _shared(till, programmes[0]) if programmes else None
    at_hand = AtHand(programmes=programmes, view=view, standing=standing, shared=shared, counted=counted)
    return close_return(
        ask.return_id,
        receipt,
        entry.ref,
        place,
        earlier=earlier,
        lines=ask.lines,
        at_hand=at_hand,
        cashier=ask.cashier,
    )


def member_now(till: Till, receipt: Receipt, on: date) -> MemberView | None:
    """The member of a sale as this till knows them today, whoever brings the goods; none where it does not."""
    known = know(till.journal, till.cache, receipt.card_token, till.clock.now(), on=on, account_id=receipt.account_id)
    return known.view if known.member else None


def _shared(till: Till, compiled: Compiled) -> tuple[Use, ...] | None:
    """What limits and budgets of everybody together have had, as far as this till knows; none without any."""
    return till.journal.own_uses.shared(compiled.shared) if compiled.shared else None


def _without_reference(till: Till, ask: ReturnAsk, token: str | None) -> Return:
    """The goods as a basket of today. A blocked card may bring goods back: that takes points off it."""
    if not ask.lines or sorted(line.line for line in ask.lines) != sorted(line.line for line in ask.goods):
        raise GoodsMissing("Without a receipt every returned line needs its goods: article, quantity and amount.")
    compiled = till.current()
    place = till.place(ask)
    known = know(till.journal, till.cache, token, till.clock.now(), on=place.business_date)
    basket = Basket(
        receipt_id=ask.return_id, currency=ask.currency, lines=ask.goods, tax_included=ask.tax_included
    )
    view = here_already(known.view, place.business_date) if known.view else None
    quote = quote_basket(compiled, basket, place, view, shared=_shared(till, compiled), explain=False)
    return close_unreferenced(
        ask.return_id, quote, place, compiled=compiled, card_token=token, lines=ask.lines,
        tax_included=ask.tax_included, cashier=ask.cashier,
    )  # fmt: skip


def _taken_back_again(before: Entry, sha: str, earlier: Iterable[str]) -> TakenBack:
    check_same(before, sha, earlier)
    if not isinstance(before.event, Return):
        raise IdReused("This id stands for something else than a return.", receipt_id=before.event.receipt_id)
    return _taken_back(before.event, before.head, replayed=True)


def _taken_back(returned: Return, head: StreamHead, *, replayed: bool) -> TakenBack:
    return TakenBack(
        returned=returned, detail=read_return(returned), head=head, record=record_of(head), replayed=replayed
    )


def _voided(before: Entry, receipt: Receipt) -> Voided:
    if not isinstance(before.event, Void):
        raise InvariantBroken("an event is named as a void and is none", receipt_id=before.event.receipt_id)
    return Voided(
        void=before.event, receipt=receipt, head=before.head, record=record_of(before.head), replayed=True
    )


def read_return(returned: Return) -> ReturnDetail:
    """The detail of a return of this till."""
    return msgspec.json.decode(returned.detail, type=ReturnDetail)
