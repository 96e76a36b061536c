"""Bytes over `requests`, with a deadline that holds.

A timeout of `requests` bounds the silence between two packets, not the exchange: a peer that drips a byte now
and then is waited for without end, in its headers as in its body. So a timer cuts the connection itself. No
redirects (302 turns a POST into a GET), no proxies or passwords from the environment, no compression, no
retries: the one retry loop is the session's. Whatever is wrong is a Fault; what comes back is still only
bytes, and the session believes nothing unsigned.

Source: pitfalls.md, "requests / urllib3".
"""

import socket
import ssl
import threading
import time
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from loyalty.trouble import Fault
from sync.wire import CONTENT_TYPE, Answer

MAX_ANSWER_BYTES = 12 * 1024 * 1024
_CHUNK = 64 * 1024


class LineBroke(Fault):
    """An answer that did not come whole.

    Attributes:
        came: what had come of the body of an answer with status 200; nothing of it proves itself yet.
    """

    came = b""


class LineDown(LineBroke):
    """No connection, or it broke before the answer was whole."""

    code = "line.down"


class LineTooSlow(LineBroke):
    """The deadline passed."""

    code = "line.too_slow"
    status = 504


class LineHijacked(Fault):
    """Somebody else answered: a redirect or a page of a portal or proxy."""

    code = "line.hijacked"
    status = 502


class LineUntrusted(Fault):
    """Whoever answers shows no certificate that is believed here: an authority that is not known, another name, or one
    that this machine's clock takes for too new or too old."""

    code = "line.untrusted"
    status = 502


class AnswerTooLarge(Fault):
    code = "line.answer_too_large"
    status = 502


def new_session(ca_file: str = "") -> requests.Session:
    """A session for one thread; close it after a Fault and make another.

    Args:
        ca_file: certificates, PEM, of the authorities that may vouch for the centre; "" for those of the web.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = ca_file or True
    adapter = _CuttableAdapter()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def exchange(session: requests.Session, url: str, body: bytes, deadline_ms: int) -> Answer:
    """POST `body` and read the whole answer, all within `deadline_ms`.

    Args:
        session: of `new_session`, used by this thread only.
    Returns:
        Any answer that looks like the centre's; errors of 400 and above also without the content type.
    Raises:
        LineDown, LineTooSlow, LineHijacked, LineUntrusted, AnswerTooLarge.
    """
    came = bytearray()
    try:
        return _exchange(session, url, body, deadline_ms, came)
    except LineBroke as broke:
        broke.came = bytes(came)
        raise


def _exchange(session: requests.Session, url: str, body: bytes, deadline_ms: int, came: bytearray) -> Answer:
    ends = time.monotonic() + deadline_ms / 1000
    with _Guillotine(deadline_ms / 1000) as guillotine:
        try:
            with session.post(
                url,
                data=body,
                headers={"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE, "Accept-Encoding": "identity"},
                timeout=deadline_ms / 1000,
                stream=True,
                allow_redirects=False,
            ) as response:
                if guillotine.fell:  # headers that are cut off read like headers that end
                    raise _Cut
                _check_sender(response)
                return Answer(
                    status=response.status_code,
                    body=_read(response, guillotine, came if response.status_code == 200 else bytearray()),
                    retry_after_s=_retry_after(response),
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as trouble:
            if guillotine.fell or time.monotonic() >= ends:
                raise _too_slow(deadline_ms) from None
            if (refused := _certificate_refused(trouble)) is not None:
                raise LineUntrusted(
                    f"The certificate of head office is not believed here ({refused.verify_message}). Look at this"
                    " machine's clock first, then at centre_ca and the certificate. Sales go on."
                ) from None
            raise LineDown(
                f"Head office does not answer ({type(trouble).__name__}); sales go on, sending is tried again."
            ) from None
        except _Cut:
            raise _too_slow(deadline_ms) from None


def _certificate_refused(trouble: BaseException) -> ssl.SSLCertVerificationError | None:
    """What OpenSSL said of a certificate; the libraries above wrap it several times, as cause or as argument."""
    seen: list[BaseException] = [trouble]
    for one in seen:
        if isinstance(one, ssl.SSLCertVerificationError):
            return one
        inside = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        seen += [each for each in inside if isinstance(each, BaseException) and each not in seen]
    return None


def _too_slow(deadline_ms: int) -> LineTooSlow:
    return LineTooSlow("Head office took too long; sales go on, sending is tried again.", deadline_ms=deadline_ms)


def _check_sender(response: requests.Response) -> None:
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    status = response.status_code
    if status >= 400 or (status == 200 and kind == CONTENT_TYPE):
        return
    raise LineHijacked(
        "Something between here and head office answered in its place; check the network's sign-in page or proxy.",
        status=status,
        content_type=kind[:60],
    )


def _read(response: requests.Response, guillotine: "_Guillotine", read: bytearray) -> bytes:
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length) > MAX_ANSWER_BYTES:
        raise AnswerTooLarge("The answer of head office is larger than any it should give.", bytes=int(length))
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        read += chunk
        if len(read) > MAX_ANSWER_BYTES:
            raise AnswerTooLarge("The answer of head office is larger than any it should give.", bytes=len(read))
    if guillotine.fell:  # a body without a length ends the same way when it is cut off
        raise _Cut
    if length.isascii() and length.isdigit() and len(read) != int(length):
        raise LineDown("The answer of head office broke off; sending is tried again.", bytes=len(read))
    return bytes(read)


def _retry_after(response: requests.Response) -> int | None:
    said = response.headers.get("Retry-After", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 10 else None


class _Cut(Exception):
    """The guillotine fell while we read."""


class _Guillotine:
    """Shuts the connection this thread is using when the time is up."""

    def __init__(self, seconds: float) -> None:
        self.fell = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._fall)
        self._timer.daemon = True

    def __enter__(self) -> "_Guillotine":
        _here.guillotine = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        _here.guillotine = None
        self._timer.cancel()

    def hold(self, sock: socket.socket) -> None:
        """Aim at this socket; one that comes after the time is up is cut at once."""
        with self._lock:
            self._socket = sock
            late = self.fell
        if late:
            _shut(sock)

    def _fall(self) -> None:
        with self._lock:
            self.fell = True
            sock = self._socket
        if sock is not None:
            _shut(sock)


def _shut(sock: socket.socket) -> None:
    # The plain socket's shutdown on purpose: a TLS socket's own would pull the session from under the reader.
    # A socket that is closed already needs no cutting.
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return


class _Here(threading.local):
    guillotine: _Guillotine | None = None


_here = _Here()


def _aim(sock: Any) -> None:
    if _here.guillotine is not None and isinstance(sock, socket.socket):
        _here.guillotine.hold(sock)


class _Http(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _aim(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _aim(self.sock)  # a connection that is used again does not connect again
        super().request(*args, **kwargs)


class _Https(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        _aim(sock)  # a TLS handshake can drip too
        return sock

    def connect(self) -> None:
        super().connect()
        _aim(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _aim(self.sock)
        super().request(*args, **kwargs)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _CuttableAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
