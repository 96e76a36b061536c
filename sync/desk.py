"""What a till asks head office at the counter: card numbers, a member by telephone, consents, claims; and what it
brings sealed: who a new member is.

One signed request and one signed answer, each asked again at will: nothing here moves points, so no counter refuses one
and it may overtake what is under way. Where a later ask takes the place of an earlier one the counter says which of two
is later (`hold_certificate`); 0 from tills of before this. Personal data is sealed to head office's key where it is
typed in, and bound to the event it belongs to. Source: docs/protocol.md "At the counter"; fraud-privacy.md 2 and 3.
"""

import hashlib
from typing import Annotated, Literal

import msgspec

from loyalty.cards.card_numbers import NumberSpan
from loyalty.members import AccountId
from sync.chain import Hex32, Hex64
from sync.framing import open_signed, pack
from sync.keys import PublicKeys, Signer, decrypt_from, encrypt_to, exchange_public
from sync.parked import MOST_LISTED
from sync.parked_office import OfficeBasket, OfficeRow, OfficeTaken, OfficeTold
from sync.refusals import NotOurAnswer
from sync.wire import CentreMessage, Count, SealingKey, Short, Stored, TillMessage

DESK_PATH = "/sync/v1/desk"
DESK_ASK_TAG = b"TP-DESK1\0"
DESK_ANSWER_TAG = b"TP-DESKSAID1\0"
SPAN_TAG = b"TP-NUMBERS1\0"
PERSON_TAG = b"TP-PERSON1\0"
MOST_SEALED = 8 * 1024
UNHEARD = "members.event_unheard"  # head office does not have, not yet or never, the event that it belongs to
UNREADABLE = "members.sealed_unreadable"  # what was sealed is for no key that head office has

MOST_ACCOUNTS = 200

What = Literal[
    "numbers", "sealed", "find", "consents", "claim", "park", "parked", "resume", "hold_certificate", "accounts",
    "resumed",
]  # fmt: skip
ClaimState = Literal["unknown", "asked", "granted", "refused"]


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who a member is. Never stored, logged or sent but sealed; `birthday` is MM-DD."""

    name: str = ""
    phone: str = ""
    email: str = ""
    birthday: str = ""

    def __repr__(self) -> str:
        return "Person(…)"


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that head office alone can open: the one-time key, and the ciphertext in hex."""

    exchange_key: Hex64
    body: Annotated[str, msgspec.Meta(max_length=2 * MOST_SEALED, pattern="^([0-9a-f]{2})*$")]

    @property
    def sha256(self) -> str:
        """By which an event names it; the one-time key in it makes every sealing another."""
        return hashlib.sha256(bytes.fromhex(self.exchange_key) + bytes.fromhex(self.body)).hexdigest()


class ToldAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that the till's events name, and the cards by which it was told of it."""

    account_id: AccountId
    cards: Annotated[tuple[Hex32, ...], msgspec.Meta(min_length=1, max_length=100)]


class DeskAsk(TillMessage, frozen=True, kw_only=True):
    """What is asked, and what for.

    Attributes:
        what: `numbers`: the next span, if fewer than half a span is `left`; `sealed`: take who a new member is;
            `find`: whose telephone or e-mail is this; `consents` of a card; `claim`: what became of one; `park`: keep
            a basket; `parked`: which ones wait; `resume`: give one, see `sync.parked_office`; `hold_certificate`: set
            money of one aside for this till, or, where a later ask was heard already, hear what is; `accounts`: whose
            the accounts are that the till's events name and that a restored head office may not know; `resumed`: which
            baskets the till has, told to a restored head office.
        about: of `sealed` and `claim` the id of the till's event; of `find` an id of the till's, to which it is bound.
        taken: the newest span that the till has.
        basket: that is parked; `about` of `resume` is its id, `of_till` the till that parked it.
        resumed: the baskets; with the last of them, `generation`: which one of head office it was told.
        certificate: its token; `amount_minor`: how much is to be held, 0 to give it back: of the hold that ends at
            `held_until_ms` alone, where one is named, for the till may have asked for another meanwhile.
    """

    what: What
    about: Stored = ""
    card_token: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{32})?$")] = ""
    sealed: Sealed | None = None
    left: Count = 0
    taken: Count = 0
    basket: OfficeBasket | None = None
    of_till: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{32})?$")] = ""
    resume_id: Stored = ""
    certificate: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{32})?$")] = ""
    amount_minor: Count = 0
    accounts: Annotated[tuple[ToldAccount, ...], msgspec.Meta(max_length=MOST_ACCOUNTS)] = ()
    resumed: Annotated[tuple[OfficeTaken, ...], msgspec.Meta(max_length=MOST_LISTED)] = ()
    generation: Count = 0
    held_until_ms: Count = 0


class DeskWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the counter wants to ask; as in `DeskAsk`."""

    what: What
    about: str = ""
    card_token: str = ""
    sealed: Sealed | None = None
    left: int = 0
    taken: int = 0
    basket: OfficeBasket | None = None
    of_till: str = ""
    resume_id: str = ""
    certificate: str = ""
    amount_minor: int = 0
    accounts: tuple[ToldAccount, ...] = ()
    resumed: tuple[OfficeTaken, ...] = ()
    generation: int = 0
    held_until_ms: int = 0


class CertificateHeld(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a certificate is set aside for the till that asked, and until when by head office's clock."""

    amount_minor: Count
    until_ms: int


class FoundCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card of a member who was found."""

    card_token: Hex32
    last4: Short = ""


class ConsentNow(msgspec.Struct, frozen=True, kw_only=True):
    """What stands of one purpose and channel, since when, and by which text."""

    purpose: Short
    channel: Short
    state: Literal["given", "to_confirm", "withdrawn"]
    version: Short
    since_ms: int
    asked_on: Short


class DeskAnswer(CentreMessage, frozen=True, kw_only=True):
    """The answer; what was not asked is empty. `spans` are signed messages, each a NumberSpan; `refused` is the code of
    why there are none. `took`: the sealed data is kept, or never will be (then `refused` says why)."""

    about: Short
    sealing_key: SealingKey = ""
    spans: tuple[bytes, ...] = ()
    took: bool = False
    found: tuple[FoundCard, ...] = ()
    consents: tuple[ConsentNow, ...] = ()
    claim: ClaimState = "unknown"
    claim_points: Count = 0
    claim_reason: Short = ""
    refused: Short = ""
    parked: Annotated[tuple[OfficeRow, ...], msgspec.Meta(max_length=MOST_LISTED)] = ()
    basket: OfficeTold | None = None
    held: CertificateHeld | None = None


def seal_person(person: Person, to: str, private: bytes, *, till_id: str, about: str) -> Sealed:
    """Seal to head office, for one event of one till.

    Args:
        to: head office's sealing key, 64 hex digits.
        private: 32 random bytes, used this once.
    """
    body = encrypt_to(to, private, _info(till_id, about), msgspec.json.encode(person))
    return Sealed(exchange_key=exchange_public(private), body=body.hex())


def open_person(sealed: Sealed, private: bytes, *, till_id: str, about: str) -> Person:
    """The other half of `seal_person`. Raises: BadBody, msgspec.MsgspecError."""
    plain = decrypt_from(sealed.exchange_key, private, _info(till_id, about), bytes.fromhex(sealed.body))
    return msgspec.json.decode(plain, type=Person)


def sign_span(span: NumberSpan, signer: Signer) -> bytes:
    """A span as the till keeps it."""
    return pack(SPAN_TAG, msgspec.structs.replace(span, key_no=signer.key_no), signer)


def read_span(data: bytes, keys: PublicKeys, *, till_id: str, epoch: int) -> NumberSpan:
    """A span that head office granted this till in this epoch.

    Raises:
        BadEnvelope, BadSignature, NotOurAnswer.
    """
    span, _ = open_signed(SPAN_TAG, data, NumberSpan, keys)
    if (span.till_id, span.epoch) != (till_id, epoch) or span.first > span.last:
        raise NotOurAnswer("Card numbers for another till came here.", span_no=span.span_no)
    return span


def _info(till_id: str, about: str) -> bytes:
    return PERSON_TAG + bytes.fromhex(till_id) + about.encode()
