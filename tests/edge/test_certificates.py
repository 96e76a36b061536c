"""Certificates at the till: sold, taken with the line and without, topped up, blocked, asked about, taken back."""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.refusals import IdReused
from edge.sale.asks import VoidReturnAsk
from edge.sale.certificate_names import code_token
from edge.sale.certificates import (
    KNOWN_FOR_MS,
    CertificateAmount,
    CertificateBlocked,
    CertificateKnown,
    CertificateOrder,
    CertificateUnknown,
    CertificateUsed,
    Certified,
    Standing,
    order_certificate,
)
from edge.sale.covering import CertificateNotCovered
from edge.sale.taking_back import take_back, void_receipt
from edge.sale.till import Till
from edge.sale.voiding_returns import void_return
from loyalty.baskets import BadBasket, CertificateAsk, CertificateSale, Line
from loyalty.certificates import CertificateRow
from loyalty.facts.certificate_events import CertificateMoved
from loyalty.facts.returned_lines import CertificateInPart, CertificateWithoutReceipt
from loyalty.pricing.stored_value import CertificatesNotSold
from loyalty.programme.programme import read_programme
from sync.lanes import LaneState
from sync.wire import Page
from tests.edge.conftest import OpenTill
from tests.edge.counter import NOON_MS, PROGRAMME, FakeClock, back, commit, identity, line, published, sale, void

GIFTS = PROGRAMME + "certificates: {sold: {sku: [GIFT]}, lifetime: {days: 30}, offline_minor: 2000}\n"
CODE, OTHER = "GC-7781 0042", "GC-7781 0043"
THROUGH = date(2026, 4, 4)  # 30 days after 5 March
DAY_MS = 86_400_000


@pytest.fixture
def till(open_till: OpenTill) -> Till:
    """With head office in reach, and 50.00 on a certificate that was sold elsewhere."""
    till = open_till()
    till.cache.load_programme(read_programme(GIFTS))
    till.cache.load_members([published("ana")])
    till.is_offline = lambda: False
    tell(till, CODE, (THROUGH, 5_000))
    return till


def token(code: str) -> str:
    return code_token(identity().card_key, code)


def tell(till: Till, code: str, *parts: tuple[date, int], blocked: str = "", own_seq: int = 0) -> None:
    """A page from head office about one certificate."""
    row = CertificateRow(code=token(code), parts=parts, blocked=blocked, own_seq=own_seq)
    state = till.cache.lane("certificates")
    after = LaneState(cursor=str(int(state.cursor or 0) + 1), version=state.version + 1)
    page = Page(lane="certificates", from_cursor=state.cursor, to_cursor=after.cursor, version=after.version,
                more=False, rows=(msgspec.Raw(msgspec.json.encode(row)),))  # fmt: skip
    till.cache.take_page(page, after)


def asks(*lines: Line, pays: Any = (), sells: Any = (), **more: Any) -> Any:
    """A sale; `pays` as (code, amount), `sells` as (line, code)."""
    ask = sale(*lines, card=None, **more)
    basket = msgspec.structs.replace(
        ask.basket,
        certificates=tuple(CertificateAsk(code=code, amount_minor=amount) for code, amount in pays),
        certificates_sold=tuple(CertificateSale(line=number, code=code) for number, code in sells),
    )
    return msgspec.structs.replace(ask, basket=basket)


def order(till: Till, action: str, code: str = CODE, request_id: str = "c-1", **more: Any) -> Certified:
    ask = CertificateOrder(request_id=request_id, action=action, code=code, sold_at_ms=NOON_MS, **more)
    return order_certificate(till, ask)


def gift(amount: int = 5_000, number: int = 1) -> Line:
    return line(number, "GIFT", amount)


# Selling


def test_a_sold_certificate_earns_nothing_is_not_discounted_and_bears_no_tax(till: Till) -> None:
    till.cache.load_programme(read_programme(GIFTS.replace("id: milk", "id: all").replace(", of: {sku: [milk]}", "")))
    ask = msgspec.structs.replace(asks(gift(), sells=[(1, OTHER)]), card="2990000000019")
    done = till.commit(commit("r1", ask))
    assert (done.receipt.net_minor, done.receipt.earned) == (5_000, ())
    (sold,) = done.receipt.certificates_sold
    assert (sold.line, sold.code, sold.amount_minor, sold.valid_through) == (1, token(OTHER), 5_000, THROUGH)
    taxed = msgspec.structs.replace(gift(), tax_bp=2_300)
    with pytest.raises(BadBasket) as refused:
        till.commit(commit("r2", asks(taxed, sells=[(1, OTHER)])))
    assert "no tax" in refused.value.say


