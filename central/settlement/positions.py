"""What the postings of a period come to, by one GROUP BY: sums, statement lines, what each partner owes.

Source: house.md idea 3, "the books are postings".
"""

from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from central.coalition.registry import all_terms
from central.coalition.settings import get_setting
from central.database.tables import posting, statement_line
from loyalty.settling.money import PointSum
from loyalty.settling.statements import StatementLine, statement_lines
from loyalty.trouble import Refusal

_KEY = (
    "unit",
    "source",
    "target",
    "issuer_id",
    "terms_id",
    "at_partner_id",
    "at_terms_id",
    "priced_by",
    "origin_period_no",
)


class NoCurrency(Refusal):
    code = "period.no_currency"


def lines_of_period(tx: Connection, period_no: int, currency: str) -> tuple[StatementLine, ...]:
    """The statement lines of a period as they stand: final once its page is turned.

    Raises:
        InvariantBroken: a posting names terms that do not exist.
    """
    sums = period_sums(tx, period_no)
    origins = {one.origin_period_no for one in sums}
    return statement_lines(
        sums,
        {one.terms_id: one for one in all_terms(tx)},
        period_no=period_no,
        currency=currency,
        billed=billed_before(tx, period_no, origins),
    )


def period_sums(tx: Connection, period_no: int) -> tuple[PointSum, ...]:
    """The postings of a period, summed over all that sets a price; sorted."""
    key = [posting.c[name] for name in _KEY]
    rows = tx.execute(
        select(*key, func.sum(posting.c.amount).label("points")).where(posting.c.period_no == period_no).group_by(*key)
    ).mappings()
    # A sum of whole numbers is a Decimal on PostgreSQL.
    return tuple(sorted(PointSum(**{**row, "points": int(row["points"])}) for row in rows))


def billed_before(tx: Connection, period_no: int, origins: Iterable[int]) -> tuple[StatementLine, ...]:
    """Issued lines of earlier periods about the periods in `origins`."""
    earlier = sorted(origin for origin in origins if origin < period_no)
    if not earlier:
        return ()
    columns = [statement_line.c[name] for name in StatementLine.__struct_fields__]
    rows = tx.execute(
        select(*columns).where(
            statement_line.c.origin_period_no.in_(earlier), statement_line.c.period_no < period_no
        )
    ).mappings()
    return tuple(StatementLine(**row) for row in rows)


def settled_in(tx: Connection) -> str:
    """The currency of the coalition. Raises: NoCurrency."""
    currency = get_setting(tx, "currency")
    if not currency:
        raise NoCurrency("No coalition has been loaded, so there is no currency to settle in; load its file first.")
    return currency
