"""Every sample of every dialect over a real port: a pseudo-terminal, or RFC 2217 where parity is wanted."""

import os
import pty
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from loyalty.cards.cards import WalletCheck
from pos_adapters.readers.port import ReaderLoop
from tests.pos_adapters.dialects import DIALECTS, Dialect
from tests.pos_adapters.samples import RULES, meaning
from tests.pos_adapters.serial_server import SerialServer

SOON_S = 20
EACH = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
# Of the others only silence parts one message from the next.
WITH_ENDS = {name: one for name, one in DIALECTS.items() if one.reader().framing not in ("idle", "tracks")}


class Heard:
    """What a running reader made of its line, and what it answered."""

    def __init__(self, loop: ReaderLoop, outcomes: queue.Queue, send: Callable[[bytes], object],
                 answered: Callable[[], bytes]) -> None:  # fmt: skip
        self.send, self.answered = send, answered
        self._outcomes, self._silence_s = outcomes, loop.profile.idle_ms / 1000

    def meanings(self, count: int) -> list[str]:
        """So many outcomes; where none is due, the line is left silent long enough to end a message."""
        if not count:
            self.rest()
        return [meaning(self._outcomes.get(timeout=SOON_S)) for _ in range(count)]

    def rest(self) -> None:
        """Nothing more comes."""
        time.sleep(self._silence_s + 0.2)
        assert self._outcomes.empty()


@contextmanager
def a_line(seven_bits: bool) -> Iterator[tuple[str, Callable[[bytes], object], Callable[[], bytes]]]:
    """A port's name, how to send to it, and what came back over it."""
    if seven_bits:
        server = SerialServer()
        yield f"rfc2217://127.0.0.1:{server.port}", server.serial.write, lambda: b""
        server.stop()
        return
    device, port = pty.openpty()
    os.set_blocking(device, False)

    def answered() -> bytes:
        try:
            return os.read(device, 4096)
        except BlockingIOError:
            return b""

    yield os.ttyname(port), lambda data: os.write(device, data), answered
    os.close(device)
    os.close(port)


@contextmanager
def heard(dialect: Dialect) -> Iterator[Heard]:
    """A reader of this dialect, up. A tag that is shown twice is two readings here."""
    profile = dialect.reader(repeat_ms=0)
    with a_line(profile.bytesize == 7) as (port, send, answered):
        outcomes: queue.Queue = queue.Queue(200)
        states: queue.Queue = queue.Queue()
        loop = ReaderLoop(
            dialect.reader(repeat_ms=0, port=port), RULES, outcomes.put_nowait,
            wallet=lambda: WalletCheck(0, b"k" * 32), on_state=states.put,
        )  # fmt: skip
        loop.start()
        assert states.get(timeout=SOON_S) == "up"
        reader = Heard(loop, outcomes, send, answered)
        yield reader
        reader.rest()
        assert loop.stop(SOON_S)


@EACH
def test_messages_that_come_whole_over_a_port(dialect: Dialect) -> None:
    with heard(dialect) as reader:
        for sample in dialect.samples:
            reader.send(sample.wire)
            assert reader.meanings(len(sample.outcomes)) == sample.meanings, sample.name
            assert reader.answered() == bytes.fromhex(sample.replies), sample.name


@EACH
def test_messages_that_come_one_byte_at_a_time_over_a_port(dialect: Dialect) -> None:
    with heard(dialect) as reader:
        for sample in dialect.samples:
            for byte in sample.wire:
                reader.send(bytes([byte]))
            assert reader.meanings(len(sample.outcomes)) == sample.meanings, sample.name


@pytest.mark.parametrize("dialect", WITH_ENDS.values(), ids=WITH_ENDS)
def test_messages_with_the_next_one_behind_them_over_a_port(dialect: Dialect) -> None:
    with heard(dialect) as reader:
        reader.send(b"".join(sample.wire for sample in dialect.samples))
        expected = [meaning for sample in dialect.samples for meaning in sample.meanings]
        assert reader.meanings(len(expected)) == expected
