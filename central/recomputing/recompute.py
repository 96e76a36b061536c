"""The background worker that recomputes what tills recorded: outside the transaction that posts, and repeatable.

Source: DECISIONS 13 and 19.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, bindparam, exists, select

from central.coalition.programmes import compiled
from central.database.asking import ask
from central.database.rows import find, put
from central.database.tables import event, waiting
from central.ports import reading, replayable, writing
from central.posting.fixed_receipts import (
    fixed_at,
    fixed_receipts,
    fixed_returns,
    names_of,
    receipt_of,
    return_of,
    returns_named,
)
from central.posting.posting import Heads, stored_heads
from central.recomputing.explaining import Finding, History, histories, overshot, unexplained
from central.recomputing.judging import Judged, judge_receipt, judge_return, judge_return_void, judge_void
from central.recomputing.shared_limits import beyond_limits, told_already
from central.streams.heads import LARGEST
from central.worklist.worklist import CONTEXT, raise_flags
from loyalty.facts.fixed import FIXED, Fixed
from loyalty.facts.receipts import Receipt, ReceiptDetail, read_detail
from loyalty.facts.reversals import Return, ReturnVoid, Reversal
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef
from loyalty.programme.compiled import Compiled
from loyalty.trouble import Trouble

AT_ONCE = 500
KEY = ("till_id", "epoch", "seq")
Findings = Mapping[EventRef, Sequence[Finding]]
# What a detail that does not hang together can do to the kernel; a failing database is not among them.
WILD = (Trouble, ArithmeticError, LookupError, ValueError, TypeError, RecursionError)


class Recomputed(msgspec.Struct, frozen=True, kw_only=True):
    """How many events came out the same, came out otherwise, or could not be recomputed here."""

    same: int = 0
    differs: int = 0
    skipped: int = 0

    @property
    def events(self) -> int:
        return self.same + self.differs + self.skipped


@replayable
def recompute_pending(engine: Engine, limit: int, now_ms: int) -> Recomputed:
    """Recompute the oldest events that were not yet; call it again until it finds none.

    Running it twice on the same events raises nothing twice.
    """
    with reading(engine) as connection:
        rows = ask(connection, _UNCHECKED, {"at_most": min(limit, AT_ONCE)})
        judged, beyond = _judge_all(connection, rows)
    with writing(engine) as tx:
        about = {_ref(row): _context(row) for row in rows}
        raise_flags(tx, [Flag(of=ref, cause=cause, figures=figures) for ref, one in judged.items()
                         for cause, figures in one.findings], about, now_ms)  # fmt: skip
        _raise_beyond(tx, beyond, about, now_ms)
        marked = [{**row._mapping, "checked": judged[_ref(row)].state} for row in rows]
        put(tx, event, marked, {"checked": "given"})
    states = [one.state for one in judged.values()]
    return Recomputed(same=states.count("same"), differs=states.count("differs"), skipped=states.count("skipped"))


def _unchecked() -> Any:
    """Posted and unchecked, but for those whose till had an event of the same account before that still waits."""
    earlier = event.alias("earlier")
    its_own = [earlier.c[name] == waiting.c[name] for name in KEY]
    same = [earlier.c[name] == event.c[name] for name in ("till_id", "epoch", "account_id")]
    blocked = exists().where(*its_own, *same, earlier.c.seq < event.c.seq, event.c.account_id > 0)
    chosen = select(event).where(event.c.checked == "", event.c.state == "posted", ~blocked)
    return chosen.order_by(*(event.c[name] for name in KEY)).limit(bindparam("at_most"))


_UNCHECKED = _unchecked()


def _raise_beyond(tx: Connection, beyond: Findings, about: dict[EventRef, dict[str, Any]], now_ms: int) -> None:
    """Put what went beyond a limit on the worklist, each counter of a receipt once."""
    told = told_already(tx, beyond)
    others = find(tx, event, [msgspec.structs.asdict(ref) for ref in beyond.keys() - about.keys()])
    new = [Flag(of=ref, cause=cause, figures=figures) for ref, findings in beyond.items()
           for cause, figures in findings if figures["counter"] not in told.get((ref, cause), ())]  # fmt: skip
    counts = {key: len(counters) for key, counters in told.items()}
    raise_flags(tx, new, about | {_ref(row): _context(row) for row in others}, now_ms, told=counts)


def _context(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in CONTEXT}


def _judge_all(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[dict[EventRef, Judged], Findings]:
    """Each event as it is judged by itself; and the receipts that went beyond what all may have together."""
    heads = stored_heads(connection, [_ref(row) for row in rows])
    heads |= fixed_at(connection, [_ref(row) for row in rows if row.kind == FIXED])
    named = {head.of for head in heads.values() if isinstance(head, Reversal) and head.of is not None}
    undone = returns_named(heads.values())
    receipts = stored_heads(connection, named | {ref for ref, _ in undone})
    beside = {name for name in names_of(heads.values()) if not _is_at(receipts.get(name[0]), name[1])}
    fixed = fixed_receipts(connection, beside) if beside else {}
    if undone:
        fixed |= fixed_returns(connection, undone)
    programmes = compiled(connection, _versions(heads))
    known = histories(connection, _told(rows, heads))
    judged = {}
    sales = {}
    for row in rows:
        head, history = heads.get(_ref(row)), known.get(row.account_id, History())
        try:
            one = _judge(head, receipts, fixed, programmes)
            more: list[Finding] = []
            if isinstance(head, Receipt) and "detail_malformed" not in dict(one.findings):
                detail = read_detail(head)
                programme = programmes.get(detail.programme_version)
                more = _second(connection, row, head, detail, programme, history)
                sales[_ref(row)] = (head, programme)
            elif isinstance(head, Fixed) and isinstance(head.fact, Receipt):
                # People looked at its figures; what everybody may have together is counted with it all the same.
                sales[_ref(row)] = (head.fact, programmes.get(_version_of(head.fact)))
        except WILD as trouble:
            # Whatever one till wrote down, the events of the others behind it get their turn.
            one, more = Judged(state="differs", findings=(("detail_malformed", {"say": _said(trouble)}),)), []
        state = "differs" if more and one.state == "same" else one.state
        judged[_ref(row)] = Judged(state=state, findings=(*one.findings, *more))
    beyond = beyond_limits(connection, sales)
    for ref in beyond.keys() & judged.keys():
        if judged[ref].state == "same":
            judged[ref] = msgspec.structs.replace(judged[ref], state="differs")
    return judged, beyond


def _is_at(head: Any, receipt_id: str) -> bool:
    return isinstance(head, Receipt) and head.receipt_id == receipt_id


def _judge(
    head: Any, receipts: Heads, fixed: Mapping[EventRef, Fixed], programmes: Mapping[str, Compiled]
) -> Judged:
    if isinstance(head, Receipt):
        return judge_receipt(head, programmes)
    if isinstance(head, ReturnVoid):
        return judge_return_void(head, return_of(head, receipts, fixed.values()))
    if not isinstance(head, Reversal):
        return Judged(state="skipped")
    of = receipt_of(head, receipts, fixed)
    named = (fixed[of].fact if of in fixed else receipts[of]) if of is not None else None
    receipt = named if isinstance(named, Receipt) else None
    return judge_return(head, receipt, programmes) if isinstance(head, Return) else judge_void(head, receipt)


def _second(
    connection: Connection,
    row: Row[Any],
    head: Receipt,
    detail: ReceiptDetail,
    programme: Compiled | None,
    history: History,
) -> list[Finding]:
    """Was it told what it says; did it go beyond a limit of its member. Asked of receipts of an account."""
    if not row.account_id:
        return []
    # What a till was told of an account that has been merged since stands in no history that goes on.
    is_merged = head.account_id not in (None, row.account_id)
    found = [] if is_merged else unexplained(connection, _ref(row), row.account_version, detail, history)
    return found + overshot(head, _ref(row), row.account_version, programme, history)


def _told(rows: Sequence[Row[Any]], heads: Heads) -> dict[int, int | None]:
    """The accounts of these events, each with the oldest version that a till says it was told."""
    oldest: dict[int, int | None] = {}
    for row in rows:
        if row.account_id:
            head, before = heads.get(_ref(row)), oldest.get(row.account_id)
            view = _inputs_of(head).view if isinstance(head, Receipt) else None
            # A till may say any number: what it says goes into the query, and has to fit there.
            version = None if view is None or view.account_id is None else min(max(0, view.version), LARGEST)
            oldest[row.account_id] = min((one for one in (before, version) if one is not None), default=None)
    return oldest


def _versions(heads: Heads) -> set[str]:
    """Programme versions that the details name."""
    told = (head.fact if isinstance(head, Fixed) else head for head in heads.values())
    found = {_version_of(head) for head in told if isinstance(head, Receipt | Return)}
    return {version for version in found if "\0" not in version}  # PostgreSQL would turn the whole list away


def _version_of(head: Receipt | Return) -> str:
    return _inputs_of(head).programme_version


def _inputs_of(head: Receipt | Return) -> "_Inputs":
    """What a detail names as told; nothing where it cannot be read, which is judged as malformed."""
    try:
        return msgspec.json.decode(head.detail, type=_Inputs)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Inputs()


def _said(trouble: Exception) -> str:
    return trouble.say[:200] if isinstance(trouble, Trouble) else f"{type(trouble).__name__}: {trouble}"[:200]


class _View(msgspec.Struct):
    account_id: int | None = None
    version: int = 0


class _Inputs(msgspec.Struct):
    programme_version: str = ""
    view: _View | None = None


def _ref(row: Row[Any]) -> EventRef:
    return EventRef(till_id=row.till_id, epoch=row.epoch, seq=row.seq)