def test_what_a_code_is_written_as_stands_in_no_file_of_the_till(till: Till, tmp_path: Path) -> None:
    till.commit(commit("r1", asks(gift(), sells=[(1, OTHER)])))
    order(till, "block", "LOST-99 11", reason="lost")
    till.commit(commit("r2", asks(line(1, "bread", 500), pays=[(CODE, 500)])))
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file()).upper()
    assert token(OTHER).upper().encode() in stored
    for secret in (b"77810042", b"77810043", b"7781 0043", b"LOST-99", b"LOST99"):
        assert secret not in stored


def test_sold_here_it_pays_once_head_office_has_heard_and_not_before(till: Till) -> None:
    till.commit(commit("r1", asks(gift(), sells=[(1, OTHER)])))
    quote = till.quote(asks(line(1, "bread", 500), pays=[(OTHER, 500)])).quote
    assert [one.reason for one in quote.certificates_refused] == ["not_active_yet"]
    assert order(till, "enquire", OTHER).standing == Standing(
        state="not_active_yet", balance_minor=5_000, refused="not_active_yet"
    )
    tell(till, OTHER, (THROUGH, 5_000), own_seq=till.journal.head().seq)
    assert till.quote(asks(line(1, "bread", 500), pays=[(OTHER, 500)])).quote.totals.to_pay_minor == 0


def test_the_same_sale_again_is_answered_the_same_and_another_is_refused(till: Till) -> None:
    first = till.commit(commit("r1", asks(gift(), sells=[(1, OTHER)])))
    again = till.commit(commit("r1", asks(gift(), sells=[(1, "gc77810043")])))
    assert (again.replayed, again.head) == (True, first.head)
    with pytest.raises(IdReused):
        till.commit(commit("r1", asks(gift(), sells=[(1, CODE)])))


def test_a_programme_without_certificates_says_so_before_money_is_taken(till_alone: Till) -> None:
    with pytest.raises(CertificatesNotSold):
        till_alone.quote(asks(gift(), sells=[(1, OTHER)]))
    with pytest.raises(CertificatesNotSold):
        order(till_alone, "enquire")


def test_a_blocked_one_is_not_sold_again(till: Till) -> None:
    tell(till, CODE, blocked="stolen")
    with pytest.raises(CertificateBlocked):
        till.commit(commit("r1", asks(gift(), sells=[(1, CODE)])))


# Paying


def test_it_pays_in_parts_and_what_is_left_is_known_at_once(till: Till) -> None:
    till.commit(commit("r1", asks(line(1, "bread", 1_800), pays=[(CODE, 0)])))
    assert order(till, "enquire").standing.balance_minor == 3_200
    quote = till.quote(asks(line(1, "bread", 4_000), pays=[(CODE, 0)])).quote
    assert (quote.certificates[0].amount_minor, quote.totals.to_pay_minor) == (3_200, 800)
    # The page in which that sale is subtracts it once.
    tell(till, CODE, (THROUGH, 3_200), own_seq=till.journal.head().seq)
    assert order(till, "enquire").standing.balance_minor == 3_200


def test_without_the_line_it_pays_at_most_the_cap_until_head_office_is_heard(till: Till) -> None:
    till.is_offline = lambda: True
    told = order(till, "enquire")
    assert (told.standing.balance_minor, told.standing.may_pay_minor) == (5_000, 2_000)
    assert told.say == "50.00 is left on it. It can pay 20.00 here now; take the rest in another tender."
    till.commit(commit("r1", asks(line(1, "bread", 1_500), pays=[(CODE, 0)])))
    quote = till.quote(asks(line(1, "bread", 1_500), pays=[(CODE, 0)])).quote
    assert quote.certificates[0].amount_minor == 500
    till.commit(commit("r2", asks(line(1, "bread", 500), pays=[(CODE, 500)])))
    with pytest.raises(CertificateNotCovered):
        till.commit(commit("r3", asks(line(1, "bread", 100), pays=[(CODE, 100)])))
    assert order(till, "enquire").standing.refused == "offline"


def test_after_a_week_without_head_office_none_is_taken(till: Till, clock: FakeClock) -> None:
    clock.pass_ms(KNOWN_FOR_MS)
    assert order(till, "enquire").standing.may_pay_minor == 5_000
    clock.pass_ms(1)
    told = order(till, "enquire")
    assert (told.standing.may_pay_minor, told.standing.refused) == (0, "known_too_long")


def test_it_pays_through_its_last_day_and_says_when_that_is_over(till: Till) -> None:
    last = {"sold_at_ms": NOON_MS, "business_date": THROUGH}
    basket = asks(line(1, "bread", 500), pays=[(CODE, 500)])
    assert till.quote(msgspec.structs.replace(basket, **last)).quote.totals.to_pay_minor == 0
    last["business_date"] = date(2026, 4, 5)
    quote = till.quote(msgspec.structs.replace(basket, **last)).quote
    assert [one.reason for one in quote.certificates_refused] == ["no_longer_good"]
    assert order(till, "enquire", business_date=date(2026, 4, 5)).standing.state == "expired"


