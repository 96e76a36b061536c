"""The customers of all shops: the cards they carry, the codes they were given, the receipts they kept.

They are outside every till, so what they hold is what tills once told them.
"""

import hashlib
import hmac
from typing import NamedTuple

from loyalty.baskets import Line, Place
from tallypoint.fleet.record import Who

PER_MINOR = 250  # the fleet's programme: a point for so many minor units paid
MILK_OFF_BP = 1_000
VOUCHER = "voucher"
MOST_KEPT = 20


class Carried(NamedTuple):
    """A card in somebody's pocket: its number, its token, and under whom its points are counted."""

    number: str
    token: str
    who: Who


class Kept(NamedTuple):
    """A receipt without a card that a customer kept."""

    label: str
    place: Place
    receipt_id: str
    lines: tuple[Line, ...]
    total_minor: int


class Customers:
    """What all of them carry.

    Args:
        card_key: the programme's, under which a card's number makes its token.
        cards: the numbers of the members from the beginning; `accounts`: their accounts by token.

    Attributes:
        person: by card given meanwhile, whose it is from then on, for what is spent and earned together.
        numbers: of cards given meanwhile.
        gifts: codes of gift certificates; `codes`: of consents that wait to be confirmed.
        kept: receipts without a card; `claimed`: ids of those that were brought with one.
    """

    def __init__(self, card_key: bytes, cards: tuple[str, ...], accounts: dict[str, int]) -> None:
        self._card_key = card_key
        self.cards: list[Carried] = []
        for number in cards:
            token = self.token_of(number)
            self.cards.append(Carried(number, token, accounts[token]))
        self._who: dict[str, Who] = {}
        for card in self.cards:
            self._who |= {card.number: card.who, card.token: card.who}
        self.person: dict[Who, Who] = {}
        self.numbers: set[str] = set()
        self.gifts: list[str] = []
        self.codes: list[str] = []
        self.kept: list[Kept] = []
        self.claimed: set[str] = set()
        self._came_back: set[str] = set()

    def token_of(self, number: str) -> str:
        """What stands for a card's number: HMAC-SHA-256 over its kind and itself, 16 bytes of it."""
        return hmac.digest(self._card_key, b"ean13\0" + number.encode(), hashlib.sha256)[:16].hex()

    def gift_token(self, code: str) -> str:
        """What stands for the code of a gift certificate."""
        return hmac.digest(self._card_key, b"code\0" + code.encode(), hashlib.sha256)[:16].hex()

    def who(self, card: str | None) -> Who:
        """Under whom the points of a card are counted, by its number or token; 0 for no card."""
        return self._who[card] if card else 0

    def person_of(self, who: Who) -> Who:
        """Whose points these are, with all their cards."""
        while who in self.person:
            who = self.person[who]
        return who

    def carry(self, number: str, token: str, other: Who | None) -> None:
        """A card was handed over: somebody's from now on."""
        self.numbers.add(number)
        if number in self._who:
            return  # a till that was put back gave it once more
        self._who |= {number: token, token: token}
        self.cards.append(Carried(number, token, token))
        if other is not None:
            self.person[token] = other

    def lay_down(self, card: Carried) -> None:
        """A card is not carried any more; somebody always carries one."""
        if card in self.cards and len(self.cards) > 1:
            self.cards.remove(card)

    def keep(self, receipt: Kept) -> None:
        """A receipt is kept, and the oldest thrown away."""
        if receipt.receipt_id in self._came_back:
            return  # a till that was put back sold it once more
        self.kept = [*self.kept[1 - MOST_KEPT :], receipt]

    def came_back(self, receipt_id: str) -> None:
        """Nobody claims a receipt whose goods came back."""
        self.kept = [one for one in self.kept if one.receipt_id != receipt_id]
        self._came_back.add(receipt_id)

    def claim(self, receipt: Kept) -> None:
        """A receipt was claimed, and is not carried any more."""
        self.kept = [one for one in self.kept if one is not receipt]
        self.claimed.add(receipt.receipt_id)


def worth(lines: tuple[Line, ...]) -> int:
    """Points of goods bought with a card: a tenth off milk, half a minor unit rounded up, then a point for each 250."""
    paid = 0
    for line in lines:
        if line.sku == VOUCHER:
            continue
        off = (line.amount_minor * MILK_OFF_BP + 5_000) // 10_000 if line.sku == "milk" else 0
        paid += line.amount_minor - off
    return paid // PER_MINOR
