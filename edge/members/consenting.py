"""Consent at the till: asked separately, unticked, by the customer's own hand; withdrawn in one step.

What may be asked, and its text, stands in the programme. Source: devices-and-receipts.md E "Opt-in"; docs/members.md.
"""

from collections.abc import Iterable

import msgspec

from edge.journal.journal import Entry
from edge.line.counter_line import CounterLine
from edge.members.asks import (
    ConfirmAsk,
    ConsentAnswer,
    ConsentAsk,
    Consented,
    ConsentNotByCashier,
    ConsentOtherText,
    ConsentsNow,
    ConsentUnknown,
    ConsentWritten,
)
from edge.refusals import IdReused
from edge.sale.approving import approve
from edge.sale.asked_before import hashes_before
from edge.sale.asks import Asked, ask_sha256
from edge.sale.recalling import check_id, check_same, record_of
from edge.sale.till import Till
from loyalty.approvals import Override, stamped
from loyalty.cards.confirming import confirm_code, confirm_key, confirm_number
from loyalty.document import Language
from loyalty.facts.member_events import AskedOn, ConsentChanged, ConsentSaid, DeskDetail, Enrolled
from loyalty.programme.member_rules import ConsentAsked
from sync.chain import StreamHead
from sync.desk import ConsentNow

BY_WORD = ("terms",)  # what a cashier may note on the customer's word


def give_consent(till: Till, ask: ConsentAsk) -> Consented:
    """Write what the customer said; the same ask again is answered the same.

    Raises:
        IdReused, IdReserved. ConsentUnknown, ConsentOtherText, ConsentNotByCashier. BadTime, NoProgramme, JournalFull.
    """
    check_id(ask.consent_id)
    ask, approval = approve(till.approver, till.journal, ask, ask.consent_id)
    sha = ask_sha256(ask)
    with till.journal.writing():
        if (before := till.journal.find(ask.consent_id)) is not None:
            return _again(till, before, sha, hashes_before(till.names, ask, ask.card_token, _with_card))
        if ask.said.given:
            check_given(till, ask.said, ask.asked_on)
        till.names.say(till.place(ask), ask.card_token)
        event = ConsentChanged(
            receipt_id=ask.consent_id,
            place=till.place(ask),
            what="given" if ask.said.given else "withdrawn",
            card_token=ask.card_token,
            said=as_said(till, ask.said, ask.consent_id, ask.language),
            asked_on=ask.asked_on,
            detail=_detail(till, ask, approval),
        )
        head = till.journal.append(event, ask_sha256=sha)
        till.journal.members.keep_consent(ask.consent_id, ask.card_token)
    till.on_written()
    return _consented(till, event, head, replayed=False)


def confirm_consent(till: Till, ask: ConfirmAsk) -> Consented:
    """A customer entered the code of a consent: it counts, wherever it was given.

    Raises:
        IdReused, IdReserved. ConsentNotByCashier.
    """
    check_id(ask.confirm_id)
    if ask.asked_on == "cashier":
        raise not_by_cashier()
    ask, approval = approve(till.approver, till.journal, ask, ask.confirm_id)
    sha = ask_sha256(ask)
    with till.journal.writing():
        if (before := till.journal.find(ask.confirm_id)) is not None:
            return _again(till, before, sha)
        said = ConsentSaid(purpose="", channel="", version="", language="", given=True, code=ask.number)
        event = ConsentChanged(
            receipt_id=ask.confirm_id, place=till.place(ask), what="confirmed", said=said, asked_on=ask.asked_on,
            detail=_detail(till, ask, approval),
        )  # fmt: skip
        head = till.journal.append(event, ask_sha256=sha)
        till.journal.members.keep_consent(ask.confirm_id, _by_code(ask.number))
    till.on_written()
    return _consented(till, event, head, replayed=False)


def consents_now(till: Till, card_token: str, line: CounterLine | None) -> ConsentsNow:
    """What stands of a card's consents: head office's word, and what this till wrote later than that."""
    told = line.consents(card_token) if line is not None else None
    now = {(one.purpose, one.channel): one for one in told or ()}
    said_at = {name: one.since_ms for name, one in now.items()}
    for event_id in till.journal.members.consent_events(card_token):
        entry = till.journal.find(event_id)
        for said_ms, one in _own(till, entry) if entry else ():
            name = one.purpose, one.channel
            # What was confirmed late does not outdo what was said between: the later word holds.
            if name not in now or (said_at[name], now[name].since_ms) < (said_ms, one.since_ms):
                now[name], said_at[name] = one, said_ms
    return ConsentsNow(consents=tuple(now[name] for name in sorted(now)), complete=told is not None)


