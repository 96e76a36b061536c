"""`tallypoint central bundle`: what whoever helps needs to see of head office."""

import argparse
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, func, inspect, select
from sqlalchemy.exc import DBAPIError

from central.database.tables import metadata
from central.ports import Settings, open_engine, reading
from central.upkeep.chore_notes import noted_runs
from central.upkeep.doctor import examine_at_rest
from central.upkeep.metrics import metrics
from central.versions import our_version
from tallypoint.bundle import log_tail, versions, without_secrets, write_bundle
from tallypoint.central.office import CLOCK, Adder, find_office, say

SHOWN = frozenset({
    "listen_host", "listen_port", "secure_cookies", "workers", "sqlite_cache_mib", "chores", "grace_days",
    "hotlist_days", "programme_days", "silent_hours", "worklist_days", "backup_hours", "disk_free_mb", "smtp_port",
    "smtp_security", "log_days", "conformance",
})  # fmt: skip


def add_bundle(action: Adder) -> None:
    """Add `bundle`."""
    bundle = action("bundle", run_bundle, "a ZIP file for whoever helps: figures and versions, nothing of a person")
    bundle.add_argument("--to", type=Path, required=True, help="the file to write")


def run_bundle(args: argparse.Namespace) -> int:
    """Changes nothing; may run beside the service, and when its database does not open."""
    settings = find_office(args)
    engine, now_ms = open_engine(settings.url), CLOCK.wall_ms()
    parts = {
        "versions.json": versions(our_version()),
        "settings.json": without_secrets(settings, SHOWN),
        "doctor.json": msgspec.to_builtins(examine_at_rest(settings, engine, now_ms)),
        **_of_database(settings, engine, now_ms),
        "log.txt": log_tail(settings.log_dir),
    }
    engine.dispose()
    write_bundle(args.to, parts)
    return say(
        args, {"file": str(args.to), "parts": list(parts)}, f"{args.to} is written. Look into it before you send it."
    )


def _of_database(settings: Settings, engine: Engine, now_ms: int) -> dict[str, Any]:
    """What the database tells; of one that cannot be read, that."""
    try:
        with reading(engine) as tx:
            return {
                "metrics.txt": metrics(tx, settings.folder, now_ms),
                "chores.json": {" ".join(key): msgspec.to_builtins(ran) for key, ran in noted_runs(tx).items()},
                "schema.json": _schema(tx),
                "counts.json": _counts(tx),
            }
    except DBAPIError as trouble:
        return {"database.json": {"trouble": type(trouble.orig).__name__}}


def _schema(tx: Connection) -> dict[str, list[str]]:
    """Each table with its columns and their types, as the database has them."""
    found = inspect(tx)
    return {
        name: [f"{column['name']} {column['type']}" for column in found.get_columns(name)]
        for name in sorted(found.get_table_names())
    }


def _counts(tx: Connection) -> dict[str, int]:
    return {name: tx.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in sorted(metadata.tables.items())}  # fmt: skip
