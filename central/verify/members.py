"""Members' events held against what was made of them: who joined, which consent was given, what of a claim is granted.

Reads the events as they were sent, by plain dictionaries; an account that is closed was merged or erased, and is not
compared. Source: ARCHITECTURE.md "What always holds"; docs/members.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from central.database import tables as t
from central.verify.refold import Ref
from central.verify.violations import Violations

JOINED, CARD, CONSENT, CLAIM, SETTLED = "enrolment.v1", "card.v1", "consent.v1", "claim.v1", "claim_settled.v1"
NAMED = "card_named.v1"
Events = Mapping[Ref, Mapping[str, Any]]


def check_members(db: Connection, found: Violations, posted: Events, own: Iterable[Mapping[str, Any]]) -> None:
    """Compare.

    Args:
        posted: the tills' events that are in the books, without their details.
        own: head office's own events.
    """
    told = {ref: event for ref, event in posted.items() if event["type"] in (JOINED, CARD, NAMED, CONSENT, CLAIM)}
    own = list(own)
    closed = set(db.execute(select(t.account.c.account_id).where(t.account.c.status == "closed")).scalars())
    _joined(db, found, told, closed)
    _blocked(db, found, told)
    _names(db, found, told)
    _consents(db, found, told, sum(event["type"] == CONSENT for event in own))
    _claims(db, found, told, own)


def _joined(db: Connection, found: Violations, told: Events, closed: set[int]) -> None:
    kept = {_ref(row): row for row in db.execute(select(t.enrolment))}
    events = {ref: event for ref, event in told.items() if event["type"] == JOINED}
    for ref in sorted(events.keys() | kept.keys()):
        said, row = events.get(ref), kept.get(ref)
        if row is not None and row.account_id in closed:
            continue
        sides = (said["receipt_id"], said["card_token"], said.get("sealed_sha256", "")) if said else None
        found.differs("member.joined", ref, sides, (row.event_id, row.card_token, row.sealed_sha256) if row else None)


def _blocked(db: Connection, found: Violations, told: Events) -> None:
    """A card that a till blocked or replaced was on the hotlist, and is unless a person lifted it or erased it."""
    listed = {row.card_token: row.lifted for row in db.execute(select(t.hotlist))}
    cards = set(db.execute(select(t.card.c.card_token)).scalars())
    for ref, event in sorted(told.items()):
        if event["type"] != CARD or event["what"] == "issued":
            continue
        token = event["card_token"] if event["what"] == "blocked" else event.get("other_token")
        if token and token in cards:
            found.differs("card.blocked", ref, True, token in listed)


def _names(db: Connection, found: Violations, told: Events) -> None:
    """The names of a card lead to one account, and are tied, unless two members had it by different ones; one that was
    erased has none."""
    named = {ref: event for ref, event in told.items() if event["type"] == NAMED}
    if not named:
        return
    cards = {row.card_token: row for row in db.execute(select(t.card))}
    registered = select(t.account.c.account_id).where(t.account.c.status == "registered")
    members = set(db.execute(registered).scalars())
    for ref, event in sorted(named.items()):
        rows = [(key_id, cards[token]) for key_id, token in event["names"] if token in cards]
        owners = {row.account_id for _, row in rows}
        if len(owners) > 1 and not owners <= members:
            found.differs("card.names", ref, 1, len(owners))
        found.differs("card.name_keys", ref, [key_id for key_id, _ in rows], [row.key_id for _, row in rows])
        if len(rows) > 1:
            found.differs("card.tied", ref, 1, len({row.same_as or row.card_token for _, row in rows}))


def _consents(db: Connection, found: Violations, told: Events, own: int) -> None:
    wanted: dict[Ref, int] = {}
    for ref, event in told.items():
        if event["type"] == JOINED:
            wanted[ref] = len(event.get("consents", ()))
        elif event["type"] == CONSENT:
            wanted[ref] = 1
    kept: dict[Ref, int] = defaultdict(int)
    of_head_office = 0
    for row in db.execute(select(t.consent)):
        if _ref(row) in told:
            kept[_ref(row)] += 1
        else:
            of_head_office += 1
    for ref, count in sorted(wanted.items()):
        found.differs("consent.kept", ref, count, kept.get(ref, 0))
    found.differs("consent.own", "head office", own, of_head_office)


def _claims(db: Connection, found: Violations, told: Events, own: Iterable[Mapping[str, Any]]) -> None:
    """Each claim is kept, no receipt is granted twice, and what stands of it was granted, less what was taken."""
    rows = {_ref(row): row for row in db.execute(select(t.receipt_claim))}
    asked = {ref for ref, event in told.items() if event["type"] == CLAIM}
    for ref in sorted(asked ^ rows.keys()):
        found.differs("claim.kept", ref, ref in asked, ref in rows)
    points: dict[Ref, int] = defaultdict(int)
    for event in own:
        if event["type"] == SETTLED:
            till_id, epoch, seq = event["by"]
            points[till_id, epoch, seq] += sum(part[2] for part in event.get("granted", ()))
            points[till_id, epoch, seq] -= sum(part[2] for part in event.get("reversed", ()))
    for ref in sorted(points.keys() | rows.keys()):
        row = rows.get(ref)
        found.differs("claim.points", ref, points.get(ref, 0), row.points if row else 0)
    granted: dict[Ref, list[Ref]] = defaultdict(list)
    for ref, row in rows.items():
        if row.state == "granted":
            granted[row.of_till, row.of_epoch, row.of_seq].append(ref)
    for of, refs in sorted(granted.items()):
        found.differs("claim.twice", of, 1, len(refs))


def _ref(row: Any) -> Ref:
    return row.till_id, row.epoch, row.seq
