"""The table at the end of the demo."""

from typing import Any

from rich.console import Console
from rich.table import Table

from central.worklist.causes import title, why
from loyalty.amounts import format_minor
from tallypoint.demo.counter import Counter
from tallypoint.demo.shop import Shop


def show(console: Console, shop: Shop, counter: Counter, result: dict[str, Any], violations: list[str]) -> None:
    """Print receipts, coupons and the counter, points by issuer, worklist, positions, and what was checked."""
    status, closed, verified = result["status"], result["closed"], result["verified"]
    _tills(console, shop, status)
    _coupons(console, shop)
    _counter(console, counter)
    _points(console, verified)
    _worklist(console, status)
    _positions(console, closed)
    console.print(
        f"Checked: {verified['events']} events in {verified['batches']} signed batches, {verified['accounts']} accounts"
        f" refolded; overspent offline {verified['uncovered_points']} of {verified['granted_points']} points granted.",
        highlight=False,
    )
    if violations:
        console.print(f"[bold red]{len(violations)} violations[/bold red]")
        for one in violations[:20]:
            console.print(f"  {one}", highlight=False, markup=False)
    else:
        console.print("[bold green]Every invariant holds.[/bold green]")


def _tills(console: Console, shop: Shop, status: dict[str, Any]) -> None:
    table = _table("Receipts", "till", "store", "receipts", "voids", "returns", "holds", "money taken")
    counts = {row["label"]: row for row in status["tills"]}
    for till in shop.tills:
        voids = sum(1 for one in till.answered if one.startswith("void:"))
        returns = sum(1 for one in till.answered if one.startswith(("ret-", "lost-")))
        table.add_row(
            till.label,
            till.store,
            str(counts[till.label]["receipts"]),
            str(voids),
            str(returns),
            str(till.held),
            format_minor(sum(one.net_minor for one in till.rung), status["currency"]),
        )
    console.print(table)


def _coupons(console: Console, shop: Shop) -> None:
    table = _table("Coupons and codes", "till", "printed", "taken", "refused")
    for till in shop.tills:
        printed = sum(len(one.coupons_issued) for one in till.rung)
        taken = sum(len(one.coupons_used) for one in till.rung)
        table.add_row(till.label, str(printed), str(taken), str(till.codes_refused))
    console.print(table)


def _counter(console: Console, counter: Counter) -> None:
    table = _table("At the counter", "what", "times")
    for what, times in counter.counts.items():
        table.add_row(what, str(times))
    console.print(table)


_BUCKETS = ("issued", "redeemed", "reversed", "expired", "leased", "available")


def _points(console: Console, verified: dict[str, Any]) -> None:
    table = _table("Points by issuer", "issuer", "issued", "redeemed", "reversed", "expired", "at tills", "free")
    for issuer, held in verified["points"].items():
        table.add_row(issuer, *(str(held.get(bucket, 0)) for bucket in _BUCKETS))
    console.print(table)


def _worklist(console: Console, status: dict[str, Any]) -> None:
    table = _table("Worklist: what tills did while they were apart, for a person to look at", "reason", "open")
    table.add_column("what it means", overflow="fold")
    for cause, count in sorted(status["worklist"].items()):
        table.add_row(title(cause).capitalize(), str(count), why(cause))
    if not status["worklist"]:
        table.add_row("nothing", "0", "Everything adds up.")
    console.print(table)


def _positions(console: Console, closed: dict[str, Any]) -> None:
    currency = closed["currency"]
    table = _table(f"Positions of period {closed['period_no']}, {currency}", "partner", "owes (+) or is owed (-)")
    for one in closed["positions"]:
        table.add_row(one["partner_id"], format_minor(one["net_minor"], currency))
    table.add_row("sum", format_minor(sum(one["net_minor"] for one in closed["positions"]), currency))
    console.print(table)
    for one in closed["payments"]:
        console.print(
            f"  {one['payer_id']} pays {one['payee_id']} {format_minor(one['amount_minor'], currency)} {currency}",
            highlight=False,
        )


def _table(title: str, first: str, *rest: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for name in rest:
        table.add_column(name, justify="right")
    return table
