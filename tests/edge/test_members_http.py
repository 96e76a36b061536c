"""Members, cards, consents and claims over HTTP: once each, whatever is sent again, and nothing in clear."""

import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.line.counter_line import CounterLine
from edge.sale.approving import hash_of_code
from loyalty.cards.card_numbers import NumberSpan
from loyalty.facts.member_events import ConsentChanged, Enrolled
from loyalty.members import HotlistedCard
from loyalty.programme.programme import read_programme
from sync.lanes import LaneState
from sync.wire import Ack, Lanes, Page
from tests.edge.rim import CARD, PAYMENT, STRANGER, TILL, Rim, commit
from tests.edge.rim import PROGRAMME as PLAIN

MEMBERS = """
members:
  consents:
    - {purpose: marketing, channel: email, version: v1, text: {en: "Offers by e-mail?", pl: "Oferty e-mailem?"}}
    - {purpose: terms, version: v1, double_opt_in: false, text: {en: "The terms"}}
  claims: {within_days: 3, per_card_per_day: 1}
"""


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    return furnished(tmp_path)


def furnished(folder: Path, **more: Any) -> Rim:
    made = Rim(folder, **more)
    made.cache.load_programme(read_programme(PLAIN + MEMBERS))
    span = NumberSpan(span_no=1, till_id=TILL, epoch=1, kind="ean13", prefix="20", digits=13, first=0, last=2,
                      granted_at_ms=0)  # fmt: skip
    with made.journal.writing():
        made.journal.members.take("", [span])
    return made


def test_each_request_is_answered_once_and_again_the_same(rim: Rim):
    rim.post("/v1/receipts", commit(card=None))
    asks = {
        "/v1/members": {"enrol_id": "E-1", "asked_on": "kiosk", "language": "pl",
                        "consents": [{"purpose": "marketing", "channel": "email", "version": "v1", "given": True}]},
        "/v1/cards": {"card_id": "C-1", "what": "replace", "old_card": CARD, "reason": "lost"},
        "/v1/consents": {"consent_id": "K-1", "card": CARD, "purpose": "terms", "version": "v1", "given": True,
                         "asked_on": "cashier"},
        "/v1/claims": {"claim_id": "L-1", "card": STRANGER, "receipt_id": "R1"},
    }  # fmt: skip
    for path, body in asks.items():
        first = rim.post(path, body)
        assert first.status_code == 201, first.json
        rim.clock.move(3_000)
        again = rim.post(path, body)
        assert (again.status_code, again.json) == (200, {**first.json, "replayed": True})
        other = rim.post(path, {**body, "cashier": "5"})
        assert (other.status_code, other.json["code"]) == (409, "receipt.id_reused")
    said = rim.post("/v1/consents/confirm", {"confirm_id": "F-1", "asked_on": "kiosk", "code": rim.post(
        "/v1/members", asks["/v1/members"]).json["consents"][0]["confirm_code"]})  # fmt: skip
    assert (said.status_code, said.json["consent"]["state"]) == (201, "confirmed")


