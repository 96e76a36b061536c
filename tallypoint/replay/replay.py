"""Real receipts through two tills, sync and ledger; then everything is counted again from what head office stored.

Receipts are dealt in turn to two stores of two partners. A sale is a commit, a cancellation a return without a
reference. Customers of the file are members; a receipt without one is an anonymous sale.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from central.members.members import import_members
from central.ports import reading, writing
from central.verify.books import verify_books
from central.verify.stored import stored_events
from central.worklist.worklist import open_counts
from edge.sale.asks import CommitAsk, ReturnAsk, SaleAsk
from edge.sale.taking_back import take_back
from loyalty.baskets import Basket, Tender
from loyalty.cards.card_keys import one_card_key
from loyalty.facts.reversals import ReturnLine
from loyalty.programme.programme import Programme
from tallypoint.in_process import InProcess, Node, StoryClock
from tallypoint.receipts_file import FileRead, FileReceipt

SYNC_EVERY = 200  # receipts between two words with head office
CLOCK_FILE = "clock"
PARTNERS = ("first", "second")


class SetAsideLines(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that are no sale and no return, by reason."""

    reason: str
    lines: int


class LineCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of the file: read = posted + set aside."""

    read: int
    posted: int
    set_aside: int


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The reconciliation. Money is minor units, `returned_minor` positive; counts are of what head office stored."""

    currency: str
    lines: LineCounts
    receipts: int
    returns: int
    anonymous: int
    sales_minor: int
    returned_minor: int
    set_aside: tuple[SetAsideLines, ...]
    posted_twice: int
    discount_minor: int
    points_earned: int
    points_reversed: int
    worklist: dict[str, int]
    violations: tuple[str, ...]


def replay(
    read: FileRead,
    programme: Programme,
    folder: Path,
    *,
    database_url: str = "",
    progress: Callable[[int], None] = lambda done: None,
) -> Replayed:
    """Send a file of receipts the whole way and reconcile.

    Args:
        programme: in the file's currency.
        folder: where the coalition lives; replaying into the same folder again must post nothing twice.
        progress: told how many receipts are done.
    """
    clock = StoryClock(_start_ms(read, folder))
    coalition = InProcess(folder, clock, _coalition(programme.currency), database_url)
    try:
        coalition.publish(programme)
        _members(coalition, read, programme)
        nodes = [coalition.add_till(f"{partner}-store", f"{partner}-till") for partner in PARTNERS]
        for node in nodes:
            coalition.sync(node)
        for number, receipt in enumerate(read.receipts):
            clock.move_to(_ms(receipt.sold_at))
            _ring_up(nodes[number % len(nodes)], receipt, programme.currency)
            if number % SYNC_EVERY == SYNC_EVERY - 1:
                for node in nodes:
                    coalition.sync(node)
            progress(number + 1)
        for node in nodes:
            coalition.sync(node)
        coalition.recompute()
        (folder / CLOCK_FILE).write_text(str(clock.wall_ms()))
        return reconcile(coalition, read, programme.currency)
    finally:
        coalition.close()


def reconcile(coalition: InProcess, read: FileRead, currency: str) -> Replayed:
    """Count what head office stored, from the bytes of its batches, and hold it against the file."""
    found: Counter[str] = Counter()
    ids: Counter[tuple[str, str]] = Counter()
    with reading(coalition.engine) as tx:
        events = list(stored_events(tx))
        worklist = open_counts(tx)
    for event in events:
        kind = event["type"]
        if kind not in ("receipt.v1", "return.v1"):
            continue
        ids[kind, event["receipt_id"]] += 1
        detail = event["detail"]
        found[kind] += 1
        if kind == "receipt.v1":
            found["lines"] += len(detail["lines"])
            found["sold"] += sum(line[2] for line in detail["lines"])
            found["discount"] += sum(line[2] for line in detail["figures"])
            found["anonymous"] += not (event.get("account_id") or event.get("card_token"))
            found["earned"] += sum(part[2] for part in event.get("earned", ()))
        else:
            found["lines"] += len(detail["goods"])
            found["returned"] += event["net_minor"]
            found["reversed"] += sum(part[2] for part in event.get("reversed", ()))
    verified = verify_books(coalition.engine)
    violations = [f"{one.code}: {one.about}: {one.wanted} / {one.found}" for one in verified.violations]
    violations += _against_file(read, found, ids)
    aside = sum(read.set_aside.values())
    return Replayed(
        currency=currency,
        lines=LineCounts(read=read.read, posted=found["lines"], set_aside=aside),
        receipts=found["receipt.v1"],
        returns=found["return.v1"],
        anonymous=found["anonymous"],
        sales_minor=found["sold"],
        returned_minor=found["returned"],
        set_aside=tuple(SetAsideLines(reason=reason, lines=lines) for reason, lines in sorted(read.set_aside.items())),
        posted_twice=sum(times - 1 for times in ids.values()),
        discount_minor=found["discount"],
        points_earned=found["earned"],
        points_reversed=found["reversed"],
        worklist=worklist,
        violations=tuple(violations),
    )


