"""Whether what happened may have happened: the run's own record against the bytes on the disks.

It shares no rule with till, centre or kernel: a balance is a sum in a dict, an event is its hash.
Source: reliability.md section 2, "Oracles".
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tallypoint.fleet.counter import PERSON
from tallypoint.fleet.evidence import Centre, blocked_at, copies_at, holds_number, till_copies, uses_beyond
from tallypoint.fleet.oracle_counter import Heard, claimed_points, judge_approvals, judge_claims, judge_consents
from tallypoint.fleet.oracle_gifts import gifts_at, judge_gifts, judge_holds, till_gifts
from tallypoint.fleet.record import Place, Record, Told
from tallypoint.fleet.whose import Whose


class TillDisks(NamedTuple):
    """A machine's disks at the end. `in_service` is false of those that were put aside; `epoch` is its own."""

    name: str
    till_id: str
    epoch: int
    in_service: bool
    journal: sqlite3.Connection
    cache: sqlite3.Connection


class Judged(NamedTuple):
    """How it came out: each event counted once, and what is wrong."""

    events: int
    applied: int
    flagged: int
    quarantined: int
    pending: int
    forgotten: int
    lost: int
    duplicated: int
    overspent: int
    bound: int
    violations: tuple[str, ...]


class Oracle:
    """Judges one history.

    Args:
        members: every account that is a member's.
        granted: points of all floats ever granted.
        odd_tills: ids of tills whose disk was put back or copied: only of theirs may anything be put aside.
        heard: what tills say of consents.
    """

    def __init__(
        self, record: Record, centre: Centre, tills: Sequence[TillDisks], *, granted: int, odd_tills: set[str],
        cards: frozenset[str], stuck: Sequence[str], heard: Sequence[Heard] = (),
    ) -> None:  # fmt: skip
        self._whose = Whose(record, centre, odd_tills)
        self._heard = heard
        self._record, self._centre, self._tills = record, centre, tills
        self._granted, self._odd, self._cards, self._stuck = granted, odd_tills, cards, stuck
        self.violations: list[str] = [*record.wrongs, *centre.wrongs]
        self._on_disk: dict[Place, TillDisks] = {}
        for till in tills:
            for epoch, seq, hash_ in till.journal.execute("SELECT epoch, seq, hash FROM event"):
                self._on_disk.setdefault((till.till_id, epoch, seq, hash_), till)

    def judge(self) -> Judged:
        """Look at everything; the sentences of what does not hold, the first reason first."""
        counts, lost = self._count()
        duplicated = self._once()
        self._balances()
        self.violations += self._whose.wrongs()
        self.violations += judge_claims(self._record, self._centre, self._whose)
        self.violations += judge_consents(self._record, self._whose, self._heard)
        self.violations += judge_approvals(self._record, self._centre, self._whose)
        self.violations += judge_gifts(self._record, self._centre, self._whose)
        self.violations += judge_holds(self._record, self._centre, self._whose, self._odd)
        self._copies()
        self._queues()
        self._numbers()
        bound = self._overspent()
        self.violations += [f"stuck: {name} did not come level after the faults had ended" for name in self._stuck]
        events = sum(counts[name] for name in ("applied", "flagged", "quarantined", "pending"))
        return Judged(
            events=events,
            applied=counts["applied"],
            flagged=counts["flagged"],
            quarantined=counts["quarantined"],
            pending=counts["pending"],
            forgotten=counts["forgotten"],
            lost=lost,
            duplicated=duplicated,
            overspent=self._record.overspent,
            bound=bound,
            violations=tuple(self.violations),
        )

    # Each event, once

    def _count(self) -> tuple[Counter[str], int]:
        """Every event that was ever written is somewhere, and nothing is that was never written."""
        counts: Counter[str] = Counter()
        generated = self._record.told.keys() | self._on_disk.keys() | self._record.removed
        lost = 0
        for place in sorted(generated):
            where = self._where(place)
            if where == "lost":
                lost += 1
                told = self._record.told.get(place)
                about = f"{told.kind} {told.event_id}" if told else f"event {place[2]} of epoch {place[1]}"
                self.violations.append(f"lost: {about} of till {place[0]} is nowhere")
            else:
                counts[where] += 1
        for till_id, epoch, seq, hash_ in self._record.acked.values():
            # Also of a till whose disk was put back to before it, and which asks for nothing more.
            if seq and not self._centre.has((till_id, epoch, seq, hash_)):
                self.violations.append(f"acked: the centre said it has event {seq} of {till_id, epoch}, and has not")
        for place in self._centre.places():
            if place not in generated:
                self.violations.append(f"invented: no till wrote event {place[2]} of {place[:2]}")
        return counts, lost

    def _where(self, place: Place) -> str:
        ref = place[:3]
        if self._centre.has(place):
            state = self._centre.state.get(ref, "posted")
            if state == "quarantined":
                if place[0] not in self._odd:
                    self.violations.append(f"quarantined: event {ref}, of a till whose disk nobody touched")
                return "quarantined"
            if state == "waiting":
                return "pending"
            return "flagged" if ref in self._centre.flagged else "applied"
        if place in self._centre.kept:
            return "quarantined"
        if (till := self._on_disk.get(place)) is not None:
            if place[0] not in self._odd or till.in_service:
                self.violations.append(f"pending: {till.name} still has event {ref}, which the centre lacks")
            return "pending"
        return "forgotten" if place in self._record.removed else "lost"

    def _once(self) -> int:
        twice = {name: times for name, times in self._centre.posted.items() if times > 1}
        self.violations += [f"duplicated: {name} is posted {times} times" for name, times in sorted(twice.items())]
        return sum(times - 1 for times in twice.values())

    # Points

    def _points(self, told: Told) -> int:
        """What an answer adds. Goods without their receipt take back points, and do not give back what was spent."""
        is_alone = told.of is not None and told.of not in self._whose.posted.receipts
        return told.points - (told.restored if is_alone else 0)

    def _balances(self) -> None:
        """A member has what the answers add up to, of all that is posted."""
        naive: dict[int, int] = defaultdict(int)
        for told in self._record.told.values():
            if (points := self._points(told)) and self._whose.is_posted(told.place):
                naive[self._whose.home(self._whose.account_of(told))] += points
        for claim in self._record.claims:
            if self._whose.is_posted(claim.place):
                naive[self._whose.home(self._whose.account(claim.account))] += claimed_points(claim, self._whose)
        booked: dict[int, int] = defaultdict(int)
        for account, points in self._centre.balances.items():
            booked[self._whose.home(account)] += points
        for account in sorted(naive.keys() | booked.keys()):
            have, should = booked[account], naive[account]
            if have != should:
                self.violations.append(f"balance: account {account} has {have} points where its receipts say {should}")

    def _overspent(self) -> int:
        """What nobody had and was spent, within what was granted on nobody's points or may exist twice."""
        record = self._record
        bound = self._granted + record.reclaimed + record.doubled + record.restored_points
        bound += sum(record.told[place].spent for place in record.removed if place in record.told)
        # Points that a return gave back may be spent elsewhere before its void spends them again.
        bound += sum(told.spent for told in record.told.values() if told.kind == "return")
        if record.overspent > bound:
            self.violations.append(f"overspent: {record.overspent} points, where at most {bound} could be")
        return bound

    # After the healing

    def _copies(self) -> None:
        """Every till in service has of each member what the centre has, and nothing of its own beside it."""
        should = copies_at(self._centre.disk)
        gifts, blocked = gifts_at(self._centre.disk), blocked_at(self._centre.disk)
        for till in self._tills:
            if not till.in_service:
                continue
            have = till_copies(till.cache)
            for account in sorted(should.keys() | have.keys()):
                if have.get(account) != should.get(account):
                    self.violations.append(
                        f"copies: {till.name} has {_said(have, account)} of account {account}, the centre "
                        f"{_said(should, account)}"
                    )
            if till_gifts(till.cache) != gifts:
                self.violations.append(f"copies: {till.name} knows other certificates than the centre")
            if blocked_at(till.cache, told="") != blocked:
                self.violations.append(f"copies: {till.name} knows other blocked cards than the centre")
            if left := uses_beyond(till.journal, till.cache, till.epoch):
                self.violations.append(f"copies: {till.name} keeps {left} uses of its own that are in no row")

    def _queues(self) -> None:
        if waiting := self._centre.waiting():
            self.violations.append(f"queues: {waiting} rows wait at the centre")

    def _numbers(self) -> None:
        for till in self._tills:
            for disk in (till.journal.serialize(), till.cache.serialize()):
                if holds_number(disk, self._cards):
                    self.violations.append(f"card number: on the disk of {till.name}")
                if PERSON.encode() in disk:
                    self.violations.append(f"person: in clear on the disk of {till.name}")


def _said(copies: Mapping[int, tuple[int, int, tuple[str, ...]]], account: int) -> str:
    if account not in copies:
        return "nothing"
    version, points, _ = copies[account]
    return f"{points} points at version {version}"
