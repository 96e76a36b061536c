"""The right to be erased: who a member was goes, with the cards that lead to them; what was bought and paid stays.

Points that are left lapse at once, as a fact of head office. What stays (postings, receipts, consents as evidence)
names a random account number that nothing leads to any more. Tills are told by a tombstone. Source: fraud-privacy.md 3;
GDPR article 17; docs/members.md "Erasure".
"""

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from central.audit import note_down
from central.corrections.moving import PointsLeased
from central.database.lanes import mark_changed
from central.database.rows import find
from central.database.tables import account, card, enrolment, hotlist, lease_slice, member, receipt_claim
from central.leases.leasing import recall
from central.members.accounts import merged_into
from central.members.members import open_account
from central.members.people import forget
from central.ports import Randomness
from central.posting.account_facts import AccountFacts
from loyalty.facts.centre_events import Adjusted, Taken
from loyalty.moments import utc_date

STREAM = "erasures"


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What went: cards, and the points that lapsed with them."""

    account_id: int
    cards: int
    points: int


def erase_member(tx: Connection, account_id: int, *, by: str, now_ms: int, randomness: Randomness) -> Erased:
    """Erase one member.

    Raises:
        UnknownAccount. AccountClosed: erased, or merged into another account, already.
        PointsLeased: tills have points of theirs set aside; they are asked back, so try again in some minutes.
    """
    facts = AccountFacts(tx, STREAM, now_ms, randomness)
    held = facts.lock([account_id])[account_id]
    open_account(tx, account_id)
    _check_leases(tx, account_id)
    on = utc_date(now_ms)
    taken: dict[str, int] = {}
    for key, points in sorted(held.lots.items()):
        if points and key.valid_through >= on:
            taken[key.issuer_id] = taken.get(key.issuer_id, 0) + points
    if taken:
        parts = tuple(Taken(issuer_id=issuer_id, points=points) for issuer_id, points in taken.items())
        facts.post([Adjusted(receipt_id=f"erasure:{account_id}", account_id=account_id, on=on, at_partner_id="",
                             reason="erased", asked_by=by, taken=parts)])  # fmt: skip
    cards = _forget_cards(tx, account_id)
    for one in (account_id, *merged_into(tx, account_id)):
        forget(tx, one)
        tx.execute(delete(member).where(member.c.account_id == one))
    tx.execute(update(account).where(account.c.account_id == account_id).values(status="closed"))
    mark_changed(tx, {account_id}, f"erased:{account_id}")
    gone = Erased(account_id=account_id, cards=cards, points=sum(taken.values()))
    note_down(tx, randomness, user_id=by, action="member.erase", about=str(account_id), now_ms=now_ms,
              figures={"cards": gone.cards, "points": gone.points})  # fmt: skip
    return gone


def ask_leases_back(tx: Connection, account_id: int, now_ms: int) -> None:
    """What tills have set aside of a member comes back first."""
    recall(tx, [account_id], now_ms)


def _check_leases(tx: Connection, account_id: int) -> None:
    out = select(func.sum(lease_slice.c.points)).where(lease_slice.c.account_id == account_id)
    if at_tills := tx.execute(out).scalar():
        raise PointsLeased(
            f"Tills have set {at_tills} points of account {account_id} aside. They are asked to give them back; try"
            " again in some minutes.",
            account_id=account_id,
            points=int(at_tills),
        )


def _forget_cards(tx: Connection, account_id: int) -> int:
    """The tokens that lead to the account, wherever they lie but in the batches that tills signed; how many cards."""
    tokens = select(card.c.card_token).where(card.c.account_id == account_id)
    tx.execute(delete(hotlist).where(hotlist.c.card_token.in_(tokens), hotlist.c.lifted == 1))
    ids = (account_id, *merged_into(tx, account_id))
    for table in (enrolment, receipt_claim):
        tx.execute(update(table).where(table.c.account_id.in_(ids)).values(card_token=""))
    tx.execute(update(receipt_claim).where(receipt_claim.c.account_id.in_(ids)).values(last4=""))
    names = find(tx, card, [{"account_id": account_id}], ("card_token", "same_as"))
    tx.execute(delete(card).where(card.c.account_id == account_id))
    return len({row.same_as or row.card_token for row in names})
