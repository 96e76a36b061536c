"""Turn the page in every stream, sum, freeze.

Two transactions. The cut is short: each stream's period number goes up, and every later posting is stamped with the new
one. Then nothing can be added to the old period, and its statements are summed, written and chained at leisure. A
crash between the two leaves the period `cut`; closing it, or a later one, goes on from there. Source: house.md section
4, "cut-off"; settlement.md "Period close".
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, select, update

from central.database.rows import put
from central.database.tables import (
    partner,
    payment,
    period,
    period_range,
    statement,
    statement_line,
    store_partner,
    stream,
    till,
)
from central.ports import Randomness, SystemRandomness, reading, replayable, writing
from central.settlement.annex import digest_annex
from central.settlement.issued import Closed, KindTotal, Range, Statement, period_row, read_closed
from central.settlement.positions import lines_of_period, settled_in
from central.streams.own_events import append_own
from central.streams.sealing import newest_block
from loyalty.facts.events import PeriodTurned
from loyalty.moments import utc_date
from loyalty.settling.netting import Netting, net_positions
from loyalty.settling.statements import StatementLine, owed_by_partner
from loyalty.trouble import Refusal

STREAM = "periods"
MOST_DAYS_AHEAD = 366
SYSTEM_RANDOMNESS = SystemRandomness()


class BadThrough(Refusal):
    code = "period.through_before_start"
    status = 422


class FarThrough(Refusal):
    code = "period.through_far_ahead"
    status = 422


def close_period(
    engine: Engine,
    *,
    period_no: int,
    through: date,
    now_ms: int,
    randomness: Randomness = SYSTEM_RANDOMNESS,
    seal: Callable[[], object] = lambda: None,
) -> Closed:
    """Close a period and issue its statements; a period that is closed already answers as it did.

    Args:
        period_no: the open period, one whose close was interrupted, or a closed one.
        through: its last business date, which labels it; what belongs to it was decided by when it was booked.
        now_ms: when the statements are issued.
        seal: seals a block, see `central.streams.sealing`, so that what is on the statements is in the block they name.
    Raises:
        UnknownPeriod: there is no such period.
        BadThrough: it would end before it began.
        FarThrough: it would end more than a year from now; the next one could not be closed before.
        NoCurrency: nothing says what currency to settle in.
    """
    if through > utc_date(now_ms) + timedelta(days=MOST_DAYS_AHEAD):
        raise FarThrough(f"{through} lies more than a year ahead; check the year.", through=through.isoformat())
    with reading(engine) as tx:
        settled_in(tx)
    _cut(engine, period_no, through, now_ms)
    seal()
    for one in _cut_up_to(engine, period_no):
        _issue(engine, one, now_ms, randomness)
    with reading(engine) as tx:
        return read_closed(tx, period_no)


@replayable
def _cut(engine: Engine, period_no: int, through: date, now_ms: int) -> None:
    """From here on every posting is stamped with the next period."""
    with writing(engine) as tx:
        row = period_row(tx, period_no, lock=True)
        if row["state"] != "open":
            return
        if through.isoformat() < row["from_on"]:
            raise BadThrough(
                f"Period {period_no} began on {row['from_on']}; name that day or a later one. The period before it is"
                f" {period_no - 1}: name that number to go on with a close that was cut short, or to see it again.",
                period_no=period_no,
            )
        # Waits for batches that are being written, which still belong to the old page. A batch locks its till's stream
        # first and one of the centre's own after it, and so do we.
        turned = update(stream).values(period_no=period_no + 1)
        tx.execute(turned.where(stream.c.state != "centre"))
        tx.execute(turned.where(stream.c.state == "centre"))
        _cover(tx, period_no)
        tx.execute(
            update(period).where(period.c.period_no == period_no).values(state="cut", through=through.isoformat())
        )
        opening = {
            "period_no": period_no + 1,
            "state": "open",
            "from_on": (through + timedelta(days=1)).isoformat(),
            "opened_at_ms": now_ms,
        }
        put(tx, period, [opening])


def _cover(tx: Connection, period_no: int) -> None:
    """Write down which events of each stream the period covers."""
    covered: dict[tuple[str, int], int] = {}
    for row in tx.execute(
        select(period_range.c.till_id, period_range.c.epoch, func.max(period_range.c.last_seq)).group_by(
            period_range.c.till_id, period_range.c.epoch
        )
    ):
        covered[row[0], row[1]] = row[2]
    heads = tx.execute(select(stream.c.till_id, stream.c.epoch, stream.c.seq))
    ranges = [
        {"till_id": till, "epoch": epoch, "period_no": period_no, "first_seq": first, "last_seq": seq}
        for till, epoch, seq in heads
        if seq >= (first := covered.get((till, epoch), 0) + 1)
    ]
    put(tx, period_range, ranges)


@replayable
def _cut_up_to(engine: Engine, period_no: int) -> Sequence[int]:
    """Cut periods in their order: a correction is billed by what the earlier ones billed, so none is passed over."""
    chosen = select(period.c.period_no).where(period.c.state == "cut", period.c.period_no <= period_no)
    with reading(engine) as tx:
        return tx.execute(chosen.order_by(period.c.period_no)).scalars().all()


@replayable
def _issue(engine: Engine, period_no: int, now_ms: int, randomness: Randomness) -> None:
    """Freeze a period that was cut."""
    with writing(engine) as tx:
        row = period_row(tx, period_no, lock=True)
        if row["state"] != "cut":
            return
        currency = settled_in(tx)
        lines = lines_of_period(tx, period_no, currency)
        issued = [
            (made.partner_id, _freeze(tx, made)) for made in _statements(tx, row, currency, lines, now_ms)
        ]
        _write_payments(tx, period_no, net_positions(owed_by_partner(lines)), now_ms)
        turned = PeriodTurned(
            receipt_id=f"period:{period_no}",
            period_no=period_no,
            through=date.fromisoformat(row["through"]),
            statements=tuple(issued),
        )
        append_own(tx, STREAM, [turned], now_ms, randomness)
        tx.execute(
            update(period).where(period.c.period_no == period_no).values(state="issued", issued_at_ms=now_ms)
        )


def _statements(
    tx: Connection, row: Mapping[str, Any], currency: str, lines: Sequence[StatementLine], now_ms: int
) -> Iterator[Statement]:
    """One statement for each partner, also for one that has nothing on it."""
    period_no = row["period_no"]
    names = {row.partner_id: row.name for row in tx.execute(select(partner))}
    ranges = _ranges(tx, period_no)
    owners = _owners(tx, row["through"])
    newest = newest_block(tx)
    for partner_id in sorted(names.keys() | {line.partner_id for line in lines}):
        annex_rows, annex_sha256 = digest_annex(tx, period_no, partner_id)
        own = tuple(line for line in lines if line.partner_id == partner_id)
        yield Statement(
            statement_id=f"{period_no}:{partner_id}",
            period_no=period_no,
            from_on=row["from_on"],
            through=row["through"],
            partner_id=partner_id,
            partner_name=names.get(partner_id, partner_id),
            currency=currency,
            issued_at_ms=now_ms,
            total_minor=sum(line.amount_minor for line in own),
            totals=_totals(own),
            lines=own,
            ranges=tuple(one for one in ranges if owners.get(one.till_id) == partner_id),
            annex_rows=annex_rows,
            annex_sha256=annex_sha256,
            block_no=newest.block_no,
            block_hash=newest.hash if newest.block_no else "",
        )


def _freeze(tx: Connection, made: Statement) -> str:
    """Write a statement and its lines; its hash."""
    frozen = msgspec.json.encode(made)
    sha256 = hashlib.sha256(frozen).hexdigest()
    tx.execute(
        statement.insert().values(
            statement_id=made.statement_id,
            period_no=made.period_no,
            partner_id=made.partner_id,
            currency=made.currency,
            total_minor=made.total_minor,
            sha256=sha256,
            document=frozen,
            issued_at_ms=made.issued_at_ms,
        )
    )
    rows = [
        {"statement_id": made.statement_id, "n": n, **msgspec.structs.asdict(line)}
        for n, line in enumerate(made.lines, 1)
    ]
    put(tx, statement_line, rows)
    return sha256


def _write_payments(tx: Connection, period_no: int, netting: Netting, now_ms: int) -> None:
    due = [
        {"period_no": period_no, "n": n, "changed_at_ms": now_ms, **msgspec.structs.asdict(one)}
        for n, one in enumerate(netting.hub, 1)
    ]
    put(tx, payment, due)


def _totals(lines: Iterable[StatementLine]) -> tuple[KindTotal, ...]:
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.kind] = sums.get(line.kind, 0) + line.amount_minor
    return tuple(KindTotal(kind=kind, amount_minor=amount) for kind, amount in sums.items())


def _ranges(tx: Connection, period_no: int) -> tuple[Range, ...]:
    columns = [period_range.c[name] for name in Range.__struct_fields__]
    rows = tx.execute(
        select(*columns)
        .where(period_range.c.period_no == period_no)
        .order_by(period_range.c.till_id, period_range.c.epoch)
    ).mappings()
    return tuple(Range(**row) for row in rows)


def _owners(tx: Connection, on: str) -> dict[str, str]:
    """The partner of each till's store on a date."""
    rows = tx.execute(
        select(till.c.till_id, store_partner.c.partner_id)
        .join_from(till, store_partner, store_partner.c.store_id == till.c.store_id)
        .where(store_partner.c.from_on <= on)
        .order_by(store_partner.c.from_on)
    )
    return {row.till_id: row.partner_id for row in rows}
