"""Members: find an account by its number, a card or a receipt, and see everything that happened to its points."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy import Connection, select

from central.coalition.programmes import current_programme
from central.coalition.settings import get_setting
from central.console.base import Console
from central.console.history import history_of
from central.console.member_pages import member_shown
from central.database.tables import account, event
from central.members.card_names import owner_of
from central.ports import reading
from loyalty.cards.cards import Card, read_card

MOST_FOUND = 50
KINDS = {
    "receipt.v1": "Sale", "return.v1": "Return", "void.v1": "Void",
    "return_void.v1": "Void of a return", "adjustment.v1": "Correction",
    "expiry.v1": "Lapsed", "move.v1": "Moved", "opening.v1": "Brought over", "write_off.v1": "Written off",
    "grant.v1": "Set aside for a till",
    "lease.v1": "Given back by a till", "reclaim.v1": "Taken back from a till",
    "claim_settled.v1": "Receipt claimed later",
}  # fmt: skip


def add_members(pages: Blueprint, console: Console) -> None:
    """The search, and one member."""

    @pages.post("/members")
    def find_member() -> Any:
        asked = request.form.get("asked", "").strip()
        with reading(console.engine) as tx:
            found = _found(tx, console, asked) if asked else []
        if len(found) == 1:
            return redirect(url_for(".member", account_id=found[0]), 303)
        return render_template("console/members.html", asked=asked, found=found, most=MOST_FOUND)

    @pages.get("/members")
    def members() -> Any:
        return render_template("console/members.html", asked="", found=[], most=MOST_FOUND)

    @pages.get("/members/<int:account_id>")
    def member(account_id: int) -> Any:
        with reading(console.engine) as tx:
            return render_template(
                "console/member.html",
                told=history_of(tx, account_id),
                kinds=KINDS,
                shown=member_shown(tx, account_id, console.people),
                currency=get_setting(tx, "currency"),
            )


def _found(tx: Connection, console: Console, asked: str) -> list[int]:
    """Accounts that a number, a card or a receipt leads to. A card number comes in a form, so no log keeps it."""
    found: set[int] = set()
    if asked.isascii() and asked.isdigit() and len(asked) < 19:
        found.update(tx.execute(select(account.c.account_id).where(account.c.account_id == int(asked))).scalars())
    programme = current_programme(tx)
    read = read_card(programme.cards, asked, source="keyed") if programme else None
    if isinstance(read, Card) and console.card_keys is not None:
        owner = owner_of(tx, console.card_keys.read(tx), read)
        found.update({owner} if owner else set())
    named = select(event.c.account_id).where(event.c.receipt_id == asked, event.c.account_id > 0)
    found.update(tx.execute(named.limit(MOST_FOUND)).scalars())
    return sorted(found)
