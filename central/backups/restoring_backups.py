"""Putting a backup of the centre back: checked whole first, into nothing but an empty place, under a new generation.

Keys are written last: where they are missing, a restore was not finished, and what it left is emptied before the next.
"""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect

import central.migrations
from central.backups.backups import DATABASE, KEYS, MAC, MANIFEST, Keys, Manifest, part_of
from central.backups.postgres_programs import load
from central.backups.restoring import note_restore
from central.backups.sealed_files import BackupDamaged, Sealing
from central.keys.centre_keys import NEXT
from central.keys.key_files import file_of, later_files
from central.migrations import upgrade
from central.ports import Settings, open_engine, reading, writing
from central.streams.sealing import newest_block
from loyalty.trouble import InvariantBroken, Refusal
from sync.blocks import BlockMark


class WrongPassphrase(Refusal):
    code = "backup.wrong_passphrase"
    status = 403


class NotEmpty(Refusal):
    code = "backup.not_empty"


class OtherEngine(Refusal):
    code = "backup.other_engine"


class NewerBackup(Refusal):
    code = "backup.newer"


def read_backup(folder: Path, passphrase: str) -> tuple[Manifest, Sealing]:
    """The manifest of a backup whose every part is as it was made.

    Raises:
        BackupDamaged: a file is missing, or is not what the manifest says.
        WrongPassphrase: or the manifest was changed.
    """
    try:
        said, mac = (folder / MANIFEST).read_bytes(), (folder / MAC).read_text("ascii")
        manifest = msgspec.json.decode(said, type=Manifest)
        sealing = Sealing(passphrase, manifest.hardness)
        if not sealing.is_mac(mac, said):
            raise WrongPassphrase("The passphrase is not that of this backup, or its manifest was changed.")
        for part in manifest.parts:
            if part_of(folder / part.name) != part:
                raise BackupDamaged(
                    f"The part {part.name} is not what the manifest says. Take another backup.", part=part.name
                )
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as trouble:
        raise BackupDamaged(f"{folder} is no whole backup: {trouble}. Name the folder of one.") from None
    return manifest, sealing


def restore_backup(settings: Settings, folder: Path, passphrase: str, *, now_ms: int) -> tuple[Manifest, int]:
    """Put a backup back where the settings say.

    Returns:
        What its manifest says, and the generation that begins.
    Raises:
        BackupDamaged, WrongPassphrase, OtherEngine, NewerBackup, ProgramMissing, ProgramFailed.
        NotEmpty: there is a database or a key already; nothing of it was touched.
    """
    manifest, sealing = read_backup(folder, passphrase)
    engine = create_engine(settings.url)
    try:
        _check_place(settings, engine, manifest)
        _check_schema(manifest)
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / DATABASE).open("rb") as sealed:
            plain = sealing.open(DATABASE, sealed)
            if manifest.engine == "sqlite":
                now = _restore_sqlite(Path(str(engine.url.database)), plain, manifest, now_ms)
            else:
                load(engine, plain)
                now = _begin_anew(settings.url, manifest, now_ms)
        with (folder / KEYS).open("rb") as sealed:
            keys = msgspec.json.decode(b"".join(sealing.open(KEYS, sealed)), type=Keys)
        _write_key(settings.folder / settings.signing_key, bytes.fromhex(keys.signing))
        _write_key(settings.folder / settings.card_key, bytes.fromhex(keys.card))
        for first, later in ((settings.card_key, keys.later_cards), (settings.person_key, keys.later_people)):
            for key_id, key in later.items():
                _write_key(file_of(settings.folder / first, key_id), bytes.fromhex(key))
        if keys.people:
            _write_key(settings.folder / settings.person_key, bytes.fromhex(keys.people))
        if keys.signing_next:
            _write_key(settings.folder / (settings.signing_key + NEXT), bytes.fromhex(keys.signing_next))
        return manifest, now
    finally:
        engine.dispose()


def _check_place(settings: Settings, engine: Engine, manifest: Manifest) -> None:
    if engine.dialect.name != manifest.engine:
        raise OtherEngine(
            f"The backup is of {manifest.engine}, the settings name {engine.dialect.name}. Set database_url to an empty"
            f" database of {manifest.engine}, or leave it out for SQLite."
        )
    firsts = settings.card_key, settings.person_key
    later = [path.name for first in firsts for path in later_files(settings.folder / first).values()]
    for name in (settings.signing_key, settings.card_key, *later, settings.person_key, settings.signing_key + NEXT):
        if (settings.folder / name).exists():
            raise NotEmpty(f"There is a {name} in {settings.folder} already. Restore into an empty folder.")
    if engine.dialect.name == "sqlite":
        is_there = Path(str(engine.url.database)).exists()
    else:
        is_there = bool(inspect(engine).get_table_names())
    if is_there:
        raise NotEmpty("The database that the settings name is not empty. Restore into a new one.")


def _check_schema(manifest: Manifest) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(central.migrations.__file__).parent))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if manifest.schema not in known:
        raise NewerBackup(
            f"The backup was made by Tallypoint {manifest.version}, whose database this version does not know. Install"
            " that version, then restore."
        )


def _restore_sqlite(path: Path, plain: Iterable[bytes], manifest: Manifest, now_ms: int) -> int:
    """The file under another name, made ready, then renamed: it is there ready or not at all."""
    unfinished = path.with_name(path.name + ".unfinished")
    _forget(unfinished)
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in plain:
                file.write(piece)
        now = _begin_anew(f"sqlite:///{unfinished}", manifest, now_ms)
        with closing(sqlite3.connect(unfinished)) as last:
            if (said := last.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                raise BackupDamaged(f"The database in the backup is damaged: {said}. Take another backup.")
            last.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.rename(path)
        return now
    finally:
        _forget(unfinished)


def _forget(unfinished: Path) -> None:
    for end in ("", "-wal", "-shm"):
        unfinished.with_name(unfinished.name + end).unlink(missing_ok=True)


def _begin_anew(url: str, manifest: Manifest, now_ms: int) -> int:
    """Look that it is the database of the manifest, bring it to the newest schema, begin the next generation."""
    engine = open_engine(url)
    try:
        with reading(engine) as tx:
            found = newest_block(tx)
        if found != BlockMark(block_no=manifest.block_no, hash=manifest.block_hash):
            raise InvariantBroken(
                "the database that was put back ends in another block than its manifest says", block_no=found.block_no
            )
        upgrade(engine)
        with writing(engine) as tx:
            return note_restore(tx, now_ms)
    finally:
        engine.dispose()


def _write_key(path: Path, key: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
