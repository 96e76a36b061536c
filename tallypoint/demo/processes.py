"""Processes the demo starts and ends, each by its own id, with its words in a log file of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import requests

from loyalty.trouble import Fault

START_S = 60.0


class DidNotStart(Fault):
    code = "demo.process_did_not_start"


class Served:
    """One service as a process: started, waited for, ended or killed."""

    def __init__(self, name: str, arguments: list[str], ready_url: str, log: Path) -> None:
        self.name = name
        self.arguments = arguments
        self.ready_url = ready_url
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises: DidNotStart with the end of its log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tallypoint.cli", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        self._wait()

    def _wait(self) -> None:
        assert self.process is not None
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                if requests.get(self.ready_url, timeout=2).status_code < 500:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        tail = self.log.read_text("utf-8", "replace")[-1500:]
        raise DidNotStart(f"{self.name} did not start. The end of {self.log}:\n{tail}", name=self.name)

    def kill(self) -> None:
        """SIGKILL, as a cut power cord would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, then wait; answers the exit status."""
        if self.process is None or self.process.poll() is not None:
            return 0 if self.process is None else self.process.returncode
        self.process.terminate()
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
