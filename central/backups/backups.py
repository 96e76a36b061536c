"""A backup of the centre: its database as of one moment and its two keys, sealed under a passphrase.

    <folder>/2026-11-26T180512Z/manifest.json, manifest.mac, database, keys

The folder appears whole or not at all. The database is copied while the service runs: SQLite's online backup, or a dump
of PostgreSQL's as of one snapshot. `central.backups.restoring_backups` puts it back.
"""

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from central.backups.postgres_programs import dump
from central.backups.sealed_files import CHUNK, Hardness, Sealing
from central.coalition.settings import generation
from central.database.rows import put
from central.database.tables import setting
from central.keys.centre_keys import NEXT
from central.keys.key_files import later_files
from central.ports import Randomness, Settings, open_engine, read_key, reading, sync_folder, writing
from central.streams.sealing import newest_block
from central.versions import our_version
from loyalty.trouble import Fault
from sync.enrolment import fingerprint
from sync.keys import Signer

MANIFEST, MAC, DATABASE, KEYS = "manifest.json", "manifest.mac", "database", "keys"
LAST_BACKUP = "last_backup_ms"  # of `setting`
NAMED, UNFINISHED, COPY = "%Y-%m-%dT%H%M%SZ", ".unfinished", "backup-"


class BackupFailed(Fault):
    code = "backup.failed"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One sealed file of a backup."""

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, tag="backup.v1"):
    """What a backup holds. `schema` is the database's, `fingerprint` that of the centre's key."""

    made_at_ms: int
    version: str
    engine: str
    engine_version: str
    schema: str
    generation: int
    block_no: int
    block_hash: str
    fingerprint: str
    hardness: Hardness
    parts: tuple[Part, ...] = ()


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of the centre, in hex. `signing_next` is of a rotation that was cut short, "" for none; `people` of
    personal data, "" in a backup of before there was any; `card` is the first card key, `later_cards` the others by id,
    and `later_people` those of personal data.
    """

    signing: str
    card: str
    signing_next: str = ""
    people: str = ""
    later_cards: dict[str, str] = {}
    later_people: dict[str, str] = {}


