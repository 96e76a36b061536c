"""Certificates with head office asked before they pay: what it set aside, what it would not, and when it is silent."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.journal.left_behind import SalvagedEvent
from edge.sale.asks import CommitAsk, SaleAsk
from edge.sale.certificate_holds import SETTLING_MS, SPARE_MS, UNHEARD_MS, CertificateHolds
from edge.sale.certificate_names import code_token
from loyalty.baskets import Basket, CertificateAsk, Line
from loyalty.certificates import CertificateRow
from loyalty.programme.programme import read_programme
from sync.chain import StreamHead
from sync.desk import CertificateHeld, DeskAnswer, DeskWanted
from sync.lanes import LaneState
from sync.wire import Ack, Lanes, Page
from tests.edge.rim import PROGRAMME, TILL, Rim, commit, quote

CODE = "GC-7781-0042"
QUARTER_MS = 15 * 60_000


class Office:
    """Head office as one till hears it: it sets `free` aside at most, says nothing while `silent`, and counts."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.free, self.silent, self.asked, self.given_back = 5_000, False, list[tuple[str, int]](), list[int]()
        self._now_ms = now_ms

    def ask(self, wanted: DeskWanted) -> DeskAnswer | None:
        if wanted.held_until_ms and not self.silent:
            self.given_back.append(wanted.held_until_ms)
        else:
            self.asked.append((wanted.certificate, wanted.amount_minor))
        if self.silent:
            return None
        held = CertificateHeld(amount_minor=min(self.free, wanted.amount_minor), until_ms=self._now_ms() + QUARTER_MS)
        return DeskAnswer(key_no=1, answers="00" * 32, server_at_ms=self._now_ms(), about="", held=held)


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Rim, Office]:
    """A till in reach of head office, with 50.00 on a certificate; 10.00 of it may be taken without the line."""
    rim = Rim(tmp_path)
    rim.cache.load_programme(read_programme(PROGRAMME + "certificates: {sold: {sku: [gift]}, offline_minor: 1000}\n"))
    told(rim, 5_000)
    office = Office(lambda: rim.clock.wall_ms)
    rim.desk.till.certificate_holds = CertificateHolds(rim.clock, office.ask)
    return rim, office


def told(rim: Rim, amount: int, own_seq: int = 0) -> None:
    code = code_token(rim.identity.card_key, CODE)
    row = CertificateRow(code=code, parts=((date(2027, 1, 31), amount),), own_seq=own_seq)
    before = rim.cache.lane("certificates")
    after = LaneState(cursor=str(int(before.cursor or 0) + 1), version=before.version + 1)
    page = Page(lane="certificates", from_cursor=before.cursor, to_cursor=after.cursor, version=after.version,
                more=False, rows=(msgspec.Raw(msgspec.json.encode(row)),))  # fmt: skip
    rim.cache.take_page(page, after)


def heard(rim: Rim) -> None:
    """Head office has all that this till wrote."""
    rim.journal.outbox.take_ack(Ack(
        key_no=1, answers="00" * 32, server_at_ms=0, head=rim.journal.head(), generation=0, block_no=0,
        block_hash="00" * 32, lanes=Lanes(),
    ))  # fmt: skip
    rim.clock.move(UNHEARD_MS)


def pays(amount: int = 0) -> dict[str, Any]:
    return {"certificates": [{"code": CODE, "amount_minor": amount}]}


def to_pay(rim: Rim, amount: int = 0) -> int:
    return int(rim.post("/v1/quotes", quote(**pays(amount))).json["totals"]["to_pay_minor"])