def test_goods_that_come_back_put_the_money_back(till: Till) -> None:
    till.commit(commit("r1", asks(line(1, "bread", 1_800), pays=[(CODE, 0)])))
    done = take_back(till, back("b1", "r1", (1, 500, 900)))
    assert (done.returned.net_minor, done.returned.paid_out_minor) == (900, 0)
    assert order(till, "enquire").standing.balance_minor == 4_100


@pytest.mark.parametrize("sells", [[(2, OTHER)], []], ids=["with its code", "without"])
def test_beside_a_new_certificate_goods_put_the_money_back_all_the_same(till: Till, sells: Any) -> None:
    basket = asks(line(1, "bread", 1_800), gift(5_000, 2), pays=[(CODE, 0)], sells=sells)
    till.commit(commit("r1", basket))
    done = take_back(till, back("b1", "r1", (1, 1000, 1_800)))
    assert (done.returned.net_minor, done.returned.paid_out_minor) == (1_800, 0)
    assert order(till, "enquire").standing.balance_minor == 5_000
    gone = take_back(till, back("b2", "r1", (2, 1000, 5_000)))
    assert (gone.returned.net_minor, gone.returned.paid_out_minor) == (5_000, 5_000)
    assert order(till, "enquire").standing.balance_minor == 5_000


# Asking, topping up, blocking


def test_a_request_is_answered_the_same_again_and_another_under_its_id_is_refused(till: Till) -> None:
    more = {"request_id": "c-9", "amount_minor": 1_000, "currency": "EUR"}
    first = order(till, "activate", OTHER, **more)
    again = order(till, "activate", OTHER, **more)
    assert first.written is not None and again.written is not None
    assert (again.written.replayed, again.written.head, again.say) == (True, first.written.head, first.say)
    assert first.say == "10.00 is on it. It can pay once head office has heard of it."
    with pytest.raises(IdReused):
        order(till, "activate", OTHER, request_id="c-9", amount_minor=2_000, currency="EUR")
    event = till.journal.find("c-9").event  # type: ignore[union-attr]
    assert isinstance(event, CertificateMoved)
    assert (event.what, event.code, event.amount_minor, event.valid_through) == (
        "activated", token(OTHER), 1_000, THROUGH,
    )  # fmt: skip


def test_a_crash_after_the_write_is_answered_from_the_journal(till: Till, open_till: OpenTill) -> None:
    first = order(till, "top_up", amount_minor=1_000)
    reopened = open_till()
    again = order(reopened, "top_up", amount_minor=1_000)
    assert first.written is not None and again.written is not None
    assert (again.standing, again.written.head) == (first.standing, first.written.head)
    assert (first.standing.balance_minor, first.standing.may_pay_minor) == (6_000, 5_000)
    assert order(reopened, "enquire").standing.balance_minor == 5_000


