"""A frozen statement as JSON and as CSV. Both are of the dataset that was hashed, and compute nothing.

Source: settlement.md "Formats".
"""

from collections.abc import Iterator
from typing import Literal

from central.settlement.csv_text import Figure, csv_line
from central.settlement.issued import Statement
from loyalty.amounts import format_minor

Comma = Literal["point", "comma"]

HEADS = (
    "statement",
    "partner",
    "period",
    "line",
    "kind",
    "counterparty",
    "terms",
    "corrects_period",
    "points",
    "price_micro",
    "exact_micro",
    "amount",
    "currency",
    "residual_micro",
    "block_no",
    "block_hash",
)


def statement_csv(made: Statement, decimal: Comma = "point") -> Iterator[str]:
    """The lines of a statement and its total, as lines of CSV; each names the block that seals the last of its entries.

    Args:
        made: the statement.
        decimal: `point` with commas between cells; `comma` with semicolons, as spreadsheets of most of Europe read it.
    """
    separator = "," if decimal == "point" else ";"

    def money(minor: int) -> Figure:
        text = format_minor(minor, made.currency)
        return Figure(text if decimal == "point" else text.replace(".", ","))

    block = (made.block_no or None, made.block_hash)
    yield csv_line(HEADS, separator=separator)
    for n, line in enumerate(made.lines, 1):
        corrects = line.origin_period_no if line.origin_period_no != line.period_no else None
        cells = (
            made.statement_id,
            line.partner_id,
            line.period_no,
            n,
            line.kind,
            line.counterparty_id,
            line.terms_id,
            corrects,
            line.points,
            line.price_micro,
            line.exact_micro,
            money(line.amount_minor),
            made.currency,
            line.residual_micro,
            *block,
        )
        yield csv_line(cells, separator=separator)
    total = (made.statement_id, made.partner_id, made.period_no, None, "total", *[None] * 6, money(made.total_minor))
    yield csv_line((*total, made.currency, None, *block), separator=separator)
