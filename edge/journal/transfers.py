"""What moved between this till and the others of its store, in the journal's file: sent, received, confirmed."""

from collections.abc import Sequence

import msgspec

from edge.database import Database
from loyalty.lots import Slice
from sync.wire import Peer


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """Rights that left this till."""

    to_till: str
    to_epoch: int
    ask_id: str
    lease_id: str
    account_id: int
    slices: tuple[Slice, ...]


class Transfers:
    """Peers and transfers of one epoch; what writes belongs inside a transaction."""

    def __init__(self, database: Database, epoch: int) -> None:
        self._database, self._epoch = database, epoch

    def peers(self) -> tuple[Peer, ...]:
        """The other tills of the store, as the centre last told."""
        found = self._database.remembered(
            "SELECT till_id, epoch, key_no, public, address, label FROM peer ORDER BY till_id"
        )
        return tuple(
            Peer(till_id=till_id, epoch=epoch, key_no=key_no, public=public, address=address, label=label)
            for till_id, epoch, key_no, public, address, label in found
        )

    def take_peers(self, peers: Sequence[Peer]) -> None:
        """These, and no others."""
        self._database.writer.execute("DELETE FROM peer")
        self._database.writer.executemany(
            "INSERT INTO peer (till_id, epoch, key_no, public, address, label) VALUES (?, ?, ?, ?, ?, ?)",
            [(one.till_id, one.epoch, one.key_no, one.public, one.address, one.label) for one in peers],
        )

    def number_of(self, to_till: str, to_epoch: int, ask_id: str) -> int | None:
        """The transfer that answered an ask; none where nothing was sent for it."""
        found = self._database.row(
            "SELECT n FROM transfer_out WHERE epoch = ? AND to_till = ? AND to_epoch = ? AND ask_id = ?",
            (self._epoch, to_till, to_epoch, ask_id),
        )
        return found[0] if found else None

    def keep_sent(
        self, *, to_till: str, to_epoch: int, ask_id: str, lease_id: str, account_id: int, slices: tuple[Slice, ...]
    ) -> int:
        """Number and keep a transfer, until it is confirmed and after."""
        last = self._database.row("SELECT max(n) FROM transfer_out WHERE epoch = ?", (self._epoch,))
        n = ((last and last[0]) or 0) + 1
        self._database.writer.execute(
            "INSERT INTO transfer_out (epoch, n, to_till, to_epoch, ask_id, lease_id, account_id, slices, confirmed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (self._epoch, n, to_till, to_epoch, ask_id, lease_id, account_id, msgspec.json.encode(slices).decode()),
        )
        return n

    def sent(self, n: int) -> Transfer:
        """A transfer by its number."""
        (row,) = self._database.rows(
            "SELECT to_till, to_epoch, ask_id, lease_id, account_id, slices FROM transfer_out"
            " WHERE epoch = ? AND n = ?",
            (self._epoch, n),
        )
        to_till, to_epoch, ask_id, lease_id, account_id, slices = row
        return Transfer(
            to_till=to_till, to_epoch=to_epoch, ask_id=ask_id, lease_id=lease_id, account_id=account_id,
            slices=msgspec.json.decode(slices, type=tuple[Slice, ...]),
        )  # fmt: skip

    def unconfirmed(self) -> list[tuple[int, str]]:
        """Numbers and receivers of transfers that nobody has confirmed, the oldest first."""
        found = self._database.remembered(
            "SELECT n, to_till FROM transfer_out WHERE epoch = ? AND confirmed = 0 ORDER BY n", (self._epoch,)
        )
        return [(n, to_till) for n, to_till in found]

    def confirm(self, to_till: str, numbers: Sequence[int]) -> None:
        """The receiver has these on its disk."""
        self._database.writer.executemany(
            "UPDATE transfer_out SET confirmed = 1 WHERE epoch = ? AND n = ? AND to_till = ?",
            [(self._epoch, n, to_till) for n in numbers],
        )

    def keep_received(self, donor: str, donor_epoch: int, n: int) -> bool:
        """Remember a donor's transfer; False where it was received before."""
        written = self._database.writer.execute(
            "INSERT INTO transfer_in (epoch, donor, donor_epoch, n) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (self._epoch, donor, donor_epoch, n),
        )
        return written.rowcount == 1
