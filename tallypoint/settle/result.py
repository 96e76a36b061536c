"""What a settled file comes to, as values and as a page of text."""

from collections.abc import Iterator, Sequence
from datetime import date

import msgspec

from loyalty.amounts import format_minor
from loyalty.ledger.books import Flag
from loyalty.settling.money import OPERATOR
from loyalty.settling.netting import Flow, Netting
from loyalty.settling.statements import StatementLine


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """One period as it closes: `through` is none for the last one, which ends with the file."""

    period_no: int
    through: date | None
    lines: tuple[StatementLine, ...]
    netting: Netting
    flow: Flow


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """What a partner owes over all periods, what was paid, and what is open."""

    partner_id: str
    net_minor: int
    paid_minor: int
    open_minor: int


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Balance of a money account in micro-units; debits are positive."""

    account: str
    micro: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a file settles to; `netting` is of what is still open after the payments."""

    currency: str
    periods: tuple[Period, ...]
    accounts: tuple[Account, ...]
    positions: tuple[Open, ...]
    netting: Netting
    flags: tuple[Flag, ...]


def report(result: Result) -> Iterator[str]:
    """The result as lines of text."""
    for period in result.periods:
        yield from _period(period, result.currency)
    yield "Accounts (micro, debits positive)"
    yield from _table(("account", "balance"), [(one.account, f"{one.micro:,}") for one in result.accounts], left=1)
    yield from _still_open(result)
    if result.flags:
        yield "\nDoes not add up"
        rows = [(str(flag.of.seq), flag.cause, _figures(flag)) for flag in result.flags]
        yield from _table(("event", "cause", "figures"), rows, left=3)


def _period(period: Period, currency: str) -> Iterator[str]:
    until = f"through {period.through}" if period.through else "open at the end of the file"
    yield f"Period {period.period_no}, {until} ({currency}; positive owes the operator)"
    heads = ("partner", "line", "with", "origin", "points", "micro each", "amount", "residual micro")
    yield from _table(heads, [_line(line, currency) for line in period.lines], left=3)
    nets = [(one.partner_id, format_minor(one.amount_minor, currency)) for one in period.netting.positions]
    operator = format_minor(period.netting.operator_minor, currency)
    yield from _table(("net", "amount"), [*nets, (OPERATOR, operator)], left=1)
    gross = format_minor(period.flow.line_flow_minor, currency)
    net = format_minor(period.flow.net_flow_minor, currency)
    yield f"  lines move {gross}, netted {net}: {period.flow.ratio_bp} basis points saved\n"


def _line(line: StatementLine, currency: str) -> tuple[str, ...]:
    return (
        line.partner_id,
        line.kind,
        line.counterparty_id,
        str(line.origin_period_no),
        f"{line.points:,}",
        f"{line.price_micro:,}",
        format_minor(line.amount_minor, currency),
        f"{line.residual_micro:,}",
    )


def _still_open(result: Result) -> Iterator[str]:
    def money(minor: int) -> str:
        return format_minor(minor, result.currency)

    yield "\nOpen positions, payments taken off"
    rows = [
        (one.partner_id, money(one.net_minor), money(one.paid_minor), money(one.open_minor))
        for one in result.positions
    ]
    yield from _table(("partner", "net", "paid", "open"), rows, left=1)
    for title, payments in (("Through the operator", result.netting.hub), ("Directly", result.netting.direct)):
        yield f"\n{title}"
        moved = [(one.payer_id, one.payee_id, money(one.amount_minor)) for one in payments]
        yield from _table(("payer", "payee", "amount"), moved, left=2)


def _figures(flag: Flag) -> str:
    return ", ".join(f"{name} {value}" for name, value in flag.figures.items())


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Columns as wide as their widest cell; the first `left` of them lean left."""
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    for row in (heads, *rows):
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()
