"""Periods and their statements: as they stand, as they were issued, and as files."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Any

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from sqlalchemy import select

from central.console.base import BadAction, Console, UnknownPage
from central.console.gate import NotAllowed, here
from central.database.tables import payment, statement
from central.ports import reading
from central.settlement.annex import annex_csv
from central.settlement.closing import close_period
from central.settlement.documents import statement_csv
from central.settlement.issued import Statement, period_row, read_statement
from central.settlement.positions import lines_of_period, settled_in
from central.upkeep import views


def add_periods(pages: Blueprint, console: Console) -> None:
    """List, one period, closing it, one statement and its files."""

    @pages.get("/periods")
    def periods() -> Any:
        with reading(console.engine) as tx:
            return render_template("console/periods.html", periods=views.periods(tx))

    @pages.get("/periods/<int:period_no>")
    def period_page(period_no: int) -> Any:
        with reading(console.engine) as tx:
            period_row(tx, period_no)
            own = here().person.partner_id
            issued = select(statement).where(statement.c.period_no == period_no).order_by(statement.c.partner_id)
            due = select(payment).where(payment.c.period_no == period_no).order_by(payment.c.n)
            currency = settled_in(tx)
            shown = views.positions(tx, period_no)
            # A closed period is on its statements; the one at hand is shown as it stands.
            lines = () if shown.state == "issued" else lines_of_period(tx, period_no, currency)
            return render_template(
                "console/period.html",
                shown=shown,
                lines=[line for line in lines if own in ("", line.partner_id)],
                statements=[row for row in tx.execute(issued) if own in ("", row.partner_id)],
                payments=[row for row in tx.execute(due) if own in ("", row.payer_id, row.payee_id)],
                currency=currency,
            )

    @pages.post("/periods/<int:period_no>/close")
    def close(period_no: int) -> Any:
        try:
            through = date.fromisoformat(request.form.get("through", ""))
        except ValueError:
            raise BadAction("Name the last business date of the period as a date, such as 2026-11-30.") from None
        if request.form.get("sure") != "yes":
            raise BadAction("A closed period never opens again. Tick the box to say that you are sure.")
        close_period(
            console.engine,
            period_no=period_no,
            through=through,
            now_ms=console.clock.wall_ms(),
            randomness=console.randomness,
            seal=console.seal,
        )
        console.note("period.closed", str(period_no), through=through.isoformat())
        return redirect(url_for(".period_page", period_no=period_no), 303)

    @pages.get("/statements/<statement_id>")
    def statement_page(statement_id: str) -> Any:
        made, frozen = _own_statement(console, statement_id)
        with reading(console.engine) as tx:
            sha256 = tx.execute(
                select(statement.c.sha256).where(statement.c.statement_id == statement_id)
            ).scalar_one()
        return render_template("console/statement.html", made=made, sha256=sha256, size=len(frozen))

    @pages.get("/statements/<statement_id>/<kind>")
    def download(statement_id: str, kind: str) -> Any:
        made, frozen = _own_statement(console, statement_id)
        if kind == "json":
            return _file(frozen, made, "json", "application/json")
        if kind in ("csv", "csv-comma"):
            lines = statement_csv(made, "comma" if kind == "csv-comma" else "point")
            return _file("".join(lines), made, "csv", "text/csv; charset=utf-8")
        if kind == "annex":
            return _file(_annex(console, made), made, "annex.csv", "text/csv; charset=utf-8")
        raise UnknownPage("A statement comes as json, csv, csv-comma or annex.")


def _own_statement(console: Console, statement_id: str) -> tuple[Statement, bytes]:
    """A statement that the person at hand may see."""
    with reading(console.engine) as tx:
        made, frozen = read_statement(tx, statement_id)
    if here().person.partner_id not in ("", made.partner_id):
        raise NotAllowed("This is another partner's statement.")
    return made, frozen


def _annex(console: Console, made: Statement) -> Iterable[str]:
    """Read while it is sent, so that a long one is never whole in memory."""
    with reading(console.engine) as tx:
        yield from annex_csv(tx, made.period_no, made.partner_id)


def _file(content: Any, made: Statement, ending: str, kind: str) -> Response:
    response = current_app.response_class(content, content_type=kind)
    name = re.sub(r"[^A-Za-z0-9]+", "-", made.statement_id)
    response.headers["Content-Disposition"] = f'attachment; filename="statement-{name}.{ending}"'
    return response
