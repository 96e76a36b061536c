"""Training: everything is answered like the real thing, and nothing of it is anywhere afterwards."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.api.bodies import CommitBody, ReturnBody
from edge.api.contract import Here, commit_ask, read_body, return_ask
from edge.refusals import TrainingSale
from edge.sale.taking_back import take_back
from loyalty.programme.programme import read_programme
from tests.edge.rim import CARD, PROGRAMME, Rim, basket, commit, identity, line, quote

DAY = "2026-03-05"
COUPONS = """
  - {id: come-again, then: [{kind: issue_coupon, coupon: next}]}
  - {id: came-again, trigger: {kind: coupon, coupon: next}, then: [{kind: amount_off, amount_minor: 300}]}
coupons: [{id: next, name: Next visit, good_after_days: 1, good_for_days: 30}]
"""


def practise(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "training": True}


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    return Rim(tmp_path)


def real_answer(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what says where it stands in a chain."""
    return {name: value for name, value in answer.items() if name not in ("event", "text", "training")}


def test_a_sale_in_training_is_answered_like_a_real_one(tmp_path: Path, rim: Rim) -> None:
    (tmp_path / "other").mkdir()
    real = Rim(tmp_path / "other").post("/v1/receipts", commit()).json
    practised = rim.post("/v1/receipts", practise(commit()))
    assert practised.status_code == 201
    assert real_answer(practised.json) == real_answer(real)
    assert (real["training"], practised.json["training"]) == (False, True)
    assert rim.post("/v1/quotes", practise(quote())).json["training"] is True


def test_nothing_of_training_is_written_counted_or_sent(rim: Rim) -> None:
    head, left = rim.journal.head(), rim.journal.float_left(rim.clock.now())
    rim.post("/v1/receipts", practise(commit(points_to_spend=200)))
    rim.post("/v1/holds", practise({"hold_id": "H1", "card": CARD, "points": 300}))
    rim.post("/v1/receipts/R1/void", practise({}))
    rim.post("/v1/returns", practise({"return_id": "B1", "currency": "EUR", "lines": [
        {"line": 1, "sku": "mug", "amount_minor": 890, "quantity": "1"}]}))  # fmt: skip
    rim.post("/v1/parked", practise({**quote(), "park_id": "P1"}))
    assert rim.journal.head() == head
    assert rim.journal.float_left(rim.clock.now()) == left
    assert rim.journal.promises.hold("H1") is None
    assert rim.journal.parked.open() == ()
    assert rim.client.get(f"/v1/balance?card={CARD}").json["member"]["balance_points"] == 1240
    assert rim.post("/v1/quotes", quote()).json["member"]["balance_points"] == 1240
    # The receipt's id is free: training has ids of its own.
    assert rim.post("/v1/receipts", commit(basket=basket(line(1, "bread", 300)))).status_code == 201


def test_training_counts_among_itself_as_sales_do(rim: Rim) -> None:
    rim.post("/v1/receipts", practise(commit(points_to_spend=200)))
    # 10.50 less 2.00 paid with points: 1,240 - 200 + 85.
    told = rim.post("/v1/quotes", practise(quote(quote_id="Q2"))).json
    assert told["member"]["balance_points"] == 1125
    held = rim.post("/v1/holds", practise({"hold_id": "H1", "card": CARD, "points": 300}))
    assert (held.status_code, held.json["training"]) == (201, True)
    assert rim.client.delete("/v1/holds/H1").status_code == 404
    assert rim.client.delete("/v1/holds/H1?training=true").json == {"hold_id": "H1", "released": True}


def test_a_retry_and_another_body_are_told_apart_in_training_too(rim: Rim) -> None:
    first = rim.post("/v1/receipts", practise(commit())).json
    again = rim.post("/v1/receipts", practise(commit()))
    assert (again.status_code, again.json) == (200, {**first, "replayed": True})
    other = rim.post("/v1/receipts", practise(commit(basket=basket(line(1, "bread", 300)))))
    assert (other.status_code, other.json["code"]) == (409, "receipt.id_reused")


def test_slips_of_training_say_so_at_both_ends(rim: Rim) -> None:
    text = rim.post("/v1/receipts", practise(commit())).json["text"]
    lines = [line for line in text.splitlines() if "TRAINING" in line]
    assert len(lines) == 2
    assert "TRAINING" in text.splitlines()[0]
    assert "TRAINING" in rim.client.get("/v1/receipts/R1?training=true&format=text").text
    assert rim.client.get("/v1/receipts/R1").json["code"] == "receipt.unknown"
    for path, body in (("/v1/receipts/R1/void", {}), ("/v1/day-close", {"business_date": DAY})):
        assert rim.post(path, practise(body)).json["text"].count("*** TRAINING ***") == 2
    assert "TRAINING" not in rim.post("/v1/receipts", commit()).json["text"]


def test_the_screens_say_that_it_is_training(rim: Rim) -> None:
    rim.post("/v1/quotes", practise(quote()))
    assert (rim.client.get("/v1/screen").json["phase"], rim.client.get("/v1/screen").json["training"]) == ("sale", True)
    rim.post("/v1/receipts", practise(commit()))
    assert (rim.client.get("/v1/screen").json["phase"], rim.client.get("/v1/screen").json["training"]) == ("done", True)
    rim.post("/v1/quotes", quote())
    assert rim.client.get("/v1/screen").json["training"] is False
    rim.post("/v1/quotes", practise(quote()))
    rim.client.delete("/v1/training")
    assert (rim.client.get("/v1/screen").json["phase"], rim.client.get("/v1/screen").json["training"]) == (
        "idle", False)  # fmt: skip


