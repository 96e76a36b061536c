"""The console's page of tills: what each compares, which card keys it holds once there are several, and a one-time code
for a new one, shown once as text and QR; and what a till sold while it was revoked by mistake."""

from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from sqlalchemy import select

from central.coalition import slots
from central.coalition.tickets import ticket_svg
from central.console.asking import ask_wish
from central.console.base import BadAction, Console
from central.console.overview import overview
from central.corrections.wishes import LONGEST_NOTE, REASONS, ReinstateWish
from central.database.tables import store
from central.intake.reinstated import revoked_streams
from central.keys.card_keys import newest_id
from central.ports import reading, writing
from sync.enrolment import comparison_code, fingerprint
from sync.tickets import show_ticket

LONGEST_LABEL = 60


def add_tills(pages: Blueprint, console: Console) -> None:
    """The page, and opening a place. The code is in the answer to the form alone: it is stored nowhere."""

    @pages.get("/tills")
    def tills() -> Any:
        return _page(console)

    @pages.post("/tills")
    def open_place() -> Any:
        if not console.centre_public:
            raise BadAction("This head office shows no codes here; use `tallypoint central slot`.")
        label = request.form.get("label", "").strip()
        if not label or len(label) > LONGEST_LABEL or not label.isprintable():
            raise BadAction(
                f"Give the till a label of at most {LONGEST_LABEL} characters, such as the number of its lane."
            )
        with writing(console.engine) as tx:
            slot = slots.open_slot(
                tx,
                console.randomness,
                store_id=request.form.get("store_id", ""),
                label=label,
                now_ms=console.clock.wall_ms(),
                till_id=request.form.get("till_id", ""),
            )
        console.note("till.code_made", slot.till_id)
        ticket = show_ticket(slot.code, fingerprint(console.centre_public), console.public_url)
        response = make_response(_page(console, slot=slot, qr=ticket_svg(ticket)))
        response.headers["Cache-Control"] = "no-store"
        return response

    @pages.post("/tills/<till_id>/<int:epoch>/reinstate")
    def reinstate_till(till_id: str, epoch: int) -> Any:
        note = request.form.get("note", "").strip()
        wish = ReinstateWish(till_id=till_id, epoch=epoch, reason=REASONS["reinstate"][0], note=note)
        ask_wish(console, wish, request.form.get("id", "") or console.randomness.bytes(8).hex())
        return redirect(url_for(".corrections"), 303)


def _page(console: Console, **more: Any) -> Any:
    with reading(console.engine) as tx:
        rows = overview(tx)["tills"]
        newest = newest_id(tx)
        stores = tx.execute(select(store).order_by(store.c.store_id)).all()
        revoked = [(one, console.randomness.bytes(8).hex()) for one in revoked_streams(tx)]
    for row in rows:
        known = row["public"] and console.centre_public
        row["comparison"] = comparison_code(row["public"], console.centre_public) if known else ""
    shown = fingerprint(console.centre_public) if console.centre_public else ""
    return render_template(
        "console/tills.html", tills=rows, stores=stores, fingerprint=shown, card_key=newest, revoked=revoked,
        most=LONGEST_NOTE, **more,
    )