@pytest.mark.parametrize(
    ("path", "works", "body"),
    [
        ("members", "edge.members.desk.enrol_member", {"enrol_id": "X-1"}),
        ("cards", "edge.members.desk.change_card", {"card_id": "X-1", "what": "replace", "old_card": CARD}),
        ("consents", "edge.members.desk.give_consent", {"consent_id": "X-1", "card": CARD, "purpose": "terms",
                                                        "version": "v1", "given": True, "asked_on": "kiosk"}),
        ("claims", "edge.members.desk.claim_receipt", {"claim_id": "X-1", "card": STRANGER, "receipt_id": "R1"}),
        ("certificates", "edge.web.certificates_http.order_certificate", {
            "request_id": "X-1", "action": "activate", "code": "GC-7781-0042", "amount_minor": 500, "currency": "EUR"}),
    ],
)  # fmt: skip
def test_a_request_that_is_sent_again_while_it_is_worked_on_is_the_same_request(
    rim: Rim, monkeypatch: pytest.MonkeyPatch, path: str, works: str, body: dict[str, Any]
):
    rim.cache.load_programme(read_programme(PLAIN + MEMBERS + "certificates: {sold: {tags: [gift-card]}}\n"))
    rim.post("/v1/receipts", commit(card=None))
    module, name = works.rsplit(".", 1)
    work = getattr(import_module(module), name)
    told: list[Any] = []

    def ask() -> None:
        with rim.app.test_client() as client:
            told.append(client.post(f"/v1/{path}", json=body))

    second = threading.Thread(target=ask)

    def slow(*args: Any) -> Any:
        if second.ident is None:  # the POS waits no longer than two seconds
            rim.clock.move(2_000)
            second.start()
            second.join(0.5)
        return work(*args)

    monkeypatch.setattr(works, slow)
    ask()
    second.join()
    assert sorted(one.status_code for one in told) == [200, 201]
    assert [one.json["replayed"] for one in sorted(told, key=lambda one: one.status_code)] == [True, False]


def test_an_id_of_one_thing_is_not_one_of_another(rim: Rim):
    rim.post("/v1/members", {"enrol_id": "X-1"})
    for path, body in (
        ("/v1/cards", {"card_id": "X-1", "what": "block", "card": CARD, "reason": "lost"}),
        ("/v1/consents", {"consent_id": "X-1", "card": CARD, "purpose": "terms", "version": "v1", "given": True,
                          "asked_on": "kiosk"}),
        ("/v1/receipts", commit(receipt_id="X-1")),
    ):  # fmt: skip
        assert rim.post(path, body).status_code == 409


def test_what_may_be_asked_is_told_in_the_language_wanted(rim: Rim):
    told = rim.client.get("/v1/enrolment?language=pl").json
    assert (told["numbers_left"], told["may_seal"], told["claims"]) == (
        3, False, {"within_days": 3, "per_card_per_day": 1},
    )  # fmt: skip
    assert [(one["text"], one["language"], one["double_opt_in"]) for one in told["consents"]] == [
        ("Oferty e-mailem?", "pl", True), ("The terms", "en", False),
    ]  # fmt: skip


def test_a_consent_is_kept_in_the_language_of_the_text_that_was_read(rim: Rim):
    """The club's terms are written in English alone; offers by e-mail in Polish too, and not in Russian."""
    given = [
        {"purpose": "marketing", "channel": "email", "version": "v1", "given": True},
        {"purpose": "terms", "version": "v1", "given": True},
    ]
    rim.post("/v1/members", {"enrol_id": "E-1", "asked_on": "kiosk", "language": "pl", "consents": given})
    joined = rim.journal.find("E-1")
    assert joined is not None and isinstance(joined.event, Enrolled)
    assert (joined.event.language, [one.language for one in joined.event.consents]) == ("pl", ["pl", "en"])
    asked = {"consent_id": "K-1", "card": CARD, "asked_on": "kiosk", "language": "ru", **given[0]}
    rim.post("/v1/consents", asked)
    said = rim.journal.find("K-1")
    assert said is not None and isinstance(said.event, ConsentChanged)
    assert said.event.said.language == "en"


def consent(rim: Rim, consent_id: str, *, given: bool, sold_at: str | None = None) -> Any:
    when = {} if sold_at is None else {"sold_at": sold_at}
    return rim.post("/v1/consents", {"consent_id": consent_id, "card": CARD, "purpose": "terms", "version": "v1",
                                     "given": given, "asked_on": "kiosk", **when})  # fmt: skip


@pytest.mark.parametrize("sold_at", ["2099-01-01T00:00:00Z", "2026-03-05T17:40:01Z", "2026-02-26T17:29:59Z"])
def test_a_consent_of_a_time_that_cannot_be_is_refused(rim: Rim, sold_at: str):
    # The till's clock says 17:30 on 5 March. What is said to be of 2099 would outlast every withdrawal.
    terms = {"purpose": "terms", "version": "v1", "given": True}
    for refused in (
        consent(rim, "K-1", given=True, sold_at=sold_at),
        rim.post("/v1/members", {"enrol_id": "K-1", "consents": [terms], "sold_at": sold_at}),
    ):
        assert (refused.status_code, refused.json["code"]) == (422, "sale.bad_time")
        assert "without sold_at" in refused.json["detail"]
    assert rim.journal.find("K-1") is None


