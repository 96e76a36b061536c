"""All that is measured of the ledger, one after the other, on one PostgreSQL."""

from collections.abc import Iterator

from bench.ledger import growth, ingest, together
from bench.ledger.postgres import NoPostgres, server
from bench.ledger.sales import LINES
from bench.table import Row
from sync.envelope import MAX_EVENTS


def rows(*, deep: bool = False) -> Iterator[Row]:
    """P10 to P15, growth, and with `deep` a year of a million members."""
    try:
        with server() as url:
            print(f"the centre: batches of {MAX_EVENTS} receipts of {LINES} lines; times a receipt", flush=True)
            yield from ingest.rows(url)
            yield from together.rows(url)
            yield from growth.rows(url, deep=deep)
    except NoPostgres as none:
        yield Row(budget="P10", what="the centre's ledger", skipped=str(none))
