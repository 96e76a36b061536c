"""The till over HTTP: a sale from scan to receipt, and every bad thing a caller can send."""

import logging
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.edge.rim import CARD, GOODS, PAYMENT, STRANGER, TILL, Rim, basket, commit, line, member, quote


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    return Rim(tmp_path)


def test_a_sale_goes_from_scan_to_printed_receipt(rim: Rim):
    card = rim.post("/v1/cards/identify", {"card": CARD}).json
    assert card["member"] == {
        "known": True, "card": "…8903", "tier": "gold", "balance_points": 1240, "spendable_points": 1240,
    }  # fmt: skip
    told = rim.post("/v1/quotes", quote(card=card["card_token"])).json
    assert told["totals"] == {
        "gross_minor": 1250, "discount_minor": 200, "paid_with_points_minor": 0, "net_minor": 1050,
        "points_earned": 105, "points_spent": 0,
    }  # fmt: skip
    assert told["lines"][0]["discounts"] == [{"promotion": "coffee", "amount_minor": 200}]
    assert told["lines"][1]["points"] == [{"promotion": "base", "points": 25}]
    assert told["redemption"] == {"most_points": 1000, "step": 100, "authority": "float", "bound_by": "authority"}
    assert [(why["promotion"], why["applied"], why["short_of"]) for why in told["why"]] == [
        ("coffee", True, ""), ("base", True, ""), ("basket-30", False, "19.50"),
    ]  # fmt: skip

    paid = rim.post("/v1/receipts", commit(digest=told["digest"], programme_version=told["programme_version"]))
    assert paid.status_code == 201
    assert paid.json["totals"]["net_minor"] == 1050
    for words in ("Café Central", "Espresso beans 1 kg", "Coffee week", "1,345 points", "...8903"):
        assert words in paid.json["text"]


def test_a_receipt_asked_again_is_answered_the_same_again(rim: Rim):
    first, second = rim.post("/v1/receipts", commit()), rim.post("/v1/receipts", commit())
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json == {**first.json, "replayed": True}


