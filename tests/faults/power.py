"""Disks as a power cut may leave them: rebuilt from the calls of a play, with what was not synced there, gone or torn.

A write that no sync followed may have reached the disk or not, in any order, and the last of it in part. What a sync
confirmed is there. Files of shared memory are not kept over a cut.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Literal

import msgspec

from tests.faults.checks import answers_in
from tests.faults.scenes import ANSWERS

CALLS = "pwrite64,write,fdatasync,fsync,ftruncate,unlink,openat"
WHOLE = ("-xx", "-s", "4000000", "-y")  # options of strace: every byte, and the names of files
SECTOR = 512
Chosen = Literal["none", "all", "first ones", "some", "torn"]
WAYS: tuple[Chosen, ...] = ("none", "all", "first ones", "some", "torn")

_WRITE = re.compile(
    r'(?:pwrite64|write)\(\d+<(?P<path>[^>]*)>, "(?P<bytes>[^"]*)", \d+(?:, (?P<at>\d+))?\) = (?P<done>\d+)'
)
_CUT = re.compile(r"ftruncate\(\d+<(?P<path>[^>]*)>, (?P<at>\d+)\) = 0")
_SYNC = re.compile(r"(?:fdatasync|fsync)\(\d+<(?P<path>[^>]*)>\) = 0")
_GONE = re.compile(r'unlink\("(?P<path>[^"]*)"\) = 0')


class Step(msgspec.Struct, frozen=True):
    """One call: bytes at a place of a file, its new length, a sync of it, its end, or an answer to the POS."""

    what: Literal["write", "length", "sync", "end", "answer"]
    file: str
    at: int = 0
    data: bytes = b""


class Disk(msgspec.Struct):
    """A file: what is safe, and what was done to it since."""

    safe: bytes
    since: list[Step]


class Cut(msgspec.Struct, frozen=True):
    """A disk after a power cut: its files, and what the POS had been answered by then."""

    files: dict[str, bytes]
    answered: dict[str, str]


def steps_of(log: str, folder: Path) -> list[Step]:
    """The calls of a play that concern the files of its folder, in order."""
    steps = []
    for line in log.splitlines():
        step = _step(line)
        if step and Path(step.file).parent == folder and not step.file.endswith("-shm"):
            steps.append(msgspec.structs.replace(step, file=Path(step.file).name))
    return steps


def _step(line: str) -> Step | None:
    if found := _WRITE.search(line):
        data, path = _unhexed(found["bytes"])[: int(found["done"])], _path(found)
        if path.endswith("/" + ANSWERS):
            return Step("answer", path, 0, data)
        return Step("write", path, int(found["at"]), data) if found["at"] else None
    if found := _CUT.search(line):
        return Step("length", _path(found), int(found["at"]))
    if found := _SYNC.search(line):
        return Step("sync", _path(found))
    if found := _GONE.search(line):
        return Step("end", _path(found))
    return None


def _path(found: re.Match[str]) -> str:
    return _unhexed(found["path"]).decode()


def _unhexed(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def cuts(begun: dict[str, bytes], steps: list[Step], dice: Random, each: int = 1) -> Iterator[Cut]:
    """A disk after each step, in every way, `each` times where chance has a say.

    Args:
        begun: the files as they were safe before.
    """
    disks = {name: Disk(data, []) for name, data in begun.items()}
    said = b""
    for step in steps:
        if step.what == "answer":
            said += step.data
        elif step.what == "end":
            disks.pop(step.file, None)  # SQLite removes a log only once all of it is safe in the file
        else:
            disk = disks.setdefault(step.file, Disk(b"", []))
            if step.what == "sync":
                disk.safe, disk.since = _applied(disk.safe, disk.since), []
            else:
                disk.since.append(step)
        answered = answers_in(said.decode())
        for way in WAYS:
            for _ in range(each if way in ("some", "torn", "first ones") else 1):
                files = {name: _applied(disk.safe, _chosen(disk.since, way, dice)) for name, disk in disks.items()}
                yield Cut(files, answered)


def _chosen(since: list[Step], way: Chosen, dice: Random) -> list[Step]:
    if way == "none":
        return []
    if way == "first ones":
        return since[: dice.randint(0, len(since))]
    if way == "some":
        return [step for step in since if dice.random() < 0.5]
    if way == "torn" and since:
        return [*since[:-1], _torn(since[-1], dice)]
    return since


def _torn(step: Step, dice: Random) -> Step:
    """Only some sectors of it arrived, from its beginning on."""
    sectors = len(step.data) // SECTOR
    return msgspec.structs.replace(step, data=step.data[: dice.randint(0, sectors) * SECTOR])


def _applied(safe: bytes, steps: list[Step]) -> bytes:
    data = bytearray(safe)
    for step in steps:
        if step.what == "length":
            data = data[: step.at].ljust(step.at, b"\0")
        else:
            data = data.ljust(step.at + len(step.data), b"\0") if step.data else data
            data[step.at : step.at + len(step.data)] = step.data
    return bytes(data)
