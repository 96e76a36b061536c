"""A process beside this one that answers questions, each a line of JSON, on its standard input and output."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from sys import stdin, stdout
from typing import Any

import msgspec


class ChildEnded(Exception):
    """A child went away instead of answering; what it had to say of it stands on standard error."""


class Child:
    """Runs until closed. The first line it says is `hello`."""

    def __init__(self, command: Sequence[str], *, folder: Path | None = None) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)
        try:
            self.hello = self._read()
        except BaseException:
            self.close()
            raise

    def ask(self, question: Any) -> Any:
        """Its answer. Raises: ChildEnded."""
        self.tell(question)
        return self.hear()

    def tell(self, question: Any) -> None:
        """Ask, and do not wait: others may be asked meanwhile."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(question) + b"\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """The answer to what was told. Raises: ChildEnded."""
        return self._read()

    def close(self) -> None:
        """No more questions: it ends by itself, or is ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildEnded(f"{self._process.args} ended with {self._process.wait()}")
        return msgspec.json.decode(line)


def serve(hello: Any, answer: Callable[[Any], Any]) -> None:
    """The child's side: say hello, then answer until nobody asks any more."""
    _say(hello)
    for line in stdin.buffer:
        _say(answer(msgspec.json.decode(line)))


def _say(words: Any) -> None:
    stdout.buffer.write(msgspec.json.encode(words) + b"\n")
    stdout.buffer.flush()