@pytest.mark.parametrize("ahead", ["2026-03-05T17:30:00Z", "2026-03-05T17:40:00Z"])
def test_a_consent_by_a_clock_that_is_ahead_is_withdrawn_by_one_that_is_not(rim: Rim, ahead: str):
    first = consent(rim, "K-1", given=True, sold_at=ahead)
    assert first.status_code == 201
    rim.clock.move(1_000)
    assert consent(rim, "K-1", given=True, sold_at=ahead).json == {**first.json, "replayed": True}
    consent(rim, "K-2", given=False)
    stands = rim.client.get(f"/v1/consents?card={CARD}").json["consents"]
    assert [one["state"] for one in stands] == ["withdrawn"]


def test_a_consent_that_the_pos_kept_while_the_till_was_down_is_of_its_own_time(rim: Rim):
    consent(rim, "K-1", given=True, sold_at="2026-03-01T09:00:00Z")
    stands = rim.client.get(f"/v1/consents?card={CARD}").json["consents"]
    assert stands[0]["since"] == "2026-03-01T10:00:00.000+01:00"


def test_a_receipt_of_a_business_day_that_began_in_the_evening_is_claimed_that_evening(rim: Rim):
    rim.post("/v1/receipts", commit(card=None, business_date="2026-03-06"))
    ask = {"claim_id": "L-1", "card": STRANGER, "receipt_id": "R1", "sold_at": "2026-03-05T18:35:00+01:00"}
    early = rim.post("/v1/claims", {**ask, "business_date": "2026-03-05"})
    assert (early.status_code, early.json["code"]) == (409, "claim.too_old")
    assert rim.post("/v1/claims", ask).status_code == 201
    assert rim.post("/v1/claims", ask).json["replayed"] is True
    claimed = rim.journal.find("L-1").event
    assert str(claimed.place.business_date) == "2026-03-06"


def test_a_replaced_card_is_not_served_and_its_new_one_earns(rim: Rim):
    done = rim.post("/v1/cards", {"card_id": "C-1", "what": "replace", "old_card": CARD, "reason": "lost"}).json
    assert (len(done["card_number"]), done["card_number"][-4:]) == (13, done["last4"])
    assert rim.post("/v1/cards/identify", {"card": CARD}).json["code"] == "card.blocked"
    paid = rim.post("/v1/receipts", commit(card=done["card_number"]))
    assert paid.json["totals"]["points_earned"] == 105


def test_a_card_blocked_here_stays_so_while_the_hotlist_is_told_in_part_only(rim: Rim):
    rim.post("/v1/cards", {"card_id": "C-1", "what": "block", "card": CARD, "reason": "stolen"})
    blocked = rim.journal.find("C-1").event.card_token
    rim.journal.outbox.take_ack(Ack(
        key_no=1, answers="00" * 32, server_at_ms=0, head=rim.journal.head(), generation=0, block_no=0,
        block_hash="00" * 32, lanes=Lanes(),
    ))  # fmt: skip
    line = CounterLine(
        journal=rim.journal, cache=rim.cache, identity=rim.identity, clock=rim.clock, ask=lambda wanted: None,
        random_bytes=bytes,
    )  # fmt: skip

    def tell(to: str, *cards: HotlistedCard) -> None:
        rim.clock.move(5_000)
        rows = tuple(msgspec.Raw(msgspec.json.encode(card)) for card in cards)
        page = Page(lane="hotlist", from_cursor="", to_cursor=to, version=9, more=to != "9", rows=rows)
        rim.cache.take_page(page, LaneState(cursor=to, version=0 if page.more else 9))
        rim.clock.move(5_000)
        line.keep()

    def told() -> Any:
        return rim.post("/v1/cards/identify", {"card": CARD}).json.get("code")

    line.keep()
    tell("3", HotlistedCard(card_token="0" * 32, reason="lost"))
    assert told() == "card.blocked"  # its own row is on the page after this one
    tell("9", HotlistedCard(card_token=blocked, reason="stolen"))
    assert told() == "card.blocked"
    tell("9", HotlistedCard(card_token=blocked, reason="stolen", lifted=True))
    assert told() is None


