"""Certificates at head office: sold, redeemed elsewhere, taken back, lapsed, told to tills, settled, verified."""

from datetime import date
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.coalition.programmes import publish
from central.corrections.expiry import expire
from central.database import tables as t
from central.ports import reading, writing
from central.posting.certificates import free_certificate, lapse_certificates
from central.posting.late import post_overdue
from central.recomputing.borne import borne_by
from central.settlement.closing import close_period
from central.settlement.issued import read_statement
from central.settlement.positions import lines_of_period
from central.verify.books import verify_books
from loyalty.baskets import Basket, CertificateAsk, CertificateSale, Line
from loyalty.certificates import Certificate, CertificateRow
from loyalty.facts.certificate_events import CertificateMoved
from loyalty.facts.receipts import Receipt, close_receipt
from loyalty.facts.return_voids import close_return_void
from loyalty.facts.reversals import ReturnLine, close_return
from loyalty.lots import EventRef
from loyalty.members import WalletItem
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from
from tests.central.tills import DAY, NOW, PROGRAMME, TODAY, Centre, Till

CODE, OTHER = "c" * 32, "d" * 32
GIFTS: dict[str, Any] = {
    **PROGRAMME, "certificates": {"sold": {"category": [["gift"]]}, "lifetime": {"days": 30}, "offline_minor": 2000},
}  # fmt: skip
RULES = compile_programme(programme_from(GIFTS))
THROUGH = date(2026, 4, 1)  # 30 days after 2 March


@pytest.fixture
def gifts(centre: Centre) -> Centre:
    with writing(centre.engine) as tx:
        publish(tx, msgspec.json.encode(GIFTS), NOW)
    return centre


def sale(till: Till, receipt_id: str, sold: dict[str, int] | None = None, goods: int = 0, pays: Any = (),
         on: date = TODAY) -> Receipt:  # fmt: skip
    """A sale of certificates by code and of bread; `pays`: (code, amount, what the till thinks is on it)."""
    codes = list((sold or {}).items())
    lines = [
        Line(line=n, sku="GIFT", category=("gift",), amount_minor=amount) for n, (_, amount) in enumerate(codes, 1)
    ]
    if goods:
        lines.append(Line(line=len(lines) + 1, sku="bread", amount_minor=goods))
    basket = Basket(
        receipt_id=receipt_id,
        currency="EUR",
        lines=tuple(lines),
        certificates=tuple(CertificateAsk(code=code, amount_minor=amount) for code, amount, _ in pays),
        certificates_sold=tuple(CertificateSale(line=n, code=code) for n, (code, _) in enumerate(codes, 1)),
    )
    bearer = tuple(WalletItem(code=code, kind="certificate", balance_minor=held) for code, _, held in pays)
    quote = quote_basket(RULES, basket, till.place(on), None, bearer=bearer)
    return close_receipt(quote, basket, till.place(on), compiled=RULES, card_token=None)


def sell(till: Till, receipt_id: str, **more: Any) -> tuple[EventRef, Receipt]:
    receipt = sale(till, receipt_id, **more)
    ref = till.append(receipt)
    till.upload()
    return ref, receipt


def row(centre: Centre, code: str = CODE) -> tuple[Any, ...]:
    """(events, on it, owed, first last day, blocked)."""
    c = t.certificate.c
    (found,) = centre.rows(select(c.n, c.balance_minor, c.owed_minor, c.lapses_on, c.blocked).where(c.code == code))
    return found


def moves(centre: Centre) -> list[tuple[Any, ...]]:
    p = t.posting.c
    found = select(p.source, p.target, p.amount, p.issuer_id, p.at_partner_id).where(p.terms_id == "stored")
    return sorted(centre.rows(found))


def lines(centre: Centre, period_no: int = 1) -> list[tuple[Any, ...]]:
    with reading(centre.engine) as tx:
        return [(one.partner_id, one.kind, one.counterparty_id, one.amount_minor)
                for one in lines_of_period(tx, period_no, "EUR") if one.kind.startswith("certificate")]  # fmt: skip


