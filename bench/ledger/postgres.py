"""A PostgreSQL of this run's own, as durable as in production: every commit waits for the disk, on either side.

The one of TALLYPOINT_PG_DSN where that is set, which must let us make databases; else the system's programs.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

# Half a gigabyte beside the system's own cache; checkpoints far apart, so that none falls on one side alone.
AS_IN_PRODUCTION = {
    "listen_addresses": "''",
    "shared_buffers": "512MB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
}


class NoPostgres(Exception):
    """There is none on this machine; how to get it."""


@contextmanager
def server() -> Iterator[str]:
    """Its SQLAlchemy URL. Raises: NoPostgres."""
    if dsn := os.environ.get("TALLYPOINT_PG_DSN"):
        yield make_url(dsn).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        return
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not programs:
        raise NoPostgres("no PostgreSQL: apt-get install postgresql, or set TALLYPOINT_PG_DSN")
    with _running(programs[-1].parent) as url:
        yield url


@contextmanager
def database(url: str, name: str, like: str = "template1") -> Iterator[str]:
    """A database while it is needed, empty or a copy of one that nobody is connected to; its URL."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {like}"))
        try:
            yield make_url(url).set(database=name).render_as_string(hide_password=False)
        finally:
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        engine.dispose()


@contextmanager
def _running(programs: Path) -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="tallypoint-pg-"))  # short: a socket's path has at most 107 bytes
    account = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    try:
        if account:
            shutil.chown(folder, account, account)
        data = str(folder / "data")
        _run(account, folder, programs / "initdb", "-D", data, "-U", "tallypoint", "--auth=trust", "--encoding=UTF8",
             "--locale=C")  # fmt: skip
        options = " ".join([f"-k {folder}", *(f"-c {name}={value}" for name, value in AS_IN_PRODUCTION.items())])
        control = (programs / "pg_ctl", "-D", data, "-w", "-s")
        _run(account, folder, *control, "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://tallypoint@/postgres?host={folder}"
        finally:
            _run(account, folder, *control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(account: str | None, folder: Path, *command: str | Path) -> None:
    as_them = {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []} if account else {}
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False, **as_them)  # fmt: skip
    if done.returncode:
        log = folder / "log"
        raise NoPostgres(f"{command[0]} failed: {done.stderr.strip()}{log.read_text() if log.exists() else ''}")