def make_backup(
    settings: Settings, engine: Engine, target: Path, passphrase: str, *, randomness: Randomness, now_ms: int
) -> tuple[Path, Manifest]:
    """Back the centre up into a new folder below `target`, and note when that was.

    Returns:
        The new folder, and what its manifest says.
    Raises:
        ShortPassphrase, ProgramMissing, ProgramFailed.
        BackupFailed: the folder cannot be written to, or the copy is not sound; the folder is not there then.
    """
    sealing = Sealing(passphrase, hardness := Hardness(salt=randomness.bytes(16).hex()))
    folder = target / datetime.fromtimestamp(now_ms // 1000, UTC).strftime(NAMED)
    unfinished = folder.with_suffix(UNFINISHED)
    _begin(unfinished)
    try:
        keys = _keys(settings, randomness)
        with _copied(settings, engine) as (manifest, pieces):
            if _keys(settings, randomness) != keys:
                raise BackupFailed("The key of head office was changed meanwhile. Nothing was kept; do it again.")
            parts = (
                _write_part(unfinished, DATABASE, pieces, sealing),
                _write_part(unfinished, KEYS, (msgspec.json.encode(keys),), sealing),
            )
        shown = fingerprint(Signer(bytes.fromhex(keys.signing)).public)
        manifest = msgspec.structs.replace(
            manifest, made_at_ms=now_ms, hardness=hardness, fingerprint=shown, parts=parts
        )
        said = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        _write(unfinished / MANIFEST, (said,))
        _write(unfinished / MAC, (sealing.mac(said).encode(),))
        sync_folder(unfinished)
        unfinished.rename(folder)
        sync_folder(target)
    except (OSError, sqlite3.Error) as trouble:
        raise _failed(target, trouble) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    with writing(engine) as tx:
        put(tx, setting, [{"name": LAST_BACKUP, "value": str(now_ms)}], {"value": "given"})
    return folder, manifest


def _begin(unfinished: Path) -> None:
    """Another one of the same second keeps its folder. Raises: BackupFailed."""
    try:
        unfinished.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise BackupFailed(f"Another backup is being made as {unfinished}. Wait for it, or do this again.") from None
    except OSError as trouble:
        raise _failed(unfinished.parent, trouble) from None


def _failed(target: Path, trouble: OSError | sqlite3.Error) -> BackupFailed:
    return BackupFailed(f"The backup cannot be made in {target}: {trouble}. Mend it and do it again.")


@contextmanager
def _copied(settings: Settings, engine: Engine) -> Iterator[tuple[Manifest, Iterable[bytes]]]:
    """What the manifest says of one moment of the database, and the bytes of a copy as of that moment."""
    if engine.dialect.name == "postgresql":
        with reading(engine) as tx:
            snapshot = tx.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            yield _described(tx), dump(engine, snapshot)
        return
    # Beside the data, which is as secret as the copy is until it is sealed.
    handle, name = tempfile.mkstemp(prefix=COPY, suffix=".db", dir=settings.folder)
    os.close(handle)
    copy = Path(name)
    try:
        _copy_sqlite(str(engine.url.database), copy)
        described = open_engine(f"sqlite:///{copy}")
        with reading(described) as tx:
            manifest = _described(tx)
        described.dispose()
        yield manifest, pieces_of(copy)
    finally:
        for end in ("", "-wal", "-shm"):
            copy.with_name(copy.name + end).unlink(missing_ok=True)


def _copy_sqlite(source: str, copy: Path) -> None:
    """SQLite's online backup: of one moment, while others write. Raises: BackupFailed, sqlite3.Error."""
    with closing(sqlite3.connect(source, timeout=30)) as live, closing(sqlite3.connect(copy)) as target:
        live.backup(target)
        if (said := target.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise BackupFailed(f"The database is damaged, so its copy is no backup: {said}. Restore an earlier one.")


def _described(tx: Connection) -> Manifest:
    newest, is_sqlite = newest_block(tx), tx.dialect.name == "sqlite"
    server = sqlite3.sqlite_version if is_sqlite else str(tx.execute(text("SHOW server_version")).scalar_one())
    return Manifest(
        made_at_ms=0,
        version=our_version(),
        engine=tx.dialect.name,
        engine_version=server,
        schema=MigrationContext.configure(tx).get_current_revision() or "",
        generation=generation(tx),
        block_no=newest.block_no,
        block_hash=newest.hash,
        fingerprint="",
        hardness=Hardness(salt=""),
    )


def _keys(settings: Settings, randomness: Randomness) -> Keys:
    for name in (settings.signing_key, settings.card_key):
        if not (settings.folder / name).exists():
            raise BackupFailed(f"There is no {name} in {settings.folder}; name the folder of head office with --data.")
    waits = settings.folder / (settings.signing_key + NEXT)
    return Keys(
        signing=read_key(settings.folder / settings.signing_key, randomness).hex(),
        card=read_key(settings.folder / settings.card_key, randomness).hex(),
        signing_next=read_key(waits, randomness).hex() if waits.exists() else "",
        people=read_key(settings.folder / settings.person_key, randomness).hex(),
        later_cards=_later(settings.folder / settings.card_key, randomness),
        later_people=_later(settings.folder / settings.person_key, randomness),
    )


def _later(first: Path, randomness: Randomness) -> dict[str, str]:
    return {key_id: read_key(path, randomness).hex() for key_id, path in later_files(first).items()}


def _write_part(folder: Path, name: str, plain: Iterable[bytes], sealing: Sealing) -> Part:
    path = folder / name
    with path.open("xb") as file:
        os.chmod(path, 0o600)
        sealing.seal(name, plain, file)
        file.flush()
        os.fsync(file.fileno())
    return part_of(path)


def part_of(path: Path) -> Part:
    """What a manifest says of a file, as it is now."""
    digest = hashlib.sha256()
    for piece in pieces_of(path):
        digest.update(piece)
    return Part(name=path.name, bytes=path.stat().st_size, sha256=digest.hexdigest())


def pieces_of(path: Path) -> Iterator[bytes]:
    """A file's bytes, a chunk at a time."""
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("xb") as file:
        os.chmod(path, 0o600)
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
