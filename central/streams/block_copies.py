"""Blocks on another disk: one small file each, so that a restored centre can be told how far it once was.

    <folder>/000012/000000123456-1a2b3c4d.json    by number, ten thousand to a subfolder, with its hash's first digits

A file is written under another name, synced and renamed, so that it is there whole or not at all; none is ever written
over. Two histories of one number lie side by side, under their hashes. Source: house.md section 4, point 6.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from sqlalchemy import Connection, select

from central.database.tables import block
from central.ports import sync_folder
from loyalty.trouble import Fault
from sync.blocks import BlockMark, SealedBlock

PER_FOLDER = 10_000
AT_ONCE = 100  # numbers looked up in one go; mostly the first is one that is there


class CopyFailed(Fault):
    code = "central.block_copy_failed"


def copy_blocks(connection: Connection, folder: Path) -> int:
    """Write the blocks that are not in the folder yet, the oldest first. Returns how many.

    Raises:
        CopyFailed: the folder cannot be written to.
    """
    missing = list(_missing(connection, folder))
    try:
        for block_no in reversed(missing):
            _write(folder, _read(connection, block_no))
    except OSError as trouble:
        raise CopyFailed(
            f"Blocks cannot be copied to {folder}: {trouble.strerror}. Mend the folder; they are copied by then.",
            folder=str(folder),
        ) from None
    return len(missing)


def copied_beyond(folder: Path, newest: BlockMark) -> int:
    """The highest number in the folder of the newest block and in the one after; 0 where none is above the newest.

    Such a block was copied by a centre that knew more than this one does now.
    """
    near = [copy_path(folder, BlockMark(block_no=number, hash=newest.hash)).parent
            for number in (newest.block_no, newest.block_no + PER_FOLDER)]  # fmt: skip
    numbers = (int(path.name[:12]) for one in near if one.is_dir() for path in one.glob("*.json"))
    return max((number for number in numbers if number > newest.block_no), default=0)


def copy_path(folder: Path, mark: BlockMark) -> Path:
    """Where a block's copy lies."""
    return folder / f"{mark.block_no // PER_FOLDER:06}" / f"{mark.block_no:012}-{mark.hash[:8]}.json"


def read_copy(path: Path) -> SealedBlock:
    """A block from its file. Raises: OSError, msgspec.MsgspecError."""
    return msgspec.json.decode(path.read_bytes(), type=SealedBlock)


def _missing(connection: Connection, folder: Path) -> Iterator[int]:
    """Numbers of the blocks that were not copied, the newest first. They are copied oldest first, so all before one
    that is there are there."""
    newest_first = select(block.c.block_no, block.c.hash).order_by(block.c.block_no.desc()).limit(AT_ONCE)
    rows = connection.execute(newest_first).all()
    while rows:
        for row in rows:
            if copy_path(folder, BlockMark(block_no=row.block_no, hash=row.hash)).exists():
                return
            yield row.block_no
        rows = connection.execute(newest_first.where(block.c.block_no < rows[-1].block_no)).all()


def _read(connection: Connection, block_no: int) -> SealedBlock:
    row = connection.execute(select(block).where(block.c.block_no == block_no)).one()
    return SealedBlock(
        block_no=row.block_no,
        hash=row.hash,
        key_no=row.key_no,
        signature=bytes(row.signature).hex(),
        body=bytes(row.body).decode(),
    )


def _write(folder: Path, made: SealedBlock) -> None:
    path = copy_path(folder, BlockMark(block_no=made.block_no, hash=made.hash))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb") as file:
        file.write(msgspec.json.encode(made))
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_folder(path.parent)
    sync_folder(folder)
