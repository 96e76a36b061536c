"""The short way of quote and commit: a plain question of the POS is answered before the framework; all else goes the
long way.

A POS asks anew with every line that is rung up, and the way through routes, contexts and header objects costs as much
as a tenth of the answer. What `door` would ask of such a request is asked here, of the request as the server hands it
over. A request with anything unusual about it (a query, a cookie, a browser's headers, another type, a body that cannot
be read) goes the long way. So does what goes wrong here, together with the trouble itself: it is raised anew where it
would have been met, so that it gets its words and is counted, and nothing is done twice.
"""

import hmac
import re
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import msgspec

from edge.api.bodies import CommitBody, QuoteBody
from edge.api.contract import read_body
from edge.counter.desk import Desk
from edge.web.bodies import TROUBLE
from edge.web.door import LOOPBACK, MOST_BYTES, SAFE_HEADERS
from edge.web.openapi import JSON

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_QUOTES, _RECEIPTS = "/v1/quotes", "/v1/receipts"
_OF_BROWSERS = ("HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_EXPECT")


class ShortWay:
    """Answers plain quotes and commits itself, and leaves every other request to the application behind it."""

    def __init__(self, long_way: Application, desk: Desk) -> None:
        self._long_way, self._desk = long_way, desk
        self._token = f"bearer {desk.settings.pos_token}".encode() if desk.settings.pos_token else b""
        # Stricter than `door`, which reads whatever a Host header may hold; what is not one of these goes there.
        names = (*(f"[{name}]" if ":" in name else name for name in (*LOOPBACK, desk.settings.listen_host)),)
        self._host = re.compile(rf"({'|'.join(map(re.escape, names))})(:[0-9]{{1,5}})?", re.IGNORECASE | re.ASCII)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path not in (_QUOTES, _RECEIPTS) or not self._is_plain(environ):
            return self._long_way(environ, start_response)
        data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        try:
            status, told = self._quoted(data) if path == _QUOTES else self._committed(data)
        except Exception as trouble:  # noqa: BLE001 - of whatever kind: the long way answers and counts it
            environ["wsgi.input"], environ[TROUBLE] = BytesIO(data), trouble
            return self._long_way(environ, start_response)
        start_response(status, [("Content-Type", JSON), ("Content-Length", str(len(told))), *SAFE_HEADERS])
        return (told,)

    def _quoted(self, data: bytes) -> tuple[str, bytes]:
        return "200 OK", msgspec.json.encode(self._desk.quote(read_body(data, QuoteBody)))

    def _committed(self, data: bytes) -> tuple[str, bytes]:
        said = self._desk.commit(read_body(data, CommitBody))
        return "200 OK" if said.replayed else "201 CREATED", msgspec.json.encode(said)

    def _is_plain(self, environ: Environ) -> bool:
        length = environ.get("CONTENT_LENGTH", "")
        return (
            environ["REQUEST_METHOD"] == "POST"
            and not environ.get("QUERY_STRING")
            and environ.get("CONTENT_TYPE") == JSON
            and not any(name in environ for name in _OF_BROWSERS)
            and self._host.fullmatch(environ.get("HTTP_HOST", "")) is not None
            and (not self._token or self._knows(environ.get("HTTP_AUTHORIZATION", "")))
            and length.isascii()
            and length.isdigit()
            and len(length) < 9
            and 0 < int(length) <= MOST_BYTES
        )

    def _knows(self, sent: str) -> bool:
        kind, _, token = sent.partition(" ")
        return hmac.compare_digest(f"{kind.lower()} {token.strip()}".encode(), self._token)
