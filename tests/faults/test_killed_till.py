"""A till is killed at a system call: whatever was answered is there, once, and asked again it says the same."""

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from edge.sale.till import Till
from tests.faults.checks import Wrong, answers_in, check_files, check_till, read_answers
from tests.faults.lengths import LONG, some
from tests.faults.scenes import ANSWERS, SCENES, play, prepare
from tests.faults.traced import CALLS, Stage

KILLED = 9
ENDING = ("exit", "exit_group")
WAITS = 5  # calls of a child that waits for strace
SHORT = 10  # points of each scene


@pytest.mark.parametrize("scene", SCENES)
def test_wherever_it_is_killed_nothing_answered_is_lost(scene: str, stage: Stage, tmp_path: Path) -> None:
    calls = "all" if LONG else CALLS
    begun = tmp_path / "begun"
    prepare(begun, scene)
    whole = stage.play(shutil.copytree(begun, tmp_path / "whole"), scene, calls=calls)
    assert (whole.signal, whole.status) == (0, 0)
    check_till(tmp_path / "whole", scene, read_answers(tmp_path / "whole"))
    points = some(kill_points(whole.calls()), SHORT, scene)
    answered = []
    for call, turn in points:
        folder = shutil.copytree(begun, tmp_path / f"{call}-{turn}")
        ended = stage.play(folder, scene, "-e", f"inject={call}:signal=KILL:when={turn}", calls=call)
        if ended.signal != KILLED:  # strace came a call later this time, and the last point lay beyond the end
            last = Counter(whole.calls())[call] - WAITS
            assert (ended.status, turn > last) == (0, True), (folder / "said").read_text("utf-8")
        told = read_answers(folder)
        check_files(folder, told)
        check_till(folder, scene, told)
        answered.append(len(told))
        shutil.rmtree(folder)
    print(f"{scene}: killed at {len(points)} of {len(whole.calls())} calls")
    # The points lie all over the scene: some before anything was answered, some after nearly all of it.
    assert min(answered) == 0
    assert max(answered) >= len(read_answers(tmp_path / "whole")) - 1


def kill_points(calls: list[str]) -> list[tuple[str, int]]:
    """Each call of a play as strace counts them: by its name, and the how many'th of that name."""
    seen: Counter[str] = Counter()
    points = []
    for call in calls:
        seen[call] += 1
        points.append((call, seen[call]))
    return [point for point in points if point[0] not in ENDING]


@pytest.mark.parametrize(("call", "error"), [("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC")])
def test_a_write_that_fails_is_never_answered(call: str, error: str, stage: Stage, tmp_path: Path) -> None:
    """From a chosen call on: the till says so and answers nothing more; once the disk is well again it sells on."""
    begun = tmp_path / "begun"
    prepare(begun, "sell")
    whole = stage.play(shutil.copytree(begun, tmp_path / "whole"), "sell", calls=call)
    failed = 0
    for point in some(range(1, len(whole.calls()) + 1), SHORT, call + error):
        folder = shutil.copytree(begun, tmp_path / f"{point}")
        ended = stage.play(folder, "sell", "-e", f"inject={call}:error={error}:when={point}+", calls=call)
        told = read_answers(folder)
        failed += ended.status == 1
        assert ended.signal == 0
        if ended.status == 1:
            assert "Trouble" not in (said := (folder / "said").read_text("utf-8")), said
            assert said.startswith(("Journal", "Cache", "Unsafe")), said
        check_files(folder, told)
        check_till(folder, "sell", told)
        shutil.rmtree(folder)
    assert failed


def test_a_lost_answer_is_noticed(tmp_path: Path) -> None:
    """The checks can fail: on an answer that is not in the journal or is otherwise, and on a page that is not there."""
    prepare(tmp_path / "a", "ack")
    told = answers_in("r0 00000000\nr1 4")
    assert told == {"r0": "00000000"}
    with pytest.raises(AssertionError, match="answered as 00000000"):
        check_files(tmp_path / "a", told)
    with pytest.raises(AssertionError, match="r77 was answered and is lost"):
        check_files(tmp_path / "a", {"r77": "00000000"})
    with pytest.raises(AssertionError, match="acknowledgement of 3"):
        check_files(tmp_path / "a", {"acked": "3"})
    with pytest.raises(AssertionError, match="page 2 was taken"):
        check_till(tmp_path / "a", "snapshot", {"page": "2"})
    assert not (tmp_path / "a" / ANSWERS).exists()


