"""The nightly run: points whose last valid day is over lapse, in every store's time, and nothing lapses twice.

It starts at 12:00 UTC of the next day, when that day is over everywhere on earth. Accounts go in chunks, each its own
transaction: a run that was broken off goes on where it was, and one that is run again finds nothing left. Points that
are held or leased lie in no lot; they lapse once they come back. Source: DECISIONS 6; settlement.md "Attribution".
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec
from sqlalchemy import Connection, Engine, select

from central.coalition.programmes import current_programme
from central.coalition.settings import get_setting
from central.corrections.ending import redate
from central.database.rows import put
from central.database.tables import lot, setting
from central.ports import Clock, Randomness, reading, replayable, writing
from central.posting.account_facts import AccountFacts
from central.posting.certificates import lapse_certificates
from loyalty.facts.centre_events import Expired
from loyalty.lots import END_OF_DAY, Expiry, LotKey, is_live
from loyalty.pricing.leases import expiry_of
from loyalty.trouble import Refusal

STREAM = "expiry"
STARTS_AT_HOUR = 12
AT_ONCE = 500
DONE = "expired_on"  # the setting: the date of the last run that came to its end


class TooEarly(Refusal):
    code = "expiry.too_early"
    status = 422


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """What one step of a run did; `last` is the account it came to, 0 when none is left."""

    accounts: int = 0
    points: int = 0
    last: int = 0


def expire(engine: Engine, on: date, now_ms: int, randomness: Randomness) -> Chunk:
    """The whole run of a date; again, or after it was broken off, what is left of it.

    Args:
        on: lots that are not live on this date any more lapse.
    Raises:
        TooEarly: somewhere the day before is not over yet.
    """
    if on > due_on(now_ms):
        raise TooEarly(
            f"The run of {on} starts at 12:00 UTC of that day: until then points may still be spent somewhere. Name"
            f" {due_on(now_ms)} or an earlier date.",
            on=on.isoformat(),
        )
    steps = list(_steps(engine, on, now_ms, randomness))
    return Chunk(accounts=sum(one.accounts for one in steps), points=sum(one.points for one in steps))


def due_on(now_ms: int) -> date:
    """The date of the last run that may have started by now."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return now.date() if now.hour >= STARTS_AT_HOUR else now.date() - timedelta(days=1)


class NightlyRun:
    """The chore: a step of the run that is due, until it is through."""

    def __init__(self, engine: Engine, clock: Clock, randomness: Randomness) -> None:
        self._engine, self._clock, self._randomness = engine, clock, randomness
        self._steps: Iterator[Chunk] = iter(())
        self._on: date | None = None

    def step(self) -> int:
        """How many accounts it looked at; 0 when nothing is due."""
        now_ms = self._clock.wall_ms()
        on = due_on(now_ms)
        with reading(self._engine) as tx:
            if get_setting(tx, DONE) >= on.isoformat():
                return 0
        if on != self._on:
            self._on, self._steps = on, _steps(self._engine, on, now_ms, self._randomness)
        try:
            done = next(self._steps, Chunk())
        except BaseException:
            self._on = None  # a failed run begins anew in its turn; what it wrote it does not write again
            raise
        return done.last


def _steps(engine: Engine, on: date, now_ms: int, randomness: Randomness) -> Iterator[Chunk]:
    yield from (Chunk(last=last) for last in redate(engine, on, now_ms, randomness))
    while lapsed := lapse_certificates(engine, on, now_ms, randomness):
        yield Chunk(last=lapsed)
    after = 0
    while (chunk := _step(engine, on, after, now_ms, randomness)).last:
        yield chunk
        after = chunk.last
    _note_done(engine, on)


@replayable
def _step(engine: Engine, on: date, after: int, now_ms: int, randomness: Randomness) -> Chunk:
    """The accounts that come after one."""
    with writing(engine) as tx:
        expiry = _expiry(tx)
        lapsing = select(lot.c.account_id).distinct().where(lot.c.valid_through <= _last_lapsed(on, expiry).isoformat())
        here = lapsing.where(lot.c.points > 0, lot.c.account_id > after).order_by(lot.c.account_id)
        account_ids = list(tx.execute(here.limit(AT_ONCE)).scalars())
        if not account_ids:
            return Chunk()
        facts = AccountFacts(tx, STREAM, now_ms, randomness)
        held = facts.lock(account_ids)
        names = {account_id: f"expiry:{on}:{account_id}" for account_id in account_ids}
        # What came into a lot that had lapsed before, after the run of this date, waits for the next.
        written = facts.written(names.values())
        lapsed = [Expired(receipt_id=names[account_id], account_id=account_id, on=on, expiry=expiry)
                  for account_id in account_ids
                  if names[account_id] not in written and _any_lapsed(held[account_id].lots, expiry, on)]  # fmt: skip
        posted = facts.post(lapsed) if lapsed else {}
        points = sum(posting.amount for one in posted.values() for posting in one.postings)
        return Chunk(accounts=len(lapsed), points=points, last=account_ids[-1])


def _any_lapsed(lots: dict[LotKey, int], expiry: Expiry, on: date) -> bool:
    return any(points and not is_live(key, expiry, on, None) for key, points in lots.items())


def _last_lapsed(on: date, expiry: Expiry) -> date:
    """The last of the last valid days that are over on a date."""
    today = LotKey(valid_through=on, issuer_id="", terms_id="")
    return on - timedelta(days=1) if is_live(today, expiry, on, None) else on


def _expiry(tx: Connection) -> Expiry:
    programme = current_programme(tx)
    return expiry_of(programme.options) if programme else END_OF_DAY


@replayable
def _note_done(engine: Engine, on: date) -> None:
    with writing(engine) as tx:
        if get_setting(tx, DONE) < on.isoformat():
            put(tx, setting, [{"name": DONE, "value": on.isoformat()}], {"value": "given"})
