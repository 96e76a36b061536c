"""What the display shows and when it forgets; how a screen that does not read is treated."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest

from edge.api.bodies import CommitBody
from edge.counter import screens as module
from edge.counter.screens import Screen, Screens, TooManyScreens
from edge.line.wiping import WIPED
from loyalty.baskets import BadBasket
from loyalty.cards.cards import PaymentCard
from loyalty.members import MemberRow, PublishedMember, WalletItem
from loyalty.programme.programme import read_programme
from sync.lanes import LaneState
from sync.wire import Page
from tests.edge.rim import CARD, PROGRAMME, STRANGER, Rim, basket, commit, line, member, quote
from tests.edge.test_exchanging import AT, swap


class Mono:
    now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def mono() -> Mono:
    return Mono()


@pytest.fixture
def screens(mono: Mono) -> Screens:
    return Screens(lambda: Screen(currency="EUR"), mono)


def said(chunk: bytes) -> dict[str, Any]:
    return json.loads(chunk.decode().split("data: ", 1)[1])


def test_a_screen_gets_the_whole_state_at_once_and_then_each_change(screens: Screens):
    stream = screens.stream()
    first = next(stream)
    assert first.startswith(b"retry: 300\nevent: screen\ndata: {")
    assert said(first)["phase"] == "idle"
    screens.publish(lambda: Screen(phase="sale", member="…8903"))
    assert said(next(stream))["member"] == "…8903"


def test_a_state_is_worked_out_when_somebody_looks_and_once_for_all_who_do(screens: Screens):
    streams = [screens.stream(), screens.stream()]
    for stream in streams:
        next(stream)
    made: list[str] = []

    def make() -> Screen:
        made.append("")
        return Screen(phase="sale")

    screens.publish(make)
    assert made == []
    assert [said(next(stream))["phase"] for stream in streams] == ["sale", "sale"]
    assert (screens.now().phase, len(made)) == ("sale", 1)


def test_a_silent_till_beats_so_that_a_lost_screen_is_noticed(screens: Screens, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.01)
    stream = screens.stream()
    next(stream)
    assert next(stream) == b"event: beat\ndata:\n\n"


def test_what_the_till_has_forgotten_leaves_the_screens_with_the_next_beat(
    screens: Screens, mono: Mono, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.01)
    stream = screens.stream()
    next(stream)
    screens.publish(lambda: Screen(phase="done", member="…8903"))
    next(stream)
    mono.now_ms += 14_999
    assert next(stream).startswith(b"event: beat")
    mono.now_ms += 1
    told = said(next(stream))
    # Nobody published it: it has the number of the state that is over.
    assert (told["phase"], told["member"], told["no"]) == ("idle", "", 1)
    assert next(stream).startswith(b"event: beat")


def test_a_line_that_goes_between_sales_is_told_with_the_next_beat(rim: Rim, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.01)
    rim.post("/v1/quotes", quote())
    rim.desk.leave_sale()
    stream = rim.desk.screens.stream()
    assert said(next(stream))["offline"] is False
    rim.offline = True
    assert said(next(stream))["offline"] is True
    assert next(stream).startswith(b"event: beat")


def test_a_screen_that_does_not_read_loses_its_oldest_states_and_stops_nobody(screens: Screens):
    slow, quick = screens.stream(), screens.stream()
    next(quick)
    for price in range(1, 21):
        screens.publish(lambda price=price: Screen(phase="sale", may_spend_points=price))
        assert said(next(quick))["may_spend_points"] == price
    next(slow)
    assert said(next(slow))["may_spend_points"] == 5  # 20 states, room for 16
    assert screens.dropped == 4


def test_the_ninth_screen_is_refused_until_one_leaves(screens: Screens):
    streams = [screens.stream() for _ in range(8)]
    with pytest.raises(TooManyScreens) as refused:
        screens.stream()
    assert (refused.value.code, refused.value.status) == ("screens.too_many", 503)
    assert "read /v1/screen" in refused.value.say
    close(streams[3])
    assert screens.count() == 7
    screens.stream()


def test_a_screen_whose_first_state_cannot_be_worked_out_takes_nobodys_place(screens: Screens):
    def broken() -> Screen:
        raise BadBasket("This basket cannot be.")

    screens.publish(broken)
    for _ in range(module.MOST_SCREENS):  # a page tries again and again
        with pytest.raises(BadBasket):
            screens.stream()
    assert screens.count() == 0
    screens.publish(lambda: Screen(phase="sale"))
    assert said(next(screens.stream()))["phase"] == "sale"


def test_a_paid_sale_is_forgotten_after_fifteen_seconds_and_an_open_one_after_three_minutes(
    screens: Screens, mono: Mono
):
    screens.publish(lambda: Screen(phase="done", member="…8903"))
    mono.now_ms += 14_999
    assert (screens.now().member, screens.now().age_ms) == ("…8903", 14_999)
    mono.now_ms += 1
    assert (screens.now().phase, screens.now().member) == ("idle", "")
    screens.publish(lambda: Screen(phase="sale", member="…8903"))
    mono.now_ms += 179_999
    assert screens.now().phase == "sale"
    mono.now_ms += 1
    assert screens.now().phase == "idle"


def test_a_page_that_asks_hears_what_was_said_within_ten_seconds(screens: Screens, mono: Mono):
    stream = screens.stream()
    next(stream)
    assert screens.shown().notice is None
    screens.tell("Swipe again.", "card.swipe_failed")
    screens.tell("Swipe once more.", "card.swipe_failed")
    mono.now_ms += 9_999
    notice = screens.shown("cashier").notice
    assert notice is not None and (notice.say, notice.no) == ("Swipe once more.", 2)
    mono.now_ms += 1
    assert screens.shown("cashier").notice is None
    # Who listens has the same numbers, and hears each once.
    assert [said(next(stream))["no"] for _ in range(2)] == [1, 2]
    screens.publish(lambda: Screen(phase="sale"))
    assert said(next(stream))["notice"] is None


def test_closing_ends_every_stream_and_lets_nobody_in(screens: Screens):
    stream = screens.stream()
    next(stream)
    screens.close()
    with pytest.raises(StopIteration):
        next(stream)
    with pytest.raises(TooManyScreens):
        screens.stream()


def test_over_http_the_ninth_screen_gets_a_problem_and_may_poll(tmp_path: Path):
    rim = Rim(tmp_path)
    streams = [rim.desk.screens.stream() for _ in range(8)]
    answer = rim.client.get("/events")
    assert (answer.status_code, answer.json["code"]) == (503, "screens.too_many")
    assert rim.client.get("/v1/screen").json["phase"] == "idle"
    close(streams[0])
    assert rim.client.get("/events").mimetype == "text/event-stream"


# What a sale puts on the display


@pytest.fixture
def rim(tmp_path: Path) -> Rim:
    return Rim(tmp_path)


def test_a_sale_is_followed_from_card_to_thanks(rim: Rim):
    rim.post("/v1/cards/identify", {"card": CARD})
    greeted = rim.desk.screens.now()
    assert (greeted.phase, greeted.member, greeted.balance_points) == ("member", "…8903", 1240)
    rim.post("/v1/quotes", quote())
    sale = rim.desk.screens.now()
    assert [(one.name, one.amount_minor, one.discount_minor, one.points) for one in sale.lines] == [
        ("Espresso beans 1 kg", 1000, 200, 80), ("Rye bread", 250, 0, 25),
    ]  # fmt: skip
    assert (sale.may_spend_points, sale.may_spend_minor, sale.authority) == (1000, 1000, "float")
    assert sale.messages == ("Coffee week: you save 2.00", "Only 19.50 more and your points double")
    assert sale.as_of == "2026-03-05T18:30:00.000+01:00"
    rim.post("/v1/receipts", commit())
    done = rim.desk.screens.now()
    assert (done.phase, done.balance_points, done.messages) == ("done", 1345, ("Coffee week: you save 2.00",))
    assert (done.authority, len(done.record)) == ("none", 8)
    rim.post("/v1/receipts", commit(receipt_id="R2", points_to_spend=200))
    assert rim.desk.screens.now().authority == "float"


def test_a_sale_that_is_voided_is_not_thanked_for_any_more(rim: Rim):
    rim.post("/v1/receipts", commit())
    rim.post("/v1/receipts/R1/void", {"sold_at": AT})
    shown = rim.desk.screens.now()
    assert (shown.phase, shown.totals, shown.record, shown.member) == ("idle", None, "", "")


def test_an_exchange_that_is_voided_is_not_thanked_for_any_more(rim: Rim):
    rim.post("/v1/receipts", commit())
    rim.post("/v1/exchanges", swap())
    assert rim.desk.screens.now().phase == "done"
    rim.post("/v1/exchanges/X1/void", {"sold_at": AT})
    assert rim.desk.screens.now().phase == "idle"


@pytest.mark.parametrize(("other", "training"), [("R0", False), ("R1", True)])
def test_a_void_of_another_sale_leaves_what_is_shown(rim: Rim, other: str, training: bool):
    rim.post("/v1/receipts", commit(receipt_id=other, training=training))
    rim.post("/v1/receipts", commit())
    paid = rim.desk.screens.now()
    rim.post(f"/v1/receipts/{other}/void", {"sold_at": AT, "training": training})
    assert rim.desk.screens.now() == paid
    rim.post("/v1/quotes", quote())
    rim.post("/v1/receipts/R1/void", {"sold_at": AT})
    assert rim.desk.screens.now().phase == "sale"


def test_points_worth_less_than_a_step_are_worth_what_they_would_pay(rim: Rim):
    rest = PROGRAMME.replace("step_points: 100\n  step_minor: 100", "step_points: 3\n  step_minor: 2\n  rest: true")
    rim.cache.load_programme(read_programme(rest))
    rim.post("/v1/quotes", quote())
    # 1,000 points at 2 for 3 are worth 6.66; 999 are worth as much.
    shown = rim.desk.screens.now()
    assert (shown.may_spend_points, shown.may_spend_minor) == (999, 666)


def test_points_that_head_office_is_asked_for_are_told_to_pos_cashier_and_customer(rim: Rim):
    offline = "offline: {sale_points: 1000, card_points: 2000, till_points: 5000}"
    rim.cache.load_programme(read_programme(PROGRAMME.replace(offline, "online: true")))
    rim.desk.till.ask_points = lambda hold_id, account_id, points, partial: None
    rim.desk.till.is_offline = lambda: False
    told = rim.post("/v1/quotes", quote(points_to_spend=500)).json["redemption"]
    # 1,240 points in hundreds, and 10.50 to pay.
    assert (told["most_points"], told["ask_points"], told["ask_minor"]) == (0, 1000, 1000)
    assert told["say"] == (
        "At most 0 points can be spent on this sale; none are spent. "
        "Set points aside first: head office may let 1000 be spent."
    )
    shown = rim.desk.screens.now()
    assert (shown.may_spend_points, shown.may_spend_minor, shown.most_points) == (1000, 1000, 1000)
    assert (shown.authority, shown.to_ask) == ("hold", True)


def test_pages_tell_baskets_apart_and_hear_nothing_of_a_sale_that_the_next_one_has_overtaken(rim: Rim):
    rim.post("/v1/quotes", quote())
    page = rim.desk.screens.stream("kiosk")
    assert said(next(page))["beside"]["quote_id"] == "Q1"
    rim.post("/v1/quotes", quote(quote_id="Q2", card=None))
    rim.post("/v1/receipts", commit())
    rim.post("/v1/parked", {**quote(), "park_id": "P1"})
    rim.post("/v1/quotes", quote(quote_id="Q2", basket=basket(line(1, "tea", 300))))
    shown = [said(next(page)) for _ in range(2)]
    assert [(one["phase"], one["beside"]["quote_id"], one["member"]) for one in shown] == [
        ("sale", "Q2", ""), ("sale", "Q2", "…8903"),
    ]  # fmt: skip


def test_a_sale_that_is_paid_while_the_next_basket_is_shown_is_not_shown_to_its_customer(
    rim: Rim, monkeypatch: pytest.MonkeyPatch
):
    rim.post("/v1/quotes", quote())
    keep, body = rim.desk.at_hand.keep, msgspec.convert(commit(), CommitBody)
    paying = Thread(target=lambda: rim.desk.commit(body))

    def slowly(*args: Any) -> None:
        paying.start()
        paying.join(0.5)  # paid by then, or it waits
        keep(*args)

    monkeypatch.setattr(rim.desk.at_hand, "keep", slowly)
    rim.post("/v1/quotes", quote(quote_id="Q2", card=None))
    paying.join()
    shown = rim.desk.screens.now()
    assert (shown.phase, shown.member, rim.client.get("/v1/at-hand").json["sale"]["quote_id"]) == ("sale", "", "Q2")
    assert rim.journal.find("R1") is not None


def test_a_retry_of_an_old_sale_does_not_disturb_the_customer_at_the_till(rim: Rim):
    rim.post("/v1/receipts", commit())
    rim.post("/v1/quotes", quote(card=None))
    rim.post("/v1/receipts", commit())
    assert (rim.desk.screens.now().phase, rim.desk.screens.now().member) == ("sale", "")


def test_a_sale_that_comes_late_shows_nothing_of_its_customer_to_the_next_one(rim: Rim):
    rim.post("/v1/quotes", quote())
    rim.post("/v1/quotes", quote(quote_id="Q2", card=None))  # the POS has not got through with Q1's receipt yet
    rim.post("/v1/choices", {"choice_id": "c-1", "language": "pl"})
    assert rim.post("/v1/receipts", commit()).status_code == 201
    shown = rim.desk.screens.now()
    assert (shown.phase, shown.member, shown.balance_points) == ("sale", "", None)
    # What the next customer chose still waits for the POS.
    assert rim.client.get("/v1/choices?after=0").json["chosen"]["language"] == "pl"
    rim.post("/v1/parked", {**quote(), "park_id": "P1"})
    assert rim.desk.screens.now().phase == "sale"
    rim.post("/v1/receipts", commit(quote_id="Q2", receipt_id="R2", card=None))
    assert (rim.desk.screens.now().phase, rim.desk.screens.now().has_card) == ("done", False)


@pytest.mark.parametrize(("quoted", "paid"), [("Q1", ""), ("", "Q1"), ("Q1", "Q1")])
def test_a_sale_of_which_nobody_can_tell_that_it_is_another_is_thanked_for(rim: Rim, quoted: str, paid: str):
    rim.post("/v1/quotes", quote(quote_id=quoted))
    rim.post("/v1/receipts", commit(quote_id=paid))
    assert rim.desk.screens.now().phase == "done"


def test_a_basket_left_lying_is_nobodys_any_more_when_another_is_paid(rim: Rim):
    rim.post("/v1/quotes", quote(quote_id="Q2"))
    rim.clock.move(180_000)
    rim.post("/v1/receipts", commit())
    assert rim.desk.screens.now().phase == "done"


def test_a_card_scanned_mid_sale_leaves_the_basket_on_the_display(rim: Rim):
    rim.post("/v1/quotes", quote(card=None))
    rim.post("/v1/cards/identify", {"card": CARD})
    assert rim.desk.screens.now().phase == "sale"


def test_offline_and_a_stranger_are_ordinary_states(rim: Rim):
    rim.offline = True
    rim.post("/v1/quotes", quote(card=STRANGER))
    shown = rim.desk.screens.now()
    assert (shown.offline, shown.has_card, shown.balance_points) == (True, True, None)


def test_the_display_speaks_as_the_pos_asks(rim: Rim):
    rim.post("/v1/quotes", quote(language="pl"))
    assert rim.desk.screens.now().language == "pl"
    assert rim.desk.screens.now().messages[0] == "Tydzień kawy: 2,00 taniej"


def test_the_display_speaks_as_its_sentences_do_to_a_card_that_was_not_read_here(rim: Rim):
    anna = msgspec.structs.replace(member(), language="pl")
    rim.cache.load_members([anna])
    rim.post("/v1/quotes", quote(card=anna.cards[0]))  # the POS has her token from before the till was started
    shown = rim.desk.screens.now()
    assert (shown.language, shown.messages[0]) == ("pl", "Tydzień kawy: 2,00 taniej")
    rim.post("/v1/quotes", quote(card=anna.cards[0], language="en"))
    assert rim.desk.screens.now().language == "en"
    rim.post("/v1/quotes", quote(card=None))
    assert rim.desk.screens.now().language == "en"


def test_a_long_basket_shows_its_last_forty_lines(rim: Rim):
    rim.post("/v1/quotes", quote(basket=basket(*(line(i, f"sku{i}", 100) for i in range(1, 101)))))
    shown = rim.desk.screens.now()
    assert (shown.hidden_lines, shown.lines[0].line, shown.lines[-1].line) == (60, 61, 100)


def test_a_card_that_a_reader_refused_is_said_on_the_screens_that_listen(rim: Rim):
    stream = rim.desk.screens.stream()
    next(stream)
    rim.readers.take(PaymentCard())
    told = next(stream)
    assert told.startswith(b"event: notice\n")
    assert said(told)["code"] == "card.payment_card"


def test_while_members_come_after_a_long_time_away_a_balance_is_as_of_before_that(rim: Rim):
    rim.clock.move(864_000_000)
    told = PublishedMember(row=MemberRow(account_id=78, version=1), cards=())
    page = Page(lane="members", from_cursor="", to_cursor="3", version=9, more=True,
                rows=(msgspec.Raw(msgspec.json.encode(told)),))  # fmt: skip
    rim.cache.take_page(page, LaneState(cursor="3"))
    rim.post("/v1/cards/identify", {"card": CARD})
    assert rim.desk.screens.now().as_of == "2026-03-05T18:30:00.000+01:00"
    assert rim.post("/v1/quotes", quote()).json["as_of"] == "2026-03-05T18:30:00.000+01:00"
    rim.cache.take_page(msgspec.structs.replace(page, more=False, rows=()), LaneState(cursor="9", version=9))
    assert rim.post("/v1/quotes", quote()).json["as_of"] == "2026-03-15T18:30:00.000+01:00"


def test_screens_are_in_the_time_that_the_pos_sends(tmp_path: Path):
    rim = Rim(tmp_path, offset_min=0)  # only a POS that sends none needs one
    rim.post("/v1/cards/identify", {"card": CARD})
    assert rim.desk.screens.now().as_of == "2026-03-05T17:30:00.000+00:00"
    told = rim.post("/v1/quotes", quote())
    shown = rim.desk.screens.now()
    assert (told.json["as_of"], shown.as_of, shown.now) == ("2026-03-05T18:30:00.000+01:00",) * 3
    rim.post("/v1/receipts", commit(sold_at="2026-03-30T18:30:00+02:00"))  # summer time has begun
    rim.post("/v1/cards/identify", {"card": CARD})
    assert rim.desk.screens.now().as_of == "2026-03-05T19:30:00.000+02:00"
    rim.post("/v1/quotes", quote(sold_at=None))
    assert rim.desk.screens.now().as_of == "2026-03-05T19:30:00.000+02:00"
    assert rim.client.get(f"/v1/balance?card={CARD}").json["as_of"] == "2026-03-05T19:30:00.000+02:00"


def test_without_a_card_the_display_tells_what_one_would_earn(rim: Rim):
    rim.post("/v1/quotes", quote(card=None))
    # 10.50 at a point for every 10 cents; nothing of it is quoted to the POS.
    assert rim.desk.screens.now().would_earn == 105
    rim.post("/v1/quotes", quote())
    assert rim.desk.screens.now().would_earn == 0


def test_nobody_is_told_of_points_that_are_all_given_out(rim: Rim):
    first = "  - {id: first, limits: {times_in_all: 1}, then: [{kind: points, points: 500}]}\n"
    rim.cache.load_programme(read_programme(PROGRAMME + first))
    rim.post("/v1/quotes", quote(card=None))
    assert rim.desk.screens.now().would_earn == 605
    assert rim.post("/v1/receipts", commit()).json["totals"]["points_earned"] == 605
    rim.post("/v1/quotes", quote(quote_id="Q2", card=None))
    assert rim.desk.screens.now().would_earn == 105


def test_a_till_that_serves_no_cards_any_more_tells_nobody_what_one_would_earn(rim: Rim):
    wiped = msgspec.structs.replace(rim.identity.granted, card_key_id=WIPED)
    rim.desk.till.use_identity(msgspec.structs.replace(rim.identity, granted=wiped))
    rim.post("/v1/quotes", quote(card=None))
    assert (rim.desk.screens.now().phase, rim.desk.screens.now().would_earn) == ("sale", 0)


def test_what_was_nearly_had_is_told_apart_from_what_was_had(rim: Rim):
    rim.post("/v1/quotes", quote())
    assert rim.desk.screens.now().missed == ("Only 19.50 more and your points double",)


def test_coupons_of_the_member_are_offers_until_they_are_used_or_over(rim: Rim):
    kinds = "coupons: [{id: own, name: A free coffee, holder: personal}]\nspending:"
    rim.cache.load_programme(read_programme(PROGRAMME.replace("spending:", kinds)))
    wallet = (
        WalletItem(code="C-1", of="own", account_id=77, through=date(2026, 3, 5)),
        WalletItem(code="C-2", of="own", account_id=77, through=date(2026, 3, 4)),
        WalletItem(code="C-3", of="own", account_id=77, used=1),
        WalletItem(code="C-4", of="unheard", account_id=77),
    )
    known = member()
    rim.cache.load_members([msgspec.structs.replace(known, row=msgspec.structs.replace(known.row, wallet=wallet))])
    rim.post("/v1/cards/identify", {"card": CARD})
    offers = rim.desk.screens.now().offers
    assert [(offer.name, offer.through) for offer in offers] == [("A free coffee", "2026-03-05")]


def test_once_paid_the_wallet_and_what_lapses_are_shown_without_what_the_sale_took(rim: Rim):
    kinds = """coupons: [{id: own, name: A free coffee, holder: personal}]
