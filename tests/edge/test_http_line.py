"""A call that never ends keeps nobody waiting: real sockets that hang, and what they still bring is heard by nobody."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from edge.line import http_line
from edge.line.http_line import HttpLine
from loyalty.trouble import Fault
from sync import transport
from sync.transport import LineDown, LineTooSlow
from sync.wire import CONTENT_TYPE
from tests.edge.test_health import wait_for

WORDS = b"HTTP/1.1 200 OK\r\nContent-Type: " + CONTENT_TYPE.encode() + b"\r\nContent-Length: 4\r\n\r\nwell"
PATIENCE_MS = 200


class Office:
    """A server of one word. While it `holds`, it takes a request and says nothing to it, for ever."""

    def __init__(self) -> None:
        self.holds = True
        self.asked: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/x"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line, self.holds), daemon=True).start()

    def _serve(self, line: socket.socket, holds: bool) -> None:
        with line:
            try:
                self.asked.append(whole(line))
                while holds and self.holds:
                    time.sleep(0.02)
                line.sendall(WORDS)
                time.sleep(0.2)
            except OSError:
                return

    def close(self) -> None:
        self.holds = False
        self._listener.close()


def whole(line: socket.socket) -> bytes:
    """A request with its body, in however many parts it comes; what came where the other side hangs up."""
    told = b""
    while True:
        head, end, body = told.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *([0-9]+)", head)
        if end and length and len(body) >= int(length[1]):
            return told
        if not (more := line.recv(65_536)):
            return told
        told += more


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """The transport cannot cut here, and waits for ever: what a call looks like that never returns."""
    monkeypatch.setattr(transport, "_shut", lambda _sock: None)
    monkeypatch.setattr(http_line, "SPARE_MS", 100)
    real = transport.requests.Session.post
    monkeypatch.setattr(
        transport.requests.Session, "post", lambda self, url, **how: real(self, url, **{**how, "timeout": None})
    )
    made = Office()
    yield made
    made.close()


def took_s(do: Callable[[], object]) -> float:
    begun = time.monotonic()
    with pytest.raises(Fault):
        do()
    return time.monotonic() - begun


def test_a_caller_goes_on_at_its_deadline_and_the_next_call_has_a_line_of_its_own(office: Office) -> None:
    line = HttpLine()
    with pytest.raises(LineTooSlow, match="does not end"):
        line.exchange(office.url, b"first", PATIENCE_MS)
    assert line.hung() == 1
    office.holds = False
    wait_for(lambda: line.hung() == 0)  # what came to the first was heard by nobody
    assert line.exchange(office.url, b"second", 5_000).body == b"well"
    assert [one.rpartition(b"\r\n")[2] for one in office.asked] == [b"first", b"second"]


def test_a_late_answer_is_not_taken_for_the_answer_to_a_later_request(office: Office) -> None:
    line = HttpLine()
    with pytest.raises(LineTooSlow):
        line.exchange(office.url, b"first", PATIENCE_MS)
    again = Office()
    again.holds = False
    assert line.exchange(again.url, b"second", 5_000).body == b"well"
    assert line.hung() == 1
    again.close()


def test_who_waits_behind_a_call_that_hangs_waits_no_longer_than_its_own_deadline(office: Office) -> None:
    line = HttpLine()
    first = threading.Thread(target=lambda: took_s(lambda: line.exchange(office.url, b"first", 3_000)), daemon=True)
    first.start()
    wait_for(lambda: bool(office.asked))
    assert took_s(lambda: line.exchange(office.url, b"second", PATIENCE_MS)) < 2
    first.join(20)


def test_with_too_many_that_hang_nothing_is_tried_until_one_ends(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_line, "MOST_HUNG", 2)
    line = HttpLine()
    for _ in range(2):
        with pytest.raises(LineTooSlow):
            line.exchange(office.url, b"x", PATIENCE_MS)
    with pytest.raises(LineTooSlow, match="2 calls to head office hang"):
        line.exchange(office.url, b"y", PATIENCE_MS)
    assert len(office.asked) == 2
    office.holds = False
    wait_for(lambda: line.hung() == 0)
    assert line.exchange(office.url, b"z", 5_000).body == b"well"


def test_a_resolver_of_names_that_never_answers_keeps_nobody_waiting(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, real = threading.Event(), socket.getaddrinfo

    def resolve(*how: object, **more: object) -> object:
        answers.wait(30)
        return real(*how, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    line = HttpLine()
    assert took_s(lambda: line.exchange(office.url, b"x", PATIENCE_MS)) < 5
    assert line.hung() == 1
    office.holds = False
    answers.set()
    wait_for(lambda: line.hung() == 0)


def test_a_mistake_of_ours_in_the_call_is_no_answer_and_leaves_the_line_whole(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[object] = []
    monkeypatch.setattr(threading, "excepthook", said.append)
    real = http_line.over_http
    monkeypatch.setattr(http_line, "over_http", lambda *_: 1 / 0)
    line = HttpLine()
    with pytest.raises(LineDown, match="our own code"):
        line.exchange(office.url, b"x", PATIENCE_MS)
    assert len(said) == 1
    monkeypatch.setattr(http_line, "over_http", real)
    office.holds = False
    assert line.exchange(office.url, b"x", 5_000).body == b"well"
