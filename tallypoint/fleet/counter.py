"""What customers want at a counter besides shopping: to join, another card, a consent noted, a receipt claimed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from msgspec.structs import replace

from edge.members.asks import CardAsk, ClaimAsk, ConfirmAsk, ConsentAnswer, ConsentAsk, EnrolAsk, Handed
from edge.members.claiming import claim_receipt
from edge.members.consenting import confirm_consent, give_consent
from edge.members.giving_cards import change_card, enrol_member, mark_of_person
from edge.sale.asks import Written
from loyalty.cards.confirming import read_confirm_code_of
from loyalty.facts.member_events import ReceiptNamed
from sync.desk import Person
from tallypoint.fleet.asking import First, Supervisor
from tallypoint.fleet.customers import Customers, Kept, worth
from tallypoint.fleet.machine import Machine
from tallypoint.fleet.record import Claim, Given, Kind, Place, Record, Said, Told, Who

PERSON = "Nobody Known"  # how everybody who joins is called
TERMS, OFFERS = ("terms", "none"), ("marketing", "email")
Do = Callable[[Machine], None]


class Counter:
    """The counter of one POS. Each doing makes up its ids once, so that asking again is a retry."""

    def __init__(self, name: str, dice: Random, customers: Customers, record: Record) -> None:
        self._name, self._dice, self._customers, self._record = name, dice, customers, record
        self._numbers = 0

    def join(self) -> Do:
        """A new member, who may say who they are and whether they want offers."""
        event_id, at = self._id("j"), First()
        wanted = [TERMS] + ([OFFERS] if self._dice.random() < 0.5 else [])
        person = Person(name=f"{PERSON} {event_id}") if self._dice.random() < 0.5 else None

        def do(machine: Machine) -> None:
            ask = EnrolAsk(
                sold_at_ms=at.ms(machine), enrol_id=event_id, asked_on="customer_display",
                person_mark=mark_of_person(machine.till, person),
                consents=tuple(_answer(*name, given=True) for name in wanted),
            )  # fmt: skip
            done = enrol_member(machine.till, ask, person, machine.counter)
            if self._tell("join", event_id, done, done.card_token):
                self._given(Given(_place(done), event_id, done.card_token, None, done.number))
                for one in done.consents:
                    name = (one.purpose, one.channel)
                    self._said(Said(_place(done), "given", done.card_token, *name, at.ms(machine), one.code))

        return do

    def card(self) -> Do:
        """Another card for a member, one in place of a lost one, or a card that is not to be served any more."""
        event_id, at, supervisor = self._id("k"), First(), Supervisor()
        carried = self._dice.choice(self._customers.cards)
        what: Any = self._dice.choice(("issued", "replaced", "replaced", "blocked"))

        def do(machine: Machine) -> None:
            ask = CardAsk(
                sold_at_ms=at.ms(machine), card_id=event_id, what=what, reason="lost",
                card=Handed(token=carried.token) if what == "blocked" else None,
                other_token=None if what == "blocked" else carried.token,
            )  # fmt: skip
            done = supervisor.send(lambda said: change_card(machine.till, replace(ask, override=said), machine.counter))
            if not self._tell("card", event_id, done, carried.who, approved=supervisor.said is not None):
                return
            gone = "" if what == "issued" else carried.token
            if what == "blocked":
                self._record.given.append(Given(_place(done), event_id, "", None, gone=gone))
            else:
                self._given(Given(_place(done), event_id, done.card_token, carried.who, done.number, gone))
            if gone:
                self._customers.lay_down(carried)

        return do

    def consent(self) -> Do:
        """A consent given or withdrawn after joining."""
        event_id, at, carried = self._id("c"), First(), self._dice.choice(self._customers.cards)
        name, is_given = self._dice.choice((TERMS, OFFERS, OFFERS)), self._dice.random() < 0.6

        def do(machine: Machine) -> None:
            done = give_consent(machine.till, ConsentAsk(
                sold_at_ms=at.ms(machine), consent_id=event_id, card_token=carried.token,
                said=_answer(*name, given=is_given), asked_on="customer_display",
            ))  # fmt: skip
            if self._tell("consent", event_id, done, carried.who):
                what = "given" if is_given else "withdrawn"
                self._said(Said(_place(done), what, carried.who, *name, at.ms(machine), done.consent.code))

        return do

    def confirm(self) -> Do:
        """The code of a consent is entered, at whichever till."""
        event_id, at = self._id("f"), First()
        code = self._dice.choice(self._customers.codes) if self._customers.codes else ""

        def do(machine: Machine) -> None:
            number = read_confirm_code_of(machine.till.identity.card_keys.accepted, code)
            if number is None:
                return
            done = confirm_consent(machine.till, ConfirmAsk(
                sold_at_ms=at.ms(machine), confirm_id=event_id, number=number, asked_on="customer_display"
            ))  # fmt: skip
            if self._tell("consent", event_id, done):
                self._said(Said(_place(done), "confirmed", 0, "", "", at.ms(machine), code))
                self._customers.codes = [one for one in self._customers.codes if one != code]

        return do

    def claim(self) -> Do:
        """A receipt that was made without a card is brought with one, at its own till or at another."""
        event_id, at, supervisor = self._id("l"), First(), Supervisor()
        carried = self._dice.choice(self._customers.cards)
        kept = self._dice.choice(self._customers.kept) if self._customers.kept else None

        def do(machine: Machine) -> None:
            if kept is None or kept.receipt_id in self._customers.claimed:
                return
            is_ours = kept.place.till_id == machine.identity.till_id
            ask = ClaimAsk(
                sold_at_ms=at.ms(machine), claim_id=event_id, card=Handed(token=carried.token), of_ours=is_ours,
                named=ReceiptNamed(receipt_id=kept.receipt_id) if is_ours else _printed(kept),
            )  # fmt: skip
            made = supervisor.send(lambda said: claim_receipt(machine.till, replace(ask, override=said)))
            points = worth(kept.lines)
            if made.points not in (None, points):
                self._record.wrongs.append(f"claim: {event_id} is told {made.points} points for goods worth {points}")
            if self._tell("claim", event_id, made, carried.who, approved=supervisor.said is not None):
                days = (kept.place.business_date, _date(at.ms(machine)))
                self._record.claims.append(
                    Claim(_place(made), carried.who, kept.place.till_id, kept.receipt_id, points, days)
                )
                self._record.trade(self._customers.person_of(carried.who), earned=points, spent=0)
                self._customers.claim(kept)

        return do

    # What was told

    def _tell(self, kind: Kind, event_id: str, done: Written, who: Who = 0, *, approved: bool = False) -> bool:
        return self._record.tell(Told(_place(done), kind, event_id, who, approved=approved))

    def _given(self, given: Given) -> None:
        self._record.given.append(given)
        if given.number and self._customers.token_of(given.number) != given.token:
            self._record.wrongs.append(f"card: the number of {given.event_id} is not that of its token")
        if given.number:
            self._customers.carry(given.number, given.token, given.other)

    def _said(self, said: Said) -> None:
        self._record.said.append(said)
        if said.code and said.what == "given":
            self._customers.codes.append(said.code)

    def _id(self, letter: str) -> str:
        self._numbers += 1
        return f"{self._name}-{letter}{self._numbers}"


def _answer(purpose: str, channel: str, *, given: bool) -> ConsentAnswer:
    return ConsentAnswer(purpose=purpose, channel=channel, version="v1", given=given)


def _printed(kept: Kept) -> ReceiptNamed:
    place = kept.place
    minute = datetime.fromtimestamp(place.sold_at_ms // 1000, UTC) + timedelta(minutes=place.offset_min)
    return ReceiptNamed(
        receipt_id=kept.receipt_id, store=place.store_id, till=kept.label, sold_at=f"{minute:%Y-%m-%dT%H:%M}",
        total_minor=kept.total_minor,
    )  # fmt: skip


def _date(at_ms: int) -> Any:
    return datetime.fromtimestamp(at_ms // 1000, UTC).date()


def _place(done: Written) -> Place:
    return (done.head.till_id, done.head.epoch, done.head.seq, done.head.hash)
