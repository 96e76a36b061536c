"""Years that have gone before: one member's story as the centre itself books it, told of any number of members.

The story is taken by a real centre in memory; its rows are the pattern. Accounts, lots, events and postings of every
member hang together as that one's do. The batches behind the events are not there. Rows of a table lie in the order of
time, so a member's lie apart, as they would.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Table, select, text

from bench.goods import PLACE
from bench.ledger.centre import NOW_MS, Centre, Seat
from bench.ledger.sales import Buyer
from central.database import tables as t
from central.database.rows import put
from central.ports import writing
from loyalty.facts.events import encode
from loyalty.facts.receipts import Receipt
from loyalty.pricing.earning import Earned
from loyalty.pricing.leases import Redemption
from sync.chain import StreamHead, next_head
from sync.envelope import Sender, Unsent, seal_batch
from sync.wire import Lanes

TILLS = 200
POINTS = 120  # of each receipt
SPENT = 50  # by every fourth
OF_MEMBER = (t.account, t.member, t.card, t.lot)
OF_EVENT = (t.event, t.claim, t.posting, t.use)
AT_ONCE = 5_000  # lines
_SPREAD = 0x1E3779B97F4A7D  # odd, so that no two members share an account; up to 53 bits
_ACCOUNT, _TILL, _SEQ, _TOKEN = "\1a\1", "\1t\1", "\1s\1", "\1c\1"


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of COPY with places for account, till and sequence number.

    Attributes:
        member: by table, of each member once; `steps`: the same, of each receipt.
    """

    buyer_version: int
    buyer_balance: int
    member: dict[str, list[str]]
    steps: list[dict[str, list[str]]]

    @property
    def postings(self) -> int:
        """Of each member."""
        return sum(len(step[t.posting.name]) for step in self.steps)


def story(receipts: int) -> Story:
    """So many receipts over the twelve months before the run; every fourth spends points.

    Sixteen leave twenty postings; four leave four, for with so few nobody spends.
    """
    centre = Centre("sqlite://")
    seat = centre.begin(1)[0]
    account = 1 << 40
    with writing(centre.engine) as tx:
        put(tx, t.account, [{"account_id": account, "created_at_ms": NOW_MS}])
        put(tx, t.member, [{"account_id": account}])
        put(tx, t.card, [{"card_token": "c" * 32, "account_id": account, "kind": "ean13", "since_ms": NOW_MS}])
    centre.take(_sealed(seat, [_receipt(number, receipts, account) for number in range(receipts)]))
    marks = {account: _ACCOUNT, seat.till_id: _TILL, "c" * 32: _TOKEN}
    with writing(centre.engine) as tx:
        told = Story(
            buyer_version=tx.execute(select(t.account.c.version)).scalar_one(),
            buyer_balance=sum(tx.execute(select(t.lot.c.points)).scalars()),
            member={table.name: _pattern(tx, table, marks) for table in OF_MEMBER},
            steps=[
                {table.name: _pattern(tx, table, marks, seq) for table in OF_EVENT} for seq in range(1, receipts + 1)
            ],
        )
    centre.close()
    return told


def account_of(member: int) -> int:
    """The account of a member, who are counted from 0: spread over 53 bits, as drawn ones are."""
    return (member + 1) * _SPREAD % 2**53


def buyers(told: Story, count: int) -> list[Buyer]:
    """The first members, as tills know them."""
    known = {"version": told.buyer_version, "balance": told.buyer_balance}
    return [Buyer(account_id=account_of(member), **known) for member in range(count)]


def fill(engine: Engine, told: Story, members: int) -> int:
    """Write the story of so many members; how many postings there are then."""
    order = sorted(range(members), key=account_of)
    with writing(engine) as tx, _bare(tx) as write:
        put(tx, t.till, [{"till_id": _till(n), "store_id": PLACE.store_id, "label": f"H{n}", "epoch": 1}
                         for n in range(TILLS)])  # fmt: skip
        put(tx, t.stream, [_stream(n, members * len(told.steps)) for n in range(TILLS)])
        for table in OF_MEMBER:
            write(table, _lines(told.member[table.name], order, 0))
        for step, patterns in enumerate(told.steps):
            for table in OF_EVENT:
                write(table, _lines(patterns[table.name], range(members), step * _of_till(members)))
    _settle(engine)
    return members * told.postings