def told(till: Till, code: str = CODE, cursor: str = "") -> CertificateRow:
    rows = [msgspec.json.decode(one, type=CertificateRow) for one in till.page("certificates", cursor=cursor).rows]
    (found,) = [one for one in rows if one.code == code]
    return found


def borne(centre: Centre, partner_id: str) -> list[tuple[Any, ...]]:
    with reading(centre.engine) as tx:
        return [(one.cause, one.receipt_id, one.amount_minor, one.state) for one in borne_by(tx, partner_id, "EUR")]


def violations(centre: Centre) -> tuple[Any, ...]:
    return verify_books(centre.engine).violations


def test_a_certificate_that_is_sold_is_owed_by_who_was_paid_and_lives_as_long_as_the_programme_says(
    gifts: Centre,
) -> None:
    sell(gifts.till(), "R1", sold={CODE: 5000})
    assert row(gifts) == (1, 5000, 0, "2026-04-01", "")
    assert moves(gifts) == [("issued", "available", 5000, "acme", "acme")]
    assert lines(gifts) == []
    assert gifts.flags() == []
    assert gifts.recompute().same == 1
    assert violations(gifts) == ()


def test_what_is_bought_with_it_at_another_partner_is_settled_between_the_two(gifts: Centre) -> None:
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    sell(acme, "R1", sold={CODE: 5000})
    sell(bolt, "R2", goods=1800, pays=[(CODE, 1800, 5000)])
    sell(acme, "R3", goods=700, pays=[(CODE, 700, 3200)])
    assert row(gifts)[:3] == (3, 2500, 0)
    assert lines(gifts) == [("acme", "certificate_owed", "bolt", 1800), ("bolt", "certificate_taken", "acme", -1800)]
    close_period(gifts.engine, period_no=1, through=TODAY, now_ms=NOW, randomness=gifts.random)
    with reading(gifts.engine) as tx:
        assert read_statement(tx, "1:acme")[0].total_minor == 1800
        assert read_statement(tx, "1:bolt")[0].total_minor == -1800
    assert violations(gifts) == ()


def test_goods_that_come_back_bring_the_money_back_and_correct_the_settled_period(gifts: Centre) -> None:
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    sell(acme, "R1", sold={CODE: 5000})
    ref, receipt = sell(bolt, "R2", goods=1800, pays=[(CODE, 1800, 5000)])
    close_period(gifts.engine, period_no=1, through=TODAY, now_ms=NOW, randomness=gifts.random)
    back = close_return("B1", receipt, ref, bolt.place(), earlier=(), lines=(ReturnLine(line=1, quantity_milli=500),))
    bolt.append(back)
    bolt.upload()
    assert row(gifts)[:3] == (3, 4100, 0)
    assert lines(gifts, 2) == [("acme", "certificate_owed", "bolt", -900), ("bolt", "certificate_taken", "acme", 900)]
    assert violations(gifts) == ()


def test_two_tills_that_were_apart_spend_it_twice_and_the_second_partner_waits_for_its_money(gifts: Centre) -> None:
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    sell(acme, "R1", sold={CODE: 2000})
    sell(acme, "R2", goods=1500, pays=[(CODE, 1500, 2000)])
    sell(bolt, "R3", goods=1500, pays=[(CODE, 1500, 2000)])
    assert row(gifts)[:3] == (3, 0, 1000)
    assert gifts.figures("certificate_uncovered") == {
        "code": CODE, "asked_minor": 1500, "covered_minor": 500, "bearer": "bolt",
    }  # fmt: skip
    assert lines(gifts) == [("acme", "certificate_owed", "bolt", 500), ("bolt", "certificate_taken", "acme", -500)]
    assert violations(gifts) == ()
    assert borne(gifts, "bolt") == [("certificate_uncovered", "R3", 1000, "withheld")]
    # Money that comes later pays bolt first.
    sell(acme, "R4", sold={CODE: 1200})
    assert row(gifts)[:3] == (4, 200, 0)
    assert lines(gifts) == [("acme", "certificate_owed", "bolt", 1500), ("bolt", "certificate_taken", "acme", -1500)]
    assert borne(gifts, "bolt") == [("certificate_uncovered", "R3", 0, "released")]
    assert violations(gifts) == ()