def _against_file(read: FileRead, found: Counter[str], ids: Counter[tuple[str, str]]) -> list[str]:
    """Every receipt of the file is there, and lines and money agree."""
    wanted = {("return.v1" if one.is_return else "receipt.v1", one.receipt_id) for one in read.receipts}
    sold = sum(line.amount_minor for one in read.receipts if not one.is_return for line in one.lines)
    returned = sum(line.amount_minor for one in read.receipts if one.is_return for line in one.lines)
    posted = read.read - sum(read.set_aside.values())
    said = [f"missing: {kind} {receipt_id}" for kind, receipt_id in sorted(wanted - ids.keys())]
    said += [f"invented: {kind} {receipt_id}" for kind, receipt_id in sorted(ids.keys() - wanted)]
    for what, one, other in (
        ("lines", posted, found["lines"]),
        ("sales", sold, found["sold"]),
        ("returned", returned, found["returned"]),
    ):
        if one != other:
            said.append(f"{what}: the file has {one}, head office {other}")
    return said


def _ring_up(node: Node, receipt: FileReceipt, currency: str) -> None:
    """One receipt of the file at a till; its id makes a second replay a retry."""
    offset = receipt.sold_at.utcoffset() or timedelta()
    when: dict[str, Any] = {
        "sold_at_ms": _ms(receipt.sold_at),
        "offset_min": offset // timedelta(minutes=1),
        "business_date": receipt.sold_at.date(),
    }
    if receipt.is_return:
        back = tuple(
            ReturnLine(line=line.line, quantity_milli=line.quantity_milli, amount_minor=line.amount_minor)
            for line in receipt.lines
        )
        goods = tuple(receipt.lines)
        take_back(
            node.till,
            ReturnAsk(
                return_id=receipt.receipt_id, lines=back, goods=goods, currency=currency, card=receipt.card, **when
            ),
        )
        return
    total = sum(line.amount_minor for line in receipt.lines)
    basket = Basket(
        receipt_id=receipt.receipt_id,
        currency=currency,
        lines=tuple(receipt.lines),
        tenders=(Tender(kind="money", amount_minor=total),),
    )
    node.till.commit(
        CommitAsk(sale=SaleAsk(basket=basket, card=receipt.card, **when), receipt_id=receipt.receipt_id)
    )


def _members(coalition: InProcess, read: FileRead, programme: Programme) -> None:
    """Every customer of the file is a member with a card; those of an earlier replay stay who they are."""
    cards = sorted({receipt.card for receipt in read.receipts if receipt.card})
    with writing(coalition.engine) as tx:
        import_members(
            tx,
            [{"card": number} for number in cards],
            rules=programme.cards,
            keys=one_card_key(coalition.card_key),
            randomness=coalition.randomness,
            now_ms=coalition.clock.wall_ms(),
        )


def _coalition(currency: str) -> dict[str, Any]:
    """Two partners under the same terms, one store each."""
    return {
        "currency": currency,
        "partners": [
            {
                "partner_id": partner,
                "stores": [{"store_id": f"{partner}-store"}],
                "terms": [
                    {
                        "terms_id": f"{partner}-1",
                        "from_on": "2000-01-01",
                        "fee_micro": 1200,
                        "funding_micro": 10_000,
                        "reimburse_micro": 9400,
                    }
                ],
            }
            for partner in PARTNERS
        ],
    }


def _start_ms(read: FileRead, folder: Path) -> int:
    first = min((_ms(receipt.sold_at) for receipt in read.receipts), default=0)
    kept = folder / CLOCK_FILE
    return max(first, int(kept.read_text())) if kept.exists() else first


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