def _receipt(number: int, receipts: int, account: int) -> bytes:
    on = PLACE.business_date - timedelta(days=360 - number * 360 // receipts)
    sold_at_ms = NOW_MS - (PLACE.business_date - on).days * 86_400_000
    place = msgspec.structs.replace(PLACE, business_date=on, sold_at_ms=sold_at_ms)
    lapses = date(on.year + 2, 3 * ((on.month + 2) // 3), 28)
    paid = Redemption(points=SPENT, amount_minor=SPENT, authority="float", lease_id="float:1:1")
    return encode(
        Receipt(
            receipt_id=f"R{number}", place=place, net_minor=POINTS * 100, account_id=account,
            earned=(Earned(issuer_id=PLACE.partner_id, valid_through=lapses, points=POINTS),),
            redemption=paid if receipts > 4 and number % 4 == 3 else None,
        )
    )  # fmt: skip


def _sealed(seat: Seat, payloads: Iterable[bytes]) -> bytes:
    head = before = StreamHead(till_id=seat.till_id, epoch=1)
    events = []
    for payload in payloads:
        head = next_head(head, seat.genesis, payload)
        events.append(Unsent(seq=head.seq, payload=payload, hash=head.hash))
    sender = Sender(counter=1, sent_at_ms=NOW_MS, clock_error_ms=0, boot="b1", head_seq=head.seq, cursors=Lanes(),
                    grants=0)  # fmt: skip
    return seal_batch(before, events, sender, seat.signer).data


def _pattern(tx: Connection, table: Table, marks: dict[Any, str], seq: int = 0) -> list[str]:
    """The rows of a table, or those of one event, as lines with marks in them."""
    column = next((table.c[name] for name in ("by_seq", "seq") if seq and name in table.c), None)
    rows = tx.execute(select(table) if column is None else select(table).where(column == seq)).mappings()
    return ["\t".join(_cell(name, value, marks, seq) for name, value in row.items()) for row in rows]


def _cell(column: str, value: Any, marks: dict[Any, str], seq: int) -> str:
    if value in marks:
        return marks[value]
    if seq and column in ("seq", "by_seq", "of_seq", "batch_seq") and value:
        return _SEQ
    if column == "receipt_id":
        return f"R{_SEQ}"
    # A year ago it was recomputed, too.
    return "same" if column == "checked" else str(value)


def _lines(patterns: list[str], members: Iterable[int], first: int) -> Iterator[str]:
    """Lines of these patterns for every member, whose event in this step is one of its till's after `first`."""
    formats = [
        pattern.replace("{", "{{").replace("}", "}}")
        .replace(_ACCOUNT, "{0}").replace(_TILL, "{1}").replace(_SEQ, "{2}").replace(_TOKEN, "{3}").format
        for pattern in patterns
    ]  # fmt: skip
    names = [_till(number) for number in range(TILLS)]
    for member in members:
        account, seq = account_of(member), first + member // TILLS + 1
        token = f"{account:032x}"
        for form in formats:
            yield form(account, names[member % TILLS], seq, token)


def _till(number: int) -> str:
    return f"{number:04x}" + "b" * 28


def _of_till(members: int) -> int:
    """Receipts of a till in each step, at most."""
    return -(-members // TILLS)


def _stream(number: int, events: int) -> dict[str, Any]:
    return {"till_id": _till(number), "epoch": 1, "seq": events, "hash": "0" * 64, "genesis": "0" * 64,
            "state": "active", "period_no": 1, "opened_at_ms": NOW_MS}  # fmt: skip


@contextmanager
def _bare(tx: Connection) -> Iterator[Callable[[Table, Iterable[str]], None]]:
    """Something that writes lines to tables; on PostgreSQL by COPY, their keys and indexes made anew behind it."""
    raw: Any = tx.connection.dbapi_connection
    if tx.dialect.name == "sqlite":
        yield lambda table, lines: _insert(raw, table, lines)
        return
    tx.execute(text("SET LOCAL session_replication_role = replica"))  # no look at foreign keys row by row
    keys = tx.execute(text(_KEYS), {"tables": [table.name for table in OF_EVENT]}).all()
    indexes = tx.execute(text(_INDEXES), {"tables": [table.name for table in OF_EVENT]}).all()
    for key in keys:
        tx.execute(text(f'ALTER TABLE "{key.owner}" DROP CONSTRAINT "{key.name}"'))
    for index in indexes:
        tx.execute(text(f'DROP INDEX "{index.name}"'))
    yield lambda table, lines: _copy(raw, table, lines)
    for key in keys:
        tx.execute(text(f'ALTER TABLE "{key.owner}" ADD CONSTRAINT "{key.name}" {key.made}'))
    for index in indexes:
        tx.execute(text(index.made.replace(":", r"\:")))


_KEYS = """
SELECT conname AS name, conrelid::regclass::text AS owner, pg_get_constraintdef(oid) AS made FROM pg_constraint
WHERE contype = 'p' AND conrelid = ANY (SELECT oid FROM pg_class WHERE relname = ANY (:tables))
""".replace("::", r"\:\:")
_INDEXES = """
SELECT indexname AS name, indexdef AS made FROM pg_indexes
WHERE tablename = ANY (:tables) AND indexname NOT IN (SELECT conname FROM pg_constraint WHERE contype = 'p')
"""


def _copy(raw: Any, table: Table, lines: Iterable[str]) -> None:
    columns = ", ".join(f'"{column.name}"' for column in table.c)
    with raw.cursor().copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
        some: list[str] = []
        for line in lines:
            some.append(line)
            if len(some) == AT_ONCE:
                copy.write("\n".join(some) + "\n")
                some = []
        if some:
            copy.write("\n".join(some) + "\n")


def _insert(raw: Any, table: Table, lines: Iterable[str]) -> None:
    marks = ", ".join("?" for _ in table.c)
    raw.executemany(f'INSERT INTO "{table.name}" VALUES ({marks})', (line.split("\t") for line in lines))


def _settle(engine: Engine) -> None:
    """What a database that has stood for a while has done already."""
    vacuum = "VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(vacuum))
        if engine.dialect.name == "postgresql":
            connection.execute(text("CHECKPOINT"))
