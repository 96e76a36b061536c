"""What happens to members and their cards at a till: joined, a card given or blocked, consent, a receipt claimed.

None of it moves points. Whose card it is, and what of a claim is granted, head office says; see docs/members.md.
Nothing here says who a person is: that travels beside the event, sealed, and the event holds only its hash.
Source: house.md section 3, the table of events; fraud-privacy.md 3.
"""

from typing import Annotated, Literal

import msgspec

from loyalty.baskets import Place
from loyalty.cards.card_keys import CardName
from loyalty.cards.card_numbers import NumberUsed
from loyalty.facts.receipts import EMPTY

Token = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
Last4 = Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z]{0,4}$")]
AskedOn = Literal["customer_display", "kiosk", "print", "cashier"]
CardWhat = Literal["issued", "replaced", "blocked"]
ConsentWhat = Literal["given", "confirmed", "withdrawn"]


class ConsentSaid(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a customer said to one thing that was asked, with its evidence: which text they read, in which language.

    `code` is what confirms it, without its check; "" where nothing has to be confirmed.
    """

    purpose: str
    channel: str
    version: str
    language: str
    given: bool
    code: str = ""


class Enrolled(msgspec.Struct, frozen=True, kw_only=True, tag="enrolment.v1", tag_field="type", omit_defaults=True):
    """A new member with a card.

    Attributes:
        number: the place of the till's own span that the card's number is of; none for a printed card.
        sealed_sha256: of the personal data that travels beside it; "" where none was given.
    """

    receipt_id: str
    place: Place
    card_token: Token
    kind: str
    last4: Last4 = ""
    number: NumberUsed | None = None
    language: str = ""
    consents: tuple[ConsentSaid, ...] = ()
    asked_on: AskedOn = "cashier"
    sealed_sha256: str = ""
    detail: msgspec.Raw = EMPTY


class CardChanged(msgspec.Struct, frozen=True, kw_only=True, tag="card.v1", tag_field="type", omit_defaults=True):
    """A card given to a member (`card_token`), one put in the place of another, or one not to be served any more.

    Attributes:
        other_token: of a card issued, one that the member has; of a replacement, the old one, which is blocked.
        reason: of a block or replacement: lost, stolen, damaged, or a word of the shop's.
    """

    receipt_id: str
    place: Place
    what: CardWhat
    card_token: Token
    other_token: Token | None = None
    kind: str = ""
    last4: Last4 = ""
    number: NumberUsed | None = None
    reason: str = ""
    detail: msgspec.Raw = EMPTY

    @property
    def blocked_token(self) -> str | None:
        """The card that is not served any more."""
        return {"issued": None, "replaced": self.other_token, "blocked": self.card_token}[self.what]


class ConsentChanged(msgspec.Struct, frozen=True, kw_only=True, tag="consent.v1", tag_field="type", omit_defaults=True):
    """A consent given, confirmed or withdrawn, after joining.

    A confirmation names its consent by `said.code` alone, for whoever holds the code may confirm it at any till.
    """

    receipt_id: str
    place: Place
    what: ConsentWhat
    card_token: Token | None = None
    said: ConsentSaid
    asked_on: AskedOn = "customer_display"
    detail: msgspec.Raw = EMPTY


class ReceiptNamed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A receipt by what is printed on it; `store` and `till` as printed, ids or labels.

    `record` is the eight digits of its hash that are printed, "" where they cannot be read.
    """

    receipt_id: str
    store: str = ""
    till: str = ""
    sold_at: str = ""
    total_minor: int | None = None
    record: str = ""


class Claimed(msgspec.Struct, frozen=True, kw_only=True, tag="claim.v1", tag_field="type", omit_defaults=True):
    """A receipt without a card that is brought with one later. Head office decides; see `central.intake.claims`.

    `till_id` is the till of the receipt where this one knows it. `points` are what this till worked out, none where it
    has not the receipt.
    """

    receipt_id: str
    place: Place
    card_token: Token
    named: ReceiptNamed
    till_id: str = ""
    points: int | None = None
    last4: Last4 = ""
    detail: msgspec.Raw = EMPTY


class DeskDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who did it, and whether head office was out of reach; who approved it is stamped beside (`loyalty.approvals`)."""

    cashier: str = ""
    offline: bool = False


class CardNamed(msgspec.Struct, frozen=True, kw_only=True, tag="card_named.v1", tag_field="type", omit_defaults=True):
    """The names of one card under the keys that a till holds, oldest first, said before whatever it writes of the card.

    Source: docs/decisions/card-goes-by-two-names.md.
    """

    receipt_id: str
    place: Place
    names: Annotated[tuple[CardName, ...], msgspec.Meta(min_length=1, max_length=10)]
    kind: str = ""
    last4: Last4 = ""
    detail: msgspec.Raw = EMPTY

    @property
    def card_token(self) -> str:
        """The name that the card goes by."""
        return self.names[0].token


MemberEvent = Enrolled | CardChanged | CardNamed | ConsentChanged | Claimed


def tokens_of(event: MemberEvent) -> tuple[str, ...]:
    """The cards that an event names."""
    if isinstance(event, CardNamed):
        return tuple(name.token for name in event.names)
    other = event.other_token if isinstance(event, CardChanged) else None
    return tuple(token for token in (event.card_token, other) if token)


def owned_tokens(event: MemberEvent) -> tuple[str, ...]:
    """Of these, the cards that have an account, or get one, whatever the event does; a card that is given to a member
    gets theirs."""
    if isinstance(event, CardChanged):
        return (event.other_token,) if event.other_token else ()
    return (event.card_token,) if event.card_token else ()
