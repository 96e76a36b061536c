"""The door of the console: cookie, rights, form tokens and security headers. What is not allowed is denied."""

import hmac
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, g, redirect, request, url_for

from central.login import Logins, Role, Session
from loyalty.trouble import Refusal

COOKIE = "tallypoint_session"
LOGIN_COOKIE = "tallypoint_login"
LARGEST = 2**53
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self';"
        " frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class NotAllowed(Refusal):
    code = "login.not_allowed"
    status = 403


class NotSignedIn(Refusal):
    code = "login.not_signed_in"
    status = 401


class BadAsk(Refusal):
    code = "console.not_askable"
    status = 404


class BadForm(Refusal):
    code = "login.stale_form"
    status = 403


def guard(pages: Blueprint, logins: Logins, rights: Mapping[str, frozenset[Role]], public: frozenset[str]) -> None:
    """Let nobody pass who is not signed in, has no right to the page, or sends a form that is not ours.

    Args:
        rights: roles by endpoint name within the blueprint; an endpoint that is not listed is denied to all.
        public: endpoints that need no session; they check their own forms.
    """

    @pages.before_request
    def check() -> Any:
        _check_askable()
        name = (request.endpoint or "").removeprefix(f"{pages.name}.")
        if name in public:
            return None
        session = logins.session_of(request.cookies.get(COOKIE, ""))
        if session is None:
            if request.method != "GET":
                raise NotSignedIn("Your session is over. Sign in and send it once more.")
            return redirect(url_for(f"{pages.name}.login_form"))
        g.session = session
        if session.person.role not in rights.get(name, frozenset()):
            raise NotAllowed("Your login does not open this page; ask head office for it.")
        if request.method != "GET":
            check_token(session.csrf)
        return None

    @pages.after_request
    def harden(response: Response) -> Response:
        response.headers.update(HEADERS)
        if not (request.endpoint or "").endswith(".static"):
            response.headers["Cache-Control"] = "no-store"
        return response


def _check_askable() -> None:
    """Refuse what no database can be asked: PostgreSQL knows no zero character, and numbers end at 63 bits."""
    told = [*request.args.values(), *request.form.values(), *(request.view_args or {}).values()]
    if any(one > LARGEST if isinstance(one, int) else "\0" in one for one in told):
        raise BadAsk("There is nothing under this address, or the form holds a character that cannot be kept.")


def check_token(wanted: str) -> None:
    """Refuse a form that does not carry this token. Raises: BadForm."""
    if not wanted or not hmac.compare_digest(request.form.get("csrf", "").encode(), wanted.encode()):
        raise BadForm("This form is from an earlier login. Go back, load the page again and send it once more.")


def here() -> Session:
    """The session of this request, past the door."""
    session: Session = g.session
    return session


def set_cookie(response: Response, name: str, value: str, *, secure: bool) -> None:
    """A cookie of the browser's session that scripts and other sites never see."""
    response.set_cookie(name, value, httponly=True, secure=secure, samesite="Strict", path="/console")
