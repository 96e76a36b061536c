"""What a basket without a card would earn with one, to be said to whoever has none."""

from edge.sale.asks import SaleAsk
from edge.sale.till import Till
from loyalty.members import UNKNOWN_CARD
from loyalty.pricing.quotes import quote_basket


def would_earn(till: Till, ask: SaleAsk) -> int:
    """Points for this basket and a card of which nothing is known yet; nothing is written, no code is read."""
    quote = quote_basket(till.current(), ask.basket, till.place(ask), UNKNOWN_CARD, explain=False)
    return quote.totals.points_earned
