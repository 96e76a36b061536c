"""Bringing a database to the newest schema, and the rights a service account needs on it.

Servers of two versions work on one database while head office is upgraded, so a schema is changed in two steps, a
version apart. One *expands*: it adds what those that still run need not know (tables; columns that may be left out).
A later one *contracts*, when nobody uses the old any more. A migration that only expands says so (`keep_serving`);
without that word an earlier version refuses the database. Source: sync.md section 6, "expand → migrate → contract".
"""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from central.database.tables import APPEND_ONLY, REDACTABLE, metadata
from central.ports import reading, writing
from loyalty.trouble import Fault

VERSIONS = (Path(__file__).parent / "versions",)
OLDEST_SERVING = "schema_oldest_serving"  # the setting: which schema's builds may serve this database at the least
LOCK_WAIT_MS = 3_000  # whoever serves waits behind us for as long
TRIES, BETWEEN_S = 20, 1.0
_UPGRADE_KEY = 0x7570_6772  # any number, as long as all of ours ask for the same
_LOCKED = "55P03"  # PostgreSQL's lock_not_available
_log = logging.getLogger(__name__)


class SchemaNewer(Fault):
    code = "database.newer"
    status = 500


class SchemaOlder(Fault):
    code = "database.older"


class SchemaMissing(Fault):
    code = "database.empty"


class SchemaBusy(Fault):
    code = "database.busy"


def upgrade(engine: Engine, to: str = "head") -> None:
    """Run the migrations that a database lacks, in one transaction. Called at every start.

    Raises:
        SchemaNewer: a later version changed the database into what this one cannot serve.
        SchemaBusy: somebody holds its tables for longer than this may wait.
    """
    for _ in range(TRIES):
        try:
            _upgrade(engine, to)
            return
        except OperationalError as trouble:
            if getattr(trouble.orig, "sqlstate", "") != _LOCKED:
                raise
            _log.warning("the tables are in use; the new schema is tried again in a moment")
            time.sleep(BETWEEN_S)
    raise SchemaBusy(
        "Another connection has used the tables for a minute (a backup, `central verify`, or another start that brings"
        " them to the new schema). Wait until it has ended, then start again; those that run serve on."
    )


def check_made(engine: Engine) -> str:
    """The schema that a database is at. Raises: SchemaMissing."""
    with reading(engine) as tx:
        now = MigrationContext.configure(tx).get_current_revision()
    if now is None:
        raise SchemaMissing(
            "The database is there and holds no head office. See that `database_url` and `data_dir` are the right ones;"
            " `tallypoint central init` makes a new one in it."
        )
    return now


def check_schema(engine: Engine) -> None:
    """Whether this version works with a database as it is; it is left as it is.

    Raises:
        SchemaOlder: it is still to be brought to the newest schema. SchemaMissing; SchemaNewer as `upgrade`.
    """
    script = ScriptDirectory.from_config(_config())
    now, ours = check_made(engine), script.get_current_head() or ""
    if now not in {one.revision for one in script.walk_revisions()}:
        with reading(engine) as tx:
            _check_serves(tx, now, ours)
    elif now != ours:
        raise SchemaOlder(
            f"The database is at schema {now}; this version works with {ours}. Start the worker, or the server that"
            " keeps house: it brings it there.",
            schema=now,
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, VERSIONS)))
    return config


def _upgrade(engine: Engine, to: str) -> None:
    config = _config()
    script = ScriptDirectory.from_config(config)
    with writing(engine) as tx:
        if tx.dialect.name == "postgresql":
            # A change of a table waits for all who read it, and all others wait behind it: so it must not wait long.
            tx.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}")
            # Servers and worker start together after an upgrade; one of them does it, the others find it done.
            tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_KEY})")
        known = {one.revision for one in script.walk_revisions()}
        now = MigrationContext.configure(tx).get_current_revision()
        if now is not None and now not in known:
            _check_serves(tx, now, script.get_current_head() or "")
            return
        config.attributes["connection"] = tx
        command.upgrade(config, to)


def _check_serves(tx: Connection, now: str, ours: str) -> None:
    """Whether this version may serve what a later one made. Revisions are numbers of four digits, in order."""
    found = tx.execute(text("SELECT value FROM setting WHERE name = :name"), {"name": OLDEST_SERVING}).scalar()
    if not found or ours < found:
        raise SchemaNewer(
            f"A later version of Tallypoint brought this database to schema {now}; this one knows it up to {ours}."
            " Start the later version again. To go back, restore the backup that was made before it.",
            schema=now,
        )
    _log.warning("the database is of a later version (schema %s), which this one may serve on", now)


def keep_serving(tx: Connection, revision: str) -> None:
    """For a migration: builds that know the schema up to `revision` may go on, and may be started again."""
    tx.execute(
        text(
            "INSERT INTO setting (name, value) VALUES (:name, :value)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        ),
        {"name": OLDEST_SERVING, "value": revision},
    )


def grant_rights(tx: Connection, role: str) -> None:
    """Let a PostgreSQL role serve: it may write everything, but never change or delete what is append-only.

    Run by the owner of the tables, again after an upgrade that brought new ones. Source: ledger.md rule 6; scale.md S9.
    """
    name = tx.dialect.identifier_preparer.quote(role)
    for statement in rights_of(name):
        tx.exec_driver_sql(statement)


def rights_of(role: str) -> Iterator[str]:
    """The statements of `grant_rights`. What the role could do before and should not, it loses.

    Args:
        role: its name as SQL, quoted where it has to be.
    """
    yield f"GRANT USAGE ON SCHEMA public TO {role}"
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}"
    # Looked at when the service starts; whoever owns the tables brings them to a new schema.
    yield f'GRANT SELECT ON "alembic_version" TO {role}'
    for table in sorted(metadata.tables):
        rights = "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        yield f'GRANT {rights} ON "{table}" TO {role}'
        if table in REDACTABLE:
            yield f'GRANT UPDATE ({", ".join(REDACTABLE[table])}) ON "{table}" TO {role}'
