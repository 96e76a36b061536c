"""Bringing a database to the newest schema, and the rights a service account needs on it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from central.ports import writing
from central.tables import APPEND_ONLY, metadata


def upgrade(engine: Engine, to: str = "head") -> None:
    """Run the migrations that a database lacks, in one transaction. Called at every start."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with writing(engine) as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, to)


def grant_rights(tx: Connection, role: str) -> None:
    """Let a PostgreSQL role serve: it may write everything, but never change or delete what is append-only.

    Source: ledger.md rule 6; scale.md S9.
    """
    name = tx.dialect.identifier_preparer.quote(role)
    for table in metadata.tables:
        rights = "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        tx.execute(text(f'GRANT {rights} ON "{table}" TO {name}'))
