"""Power goes at any moment: what was answered is on the disk, whatever of the rest arrived there."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from tests.faults.checks import Wrong, check_files, check_till
from tests.faults.lengths import rounds
from tests.faults.power import CALLS, WHOLE, Cut, Step, cuts, steps_of
from tests.faults.scenes import CONTROL, prepare
from tests.faults.traced import Stage

SHARED_MEMORY = Path("/dev/shm")
OPENED = 200  # one in so many disks is opened by the till itself as well


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder that no disk slows down."""
    with TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def played(stage: Stage, folder: Path, scene: str) -> tuple[dict[str, bytes], list[Step]]:
    """The files of a scene before it, and what it did to them."""
    prepare(folder, scene)
    begun = {path.name: path.read_bytes() for path in folder.iterdir()}
    ended = stage.play(folder, scene, *WHOLE, calls=CALLS)
    assert (ended.signal, ended.status) == (0, 0)
    steps = steps_of(ended.log, folder)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    *_, last = cuts(begun, [*steps, *(Step("sync", name) for name in begun)], Random(0))
    # What we rebuild when all of it arrived is what truly lies there.
    assert last.files["journal.db"] == after["journal.db"]
    return begun, steps


def trouble_on(cut: Cut, folder: Path, scene: str, *, opened: bool) -> str:
    """What is wrong on a disk after a cut; nothing when all is well."""
    for path in folder.iterdir():
        path.unlink()
    for name, data in cut.files.items():
        (folder / name).write_bytes(data)
    try:
        check_files(folder, cut.answered)
        if opened:
            check_till(folder, scene, cut.answered)
    except (Wrong, sqlite3.Error) as trouble:
        return f"{type(trouble).__name__}: {trouble}"
    return ""


@pytest.mark.parametrize("scene", ["sell", "ack", "prune"])
def test_after_a_power_cut_everything_answered_is_there(scene: str, stage: Stage, tmp_path: Path, memory: Path) -> None:
    begun, steps = played(stage, tmp_path / "scene", scene)
    images, times = 0, rounds(1, 190)
    begin = time.monotonic()
    for cut in cuts(begun, steps, Random(scene), times):
        images += 1
        trouble = trouble_on(cut, memory, scene, opened=images % OPENED == 0)
        assert not trouble, f"image {images} of {scene}: {trouble}"
    print(f"{scene}: {images} disks, {time.monotonic() - begin:.0f} s")
    assert images > 3 * len(steps)


def test_the_control_loses_what_was_answered(stage: Stage, tmp_path: Path, memory: Path) -> None:
    """With `synchronous=NORMAL` the same disks lack receipts that were printed: the test can see that."""
    begun, steps = played(stage, tmp_path / "scene", CONTROL)
    troubles = [trouble_on(cut, memory, "sell", opened=False) for cut in cuts(begun, steps, Random(0))]
    assert any("was answered and is lost" in trouble for trouble in troubles)
