"""Bytes over a real socket on loopback, to servers that behave badly. Deadlines are short, waits are the server's."""

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sync.transport import AnswerTooLarge, LineDown, LineHijacked, LineTooSlow, LineUntrusted, exchange, new_session
from sync.wire import CONTENT_TYPE

OURS = f"Content-Type: {CONTENT_TYPE}\r\n".encode()


class Server:
    """One thread that accepts connections and hands each to `behave` after reading the request."""

    def __init__(self, behave: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[bytes] = []
        self.gone = threading.Event()
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}/sync/v1/hello"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    if self._tls:
                        connection = self._tls.wrap_socket(connection, server_side=True)
                    self.requests.append(read_request(connection))
                    self._behave(connection)
                except OSError:
                    self.gone.set()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def reply(status: bytes, headers: bytes, body: bytes) -> Callable[[socket.socket], None]:
    length = b"Content-Length: %d\r\n" % len(body)
    return lambda connection: connection.sendall(b"HTTP/1.1 " + status + b"\r\n" + headers + length + b"\r\n" + body)


def drip(first: bytes, rest: bytes) -> Callable[[socket.socket], None]:
    """Send `first`, then a byte of `rest` every 20 ms for ten seconds or until the other side is gone."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(first)
        for at in range(500):
            time.sleep(0.02)
            connection.sendall(rest[at % len(rest) :][:1])

    return behave


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], Server]]:
    servers: list[Server] = []

    def start(behave: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(behave, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def post(server: Server, deadline_ms: int = 5_000, body: bytes = b"\x00\x02{}"):
    with new_session() as session:
        return exchange(session, server.url, body, deadline_ms)


def test_the_answer_comes_back_byte_for_byte(serve):
    answer = post(serve(reply(b"200 OK", OURS, bytes(range(256)))))
    assert (answer.status, answer.body, answer.retry_after_s) == (200, bytes(range(256)), None)


def test_the_request_carries_the_bytes_and_asks_for_no_compression(serve):
    server = serve(reply(b"200 OK", OURS, b""))
    post(server, body=b"\x00\xff\r\n\r\nbytes")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"\x00\xff\r\n\r\nbytes"
    assert b"Accept-Encoding: identity" in head
    assert b"Content-Type: application/vnd.tallypoint.sync" in head


@pytest.mark.parametrize(
    ("said", "seconds"), [(b"120", 120), (b"Wed, 21 Oct 2026 07:28:00 GMT", None), (b"-1", None), (b"9" * 40, None)]
)
def test_a_refusal_comes_back_with_its_retry_after(serve, said, seconds):
    answer = post(serve(reply(b"503 Busy", OURS + b"Retry-After: " + said + b"\r\n", b"no")))
    assert (answer.status, answer.body, answer.retry_after_s) == (503, b"no", seconds)


def test_an_error_page_of_a_proxy_comes_back_as_its_status(serve):
    assert post(serve(reply(b"502 Bad Gateway", b"Content-Type: text/html\r\n", b"<html>"))).status == 502


@pytest.mark.parametrize(
    "behave",
    [
        reply(b"200 OK", b"Content-Type: text/html\r\n", b"<html>Welcome to our network</html>"),
        reply(b"200 OK", b"", b"no type at all"),
        reply(b"302 Found", b"Location: http://127.0.0.1:1/portal\r\n", b""),
        reply(b"307 Temporary Redirect", b"Location: http://127.0.0.1:1/portal\r\n" + OURS, b""),
        reply(b"204 No Content", OURS, b""),
    ],
    ids=["HTML with status 200", "no content type", "redirect", "redirect that keeps POST", "another success"],
)
def test_somebody_else_s_answer_is_a_fault_and_is_not_followed(serve, behave):
    server = serve(behave)
    with pytest.raises(LineHijacked):
        post(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "behave",
    [
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n" + OURS + b"\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\n" + OURS + b"Connection: close\r\n\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"y"),
        drip(b"", b"HTTP/1.1 200 OK\r\n"),
        lambda connection: connection.recv(1),
    ],
    ids=["body", "body without a length", "headers", "status line", "silence"],
)
def test_a_drip_ends_at_the_deadline(serve, behave):
    server = serve(behave)
    with pytest.raises(LineTooSlow):
        post(server, deadline_ms=300)


def test_a_connection_that_is_used_again_is_cut_at_its_own_deadline(serve):
    def behave(connection: socket.socket) -> None:
        reply(b"200 OK", OURS, b"first")(connection)
        read_request(connection)
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n" + OURS + b"\r\n", b"x")(connection)

    server = serve(behave)
    with new_session() as session:
        assert exchange(session, server.url, b"{}", 5_000).body == b"first"
        with pytest.raises(LineTooSlow):
            exchange(session, server.url, b"{}", 300)
    assert len(server.requests) == 1, "both went over one connection"


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n" + OURS + b"\r\nonly this",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + OURS + b"\r\n5\r\nonly",
        b"",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
    ids=["body", "chunk", "nothing", "not HTTP"],
)
def test_an_answer_that_breaks_off_is_a_fault(serve, sent):
    with pytest.raises(LineDown):
        post(serve(lambda connection: connection.sendall(sent)))


@pytest.mark.parametrize(
    ("headers", "came", "trouble"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n", b"only this", LineDown),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-Wait: 1\r\n", b"only this", LineTooSlow),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n", b"", LineDown),
    ],
    ids=["broken off", "too slow", "a refusal"],
)
def test_what_came_of_an_answer_that_broke_off_is_there(serve, headers, came, trouble):
    def behave(connection: socket.socket) -> None:
        connection.sendall(headers + OURS + b"\r\nonly this")
        if b"Wait" in headers:
            connection.recv(1)  # until the other side gives up

    with pytest.raises(trouble) as broke:
        post(serve(behave), deadline_ms=400)
    assert broke.value.came == came


def test_headers_that_break_off_are_not_taken_for_the_centre_s(serve):
    with pytest.raises(LineHijacked):
        post(serve(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")))


def test_an_answer_that_is_too_large_is_not_read_to_its_end(serve):
    huge = b"HTTP/1.1 200 OK\r\n" + OURS
    with pytest.raises(AnswerTooLarge):
        post(serve(lambda connection: connection.sendall(huge + b"Content-Length: 99999999999\r\n\r\n")))

    def flood(connection: socket.socket) -> None:
        connection.sendall(huge + b"Connection: close\r\n\r\n")
        for _ in range(1_000):
            connection.sendall(bytes(65_536))

    server = serve(flood)
    with pytest.raises(AnswerTooLarge):
        post(server, deadline_ms=60_000)
    assert server.gone.wait(10)


def test_a_compressed_answer_is_left_as_it_came(serve):
    answer = post(serve(reply(b"200 OK", OURS + b"Content-Encoding: gzip\r\n", b"not gzip at all")))
    assert answer.body == b"not gzip at all"


def test_a_centre_that_is_not_there_is_a_fault():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with new_session() as session, pytest.raises(LineDown):
        exchange(session, f"http://127.0.0.1:{port}/sync/v1/hello", b"", 5_000)


def test_proxies_of_the_environment_are_not_used(serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert post(serve(reply(b"200 OK", OURS, b"direct"))).body == b"direct"


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    return made_certificate(tmp_path, from_day=-1)


def made_certificate(folder: Path, *, from_day: int, address: str = "127.0.0.1") -> str:
    """Path of a certificate with its key, signed by itself, good for two days from a day relative to today."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "centre")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(today + datetime.timedelta(days=from_day))
        .not_valid_after(today + datetime.timedelta(days=from_day + 2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, None)
    )
    path = folder / "centre.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return str(path)


