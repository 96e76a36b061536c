"""The signed bytes of grants, kept for a centre that may lose its own word; in the journal's file.

Source: house.md section 4, point 6.
"""

from collections.abc import Sequence

import msgspec

from edge.database import Database
from sync.wire import SignedGrant


class KeptGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A grant to this till, or to one that sent it rights of the lease."""

    till_id: str
    grant_no: int
    lease_id: str
    signed: bytes


class KeptGrants:
    """Grants of one epoch; what writes belongs inside a transaction."""

    def __init__(self, database: Database, epoch: int) -> None:
        self._database, self._epoch = database, epoch

    def keep(self, grants: Sequence[SignedGrant], wall_ms: int) -> None:
        """Keep grants; one that is here stays as it is."""
        self._database.writer.executemany(
            "INSERT INTO grant_kept (epoch, till_id, grant_no, lease_id, signed, wall_ms) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            [
                (self._epoch, one.grant.till_id, one.grant.grant_no, one.grant.lease_id, one.signed, wall_ms)
                for one in grants
            ],
        )

    def of_lease(self, lease_id: str) -> tuple[KeptGrant, ...]:
        """The grants of a lease, ascending."""
        return self._read("lease_id = ? ORDER BY grant_no DESC", lease_id)

    def after(self, till_id: str, grant_no: int) -> tuple[KeptGrant, ...]:
        """Grants to a till after a number, ascending."""
        return self._read("till_id = ? AND grant_no > ? ORDER BY grant_no DESC", till_id, grant_no)

    def prune(self, before_wall_ms: int) -> None:
        """Forget grants taken before an instant, but the last to each till and those of leases that are still here."""
        self._database.writer.execute(
            "DELETE FROM grant_kept WHERE wall_ms < ? AND lease_id NOT IN (SELECT lease_id FROM lease)"
            " AND grant_no < (SELECT max(k.grant_no) FROM grant_kept k"
            " WHERE k.epoch = grant_kept.epoch AND k.till_id = grant_kept.till_id)",
            (before_wall_ms,),
        )

    def _read(self, where: str, *values: str | int) -> tuple[KeptGrant, ...]:
        rows = self._database.rows(
            f"SELECT till_id, grant_no, lease_id, signed FROM grant_kept WHERE epoch = ? AND {where}",
            (self._epoch, *values),
        )
        return tuple(
            KeptGrant(till_id=till_id, grant_no=grant_no, lease_id=lease_id, signed=signed)
            for till_id, grant_no, lease_id, signed in reversed(rows)
        )
