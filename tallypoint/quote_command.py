"""`tallypoint quote`: price one basket and print what `POST /v1/quotes` would answer."""

import argparse
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from edge.api.bodies import QuoteBody
from edge.api.contract import Here, ask_from, quote_answer, sale_ask
from edge.instants import local_time
from edge.sale.asks import Quoted
from loyalty.baskets import Place
from loyalty.members import UNKNOWN_CARD, MemberRow, MemberView, Use, WalletItem, add_uses, row_after, view_of
from loyalty.pricing.leases import NO_AUTHORITY, Authority
from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import Compiled, compile_programme
from loyalty.programme.programme import read_programme
from tallypoint.files import read_json, read_text

NO_TILL = "0" * 32


def register(commands: Any) -> None:
    """Add `quote`."""
    parser = commands.add_parser("quote", help="price one basket under a programme, without a till")
    parser.add_argument("--programme", required=True, type=Path, help="YAML or JSON")
    parser.add_argument("--basket", required=True, type=Path, help="a basket, or a whole quote request")
    parser.add_argument("--member", type=Path, help="a member row")
    parser.add_argument("--bearer", type=Path, help="coupons and certificates in hand, as a list of wallet items")
    parser.add_argument("--history", type=Path, help="earlier quote requests of the member, run in order first")
    parser.add_argument("--at", help="RFC 3339 instant with offset; default: the request's own, else now")
    parser.add_argument("--store", default="store", help="id of the store")
    parser.add_argument("--partner", default="partner", help="id of the store's partner")
    parser.add_argument("--till-kind", default="", help="what kind of till it is")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the quote as JSON."""
    compiled = compile_programme(read_programme(read_text(args.programme)))
    row = read_json(args.member, MemberRow) if args.member else None
    shared: tuple[Use, ...] = ()
    if args.history:
        asks = [ask_from(document) for document in read_json(args.history, list[dict[str, Any]])]
        row, shared = run_history(compiled, asks, row or MemberRow(account_id=1, version=0, counters=()), args)
    ask = ask_from(read_json(args.basket, dict[str, Any]))
    quote = price(compiled, ask, row, args, at=args.at, shared=shared)
    told = Quoted(quote=quote, card_token=None, known=row is not None, as_of_ms=0, offline=False)
    print(json.dumps(quote_answer(told, ask.quote_id), indent=2, ensure_ascii=False))
    return 0


def run_history(
    compiled: Compiled, asks: list[QuoteBody], row: MemberRow, args: argparse.Namespace
) -> tuple[MemberRow, tuple[Use, ...]]:
    """Price and fold each request in order; points earned can be spent by the next one.

    Returns:
        The member after all of them, and what they added to counters of no account.
    """
    shared: tuple[Use, ...] = ()
    for ask in asks:
        quote = price(compiled, ask, row, args, shared=shared)
        row = row_after(row, quote.uses, points=quote.totals.points_earned - quote.totals.points_spent)
        shared = add_uses(shared, quote.shared_uses)
    return row, shared


def price(
    compiled: Compiled,
    ask: QuoteBody,
    row: MemberRow | None,
    args: argparse.Namespace,
    *,
    at: str | None = None,
    shared: tuple[Use, ...] = (),
) -> Quote:
    """One request for a member, as if the centre could be asked, so that the whole balance may be spent.

    Args:
        at: the instant instead of the request's own; without either it is now.
        shared: counters of no account, as far as earlier requests moved them.
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
        till_kind=args.till_kind,
    )
    view = _view(ask, row, place.business_date)
    authority = NO_AUTHORITY
    if view is not None and view.spendable_points > 0:
        authority = Authority(kind="hold", points=view.spendable_points)
    bearer = read_json(args.bearer, list[WalletItem]) if args.bearer else []
    return quote_basket(
        compiled,
        sale.basket,
        place,
        view,
        authority=authority,
        bearer=bearer,
        shared=shared or None,
        language=ask.language,
    )


def _view(ask: QuoteBody, row: MemberRow | None, on: date) -> MemberView | None:
    if row is not None:
        return view_of(row, (), on=on)
    return UNKNOWN_CARD if ask.card else None
