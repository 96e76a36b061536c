"""The crew of a server: who rested last works next, nobody is begun in vain, nobody is left behind."""

import logging
import threading
from collections.abc import Callable

import pytest

from edge.web.crew import Crew


class Job:
    """A task that says who did it, and ends when it may."""

    def __init__(
        self, done: list[str], may_end: threading.Event | None = None, then: Callable[[], None] = lambda: None
    ):
        self._done, self._may_end, self._then = done, may_end, then
        self.began, self.ended, self.cancelled = threading.Event(), threading.Event(), False

    def service(self) -> None:
        self.began.set()
        if self._may_end is not None:
            assert self._may_end.wait(10)
        self._done.append(threading.current_thread().name)
        self.ended.set()
        self._then()

    def cancel(self) -> None:
        self.cancelled = True


def resting(crew: Crew, count: int) -> None:
    """Wait until so many rest."""
    for _ in range(1_000):
        if len(crew._resting) == count:
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"{len(crew._resting)} rest, not {count}")


def do(crew: Crew, done: list[str]) -> None:
    job = Job(done)
    crew.add_task(job)
    assert job.ended.wait(10)


def test_one_caller_keeps_one_thread_at_work():
    crew, done = Crew(8), []
    for _ in range(20):
        do(crew, done)
        resting(crew, 1)
    assert len(crew.threads) == 1
    assert set(done) == {"web 1"}
    crew.shutdown()


def test_who_rested_last_works_next():
    crew, done = Crew(8), []
    gates = [threading.Event() for _ in range(3)]
    jobs = [Job(done, gate) for gate in gates]
    for job in jobs:
        crew.add_task(job)
        assert job.began.wait(10)
    assert len(crew.threads) == 3
    for count, n in enumerate((2, 0, 1), 1):  # they come to rest in this order
        gates[n].set()
        resting(crew, count)
    for _ in range(5):
        do(crew, done)
        resting(crew, 3)
    assert done == ["web 3", "web 1", "web 2", *["web 2"] * 5]
    crew.shutdown()


def test_where_all_are_at_work_the_next_request_waits_and_is_told_of(caplog: pytest.LogCaptureFixture):
    crew, done, gate = Crew(1), [], threading.Event()
    first, second, third = Job(done, gate), Job(done), Job(done)
    crew.add_task(first)
    assert first.began.wait(10)
    with caplog.at_level(logging.WARNING, "edge.web.crew"):
        crew.add_task(second)
        crew.add_task(third)
    assert [record.getMessage() for record in caplog.records] == [
        "1 request(s) wait for a thread; all 1 are at work", "2 request(s) wait for a thread; all 1 are at work",
    ]  # fmt: skip
    assert not second.began.is_set()
    gate.set()
    assert third.ended.wait(10)
    assert done == ["web 1"] * 3
    crew.shutdown()


def test_a_task_that_breaks_ends_no_thread(caplog: pytest.LogCaptureFixture):
    def breaks() -> None:
        raise ConnectionError("gone")

    crew, done = Crew(2), []
    crew.add_task(Job(done, then=breaks))
    resting(crew, 1)
    do(crew, done)
    assert done == ["web 1", "web 1"]
    assert "a request could not be answered" in caplog.text
    crew.shutdown()


def test_a_thread_that_could_not_be_started_takes_nobodys_place(monkeypatch: pytest.MonkeyPatch):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    crew, done = Crew(1), []
    with monkeypatch.context() as short_of_memory:
        short_of_memory.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            crew.add_task(Job(done))
    assert not crew.threads
    do(crew, done)
    crew.shutdown()


def test_closing_time_waits_for_who_is_at_work_and_cancels_who_only_waits():
    crew, done, gate = Crew(1), [], threading.Event()
    at_work, waits, late = Job(done, gate), Job(done), Job(done)
    crew.add_task(at_work)
    assert at_work.began.wait(10)
    crew.add_task(waits)
    threading.Timer(0.2, gate.set).start()
    assert crew.shutdown(cancel_pending=True, timeout=10)
    assert done == ["web 1"] and not crew.threads
    assert waits.cancelled and not waits.began.is_set()
    crew.add_task(late)
    assert not late.began.wait(0.1)


def test_a_thread_that_does_not_end_is_left_to_itself():
    crew, done, gate = Crew(2), [], threading.Event()
    stuck = Job(done, gate)
    crew.add_task(stuck)
    assert stuck.began.wait(10)
    crew.shutdown(timeout=0.1)
    assert len(crew.threads) == 1
    gate.set()
    assert stuck.ended.wait(10)
