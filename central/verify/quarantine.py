"""What people and newer versions made of what is in quarantine, held against the facts and the index of events.

Every corrected fact names one item, which stays out of the books itself, and has one outcome that names it back; what
was written off is in no books; what was replayed is. Source: docs/operations.md "Quarantine".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from central.database import tables as t
from central.verify.refold import Ref
from central.verify.violations import Violations

FIXED = "fixed.v1"


def check_quarantine(
    db: Connection, found: Violations, own: Iterable[Mapping[str, Any]], index: Mapping[Ref, Any]
) -> None:
    """Outcomes against facts and states."""
    facts: dict[tuple[Any, ...], list[str]] = {}
    for event in own:
        if event["type"] == FIXED:
            till_id, epoch, seq = event["of"]
            facts.setdefault((till_id, event.get("kept", ""), epoch, seq), []).append(event["receipt_id"])
            two = bool(event["asked_by"]) and bool(event["approved_by"]) and event["asked_by"] != event["approved_by"]
            found.differs("quarantine.two_people", event["receipt_id"], True, two)
    kept = {(row.till_id, row.sha256) for row in db.execute(select(t.quarantine.c.till_id, t.quarantine.c.sha256))}
    told: dict[tuple[Any, ...], list[str]] = {}
    for row in db.execute(select(t.quarantine_outcome)):
        key = (row.till_id, row.sha256, row.epoch, row.seq)
        if row.outcome == "fixed" and row.seq:
            told[key] = [row.fact_id]
        if row.sha256:
            found.differs("quarantine.evidence", key, True, (row.till_id, row.sha256) in kept)
            continue
        event = index.get((row.till_id, row.epoch, row.seq))
        state = event.state if event is not None else "not there"
        wanted = row.outcome == "replayed"
        found.differs("quarantine.state", key, wanted, state in ("posted", "waiting"))
    for key in sorted(facts.keys() | told.keys(), key=repr):
        found.differs("quarantine.fact", key, told.get(key, []), facts.get(key, []))
