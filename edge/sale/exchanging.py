"""An exchange: goods back and others sold in one durable step, both or neither."""

import hashlib

import msgspec

from edge.journal.exchanges_kept import KeptExchange
from edge.refusals import ExchangeReused, ExchangeUnknown, IdReused
from edge.sale.asks import CommitAsk, Committed, ReturnAsk, TakenBack
from edge.sale.deciding import ReadySale
from edge.sale.presenting import shas_of_before
from edge.sale.recalling import check_id
from edge.sale.taking_back import ReadyReturn, ready_return, reversal_again, shas_of_return, write_return
from edge.sale.till import Till
from loyalty.document import Language
from loyalty.trouble import InvariantBroken


class ExchangeAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What comes back, and what is sold for it."""

    exchange_id: str
    back: ReturnAsk
    sale: CommitAsk


class Exchanged(msgspec.Struct, frozen=True, kw_only=True):
    """Both events of an exchange."""

    exchange_id: str
    back: TakenBack
    sold: Committed
    replayed: bool

    @property
    def net_minor(self) -> int:
        """What the customer still pays in other tenders; negative for what they are handed."""
        return self.sold.receipt.to_pay_minor - self.back.returned.paid_out_minor

    @property
    def points_net(self) -> int:
        """What the member has more, or less, than before."""
        receipt, returned = self.sold.receipt, self.back.returned
        gained = sum(part.points for part in (*receipt.earned, *returned.earned)) + returned.restored_points
        spent = receipt.redemption.points if receipt.redemption else 0
        return gained - spent - sum(part.points for part in returned.reversed)


def exchange(till: Till, ask: ExchangeAsk) -> Exchanged:
    """Take goods back and sell others; the return is written first, so the sale sees its points and counters.

    Raises:
        ExchangeReused: the id stands for another exchange.
        IdReused: one of the inner ids stands for an event of its own.
        And as `take_back` and `Till.commit`: nothing is written of either.
    """
    check_id(ask.exchange_id)
    back = ready_return(till, ask.back, ask.exchange_id)
    sale = till.ready(ask.sale, ask.exchange_id)
    kept = KeptExchange(
        exchange_id=ask.exchange_id, ask_sha256=_sha_of(back.sha, sale.sha), return_id=ask.back.return_id,
        receipt_id=ask.sale.receipt_id,
    )  # fmt: skip
    journal = till.journal
    with journal.writing():
        before = journal.exchanges.find(ask.exchange_id)
        if before is not None and before != kept and not _is_as_before(till, before, kept, back, sale):
            raise ExchangeReused(
                "This id stands for another exchange. If this one is new, send it under a new id.",
                exchange_id=ask.exchange_id,
            )
        returned, sold = write_return(till, back), till.write(sale)
        if before is None:
            for done, event_id in ((returned, ask.back.return_id), (sold, ask.sale.receipt_id)):
                if done.replayed:
                    raise IdReused(
                        "A return or sale of this exchange was written by itself before. Send it under new ids.",
                        receipt_id=event_id,
                    )
            journal.exchanges.keep(kept, till.clock.now().wall_ms)
    if before is None:
        till.on_written()
    return Exchanged(exchange_id=ask.exchange_id, back=returned, sold=sold, replayed=before is not None)


def _is_as_before(
    till: Till, before: KeptExchange, kept: KeptExchange, back: ReadyReturn, sale: ReadySale
) -> bool:
    """Whether it is the same exchange, asked for before a card key was retired."""
    if msgspec.structs.replace(before, ask_sha256=kept.ask_sha256) != kept:
        return False
    sales = tuple(shas_of_before(sale.ask, till.identity, till.names))
    return any(before.ask_sha256 == _sha_of(one, sold) for one in shas_of_return(till, back.ask) for sold in sales)


def _sha_of(back: str, sale: str) -> str:
    """The hash of an exchange from those of its halves."""
    return hashlib.sha256(f"{back}{sale}".encode()).hexdigest()


def exchange_again(till: Till, exchange_id: str, language: Language | None = None) -> Exchanged:
    """An exchange of this till as it was answered. Raises: ExchangeUnknown."""
    kept = find_exchange(till, exchange_id)
    back, sold = reversal_again(till, kept.return_id), till.receipt(kept.receipt_id, language)
    if not isinstance(back, TakenBack):
        raise InvariantBroken("an exchange names a return that is none", exchange_id=exchange_id)
    return Exchanged(exchange_id=exchange_id, back=back, sold=sold, replayed=True)


def find_exchange(till: Till, exchange_id: str) -> KeptExchange:
    """Which events are an exchange of this till. Raises: ExchangeUnknown."""
    kept = till.journal.exchanges.find(exchange_id)
    if kept is None:
        raise ExchangeUnknown("This till knows no such exchange. Look for it at the till that made it.")
    return kept
