"""What the POS sends becomes what the kernel takes; and the OpenAPI document tells the truth about both sides."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.api import contract
from edge.api.bodies import CommitBody, QuoteBody
from edge.api.contract import Here, ask_from, basket_from, commit_ask, quote_answer, read_body, sale_ask
from edge.api.telling import lines_said
from edge.instants import BadInstant, read_instant, show_instant
from edge.sale.asks import Quoted
from edge.web.openapi import OPERATIONS, openapi
from loyalty.baskets import Line, Place, Tender
from loyalty.facts.receipts import Charged
from loyalty.pricing.effects import Effect
from loyalty.pricing.quotes import QuoteLine, quote_basket
from loyalty.programme.compiled import compile_programme
from tests.edge.rim import CARD, Rim, basket, commit, line, programme, quote
from tests.edge.schema import mistakes

HERE = Here(now_ms=1_772_731_800_000, store_id="S1", till_id="T", label="3")


def test_a_quote_request_becomes_a_basket_in_thousandths_and_minor_units():
    weighed = line(
        3, "tomato", 163, name="Tomatoes", quantity="0.545", unit_price_minor=299, category=["Food", "Fresh"],
        brand="Own", tags=["bio"], discountable=False, accrual=False, floor_unit_minor=50, tax_bp=550,
    )  # fmt: skip
    body = ask_from(
        quote(
            basket=basket(weighed) | {"tax_included": False},
            points_to_spend=200,
            coupons=["C1"],
            tenders=[{"kind": "card", "amount_minor": 163, "currency": "EUR"}],
            events=["survey"],
            prizes=["mug"],
            certificates=[{"code": "GC-1", "amount_minor": 50}, {"code": "GC-2"}],
            from_wallet_minor=7,
        )
    )
    made = basket_from(body, "R9")
    assert made.lines == (
        Line(
            line=3, sku="tomato", amount_minor=163, quantity_milli=545, unit_price_minor=299,
            category=("Food", "Fresh"), brand="Own", tags=("bio",), discountable=False, accrual=False,
            floor_unit_minor=50, tax_bp=550,
        ),
    )  # fmt: skip
    assert (made.events, made.prizes, made.from_wallet_minor, made.tax_included) == (("survey",), ("mug",), 7, False)
    assert [(one.code, one.amount_minor) for one in made.certificates] == [("GC-1", 50), ("GC-2", 0)]
    assert (made.receipt_id, made.currency, made.points_to_spend, made.coupons) == ("R9", "EUR", 200, ("C1",))
    assert made.tenders == (Tender(kind="card", amount_minor=163),)
    assert contract.names_in(body) == {"tomato": "Tomatoes"}


def test_a_line_names_a_promotion_once_however_many_coupons_set_it_off():
    effects = (
        Effect(promotion="spring", line=1, amount_minor=30),
        Effect(promotion="loyal", line=1, amount_minor=5, points=2),
        Effect(promotion="spring", line=1, amount_minor=20),
        Effect(promotion="loyal", line=1, points=3),
        Effect(promotion="spring", line=2, amount_minor=7),
    )
    figures = (figure(1, 500, off=55, points=5), figure(2, 90, off=7), figure(3, 10))
    first, second, third = lines_said(figures, effects)
    assert [(one.promotion, one.amount_minor) for one in first.discounts] == [("spring", 50), ("loyal", 5)]
    assert [(one.promotion, one.points) for one in first.points] == [("loyal", 5)]
    assert [(one.promotion, one.amount_minor) for one in second.discounts] == [("spring", 7)]
    assert (second.points, third.discounts, third.points, third.net_minor) == ((), (), (), 10)


def figure(line: int, amount_minor: int, off: int = 0, points: int = 0) -> QuoteLine:
    return QuoteLine(
        line=line, amount_minor=amount_minor, discount_minor=off, points_earned=points, paid_with_points_minor=0,
        net_minor=amount_minor - off,
    )  # fmt: skip


def test_a_bare_basket_is_a_quote_request_without_a_card():
    body = ask_from(basket())
    assert (body.card, body.quote_id, len(body.basket.lines)) == (None, "", 2)


def test_what_a_body_leaves_out_is_now_at_the_stores_own_offset():
    ask = sale_ask(ask_from(basket()), HERE)
    assert (ask.sold_at_ms, ask.offset_min, ask.business_date) == (1_772_731_800_000, None, None)


def test_the_offset_and_business_date_of_the_pos_are_kept():
    body = ask_from(quote(sold_at="2026-03-06T00:10:00-03:00", business_date="2026-03-05", cashier="17"))
    ask = sale_ask(body, HERE)
    assert (ask.sold_at_ms, ask.offset_min) == (1_772_766_600_000, -180)
    assert (ask.business_date, ask.cashier, ask.channel) == (date(2026, 3, 5), "17", "pos")


INSTANTS = """
    1970-01-01T00:00:00Z                0               0
    2026-03-05T18:30:00+01:00           1772731800000   60
    2026-03-05T18:30:00.250+05:30       1772715600250   330
    2026-03-05T13:30:00-04:00           1772731800000   -240