def check_given(till: Till, said: ConsentAnswer, asked_on: AskedOn) -> None:
    """Refuse a consent that was not asked for as the programme says.

    Raises:
        ConsentUnknown, ConsentOtherText, ConsentNotByCashier.
    """
    asked = _asked(till, said)
    if asked is None:
        raise ConsentUnknown(
            f"The programme does not ask for {said.purpose} by {said.channel}. Leave it out.",
            purpose=said.purpose,
            channel=said.channel,
        )
    if said.given and asked_on == "cashier" and said.purpose not in BY_WORD:
        raise not_by_cashier()
    if said.given and _text_of(till, said) is None:
        raise ConsentOtherText(
            "The text of this consent has changed. Show the customer the present one and ask again.",
            version=asked.version,
        )


def not_by_cashier() -> ConsentNotByCashier:
    """The refusal for a cashier who would agree to something in the customer's place."""
    return ConsentNotByCashier(
        "Only the customer can agree to this: on the customer display, at the kiosk, or on the printed slip."
    )


def as_said(till: Till, said: ConsentAnswer, event_id: str, language: Language | None) -> ConsentSaid:
    """What is kept as evidence, with the language of the text itself, and the number of a code where it has to be
    confirmed."""
    asked, text, wanted = _asked(till, said), _text_of(till, said), language or till.settings.language
    to_confirm = said.given and asked is not None and asked.double_opt_in
    name = f"{said.purpose}:{said.channel}"
    return ConsentSaid(
        purpose=said.purpose,
        channel=said.channel,
        version=said.version,
        language=text.language_for(wanted) if text else wanted,
        given=said.given,
        code=confirm_number(till.identity.till_id, event_id, name) if to_confirm else "",
    )


def written_of(till: Till, event: Enrolled) -> tuple[ConsentWritten, ...]:
    """The consents of an enrolment with the codes that confirm them, the same each time."""
    return tuple(_written(till, said, "given") for said in event.consents)


def _written(till: Till, said: ConsentSaid, what: str) -> ConsentWritten:
    key = confirm_key(till.identity.card_keys.newest.secret)
    code = confirm_code(key, said.code) if said.code and what == "given" else ""
    return ConsentWritten(
        purpose=said.purpose,
        channel=said.channel,
        version=said.version,
        what=what,
        code=code,  # type: ignore[arg-type]
    )


def _own(till: Till, entry: Entry) -> list[tuple[int, ConsentNow]]:
    """What an event of this till's said of consents, and when."""
    event = entry.event
    if isinstance(event, Enrolled):
        said = [(one, "given") for one in event.consents]
    elif isinstance(event, ConsentChanged) and event.what != "confirmed":
        said = [(event.said, event.what)]
    else:
        return []
    now = []
    for one, what in said:
        confirmed_ms = _confirmed_ms(till, one.code) if one.code else None
        waits = bool(one.code) and confirmed_ms is None
        said_ms = event.place.sold_at_ms
        standing = ConsentNow(
            purpose=one.purpose,
            channel=one.channel,
            state="withdrawn" if what == "withdrawn" else "to_confirm" if waits else "given",
            version=one.version,
            since_ms=max(said_ms, confirmed_ms or 0),
            asked_on=event.asked_on,
        )
        now.append((said_ms, standing))
    return now


def _confirmed_ms(till: Till, number: str) -> int | None:
    """When a consent was confirmed at this till; none where it was not."""
    entries = (till.journal.find(event_id) for event_id in till.journal.members.consent_events(_by_code(number)))
    events = [entry.event for entry in entries if entry is not None]
    return next((event.place.sold_at_ms for event in events if isinstance(event, ConsentChanged)), None)


def _by_code(number: str) -> str:
    """What a confirmation is kept under: it names no card."""
    return f"code:{number}"


def _asked(till: Till, said: ConsentAnswer) -> ConsentAsked | None:
    return till.current().programme.members.consent(said.purpose, said.channel)


def _text_of(till: Till, said: ConsentAnswer) -> ConsentAsked | None:
    """The text of this version, of whichever programme this till has; None for one that it does not know."""
    held = (one.programme.members.consent(said.purpose, said.channel) for one in till.cache.programmes())
    return next((one for one in held if one and one.version == said.version), None)


def _detail(till: Till, ask: Asked, approval: Override | None) -> msgspec.Raw:
    detail = DeskDetail(cashier=ask.cashier, offline=till.is_offline())
    return stamped(msgspec.Raw(msgspec.json.encode(detail)), approval)


def _with_card(ask: ConsentAsk, token: str | None) -> ConsentAsk:
    return msgspec.structs.replace(ask, card_token=token)


def _again(till: Till, before: Entry, sha: str, earlier: Iterable[str] = ()) -> Consented:
    check_same(before, sha, earlier)
    if not isinstance(before.event, ConsentChanged):
        raise IdReused("This id stands for something else than a consent.", receipt_id=before.event.receipt_id)
    return _consented(till, before.event, before.head, replayed=True)


def _consented(till: Till, event: ConsentChanged, head: StreamHead, *, replayed: bool) -> Consented:
    return Consented(
        consent=_written(till, event.said, event.what), head=head, record=record_of(head), replayed=replayed
    )
