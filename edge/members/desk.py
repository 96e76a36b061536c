"""The counter's requests about members: a body comes in, the till is asked, the POS is told what to say.

Sentences are the cashier's; each names the next step. Source: docs/members.md.
"""

import re
import threading
from typing import Any

from edge.api import contract
from edge.api.member_bodies import (
    CardBody,
    CardDone,
    ClaimBody,
    ClaimSaid,
    ClaimsOffer,
    ConfirmBody,
    ConsentAskBody,
    ConsentBody,
    ConsentDone,
    ConsentOffer,
    ConsentSaidBack,
    ConsentsSaid,
    ConsentStanding,
    EnrolBody,
    EnrolmentSaid,
    FindBody,
    FoundAll,
    FoundSaid,
    MemberMade,
    PersonBody,
)
from edge.api.telling import approver_in
from edge.counter.desk import Desk
from edge.instants import show_instant
from edge.line.counter_line import CounterLine
from edge.members.asks import (
    CardAsk,
    CardGiven,
    CardUnknownHere,
    ClaimAsk,
    ClaimMade,
    ConfirmAsk,
    ConsentAnswer,
    ConsentAsk,
    Consented,
    ConsentWritten,
    ConsentWrongCode,
    EnrolAsk,
    OfflineFind,
    handed,
)
from edge.members.claiming import claim_now, claim_receipt
from edge.members.consenting import confirm_consent, consents_now, give_consent
from edge.members.giving_cards import change_card, enrol_member, mark_of_person
from edge.refusals import BadTime, NotOurCard
from edge.sale.card_names import check_has_keys
from edge.sale.knowing import token_of
from edge.sale.shown_cards import too_weak
from edge.sale.till import Till
from loyalty.cards.confirming import read_confirm_code_of
from loyalty.document import Language
from loyalty.facts.member_events import ReceiptNamed
from loyalty.moments import DAY_MS
from loyalty.trouble import BadInput
from sync.desk import Person

AHEAD_MS = 600_000
OLDEST_MS = 7 * DAY_MS  # a POS may have kept it while the till was down
_WHAT: dict[str, Any] = {"issue": "issued", "replace": "replaced", "block": "blocked"}
_SAY_CARD = {
    "issued": "The card is the member's. It earns at once.",
    "replaced": "The old card is blocked. Points stay with the member.",
    "blocked": "The card is blocked. Points stay with the member; offer a new card.",
}
_SAY_REASON = {
    "claimed": "It was claimed already; each receipt earns once.",
    "has_card": "It was made with a card; its points are with that card.",
    "voided": "It was voided.",
    "returned": "All its goods came back.",
    "too_old": "It is too old to be claimed.",
    "too_many": "This card has claimed as many receipts today as it may. Claim it again tomorrow.",
    "receipt_unknown": "No receipt fits what was typed. Check it against the paper and claim it again.",
    "not_priceable": "It cannot be worked out any more. Send the customer to customer service.",
    "not_offered": "Receipts cannot be claimed later.",
    "member_gone": "The card's member has left the programme.",
    "receipt_set_aside": "Head office has set the receipt aside. Send the customer to customer service.",
}


class CardWanted(BadInput):
    code = "members.card_wanted"
    status = 422


