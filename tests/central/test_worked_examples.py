"""Both worked examples of the settlement model, to the unit, from sales that tills sent and the rows they became.

The price book: A and D pay 10,000 micro per redeemed point and get 9,400; B advances all of its 9,800 and gets 9,200;
C advances 4,750 of 9,500, of which 2,850 come back when a point lapses, and gets 9,300. A fee of 1,200 for each point.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from central.coalition.registry import load_coalition
from central.corrections.expiry import expire
from central.database.tables import payment, statement_line
from central.database.tables import posting as posting_table
from central.members.members import create_account
from central.ports import writing
from central.settlement.closing import close_period
from central.verify.books import verify_books
from loyalty.baskets import Place
from loyalty.facts.receipts import Receipt
from loyalty.lots import FOREVER
from loyalty.pricing.earning import Earned
from loyalty.pricing.leases import Redemption
from tests.central.tills import DAY, NOW, Centre, Till

PRICES: dict[str, dict[str, int]] = {
    "A": {"funding_micro": 10_000, "reimburse_micro": 9_400},
    "B": {"funding_micro": 9_800, "advance_micro": 9_800, "reimburse_micro": 9_200},
    "C": {"funding_micro": 9_500, "advance_micro": 4_750, "reimburse_micro": 9_300, "expiry_back_micro": 2_850},
    "D": {"funding_micro": 10_000, "reimburse_micro": 9_400},
}
COALITION: dict[str, Any] = {
    "currency": "EUR",
    "partners": [
        {"partner_id": one, "stores": [{"store_id": f"{one}-shop"}],
         "terms": [{"terms_id": f"{one}1", "from_on": "2026-01-01", "fee_micro": 1_200, **PRICES[one]}]}
        for one in PRICES
    ],
}  # fmt: skip


class Market:
    """Four partners with a till each; `number` makes every receipt another one."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        with writing(centre.engine) as tx:
            load_coalition(tx, COALITION, NOW)
        self.tills: dict[str, Till] = {one: centre.till(f"{one}-shop") for one in PRICES}
        self.number = self.closed = 0

    def sell(self, at: str, account_id: int, on: str, *, earned: tuple[Earned, ...] = (), spent: int = 0) -> None:
        self.number += 1
        till, day = self.tills[at], date.fromisoformat(on)
        place = Place(partner_id=at, store_id=f"{at}-shop", till_id=till.head.till_id, channel="till", offset_min=0,
                      sold_at_ms=NOW + (day - date(2026, 3, 2)).days * DAY, business_date=day)  # fmt: skip
        paid = Redemption(points=spent, amount_minor=spent, authority="float", lease_id="f") if spent else None
        till.append(
            Receipt(receipt_id=f"R{self.number}", place=place, net_minor=0, account_id=account_id, earned=earned,
                    redemption=paid)
        )  # fmt: skip

    def earn(self, issuer: str, account_id: int, points: int, on: str, through: date = FOREVER) -> None:
        self.sell(issuer, account_id, on, earned=(Earned(issuer_id=issuer, valid_through=through, points=points),))

    def upload(self) -> None:
        for till in self.tills.values():
            if till.sent < till.head.seq:
                till.upload()

    def close(self, through: str) -> None:
        self.upload()
        self.closed += 1
        close_period(
            self.centre.engine, period_no=self.closed, through=date.fromisoformat(through), now_ms=self.centre.now,
            randomness=self.centre.random,
        )  # fmt: skip

    def lines(self, period_no: int, kind: str) -> dict[str, list[tuple[Any, ...]]]:
        """Lines of a kind by partner: counterparty, points, exact micro, minor, residual micro."""
        columns = (statement_line.c.counterparty_id, statement_line.c.points, statement_line.c.exact_micro,
                   statement_line.c.amount_minor, statement_line.c.residual_micro)  # fmt: skip
        here = statement_line.c.period_no == period_no, statement_line.c.kind == kind
        rows = self.centre.rows(select(statement_line.c.partner_id, *columns).where(*here))
        found: dict[str, list[tuple[Any, ...]]] = {}
        for partner_id, *row in sorted(rows):
            found.setdefault(partner_id, []).append(tuple(row))
        return found


@pytest.fixture
def market(centre: Centre) -> Iterator[Market]:
    there = Market(centre)
    yield there
    # These receipts are heads without the goods behind them, which is all that their books need.
    found = verify_books(centre.engine).violations
    assert [one for one in found if not one.code.startswith("receipt.")] == []


