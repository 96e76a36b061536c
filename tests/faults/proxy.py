"""A bad line: a TCP proxy between a till and head office that does to each exchange what its mood says.

It knows just enough of HTTP to tell a whole request from part of one.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType

LONGEST_S = 20.0
HTML = b"<html><body>Welcome to the guest network. Please sign in.</body></html>"


class Proxy:
    """Listens on loopback; `mood` is looked at for every exchange.

    Args:
        upstream: host and port of who really answers.
        slow_s: how long slow moods take.
    Attributes:
        mood: the name of one of `MOODS`; passed: how many exchanges came in under each.
    """

    def __init__(self, upstream: tuple[str, int], *, slow_s: float = 0.3) -> None:
        self.mood = "well"
        self.passed: dict[str, int] = {}
        self.slow_s = slow_s
        self._upstream = upstream
        self._last_answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._listener.close()
        for one in self._open:
            one.close()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(caller)
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        caller.settimeout(LONGEST_S)
        mood = ""
        try:
            while request := read_message(caller):
                mood = self.mood
                self.passed[mood] = self.passed.get(mood, 0) + 1
                MOODS[mood](self, caller, request)
                if mood not in KEEPS_OPEN:
                    return
        except OSError:
            pass  # the till gave up, or we were closed: that is what bad lines are about
        finally:
            if mood != "half open":
                caller.close()

    def answer_to(self, request: bytes) -> bytes:
        """What head office answers to a request's bytes."""
        with socket.create_connection(self._upstream, timeout=LONGEST_S) as upstream:
            upstream.sendall(request)
            return read_message(upstream)


def read_message(line: socket.socket) -> bytes:
    """One HTTP message with a length; what came when the line ended before its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := line.recv(65536)):
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(row.split(b":", 1) for row in head.lower().split(b"\r\n")[1:])
    length = int(fields.get(b"content-length", b"0"))
    while len(body) < length:
        if not (more := line.recv(65536)):
            break
        body += more
    return head + b"\r\n\r\n" + body


def flip(message: bytes) -> bytes:
    """The message with one bit of its body turned over."""
    at = message.index(b"\r\n\r\n") + 4
    at += (len(message) - at) // 2
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


def _page(status: str, more: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(HTML)}\r\n".encode()
    return head + more + b"\r\n" + HTML


def _well(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    answer = proxy.answer_to(request)
    caller.sendall(answer)
    proxy._last_answer = answer


def _slow(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    time.sleep(proxy.slow_s)
    _well(proxy, caller, request)


def _refuse(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    """Hung up on, before a word."""


def _reset(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _half_open(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    """The other side is gone and nobody says so."""


def _drip(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    for byte in proxy.answer_to(request):
        caller.sendall(bytes([byte]))
        time.sleep(proxy.slow_s)


def _swallow(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    """Head office has done it; the till never hears."""
    proxy.answer_to(request)


def _replay(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    """Head office is asked twice; the till hears the second answer."""
    proxy.answer_to(request)
    caller.sendall(proxy.answer_to(request))


def _spoil_request(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    caller.sendall(proxy.answer_to(flip(request)))


def _spoil_answer(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    caller.sendall(flip(proxy.answer_to(request)))


def _cut_answer(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    answer = proxy.answer_to(request)
    caller.sendall(answer[: len(answer) - 40])


def _stale(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    """An earlier answer, well signed, to another request."""
    proxy.answer_to(request)
    caller.sendall(proxy._last_answer)


def _portal(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    caller.sendall(_page("302 Found", b"Location: http://portal.invalid/\r\n"))


def _sign_in(proxy: Proxy, caller: socket.socket, request: bytes) -> None:
    caller.sendall(_page("200 OK"))


KEEPS_OPEN = ("well", "slow")  # the line stays up for the next exchange
MOODS: dict[str, Callable[[Proxy, socket.socket, bytes], None]] = {
    "well": _well, "slow": _slow, "refuses": _refuse, "resets": _reset, "half open": _half_open, "drips": _drip,
    "swallows answers": _swallow, "replays requests": _replay, "spoils requests": _spoil_request,
    "spoils answers": _spoil_answer, "cuts answers": _cut_answer, "stale answers": _stale, "captive portal": _portal,
    "sign-in page": _sign_in,
}  # fmt: skip