@pytest.mark.parametrize(
    ("action", "code", "amount", "refusal"),
    [
        ("activate", CODE, 1_000, CertificateKnown),
        ("top_up", OTHER, 1_000, CertificateUnknown),
        ("top_up", CODE, 0, CertificateAmount),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_next_step(
    till: Till, action: str, code: str, amount: int, refusal: type[Exception]
) -> None:
    seq = till.journal.head().seq
    with pytest.raises(refusal):
        order(till, action, code, amount_minor=amount)
    assert till.journal.head().seq == seq


def test_a_lost_one_is_blocked_here_at_once(till: Till) -> None:
    told = order(till, "block", reason="lost")
    assert told.standing.state == "blocked"
    quote = till.quote(asks(line(1, "bread", 500), pays=[(CODE, 500)])).quote
    assert [one.reason for one in quote.certificates_refused] == ["blocked"]
    with pytest.raises(CertificateBlocked):
        order(till, "top_up", amount_minor=100, request_id="c-2")


def test_one_that_nobody_told_of_is_unknown(till: Till) -> None:
    told = order(till, "enquire", OTHER)
    assert told.standing.state == "unknown"
    assert told.say.endswith("ask again once the line is back.")


# Taking the sale back


def test_a_sale_of_one_is_undone_unless_something_was_spent(till: Till) -> None:
    till.commit(commit("r1", asks(gift(), sells=[(1, OTHER)])))
    done = void_receipt(till, void("r1"))
    assert [one.code for one in done.void.certificates_back] == [token(OTHER)]
    assert order(till, "enquire", OTHER).standing.state == "unknown"
    till.commit(commit("r2", asks(gift(), line(2, "bread", 100), sells=[(1, OTHER)])))
    tell(till, OTHER, (THROUGH, 4_000), own_seq=till.journal.head().seq)  # spent at another till
    with pytest.raises(CertificateUsed):
        void_receipt(till, void("r2"))
    with pytest.raises(CertificateUsed):
        take_back(till, back("b1", "r2", (1, 1000, 5_000)))
    assert take_back(till, back("b2", "r2", (2, 1000, 100))).returned.net_minor == 100


def test_a_top_up_is_undone_before_head_office_has_heard_of_it_and_leaves_what_was_there(till: Till) -> None:
    tell(till, CODE, (THROUGH, 1_000))
    till.commit(commit("r1", asks(gift(5_000), sells=[(1, CODE)])))
    void_receipt(till, void("r1"))
    assert order(till, "enquire").standing.may_pay_minor == 1_000
    till.commit(commit("r2", asks(gift(5_000), sells=[(1, CODE)])))
    take_back(till, back("b1", "r2", (1, 1000, 5_000)))
    assert order(till, "enquire").standing.may_pay_minor == 1_000
    # Heard of, and sold and taken back once more before head office hears of that.
    tell(till, CODE, (THROUGH, 1_000), own_seq=till.journal.head().seq)
    till.commit(commit("r3", asks(gift(2_000), sells=[(1, CODE)])))
    tell(till, CODE, (THROUGH, 3_000), own_seq=till.journal.head().seq)
    void_receipt(till, void("r3"))
    assert order(till, "enquire").standing.may_pay_minor == 1_000


def test_without_a_receipt_none_is_paid_out_for_it_would_stay_good(till: Till) -> None:
    goods = (line(1, "bread", 900), gift(5_000, 2))
    ask = back("b1", None, (1, 1000, 900), (2, 1000, 5_000), goods=goods, currency="EUR")
    with pytest.raises(CertificateWithoutReceipt) as refused:
        take_back(till, ask)
    assert refused.value.figures == {"line": 2}
    assert till.journal.find("b1") is None
    bread = msgspec.structs.replace(ask, lines=ask.lines[:1], goods=goods[:1])
    assert take_back(till, bread).returned.net_minor == 900


def test_a_top_up_is_undone_though_the_certificate_paid_here_before_it(till: Till) -> None:
    till.commit(commit("r1", asks(line(1, "bread", 1_800), pays=[(CODE, 0)])))
    till.commit(commit("r2", asks(gift(5_000), sells=[(1, CODE)])))
    assert void_receipt(till, void("r2")).void.certificates_back[0].amount_minor == 5_000
    assert order(till, "enquire").standing.balance_minor == 3_200
    till.commit(commit("r3", asks(gift(500), sells=[(1, CODE)])))
    assert take_back(till, back("b1", "r3", (1, 1000, 500))).returned.net_minor == 500
    # What is paid with it after the top-up may be of its money.
    till.commit(commit("r4", asks(gift(500), sells=[(1, CODE)])))
    till.commit(commit("r5", asks(line(1, "bread", 100), pays=[(CODE, 0)])))
    with pytest.raises(CertificateUsed):
        void_receipt(till, void("r4"))


def test_what_goes_back_of_a_sale_before_a_top_up_does_not_hide_that_its_money_was_spent(till: Till) -> None:
    till.commit(commit("r1", asks(line(1, "bread", 4_000), pays=[(CODE, 0)])))
    till.commit(commit("r2", asks(gift(2_000), sells=[(1, CODE)])))
    tell(till, CODE, (THROUGH, 3_000), own_seq=till.journal.head().seq)
    till.commit(commit("r3", asks(line(1, "wine", 3_000), pays=[(CODE, 0)])))
    take_back(till, back("b1", "r1", (1, 1000, 4_000)))
    with pytest.raises(CertificateUsed):
        void_receipt(till, void("r2"))
    # What r3 paid with it is there again; what r1 paid before the top-up was of other money, also the second time.
    void_receipt(till, void("r3"))
    void_return(till, VoidReturnAsk(return_id="b1", sold_at_ms=NOON_MS))
    assert void_receipt(till, void("r2")).void.certificates_back[0].amount_minor == 2_000


def test_a_line_that_sold_one_comes_back_whole(till: Till) -> None:
    till.commit(commit("r1", asks(gift(), sells=[(1, OTHER)])))
    with pytest.raises(CertificateInPart):
        take_back(till, back("b1", "r1", (1, 500, 2_500)))
    done = take_back(till, back("b1", "r1", (1, 1000, 5_000)))
    assert [one.amount_minor for one in done.returned.certificates_back] == [5_000]
