"""`tallypoint settle FILE.json`: events through the kernel's own books to statement lines, accounts and payments.

No rule lives here: `post_event`, `money_legs`, `statement_lines` and `net_positions` are what the centre runs too.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

import msgspec

from loyalty.amounts import minor_in_micro
from loyalty.baskets import Place
from loyalty.facts.receipts import Funded, Receipt
from loyalty.facts.return_voids import close_return_void
from loyalty.facts.reversals import Return, ReturnVoid, Reversal, Void, return_named
from loyalty.ledger.books import NOBODY, Books, Flag, Posted, Posting
from loyalty.ledger.expiry import expire_lots
from loyalty.ledger.postings import post_event
from loyalty.lots import EventRef
from loyalty.pricing.earning import Earned
from loyalty.pricing.leases import Redemption
from loyalty.settling.money import Leg, balances, money_legs, sum_postings
from loyalty.settling.netting import flow_of, net_positions
from loyalty.settling.statements import StatementLine, closing_legs, owed_by_partner, statement_lines
from tallypoint.settle.file import (
    CloseRow,
    Document,
    EarnedRow,
    EventRow,
    ExpiryRow,
    FundedRow,
    ReceiptRow,
    ReturnRow,
    VoidRow,
    id_of,
    read_file,
    terms_in,
)
from tallypoint.settle.result import Account, Open, Period, Result, report

STREAM = "file"


def register(commands: Any) -> None:
    """The `settle` command."""
    parser = commands.add_parser("settle", help="contracts, events and payments of a file to statements and netting")
    parser.add_argument("file", metavar="FILE.json", help="as docs/settlement.md describes it")
    parser.add_argument("--json", action="store_true", help="print data instead of tables")
    parser.set_defaults(run=lambda args: run(args.file, args.json))


def run(path: str, as_json: bool) -> int:
    """Settle a file and print the result. Raises: as `read_file`."""
    result = settle(read_file(path))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    else:
        print("\n".join(report(result)))
    return 0


def settle(document: Document) -> Result:
    """Post the events in the order of the file, close each period, and net what the payments left open."""
    terms = {one.terms_id: one for one in terms_in(document)}
    ledger = _Ledger(document)
    periods: list[Period] = []
    billed: tuple[StatementLine, ...] = ()
    legs: list[Leg] = []
    for through, postings in ledger.periods():
        sums = sum_postings(postings)
        lines = statement_lines(
            sums, terms, period_no=len(periods) + 1, currency=document.currency, billed=billed
        )
        legs += [leg for one in sums for leg in money_legs(one, terms, document.currency)]
        legs += closing_legs(lines, document.currency)
        billed += lines
        netting = net_positions(owed_by_partner(lines))
        periods.append(
            Period(
                period_no=len(periods) + 1, through=through, lines=lines, netting=netting, flow=flow_of(lines, netting)
            )
        )
    legs += _payment_legs(document)
    positions = _open(document, billed)
    return Result(
        currency=document.currency,
        periods=tuple(periods),
        accounts=tuple(Account(account=name, micro=micro) for name, micro in balances(legs).items()),
        positions=positions,
        netting=net_positions({one.partner_id: one.open_minor for one in positions}),
        flags=tuple(ledger.flags),
    )


class _Ledger:
    """The file's events on books that start from nothing."""

    def __init__(self, document: Document) -> None:
        self.books = Books(terms_in(document), period_no=1)
        self.rows = document.events
        self.flags: list[Flag] = []
        self.waiting: dict[EventRef, list[tuple[int, EventRow]]] = {}
        self.refs: dict[str, EventRef] = {}
        for n, row in enumerate(self.rows, 1):
            if (name := id_of(row)) is not None:
                self.refs.setdefault(name, _ref(n))

    def periods(self) -> Iterator[tuple[date | None, list[Posting]]]:
        """The postings of each period; a last one only where events follow the last close, or none closed."""
        postings: list[Posting] = []
        last = None
        for n, last in enumerate(self.rows, 1):
            if isinstance(last, CloseRow):
                yield last.through, postings
                postings = []
                self.books.period_no += 1
            else:
                postings += self._post(n, last)
        if not isinstance(last, CloseRow):
            yield None, postings

    def _post(self, n: int, row: EventRow) -> list[Posting]:
        if isinstance(row, ExpiryRow):
            return [
                posting
                for account_id in sorted(self.books.accounts)
                if account_id != NOBODY
                for posting in self._take(expire_lots(account_id, _ref(n), row.on, self.books))
            ]
        name = id_of(row)
        if name is not None and self.refs[name] != _ref(n):
            return []  # the same row again; it was posted once
        event = self._event(row)
        if isinstance(event, ReturnVoid) and self.books.returned(event.undoes, return_named(event)) is None:
            # Its return waits itself, or comes later in the file.
            self.waiting.setdefault(event.undoes, []).append((n, row))
            return []
        posted = post_event(event, _ref(n), event.account_id, self.books)
        if posted.waits_for is not None:
            self.waiting.setdefault(posted.waits_for, []).append((n, row))
            return []
        postings = list(self._take(posted))
        for waiting_n, waiting_row in self.waiting.pop(_ref(n), []):
            postings += self._post(waiting_n, waiting_row)
        return postings

    def _take(self, posted: Posted) -> tuple[Posting, ...]:
        self.books.take(posted)
        self.flags += posted.flags
        return posted.postings

    def _event(self, row: EventRow) -> Receipt | Reversal:
        if isinstance(row, ReceiptRow):
            return _receipt(row)
        if isinstance(row, ReturnRow):
            return _return(row, self.refs[row.of] if row.of else None)
        assert isinstance(row, VoidRow)
        undone = self.rows[self.refs[row.of].seq - 1]
        if isinstance(undone, ReturnRow):
            returned = _return(undone, self.refs[undone.of] if undone.of else None)
            return close_return_void(returned, self.refs[row.of], _place(undone.partner_id, row.on))
        return Void(receipt_id=f"void:{row.of}", place=_place("", row.on), of=self.refs[row.of])


