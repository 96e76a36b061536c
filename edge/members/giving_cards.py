"""A new member, a card for a member, a card in place of another, a card blocked: with the line and without it.

Whom a card belongs to says head office once it has the event. Here a new card earns at once under its token, and a
blocked one is not served from the very transaction on. Numbers come out of the till's own spans. Source:
docs/members.md.
"""

import hmac
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from edge.journal.journal import Entry
from edge.line.counter_line import CounterLine
from edge.members.asks import (
    CardAsk,
    CardGiven,
    CardTaken,
    EnrolAsk,
    Handed,
    NotSealable,
    NumbersOut,
    SameCard,
)
from edge.members.consenting import as_said, check_given, written_of
from edge.refusals import CardBlocked, IdReused
from edge.sale.approving import approve
from edge.sale.asked_before import hashes_before, tokens_before
from edge.sale.asks import Asked, ask_sha256
from edge.sale.recalling import check_id, check_same, record_of
from edge.sale.till import Till
from loyalty.approvals import Action, Override, stamped
from loyalty.cards.card_numbers import NumberSpan, NumberUsed, card_at, number_key
from loyalty.cards.cards import Card, typed_number
from loyalty.facts.events import Event
from loyalty.facts.member_events import CardChanged, DeskDetail, Enrolled
from loyalty.trouble import InvariantBroken
from sync.chain import StreamHead
from sync.desk import Person, Sealed

AnyCardAsk = TypeVar("AnyCardAsk", EnrolAsk, CardAsk)


class _Card(msgspec.Struct, frozen=True, kw_only=True):
    """The card that is given: one that was handed over, or one of the till's own numbers."""

    token: str
    kind: str
    last4: str
    used: NumberUsed | None = None
    number: str = ""


def enrol_member(till: Till, ask: EnrolAsk, person: Person | None, line: CounterLine | None) -> CardGiven:
    """Make a new member with a card; the same ask again is answered the same.

    Args:
        person: who they are; sealed at once, so neither kept nor read again.
    Raises:
        IdReused, IdReserved. CardTaken: the card is somebody's. CardBlocked. NumbersOut. NotSealable: head office's key
        is not known here yet. ConsentUnknown, ConsentOtherText, ConsentNotByCashier. JournalFull, BadTime, NoProgramme.
    """
    check_id(ask.enrol_id)
    ask, approval = approve(till.approver, till.journal, ask, ask.enrol_id)
    sha = ask_sha256(ask)
    if (before := till.journal.find(ask.enrol_id)) is not None:
        return _again(till, before, sha, _hashes_before(till, ask))
    for said in ask.consents:
        check_given(till, said, ask.asked_on)
    sealed = _sealed(person, ask.enrol_id, line)
    if ask.card is None and line is not None and not till.journal.members.numbers_left():
        line.fetch_numbers()
    with till.journal.writing():
        if (before := till.journal.find(ask.enrol_id)) is not None:
            return _again(till, before, sha, _hashes_before(till, ask))
        card = _card(till, ask.card, ask.enrol_id)
        till.names.say(till.place(ask), card.token)
        event = Enrolled(
            receipt_id=ask.enrol_id,
            place=till.place(ask),
            card_token=card.token,
            kind=card.kind,
            last4=card.last4,
            number=card.used,
            language=ask.language or till.settings.language,
            consents=tuple(as_said(till, said, ask.enrol_id, ask.language) for said in ask.consents if said.given),
            asked_on=ask.asked_on,
            sealed_sha256=sealed.sha256 if sealed else "",
            detail=_detail(till, ask, approval),
        )
        head = till.journal.append(event, ask_sha256=sha)
        till.journal.members.keep_given(card.token, ask.enrol_id)
        if event.consents:
            till.journal.members.keep_consent(ask.enrol_id, card.token)
        if sealed is not None:
            till.journal.members.keep_sealed(ask.enrol_id, sealed)
    till.on_written()
    return _given(till, event, head, replayed=False)


