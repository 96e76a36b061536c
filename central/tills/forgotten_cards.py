"""Cards of members that only a till still knows: who gave them lost that, and so did head office in a restore.

A till says after a restore which cards led to the accounts that its events name. Where such an account is a member's, a
card of it that is nobody's here was given since the backup by a till that is gone. A till's word is not enough to
give a member's points to whoever holds a card, so a person decides. Source: docs/members.md "After a restore".
"""

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, bindparam, or_, select, update

from central.database.asking import ask as ask_database
from central.database.asking import ask_first
from central.database.lanes import mark_changed
from central.database.rows import find, put
from central.database.tables import account, card, event, flag, hotlist
from central.members.accounts import survivor_of
from central.members.members import AccountClosed, CardTaken
from central.posting.member_facts import CARD_HAS_POINTS
from central.worklist.worklist import CONTEXT, FlagKey, UnknownFlag, raise_flags, settle_flag, told_before
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef
from sync.desk import DeskAsk, ToldAccount

FORGOTTEN = "card_forgotten"
_LAST = (
    select(event)
    .where(
        event.c.till_id == bindparam("till"),
        or_(event.c.account_id == bindparam("told"), event.c.account_id == bindparam("owner")),
    )
    .order_by(event.c.epoch.desc(), event.c.seq.desc())
    .limit(1)
)
_FLAGGED = select(flag).where(flag.c.cause == FORGOTTEN)
_REFUSED = hotlist.c.lifted == 0


def note_forgotten(tx: Connection, ask: DeskAsk, one: ToldAccount, now_ms: int) -> None:
    """Put cards of a member that nobody gave here on the worklist, with the last event of the till that names the
    member; each once, whatever was made of it."""
    owner = survivor_of(tx, one.account_id)
    last = ask_first(tx, _LAST, {"till": ask.till_id, "told": one.account_id, "owner": owner})
    if last is None or not _is_member(tx, owner):
        return
    ref = EventRef(till_id=last.till_id, epoch=last.epoch, seq=last.seq)
    told = {msgspec.json.decode(row.figures)["card_token"] for row in ask_database(tx, _FLAGGED)}
    lost = sorted(_nobodys(tx, one.cards) - told)
    flags = [Flag(of=ref, cause=FORGOTTEN, figures={"account_id": owner, "card_token": token}) for token in lost]
    about = {ref: {name: last._mapping[name] for name in CONTEXT}}
    raise_flags(tx, flags, about, now_ms, told=told_before(tx, ref, FORGOTTEN))


def give_forgotten(tx: Connection, key: FlagKey, *, by: str, now_ms: int) -> None:
    """A person decided that the card is the member's; what it earned for nobody since follows it by itself.

    Raises:
        UnknownFlag: it is settled already. AccountClosed: the member is erased. CardTaken: it is another member's.
    """
    here = [flag.c[name] == value for name, value in msgspec.structs.asdict(key).items()]
    row = tx.execute(select(flag).where(*here, flag.c.state == "open", flag.c.cause == FORGOTTEN)).first()
    if row is None:
        raise UnknownFlag("This row is not open any more; look at the list again.")
    figures = msgspec.json.decode(row.figures)
    owner, token = survivor_of(tx, figures["account_id"]), figures["card_token"]
    if not _is_member(tx, owner):
        raise AccountClosed("This member is not here any more; settle the row with a note.", account_id=owner)
    put(tx, card, [{"card_token": token, "account_id": owner, "since_ms": now_ms}], "nothing")
    (known,) = find(tx, card, [{"card_token": token}], ("account_id",))
    theirs = survivor_of(tx, known.account_id)
    if theirs != owner:
        if _is_member(tx, theirs):
            raise CardTaken("This card is another member's by now; settle the row with a note.", account_id=theirs)
        tx.execute(update(card).where(card.c.account_id == known.account_id).values(account_id=owner))
        ref = EventRef(till_id=key.till_id, epoch=key.epoch, seq=key.seq)
        about = {ref: {name: row._mapping[name] for name in CONTEXT}}
        follow: dict[str, int | str] = {"account_id": theirs, "into": owner}
        # Another card that was forgotten may have the same event.
        before = told_before(tx, ref, CARD_HAS_POINTS)
        raise_flags(tx, [Flag(of=ref, cause=CARD_HAS_POINTS, figures=follow)], about, now_ms, told=before)
    mark_changed(tx, {owner, theirs}, f"forgotten:{key.till_id}:{key.epoch}:{key.seq}:{key.n}")
    settle_flag(tx, key, note="the card is the member's", by=by, now_ms=now_ms)


def _nobodys(tx: Connection, tokens: Iterable[str]) -> set[str]:
    """Those of these cards that lead to no member here, and are not to be refused."""
    keys = [{"card_token": token} for token in tokens]
    members = {row.card_token for row in find(tx, card, keys) if _is_member(tx, survivor_of(tx, row.account_id))}
    refused = {row.card_token for row in find(tx, hotlist, keys, ("card_token",), _REFUSED, told={})}
    return set(tokens) - members - refused


def _is_member(tx: Connection, account_id: int) -> bool:
    rows = find(tx, account, [{"account_id": account_id}])
    return bool(rows) and rows[0].status == "registered"
