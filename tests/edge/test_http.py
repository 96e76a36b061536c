"""The till over HTTP: a sale from scan to receipt, and every bad thing a caller can send."""

import logging
from base64 import b64decode
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.sale.certificate_names import code_token
from loyalty.members import WalletItem
from loyalty.programme.programme import read_programme
from tests.edge.laden import PROGRAMME
from tests.edge.rim import CARD, GOODS, PAYMENT, STRANGER, TILL, Rim, basket, commit, line, member, quote


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    return Rim(tmp_path)


def test_a_sale_goes_from_scan_to_printed_receipt(rim: Rim):
    card = rim.post("/v1/cards/identify", {"card": CARD}).json
    assert card["member"] == {
        "known": True, "card": "…8903", "tier": "gold", "balance_points": 1240, "spendable_points": 1240,
        "stored_minor": 0,
    }  # fmt: skip
    told = rim.post("/v1/quotes", quote(card=card["card_token"])).json
    assert told["totals"] == {
        "gross_minor": 1250, "discount_minor": 200, "paid_with_points_minor": 0, "net_minor": 1050,
        "points_earned": 105, "points_spent": 0, "paid_with_certificates_minor": 0, "to_pay_minor": 1050,
    }  # fmt: skip
    assert told["lines"][0]["discounts"] == [{"promotion": "coffee", "amount_minor": 200}]
    assert told["lines"][1]["points"] == [{"promotion": "base", "points": 25}]
    # 10.00 over 8.00 and 2.50: 7.62 and 2.38.
    assert told["redemption"] == {
        "most_points": 1000, "step": 100, "authority": "float", "bound_by": "authority",
        "per_line_minor": [762, 238], "say": "", "ask_points": 0, "ask_minor": 0,
    }  # fmt: skip
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
    for event_id, first, words in (("B1", said, "RETURN"), ("void:R2", void, "VOID")):
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
    rim = Rim(tmp_path, label="Till 3")
    sold, asked = rim.post("/v1/receipts", commit()).json, rim.client.get(f"/v1/balance?card={CARD}").json
    closed = rim.post("/v1/day-close", {"business_date": "2026-03-05"}).json
    for said in (sold, asked, closed):
        assert "Till 3" in said["text"]
        assert "Till Till" not in said["text"]


def test_an_id_that_begins_with_a_slash_is_never_taken_for_another(rim: Rim):
    rim.post("/v1/receipts", commit())
    assert rim.client.post("/v1/receipts//R1/void", follow_redirects=True).status_code == 404
    assert rim.client.get("/v1/receipts/void:R1").status_code == 404


def test_an_id_with_slashes_is_found_again(rim: Rim):
    rim.post("/v1/receipts", commit(receipt_id="2026/03/05-17"))
    assert rim.client.get("/v1/receipts/2026/03/05-17").json["receipt_id"] == "2026/03/05-17"


def test_points_are_held_spent_and_given_back(rim: Rim):
    held = rim.post("/v1/holds", {"hold_id": "H1", "card": CARD, "points": 300})
    assert (held.json["authority"], held.json["authority_say"]) == ("float", "Offline, unconfirmed")
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
    without_tax = {**body, "return_id": "B3", "tax_included": False, "lines": [{**goods, "tax_bp": 2000}]}
    assert rim.post("/v1/returns", without_tax).json["points_reversed"] == 30  # of 3.00


