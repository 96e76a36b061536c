"""Bringing a database to the newest schema, and the rights a service account needs on it."""

from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine

from central.database.tables import APPEND_ONLY, REDACTABLE, metadata
from central.ports import writing

_UPGRADE_KEY = 0x7570_6772  # any number, as long as all of ours ask for the same


def upgrade(engine: Engine, to: str = "head") -> None:
    """Run the migrations that a database lacks, in one transaction. Called at every start."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with writing(engine) as tx:
        if tx.dialect.name == "postgresql":
            # Servers and worker start together after an upgrade; one of them does it, the others find it done.
            tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_KEY})")
        config.attributes["connection"] = tx
        command.upgrade(config, to)


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