def test_the_order_of_arrival_makes_no_difference(gifts: Centre) -> None:
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    sell(bolt, "R2", goods=1500, pays=[(CODE, 1500, 2000)])
    assert row(gifts)[:3] == (1, 0, 1500)
    sell(acme, "R1", sold={CODE: 2000})
    assert row(gifts)[:3] == (2, 500, 0)
    assert lines(gifts) == [("acme", "certificate_owed", "bolt", 1500), ("bolt", "certificate_taken", "acme", -1500)]
    assert violations(gifts) == ()


def test_a_void_takes_the_certificate_out_of_use_and_flags_what_was_spent_of_it(gifts: Centre) -> None:
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    ref, receipt = sell(acme, "R1", sold={CODE: 5000, OTHER: 1000})
    assert told(bolt, OTHER).parts == ((THROUGH, 1000),)
    sell(bolt, "R2", goods=1800, pays=[(CODE, 1800, 5000)])
    acme.void(ref, receipt)
    acme.upload()
    assert row(gifts)[:3] == (3, 0, 0)
    assert row(gifts, OTHER)[:3] == (2, 0, 0)
    assert gifts.figures("certificate_used") == {
        "code": CODE, "sold_minor": 5000, "used_minor": 1800, "bearer": "acme",
    }  # fmt: skip
    # bolt is paid all the same: acme handed out money that was spent.
    assert lines(gifts) == [("acme", "certificate_owed", "bolt", 1800), ("bolt", "certificate_taken", "acme", -1800)]
    assert borne(gifts, "acme") == [("certificate_used", "void:R1", 1800, "borne")]
    assert told(bolt, cursor="3").parts == ()
    assert told(bolt, OTHER, cursor="3").parts == ()
    assert violations(gifts) == ()


def test_a_line_that_sold_one_comes_back_alone(gifts: Centre) -> None:
    till = gifts.till()
    ref, receipt = sell(till, "R1", sold={CODE: 5000}, goods=300)
    back = close_return("B1", receipt, ref, till.place(), earlier=(), lines=(ReturnLine(line=1, quantity_milli=1000),))
    assert (back.net_minor, [one.code for one in back.certificates_back]) == (5000, [CODE])
    till.append(back)
    till.upload()
    assert row(gifts)[:3] == (2, 0, 0)
    assert gifts.recompute().differs == 0
    assert violations(gifts) == ()


def back_and_void(till: Till, ref: EventRef, receipt: Receipt, upload: bool = True) -> None:
    """The certificate of line 1 comes back, which is undone."""
    back = close_return("B1", receipt, ref, till.place(), earlier=(), lines=(ReturnLine(line=1, quantity_milli=1000),))
    of = till.append(back)
    if upload:
        till.upload()
    till.append(close_return_void(back, of, till.place()))


@pytest.mark.parametrize("upload", [True, False])
def test_a_return_that_took_one_out_of_use_is_undone_and_it_pays_again(gifts: Centre, upload: bool) -> None:
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    ref, receipt = sell(acme, "R1", sold={CODE: 5000}, goods=300)
    before = moves(gifts)
    back_and_void(acme, ref, receipt, upload)
    acme.upload()
    assert row(gifts)[:3] == (3, 5000, 0)
    assert sorted(moves(gifts)) == sorted([*before, ("available", "reversed", 5000, "acme", "acme"),
                                           ("reversed", "available", 5000, "acme", "acme")])  # fmt: skip
    assert told(bolt).parts == ((THROUGH, 5000),)
    sell(bolt, "R2", goods=1800, pays=[(CODE, 1800, 5000)])
    assert lines(gifts) == [("acme", "certificate_owed", "bolt", 1800), ("bolt", "certificate_taken", "acme", -1800)]
    acme.void(ref, receipt)  # of the receipt, now that nothing of it has come back: 32.00 are left to take
    acme.upload()
    assert (row(gifts)[:3], gifts.figures("certificate_used")["used_minor"]) == ((5, 0, 0), 1800)
    assert gifts.recompute().differs == 0
    assert violations(gifts) == ()


