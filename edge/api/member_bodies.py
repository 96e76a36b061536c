"""Bodies and answers of the counter's requests about members, cards, consents and claims; see docs/members.md."""

from typing import Annotated, Literal

import msgspec

from edge.api.answers import Answer
from edge.api.bodies import NO_ZERO, Body, Id, Scan, When
from loyalty.facts.member_events import AskedOn

Birthday = Annotated[str, msgspec.Meta(pattern="^((0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?$")]
Personal = Annotated[str, msgspec.Meta(max_length=200)]
Named = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=NO_ZERO)]
Printed = Annotated[str, msgspec.Meta(max_length=80, pattern=NO_ZERO)]
Reason = Annotated[str, msgspec.Meta(max_length=80, pattern=NO_ZERO)]
Version = Annotated[str, msgspec.Meta(max_length=40, pattern=NO_ZERO)]
Record = Annotated[str, msgspec.Meta(max_length=20, pattern=NO_ZERO)]


class PersonBody(Body, frozen=True, kw_only=True):
    """Who somebody is; sealed to head office at once, and kept nowhere here."""

    name: Personal = ""
    phone: Personal = ""
    email: Personal = ""
    birthday: Birthday = ""

    def __repr__(self) -> str:
        return "PersonBody(…)"


class ConsentBody(Body, frozen=True, kw_only=True):
    """What the customer said to one thing that was asked."""

    purpose: Named
    channel: Named = "none"
    version: Version = ""
    given: bool = False


class EnrolBody(When, frozen=True, kw_only=True):
    """POST /v1/members: a new member. `card` none gives a number of the till's own."""

    enrol_id: Id
    card: Scan | None = None
    person: PersonBody | None = None
    consents: Annotated[tuple[ConsentBody, ...], msgspec.Meta(max_length=20)] = ()
    asked_on: AskedOn = "cashier"


class CardBody(When, frozen=True, kw_only=True):
    """POST /v1/cards: one more card for a member, one in place of another, or one blocked."""

    card_id: Id
    what: Literal["issue", "replace", "block"]
    card: Scan | None = None
    old_card: Scan | None = None
    member_card: Scan | None = None
    reason: Reason = ""


class FindBody(Body, frozen=True, kw_only=True):
    """POST /v1/members/find: by telephone or e-mail, asked of head office and kept nowhere."""

    phone: Personal = ""
    email: Personal = ""


class ConsentAskBody(When, frozen=True, kw_only=True):
    """POST /v1/consents: given, or withdrawn."""

    consent_id: Id
    card: Scan
    purpose: Named
    channel: Named = "none"
    version: Version = ""
    given: bool
    asked_on: AskedOn


class ConfirmBody(When, frozen=True, kw_only=True):
    """POST /v1/consents/confirm: the code from the slip."""

    confirm_id: Id
    code: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    asked_on: AskedOn


class PrintedReceipt(Body, frozen=True, kw_only=True):
    """A receipt by what is printed on it."""

    receipt_id: Id
    store: Printed = ""
    till: Printed = ""
    sold_at: Annotated[
        str, msgspec.Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}[^\x00\n]{0,20})?$")
    ] = ""
    total_minor: int | None = None
    record: Record = ""


class ClaimBody(When, frozen=True, kw_only=True):
    """POST /v1/claims: a receipt of this till, or what is printed on one of another."""

    claim_id: Id
    card: Scan
    receipt_id: Id | None = None
    record: Record = ""
    printed: PrintedReceipt | None = None


# Answers


class ConsentSaidBack(Answer, frozen=True, kw_only=True):
    """A consent as it was written; `confirm_code` is to be printed or sent to the customer."""

    consent_id: str
    purpose: str
    channel: str
    version: str
    state: Literal["given", "to_confirm", "confirmed", "withdrawn"]
    confirm_code: str = ""
    confirm_url: str = ""


class MemberMade(Answer, frozen=True, kw_only=True):
    """A new member. `card_number` is to be handed over; it is kept nowhere."""

    enrol_id: str
    card_token: str
    card_number: str
    last4: str
    state: Literal["provisional"]
    say: str
    consents: tuple[ConsentSaidBack, ...]
    offline: bool
    record: str
    replayed: bool


class CardDone(Answer, frozen=True, kw_only=True):
    """A card given or blocked."""

    card_id: str
    what: str
    card_token: str
    card_number: str
    last4: str
    blocked_token: str | None
    say: str
    approved_by: str
    offline: bool
    record: str
    replayed: bool


class FoundSaid(Answer, frozen=True, kw_only=True):
    """A card of a member who was found."""

    card_token: str
    last4: str


class FoundAll(Answer, frozen=True, kw_only=True):
    """The cards in use of whoever was asked for."""

    found: tuple[FoundSaid, ...]
    say: str


class ConsentDone(Answer, frozen=True, kw_only=True):
    """A consent given, confirmed or withdrawn."""

    consent: ConsentSaidBack
    say: str
    offline: bool
    record: str
    replayed: bool


class ConsentStanding(Answer, frozen=True, kw_only=True):
    """What stands of one purpose and channel."""

    purpose: str
    channel: str
    state: Literal["given", "to_confirm", "withdrawn"]
    version: str
    since: str
    asked_on: str


class ConsentsSaid(Answer, frozen=True, kw_only=True):
    """What stands of a card's consents; not `complete` without the line."""

    consents: tuple[ConsentStanding, ...]
    complete: bool
    say: str


class ClaimSaid(Answer, frozen=True, kw_only=True):
    """A claim. `points` are this till's until head office has decided; none where it has not the receipt."""

    claim_id: str
    state: Literal["provisional", "granted", "refused"]
    points: int | None
    reason: str
    of_receipt: str
    say: str
    offline: bool
    record: str
    replayed: bool


class ConsentOffer(Answer, frozen=True, kw_only=True):
    """One thing to ask, with the text in the language wanted, or the first that there is."""

    purpose: str
    channel: str
    version: str
    language: str
    double_opt_in: bool
    text: str


class ClaimsOffer(Answer, frozen=True, kw_only=True):
    """What may be claimed later."""

    within_days: int
    per_card_per_day: int


class EnrolmentSaid(Answer, frozen=True, kw_only=True):
    """What a customer may be asked now."""

    may_enrol: bool
    numbers_left: int
    may_seal: bool
    offline: bool
    say: str
    consents: tuple[ConsentOffer, ...]
    claims: ClaimsOffer | None
