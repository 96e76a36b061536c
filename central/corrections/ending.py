"""Points that get an earlier last valid day: a programme that ends, a partner that leaves and says until when.

A day is set once; whatever lies beyond it, now or later, is moved to a lot with that day by the next run, and lapses
with it like any other. The points stay what they are: their issuer, their terms, what is owed for them.
Source: docs/ledger.md "A partner leaves", "A programme ends"; settlement.md section 2.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, func, or_, select

from central.coalition.registry import all_terms
from central.corrections.wishes import EVERYBODY
from central.database.rows import put
from central.database.tables import lot, partner, setting
from central.ports import Randomness, reading, replayable, writing
from central.posting.account_facts import AccountFacts
from loyalty.facts.centre_events import Moved
from loyalty.ledger.books import NO_TERMS, Account
from loyalty.lots import FOREVER, EventRef, LotKey, Redated, Slice
from loyalty.moments import utc_date
from loyalty.trouble import Refusal

STREAM = "endings"
SETTING = "last_day:"  # and the issuer; `*` is everybody
AT_ONCE = 500


class UnknownPartner(Refusal):
    code = "coalition.unknown_partner"
    status = 404


class DayIsOver(Refusal):
    code = "ending.day_is_over"
    status = 422


class Outstanding(msgspec.Struct, frozen=True, kw_only=True):
    """Points of one issuer that members still hold, by lot; it owes `per_point_micro` for each that is redeemed."""

    valid_through: date
    terms_id: str
    points: int
    accounts: int
    per_point_micro: int


def set_last_day(tx: Connection, through: date, now_ms: int, issuer_id: str = EVERYBODY) -> None:
    """Say on which day points of an issuer, or of everybody, are good for the last time. The earlier of two days holds.

    Raises:
        UnknownPartner. DayIsOver: members could not spend their points any more.
    """
    check_last_day(tx, through, utc_date(now_ms), issuer_id)
    put(tx, setting, [{"name": SETTING + issuer_id, "value": through.isoformat()}], {"value": "given"})


def check_last_day(connection: Connection, through: date, today: date, issuer_id: str = EVERYBODY) -> int:
    """Refuse a day that cannot be set; points in members' hands that are good beyond it.

    Raises:
        UnknownPartner. DayIsOver.
    """
    known = select(partner.c.partner_id).where(partner.c.partner_id == issuer_id)
    if issuer_id != EVERYBODY and connection.execute(known).first() is None:
        raise UnknownPartner(f"There is no partner {issuer_id}; the coalition file names them all.")
    if through <= today:
        raise DayIsOver(f"{through} is not ahead. Name a day after {today}, on which members can still spend.")
    held = select(func.sum(lot.c.points)).where(lot.c.points > 0, beyond(lot, issuer_id, through))
    return int(connection.execute(held).scalar() or 0)


def outstanding(connection: Connection, issuer_id: str) -> tuple[Outstanding, ...]:
    """The final statement of a partner that leaves: its points in members' hands, soonest to lapse first.

    Points in tills' holds and leases are not in it; they come back into lots or are redeemed.
    Raises: UnknownPartner.
    """
    if connection.execute(select(partner.c.partner_id).where(partner.c.partner_id == issuer_id)).first() is None:
        raise UnknownPartner(f"There is no partner {issuer_id}; the coalition file names them all.")
    owed = {one.terms_id: one.funding_micro - one.advance_micro for one in all_terms(connection)}
    sums = select(lot.c.valid_through, lot.c.terms_id, func.sum(lot.c.points), func.count())
    grouped = sums.where(lot.c.issuer_id == issuer_id, lot.c.points > 0).group_by(lot.c.valid_through, lot.c.terms_id)
    return tuple(
        Outstanding(
            valid_through=date.fromisoformat(through),
            terms_id=terms_id,
            points=int(points),
            accounts=accounts,
            per_point_micro=owed.get(terms_id, 0) if terms_id != NO_TERMS else 0,
        )
        for through, terms_id, points, accounts in connection.execute(
            grouped.order_by(lot.c.valid_through, lot.c.terms_id)
        )
    )


def last_days(connection: Connection) -> dict[str, date]:
    """The last day of each issuer that has one, and of `*`."""
    told = select(setting.c.name, setting.c.value).where(setting.c.name.like(f"{SETTING}%"))
    return {name.removeprefix(SETTING): date.fromisoformat(value) for name, value in connection.execute(told)}


def redate(engine: Engine, on: date, now_ms: int, randomness: Randomness) -> Iterator[int]:
    """Move what lies beyond a last day to that day, chunk by chunk; the account that each chunk came to.

    Args:
        on: the date of the run.
    """
    with reading(engine) as tx:
        days = last_days(tx)
    after = 0
    while days and (after := _step(engine, days, on, after, now_ms, randomness)):
        yield after


@replayable
def _step(engine: Engine, days: Mapping[str, date], on: date, after: int, now_ms: int, randomness: Randomness) -> int:
    with writing(engine) as tx:
        late = or_(*(beyond(lot, issuer_id, day) for issuer_id, day in sorted(days.items())))
        chosen = select(lot.c.account_id).distinct().where(lot.c.points > 0, lot.c.account_id > after, late)
        account_ids = list(tx.execute(chosen.order_by(lot.c.account_id).limit(AT_ONCE)).scalars())
        if not account_ids:
            return 0
        facts = AccountFacts(tx, STREAM, now_ms, randomness)
        held = facts.lock(account_ids)
        outs = [one for account_id in account_ids if (one := _out(held[account_id], account_id, days, on))]
        if outs:
            posted = facts.post(outs)
            facts.post([_back(out, days, ref) for ref, out in zip(posted, outs, strict=True)])
        return account_ids[-1]


def beyond(lots: Table, issuer_id: str, day: date) -> ColumnElement[bool]:
    """Rows of `lot` or `lease_slice` with points of an issuer, or of everybody, that are good beyond a day."""
    late = lots.c.valid_through > day.isoformat()
    return late if issuer_id == EVERYBODY else and_(lots.c.issuer_id == issuer_id, late)


def _out(held: Account, account_id: int, days: Mapping[str, date], on: date) -> Moved | None:
    """What leaves the lots that lie beyond; none where nothing does."""
    beyond = {key: points for key, points in held.lots.items() if points and key.valid_through > _day_of(key, days)}
    if not beyond:
        return None
    return Moved(
        receipt_id=f"last_day:{account_id}:{held.version}:out",  # once moved, nothing lies beyond
        account_id=account_id,
        other_id=account_id,
        on=on,
        direction="out",
        reason="last_day",
        asked_by="head office",
        slices=tuple(Slice(key=key, points=beyond[key]) for key in sorted(beyond)),
        earned_on=tuple(held.earned_on.get(key) for key in sorted(beyond)),
    )


def _back(out: Moved, days: Mapping[str, date], ref: EventRef) -> Moved:
    """The same points, under the day they have from now on, and as old as the oldest that come together."""
    sums: dict[LotKey, int] = {}
    ages: dict[LotKey, list[date | None]] = {}
    for slice_, earned_on in zip(out.slices, out.earned_on, strict=True):
        key = msgspec.structs.replace(slice_.key, valid_through=_day_of(slice_.key, days))
        sums[key] = sums.get(key, 0) + slice_.points
        ages.setdefault(key, []).append(earned_on)
    return msgspec.structs.replace(
        out,
        receipt_id=out.receipt_id.removesuffix("out") + "in",
        direction="in",
        slices=tuple(Slice(key=key, points=points) for key, points in sums.items()),
        earned_on=tuple(_oldest(ages[key]) for key in sums),
        redated=tuple(Redated(key=one.key, valid_through=_day_of(one.key, days)) for one in out.slices),
        of=ref,
    )


def _oldest(days: Sequence[date | None]) -> date | None:
    """Points that nobody remembers are older than all others."""
    return None if None in days else min(day for day in days if day is not None)


def _day_of(key: LotKey, days: Mapping[str, date]) -> date:
    return min(days.get(key.issuer_id, FOREVER), days.get(EVERYBODY, FOREVER))
