"""The page behind the link on a slip: a customer confirms a consent, by a button, so that no mail scanner does.

It says what is confirmed, in the words that were agreed to, and nothing of who it is for; whoever has the slip
has the code. Source: devices-and-receipts.md E "double opt-in"; docs/members.md.
"""

from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy import Connection, Engine

from central.coalition.programmes import current_programme
from central.database.rows import find
from central.database.tables import consent
from central.intake.consents import WrongCode, confirm_by_code
from central.keys.card_keys import KeyRing
from central.ports import Clock, Randomness, reading, replayable, writing
from loyalty.cards.confirming import read_confirm_code_of

PATH = "/c/"
LANGUAGES = ("en", "pt-BR", "ru", "pl")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"


def consent_pages(engine: Engine, clock: Clock, randomness: Randomness, ring: KeyRing) -> Blueprint:
    """The two routes, for anybody."""
    pages = Blueprint("consent", __name__, template_folder="templates")

    @replayable
    def confirm(code: str) -> None:
        with writing(engine) as tx:
            confirm_by_code(tx, code, ring.read(tx), clock.wall_ms(), randomness, asked_on="print")

    @pages.get(f"{PATH}<code>")
    def ask(code: str) -> Response:
        return _page(engine, code, ring, "ask")

    @pages.post(f"{PATH}<code>")
    def done(code: str) -> Response:
        try:
            confirm(code)
        except WrongCode:
            return _page(engine, code, ring, "unknown")
        return _page(engine, code, ring, "done")

    return pages


def _page(engine: Engine, code: str, ring: KeyRing, what: str) -> Response:
    row, asked = _given(engine, code, ring)
    if row is None:
        what = "unknown"
    best = request.accept_languages.best_match(LANGUAGES) or "en"
    language = row.language if row is not None and row.language in LANGUAGES else best
    text = render_template("consent.html", what=what, language=language, row=row, asked=asked)
    answer = make_response(text, 404 if what == "unknown" else 200)
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@replayable
def _given(engine: Engine, code: str, ring: KeyRing) -> tuple[Any, str]:
    """The consent of a code and its text; neither for a code that is none."""
    with reading(engine) as tx:
        number = read_confirm_code_of(ring.read(tx).accepted, code)
        if number is None:
            return None, ""
        row = next(iter(find(tx, consent, [{"code": number}], (), consent.c.what == "given")), None)
        return row, _text_of(tx, row) if row is not None else ""


def _text_of(connection: Connection, row: Any) -> str:
    """What was agreed to, in the words that were read then; "" once the programme asks it in others."""
    programme = current_programme(connection)
    asked = programme.members.consent(row.purpose, row.channel) if programme else None
    return asked.text.get(row.language, "") if asked and asked.version == row.version else ""
