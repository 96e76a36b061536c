"""Whatever happens to certificates in whatever order, the ledger and the fold of `central verify` come to the same."""

import json
from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from central.verify.certificates import CertificateFold, _codes
from loyalty.baskets import Place
from loyalty.certificates import CertificateSold
from loyalty.facts.certificate_events import CertificateKept, CertificateMoved
from loyalty.facts.events import Event, encode
from loyalty.facts.receipts import Receipt
from loyalty.facts.return_voids import close_return_void
from loyalty.facts.reversals import Return, Void
from loyalty.ledger.books import Books
from loyalty.ledger.postings import post_event
from loyalty.lots import EventRef
from loyalty.members import Use

CODES = ("a" * 32, "b" * 32)
START = date(2026, 3, 2)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["sell", "spend", "void", "refund", "back", "whole", "again", "lapse", "top_up", "block"]),
        st.sampled_from(CODES),
        st.sampled_from(["acme", "bolt"]),
        st.integers(1, 900),
        st.integers(0, 60),  # days after the start
        st.integers(0, 30),  # days that money is good, or which receipt is undone
    ),
    max_size=25,
)


def place(partner: str, day: int) -> Place:
    on = START + timedelta(days=day)
    return Place(partner_id=partner, store_id="S1", till_id="T1", channel="pos", sold_at_ms=0, offset_min=0,
                 business_date=on)  # fmt: skip


Made = list[tuple[EventRef, Any]]


