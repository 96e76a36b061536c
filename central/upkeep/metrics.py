"""The centre's figures as lines for Prometheus. No member is in them, and no sum of money."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, func, select

from central.backups.backups import LAST_BACKUP
from central.coalition.periods import open_period_no
from central.coalition.settings import get_setting
from central.database.tables import event, waiting
from central.intake.quarantine import count_open
from central.leases.granting import floats_out
from central.leases.leasing import leased_points
from central.streams.sealing import newest_block
from central.upkeep import views
from central.upkeep.chore_notes import chore_states, noted_runs

PREFIX = "tallypoint_centre_"
Samples = Iterable[tuple[Mapping[str, str], int]]


def metrics(tx: Connection, folder: Path, now_ms: int) -> str:
    """Everything, in the text format of Prometheus.

    Args:
        folder: where the data lies, to say how much room is left.
    """
    runs = [(_run(*run), ran.runs) for run, ran in noted_runs(tx).items()]
    tills = views.tills(tx)
    unchecked = select(func.count()).where(event.c.checked == "", event.c.state == "posted")
    piles = views.piles(tx)
    heard = [(_till(one), (now_ms - one.heard_at_ms) // 1000) for one in tills if one.heard_at_ms]
    leased = leased_points(tx)
    parts = (
        _lines("worklist_open", "gauge", "Open rows of the worklist", [({"cause": p.cause}, p.count) for p in piles]),
        _lines("till_silent_seconds", "gauge", "Seconds since a till was heard", heard),
        _lines("till_backlog", "gauge", "Events a till has not sent", [(_till(one), one.backlog) for one in tills]),
        _lines("till_missing", "gauge", "Events announced and not here", [(_till(one), one.missing) for one in tills]),
        _lines("unchecked", "gauge", "Events not recomputed yet", [({}, tx.execute(unchecked).scalar_one())]),
        _lines("waiting", "gauge", "Events that wait for another", [({}, _count(tx, waiting))]),
        _lines("float_points", "gauge", "Points tills may let be spent unasked", [({}, floats_out(tx))]),
        _lines("leased_points", "gauge", "Points set aside for tills", [({"kind": k}, n) for k, n in leased.items()]),
        _lines("newest_block", "gauge", "Number of the newest block", [({}, newest_block(tx).block_no)]),
        _lines("open_period", "gauge", "Number of the open period", [({}, open_period_no(tx))]),
        _lines("chore_runs_total", "counter", "Runs of housekeeping", runs),
        *_of_the_house(tx, folder, now_ms),
        *_of_tills(tills),
    )
    return "".join(line for part in parts for line in part)


def _of_the_house(tx: Connection, folder: Path, now_ms: int) -> Iterator[Iterator[str]]:
    """Room, chores, what was put aside, and how old the oldest things are."""
    states = chore_states(tx)
    ages = [({"chore": one.chore}, (now_ms - one.done_ms) // 1000) for one in states if one.done_ms]
    failing = [({"chore": one.chore}, int(bool(one.failing))) for one in states]
    oldest = [({"cause": pile.cause}, (now_ms - pile.oldest_ms) // 1000) for pile in views.piles(tx)]
    backed_up_ms = int(get_setting(tx, LAST_BACKUP, "0"))
    backups = [({}, (now_ms - backed_up_ms) // 1000)] if backed_up_ms else []
    free = [({}, shutil.disk_usage(folder).free)] if folder.is_dir() else []
    yield _lines("disk_free_bytes", "gauge", "Room where the data lies", free)
    yield _lines("chore_age_seconds", "gauge", "Seconds since a chore was last done", ages)
    yield _lines("chore_failing", "gauge", "Whether the last run of a chore failed", failing)
    yield _lines("worklist_oldest_seconds", "gauge", "Age of the oldest open row", oldest)
    yield _lines("backup_age_seconds", "gauge", "Seconds since the last backup", backups)
    yield _lines("quarantined", "gauge", "Uploads and events that nobody decided about", [({}, count_open(tx))])


def _of_tills(tills: list[views.TillRow]) -> Iterator[Iterator[str]]:
    known = [(_till(one), one.clock_error_ms) for one in tills if one.clock_error_ms is not None]
    yield _lines("till_clock_error_milliseconds", "gauge", "Centre time less till time", known)
    waits = [(_till(one), one.oldest_unsent_s) for one in tills]
    yield _lines("till_oldest_unsent_seconds", "gauge", "Age of a till's oldest unsent event at its last hello", waits)
    disks = [(_till(one), one.disk_free_mb * 1_000_000) for one in tills if one.disk_free_mb is not None]
    yield _lines("till_disk_free_bytes", "gauge", "Room on a till's disk at its last hello", disks)
    stopped = [(_till(one), int(one.state == "suspended")) for one in tills]
    yield _lines("till_stopped", "gauge", "Whether a stream was stopped", stopped)
    resting = [(_till(one), int(bool(one.leases_suspended))) for one in tills]
    yield _lines("till_leases_rest", "gauge", "Whether a till spends on no lease and no float", resting)


def _lines(name: str, kind: str, about: str, samples: Samples) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {about}.\n# TYPE {PREFIX}{name} {kind}\n"
    for labels, value in samples:
        inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
        yield f"{PREFIX}{name}{{{inner}}} {value}\n" if inner else f"{PREFIX}{name} {value}\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _till(one: views.TillRow) -> dict[str, str]:
    return {"till": one.till_id, "label": one.label}


def _run(chore: str, outcome: str) -> dict[str, str]:
    return {"chore": chore, "outcome": outcome}


def _count(tx: Connection, table: object) -> int:
    return int(tx.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]
