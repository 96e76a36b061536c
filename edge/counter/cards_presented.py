"""Two cards on one basket: the card that is presented last is the sale's, said aloud; points held for the first go
back.

Which card a basket had is remembered by its quote id, in memory: after a restart a hold of another card is refused.
"""

import threading
from collections import OrderedDict
from typing import TypeVar

import msgspec

from edge.api.answers import CardReplacedSaid
from edge.api.bodies import SaleBody
from edge.api.telling import ending_of
from edge.refusals import TwoCards
from edge.sale.holding import let_go
from edge.sale.knowing import token_of
from edge.sale.till import Till

MOST_BASKETS = 64
AnySale = TypeVar("AnySale", bound=SaleBody)


class CardsPresented:
    """The card that each open basket was quoted with last."""

    def __init__(self, till: Till) -> None:
        self._till = till
        self._cards: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def settle(self, body: AnySale) -> tuple[AnySale, str | None, bool]:
        """The body with one card, before it is quoted.

        Returns:
            The body; the token of the card that another one in it took the place of, if any; whether points that were
            held for a card that is not there any more went back.
        Raises:
            PaymentCardScanned, CardUnreadable, NotOurCard.
        """
        if not body.cards and not (body.hold_id and body.card and body.quote_id):
            return body, None, False
        scans = _scans(body)
        tokens = [self._token(scan) for scan in scans]
        last = tokens[-1]
        first = next((token for token in reversed(tokens[:-1]) if token != last), None)
        body = msgspec.structs.replace(body, card=scans[-1], cards=())
        released = (first or self._known(body.quote_id) or last) != last and self._release(body.hold_id, last)
        return (msgspec.structs.replace(body, hold_id=None) if released else body), first, released

    def quoted(self, quote_id: str, token: str | None, first: str | None) -> str | None:
        """A basket was quoted with a card, or with none. Returns: the token of the card that was there before, if it
        was another one. Args: `first`: as `settle` found it."""
        if token is None:
            return None
        before = first or self._known(quote_id)
        self._keep(quote_id, token)
        return before if before != token else None

    def last(self, body: AnySale) -> AnySale:
        """The body with its card, the one presented last, and no others."""
        return msgspec.structs.replace(body, card=_scans(body)[-1], cards=()) if body.cards else body

    def the_one(self, body: AnySale) -> AnySale:
        """The body of a commit with its card. Raises: TwoCards."""
        if not body.cards:
            return body
        scans = _scans(body)
        if len({self._token(scan) for scan in scans}) > 1:
            raise TwoCards(
                "Two cards are on this sale. Send it with the card that the quote answered, or ask the customer.",
                cards=len(scans),
            )
        return msgspec.structs.replace(body, card=scans[-1], cards=())

    def forget(self, quote_id: str) -> None:
        """The basket is paid."""
        with self._lock:
            self._cards.pop(quote_id, None)

    def _token(self, scan: str) -> str:
        return token_of(self._till.current().programme, self._till.identity, scan, self._till.shown) or ""

    def _known(self, quote_id: str) -> str | None:
        with self._lock:
            return self._cards.get(quote_id)

    def _keep(self, quote_id: str, token: str) -> None:
        if not quote_id:
            return
        with self._lock:
            self._cards[quote_id] = token
            self._cards.move_to_end(quote_id)
            while len(self._cards) > MOST_BASKETS:
                self._cards.popitem(last=False)

    def _release(self, hold_id: str | None, token: str) -> bool:
        """Give a hold back that was made for another member than the one who stands there now."""
        journal = self._till.journal
        hold = journal.promises.hold(hold_id) if hold_id else None
        member = self._till.cache.member(token)
        if hold is None or hold.state == "captured" or (member and member.row.account_id == hold.account_id):
            return False
        with journal.writing():
            let_go(journal, hold.hold_id, self._till.clock.now())
        return True


def _scans(body: SaleBody) -> list[str]:
    return [*body.cards, *([body.card] if body.card else [])]


def replaced_said(was: str, now: str, released: bool) -> CardReplacedSaid:
    """A change of card as it is answered. Args: the last digits of both, empty where they are not at hand."""
    first, second = ending_of(was) or "the first", ending_of(now) or "the last one"
    say = f"Card {second} takes the place of {first}: points of this sale go to {second}."
    if released:
        say += " Points set aside for the first went back."
    return CardReplacedSaid(was=ending_of(was), now=ending_of(now), hold_released=released, say=say)