certificates: {sold: {tags: [gift-card]}, wallet: true}
spending:"""
    free = "  - {id: free, trigger: {kind: coupon, coupon: own}, then: [{kind: amount_off, amount_minor: 300}]}\n"
    rim.cache.load_programme(read_programme(PROGRAMME.replace("spending:", kinds) + free))
    known = member()
    row = msgspec.structs.replace(
        known.row,
        stored_minor=500,
        lapsing_points=240,
        lapsing_on=date(2026, 3, 31),
        wallet=tuple(WalletItem(code=code, of="own", account_id=77) for code in ("C-1", "C-2")),
    )
    rim.cache.load_members([msgspec.structs.replace(known, row=row)])
    took: dict[str, Any] = {"coupons": ["C-1"], "from_wallet_minor": 200, "points_to_spend": 200}
    rim.post("/v1/quotes", quote(**took))
    assert rim.desk.screens.now().stored_minor == 500
    # 10.50 less the coupon's 3.00, the wallet's 2.00 and 2.00 in points.
    assert rim.post("/v1/receipts", commit(**took)).json["totals"]["to_pay_minor"] == 350
    done = rim.desk.screens.now()
    assert (done.stored_minor, done.lapsing_points, [one.name for one in done.offers]) == (300, 40, ["A free coffee"])


def test_no_card_number_and_no_token_reach_a_screen(rim: Rim):
    token = rim.post("/v1/cards/identify", {"card": CARD}).json["card_token"]
    for ask in ("/v1/quotes", quote()), ("/v1/receipts", commit()):
        rim.post(*ask)
        shown = rim.client.get("/v1/screen").text
        assert "…8903" in shown
        for secret in (CARD, token, CARD[:6], '"account_id"'):
            assert secret not in shown


def close(stream: Iterator[bytes]) -> None:
    stream.close()  # type: ignore[attr-defined]
