"""A batch applied to a SQLite file as one would tune it by hand: what is there is read in sets, lots are chosen in bare
Python, rows are written in sets, in one transaction.

It begins from facts that are decoded and trusted: no signature, chain, check, certificate, lease or flag. What it
cannot apply ends the run; what it wrote must be what the centre wrote, row by row.
"""

import sqlite3
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import make_url

from bench.ledger.ceilings import PRAGMAS, upsert_one
from bench.ledger.centre import NOW_MS
from bench.ledger.written import MOVED, NEW
from central.database import tables as t
from loyalty.facts.events import own_uses, read_receipt
from loyalty.lots import FOREVER
from loyalty.members import add_uses
from sync.framing import read_json, split
from sync.wire import BatchHeader

_LOOKS = (
    "SELECT account_id, version FROM account WHERE account_id IN (SELECT value FROM json_each(?))",
    "SELECT account_id, valid_through, issuer_id, terms_id, points, earned_on, expired, redated_to FROM lot"
    " WHERE account_id IN (SELECT value FROM json_each(?))",
    "SELECT account_id FROM debt WHERE account_id IN (SELECT value FROM json_each(?))",
)
_ADVANCE = (
    "UPDATE stream SET seq = ?, hash = ?, counter = ?, announced_seq = ?, heard_at_ms = ?, backlog = ?"
    " WHERE till_id = ? AND epoch = ? AND seq = ? RETURNING period_no"
)


class CannotApply(Exception):
    """A batch holds something that this apply leaves out."""


class Fact(NamedTuple):
    """A sale as plain values: points granted (last day, issuer, points), discounts by who pays, steps of counters."""

    seq: int
    receipt_id: str
    account_id: int
    partner_id: str
    store_id: str
    day: str
    sold_at_ms: int
    net_minor: int
    earned: tuple[tuple[str, str, int], ...]
    spent: int
    funded: tuple[tuple[str, int], ...]
    uses: tuple[tuple[str, int], ...]


class Facts(NamedTuple):
    """A batch of them, and the row of the batch itself."""

    header: BatchHeader
    facts: list[Fact]
    row: tuple[Any, ...]


def facts_of(data: bytes) -> Facts:
    """A batch as this apply begins with it."""
    parts = split(data)
    header = read_json(parts, BatchHeader)
    lines = zlib.decompress(parts.body).split(b"\n")[:-1]
    row = {
        "till_id": header.till_id, "epoch": header.epoch, "last_seq": header.last_seq, "first_seq": header.first_seq,
        "posted_from": header.first_seq, "header": parts.json, "signature": parts.signature, "body": parts.body,
        "received_at_ms": NOW_MS,
    }  # fmt: skip
    facts = [_fact(seq, line) for seq, line in enumerate(lines, header.first_seq)]
    return Facts(header, facts, tuple(row[column.name] for column in t.batch.c))


def _fact(seq: int, line: bytes) -> Fact:
    told = read_receipt(line)
    paid = told.redemption
    if told.account_id is None or told.shared_uses or told.certificates_sold or told.spends_own:
        raise CannotApply(told.receipt_id)
    if paid and (paid.slices or paid.authority != "float" or paid.lot_order != "valid_through"):
        raise CannotApply(told.receipt_id)
    return Fact(
        seq, told.receipt_id, told.account_id, told.place.partner_id, told.place.store_id,
        told.place.business_date.isoformat(), told.place.sold_at_ms, told.net_minor,
        tuple((one.valid_through.isoformat(), one.issuer_id, one.points) for one in told.earned),
        paid.points if paid else 0,
        tuple((one.partner_id, one.amount_minor) for one in told.funded),
        tuple((one.name, one.amount) for one in add_uses((), own_uses(told))),
    )  # fmt: skip