def test_the_close_of_a_day_knows_nothing_of_training_and_the_other_way_round(rim: Rim) -> None:
    rim.post("/v1/receipts", practise(commit()))
    rim.post("/v1/receipts", practise(commit(receipt_id="R2")))
    rim.post("/v1/receipts", commit(receipt_id="R3"))
    practised = rim.post("/v1/day-close", practise({"business_date": DAY})).json
    assert (practised["receipts"], practised["net_minor"], practised["training"]) == (2, 2100, True)
    closed = rim.post("/v1/day-close", {"business_date": DAY}).json
    assert (closed["receipts"], closed["net_minor"], closed["training"]) == (1, 1050, False)


def test_the_query_alone_makes_it_training_for_what_may_have_no_body(rim: Rim) -> None:
    rim.post("/v1/receipts", commit())
    rim.post("/v1/receipts", practise(commit()))
    head = rim.journal.head()
    voided = rim.client.post("/v1/receipts/R1/void?training=true")
    assert (voided.status_code, voided.json["training"]) == (201, True)
    closed = rim.client.post("/v1/day-close?training=true")
    assert (closed.status_code, closed.json["training"], closed.json["receipts"]) == (201, True, 1)
    sold = rim.post("/v1/receipts?training=true", commit(receipt_id="R2"))
    assert (sold.status_code, sold.json["training"]) == (201, True)
    assert rim.journal.head() == head
    assert rim.client.post("/v1/day-close?training=yes").json["code"] == "request.bad_query"


def test_leaving_forgets_everything_and_so_does_a_restart(rim: Rim) -> None:
    nothing = {"active": False, "since": None, "receipts": 0, "returns": 0, "voids": 0, "parked": 0}
    assert rim.client.get("/v1/training").json == nothing
    rim.post("/v1/receipts", practise(commit()))
    rim.post("/v1/receipts/R1/void", practise({}))
    rim.post("/v1/parked", practise({**quote(), "park_id": "P1"}))
    said = {
        "active": True,
        "since": "2026-03-05T18:30:00.000+01:00",
        "receipts": 1,
        "returns": 0,
        "voids": 1,
        "parked": 1,
    }
    assert rim.client.get("/v1/training").json == said
    assert rim.client.delete("/v1/training").json == {**said, "active": False}
    assert rim.client.get("/v1/training").json == nothing
    assert rim.client.get("/v1/receipts/R1?training=true").json["code"] == "receipt.unknown"
    assert rim.post("/v1/receipts", practise(commit())).status_code == 201


def test_a_coupon_issued_in_training_is_worth_nothing(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.cache.load_programme(read_programme(PROGRAMME.rstrip() + COUPONS))
    practised = rim.post("/v1/receipts", practise(commit()))
    (coupon,) = practised.json["coupons_issued"]
    assert (coupon["coupon"], coupon["code"]) == ("next", "TRAINING")
    (real,) = rim.post("/v1/receipts", commit()).json["coupons_issued"]
    assert real["code"] not in ("", "TRAINING")
    assert real["code"].replace(" ", "") not in practised.json["text"].replace(" ", "")


def test_a_coupon_used_in_training_can_still_be_used(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.cache.load_programme(read_programme(PROGRAMME.rstrip() + COUPONS))
    (real,) = rim.post("/v1/receipts", commit()).json["coupons_issued"]
    later = {"coupons": [real["code"]], "sold_at": "2026-03-07T10:00:00+01:00"}
    practised = rim.post("/v1/receipts", practise(commit(receipt_id="T1", **later))).json
    assert practised["totals"]["discount_minor"] == 200 + 300
    # In training it is used up; for the real sale it is not.
    assert rim.post("/v1/quotes", practise(quote(**later))).json["coupons"]["used"] == []
    assert rim.post("/v1/quotes", quote(**later)).json["coupons"]["used"] == [real["code"]]


def test_the_till_itself_takes_no_training_and_that_of_training_nothing_else(rim: Rim) -> None:
    body = read_body(msgspec.json.encode(practise(commit())), CommitBody)
    with pytest.raises(TrainingSale):
        rim.desk.till.commit(commit_ask(body, Here(now_ms=0)))
    back = read_body(msgspec.json.encode({"return_id": "B", "of": "R", "lines": []}), ReturnBody)
    with pytest.raises(TrainingSale):
        take_back(rim.desk.training.desk().till, return_ask(back, Here(now_ms=0)))


def test_a_till_of_training_can_make_nothing_that_head_office_would_take(rim: Rim) -> None:
    practised = rim.desk.training.desk().till
    assert practised.identity.genesis != identity().genesis
    assert practised.journal.path is None
    assert (practised.ask_points, practised.ask_peers) == (None, None)


def test_a_till_without_a_printer_misses_none_in_training(rim: Rim, caplog: pytest.LogCaptureFixture) -> None:
    rim.post("/v1/receipts", practise(commit()))
    assert "was not printed" not in caplog.text
