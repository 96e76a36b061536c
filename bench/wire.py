"""Connections that are kept alive, to ask a server as a POS does.

A client library would take as long as the server does. These know only what the servers here answer.
"""

import socket
from urllib.parse import urlsplit

import msgspec


class Line:
    """One connection; any request may be sent over it, one after the other."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, path: str, body: bytes) -> bytes:
        """A request that carries a JSON body."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def send(self, request: bytes) -> bytes:
        """The body of the answer. Raises: ConnectionError where it is none of success."""
        self._socket.sendall(request)
        came = b""
        while b"\r\n\r\n" not in came:
            came += self._more()
        head, _, body = came.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        parts, missing = [body], length - len(body)
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            raise ConnectionError(f"{head.decode()}\n{b''.join(parts).decode()}")
        return b"".join(parts)

    def ask(self, path: str, body: bytes) -> bytes:
        """Both in one."""
        return self.send(self.request(path, body))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _more(self) -> bytes:
        came = self._socket.recv(1 << 18)
        if not came:
            raise ConnectionError("the server hung up in the middle of an answer")
        return came


class Wire(Line):
    """Carries the same request again and again: calling it sends it and gives the body of the answer."""

    def __init__(self, url: str, body: bytes) -> None:
        super().__init__(url)
        self._request = self.request(urlsplit(url).path, body)

    def __call__(self) -> bytes:
        return self.send(self._request)


def json_bytes(value: object) -> bytes:
    """A request body as a POS would write it."""
    return msgspec.json.encode(value)