def test_a_gsrn_that_was_given_is_sent_and_typed_as_it_was_answered(rim: Rim):
    ranges = '[{kind: ean13, prefix: "20"}, {kind: gsrn, prefix: "5012345"}]'
    rim.cache.load_programme(read_programme((PLAIN + MEMBERS).replace('[{kind: ean13, prefix: "20"}]', ranges)))
    span = NumberSpan(span_no=2, till_id=TILL, epoch=1, kind="gsrn", prefix="5012345", digits=18, first=0, last=0,
                      granted_at_ms=0)  # fmt: skip
    with rim.journal.writing():
        rim.journal.members.take("", [span])
    given = {}
    for n in range(4):  # the span of the other range has three
        done = rim.post("/v1/members", {"enrol_id": f"E-{n}"}).json
        given[len(done["card_number"])] = done
    assert sorted(given) == [13, 22]
    for done in given.values():
        typed = rim.post("/v1/cards/identify", {"card": done["card_number"], "keyed": True}).json
        assert (typed["outcome"], typed["card_token"]) == ("card", done["card_token"])
        paid = rim.post("/v1/receipts", commit(receipt_id=done["last4"], card=done["card_number"]))
        assert paid.json["totals"]["points_earned"] == 105


def test_blocking_a_card_can_want_a_supervisor(tmp_path: Path):
    rim = furnished(tmp_path, approvals={"card_block": 0}, supervisors={"91": hash_of_code("4711", b"s" * 16)})
    body = {"card_id": "C-1", "what": "block", "card": CARD, "reason": "stolen"}
    assert rim.post("/v1/cards", body).json["code"] == "override.wanted"
    approved = {**body, "override": {"supervisor": "91", "reason": "told by phone", "code": "4711"}}
    done = rim.post("/v1/cards", approved)
    assert (done.status_code, done.json["approved_by"]) == (201, "91")
    assert rim.post("/v1/cards", approved).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/members", {"enrol_id": "E-1", "card": PAYMENT}, 422, "card.payment_card"),
        ("/v1/members", {"enrol_id": "E-1", "card": CARD}, 409, "members.card_is_taken"),
        ("/v1/members", {"enrol_id": "E-1", "person": {"name": "Ana"}}, 409, "members.not_sealable"),
        ("/v1/members", {"enrol_id": "E-1", "person": {"name": "Ana", "age": 3}}, 400, "request.unknown_field"),
        ("/v1/members", {"enrol_id": "void:1"}, 422, "receipt.id_reserved"),
        ("/v1/cards", {"card_id": "C-1", "what": "replace", "reason": "lost"}, 422, "members.card_wanted"),
        ("/v1/cards", {"card_id": "C-1", "what": "burn", "card": CARD}, 400, "request.malformed"),
        # Head office would keep the event out of its books, and the card would go on being served.
        ("/v1/cards", {"card_id": "C-1", "what": "block", "card": CARD, "reason": "lost\0"}, 400, "request.malformed"),
        ("/v1/members", {"enrol_id": "E-1", "channel": "kiosk\0"}, 400, "request.malformed"),
        ("/v1/members/find", {"phone": "1"}, 503, "members.offline"),
        ("/v1/members/find", {}, 422, "members.card_wanted"),
        ("/v1/claims", {"claim_id": "L-1", "card": STRANGER, "receipt_id": "R9"}, 404, "claim.receipt_unknown"),
        ("/v1/consents/confirm", {"confirm_id": "F-1", "code": "x", "asked_on": "kiosk"}, 422, "consent.wrong_code"),
        ("/v1/consents/confirm", {"confirm_id": "F-1", "code": "x", "asked_on": "sofa"}, 400, "request.malformed"),
    ],
)
def test_what_cannot_be_is_refused_with_the_next_step(rim: Rim, path: str, body: Any, status: int, code: str):
    said = rim.post(path, body)
    assert (said.status_code, said.json["code"]) == (status, code)
    assert said.json["detail"].endswith((".", "fields.", "shape."))
    assert "Ana" not in said.get_data(as_text=True)


