"""Everything that happened to a member's points, in account order, each point explained.

Balances run along and are summed from postings here; promotions come from what the receipt recorded, people and reasons
from head office's own facts. Source: docs/ledger.md "History".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from central.database.rows import find
from central.database.tables import account, card, centre_event, debt, event, lot, posting
from central.members.members import UnknownAccount
from central.posting.recorded import key_of
from central.streams.evidence import payloads_of
from loyalty.facts.events import UnknownEvent, read_head
from loyalty.facts.receipts import Receipt, ReceiptDetail
from loyalty.lots import EventRef, LotKey

MOST_EVENTS = 500
SHOWN = ("kind", "receipt_id", "business_date", "store_id", "partner_id", "net_minor", "till_id", "epoch", "seq")


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one lot that went from one bucket to another; `step` is what it did to the balance.

    `for_event` names the receipt it settles, where that is an earlier one.
    """

    source: str
    target: str
    points: int
    step: int
    key: LotKey
    at_partner_id: str
    for_event: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the account.

    Attributes:
        balance: points in all lots, once it was folded in.
        promotions: points by promotion, as the receipt's detail has them.
        reason, asked_by, approved_by, note: of corrections.
        other_id: the account on the other side of a move; 0 for none.
    """

    version: int
    kind: str
    receipt_id: str
    business_date: str
    store_id: str
    partner_id: str
    net_minor: int
    movements: tuple[Movement, ...]
    step: int
    balance: int
    till_id: str
    epoch: int
    seq: int
    promotions: tuple[tuple[str, int], ...] = ()
    reason: str = ""
    asked_by: str = ""
    approved_by: str = ""
    note: str = ""
    other_id: int = 0


class History(msgspec.Struct, frozen=True, kw_only=True):
    """An account with all of its events, the newest first, at most `MOST_EVENTS` of them; `left_out` are older."""

    account_id: int
    status: str
    version: int
    merged_into: int
    balance: int
    leased: int
    debt_points: int
    cards: int
    lots: tuple[tuple[LotKey, int], ...]
    entries: tuple[Entry, ...]
    left_out: int = 0
    came_from: tuple[int, ...] = ()


def history_of(connection: Connection, account_id: int, most: int = MOST_EVENTS) -> History:
    """The history of an account. Raises: UnknownAccount."""
    row = connection.execute(select(account).where(account.c.account_id == account_id)).first()
    if row is None:
        raise UnknownAccount(f"There is no account {account_id}.", account_id=account_id)
    key = [{"account_id": account_id}]
    moves = find(connection, posting, key, (), posting.c.unit == "point")
    of_account = event.c.account_id == account_id, event.c.state == "posted"
    events = connection.execute(select(event).where(*of_account).order_by(event.c.account_version)).all()
    shown = events[-most:]
    entries = _entries(connection, events, shown, moves)
    # The second condition is what the index says; without it every account is looked at.
    came_here = account.c.merged_into == account_id, account.c.merged_into > 0
    merged = connection.execute(select(account.c.account_id).where(*came_here)).scalars()
    lots = sorted((key_of(one), one.points) for one in find(connection, lot, key) if one.points)
    return History(
        account_id=account_id,
        status=row.status,
        version=row.version,
        merged_into=row.merged_into,
        balance=sum(_step(one) * one.amount for one in moves),
        leased=sum(one.amount * ((one.target == "leased") - (one.source == "leased")) for one in moves),
        debt_points=sum(one.points for one in find(connection, debt, key)),
        cards=len({row.same_as or row.card_token for row in find(connection, card, key, ["card_token", "same_as"])}),
        lots=tuple(lots),
        entries=tuple(reversed(entries)),
        left_out=len(events) - len(shown),
        came_from=tuple(sorted(merged)),
    )


def _entries(
    connection: Connection, events: Sequence[Row[Any]], shown: Sequence[Row[Any]], moves: Iterable[Row[Any]]
) -> list[Entry]:
    told = _told(connection, shown)
    by_event: dict[EventRef, list[Row[Any]]] = {}
    for move in moves:
        by_event.setdefault(EventRef(till_id=move.by_till, epoch=move.by_epoch, seq=move.by_seq), []).append(move)
    names = _names(connection, moves)
    first, balance, entries = (shown[0].account_version if shown else 0), 0, []
    for row in events:
        own = sorted(by_event.get(_ref(row), []), key=lambda move: move.n)
        step = sum(_step(move) * move.amount for move in own)
        balance += step
        if row.account_version < first:
            continue
        entries.append(
            Entry(
                version=row.account_version,
                **{name: row._mapping[name] for name in SHOWN},
                movements=tuple(_movement(move, names) for move in own),
                step=step,
                balance=balance,
                **told.get(_ref(row), {}),
            )
        )
    return entries


def _movement(move: Row[Any], names: Mapping[EventRef, str]) -> Movement:
    of = EventRef(till_id=move.of_till, epoch=move.of_epoch, seq=move.of_seq)
    own = (move.of_till, move.of_epoch, move.of_seq) == (move.by_till, move.by_epoch, move.by_seq)
    return Movement(
        source=move.source,
        target=move.target,
        points=move.amount,
        step=_step(move) * move.amount,
        key=key_of(move),
        at_partner_id=move.at_partner_id,
        for_event="" if own else names.get(of, ""),
    )


def _step(move: Row[Any]) -> int:
    return (move.target == "available") - (move.source == "available")


def _names(connection: Connection, moves: Iterable[Row[Any]]) -> dict[EventRef, str]:
    """The receipts that postings settle for other events."""
    others = {(one.of_till, one.of_epoch, one.of_seq) for one in moves
              if (one.of_till, one.of_epoch, one.of_seq) != (one.by_till, one.by_epoch, one.by_seq)}  # fmt: skip
    keys = [{"till_id": till_id, "epoch": epoch, "seq": seq} for till_id, epoch, seq in others]
    return {_ref(row): row.receipt_id for row in find(connection, event, keys)}


def _told(connection: Connection, rows: Sequence[Row[Any]]) -> dict[EventRef, dict[str, Any]]:
    """What the events themselves say beyond their rows."""
    refs = [_ref(row) for row in rows]
    payloads = payloads_of(connection, refs)
    keys = [msgspec.structs.asdict(ref) for ref in refs if ref not in payloads]
    payloads |= {_ref(row): bytes(row.payload) for row in find(connection, centre_event, keys)}
    told = {}
    for ref, payload in payloads.items():
        try:
            head = read_head(payload)
        except UnknownEvent:
            continue  # blanked since it was posted: its postings are still there
        told[ref] = _promotions(head) if isinstance(head, Receipt) else _people(head)
    return told


def _promotions(receipt: Receipt) -> dict[str, Any]:
    try:
        detail = msgspec.json.decode(receipt.detail, type=ReceiptDetail)
    except msgspec.MsgspecError:
        return {}  # erased, or malformed, which recomputing has put on the worklist
    points: dict[str, int] = {}
    for effect in detail.effects:
        points[effect.promotion] = points.get(effect.promotion, 0) + effect.points
    return {"promotions": tuple(sorted((name, count) for name, count in points.items() if count))}


def _people(head: Any) -> dict[str, Any]:
    names = ("reason", "asked_by", "approved_by", "note", "other_id")
    return {name: value for name in names if (value := getattr(head, name, None))}


def _ref(row: Row[Any]) -> EventRef:
    return EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)
