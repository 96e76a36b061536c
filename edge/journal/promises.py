"""Points that this till has promised or may promise: what the centre granted, and holds drawn on it.

A hold is a local row until its receipt is written; only that receipt says that points were spent. At any moment
spent points and open holds of a float or lease together stay within what was granted.
Source: house.md idea 4; offline-redemption.md "Lease lifecycle".
"""

import sqlite3
from collections.abc import Sequence
from typing import Literal

import msgspec

from edge.database import Database
from edge.journal.kept_grants import KeptGrants
from edge.journal.leases_held import STOPS_EARLY_MS, HeldLease, LeasesHeld
from edge.ports import Instant, elapsed_ms
from loyalty.pricing.leases import Kind
from loyalty.trouble import InvariantBroken
from sync.wire import SignedGrant

HOLD_MS = 15 * 60_000

HoldState = Literal["open", "captured", "released"]


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Points set aside for one basket of an account, since `opened`, on a float, a lease, or a hold of the centre's."""

    hold_id: str
    account_id: int
    points: int
    lease_id: str
    ask_sha256: str
    opened: Instant
    kind: Kind = "float"
    state: HoldState = "open"
    receipt_id: str | None = None

    def is_live(self, now: Instant) -> bool:
        """Whether it still keeps its points."""
        elapsed = elapsed_ms(self.opened, now)
        return self.state == "open" and elapsed is not None and elapsed < HOLD_MS

    def has_lapsed(self, now: Instant) -> bool:
        """Whether its time is over for certain."""
        elapsed = elapsed_ms(self.opened, now)
        return elapsed is not None and elapsed >= HOLD_MS


class FloatLeft(msgspec.Struct, frozen=True, kw_only=True):
    """What may still be promised, open holds taken off, and the oldest float it comes from."""

    lease_id: str = ""
    points: int = 0


class _Float(msgspec.Struct, frozen=True, kw_only=True):
    lease_id: str
    left: int
    is_live: bool


