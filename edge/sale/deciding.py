"""A sale decided: quoted once more as it is paid, held against what may be spent, and closed. Nothing is written."""

from typing import TYPE_CHECKING

import msgspec

from edge.journal.promises import Hold
from edge.ports import Instant
from edge.refusals import HoldExceeded
from edge.sale.approving import found_in_sale
from edge.sale.asks import Asked, CommitAsk
from edge.sale.certificates import lay_down
from edge.sale.covering import check_prizes, check_stored
from edge.sale.holding import hold_of_sale
from edge.sale.knowing import Known, authority, not_covered, not_enough
from edge.sale.presenting import Presented, present
from edge.sale.priced import Told
from loyalty.approvals import Override, stamped
from loyalty.baskets import Place
from loyalty.document import Language
from loyalty.facts.receipts import ClosedSale, Receipt, close_sale, points_drawn, read_detail
from loyalty.pricing.leases import Authority
from loyalty.pricing.quotes import Quote
from loyalty.programme.compiled import Compiled

if TYPE_CHECKING:
    from edge.sale.till import Till


class ReadySale(msgspec.Struct, frozen=True, kw_only=True):
    """A sale about to be written: without card number and codes, with what it will be known by again.

    `exchange` is the exchange that it is half of, empty for none.
    """

    ask: CommitAsk
    sha: str
    now: Instant
    approval: Override | None = None
    exchange: str = ""


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A sale that may be written, the quote that it was made of, and the hold that it ends."""

    closed: ClosedSale
    quote: Quote
    language: Language
    hold: Hold | None


def decide(till: "Till", ready: ReadySale) -> Decided:
    """Quote once more under the programme of the quote, where this till still has it, and close."""
    ask, now, token = ready.ask, ready.now, ready.ask.sale.card
    sale, newest, place = ask.sale, till.current(), till.place(ask.sale)
    compiled = next((held for held in till.cache.programmes() if held.version == ask.programme_version), newest)
    known = till.serve(token, now, but_hold=sale.hold_id, on=place.business_date)
    hold = hold_of_sale(till.journal, sale.hold_id, known, now)
    allowed = authority(compiled.programme, till.journal, till.cache, known, hold, now, place)
    if hold is None:
        allowed = till.shown.limited(compiled.programme.cards, token, allowed)
    basket = msgspec.structs.replace(sale.basket, receipt_id=ask.receipt_id)
    presented = present(compiled, basket, known.view, till.journal, till.identity, place, till.cache)
    presented = lay_down(till, compiled, presented, place.business_date)
    basket = presented.basket
    told = told_of(till, compiled, sale, place, presented, known, allowed)
    quote = till.priced.again(told, ask.digest)
    if quote.digest != ask.digest:
        check_prizes(quote)
        check_stored(quote, basket)
        if tender_points(quote) < basket.points_to_spend:
            _check_points(till, compiled, ask, presented, known, quote, hold, allowed, now)
    closed = close_sale(
        quote,
        basket,
        place,
        compiled=compiled,
        card_token=token,
        charged=ask.charged,
        quoted_digest=ask.digest,
        cashier=sale.cashier,
        offline=till.is_offline(),
    )
    approval = till.approver.wanted(found_in_sale(quote, ask.charged, tender_points(quote)), ready.approval)
    if approval is not None or ready.exchange:
        receipt = closed.receipt
        receipt = msgspec.structs.replace(receipt, detail=stamped(receipt.detail, approval, ready.exchange))
        closed = ClosedSale(receipt=receipt, detail=read_detail(receipt))
    return Decided(closed=closed, quote=quote, language=told.language, hold=hold)


def told_of(
    till: "Till", compiled: Compiled, ask: Asked, place: Place, presented: Presented, known: Known, allowed: Authority
) -> Told:
    """All that the kernel is told of a basket as it was presented."""
    return Told(
        compiled=compiled,
        basket=presented.basket,
        place=place,
        view=known.view,
        authority=allowed,
        bearer=presented.bearer,
        shared=presented.shared,
        language=till.language(ask.language, known),
    )


def take_spent(till: "Till", receipt: Receipt, now: Instant) -> None:
    """Take what a sale spent off the authority that it was spent under; call inside its transaction."""
    paid = receipt.redemption
    if paid is not None and paid.authority == "hold":
        till.journal.promises.leases.end(paid.lease_id)  # what it leaves goes back with the receipt
    elif paid is not None and paid.authority == "lease":
        till.journal.promises.leases.spend(paid.lease_id, paid.slices)
    elif drawn := points_drawn(receipt):
        till.journal.promises.spend(drawn, now)


def _check_points(
    till: "Till", compiled: Compiled, ask: CommitAsk, presented: Presented, known: Known, quote: Quote,
    hold: Hold | None, allowed: Authority, now: Instant,
) -> None:  # fmt: skip
    """Refuse when not the goods but what may be spent keeps the points below what was asked."""
    asked, most = presented.basket.points_to_spend, quote.redemption.most_points
    enough = Authority(kind="float", points=asked + sum(prize.points for prize in quote.prizes))
    if known.view is not None:
        known = msgspec.structs.replace(known, view=msgspec.structs.replace(known.view, lapsing_points=0))
    free = till.priced.anew(told_of(till, compiled, ask.sale, till.place(ask.sale), presented, known, enough))
    if compiled.programme.spending is not None and tender_points(free) == tender_points(quote):
        return
    if hold is not None and allowed.points < hold.points:
        raise not_enough(asked=asked, most=most)  # their lease or lots have run out since
    if hold is not None:
        raise HoldExceeded(
            f"{hold.points} points are set aside for this sale. Spend those, or take the rest in another tender.",
            asked=asked,
            held=hold.points,
        )
    raise not_covered(compiled.programme, till.cache, known, now, asked=asked, most=most)


def tender_points(quote: Quote) -> int:
    """Points that pay as tender; those that prizes take are asked for by the prize."""
    return quote.totals.points_spent - sum(prize.points for prize in quote.prizes)
