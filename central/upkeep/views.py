"""What the pages show, read from the tables: tills, the worklist, positions, periods."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, func, select

from central.coalition.hellos import held_in
from central.database.tables import batch, event, flag, period, posting, statement, store, store_partner, stream, till
from central.settlement.positions import lines_of_period, settled_in
from central.worklist.worklist import FlagKey, UnknownFlag
from loyalty.settling.netting import Netting, net_positions
from loyalty.settling.statements import owed_by_partner


class TillRow(msgspec.Struct, frozen=True, kw_only=True):
    """One lane. `missing` are events it has announced and not sent; `clock_error_ms` is none before it told.
    `leases_suspended` is why it spends nothing of its leases and floats, "" while it does; `card_keys` are the ids of
    the card keys in force that it holds. At its last hello its oldest event that is not here was `oldest_unsent_s` old,
    0 for none, and `disk_free_mb` were free for its journal, none where it did not say."""

    till_id: str
    label: str
    store_id: str
    store_name: str
    partner_id: str
    state: str
    heard_at_ms: int
    seq: int
    missing: int
    backlog: int
    clock_error_ms: int | None
    version: str
    reason: str
    leases_suspended: str
    card_keys: tuple[str, ...] = ()
    oldest_unsent_s: int = 0
    disk_free_mb: int | None = None


class _Clock(msgspec.Struct):
    clock_error_ms: int


class Pile(msgspec.Struct, frozen=True, kw_only=True):
    """Open findings of one cause, and since when the oldest waits."""

    cause: str
    count: int
    oldest_ms: int


class Positions(msgspec.Struct, frozen=True, kw_only=True):
    """What partners owe for one period; with the operator it sums to zero."""

    period_no: int
    state: str
    from_on: str
    through: str
    netting: Netting


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding with both sides: `sides` pairs the till's figure with the centre's, `figures` is the rest."""

    row: Row[Any]
    sides: tuple[tuple[str, Any, Any], ...]
    figures: tuple[tuple[str, Any], ...]
    event: Row[Any] | None
    postings: Sequence[Row[Any]]


def tills(tx: Connection, partner_id: str = "", on: str = "9999-12-31") -> list[TillRow]:
    """All tills by store and label, or those in the stores that a partner has on a date (ISO)."""
    rows = tx.execute(
        select(till, stream, batch.c.header, store.c.name.label("store_name"), _owner(on).label("partner_id"))
        .join_from(till, store, store.c.store_id == till.c.store_id)
        .outerjoin(stream, (stream.c.till_id == till.c.till_id) & (stream.c.epoch == till.c.epoch))
        .outerjoin(batch, _last_batch())
        .order_by(till.c.store_id, till.c.label)
    ).mappings()
    made = [_till_row(row) for row in rows]
    return [one for one in made if partner_id in ("", one.partner_id)]


def piles(tx: Connection) -> list[Pile]:
    """Open findings by cause, most first."""
    rows = tx.execute(
        select(flag.c.cause, func.count().label("count"), func.min(flag.c.raised_at_ms).label("oldest_ms"))
        .where(flag.c.state == "open")
        .group_by(flag.c.cause)
        .order_by(func.count().desc(), flag.c.cause)
    ).mappings()
    return [Pile(**row) for row in rows]


def positions(tx: Connection, period_no: int) -> Positions:
    """What partners owe for a period: as issued, or as it stands now."""
    row = tx.execute(select(period).where(period.c.period_no == period_no)).one()
    if row.state == "issued":
        issued = select(statement.c.partner_id, statement.c.total_minor).where(statement.c.period_no == period_no)
        owed = {one.partner_id: one.total_minor for one in tx.execute(issued)}
    else:
        owed = owed_by_partner(lines_of_period(tx, period_no, settled_in(tx)))
    return Positions(
        period_no=period_no,
        state=row.state,
        from_on=row.from_on,
        through=row.through,
        netting=net_positions(owed),
    )


def periods(tx: Connection) -> Sequence[Row[Any]]:
    """All periods, newest first."""
    return tx.execute(select(period).order_by(period.c.period_no.desc())).all()


def finding(tx: Connection, key: FlagKey) -> Finding:
    """One row of the worklist with its event and what that posted. Raises: UnknownFlag."""
    here = [flag.c[name] == value for name, value in msgspec.structs.asdict(key).items()]
    row = tx.execute(select(flag).where(*here)).one_or_none()
    if row is None:
        raise UnknownFlag("There is no such row on the worklist; look at the list again.")
    told = msgspec.json.decode(row.figures)
    names = sorted({name.split("_", 1)[1] for name in told if name.startswith(("till_", "centre_"))})
    paired = [(name, told[f"till_{name}"], told[f"centre_{name}"]) for name in names if _both(told, name)]
    shown = {f"{side}_{name}" for name, _, _ in paired for side in ("till", "centre")}
    of = (event.c.till_id == key.till_id, event.c.epoch == key.epoch, event.c.seq == key.seq)
    by = (posting.c.by_till == key.till_id, posting.c.by_epoch == key.epoch, posting.c.by_seq == key.seq)
    return Finding(
        row=row,
        sides=tuple(paired),
        figures=tuple((name, value) for name, value in told.items() if name not in shown),
        event=tx.execute(select(event).where(*of)).one_or_none(),
        postings=tx.execute(select(posting).where(*by).order_by(posting.c.account_id, posting.c.n)).all(),
    )


def _both(told: dict[str, Any], name: str) -> bool:
    return f"till_{name}" in told and f"centre_{name}" in told


def _owner(on: str) -> Any:
    """The partner that a till's store belongs to on a date."""
    return (
        select(store_partner.c.partner_id)
        .where(store_partner.c.store_id == till.c.store_id, store_partner.c.from_on <= on)
        .order_by(store_partner.c.from_on.desc())
        .limit(1)
        .scalar_subquery()
    )


def _last_batch() -> Any:
    """The batch with which a stream came to where it is: its key, for there are millions of others."""
    here = batch.c.till_id == stream.c.till_id, batch.c.epoch == stream.c.epoch, batch.c.last_seq == stream.c.seq
    return and_(*here)


def _till_row(row: Any) -> TillRow:
    about = msgspec.json.decode(row["about"] or "{}")
    seq = row["seq"] or 0
    return TillRow(
        till_id=row["till_id"],
        label=row["label"],
        store_id=row["store_id"],
        store_name=row["store_name"],
        partner_id=row["partner_id"] or "",
        state=row["state"] or "not enrolled",
        heard_at_ms=row["heard_at_ms"] or 0,
        seq=seq,
        missing=max(0, (row["announced_seq"] or 0) - seq),
        backlog=row["backlog"] or 0,
        clock_error_ms=msgspec.json.decode(row["header"], type=_Clock).clock_error_ms if row["header"] else None,
        reason=row["reason"] or "",
        leases_suspended=row["leases_suspended"] or "",
        version=str(about.get("version", "")),
        card_keys=held_in(row["about"] or "{}"),
        # What it has sent since does not wait any more.
        oldest_unsent_s=about.get("oldest_unsent_s", 0) if row["backlog"] else 0,
        disk_free_mb=free if (free := about.get("disk_free_mb", -1)) >= 0 else None,
    )
