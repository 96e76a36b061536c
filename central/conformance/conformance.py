"""What an outside test kit asks of a ledger, over our own posting code: reset, post, balance, journal.

For scratch databases only; `is_scratch` is the second of two locks on this door (docs/conformance.md). The journal is
shown only if it proves itself: each stream walked to what the newest block names of it, every posting as its fact says.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, delete, inspect, select, text

from central.coalition.streams import at
from central.database.tables import block, centre_event, posting, sealed, stream
from central.database.tables import metadata as books_metadata
from central.ports import Clock, Randomness, reading, replayable, writing
from central.posting.transfers import STREAMS, Told, TransferAnswer, TransferAsk, balance_of, transfer
from central.posting.transfers import metadata as asked_metadata
from central.streams.own_events import EPOCH, centre_stream_id
from central.streams.sealing import Sealer
from loyalty.facts.events import read_head
from loyalty.facts.transfers import Part, Transferred
from loyalty.ledger.transfer_postings import transfer_key
from loyalty.trouble import InvariantBroken
from sync.blocks import Block
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


class _Done(msgspec.Struct, frozen=True, kw_only=True):
    """One fact of a transfer with its postings, proven to be what the fact says."""

    stream: str
    seq: int
    fact: Transferred
    told: Told
    rows: tuple[Row[Any], ...]
    version: int


def _entries(connection: Connection) -> Iterator[Entry]:
    numbers = {centre_stream_id(name): n for n, name in enumerate(STREAMS)}
    per_account: Counter[str] = Counter()
    prev_hash, sequence = GENESIS, 0
    for done in _in_order(connection):
        for row, part in zip(done.rows, done.fact.parts, strict=True):
            sequence += 1
            per_account[done.told.account] += 1
            shown = {
                "transaction_id": done.told.transaction_id,
                "account_id": done.told.account,
                "type": part.side.upper(),
                "amount_subunits": row.amount,
                "currency": row.issuer_id,
                "sequence": sequence,
            }
            made = entry_hash(prev_hash, shown)
            yield Entry(
                entry_id=f"{numbers[done.stream]}:{done.seq}:{row.n}",
                account_sequence=per_account[done.told.account],
                prev_hash=prev_hash,
                entry_hash=made,
                **shown,
            )
            prev_hash = made


def _in_order(connection: Connection) -> Iterator[_Done]:
    """Facts block by block. Within a block streams in turn, each as far as its transfers stand on what came before:
    of an account the versions say what did, and a block is one moment, so that it holds whatever they stand on."""
    ids = {centre_stream_id(name) for name in STREAMS}
    ends = {head.till_id: head for heads in _blocks(connection, ids) for head in heads}
    _check("sealed", _sealed_heads(connection, ids), ends)
    postings = _postings(connection, ends)
    streams = {stream_id: deque(_transfers(connection, ends[stream_id], postings)) for stream_id in sorted(ends)}
    _check("postings of nothing", list(postings), [])
    versions: Counter[int] = Counter()
    for heads in _blocks(connection, ids):
        open_ = {head.till_id: head.seq for head in heads}
        while open_:
            ready = [one for one in sorted(open_) if _stands(streams[one], open_[one], versions)]
            _check("order", bool(ready) or not any(_left(streams[one], open_[one]) for one in open_), True)
            for one in ready:
                while _stands(streams[one], open_[one], versions):
                    for done in streams[one].popleft():
                        versions[done.fact.account_id] += 1
                        yield done
            open_ = {one: seq for one, seq in open_.items() if _left(streams[one], seq)}
    _check("facts beyond the newest block", [one for one in streams.values() if one], [])


def _left(transfers: deque[list[_Done]], seq: int) -> bool:
    return bool(transfers) and transfers[0][0].seq <= seq


def _stands(transfers: deque[list[_Done]], seq: int, versions: Counter[int]) -> bool:
    """Whether the next transfer of a stream, up to a place, is the next of all its accounts."""
    return _left(transfers, seq) and all(done.version == versions[done.fact.account_id] + 1 for done in transfers[0])


def _blocks(connection: Connection, ids: Collection[str]) -> Iterator[list[StreamHead]]:
    """How far each block says that these streams had come, the first block first."""
    for (body,) in connection.execute(select(block.c.body).order_by(block.c.block_no)):
        named = [head for head in msgspec.json.decode(body, type=Block).heads if head.till_id in ids]
        if named:
            yield named


def _sealed_heads(connection: Connection, ids: Collection[str]) -> dict[str, StreamHead]:
    """How far the last block that names each stream is said to have come."""
    c = sealed.c
    rows = connection.execute(select(c.till_id, c.epoch, c.seq, c.hash).where(c.till_id.in_(sorted(ids)))).mappings()
    return {row["till_id"]: StreamHead(**row) for row in rows}


def _transfers(
    connection: Connection, last: StreamHead, postings: dict[tuple[str, int], list[Row[Any]]]
) -> Iterator[list[_Done]]:
    """The transfers of a stream: the facts that were written together, held against their postings."""
    at_hand: list[_Done] = []
    for head, fact, told in _facts(connection, last):
        rows = postings.pop((head.till_id, head.seq), [])
        _check("postings", [_part(row) for row in rows], list(fact.parts))
        _check("account", {row.account_id for row in rows}, {fact.account_id})
        _check("version", len({row.account_version for row in rows}), 1)
        done = _Done(
            stream=head.till_id, seq=head.seq, fact=fact, told=told, rows=tuple(rows), version=rows[0].account_version
        )
        if at_hand and at_hand[0].fact.transfer_id != fact.transfer_id:
            yield at_hand
            at_hand = []
        at_hand.append(done)
    if at_hand:
        yield at_hand


def _facts(connection: Connection, last: StreamHead) -> Iterator[tuple[StreamHead, Transferred, Told]]:
    """The facts of a stream up to its sealed head, each with its place, the chain walked on the way."""
    nonce = connection.execute(select(stream.c.genesis).where(at(last.till_id, EPOCH))).scalar() or ""
    head, genesis = StreamHead(till_id=last.till_id, epoch=EPOCH), bytes.fromhex(nonce)
    here = centre_event.c.till_id == last.till_id, centre_event.c.epoch == EPOCH, centre_event.c.seq <= last.seq
    for row in connection.execute(select(centre_event).where(*here).order_by(centre_event.c.seq)):
        head = next_head(head, genesis, bytes(row.payload))
        _check("chain", (row.seq, row.hash), (head.seq, head.hash))
        fact = read_head(bytes(row.payload))
        if not isinstance(fact, Transferred):
            raise InvariantBroken("a stream of transfers holds something else", seq=row.seq)
        yield head, fact, msgspec.json.decode(fact.detail, type=Told)
    _check("head", head, last)


def _postings(connection: Connection, ends: Mapping[str, StreamHead]) -> dict[tuple[str, int], list[Row[Any]]]:
    """The postings of the facts up to these heads, by stream and place."""
    by_fact: dict[tuple[str, int], list[Row[Any]]] = {}
    for head in ends.values():
        here = posting.c.by_till == head.till_id, posting.c.by_epoch == EPOCH, posting.c.by_seq <= head.seq
        for row in connection.execute(select(posting).where(*here).order_by(posting.c.by_seq, posting.c.n)):
            by_fact.setdefault((row.by_till, row.by_seq), []).append(row)
    return by_fact


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
