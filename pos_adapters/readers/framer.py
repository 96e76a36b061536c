"""Where a message begins and ends: bytes in, frames out. Pure; the caller brings the monotonic clock.

Bytes are kept in one buffer of our own and overwritten with zeros as soon as they leave it, for they may be a payment
card. (What pyserial hands over are immutable bytes that nobody can overwrite; they are only let go.)
"""

from collections import Counter
from typing import NamedTuple, Protocol

from pos_adapters.readers.profile import SUFFIXES, Profile

STX, ETX = 0x02, 0x03
LINE_ENDS = b"\r\n"


class Frame(NamedTuple):
    """One message without its framing. `data` is the receiver's, to wipe; not `whole`: silence fell before its end.

    `aim` is the carrier where the framing itself says it, as SSI does.
    """

    data: bytearray
    whole: bool = True
    aim: str | None = None

    def __repr__(self) -> str:
        return f"Frame({len(self.data)} bytes, whole={self.whole})"


class Framing(Protocol):
    """What the port's loop needs of a framer.

    Attributes:
        dropped: bytes were thrown away, by reason.
    """

    dropped: Counter[str]

    def feed(self, data: bytes, now_ms: int) -> list[Frame]:
        """Take what the port delivered and return the frames that are complete now, in order."""

    def tick(self, now_ms: int) -> list[Frame]:
        """Call when nothing came, too: silence ends a message or gives an unfinished one up."""

    def reset(self) -> None:
        """The port went away: nothing of the unfinished message stays."""

    def take_replies(self) -> bytes:
        """What the reader has to be told now; b"" mostly."""


def wipe(data: bytearray) -> None:
    """Overwrite in place with zeros."""
    data[:] = bytes(len(data))


class Framer:
    """Cuts one reader's bytes into frames; split and merged deliveries give the same frames.

    Attributes:
        dropped: bytes were thrown away, by reason: `too_long` (messages), `outside` (bytes before an STX, but
            for line ends).
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._suffixes = SUFFIXES[profile.suffix]
        self._last_bytes = frozenset(suffix[-1] for suffix in self._suffixes)
        self._buffer = bytearray()
        self._last_ms = 0
        self._lines = 0
        self._skipping = False  # inside a message that was too long
        self.dropped: Counter[str] = Counter()

    def feed(self, data: bytes, now_ms: int) -> list[Frame]:
        """Take what the port delivered and return the frames that are complete now, in order."""
        frames = self.tick(now_ms)
        self._last_ms = now_ms
        take = {"stx_etx": self._between, "tracks": self._line}.get(self._profile.framing, self._until_end)
        for byte in data:
            frame = take(byte)
            if frame is not None:
                frames.append(frame)
        return frames

    def tick(self, now_ms: int) -> list[Frame]:
        """Call when nothing came, too: silence of `idle_ms` ends a message or gives an unfinished one up."""
        if now_ms - self._last_ms < self._profile.idle_ms:
            return []
        self._skipping = False
        ended = self._profile.framing == "tracks" and self._buffer.endswith((b"\r", b"\n"))
        frame = self._take(whole=self._profile.framing == "idle" or ended)
        return [frame] if frame else []

    def reset(self) -> None:
        """The port went away: nothing of the unfinished message stays."""
        self._forget()
        self._skipping = False

    def take_replies(self) -> bytes:
        """These readers are never answered."""
        return b""

    def _until_end(self, byte: int) -> Frame | None:
        self._keep(byte)
        if self._profile.framing == "idle" or byte not in self._last_bytes:
            return None
        if self._skipping:
            # The bytes before were not kept, so the last one of the suffix has to do.
            self._skipping = False
            return None
        suffix = next((one for one in self._suffixes if self._buffer.endswith(one)), None)
        if suffix is None:
            return None
        del self._buffer[-len(suffix) :]
        return self._take(whole=True)

    def _line(self, byte: int) -> Frame | None:
        """One swipe is one message, though each of its tracks ends like a message."""
        starts = not self._buffer or self._buffer[-1] in LINE_ENDS
        self._keep(byte)
        if byte in LINE_ENDS:
            self._lines += not starts
            if self._profile.lines and self._lines == self._profile.lines:
                return self._take(whole=True)
        return None

    def _between(self, byte: int) -> Frame | None:
        if byte == STX:
            unfinished = self._take(whole=False)  # the end of the message before it was lost
            self._skipping = False
            self._buffer.append(byte)
            return unfinished
        if self._skipping:
            self._skipping = byte != ETX
        elif not self._buffer:
            self.dropped["outside"] += byte not in LINE_ENDS  # which some readers send behind the ETX
        elif byte == ETX:
            return self._take(whole=True)
        else:
            self._keep(byte)
        return None

    def _keep(self, byte: int) -> None:
        if self._skipping:
            return
        self._buffer.append(byte)
        if len(self._buffer) > self._profile.max_bytes + len(LINE_ENDS):
            self._forget()
            self._skipping = True
            self.dropped["too_long"] += 1

    def _take(self, *, whole: bool) -> Frame | None:
        """The buffer as a frame, without STX and the line ends around it; None when nothing is left."""
        start, end = 0, len(self._buffer)
        while start < end and self._buffer[start] in b"\x02\r\n":
            start += 1
        while start < end and self._buffer[end - 1] in LINE_ENDS:
            end -= 1
        data = self._buffer[start:end]
        self._forget()
        return Frame(data, whole) if data else None

    def _forget(self) -> None:
        wipe(self._buffer)
        self._buffer.clear()
        self._lines = 0
