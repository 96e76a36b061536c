"""The till's door over real HTTP: names rebound to this machine, foreign pages, the POS token, screens elsewhere."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.web.server import WebServer
from tests.edge.rim import Rim, commit, quote

EVIL = "http://evil.example"


class Door:
    """A till that listens on a port of its own."""

    def __init__(self, rim: Rim) -> None:
        self.rim = rim
        self.server = WebServer(rim.client.application, host="127.0.0.1", port=0, threads=4)
        self.server.start()
        self.port = int(self.server.url.rsplit(":", 1)[1])

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """One request as a stranger may write it: these headers, and a Host only where one is given."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        data = msgspec.json.encode(body) if body is not None else b""
        line.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        sent = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(data)), **headers}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        for name, value in sent.items():
            line.putheader(name.replace("_", "-"), value)
        line.endheaders(data)
        answer = line.getresponse()
        said = answer.status, dict(answer.getheaders()), answer.read()
        line.close()
        return said

    def code(self, *what: Any, **headers: str) -> tuple[int, str]:
        status, _, body = self.ask(*what, **headers)
        return status, msgspec.json.decode(body).get("code", "")

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as line:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: line.recv(65536), b""))


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(Rim(tmp_path))
    yield made
    made.server.stop()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Door]:
    made = Door(Rim(tmp_path, pos_token="s3cret"))
    yield made
    made.server.stop()


HOSTS = [
    "evil.example", "evil.example:8640", "127.0.0.1.evil.example", "localhost.evil.example", "localhost.",
    "evil@127.0.0.1", "127.0.0.1@evil.example", "0.0.0.0", "127.1", "2130706433", "[::ffff:127.0.0.1]", "[", "[::1",
    "", " ", "127.0.0.1/evil", "127.0.0.1:8640:1", "127.0.0.1\\evil",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/v1/quotes", "/customer", "/cashier", "/events", "/metrics"])
def test_a_name_that_was_rebound_to_this_machine_reaches_nothing(door: Door, host: str, path: str) -> None:
    method, body = ("POST", quote()) if path.startswith("/v1/") else ("GET", None)
    status, _, said = door.ask(method, path, body, Host=host)
    assert status in (400, 421), said
    assert b"2012345678903" not in said


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost:99", "[::1]:8640"])
def test_the_names_of_this_machine_are_answered(door: Door, host: str) -> None:
    assert door.ask("POST", "/v1/quotes", quote(), Host=host)[0] == 200


def test_forwarded_names_do_not_count(door: Door) -> None:
    sent = {"X_Forwarded_Host": "127.0.0.1", "Forwarded": "host=127.0.0.1", "X_Forwarded_For": "127.0.0.1"}
    assert door.code("POST", "/v1/quotes", quote(), Host="evil.example", **sent) == (421, "request.wrong_host")


PAGES = [
    {"Origin": EVIL}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "http://localhost"},
    {"Origin": "https://127.0.0.1"}, {"Origin": "file://"}, {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"}, {"Origin": EVIL, "Sec_Fetch_Site": "same-origin"},
]  # fmt: skip


@pytest.mark.parametrize("told", PAGES)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/receipts"), ("POST", "/v1/day-close"), ("GET", "/events")])
def test_a_hostile_page_on_this_machine_does_nothing(door: Door, told: dict[str, str], method: str, path: str) -> None:
    body = commit() if path == "/v1/receipts" else None
    assert door.code(method, path, body, **told) == (403, "request.foreign_origin")
    assert door.rim.journal.head().seq <= 1  # no sale was written


def test_a_form_of_a_hostile_page_is_no_request_even_without_its_origin(door: Door) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert door.code("POST", "/v1/receipts", commit(), Content_Type=kind) == (415, "request.not_json")
    assert door.rim.journal.head().seq <= 1


def test_a_preflight_of_a_hostile_page_gets_no_leave(door: Door) -> None:
    sent = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Private_Network": "true"}
    for origin in ({"Origin": EVIL}, {}):
        _, headers, _ = door.ask("OPTIONS", "/v1/receipts", None, **sent, **origin)
        assert not [name for name in headers if name.lower().startswith("access-control-")]


def test_no_answer_may_be_read_framed_or_kept_by_another_page(door: Door) -> None:
    for method, path in (("GET", "/customer"), ("GET", "/v1/status"), ("GET", "/nothing"), ("POST", "/v1/quotes")):
        _, headers, _ = door.ask(method, path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


WRONG = ["", "Bearer", "Bearer ", "Bearer wrong", "Bearer s3cret x", "Basic s3cret", "s3cret", "Bearer S3CRET"]


@pytest.mark.parametrize("sent", WRONG)
def test_a_pos_without_the_token_reaches_no_route_of_the_api(guarded: Door, sent: str) -> None:
    headers = {"Authorization": sent} if sent else {}
    routes = [rule for rule in guarded.rim.client.application.url_map.iter_rules() if rule.rule.startswith("/v1/")]
    assert len(routes) > 8
    for rule in routes:
        if rule.rule == "/v1/screen":
            continue
        method = "POST" if "POST" in (rule.methods or ()) else "GET"
        path = rule.rule.replace("<path:receipt_id>", "R1")
        assert guarded.code(method, path, {} if method == "POST" else None, **headers) == (401, "request.token")


def test_a_token_is_taken_however_its_scheme_is_spelled(guarded: Door) -> None:
    for sent in ("Bearer s3cret", "bearer s3cret"):
        assert guarded.ask("POST", "/v1/quotes", quote(), Authorization=sent)[0] == 200


@pytest.mark.parametrize("path", ["/v1/screen", "/customer", "/events", "/metrics"])
def test_a_screen_elsewhere_needs_the_token(tmp_path: Path, path: str) -> None:
    # The connection comes from another machine of the store; the headers are the same.
    client = Rim(tmp_path, pos_token="s3cret", listen_host="10.0.0.5").client
    away = {"environ_base": {"REMOTE_ADDR": "10.0.0.9"}, "headers": {"Host": "10.0.0.5:8640"}}
    assert client.get(path, **away).status_code == 401
    away["headers"]["Authorization"] = "Bearer s3cret"
    with client.get(path, **away, buffered=False) as answer:
        assert answer.status_code == 200
    # Who calls 10.0.0.5 on the till's own machine comes from 10.0.0.5.
    for address in ("127.0.0.1", "10.0.0.5"):
        sent = {"environ_base": {"REMOTE_ADDR": address}, "headers": {"Host": "10.0.0.5:8640"}}
        with client.get(path, **sent, buffered=False) as here:
            assert here.status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET http://127.0.0.1/metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\nX-Host: 127.0.0.1\r\n\r\n",
    ],
)
def test_a_second_name_beside_a_strange_one_does_not_help(door: Door, head: bytes) -> None:
    status = int(door.raw(head).split(b" ", 2)[1])
    assert status in (400, 421)