class SetApply:
    """Applies batches to a SQLite file.

    Args:
        terms: the id of each partner's terms; they hold all the time.
    """

    def __init__(self, url: str, terms: dict[str, str]) -> None:
        self.connection = sqlite3.connect(str(make_url(url).database), isolation_level=None)
        for pragma in PRAGMAS:
            self.connection.execute(f"PRAGMA {pragma}")
        self._terms = terms
        self._statements = {table.name: upsert_one(table) for table in (*NEW, *MOVED)}

    def apply(self, batch: Facts) -> None:
        """One transaction, committed."""
        header, facts, row = batch
        run = self.connection.execute
        run("BEGIN IMMEDIATE")
        (period_no,) = run(_ADVANCE, (
            header.last_seq, header.head_hash, header.counter, header.last_seq + header.backlog, NOW_MS,
            header.backlog, header.till_id, header.epoch, header.first_seq - 1)).fetchone()  # fmt: skip
        named = "[" + ",".join({str(one.account_id) for one in facts}) + "]"
        versions = dict(run(_LOOKS[0], (named,)).fetchall())
        lots: dict[int, dict[tuple[str, str, str], list[Any]]] = {who: {} for who in versions}
        for who, day, issuer, terms, *held in run(_LOOKS[1], (named,)):
            lots[who][day, issuer, terms] = held
        if run(_LOOKS[2], (named,)).fetchone():
            raise CannotApply("debts")
        rows = _Rows(header.till_id, header.epoch, header.last_seq, period_no, self._terms)
        for fact in facts:
            rows.add(fact, versions, lots[fact.account_id])
        mark = f"{header.till_id}:{header.epoch}:{header.last_seq}"
        sets: dict[str, Sequence[tuple[Any, ...]]] = {
            t.claim.name: sorted((header.till_id, one.receipt_id, header.epoch, one.seq) for one in facts),
            t.event.name: rows.events,
            t.posting.name: sorted(rows.postings),
            t.use.name: sorted(rows.uses),
            t.lot.name: sorted((who, *key, *lots[who][key]) for who, key in rows.moved),
            t.changed.name: [(who, mark) for who in sorted(versions)],
            t.batch.name: [row],
        }
        for name, values in sets.items():
            self.connection.executemany(self._statements[name], values)
        self.connection.executemany("UPDATE account SET version = ? WHERE account_id = ?",
                                    [(version, who) for who, version in versions.items()])  # fmt: skip
        run("COMMIT")


class _Rows:
    """The rows that the facts of a batch come to."""

    def __init__(self, till_id: str, epoch: int, last_seq: int, period_no: int, terms: dict[str, str]) -> None:
        self._till_id, self._epoch, self._last_seq, self._period_no = till_id, epoch, last_seq, period_no
        self._terms = terms
        self.events: list[tuple[Any, ...]] = []
        self.postings: list[tuple[Any, ...]] = []
        self.uses: list[tuple[Any, ...]] = []
        self.moved: set[tuple[int, tuple[str, str, str]]] = set()

    def add(self, fact: Fact, versions: dict[int, int], lots: dict[tuple[str, str, str], list[Any]]) -> None:
        """Redemption before earning; the lot that lapses soonest pays first."""
        who, partner, place = fact.account_id, fact.partner_id, (self._till_id, self._epoch, fact.seq)
        version = versions[who] = versions[who] + 1
        n, left, granted = 0, fact.spent, 0
        for key in sorted(lots) if left else ():
            held = lots[key]
            taken = min(held[0], left) if key[0] >= fact.day else 0
            if taken > 0:
                n += 1
                held[0] -= taken
                left -= taken
                self.moved.add((who, key))
                self._post(who, place, n, version, "point", "available", "redeemed", taken, key, partner,
                           self._terms[partner])  # fmt: skip
        if left:
            raise CannotApply(f"{fact.receipt_id} is not covered")
        fresh: dict[tuple[str, str, str], int] = {}
        for day, issuer, points in fact.earned:
            key = (day, issuer, self._terms[issuer])
            fresh[key] = fresh.get(key, 0) + points
        for key, points in fresh.items():
            n += 1
            granted += points
            held = lots.setdefault(key, [0, "", 0, ""])
            if not held[0]:
                held[1] = fact.day
            elif held[1]:
                held[1] = min(held[1], fact.day)
            held[0] += points
            self.moved.add((who, key))
            self._post(who, place, n, version, "point", "issued", "available", points, key, partner, "none")
        for payer, amount in fact.funded:
            n += 1
            key = (FOREVER.isoformat(), payer, "none")
            self._post(who, place, n, version, "currency", "issued", "redeemed", amount, key, partner, "none")
        self.uses += [(who, version, name, amount, *place) for name, amount in fact.uses]
        self.events.append((
            *place, "receipt.v1", "posted", "", fact.receipt_id, who, version, partner, fact.store_id, fact.day,
            fact.sold_at_ms, fact.net_minor, granted, fact.spent, 0, "", 0, 0, self._period_no, self._last_seq, "",
        ))  # fmt: skip

    def _post(
        self, who: int, place: tuple[str, int, int], n: int, version: int, unit: str, source: str, target: str,
        amount: int, key: tuple[str, str, str], at: str, at_terms: str,
    ) -> None:  # fmt: skip
        self.postings.append((who, *place, n, version, unit, source, target, amount, *key, at, at_terms, "reimburse",
                              *place, self._period_no, self._period_no))  # fmt: skip


def check_same(one: str, other: str) -> None:
    """Raises: CannotApply where two databases that took the same batches differ in a row."""
    sides = [sqlite3.connect(str(make_url(url).database)) for url in (one, other)]
    for table in (*NEW, *MOVED):
        query = f'SELECT * FROM "{table.name}" ORDER BY {", ".join(table.primary_key.columns.keys())}'
        for ours, theirs in zip(*(side.execute(query) for side in sides), strict=True):
            if ours != theirs:
                raise CannotApply(f"{table.name}: {ours} is not {theirs}")
    for side in sides:
        side.close()
