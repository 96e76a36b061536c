"""The console's page of approvals: cashiers counted, one alone, and nobody but head office."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert

from central.database.tables import approval
from central.ports import writing
from tests.central import test_console as console
from tests.central.settling import SmallCentre

centre, app, ana, finn = console.centre, console.app, console.ana, console.finn


def approve(centre: SmallCentre, seq: int, **more: Any) -> None:
    row = {
        "till_id": "ab" * 16, "epoch": 1, "seq": seq, "store_id": "S1", "business_date": "2026-01-15",
        "kind": "void.v1", "receipt_id": f"void:R{seq}", "cashier": "4", "supervisor": "91", "reason": "",
        "actions": "void", **more,
    }  # fmt: skip
    with writing(centre.engine) as tx:
        tx.execute(insert(approval).values(row))


def test_cashiers_are_listed_and_one_can_be_looked_at_alone(
    centre: SmallCentre,
    ana: FlaskClient,
    finn: FlaskClient,
    app: Flask,
) -> None:
    assert "Nothing was approved." in ana.get("/console/approvals").text
    centre.clock.now_ms = 1_768_600_000_000  # 2026-01-16
    approve(centre, 1)
    approve(centre, 2, reason="<b>wrong size</b>", actions="return_without_receipt", kind="return.v1", receipt_id="B2")
    approve(centre, 3, cashier="5", receipt_id="void:R3")
    approve(centre, 4, business_date="2025-11-01", receipt_id="void:OLD")
    page = ana.get("/console/approvals").text
    assert page.index(">4</a>") < page.index(">5</a>")
    assert "&lt;b&gt;wrong size&lt;/b&gt;" in page
    assert "return without receipt" in page
    assert "void:OLD" not in page
    alone = ana.get("/console/approvals?store=S1&cashier=5").text
    assert "void:R3" in alone
    assert "B2" not in alone
    assert finn.get("/console/approvals").status_code in (403, 404)
    assert app.test_client().get("/console/approvals").status_code in (302, 303)
