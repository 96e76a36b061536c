"""A till that saves a damaged journal is killed at a system call: started again, it has saved all of it, once."""

import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from edge.identity import write_identity_file
from sync.desk import Sealed
from tests.edge.counter import identity
from tests.faults.checks import read_answers
from tests.faults.lengths import LONG, some
from tests.faults.scenes import SALES, SALVAGE, Place, ask_of, play, prepare
from tests.faults.test_killed_till import KILLED, WAITS, kill_points
from tests.faults.traced import CALLS, Stage

SHORT = 16  # points of each damage
PAGE = 4_096
PEOPLE = [(f"E-{n}", f"{n:02d}" * 32, f"{n:02d}" * 200) for n in range(3)]  # who joined, sealed: key and body


@pytest.mark.parametrize("damage", ["first page", "a hole"])
def test_wherever_a_salvage_is_killed_the_next_start_has_saved_everything(
    damage: str, stage: Stage, tmp_path: Path
) -> None:
    begun, told = _damaged(tmp_path / "begun", damage)
    calls = "all" if LONG else CALLS
    whole = stage.play(shutil.copytree(begun, tmp_path / "whole"), SALVAGE, calls=calls)
    assert (whole.signal, whole.status) == (0, 0), (tmp_path / "whole" / "said").read_text("utf-8")
    kept = events_in(tmp_path / "whole", 1)
    assert kept == told[: len(kept)]
    assert len(kept) >= (SALES if damage == "first page" else 2)
    assert people_in(tmp_path / "whole") == PEOPLE
    before_it_answered = 0
    points = some(kill_points(whole.calls()), SHORT, damage)
    for call, turn in points:
        folder = shutil.copytree(begun, tmp_path / f"{call}-{turn}")
        ended = stage.play(folder, SALVAGE, "-e", f"inject={call}:signal=KILL:when={turn}", calls=call)
        if ended.signal != KILLED:  # strace came a call later this time, and the last point lay beyond the end
            assert (ended.status, turn > Counter(whole.calls())[call] - WAITS) == (0, True)
        answered = read_answers(folder)
        before_it_answered += not answered
        play(folder, SALVAGE)
        assert events_in(folder, 1) == kept, (call, turn)
        assert people_in(folder) == PEOPLE, (call, turn)
        assert {"after": _hash_of(folder, "after")} == read_answers(folder) | answered, (call, turn)
        shutil.rmtree(folder)
    print(f"{damage}: killed at {len(points)} of {len(whole.calls())} calls, {before_it_answered} before the sale")
    assert before_it_answered > len(points) // 2


def events_in(folder: Path, epoch: int) -> list[tuple[int, str, str]]:
    """What is chained of an epoch: number, id, hash."""
    with sqlite3.connect(folder / "journal.db") as db:
        found = db.execute("SELECT seq, receipt_id, hash FROM event WHERE epoch = ? ORDER BY seq", (epoch,)).fetchall()
    db.close()
    return found


def people_in(folder: Path) -> list[tuple[str, str, str]]:
    """Who new members are, sealed: event, key, body."""
    with sqlite3.connect(folder / "journal.db") as db:
        found = db.execute("SELECT event_id, exchange_key, body FROM sealed WHERE taken_ms = 0 ORDER BY 1").fetchall()
    db.close()
    return found


def _hash_of(folder: Path, name: str) -> str:
    """Of the one event of this id, in whichever epoch."""
    with sqlite3.connect(folder / "journal.db") as db:
        ((found,),) = db.execute("SELECT hash FROM event WHERE receipt_id = ?", (name,)).fetchall()
    db.close()
    return str(found)


def _damaged(folder: Path, damage: str) -> tuple[Path, list[tuple[int, str, str]]]:
    """A till that sold, with its journal damaged, and what its journal said before."""
    prepare(folder, "sell")
    place = Place(folder)
    for n in range(0, 2 * SALES, 2):
        place.till.commit(ask_of(n))
    with place.journal.writing():
        for event_id, key, body in PEOPLE:
            place.journal.members.keep_sealed(event_id, Sealed(exchange_key=key, body=body))
    place.journal.checkpoint()
    place.close()
    write_identity_file(folder, identity())
    told = events_in(folder, 1)
    whole = (folder / "journal.db").read_bytes()
    at = 0 if damage == "first page" else _page_of(whole, told[-2][2])
    (folder / "journal.db").write_bytes(whole[:at] + bytes(PAGE) + whole[at + PAGE :])
    return folder, told


def _page_of(whole: bytes, text: str) -> int:
    """Where the page begins that has these words last."""
    return whole.rindex(text.encode()) // PAGE * PAGE