class MembersDesk:
    """Members and cards at one till.

    Args:
        line: head office; none for a till that stays alone.
        confirm_url: of head office's page for confirming, "" for none; the code is put behind it.
    """

    def __init__(self, desk: Desk, line: CounterLine | None, confirm_url: str = "") -> None:
        self._desk, self._line, self._confirm_url = desk, line, confirm_url
        self._writing = threading.Lock()  # as the desk's; another one, for head office may be asked meanwhile

    def offers(self, language: Language | None) -> EnrolmentSaid:
        """What a customer may be asked now."""
        till = self._desk.till
        rules, left = till.current().programme.members, till.journal.members.numbers_left()
        wanted = language or till.settings.language
        resting = till.journal.outbox.is_resting()
        say = "" if left and not resting else "There are no card numbers here now; hand over a printed card."
        return EnrolmentSaid(
            may_enrol=not till.identity.is_wiped,
            numbers_left=0 if resting else left,
            may_seal=self._line is not None and bool(till.journal.members.sealing_key()),
            offline=self._desk.is_offline(),
            say=say,
            consents=tuple(
                ConsentOffer(
                    purpose=one.purpose,
                    channel=one.channel,
                    version=one.version,
                    double_opt_in=one.double_opt_in,
                    language=one.language_for(wanted),
                    text=one.text[one.language_for(wanted)],
                )
                for one in rules.consents
            ),
            claims=ClaimsOffer(within_days=rules.claims.within_days, per_card_per_day=rules.claims.per_card_per_day)
            if rules.claims
            else None,
        )

    def enrol(self, body: EnrolBody) -> MemberMade:
        """A new member."""
        till, line = self._at(body.training)
        person = _person(body.person)
        with self._writing:
            asked = self._said(body, body.enrol_id) if body.consents else self._asked(body, body.enrol_id)
            ask = EnrolAsk(
                **asked,
                enrol_id=body.enrol_id,
                asked_on=body.asked_on,
                card=handed(till, body.card) if body.card is not None else None,
                person_mark=mark_of_person(till, person),
                consents=tuple(_answer(one) for one in body.consents),
            )
            done = enrol_member(till, ask, None if till.is_training else person, line)
        self._desk.remember_end(done.card_token, done.last4)
        return MemberMade(
            enrol_id=body.enrol_id,
            card_token=done.card_token,
            card_number=done.number,
            last4=done.last4,
            state="provisional",
            say="Welcome. The card counts at once, on this sale too.",
            consents=tuple(self._consent(one, f"{body.enrol_id}:{one.purpose}:{one.channel}") for one in done.consents),
            offline=self._desk.is_offline(),
            record=done.record,
            replayed=done.replayed,
        )

    def card(self, body: CardBody) -> CardDone:
        """A card given or blocked."""
        till, line = self._at(body.training)
        other = body.old_card if body.what == "replace" else body.member_card if body.what == "issue" else None
        if (body.what == "block" and body.card is None) or (body.what != "block" and other is None):
            named = {"issue": "member_card", "replace": "old_card", "block": "card"}[body.what]
            raise CardWanted(f"Name the card under {named}; find it by telephone where the member has none with them.")
        with self._writing:
            ask = CardAsk(
                **self._asked(body, body.card_id),
                card_id=body.card_id,
                what=_WHAT[body.what],
                card=handed(till, body.card) if body.card is not None else None,
                other_token=handed(till, other).token if other is not None else None,
                reason=contract.without_payment(body.reason),
            )
            done = change_card(till, ask, line)
        return self._card_done(body, till, done)

    def find(self, body: FindBody) -> FoundAll:
        """Whose telephone or e-mail it is."""
        if not body.phone and not body.email:
            raise CardWanted("Give a telephone number or an e-mail address.")
        found = self._line.find(Person(phone=body.phone, email=body.email)) if self._line is not None else None
        if found is None:
            raise OfflineFind("Head office cannot be asked now. Ask for the card, or sell without it and claim later.")
        for one in found:
            self._desk.remember_end(one.card_token, one.last4)
            self._desk.till.shown.found(one.card_token)
        if not found:
            return FoundAll(found=(), say="Nobody is known by that. Check it, or offer to join.")
        cards, shown = self._desk.till.current().programme.cards, self._desk.till.shown
        most = [shown.most_points(cards, one.card_token) for one in found]
        say = "" if None in most else too_weak(min(limit for limit in most if limit is not None))
        return FoundAll(found=tuple(FoundSaid(card_token=one.card_token, last4=one.last4) for one in found), say=say)

    def consent(self, body: ConsentAskBody) -> ConsentDone:
        """A consent given or withdrawn."""
        till, _ = self._at(body.training)
        with self._writing:
            ask = ConsentAsk(
                **self._said(body, body.consent_id),
                consent_id=body.consent_id,
                card_token=self._token(till, body.card),
                said=ConsentAnswer(purpose=body.purpose, channel=body.channel, version=body.version, given=body.given),
                asked_on=body.asked_on,
            )
            done = give_consent(till, ask)
        return self._consent_done(done, body.consent_id)

    def confirm(self, body: ConfirmBody) -> ConsentDone:
        """A consent confirmed by its code."""
        till, _ = self._at(body.training)
        number = read_confirm_code_of(till.identity.card_keys.accepted, body.code)
        if number is None:
            raise ConsentWrongCode("This code is not right. Compare it with the slip and type it again.")
        with self._writing:
            ask = ConfirmAsk(
                **self._said(body, body.confirm_id), confirm_id=body.confirm_id, number=number, asked_on=body.asked_on
            )
            done = confirm_consent(till, ask)
        return self._consent_done(done, body.confirm_id)

    def consents(self, card: str, *, training: bool = False) -> ConsentsSaid:
        """What stands of a card's consents."""
        till, line = self._at(training)
        now = consents_now(till, self._token(till, card), line)
        offset_min = self._desk.settings.offset_min
        return ConsentsSaid(
            consents=tuple(
                ConsentStanding(
                    purpose=one.purpose,
                    channel=one.channel,
                    state=one.state,
                    version=one.version,
                    since=show_instant(one.since_ms, offset_min),
                    asked_on=one.asked_on,
                )
                for one in now.consents
            ),
            complete=now.complete,
            say="" if now.complete else "Head office cannot be asked now; this is only what was said at this till.",
        )

    def claim(self, body: ClaimBody) -> ClaimSaid:
        """A receipt claimed later."""
        if (body.receipt_id is None) == (body.printed is None):
            raise CardWanted("Name a receipt of this till, or what is printed on another's: one of both.")
        till, _ = self._at(body.training)
        if body.printed is not None:
            named = ReceiptNamed(
                receipt_id=body.printed.receipt_id, store=body.printed.store, till=body.printed.till,
                sold_at=body.printed.sold_at[:16].replace(" ", "T"), total_minor=body.printed.total_minor,
                record=body.printed.record,
            )  # fmt: skip
        else:
            named = ReceiptNamed(receipt_id=body.receipt_id or "", record=body.record)
        with self._writing:
            ask = ClaimAsk(
                **self._asked(body, body.claim_id),
                claim_id=body.claim_id,
                card=handed(till, body.card),
                named=named,
                of_ours=body.printed is None,
            )
            made = claim_receipt(till, ask)
        return self._claim_said(body.claim_id, made)

    def claim_again(self, claim_id: str, *, training: bool = False) -> ClaimSaid:
        """A claim as it stands."""
        till, line = self._at(training)
        return self._claim_said(claim_id, claim_now(till, claim_id, line))

    # Inside

    def _at(self, training: bool) -> tuple[Till, CounterLine | None]:
        """The till that is asked; the one of training speaks to nobody. Raises: TillRevoked."""
        till = self._desk.at(training).till
        check_has_keys(till.identity)
        return till, None if till.is_training else self._line

    def _asked(self, body: Any, event_id: str) -> dict[str, Any]:
        return contract.asked(body, self._desk.at(body.training).here(event_id))

    def _said(self, body: Any, event_id: str) -> dict[str, Any]:
        """As `_asked`, of a consent: the later word holds, so none may be of a time that cannot be. A clock of the POS
        that is a little ahead of ours is taken for ours. Raises: BadTime."""
        desk = self._desk.at(body.training)
        here, is_written = desk.here(event_id), desk.till.journal.find(event_id) is not None
        asked = contract.asked(body, here)
        ahead_ms = asked["sold_at_ms"] - here.now_ms
        if not is_written and not -OLDEST_MS <= ahead_ms <= AHEAD_MS:
            raise BadTime(
                "The time of this consent cannot be. Check the clock of the POS, or send it without sold_at.",
                sold_at_ms=asked["sold_at_ms"],
                now_ms=here.now_ms,
            )
        return asked | ({"sold_at_ms": here.now_ms} if 0 < ahead_ms <= AHEAD_MS else {})

    def _token(self, till: Till, card: str) -> str:
        token = token_of(till.current().programme, till.identity, card, till.shown)
        if token is None:
            raise NotOurCard("Scan the member's card.")
        return token

    def _card_done(self, body: CardBody, till: Till, done: CardGiven) -> CardDone:
        entry = till.journal.find(body.card_id)
        if entry is None:
            raise CardUnknownHere("This till does not keep that any more. Ask head office.")
        self._desk.remember_end(done.card_token, done.last4)
        return CardDone(
            card_id=body.card_id,
            what=body.what,
            card_token=done.card_token,
            card_number=done.number,
            last4=done.last4,
            blocked_token=done.blocked_token,
            say=_SAY_CARD[done.what],
            approved_by=approver_in(entry.event.detail),
            offline=self._desk.is_offline(),
            record=done.record,
            replayed=done.replayed,
        )

    def _consent(self, one: ConsentWritten, consent_id: str) -> ConsentSaidBack:
        state: Any = {"given": "to_confirm" if one.code else "given"}.get(one.what, one.what)
        url = self._confirm_url + re.sub("[^0-9a-z]", "", one.code) if one.code and self._confirm_url else ""
        return ConsentSaidBack(
            consent_id=consent_id, purpose=one.purpose, channel=one.channel, version=one.version, state=state,
            confirm_code=one.code, confirm_url=url,
        )  # fmt: skip

    def _consent_done(self, done: Consented, consent_id: str) -> ConsentDone:
        told = self._consent(done.consent, consent_id)
        say = {
            "to_confirm": "Give the slip to the customer: the consent counts once it is confirmed.",
            "given": "Noted.",
            "confirmed": "Confirmed. Thank you.",
            "withdrawn": "Withdrawn. It holds at once.",
        }[told.state]
        return ConsentDone(
            consent=told, say=say, offline=self._desk.is_offline(), record=done.record, replayed=done.replayed
        )

    def _claim_said(self, claim_id: str, made: ClaimMade) -> ClaimSaid:
        if made.state == "granted":
            say = f"{made.points} points were added."
        elif made.state == "refused":
            say = f"Head office refused it. {_SAY_REASON.get(made.reason, 'Ask customer service.')}"
        elif made.points is None:
            say = "Head office works the points out when it has the receipt. Look at the balance tomorrow."
        else:
            say = f"{made.points} points will be added when head office has checked the receipt."
        state: Any = made.state
        return ClaimSaid(
            claim_id=claim_id,
            state=state,
            points=made.points,
            reason=made.reason,
            of_receipt=made.of_receipt,
            say=say,
            offline=self._desk.is_offline(),
            record=made.record,
            replayed=made.replayed,
        )


def _person(body: PersonBody | None) -> Person | None:
    """Who somebody is; none where nothing was said."""
    if body is None or not (body.name or body.phone or body.email or body.birthday):
        return None
    return Person(
        name=contract.without_payment(body.name), phone=body.phone, email=body.email, birthday=body.birthday
    )  # fmt: skip


def _answer(body: ConsentBody) -> ConsentAnswer:
    return ConsentAnswer(purpose=body.purpose, channel=body.channel, version=body.version, given=body.given)
