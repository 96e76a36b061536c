"""When to speak again, who may enter, and what the clock says."""

from hypothesis import given
from hypothesis import strategies as st

from sync.pacing import ClockOffset, LineBudget, Moment, admit, after_retry_after, next_try, phase_ms

LONGEST = 2**32 - 1
HALF = 2**31


def test_the_wait_doubles_with_each_failure_up_to_five_minutes():
    assert [next_try(failures, LONGEST) for failures in (1, 2, 3, 8, 9, 60)] == [
        1_999,
        3_999,
        7_999,
        255_999,
        299_999,
        299_999,
    ]


def test_the_wait_may_be_anything_from_nothing_on():
    assert [next_try(3, draw) for draw in (0, HALF)] == [0, 4_000]


def test_a_retry_after_is_obeyed_for_an_hour_at_most_plus_jitter():
    assert [after_retry_after(seconds, 0) for seconds in (0, 30, 3_600, 999_999, -5)] == [
        0,
        30_000,
        3_600_000,
        3_600_000,
        0,
    ]
    assert after_retry_after(30, HALF) == 32_000


@given(st.integers(1, 100), st.integers(0, LONGEST))
def test_no_wait_is_longer_than_five_minutes(failures, draw):
    assert 0 <= next_try(failures, draw) < 300_000


def test_a_till_has_its_own_place_in_the_morning():
    assert phase_ms("0000ea61" + "0" * 24, 60_000) == 1
    assert phase_ms("ff" * 16, 0) == 0


ADMISSION = """
    waiting workers each_ms draw   answer
    0       8       320     0      0
    15      8       320     0      0
    16      8       320     0      1
    16      8       320     max    1        one second would drain it
    800     8       320     half   17       32 s would
    800     8       320     max    32
"""


def test_admission_is_bounded_and_spreads_the_rest_over_the_time_to_drain():
    for line in ADMISSION.strip().splitlines()[1:]:
        waiting, workers, each_ms, draw, answer = line.split()[:5]
        bits = {"0": 0, "half": HALF, "max": LONGEST}[draw]
        assert admit(int(waiting), workers=int(workers), each_ms=int(each_ms), draw=bits) == int(answer), line


def test_who_was_sent_away_counts_in_the_time_to_drain_and_a_kind_may_have_fewer_places():
    assert admit(16, workers=8, each_ms=320, draw=LONGEST, outside=784) == 32
    assert admit(3, workers=8, each_ms=320, draw=0, outside=10_000) == 0
    assert admit(4, workers=8, each_ms=320, draw=0, places=4) == 1


# Bytes that came, milliseconds they took, and what may be asked for next: four seconds of the line.
BUDGETS = """
    got    took   next
    65536  1024   131072    twice as much at most at a time
    131072 4096   128000    256 kbit/s
    128000 4000   128000    and there it stays
    128000 16000  64000     the line grew slow: half at most at a time
    30000  9000   64000     less than half of what was asked for says nothing
    64000  100    128000
    128000 1      256000
    256000 1      262144    never more than 256 kB
"""


def test_an_answer_holds_a_line_for_about_four_seconds():
    budget = LineBudget()
    assert budget.wire_bytes == 65_536
    for row in BUDGETS.strip().splitlines()[1:]:
        got, took, wanted = map(int, row.split()[:3])
        budget = budget.after(got, took)
        assert budget.wire_bytes == wanted, row
    for _ in range(10):
        budget = budget.halved()
    assert budget.wire_bytes == 4_096


def at(mono_ms: int, wall_ms: int) -> Moment:
    return Moment(mono_ms=mono_ms, wall_ms=wall_ms)


def test_half_the_round_trip_is_added_to_what_the_centre_said():
    clock = ClockOffset().with_reply(at(1_000, 50_000), at(1_200, 50_200), 60_000)
    said = clock.estimate(at(1_200, 50_200))
    assert said is not None
    # At the reply the centre's clock shows 60,100 and ours 50,200.
    assert (said.offset_ms, said.error_ms) == (9_900, 100)


def test_the_quickest_of_the_last_eight_replies_wins():
    clock = ClockOffset()
    for trip in (400, 20, 900):
        clock = clock.with_reply(at(0, 0), at(trip, trip), 5_000 + trip // 2)
    said = clock.estimate(at(900, 900))
    assert said is not None and (said.offset_ms, said.error_ms) == (5_000, 11)


def test_the_error_grows_by_two_hundred_millionths_of_the_age():
    clock = ClockOffset().with_reply(at(0, 0), at(100, 100), 50)
    said = clock.estimate(at(3_600_100, 3_600_100))
    assert said is not None and said.error_ms == 50 + 720


def test_a_step_of_the_wall_clock_shows_at_once():
    clock = ClockOffset().with_reply(at(0, 1_000), at(0, 1_000), 1_000)
    said = clock.estimate(at(10, 3_601_010))
    assert said is not None and said.offset_ms == -3_600_000


def test_nothing_is_known_before_the_first_reply():
    assert ClockOffset().estimate(at(0, 0)) is None


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**4)), min_size=1, max_size=30),
    st.integers(-(10**9), 10**9),
)
def test_the_truth_is_within_the_stated_error(replies, truth):
    clock, mono = ClockOffset(), 0
    for gap, trip in replies:
        mono += gap
        sent = at(mono, mono)
        mono += trip
        clock = clock.with_reply(sent, at(mono, mono), sent.mono_ms + trip // 3 + truth)
    said = clock.estimate(at(mono, mono))
    assert said is not None and abs(said.offset_ms - truth) <= said.error_ms + 1