def test_what_head_office_set_aside_pays_and_is_asked_for_once(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    assert [to_pay(rim, 600), to_pay(rim, 600), to_pay(rim, 500)] == [450, 450, 550]
    assert rim.post("/v1/receipts", commit(**pays(600))).json["totals"]["to_pay_minor"] == 450
    code = code_token(rim.identity.card_key, CODE)
    assert office.asked == [(code, 600)]


def test_without_an_amount_all_that_is_on_it_is_set_aside(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    assert to_pay(rim) == 0
    assert [amount for _, amount in office.asked] == [5_000]


def test_what_another_till_has_set_aside_does_not_pay_here(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    office.free = 300
    assert to_pay(rim) == 750
    rim.clock.move(UNHEARD_MS)
    office.free = 0
    said = rim.post("/v1/quotes", quote(**pays())).json
    assert said["totals"]["to_pay_minor"] == 1_050
    (refused,) = said["stored"]["refused"]
    assert (refused["code"], refused["reason"]) == (CODE, "held_elsewhere")
    assert refused["say"].endswith("Take another tender, or try again later.")
    answer = rim.post("/v1/receipts", commit(**pays(400)))
    assert (answer.status_code, answer.json["code"]) == (409, "certificate.not_covered")
    # A little later the other till has let go of it.
    rim.clock.move(UNHEARD_MS)
    office.free = 5_000
    assert rim.post("/v1/receipts", commit(**pays(400))).status_code == 201


def test_silence_is_as_if_the_line_were_down(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    office.silent = True
    assert [to_pay(rim), to_pay(rim)] == [50, 50]
    assert len(office.asked) == 1  # nobody waits twice in a row
    office.silent = False
    rim.clock.move(UNHEARD_MS)
    assert to_pay(rim) == 0


def test_without_the_line_nobody_is_asked_and_the_rule_of_the_programme_holds(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    rim.offline = True
    assert to_pay(rim) == 50
    assert office.asked == []


def test_a_line_that_comes_back_between_the_ask_and_the_payment_does_not_stand_for_an_answer(
    shop: tuple[Rim, Office],
) -> None:
    rim, office = shop
    looks: list[bool] = []

    def is_offline() -> bool:
        looks.append(not looks)
        return looks[-1]

    rim.desk.till.is_offline = is_offline
    assert to_pay(rim) == 50  # 10.00 may be taken unasked
    assert (looks[:2], office.asked) == ([True, False], [])


def test_a_hold_is_asked_for_anew_before_it_ends(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    to_pay(rim, 600)
    rim.clock.move(QUARTER_MS - SPARE_MS - 1)
    to_pay(rim, 600)
    assert len(office.asked) == 1
    rim.clock.move(1)
    to_pay(rim, 600)
    assert len(office.asked) == 2


def test_after_a_sale_head_office_must_have_heard_of_it_before_it_is_asked_again(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    rim.post("/v1/receipts", commit(**pays(600)))
    # 44.00 are left; 4.00 of the 10.00 that this till may take unasked.
    assert to_pay(rim, 1_050) == 650
    assert len(office.asked) == 1
    rim.journal.outbox.take_ack(Ack(
        key_no=1, answers="00" * 32, server_at_ms=0, head=rim.journal.head(), generation=0, block_no=0,
        block_hash="00" * 32, lanes=Lanes(),
    ))  # fmt: skip
    rim.clock.move(UNHEARD_MS)
    assert to_pay(rim, 1_050) == 0
    assert [amount for _, amount in office.asked] == [600, 1_050]


def test_an_enquiry_and_training_ask_nobody(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    rim.post("/v1/certificates", {"request_id": "c1", "action": "enquire", "code": CODE})
    rim.post("/v1/quotes", quote(training=True, **pays()))
    assert office.asked == []


def test_a_retry_of_a_sale_asks_nobody(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    first = rim.post("/v1/receipts", commit(**pays(600))).json
    again = rim.post("/v1/receipts", commit(**pays(600)))
    assert (again.status_code, again.json["event"]) == (200, first["event"])
    assert len(office.asked) == 1


def test_an_exchange_asks_too_and_once(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    rim.post("/v1/receipts", commit())
    swap = {
        "exchange_id": "X1", "return": {"return_id": "X1-b", "of": "R1", "lines": [{"line": 2}]},
        "receipt": {"receipt_id": "X1-s", "basket": {"currency": "EUR",
                                                     "lines": [{"line": 1, "sku": "mug", "amount_minor": 890}]},
                    **pays(500)},
    }  # fmt: skip
    told = rim.post("/v1/exchanges", swap)
    assert told.status_code == 201 and [amount for _, amount in office.asked] == [500]
    heard(rim)
    assert rim.post("/v1/exchanges", swap).status_code == 200
    assert len(office.asked) == 1


def test_a_sale_that_came_back_whole_must_be_heard_of_too_before_head_office_is_asked_again(
    shop: tuple[Rim, Office],
) -> None:
    """As it arrives head office lets go of what it holds for this till, though all of it was given back meanwhile."""
    rim, office = shop
    rim.post("/v1/receipts", commit(**pays(600)))
    lines = [{"line": 1}, {"line": 2}]
    assert rim.post("/v1/returns", {"return_id": "b1", "of": "R1", "lines": lines}).status_code == 201
    assert to_pay(rim) == 50  # 50.00 are on it, 10.00 may be taken unasked
    assert len(office.asked) == 1


def test_while_an_earlier_epoch_has_something_to_send_head_office_is_not_asked(shop: tuple[Rim, Office]) -> None:
    """What was paid in it nobody here remembers any more."""
    rim, office = shop
    event = SalvagedEvent(
        epoch=7, seq=1, receipt_id="old", ask_sha256="", kind="receipt.v1", of_id=None, written_ms=0, payload=b"{}",
        hash="ab" * 32,
    )  # fmt: skip
    start = StreamHead(till_id=TILL, epoch=7)
    rim.journal.left.keep_salvaged([event], [start], 1, [], [])
    assert to_pay(rim) == 50
    assert office.asked == []
    rim.journal.left.take_head(StreamHead(till_id=TILL, epoch=7, seq=1, hash="ab" * 32))
    rim.clock.move(UNHEARD_MS)
    assert to_pay(rim) == 0
    assert [amount for _, amount in office.asked] == [5_000]


def test_a_sale_that_is_written_already_has_nothing_set_aside_again(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    basket = Basket(
        receipt_id="q", currency="EUR", lines=(Line(line=1, sku="bread", amount_minor=900),),
        certificates=(CertificateAsk(code=CODE, amount_minor=600),),
    )  # fmt: skip
    ask = CommitAsk(sale=SaleAsk(basket=basket, sold_at_ms=rim.clock.wall_ms), receipt_id="R9")
    assert not rim.desk.till.commit(ask).replayed
    heard(rim)
    assert rim.desk.till.commit(ask).replayed
    assert len(office.asked) == 1


# The line drops between the quote and the payment


def bearer(rim: Rim, receipt_id: str = "R1") -> dict[str, Any]:
    """What the event says that the till knew of the certificate."""
    entry = rim.journal.find(receipt_id)
    assert entry is not None
    (item,) = msgspec.json.decode(bytes(entry.event.detail))["bearer"]
    return item


def test_what_was_set_aside_pays_without_the_line_too_and_the_event_says_by_which_hold(
    shop: tuple[Rim, Office],
) -> None:
    rim, office = shop
    until_ms = rim.clock.wall_ms + QUARTER_MS
    assert to_pay(rim) == 0
    rim.offline = True
    assert to_pay(rim) == 0
    paid = rim.post("/v1/receipts", commit(**pays(1_050)))
    assert (paid.status_code, paid.json["totals"]["to_pay_minor"]) == (201, 0)
    assert (bearer(rim)["balance_minor"], bearer(rim)["held_until_ms"]) == (5_000, until_ms)
    # That was what it was held for: the 10.00 of the programme are used up by it, too.
    assert to_pay(rim) == 1_050
    rim.clock.move(QUARTER_MS)
    holds(rim).give_back()
    assert office.given_back == []


def test_it_pays_no_longer_than_a_minute_before_the_hold_ends_whatever_the_wall_clock_says(
    shop: tuple[Rim, Office],
) -> None:
    rim, _ = shop
    to_pay(rim)
    rim.offline = True
    rim.clock.wall_ms -= 3_600_000  # somebody sets it back
    rim.clock.move(QUARTER_MS - SPARE_MS - 1)
    assert to_pay(rim) == 0
    rim.clock.move(1)
    assert to_pay(rim) == 50  # 10.00 of the programme
    assert rim.post("/v1/receipts", commit(**pays(1_000))).status_code == 201
    assert "held_until_ms" not in bearer(rim)


@pytest.mark.parametrize(("held", "left"), [(300, 50), (1_040, 10)])
def test_the_greater_of_what_is_set_aside_and_what_the_programme_lets_it_take(
    shop: tuple[Rim, Office], held: int, left: int
) -> None:
    rim, office = shop
    office.free = held
    to_pay(rim)
    rim.offline = True
    assert to_pay(rim) == left


def test_an_ask_that_is_not_answered_may_have_been_heard(shop: tuple[Rim, Office]) -> None:
    """Head office may hold the 10.20 that were asked for last, in place of the 40.00."""
    rim, office = shop
    office.free = 4_000
    assert to_pay(rim) == 0
    rim.clock.move(UNHEARD_MS)
    office.silent = True
    assert to_pay(rim, 1_020) == 30
    rim.offline = True
    assert to_pay(rim) == 30


def test_a_restart_without_the_line_knows_of_nothing_set_aside(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    to_pay(rim)
    rim.desk.till.certificate_holds = CertificateHolds(rim.clock, office.ask)
    rim.offline = True
    assert to_pay(rim) == 50


def test_what_nobody_paid_with_is_given_back_once_no_sale_can_still_be_under_way(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    until_ms = rim.clock.wall_ms + QUARTER_MS
    to_pay(rim)
    rim.clock.move(QUARTER_MS - SPARE_MS + SETTLING_MS - 1)
    holds(rim).give_back()
    assert office.given_back == []
    rim.clock.move(1)
    office.silent = True
    holds(rim).give_back()
    office.silent = False
    for _ in range(2):
        holds(rim).give_back()
    assert office.given_back == [until_ms]


def holds(rim: Rim) -> CertificateHolds:
    found = rim.desk.till.certificate_holds
    assert found is not None
    return found


def test_what_was_set_aside_for_a_parked_basket_goes_back_at_once(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    assert to_pay(rim, 600) == 450
    until_ms = rim.clock.wall_ms + QUARTER_MS
    aside = {**quote(**pays(600)), "park_id": "P1"}
    assert rim.post("/v1/parked", aside).status_code == 201
    assert office.given_back == [until_ms]
    # Taken up again it is asked for anew.
    assert rim.post("/v1/parked/P1/resume", {"resume_id": "U1"}).json["scan_again"] == 1
    rim.clock.move(1)
    assert to_pay(rim, 600) == 450
    assert len(office.asked) == 2
    # Asked to park it once more, the till leaves what it holds now alone.
    assert rim.post("/v1/parked", aside).json["replayed"] is True
    assert office.given_back == [until_ms]


def test_without_the_line_a_parked_basket_lets_go_as_soon_as_there_is_one(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    assert to_pay(rim, 600) == 450
    until_ms = rim.clock.wall_ms + QUARTER_MS
    office.silent = True
    assert rim.post("/v1/parked", {**quote(**pays(600)), "park_id": "P1"}).status_code == 201
    office.silent = False
    rim.desk.till.certificate_holds.give_back()
    assert office.given_back == [until_ms]


def left(rim: Rim, amount: int) -> int:
    (one,) = rim.post("/v1/quotes", quote(**pays(amount))).json["stored"]["certificates"]
    return int(one["left_minor"])


def test_what_is_left_on_it_is_said_whole_though_less_was_set_aside(shop: tuple[Rim, Office]) -> None:
    rim, office = shop
    assert left(rim, 600) == 4_400
    # 3.00 are set aside here, the rest at other tills; without the line 10.00 may be taken, and the others are on it.
    rim.clock.move(QUARTER_MS)
    office.free = 300
    assert left(rim, 600) == 4_700
    rim.offline = True
    rim.clock.move(QUARTER_MS)
    assert left(rim, 600) == 4_400


def test_an_enquiry_says_what_it_may_pay_here_whatever_keeps_the_rest(shop: tuple[Rim, Office]) -> None:
    rim, _ = shop
    assert to_pay(rim, 600) == 450
    asked = {"request_id": "c1", "action": "enquire", "code": CODE, "sold_at": quote()["sold_at"]}
    told = rim.post("/v1/certificates", asked).json
    assert told["say"] == "50.00 is left on it. It can pay 6.00 here now; take the rest in another tender."
