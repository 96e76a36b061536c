"""What a till keeps in mind of its conversation: what is due when, how the line is doing, what the clock says.

Nothing of it must survive a restart. All times are the monotonic clock's unless a name says wall.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from sync.pacing import DRAW_BITS, ClockEstimate, ClockOffset, Moment, after_retry_after, next_try, phase_ms
from sync.wire import LANES, Lane, Lanes

LineState = Literal["starting", "online", "offline"]
BULK_LANES: tuple[Lane, ...] = ("members",)
# Asked for only once the centre told of them: many programmes have no certificates.
UNASKED_LANES: tuple[Lane, ...] = ("certificates",)
NEVER = 2**62


class Intervals(msgspec.Struct, frozen=True, kw_only=True):
    """How often a till speaks when nothing happens; `start_spread_ms` spreads a chain's mornings. Every `digest_ms` it
    compares one part of its members with the centre's."""

    hello_ms: int = 3_600_000
    hotlist_ms: int = 20_000
    programme_ms: int = 300_000
    members_ms: int = 60_000
    start_spread_ms: int = 0
    digest_ms: int = 600_000


class LineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the line is doing. `since_ms` (wall) is when this state began, 0 before any contact or failure."""

    state: LineState
    since_ms: int
    last_contact_ms: int
    last_error: str
    failures: int
    clock: ClockEstimate | None


class Schedule:
    """When to say what.

    Args:
        intervals: see there.
        random_bits: gives so many random bits, for jitter.
    """

    def __init__(self, intervals: Intervals, random_bits: Callable[[int], int]) -> None:
        self._intervals = intervals
        self._random_bits = random_bits
        self._every: dict[Lane, int] = {
            "hotlist": intervals.hotlist_ms,
            "programme": intervals.programme_ms,
            "members": intervals.members_ms,
            "certificates": intervals.members_ms,
        }
        self._lane_due: dict[Lane, int] = {}
        self._told: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self._hello_due = 0
        self._digest_due = 0
        self._quiet_until = 0
        self._bulk_until = 0
        self._failures = 0
        self._last_error = ""
        self._state: LineState = "starting"
        self._since_ms = 0
        self._last_contact_ms = 0
        self._clock = ClockOffset()

    def begin(self, now: Moment, till_id: str) -> None:
        """Set everything due, the first time it is called."""
        if not self._lane_due:
            self._lane_due = dict.fromkeys(LANES, now.mono_ms) | dict.fromkeys(UNASKED_LANES, NEVER)
            self._hello_due = now.mono_ms
            # Each till at its own place of the interval: those that begin together do not compare together.
            every_ms = self._intervals.digest_ms
            self._digest_due = now.mono_ms + every_ms // 2 + phase_ms(till_id, every_ms // 2)
            self._quiet_until = now.mono_ms + phase_ms(till_id, self._intervals.start_spread_ms)

    def quiet_until(self) -> int:
        """Before this nothing is sent."""
        return self._quiet_until

    def is_hello_due(self, now: Moment) -> bool:
        return now.mono_ms >= self._hello_due

    def is_hotlist_overdue(self, now: Moment) -> bool:
        """Whether two intervals have gone since the hotlist was due."""
        return now.mono_ms >= self._lane_due["hotlist"] + 2 * self._every["hotlist"]

    def may_send_bulk(self, now: Moment) -> bool:
        """Whether the centre lets us bring events and fetch members; the hotlist and hellos never wait for that."""
        return now.mono_ms >= self._bulk_until

    def due_lane(self, now: Moment) -> Lane | None:
        """The most urgent lane that is due."""
        urgent = (lane for lane in LANES if lane not in BULK_LANES or self.may_send_bulk(now))
        return next((lane for lane in urgent if now.mono_ms >= self._lane_due[lane]), None)

    def is_digest_due(self, now: Moment) -> bool:
        return now.mono_ms >= self._digest_due and self.may_send_bulk(now)

    def digest_done(self, now: Moment) -> None:
        self._digest_due = now.mono_ms + self._intervals.digest_ms

    def next_due(self, *, has_events: bool = False) -> int:
        """When the next thing is due; `has_events` says that some wait for the centre to let them in."""
        bulk = [self._digest_due, *(self._lane_due[lane] for lane in BULK_LANES)]
        urgent = (self._lane_due[lane] for lane in LANES if lane not in BULK_LANES)
        waits = [self._bulk_until] if has_events else []
        return min(self._hello_due, *urgent, *(max(due, self._bulk_until) for due in bulk), *waits)

    def hello_now(self, now: Moment) -> None:
        self._hello_due = now.mono_ms

    def hello_done(self, now: Moment) -> None:
        self._hello_due = now.mono_ms + self._intervals.hello_ms

    def lane_now(self, lane: Lane, now: Moment) -> None:
        self._lane_due[lane] = now.mono_ms

    def lane_done(self, lane: Lane, now: Moment) -> None:
        self._lane_due[lane] = now.mono_ms + self._every[lane]

    def told_of(self, newest: Lanes, have: Lanes, now: Moment) -> None:
        """The centre told of versions; each is asked for once at once, then only at its interval."""
        for lane in LANES:
            if newest.of(lane) > self._told[lane]:
                self._told[lane] = newest.of(lane)
                if newest.of(lane) > have.of(lane):
                    self.lane_now(lane, now)
                elif lane in UNASKED_LANES:
                    self.lane_done(lane, now)

    def heard(self, sent: Moment, now: Moment, server_at_ms: int, *, error: str = "") -> None:
        """The centre itself answered; `error` is its reason where it said no."""
        self._clock = self._clock.with_reply(sent, now, server_at_ms)
        self._failures = 0
        self._last_error = error
        self._last_contact_ms = now.wall_ms
        self._enter("online", now)

    def pause(self, now: Moment, pause_ms: int) -> None:
        self._quiet_until = now.mono_ms + pause_ms

    def rest(self, now: Moment, retry_after_s: int) -> None:
        """Be quiet for as long as the centre asks."""
        self._quiet_until = now.mono_ms + after_retry_after(retry_after_s, self._random_bits(DRAW_BITS))

    def rest_bulk(self, now: Moment, code: str, retry_after_s: int) -> None:
        """The centre is busy: bring and fetch nothing large until then. The line itself is fine."""
        self._last_error = code
        self._bulk_until = now.mono_ms + after_retry_after(retry_after_s, self._random_bits(DRAW_BITS))

    def failed(self, now: Moment, code: str, retry_after_s: int | None) -> None:
        """Nothing usable came back: wait a random while, longer each time, or as long as we were told."""
        self._failures += 1
        self._last_error = code
        if retry_after_s is None:
            self._quiet_until = now.mono_ms + next_try(self._failures, self._random_bits(DRAW_BITS))
        else:
            self.rest(now, retry_after_s)
        self._enter("offline", now)

    def _enter(self, state: LineState, now: Moment) -> None:
        if self._state != state:
            self._state = state
            self._since_ms = now.wall_ms

    def clock(self, now: Moment) -> ClockEstimate | None:
        """Centre time against our wall clock, None before any reply."""
        return self._clock.estimate(now)

    def status(self, now: Moment) -> LineStatus:
        return LineStatus(
            state=self._state,
            since_ms=self._since_ms,
            last_contact_ms=self._last_contact_ms,
            last_error=self._last_error,
            failures=self._failures,
            clock=self.clock(now),
        )
