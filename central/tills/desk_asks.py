"""What head office answers a till at the counter: see `sync.desk`."""

import logging
import re
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from central.database.lanes import mark_changed
from central.database.rows import find, put
from central.database.tables import account, enrolment, member, receipt_claim
from central.intake.consents import consents_of_card
from central.keys.card_keys import KeyRing
from central.keys.people_keys import PeopleKeyMissing
from central.members.card_spans import NumbersUsedUp, grant_numbers, spans_after
from central.members.people import People
from central.ports import Randomness
from central.posting.certificate_holds import hold_certificate
from central.tills.parked_baskets import give_basket, keep_basket, list_baskets
from central.tills.parked_resting import take_resumed
from central.tills.shown_accounts import take_shown
from loyalty.cards.card_keys import CardKeys
from loyalty.cards.card_numbers import RangeTooSmall
from sync.desk import UNHEARD, UNREADABLE, DeskAsk
from sync.ports import DeskTold
from sync.refusals import BadBody

_log = logging.getLogger(__name__)
_MONTH_AND_DAY = re.compile("(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


def answer_desk(
    tx: Connection, ask: DeskAsk, people: People | None, ring: KeyRing, now_ms: int, randomness: Randomness
) -> DeskTold:
    """Answer one; the same again is answered the same, or with what came since."""
    match ask.what:
        case "numbers":
            return _numbers(tx, ask, ring.read(tx), now_ms)
        case "sealed":
            return _take_sealed(tx, ask, people, now_ms, randomness)
        case "find":
            return _find(tx, ask, people)
        case "consents":
            return DeskTold(consents=consents_of_card(tx, ask.card_token))
        case "claim":
            return _claim(tx, ask)
        case "accounts":
            take_shown(tx, ask, now_ms)
            return DeskTold(took=True)
        case "park":
            return DeskTold(basket=keep_basket(tx, ask, now_ms))
        case "parked":
            return DeskTold(parked=list_baskets(tx, ask, now_ms))
        case "resumed":
            take_resumed(tx, ask, now_ms)
            return DeskTold(took=True)
        case "resume":
            return DeskTold(basket=give_basket(tx, ask, now_ms))
        case "hold_certificate":
            return DeskTold(held=hold_certificate(tx, ask, now_ms))


def _numbers(tx: Connection, ask: DeskAsk, card_keys: CardKeys, now_ms: int) -> DeskTold:
    refused = ""
    try:
        grant_numbers(tx, ask.till_id, ask.epoch, ask.left, ask.taken, card_keys=card_keys, now_ms=now_ms)
    except (NumbersUsedUp, RangeTooSmall) as no:
        refused = no.code
    return DeskTold(spans=tuple(spans_after(tx, ask.till_id, ask.epoch, ask.taken)), refused=refused)


def _take_sealed(tx: Connection, ask: DeskAsk, people: People | None, now_ms: int, randomness: Randomness) -> DeskTold:
    """Who a new member is, once the event that it belongs to is here; what does not belong to it is turned away."""
    chosen = select(enrolment).where(enrolment.c.till_id == ask.till_id, enrolment.c.event_id == ask.about)
    row = tx.execute(chosen).first()
    if row is None:
        return DeskTold(refused=UNHEARD)
    if people is None or ask.sealed is None:
        return DeskTold()
    if row.sealed_sha256 != ask.sealed.sha256:
        return DeskTold(took=True, refused="members.sealed_differs")
    owner = _hold_survivor(tx, row.account_id)
    if owner.status != "registered":
        return DeskTold(took=True, refused="members.erased")
    try:
        who = people.opened(tx, ask.sealed, till_id=ask.till_id, about=ask.about)
        people.keep(tx, row.account_id, who, randomness, now_ms)
    except PeopleKeyMissing as missing:
        _log.error("who a new member is waits at the till: %s", missing)
        return DeskTold()
    except (BadBody, msgspec.MsgspecError):
        return DeskTold(took=True, refused=UNREADABLE)
    if _MONTH_AND_DAY.fullmatch(who.birthday) and owner.account_id == row.account_id:
        born = {"account_id": row.account_id, "birthday_mmdd": who.birthday}
        put(tx, member, [born], {"birthday_mmdd": "given"})
        mark_changed(tx, {row.account_id}, f"person:{ask.till_id}:{row.epoch}:{row.seq}")
    return DeskTold(took=True)


def _hold_survivor(tx: Connection, account_id: int) -> Row[Any]:
    """The account that one lives on in, held: who is being erased at this moment must not be kept behind that."""
    while True:
        one = account.c
        chosen = select(one.account_id, one.status, one.merged_into).where(one.account_id == account_id)
        row = tx.execute(chosen.with_for_update(read=True)).one()
        if not row.merged_into:
            return row
        account_id = row.merged_into


def _find(tx: Connection, ask: DeskAsk, people: People | None) -> DeskTold:
    if people is None or ask.sealed is None:
        return DeskTold()
    try:
        who = people.opened(tx, ask.sealed, till_id=ask.till_id, about=ask.about)
        return DeskTold(found=people.cards_of(tx, who))
    except PeopleKeyMissing as missing:
        _log.error("nobody is found by telephone or e-mail: %s", missing)
        return DeskTold()
    except (BadBody, msgspec.MsgspecError):
        return DeskTold(refused=UNREADABLE)


def _claim(tx: Connection, ask: DeskAsk) -> DeskTold:
    rows = find(tx, receipt_claim, [{"till_id": ask.till_id, "event_id": ask.about}])
    if not rows:
        return DeskTold()
    return DeskTold(claim=rows[0].state, claim_points=rows[0].points, claim_reason=rows[0].reason)
