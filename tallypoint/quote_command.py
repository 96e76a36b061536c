"""`tallypoint quote`: price one basket and print what `POST /v1/quotes` would answer."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import msgspec

from edge.asks import Quoted
from edge.bodies import QuoteBody
from edge.contract import Here, ask_from, quote_answer, sale_ask
from edge.instants import local_time
from loyalty.baskets import Place
from loyalty.compiled import Compiled, compile_programme
from loyalty.leases import NO_AUTHORITY, Authority
from loyalty.members import UNKNOWN_CARD, MemberRow, MemberView, add_uses, view_of
from loyalty.programme import read_programme
from loyalty.quotes import Quote, quote_basket
from tallypoint.files import read_json, read_text

NO_TILL = "0" * 32


def register(commands: Any) -> None:
    """Add `quote`."""
    parser = commands.add_parser("quote", help="price one basket under a programme, without a till")
    parser.add_argument("--programme", required=True, type=Path, help="YAML or JSON")
    parser.add_argument("--basket", required=True, type=Path, help="a basket, or a whole quote request")
    parser.add_argument("--member", type=Path, help="a member row")
    parser.add_argument("--history", type=Path, help="earlier quote requests of the member, run in order first")
    parser.add_argument("--at", help="RFC 3339 instant with offset; default: the request's own, else now")
    parser.add_argument("--store", default="store", help="id of the store")
    parser.add_argument("--partner", default="partner", help="id of the store's partner")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the quote as JSON."""
    compiled = compile_programme(read_programme(read_text(args.programme)))
    row = read_json(args.member, MemberRow) if args.member else None
    if args.history:
        asks = [ask_from(document) for document in read_json(args.history, list[dict[str, Any]])]
        row = run_history(compiled, asks, row or MemberRow(account_id=1, version=0, counters=()), args)
    ask = ask_from(read_json(args.basket, dict[str, Any]))
    quote = price(compiled, ask, row, args, at=args.at)
    told = Quoted(quote=quote, card_token=None, known=row is not None, as_of_ms=0, offline=False)
    print(json.dumps(quote_answer(told, ask.quote_id), indent=2, ensure_ascii=False))
    return 0


def run_history(compiled: Compiled, asks: list[QuoteBody], row: MemberRow, args: argparse.Namespace) -> MemberRow:
    """Price and fold each request in order; points earned can be spent by the next one."""
    for ask in asks:
        quote = price(compiled, ask, row, args)
        totals = quote.totals
        row = msgspec.structs.replace(
            row,
            version=row.version + 1,
            balance_points=row.balance_points + totals.points_earned - totals.points_spent,
            counters=add_uses(row.counters or (), quote.uses),
        )
    return row


def price(
    compiled: Compiled, ask: QuoteBody, row: MemberRow | None, args: argparse.Namespace, *, at: str | None = None
) -> Quote:
    """One request for a member, as if the centre could be asked, so that the whole balance may be spent.

    Args:
        at: the instant instead of the request's own; without either it is now.
    """
    body = msgspec.structs.replace(ask, sold_at=at, business_date=None) if at else ask
    sale = sale_ask(body, Here(now_ms=time.time_ns() // 1_000_000))
    offset_min = sale.offset_min or 0
    place = Place(
        partner_id=args.partner,
        store_id=args.store,
        till_id=NO_TILL,
        channel=sale.channel,
        sold_at_ms=sale.sold_at_ms,
        offset_min=offset_min,
        business_date=sale.business_date or local_time(sale.sold_at_ms, offset_min).date(),
    )
    view = _view(ask, row)
    authority = NO_AUTHORITY
    if view is not None and view.spendable_points > 0:
        authority = Authority(kind="hold", points=view.spendable_points)
    return quote_basket(compiled, sale.basket, place, view, authority=authority, language=ask.language)


def _view(ask: QuoteBody, row: MemberRow | None) -> MemberView | None:
    if row is not None:
        return view_of(row, ())
    return UNKNOWN_CARD if ask.card else None