class Promises:
    """Floats, leases and holds of one epoch, in the journal's file.

    Attributes:
        leases: holds and leases of members; `kept`: the signed bytes of all grants.
    """

    def __init__(self, database: Database, epoch: int) -> None:
        self._database = database
        self._epoch = epoch
        self.leases = LeasesHeld(database, epoch)
        self.kept = KeptGrants(database, epoch)

    # Floats

    def grant_cursor(self) -> int:
        """The highest grant number taken in this epoch, 0 for none."""
        found = self._database.remembered("SELECT max(grant_no) FROM lease WHERE epoch = ?", (self._epoch,))
        return found[0][0] or 0

    def take_grants(self, grants: Sequence[SignedGrant], asked: Instant) -> None:
        """Keep grants with the bytes that prove them; call inside a transaction."""
        self.kept.keep(grants, asked.wall_ms)
        for signed in grants:
            grant = signed.grant
            if grant.account_id is not None:
                self.leases.take(signed, asked)
                continue
            self._database.writer.execute(
                "INSERT INTO lease (lease_id, epoch, grant_no, account_id, points, spent, spend_for_s,"
                " settle_until_ms, boot, mono_ms, wall_ms, signed) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (
                    grant.lease_id, self._epoch, grant.grant_no, grant.account_id, grant.points, grant.spend_for_s,
                    grant.settle_until_ms, asked.boot, asked.mono_ms, asked.wall_ms, signed.signed,
                ),
            )  # fmt: skip

    def float_left(self, now: Instant, *, at_least_wall_ms: int = 0) -> FloatLeft:
        """What is left of the live floats, which are one pool.

        Args:
            at_least_wall_ms: a wall time that was reached already, whatever the clock says after a reboot.
        """
        live = [lease for lease in self._floats(now, at_least_wall_ms) if lease.is_live]
        left = sum(lease.left for lease in live) - sum(
            hold.points for hold in self.open_holds(now) if hold.kind == "float"
        )
        return FloatLeft(lease_id=live[0].lease_id, points=left) if left > 0 else FloatLeft()

    def spend(self, points: int, now: Instant) -> None:
        """Take points off the floats for good, oldest first; call inside the transaction that writes the receipt."""
        # A hold may outlive the float it was drawn on; what it was promised comes out of that one last.
        for lease in sorted(self._floats(now, 0), key=lambda lease: not lease.is_live):
            part = min(points, lease.left)
            if part:
                self._database.writer.execute(
                    "INSERT INTO promised (what, id, points) VALUES ('float', ?, ?)"
                    " ON CONFLICT (what, id) DO UPDATE SET points = points + excluded.points",
                    (lease.lease_id, part),
                )
            points -= part
        if points:
            raise InvariantBroken("more points were spent than this till was granted", points=points)

    def _floats(self, now: Instant, at_least_wall_ms: int) -> list["_Float"]:
        floats = []
        for lease_id, left, spend_for_s, boot, mono_ms, wall_ms in self._database.remembered(
            "SELECT l.lease_id, l.points - coalesce(p.points, 0) AS rest, spend_for_s, boot, mono_ms, wall_ms"
            " FROM lease l LEFT JOIN promised p ON p.what = 'float' AND p.id = l.lease_id"
            " WHERE l.epoch = ? AND l.account_id IS NULL AND rest > 0 ORDER BY l.grant_no",
            (self._epoch,),
        ):
            asked = Instant(boot=boot, mono_ms=mono_ms, wall_ms=wall_ms)
            elapsed = elapsed_ms(asked, now, at_least_wall_ms=at_least_wall_ms)
            is_live = elapsed is not None and elapsed < spend_for_s * 1000 - STOPS_EARLY_MS
            floats.append(_Float(lease_id=lease_id, left=left, is_live=is_live))
        return floats

    def has_any(self, now: Instant) -> bool:
        """Whether anything is left of floats, holds or leases."""
        return bool(self._floats(now, 0)) or any(one.slices for one in self.leases.all(now, 0))

    def newest_of_other_boots(self, now: Instant) -> int:
        """The wall time at which the last grant was asked for before this machine started anew; 0 for none."""
        found = self._database.row(
            "SELECT max(wall_ms) FROM lease WHERE epoch = ? AND state <> 'returned' AND boot <> ?",
            (self._epoch, now.boot),
        )
        return (found and found[0]) or 0

    # Holds

    def hold(self, hold_id: str) -> Hold | None:
        """The hold of an id, whatever became of it."""
        found = self._holds("h.hold_id = ?", hold_id)
        return found[0] if found else None

    def open_holds(self, now: Instant) -> tuple[Hold, ...]:
        """Holds that keep their points now."""
        return tuple(hold for hold in self._open() if hold.is_live(now))

    def held_points(self, account_id: int, now: Instant, *, but: str | None = None) -> int:
        """Points of an account in open holds on floats, that of id `but` left out. What holds and leases of the centre
        set aside is not in the balance any more."""
        return sum(
            hold.points
            for hold in self.open_holds(now)
            if hold.account_id == account_id and hold.kind == "float" and hold.hold_id != but
        )

    def held_on(self, lease_id: str, now: Instant) -> int:
        """Points of a lease that open sales hold."""
        return sum(hold.points for hold in self.open_holds(now) if hold.lease_id == lease_id)

    def to_give_back(self, now: Instant, at_least_wall_ms: int) -> list[HeldLease]:
        """Leases whose time is over or that are recalled, and holds of the centre's that no open sale has: none of
        them can be spent any more, or should be."""
        held = {hold.lease_id for hold in self.open_holds(now)}
        return [
            lease
            for lease in self.leases.all(now, at_least_wall_ms)
            if lease.lease_id not in held
            and lease.slices
            and not lease.is_fresh
            and (lease.kind == "hold" or lease.is_recalled or not lease.is_live)
        ]

    def add_hold(self, hold: Hold) -> None:
        """Set points aside; call inside a transaction, after `float_left` allowed it."""
        opened = hold.opened
        self._note_ended(opened)
        self._database.writer.execute(
            "INSERT INTO hold (hold_id, epoch, account_id, points, lease_id, ask_sha256, state, receipt_id,"
            " boot, mono_ms, wall_ms) VALUES (?, ?, ?, ?, ?, ?, 'open', NULL, ?, ?, ?)",
            (
                hold.hold_id, self._epoch, hold.account_id, hold.points, hold.lease_id, hold.ask_sha256,
                opened.boot, opened.mono_ms, opened.wall_ms,
            ),
        )  # fmt: skip
        self._database.writer.execute(
            "INSERT INTO promised (what, id, points) VALUES ('hold', ?, ?)", (hold.hold_id, hold.points)
        )

    def capture(self, hold_id: str, receipt_id: str) -> None:
        """An open hold went into a receipt; call inside the transaction that writes it."""
        writer, values = self._database.writer, (receipt_id, hold_id)
        if not writer.execute("UPDATE promised SET receipt_id = ? WHERE what = 'hold' AND id = ?", values).rowcount:
            # It lapsed for another hold that was opened while this sale was under way.
            writer.execute("UPDATE hold SET state = 'captured', receipt_id = ? WHERE hold_id = ?", values)

    def release(self, hold_id: str) -> None:
        """A hold that no receipt captured keeps nothing any more; call inside a transaction."""
        writer = self._database.writer
        writer.execute("UPDATE hold SET state = 'released' WHERE hold_id = ?", (hold_id,))
        writer.execute("DELETE FROM promised WHERE what = 'hold' AND id = ?", (hold_id,))

    def _note_ended(self, now: Instant) -> None:
        """Write captured holds into their own rows, and keep no lapsed one open: what sales change stays on a page."""
        writer = self._database.writer
        writer.execute(
            "UPDATE hold SET (state, receipt_id) = (SELECT 'captured', p.receipt_id FROM promised p"
            " WHERE p.what = 'hold' AND p.id = hold.hold_id) WHERE hold_id IN"
            " (SELECT p.id FROM promised p WHERE p.what = 'hold' AND p.receipt_id IS NOT NULL)"
        )
        writer.execute("DELETE FROM promised WHERE what = 'hold' AND receipt_id IS NOT NULL")
        writer.executemany(
            "DELETE FROM promised WHERE what = 'hold' AND id = ?",
            [(hold.hold_id,) for hold in self._open() if hold.has_lapsed(now)],
        )

    def prune(self, before_wall_ms: int) -> None:
        """Forget holds opened and floats settled before an instant, floats used up and leases given back; the last
        grant stays, it is the cursor."""
        writer = self._database.writer
        writer.execute("DELETE FROM hold WHERE wall_ms < ?", (before_wall_ms,))
        writer.execute(
            "DELETE FROM lease WHERE"
            " (state = 'returned' OR (kind = 'float' AND (settle_until_ms < ? OR points <= coalesce("
            " (SELECT p.points FROM promised p WHERE p.what = 'float' AND p.id = lease_id), 0))))"
            " AND grant_no < (SELECT max(l.grant_no) FROM lease l WHERE l.epoch = lease.epoch)",
            (before_wall_ms,),
        )
        forget_promised(writer)
        self.kept.prune(before_wall_ms)

    def _open(self) -> list[Hold]:
        # No value in it: SQLite finds them by the key alone, and does not plan the statement anew at every sale.
        return self._holds("p.what = 'hold' AND p.receipt_id IS NULL")

    def _holds(self, where: str, *values: str) -> list[Hold]:
        found = self._database.remembered(
            "SELECT h.hold_id, h.account_id, h.points, h.lease_id, h.ask_sha256, h.boot, h.mono_ms, h.wall_ms,"
            " iif(p.receipt_id IS NULL, h.state, 'captured'), coalesce(p.receipt_id, h.receipt_id),"
            " coalesce(l.kind, 'float')"
            " FROM hold h LEFT JOIN promised p ON p.what = 'hold' AND p.id = h.hold_id"
            " LEFT JOIN lease l ON l.lease_id = h.lease_id"
            f" WHERE h.epoch = ? AND {where}",
            (self._epoch, *values),
        )
        return [
            Hold(
                hold_id=hold_id,
                account_id=account_id,
                points=points,
                lease_id=lease_id,
                ask_sha256=ask,
                opened=Instant(boot=boot, mono_ms=mono_ms, wall_ms=wall_ms),
                state=state,
                receipt_id=receipt_id,
                kind=kind,
            )
            for hold_id, account_id, points, lease_id, ask, boot, mono_ms, wall_ms, state, receipt_id, kind in found
        ]


def forget_promised(writer: sqlite3.Connection) -> None:
    """Keep nothing of holds and floats that are gone; call inside a transaction."""
    writer.execute("DELETE FROM promised WHERE what = 'hold' AND id NOT IN (SELECT hold_id FROM hold)")
    writer.execute("DELETE FROM promised WHERE what = 'float' AND id NOT IN (SELECT lease_id FROM lease)")