def test_one_that_comes_back_again_before_head_office_hears_that_the_first_return_was_undone_is_taken_off_once(
    gifts: Centre,
) -> None:
    till = gifts.till("S1")
    ref, receipt = sell(till, "R1", sold={CODE: 5000})
    piece = (ReturnLine(line=1, quantity_milli=1000),)
    for return_id in ("B1", "B2"):
        till.append(close_return(return_id, receipt, ref, till.place(), earlier=(), lines=piece))
    till.upload()
    assert row(gifts)[:3] == (3, 0, 0)
    assert gifts.figures("certificate_returned_more") == {"code": CODE, "asked_minor": 5000, "found_minor": 0}
    assert violations(gifts) == ()


def test_money_that_comes_back_onto_one_is_no_more_than_it_paid(gifts: Centre) -> None:
    till = gifts.till("S1")
    sell(till, "R1", sold={CODE: 5000})
    ref, receipt = sell(till, "R2", goods=1800, pays=[(CODE, 1800, 5000)])
    for return_id in ("B1", "B2"):
        till.append(close_return(return_id, receipt, ref, till.place(), earlier=(),
                                 lines=(ReturnLine(line=1, quantity_milli=1000),)))  # fmt: skip
    till.upload()
    assert row(gifts)[:3] == (4, 5000, 0)
    assert gifts.figures("certificate_returned_more") == {"code": CODE, "asked_minor": 1800, "found_minor": 0}
    assert violations(gifts) == ()


def test_one_that_was_spent_of_has_what_was_left_and_nobody_bears_the_rest(gifts: Centre) -> None:
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    ref, receipt = sell(acme, "R1", sold={CODE: 5000})
    activated(acme, 1000)
    sell(bolt, "R2", goods=5600, pays=[(CODE, 5600, 6000)])
    back_and_void(acme, ref, receipt)
    assert row(gifts)[:3] == (4, 0, 0)
    assert borne(gifts, "acme") == [("certificate_used", "B1", 4600, "borne")]
    acme.upload()
    assert row(gifts)[:3] == (5, 400, 0)
    assert borne(gifts, "acme") == [("certificate_used", "B1", 0, "released")]
    assert violations(gifts) == ()


def test_one_that_another_till_takes_meanwhile_pays_it_once_it_is_in_use_again(gifts: Centre) -> None:
    """Another till had set it aside, or has no line, and is paid with it between the return and its void."""
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    ref, receipt = sell(acme, "R1", sold={CODE: 5000})
    back_and_void(acme, ref, receipt)
    sell(bolt, "R2", goods=1800, pays=[(CODE, 1800, 5000)])
    assert row(gifts)[:3] == (3, 0, 1800)
    acme.upload()
    assert row(gifts)[:3] == (4, 3200, 0)
    assert borne(gifts, "bolt") == [("certificate_uncovered", "R2", 0, "released")]
    assert violations(gifts) == ()


@pytest.mark.parametrize("when", ["before the return", "before the void"])
def test_one_whose_last_day_is_over_stays_lapsed(gifts: Centre, when: str) -> None:
    till = gifts.till()
    ref, receipt = sell(till, "R1", sold={CODE: 5000})
    gifts.now = NOW + 31 * DAY
    if when == "before the return":
        expire(gifts.engine, date(2026, 4, 2), gifts.now, gifts.random)
    back_and_void(till, ref, receipt)
    till.upload()
    expire(gifts.engine, date(2026, 4, 2), gifts.now, gifts.random)
    assert row(gifts) == (4, 0, 0, "", "")
    assert [held.points for held in kept(gifts).lapsed] == [5000]
    assert violations(gifts) == ()


