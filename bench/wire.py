"""One connection that is kept alive and carries the same request again and again.

A client library would take as long as the server does. This one knows only what the servers here answer.
"""

import socket
from urllib.parse import urlsplit

import msgspec


class Wire:
    """Calling it sends the request and gives the body of the answer."""

    def __init__(self, url: str, body: bytes) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __call__(self) -> bytes:
        self._socket.sendall(self._request)
        came = b""
        while b"\r\n\r\n" not in came:
            came += self._more()
        head, _, body = came.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        parts, missing = [body], length - len(body)
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        if not head.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"{head.decode()}\n{b''.join(parts).decode()}")
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _more(self) -> bytes:
        came = self._socket.recv(1 << 18)
        if not came:
            raise ConnectionError("the server hung up in the middle of an answer")
        return came


def json_bytes(value: object) -> bytes:
    """A request body as a POS would write it."""
    return msgspec.json.encode(value)
