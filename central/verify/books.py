"""The books rebuilt from the stored batches, sharing none of the ledger's sums; what differs is named.

Reads evidence (batches, the centre's own events) and the tables, writes nothing, and never stops at damage: what
cannot be read is a violation, and what hangs on it is not compared, because it could prove nothing.
Source: ledger.md rule 10; ARCHITECTURE.md "What always holds".
"""

from collections import defaultdict
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, select

from central.database import tables as t
from central.ports import reading
from central.verify.approvals import approval_told, check_approvals
from central.verify.blocks import check_blocks
from central.verify.certificates import CERTIFICATE_KEPT, STORED, check_certificates
from central.verify.deltas import DELTA, PRICE_DELTA, check_deltas
from central.verify.members import check_members
from central.verify.moves import check_moves, homes, merges
from central.verify.quarantine import FIXED, check_quarantine
from central.verify.receipts import check_receipt
from central.verify.refold import Leg, Ref, Refold
from central.verify.refold_leases import LEASE_EVENTS, check_leases, float_points, fold_lease, grants_shown
from central.verify.refold_own import ACCOUNT_EVENTS, fold_own
from central.verify.refold_return_voids import RETURN_VOID, fold_return_void
from central.verify.reversals import point_at_receipts
from central.verify.statements import check_statements
from central.verify.streams import StreamWalk
from central.verify.violations import Violation, Violations
from sync.keys import PublicKeys

