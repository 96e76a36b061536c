"""`make bench`, or `python -m bench`: one table of ratios; ends with 1 where one is past twice its budget."""

import argparse
import sys
from collections.abc import Callable, Iterator

from bench import commit, growth, lookup, naive, oscar, quote, sale, start, swap, tail
from bench.ledger import parts as ledger
from bench.rounds import share_of_processor
from bench.table import HEAD, Row, exit_status, line, summary

MEMBERS = 1_000_000


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast it is here, as ratios.")
    parser.add_argument("--members", type=int, default=MEMBERS, help="that the till knows (default %(default)s)")
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "quote": lambda: _beside_a_till(asked.members),
        "commit": lambda: commit.rows(asked.members),
        "sale": lambda: sale.rows(asked.members),
        "lookup": lambda: lookup.rows(asked.members),
        "swap": lambda: swap.rows(asked.members),
        "start": lambda: start.rows(asked.members),
        "naive": naive.rows,
        "growth": growth.rows,
        "oscar": oscar.rows,
        "tail": tail.rows,
        "ledger": lambda: ledger.rows(deep=asked.deep),
    }
    parser.add_argument("--deep", action="store_true", help="the ledger with a year of a million members, too")
    parser.add_argument("--only", action="append", choices=parts, help="a part of the table; may be given again")
    asked = parser.parse_args(arguments)
    measured: list[Row] = []
    shares = [share_of_processor()]
    print(HEAD, flush=True)
    for part in asked.only or parts:
        for row in parts[part]():
            measured.append(row)
            print(line(row), flush=True)
            shares.append(share_of_processor())
    print(summary(measured))
    print(f"the processor was ours for {min(shares):.0%} to {max(shares):.0%} of the time; on a busy machine try again")
    return exit_status(measured)


def _beside_a_till(members: int) -> Iterator[Row]:
    with sale.a_till(members) as till:
        known, took_s = till.hello["members"], till.hello["took_s"]
        made = f", whose cache took {took_s:.0f} s to make" if took_s else ""
        print(f"a till that knows {known:,} members{made}; baskets of {quote.LINES} lines", flush=True)
        yield from quote.rows(till)


if __name__ == "__main__":
    sys.exit(main())
