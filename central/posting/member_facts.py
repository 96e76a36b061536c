"""What events of members and cards make true here: who joined, whose a card is, which consent stands, what is claimed.

Facts are never refused. What cannot both be true (a card that belongs to somebody already, one replaced twice) is a row
of the worklist. Runs once for each event, in the transaction that takes it. Source: docs/members.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, update

from central.database.lanes import mark_changed
from central.database.rows import find, put
from central.database.tables import account, card, consent, enrolment, hotlist, member, receipt_claim
from central.members.accounts import new_account, survivor_of
from central.members.card_names import names_of_token, tie
from central.members.card_spans import check_number
from central.members.members import block_card
from central.ports import Randomness
from central.worklist.worklist import raise_flags
from loyalty.facts.events import Event
from loyalty.facts.member_events import (
    CardChanged,
    CardNamed,
    Claimed,
    ConsentChanged,
    ConsentSaid,
    Enrolled,
    MemberEvent,
    tokens_of,
)
from loyalty.facts.reversals import Reversal
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef

CARD_TAKEN = "card_taken"
REPLACED_TWICE = "card_replaced_twice"
CARD_HAS_POINTS = "card_has_points"


def take_member_events(
    tx: Connection, heads: Mapping[EventRef, Event], rows: Mapping[EventRef, Mapping[str, Any]], now_ms: int,
    randomness: Randomness,
) -> None:  # fmt: skip
    """Make true what the posted ones among these events say.

    Args:
        rows: of the events; what is not posted is passed over.
    """
    posted = {ref: head for ref, head in heads.items() if rows[ref]["state"] == "posted"}
    note_reversals(tx, posted.values())
    told = {ref: head for ref, head in posted.items() if isinstance(head, MemberEvent)}
    if not told:
        return
    taking = _Taking(tx, told, now_ms, randomness)
    for ref, head in told.items():
        taking.take(ref, head)
    if taking.changed:
        first = next(iter(told))
        mark_changed(tx, taking.changed, f"members:{first.till_id}:{first.epoch}:{first.seq}")
    raise_flags(tx, taking.flags, rows, now_ms)


class _Taking:
    """The member events of one batch, one after the other."""

    def __init__(
        self, tx: Connection, told: Mapping[EventRef, MemberEvent], now_ms: int, randomness: Randomness
    ) -> None:
        self._tx, self._now_ms, self._randomness = tx, now_ms, randomness
        self.flags: list[Flag] = []
        self.changed: set[int] = set()
        tokens = {token for head in told.values() for token in tokens_of(head)}
        found = find(tx, card, [{"card_token": token} for token in tokens])
        self._owner = {row.card_token: row.account_id for row in found}
        self._replaced = {row.card_token: row.replaced_by for row in found}

    def take(self, ref: EventRef, head: MemberEvent) -> None:
        """One event."""
        match head:
            case Enrolled():
                self._enrol(ref, head)
            case CardChanged():
                self._change_card(ref, head)
            case CardNamed():
                self._name(ref, head)
            case ConsentChanged():
                owner = self._account(head.card_token) if head.card_token is not None else 0
                self._consent(ref, head, (head.said,), what=head.what, owner=owner)
            case Claimed():
                self._claim(ref, head)

    def _enrol(self, ref: EventRef, head: Enrolled) -> None:
        owner = self._account(head.card_token)
        registered = update(account).where(account.c.account_id == owner, account.c.status == "unregistered")
        if self._tx.execute(registered.values(status="registered")).rowcount == 0:
            # Somebody has this card already: the person is kept apart from them until somebody has looked.
            joined = new_account(self._tx, self._randomness, self._now_ms)
            self._flag(ref, CARD_TAKEN, account_id=owner, joined=joined)
            owner = joined
        else:
            known = {"kind": head.kind, "last4": head.last4}
            self._tx.execute(update(card).where(card.c.card_token == head.card_token).values(**known))
        facts = {"language": head.language, "home_store_id": head.place.store_id}
        put(self._tx, member, [{"account_id": owner, **facts}], "nothing")
        self.changed.add(owner)
        self._check_number(ref, head)
        row = {
            "account_id": owner, "event_id": head.receipt_id, "card_token": head.card_token, "language": head.language,
            "asked_on": head.asked_on, "store_id": head.place.store_id, "at_ms": head.place.sold_at_ms,
            "sealed_sha256": head.sealed_sha256,
        }  # fmt: skip
        put(self._tx, enrolment, [{**_place(ref), **row}])
        self._consent(ref, head, head.consents, what="given", owner=owner)

    def _change_card(self, ref: EventRef, head: CardChanged) -> None:
        if head.what != "blocked":
            self._give(ref, head)
            self._check_number(ref, head)
        if (blocked := head.blocked_token) is not None:
            block_card(self._tx, blocked, head.reason or "blocked", self._now_ms)
        if head.what == "replaced" and head.other_token:
            before = self._replaced.get(head.other_token, "")
            if before and before != head.card_token:
                self._flag(ref, REPLACED_TWICE, by=before)
            else:
                by = update(card).where(card.c.card_token.in_(names_of_token(self._tx, head.other_token)))
                self._tx.execute(by.values(replaced_by=head.card_token))
                self._replaced[head.other_token] = head.card_token

    def _name(self, ref: EventRef, head: CardNamed) -> None:
        """Each name leads to the card's account; a block or replacement of one is one of all."""
        tokens = [one.token for one in head.names]
        self._lead_to_one(ref, tokens)
        for one in head.names:
            self._tx.execute(update(card).where(card.c.card_token == one.token).values(key_id=one.key_id))
        tie(self._tx, tokens)
        if by := next((self._replaced[token] for token in tokens if self._replaced.get(token)), ""):
            self._tx.execute(update(card).where(card.c.card_token.in_(tokens)).values(replaced_by=by))
            self._replaced |= dict.fromkeys(tokens, by)
        keys = [{"card_token": token} for token in tokens]
        listed = find(self._tx, hotlist, keys, ("card_token", "reason"), *_LISTED, told={})
        if 0 < len(listed) < len(tokens):
            block_card(self._tx, tokens[0], listed[0].reason, self._now_ms)

    def _lead_to_one(self, ref: EventRef, tokens: Sequence[str]) -> None:
        """Names that led to several accounts lead to the registered one, or to that of the oldest name."""
        owners = [self._account(token) for token in tokens]
        self.changed.update(owners)
        if len(set(owners)) == 1:
            return
        rows = {row.account_id: row for row in find(self._tx, account, [{"account_id": one} for one in set(owners)])}
        registered = [one for one in dict.fromkeys(owners) if rows[one].status == "registered"]
        owner = registered[0] if registered else owners[0]
        for other in registered[1:]:
            self._flag(ref, CARD_TAKEN, account_id=other)
        for theirs in dict.fromkeys(owners):
            if theirs != owner and theirs not in registered:
                self._lead_home(ref, theirs, owner)

    def _give(self, ref: EventRef, head: CardChanged) -> None:
        """The card is the member's, unless it is somebody else's."""
        owner = self._account(head.other_token or head.card_token)
        row = {"card_token": head.card_token, "account_id": owner, "kind": head.kind, "last4": head.last4,
               "since_ms": self._now_ms}  # fmt: skip
        if not put(self._tx, card, [row], "nothing", ["card_token"]):
            self._give_known(ref, head, owner)
        self._owner[head.card_token] = owner
        self.changed.add(owner)

    def _give_known(self, ref: EventRef, head: CardChanged, owner: int) -> None:
        (there,) = find(self._tx, card, [{"card_token": head.card_token}], ["account_id"])
        theirs = survivor_of(self._tx, there.account_id)
        if theirs == owner:
            return
        (other,) = find(self._tx, account, [{"account_id": theirs}])
        if other.status == "registered":
            self._flag(ref, CARD_TAKEN, account_id=theirs)
            return
        known = update(card).where(card.c.card_token == head.card_token)
        self._tx.execute(known.values(kind=head.kind, last4=head.last4))
        self._lead_home(ref, theirs, owner)

    def _lead_home(self, ref: EventRef, theirs: int, owner: int) -> None:
        """An account that nobody had claimed is a member's: its card was used at a till before this was heard.

        All its cards lead to the member at once, others that were given for that card among them. What they earned
        stays where it is until no till holds any; so does a consent that was given with them, and a receipt that was
        claimed with one earns there before long.
        """
        self.changed.update((theirs, owner))
        self._tx.execute(update(card).where(card.c.account_id == theirs).values(account_id=owner))
        self._owner = {token: owner if one == theirs else one for token, one in self._owner.items()}
        self._flag(ref, CARD_HAS_POINTS, account_id=theirs, into=owner)

    def _consent(
        self, ref: EventRef, head: Enrolled | ConsentChanged, said: Iterable[ConsentSaid], *, what: str, owner: int
    ) -> None:
        rows = [
            {
                **_place(ref), "n": n, "account_id": owner, "what": what if one.given else "withdrawn",
                "purpose": one.purpose, "channel": one.channel, "version": one.version, "language": one.language,
                "asked_on": head.asked_on, "code": one.code, "store_id": head.place.store_id,
                "at_ms": head.place.sold_at_ms,
            }
            for n, one in enumerate(said)
        ]  # fmt: skip
        put(self._tx, consent, rows)

    def _claim(self, ref: EventRef, head: Claimed) -> None:
        row = {
            "event_id": head.receipt_id, "account_id": self._account(head.card_token), "card_token": head.card_token,
            "last4": head.last4, "store_id": head.place.store_id,
            "business_date": head.place.business_date.isoformat(), "asked_at_ms": head.place.sold_at_ms,
        }  # fmt: skip
        put(self._tx, receipt_claim, [{**_place(ref), **row}])

    def _check_number(self, ref: EventRef, head: Enrolled | CardChanged) -> None:
        if head.number is not None and (cause := check_number(self._tx, ref, head.kind, head.number)):
            self._flag(ref, cause, span_no=head.number.span_no, place=head.number.place)

    def _account(self, token: str) -> int:
        """The account behind a card, the one it lives on in where it was merged."""
        return survivor_of(self._tx, self._owner[token])

    def _flag(self, ref: EventRef, cause: str, **figures: int | str) -> None:
        self.flags.append(Flag(of=ref, cause=cause, figures=figures))


_LISTED = (hotlist.c.lifted == 0,)
_GRANTED = (receipt_claim.c.state == "granted",)


def note_reversals(tx: Connection, heads: Iterable[Event]) -> None:
    """Goods came back of receipts that were claimed: what they earned is looked at again."""
    of = {head.of for head in heads if isinstance(head, Reversal) and head.of is not None}
    keys = [{"of_till": ref.till_id, "of_epoch": ref.epoch, "of_seq": ref.seq} for ref in of]
    for row in find(tx, receipt_claim, keys, ["till_id", "epoch", "seq"], *_GRANTED, told={}):
        here = (receipt_claim.c[name] == row._mapping[name] for name in ("till_id", "epoch", "seq"))
        tx.execute(update(receipt_claim).where(*here).values(due=1))


def _place(ref: EventRef) -> dict[str, Any]:
    return msgspec.structs.asdict(ref)
