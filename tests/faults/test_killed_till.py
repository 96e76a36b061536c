"""A till is killed at a system call: whatever was answered is there, once, and asked again it says the same."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.checks import answers_in, check_files, check_till, read_answers
from tests.faults.lengths import LONG, some
from tests.faults.scenes import ANSWERS, SCENES, prepare
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
