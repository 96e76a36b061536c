"""A small coalition for tests of settlement and console: partners A, C, D, their tills, and postings of the kernel."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Engine

from central import migrations
from central.coalition.registry import load_coalition
from central.coalition.streams import begin_stream
from central.database.rows import put
from central.database.tables import event, posting, stream, till
from central.ports import open_engine, writing
from loyalty.baskets import Place
from loyalty.facts.events import Event
from loyalty.facts.receipts import Funded, Receipt
from loyalty.facts.reversals import Return
from loyalty.ledger.books import Books, Posted
from loyalty.ledger.postings import post_event
from loyalty.lots import FOREVER, EventRef
from loyalty.pricing.earning import Earned
from loyalty.pricing.leases import Redemption
from loyalty.terms import Terms

NOW = 1_793_000_000_000
TILLS = {"A": "a" * 32, "C": "c" * 32, "D": "d" * 32}
PRICES = {
    "A": {"fee_micro": 1_200, "funding_micro": 10_000, "reimburse_micro": 9_400},
    "C": {
        "fee_micro": 1_200,
        "funding_micro": 9_500,
        "advance_micro": 4_750,
        "reimburse_micro": 9_300,
        "expiry_back_micro": 2_850,
    },
    "D": {"fee_micro": 1_200, "funding_micro": 10_000, "reimburse_micro": 9_400},
}
NAMES = {"A": "Alder Foods", "C": "Cobalt Fuel", "D": "Dune & Sons"}
COALITION = {
    "currency": "EUR",
    "partners": [
        {
            "partner_id": partner,
            "name": NAMES[partner],
            "stores": [{"store_id": f"{partner}-1", "name": f"{NAMES[partner]} Main Street"}],
            "terms": [{"terms_id": f"{partner}1", "from_on": "2026-01-01", **PRICES[partner]}],
        }
        for partner in PRICES
    ],
}
TERMS = [
    Terms(terms_id=f"{partner}1", partner_id=partner, from_on=date(2026, 1, 1), **prices)
    for partner, prices in PRICES.items()
]


class FixedRandomness:
    """Bytes that count up: the same in every run, never twice the same in one."""

    def __init__(self) -> None:
        self._n = 0

    def bytes(self, n: int) -> bytes:
        self._n += 1
        return self._n.to_bytes(n, "big")


class FixedClock:
    """A clock that stands until it is moved."""

    def __init__(self, now_ms: int = NOW) -> None:
        self.now_ms = now_ms

    def wall_ms(self) -> int:
        return self.now_ms

    def mono_ms(self) -> int:
        return self.now_ms


class SmallCentre:
    """A database with the coalition, and books that post what tills send."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_engine(url)
        migrations.upgrade(self.engine)
        self.books = Books(TERMS, period_no=1)
        self.clock = FixedClock()
        self.randomness = FixedRandomness()
        self.seqs = dict.fromkeys(TILLS.values(), 0)
        with writing(self.engine) as tx:
            load_coalition(tx, COALITION, NOW)
            for partner, till_id in TILLS.items():
                row = {"till_id": till_id, "store_id": f"{partner}-1", "label": f"Lane {partner}", "epoch": 1}
                put(tx, till, [row])
                begin_stream(tx, till_id, 1, "00" * 32, "active", NOW)

    def book(self, fact: Event, account_id: int | None = 7) -> Posted:
        """Post one event at its till in the open period, as intake does."""
        till_id = fact.place.till_id
        self.seqs[till_id] += 1
        ref = EventRef(till_id=till_id, epoch=1, seq=self.seqs[till_id])
        posted = post_event(fact, ref, account_id, self.books)
        self.books.take(posted)
        with writing(self.engine) as tx:
            put(tx, event, [_event_row(fact, ref, self.books.period_no)])
            put(tx, posting, [_posting_row(one) for one in posted.postings])
            here = (stream.c.till_id == till_id) & (stream.c.epoch == 1)
            tx.execute(stream.update().where(here).values(seq=ref.seq))
        return posted


def place(partner: str, on: str) -> Place:
    return Place(
        partner_id=partner,
        store_id=f"{partner}-1",
        till_id=TILLS[partner],
        channel="till",
        sold_at_ms=NOW,
        offset_min=60,
        business_date=date.fromisoformat(on),
    )


def sale(
    partner: str,
    receipt_id: str,
    *,
    earned: int = 0,
    spent: int = 0,
    funded: Sequence[Funded] = (),
    on: str = "2026-11-03",
    until: date = FOREVER,
) -> Receipt:
    return Receipt(
        receipt_id=receipt_id,
        place=place(partner, on),
        net_minor=earned,
        earned=(Earned(issuer_id=partner, valid_through=until, points=earned),) if earned else (),
        redemption=Redemption(points=spent, amount_minor=spent, authority="float", lease_id="f") if spent else None,
        funded=tuple(funded),
    )


def taken_back(partner: str, return_id: str, of: EventRef, points: int, on: str = "2026-12-02") -> Return:
    return Return(
        receipt_id=return_id,
        place=place(partner, on),
        net_minor=points,
        of=of,
        reversed=(Earned(issuer_id=partner, valid_through=FOREVER, points=points),),
    )


def _event_row(fact: Event, ref: EventRef, period_no: int) -> dict:
    return {
        "till_id": ref.till_id,
        "epoch": ref.epoch,
        "seq": ref.seq,
        "kind": "receipt.v1" if isinstance(fact, Receipt) else "return.v1",
        "state": "posted",
        "receipt_id": fact.receipt_id,
        "store_id": fact.place.store_id,
        "partner_id": fact.place.partner_id,
        "business_date": fact.place.business_date.isoformat(),
        "net_minor": fact.net_minor,
        "period_no": period_no,
        "batch_seq": ref.seq,
    }


def _posting_row(one) -> dict:
    return {
        "account_id": one.account_id,
        "by_till": one.by.till_id, "by_epoch": one.by.epoch, "by_seq": one.by.seq,
        "n": one.n, "account_version": one.account_version,
        "unit": one.unit, "source": one.source, "target": one.target, "amount": one.amount,
        "valid_through": one.key.valid_through.isoformat(), "issuer_id": one.key.issuer_id,
        "terms_id": one.key.terms_id,
        "at_partner_id": one.at_partner_id, "at_terms_id": one.at_terms_id, "priced_by": one.priced_by,
        "of_till": one.of.till_id, "of_epoch": one.of.epoch, "of_seq": one.of.seq,
        "period_no": one.period_no, "origin_period_no": one.origin_period_no,
    }  # fmt: skip