def change_card(till: Till, ask: CardAsk, line: CounterLine | None) -> CardGiven:
    """Give a member a card, put one in the place of another, or block one; the same ask again is answered the same.

    Raises:
        As `enrol_member`, and SameCard; OverrideWanted, OverrideWrong, OverrideLocked: a supervisor must approve it.
    """
    check_id(ask.card_id)
    ask, approval = approve(till.approver, till.journal, ask, ask.card_id)
    sha = ask_sha256(ask)
    if ask.what != "blocked" and ask.card is None and line is not None and not till.journal.members.numbers_left():
        line.fetch_numbers()
    with till.journal.writing():
        if (before := till.journal.find(ask.card_id)) is not None:
            return _again(till, before, sha, _hashes_of_change(till, ask))
        event = _change(till, ask, _approved(till, ask, approval))
        till.names.say(event.place, event.other_token, event.card_token)
        head = till.journal.append(event, ask_sha256=sha)
        if event.what != "blocked":
            till.journal.members.keep_given(event.card_token, ask.card_id)
        if event.blocked_token is not None:
            till.journal.members.keep_block(event.blocked_token, head.seq, ask.reason or "blocked")
    till.on_written()
    return _given(till, event, head, replayed=False)


def mark_of_person(till: Till, person: Person | None) -> str:
    """What a retry is known by; nobody without this till's secret could try names against it."""
    if person is None:
        return ""
    return hmac.digest(till.identity.genesis, b"TP-PERSON" + msgspec.json.encode(person), "sha256").hex()


def _change(till: Till, ask: CardAsk, approval: Override | None) -> CardChanged:
    if ask.what == "blocked":
        assert ask.card is not None
        card = _Card(token=ask.card.token, kind=ask.card.kind, last4=ask.card.last4)
    else:
        if ask.other_token is not None:
            _check_serves(till, ask.other_token, lost=ask.what == "replaced")
        if ask.card is not None and ask.card.token == ask.other_token:
            raise SameCard("The new card is the old one. Scan the card that is handed over.")
        card = _card(till, ask.card, ask.card_id)
    return CardChanged(
        receipt_id=ask.card_id,
        place=till.place(ask),
        what=ask.what,
        card_token=card.token,
        other_token=ask.other_token,
        kind=card.kind,
        last4=card.last4,
        number=card.used,
        reason=ask.reason,
        detail=_detail(till, ask, approval),
    )


def _approved(till: Till, ask: CardAsk, approval: Override | None) -> Override | None:
    wanted: dict[str, Action] = {"blocked": "card_block", "replaced": "card_replace"}
    return till.approver.wanted({wanted[ask.what]: 0} if ask.what in wanted else {}, approval)


def _check_serves(till: Till, token: str, *, lost: bool) -> None:
    """A card that is blocked gets no second one; one that is to be replaced may be blocked already."""
    if (reason := till.names.blocked(token)) and not lost:
        raise CardBlocked("This card is blocked. Send the member to customer service.", reason=reason)


def _card(till: Till, card: Handed | None, event_id: str) -> _Card:
    """The card that is handed over, provided that nobody has it; or the next number of the till's own."""
    if card is None:
        return _own_number(till, event_id)
    if any(_is_given(till, name) for name in till.names.all_of(card.token)):
        raise CardTaken("This card belongs to a member already. Take another card, or sell with this one.")
    if reason := till.names.blocked(card.token):
        raise CardBlocked("This card is blocked. Put it aside and take another card.", reason=reason)
    return _Card(token=card.token, kind=card.kind, last4=card.last4)


def _is_given(till: Till, token: str) -> bool:
    return till.cache.has_card(token) or till.journal.members.given(token) is not None