@pytest.fixture
def tls(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_an_answer_comes_over_tls_and_a_drip_in_it_ends_at_the_deadline(serve, tls, certificate):
    dripping = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n" + OURS + b"\r\n", b"x")
    with new_session() as session:
        session.verify = certificate
        assert exchange(session, serve(reply(b"200 OK", OURS, b"safe"), tls).url, b"{}", 5_000).body == b"safe"
        with pytest.raises(LineTooSlow):
            exchange(session, serve(dripping, tls).url, b"{}", 500)


def test_a_certificate_nobody_vouches_for_is_a_fault_of_its_own(serve, tls):
    with pytest.raises(LineUntrusted, match="self-signed certificate"), new_session() as session:
        exchange(session, serve(reply(b"200 OK", OURS, b""), tls).url, b"{}", 5_000)


@pytest.mark.parametrize(("made", "said"), [
    ({"from_day": 1}, "certificate is not yet valid"), ({"from_day": -3}, "certificate has expired"),
    ({"from_day": -1, "address": "127.0.0.2"}, "IP address mismatch"),
])  # fmt: skip
def test_a_clock_that_is_wrong_is_not_taken_for_a_line_that_is_down(serve, tmp_path, made, said):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path := made_certificate(tmp_path, **made))
    with pytest.raises(LineUntrusted, match=said) as told, new_session(path) as session:
        exchange(session, serve(reply(b"200 OK", OURS, b""), context).url, b"{}", 5_000)
    assert "clock first" in told.value.say


def test_a_handshake_that_drips_ends_at_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as listener, new_session() as session:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        done = threading.Event()

        def behave() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                dripped = 0
                try:
                    connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")  # a long ServerHello begins
                    while not done.wait(0.02) and dripped < 500:
                        connection.sendall(b"x")
                        dripped += 1
                except OSError:
                    return

        thread = threading.Thread(target=behave)
        thread.start()
        with pytest.raises(LineTooSlow):
            exchange(session, url, b"{}", 300)
        done.set()
        thread.join(10)
