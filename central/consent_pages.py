"""The page behind the link on a slip: a customer confirms a consent, by a button, so that no mail scanner does.

It says what is confirmed and nothing of who it is for; whoever has the slip has the code. Source:
devices-and-receipts.md E "double opt-in"; docs/members.md.
"""

from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy import Engine

from central.consents import WrongCode, confirm_by_code
from central.ports import Clock, Randomness, reading, replayable, writing
from central.rows import find
from central.tables import consent
from loyalty.confirming import confirm_key, read_confirm_code

PATH = "/c/"
LANGUAGES = ("en", "pt-BR", "ru", "pl")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def consent_pages(engine: Engine, clock: Clock, randomness: Randomness, card_key: bytes) -> Blueprint:
    """The two routes, for anybody."""
    pages = Blueprint("consent", __name__, template_folder="templates")

    @replayable
    def confirm(code: str) -> None:
        with writing(engine) as tx:
            confirm_by_code(tx, code, card_key, clock.wall_ms(), randomness, asked_on="print")

    @pages.get(f"{PATH}<code>")
    def ask(code: str) -> Response:
        return _page(engine, code, card_key, "ask")

    @pages.post(f"{PATH}<code>")
    def done(code: str) -> Response:
        try:
            confirm(code)
        except WrongCode:
            return _page(engine, code, card_key, "unknown")
        return _page(engine, code, card_key, "done")

    return pages


def _page(engine: Engine, code: str, card_key: bytes, what: str) -> Response:
    row = _given(engine, code, card_key)
    if row is None:
        what = "unknown"
    best = request.accept_languages.best_match(LANGUAGES) or "en"
    language = row.language if row is not None and row.language in LANGUAGES else best
    text = render_template("consent.html", what=what, language=language, row=row)
    answer = make_response(text, 404 if what == "unknown" else 200)
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@replayable
def _given(engine: Engine, code: str, card_key: bytes) -> Any:
    number = read_confirm_code(confirm_key(card_key), code)
    if number is None:
        return None
    with reading(engine) as tx:
        return next(iter(find(tx, consent, [{"code": number}], (), consent.c.what == "given")), None)
