"""The pages of head office and of partners, server-rendered; every action is a plain form."""

from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from sqlalchemy import select

from central.coalition.settings import get_setting
from central.console.approvals import add_approvals
from central.console.asking import add_asking, allow_files
from central.console.base import Console, UnknownPage
from central.console.corrections import add_corrections
from central.console.format import add_filters
from central.console.gate import COOKIE, LOGIN_COOKIE, check_token, guard, here, set_cookie
from central.console.health import add_health
from central.console.members import add_members
from central.console.partners import add_partners
from central.console.periods import add_periods
from central.console.quarantine import add_quarantine
from central.console.tills import add_tills
from central.console.worklist import add_worklist
from central.corrections.corrections import corrections
from central.database.tables import partner, period
from central.login import Role
from central.ports import reading
from central.upkeep import views
from loyalty.moments import utc_date
from loyalty.trouble import Trouble

HEAD_OFFICE: frozenset[Role] = frozenset({"head_office"})
EVERYBODY: frozenset[Role] = frozenset({"head_office", "partner_finance"})
PUBLIC = frozenset({"login_form", "login", "static"})
RIGHTS: dict[str, frozenset[Role]] = {
    "overview": EVERYBODY,
    "logout": EVERYBODY,
    "findings": HEAD_OFFICE,
    "finding": HEAD_OFFICE,
    "settle": HEAD_OFFICE,
    "reopen": HEAD_OFFICE,
    "give_card": HEAD_OFFICE,
    "tills": HEAD_OFFICE,
    "open_place": HEAD_OFFICE,
    "reinstate_till": HEAD_OFFICE,
    "kept_apart": HEAD_OFFICE,
    "kept_item": HEAD_OFFICE,
    "replay_kept": HEAD_OFFICE,
    "replay_item": HEAD_OFFICE,
    "fix_item": HEAD_OFFICE,
    "write_item_off": HEAD_OFFICE,
    "members": HEAD_OFFICE,
    "find_member": HEAD_OFFICE,
    "member": HEAD_OFFICE,
    "corrections": EVERYBODY,
    "new_correction": EVERYBODY,
    "ask_correction": EVERYBODY,
    "new_move": HEAD_OFFICE,
    "ask_move": HEAD_OFFICE,
    "approve_correction": HEAD_OFFICE,
    "refuse_correction": HEAD_OFFICE,
    "periods": EVERYBODY,
    "period_page": EVERYBODY,
    "close": HEAD_OFFICE,
    "statement_page": EVERYBODY,
    "download": EVERYBODY,
    "partner_page": EVERYBODY,
    "partner_file": EVERYBODY,
    "partner_cash": HEAD_OFFICE,
    "health": HEAD_OFFICE,
    "approvals": HEAD_OFFICE,
    "nowhere": EVERYBODY,
}

def console_pages(console: Console) -> Blueprint:
    """The console below `/console`, behind its login."""
    pages = Blueprint(
        "console", __name__, url_prefix="/console", template_folder="templates", static_folder="static"
    )
    allow_files(pages, console)
    guard(pages, console.logins, RIGHTS, PUBLIC)
    add_filters(pages, console.clock, lambda: _partner_names(console))

    @pages.errorhandler(Trouble)
    def explain(trouble: Trouble) -> Any:
        return render_template("console/error.html", trouble=trouble), trouble.status

    _add_login(pages, console)
    add_worklist(pages, console)
    add_approvals(pages, console)
    add_quarantine(pages, console)
    add_tills(pages, console)
    add_periods(pages, console)
    add_partners(pages, console)
    add_members(pages, console)
    add_corrections(pages, console)
    add_asking(pages, console)
    add_health(pages, console)

    @pages.get("/")
    def overview() -> Any:
        own = here().person.partner_id
        today = utc_date(console.clock.wall_ms()).isoformat()
        with reading(console.engine) as tx:
            closed = select(period.c.period_no).where(period.c.state == "issued").order_by(period.c.period_no.desc())
            shown = [no for no in (_open_no(tx), tx.execute(closed.limit(1)).scalar()) if no is not None]
            return render_template(
                "console/overview.html",
                tills=views.tills(tx, own, today),
                piles=[] if own else views.piles(tx),
                waiting=0 if own else len(corrections(tx)),
                positions=[views.positions(tx, no) for no in shown if get_setting(tx, "currency")],
                currency=get_setting(tx, "currency"),
            )

    @pages.get("/<path:_address>")
    def nowhere(_address: str) -> Any:
        raise UnknownPage("There is no page under this address. Go on from the overview.")

    return pages


def _partner_names(console: Console) -> dict[str, str]:
    with reading(console.engine) as tx:
        return {row.partner_id: row.name for row in tx.execute(select(partner.c.partner_id, partner.c.name))}


def _add_login(pages: Blueprint, console: Console) -> None:
    @pages.get("/login")
    def login_form() -> Any:
        return _login_form(console)

    @pages.post("/login")
    def login() -> Any:
        check_token(request.cookies.get(LOGIN_COOKIE, ""))
        try:
            token = console.logins.sign_in(request.form.get("login", ""), request.form.get("password", ""))
        except Trouble as trouble:
            return _login_form(console, trouble)
        response = make_response(redirect(url_for(".overview"), 303))
        set_cookie(response, COOKIE, token, secure=console.secure)
        return response

    @pages.post("/logout")
    def logout() -> Any:
        console.logins.sign_out(request.cookies.get(COOKIE, ""))
        response = redirect(url_for(".login_form"), 303)
        response.delete_cookie(COOKIE, path="/console")
        return response


def _login_form(console: Console, trouble: Trouble | None = None) -> Response:
    """The form, with a token that only this browser holds."""
    token = console.randomness.bytes(32).hex()
    page = render_template("console/login.html", csrf=token, trouble=trouble)
    response = make_response(page, trouble.status if trouble else 200)
    set_cookie(response, LOGIN_COOKIE, token, secure=console.secure)
    return response


def _open_no(tx: Any) -> int | None:
    found: int | None = tx.execute(
        select(period.c.period_no).where(period.c.state != "issued").order_by(period.c.period_no.desc()).limit(1)
    ).scalar()
    return found