def test_a_card_nobody_knows_earns_and_says_so(rim: Rim):
    told = rim.post("/v1/quotes", quote(card=STRANGER)).json
    assert told["member"] == {
        "known": False, "card": "…9998", "tier": "", "balance_points": 0, "spendable_points": 0, "stored_minor": 0,
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
    ("/v1/quotes", quote(basket=basket(line(1, "a", 1), line(2, "b", 1, quantity="1.0001"))), 400,
     "request.malformed", "three places - at `$.basket`"),
    ("/v1/receipts", commit(basket=basket(line(1, "a", 1, quantity="1\n"))), 400, "request.malformed", "quantity"),
    ("/v1/parked", {**quote(basket=basket(line(1, "a", 1, quantity=""))), "park_id": "P"}, 400, "request.malformed",
     "quantity"),
    ("/v1/quotes", quote(basket=basket(currency="BRL")), 422, "basket.wrong_currency", "counts in EUR"),
    ("/v1/quotes", quote(tenders=[{"kind": "cash", "amount_minor": 5, "currency": "USD"}]), 422,
     "basket.wrong_currency", "enter the tender in EUR"),
    ("/v1/quotes", quote(sold_at="2026-03-05T18:30:00"), 422, "request.bad_instant", "with its offset"),
    ("/v1/quotes", quote(sold_at="yesterday"), 422, "request.bad_instant", "with its offset"),
    ("/v1/quotes", quote(card=GOODS), 422, "card.not_ours", "sell without one"),
    ("/v1/quotes", quote(card=CARD[:-1] + "9"), 422, "card.unreadable", "Scan the card again"),
    ("/v1/quotes", quote(card=PAYMENT), 422, "card.payment_card", "Use the payment terminal"),
    ("/v1/cards/identify", {"card": PAYMENT}, 422, "card.payment_card", "Use the payment terminal"),
    ("/v1/receipts", commit(charged=[{"line": 9, "discount_minor": 1}]), 422, "receipt.charged_unknown_line",
     "send the lines as quoted"),
    ("/v1/receipts", commit(receipt_id="void:R1"), 422, "receipt.id_reserved", "does not begin with void:"),
    ("/v1/receipts", commit(receipt_id="R\n1"), 400, "request.malformed", "$.receipt_id"),
    ("/v1/holds", {"hold_id": "H", "card": CARD, "points": 0}, 400, "request.malformed", "$.points"),
    ("/v1/holds", {"hold_id": "H", "card": CARD, "points": 100_000}, 409, "redemption.not_enough_points", "At most"),
    ("/v1/returns", {"return_id": "B", "of": "R7", "lines": []}, 404, "return.receipt_unknown", ""),
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
        tenders=[{"kind": f"VISA {PAYMENT}", "amount_minor": 250}], events=[PAYMENT], prizes=[PAYMENT],
        certificates=[{"code": PAYMENT, "amount_minor": 250}],
    )  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        quoted = rim.post("/v1/quotes", {name: body[name] for name in body.keys() - {"receipt_id"}})
        refused = rim.post("/v1/receipts", body)
        told = rim.post("/v1/receipts", {**body, "digest": quoted.json["digest"]})
    assert (refused.status_code, refused.json["code"], told.status_code) == (409, "prize.not_covered", 201)
    # Nobody is told nothing: each is refused like any code that is not known, and not repeated.
    assert [(one["code"], one["reason"]) for one in quoted.json["coupons"]["refused"]] == [
        ("…", "unknown_code"), ("SPRING", "unknown_code"),
    ]  # fmt: skip
    assert [one["code"] for one in quoted.json["stored"]["refused"]] == ["…"]
    kept = rim.journal.find("R1")
    assert kept is not None and b'["card",250]' in kept.payload
    names = repr(rim.cache.names(["bread"]))
    for place in (kept.payload.decode(), names, quoted.text, refused.text, told.text, caplog.text):
        assert "4111" not in place


# A programme with a little of everything


@pytest.fixture
def laden(rim: Rim) -> Rim:
    """A till whose programme issues coupons and takes prizes, certificates and the wallet; 5.00 are in that."""
    rim.cache.load_programme(read_programme(PROGRAMME.replace('prefix: "299"', 'prefix: "20"')))
    known = member()
    item = WalletItem(code=code_token(rim.identity.card_key, "GC-1"), kind="certificate", balance_minor=700)
    row = msgspec.structs.replace(
        known.row, stored_minor=500, wallet=(item,), birthday_mmdd="03-05", joined_on=date(2020, 3, 5)
    )
    rim.cache.load_members([msgspec.structs.replace(known, row=row)])
    return rim


def bought(sku: str, minor: int, **more: Any) -> dict[str, Any]:
    return commit(basket=basket(line(1, sku, minor)), tenders=[], **{"card": None, **more})


