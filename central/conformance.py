"""What an outside test kit asks of a ledger, over our own posting code: reset, post, balance, journal.

For scratch databases only; `is_scratch` is the second of two locks on this door (docs/conformance.md). The journal is
shown only if it proves itself: the stream walked to what the newest block names of it, every posting as its fact says.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, delete, inspect, select, text

from central.own_events import EPOCH, centre_stream_id
from central.ports import Clock, Randomness, reading, replayable, writing
from central.registry import at
from central.sealing import Sealer
from central.tables import centre_event, posting, sealed, stream
from central.tables import metadata as books_metadata
from central.transfers import STREAM, Told, TransferAnswer, TransferAsk, balance_of, transfer
from central.transfers import metadata as asked_metadata
from loyalty.events import read_head
from loyalty.transfer_postings import transfer_key
from loyalty.transfers import Part, Transferred
from loyalty.trouble import InvariantBroken
from sync.chain import StreamHead, next_head

SCRATCH = "scratch"
GENESIS = "GENESIS"


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One leg as it was posted; `sequence` counts all in commit order, `account_sequence` those of its account."""

    entry_id: str
    transaction_id: str
    account_id: str
    type: str
    amount_subunits: int
    currency: str
    sequence: int
    account_sequence: int
    prev_hash: str
    entry_hash: str


class Conformance:
    """The four things asked, each in a transaction of its own.

    Args:
        engine: of a scratch database at the newest schema.
    """

    def __init__(self, engine: Engine, sealer: Sealer, clock: Clock, randomness: Randomness) -> None:
        self._engine, self._sealer, self._clock, self._randomness = engine, sealer, clock, randomness
        with writing(engine) as tx:
            asked_metadata.create_all(tx)

    @replayable
    def reset(self) -> None:
        """Empty every table."""
        with writing(self._engine) as tx:
            if tx.dialect.name == "postgresql":
                tables = ", ".join(f'"{name}"' for name in (*books_metadata.tables, *asked_metadata.tables))
                tx.execute(text(f"TRUNCATE {tables}"))
            else:
                _empty_sqlite(tx)

    @replayable
    def post(self, ask: TransferAsk) -> TransferAnswer:
        """Post a transfer; a rule that says no is an answer like any other."""
        with writing(self._engine) as tx:
            return transfer(tx, ask, self._clock.wall_ms(), self._randomness)

    def balance(self, account: str, currency: str) -> int:
        """What an account has of a currency, in subunits."""
        with reading(self._engine) as connection:
            return balance_of(connection, account, currency)

    def journal(self) -> list[Entry]:
        """Every leg in commit order, up to the newest block. Seals first, so all that was answered by now is in it.

        Raises:
            InvariantBroken: chain, blocks and postings do not say the same.
        """
        self._sealer.seal()
        with reading(self._engine) as connection:
            return list(_entries(connection))


def is_scratch(engine: Engine) -> bool:
    """Whether the name of a database, of a file without its folder, says that nothing in it is worth anything."""
    if engine.dialect.name != "postgresql":
        return SCRATCH in Path(engine.url.database or "").name
    with reading(engine) as connection:
        # Its own word: an address can name two.
        return SCRATCH in str(connection.execute(text("SELECT current_database()")).scalar_one())


def entry_hash(prev_hash: str, entry: Mapping[str, Any]) -> str:
    """SHA-256 over the hash before and the entry's fields, joined by `|`; the first follows on `GENESIS`."""
    names = ("transaction_id", "account_id", "type", "amount_subunits", "currency", "sequence")
    joined = "|".join([prev_hash, *(str(entry[name]) for name in names)])
    return hashlib.sha256(joined.encode()).hexdigest()