NOBODY = 0
OF_PARTNERS = ("funded", "withheld")  # sums that are no points of an issuer
BOOKED = ("receipt.v1", "return.v1", "void.v1", RETURN_VOID)


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, points by issuer and bucket, and every violation."""

    batches: int
    events: int
    accounts: int
    points: dict[str, dict[str, int]]
    uncovered_points: int
    granted_points: int
    violations: tuple[Violation, ...]
    blocks: int = 0


def verify_books(engine: Engine, keys: PublicKeys | None = None) -> Verified:
    """Rebuild the books of a centre from evidence and hold them against its tables.

    Args:
        keys: the centre's public keys, by which its blocks are sealed; without them seals are not looked at.
    Returns:
        Figures and violations, all of one moment; the first row that breaks first.
    """
    with reading(engine) as db:
        return _Verification(db, keys).run()


class _Verification:
    """One run. `unproven` are accounts whose events are not all there to be folded."""

    def __init__(self, db: Connection, keys: PublicKeys | None) -> None:
        self.db, self.keys = db, keys
        self.found = Violations()
        self.index: dict[Ref, Row[Any]] = {(r.till_id, r.epoch, r.seq): r for r in db.execute(select(t.event))}
        self.events: dict[Ref, dict[str, Any]] = {}
        self.approvals: dict[Ref, dict[str, str]] = {}
        self.walk = StreamWalk(db, self.found, self._take)
        self.fold = Refold((r.partner_id, r.from_on, r.terms_id) for r in db.execute(select(t.terms)))
        self.unproven: set[int] = set()
        self.merged: dict[int, int] = {}
        self.lots: dict[Any, int] = {}
        self.lapsed: dict[Any, int] = defaultdict(int)
        self.summed: dict[Any, int] = defaultdict(int)
        self.legs: dict[int, dict[Leg, int]] = defaultdict(lambda: defaultdict(int))

    def run(self) -> Verified:
        """Evidence first, then the fold, then what was made of it."""
        self.walk.run()
        blocks = check_blocks(self.db, self.found, self.keys)
        self.merged = merges(self._own())
        self.fold.own_grants = {one["receipt_id"] for one in self.walk.own if one["type"] == "grant.v1"}
        posted = {ref: event for ref, event in self.events.items()
                  if ref in self.index and self.index[ref].state == "posted"}  # fmt: skip
        self.fold.grants_shown = grants_shown(self.db, self.found, posted, self.keys)
        self._every_event_once()
        with self.found.damage("reversal.unreadable", "reversals"):
            point_at_receipts(self.events, posted)
        self._versions()
        self._fold_events()
        self._sum_postings()
        self._lots()
        self._ages()
        self._lapsed()
        self._legs()
        self._debts()
        check_leases(self.db, self.found, self.fold, self.unproven)
        points = self._identity()
        granted = self._floats()
        check_statements(self.db, self.found, self.walk.own)
        with self.found.damage("certificate.unreadable", "certificates"):
            check_certificates(self.db, self.found, self.events, self.index)
        with self.found.damage("delta.unreadable", "deltas"):
            check_deltas(self.db, self.found, self.events, self.index, self.walk.own_refs)
        with self.found.damage("approval.unreadable", "approvals"):
            check_approvals(self.db, self.found, self.approvals, self.index)
        with self.found.damage("move.unreadable", "moves"):
            check_moves(self.db, self.found, self._own())
        with self.found.damage("member.unreadable", "members"):
            check_members(self.db, self.found, posted, self.walk.own)
        with self.found.damage("quarantine.unreadable", "quarantine"):
            check_quarantine(self.db, self.found, self.walk.own, self.index)
        return Verified(
            batches=self.walk.batches,
            events=len(self.events) + sum(not one.get("account_id") for one in self.walk.own),
            accounts=len(self.fold.members.keys() - {NOBODY}),
            points=points,
            uncovered_points=self.fold.uncovered,
            granted_points=granted,
            violations=tuple(self.found.all),
            blocks=blocks,
        )

    # Events

    def _take(self, ref: Ref, event: dict[str, Any], is_whole: bool) -> None:
        """An event as it is read: only what the fold needs is kept of it."""
        row = self.index.get(ref)
        if is_whole and row is not None and row.state == "posted" and event["type"] == "receipt.v1":
            check_receipt(self.found, ref, event)
        if row is not None and row.state in ("posted", "waiting") and (told := approval_told(event)):
            self.approvals[ref] = told
        event.pop("detail", None)
        self.events[ref] = event

    def _own(self) -> dict[Ref, dict[str, Any]]:
        """Head office's own events about accounts; what a till says it were does not count."""
        return {ref: self.events[ref] for ref in self.walk.own_refs}

    def _every_event_once(self) -> None:
        """Each event of each till stands in the index exactly once, as it was sent."""
        for ref in sorted(self.events.keys() - self.index.keys()):
            self.found.differs("event.missing", ref, "in the index", "not there")
            if not {"account_id", "card_token"} & self.events[ref].keys():
                self.unproven.add(NOBODY)
        for ref in sorted(self.index.keys() - self.events.keys()):
            if ref not in self.walk.lost and ref[:2] not in self.walk.unread:
                self.found.differs("event.invented", ref, "in a batch", "not there")
            self.unproven.add(self.index[ref].account_id)
        for ref in sorted(self.events.keys() & self.index.keys()):
            row = self.index[ref]
            known = row.state in ("posted", "waiting", "quarantined")
            self.found.differs("event.state", ref, True, known)
            if row.state in ("posted", "waiting"):
                with self.found.damage("event.head", ref):
                    self._check_row(ref, self.events[ref], row)

    def _check_row(self, ref: Ref, event: dict[str, Any], row: Row[Any]) -> None:
        told = {"kind": event["type"], "receipt_id": event["receipt_id"]}
        fact = event["fact"] if event["type"] == FIXED else event
        if fact["type"] in BOOKED:
            event = fact
            place, of = event["place"], event.get("of") or ["", 0, 0]
            told |= {"partner_id": place[0], "store_id": place[1], "business_date": place[6], "of_till": of[0],
                     "of_epoch": of[1], "of_seq": of[2], "net_minor": event.get("net_minor", 0)}  # fmt: skip
        if event["type"] in ACCOUNT_EVENTS:
            told |= {"business_date": event["on"], "account_id": event["account_id"]}
        self.found.differs("event.row", ref, told, {name: row._mapping[name] for name in told})
        # A return is in the books of its receipt's account, and what undoes it in those of the return's: the fold looks
        # after these.
        by_itself = event["type"] in BOOKED and event["type"] != RETURN_VOID and not event.get("of")
        if row.state == "posted" and by_itself:
            named = event.get("account_id") or (row.account_id if event.get("card_token") else NOBODY)
            if row.account_id not in homes(named, self.merged):
                self.found.differs("event.account", ref, named, row.account_id)

    def _versions(self) -> None:
        """An account's version counts its events, numbered without a gap."""
        numbers: dict[int, list[int]] = defaultdict(list)
        for row in self.index.values():
            if row.state == "posted" and row.account_id:
                numbers[row.account_id].append(row.account_version)
        kept = {row.account_id: row.version for row in self.db.execute(select(t.account))}
        for account_id in sorted(kept.keys() | numbers.keys()):
            own, version = sorted(numbers[account_id]), kept.get(account_id, 0)
            if own != list(range(1, version + 1)):
                events = f"{len(own)} events up to {max(own, default=0)}"
                self.found.differs("account.version", account_id, events, version)
                self.unproven.add(account_id)

    def _fold_events(self) -> None:
        reversing = {(r.by_till, r.by_epoch, r.by_seq) for r in self.db.execute(select(t.reversed_))}
        posted = [(ref, row) for ref, row in self.index.items() if row.state == "posted" and ref in self.events]

        def turn(one: tuple[Ref, Row[Any]]) -> tuple[int, int, int, bool, tuple[Any, ...], bool]:
            # An account that was merged into another one comes before it: its sales come back there.
            ref, row = one
            before = -len(homes(row.account_id, self.merged))
            event = self.events[ref]
            fact = event["fact"] if event["type"] == FIXED else event
            # Nobody's events are not numbered; what undoes a return comes right behind it, wherever people posted it.
            is_undoing = fact["type"] == RETURN_VOID
            place = tuple(fact.get("undoes") or ref) if is_undoing else ref
            return before, row.account_id, row.account_version, fact["type"] != "receipt.v1", place, is_undoing

        for ref, row in sorted(posted, key=turn):
            event, account_id = self.events[ref], row.account_id
            if event["type"] != row.kind:
                self.unproven.add(account_id)
            kinds = (*ACCOUNT_EVENTS, FIXED, CERTIFICATE_KEPT, PRICE_DELTA)
            of_head_office = event["type"] not in kinds or ref in self.walk.own_refs
            if self.found.differs("event.stream", ref, True, of_head_office):
                self.unproven.add(account_id)
            if event["type"] == "move.v1" and event.get("closes") and event.get("other_id") in self.unproven:
                self.unproven.add(account_id)
            event = event["fact"] if event["type"] == FIXED else event
            if event["type"] not in (*BOOKED, *ACCOUNT_EVENTS, *LEASE_EVENTS) or account_id in self.unproven:
                continue
            before = len(self.found.all)
            with self.found.damage("event.unfoldable", ref):
                if event["type"] in LEASE_EVENTS:
                    fold_lease(self.fold, event, account_id, ref)
                elif event["type"] in ACCOUNT_EVENTS:
                    fold_own(self.fold, ref, event, account_id)
                elif event["type"] == RETURN_VOID:
                    fold_return_void(self.fold, ref, event, account_id)
                else:
                    self.fold.fold(ref, event, account_id, alone=not account_id and ref not in reversing)
            if len(self.found.all) > before:
                self.unproven.add(account_id)

    # Books

    def _sum_postings(self) -> None:
        """Postings by lot and by leg; each stands in the period and version of the event that posted it."""
        for row in self.db.execute(select(t.posting)):
            ref = (row.by_till, row.by_epoch, row.by_seq)
            about = (row.account_id, ref, row.n)
            self.found.differs("posting.amount", about, True, row.amount > 0)
            if event := self.index.get(ref):
                self.found.differs("posting.period", about, event.period_no, row.period_no)
                if row.account_id not in self.unproven:
                    self.found.differs("posting.version", about, event.account_version, row.account_version)
            key = (row.account_id, (row.valid_through, row.issuer_id, row.terms_id))
            if row.unit == "point":
                self.summed[key] += row.amount * ((row.target == "available") - (row.source == "available"))
                self.lapsed[key] += row.amount * ((row.target == "expired") - (row.source == "expired"))
            for bucket, step in ((row.source, -1), (row.target, 1)):
                if leg := _leg(row, bucket):
                    self.legs[row.account_id][leg] += -step * row.amount if bucket == "issued" else step * row.amount

    def _lots(self) -> None:
        """Lots as kept, lots as folded, and lots as the postings sum up, are the same."""
        self.lots = {
            (r.account_id, (r.valid_through, r.issuer_id, r.terms_id)): r.points
            for r in self.db.execute(select(t.lot).where(t.lot.c.points != 0))
        }
        folded = {
            (account_id, key): points
            for account_id, member in self.fold.members.items()
            for key, points in member.lots.items()
            if points
        }
        summed = {key for key, points in self.summed.items() if points}
        for key in sorted(self.lots.keys() | folded.keys() | summed, key=repr):
            if key[0] not in self.unproven:
                self.found.differs("lot.folded", key, folded.get(key, 0), self.lots.get(key, 0))
            self.found.differs("lot.postings", key, self.summed.get(key, 0), self.lots.get(key, 0))

    def _ages(self) -> None:
        """Since when a lot is held, and the day its points were given since, as folded."""
        kept: dict[Any, str] = {}
        for row in self.db.execute(select(t.lot).where((t.lot.c.points > 0) | (t.lot.c.redated_to != ""))):
            member, key = self.fold.members.get(row.account_id), (row.valid_through, row.issuer_id, row.terms_id)
            if row.redated_to:
                kept[row.account_id, key] = row.redated_to
            if row.points and member and member.lots.get(key) and row.account_id not in self.unproven:
                about = (row.account_id, key)
                self.found.differs("lot.earned_on", about, member.earned_on.get(key, ""), row.earned_on)
        folded = {(account_id, key): day for account_id, member in self.fold.members.items()
                  for key, day in member.redated.items()}  # fmt: skip
        for about in sorted(kept.keys() | folded.keys()):
            if about[0] not in self.unproven:
                self.found.differs("lot.redated", about, folded.get(about, ""), kept.get(about, ""))

    def _lapsed(self) -> None:
        """What lapsed of each lot and no late sale has taken, likewise."""
        kept = {
            (r.account_id, (r.valid_through, r.issuer_id, r.terms_id)): r.expired
            for r in self.db.execute(select(t.lot).where(t.lot.c.expired != 0))
        }
        folded = {
            (account_id, key): points
            for account_id, member in self.fold.members.items()
            for key, points in member.expired.items()
            if points
        }
        summed = {key for key, points in self.lapsed.items() if points}
        for key in sorted(kept.keys() | folded.keys() | summed, key=repr):
            if key[0] not in self.unproven:
                self.found.differs("lot.lapsed", key, folded.get(key, 0), kept.get(key, 0))
            self.found.differs("lot.expired", key, self.lapsed.get(key, 0), kept.get(key, 0))

    def _legs(self) -> None:
        """Points issued, redeemed (and where) and reversed, and discounts between partners, as postings and folded."""
        for account_id in sorted((self.legs.keys() | self.fold.members.keys()) - self.unproven):
            folded = self.fold.members[account_id].legs if account_id in self.fold.members else {}
            posted = self.legs.get(account_id, {})
            for leg in sorted(folded.keys() | posted.keys(), key=repr):
                code = f"partner.{leg[0]}" if leg[0] in OF_PARTNERS else f"issuer.{leg[0]}"
                self.found.differs(code, (account_id, *leg[1:]), folded.get(leg, 0), posted.get(leg, 0))

    def _debts(self) -> None:
        kept: dict[Any, int] = defaultdict(int)
        for row in self.db.execute(select(t.debt)):
            of = (row.of_till, row.of_epoch, row.of_seq)
            kept[row.account_id, of, row.issuer_id, row.terms_id, row.at_partner_id, row.at_terms_id] += row.points
        folded: dict[Any, int] = defaultdict(int)
        for account_id, member in self.fold.members.items():
            for one in member.debts:
                folded[account_id, one.of, one.issuer, one.terms, one.at, one.at_terms] += one.points
        for key in sorted(kept.keys() | folded.keys(), key=repr):
            if key[0] not in self.unproven:
                self.found.differs("debt.folded", key, folded.get(key, 0), kept.get(key, 0))

    def _identity(self) -> dict[str, dict[str, int]]:
        """Per issuer: issued = available + leased + pending + redeemed + expired + reversed; `moved` nets to zero."""
        held: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for (_, (_, issuer, _)), points in self.lots.items():
            held[issuer]["available"] += points
        for legs in self.legs.values():
            for (bucket, issuer, *_), points in legs.items():
                if bucket not in OF_PARTNERS:
                    held[issuer][bucket] += points
        for issuer, buckets in sorted(held.items()):
            parts = sum(points for bucket, points in buckets.items() if bucket not in ("issued", "moved"))
            self.found.differs("issuer.identity", issuer, buckets.get("issued", 0), parts)
            self.found.differs("issuer.moved", issuer, 0, buckets.get("moved", 0))
        return {issuer: dict(buckets) for issuer, buckets in sorted(held.items())}

    def _floats(self) -> int:
        """What was overspent offline is at most what floats were ever granted, and leases reclaimed."""
        granted = float_points(self.fold)
        for event in self.walk.own:
            if event["type"] == "grant.v1" and event.get("account_id") is None:
                with self.found.damage("grant.unreadable", event.get("receipt_id", "")):
                    granted += int(event["points"])
        bound = granted + self.fold.reclaimed
        if self.fold.uncovered > bound:
            self.found.differs("float.bound", "overspend", f"at most {bound}", self.fold.uncovered)
        return granted


def _leg(row: Row[Any], bucket: str) -> Leg | None:
    """Which of the fold's sums one side of a posting belongs to."""
    if row.terms_id in (STORED, DELTA):
        return None  # held against certificates and findings, see `certificates`, `deltas`
    if row.unit == "currency":
        return ("funded", row.issuer_id, "", row.at_partner_id, "", "") if bucket == "redeemed" else None
    if row.unit == "claim":
        return ("withheld", "", "", row.at_partner_id, row.at_terms_id, "") if bucket == "pending" else None
    if bucket == "available":
        return None
    if bucket == "redeemed":
        return (bucket, row.issuer_id, row.terms_id, row.at_partner_id, row.at_terms_id, row.priced_by)
    return (bucket, row.issuer_id, row.terms_id, "", "", "")
