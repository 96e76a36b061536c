"""Baskets laid aside, in the journal's file: whose they are now, and who has taken them."""

from typing import Literal

import msgspec

from edge.database import Database

State = Literal["open", "taken", "dropped", "expired", "office", "unsure"]
_TOLD_TO = "parked_told_to"  # of `told`
_FIELDS = "park_id, ask_sha256, body, parked_ms, state, kept_by, taken_by, resume_id"


class KeptBasket(msgspec.Struct, frozen=True, kw_only=True):
    """A basket laid aside. `body` is JSON of `edge.parking.parking.ParkedSale`; `kept_by` is the till that parked it,
    which is another one for a basket that was brought here. `office`: it lies at head office; `unsure`: there, or
    nowhere."""

    park_id: str
    ask_sha256: str
    body: bytes
    parked_ms: int
    state: State = "open"
    kept_by: str = ""
    taken_by: str = ""
    resume_id: str = ""


class ParkedKept:
    """The baskets of one till; what writes belongs inside a transaction."""

    def __init__(self, database: Database, till_id: str) -> None:
        self._database, self._till_id = database, till_id

    def find(self, park_id: str) -> KeptBasket | None:
        """The basket of an id, whatever became of it."""
        found = self._baskets("park_id = ?", park_id)
        return found[0] if found else None

    def open(self) -> tuple[KeptBasket, ...]:
        """Those that wait here, the oldest first."""
        return self._baskets("state = 'open' AND kept_by = ?", self._till_id)

    def unsure(self) -> tuple[KeptBasket, ...]:
        """Those that head office may or may not have."""
        return self._baskets("state = 'unsure' AND kept_by = ?", self._till_id)

    def had(self, since_ms: int) -> tuple[KeptBasket, ...]:
        """Those that this till resumed or threw away, of a day that is not over."""
        return self._baskets(
            "(taken_by = ?1 OR kept_by = ?1 AND state = 'dropped') AND parked_ms >= ?2", self._till_id, since_ms
        )

    def left_at_office(self, since_ms: int) -> tuple[KeptBasket, ...]:
        """Those that it left at head office, and of which it knows nothing more."""
        return self._baskets("state = 'office' AND kept_by = ?1 AND parked_ms >= ?2", self._till_id, since_ms)

    def told_to(self) -> int:
        """The generation of head office that was told of all these; 0 for none."""
        found = self._database.remembered("SELECT value FROM told WHERE name = ?", (_TOLD_TO,))
        return int(found[0][0]) if found else 0

    def set_told_to(self, generation: int) -> None:
        """That generation knows them."""
        self._database.writer.execute(
            "INSERT OR REPLACE INTO told (name, value) VALUES (?, ?)", (_TOLD_TO, str(generation))
        )

    def add(self, basket: KeptBasket) -> None:
        """Lay a basket aside, or keep one that was taken elsewhere."""
        self._database.writer.execute(
            f"INSERT INTO parked ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(basket)
        )

    def take(self, park_id: str, till_id: str, resume_id: str) -> None:
        """A till has it from now on."""
        self._database.writer.execute(
            "UPDATE parked SET state = 'taken', taken_by = ?, resume_id = ? WHERE park_id = ?",
            (till_id, resume_id, park_id),
        )

    def end(self, park_id: str, state: State) -> None:
        """Nobody will take it any more."""
        self._database.writer.execute("UPDATE parked SET state = ? WHERE park_id = ?", (state, park_id))

    def prune(self, before_ms: int) -> None:
        """Forget those that are settled for long."""
        self._database.writer.execute(
            "DELETE FROM parked WHERE state NOT IN ('open', 'unsure') AND parked_ms < ?", (before_ms,)
        )

    def _baskets(self, where: str, *values: str | int) -> tuple[KeptBasket, ...]:
        query = f"SELECT {_FIELDS} FROM parked WHERE {where} ORDER BY parked_ms, park_id"
        rows = self._database.remembered(query, values)
        names = KeptBasket.__struct_fields__
        return tuple(KeptBasket(**dict(zip(names, row, strict=True))) for row in rows)
