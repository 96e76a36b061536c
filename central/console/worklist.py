"""The worklist: what does not add up, both sides, why, and a note that settles it."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from central.coalition.settings import get_setting
from central.console.base import BadAction, Console
from central.console.gate import here
from central.database.tables import flag
from central.intake.quarantine import count_open
from central.ports import reading, writing
from central.tills.forgotten_cards import give_forgotten
from central.upkeep import views
from central.worklist import worklist
from central.worklist.worklist import FlagKey

MOST_ROWS = 200
LONGEST_NOTE = 2000


def add_worklist(pages: Blueprint, console: Console) -> None:
    """List, row, settling and taking that back."""

    @pages.get("/worklist")
    def findings() -> Any:
        state = "settled" if request.args.get("state") == "settled" else "open"
        cause = request.args.get("cause", "")
        chosen = [flag.c.state == state, *([flag.c.cause == cause] if cause else [])]
        with reading(console.engine) as tx:
            return render_template(
                "console/worklist.html",
                piles=views.piles(tx),
                rows=worklist.flags(tx, *chosen, limit=MOST_ROWS),
                kept=count_open(tx),
                state=state,
                cause=cause,
                most=MOST_ROWS,
            )

    @pages.get("/worklist/<till_id>/<int:epoch>/<int:seq>/<cause>/<int:n>")
    def finding(till_id: str, epoch: int, seq: int, cause: str, n: int) -> Any:
        key = FlagKey(till_id=till_id, epoch=epoch, seq=seq, cause=cause, n=n)
        with reading(console.engine) as tx:
            return render_template(
                "console/finding.html", found=views.finding(tx, key), key=key, currency=get_setting(tx, "currency")
            )

    @pages.post("/worklist/<till_id>/<int:epoch>/<int:seq>/<cause>/<int:n>")
    def settle(till_id: str, epoch: int, seq: int, cause: str, n: int) -> Any:
        note = request.form.get("note", "").strip()
        if not note or len(note) > LONGEST_NOTE:
            raise BadAction(f"Say what it was, in at most {LONGEST_NOTE} characters; the note stays with the receipt.")
        key = FlagKey(till_id=till_id, epoch=epoch, seq=seq, cause=cause, n=n)
        with writing(console.engine) as tx:
            worklist.settle_flag(tx, key, note=note, by=here().person.login, now_ms=console.clock.wall_ms())
        console.note("worklist.settled", f"{till_id}/{epoch}/{seq}", cause=cause, n=n)
        return redirect(url_for(".findings", cause=cause), 303)

    @pages.post("/worklist/<till_id>/<int:epoch>/<int:seq>/<cause>/<int:n>/give")
    def give_card(till_id: str, epoch: int, seq: int, cause: str, n: int) -> Any:
        key = FlagKey(till_id=till_id, epoch=epoch, seq=seq, cause=cause, n=n)
        with writing(console.engine) as tx:
            give_forgotten(tx, key, by=here().person.login, now_ms=console.clock.wall_ms())
        console.note("worklist.card_given", f"{till_id}/{epoch}/{seq}", cause=cause, n=n)
        return redirect(url_for(".findings", cause=cause), 303)

    @pages.post("/worklist/<till_id>/<int:epoch>/<int:seq>/<cause>/<int:n>/reopen")
    def reopen(till_id: str, epoch: int, seq: int, cause: str, n: int) -> Any:
        key = FlagKey(till_id=till_id, epoch=epoch, seq=seq, cause=cause, n=n)
        with writing(console.engine) as tx:
            worklist.reopen_flag(tx, key)
        console.note("worklist.reopened", f"{till_id}/{epoch}/{seq}", cause=cause, n=n)
        return redirect(url_for(".finding", till_id=till_id, epoch=epoch, seq=seq, cause=cause, n=n), 303)
