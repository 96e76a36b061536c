"""Two sides measured in turn: a slow minute of the machine slows both, so the ratio of each round stays true.

A round of a side is the median of its calls; what is reported is the median of the rounds, and of their ratios. What
runs in one thread and waits for nothing is timed by its processor: the same as the clock on the wall where the machine
does nothing else, and without the neighbours where it does. What crosses to another process goes by the wall.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter_ns, thread_time_ns

ROUNDS = 7

Round = Callable[[], float]  # one round of one side: microseconds a call
Times = dict[str, list[float]]


def take_turns(sides: Mapping[str, Round], rounds: int = ROUNDS) -> Times:
    """What each side took in each round, in microseconds a call. Who goes first changes with every round."""
    times: Times = {name: [] for name in sides}
    names = list(sides)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            times[name].append(sides[name]())
    return times


def alone(call: Callable[[], object], calls: int) -> Round:
    """A round of so many calls of what runs in this thread alone: their median, by the processor."""
    return lambda: median(durations(call, calls, thread_time_ns))


def answered(call: Callable[[], object], calls: int) -> Round:
    """A round of so many questions to another process: their median, by the clock on the wall."""
    return lambda: median(durations(call, calls, perf_counter_ns))


def durations(call: Callable[[], object], calls: int, clock_ns: Callable[[], int]) -> list[float]:
    """Microseconds of each call, one after the other."""
    found = []
    for _ in range(calls):
        begun = clock_ns()
        call()
        found.append((clock_ns() - begun) / 1_000)
    return found


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the rounds' own ratios."""
    return median(a / b for a, b in zip(over, under, strict=True))


def share_of_processor(seconds: float = 0.1) -> float:
    """How much of the time this thread has the processor when it wants it: 1 on a machine that does nothing else."""
    wall, processor = perf_counter_ns(), thread_time_ns()
    until = wall + int(seconds * 1e9)
    while (now := perf_counter_ns()) < until:
        pass
    return (thread_time_ns() - processor) / (now - wall)
