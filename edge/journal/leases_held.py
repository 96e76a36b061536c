"""Holds and leases that the centre gave this till: what is left of each by lot, and when it has to be given back.

An extension by the centre comes under the lease's own id and adds to what is left; its deadline begins anew.
Source: offline-redemption.md "Lease lifecycle".
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from edge.database import Database
from edge.ports import Instant, elapsed_ms
from loyalty.lots import LotKey, Slice, points_in
from loyalty.pricing.leases import less
from sync.rights import RightsSent
from sync.wire import SignedGrant

STOPS_EARLY_MS = 60_000
FRESH_MS = 60_000
Slices = tuple[Slice, ...]
_COLUMNS = (
    "SELECT lease_id, kind, account_id, hold_id, slices, state, spend_for_s, settle_until_ms, boot, mono_ms, wall_ms"
    " FROM lease"
    " WHERE epoch = ? AND account_id IS NOT NULL AND state <> 'returned' AND "
)


class HeldLease(msgspec.Struct, frozen=True, kw_only=True):
    """A hold or lease with what is left of it. Not `is_live` once its time is over, or nobody can tell; `is_fresh` so
    soon after it was asked for that the sale it is for may not have taken note of it."""

    lease_id: str
    kind: Literal["hold", "lease"]
    account_id: int
    hold_id: str
    slices: Slices
    is_live: bool
    is_fresh: bool
    is_recalled: bool
    left_s: int = 0  # until it stops, 0 or more
    settle_until_ms: int = 0

    def left_after(self, held_points: int) -> int:
        """Points left once open sales have theirs."""
        return points_in(self.slices) - held_points


class LeasesHeld:
    """Holds and leases of one epoch, in the journal's file; what writes belongs inside a transaction."""

    def __init__(self, database: Database, epoch: int) -> None:
        self._database = database
        self._epoch = epoch

    def of_account(self, account_id: int, now: Instant, at_least_wall_ms: int) -> list[HeldLease]:
        """All that is left for an account, the first granted first.

        Args:
            at_least_wall_ms: a wall time that was reached already, whatever the clock says after a reboot.
        """
        return self._read("account_id = ? ORDER BY grant_no", (account_id,), now, at_least_wall_ms)

    def of_id(self, lease_id: str, now: Instant, at_least_wall_ms: int) -> HeldLease | None:
        """A hold or lease by its id; none where it was given back."""
        found = self._read("lease_id = ?", (lease_id,), now, at_least_wall_ms)
        return found[0] if found else None

    def of_hold(self, hold_id: str, now: Instant) -> HeldLease | None:
        """What the centre granted under a hold's id."""
        found = self._read("hold_id = ?", (hold_id,), now, 0)
        return found[0] if found else None

    def all(self, now: Instant, at_least_wall_ms: int) -> list[HeldLease]:
        """Everything that was not given back."""
        return self._read("kind <> 'float' ORDER BY grant_no", (), now, at_least_wall_ms)

    def take(self, signed: SignedGrant, asked: Instant) -> None:
        """Keep a grant of a hold or lease; one of a lease that is here makes it larger."""
        grant, here = signed.grant, self._left(signed.grant.lease_id)
        slices = _merged((*here, *grant.slices))
        self._database.writer.execute(
            "INSERT INTO lease (lease_id, epoch, grant_no, account_id, points, spent, spend_for_s, settle_until_ms,"
            " boot, mono_ms, wall_ms, signed, kind, hold_id, slices)"
            " VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (lease_id) DO UPDATE SET"
            " grant_no = excluded.grant_no, points = points + excluded.points, spend_for_s = excluded.spend_for_s,"
            " settle_until_ms = excluded.settle_until_ms, boot = excluded.boot, mono_ms = excluded.mono_ms,"
            " wall_ms = excluded.wall_ms, signed = excluded.signed, slices = excluded.slices, state = 'active'",
            (
                grant.lease_id, self._epoch, grant.grant_no, grant.account_id, grant.points, grant.spend_for_s,
                grant.settle_until_ms, asked.boot, asked.mono_ms, asked.wall_ms, signed.signed, grant.kind,
                grant.hold_id, _as_json(slices),
            ),
        )  # fmt: skip

    def take_sent(self, sent: RightsSent, signed: bytes, asked: Instant) -> None:
        """Keep rights that another till sent; they stay under its lease, whose time runs on. What this till had of that
        lease in an earlier epoch ended with it, and must not keep these out of the present one."""
        self._database.writer.execute(
            "DELETE FROM lease WHERE lease_id = ? AND epoch <> ?", (sent.lease_id, self._epoch)
        )
        merged = _merged((*self._left(sent.lease_id), *sent.slices))
        lowest = self._database.row("SELECT min(grant_no) FROM lease WHERE epoch = ?", (self._epoch,))
        self._database.writer.execute(
            "INSERT INTO lease (lease_id, epoch, grant_no, account_id, points, spent, spend_for_s, settle_until_ms,"
            " boot, mono_ms, wall_ms, signed, kind, slices) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, 'lease', ?)"
            " ON CONFLICT (lease_id) DO UPDATE SET points = points + excluded.points,"
            " spend_for_s = excluded.spend_for_s, settle_until_ms = excluded.settle_until_ms, boot = excluded.boot,"
            " mono_ms = excluded.mono_ms, wall_ms = excluded.wall_ms, signed = excluded.signed,"
            " slices = excluded.slices, state = 'active'",
            (
                # Numbers of the centre's own grants are above 0.
                sent.lease_id, self._epoch, min(0, (lowest and lowest[0]) or 0) - 1, sent.account_id,
                points_in(sent.slices), sent.spend_for_s, sent.settle_until_ms, asked.boot, asked.mono_ms,
                asked.wall_ms, signed, _as_json(merged),
            ),
        )  # fmt: skip

    def spend(self, lease_id: str, used: Iterable[Slice]) -> None:
        """Take points off a lease for good: spent, or sent to another till."""
        used = tuple(used)
        self._database.writer.execute(
            "UPDATE lease SET slices = ?, spent = spent + ? WHERE lease_id = ?",
            (_as_json(less(self._left(lease_id), used)), points_in(used), lease_id),
        )

    def end(self, lease_id: str) -> None:
        """A lease was given back, or its hold went into a receipt: nothing is left of it here."""
        self._database.writer.execute(
            "UPDATE lease SET slices = '[]', spent = points, state = 'returned' WHERE lease_id = ?", (lease_id,)
        )

    def recall(self, lease_ids: Sequence[str]) -> None:
        """The centre wants these back."""
        self._database.writer.executemany(
            "UPDATE lease SET state = 'recalled' WHERE lease_id = ? AND epoch = ? AND state = 'active'",
            [(lease_id, self._epoch) for lease_id in lease_ids],
        )

    def _left(self, lease_id: str) -> Slices:
        found = self._database.row(
            "SELECT slices FROM lease WHERE lease_id = ? AND epoch = ? AND state <> 'returned'", (lease_id, self._epoch)
        )
        return _from_json(found[0]) if found else ()

    def _read(self, where: str, values: tuple[Any, ...], now: Instant, at_least_wall_ms: int) -> list[HeldLease]:
        leases = []
        rows = self._database.remembered(_COLUMNS + where, (self._epoch, *values))
        for lease_id, kind, account_id, hold_id, slices, state, spend_for_s, settle_ms, boot, mono_ms, wall_ms in rows:
            asked = Instant(boot=boot, mono_ms=mono_ms, wall_ms=wall_ms)
            elapsed = elapsed_ms(asked, now, at_least_wall_ms=at_least_wall_ms)
            leases.append(
                HeldLease(
                    lease_id=lease_id,
                    kind=kind,
                    account_id=account_id,
                    hold_id=hold_id,
                    slices=_from_json(slices),
                    is_live=elapsed is not None and elapsed < spend_for_s * 1000 - STOPS_EARLY_MS,
                    is_fresh=elapsed is not None and elapsed < FRESH_MS,
                    is_recalled=state == "recalled",
                    left_s=0 if elapsed is None else max(0, spend_for_s - elapsed // 1000),
                    settle_until_ms=settle_ms,
                )
            )
        return leases


def _merged(slices: Iterable[Slice]) -> Slices:
    points: dict[LotKey, int] = {}
    for one in slices:
        points[one.key] = points.get(one.key, 0) + one.points
    return tuple(Slice(key=key, points=points[key]) for key in sorted(points))


def _as_json(slices: Slices) -> str:
    return msgspec.json.encode(slices).decode()


def _from_json(text: str) -> Slices:
    return msgspec.json.decode(text, type=Slices)