def test_a_coupon_goes_from_one_receipt_to_the_next(laden: Rim):
    first = laden.post("/v1/receipts", bought("bread", 2000))
    (coupon,) = first.json["coupons_issued"]
    code = coupon.pop("code")
    assert coupon == {
        "promotion": "come-again", "coupon": "next-visit", "holder": "bearer", "from_on": "2026-03-06",
        "through": "2026-04-04",
    }  # fmt: skip
    grouped = " ".join(code[i : i + 4] for i in range(0, 34, 4))
    for words in ("For your next visit:", "2.00 off", "Good from 6 Mar 2026 to 4 Apr 2026", grouped):
        assert words in first.json["text"]
    assert laden.post("/v1/receipts", bought("bread", 2000)).json == {**first.json, "replayed": True}
    again = laden.client.get("/v1/receipts/R1").json
    assert grouped in again["text"] and grouped in again["html"]
    assert code.encode() in b64decode(again["escpos"])

    scanned = laden.post("/v1/cards/identify", {"card": code, "aim": "]Q1"}).json
    assert (scanned["outcome"], scanned["text"]) == ("code", code)
    typed, tomorrow = grouped.lower(), "2026-03-06T09:00:00+01:00"
    told = laden.post("/v1/quotes", quote(basket=basket(line(1, "bread", 500)), coupons=[typed], sold_at=tomorrow))
    assert told.json["coupons"] == {"used": [typed], "refused": [], "issued": []}
    assert told.json["totals"]["net_minor"] == 300
    paid = laden.post("/v1/receipts", bought("bread", 500, coupons=[typed], sold_at=tomorrow, receipt_id="R2")).json
    assert (paid["totals"]["net_minor"], paid["coupons_issued"]) == (300, [])
    late = bought("bread", 500, coupons=[code, "X"], sold_at=tomorrow, receipt_id="R3")
    assert laden.post("/v1/receipts", late).json["totals"]["net_minor"] == 500
    del late["receipt_id"]
    assert laden.post("/v1/quotes", late).json["coupons"]["refused"] == [
        {"code": code, "reason": "used_before", "say": "This was used before."},
        {"code": "X", "reason": "unknown_code", "say": "This code is not known; go on without it."},
    ]


def test_prizes_events_certificates_wallet_and_tax_reach_the_rules(laden: Rim):
    goods = basket(line(1, "mug", 890), line(2, "wine", 1200, tax_bp=2000), line(3, "bread", 800))
    body = quote(
        basket=goods, prizes=["mug", "pen"], events=["enrolment"], from_wallet_minor=500,
        certificates=[{"code": "gc 1", "amount_minor": 600}, {"code": "gc 2"}],
    )  # fmt: skip
    told = laden.post("/v1/quotes", body).json
    assert told["member"]["stored_minor"] == 500
    # 0.50 off the wine, for it costs 10.00 without its tax; the mug is paid with points, 8.90 in money's worth.
    assert (told["totals"]["discount_minor"], told["totals"]["paid_with_points_minor"]) == (50, 890)
    assert told["prizes"] == {
        "taken": [{"prize": "mug", "line": 1, "points": 300, "amount_minor": 890}],
        "refused": [{"code": "pen", "reason": "unknown_prize", "say": "This prize is not known; go on without it."}],
    }
    assert told["stored"] == {
        "certificates": [{"code": "gc 1", "amount_minor": 600, "left_minor": 100}],
        "refused": [{"code": "gc 2", "reason": "unknown_code", "say": "This code is not known; go on without it."}],
        "from_wallet_minor": 500,
    }
    # 19.50 are left, 19 points for them, 100 for the enrolment, 50 and 70 for birthday and the day of joining.
    assert (told["totals"]["net_minor"], told["totals"]["points_earned"]) == (1950, 239)
    assert (told["totals"]["paid_with_certificates_minor"], told["totals"]["to_pay_minor"]) == (600, 850)
    tenders = [{"kind": "cash", "amount_minor": 1000}]
    paid = laden.post("/v1/receipts", {**body, "receipt_id": "R1", "digest": told["digest"], "tenders": tenders})
    assert (paid.status_code, paid.json["totals"]) == (201, told["totals"])
    rows = [" ".join(row.split()) for row in paid.json["text"].splitlines()]
    at = rows.index("300 points 8.90")
    assert rows[at + 1 : at + 5] == ["Gift certificate 6.00", "Wallet 5.00", "Cash 10.00", "Change 1.50"]


