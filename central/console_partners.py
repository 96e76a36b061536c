"""A partner's account on a page and as a file: its lines, what is withheld, what it bears."""

import re
from typing import Any

from flask import Blueprint, current_app, render_template

from central.console_base import Console
from central.gate import NotAllowed, here
from central.partner_accounts import PartnerAccount, account_csv, partner_account
from central.ports import reading


def add_partners(pages: Blueprint, console: Console) -> None:
    """One account, and its file."""

    @pages.get("/partners/<partner_id>")
    def partner_page(partner_id: str) -> Any:
        return render_template("console/partner.html", account=_own_account(console, partner_id))

    @pages.get("/partners/<partner_id>/account.csv")
    def partner_file(partner_id: str) -> Any:
        account = _own_account(console, partner_id)
        response = current_app.response_class("".join(account_csv(account)), content_type="text/csv; charset=utf-8")
        name = re.sub(r"[^A-Za-z0-9]+", "-", account.partner_id)
        response.headers["Content-Disposition"] = f'attachment; filename="account-{name}.csv"'
        return response


def _own_account(console: Console, partner_id: str) -> PartnerAccount:
    """An account that the person at hand may see."""
    if here().person.partner_id not in ("", partner_id):
        raise NotAllowed("This is another partner's account.")
    with reading(console.engine) as tx:
        return partner_account(tx, partner_id)
