"""Which name a card goes by at this till, and saying its names to head office while the programme has several keys.

What was shown lately is remembered by its tokens, never by its number, so that a POS that sends the token it was
answered still has the card named. Source: docs/decisions/card-goes-by-two-names.md.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from edge.cache.cache import Cache
from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.refusals import TillRevoked
from loyalty.baskets import Place
from loyalty.cards.card_keys import CardName
from loyalty.cards.cards import Card, card_token
from loyalty.facts.member_events import CardNamed

MOST_KEPT = 4096


class NamedCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card that was shown: its names, oldest first, and what may be seen of it. `before`: names under keys that are
    retired."""

    names: tuple[CardName, ...]
    kind: str
    last4: str
    before: tuple[str, ...] = ()


class CardNames:
    """The names of the cards that one till is shown. Every method may be called from any thread.

    Args:
        identity: the till's as it is now, for its keys may change while it runs.
    """

    def __init__(self, identity: Callable[[], TillIdentity], journal: Journal, cache: Cache) -> None:
        self._identity, self._journal, self._cache = identity, journal, cache
        self._shown: OrderedDict[str, NamedCard] = OrderedDict()  # by each of its tokens
        self._later: dict[str, NamedCard] = {}  # blocked cards, for which nothing else is written
        self._lock = threading.Lock()

    def token_of(self, card: Card) -> str:
        """What a card is called here: its oldest name, unless a newer one is the only one that is known.

        Raises: TillRevoked.
        """
        check_has_keys(self._identity())
        keys = self._identity().card_keys
        if keys.is_unchanged:
            return card_token(keys.first, card)
        retired = {one.key_id for one in keys.keys} - set(keys.ids)
        before = tuple(one.token for one in keys.every_name_of(card) if one.key_id in retired) if retired else ()
        named = NamedCard(names=keys.names_of(card), kind=card.kind, last4=card.last4, before=before)
        with self._lock:
            for one in named.names:
                self._shown[one.token] = named
                self._shown.move_to_end(one.token)
            while len(self._shown) > MOST_KEPT:
                self._shown.popitem(last=False)
        tokens = [one.token for one in named.names]
        return next((token for token in tokens if self._cache.member(token) is not None), tokens[0])

    def all_of(self, token: str) -> tuple[str, ...]:
        """Every name of a card that was shown lately; its token alone for any other."""
        with self._lock:
            named = self._shown.get(token)
        return tuple(one.token for one in named.names) if named else (token,)

    def named(self, token: str) -> tuple[CardName, ...]:
        """The names of a card with the keys they stand under, oldest first; none where there are several keys and it
        was not shown lately: then nobody can say under which one its token stands."""
        with self._lock:
            shown = self._shown.get(token)
        if shown is not None:
            return shown.names
        ids = self._identity().card_keys.ids
        return (CardName(key_id=ids[0], token=token),) if len(ids) == 1 else ()

    def ever_of(self, token: str) -> tuple[str, ...]:
        """The same, with the names under keys that are retired behind them; the one asked about comes first."""
        with self._lock:
            named = self._shown.get(token)
        return tuple(dict.fromkeys((token, *self.all_of(token), *(named.before if named else ()))))

    def blocked(self, token: str) -> str | None:
        """Why a card is not to be served, whichever of its names was blocked."""
        for name in self.all_of(token):
            if reason := self._cache.blocked(name) or self._journal.members.blocked(name):
                self._note_blocked(token)
                return reason
        return None

    def say(self, place: Place, *tokens: str | None) -> None:
        """Before an event names these cards, say their names; call inside its transaction.

        Nothing is written of a card that head office has told all names of, or that this till has named already.
        """
        with self._lock:
            owed = [self._shown[token] for token in tokens if token in self._shown]
            owed += self._later.values()
            self._later.clear()
        if not owed:
            return
        # What was shown under keys of before is not said any more.
        in_force = ",".join(self._identity().card_keys.ids)
        for named in owed:
            if _ids(named) == in_force and self._is_owed(named):
                self._write(named, place)

    def _is_owed(self, named: NamedCard) -> bool:
        newest, kept = named.names[-1].token, self._journal.members
        members = [self._cache.member(one.token) for one in named.names]
        owners = {member.row.account_id if member else None for member in members}
        if None not in owners and len(owners) == 1:
            # Should head office forget the card, it is named again.
            kept.forget_named(newest)
            return False
        return kept.named_under(newest) != _ids(named)

    def _write(self, named: NamedCard, place: Place) -> None:
        head, newest = self._journal.head(), named.names[-1].token
        event = CardNamed(
            receipt_id=f"card_named:{head.epoch}:{head.seq}:{newest[:16]}",
            place=place,
            names=named.names,
            kind=named.kind,
            last4=named.last4,
        )
        self._journal.append(event)
        self._journal.members.keep_named(newest, _ids(named))

    def _note_blocked(self, token: str) -> None:
        with self._lock:
            if (named := self._shown.get(token)) is not None and len(self._later) < MOST_KEPT:
                self._later[named.names[-1].token] = named


def check_has_keys(identity: TillIdentity) -> None:
    """A till that was revoked can name no card and no code: what it promised on one could never be found again.

    Raises: TillRevoked.
    """
    if identity.is_wiped:
        raise TillRevoked(
            "Head office has taken this till out of the programme: it serves no cards, coupons or certificates. Sell"
            " without them, and send the customer to another till or to customer service."
        )


def _ids(named: NamedCard) -> str:
    """The keys of a card's names."""
    return ",".join(one.key_id for one in named.names)
