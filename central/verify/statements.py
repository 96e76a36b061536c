"""An issued statement still has the bytes that were hashed and announced, the rows beside it say the same, and the
postings of its period come to its lines.

Source: ARCHITECTURE.md "What always holds": a statement, once issued, never changes.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from central.database import tables as t
from central.verify.lines import check_lines
from central.verify.violations import Violations


def check_statements(db: Connection, found: Violations, own_events: Iterable[Mapping[str, Any]]) -> None:
    """Hold statements against their lines, the postings behind these, and the centre's own chain."""
    lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in db.execute(select(t.statement_line).order_by(t.statement_line.c.statement_id, t.statement_line.c.n)):
        plain = dict(row._mapping)
        lines[plain.pop("statement_id")].append(plain)
    kept = {row.statement_id: row for row in db.execute(select(t.statement))}
    documents: dict[str, dict[str, Any]] = {}
    for statement_id, row in sorted(kept.items()):
        sha256 = hashlib.sha256(bytes(row.document)).hexdigest()
        if not found.differs("statement.hash", statement_id, row.sha256, sha256):
            with found.damage("statement.document", statement_id):
                document = json.loads(bytes(row.document))
                _check_rows(found, row, document, lines[statement_id])
                documents[statement_id] = document
    announced = _announced(found, own_events)
    for statement_id in sorted(announced.keys() | kept.keys()):
        issued = kept[statement_id].sha256 if statement_id in kept else ""
        found.differs("statement.announced", statement_id, announced.get(statement_id, ""), issued)
    # What a damaged statement billed is not known, and later ones of its partner build on it.
    damaged = {one.partition(":")[2] for one in (announced.keys() | kept.keys()) - documents.keys()}
    whole = [one for statement_id, one in documents.items() if statement_id.partition(":")[2] not in damaged]
    with found.damage("statement.unreadable", "lines"):
        check_lines(db, found, whole)


def _check_rows(found: Violations, row: Row[Any], document: Mapping[str, Any], lines: list[dict[str, Any]]) -> None:
    about = row.statement_id
    head = ("statement_id", "period_no", "partner_id", "currency", "total_minor", "issued_at_ms")
    frozen = {name: document[name] for name in head}
    found.differs("statement.row", about, frozen, {name: row._mapping[name] for name in head})
    wanted = {n: {"n": n, **line} for n, line in enumerate(document["lines"], 1)}
    listed = {line["n"]: line for line in lines}
    for n in sorted(wanted.keys() | listed.keys()):
        found.differs("statement.line", (about, n), wanted.get(n), listed.get(n))
    total = sum(line["amount_minor"] for line in document["lines"])
    found.differs("statement.total", about, total, document["total_minor"])


def _announced(found: Violations, own_events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    announced: dict[str, str] = {}
    for event in own_events:
        if event["type"] == "period.v1":
            with found.damage("period.unreadable", event.get("receipt_id", "")):
                announced |= {f"{event['period_no']}:{partner}": sha256 for partner, sha256 in event["statements"]}
    return announced
