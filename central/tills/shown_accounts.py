"""Accounts that tills name and this head office never gave out: which card they were told of says whose they are.

After a restore, a member who joined since the backup gets another account as their event comes again. Sales to the one
of before opened it anew, for nobody. A till that was told of that member shows the card: the account follows it to the
member, or is the card's until they are heard of. Only an account that is nobody's moves: opened by such a sale, with no
card and no member. What tills say otherwise of it is left for a person, and so is a card that they show of a member and
that nobody gave here (`central.tills.forgotten_cards`). Source: docs/members.md "After a restore".
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from central.database.lanes import mark_changed
from central.database.rows import find, put
from central.database.tables import account, card, event, flag
from central.members.accounts import survivor_of
from central.posting.member_facts import CARD_HAS_POINTS
from central.tills.forgotten_cards import note_forgotten
from central.worklist.worklist import CONTEXT, FlagKey, raise_flags, settle_flag, told_before
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef
from sync.desk import DeskAsk, ToldAccount

UNKNOWN = "account_unknown"
BY = "head office"
_NOBODYS = account.c.status == "unregistered", account.c.merged_into == 0


def take_shown(tx: Connection, ask: DeskAsk, now_ms: int) -> None:
    """Lead to one what a till shows; the same again changes nothing."""
    nobodys = _nobodys(tx, ask)
    for one in ask.accounts:
        if (key := nobodys.get(one.account_id)) is not None:
            _lead(tx, one, key, now_ms)
        else:
            note_forgotten(tx, ask, one, now_ms)


def _nobodys(tx: Connection, ask: DeskAsk) -> dict[int, FlagKey]:
    """Those of the accounts shown that a sale opened and that are nobody's, by the open row of the worklist."""
    shown = [{"account_id": one.account_id} for one in ask.accounts]
    open_ = find(tx, account, shown, ("account_id",), *_NOBODYS, told={})
    owned = {row.account_id for row in find(tx, card, shown, ("account_id",))}
    wanted = {row.account_id for row in open_} - owned
    rows = tx.execute(select(flag).where(flag.c.cause == UNKNOWN, flag.c.state == "open")).all() if wanted else []
    keys = {}
    for row in rows:
        named = msgspec.json.decode(row.figures).get("account_id")
        if named in wanted:
            keys[named] = FlagKey(till_id=row.till_id, epoch=row.epoch, seq=row.seq, cause=row.cause, n=row.n)
    return keys


def _lead(tx: Connection, one: ToldAccount, key: FlagKey, now_ms: int) -> None:
    if not (owners := _owners(tx, one)):
        _give(tx, one, one.account_id, now_ms)
        owners = _owners(tx, one)  # a till may have brought the card just before us
    if len(owners) > 1:
        return  # two members by one account: for a person
    owner = owners.pop()
    _give(tx, one, owner, now_ms)
    mark_changed(tx, {owner}, f"shown:{key.till_id}:{key.epoch}:{key.seq}")
    if owner != one.account_id:
        ref = EventRef(till_id=key.till_id, epoch=key.epoch, seq=key.seq)
        figures: dict[str, int | str] = {"account_id": one.account_id, "into": owner}
        before = told_before(tx, ref, CARD_HAS_POINTS)
        raise_flags(tx, [Flag(of=ref, cause=CARD_HAS_POINTS, figures=figures)], _context(tx, ref), now_ms, told=before)
    settle_flag(tx, key, note="a till knew its card", by=BY, now_ms=now_ms)


def _owners(tx: Connection, one: ToldAccount) -> set[int]:
    cards = find(tx, card, [{"card_token": token} for token in one.cards], ("account_id",))
    return {survivor_of(tx, row.account_id) for row in cards}


def _give(tx: Connection, one: ToldAccount, owner: int, now_ms: int) -> None:
    """Those of its cards that lead nowhere lead to an account."""
    rows = [{"card_token": token, "account_id": owner, "since_ms": now_ms} for token in one.cards]
    put(tx, card, rows, "nothing")


def _context(tx: Connection, ref: EventRef) -> Mapping[EventRef, Mapping[str, Any]]:
    (row,) = find(tx, event, [msgspec.structs.asdict(ref)], CONTEXT)
    return {ref: dict(row._mapping)}
