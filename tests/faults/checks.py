"""What must be true of a till's files after anything that happened to it, worked out without its own code.

The chain is hashed here anew, from the description of the protocol. Only then is the till opened and asked again.
"""

import hashlib
import hmac
import sqlite3
import struct
from pathlib import Path

from tests.edge.counter import identity
from tests.faults.scenes import ANSWERS, SALES, Place, ask_of

EPOCH = 1


class Wrong(AssertionError):
    """Something is lost, doubled or not what was answered."""


def answers_in(text: str) -> dict[str, str]:
    """What was answered, by what it was: the last whole line of each."""
    whole = text[: text.rfind("\n") + 1]
    return dict(line.rsplit(" ", 1) for line in whole.splitlines())


def check_files(folder: Path, answered: dict[str, str]) -> list[tuple[int, str]]:
    """The events as SQLite reads them: a whole file, a chain without a gap, every answer in it.

    Returns:
        (seq, receipt id) of all events.
    Raises:
        Wrong, sqlite3.Error.
    """
    connection = sqlite3.connect(folder / "journal.db")
    try:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise Wrong(verdict)
        if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'event'").fetchone()[0]:
            rows, acked = [], 0
        else:
            rows = connection.execute("SELECT seq, receipt_id, payload, hash FROM event ORDER BY seq").fetchall()
            acked = connection.execute("SELECT coalesce(max(acked_seq), 0) FROM stream").fetchone()[0]
    finally:
        connection.close()
    _check_chain(rows)
    _check_answers({name: hash_ for _, name, _, hash_ in rows}, answered, acked, rows[0][0] if rows else 1)
    return [(seq, name) for seq, name, _, _ in rows]


def _check_chain(rows: list[tuple[int, str, bytes, str]]) -> None:
    """SHA-256("TP-EV1" | till | epoch | seq | hash before | HMAC-SHA-256(genesis, payload)). Source: house.md."""
    genesis, till = bytes.fromhex(identity().granted.genesis), bytes.fromhex(identity().granted.till_id)
    before = bytes(32) if rows and rows[0][0] == 1 else None
    expected = rows[0][0] if rows else 1
    for seq, name, payload, hash_ in rows:
        if seq != expected:
            raise Wrong(f"event {expected} is missing")
        if before is not None:
            sealed = hmac.new(genesis, payload, hashlib.sha256).digest()
            ours = hashlib.sha256(b"TP-EV1" + till + struct.pack(">IQ", EPOCH, seq) + before + sealed).hexdigest()
            if ours != hash_:
                raise Wrong(f"the chain breaks at {seq} ({name})")
        before, expected = bytes.fromhex(hash_), seq + 1


def _check_answers(kept: dict[str, str], answered: dict[str, str], acked: int, first: int) -> None:
    for what, said in answered.items():
        if what == "acked" and acked < int(said):
            raise Wrong(f"the acknowledgement of {said} is forgotten, {acked} is left")
        if what.startswith(("r", "back")) or what.startswith("void"):
            name = what.replace("void ", "void:")
            if name not in kept:
                raise Wrong(f"{name} was answered and is lost")
            if kept[name][:8].upper() != said:
                raise Wrong(f"{name} was answered as {said} and is {kept[name][:8]}")
    if first > acked + 1:
        raise Wrong(f"events before {first} were forgotten, head office has only {acked}")


def check_till(folder: Path, scene: str, answered: dict[str, str]) -> None:
    """The till opens, says again what it answered, and sells on. Raises: Wrong."""
    place = Place(folder, days_on=15 if scene == "prune" else 0)
    try:
        if scene == "snapshot":
            _check_pages(place, int(answered.get("page", 0)))
            return
        if scene == "migrate":
            kept = [entry.event.receipt_id for entry in place.journal.entries_after(0)]
            if kept != [f"r{n}" for n in range(SALES)]:
                raise Wrong(f"of the older journal {kept} is left")
            return
        for name, record in answered.items():
            if name.startswith("r"):
                again = place.till.commit(ask_of(int(name[1:])))
                if (again.replayed, again.record) != (True, record):
                    raise Wrong(f"{name} is answered otherwise: {again.record} after {record}")
        next_one = ask_of(20)
        first, second = place.till.commit(next_one), place.till.commit(next_one)
        if (first.record, second.replayed) != (second.record, True):
            raise Wrong("a sale after it is answered twice")
    finally:
        place.close()


def _check_pages(place: Place, answered: int) -> None:
    """Rows and cursor went together: Ben is as the last page of the cursor told him."""
    cursor = int(place.cache.lane("members").cursor or 0)
    if cursor < answered:
        raise Wrong(f"page {answered} was taken and the cursor is {cursor}")
    ben = place.cache.member_of_account(2)
    told = (ben.row.balance_points, ben.row.version) if ben else None
    if cursor and told != (cursor * 100 + 39, cursor * 50 + 39):
        raise Wrong(f"the cursor is {cursor} and Ben has {told}")


def read_answers(folder: Path) -> dict[str, str]:
    """What a play answered."""
    path = folder / ANSWERS
    return answers_in(path.read_text("utf-8")) if path.exists() else {}