def _entries(connection: Connection) -> Iterator[Entry]:
    last = _sealed_head(connection)
    postings = _postings(connection, last)
    per_account: Counter[str] = Counter()
    versions: dict[int, int] = {}
    prev_hash, sequence = GENESIS, 0
    for head, fact, told in _facts(connection, last):
        rows = postings.pop(head.seq, [])
        _check("postings", [_part(row) for row in rows], list(fact.parts))
        _check("account", {row.account_id for row in rows}, {fact.account_id})
        versions[fact.account_id] = versions.get(fact.account_id, 0) + 1
        _check("version", {row.account_version for row in rows}, {versions[fact.account_id]})
        for row, part in zip(rows, fact.parts, strict=True):
            sequence += 1
            per_account[told.account] += 1
            shown = {
                "transaction_id": told.transaction_id,
                "account_id": told.account,
                "type": part.side.upper(),
                "amount_subunits": row.amount,
                "currency": row.issuer_id,
                "sequence": sequence,
            }
            made = entry_hash(prev_hash, shown)
            yield Entry(
                entry_id=f"{head.seq}:{row.n}",
                account_sequence=per_account[told.account],
                prev_hash=prev_hash,
                entry_hash=made,
                **shown,
            )
            prev_hash = made
    _check("postings of nothing", list(postings), [])


def _sealed_head(connection: Connection) -> StreamHead:
    """How far the newest block that names the stream says that it had come."""
    stream_id = centre_stream_id(STREAM)
    here = sealed.c.till_id == stream_id, sealed.c.epoch == EPOCH
    row = connection.execute(select(sealed.c.seq, sealed.c.hash).where(*here)).first()
    named = {"seq": row.seq, "hash": row.hash} if row else {}
    return StreamHead(till_id=stream_id, epoch=EPOCH, **named)


def _facts(connection: Connection, last: StreamHead) -> Iterator[tuple[StreamHead, Transferred, Told]]:
    """The facts of the stream up to its sealed head, each with its place, the chain walked on the way."""
    nonce = connection.execute(select(stream.c.genesis).where(at(last.till_id, EPOCH))).scalar() or ""
    head, genesis = StreamHead(till_id=last.till_id, epoch=EPOCH), bytes.fromhex(nonce)
    here = centre_event.c.till_id == last.till_id, centre_event.c.epoch == EPOCH, centre_event.c.seq <= last.seq
    for row in connection.execute(select(centre_event).where(*here).order_by(centre_event.c.seq)):
        head = next_head(head, genesis, bytes(row.payload))
        _check("chain", (row.seq, row.hash), (head.seq, head.hash))
        fact = read_head(bytes(row.payload))
        if not isinstance(fact, Transferred):
            raise InvariantBroken("the stream of transfers holds something else", seq=row.seq)
        yield head, fact, msgspec.json.decode(fact.detail, type=Told)
    _check("head", head, last)


def _postings(connection: Connection, last: StreamHead) -> dict[int, list[Row[Any]]]:
    here = posting.c.by_till == last.till_id, posting.c.by_epoch == EPOCH, posting.c.by_seq <= last.seq
    by_seq: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(select(posting).where(*here).order_by(posting.c.by_seq, posting.c.n)):
        by_seq.setdefault(row.by_seq, []).append(row)
    return by_seq


def _part(row: Row[Any]) -> Part:
    """The leg that a posting says it is."""
    key = transfer_key(row.issuer_id)
    _check("lot", (row.unit, row.valid_through, row.terms_id), ("point", key.valid_through.isoformat(), key.terms_id))
    side = {("moved", "available"): "credit", ("available", "moved"): "debit"}[row.source, row.target]
    return Part(issuer_id=row.issuer_id, side=side, amount=row.amount)  # type: ignore[arg-type]


def _check(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise InvariantBroken(f"the journal does not prove itself: {what}", found=str(found), wanted=str(wanted))


def _empty_sqlite(tx: Connection) -> None:
    """Its triggers keep what is append-only, so they stand aside for it."""
    triggers = tx.execute(text("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")).all()
    for one in triggers:
        tx.exec_driver_sql(f'DROP TRIGGER "{one.name}"')
    there = set(inspect(tx).get_table_names())
    for schema in (asked_metadata, books_metadata):
        for table in reversed(schema.sorted_tables):
            if table.name in there:
                tx.execute(delete(table))
    for one in triggers:
        tx.exec_driver_sql(one.sql)
