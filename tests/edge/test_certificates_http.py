"""POST /v1/certificates, the sale's line and GET /v1/balance over HTTP, as a POS sends them."""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.sale.certificate_names import code_token
from loyalty.certificates import CertificateRow
from loyalty.programme.programme import read_programme
from sync.lanes import LaneState
from sync.wire import Page
from tests.edge.laden import PROGRAMME
from tests.edge.rim import CARD, PAYMENT, Rim

CODE = "GC-7781-0042"
THROUGH = date(2099, 12, 31)


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    made = Rim(tmp_path)
    made.cache.load_programme(read_programme(PROGRAMME.replace('prefix: "299"', 'prefix: "20"')))
    row = CertificateRow(code=code_token(made.identity.card_key, CODE), parts=((THROUGH, 5000),))
    page = Page(lane="certificates", from_cursor="", to_cursor="1", version=1, more=False,
                rows=(msgspec.Raw(msgspec.json.encode(row)),))  # fmt: skip
    made.cache.take_page(page, LaneState(cursor="1", version=1))
    return made


def asked(rim: Rim, action: str, request_id: str = "c-1", **more: Any) -> Any:
    body = {"request_id": request_id, "action": action, "code": CODE, **more}
    return rim.post("/v1/certificates", body)


def test_an_enquiry_shows_the_end_of_the_code_and_writes_nothing(rim: Rim) -> None:
    answer = asked(rim, "enquire")
    told = answer.json
    assert (answer.status_code, told["event"], told["replayed"]) == (200, None, False)
    assert (told["certificate"], told["state"], told["balance_minor"]) == ("…0042", "active", 5000)
    assert told["parts"] == [{"amount_minor": 5000, "valid_through": "2099-12-31"}]
    assert "7781" not in answer.get_data(as_text=True)


def test_a_reason_that_head_office_could_not_book_is_refused(rim: Rim) -> None:
    refused = asked(rim, "block", reason="lost\0")
    assert (refused.status_code, refused.json["code"]) == (400, "request.malformed")


def test_a_request_that_is_sent_again_is_answered_the_same(rim: Rim) -> None:
    first = asked(rim, "top_up", amount_minor=1000, currency="EUR")
    again = asked(rim, "top_up", amount_minor=1000, currency="EUR")
    assert (first.status_code, again.status_code) == (201, 200)
    assert {**first.json, "replayed": True} == again.json
    assert asked(rim, "top_up", amount_minor=2000, currency="EUR").status_code == 409
    assert asked(rim, "top_up", request_id="c-2", amount_minor=1000, currency="USD").json["code"] == (
        "certificate.bad_amount"
    )


def test_a_line_with_a_code_sells_a_certificate_and_the_answer_never_repeats_it(rim: Rim) -> None:
    line = {"line": 1, "sku": "GIFT", "name": "Gift card", "amount_minor": 2500, "certificate": "GC-9999-1111"}
    body = {"receipt_id": "r1", "basket": {"currency": "EUR", "lines": [line]}}
    answer = rim.post("/v1/receipts", body)
    assert answer.status_code == 201, answer.json
    assert answer.json["certificates_sold"] == [{"line": 1, "amount_minor": 2500, "valid_through": None}]
    assert "9999" not in answer.get_data(as_text=True)
    assert asked(rim, "enquire", code="GC-9999-1111").json["state"] == "not_active_yet"


def test_a_payment_card_is_no_certificate_and_is_not_repeated(rim: Rim) -> None:
    line = {"line": 1, "sku": "GIFT", "amount_minor": 2500, "certificate": PAYMENT}
    body = {"receipt_id": "r1", "basket": {"currency": "EUR", "lines": [line]}}
    for answer in (rim.post("/v1/receipts", body), asked(rim, "enquire", code=PAYMENT)):
        assert (answer.status_code, answer.json["code"]) == (422, "certificate.payment_card")
        assert PAYMENT not in answer.get_data(as_text=True)


@pytest.mark.parametrize("wrong", [{"action": "spend"}, {"code": "1"}, {"colour": "red"}, {"amount_minor": -1}])
def test_a_body_of_another_shape_is_refused(rim: Rim, wrong: dict[str, Any]) -> None:
    assert asked(rim, **{"action": "enquire", **wrong}).status_code == 400


def test_the_balance_is_told_with_a_slip_to_print(rim: Rim) -> None:
    told = rim.client.get(f"/v1/balance?card={CARD}").json
    assert told["member"]["known"]
    assert set(told) >= {
        "pending_points",
        "expiring",
        "spendable_now_points",
        "authority_say",
        "tier",
        "stored",
        "text",
    }
    assert str(told["member"]["balance_points"])[-3:] in told["text"]
