"""Corrections that were asked for: what waits for a second person and what it would move, approving and refusing."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from central.console.base import Console
from central.console.gate import here
from central.corrections import corrections as wishes
from central.corrections.previews import preview_waiting
from central.ports import reading


def add_corrections(pages: Blueprint, console: Console) -> None:
    """List, approving and refusing."""

    @pages.get("/corrections")
    def corrections() -> Any:
        state = request.args.get("state", "asked")
        state = state if state in ("asked", "done", "refused") else "asked"
        person, now_ms = here().person, console.clock.wall_ms()
        looks = state == "asked" and not person.partner_id
        with reading(console.engine) as tx:
            rows = wishes.corrections(tx, state)
            own = [row for row in rows if not person.partner_id or row.asked_by == person.login]
            shown = [(row, wishes.wish_of(row), preview_waiting(tx, row, now_ms) if looks else None) for row in own]
        return render_template("console/corrections.html", shown=shown, state=state, person=person)

    @pages.post("/corrections/<correction_id>/approve")
    def approve_correction(correction_id: str) -> Any:
        now_ms = console.clock.wall_ms()
        wishes.approve(
            console.engine,
            correction_id,
            here().person,
            console.limits,
            now_ms=now_ms,
            randomness=console.randomness,
        )
        return redirect(url_for(".corrections"), 303)

    @pages.post("/corrections/<correction_id>/refuse")
    def refuse_correction(correction_id: str) -> Any:
        note, now_ms = request.form.get("note", ""), console.clock.wall_ms()
        wishes.refuse(console.engine, correction_id, here().person, note, now_ms=now_ms, randomness=console.randomness)
        return redirect(url_for(".corrections"), 303)
