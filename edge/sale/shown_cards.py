"""How cards were shown at this till lately: a moving code is good once, a phone number may not be guessed at, and
who only has a copy of a card may not empty its account.

All of it lives in memory for a quarter of an hour and holds tokens, never numbers. A restart forgets it, which a code
that lives for half a minute does not survive either.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from edge.identity import TillIdentity
from edge.ports import Clock
from edge.refusals import CardTooWeak, CardUnreadable, TooManyLookups
from edge.sale.card_names import CardNames
from loyalty.cards.cards import Assurance, Card, CardRules, WalletCheck, is_wallet_code, once_of, rejected
from loyalty.pricing.leases import Authority

KEPT_MS = 15 * 60_000
LOOKUPS_MS = 10 * 60_000
MOST_KEPT = 4096

Value = TypeVar("Value")


class ShownCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card as it was shown: its token, what may be seen of it, how, and for which receipt ("" for none yet)."""

    token: str
    last4: str
    assurance: Assurance
    at_ms: int
    receipt_id: str = ""


class ShownCards:
    """What was shown at one till. Every method may be called from any thread.

    Args:
        names: which name a card goes by here.
    """

    def __init__(self, clock: Clock, identity: TillIdentity, names: CardNames) -> None:
        self._clock, self._identity, self._names = clock, identity, names
        self._codes: OrderedDict[str, ShownCard] = OrderedDict()  # by what stands for the code
        self._ways: OrderedDict[str, dict[Assurance, int]] = OrderedDict()  # token → way shown → when
        self._looked_up: deque[tuple[int, str]] = deque()
        self._lock = threading.Lock()

    def use_identity(self, identity: TillIdentity) -> None:
        """The till was told other card keys."""
        self._identity = identity

    def wallet(self) -> WalletCheck:
        """Time and keys for codes on phones."""
        return WalletCheck(self._clock.now().wall_ms, self._identity.card_key, self._identity.card_keys.accepted)

    def known(self, rules: CardRules, text: str, receipt_id: str = "") -> ShownCard | None:
        """A moving or signed code that was taken here already, however old it is by now; None for anything else.

        Raises:
            CardUnreadable: another receipt was made with it.
        """
        if not is_wallet_code(rules, text):
            return None
        with self._lock:
            once = once_of(self._identity.card_key, text)
            shown = self._codes.get(once)
            if shown is None or not _is_fresh(shown.at_ms, self._clock.now().mono_ms):
                return None
            if receipt_id and shown.receipt_id not in ("", receipt_id):
                raise _replayed()
            if receipt_id:
                self._codes[once] = msgspec.structs.replace(shown, receipt_id=receipt_id)
            return shown

    def present(self, rules: CardRules, card: Card, receipt_id: str = "", *, in_sale: bool = False) -> ShownCard:
        """A card is shown now.

        Args:
            in_sale: a sale names it. Its bare number adds nothing to how it was shown before: it may be copied out of
                the very picture that may not spend; out of a telephone number it cannot.
        Raises:
            CardUnreadable: its code was shown here before. TooManyLookups: phone numbers are being tried.
        """
        token, now_ms = self._names.token_of(card), self._clock.now().mono_ms
        shown = ShownCard(token=token, last4=card.last4, assurance=card.assurance, at_ms=now_ms, receipt_id=receipt_id)
        with self._lock:
            if card.assurance == "phone" and rules.phone is not None:
                self._count(token, rules.phone.lookups, now_ms)
            if card.once:
                before = self._codes.get(card.once)
                if before is not None and _is_fresh(before.at_ms, now_ms):
                    raise _replayed()
                _keep(self._codes, card.once, shown)
            ways = self._ways_of(token, now_ms)
            if not (in_sale and card.assurance == "number" and ways.keys() - {"phone"}):
                _keep(self._ways, token, {**ways, card.assurance: now_ms})
        return shown

    def found(self, token: str) -> None:
        """Whose card it is was found by a telephone number or an e-mail address, which others know too: as weak as a
        number that is typed in a card's place."""
        self.came(token, ("phone",))

    def ways(self, token: str) -> tuple[Assurance, ...]:
        """How a card was shown here lately."""
        with self._lock:
            return tuple(sorted(self._ways_of(token, self._clock.now().mono_ms)))

    def came(self, token: str, ways: Iterable[Assurance]) -> None:
        """A card came to this till without being shown, such as with a basket that was parked, where it had been."""
        now_ms = self._clock.now().mono_ms
        if came := dict.fromkeys(ways, now_ms):
            with self._lock:
                _keep(self._ways, token, self._ways_of(token, now_ms) | came)

    def most_points(self, rules: CardRules, token: str | None) -> int | None:
        """Most points that may be spent on this card by how it was shown here lately; None for no such limit.

        The strongest way counts: whoever also shows the app's code may spend what the account has.
        """
        now_ms = self._clock.now().mono_ms
        with self._lock:
            ways = self._ways_of(token or "", now_ms)
        limits = [rules.most_points(way) for way in ways]
        return None if None in limits or not limits else max(limit for limit in limits if limit is not None)

    def limited(self, rules: CardRules, token: str | None, allowed: Authority) -> Authority:
        """What a sale may spend, by how the card was shown."""
        if not allowed.points:
            return allowed
        most = self.most_points(rules, token)
        if most is None or most >= allowed.points:
            return allowed
        return msgspec.structs.replace(allowed, points=most)

    def check_hold(self, rules: CardRules, token: str | None, points: int, *, partial: bool) -> int:
        """How many points may be set aside. Raises: CardTooWeak."""
        most = self.most_points(rules, token)
        if most is None or points <= most:
            return points
        if not partial or most == 0:
            raise CardTooWeak(too_weak(most), asked=points, most=most)
        return most

    def _ways_of(self, token: str, now_ms: int) -> dict[Assurance, int]:
        return {way: at_ms for way, at_ms in self._ways.get(token, {}).items() if _is_fresh(at_ms, now_ms)}

    def _count(self, token: str, most: int, now_ms: int) -> None:
        while self._looked_up and now_ms - self._looked_up[0][0] > LOOKUPS_MS:
            self._looked_up.popleft()
        # The same customer asked for again is no guess.
        if any(before == token for _, before in self._looked_up):
            return
        if len(self._looked_up) >= most:
            raise TooManyLookups(
                "Many phone numbers were looked up here. Scan the card or the app, or try again in ten minutes.",
                most=most,
            )
        self._looked_up.append((now_ms, token))


def too_weak(most: int) -> str:
    """For the cashier: what such a card may do, and what to ask for instead."""
    if most == 0:
        return "Shown like this a card collects points, but spends none. Ask for the app's moving code or the card."
    return f"Shown like this a card spends at most {most} points. Ask for the app's moving code or the card for more."


def _is_fresh(at_ms: int, now_ms: int) -> bool:
    return now_ms - at_ms <= KEPT_MS


def _replayed() -> CardUnreadable:
    said = rejected("token_replayed")
    return CardUnreadable(said.say, reason=said.reason)


def _keep(memory: OrderedDict[str, Value], key: str, value: Value) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > MOST_KEPT:
        memory.popitem(last=False)