def _receipt(row: ReceiptRow) -> Receipt:
    spent = Redemption(points=row.points_spent, amount_minor=0, authority="float", lease_id=STREAM)
    return Receipt(
        receipt_id=row.receipt_id,
        place=_place(row.partner_id, row.on),
        net_minor=row.net_minor,
        account_id=row.account_id,
        earned=_earned(row.earned, row.partner_id),
        redemption=spent if row.points_spent else None,
        funded=_funded(row.funded),
    )


def _return(row: ReturnRow, of: EventRef | None) -> Return:
    return Return(
        receipt_id=row.receipt_id,
        place=_place(row.partner_id, row.on),
        net_minor=row.net_minor,
        of=of,
        account_id=row.account_id,
        reversed=_earned(row.reversed, row.partner_id),
        restored_points=row.restored_points,
        funded=_funded(row.funded),
    )


def _earned(rows: Iterable[EarnedRow], partner_id: str) -> tuple[Earned, ...]:
    return tuple(
        Earned(issuer_id=row.issuer_id or partner_id, valid_through=row.valid_through, points=row.points)
        for row in rows
    )


def _funded(rows: Iterable[FundedRow]) -> tuple[Funded, ...]:
    return tuple(Funded(partner_id=row.partner_id, amount_minor=row.amount_minor) for row in rows)


def _place(partner_id: str, on: date) -> Place:
    return Place(
        partner_id=partner_id, store_id="", till_id=STREAM, channel="", sold_at_ms=0, offset_min=0, business_date=on
    )


def _ref(n: int) -> EventRef:
    return EventRef(till_id=STREAM, epoch=1, seq=n)


def _payment_legs(document: Document) -> Iterator[Leg]:
    for payment in document.payments:
        micro = payment.amount_minor * minor_in_micro(document.currency)
        yield Leg(account=f"bank:{document.currency}", micro=micro)
        yield Leg(account=f"settle:{payment.partner_id}", micro=-micro)


def _open(document: Document, lines: Iterable[StatementLine]) -> tuple[Open, ...]:
    nets = owed_by_partner(lines)
    paid: dict[str, int] = {}
    for payment in document.payments:
        paid[payment.partner_id] = paid.get(payment.partner_id, 0) + payment.amount_minor
    return tuple(
        Open(
            partner_id=partner,
            net_minor=nets.get(partner, 0),
            paid_minor=paid.get(partner, 0),
            open_minor=nets.get(partner, 0) - paid.get(partner, 0),
        )
        for partner in sorted(nets.keys() | paid.keys())
    )
