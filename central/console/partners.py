"""A partner's account on a page and as a file: its lines, what is withheld, what it bears, money that moved."""

import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request, url_for

from central.console.base import BadAction, Console
from central.console.gate import NotAllowed, here
from central.ports import reading, writing
from central.settlement.cash import CashEntry, enter_cash
from central.settlement.partner_accounts import PartnerAccount, account_csv, partner_account
from central.settlement.positions import settled_in
from loyalty.amounts import exponent_of


def add_partners(pages: Blueprint, console: Console) -> None:
    """One account, and its file."""

    @pages.get("/partners/<partner_id>")
    def partner_page(partner_id: str) -> Any:
        entry_id = console.randomness.bytes(16).hex()
        return render_template("console/partner.html", account=_own_account(console, partner_id), entry_id=entry_id)

    @pages.post("/partners/<partner_id>/cash")
    def partner_cash(partner_id: str) -> Any:
        entry = _entry(console, partner_id)
        with writing(console.engine) as tx:
            now_ms = console.clock.wall_ms()
            enter_cash(tx, entry, here().person, now_ms=now_ms, randomness=console.randomness)
        return redirect(url_for(".partner_page", partner_id=partner_id), 303)

    @pages.get("/partners/<partner_id>/account.csv")
    def partner_file(partner_id: str) -> Any:
        account = _own_account(console, partner_id)
        response = current_app.response_class("".join(account_csv(account)), content_type="text/csv; charset=utf-8")
        name = re.sub(r"[^A-Za-z0-9]+", "-", account.partner_id)
        response.headers["Content-Disposition"] = f'attachment; filename="account-{name}.csv"'
        return response


def _entry(console: Console, partner_id: str) -> CashEntry:
    """What the form says. Raises: BadAction."""
    form = request.form
    try:
        on, amount = date.fromisoformat(form.get("on", "")), Decimal(form.get("amount", "").replace(",", ".").strip())
        period_no = int(form.get("period") or 0)
    except (ValueError, InvalidOperation):
        say = "Give the day as a date, the amount as a number such as 1250.00, and a period by its number."
        raise BadAction(say) from None
    with reading(console.engine) as tx:
        minor = amount.scaleb(exponent_of(settled_in(tx)))
    if not minor.is_finite() or minor != minor.to_integral_value():
        raise BadAction("The amount has more decimals than the currency; give it as it moved.")
    paid = form.get("kind", "")
    if paid not in ("payment", "payout", "deposit", "deposit_back"):
        raise BadAction("Say what moved: a payment, a payout, a deposit, or one given back.")
    return CashEntry(
        entry_id=form.get("entry_id", ""),
        partner_id=partner_id,
        kind="deposit" if paid.startswith("deposit") else "payment",
        amount_minor=int(minor) if paid in ("payment", "deposit") else -int(minor),
        on=on,
        period_no=period_no,
        reference=form.get("reference", "").strip(),
    )


def _own_account(console: Console, partner_id: str) -> PartnerAccount:
    """An account that the person at hand may see."""
    if here().person.partner_id not in ("", partner_id):
        raise NotAllowed("This is another partner's account.")
    with reading(console.engine) as tx:
        return partner_account(tx, partner_id)
