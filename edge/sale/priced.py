"""What was quoted last, so that a basket that is paid as it was quoted is not priced a second time.

A quote is found by its digest, and holds again only where everything that the kernel would be told is equal, member,
authority and counters included; otherwise the basket is priced anew. So whatever happened in between (a page of
members, another sale of the same member, a new programme) makes no difference to any figure.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from loyalty.baskets import Basket, Place, check_basket
from loyalty.document import Language
from loyalty.members import MemberView, Use, WalletItem
from loyalty.moments import moment_of
from loyalty.pricing.leases import Authority
from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import Compiled
from sync.chain import StreamHead

MOST_QUOTES = 16  # of as many open baskets; one of fifty lines of which 340 promotions say why takes 110 KB
MOST_ANSWERED = 8  # sales that were written last; a POS that lost the answer asks again at once


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """All that the kernel is told of one basket; see `quote_basket`."""

    compiled: Compiled
    basket: Basket
    place: Place
    view: MemberView | None
    authority: Authority
    bearer: tuple[WalletItem, ...]
    shared: tuple[Use, ...] | None
    language: Language


class Priced:
    """The last quote of each open basket of one till, and those of the sales that were written last. Every method may
    be called from any thread."""

    def __init__(self, price: Callable[..., Quote] = quote_basket) -> None:
        self._price = price
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Told, Quote]] = OrderedDict()
        self._answered: OrderedDict[tuple[str, Language], Quote] = OrderedDict()

    def quote(self, told: Told) -> Quote:
        """Price a basket, and remember it. Raises: as `quote_basket`."""
        quote = self.anew(told)
        name = told.basket.receipt_id  # a basket that is rung up is quoted again and again under one
        with self._lock:
            self._kept[name] = told, quote
            self._kept.move_to_end(name)
            while len(self._kept) > MOST_QUOTES:
                self._kept.popitem(last=False)
        return quote

    def again(self, told: Told, digest: str) -> Quote:
        """The quote of this digest, where it was made of the very same; else a new one. Raises: as `quote_basket`."""
        with self._lock:
            kept = [one for one in reversed(self._kept.values()) if one[1].digest == digest]
        # Two customers may have the same goods in their baskets, whose quotes differ in the member alone.
        quote = next((quote for before, quote in kept if _are_same(before, told)), None)
        if quote is None:
            return self.anew(told)
        check_basket(told.basket, told.compiled.programme.currency)
        return quote

    def answered(self, head: StreamHead, language: Language) -> Quote | None:
        """What the sale at the end of this stream was answered by; none where that was not kept.

        Source: docs/decisions/quote-holds-for-its-commit.md "Asked again".
        """
        with self._lock:
            return self._answered.get((head.hash, language))

    def answer(self, head: StreamHead, language: Language, quote: Quote) -> None:
        """Keep what a sale is answered by. The hash stands for all that its till was told and decided."""
        with self._lock:
            self._answered[head.hash, language] = quote
            while len(self._answered) > MOST_ANSWERED:
                self._answered.popitem(last=False)

    def anew(self, told: Told, *, explain: bool = True) -> Quote:
        """Price a basket. Args, raises: as `quote_basket`."""
        return self._price(
            told.compiled, told.basket, told.place, told.view, authority=told.authority, bearer=told.bearer,
            shared=told.shared, language=told.language, explain=explain,
        )  # fmt: skip


def _are_same(kept: Told, told: Told) -> bool:
    """Whether the kernel would answer the same: it turns away what no basket can have (`check_basket`), but no figure
    depends on a receipt's id; on tenders and on the time of a sale as far as its programme looks at them."""
    compiled = kept.compiled
    if compiled is not told.compiled or kept.view != told.view:
        return False
    like: dict[str, Any] = {"receipt_id": kept.basket.receipt_id}
    if not compiled.weighs_tenders:
        like["tenders"] = kept.basket.tenders
    return (
        kept.basket == msgspec.structs.replace(told.basket, **like)
        and kept.place == msgspec.structs.replace(told.place, sold_at_ms=kept.place.sold_at_ms)
        and _are_one_time(compiled, kept.place, told.place)
        and (kept.authority, kept.bearer, kept.shared, kept.language)
        == (told.authority, told.bearer, told.shared, told.language)
    )


def _are_one_time(compiled: Compiled, one: Place, other: Place) -> bool:
    if one.sold_at_ms == other.sold_at_ms or compiled.looks_at == "instant":
        return one.sold_at_ms == other.sold_at_ms
    first, second = moment_of(one), moment_of(other)
    return first.on == second.on and (compiled.looks_at == "day" or first.at == second.at)
