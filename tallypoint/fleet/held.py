"""What head office sets aside of certificates for tills, watched as it answers, and held against a naive count.

Messages are read as JSON and the disk with SQL: nothing of how the product holds money takes part.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from loyalty.moments import DAY_MS
from sync.wire import Answer
from tallypoint.fleet.clock import START_MS, World
from tallypoint.fleet.record import Record

LASTS_MS = 900_000  # a quarter of an hour
UNDER_WAY_MS = 300_000  # between what a till said and when it was heard


class _Aside(NamedTuple):
    """What is set aside for one till, until when it may pay it, and how many of its payments had arrived by then."""

    amount_minor: int
    until_ms: int
    arrived: int
    epoch: int


class Holds:
    """Every hold of one run.

    Args:
        disk: head office's.
        seen: counts the answers.
    """

    def __init__(self, disk: sqlite3.Connection, world: World, record: Record, seen: Counter[str]) -> None:
        self._disk, self._world, self._record, self._seen = disk, world, record, seen
        self._aside: dict[tuple[str, str], _Aside] = {}
        self._newest: dict[tuple[str, str, int], int] = {}  # by certificate, till and epoch: the newest ask's counter

    def answered(self, body: bytes, answer: Answer) -> None:
        """Head office answered a till, whether that hears it or not: what it set aside was free, and all that was."""
        asked, told = _ask_in(body), _message(answer.body)
        if asked is None or answer.status != 200 or told.get("held") is None:
            return
        code, till_id, wanted = asked["certificate"], asked["till_id"], asked.get("amount_minor", 0)
        amount, until_ms = told["held"]["amount_minor"], told["held"]["until_ms"]
        now_ms = self._world.wall_ms()
        whose = (code, till_id, asked["epoch"])
        if asked["counter"] <= self._newest.get(whose, 0):
            self._answered_late(code, till_id, amount, until_ms)
            return
        self._newest[whose] = asked["counter"]
        if given_back := asked.get("held_until_ms", 0):
            if (mine := self._aside.get((code, till_id))) is not None and mine.until_ms == given_back:
                self._aside[code, till_id] = mine._replace(amount_minor=0)
            self._seen["held no more"] += 1
            return
        if until_ms != now_ms + LASTS_MS:
            self._record.wrongs.append(f"held: {code} is set aside for {until_ms - now_ms} ms")
        self._find_late(code, but=till_id)
        free = self._free(code, but=till_id, now_ms=now_ms)
        if amount != min(wanted, free):
            self._record.wrongs.append(
                f"held: {amount} of {code} for till {till_id}, which wanted {wanted}, where {free} was free"
            )
        self._aside[code, till_id] = _Aside(amount, until_ms, self._arrived(code, till_id), asked["epoch"])
        self._seen["held " + ("all" if amount == wanted else "in part" if amount else "nothing")] += 1

    def _answered_late(self, code: str, till_id: str, amount: int, until_ms: int) -> None:
        """An ask came again, after a later one or not: what is set aside stays as it is, and that is said."""
        aside = self._aside.get((code, till_id))
        stands = aside is not None and self._arrived(code, till_id) == aside.arrived
        kept = aside.amount_minor if aside is not None and stands else 0
        if amount != kept or (amount and aside is not None and until_ms != aside.until_ms):
            self._record.wrongs.append(f"held: an ask for {code} that came again was told {amount}, not {kept}")
        self._seen["held already"] += 1

    def heard(self, name: str, body: bytes, answer: Answer) -> None:
        """A machine has the answer."""
        asked, told = _ask_in(body), _message(answer.body)
        if asked is None or asked.get("held_until_ms"):
            return
        if answer.status == 200 and (held := told.get("held")) is not None:
            heard = (held["amount_minor"], held["until_ms"] - told["server_at_ms"] + self._world.now_ms)
            self._record.hear_held(name, asked["certificate"], self._world.now_ms, *heard)

    def went_back(self) -> None:
        """Head office was put back: it knows of the holds that its backup has."""
        query = "SELECT code, till_id, amount_minor, until_ms, epoch, counter FROM certificate_hold"
        rows = self._disk.execute(query).fetchall()
        self._aside = {
            (code, till_id): _Aside(amount, until_ms, self._arrived(code, till_id), epoch)
            for code, till_id, amount, until_ms, epoch, _ in rows
        }
        self._newest = {(code, till_id, epoch): counter for code, till_id, _, _, epoch, counter in rows}
        self._record.restored_at.append(self._world.now_ms)

    def _free(self, code: str, *, but: str, now_ms: int) -> int:
        """What is on a certificate, less what other tills have set aside and have not paid with since."""
        row = self._disk.execute("SELECT balance_minor, blocked FROM certificate WHERE code = ?", (code,)).fetchone()
        balance = row[0] if row and not row[1] else 0
        return max(0, balance - sum(self._of_others(code, but, now_ms)))

    def _of_others(self, code: str, but: str, now_ms: int) -> Iterator[int]:
        for (of, till_id), aside in self._aside.items():
            is_kept = of == code and till_id != but and not self._is_over(code, till_id, aside, now_ms)
            if is_kept and self._arrived(code, till_id) == aside.arrived:
                yield aside.amount_minor

    def _is_over(self, code: str, till_id: str, aside: _Aside, now_ms: int) -> bool:
        """Whether head office takes it that its till can have no sale any more that was paid with it and is not here;
        what is not here all the same is noted."""
        if now_ms < aside.until_ms or now_ms >= aside.until_ms + DAY_MS:
            return now_ms >= aside.until_ms
        query = "SELECT level_at_ms FROM stream WHERE till_id = ? AND epoch = ?"
        row = self._disk.execute(query, (till_id, aside.epoch)).fetchone()
        if row is None or row[0] < aside.until_ms + UNDER_WAY_MS:
            return False
        here, began_ms = self._sales(code, till_id), aside.until_ms - LASTS_MS - START_MS
        for paid in self._record.gifts_paid.get(code, ()):
            is_of_it = paid.held_at_ms is not None and began_ms <= paid.held_at_ms <= began_ms + LASTS_MS
            if paid.place[0] == till_id and is_of_it and paid.event_id not in here:
                self._record.let_go.add(paid.place)
        return True

    def _find_late(self, code: str, *, but: str) -> None:
        """Sales of other tills that are not here a day after their hold: the same may be set aside again."""
        for paid in self._record.gifts_paid.get(code, ()):
            till_id, is_over = paid.place[0], paid.until_ms + DAY_MS <= self._world.now_ms
            if is_over and till_id != but and paid.event_id not in self._sales(code, till_id):
                self._record.late.add(paid.place)

    def _arrived(self, code: str, till_id: str) -> int:
        """How many sales of a till that were paid with a certificate are in the books."""
        paid = {one.event_id for one in self._record.gifts_paid.get(code, ())}
        return len(paid & self._sales(code, till_id))

    def _sales(self, code: str, till_id: str) -> set[str]:
        query = (
            "SELECT e.receipt_id FROM certificate_move m JOIN event e USING (till_id, epoch, seq)"
            " WHERE m.code = ? AND m.till_id = ? AND e.kind = 'receipt.v1'"
        )
        return {receipt_id for (receipt_id,) in self._disk.execute(query, (code, till_id))}


def _ask_in(body: bytes) -> Any:
    said = _message(body)
    return said if said.get("what") == "hold_certificate" else None


def _message(data: bytes) -> Any:
    """The signed message of a request or an answer."""
    end = 2 + int.from_bytes(data[:2], "big")
    return json.loads(data[2:end]) if len(data) > 2 else {}