def test_both_wait_for_a_sale_that_comes_behind_them(gifts: Centre) -> None:
    seller, other = gifts.till("S1"), gifts.till("S1")
    receipt = sale(seller, "R1", sold={CODE: 5000})
    ref = seller.append(receipt)
    back_and_void(other, ref, receipt)
    other.upload()
    assert row(gifts)[:2] == (0, 0)
    seller.upload()
    assert row(gifts)[:3] == (3, 5000, 0)
    assert gifts.flags() == []
    assert violations(gifts) == ()


def kept(centre: Centre) -> Certificate:
    ((text,),) = centre.rows(select(t.certificate.c.kept).where(t.certificate.c.code == CODE))
    return msgspec.json.decode(text, type=Certificate)


def activated(till: Till, amount: int) -> None:
    """Money of the same last day, outside a receipt."""
    event = CertificateMoved(receipt_id="c-1", place=till.place(), what="topped_up", code=CODE, amount_minor=amount,
                             valid_through=THROUGH)  # fmt: skip
    till.append(event)
    till.upload()


def test_its_money_lapses_with_its_last_day_and_a_sale_made_in_time_still_gets_it(gifts: Centre) -> None:
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    sell(acme, "R1", sold={CODE: 5000})
    gifts.now = NOW + 30 * DAY
    expire(gifts.engine, THROUGH, gifts.now, gifts.random)
    assert row(gifts)[:2] == (1, 5000)  # the day itself counts
    gifts.now += DAY
    expire(gifts.engine, date(2026, 4, 2), gifts.now, gifts.random)
    assert row(gifts) == (2, 0, 0, "", "")
    assert lapse_certificates(gifts.engine, date(2026, 4, 2), gifts.now, gifts.random) == 0
    assert lines(gifts) == []  # the issuer keeps what it was paid
    sell(bolt, "R2", goods=1800, pays=[(CODE, 1800, 5000)], on=THROUGH)
    assert row(gifts)[:3] == (3, 0, 0)
    assert moves(gifts)[-1] == ("issued", "available", 5000, "acme", "acme")
    assert ("expired", "redeemed", 1800, "acme", "bolt") in moves(gifts)
    assert violations(gifts) == ()


def test_a_till_is_told_what_is_on_it_and_which_of_its_own_events_are_in_that(gifts: Centre) -> None:
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    assert bolt.hello().lanes.certificates == 1  # there may be some from here on
    sell(acme, "R1", sold={CODE: 5000, OTHER: 1000})
    assert bolt.hello().lanes.certificates == 3
    assert told(bolt) == CertificateRow(code=CODE, parts=((THROUGH, 5000),), own_seq=0)
    sell(bolt, "R2", goods=1800, pays=[(CODE, 1800, 5000)])
    page = bolt.page("certificates", cursor="3")
    assert [msgspec.json.decode(one, type=CertificateRow) for one in page.rows] == [
        CertificateRow(code=CODE, parts=((THROUGH, 3200),), own_seq=1)
    ]


def test_of_a_sale_that_is_kept_out_of_the_books_a_till_hears_what_is_on_it_still(gifts: Centre) -> None:
    till = gifts.till()
    sell(till, "R1", sold={CODE: 5000})
    before = till.page("certificates").to_cursor
    till.append(sale(till, "R1", goods=2000, pays=[(CODE, 2000, 5000)]))  # an id that was used
    till.append(sale(till, "R1", goods=2000, pays=[(OTHER, 2000, 5000)]))  # of one that nobody sold
    assert till.upload().flagged == ((2, "receipt_id_reused"), (3, "receipt_id_reused"))
    # It takes what it was paid off what it was told, until it is told as of that sale.
    assert told(till, cursor=before) == CertificateRow(code=CODE, parts=((THROUGH, 5000),), own_seq=3)
    assert len(till.page("certificates").rows) == 1


