"""Which return and which sale are one exchange, in the journal's file."""

import msgspec

from edge.database import Database


class KeptExchange(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange by the ids of its two events, and the hash of the ask that made it."""

    exchange_id: str
    ask_sha256: str
    return_id: str
    receipt_id: str


class ExchangesKept:
    """The exchanges of one till, as long as its events may be asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, exchange_id: str) -> KeptExchange | None:
        """The exchange of an id."""
        row = self._database.row(
            "SELECT exchange_id, ask_sha256, return_id, receipt_id FROM exchange WHERE exchange_id = ?", (exchange_id,)
        )
        return KeptExchange(**dict(zip(KeptExchange.__struct_fields__, row, strict=True))) if row else None

    def keep(self, exchange: KeptExchange, wall_ms: int) -> None:
        """Write an exchange down, inside the transaction of its events."""
        self._database.writer.execute(
            "INSERT INTO exchange (exchange_id, ask_sha256, return_id, receipt_id, wall_ms) VALUES (?, ?, ?, ?, ?)",
            (*msgspec.structs.astuple(exchange), wall_ms),
        )

    def prune(self) -> None:
        """Forget exchanges whose sale is forgotten: until then they may be asked for again."""
        self._database.writer.execute(
            "DELETE FROM exchange WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.receipt_id = exchange.receipt_id)"
        )