def event_of(n: int, step: tuple[Any, ...], sold: Made, back: Made) -> Event | None:
    what, code, partner, amount, day, more = step
    on = START + timedelta(days=day)
    if what == "sell":
        one = CertificateSold(line=1, code=code, amount_minor=amount, valid_through=on + timedelta(days=more))
        return Receipt(receipt_id=f"r{n}", place=place(partner, day), net_minor=amount, certificates_sold=(one,))
    if what == "spend":
        uses = (Use(name=f"certificate:{code}", amount=-amount),)
        return Receipt(receipt_id=f"r{n}", place=place(partner, day), net_minor=amount, shared_uses=uses)
    if what in ("void", "refund"):
        if not sold:
            return None
        ref, receipt = sold[more % len(sold)]
        share = 1 if what == "void" else 2  # a refund gives half of it back, as a void would
        uses = tuple(Use(name=use.name, amount=-use.amount // share) for use in receipt.shared_uses)
        back = receipt.certificates_sold if what == "void" else ()
        name = f"void:{receipt.receipt_id}"
        return Void(receipt_id=name, place=place(partner, day), of=ref, shared_uses=uses, certificates_back=back)
    if what == "back" and sold:
        ref, receipt = sold[more % len(sold)]
        uses = tuple(Use(name=use.name, amount=-use.amount // 2) for use in receipt.shared_uses)
        return Return(receipt_id=f"b{n}", place=place(partner, day), net_minor=1, of=ref, shared_uses=uses)
    if what == "whole" and sold:
        ref, receipt = sold[more % len(sold)]
        return Return(receipt_id=f"b{n}", place=place(partner, day), net_minor=1, of=ref,
                      certificates_back=receipt.certificates_sold)  # fmt: skip
    if what == "again" and back:
        ref, returned = back.pop(more % len(back))
        return close_return_void(returned, ref, place(partner, day))
    if what in ("back", "whole", "again"):
        return None
    if what == "lapse":
        return CertificateKept(receipt_id=f"k{n}", what="lapsed", code=code, on=on)
    moved = {"receipt_id": f"c{n}", "place": place(partner, day), "code": code}
    if what == "block":
        return CertificateMoved(what="blocked", reason="lost", **moved)
    return CertificateMoved(what="topped_up", amount_minor=amount, valid_through=on + timedelta(days=more), **moved)


# Half of what a sale paid comes back, and that is undone: while the money is there, once it has lapsed, once it is
# spent, and where all that was spent had come back.
UNDONE = [
    ("top_up", CODES[0], "acme", 500, 0, 20),
    ("spend", CODES[0], "acme", 300, 1, 0),
    ("back", CODES[0], "bolt", 1, 2, 0),
]
AGAIN = ("again", CODES[0], "bolt", 1, 3, 0)
# A certificate that was sold and spent of comes back, and that is undone: it has what was left, whether its day is over
# by the return or by the void, and pays what was taken of it meanwhile.
SOLD = [("sell", CODES[0], "acme", 500, 0, 20), ("spend", CODES[0], "bolt", 200, 1, 0)]
LAPSED = ("lapse", CODES[0], "acme", 1, 40, 0)
GONE = ("whole", CODES[0], "acme", 1, 2, 0)


@settings(max_examples=150, deadline=None)
@given(STEPS)
@example([*UNDONE, AGAIN, ("void", CODES[0], "acme", 1, 4, 0)])
@example([*UNDONE, ("lapse", CODES[0], "acme", 1, 40, 0), AGAIN])
@example([*UNDONE, ("spend", CODES[0], "bolt", 300, 3, 0), AGAIN, ("top_up", CODES[0], "bolt", 900, 3, 20)])
@example([*UNDONE, ("back", CODES[0], "bolt", 1, 2, 0), AGAIN, AGAIN, ("top_up", CODES[0], "bolt", 900, 3, 20)])
@example([*SOLD, GONE, AGAIN, ("spend", CODES[0], "bolt", 400, 4, 0), GONE])
@example([*SOLD, GONE, LAPSED, AGAIN, LAPSED])
@example([*SOLD, LAPSED, GONE, AGAIN, ("spend", CODES[0], "bolt", 400, 4, 0)])
@example([*SOLD, ("top_up", CODES[0], "acme", 100, 0, 20), GONE, ("spend", CODES[0], "bolt", 300, 3, 0), AGAIN])
def test_ledger_and_fold_agree_on_every_certificate_and_every_sum(steps: list[tuple[Any, ...]]) -> None:
    books, fold = Books((), 1), CertificateFold()
    sold: Made = []
    back: Made = []
    legs: dict[Any, int] = defaultdict(int)
    for n, step in enumerate(steps, 1):
        ref, event = EventRef(till_id="T1", epoch=1, seq=n), event_of(n, step, sold, back)
        if event is None:
            continue
        posted = post_event(event, ref, None, books)
        books.take(posted)
        if isinstance(event, Receipt):
            sold.append((ref, event))
        if isinstance(event, Return):
            back.append((ref, event))
        plain = json.loads(encode(event))
        assert _codes(plain, is_named=True) == {code for code, _ in posted.certificates}
        for code, _ in posted.certificates:
            fold.fold(code, ("T1", 1, n), plain)
        for one in posted.postings:
            for bucket, signed in ((one.source, -one.amount), (one.target, one.amount)):
                at = one.at_partner_id if bucket == "redeemed" else ""
                legs[bucket, one.key.valid_through.isoformat(), one.key.issuer_id, at] += signed
    for code, held in books.certificates.items():
        assert {(k.key.valid_through.isoformat(), k.key.issuer_id): k.points for k in held.lots} == {
            lot: amount for lot, amount in fold.held[code].lots.items() if amount
        }
        assert {(k.key.valid_through.isoformat(), k.key.issuer_id): k.points for k in held.lapsed} == {
            lot: amount for lot, amount in fold.held[code].lapsed.items() if amount
        }
        assert held.owed_minor == sum(taken.owed for taken in fold.held[code].took.values())
        assert (held.n, held.blocked) == (fold.held[code].events, fold.held[code].blocked)
        assert min((one.points for one in (*held.lots, *held.lapsed)), default=1) > 0
    assert {k: v for k, v in legs.items() if v} == {k: v for k, v in fold.legs.items() if v}
    issued = -sum(amount for (bucket, *_), amount in legs.items() if bucket == "issued")
    assert issued == sum(amount for (bucket, *_), amount in legs.items() if bucket != "issued")
    assert msgspec.json.decode(msgspec.json.encode(tuple(books.certificates.values()))) is not None