def test_of_the_void_of_nothing_a_till_hears_what_is_on_a_certificate_still(gifts: Centre) -> None:
    till = gifts.till()
    sell(till, "R1", sold={CODE: 5000})
    _, paid = sell(till, "R2", goods=2000, pays=[(CODE, 2000, 5000)])
    till.void(EventRef(till_id=till.head.till_id, epoch=1, seq=99), paid)
    till.upload()
    before = till.page("certificates").to_cursor
    with writing(gifts.engine) as tx:
        assert post_overdue(tx, gifts.now + 8 * DAY, gifts.random) == 1
    assert told(till, cursor=before) == CertificateRow(code=CODE, parts=((THROUGH, 3000),), own_seq=3)


def test_blocked_at_a_till_it_is_told_to_all_until_head_office_frees_it(gifts: Centre) -> None:
    acme, bolt = gifts.till("S1"), gifts.till("S2")
    sell(acme, "R1", sold={CODE: 5000})
    acme.append(CertificateMoved(receipt_id="c-1", place=acme.place(), what="blocked", code=CODE, reason="stolen"))
    acme.upload()
    assert told(bolt).blocked == "stolen"
    sell(bolt, "R2", goods=100, pays=[(CODE, 100, 5000)])  # a till that had not heard
    assert gifts.figures("certificate_blocked") == {"code": CODE, "asked_minor": 100, "reason": "stolen"}
    assert free_certificate(gifts.engine, CODE, TODAY, "ana", gifts.now, gifts.random)
    assert not free_certificate(gifts.engine, CODE, TODAY, "ana", gifts.now, gifts.random)
    assert told(bolt).blocked == ""
    assert row(gifts)[:2] == (4, 4900)
    assert violations(gifts) == ()


def test_activated_and_topped_up_outside_a_receipt_is_money_like_any_other(gifts: Centre) -> None:
    bolt = gifts.till("S2")
    more = {"place": bolt.place(), "code": CODE, "valid_through": THROUGH}
    bolt.append(CertificateMoved(receipt_id="c-1", what="activated", amount_minor=1000, **more))
    bolt.append(CertificateMoved(receipt_id="c-2", what="topped_up", amount_minor=500, **more))
    bolt.upload()
    assert row(gifts) == (2, 1500, 0, "2026-04-01", "")
    assert moves(gifts) == [("issued", "available", 500, "bolt", "bolt"), ("issued", "available", 1000, "bolt", "bolt")]
    assert violations(gifts) == ()


def test_verify_names_the_certificate_whose_row_or_postings_were_touched(gifts: Centre) -> None:
    sell(gifts.till(), "R1", sold={CODE: 5000})
    with writing(gifts.engine) as tx:
        tx.execute(t.certificate.update().values(balance_minor=6000))
    assert [one.code for one in violations(gifts)] == ["certificate.row"]
    with writing(gifts.engine) as tx:
        kept = '{"n":1,"lots":[[["2026-04-01","acme","stored"],9000]]}'
        tx.execute(t.certificate.update().values(balance_minor=5000, kept=kept))
    assert [one.code for one in violations(gifts)] == ["certificate.lots"]


def test_a_token_that_is_none_is_quarantined(gifts: Centre) -> None:
    till = gifts.till()
    receipt = msgspec.structs.replace(sale(till, "R1", sold={CODE: 5000}))
    sold = tuple(msgspec.structs.replace(one, code="GC-1") for one in receipt.certificates_sold)
    till.append(msgspec.structs.replace(receipt, certificates_sold=sold))
    till.upload()
    assert gifts.flags() == [(1, "event.out_of_range")]
    assert violations(gifts) == ()
