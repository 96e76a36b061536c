"""What a wrong price cost a store is owed by whoever published the programme, as a line of the statement."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.database import tables as t
from central.ports import reading, writing
from central.recomputing.price_deltas import settle_deltas
from central.settlement.closing import close_period
from central.settlement.positions import lines_of_period
from central.verify.books import verify_books
from loyalty.facts.receipts import read_detail
from loyalty.facts.reversals import ReturnLine
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from
from tests.central.tills import NOW, PROGRAMME, TODAY, Centre, Till


def published_by(centre: Centre, partner_id: str) -> None:
    """The programme was published by a person of this partner; head office where it is ""."""
    user = {"user_id": "u1", "login": "pat", "password_hash": "x", "role": "partner", "partner_id": partner_id,
            "created_at_ms": NOW}  # fmt: skip
    with writing(centre.engine) as tx:
        tx.execute(t.console_user.insert().values(**user))
        tx.execute(t.release.update().values(published_by="pat"))


def mispriced(till: Till, receipt_id: str, off_bp: int) -> None:
    """A sale of 4.00 with a discount that the programme it names does not give."""
    oops = {"id": "oops", "then": [{"kind": "percent_off", "percent_bp": off_bp}]}
    rules = compile_programme(programme_from({**PROGRAMME, "promotions": [*PROGRAMME["promotions"], oops]}))
    right, till.rules = till.rules, rules
    receipt, till.rules = till.receipt(receipt_id, 400), right
    detail = msgspec.structs.replace(read_detail(receipt), programme_version=right.version)
    till.append(msgspec.structs.replace(receipt, detail=msgspec.Raw(msgspec.json.encode(detail))))


def settled(centre: Centre) -> int:
    centre.recompute()
    return settle_deltas(centre.engine, centre.now, centre.random)


def lines(centre: Centre, period_no: int = 1) -> list[tuple[Any, ...]]:
    with reading(centre.engine) as tx:
        return [(one.partner_id, one.kind, one.counterparty_id, one.amount_minor, one.origin_period_no)
                for one in lines_of_period(tx, period_no, "EUR")]  # fmt: skip


def test_head_office_pays_a_store_for_a_programme_it_published_wrong(centre: Centre) -> None:
    till = centre.till()
    mispriced(till, "R1", 250)
    till.upload()
    assert settled(centre) == 1
    assert lines(centre) == [("acme", "price_delta_given", "operator", -10, 1)]
    assert settled(centre) == 0
    assert lines(centre) == [("acme", "price_delta_given", "operator", -10, 1)]
    assert verify_books(centre.engine).violations == ()


def test_a_partner_that_published_it_pays_the_others_and_not_itself(centre: Centre) -> None:
    published_by(centre, "bolt")
    acme, bolt = centre.till("S1"), centre.till("S2")
    mispriced(acme, "R1", 250)
    mispriced(bolt, "R2", 1250)
    acme.upload()
    bolt.upload()
    assert settled(centre) == 2
    assert lines(centre) == [
        ("acme", "price_delta_given", "bolt", -10, 1), ("bolt", "price_delta_owed", "acme", 10, 1),
    ]  # fmt: skip
    assert verify_books(centre.engine).violations == ()


def test_what_a_customer_paid_too_much_moves_nothing_between_partners(centre: Centre) -> None:
    till = centre.till()
    till.append(msgspec.structs.replace(till.receipt("R1", 400), net_minor=420))
    till.upload()
    assert settled(centre) == 1
    assert lines(centre) == []
    assert centre.rows(select(t.price_delta.c.amount_minor)) == [(0,)]


def test_a_return_that_paid_out_too_much_is_a_delta_too_and_corrects_its_period(centre: Centre) -> None:
    till = centre.till()
    receipt = till.receipt("R1", 400)
    ref = till.append(receipt)
    returned = till.returned("B1", ref, receipt, (ReturnLine(line=1, quantity_milli=500),))
    till.append(msgspec.structs.replace(returned, net_minor=230))
    till.upload()
    close_period(centre.engine, period_no=1, through=TODAY, now_ms=NOW, randomness=centre.random)
    assert settled(centre) == 1
    assert lines(centre, 2) == [("acme", "price_delta_given", "operator", -30, 1)]
    close_period(centre.engine, period_no=2, through=TODAY.replace(day=31), now_ms=NOW, randomness=centre.random)
    assert verify_books(centre.engine).violations == ()


@pytest.mark.parametrize(
    ("change", "code"),
    [("UPDATE price_delta SET amount_minor = 11", "delta.settled"), ("DELETE FROM price_delta", "delta.settled")],
)
def test_verify_names_a_delta_that_was_changed(centre: Centre, change: str, code: str) -> None:
    till = centre.till()
    mispriced(till, "R1", 250)
    till.upload()
    settled(centre)
    with writing(centre.engine) as tx:
        if centre.engine.dialect.name == "sqlite":
            for name in ("price_delta_no_update", "price_delta_no_delete"):
                tx.exec_driver_sql(f"DROP TRIGGER {name}")
        tx.exec_driver_sql(change)
    assert [one.code for one in verify_books(centre.engine).violations] == [code]
