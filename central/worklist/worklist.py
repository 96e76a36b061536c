"""What does not add up, why, and what a person made of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, func, select, update

from central.database.asking import ask, ask_one
from central.database.rows import put
from central.database.tables import flag
from loyalty.ledger.books import Flag
from loyalty.lots import EventRef
from loyalty.trouble import Refusal

CONTEXT = ("receipt_id", "store_id", "partner_id", "business_date", "account_id")


class UnknownFlag(Refusal):
    code = "worklist.unknown_flag"
    status = 404


class FlagKey(msgspec.Struct, frozen=True, kw_only=True):
    """Names one finding."""

    till_id: str
    epoch: int
    seq: int
    cause: str
    n: int = 0


def raise_flags(
    tx: Connection,
    flags: Iterable[Flag],
    about: Mapping[EventRef, Mapping[str, Any]],
    now_ms: int,
    *,
    told: Mapping[tuple[EventRef, str], int] | None = None,
) -> None:
    """Put findings on the worklist; one that is there already stays as it is, settled or not.

    Args:
        about: of each event the columns that the list shows (`CONTEXT`), so that it reads one table only.
        told: how many findings of a cause an event has already, where these come on top of them.
    """
    rows, counts = [], dict(told or {})
    for one in flags:
        n = counts.get((one.of, one.cause), 0)
        counts[one.of, one.cause] = n + 1
        shown = {name: about[one.of][name] for name in CONTEXT} if one.of in about else {}
        rows.append(
            {**msgspec.structs.asdict(one.of), "cause": one.cause, "n": n, "figures": _json(one.figures),
             "raised_at_ms": now_ms, "last_at_ms": now_ms, **_blank(), **shown}
        )  # fmt: skip
    put(tx, flag, rows, "nothing")


_OF_CAUSE = (
    select(func.count())
    .select_from(flag)
    .where(flag.c.till_id == bindparam("till"), flag.c.epoch == bindparam("in_epoch"),
           flag.c.seq == bindparam("at_seq"), flag.c.cause == bindparam("named"))
)  # fmt: skip


def told_before(tx: Connection, of: EventRef, cause: str) -> dict[tuple[EventRef, str], int]:
    """How many findings of a cause an event has, as `raise_flags` takes it."""
    named = {"till": of.till_id, "in_epoch": of.epoch, "at_seq": of.seq, "named": cause}
    return {(of, cause): int(ask_one(tx, _OF_CAUSE, named))}


def raise_alarm(tx: Connection, cause: str, about: str, now_ms: int, **figures: int | str) -> None:
    """Somebody should look at a till or a slot: counted while open, opened again when settled."""
    row = {"till_id": about, "epoch": 0, "seq": 0, "cause": cause, "n": 0, "figures": _json(figures), "state": "open",
           "raised_at_ms": now_ms, "last_at_ms": now_ms}  # fmt: skip
    put(tx, flag, [row], {"times": "add", "last_at_ms": "given", "state": "given", "figures": "given"})


def settle_flag(tx: Connection, key: FlagKey, *, note: str, by: str, now_ms: int) -> None:
    """A person decided what it was. Raises: UnknownFlag, also when it is settled already."""
    done = {"state": "settled", "note": note, "settled_by": by, "settled_at_ms": now_ms}
    if tx.execute(update(flag).where(_is(key), flag.c.state == "open").values(done)).rowcount == 0:
        raise UnknownFlag("This row is not open any more; look at the list again.")


def reopen_flag(tx: Connection, key: FlagKey) -> None:
    """Take a decision back; its note stays. Raises: UnknownFlag."""
    if tx.execute(update(flag).where(_is(key)).values(state="open", settled_at_ms=0)).rowcount == 0:
        raise UnknownFlag("There is no such row on the worklist; look at the list again.")


_FLAGGED = (
    select(flag.c.seq, flag.c.cause)
    .distinct()
    .where(flag.c.till_id == bindparam("till"), flag.c.epoch == bindparam("in_epoch"),
           flag.c.seq.between(bindparam("first"), bindparam("last")))
    .order_by(flag.c.seq, flag.c.cause)
    .limit(500)
)  # fmt: skip


def flagged_in(connection: Connection, till_id: str, epoch: int, first_seq: int, last_seq: int) -> tuple[
    tuple[int, str], ...]:  # fmt: skip
    """(seq, cause) of the findings about a run of events, for the till's acknowledgement."""
    run = {"till": till_id, "in_epoch": epoch, "first": first_seq, "last": last_seq}
    return tuple((row.seq, row.cause) for row in ask(connection, _FLAGGED, run))


def flags(connection: Connection, *conditions: Any, limit: int = 200) -> Sequence[Row[Any]]:
    """Rows of the worklist, newest first."""
    newest = (flag.c.raised_at_ms.desc(), flag.c.till_id, flag.c.epoch, flag.c.seq, flag.c.cause, flag.c.n)
    return connection.execute(select(flag).where(*conditions).order_by(*newest).limit(limit)).all()


def open_counts(connection: Connection) -> dict[str, int]:
    """How many rows are open, by cause."""
    counted = select(flag.c.cause, func.count()).where(flag.c.state == "open").group_by(flag.c.cause)
    return {cause: number for cause, number in connection.execute(counted.order_by(flag.c.cause))}


def _is(key: FlagKey) -> Any:
    here = flag.c.till_id == key.till_id, flag.c.epoch == key.epoch, flag.c.seq == key.seq
    return here[0] & here[1] & here[2] & (flag.c.cause == key.cause) & (flag.c.n == key.n)


def _blank() -> dict[str, Any]:
    return {"receipt_id": "", "store_id": "", "partner_id": "", "business_date": "", "account_id": 0}


def _json(figures: Mapping[str, int | str]) -> str:
    return msgspec.json.encode(figures, order="sorted").decode()
