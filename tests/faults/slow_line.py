"""A slow line in virtual time: each exchange moves the story's clock by what its bytes take, and the line may be cut
after any byte. Nothing sleeps, so a million members over 256 kbit/s take as long as the work they make."""

from pathlib import Path
from typing import Any

from central.tills.snapshots import SnapshotMaker
from sync.transport import LineDown
from sync.wire import Answer
from tallypoint.in_process import InProcess, StoryClock

BYTES_S = 32_000  # 256 kbit/s
ROUND_TRIP_MS = 60
HEADERS = 400  # of HTTP, each way


class SlowCoalition(InProcess):
    """A coalition whose tills share nothing but a line each of so many bytes a second.

    Attributes:
        bytes_s: of the line, either way.
        cut_after: bytes after which the line breaks, once each, ascending; counted from the beginning.
        down, up: bytes that went by; carried: (path, bytes down, when) of each exchange that came through.
        cut: bytes down of exchanges that were cut.
    """

    def __init__(self, folder: Path, clock: StoryClock, coalition: dict[str, Any], database_url: str = "") -> None:
        super().__init__(folder, clock, coalition, database_url)
        self.bytes_s = BYTES_S
        self.cut_after: list[int] = []
        self.down = self.up = self.cut = 0
        self.carried: list[tuple[str, int, int]] = []
        self.maker = SnapshotMaker(self.engine, clock)

    def exchange(self, url: str, body: bytes) -> Answer:
        """There and back, in the time it takes; or part of the way."""
        self._pass(len(body) + HEADERS)
        self.up += len(body) + HEADERS
        answer = super().exchange(url, body)
        size = len(answer.body) + HEADERS
        if self.cut_after and self.cut_after[0] <= self.down + size:
            came = max(0, self.cut_after.pop(0) - self.down)
            self._pass(came)
            self.down += came
            self.cut += came
            broke = LineDown("the line broke")
            broke.came = answer.body[: max(0, came - HEADERS)] if answer.status == 200 else b""
            raise broke
        self._pass(size)
        self.down += size
        self.carried.append((url.rsplit("/", 1)[-1], size, self.clock.mono_ms()))
        return answer

    def make_chunks(self) -> int:
        """All chunks that are due; how many were made."""
        made = 0
        while now := self.maker.step():
            made += now
        return made

    def _pass(self, size: int) -> None:
        self.clock.move(ROUND_TRIP_MS // 2 + 1000 * size // self.bytes_s)
