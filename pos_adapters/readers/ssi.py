"""Zebra's Simple Serial Interface: packets with a length and a checksum, each answered, or the scanner sends it again.

    length  opcode  source  status  …  checksum (2)

The length counts neither checksum byte; the checksum is the two's complement of the sum of all bytes before it, high
byte first. Of decoded data (opcode F3) the next byte names the kind of code, in every packet of one that is parted.

No packet says that a code begins. A scanner that gets no answer sends the packet twice more, marked as sent again,
and then gives the code up; what it sends next unmarked is another code.

Source: Zebra, Simple Serial Interface Programmer's Guide (72E-40451), DECODE_DATA, CMD_ACK, CMD_NAK, retries and
serial response time-out; its table of code types; devices-and-receipts.md B1.
"""

from collections import Counter

from pos_adapters.readers.framer import LINE_ENDS, Frame, wipe
from pos_adapters.readers.profile import Profile

DECODE_DATA, EVENT, CMD_ACK, CMD_NAK = 0xF3, 0xF6, 0xD0, 0xD1
ACK = bytes.fromhex("04 D0 04 00 FF 28")
NAK_RESEND = bytes.fromhex("05 D1 04 00 01 FF 25")
RETRANSMITTED, MORE_FOLLOW = 0x01, 0x02
SHORTEST = 4
ANSWERED_WITHIN_MS = 2000  # so long a scanner waits for its answer, as it leaves the factory
RESENT_WITHIN_MS = 3000

_CODE39, _EAN13, _UPC_A, _UPC_E, _EAN8 = 0x01, 0x0B, 0x08, 0x09, 0x0A
_WITH_2, _WITH_5 = 0x40, 0x80
AIM_OF_TYPE = {
    _CODE39: "]A0", 0x13: "]A4", 0x02: "]F0", 0x03: "]C0", 0x04: "]S0", 0x06: "]I0", 0x07: "]G0",
    _UPC_A: "]E0", _UPC_E: "]E0", 0x10: "]E0", _EAN8: "]E4", _EAN13: "]E0", 0x0F: "]C1", 0x11: "]L0", 0x1A: "]L0",
    0x1B: "]d1", 0x1C: "]Q1", 0x2D: "]z0", 0x30: "]e0", 0x31: "]e0", 0x32: "]e0", 0xC1: "]d2", 0xC2: "]Q3",
    **{base | extra: "]E3" for base in (_UPC_A, _UPC_E, _EAN13) for extra in (_WITH_2, _WITH_5)},
}  # fmt: skip


class SsiFramer:
    """Packets of one scanner as frames.

    Attributes:
        dropped: by reason: `checksum` (asked for again), `unfinished`, `too_long`, `resent` (we had it already),
            `outside` (bytes that begin no packet), `other` (packets that hold no code).
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._buffer = bytearray()  # of the packet that is coming
        self._parts = bytearray()  # of the code that comes in several
        self._kind = 0  # of that code
        self._skipping = False  # inside a code that was too long
        self._replies = bytearray()
        self._asked_again = False  # our last answer was a NAK
        self._last_ms = self._began_ms = 0  # the last byte; the first one of the packet that is coming
        self._taken: tuple[int, int, int] | None = None  # length, sum and time of the last packet that was good
        self.dropped: Counter[str] = Counter()

    def feed(self, data: bytes, now_ms: int) -> list[Frame]:
        """Take what the port delivered and return the frames that are complete now, in order."""
        frames = self.tick(now_ms)
        self._last_ms = now_ms
        for byte in data:
            if not self._buffer:
                self._began_ms = now_ms
            self._buffer.append(byte)
            if self._buffer[0] < SHORTEST:
                # No packet is as short as this, so it is noise, or we came in the middle.
                self.dropped["outside"] += 1
                self._forget(self._buffer)
            elif len(self._buffer) == self._buffer[0] + 2:
                frames += self._packet(now_ms)
                self._forget(self._buffer)
        return frames

    def tick(self, now_ms: int) -> list[Frame]:
        """Silence gives an unfinished packet or code up; it is handed on as such, to be looked at and wiped."""
        if self._taken is not None and now_ms - self._taken[2] >= RESENT_WITHIN_MS:
            self._taken = None
        if now_ms - self._last_ms < self._profile.idle_ms:
            return []
        given_up = self._give_up() if now_ms - self._last_ms >= RESENT_WITHIN_MS else []
        if self._buffer:
            self.dropped["unfinished"] += 1
            self._ask_again()
            # The four bytes of the head are no text; what is behind them may be.
            rest = Frame(self._buffer[5:], whole=False)
            self._forget(self._buffer)
            given_up += [rest] if rest.data else []
        return given_up

    def reset(self) -> None:
        """The port went away: nothing of the unfinished message stays."""
        self._forget(self._buffer)
        self._forget(self._parts)
        self._replies.clear()
        self._skipping = self._asked_again = False
        self._taken = None

    def take_replies(self) -> bytes:
        """The answers to the packets since the last call."""
        replies = bytes(self._replies)
        self._replies.clear()
        return replies

    def _packet(self, now_ms: int) -> list[Frame]:
        length, opcode, status = self._buffer[0], self._buffer[1], self._buffer[3]
        if sum(self._buffer[:length]) + int.from_bytes(self._buffer[length:], "big") & 0xFFFF:
            self.dropped["checksum"] += 1
            self._ask_again()
            return []
        if opcode in (CMD_ACK, CMD_NAK):
            return []
        self._replies += ACK
        if opcode != DECODE_DATA or length <= SHORTEST:
            self.dropped["other"] += 1
            return []
        kind, resent = self._buffer[4], bool(status & RETRANSMITTED)
        late = self._taken is None or self._began_ms - self._taken[2] >= ANSWERED_WITHIN_MS
        begins = kind != self._kind or (not resent and (late or self._asked_again))
        # Two packets are the same when only the mark of the second try differs. A sum betrays no card.
        mark = (length, sum(self._buffer[4:length]))
        again = resent and self._taken is not None and self._taken[:2] == mark
        self._taken, self._asked_again = (*mark, now_ms), False
        if again:
            self.dropped["resent"] += 1
            return []
        # The parts of a code that was given up must not stand before the next one.
        broken_off, self._kind = self._give_up() if begins else [], kind
        frame = self._part(length, more=bool(status & MORE_FOLLOW))
        return broken_off if frame is None else [*broken_off, frame]

    def _part(self, length: int, *, more: bool) -> Frame | None:
        if self._skipping:
            self._skipping = more
            return None
        self._parts += self._buffer[5:length]
        if len(self._parts) > self._profile.max_bytes:
            self._forget(self._parts)
            self._skipping = more
            self.dropped["too_long"] += 1
            return None
        if more:
            return None
        data = bytearray(self._parts)
        self._forget(self._parts)
        while data and data[-1] in LINE_ENDS:  # a suffix that was set is sent inside the packet
            del data[-1]
        return Frame(data, aim=AIM_OF_TYPE.get(self._kind)) if data else None

    def _give_up(self) -> list[Frame]:
        """Nothing more comes of a code: its parts are handed on unfinished, to be looked at and wiped."""
        self._skipping = False
        rest = bytearray(self._parts)
        self._forget(self._parts)
        return [Frame(rest, whole=False)] if rest else []

    def _ask_again(self) -> None:
        self._replies += NAK_RESEND
        self._asked_again = True

    def _forget(self, buffer: bytearray) -> None:
        wipe(buffer)
        buffer.clear()
