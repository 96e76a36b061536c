"""The centre's figures as lines for Prometheus. No member is in them, and no sum of money."""

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Connection, func, select

from central import console_views as views
from central.granting import floats_out
from central.leasing import leased_points
from central.registry import open_period_no
from central.sealing import newest_block
from central.tables import event, waiting

PREFIX = "tallypoint_centre_"
Samples = Iterable[tuple[Mapping[str, str], int]]


def metrics(tx: Connection, runs: Mapping[tuple[str, str], int], now_ms: int) -> str:
    """Everything, in the text format of Prometheus.

    Args:
        runs: of the chores, by (chore, outcome).
    """
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
        _lines("chore_runs_total", "counter", "Runs of housekeeping", [(_run(*run), n) for run, n in runs.items()]),
    )
    return "".join(line for part in parts for line in part)


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