def test_example_one_mixed_lots(market: Market) -> None:
    member = market.centre.member()
    market.centre.now += 230 * DAY  # late in October
    market.earn("A", member, 400, "2026-01-15", date(2027, 1, 31))
    market.earn("B", member, 250, "2026-01-16", date(2026, 12, 31))
    market.earn("C", member, 333, "2026-01-20", date(2027, 1, 31))
    market.earn("A", member, 500, "2026-01-21", date(2027, 6, 30))
    market.close("2026-10-31")
    market.centre.now += 20 * DAY
    market.sell("D", member, "2026-11-20", spent=1_000)
    market.close("2026-11-30")
    spent = select(posting_table.c.issuer_id, posting_table.c.valid_through, posting_table.c.amount)
    rows = spent.where(posting_table.c.target == "redeemed").order_by(posting_table.c.n)
    assert market.centre.rows(rows) == [
        ("B", "2026-12-31", 250), ("A", "2027-01-31", 400), ("C", "2027-01-31", 333), ("A", "2027-06-30", 17),
    ]  # fmt: skip
    assert market.lines(2, "funding") == {
        "A": [("D", 417, 4_170_000, 417, 0)],
        "B": [("D", 250, 0, 0, 0)],
        "C": [("D", 333, 1_581_750, 158, 1_750)],
    }
    (paid,) = market.lines(2, "reimbursement").values()
    assert [sum(column) for column in list(zip(*paid, strict=True))[1:]] == [1_000, -9_400_000, -940, 0]


# Issued before November, so that November can redeem more than it issues: B 21,750 of 20,000, D 47,000 of 30,000.
EARLIER = {"B": 1_750, "D": 17_000}
ISSUED = {"A": 70_000, "B": 20_000, "C": 15_001, "D": 30_000}
REDEEMED = {
    "A": {"A": 12_000, "B": 14_500, "C": 29_333, "D": 6_000},
    "B": {"A": 3_000, "B": 5_000, "C": 12_500, "D": 1_250},
    "C": {"A": 1_001, "B": 3_000, "C": 1_000, "D": 777},
    "D": {"A": 4_000, "B": 7_500, "C": 25_500, "D": 10_000},
}
NET = {"A": 51_432, "B": -5_600, "C": -52_451, "D": 33_655}


def test_example_two_multilateral_netting(market: Market) -> None:
    """A member for each issuer's points; 2,000 of C's lapse on the 20th of November."""
    centre = market.centre
    members = {one: _member(centre) for one in PRICES}
    centre.now += 230 * DAY
    for issuer, points in EARLIER.items():
        market.earn(issuer, members[issuer], points, "2026-10-10")
    market.close("2026-10-31")
    centre.now += 20 * DAY
    lapsing = {"C": 2_000}
    for issuer, points in ISSUED.items():
        market.earn(issuer, members[issuer], points - lapsing.get(issuer, 0), "2026-11-02")
    market.earn("C", members["C"], 2_000, "2026-11-02", date(2026, 11, 20))
    market.upload()
    centre.now = NOW + (date(2026, 11, 21) - date(2026, 3, 2)).days * DAY + 1
    assert expire(centre.engine, date(2026, 11, 21), centre.now, centre.random)
    for issuer, at in REDEEMED.items():
        for partner, points in at.items():
            market.sell(partner, members[issuer], "2026-11-25", spent=points)
    centre.now += 12 * DAY
    market.close("2026-11-30")

    def minor(kind: str) -> dict[str, list[int]]:
        return {who: [row[3] for row in rows] for who, rows in market.lines(2, kind).items()}

    assert minor("fee") == {"A": [8_400], "B": [2_400], "C": [1_800], "D": [3_600]}
    assert minor("advance") == {"B": [19_600], "C": [7_125]}
    assert minor("funding") == {
        "A": [12_000, 14_500, 29_333, 6_000],
        "B": [0, 0, 0, 0],
        "C": [475, 1_425, 475, 369],
        "D": [4_000, 7_500, 25_500, 10_000],
    }
    assert minor("reimbursement") == {
        "A": [-11_280, -2_820, -941, -3_760],
        "B": [-13_340, -4_600, -2_760, -6_900],
        "C": [-27_280, -11_625, -930, -23_715],
        "D": [-5_640, -1_175, -730, -9_400],
    }
    assert minor("expiry") == {"C": [-570]}
    totals: dict[str, int] = {}
    for kind in ("fee", "advance", "funding", "reimbursement", "expiry"):
        for who, amounts in minor(kind).items():
            totals[who] = totals.get(who, 0) + sum(amounts)
    assert totals == NET
    # Through the operator: A and D pay in, B and C are paid.
    paid = select(payment.c.payer_id, payment.c.payee_id, payment.c.amount_minor).where(payment.c.period_no == 2)
    flows = {(payer, payee): amount for payer, payee, amount in centre.rows(paid)}
    assert sum(amount for (payer, _), amount in flows.items() if payer == "A") == 51_432
    assert sum(amount for (payer, _), amount in flows.items() if payer == "D") == 33_655
    assert sum(amount for (_, payee), amount in flows.items() if payee == "B") == 5_600
    assert sum(amount for (_, payee), amount in flows.items() if payee == "C") == 52_451


def _member(centre: Centre) -> int:
    with writing(centre.engine) as tx:
        return create_account(tx, centre.random, centre.now)
