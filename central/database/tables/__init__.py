"""The schema of the centre, once, for SQLite, PostgreSQL and Citus; each table says where its rows live.

`info["place"]` names the placement group: A by account_id, T by till_id, K by card_token, D by statement_id, `ref` for
small tables that every node holds, `local` for queues and the console. Instants are milliseconds since 1970 UTC, dates
ISO text, points and money whole numbers, JSON payload only. Source: scale.md S1-S13; house.md section 3.
"""

from sqlalchemy import DDL
from sqlalchemy import event as events

from central.database.tables.certificates import certificate, certificate_hold, certificate_move
from central.database.tables.coalition import (
    card_key,
    centre_key,
    partner,
    people_key,
    setting,
    slot,
    store,
    store_partner,
    terms,
    till,
    till_key,
)
from central.database.tables.columns import metadata
from central.database.tables.console import audit, console_session, console_user
from central.database.tables.corrections import correction, opening_rows
from central.database.tables.lanes import (
    changed,
    chunk,
    hotlist,
    lane,
    lane_mark,
    member_page,
    programme,
    release,
    snapshot_head,
)
from central.database.tables.ledger import (
    IS_ACTIVE,
    IS_COUNTER,
    IS_LEFT,
    debt,
    lease,
    lease_holder,
    lease_slice,
    lot,
    posting,
    reversed_,
    shared_use,
    use,
)
from central.database.tables.members import (
    account,
    card,
    consent,
    enrolment,
    found_by,
    member,
    number_next,
    number_span,
    person,
    receipt_claim,
)
from central.database.tables.parking import parked_basket, parked_heard
from central.database.tables.settlement import cash_entry, payment, period, period_range, statement, statement_line
from central.database.tables.streams import (
    batch,
    block,
    centre_event,
    claim,
    event,
    quarantine,
    quarantine_outcome,
    sealed,
    stream,
    till_grant,
    waiting,
)
from central.database.tables.upkeep import alert, chore_run, notice
from central.database.tables.worklist import approval, flag, price_delta

__all__ = (
    "APPEND_ONLY", "IS_ACTIVE", "IS_COUNTER", "IS_LEFT", "PLACE_KEYS", "REDACTABLE", "account", "alert", "approval",
    "audit", "batch", "block", "card", "card_key", "cash_entry", "centre_event", "centre_key", "certificate",
    "certificate_hold", "certificate_move", "changed", "chore_run", "chunk", "claim", "consent", "console_session",
    "console_user", "correction", "debt", "enrolment", "event", "flag", "found_by", "hotlist", "lane", "lane_mark",
    "lease", "lease_holder", "lease_slice", "lot", "member", "member_page", "metadata", "notice", "number_next",
    "number_span", "opening_rows", "parked_basket", "parked_heard", "partner", "payment", "people_key", "period",
    "period_range", "person", "posting", "price_delta", "programme", "quarantine", "quarantine_outcome",
    "receipt_claim", "release", "reversed_", "sealed", "setting", "shared_use", "slot", "snapshot_head",
    "statement", "statement_line", "store", "store_partner", "stream", "terms", "till", "till_grant", "till_key",
    "use", "waiting",
)  # fmt: skip

PLACE_KEYS = {"A": "account_id", "T": "till_id", "K": "card_token", "D": "statement_id"}
APPEND_ONLY = ("posting", "batch", "centre_event", "block", "statement", "statement_line", "quarantine_outcome",
               "certificate_move", "cash_entry", "price_delta", "consent")  # fmt: skip
# Of these, once, when the goods in them are let go; the service of PostgreSQL has the right to these columns.
REDACTABLE = {"batch": ("redacted_ms", "digests", "body"), "centre_event": ("redacted_ms", "digest", "payload")}


def _unless_redacted(name: str) -> str:
    """What is redacted for the first time, and otherwise stays as it is, may be changed."""
    stays = [column.name for column in metadata.tables[name].c if column.name not in REDACTABLE[name]]
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in stays)
    return f"WHEN OLD.redacted_ms <> 0 OR NEW.redacted_ms = 0 OR {changed} "


for _name in APPEND_ONLY:
    for _what in ("UPDATE", "DELETE"):
        _when = _unless_redacted(_name) if _what == "UPDATE" and _name in REDACTABLE else ""
        _trigger = DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER {_name}_no_{_what.lower()} BEFORE {_what} ON {_name} {_when}"
            f"BEGIN SELECT RAISE(ABORT, '{_name} is append-only'); END"
        )
        events.listen(metadata.tables[_name], "after_create", _trigger.execute_if(dialect="sqlite"))
