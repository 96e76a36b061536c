"""Asking for a correction: a form, a look at what it would move, and then the request itself.

What was looked at is what is asked for: the button that asks carries a hash of the preview, and where the books or the
form say something else by now, the new preview comes first. Small adjustments may be asked for without a look.
"""

import hashlib
from typing import Any

import msgspec
from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy import Connection, select
from werkzeug.exceptions import RequestEntityTooLarge

from central.coalition.programmes import current_programme
from central.console.base import BadAction, Console, UnknownPage
from central.console.forms import field_of, wish_from
from central.console.gate import COOKIE, here
from central.corrections import corrections as wishes
from central.corrections.adjusting import Signed
from central.corrections.opening_file import keep_opening, read_opening
from central.corrections.previews import Preview, preview_of
from central.corrections.wishes import LONGEST_NOTE, LONGEST_SCHEME, REASONS, Kind, Wish
from central.database.rows import find
from central.database.tables import correction, partner
from central.ports import reading, writing
from loyalty.moments import utc_date
from loyalty.trouble import BadInput, Refusal

KINDS: dict[str, Kind] = {
    "adjustment": "adjustment", "transfer": "transfer", "merge": "merge", "opening": "opening", "ending": "ending",
}  # fmt: skip


MOST_FILE_BYTES = 960 * 1024  # below what the web server lets through, so that what is too large gets an answer of ours


class TooLarge(BadInput):
    code = "console.file_too_large"
    status = 413


def ask_wish(console: Console, wish: Wish, correction_id: str) -> wishes.Correction:
    """Ask for it as whoever is here. Raises: as `corrections.ask`."""
    return wishes.ask(
        console.engine,
        wish,
        here().person,
        console.limits,
        correction_id=correction_id,
        now_ms=console.clock.wall_ms(),
        randomness=console.randomness,
    )


def allow_files(pages: Blueprint, console: Console) -> None:
    """Let people who are signed in send a file that is larger than a form; others may send no more than a till.

    To be called before anything reads the form, which the door does.
    """

    @pages.before_request
    def widen() -> None:
        if request.endpoint == f"{pages.name}.ask_move" and console.logins.session_of(request.cookies.get(COOKIE, "")):
            request.max_content_length = MOST_FILE_BYTES

    @pages.errorhandler(RequestEntityTooLarge)
    def explain_size(_: RequestEntityTooLarge) -> Any:
        trouble = TooLarge(
            f"A file may have {MOST_FILE_BYTES // 1024} KiB here. Split it, or have it asked for on the machine of head"
            " office: `tallypoint central open-balances` takes a larger one."
        )
        return render_template("console/error.html", trouble=trouble), trouble.status


def add_asking(pages: Blueprint, console: Console) -> None:
    """The forms of all kinds; people of partners have that of adjustments."""

    @pages.get("/corrections/new")
    def new_correction() -> Any:
        return _empty_form(console, "adjustment")

    @pages.post("/corrections/new")
    def ask_correction() -> Any:
        return _sent(console, "adjustment")

    @pages.get("/corrections/new/<name>")
    def new_move(name: str) -> Any:
        return _empty_form(console, _kind(name))

    @pages.post("/corrections/new/<name>")
    def ask_move(name: str) -> Any:
        return _sent(console, _kind(name))


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise UnknownPage("There is no such correction; choose one from the list of corrections.")
    return KINDS[name]


def _empty_form(console: Console, kind: Kind) -> Any:
    return _form(
        console, kind, {"account_id": request.args.get("account", ""), "id": console.randomness.bytes(8).hex()}
    )


def _sent(console: Console, kind: Kind) -> Any:
    told = {name: value.strip() for name, value in request.form.items()}
    shown = None
    try:
        if kind == "opening" and (file := request.files.get("file")) and file.filename:
            told.pop("rows_id", None)  # another file instead: what was read before is not asked for any more
            told["rows_id"], told["file_name"] = _keep(console, file.read()), file.filename[:100]
        with reading(console.engine) as tx:
            wish = wish_from(tx, kind, told)
            if not _is_known(tx, told["id"]) and _wants_a_look(kind, told):
                shown = preview_of(tx, wish, _signed(console, told["id"]))
        if shown and (told.get("step") == "preview" or told.get("seen") != _seen(wish, shown)):
            return _form(
                console, kind, told | {"seen": _seen(wish, shown)}, shown=shown, again=told.get("step") == "ask"
            )
        done = ask_wish(console, wish, told["id"])
    except Refusal as refusal:
        return _form(console, kind, told, refusal)
    if done.state == "done" and kind == "adjustment" and not here().person.partner_id:
        return redirect(url_for(".member", account_id=told["account_id"]), 303)
    return redirect(url_for(".corrections", state=done.state), 303)


def _wants_a_look(kind: Kind, told: dict[str, str]) -> bool:
    # A partner's people see no balances, so nothing is shown to them of what an account holds.
    if here().person.partner_id:
        return False
    return kind != "adjustment" or told.get("step") == "preview" or bool(told.get("seen"))


def _keep(console: Console, file: bytes) -> str:
    now_ms = console.clock.wall_ms()
    with writing(console.engine) as tx:
        programme = current_programme(tx)
        if programme is None or console.card_keys is None:
            raise BadAction("Publish a programme first: it says which numbers are cards.", field="file")
        opening = read_opening(tx, file, programme.cards, console.card_keys.read(tx), utc_date(now_ms))
        keep_opening(tx, opening, now_ms)
    return opening.rows_id


def _is_known(tx: Connection, correction_id: str) -> bool:
    """Sent before: it is told the same again, whatever the books hold by now."""
    return bool(find(tx, correction, [{"correction_id": correction_id}], ["correction_id"]))


def _signed(console: Console, correction_id: str) -> Signed:
    now_ms = console.clock.wall_ms()
    asked_by = here().person.login
    return Signed(correction_id=correction_id, asked_by=asked_by, approved_by="", on=utc_date(now_ms), now_ms=now_ms)


def _seen(wish: Wish, shown: Preview) -> str:
    return hashlib.sha256(msgspec.json.encode((wish, shown))).hexdigest()[:32]


def _form(
    console: Console, kind: Kind, told: dict[str, str], refusal: Refusal | None = None, shown: Preview | None = None,
    again: bool = False,
) -> Any:  # fmt: skip
    own = here().person.partner_id
    with reading(console.engine) as tx:
        partners = [row for row in tx.execute(select(partner).order_by(partner.c.name)) if own in ("", row.partner_id)]
    page = render_template(
        "console/correction.html",
        kind=kind,
        told=told,
        partners=partners,
        reasons=REASONS[kind],
        limits=console.limits,
        longest=LONGEST_NOTE,
        longest_scheme=LONGEST_SCHEME,
        trouble=refusal,
        wrong=field_of(kind, refusal, told) if refusal else "",
        shown=shown,
        again=again,
        own=own,
    )
    return page, refusal.status if refusal else 200
