"""Money that moved: what was billed is owed until it is paid, deposits lower the exposure, and who bears a default."""

import csv
import io
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Connection, select

from central.coalition.registry import load_coalition
from central.database import tables as t
from central.login import Person
from central.ports import reading, writing
from central.settlement.cash import BadCash, CashEntry, CashIdReused, MayNotEnterCash, cash_of, enter_cash
from central.settlement.closing import close_period
from central.settlement.partner_accounts import account_csv, partner_account
from tests.central.tills import COALITION, NOW, TODAY, Centre, told

ANA = Person(user_id="u1", login="ana", name="Ana", role="head_office", partner_id="")
BEN = Person(user_id="u2", login="ben", name="Ben", role="partner", partner_id="bolt")


def billed(centre: Centre) -> None:
    """300 points of bolt, 100 of them redeemed at acme: bolt is billed 90 cents, acme is owed 90, 200 are left."""
    anna, till = centre.member(), centre.till("S2")
    till.sell("R1", 30_000, told(anna))
    till.upload()
    shop = centre.till()
    shop.hello()
    shop.sell("R2", 100, told(anna, 1, 300), spend=100)
    shop.upload()
    close_period(centre.engine, period_no=1, through=TODAY, now_ms=NOW, randomness=centre.random)


def enters(
    tx: Connection, centre: Centre, entry_id: str, amount: int, kind: str = "payment", by: Person = ANA, **more: Any
) -> bool:
    entry = CashEntry(
        entry_id=entry_id, amount_minor=amount, kind=kind, on=date(2026, 3, 9),  # type: ignore[arg-type]
        **{"partner_id": "bolt", **more},
    )  # fmt: skip
    return enter_cash(tx, entry, by, now_ms=NOW, randomness=centre.random)


def entered(centre: Centre, *entry: Any, **more: Any) -> bool:
    with writing(centre.engine) as tx:
        return enters(tx, centre, *entry, **more)


def exposure(centre: Centre, partner_id: str = "bolt") -> Any:
    with reading(centre.engine) as tx:
        return partner_account(tx, partner_id).exposure


def due(centre: Centre) -> list[tuple[Any, ...]]:
    p = t.payment.c
    return centre.rows(select(p.payer_id, p.payee_id, p.amount_minor, p.state).order_by(p.n))


def test_what_is_billed_counts_until_it_is_paid(centre: Centre) -> None:
    billed(centre)
    # 90 billed and unpaid, 200 points at 9,000 micro outstanding.
    assert (exposure(centre).unpaid_minor, exposure(centre).total_minor) == (90, 270)
    assert due(centre) == [("bolt", "operator", 90, "due"), ("operator", "acme", 90, "due")]
    assert entered(centre, "e1", 40, period_no=1)
    assert (exposure(centre).unpaid_minor, exposure(centre).total_minor) == (50, 230)
    assert due(centre)[0][3] == "due"
    assert entered(centre, "e2", 50, period_no=1)
    assert (exposure(centre).unpaid_minor, exposure(centre).total_minor) == (0, 180)
    assert entered(centre, "e3", -90, period_no=1, partner_id="acme")
    assert [row[3] for row in due(centre)] == ["paid", "paid"]


def test_the_same_entry_again_counts_once_and_another_under_its_id_is_refused(centre: Centre) -> None:
    billed(centre)
    assert entered(centre, "e1", 40)
    assert not entered(centre, "e1", 40)
    assert exposure(centre).unpaid_minor == 50
    with pytest.raises(CashIdReused):
        entered(centre, "e1", 41)


def test_a_mirror_undoes_a_wrong_entry_and_the_period_is_due_again(centre: Centre) -> None:
    billed(centre)
    entered(centre, "e1", 90, period_no=1)
    entered(centre, "e2", -90, period_no=1, reference="booked twice")
    assert (exposure(centre).unpaid_minor, due(centre)[0][3]) == (90, "due")


def test_a_deposit_lowers_the_exposure_and_cannot_be_given_back_twice(centre: Centre) -> None:
    billed(centre)
    entered(centre, "d1", 100, "deposit")
    assert (exposure(centre).deposit_minor, exposure(centre).total_minor) == (100, 170)
    entered(centre, "d2", -60, "deposit")
    with pytest.raises(BadCash):
        entered(centre, "d3", -60, "deposit")
    with reading(centre.engine) as tx:
        assert cash_of(tx, "bolt").deposit_minor == 40


@pytest.mark.parametrize(
    ("amount", "kind", "more"),
    [(0, "payment", {}), (5, "payment", {"partner_id": "nobody"}), (5, "payment", {"period_no": 2}),
     (5, "deposit", {"period_no": 1}), (10**14, "payment", {})],
)  # fmt: skip
def test_what_names_nobody_or_nothing_is_refused(centre: Centre, amount: int, kind: str, more: dict[str, Any]) -> None:
    billed(centre)
    with pytest.raises(BadCash):
        entered(centre, "e1", amount, kind, **more)
    assert centre.rows(select(t.cash_entry)) == []


def test_only_head_office_writes_it_down(centre: Centre) -> None:
    with pytest.raises(MayNotEnterCash):
        entered(centre, "e1", 40, by=BEN)


def test_a_share_of_the_points_is_expected_to_be_redeemed(centre: Centre) -> None:
    billed(centre)
    acme, bolt = COALITION["partners"]
    with writing(centre.engine) as tx:
        load_coalition(tx, {**COALITION, "partners": [acme, {**bolt, "expected_redemption_bp": 8_500}]}, NOW)
    assert exposure(centre).outstanding_minor == 153  # 85 % of 180


def test_who_bears_what_it_does_not_pay_stands_in_its_account_and_its_file(centre: Centre) -> None:
    billed(centre)
    entered(centre, "d1", 20, "deposit")
    acme, bolt = COALITION["partners"]
    with writing(centre.engine) as tx:
        partners = [{**acme, "shares_defaults": 1}, bolt]
        load_coalition(tx, {**COALITION, "operator_most_minor": 30, "partners": partners}, NOW)
    shares = [(one.source, one.partner_id, one.amount_minor) for one in exposure(centre).default]
    assert shares == [("deposit", "", 20), ("operator", "", 30), ("partner", "acme", 40)]
    with reading(centre.engine) as tx:
        rows = list(csv.DictReader(io.StringIO("".join(account_csv(partner_account(tx, "bolt"))))))
    told_rows = [(row["row"], row["kind"], row["counterparty"], row["amount"]) for row in rows]
    assert ("cash", "deposit", "", "-0.20") in told_rows
    assert told_rows[-3:] == [
        ("default", "deposit", "", "0.20"), ("default", "operator", "", "0.30"), ("default", "partner", "acme", "0.40"),
    ]  # fmt: skip
