"""How far each lane in cache.db is, and the runs in which one begins anew. All of it inside a transaction."""

import sqlite3
from typing import NamedTuple

from edge.cache.members import sweep_members
from edge.cache.rows import sweep_certificates, sweep_hotlist
from sync.lanes import LaneState
from sync.wire import Lane


class Heard(NamedTuple):
    """How far a lane is; when something of it last came, and when it was last told to its end (wall, 0 for never)."""

    state: LaneState = LaneState()
    at_ms: int = 0
    whole_ms: int = 0


def keep_lane(writer: sqlite3.Connection, lane: Lane, heard: Heard) -> None:
    """Note how far a lane is, and when it was heard."""
    state = heard.state
    writer.execute(
        "INSERT INTO lane (lane, cursor, version, expires_ms, taken_ms, whole_ms) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (lane) DO UPDATE SET cursor = excluded.cursor, version = excluded.version,"
        " expires_ms = excluded.expires_ms, taken_ms = excluded.taken_ms, whole_ms = excluded.whole_ms",
        (lane, state.cursor, state.version, state.expires_ms, heard.at_ms, heard.whole_ms),
    )


def run_of(writer: sqlite3.Connection, lane: Lane) -> tuple[int, bool]:
    """The number of the lane's run, and whether rows of earlier ones are still here."""
    found = writer.execute("SELECT run, sweeps FROM lane WHERE lane = ?", (lane,)).fetchone()
    return (int(found[0]), bool(found[1])) if found else (0, False)


def begin_run(writer: sqlite3.Connection, lane: Lane) -> None:
    """The lane begins anew; its rows stay until the run is over."""
    writer.execute(
        "INSERT INTO lane (lane, cursor, version, expires_ms, taken_ms, run, sweeps) VALUES (?, '', 0, 0, 0, 1, 1)"
        " ON CONFLICT (lane) DO UPDATE SET run = run + 1, sweeps = 1",
        (lane,),
    )


def end_run(writer: sqlite3.Connection, lane: Lane, run: int) -> None:
    """The run is over: what it did not tell of goes."""
    if lane == "members":
        sweep_members(writer, run)
    elif lane == "hotlist":
        sweep_hotlist(writer, run)
    elif lane == "certificates":
        sweep_certificates(writer, run)
    writer.execute("UPDATE lane SET sweeps = 0 WHERE lane = ?", (lane,))