def _own_number(till: Till, event_id: str) -> _Card:
    """Raises: NumbersOut."""
    if till.is_training:
        raise NumbersOut("Training gives no numbers away. Practise with a printed card.")
    if till.journal.outbox.is_resting():
        raise NumbersOut(
            "This till waits for head office, so it gives no card numbers. Hand over a printed card, or try later."
        )
    kept, keys = till.journal.members, till.identity.card_keys

    def is_free(span: NumberSpan, place: int) -> bool:
        key = keys.find(span.card_key_id)
        if key is None:
            return False
        names = keys.every_name_of(card_at(number_key(key.secret), span, place))
        return not any(_is_given(till, name.token) for name in names)

    about = bytes.fromhex(till.journal.head().hash) + event_id.encode()
    drawn = kept.draw(till.identity.till_id, till.identity.genesis, about, is_free)
    if drawn is None:
        raise NumbersOut(
            "This till has no card numbers left. Hand over a printed card, or wait until head office is reached."
        )
    span, place = drawn
    card = _card_of(till, span, place)
    return _Card(
        token=till.names.token_of(card),
        kind=card.kind,
        last4=card.last4,
        used=NumberUsed(span_no=span.span_no, place=place, prefix=span.prefix),
        number=typed_number(card),
    )


def _number_of(till: Till, used: NumberUsed | None) -> str:
    """The number of a card that was given here, as it was answered; "" where its span is of an earlier epoch, or of a
    key that a head office put back from a backup does not have."""
    span = till.journal.members.span(till.identity.till_id, used.span_no) if used else None
    if span is None or used is None or not span.first <= used.place <= span.last:
        return ""
    if till.identity.card_keys.find(span.card_key_id) is None:
        return ""
    return typed_number(_card_of(till, span, used.place))


def _card_of(till: Till, span: NumberSpan, place: int) -> Card:
    """The card of a place of a span whose key is here."""
    key = till.identity.card_keys.find(span.card_key_id)
    if key is None:
        raise InvariantBroken("a span of numbers is scattered under a key that is not here", key_id=span.card_key_id)
    return card_at(number_key(key.secret), span, place)


def _sealed(person: Person | None, event_id: str, line: CounterLine | None) -> Sealed | None:
    if person is None:
        return None
    sealed = line.seal(person, event_id) if line is not None else None
    if sealed is None:
        raise NotSealable(
            "Names and addresses cannot be taken before head office was reached once. Join without them; they can be"
            " added in the app."
        )
    return sealed


def _detail(till: Till, ask: Asked, approval: Override | None) -> msgspec.Raw:
    detail = DeskDetail(cashier=ask.cashier, offline=till.is_offline())
    return stamped(msgspec.Raw(msgspec.json.encode(detail)), approval)


def _hashes_before(till: Till, ask: AnyCardAsk) -> Iterator[str]:
    return hashes_before(till.names, ask, ask.card.token if ask.card else None, _with_card)


def _hashes_of_change(till: Till, ask: CardAsk) -> Iterator[str]:
    for token in tokens_before(till.names, ask.other_token):
        yield from _hashes_before(till, msgspec.structs.replace(ask, other_token=token))


def _with_card(ask: AnyCardAsk, token: str | None) -> AnyCardAsk:
    return msgspec.structs.replace(ask, card=msgspec.structs.replace(ask.card, token=token)) if ask.card else ask


def _again(till: Till, before: Entry, sha: str, earlier: Iterable[str]) -> CardGiven:
    check_same(before, sha, earlier)
    return _given(till, before.event, before.head, replayed=True)


def _given(till: Till, event: Event, head: StreamHead, *, replayed: bool) -> CardGiven:
    if not isinstance(event, Enrolled | CardChanged):
        raise IdReused("This id stands for something else than a card.", receipt_id=event.receipt_id)
    number = _number_of(till, event.number) if head.epoch == till.identity.epoch else ""
    return CardGiven(
        card_token=event.card_token,
        number=number,
        last4=event.last4,
        what="enrolled" if isinstance(event, Enrolled) else event.what,
        blocked_token=None if isinstance(event, Enrolled) else event.blocked_token,
        consents=written_of(till, event) if isinstance(event, Enrolled) else (),
        head=head,
        record=record_of(head),
        replayed=replayed,
    )
