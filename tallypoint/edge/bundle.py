"""`tallypoint edge bundle`: what whoever helps needs to see of a till."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from edge.database import reading_only
from edge.doctor import Examined
from edge.line.enrol import CACHE_FILE, JOURNAL_FILE
from edge.ports import Settings
from edge.web.health import our_version
from tallypoint.bundle import log_tail, versions, without_secrets, write_bundle

SHOWN = frozenset({
    "listen_host", "listen_port", "till_kind", "language", "offset_min", "receipt_columns", "receipt_profile",
    "reader_port", "members_every_s", "log_days", "printer_port", "printer_baud", "printer_flow", "printer_drawer",
    "display_port", "display_baud", "display_profile",
})  # fmt: skip


def make_bundle(path: Path, settings: Settings, said: Examined, status: Any, figures: str) -> list[str]:
    """Write the bundle; the names of its parts.

    Args:
        status, figures: what the running service says under /v1/status and /metrics; none and "" where it is silent.
    """
    parts: dict[str, Any] = {
        "versions.json": versions(our_version()),
        "settings.json": without_secrets(settings, SHOWN),
        "doctor.json": msgspec.to_builtins(said),
        "status.json": status,
        "metrics.txt": figures,
        "files.json": _files(settings.folder),
        "log.txt": log_tail(settings.log_dir),
    }
    for name in (JOURNAL_FILE, CACHE_FILE):
        parts[f"{name}.json"] = _database(settings.folder / name)
    write_bundle(path, parts)
    return list(parts)


def _files(folder: Path) -> list[dict[str, Any]]:
    if not folder.is_dir():
        return []
    return [{"name": one.name, "bytes": one.stat().st_size, "mode": f"{one.stat().st_mode & 0o777:o}"}
            for one in sorted(folder.iterdir())]  # fmt: skip


def _database(path: Path) -> dict[str, Any]:
    """Its tables with columns and numbers of rows; what is in them stays there."""
    if not path.exists():
        return {"trouble": "there is no such file"}
    try:
        with closing(reading_only(path)) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            schema = {name: [f"{column[1]} {column[2]}" for column in database.execute(f'PRAGMA table_info("{name}")')]
                      for name in sorted(names)}  # fmt: skip
            rows = {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in sorted(names)}
    except sqlite3.Error as error:
        return {"trouble": type(error).__name__}
    return {"schema": schema, "rows": rows}
