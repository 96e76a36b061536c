"""What the counter asks about members and cards, and what is answered, without HTTP.

Card numbers have become tokens here, and a person a keyed mark by which a retry is known: what is hashed or kept says
neither. Source: docs/members.md.
"""

import msgspec

from edge.refusals import NotOurCard
from edge.sale.asks import Asked, Written
from edge.sale.knowing import scan
from edge.sale.till import Till
from loyalty.cards.cards import Card, Code
from loyalty.facts.member_events import AskedOn, CardWhat, ConsentWhat, ReceiptNamed
from loyalty.trouble import Refusal
from sync.desk import ConsentNow


class CardTaken(Refusal):
    code = "members.card_is_taken"


class CardUnknownHere(Refusal):
    code = "members.card_unknown"


class NumbersOut(Refusal):
    code = "members.no_numbers"


class NotSealable(Refusal):
    code = "members.not_sealable"


class OfflineFind(Refusal):
    code = "members.offline"
    status = 503


class SameCard(Refusal):
    code = "members.same_card"
    status = 422


class ConsentUnknown(Refusal):
    code = "consent.unknown"
    status = 422


class ConsentOtherText(Refusal):
    code = "consent.other_text"


class ConsentNotByCashier(Refusal):
    code = "consent.not_by_cashier"
    status = 403


class ConsentWrongCode(Refusal):
    code = "consent.wrong_code"
    status = 422


class Handed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A card that lies on the counter: its token; kind and end where it was read, "" where only its token came."""

    token: str
    kind: str = ""
    last4: str = ""


class ConsentAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the customer said to one thing that was asked."""

    purpose: str
    channel: str
    version: str
    given: bool


class EnrolAsk(Asked, frozen=True, kw_only=True):
    """A new member; `card` none for a number of the till's own. `person_mark` is of who they are, "" for nothing."""

    enrol_id: str
    asked_on: AskedOn
    card: Handed | None = None
    person_mark: str = ""
    consents: tuple[ConsentAnswer, ...] = ()


class CardAsk(Asked, frozen=True, kw_only=True):
    """A card for a member, in place of another, or blocked; `card` none for a number of the till's own."""

    card_id: str
    what: CardWhat
    card: Handed | None = None
    other_token: str | None = None
    reason: str = ""


class ConsentAsk(Asked, frozen=True, kw_only=True):
    """A consent given or withdrawn."""

    consent_id: str
    card_token: str
    said: ConsentAnswer
    asked_on: AskedOn


class ConfirmAsk(Asked, frozen=True, kw_only=True):
    """A consent confirmed; `number` is the code's, without its check."""

    confirm_id: str
    number: str
    asked_on: AskedOn


class ClaimAsk(Asked, frozen=True, kw_only=True):
    """A receipt claimed with a card; `of_ours` says that it is one of this till's."""

    claim_id: str
    card: Handed
    named: ReceiptNamed
    of_ours: bool


class ConsentWritten(msgspec.Struct, frozen=True, kw_only=True):
    """A consent as it was written; `code` is what confirms it, "" where nothing has to."""

    purpose: str
    channel: str
    version: str
    what: ConsentWhat
    code: str = ""


class CardGiven(Written, frozen=True, kw_only=True):
    """A card that was given; `number` is to be handed over and kept nowhere, "" for a printed card."""

    card_token: str
    number: str
    last4: str
    what: str
    blocked_token: str | None = None
    consents: tuple[ConsentWritten, ...] = ()


class Consented(Written, frozen=True, kw_only=True):
    """A consent that was written."""

    consent: ConsentWritten


class ConsentsNow(msgspec.Struct, frozen=True, kw_only=True):
    """What stands; not `complete` where head office could not be asked and only this till's own events are known."""

    consents: tuple[ConsentNow, ...]
    complete: bool


class ClaimMade(Written, frozen=True, kw_only=True):
    """A claim; `points` are what this till worked out, none where only head office has the receipt."""

    state: str
    points: int | None
    reason: str
    of_receipt: str


def handed(till: Till, card: str) -> Handed:
    """A card that lies on the counter, whatever was sent for it.

    Raises:
        NotOurCard, PaymentCardScanned, CardUnreadable.
    """
    if len(card) == 32 and all(letter in "0123456789abcdef" for letter in card):
        return Handed(token=card)
    cards = till.current().programme.cards
    if (before := till.shown.known(cards, card)) is not None:
        return Handed(token=before.token, last4=before.last4)
    outcome = scan(till.current().programme, card, None, wallet=till.shown.wallet())
    if isinstance(outcome, Code):
        raise NotOurCard("This is not a card of the programme. Scan a card of the programme.")
    return _read(till, outcome)


def _read(till: Till, card: Card) -> Handed:
    shown = till.shown.present(till.current().programme.cards, card)
    return Handed(token=shown.token, kind=card.kind, last4=shown.last4)
