"""pg_dump and pg_restore: PostgreSQL's own programs, as the system has them. The password goes by the environment."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine

from loyalty.trouble import Fault

PIECE = 256 * 1024
_SAID = 600  # characters of what a program said when it failed


class ProgramMissing(Fault):
    code = "backup.program_missing"


class ProgramFailed(Fault):
    code = "backup.program_failed"


def find_program(name: str) -> str:
    """A program's path: of the PATH, else the newest of Debian's. Raises: ProgramMissing."""
    if found := shutil.which(name):
        return found
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if installed:
        return str(installed[-1])
    raise ProgramMissing(f"{name} is not on the PATH. Install it (Debian: postgresql-client), then do this again.")


def dump(engine: Engine, snapshot: str) -> Iterator[bytes]:
    """The database as of a snapshot that a transaction has exported, in pg_dump's custom format, piece by piece.

    Raises:
        ProgramMissing, ProgramFailed.
    """
    target, secret = _where(engine)
    command = [find_program("pg_dump"), "--format=custom", "--no-owner", f"--snapshot={snapshot}", "--dbname", target]
    with tempfile.TemporaryFile() as errors:
        done = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=secret)
        try:
            assert done.stdout is not None
            while piece := done.stdout.read(PIECE):
                yield piece
            status = done.wait()
        finally:
            _end(done)
        if status:
            raise _failed("pg_dump", status, errors.seek(0) or errors.read())


def load(engine: Engine, dumped: Iterable[bytes]) -> None:
    """A dump into an empty database, whole or not at all. Owner and rights are for the one who loads to give.

    Raises:
        ProgramMissing, ProgramFailed; and what `dumped` raises.
    """
    target, secret = _where(engine)
    command = [
        find_program("pg_restore"), "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges",
        "--dbname", target,
    ]  # fmt: skip
    with tempfile.TemporaryFile() as errors:
        done = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, env=secret)
        try:
            assert done.stdin is not None
            try:
                for piece in dumped:
                    done.stdin.write(piece)
                done.stdin.close()
            except BrokenPipeError:
                pass  # it ended early, and its status says why
            status = done.wait()
        finally:
            _end(done)
        if status:
            raise _failed("pg_restore", status, errors.seek(0) or errors.read())


def _where(engine: Engine) -> tuple[str, dict[str, str]]:
    """The database as libpq names it, without the password, and the environment with it."""
    url: URL = engine.url
    _, told = engine.dialect.create_connect_args(url)
    password = str(told.pop("password", "") or "")
    told = {name: value for name, value in told.items() if name not in ("context", "cursor_factory")}
    return make_conninfo("", **told), os.environ | ({"PGPASSWORD": password} if password else {})


def _end(done: "subprocess.Popen[bytes]") -> None:
    """Leave no program behind when we were interrupted."""
    if done.poll() is None:
        done.kill()
        done.wait()


def _failed(name: str, status: int, said: bytes) -> ProgramFailed:
    return ProgramFailed(
        f"{name} failed ({status}): {said.decode('utf-8', 'replace').strip()[-_SAID:]} Mend it and do this again;"
        " nothing was changed.",
        status=status,
    )
