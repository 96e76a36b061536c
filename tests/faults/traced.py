"""Scenes played in processes of their own under strace, which kills them at a chosen system call or makes it fail.

One process has everything imported and forks for each play, so a play costs no start-up. The child waits for strace
before it begins. `trace=` must name the calls that `inject=` names, else nothing is injected.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import msgspec

from tests.support.needs import require

# What changes files, and the answer to the POS, which is a write as well.
CALLS = "pwrite64,write,fdatasync,fsync,ftruncate,unlink,unlinkat,rename,openat"
LONGEST_S = 60
_CALL = re.compile(r"^(?:\d+ +)?(?P<call>\w+)\((?P<rest>.*)$")


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a play ended: the signal that ended it (0 for none), its exit status, and the log of its calls."""

    signal: int
    status: int
    log: str

    def calls(self) -> list[str]:
        """The names of the calls, in order."""
        return [found["call"] for line in self.log.splitlines() if (found := _CALL.match(line))]


class Stage:
    """The process that forks for each play; `with Stage() as stage: stage.play(...)`."""

    def __enter__(self) -> "Stage":
        if not shutil.which("strace"):
            require("no strace: apt-get install strace")
        here = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.traced"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=here,
            env={**os.environ, "PYTHONPATH": str(here)},
        )  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(LONGEST_S)

    def play(self, folder: Path, scene: str, *options: str, calls: str = CALLS) -> Ended:
        """A scene under strace.

        Args:
            options: of strace, such as `-e inject=fdatasync:signal=KILL:when=3`.
            calls: to be logged.
        """
        child = self._ask(f"{folder} {scene}")
        log = folder / "strace.log"
        watch = ["strace", "-qq", "-f", "-p", child, "-o", str(log), "-e", f"trace={calls}", *options]
        subprocess.run(watch, check=False, capture_output=True, timeout=LONGEST_S)
        ended = int(self._ask(f"wait {child}"))
        text = log.read_text("utf-8", "replace")
        log.unlink()
        return Ended(
            signal=os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else 0,
            status=os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else -1,
            log=text,
        )

    def _ask(self, words: str) -> str:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def _serve() -> None:
    """The stage itself: `FOLDER SCENE` forks a child and prints its number; `wait N` prints how it ended."""
    from tests.faults import scenes  # imported before any fork

    for line in sys.stdin:
        first, second = line.split()
        if first == "wait":
            print(os.waitpid(int(second), 0)[1], flush=True)
        elif child := os.fork():
            print(child, flush=True)
        else:
            _play(scenes, Path(first), second)


def _play(scenes: object, folder: Path, scene: str) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    until = time.monotonic() + LONGEST_S
    status = os.open("/proc/self/status", os.O_RDONLY)
    while b"TracerPid:\t0" in os.pread(status, 4096, 0):
        if time.monotonic() > until:
            os._exit(99)
        time.sleep(0.001)
    try:
        scenes.play(folder, scene)  # type: ignore[attr-defined]
    except BaseException as trouble:  # noqa: BLE001 the child ends here, whatever it was; its words are in `said`
        os.write(2, f"{type(trouble).__name__}: {trouble}\n".encode())
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve()