def test_a_receipt_without_sold_at_may_be_asked_again_later(rim: Rim):
    body = commit(sold_at=None)
    first = rim.post("/v1/receipts", body)
    rim.clock.move(4_000)
    second = rim.post("/v1/receipts", body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json["event"] == first.json["event"]


def test_the_same_id_with_other_goods_is_refused(rim: Rim):
    rim.post("/v1/receipts", commit())
    again = rim.post("/v1/receipts", commit(basket=basket(line(1, "bread", 300))))
    assert (again.status_code, again.json["code"]) == (409, "receipt.id_reused")


def test_a_reprint_says_copy_and_comes_in_three_renderings(rim: Rim):
    text = rim.post("/v1/receipts", commit()).json["text"]
    told = rim.client.get("/v1/receipts/R1").json
    assert told["copy"] is True
    assert "*** COPY ***" in told["text"]
    assert "*** COPY ***" not in text
    assert b64decode(told["escpos"]).startswith(b"\x1b@")
    assert told["html"].startswith("<!doctype html>")
    one = rim.client.get("/v1/receipts/R1?format=escpos&copy=false")
    assert one.mimetype == "application/octet-stream"
    assert b"COPY" not in one.data
    assert rim.client.get("/v1/receipts/R1?format=text").mimetype == "text/plain"
    assert "SEGUNDA VIA" in rim.client.get("/v1/receipts/R1?format=text&language=pt-BR").text
    assert rim.client.get("/v1/receipts/R1?format=pdf").json["code"] == "request.bad_query"


def test_a_return_and_a_void_are_printed_again_too(rim: Rim):
    rim.post("/v1/receipts", commit())
    rim.post("/v1/receipts", commit(receipt_id="R2"))
    said = rim.post("/v1/returns", {"return_id": "B1", "of": "R1", "lines": [{"line": 2, "quantity": "1"}]}).json
    void = rim.client.post("/v1/receipts/R2/void").json
    for event_id, first, words in (("B1", said, "RETURN"), ("void:R2", void, "CANCELLED")):
        told = rim.client.get(f"/v1/receipts/{event_id}?copy=false").json
        assert (told["text"], told["event"]) == (first["text"], first["event"])
        assert words in told["text"]
        assert "*** COPY ***" in rim.client.get(f"/v1/receipts/{event_id}").json["text"]
    assert rim.client.get("/v1/receipts/opened:1").json["code"] == "receipt.unknown"


def test_a_reprint_speaks_the_members_language_like_the_receipt(rim: Rim):
    rim.cache.load_members([msgspec.structs.replace(member(), language="pl")])
    paid = rim.post("/v1/receipts", commit()).json["text"]
    reprint = rim.client.get("/v1/receipts/R1?format=text&copy=false").text
    for words in ("Kasa 3", "RAZEM"):
        assert words in paid
        assert words in reprint


def test_a_till_called_till_is_not_printed_as_till_till(tmp_path: Path):
    text = Rim(tmp_path, label="Till 3").post("/v1/receipts", commit()).json["text"]
    assert "Till 3" in text
    assert "Till Till" not in text


def test_an_id_that_begins_with_a_slash_is_never_taken_for_another(rim: Rim):
    rim.post("/v1/receipts", commit())
    assert rim.client.post("/v1/receipts//R1/void", follow_redirects=True).status_code == 404
    assert rim.client.get("/v1/receipts/void:R1").status_code == 404


def test_an_id_with_slashes_is_found_again(rim: Rim):
    rim.post("/v1/receipts", commit(receipt_id="2026/03/05-17"))
    assert rim.client.get("/v1/receipts/2026/03/05-17").json["receipt_id"] == "2026/03/05-17"


def test_points_are_held_spent_and_given_back(rim: Rim):
    held = rim.post("/v1/holds", {"hold_id": "H1", "card": CARD, "points": 300})
    assert (held.status_code, held.json["points"]) == (201, 300)
    assert rim.post("/v1/holds", {"hold_id": "H2", "card": CARD, "points": 200}).status_code == 201
    assert rim.client.delete("/v1/holds/H2").json == {"hold_id": "H2", "released": True}
    paid = rim.post("/v1/receipts", commit(hold_id="H1", points_to_spend=300)).json
    assert (paid["totals"]["points_spent"], paid["totals"]["paid_with_points_minor"]) == (300, 300)
    assert rim.client.get(f"/v1/balance?card={CARD}").json["member"]["spendable_points"] == 940
    assert rim.client.delete("/v1/holds/nope").json["code"] == "hold.unknown"


def test_goods_come_back_and_a_receipt_is_undone(rim: Rim):
    rim.post("/v1/receipts", commit())
    back = rim.post("/v1/returns", {"return_id": "B1", "of": "R1", "lines": [{"line": 2, "quantity": "1"}]})
    assert (back.status_code, back.json["net_minor"], back.json["points_reversed"]) == (201, 250, 25)
    assert "RETURN" in back.json["text"]
    rim.post("/v1/receipts", commit(receipt_id="R2"))
    void = rim.client.post("/v1/receipts/R2/void")  # without a body
    assert (void.status_code, void.json["points_reversed"]) == (201, 105)
    assert rim.client.post("/v1/receipts/R2/void").status_code == 200
    close = rim.post("/v1/day-close", {"business_date": "2026-03-05"}).json
    assert (close["receipts"], close["voids"], close["returns"], close["unsent"] > 0) == (2, 1, 1, True)


def test_goods_come_back_without_a_receipt(rim: Rim):
    goods = {"line": 1, "sku": "bread", "quantity": "1", "amount_minor": 250}
    body = {"return_id": "B2", "of": None, "card": CARD, "currency": "EUR", "lines": [goods]}
    back = rim.post("/v1/returns", body).json
    assert (back["of"], back["net_minor"], back["points_reversed"]) == (None, 250, 25)


def test_a_card_nobody_knows_earns_and_says_so(rim: Rim):
    told = rim.post("/v1/quotes", quote(card=STRANGER)).json
    assert told["member"] == {
        "known": False, "card": "…9998", "tier": "", "balance_points": 0, "spendable_points": 0,
    }  # fmt: skip
    assert told["totals"]["points_earned"] == 105
    assert told["warnings"][0]["code"] == "card.unknown"


# What is refused: path, body, status, code, and the words that help.
BAD = [
    ("/v1/quotes", b"{", 400, "request.malformed", "truncated"),
    ("/v1/quotes", b"[1, 2]", 400, "request.malformed", "Expected `object`, got `array`"),
    ("/v1/quotes", b'{"basket": \xff}', 400, "request.malformed", "cannot be read"),
    ("/v1/quotes", b"[" * 100_000, 400, "request.malformed", "cannot be read"),
    ("/v1/quotes", b"", 400, "request.malformed", "missing required field `basket`"),
    ("/v1/quotes", quote(points_to_spent=3), 400, "request.unknown_field", "`points_to_spent`"),
    ("/v1/quotes", quote(store="S1"), 400, "request.unknown_field", "`store`"),
    ("/v1/quotes", quote(store_id="S9"), 422, "request.other_till", "store S1"),
    ("/v1/quotes", quote(till_id="f" * 32), 422, "request.other_till", "send it to the till it names"),
    ("/v1/quotes", quote(basket=basket(line(1, "bread", -250))), 422, "basket.malformed", "go through a return"),
    ("/v1/quotes", quote(basket=basket(line(1, "a", 1), line(1, "b", 1))), 422, "basket.malformed", "once each"),
    ("/v1/quotes", quote(points_to_spend=-1), 400, "request.malformed", "$.points_to_spend"),
    ("/v1/quotes", quote(basket=basket(line(1, "a", 100, quantity="1,5"))), 400, "request.malformed", "quantity"),
    ("/v1/quotes", quote(basket=basket(currency="BRL")), 422, "basket.wrong_currency", "counts in EUR"),
    ("/v1/quotes", quote(tenders=[{"kind": "cash", "amount_minor": 5, "currency": "USD"}]), 422,
     "basket.wrong_currency", "enter the tender in EUR"),
    ("/v1/quotes", quote(sold_at="2026-03-05T18:30:00"), 422, "request.bad_instant", "with its offset"),
    ("/v1/quotes", quote(sold_at="yesterday"), 422, "request.bad_instant", "with its offset"),
    ("/v1/quotes", quote(card=GOODS), 422, "card.not_ours", "sell without one"),
    ("/v1/quotes", quote(card=CARD[:-1] + "9"), 422, "card.unreadable", "Scan the card again"),
    ("/v1/quotes", quote(card=PAYMENT), 422, "card.payment_card", "Use the payment terminal"),
    ("/v1/cards/identify", {"card": PAYMENT}, 422, "card.payment_card", "Use the payment terminal"),
    ("/v1/receipts", commit(training=True), 422, "receipt.training", "Leave training mode"),
    ("/v1/receipts", commit(charged=[{"line": 9, "discount_minor": 1}]), 422, "receipt.charged_unknown_line",
     "send the lines as quoted"),
    ("/v1/receipts", commit(receipt_id="void:R1"), 422, "receipt.id_reserved", "does not begin with void:"),
    ("/v1/receipts", commit(receipt_id="R\n1"), 400, "request.malformed", "$.receipt_id"),
    ("/v1/holds", {"hold_id": "H", "card": CARD, "points": 0}, 400, "request.malformed", "$.points"),
    ("/v1/holds", {"hold_id": "H", "card": CARD, "points": 100_000}, 409, "redemption.not_enough_points", "At most"),
    ("/v1/returns", {"return_id": "B", "of": "R7", "lines": []}, 404, "return.receipt_unknown", ""),
    ("/v1/returns", {"return_id": "B", "lines": [], "training": True}, 422, "receipt.training", "Leave training mode"),
    ("/v1/receipts/R7/void", {"training": True}, 422, "receipt.training", "nothing to void"),
    ("/v1/day-close", {"training": True}, 422, "day.training", "Leave training mode"),
    ("/v1/receipts/R7/void", {}, 404, "receipt.unknown", "at the till that sold it"),
    ("/v1/receipts", commit(receipt_id="R7\n"), 400, "request.malformed", "receipt_id"),
    ("/v1/receipts", commit(sold_at="2026-03-05T18:30:00+20:00"), 422, "sale.bad_time", "clock of the POS"),
    ("/v1/receipts", commit(sold_at="7000-01-01T00:00:00Z"), 422, "sale.bad_time", "clock of the POS"),
    ("/v1/receipts", commit(business_date="9999-12-31"), 422, "sale.bad_time", "calendar of the POS"),
    ("/v1/nothing", {}, 404, "request.unknown_path", "/openapi.json lists"),
    ("/v1/status", {}, 405, "request.wrong_method", "/openapi.json says how"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "code", "words"), BAD)
def test_what_is_refused_has_a_stable_code_and_says_what_to_do(
    rim: Rim, path: str, body: Any, status: int, code: str, words: str
):
    as_bytes = {"data": body, "content_type": "application/json"} if isinstance(body, bytes) else {"json": body}
    before = rim.journal.head()
    answer = rim.client.post(path, **as_bytes)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.mimetype == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["type"] == f"urn:tallypoint:{code}"
    assert words in answer.json["detail"]
    assert rim.journal.head() == before


def test_a_return_of_a_line_that_was_not_sold_is_refused(rim: Rim):
    rim.post("/v1/receipts", commit())
    back = rim.post("/v1/returns", {"return_id": "B1", "of": "R1", "lines": [{"line": 7, "quantity": "1"}]})
    assert (back.status_code, back.json["code"]) == (422, "return.unknown_line")


def test_a_till_without_a_programme_lets_the_shop_sell_without_loyalty(tmp_path: Path):
    answer = Rim(tmp_path, with_programme=False).post("/v1/quotes", quote())
    assert (answer.status_code, answer.json["code"]) == (503, "till.no_programme")
    assert "Sell without loyalty" in answer.json["detail"]


def test_a_body_that_is_not_json_or_too_large_is_refused(rim: Rim):
    form = rim.client.post("/v1/quotes", data={"card": CARD})
    assert (form.status_code, form.json["code"]) == (415, "request.not_json")
    large = rim.client.post("/v1/quotes", data=b" " * (256 * 1024 + 1), content_type="application/json")
    assert (large.status_code, large.json["code"]) == (413, "request.too_large")
    assert "256 KiB" in large.json["detail"]


STRANGERS = """
    Host                  Origin                    Sec-Fetch-Site   status
    127.0.0.1:8640        -                         -                200
    localhost:8640        http://localhost:8640     same-origin      200
    [::1]:8640            -                         -                200
    evil.example          -                         -                421   a name rebound to this machine
    127.0.0.1.evil.com    -                         -                421
    127.0.0.1:8640        https://evil.example      -                403
    127.0.0.1:8640        http://127.0.0.1:9999     -                403   another program of this machine
    127.0.0.1:8640        null                      -                403
    127.0.0.1:8640        -                         cross-site       403
"""


@pytest.mark.parametrize("row", STRANGERS.strip().splitlines()[1:])
def test_only_this_machine_and_our_own_pages_may_ask(rim: Rim, row: str):
    host, origin, site, status = row.split()[:4]
    headers = {"Host": host, "Origin": origin, "Sec-Fetch-Site": site}
    sent = {name: value for name, value in headers.items() if value != "-"}
    answer = rim.client.post("/v1/quotes", json=quote(), headers=sent)
    assert answer.status_code == int(status)
    if status != "200":
        assert answer.json["code"] == {"421": "request.wrong_host", "403": "request.foreign_origin"}[status]


def test_a_till_with_a_token_answers_only_who_presents_it(tmp_path: Path):
    rim = Rim(tmp_path, pos_token="s3cret")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
        answer = rim.post("/v1/quotes", quote(), **headers)
        assert (answer.status_code, answer.json["code"]) == (401, "request.token")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert rim.post("/v1/quotes", quote(), Authorization="Bearer s3cret").status_code == 200
    assert rim.client.get("/v1/screen").status_code == 200  # the display has none


def test_an_unexpected_trouble_is_an_incident_and_nothing_that_was_sent_is_logged(
    rim: Rim, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(ask: Any) -> None:
        raise KeyError(f"no such thing: {CARD}")

    monkeypatch.setattr(rim.desk.till, "quote", broken)
    with caplog.at_level(logging.DEBUG):
        answer = rim.post("/v1/quotes", quote())
    assert (answer.status_code, answer.json["code"]) == (500, "internal.error")
    assert answer.json["figures"]["incident"] in answer.json["detail"]
    assert answer.json["figures"]["incident"] in caplog.text
    assert "KeyError" in caplog.text
    for secret in (CARD, "espresso", "Rye bread"):
        assert secret not in caplog.text
        assert secret not in answer.text
    assert 'tallypoint_till_incidents_total{code="internal.error"} 1' in rim.client.get("/metrics").text


def test_a_whole_sale_logs_nothing_that_was_sent(rim: Rim, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        for card in (CARD, PAYMENT, GOODS):
            rim.post("/v1/cards/identify", {"card": card})
            rim.client.get(f"/v1/balance?card={card}")
        rim.post("/v1/quotes", quote())
        rim.post("/v1/receipts", commit())
    for secret in (CARD, PAYMENT, GOODS, "8903", "espresso"):
        assert secret not in caplog.text


def test_a_payment_card_in_a_field_of_another_kind_is_kept_nowhere(rim: Rim, caplog: pytest.LogCaptureFixture):
    bread = line(1, "bread", 250, name=f"Bread {PAYMENT}")
    body = commit(
        basket=basket(bread), cashier=f"card {PAYMENT}", coupons=["4111 1111 1111 1111", "SPRING"],
        tenders=[{"kind": f"VISA {PAYMENT}", "amount_minor": 250}],
    )  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        told = rim.post("/v1/receipts", body)
    assert told.status_code == 201
    kept = rim.journal.find("R1")
    assert kept is not None
    assert (b"SPRING" in kept.payload, b'["card",250]' in kept.payload) == (True, True)
    names = repr(rim.cache.names(["bread"]))
    for place in (kept.payload.decode(), names, told.text, caplog.text):
        assert "4111" not in place


def test_a_bad_language_or_cursor_is_refused(rim: Rim):
    assert rim.client.get("/customer?lang=xx").json["code"] == "request.bad_query"
    assert rim.client.get("/v1/cards/last?after=-1").json["code"] == "request.bad_query"
    assert rim.client.get("/v1/balance").json["code"] == "request.bad_query"


def test_this_till_may_be_named_by_id_or_by_label(rim: Rim):
    for till in (TILL, "3"):
        assert rim.post("/v1/quotes", quote(store_id="S1", till_id=till)).status_code == 200
