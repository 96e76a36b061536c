"""Who may come in over HTTP, and what trouble looks like on the way out: RFC 9457 problem documents, all of them.

Only this machine may ask: the Host header must be a loopback name (so no page elsewhere can rebind its own name to
us), and a browser that says it comes from a foreign page is refused. A POS shows its token; the screens, which have
none, are this machine's alone. Nothing of a body or a query is ever logged.
"""

import hmac
import logging
import secrets
import traceback
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec
from flask import Flask, Response, request

from edge.ports import Settings
from edge.web.openapi import JSON, PROBLEM
from edge.web.page_sessions import COOKIE, PageSessions
from loyalty.trouble import Fault, InvariantBroken, Refusal, Trouble

MOST_BYTES = 256 * 1024
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PAGES = ("/customer", "/kiosk", "/cashier")  # may be opened from a link of the POS's own page
_OPEN = ("/v1/screen",)  # the display has no token, and is told no more than it shows
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_EVERYWHERE = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
SAFE_HEADERS = (*_EVERYWHERE, ("Content-Security-Policy", _POLICY), ("Cache-Control", "no-store"))
_log = logging.getLogger(__name__)


class NotThisHost(Refusal):
    code = "request.wrong_host"
    status = 421


class ForeignPage(Refusal):
    code = "request.foreign_origin"
    status = 403


class NoToken(Refusal):
    code = "request.token"
    status = 401


class NotJson(Refusal):
    code = "request.not_json"
    status = 415


class TooLarge(Refusal):
    code = "request.too_large"
    status = 413


class NoSuchPath(Refusal):
    code = "request.unknown_path"
    status = 404


class NoSuchMethod(Refusal):
    code = "request.wrong_method"
    status = 405


class NotHttp(Refusal):
    code = "request.refused"
    status = 400


class InternalError(Fault):
    code = "internal.error"
    status = 500


def guard(app: Flask, settings: Settings, sessions: PageSessions) -> None:
    """Check every request before its route, and put safe headers on every answer."""
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    host = settings.listen_host.lower()

    @app.before_request
    def check() -> None:
        if not _is_ours(request.host, host):
            raise NotThisHost("Call this till by a name of its own machine, such as 127.0.0.1.")
        _check_page()
        # A screen stands on the till's own machine; from elsewhere even that needs the token.
        is_open = not request.path.startswith("/v1/") or request.path in _OPEN
        is_here = _is_from_here(host)
        if not (is_open and request.args.get("for", "customer") == "customer" and is_here) and not (
            is_here and _is_of_page(sessions)
        ):
            _check_token(settings.pos_token)
        # A void or a day close may come without any body, and so without its type.
        sent = request.content_length or request.mimetype
        if request.method == "POST" and request.url_rule and sent and request.mimetype != JSON:
            raise NotJson("Send the body as application/json.")

    @app.after_request
    def cover(answer: Response) -> Response:
        headers = answer.headers
        for name, value in _EVERYWHERE:
            headers.add(name, value)
        headers.setdefault("Content-Security-Policy", _POLICY)
        if not request.path.startswith("/static/"):
            headers["Cache-Control"] = "no-store"
        return answer


def answer_troubles(app: Flask, count: Callable[[str], None], count_refusal: Callable[[str], None]) -> None:
    """Turn whatever is raised into a problem document.

    Args:
        count: called with the code of each trouble that is not the caller's; `count_refusal` with that of each refusal.
    """

    @app.errorhandler(Trouble)
    def trouble(error: Trouble) -> Response:
        if isinstance(error, Fault | InvariantBroken):
            count(error.code)
            _log.error("%s %s: %s", request.method, request.url_rule, error)
        else:
            count_refusal(error.code)
        return problem(error)

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        status = getattr(error, "code", None)
        if isinstance(status, int) and 400 <= status < 500 and hasattr(error, "get_headers"):
            return problem(_of_status(status), error.get_headers())
        incident = secrets.token_hex(4)
        count(InternalError.code)
        # Where and what kind, never the message: it may quote what was sent.
        frames = "; ".join(f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__))
        kind, asked = type(error).__name__, f"{request.method} {request.url_rule}"
        _log.error("incident %s: %s at %s: %s", incident, kind, asked, frames)
        return problem(
            InternalError(
                f"Something went wrong here (incident {incident}). Sell on and send the same request again; if it "
                "stays, tell the help desk this number.",
                incident=incident,
            )
        )


def problem(error: Trouble, headers: list[tuple[str, str]] | None = None) -> Response:
    """A trouble as its answer; of foreign headers only those that say what would be allowed."""
    answer = Response(msgspec.json.encode(error.problem()), error.status, mimetype=PROBLEM)
    for name, value in headers or ():
        if name.lower() in ("allow", "retry-after"):
            answer.headers[name] = value
    if isinstance(error, NoToken):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _is_ours(host: str, listen_host: str) -> bool:
    """Whether a Host header calls this till by a name of its own machine, or the one it listens on."""
    name = _name_in(host)
    return name in LOOPBACK or name == listen_host


@lru_cache(maxsize=64)  # a POS calls by the same name each time, from the same address
def _name_in(host: str) -> str:
    """The name in a Host header without its port; "" where it is none."""
    try:
        called = urlsplit(f"//{host}")
    except ValueError:
        return ""
    return "" if called.username is not None else (called.hostname or "").lower()


def _is_from_here(listen_host: str) -> bool:
    """Whether the connection itself comes from this machine, whatever its headers say: who calls the address that the
    till listens on from its own machine comes from that address."""
    address = request.remote_addr or ""
    return _is_loopback(address) or address == listen_host


@lru_cache(maxsize=64)
def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _check_page() -> None:
    """A browser tells of the page that asks; ours are the only ones that may."""
    origin = request.headers.get("Origin")
    ours = f"http://{request.host}"
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if (origin is not None and origin != ours) or (site in ("cross-site", "same-site") and request.path not in _PAGES):
        raise ForeignPage("A page from elsewhere may not ask this till. Call it from the POS, or open its own pages.")


def _is_of_page(sessions: PageSessions) -> bool:
    """Whether a page that is signed in asks what it may ask. Raises: TooFast."""
    told = request.args.get("for", "customer")
    return sessions.lets(request.cookies.get(COOKIE), request.method, request.path, told)


def _check_token(token: str) -> None:
    if not token:
        return
    kind, _, sent = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(sent.strip().encode(), token.encode()):
        raise NoToken("Send the POS token of this till: Authorization: Bearer <pos_token of the settings>.")


def _of_status(status: int) -> Refusal:
    if status == 404:
        return NoSuchPath("There is nothing under this path; /openapi.json lists what there is.")
    if status == 405:
        return NoSuchMethod("This path is not asked that way; /openapi.json says how.")
    if status == 413:
        return TooLarge(f"A body may have {MOST_BYTES // 1024} KiB. Send fewer lines, or split the sale.")
    return NotHttp("The request cannot be read; send it as /openapi.json describes.")
