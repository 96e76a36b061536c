"""What is read and done where much history lies: a balance, a history, a step of the run that lets points lapse."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from random import Random
from statistics import median
from time import perf_counter_ns

from sqlalchemy import func, select

from bench.goods import PLACE
from bench.ledger.centre import Centre, NotTaken
from bench.ledger.history import account_of
from bench.rounds import Round, durations
from central.console.history import history_of
from central.corrections.expiry import AT_ONCE, NightlyRun
from central.database.tables import account, event
from central.ports import SystemRandomness, reading
from central.posting.books import live_lots

MOST_RECENT = 5_000
TODAY = PLACE.business_date.isoformat()


class Reader:
    """Reads of members drawn at random, each in a snapshot of its own, as a page is."""

    def __init__(self, url: str) -> None:
        self._centre = Centre(url)
        self._draw = Random("reader")
        with reading(self._centre.engine) as connection:
            self._members = connection.execute(select(func.count()).select_from(account)).scalar_one()
            unchecked = select(event.c.account_id).where(event.c.checked == "").limit(MOST_RECENT)
            self._recent = connection.execute(unchecked).scalars().all()

    def balance(self) -> int:
        """The points that a member can spend today."""
        with reading(self._centre.engine) as connection:
            points = sum(lot.points for lot in live_lots(connection, [self._member()], TODAY))
        if not points:
            raise NotTaken("a member of the history has no points")
        return points

    def history(self) -> int:
        """A member's page on the console; how many entries. None of its events has its batch here."""
        with reading(self._centre.engine) as connection:
            return len(history_of(connection, self._member()).entries)

    def recent_history(self) -> int:
        """The same of a member of whom one event at least came in a batch, which is opened for it."""
        with reading(self._centre.engine) as connection:
            return len(history_of(connection, self._draw.choice(self._recent)).entries)

    def one_event(self) -> str:
        """The measure: the receipt id of one event of a member, by account and version."""
        with reading(self._centre.engine) as connection:
            here = event.c.account_id == self._member(), event.c.account_version == 1
            return connection.execute(select(event.c.receipt_id).where(*here)).scalar_one()

    def round(self, read: Callable[[], object], calls: int) -> Round:
        """So many reads, each of another member: their median, in microseconds."""
        return lambda: median(durations(read, calls, perf_counter_ns))

    def close(self) -> None:
        """Hang up."""
        self._centre.close()

    def _member(self) -> int:
        return account_of(self._draw.randrange(self._members))


class _Stopped:
    """A clock that stands in the afternoon of a day."""

    def __init__(self, on: date) -> None:
        self._ms = int(datetime.combine(on, time(15), UTC).timestamp() * 1_000)

    def wall_ms(self) -> int:
        return self._ms

    def mono_ms(self) -> int:
        return self._ms


class Night:
    """The run of a date that lets points lapse, a step at a time."""

    def __init__(self, url: str, on: date) -> None:
        self._centre = Centre(url)
        self._run = NightlyRun(self._centre.engine, _Stopped(on), SystemRandomness())

    def round(self) -> float:
        """One step: microseconds an account. Raises: NotTaken where nothing is left."""
        begun = perf_counter_ns()
        if not self._run.step():
            raise NotTaken("no points lapse on this date")
        return (perf_counter_ns() - begun) / 1_000 / AT_ONCE

    def rest(self) -> tuple[int, float]:
        """The run to its end: how many members that was, and how many seconds."""
        steps, begun = 0, perf_counter_ns()
        while self._run.step():
            steps += 1
        return steps * AT_ONCE, (perf_counter_ns() - begun) / 1e9

    def close(self) -> None:
        """Hang up."""
        self._centre.close()