def test_what_the_till_took_off_besides_stays_on_wallet_and_certificate(laden: Rim):
    body = quote(
        basket=basket(line(1, "bread", 600), line(2, "bread", 400)), from_wallet_minor=400,
        certificates=[{"code": "gc 1", "amount_minor": 600}],
    )  # fmt: skip
    told = laden.post("/v1/quotes", body).json
    assert told["totals"]["to_pay_minor"] == 0
    sale = {**body, "receipt_id": "R1", "digest": told["digest"], "charged": [{"line": 1, "discount_minor": 450}]}
    paid = laden.post("/v1/receipts", sale)
    assert (paid.status_code, paid.json["charged_differs"]) == (201, True)
    totals = paid.json["totals"]
    assert (totals["gross_minor"], totals["discount_minor"], totals["net_minor"]) == (1000, 450, 550)
    assert (totals["paid_with_certificates_minor"], totals["to_pay_minor"]) == (550, 0)
    one, other = paid.json["lines"]
    assert (one["discounts"], one["net_minor"]) == ([{"promotion": "", "amount_minor": 450}], 150)
    assert (other["discounts"], other["net_minor"]) == ([], 400)
    rows = [" ".join(row.split()) for row in paid.json["text"].splitlines()]
    assert "Gift certificate 5.50" in rows and not [row for row in rows if row.startswith("Wallet")]
    assert laden.post("/v1/quotes", {**body, "quote_id": "Q2"}).json["member"]["stored_minor"] == 500
    back = [{"line": 1}], [{"line": 2}]
    said = [laden.post("/v1/returns", {"return_id": f"B{n}", "of": "R1", "lines": one}).json
            for n, one in enumerate(back)]  # fmt: skip
    assert [(one["net_minor"], one["to_certificates_minor"], one["to_wallet_minor"], one["paid_out_minor"])
            for one in said] == [(150, 150, 0, 0), (400, 400, 0, 0)]  # fmt: skip


def test_points_that_go_with_no_line_are_in_the_totals_too(laden: Rim):
    body = bought("bread", 0, card=CARD, events=["enrolment"])
    paid = laden.post("/v1/receipts", body).json
    # 100 for the enrolment, 50 and 70 for the member's days, and no line that they could belong to.
    assert (paid["totals"]["points_earned"], paid["lines"][0]["points_earned"]) == (220, 0)


def test_what_was_counted_on_and_is_not_there_is_refused_with_a_sentence(laden: Rim):
    asks = [
        ({"prizes": ["pen"]}, "prize.not_covered", "take its price in another tender"),
        ({"certificates": [{"code": "GC-1", "amount_minor": 701}]}, "certificate.not_covered", "pays 7.00 EUR"),
        ({"certificates": [{"code": "GC-2"}]}, "certificate.not_covered", "not known"),
        ({"from_wallet_minor": 501}, "wallet.not_covered", "The wallet pays 5.00 EUR"),
    ]
    for more, code, words in asks:
        answer = laden.post("/v1/receipts", bought("bread", 1000, card=CARD, **more))
        assert (answer.status_code, answer.json["code"]) == (409, code)
        assert words in answer.json["detail"]
        assert "GC-" not in answer.text
    assert laden.journal.find("R1") is None


def test_goods_paid_with_a_certificate_come_back_onto_it(laden: Rim):
    body = bought("bread", 1000, card=CARD, certificates=[{"code": "GC-1", "amount_minor": 600}])
    laden.post("/v1/receipts", body)
    back = laden.post("/v1/returns", {"return_id": "B1", "of": "R1", "lines": [{"line": 1, "quantity": "1"}]}).json
    assert (back["net_minor"], back["to_certificates_minor"], back["paid_out_minor"]) == (1000, 600, 400)
    rows = [" ".join(row.split()) for row in back["text"].splitlines()]
    at = rows.index("Back on gift certificate 6.00")
    assert rows[at + 1] == "PAID OUT EUR 4.00"


def test_a_bad_language_or_cursor_is_refused(rim: Rim):
    assert rim.client.get("/customer?lang=xx").json["code"] == "request.bad_query"
    assert rim.client.get("/v1/cards/last?after=-1").json["code"] == "request.bad_query"
    assert rim.client.get("/v1/balance").json["code"] == "request.bad_query"


def test_this_till_may_be_named_by_id_or_by_label(rim: Rim):
    for till in (TILL, "3"):
        assert rim.post("/v1/quotes", quote(store_id="S1", till_id=till)).status_code == 200


def test_a_sale_says_at_which_step_its_points_were_spent(rim: Rim):
    paid = rim.post("/v1/receipts", commit(points_to_spend=300)).json
    assert (paid["authority"], paid["authority_say"]) == ("float", "Offline, unconfirmed")
    assert f"  Offline, unconfirmed            {paid['event']['record']}" in paid["text"].splitlines()
    again = rim.post("/v1/receipts", commit(points_to_spend=300)).json
    assert (again["authority"], again["authority_say"]) == ("float", "Offline, unconfirmed")
    plain = rim.post("/v1/receipts", commit(receipt_id="R2")).json
    assert (plain["authority"], plain["authority_say"]) == ("none", "")
