"""An exchange: both halves in one step, one sum, one slip."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from edge.journal.journal import Journal
from loyalty.trouble import InvariantBroken
from tests.edge.rim import CARD, Rim, basket, commit, line

AT = "2026-03-05T19:00:00+01:00"


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    """R1 is sold: coffee 8.00 (80 points) and bread 2.50 (25)."""
    rim = Rim(tmp_path, in_files=True)
    rim.post("/v1/receipts", commit())
    return rim


def swap(
    *goods: dict[str, Any], back: dict[str, Any] | None = None, sale: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """The bread of R1 against a mug of 8.90."""
    return {
        "exchange_id": "X1", "cashier": "4", "sold_at": AT,
        "return": {"return_id": "X1-back", "of": "R1", "lines": [{"line": 2}], **(back or {})},
        "receipt": {"receipt_id": "X1-sale", "card": CARD, "basket": basket(*(goods or (line(1, "mug", 890),))),
                    **(sale or {})},
        **more,
    }  # fmt: skip


def test_goods_go_back_and_others_out_for_one_sum(rim: Rim) -> None:
    done = rim.post("/v1/exchanges", swap())
    assert done.status_code == 201
    told = done.json
    assert (told["to_pay_minor"], told["to_hand_out_minor"]) == (640, 0)  # 8.90 - 2.50
    assert told["points_net"] == 89 - 25
    assert (told["return"]["paid_out_minor"], told["return"]["points_reversed"]) == (250, 25)
    assert (told["receipt"]["totals"]["net_minor"], told["receipt"]["totals"]["points_earned"]) == (890, 89)
    assert rim.client.get(f"/v1/balance?card={CARD}").json["member"]["balance_points"] == 1240 + 105 - 25 + 89
    assert told["receipt"]["event"]["seq"] == told["return"]["event"]["seq"] + 1
    for event_id in ("X1-back", "X1-sale"):
        detail = json.loads(bytes(rim.journal.find(event_id).event.detail))
        assert (detail["exchange"], detail["cashier"]) == ("X1", "4")


def test_what_comes_back_may_be_worth_more(rim: Rim) -> None:
    told = rim.post("/v1/exchanges", swap(line(1, "roll", 100))).json
    assert (told["to_pay_minor"], told["to_hand_out_minor"], told["points_net"]) == (0, 150, 10 - 25)


def test_goods_of_the_same_worth_leave_nothing_to_pay(rim: Rim) -> None:
    told = rim.post("/v1/exchanges", swap(line(1, "cake", 250))).json
    assert (told["to_pay_minor"], told["to_hand_out_minor"], told["points_net"]) == (0, 0, 0)


def test_the_sale_may_spend_what_the_return_gives_back(tmp_path: Path) -> None:
    rim = Rim(tmp_path)
    rim.post("/v1/receipts", commit(basket=basket(line(1, "lamp", 5000)), points_to_spend=1000))
    # Of 1,240 points 240 are left to spend: what was earned here waits for head office.
    sofa = {"basket": basket(line(1, "sofa", 9000)), "points_to_spend": 400}
    alone = rim.post("/v1/receipts", commit(receipt_id="R2", **sofa))
    assert (alone.json["code"], alone.json["figures"]["most"]) == ("redemption.not_enough_points", 200)
    # The return gives 1,000 back and takes 800 away: 440, in steps of 100.
    told = rim.post("/v1/exchanges", swap(back={"lines": [{"line": 1}]}, sale=sofa)).json
    assert (told["return"]["points_restored"], told["return"]["points_reversed"]) == (1000, 800)
    assert told["receipt"]["totals"]["points_spent"] == 400
    assert told["to_pay_minor"] == 8600 - 4000


def test_the_same_exchange_again_is_answered_the_same(rim: Rim) -> None:
    first = rim.post("/v1/exchanges", swap()).json
    head = rim.journal.head()
    again = rim.post("/v1/exchanges", swap())
    assert (again.status_code, again.json["replayed"]) == (200, True)
    halves = {name: {**first[name], "replayed": True} for name in ("return", "receipt")}
    assert again.json == {**first, **halves, "replayed": True}
    assert rim.journal.head() == head


def test_an_exchange_without_sold_at_may_be_asked_again_later(rim: Rim) -> None:
    first = rim.post("/v1/exchanges", swap(sold_at=None))
    rim.clock.move(4_000)
    again = rim.post("/v1/exchanges", swap(sold_at=None))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json["receipt"]["event"] == first.json["receipt"]["event"]


@pytest.mark.parametrize(
    ("other", "code"),
    [
        (swap(line(1, "mug", 900)), "receipt.id_reused"),
        (swap(back={"lines": [{"line": 1}]}), "receipt.id_reused"),
        (swap(back={"return_id": "X2-back"}, sale={"receipt_id": "X2-sale"}), "exchange.id_reused"),
        (swap(exchange_id="X2"), "receipt.id_reused"),
    ],
)
def test_another_body_under_its_ids_is_refused(rim: Rim, other: dict[str, Any], code: str) -> None:
    rim.post("/v1/exchanges", swap())
    head = rim.journal.head()
    answer = rim.post("/v1/exchanges", other)
    assert answer.status_code == 409
    assert answer.json["code"] in (code, "exchange.id_reused")
    assert rim.journal.head() == head


def test_halves_that_were_written_by_themselves_make_no_exchange(rim: Rim) -> None:
    rim.post("/v1/returns", {"return_id": "X1-back", "of": "R1", "lines": [{"line": 2}], "cashier": "4", "sold_at": AT})
    answer = rim.post("/v1/exchanges", swap())
    assert (answer.status_code, answer.json["code"]) == (409, "receipt.id_reused")
    assert rim.journal.find("X1-sale") is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (swap(back={"of": "R9"}), "return.receipt_unknown"),
        (swap(back={"lines": [{"line": 2, "quantity": "3"}]}), "return.more_than_sold"),
        (swap(sale={"card": "4111111111111111"}), "card.payment_card"),
        (swap(line(1, "lamp", 9000), sale={"points_to_spend": 1200}), "redemption.not_enough_points"),
        (swap(sale={"charged": [{"line": 9, "discount_minor": 1}]}), "receipt.charged_unknown_line"),
    ],
)
def test_when_one_half_is_refused_neither_is_written(rim: Rim, body: dict[str, Any], code: str) -> None:
    head = rim.journal.head()
    answer = rim.post("/v1/exchanges", body)
    assert answer.json["code"] == code
    assert rim.journal.head() == head
    assert rim.journal.find("X1-back") is None
    assert rim.client.get(f"/v1/balance?card={CARD}").json["member"]["balance_points"] == 1240 + 105
    assert rim.post("/v1/exchanges", swap()).status_code == 201


def test_a_crash_between_the_halves_leaves_neither_and_a_retry_makes_both(
    tmp_path: Path, rim: Rim, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, head = Journal.append, rim.journal.head()

    def crash(journal: Journal, event: Any, **more: Any) -> Any:
        if event.receipt_id == "X1-sale":
            raise InvariantBroken("the power went")
        return append(journal, event, **more)

    monkeypatch.setattr(Journal, "append", crash)
    assert rim.post("/v1/exchanges", swap()).status_code == 500
    monkeypatch.undo()
    rim.journal.close()
    rim = Rim(tmp_path, in_files=True, with_programme=False)
    assert rim.journal.head() == head
    first = rim.post("/v1/exchanges", swap()).json
    rim.journal.close()
    again = Rim(tmp_path, in_files=True, with_programme=False).post("/v1/exchanges", swap())
    assert (again.status_code, again.json["text"]) == (200, first["text"])


def test_neither_half_is_voided_alone(rim: Rim) -> None:
    rim.post("/v1/exchanges", swap())
    answer = rim.post("/v1/receipts/X1-sale/void", {})
    assert (answer.status_code, answer.json["code"]) == (409, "void.exchange")
    assert answer.json["detail"] == (
        "This sale is half of exchange X1. Void the exchange instead, or take its goods back as a return."
    )
    answer = rim.post("/v1/returns/X1-back/void", {})
    assert (answer.status_code, answer.json["code"], answer.json["figures"]) == (
        409, "void.exchange", {"exchange_id": "X1"})  # fmt: skip
    assert rim.post("/v1/receipts/X1-back/void", {}).json["code"] == "receipt.unknown"
    # What it says to do works, and ends where an exchange undone would have.
    back = rim.post("/v1/returns", {"return_id": "B9", "of": "X1-sale", "lines": [{"line": 1}]})
    assert (back.json["paid_out_minor"], back.json["points_reversed"]) == (890, 89)


def test_a_supervisor_approves_both_halves_at_once(tmp_path: Path) -> None:
    rim = Rim(tmp_path, approvals={"return": 100})
    rim.post("/v1/receipts", commit())
    assert rim.post("/v1/exchanges", swap()).json["code"] == "override.wanted"
    told = rim.post("/v1/exchanges", swap(override={"supervisor": "91", "reason": "wrong size"})).json
    assert (told["approved_by"], told["return"]["approved_by"]) == ("91", "91")
    assert "wrong size" in told["text"]


def test_one_slip_shows_both_and_is_printed_again(rim: Rim) -> None:
    told = rim.post("/v1/exchanges", swap(line(1, "mug", 890, name="Blue mug"))).json
    for words in ("EXCHANGE", "Rye bread", "Blue mug", "6.40", "X1"):
        assert words in told["text"]
    assert b64decode(told["escpos"]).startswith(b"\x1b@")
    assert told["html"].startswith("<!doctype html>")
    again = rim.client.get("/v1/exchanges/X1").json
    assert "*** COPY ***" in again["text"]
    assert again["to_pay_minor"] == 640
    assert "WYMIANA" in rim.client.get("/v1/exchanges/X1?language=pl").json["text"].upper()
    assert rim.client.get("/v1/exchanges/X9").json["code"] == "exchange.unknown"


def test_a_half_that_is_printed_by_itself_names_its_exchange(rim: Rim) -> None:
    def names_it(told: dict[str, Any]) -> int:
        return [" ".join(row.split()) for row in told["text"].splitlines()].count("Exchange X1")

    whole = rim.post("/v1/exchanges", swap()).json
    assert (names_it(whole), names_it(whole["receipt"]), names_it(whole["return"])) == (0, 1, 1)
    undone = rim.post("/v1/exchanges/X1/void", {"sold_at": AT}).json
    assert (names_it(undone), names_it(undone["receipt"]), names_it(undone["return"])) == (1, 1, 1)
    for half in ("X1-sale", "X1-back", "void:X1-sale", "void:X1-back"):
        assert names_it(rim.client.get(f"/v1/receipts/{half}").json) == 1
    assert names_it(rim.client.get("/v1/receipts/R1").json) == 0


def test_change_is_what_the_tenders_are_above_the_one_sum(rim: Rim) -> None:
    cash = {"tenders": [{"kind": "cash", "amount_minor": 1000}]}
    told = rim.post("/v1/exchanges", swap(sale=cash)).json
    assert [row.split() for row in told["text"].splitlines() if row.startswith("Change")] == [["Change", "3.60"]]
    assert "Change" not in told["receipt"]["text"]  # the mug alone is not what was paid
    # In the drawer are 10.50 of R1 and 6.40 of the exchange.
    closed = rim.post("/v1/day-close", {"business_date": "2026-03-05"}).json
    assert closed["report"]["tenders"] == [{"kind": "cash", "till": 1690, "pos": None}]


def test_without_change_and_for_less_the_drawer_has_what_was_paid(rim: Rim) -> None:
    rim.post("/v1/exchanges", swap(sale={"tenders": [{"kind": "cash", "amount_minor": 640}]}))
    roll = {"receipt_id": "s2", "tenders": []}
    rim.post("/v1/exchanges", swap(line(1, "roll", 100), exchange_id="X2",
                                   back={"return_id": "b2", "lines": [{"line": 1}]}, sale=roll))  # fmt: skip
    closed = rim.post("/v1/day-close", {"business_date": "2026-03-05"}).json
    assert closed["report"]["tenders"] == [{"kind": "cash", "till": 1690, "pos": None}]


def test_goods_without_a_receipt_are_exchanged_too(rim: Rim) -> None:
    back = {"of": None, "card": CARD, "currency": "EUR",
            "lines": [{"line": 1, "sku": "tea", "amount_minor": 300, "quantity": "1"}]}  # fmt: skip
    told = rim.post("/v1/exchanges", swap(back=back)).json
    assert (told["to_pay_minor"], told["points_net"]) == (590, 89 - 30)
    without_tax = {**back, "return_id": "b2", "tax_included": False, "lines": [{**back["lines"][0], "tax_bp": 2000}]}
    told = rim.post("/v1/exchanges", swap(exchange_id="X2", back=without_tax, sale={"receipt_id": "s2"})).json
    assert (told["to_pay_minor"], told["points_net"]) == (590, 89 - 36)


def test_an_exchange_is_practised_too(rim: Rim) -> None:
    head = rim.journal.head()
    rim.post("/v1/receipts", commit(training=True))
    told = rim.post("/v1/exchanges", swap(training=True)).json
    assert (told["to_pay_minor"], told["training"]) == (640, True)
    assert "TRAINING" in told["text"]
    assert rim.journal.head() == head
    assert rim.client.get("/v1/exchanges/X1").status_code == 404
    assert rim.client.get("/v1/exchanges/X1?training=true").status_code == 200
