"""What is wrong with this head office and what to do, worst first: its machine here, its books in `doctor_books`."""

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from central.coalition.settings import generation
from central.database.tables import block, card_key, people_key
from central.keys.centre_keys import NEXT, notices
from central.keys.key_files import file_of, later_files
from central.members.card_change import tills_without
from central.members.people_change import people_under
from central.migrations import SchemaMissing, SchemaNewer, SchemaOlder, check_schema
from central.ports import DatabaseAway, Settings, reach, reading
from central.streams.block_copies import copy_path
from central.streams.sealing import newest_block
from central.upkeep.ailments import Ailment, Level, worst_first
from central.upkeep.doctor_books import look_at_books
from central.versions import our_version
from sync.keys import Signer

MENDED_SQLITE = (3, 51, 3)
MB = 1_000_000
CLOCKS_APART_MS = 5_000
COPIED_WITHIN_MS = 120_000


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor says. `facts` are for whoever helps: versions, generation, newest block."""

    facts: dict[str, Any]
    ailments: tuple[Ailment, ...]

    @property
    def is_ill(self) -> bool:
        """Whether there is more than advice."""
        return any(one.level != "advice" for one in self.ailments)


def examine(settings: Settings, engine: Engine, now_ms: int) -> Examined:
    """Look at everything, and change nothing."""
    found = [*_files(settings, engine), *_disks(settings), *_engine(settings)]
    with reading(engine) as tx:
        newest = newest_block(tx)
        found += [
            *_key(settings, tx),
            *_card_keys(settings, tx),
            *_people_keys(settings, tx),
            *_clock(tx, now_ms),
            *_copies(settings, tx, now_ms),
            *look_at_books(settings, tx, now_ms),
        ]
        facts = {
            **_versions(engine),
            "generation": generation(tx),
            "newest_block": newest.block_no,
            "block_hash": newest.hash,
        }
    return Examined(facts=facts, ailments=worst_first(found))


def examine_at_rest(settings: Settings, engine: Engine, now_ms: int) -> Examined:
    """The same of a database that need not be whole, nor at the newest schema: then what can be seen without it."""
    try:
        reach(engine)
        check_schema(engine)
        return examine(settings, engine, now_ms)
    except SchemaOlder as trouble:
        found = _of_database(trouble.code, trouble.say, "Docs: running.md, upgrading with tills running.", "wrong")
    except (DatabaseAway, SchemaMissing, SchemaNewer) as trouble:
        found = _of_database(trouble.code, trouble.say, "Tills sell on meanwhile, and send everything afterwards.")
    except DBAPIError as trouble:
        found = _of_database(
            "database.damaged",
            f"The database cannot be read: {str(trouble.orig).strip().splitlines()[0]}.",
            "Stop head office, keep a copy of its files, look at the disk; then restore a backup into an empty place."
            " Tills sell on, and send again what came since.",
        )
    seen = [found, *_files(settings, engine), *_disks(settings), *_engine(settings)]
    return Examined(facts=_versions(engine), ailments=worst_first(seen))


def _of_database(code: str, say: str, do: str, level: Level = "danger") -> Ailment:
    return Ailment(level=level, code=code, about="database", say=say, do=do)


def _versions(engine: Engine) -> dict[str, Any]:
    return {"version": our_version(), "engine": engine.dialect.name, "sqlite": sqlite3.sqlite_version}


def _files(settings: Settings, engine: Engine) -> Iterator[Ailment]:
    """Keys and database are for the service alone."""
    folder = settings.folder
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield _open_to_others(folder, 0o700)
    firsts = settings.card_key, settings.person_key
    later = [path.name for first in firsts for path in later_files(folder / first).values()]
    for name in (settings.signing_key, *firsts, *later):
        path = folder / name
        if name == settings.person_key and not path.exists():
            continue  # made at the first start; `_people_keys` says where it is missed
        if not path.exists():
            yield Ailment(
                level="danger", code="key.missing", about=name, say="The file is gone; the next start makes another.",
                do="Put the file back from a backup before anything is started: tills know the old key only.",
            )  # fmt: skip
        elif len(path.read_bytes()) != 32:
            yield Ailment(
                level="danger", code="key.malformed", about=name, say="The file does not hold 32 bytes.",
                do="Put the file back from a backup.",
            )  # fmt: skip
        elif stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield _open_to_others(path, 0o600)
    waits = folder / (settings.signing_key + NEXT)
    if waits.exists() and stat.S_IMODE(waits.stat().st_mode) & 0o077:
        yield _open_to_others(waits, 0o600)
    if engine.dialect.name == "sqlite":
        database = Path(str(engine.url.database))
        for end in ("", "-wal", "-shm"):
            path = database.with_name(database.name + end)
            if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
                yield _open_to_others(path, 0o600)


def _key(settings: Settings, tx: Connection) -> Iterator[Ailment]:
    """The key file is the one that the last notice of a rotation names, or waits to become it."""
    told = notices(tx)
    files = [settings.folder / name for name in (settings.signing_key, settings.signing_key + NEXT)]
    if not told or not files[0].exists():
        return
    if told[-1].public not in [_public(path) for path in files]:
        yield Ailment(
            level="danger", code="key.other", about=settings.signing_key,
            say="It is not the key that head office signs with since its last rotation.",
            do="Put the right file back from a backup: tills believe no other.",
        )  # fmt: skip


def _card_keys(settings: Settings, tx: Connection) -> Iterator[Ailment]:
    """Every card key that the database names has its file; and how far a change of the key has come."""
    first = settings.folder / settings.card_key
    rows = tx.execute(select(card_key).order_by(card_key.c.no)).all()
    gone = [path.name for row in rows if not (path := file_of(first, row.key_id)).exists() and path != first]
    for name in gone:
        yield Ailment(
            level="danger", code="key.missing", about=name,
            say="The file is gone; no till can enrol, and none hears of card keys.",
            do="Put the file back from a backup.",
        )  # fmt: skip
    # How many cards have no new name is a count of all cards, too much for what is asked every minute.
    in_force = [row for row in rows if not row.retired_ms]
    for row in in_force[:-1]:
        newest = in_force[-1].key_id
        yield Ailment(
            level="advice", code="card_key.change", about=row.key_id,
            say=f"Card key {newest} is to replace {row.key_id}; {len(tills_without(tx, newest))} tills do not hold it.",
            do="Look at `tallypoint central card-key list`; retire the old key once few enough cards are left.",
        )  # fmt: skip


def _people_keys(settings: Settings, tx: Connection) -> Iterator[Ailment]:
    """Every key of personal data that the database names has its file; and how many people a change has left."""
    first = settings.folder / settings.person_key
    rows = tx.execute(select(people_key).order_by(people_key.c.no)).all()
    kept = people_under(tx)
    wanted = {row.key_id for row in rows} | set(kept)
    gone = sorted(path.name for key_id in wanted if not (path := file_of(first, key_id)).exists())
    for name in gone:
        yield Ailment(
            level="danger", code="key.missing", about=name,
            say="The file is gone; who is kept under it cannot be read, and what tills seal to it waits there.",
            do="Put the file back from a backup before anything is started; a start makes another first one.",
        )  # fmt: skip
    in_force = [row.key_id for row in rows if not row.retired_ms]
    for key_id in in_force[:-1]:
        yield Ailment(
            level="advice", code="people_key.change", about=key_id,
            say=f"Key {in_force[-1]} of personal data is to replace {key_id}, which keeps {kept.get(key_id, 0)} still.",
            do="Look at `tallypoint central people-key list`; retire the old key once nobody is left under it.",
        )  # fmt: skip


def _public(path: Path) -> str:
    key = path.read_bytes() if path.exists() else b""
    return Signer(key).public if len(key) == 32 else ""


def _open_to_others(path: Path, wanted: int) -> Ailment:
    return Ailment(
        level="wrong", code="file.readable_by_others", about=path.name,
        say="Others on this machine may read it.", do=f"chmod {wanted:o} {path}",
    )  # fmt: skip


def _disks(settings: Settings) -> Iterator[Ailment]:
    for folder in filter(None, (str(settings.folder), settings.block_copies)):
        if not Path(folder).is_dir():
            yield Ailment(
                level="wrong", code="folder.missing", about=folder, say="The folder is not there.",
                do="Mount its disk, or make it, for the service's own user.",
            )  # fmt: skip
            continue
        free_mb = shutil.disk_usage(folder).free // MB
        if free_mb < settings.disk_free_mb:
            yield Ailment(
                level="danger" if free_mb < settings.disk_free_mb // 5 else "wrong", code="disk.low", about=folder,
                say=f"{free_mb} MB are free at {folder}, less than {settings.disk_free_mb}.",
                do="Free some space, or give it more. Tills keep what is refused meanwhile.",
            )  # fmt: skip


def _engine(settings: Settings) -> Iterator[Ailment]:
    if settings.url.startswith("sqlite") and sqlite3.sqlite_version_info < MENDED_SQLITE:
        yield Ailment(
            level="advice", code="sqlite.old", say=f"SQLite is {sqlite3.sqlite_version}.",
            do="From 3.51.3 on a rare fault of several writers is mended. Until then serve and keep house in one"
            " process, or use PostgreSQL.",
        )  # fmt: skip
    if settings.public_url.startswith("https") and not settings.secure_cookies:
        yield Ailment(
            level="wrong", code="console.insecure_cookies", say="The console is served over TLS with cookies that are"
            " not marked so.", do="Set secure_cookies: true.",
        )  # fmt: skip


def _clock(tx: Connection, now_ms: int) -> Iterator[Ailment]:
    """The database's machine has a clock too."""
    if tx.dialect.name != "postgresql":
        return
    theirs_ms = int(tx.execute(text("SELECT extract(epoch FROM clock_timestamp()) * 1000")).scalar_one())
    if abs(theirs_ms - now_ms) > CLOCKS_APART_MS:
        yield Ailment(
            level="wrong", code="clock.apart",
            say=f"This machine's clock and the database's are {abs(theirs_ms - now_ms) // 1000} s apart.",
            do="Let both follow a time server (timedatectl set-ntp true).",
        )  # fmt: skip


def _copies(settings: Settings, tx: Connection, now_ms: int) -> Iterator[Ailment]:
    """Blocks on another disk say how far a lost centre had come."""
    if not settings.block_copies:
        yield Ailment(
            level="advice", code="blocks.no_copies", say="Blocks are not copied to another disk.",
            do="Set block_copies: after a restore they tell what is missing.",
        )  # fmt: skip
        return
    newest = newest_block(tx)
    sealed_ms = tx.execute(select(block.c.sealed_at_ms).where(block.c.block_no == newest.block_no)).scalar()
    is_due = sealed_ms is not None and now_ms - sealed_ms > COPIED_WITHIN_MS
    if is_due and not copy_path(Path(settings.block_copies), newest).exists():
        yield Ailment(
            level="wrong", code="blocks.copies_behind",
            say=f"Block {newest.block_no} is not in {settings.block_copies}.",
            do="Mend the folder; missing copies are made by themselves then.",
        )  # fmt: skip
