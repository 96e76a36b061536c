"""Certificates folded once more from the bytes tills sent, held against their rows and the postings of stored value.

This shares no line with `loyalty.ledger.certificate_postings` on purpose: it is what that is held against.
Source: docs/certificates.md.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from central.database import tables as t
from central.verify.refold import Ref
from central.verify.violations import Violations

STORED = "stored"
CERTIFICATE, CERTIFICATE_KEPT = "certificate.v1", "certificate_kept.v1"
SALES, REVERSALS = ("receipt.v1",), ("return.v1", "void.v1")
RETURN_VOID = "return_void.v1"
FAMILY = "certificate:"
Lot = tuple[str, str]  # last valid day, who owes it: spending order
Leg = tuple[str, str, str, str]  # bucket, last valid day, who owes it, and where it was redeemed


class Held:
    """One certificate: what is on it, what lapsed, what each sale put on and what each receipt took."""

    def __init__(self) -> None:
        self.lots: dict[Lot, int] = defaultdict(int)
        self.lapsed: dict[Lot, int] = defaultdict(int)
        self.put: dict[Ref, tuple[Lot, int]] = {}
        self.took: dict[Ref, Taken] = {}
        self.off: dict[Ref, list[Off]] = defaultdict(list)
        self.blocked = ""
        self.events = 0


class Taken:
    """What a receipt took, in the order of use, and what was not there."""

    def __init__(self, partner: str, on: str, owed: int) -> None:
        self.partner, self.on, self.owed = partner, on, owed
        self.parts: list[list[Any]] = []


class Off(NamedTuple):
    """What a reversal took off: which sale had put on how much, what was left of it, and what had lapsed."""

    of: Ref
    lot: Lot
    amount: int
    left: int
    lapsed: int


class CertificateFold:
    """Certificates by token, and the sums of stored value by bucket."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = defaultdict(Held)
        self.legs: dict[Leg, int] = defaultdict(int)

    def fold(self, code: str, ref: Ref, event: Mapping[str, Any]) -> None:
        """Fold one event into one certificate that it names."""
        held, kind = self.held[code], event["type"]
        held.events += 1
        if kind == CERTIFICATE_KEPT:
            self._kept(held, event)
            return
        partner, on = event["place"][0], event["place"][6]
        if kind == CERTIFICATE:
            if event["what"] == "blocked":
                held.blocked = event.get("reason") or "blocked"
            elif event.get("amount_minor") and event.get("valid_through"):
                self._put(held, ref, (event["valid_through"], partner), event["amount_minor"])
        elif kind in SALES:
            if (wanted := -_used(event, code)) > 0:
                self._take(held, ref, partner, on, wanted)
            for _, sold, amount, through in event.get("certificates_sold", ()):
                if sold == code:
                    self._put(held, ref, (through, partner), amount)
        elif kind == RETURN_VOID:
            if any(again == code for _, again, _amount, _through in event.get("certificates_again", ())):
                self._on_again(held, tuple(event["undoes"]))
            if (wanted := -_used(event, code)) > 0:
                self._again(held, tuple(event.get("of") or ()), partner, on, wanted)
        else:
            of = tuple(event.get("of") or ())
            if (back := _used(event, code)) > 0 and of in held.took:
                self._back(held, of, back)
            for _, sold, _amount, _through in event.get("certificates_back", ()):
                if sold == code and of in held.put:
                    self._off(held, ref, of)

    def _kept(self, held: Held, event: Mapping[str, Any]) -> None:
        if event["what"] == "freed":
            held.blocked = ""
            return
        for lot, amount in list(held.lots.items()):
            if lot[0] < event["on"]:
                self._move("available", "expired", lot, amount)
                held.lots[lot], held.lapsed[lot] = 0, held.lapsed[lot] + amount

    def _put(self, held: Held, ref: Ref, lot: Lot, amount: int) -> None:
        held.put[ref] = lot, amount
        held.lots[lot] += amount
        self._move("issued", "available", lot, amount)
        self._pay_owed(held)

    def _take(self, held: Held, ref: Ref, partner: str, on: str, wanted: int) -> None:
        taken = held.took[ref] = Taken(partner, on, wanted)
        self._use_all(held, taken)

    def _again(self, held: Held, of: Ref, partner: str, on: str, wanted: int) -> None:
        """A receipt takes again what its return had given back; one with nothing left of it begins anew."""
        taken = held.took.get(of)
        if taken is None or not (taken.owed or any(amount for _, amount in taken.parts)):
            held.took.pop(of, None)
            taken = held.took[of] = Taken(taken.partner if taken else partner, on, 0)
        taken.owed += wanted
        self._use_all(held, taken)

    def _use_all(self, held: Held, taken: Taken) -> None:
        for bucket, there in (("available", held.lots), ("expired", held.lapsed)):
            for lot in sorted(lot for lot in there if lot[0] >= taken.on):
                self._use(bucket, there, lot, taken)

    def _pay_owed(self, held: Held) -> None:
        for taken in held.took.values():
            for lot in sorted(lot for lot in held.lots if lot[0] >= taken.on):
                self._use("available", held.lots, lot, taken)

    def _use(self, bucket: str, there: dict[Lot, int], lot: Lot, taken: Taken) -> None:
        amount = min(taken.owed, there[lot])
        if amount:
            there[lot] -= amount
            taken.owed -= amount
            taken.parts.append([lot, amount])
            self._move(bucket, "redeemed", lot, amount, taken.partner)

    def _back(self, held: Held, of: Ref, wanted: int) -> None:
        taken = held.took[of]
        forgiven = min(wanted, taken.owed)
        taken.owed, wanted = taken.owed - forgiven, wanted - forgiven
        for part in reversed(taken.parts):
            amount = min(wanted, part[1])
            part[1], wanted = part[1] - amount, wanted - amount
            held.lots[part[0]] += amount
            self._move("redeemed", "available", part[0], amount, taken.partner)
        self._pay_owed(held)

    def _off(self, held: Held, by: Ref, of: Ref) -> None:
        lot, amount = held.put.pop(of)
        left = min(amount, held.lots[lot])
        lapsed = min(amount - left, held.lapsed[lot])
        held.off[by].append(Off(of, lot, amount, left, lapsed))
        held.lots[lot] -= left
        held.lapsed[lot] -= lapsed
        self._move("available", "reversed", lot, left)
        self._move("expired", "reversed", lot, lapsed)

    def _on_again(self, held: Held, undone: Ref) -> None:
        for off in held.off.pop(undone, ()):
            held.put[off.of] = off.lot, off.amount
            held.lots[off.lot] += off.left
            held.lapsed[off.lot] += off.lapsed
            self._move("reversed", "available", off.lot, off.left)
            self._move("reversed", "expired", off.lot, off.lapsed)
        self._pay_owed(held)

    def _move(self, source: str, target: str, lot: Lot, amount: int, at: str = "") -> None:
        for bucket, step in ((source, -amount), (target, amount)):
            self.legs[bucket, *lot, at if bucket == "redeemed" else ""] += step


