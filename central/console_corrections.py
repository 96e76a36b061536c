"""Corrections: what waits for a second person, and the form that asks for points to be given or taken."""

from datetime import date
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy import select

from central import corrections as wishes
from central.console_base import BadAction, Console
from central.gate import here
from central.ports import reading
from central.tables import partner
from central.wishes import LONGEST_NOTE, REASONS, AdjustmentWish
from loyalty.centre_events import Taken
from loyalty.earning import Earned
from loyalty.lots import FOREVER
from loyalty.trouble import Refusal

MOST_DIGITS = 18


def add_corrections(pages: Blueprint, console: Console) -> None:
    """List, form, approving and refusing."""

    @pages.get("/corrections")
    def corrections() -> Any:
        state = request.args.get("state", "asked")
        state = state if state in ("asked", "done", "refused") else "asked"
        person = here().person
        with reading(console.engine) as tx:
            rows = wishes.corrections(tx, state)
            own = [row for row in rows if not person.partner_id or row.asked_by == person.login]
            shown = [(row, wishes.wish_of(row)) for row in own]
        return render_template("console/corrections.html", shown=shown, state=state, person=person)

    @pages.get("/corrections/new")
    def new_correction() -> Any:
        told = {"account_id": request.args.get("account", ""), "id": console.randomness.bytes(8).hex()}
        return _form(console, told)

    @pages.post("/corrections/new")
    def ask_correction() -> Any:
        told = {name: value.strip() for name, value in request.form.items()}
        try:
            wish = _read(told)
            done = wishes.ask(
                console.engine,
                wish,
                here().person,
                console.limits,
                correction_id=told.get("id", ""),
                now_ms=console.clock.wall_ms(),
                randomness=console.randomness,
            )
        except Refusal as refusal:
            return _form(console, told, refusal)
        if done.state == "done" and not here().person.partner_id:
            return redirect(url_for(".member", account_id=wish.account_id), 303)
        return redirect(url_for(".corrections", state=done.state), 303)

    @pages.post("/corrections/<correction_id>/approve")
    def approve_correction(correction_id: str) -> Any:
        now_ms = console.clock.wall_ms()
        wishes.approve(console.engine, correction_id, here().person, now_ms=now_ms, randomness=console.randomness)
        return redirect(url_for(".corrections"), 303)

    @pages.post("/corrections/<correction_id>/refuse")
    def refuse_correction(correction_id: str) -> Any:
        note, now_ms = request.form.get("note", ""), console.clock.wall_ms()
        wishes.refuse(console.engine, correction_id, here().person, note, now_ms=now_ms, randomness=console.randomness)
        return redirect(url_for(".corrections"), 303)


def _form(console: Console, told: dict[str, str], refusal: Refusal | None = None) -> Any:
    own = here().person.partner_id
    with reading(console.engine) as tx:
        partners = [row for row in tx.execute(select(partner).order_by(partner.c.name)) if own in ("", row.partner_id)]
    page = render_template(
        "console/correction.html",
        told=told,
        partners=partners,
        reasons=REASONS["adjustment"],
        limits=console.limits,
        longest=LONGEST_NOTE,
        trouble=refusal,
    )
    return page, refusal.status if refusal else 200


def _read(told: dict[str, str]) -> AdjustmentWish:
    """Raises: BadAction."""
    account_id, points = _number(told, "account_id", "the number of the account"), _number(told, "points", "points")
    if not told.get("id", "").isalnum() or len(told["id"]) > 64:
        raise BadAction("This form has no id; load the page again.")
    facts = {"account_id": account_id, "reason": told.get("reason", ""), "note": told.get("note", "")}
    issuer_id = told.get("issuer", "")
    if told.get("what") == "take":
        return AdjustmentWish(taken=(Taken(issuer_id=issuer_id, points=points),), **facts)
    try:
        through = date.fromisoformat(told["through"]) if told.get("through") else FOREVER
    except ValueError:
        raise BadAction("Name the last valid day as a date, such as 2027-12-31, or leave it empty.") from None
    return AdjustmentWish(granted=(Earned(issuer_id=issuer_id, valid_through=through, points=points),), **facts)


def _number(told: dict[str, str], name: str, what: str) -> int:
    text = told.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS and int(text)):
        raise BadAction(f"Give {what} as a whole number above 0.")
    return int(text)
