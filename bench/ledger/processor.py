"""What a piece of work costs of the processor: in this thread, and in the server's processes behind its connections.

A neighbour makes both sides wait, and not by the same; this hardly changes. Linux alone tells it of other processes.
"""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import Any

import psycopg

from bench.ledger.ceilings import connect
from bench.rounds import Round

_CLIENTS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


class Processor:
    """Of one database's clients; `spent` collects microseconds a receipt beside a round's own figure.

    Args:
        url: a database of a PostgreSQL on this machine; none for work in this thread alone.
    """

    def __init__(self, url: str | None = None) -> None:
        self._connection: psycopg.Connection[Any] | None = connect(url) if url else None
        self.spent: list[float] = []

    def round(self, call: Callable[[], object], calls: int, receipts: int) -> Round:
        """A round of so many calls: their microseconds a receipt, by the clock on the wall."""

        def once() -> float:
            processor, wall = self.now_ns(), perf_counter_ns()
            for _ in range(calls):
                call()
            took = perf_counter_ns() - wall
            self.spent.append((self.now_ns() - processor) / 1_000 / (calls * receipts))
            return took / 1_000 / (calls * receipts)

        return once

    def now_ns(self) -> int:
        """What has been spent so far, from no particular beginning; the difference of two is what counts."""
        pids = [pid for (pid,) in self._connection.execute(_CLIENTS)] if self._connection else []
        return thread_time_ns() + sum(_run_ns(pid) for pid in pids)

    def close(self) -> None:
        """Hang up."""
        if self._connection:
            self._connection.close()


def _run_ns(pid: int) -> int:
    """For how long a process has had a processor; 0 where that is not told."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    except OSError:
        return 0
