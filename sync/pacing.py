"""When to speak again, who may enter, and what the replies say of our clock.

Source: sync.md sections 4 and 5. Random bits and both clocks are handed in.
"""

import msgspec

MAX_BACKOFF_MS = 300_000
FIRST_BACKOFF_MS = 2_000
MAX_RETRY_AFTER_S = 3_600
DRIFT_PPM = 200
KEPT_SAMPLES = 8
DRAW_BITS = 32
ANSWER_MS = 4_000  # at 256 kbit/s 128 kB
LEAST_BUDGET = 4 * 1024
FIRST_BUDGET = 64 * 1024
MOST_BUDGET = 256 * 1024


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Now, by both clocks: `mono_ms` for intervals, `wall_ms` since 1970 UTC to tell others."""

    mono_ms: int
    wall_ms: int


def next_try(failures: int, draw: int) -> int:
    """Milliseconds to wait after so many failures in a row: full jitter, U(0, min(300 s, 2 s · 2ⁿ)), n from 0.

    Args:
        failures: 1 or more.
        draw: 32 random bits.
    """
    longest = min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS << min(failures - 1, 20))
    return longest * draw >> DRAW_BITS


def after_retry_after(retry_after_s: int, draw: int) -> int:
    """Milliseconds to wait when told to: as long as asked, an hour at most, plus up to a tenth and a second."""
    asked_ms = 1000 * max(0, min(retry_after_s, MAX_RETRY_AFTER_S))
    return asked_ms + ((asked_ms // 10 + 1000) * draw >> DRAW_BITS)


def phase_ms(till_id: str, spread_ms: int) -> int:
    """This till's own share of a start-up spread, so that a whole chain of stores does not speak at once."""
    return int(till_id[:8], 16) % spread_ms if spread_ms > 0 else 0


def admit(waiting: int, *, workers: int, each_ms: int, draw: int, outside: int = 0, places: int = 0) -> int:
    """Whether one more request may enter before its body is read.

    Args:
        waiting: requests inside now, running ones included.
        workers: how many run at a time, 1 or more.
        each_ms: what one takes, measured.
        draw: 32 random bits.
        outside: requests that were told to come again and have not yet.
        places: how many of its kind may be inside; 0 for twice the workers.
    Returns:
        0 to enter, else seconds for Retry-After: U(1, the time to drain what waits, inside and outside).
    """
    if waiting < (places or 2 * workers):
        return 0
    drain_s = max(1, (waiting + outside) * each_ms // (workers * 1000))
    return 1 + (drain_s * draw >> DRAW_BITS)


class LineBudget(msgspec.Struct, frozen=True, kw_only=True):
    """How many bytes one answer may bring, so that it holds a line for about four seconds and nothing urgent waits
    longer behind it. It follows what the line was seen to do."""

    wire_bytes: int = FIRST_BUDGET

    def after(self, got_bytes: int, took_ms: int) -> "LineBudget":
        """The budget once an answer of so many bytes took so long; one much smaller says nothing about the line."""
        if got_bytes * 2 < self.wire_bytes:
            return self
        seen = got_bytes * ANSWER_MS // max(1, took_ms)
        return _bounded(max(self.wire_bytes // 2, min(self.wire_bytes * 2, seen)))

    def halved(self) -> "LineBudget":
        """After nothing came in time."""
        return _bounded(self.wire_bytes // 2)


def _bounded(wire_bytes: int) -> LineBudget:
    return LineBudget(wire_bytes=max(LEAST_BUDGET, min(MOST_BUDGET, wire_bytes)))


class ClockSample(msgspec.Struct, frozen=True, kw_only=True):
    """One reply: centre time minus our monotonic clock at its middle, and how long it took."""

    at_mono_ms: int
    centre_less_mono_ms: int
    round_trip_ms: int


class ClockEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """Centre time minus our wall clock, right to within `error_ms` either way."""

    offset_ms: int
    error_ms: int


class ClockOffset(msgspec.Struct, frozen=True, kw_only=True):
    """Cristian's method over the last eight replies; measured against the monotonic clock, so that a step of
    the wall clock shows at once instead of spoiling the samples."""

    samples: tuple[ClockSample, ...] = ()

    def with_reply(self, sent: Moment, received: Moment, server_at_ms: int) -> "ClockOffset":
        """The estimate with one reply more."""
        round_trip = received.mono_ms - sent.mono_ms
        sample = ClockSample(
            at_mono_ms=received.mono_ms,
            centre_less_mono_ms=server_at_ms + round_trip // 2 - received.mono_ms,
            round_trip_ms=round_trip,
        )
        return ClockOffset(samples=(*self.samples, sample)[-KEPT_SAMPLES:])

    def estimate(self, now: Moment) -> ClockEstimate | None:
        """The best of the samples: half its round trip, and 200 ppm of its age since, is least."""
        if not self.samples:
            return None
        best = min(self.samples, key=lambda sample: _error_ms(sample, now))
        return ClockEstimate(
            offset_ms=best.centre_less_mono_ms + now.mono_ms - now.wall_ms, error_ms=_error_ms(best, now)
        )


def _error_ms(sample: ClockSample, now: Moment) -> int:
    age_ms = now.mono_ms - sample.at_mono_ms
    return (sample.round_trip_ms + 1) // 2 + (age_ms * DRIFT_PPM + 999_999) // 1_000_000