def check_certificates(
    db: Connection, found: Violations, events: Mapping[Ref, Mapping[str, Any]], index: Mapping[Ref, Row[Any]]
) -> None:
    """Every event that names a certificate was folded into it once, and rows and postings say what comes of them.

    Args:
        events: that were read, details left out; `index`: the rows of all events.
    """
    reversing = {(row.by_till, row.by_epoch, row.by_seq) for row in db.execute(select(t.reversed_))}
    wanted = {
        (code, ref)
        for ref, event in events.items()
        if ref in index and index[ref].state == "posted"
        for code in _codes(_fact(event), is_named=ref in reversing)
    }
    moves: dict[str, dict[int, Ref]] = defaultdict(dict)
    for row in db.execute(select(t.certificate_move)):
        moves[row.code][row.n] = (row.till_id, row.epoch, row.seq)
    folded = {(code, ref) for code, by_n in moves.items() for ref in by_n.values()}
    unread = {code for code, ref in folded if ref not in events}
    for code, ref in sorted(wanted ^ folded):
        if code not in unread:
            found.differs("certificate.event", (code, ref), (code, ref) in wanted, (code, ref) in folded)
    fold = CertificateFold()
    for code, by_n in sorted(moves.items()):
        found.differs("certificate.order", code, list(range(1, len(by_n) + 1)), sorted(by_n))
        if code not in unread:
            for n in sorted(by_n):
                fold.fold(code, by_n[n], _fact(events[by_n[n]]))
    for row in db.execute(select(t.certificate).order_by(t.certificate.c.code)):
        if row.code not in unread:
            _check_row(found, row, fold.held[row.code])
    if not unread:
        _check_postings(db, found, fold.legs)