def journal_in(folder: Path, *statements: str) -> None:
    """Do something to a till's journal behind its back, also to what is never changed."""
    with closing(sqlite3.connect(folder / "journal.db")) as journal:
        for (name,) in journal.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            journal.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            journal.execute(statement)
        journal.commit()


@pytest.mark.parametrize(
    ("done", "why"),
    [
        ("DELETE FROM event WHERE seq = 3", "event 3 is missing"),
        ("UPDATE event SET payload = CAST(payload || ' ' AS BLOB) WHERE seq = 3", r"the chain breaks at 3 \(r2\)"),
        ("UPDATE event SET hash = 'ff' || substr(hash, 3) WHERE seq = 8", r"the chain breaks at 8 \(r7\)"),
        ("DELETE FROM event WHERE seq < 3", "events before 3 were forgotten, head office has only 0"),
    ],
)
def test_a_journal_that_lost_or_changed_an_event_is_noticed(done: str, why: str, tmp_path: Path) -> None:
    prepare(tmp_path / "a", "ack")
    check_files(tmp_path / "a", {})
    journal_in(tmp_path / "a", done)
    with pytest.raises(Wrong, match=why):
        check_files(tmp_path / "a", {})


def test_a_file_that_is_not_whole_is_noticed(tmp_path: Path) -> None:
    """An index of which nothing is left, while every event is there."""
    prepare(tmp_path / "a", "ack")
    path = tmp_path / "a" / "journal.db"
    with closing(sqlite3.connect(path)) as journal:
        journal.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (size,) = journal.execute("PRAGMA page_size").fetchone()
        query = "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'event' AND rootpage > 0"
        (page,) = journal.execute(query).fetchone()
    empty = b"\x0a" + bytes(4) + size.to_bytes(2, "big") + b"\0"  # the head of a leaf without cells
    whole = path.read_bytes()
    path.write_bytes(whole[: (page - 1) * size] + empty.ljust(size, b"\0") + whole[page * size :])
    with pytest.raises(Wrong, match="index"):
        check_files(tmp_path / "a", {})


def test_a_till_that_answers_otherwise_or_twice_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path / "a", "ack")
    check_till(tmp_path / "a", "ack", {})
    with pytest.raises(Wrong, match="r0 is answered otherwise"):
        check_till(tmp_path / "a", "ack", {"r0": "00000000"})
    commit = Till.commit
    monkeypatch.setattr(Till, "commit", lambda till, ask: msgspec.structs.replace(commit(till, ask), replayed=False))
    with pytest.raises(Wrong, match="a sale after it is answered twice"):
        check_till(tmp_path / "a", "ack", {})


def test_an_older_journal_that_lost_a_receipt_is_noticed(tmp_path: Path) -> None:
    prepare(tmp_path / "a", "ack")
    check_till(tmp_path / "a", "migrate", {})
    journal_in(tmp_path / "a", "DELETE FROM event WHERE seq = 8")
    with pytest.raises(Wrong, match="of the older journal"):
        check_till(tmp_path / "a", "migrate", {})


def test_a_cursor_that_ran_ahead_of_its_rows_is_noticed(tmp_path: Path) -> None:
    prepare(tmp_path / "a", "snapshot")
    play(tmp_path / "a", "snapshot")
    check_till(tmp_path / "a", "snapshot", {"page": "4"})
    with closing(sqlite3.connect(tmp_path / "a" / "cache.db")) as cache:
        cache.execute("UPDATE lane SET cursor = '3' WHERE lane = 'members'")
        cache.commit()
    with pytest.raises(Wrong, match="the cursor is 3 and Ben has"):
        check_till(tmp_path / "a", "snapshot", {"page": "3"})
