"""Which backups go: those older than a person said, and what a backup that was cut short left lying about.

A backup holds everybody who was a member when it was made, erased since or not, and a disk of backups fills. The newest
one always stays. Source: fraud-privacy.md section 3; sync.md section 2, "Central restore".
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from central.backups.backups import COPY, NAMED, UNFINISHED, BackupFailed
from loyalty.moments import DAY_MS


def forget_backups(target: Path, keep_days: int, now_ms: int) -> tuple[str, ...]:
    """Delete the backups below `target` that were made more than so many days ago, but never the newest.

    Args:
        keep_days: 1 or more.
    Returns:
        Names of the folders that are gone, oldest first.
    Raises:
        BackupFailed: one cannot be deleted; those before it are gone.
    """
    made = sorted((at_ms, path) for path in target.iterdir() if (at_ms := _made_at_ms(path)) is not None)
    gone = []
    for at_ms, path in made[:-1]:
        if now_ms - at_ms > keep_days * DAY_MS:
            _forget(path)
            gone.append(path.name)
    return tuple(gone)


def forget_cut_short(data: Path, target: Path, now_ms: int) -> None:
    """Delete what a backup that was killed left: its folder, and the copy of the database in clear beside the data.

    What is younger than a day may be of one that is being made. Raises: BackupFailed.
    """
    for path in (*target.glob("*" + UNFINISHED), *data.glob(COPY + "*.db*")):
        try:
            is_old = now_ms - path.stat().st_mtime * 1000 > DAY_MS
        except FileNotFoundError:
            continue
        if is_old:
            _forget(path)


def _made_at_ms(path: Path) -> int | None:
    """By its name; none for what is no backup."""
    try:
        made = datetime.strptime(path.name, NAMED).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(made.timestamp()) * 1000 if path.is_dir() else None


def _forget(path: Path) -> None:
    try:
        if path.is_file():
            path.unlink()
            return
        # Under another name first: cut short, it must not be taken for a whole one.
        dying = path if path.suffix == UNFINISHED else path.rename(path.with_suffix(UNFINISHED))
        shutil.rmtree(dying)
    except OSError as trouble:
        raise BackupFailed(f"{path} cannot be deleted: {trouble}. The new backup is whole; delete this.") from None
