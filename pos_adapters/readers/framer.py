"""Where a message begins and ends: bytes in, frames out. Pure; the caller brings the monotonic clock.

Bytes are kept in one buffer of our own and overwritten with zeros as soon as they leave it, for they may be a payment
card. (What pyserial hands over are immutable bytes that nobody can overwrite; they are only let go.)
"""

from collections import Counter
from typing import NamedTuple

from pos_adapters.readers.profile import SUFFIXES, Profile

STX, ETX = 0x02, 0x03


class Frame(NamedTuple):
    """One message without its framing. `data` is the receiver's, to wipe; not `whole`: silence fell before its end."""

    data: bytearray
    whole: bool = True

    def __repr__(self) -> str:
        return f"Frame({len(self.data)} bytes, whole={self.whole})"


def wipe(data: bytearray) -> None:
    """Overwrite in place with zeros."""
    data[:] = bytes(len(data))


class Framer:
    """Cuts one reader's bytes into frames; split and merged deliveries give the same frames.

    Attributes:
        dropped: bytes were thrown away, by reason: `too_long` (messages), `outside` (bytes before an STX).
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._buffer = bytearray()
        self._last_ms = 0
        self._skipping = False  # inside a message that was too long
        self.dropped: Counter[str] = Counter()

    def feed(self, data: bytes, now_ms: int) -> list[Frame]:
        """Take what the port delivered and return the frames that are complete now, in order."""
        frames = self.tick(now_ms)
        self._last_ms = now_ms
        for byte in data:
            frame = self._between(byte) if self._profile.framing == "stx_etx" else self._until_end(byte)
            if frame is not None:
                frames.append(frame)
        return frames

    def tick(self, now_ms: int) -> list[Frame]:
        """Call when nothing came, too: silence of `idle_ms` ends a message or gives an unfinished one up."""
        if now_ms - self._last_ms < self._profile.idle_ms:
            return []
        self._skipping = False
        frame = self._take(whole=self._profile.framing == "idle")
        return [frame] if frame else []

    def reset(self) -> None:
        """The port went away: nothing of the unfinished message stays."""
        self._forget()
        self._skipping = False

    def _until_end(self, byte: int) -> Frame | None:
        self._keep(byte)
        suffix = SUFFIXES[self._profile.suffix]
        if self._profile.framing == "idle" or byte != suffix[-1]:
            return None
        if self._skipping:
            # The bytes before were not kept, so the last one of the suffix has to do.
            self._skipping = False
            return None
        if not self._buffer.endswith(suffix):
            return None
        del self._buffer[-len(suffix) :]
        return self._take(whole=True)

    def _between(self, byte: int) -> Frame | None:
        if byte == STX:
            self.reset()  # the end of the message before it was lost
            self._buffer.append(byte)
        elif self._skipping:
            self._skipping = byte != ETX
        elif not self._buffer:
            self.dropped["outside"] += 1
        elif byte == ETX:
            return self._take(whole=True)
        else:
            self._keep(byte)
        return None

    def _keep(self, byte: int) -> None:
        if self._skipping:
            return
        self._buffer.append(byte)
        if len(self._buffer) > self._profile.max_bytes + len(b"\r\n"):
            self._forget()
            self._skipping = True
            self.dropped["too_long"] += 1

    def _take(self, *, whole: bool) -> Frame | None:
        """The buffer as a frame, without STX and the line ends around it; None when nothing is left."""
        start, end = 0, len(self._buffer)
        while start < end and self._buffer[start] in b"\x02\r\n":
            start += 1
        while start < end and self._buffer[end - 1] in b"\r\n":
            end -= 1
        data = self._buffer[start:end]
        self._forget()
        return Frame(data, whole) if data else None

    def _forget(self) -> None:
        wipe(self._buffer)
        self._buffer.clear()
