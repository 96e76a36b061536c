"""What a settled file comes to, as values and as a page of text."""

from collections.abc import Iterator, Sequence
from datetime import date

import msgspec

from loyalty.amounts import format_minor
from loyalty.books import Flag
from loyalty.netting import Flow, Netting
from loyalty.statements import StatementLine


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
    def money(minor: int) -> str:
        return format_minor(minor, result.currency)

    for period in result.periods:
        until = f" through {period.through}" if period.through else ", open at the end of the file"
        yield f"Period {period.period_no}{until} ({result.currency}; positive: owes the operator)"
        yield from _table(
            ("partner", "line", "with", "origin", "points", "micro each", "amount", "residual micro"),
            [
                (
                    line.partner_id, line.kind, line.counterparty_id, str(line.origin_period_no), f"{line.points:,}",
                    f"{line.price_micro:,}", money(line.amount_minor), f"{line.residual_micro:,}",
                )
                for line in period.lines
            ],
            left=3,
        )  # fmt: skip
        nets = [(one.partner_id, money(one.amount_minor)) for one in period.netting.positions]
        yield from _table(("net", "amount"), [*nets, ("operator", money(period.netting.operator_minor))], left=1)
        flow = period.flow
        yield f"  lines move {money(flow.line_flow_minor)}, netted {money(flow.net_flow_minor)}: {flow.ratio_bp} bp saved"
        yield ""
    yield "Accounts (micro, debits positive)"
    yield from _table(("account", "balance"), [(one.account, f"{one.micro:,}") for one in result.accounts], left=1)
    yield ""
    yield f"Open positions after {result.currency} payments"
    yield from _table(
        ("partner", "net", "paid", "open"),
        [(one.partner_id, *map(money, (one.net_minor, one.paid_minor, one.open_minor))) for one in result.positions],
        left=1,
    )
    for title, payments in (("Through the operator", result.netting.hub), ("Directly", result.netting.direct)):
        yield ""
        yield title
        yield from _table(
            ("payer", "payee", "amount"), [(p.payer_id, p.payee_id, money(p.amount_minor)) for p in payments], left=2
        )
    if result.flags:
        yield ""
        yield "Does not add up"
        yield from _table(
            ("event", "cause", "figures"),
            [
                (str(flag.of.seq), flag.cause, ", ".join(f"{name} {value}" for name, value in flag.figures.items()))
                for flag in result.flags
            ],
            left=3,
        )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Columns as wide as their widest cell; the first `left` of them lean left."""
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    for row in (heads, *rows):
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()
