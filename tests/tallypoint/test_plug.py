"""A line that can be cut: what went through, what is refused, what works again."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tallypoint.demo.plug import Plug


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers what it hears; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer(line: socket.socket) -> None:
        with line:
            while heard := line.recv(100):
                line.sendall(heard)

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(line,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def plug(echo: int) -> Iterator[Plug]:
    plug = Plug(echo)
    yield plug
    plug.pull()


def said_back(plug: Plug, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", plug.port), timeout=5) as line:
        line.sendall(text)
        return line.recv(100)


def test_what_is_said_goes_through_and_comes_back(plug):
    assert said_back(plug, b"hello") == b"hello"


def test_a_pulled_plug_cuts_who_is_talking_and_refuses_who_comes(plug):
    with socket.create_connection(("127.0.0.1", plug.port), timeout=5) as line:
        line.sendall(b"first")
        assert line.recv(100) == b"first"
        plug.pull()
        assert line.recv(100) == b""
    with pytest.raises(OSError):
        said_back(plug, b"hello")


def test_plugged_in_again_it_relays_on_the_same_port(plug):
    port = plug.port
    plug.pull()
    plug.plug_in()
    assert plug.port == port
    assert said_back(plug, b"again") == b"again"
