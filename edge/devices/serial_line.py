"""A serial line to a device that is written to: opened again after every trouble, waited for no longer than it takes.

pyserial stays behind `Line` and `open_line`. After the cable is pulled, a write raises SerialException (an OSError),
settings and flushes raise termios.error, which is none; `flush` would wait for ever where the other side holds the
line, so we look at what is still to go out instead. Source: devices-and-receipts.md B2, B3.
"""

import sys
import time
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
import serial

LINE_TROUBLE: tuple[type[Exception], ...] = (OSError,)
if sys.platform != "win32":
    import termios

    LINE_TROUBLE = (OSError, termios.error)

WRITE_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 0.3
PIECE = 512  # bytes written at a time: a device that stops is noticed within one of them
_LOOK_S = 0.02

Flow = Literal["none", "rtscts", "xonxoff"]


class LineSetup(msgspec.Struct, frozen=True, kw_only=True):
    """How a device is connected: its path, best a /dev/serial/by-id link, or a pyserial URL; always 8N1."""

    port: str
    baud: int = 9600
    flow: Flow = "none"


class LineTimeout(OSError):
    """The device took nothing any more: switched off, out of paper, or holding the line."""


class Line(Protocol):
    """What we need of a port. `read` returns b"" after ANSWER_TIMEOUT_S."""

    def read(self, size: int = 1, /) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def reset_input_buffer(self) -> None: ...
    def close(self) -> None: ...


def open_line(setup: LineSetup) -> Line:
    """Open the port for us alone. The name is resolved anew each time, so a replugged link is followed.

    Raises:
        OSError, termios.error: it is not there, or somebody else has it.
    """
    line: Line = serial.serial_for_url(
        setup.port,
        baudrate=setup.baud,
        rtscts=setup.flow == "rtscts",
        xonxoff=setup.flow == "xonxoff",
        timeout=ANSWER_TIMEOUT_S,
        write_timeout=WRITE_TIMEOUT_S,
        exclusive=True,
    )
    return line


def send(
    line: Line,
    data: bytes,
    *,
    is_stopping: Callable[[], bool] = lambda: False,
    monotonic_s: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Write everything and see it leave.

    Raises:
        OSError, termios.error: the port is gone. LineTimeout: nothing went out for WRITE_TIMEOUT_S, or we are stopping.
    """
    for at in range(0, len(data), PIECE):
        line.write(data[at : at + PIECE])
        _drain(line, is_stopping, monotonic_s, pause)


def _drain(
    line: Line, is_stopping: Callable[[], bool], monotonic_s: Callable[[], float], pause: Callable[[float], object]
) -> None:
    left, since_s = _left(line), monotonic_s()
    while left:
        if is_stopping() or monotonic_s() - since_s > WRITE_TIMEOUT_S:
            raise LineTimeout(f"{left} bytes are not taken")
        pause(_LOOK_S)
        now = _left(line)
        if now != left:
            left, since_s = now, monotonic_s()


def _left(line: Line) -> int:
    """Bytes that have not gone out; 0 for a line over the network, which cannot tell."""
    return getattr(line, "out_waiting", 0)
