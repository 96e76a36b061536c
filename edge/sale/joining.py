"""What a basket without a card would earn with one, to be said to whoever has none."""

from edge.sale.asks import SaleAsk
from edge.sale.till import Till
from loyalty.members import UNKNOWN_CARD
from loyalty.pricing.quotes import quote_basket


def would_earn(till: Till, ask: SaleAsk) -> int:
    """Points for this basket and a card of which nothing is known yet, none at a till that serves no cards any more;
    nothing is written, no code is read."""
    if till.identity.is_wiped:
        return 0
    compiled = till.current()
    given_out = till.journal.own_uses.shared(compiled.shared) if compiled.shared else ()
    quote = quote_basket(compiled, ask.basket, till.place(ask), UNKNOWN_CARD, shared=given_out, explain=False)
    return quote.totals.points_earned