"""


@pytest.mark.parametrize("row", INSTANTS.strip().splitlines())
def test_an_instant_keeps_its_milliseconds_and_its_offset(row: str):
    text, at_ms, offset_min = row.split()
    assert read_instant(text) == (int(at_ms), int(offset_min))
    assert read_instant(show_instant(int(at_ms), int(offset_min))) == (int(at_ms), int(offset_min))


@pytest.mark.parametrize("text", ["2026-03-05", "2026-03-05T18:30:00", "2026-13-05T18:30:00Z", "now", ""])
def test_an_instant_without_its_offset_is_refused(text: str):
    with pytest.raises(BadInstant):
        read_instant(text)


def test_a_commit_carries_what_its_quote_named_and_what_the_pos_charged():
    body = read_body(
        msgspec.json.encode(commit(programme_version="v", digest="d", charged=[{"line": 1, "discount_minor": 90}])),
        CommitBody,
    )
    ask = commit_ask(body, HERE)
    assert (ask.receipt_id, ask.programme_version, ask.digest) == ("R1", "v", "d")
    assert ask.charged == (Charged(line=1, discount_minor=90),)
    assert ask.sale.basket.receipt_id == "R1"


def test_the_command_line_gets_the_very_answer_of_the_till(tmp_path: Path):
    rim = Rim(tmp_path)
    over_http = rim.post("/v1/quotes", quote(card=None)).json
    body = ask_from(quote(card=None))
    place = Place(
        partner_id="verde", store_id="S1", till_id="x", channel="pos", sold_at_ms=1_772_731_800_000, offset_min=60,
        business_date=date(2026, 3, 5),
    )  # fmt: skip
    told = quote_basket(compile_programme(programme()), sale_ask(body, HERE).basket, place, None)
    quoted = Quoted(quote=told, card_token=None, known=False, as_of_ms=0, offline=False)
    assert {**quote_answer(quoted, "Q1"), "as_of": over_http["as_of"]} == over_http


def test_the_names_of_the_contract_are_all_there(tmp_path: Path):
    told = Rim(tmp_path).post("/v1/quotes", quote(coupons=["NOPE"])).json
    for name in ("quote_id programme_version digest member lines totals redemption gifts coupons messages why as_of "
                 "offline").split():  # fmt: skip
        assert name in told
    assert set(told["coupons"]) == {"used", "refused", "issued"}
    assert told["coupons"]["refused"][0]["code"] == "NOPE"
    assert set(told["coupons"]["refused"][0]) == {"code", "reason", "say"}
    assert set(told["prizes"]) == {"taken", "refused"}
    assert set(told["stored"]) == {"certificates", "refused", "from_wallet_minor"}
    assert "tier" in told
    assert set(told["messages"]) == {"cashier", "customer", "kiosk", "receipt"}
    assert {"promotion", "applied", "say", "short_of"} <= set(told["why"][0])


# The OpenAPI document


def test_every_route_is_in_the_document_and_every_path_of_it_is_a_route(tmp_path: Path):
    app = Rim(tmp_path).app
    routes = {
        (re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == {(one.path, one.method) for one in OPERATIONS}


def test_the_words_of_a_query_that_a_route_looks_at_are_in_the_document(tmp_path: Path):
    rim = Rim(tmp_path, pos_token="")
    rim.post("/v1/receipts", commit())
    for method, path, of, words in QUERIES:
        told = {one["name"] for one in openapi()["paths"][of][method]["parameters"] if one["in"] == "query"}
        assert words <= told, of
        for word in words:
            # What nobody looks at is passed over; what is looked at is refused where it says nonsense.
            assert rim.client.open(f"{path}?{word}=nonsense", method=method.upper()).status_code == 400, (path, word)


def test_a_body_that_may_be_practised_may_be_so_by_the_query_too(tmp_path: Path):
    rim, paths = Rim(tmp_path), openapi()["paths"]
    assert rim.post("/v1/quotes?training=true", quote()).json["training"] is True
    silent = [
        one.path
        for one in OPERATIONS
        if one.takes and "training" in one.takes.__struct_fields__
        and "training" not in {word["name"] for word in paths[one.path][one.method]["parameters"]}
    ]  # fmt: skip
    assert silent == []


def test_the_page_about_the_api_names_every_route():
    page = (Path(__file__).parents[2] / "docs" / "till-api.md").read_text("utf-8")
    missing = [one.path for one in OPERATIONS if f"`{one.method.upper()} {one.path}`" not in page]
    assert missing == []


def test_the_examples_of_the_page_are_what_the_document_says():
    page = (Path(__file__).parents[2] / "docs" / "till-api.md").read_text("utf-8")
    document = openapi()
    schemas = document["components"]["schemas"]
    examples = [msgspec.json.decode(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    assert len(examples) == len(EXAMPLES)
    for of, example in zip(EXAMPLES, examples, strict=True):
        for name, part in example.items():
            assert mistakes(part, schemas[of]["properties"][name], document) == [], name


def test_every_answer_of_a_day_is_what_the_document_says(tmp_path: Path):
    rim, document = Rim(tmp_path), openapi()
    for method, path, of, body in A_DAY:
        answer = rim.client.open(path, method=method, json=body)
        operation = document["paths"][of][method.lower()]
        responses = operation["responses"]
        told = responses.get(str(answer.status_code)) or responses["default"]
        if answer.status_code == 200 and answer.json and answer.json.get("replayed"):
            told = responses.get("201", told)
        assert answer.mimetype in told["content"], (path, answer.status_code, answer.text)
        schema = told["content"][answer.mimetype]["schema"]
        if answer.mimetype.endswith("json"):
            assert mistakes(answer.json, schema, document) == []
        if body is not None and answer.status_code < 300:
            asked = operation["requestBody"]["content"]["application/json"]["schema"]
            assert mistakes(body, asked, document) == []


def test_a_body_that_the_document_refuses_is_refused(tmp_path: Path):
    rim, document = Rim(tmp_path), openapi()
    schema = document["paths"]["/v1/quotes"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    taxed = quote(basket=basket(line(1, "a", 1, tax_bp=100_001)))
    for body in (quote(points_to_spend=-1), quote(extra=1), {}, quote(basket=basket(line(0, "a", 1))), taxed):
        assert mistakes(body, schema, document) != []
        assert rim.post("/v1/quotes", body).status_code == 400


QUERIES: list[tuple[str, str, str, set[str]]] = [
    ("get", "/v1/screen", "/v1/screen", {"for"}),
    ("get", "/events", "/events", {"for"}),
    ("post", "/v1/receipts/R1/void", "/v1/receipts/{receipt_id}/void", {"training"}),
    ("post", "/v1/returns/B1/void", "/v1/returns/{return_id}/void", {"training"}),
    ("post", "/v1/exchanges/X1/void", "/v1/exchanges/{exchange_id}/void", {"training"}),
    ("post", "/v1/day-close", "/v1/day-close", {"training"}),
    ("get", "/v1/receipts/R1", "/v1/receipts/{receipt_id}", {"format", "language", "copy", "training"}),
    ("post", "/v1/receipts/R1/print", "/v1/receipts/{receipt_id}/print", {"language", "copy", "training"}),
    ("get", "/v1/fiscal-lines/R1", "/v1/fiscal-lines/{receipt_id}", {"columns", "lines", "language", "training"}),
]
TOGETHER: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # path, what lacks something, what makes it whole
    ("/v1/members/find", {}, {"phone": "600700800"}),
    ("/v1/cards", {"card_id": "C", "what": "issue", "old_card": CARD}, {"member_card": CARD}),
    ("/v1/cards", {"card_id": "C", "what": "block"}, {"card": CARD}),
    ("/v1/claims", {"claim_id": "L", "card": CARD}, {"receipt_id": "R"}),
    ("/v1/claims", {"claim_id": "L", "card": CARD, "printed": {"receipt_id": "R", "total_minor": 5}},
     {"printed": {"receipt_id": "R", "total_minor": 5, "sold_at": "2026-03-05 18:30"}}),
    ("/v1/returns", {"return_id": "B", "lines": []}, {"of": "R", "lines": [{"line": 1}]}),
    ("/v1/returns", {"return_id": "B", "lines": [{"line": 1}]}, {"lines": [{"line": 1, "sku": "bread"}]}),
    ("/v1/quotes", {"basket": basket(line(1, "a", 1, certificate="GC", tax_bp=5))},
     {"basket": basket(line(1, "a", 1, certificate="GC"))}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "lacking", "more"), TOGETHER)
def test_what_goes_together_the_document_says_and_the_till_wants(
    tmp_path: Path, path: str, lacking: dict[str, Any], more: dict[str, Any]
) -> None:
    rim, document = Rim(tmp_path), openapi()
    schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert mistakes(lacking, schema, document) != []
    assert rim.post(path, lacking).status_code in (400, 422)
    assert mistakes({**lacking, **more}, schema, document) == []


def test_the_document_is_served_as_it_is_made(tmp_path: Path):
    served = Rim(tmp_path).client.get("/openapi.json").json
    assert served == msgspec.json.decode(msgspec.json.encode(openapi()))
    assert served["openapi"] == "3.1.0"


def test_a_mistake_is_named_by_its_path_and_never_by_its_value():
    secret = "4111111111111111"
    body = msgspec.json.encode(quote(basket=basket(line(1, "a", secret))))
    with pytest.raises(contract.BadInput) as refused:
        read_body(body, QuoteBody)
    assert "$.basket.lines[0].amount_minor" in refused.value.say
    assert secret not in str(refused.value)


EXAMPLES = ("QuoteBody", "QuoteBody", "QuoteSaid", "VoidBody", "ParkBody", "ExchangeBody", "ExchangeSaid",
            "ExchangeVoidSaid", "ReturnVoidSaid", "DayCloseBody", "CloseSaid")  # fmt: skip
_LINES = [{"line": 1, "quantity": "1"}]
_EXCHANGE = {
    "exchange_id": "X1", "return": {"return_id": "B2", "of": "R1", "lines": [{"line": 2}]},
    "receipt": {"receipt_id": "R4", "card": CARD, "basket": basket(line(1, "mug", 890))},
}  # fmt: skip
_TOTALS = {"net_minor": 1, "tenders": [{"kind": "cash", "amount_minor": 1}]}
_STORED = {"prizes": ["mug"], "certificates": [{"code": "GC", "amount_minor": 1}], "from_wallet_minor": 1}
A_DAY: list[tuple[str, str, str, Any]] = [
    ("GET", "/v1/status", "/v1/status", None),
    ("POST", "/v1/cards/identify", "/v1/cards/identify", {"card": CARD}),
    ("POST", "/v1/cards/identify", "/v1/cards/identify", {"card": "4006381333931", "aim": "]E0"}),
    ("GET", "/v1/cards/last", "/v1/cards/last", None),
    ("POST", "/v1/quotes", "/v1/quotes", quote(points_to_spend=100, coupons=["X"])),
    ("POST", "/v1/quotes", "/v1/quotes", quote(card=None, training=True, language="pl")),
    ("POST", "/v1/quotes", "/v1/quotes", quote(**_STORED, events=["survey"])),
    ("POST", "/v1/receipts", "/v1/receipts", commit(receipt_id="R0", **_STORED)),
    ("GET", "/v1/screen", "/v1/screen", None),
    ("POST", "/v1/holds", "/v1/holds", {"hold_id": "H1", "card": CARD, "points": 100}),
    ("POST", "/v1/holds", "/v1/holds", {"hold_id": "H2", "card": CARD, "points": 100}),
    ("DELETE", "/v1/holds/H2", "/v1/holds/{hold_id}", None),
    ("POST", "/v1/receipts", "/v1/receipts", commit(hold_id="H1", points_to_spend=100)),
    ("POST", "/v1/receipts", "/v1/receipts", commit(hold_id="H1", points_to_spend=100)),
    ("POST", "/v1/receipts", "/v1/receipts", commit(receipt_id="R2", charged=[{"line": 1, "discount_minor": 100}])),
    ("GET", "/v1/receipts/R1", "/v1/receipts/{receipt_id}", None),
    ("GET", "/v1/receipts/R1?format=html", "/v1/receipts/{receipt_id}", None),
    ("GET", "/v1/receipts/R1?format=escpos", "/v1/receipts/{receipt_id}", None),
    ("GET", "/v1/receipts/R1?format=text", "/v1/receipts/{receipt_id}", None),
    ("POST", "/v1/receipts/R2/void", "/v1/receipts/{receipt_id}/void", {}),
    ("POST", "/v1/returns", "/v1/returns", {"return_id": "B1", "of": "R1", "lines": _LINES}),
    ("GET", f"/v1/balance?card={CARD}", "/v1/balance", None),
    ("POST", "/v1/exchanges", "/v1/exchanges", _EXCHANGE),
    ("POST", "/v1/exchanges", "/v1/exchanges", {**_EXCHANGE, "override": {"supervisor": "91"}}),
    ("POST", "/v1/exchanges/X1/void", "/v1/exchanges/{exchange_id}/void", {"cashier": "4"}),
    ("POST", "/v1/returns/B2/void", "/v1/returns/{return_id}/void", {}),
    ("GET", "/v1/exchanges/X1", "/v1/exchanges/{exchange_id}", None),
    ("POST", "/v1/quotes", "/v1/quotes", quote(cards=["2099999999998", CARD])),
    ("POST", "/v1/parked", "/v1/parked", {**quote(coupons=["X"]), "park_id": "P1", "note": "blue"}),
    ("GET", "/v1/parked", "/v1/parked", None),
    ("POST", "/v1/parked/P1/resume", "/v1/parked/{park_id}/resume", {"resume_id": "U1"}),
    ("POST", "/v1/parked", "/v1/parked", {**quote(), "park_id": "P2"}),
    ("DELETE", "/v1/parked/P2", "/v1/parked/{park_id}", None),
    ("GET", "/v1/training", "/v1/training", None),
    ("DELETE", "/v1/training", "/v1/training", None),
    ("POST", "/v1/day-close", "/v1/day-close", {"business_date": "2026-03-05", "totals": _TOTALS, "sales": []}),
    ("GET", "/v1/day-close/2026-03-05", "/v1/day-close/{business_date}", None),
    ("GET", "/v1/status", "/v1/status", None),
    ("GET", "/metrics", "/metrics", None),
    ("GET", "/customer", "/customer", None),
    ("GET", "/v1/receipts/none", "/v1/receipts/{receipt_id}", None),
    ("POST", "/v1/quotes", "/v1/quotes", {"basket": 1}),
]


