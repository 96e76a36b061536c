"""What a member's page shows beside points: where they joined, cards, consents with their evidence, claims."""

import msgspec
from sqlalchemy import Connection, select

from central.database.rows import find
from central.database.tables import card, enrolment, hotlist, receipt_claim
from central.intake.consents import ConsentRow, consents_of, evidence_of
from central.members.accounts import merged_into
from central.members.card_names import one_a_card
from central.members.people import People, masked
from sync.desk import ConsentNow, Person

MOST_SHOWN = 200


class CardShown(msgspec.Struct, frozen=True, kw_only=True):
    """A card as it may be shown: its last four, never more."""

    last4: str
    kind: str
    state: str
    reason: str
    since_ms: int
    is_replaced: bool


class JoinedShown(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody joined."""

    store_id: str
    at_ms: int
    asked_on: str
    language: str
    event_id: str


class ClaimShown(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt that was claimed, and what became of it."""

    event_id: str
    store_id: str
    business_date: str
    state: str
    reason: str
    points: int


class MemberShown(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; `person` is masked, none where nobody said who they are."""

    joined: tuple[JoinedShown, ...]
    cards: tuple[CardShown, ...]
    consents: tuple[ConsentNow, ...]
    evidence: tuple[ConsentRow, ...]
    claims: tuple[ClaimShown, ...]
    person: Person | None


def member_shown(connection: Connection, account_id: int, people: People | None) -> MemberShown:
    """What is known of a member, and of those that were merged into it."""
    who = people.read(connection, account_id) if people else None
    keys = [{"account_id": one} for one in (account_id, *merged_into(connection, account_id))]
    joined = sorted(find(connection, enrolment, keys), key=lambda row: -row.at_ms)
    claims = sorted(find(connection, receipt_claim, keys), key=lambda row: (row.asked_at_ms, row.event_id))
    return MemberShown(
        joined=tuple(
            JoinedShown(store_id=row.store_id, at_ms=row.at_ms, asked_on=row.asked_on, language=row.language,
                        event_id=row.event_id) for row in joined[:MOST_SHOWN]
        ),
        cards=_cards(connection, account_id),
        consents=consents_of(connection, account_id),
        evidence=evidence_of(connection, account_id)[:MOST_SHOWN],
        claims=tuple(
            ClaimShown(event_id=row.event_id, store_id=row.store_id, business_date=row.business_date, state=row.state,
                       reason=row.reason, points=row.points) for row in reversed(claims[-MOST_SHOWN:])
        ),
        person=masked(who) if who else None,
    )  # fmt: skip


def _cards(connection: Connection, account_id: int) -> tuple[CardShown, ...]:
    blocked = (hotlist.c.card_token == card.c.card_token) & (hotlist.c.lifted == 0)
    chosen = select(card, hotlist.c.reason).outerjoin(hotlist, blocked)
    chosen = chosen.where(card.c.account_id == account_id)
    named = connection.execute(chosen.order_by(card.c.since_ms.desc(), card.c.card_token).limit(MOST_SHOWN)).all()
    rows = sorted(one_a_card(connection, named), key=lambda row: (-row.since_ms, row.card_token))
    return tuple(
        CardShown(last4=row.last4, kind=row.kind, state=row.state, reason=row.reason or "", since_ms=row.since_ms,
                  is_replaced=bool(row.replaced_by)) for row in rows
    )  # fmt: skip
