"""Price deltas: each names an event that is here and stands in the list, and the postings say what they say.

This shares no line with `loyalty.facts.price_deltas` on purpose. Source: docs/settlement.md "Price deltas".
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from central.database import tables as t
from central.verify.refold import Ref
from central.verify.violations import Violations

DELTA, PRICE_DELTA = "delta", "delta.v1"


def check_deltas(
    db: Connection,
    found: Violations,
    events: Mapping[Ref, Mapping[str, Any]],
    index: Mapping[Ref, Row[Any]],
    own_refs: Collection[Ref],
) -> None:
    """Hold head office's own facts against the list of findings that were settled, and against the postings."""
    wanted: Counter[tuple[Any, ...]] = Counter()
    settled: dict[Ref, tuple[Any, ...]] = {}
    for ref, event in events.items():
        if event["type"] != PRICE_DELTA or ref not in own_refs or ref not in index:
            continue
        of = (event["of"][0], event["of"][1], event["of"][2])
        told = (event["bearer_id"], event["partner_id"], event["amount_minor"])
        found.differs("delta.event", of, True, of in index and of not in settled)
        settled[of] = told
        wanted[ref, *told, of, event["of_period_no"]] += 1
    rows = db.execute(select(t.price_delta).where(t.price_delta.c.amount_minor > 0))
    kept = {(row.till_id, row.epoch, row.seq): (row.bearer_id, row.partner_id, row.amount_minor) for row in rows}
    for of in sorted(settled.keys() | kept.keys()):
        found.differs("delta.settled", of, settled.get(of), kept.get(of))
    posted: Counter[tuple[Any, ...]] = Counter()
    for row in db.execute(select(t.posting).where(t.posting.c.terms_id == DELTA)):
        moved = (row.unit, row.source, row.target)
        ref = (row.by_till, row.by_epoch, row.by_seq)
        found.differs("delta.posting", ref, ("currency", "issued", "redeemed"), moved)
        of = (row.of_till, row.of_epoch, row.of_seq)
        posted[ref, row.issuer_id, row.at_partner_id, row.amount, of, row.origin_period_no] += 1
    for key in sorted(wanted.keys() | posted.keys(), key=repr):
        found.differs("delta.postings", key, wanted[key], posted[key])
