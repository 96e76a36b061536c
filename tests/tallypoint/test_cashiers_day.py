"""A cashier's day at a running till, as head office books it: exchange, approvals, training, totals that differ."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from central.database.tables import account, approval, flag
from central.ports import reading
from central.recomputing.recompute import recompute_pending
from central.verify.books import verify_books
from tests.tallypoint.test_nothing_in_clear import ANNA, CASH, Shop, sale


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.service.stop()
    made.world.close()


def rows(shop: Shop, *columns: Any) -> list[tuple[Any, ...]]:
    with reading(shop.world.engine) as tx:
        return [tuple(row) for row in tx.execute(select(*columns))]


def test_what_a_cashier_does_is_booked_recomputed_and_counted_at_head_office(shop: Shop) -> None:
    shop.wait(lambda: shop.ask("GET", "/v1/balance", card=ANNA).json().get("member", {}).get("known"))
    boss = {"supervisor": "91", "reason": "wrong size"}
    for training in (True, False):
        assert shop.ask("POST", "/v1/receipts", sale("R1", ANNA, cashier="4", training=training)).status_code == 201
    swap = {
        "exchange_id": "X1", "cashier": "4", "override": boss,
        "return": {"return_id": "X1-back", "of": "R1", "lines": [{"line": 1}]},
        "receipt": {"receipt_id": "X1-sale", "card": ANNA, "tenders": CASH, "basket": {"currency": "EUR", "lines": [
            {"line": 1, "sku": "bread", "amount_minor": 3_000}]}},
    }  # fmt: skip
    for training in (True, False):
        told = shop.ask("POST", "/v1/exchanges", {**swap, "training": training})
        assert told.status_code == 201, told.text
    assert shop.ask("POST", "/v1/exchanges", swap).json()["replayed"] is True
    closed = shop.ask("POST", "/v1/day-close", {"cashier": "4", "totals": {"receipts": 2, "returns": 0}}).json()
    assert [one["figure"] for one in closed["differences"]] == ["returns"]
    shop.wait(lambda: not shop.service.journal.backlog())
    engine = shop.world.engine
    while recompute_pending(engine, 500, shop.world.clock.wall_ms()).events:
        pass
    assert verify_books(engine).violations == ()
    # The return's detail and the sale's say the same: both were approved.
    found = rows(shop, approval.c.receipt_id, approval.c.cashier, approval.c.supervisor, approval.c.reason)
    assert sorted(found) == [("X1-back", "4", "91", "wrong size"), ("X1-sale", "4", "91", "wrong size")]
    # The centre explains everything the till decided; all it lists is what the POS counted otherwise.
    assert [cause for (cause,) in rows(shop, flag.c.cause)] == ["pos_differs"]
    with reading(engine) as tx:
        booked = tx.execute(select(account.c.account_id, account.c.version)).all()
    # Anna's account has three events: the sale, what came back of it, the other sale. Of training it has none.
    assert sorted(row.version for row in booked)[-1] == 3
