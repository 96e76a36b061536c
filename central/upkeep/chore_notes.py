"""When each chore last ran and how that ended, noted in the database: who answers need not be who keeps house."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, select

from central.database.rows import put
from central.database.tables import chore_run

Runs = Mapping[tuple[str, str], "Ran"]


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of one chore that ended one way: how many, when the last one did, and what it said where it failed."""

    runs: int
    last_ms: int
    trouble: str = ""


class ChoreState(msgspec.Struct, frozen=True, kw_only=True):
    """One chore: when it was last done, 0 for never, and since when it fails, 0 while it does not.

    `begun_ms` is when somebody last began to keep house; `failing` is what the last failure said.
    """

    chore: str
    begun_ms: int
    done_ms: int
    failed_ms: int
    failing: str


def note_runs(tx: Connection, runs: Runs) -> None:
    """Add runs to those that were noted before, by (chore, outcome)."""
    rows = [
        {"chore": chore, "outcome": outcome, "runs": ran.runs, "last_ms": ran.last_ms, "trouble": ran.trouble}
        for (chore, outcome), ran in runs.items()
    ]
    put(tx, chore_run, rows, {"runs": "add", "last_ms": "given", "trouble": "given"})


def noted_runs(connection: Connection) -> dict[tuple[str, str], Ran]:
    """All that was noted, by (chore, outcome)."""
    rows = connection.execute(select(chore_run).order_by(chore_run.c.chore, chore_run.c.outcome))
    return {(row.chore, row.outcome): Ran(runs=row.runs, last_ms=row.last_ms, trouble=row.trouble) for row in rows}


def chore_states(connection: Connection) -> tuple[ChoreState, ...]:
    """Each chore that was ever begun, by name."""
    noted = noted_runs(connection)
    nothing = Ran(runs=0, last_ms=0)
    states = []
    for chore in sorted({chore for chore, outcome in noted if outcome in ("begun", "done", "failed")}):
        begun, done, failed = (noted.get((chore, outcome), nothing) for outcome in ("begun", "done", "failed"))
        fails = failed.last_ms > done.last_ms
        states.append(
            ChoreState(
                chore=chore,
                begun_ms=begun.last_ms,
                done_ms=done.last_ms,
                failed_ms=failed.last_ms if fails else 0,
                failing=failed.trouble if fails else "",
            )
        )
    return tuple(states)
