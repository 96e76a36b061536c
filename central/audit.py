"""Who did what, when, about what. Rows are only ever added."""

import msgspec
from sqlalchemy import Connection

from central.database.tables import audit
from central.ports import Randomness


def note_down(
    tx: Connection,
    randomness: Randomness,
    *,
    user_id: str,
    action: str,
    about: str,
    now_ms: int,
    figures: dict[str, int | str] | None = None,
) -> None:
    """Keep an action.

    Args:
        action: `area.what_was_done`.
        about: names what it was done to.
        figures: never a card number, a name or an address.
    """
    tx.execute(
        audit.insert().values(
            audit_id=f"{now_ms:014d}-{randomness.bytes(8).hex()}",
            at_ms=now_ms,
            user_id=user_id,
            action=action,
            about=about,
            figures=msgspec.json.encode(figures or {}).decode(),
        )
    )
