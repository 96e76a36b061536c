"""The books rebuilt from the stored batches, sharing none of the ledger's sums; what differs is named.

Reads evidence (batches, the centre's own events) and the tables, writes nothing. Source: ledger.md rule 10;
ARCHITECTURE.md "What always holds".
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, select

from central import tables as t
from central.refold import Ref, Refold
from central.stored import batches_of, event_of, lines_of
from sync.chain import ZERO_HASH, StreamHead, is_blanked, walk
from sync.keys import verify as signature_holds
from sync.wire import BATCH_TAG, BatchHeader


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """An invariant that does not hold: which, where, and both figures."""

    code: str
    about: str
    wanted: str
    found: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, points by issuer and bucket, and every violation."""

    batches: int
    events: int
    accounts: int
    points: dict[str, dict[str, int]]
    uncovered_points: int
    granted_points: int
    violations: tuple[Violation, ...]


def verify_books(engine: Engine) -> Verified:
    """Rebuild the books of a centre from evidence and hold them against its tables.

    Returns:
        Figures and violations, the first row that breaks first.
    """
    with engine.connect() as db:
        return _Verification(db).run()


class _Verification:
    def __init__(self, db: Connection) -> None:
        self.db = db
        self.violations: list[Violation] = []
        self.batches = 0
        self.events: dict[Ref, dict[str, Any]] = {}
        self.fold = Refold([(r.partner_id, r.from_on, r.terms_id) for r in db.execute(select(t.terms))])

    def run(self) -> Verified:
        """Evidence first, then the fold, then what was made of it."""
        for stream in self.db.execute(select(t.stream).order_by(t.stream.c.till_id, t.stream.c.epoch)):
            self._stream(stream)
        self._every_event_once()
        for ref, event in self.events.items():
            if event["type"] == "receipt.v1":
                self._figures(ref, event)
        self._fold_events()
        self._lots()
        self._debts()
        points = self._identity()
        granted = self._floats()
        self._statements()
        return Verified(
            batches=self.batches,
            events=len(self.events),
            accounts=len(self.fold.members),
            points=points,
            uncovered_points=self.fold.uncovered,
            granted_points=granted,
            violations=tuple(self.violations),
        )

    def _differs(self, code: str, about: object, wanted: object, found: object) -> None:
        if wanted != found:
            self.violations.append(Violation(code=code, about=str(about), wanted=str(wanted), found=str(found)))

    # Evidence

    def _stream(self, stream: Any) -> None:
        """Signatures, gapless numbers, and the chain from its beginning to the head."""
        head = StreamHead(till_id=stream.till_id, epoch=stream.epoch, seq=0, hash=ZERO_HASH)
        about = f"{stream.till_id}/{stream.epoch}"
        for seq, payload in self._payloads(stream, about):
            self._differs("chain.gap", about, head.seq + 1, seq)
            (head,) = walk(head, bytes.fromhex(stream.genesis), (payload,))
            if not is_blanked(payload):
                self.events[stream.till_id, stream.epoch, seq] = event_of(payload)
        self._differs("chain.head", about, (stream.seq, stream.hash), (head.seq, head.hash))

    def _payloads(self, stream: Any, about: str) -> Iterator[tuple[int, bytes]]:
        if stream.state == "centre":
            rows = self.db.execute(
                select(t.centre_event)
                .where(t.centre_event.c.till_id == stream.till_id, t.centre_event.c.epoch == stream.epoch)
                .order_by(t.centre_event.c.seq)
            )
            yield from ((row.seq, bytes(row.payload)) for row in rows)
            return
        keys = {
            row.key_no: row.public
            for row in self.db.execute(select(t.till_key).where(t.till_key.c.till_id == stream.till_id))
        }
        for row in batches_of(self.db, stream.till_id, stream.epoch):
            self.batches += 1
            header = msgspec.json.decode(row.header, type=BatchHeader)
            public = keys.get(header.key_no, "")
            if not public or not signature_holds(public, bytes(row.signature), BATCH_TAG + bytes(row.header)):
                self._differs("batch.signature", f"{about} up to {row.last_seq}", "good", "bad")
            body = hashlib.sha256(bytes(row.body)).hexdigest()
            self._differs("batch.body", f"{about} up to {row.last_seq}", header.body_sha256, body)
            yield from lines_of(row)

    def _every_event_once(self) -> None:
        """Each event of each till stands in the index exactly once, posted, waiting or quarantined."""
        indexed = {(r.till_id, r.epoch, r.seq): r for r in self.db.execute(select(t.event))}
        sent = {ref for ref, event in self.events.items() if event["type"] not in ("grant.v1", "period.v1")}
        self._differs("event.missing", "index", [], sorted(sent - set(indexed))[:3])
        self._differs("event.invented", "index", [], sorted(set(indexed) - sent)[:3])
        states = {row.state for row in indexed.values()}
        self._differs("event.state", "index", [], sorted(states - {"posted", "waiting", "quarantined"}))
        self.index = indexed

    def _figures(self, ref: Ref, event: dict[str, Any]) -> None:
        """Line figures make the receipt's: discounts, points, tender, money."""
        detail = event.get("detail") or {}
        lines = detail.get("figures", [])
        effects = detail.get("effects", [])
        charged = {line: amount for line, amount in detail.get("charged", [])}
        for line, amount, discount, points, paid, net in lines:
            self._differs("receipt.line", (ref, line), amount - discount - paid, net)
            self._differs("receipt.discounts", (ref, line), discount, sum(e[2] for e in effects if e[1] == line))
            self._differs("receipt.points", (ref, line), points, sum(e[3] for e in effects if e[1] == line))
        redemption = event.get("redemption") or {}
        self._differs("receipt.tender", ref, redemption.get("amount_minor", 0), sum(line[4] for line in lines))
        self._differs("receipt.earned", ref, sum(e[2] for e in event.get("earned", [])), sum(line[3] for line in lines))
        in_money = sum(line[1] - charged.get(line[0], line[2]) - line[4] for line in lines)
        self._differs("receipt.net", ref, event["net_minor"], in_money)

    # Books

    def _fold_events(self) -> None:
        posted = [row for row in self.index.values() if row.state == "posted" and row.account_id]
        for row in sorted(posted, key=lambda row: (row.account_id, row.account_version)):
            ref = (row.till_id, row.epoch, row.seq)
            self.fold.fold(ref, self.events[ref], row.account_id)
        for row in self.db.execute(select(t.account)):
            self._differs("account.version", row.account_id, self.fold.members[row.account_id].events, row.version)

    def _lots(self) -> None:
        """Lots as kept, lots as folded, and lots as the postings sum up, are the same."""
        kept = {
            (r.account_id, (r.valid_through, r.issuer_id, r.terms_id)): r.points
            for r in self.db.execute(select(t.lot).where(t.lot.c.points != 0))
        }
        folded = {
            (account_id, key): points
            for account_id, member in self.fold.members.items()
            for key, points in member.lots.items()
            if points
        }
        summed: dict[Any, int] = defaultdict(int)
        for row in self.db.execute(select(t.posting).where(t.posting.c.unit == "point")):
            key = (row.account_id, (row.valid_through, row.issuer_id, row.terms_id))
            summed[key] += row.amount * ((row.target == "available") - (row.source == "available"))
            self._differs("posting.amount", (row.by_till, row.by_seq, row.n), True, row.amount > 0)
        for key in sorted(kept.keys() | folded.keys() | {key for key, points in summed.items() if points}):
            self._differs("lot.folded", key, folded.get(key, 0), kept.get(key, 0))
            self._differs("lot.postings", key, summed.get(key, 0), kept.get(key, 0))

    def _debts(self) -> None:
        kept: dict[Any, int] = defaultdict(int)
        for row in self.db.execute(select(t.debt)):
            kept[row.account_id, row.issuer_id, row.terms_id] += row.points
        folded: dict[Any, int] = defaultdict(int)
        for account_id, member in self.fold.members.items():
            for debt in member.debts:
                folded[account_id, debt["issuer"] or "", debt["terms"]] += debt["points"]
        for key in sorted(kept.keys() | folded.keys()):
            self._differs("debt.folded", key, folded.get(key, 0), kept.get(key, 0))

    def _identity(self) -> dict[str, dict[str, int]]:
        """Per issuer: issued = available + leased + pending + redeemed + expired + reversed."""
        p = t.posting.c
        flows = self.db.execute(
            select(p.issuer_id, p.source, p.target, func.sum(p.amount).label("points"))
            .where(p.unit == "point")
            .group_by(p.issuer_id, p.source, p.target)
        )
        buckets: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for row in flows:
            buckets[row.issuer_id][row.target] += int(row.points)
            if row.source == "issued":
                buckets[row.issuer_id]["issued"] += int(row.points)
            else:
                buckets[row.issuer_id][row.source] -= int(row.points)
        for issuer in sorted(buckets.keys() | self.fold.issued.keys()):
            held = buckets[issuer]
            parts = sum(points for bucket, points in held.items() if bucket != "issued")
            self._differs("issuer.identity", issuer, held["issued"], parts)
            self._differs("issuer.issued", issuer, self.fold.issued[issuer], held["issued"])
            self._differs("issuer.redeemed", issuer, self.fold.redeemed[issuer], held["redeemed"])
            self._differs("issuer.reversed", issuer, self.fold.reversed[issuer], held["reversed"])
            self._differs("issuer.moved", issuer, 0, held["moved"])
        return {issuer: dict(held) for issuer, held in sorted(buckets.items())}

    def _floats(self) -> int:
        """What was overspent offline is at most what was ever granted."""
        granted = sum(event["points"] for event in self.events.values() if event["type"] == "grant.v1")
        if self.fold.uncovered > granted:
            self._differs("float.bound", "overspend", f"at most {granted}", self.fold.uncovered)
        return granted

    # Statements

    def _statements(self) -> None:
        """An issued statement still has the bytes that were hashed and chained, and its lines make its total."""
        lines: dict[str, int] = defaultdict(int)
        for row in self.db.execute(select(t.statement_line)):
            lines[row.statement_id] += row.amount_minor
        for row in self.db.execute(select(t.statement)):
            self._differs(
                "statement.hash", row.statement_id, row.sha256, hashlib.sha256(bytes(row.document)).hexdigest()
            )
            self._differs("statement.total", row.statement_id, row.total_minor, lines[row.statement_id])
        kept = {row.statement_id: row.sha256 for row in self.db.execute(select(t.statement))}
        for event in self.events.values():
            for partner_id, sha256 in event.get("statements", []) if event["type"] == "period.v1" else []:
                statement = f"{event['period_no']}:{partner_id}"
                self._differs("statement.announced", statement, sha256, kept.get(statement, ""))