def test_numbers_run_out_in_plain_words(rim: Rim):
    for n in range(3):
        assert rim.post("/v1/members", {"enrol_id": f"E-{n}"}).status_code == 201
    said = rim.post("/v1/members", {"enrol_id": "E-9"})
    assert (said.status_code, said.json["code"]) == (409, "members.no_numbers")
    assert "printed card" in said.json["detail"]


def test_a_crash_in_the_middle_leaves_nothing_half_done(rim: Rim, monkeypatch: pytest.MonkeyPatch):
    def fall_over(*_args: Any) -> None:
        raise RuntimeError("the machine fell over")

    body = {"enrol_id": "E-1", "cashier": "4"}
    with monkeypatch.context() as crash:
        crash.setattr(rim.journal.members, "keep_given", fall_over)
        assert rim.post("/v1/members", body).status_code == 500
    assert rim.journal.find("E-1") is None
    assert rim.client.get("/v1/enrolment").json["numbers_left"] == 3
    with monkeypatch.context() as crash:
        crash.setattr(rim.journal.members, "keep_block", fall_over)
        lost = {"card_id": "C-1", "what": "replace", "old_card": CARD, "reason": "lost"}
        assert rim.post("/v1/cards", lost).status_code == 500
    assert rim.post("/v1/cards/identify", {"card": CARD}).status_code == 200
    assert rim.post("/v1/members", body).status_code == 201
    assert rim.post("/v1/cards", lost).status_code == 201


def test_training_gives_nothing_away(rim: Rim):
    assert rim.post("/v1/members", {"enrol_id": "E-1", "training": True}).json["code"] == "members.no_numbers"
    practised = rim.post("/v1/members", {"enrol_id": "E-1", "training": True, "card": STRANGER})
    assert practised.status_code == 201
    rim.post("/v1/cards", {"card_id": "C-1", "what": "block", "card": CARD, "reason": "lost", "training": True})
    assert rim.post("/v1/cards/identify", {"card": CARD}).status_code == 200
    assert rim.journal.find("E-1") is None
    assert rim.client.get("/v1/enrolment").json["numbers_left"] == 3


def test_a_claim_of_a_void_or_a_card_sale_is_refused_and_a_second_one_too(rim: Rim):
    rim.post("/v1/receipts", commit())
    ask = {"claim_id": "L-1", "card": STRANGER}
    assert rim.post("/v1/claims", {**ask, "receipt_id": "R1"}).json["code"] == "claim.has_card"
    rim.post("/v1/receipts", commit(receipt_id="R2", card=None))
    rim.post("/v1/receipts/R2/void", {})
    assert rim.post("/v1/claims", {**ask, "receipt_id": "R2"}).json["code"] == "claim.voided"
    rim.post("/v1/receipts", commit(receipt_id="R3", card=None))
    done = rim.post("/v1/claims", {**ask, "receipt_id": "R3"}).json
    # 12.50 with coffee a fifth cheaper, which needs no card: 10.50 at a point for ten cents.
    assert (done["state"], done["points"]) == ("provisional", 105)
    assert rim.post("/v1/claims", {**ask, "claim_id": "L-2", "receipt_id": "R3"}).json["code"] == "claim.too_many"
    assert rim.client.get("/v1/claims/L-1").json["state"] == "provisional"
    assert rim.client.get("/v1/claims/L-9").json["code"] == "claim.unknown"
