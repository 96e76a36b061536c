"""A bit of the journal turns over by itself: what it changes in an event is noticed, before a lie is sent."""

import sqlite3
from pathlib import Path
from random import Random

import pytest

from edge.journal.journal import Journal
from edge.line.chores import check_chain
from loyalty.trouble import Trouble
from tests.edge.counter import FakeClock, identity
from tests.faults.lengths import rounds
from tests.faults.scenes import Place, ask_of, prepare

SALES = 40
CHAINED = ("seq", "payload", "hash")


def rows_in(path: Path) -> list[tuple[object, ...]] | None:
    """The chained columns of all events; None where SQLite cannot read them."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT {', '.join(CHAINED)} FROM event ORDER BY epoch, seq").fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    finally:
        connection.close()


def is_noticed(path: Path) -> bool:
    """Whether the till refuses the file, or its nightly look at the chain does."""
    try:
        journal = Journal.open(path, identity(), FakeClock())
    except Trouble:
        return True
    try:
        check_chain(journal, identity())
    except (Trouble, sqlite3.Error):
        return True
    finally:
        journal.close()
    return False


def test_a_bit_that_turns_over_in_an_event_is_noticed(tmp_path: Path) -> None:
    prepare(tmp_path / "till", "sell")
    place = Place(tmp_path / "till")
    for n in range(0, 2 * SALES, 2):
        place.till.commit(ask_of(n))
    place.journal.checkpoint()
    place.close()
    whole = (tmp_path / "till" / "journal.db").read_bytes()
    path = tmp_path / "flipped.db"
    path.write_bytes(whole)
    told = rows_in(path)
    assert told is not None and len(told) == SALES
    dice, live, missed = Random("flips"), 0, []
    for _ in range(rounds(200, 6_000)):
        at, bit = dice.randrange(len(whole)), 1 << dice.randrange(8)
        for beside in tmp_path.glob("flipped.db*"):
            beside.unlink()
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        if rows_in(path) == told:
            continue
        live += 1
        if not is_noticed(path):
            missed.append((at, bit))
    print(f"{live} flips changed what an event says, {len(missed)} unnoticed")
    assert live > 20
    assert not missed


def test_a_text_that_is_none_any_more_is_damage_and_no_crash(tmp_path: Path) -> None:
    prepare(tmp_path / "till", "ack")
    path = tmp_path / "till" / "journal.db"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"r0", b"\xff0"))
    with pytest.raises(Trouble, match="damaged"):
        Journal.open(path, identity(), FakeClock())


def test_a_whole_journal_is_not_suspected(tmp_path: Path) -> None:
    prepare(tmp_path / "till", "ack")
    assert not is_noticed(tmp_path / "till" / "journal.db")


@pytest.mark.parametrize("length", [100, 5_000, 50_000])
def test_a_journal_cut_short_is_refused_or_loses_no_answer(length: int, tmp_path: Path) -> None:
    prepare(tmp_path / "till", "ack")
    path = tmp_path / "till" / "journal.db"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Trouble):
        Journal.open(path, identity(), FakeClock())
