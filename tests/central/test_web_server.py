"""What the server of head office listens on."""

import socket
from typing import Any

import pytest
import requests

from central.web_server import PortTaken, WebServer


def app(environ: dict[str, Any], start: Any) -> list[bytes]:
    start("200 OK", [("Content-Length", "2")])
    return [b"it"]


def looked_up(host: str, port: Any, *rest: Any, **more: Any) -> list[tuple[Any, ...]]:
    """Debian's `localhost` is an address of IPv6 and one of IPv4; nobody here is called `office`."""
    if host == "office":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", int(port or 0), 0, 0))
    four = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port or 0)))
    return [six, four] if host == "localhost" else [four]


def test_a_name_with_two_addresses_is_listened_on_at_one_and_a_name_of_none_says_what_to_correct(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", looked_up)
        server = WebServer(app, host="localhost", port=0, threads=1)
        with pytest.raises(PortTaken) as refused:
            WebServer(app, host="office", port=0, threads=1)
    server.start()
    try:
        assert requests.get(server.url.replace("localhost", "127.0.0.1"), timeout=5).text == "it"
    finally:
        server.stop()
    assert "office:0: Name or service not known" in refused.value.say
    assert "correct listen_host and listen_port" in refused.value.say
