"""Approvals in the table against those in the batches, read once more by the standard library."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from central.database.tables import approval
from central.verify.refold import Ref
from central.verify.violations import Violations

_COMPARED = ("supervisor", "reason", "cashier", "actions", "receipt_id")


def approval_told(event: Mapping[str, Any]) -> dict[str, str] | None:
    """What an event as it was sent says of a supervisor; none where it says nothing."""
    detail = event.get("detail")
    override = detail.get("override") if isinstance(detail, dict) and "place" in event else None
    if not isinstance(override, dict):
        return None
    return {
        "supervisor": str(override.get("supervisor", "")),
        "reason": str(override.get("reason", "")),
        "cashier": str(detail.get("cashier", "")),
        "actions": " ".join(override.get("actions", ())),
        "receipt_id": str(event["receipt_id"]),
    }


def check_approvals(
    db: Connection, found: Violations, told: Mapping[Ref, Mapping[str, str]], index: Mapping[Ref, Any]
) -> None:
    """Every approval of a posted event stands in the table as it was sent, and nothing else does.

    Args:
        index: rows of events; one that was given up after it had waited keeps the approval that it came with.
    """
    kept = {(row.till_id, row.epoch, row.seq): row for row in db.execute(select(approval))}
    for ref in sorted(told.keys() | kept.keys()):
        sent, row, head = told.get(ref), kept.get(ref), index.get(ref)
        if sent is None and head is not None and head.state == "quarantined":
            continue
        if sent is None or row is None:
            found.differs("approval.missing" if row is None else "approval.invented", ref, bool(sent), bool(row))
            continue
        for name in _COMPARED:
            found.differs(f"approval.{name}", ref, sent[name].replace("\0", "")[:200], getattr(row, name))
