"""What supervisors approved at the tills: cashiers counted, those with most first, and each approval."""

from typing import Any

from flask import Blueprint, render_template, request

from central.console.base import Console
from central.ports import reading
from central.posting.approvals import by_cashier, newest
from loyalty.moments import DAY_MS, utc_date

DAYS = 30
MOST_ROWS = 200


def add_approvals(pages: Blueprint, console: Console) -> None:
    """The page; `?store=` and `?cashier=` show one cashier alone."""

    @pages.get("/approvals")
    def approvals() -> Any:
        since = utc_date(console.clock.wall_ms() - DAYS * DAY_MS).isoformat()
        store, cashier = request.args.get("store", ""), request.args.get("cashier")
        with reading(console.engine) as tx:
            return render_template(
                "console/approvals.html",
                cashiers=by_cashier(tx, since),
                rows=newest(tx, since, store_id=store, cashier=cashier, limit=MOST_ROWS),
                chosen=cashier,
                store=store,
                since=since,
                most=MOST_ROWS,
            )