def _check_row(found: Violations, row: Row[Any], held: Held) -> None:
    kept = json.loads(row.kept)
    found.differs("certificate.lots", row.code, _listed(held.lots), _rows(kept.get("lots", ())))
    found.differs("certificate.lapsed", row.code, _listed(held.lapsed), _rows(kept.get("lapsed", ())))
    owed = sum(taken.owed for taken in held.took.values())
    days = [lot[0] for lot, amount in held.lots.items() if amount]
    told = (held.events, sum(held.lots.values()), owed, held.blocked, min(days, default=""))
    found.differs("certificate.row", row.code, told, (row.n, row.balance_minor, row.owed_minor, row.blocked,
                                                     row.lapses_on))  # fmt: skip


def _check_postings(db: Connection, found: Violations, legs: Mapping[Leg, int]) -> None:
    summed: dict[Leg, int] = defaultdict(int)
    for row in db.execute(select(t.posting).where(t.posting.c.terms_id == STORED)):
        found.differs("certificate.unit", (row.by_till, row.by_epoch, row.by_seq, row.n), "currency", row.unit)
        for bucket, step in ((row.source, -row.amount), (row.target, row.amount)):
            at = row.at_partner_id if bucket == "redeemed" else ""
            summed[bucket, row.valid_through, row.issuer_id, at] += step
    for leg in sorted(legs.keys() | summed.keys()):
        found.differs("certificate.postings", leg, legs.get(leg, 0), summed.get(leg, 0))


def _codes(event: Mapping[str, Any], *, is_named: bool) -> set[str]:
    kind = event["type"]
    if kind in (CERTIFICATE, CERTIFICATE_KEPT):
        return {event["code"]}
    if kind in REVERSALS and is_named:
        back = {code for _, code, _, _ in event.get("certificates_back", ())}
        return back | {code for code in _named(event) if _used(event, code) > 0}
    if kind == RETURN_VOID:
        again = {code for _, code, _, _ in event.get("certificates_again", ())}
        return again | {code for code in _named(event) if _used(event, code) < 0} if is_named else set()
    if kind in SALES:
        sold = {code for _, code, _, _ in event.get("certificates_sold", ())}
        return sold | {code for code in _named(event) if _used(event, code) < 0}
    return set()


def _fact(event: Mapping[str, Any]) -> Mapping[str, Any]:
    fact: Mapping[str, Any] = event.get("fact", event)
    return fact


def _named(event: Mapping[str, Any]) -> set[str]:
    return {name.removeprefix(FAMILY) for name, _ in _uses(event) if name.startswith(FAMILY)}


def _used(event: Mapping[str, Any], code: str) -> int:
    return sum(amount for name, amount in _uses(event) if name == FAMILY + code)


def _uses(event: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    return (*event.get("uses", ()), *event.get("shared_uses", ()))


def _listed(lots: Mapping[Lot, int]) -> list[list[Any]]:
    return [[*lot, amount] for lot, amount in sorted(lots.items()) if amount]


def _rows(slices: Iterable[Any]) -> list[list[Any]]:
    return [[through, issuer, amount] for (through, issuer, _), amount in slices]
