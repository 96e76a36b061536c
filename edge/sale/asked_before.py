"""What an ask may have been known by before a card key was retired.

A retry is told from another ask by a hash over the tokens that stand for its card and its codes. Once a key is retired
they stand under another one, so a hash that does not fit is tried with every name that the card has had. Only who
brings a card's number can say these; what a POS sends as a token stays the same by itself.
Source: docs/decisions/card-goes-by-two-names.md.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from edge.sale.asks import ask_sha256
from edge.sale.card_names import CardNames

AnyAsk = TypeVar("AnyAsk", bound=msgspec.Struct)


def tokens_before(names: CardNames, token: str | None) -> tuple[str | None, ...]:
    """What may have stood for the card of an ask, as it does now first; none for no card."""
    return names.ever_of(token) if token is not None else (None,)


def hashes_before(
    names: CardNames, ask: AnyAsk, token: str | None, named: Callable[[AnyAsk, str | None], AnyAsk]
) -> Iterator[str]:
    """The hashes of an ask with each name that its card has had.

    Args:
        token: what stands for its card now; `named` puts another name there.
    """
    return (ask_sha256(named(ask, one)) for one in tokens_before(names, token))
