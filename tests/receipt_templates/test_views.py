"""What a slip shows: figures of the fact, names where they are known, and the truth about what is not."""

from datetime import date

import msgspec
import pytest

from loyalty.approvals import Override
from loyalty.baskets import Line, Tender
from loyalty.facts.receipts import Charged
from loyalty.facts.returned_uses import StoredBack
from loyalty.facts.reversals import Return, ReturnDetail, ReturnLine, VoidDetail, close_void
from loyalty.lots import EventRef
from loyalty.members import MemberView, Use
from loyalty.pricing.earning import Earned
from loyalty.pricing.messages import Said
from receipt_templates.profiles import PROFILES
from receipt_templates.render import render
from receipt_templates.reversal_views import view_of_return, view_of_void
from receipt_templates.sample_slips import sample_named
from receipt_templates.slip_views import Control
from receipt_templates.view import Lapsing, NextTier, ReceiptView, ViewCoupon, ViewLine, view_of_receipt
from tests.receipt_templates.samples import (
    COUPON_SALE,
    HARBOUR,
    HARBOUR_DETAIL,
    HARBOUR_SALE,
    IN_LEITH,
    LAST_DAY,
    NAMES,
    aurora_offline,
    aurora_void,
    harbour,
    harbour_return,
)

PAPER = PROFILES["generic-42"]
EARNED = Earned(issuer_id="p1", valid_through=LAST_DAY, points=50)


def rows(view: ReceiptView) -> list[str]:
    """The text at 42 columns, each row with its runs of spaces made one."""
    return [" ".join(row.split()) for row in render(view, "text", PAPER).splitlines()]


def sale(**changed: object) -> ReceiptView:
    detail = msgspec.structs.replace(HARBOUR_DETAIL, **changed)
    return view_of_receipt(HARBOUR_SALE, detail, shop=HARBOUR, names=NAMES, language="en")


def test_the_figures_are_those_of_the_receipt():
    view = harbour()
    assert (view.gross_minor, view.discount_minor, view.total_minor) == (1825, 277, 1548)
    assert (view.paid_with_points_minor, view.points_spent, view.net_minor) == (200, 200, 1348)
    assert (view.change_minor, view.points_earned) == (652, 134)
    assert view.sold_at.isoformat() == "2026-03-12T18:42:30+00:00"


def test_the_time_is_that_of_the_store():
    assert aurora_offline().sold_at.isoformat() == "2026-03-12T18:05:00-03:00"


def test_goods_and_promotions_without_a_name_show_their_ids():
    view = view_of_receipt(HARBOUR_SALE, HARBOUR_DETAIL, shop=HARBOUR, names={}, language="en")
    assert [line.name for line in view.lines] == ["5010", "2001", "4011", "5601"]
    assert [off.name for off in view.lines[3].discounts] == ["spring", "oil"]


def test_a_discount_that_the_pos_changed_shows_without_a_promotion():
    view = sale(charged=(Charged(line=1, discount_minor=29), Charged(line=4, discount_minor=100)))
    assert [(off.name, off.amount_minor) for off in view.lines[0].discounts] == [("dairy", 29)]
    assert [(off.name, off.amount_minor) for off in view.lines[3].discounts] == [("", 100)]
    assert "Discount -1.00" in rows(view)
    assert (view.discount_minor, view.total_minor) == (129, 1696)


def test_a_line_sold_without_a_quantity_shows_its_amount_alone():
    fee = ViewLine(name="Delivery", quantity_milli=0, amount_minor=350)
    assert "Delivery 3.50" in rows(harbour(lines=(fee,)))


def test_points_among_the_tenders_are_not_printed_twice():
    assert [tender.kind for tender in harbour().tenders] == ["cash"]


def test_a_tender_without_a_word_is_printed_as_it_came():
    view = sale(tenders=(Tender(kind="Luncheon Voucher", amount_minor=1348),))
    assert "Luncheon Voucher 13.48" in rows(view)
    assert view.change_minor == 0


def test_a_sale_whose_tenders_are_not_known_says_what_was_paid_beside_points():
    view = rows(sale(tenders=()))
    assert "200 points 2.00" in view
    assert "Paid 13.48" in view


STORED = msgspec.structs.replace(
    HARBOUR_SALE,
    uses=(Use(name="wallet", amount=-148),),
    shared_uses=(Use(name="certificate:9f", amount=-500), Use(name="certificate:a0", amount=-200)),
)


def stored(**changed: object) -> ReceiptView:
    detail = msgspec.structs.replace(HARBOUR_DETAIL, **changed)
    return view_of_receipt(STORED, detail, shop=HARBOUR, names=NAMES, language="en")


def test_certificates_and_wallet_stand_among_the_tenders_and_change_is_of_the_rest():
    # 13.48 less 7.00 and 1.48 leaves 5.00 of 20.00 in cash.
    view = stored()
    assert (view.net_minor, view.to_pay_minor, view.change_minor) == (1348, 500, 1500)
    text = rows(view)
    at = text.index("200 points 2.00")
    assert text[at + 1 : at + 5] == ["Gift certificate 7.00", "Wallet 1.48", "Cash 20.00", "Change 15.00"]


def test_what_the_pos_lists_of_stored_value_is_not_printed_twice():
    tenders = (Tender(kind="certificate", amount_minor=700), Tender(kind="wallet", amount_minor=148))
    text = rows(stored(tenders=tenders))
    assert text.count("Gift certificate 7.00") == 1
    # What else was paid with is not told then; what is left to pay is.
    assert "Paid 5.00" in text


def test_a_coupon_without_a_name_shows_its_kind_and_one_without_a_code_is_not_printed():
    view = view_of_receipt(COUPON_SALE, HARBOUR_DETAIL, shop=HARBOUR, names=NAMES, language="en")
    assert [coupon.name for coupon in view.coupons] == ["next-visit", "coffee"]
    bare = tuple(msgspec.structs.replace(coupon, code="") for coupon in COUPON_SALE.coupons_issued)
    sold = msgspec.structs.replace(COUPON_SALE, coupons_issued=bare)
    assert view_of_receipt(sold, HARBOUR_DETAIL, shop=HARBOUR, names=NAMES, language="en").coupons == ()


def test_only_sentences_for_the_receipt_are_printed_and_each_once():
    said = [Said(place=where, text=text) for where, text in [("kiosk", "no"), ("receipt", "yes"), ("receipt", "yes")]]
    view = view_of_receipt(HARBOUR_SALE, HARBOUR_DETAIL, shop=HARBOUR, names=NAMES, messages=said, language="en")
    assert view.messages == ("yes",)


def test_an_anonymous_sale_says_nothing_of_points():
    view = harbour(member="", points_earned=0, points_spent=0, balance_points=None)
    assert not [row for row in rows(view) if "point" in row.lower()]


def test_a_balance_that_is_known_stands_also_where_no_point_moved_and_the_card_s_end_is_not_at_hand():
    sale = harbour(member="", points_earned=0, points_spent=0, balance_points=1340)
    exchange = msgspec.structs.replace(sample_named("exchange"), member="", points_net=0)
    for view, balance in ((sale, "1,340"), (exchange, "1,346")):
        told = rows(view)
        assert "YOUR POINTS" in told and f"Balance {balance} points" in told


def test_an_exchange_says_at_which_step_its_points_were_spent_and_what_lapses():
    exchange = sample_named("exchange")
    soon = (Lapsing(points=300, through=date(2026, 4, 30)),)
    sold = msgspec.structs.replace(
        exchange.sold, points_spent=200, paid_with_points_minor=200, spent_under="lease", record="9F3A02C1",
        lapsing=soon,
    )  # fmt: skip
    told = rows(msgspec.structs.replace(exchange, sold=sold, points_net=-161))
    at = told.index("Points in all -161")
    assert told[at + 1 : at + 4] == [
        "Offline, set aside 9F3A02C1", "Balance 1,346 points", "Use by 30 Apr 2026 300 points",
    ]  # fmt: skip


def test_a_card_not_known_yet_earns_points_to_be_confirmed():
    view = aurora_offline()
    assert view.unconfirmed
    assert "Ganhos (a confirmar) +1.267" in rows(view)
    assert "Este caixa ainda não conhece o seu cartão. A central confirmará os pontos." in " ".join(rows(view))


def test_points_that_are_taken_back_of_a_card_not_known_yet_are_not_said_to_be_kept():
    for view in (harbour_return(), msgspec.structs.replace(aurora_void(), language="en")):
        told = " ".join(rows(msgspec.structs.replace(view, unconfirmed=True)))
        assert "Taken back -" in told
        assert "This till does not know your card yet. Head office will confirm the points." in told
        assert "kept" not in told


def test_an_offline_sale_says_so_and_calls_its_balance_the_last_known():
    view = rows(harbour(offline=True))
    assert "Made offline. Nothing is lost, the figures follow." in " ".join(view)
    assert "Balance last known 1,340 points" in view
    assert "Balance last known 1,340 points" not in rows(harbour())


@pytest.mark.parametrize(
    ("language", "spent_under", "wanted"),
    [
        ("en", "hold", "Checked with head office"),
        ("en", "lease", "Offline, set aside 9f3a02c1"),
        ("en", "float", "Offline, unconfirmed 9f3a02c1"),
        ("pt-BR", "hold", "Confirmado pela central"),
        ("pt-BR", "lease", "Sem conexão, já reservados 9f3a02c1"),
        ("pt-BR", "float", "Sem conexão, a confirmar 9f3a02c1"),
        ("ru", "hold", "Подтверждено центром"),
        ("ru", "lease", "Без связи, из резерва 9f3a02c1"),
        ("ru", "float", "Без связи, будет проверено 9f3a02c1"),
        ("pl", "hold", "Potwierdzone przez centralę"),
        ("pl", "lease", "Bez połączenia, z rezerwy 9f3a02c1"),
        ("pl", "float", "Bez połączenia, wstępnie 9f3a02c1"),
    ],
)
def test_points_say_at_which_step_they_were_spent_and_offline_ones_their_record(
    language: str, spent_under: str, wanted: str
):
    view = harbour(language=language, spent_under=spent_under)
    assert wanted in rows(view)
    page = render(view, "html", PROFILES["generic-42"])
    for words in wanted.split(" 9f3a02c1")[0].split(", "):
        assert words in page


def test_a_sale_without_points_spent_says_no_step():
    view = harbour(points_spent=0, spent_under="none")
    assert not [row for row in rows(view) if "Offline" in row or "head office" in row]


@pytest.mark.parametrize(
    ("language", "scanned", "given"),
    [
        ("en", "Scan this", "Give this code at any till, if you agree to hear from us. Without it we stay silent."),
        ("pt-BR", "Leia este código", "Informe este código em um caixa, se quer receber novidades. Sem isso não"),
        ("ru", "Отсканируйте", "Назовите этот код на кассе, если согласны получать новости. Без этого мы не пишем."),
        ("pl", "Zeskanuj", "Podaj ten kod w kasie, jeśli chcesz dostawać wiadomości. Bez tego nie piszemy."),
    ],
)
def test_a_consent_without_a_link_is_not_asked_for_by_a_scan(language: str, scanned: str, given: str):
    welcome = msgspec.structs.replace(sample_named("welcome"), language=language)
    by_code = " ".join(rows(msgspec.structs.replace(welcome, confirm_url="")))
    assert given in by_code and "k3pw 7q2m x9t0 4a" in by_code and scanned not in by_code
    assert scanned in " ".join(rows(welcome))


def test_a_reprint_says_at_both_ends_that_it_is_a_copy():
    assert rows(harbour(copy=True)).count("*** COPY ***") == 2
    assert rows(harbour()).count("*** COPY ***") == 0


def test_a_complaint_can_quote_the_record():
    assert "Questions? Quote record 9f3a02c1" in rows(harbour())
    assert not [row for row in rows(harbour(record="")) if "Quote" in row]


def test_a_return_pays_out_and_takes_back_what_the_sale_recorded():
    view = harbour_return()
    # The milk was 2.61 for two; the oil 5.42 beside the 200 points, with 54 points earned and 13 of the milk's 26.
    assert [(line.name, line.amount_minor) for line in view.lines] == [
        ("Extra virgin olive oil, cold pressed, Trás-os-Montes, 750 ml", 542),
        ("Whole milk 1 L", 130),
    ]
    assert (view.paid_out_minor, view.taken_back_points, view.given_back_points) == (672, 67, 200)


def test_a_return_whose_sale_is_not_at_hand_shows_lines_by_number_and_the_money_as_a_whole():
    ret = Return(receipt_id="R-1", place=IN_LEITH, net_minor=542)
    detail = ReturnDetail(lines=(ReturnLine(line=4, quantity_milli=1000),), of_receipt="A-2026-00917")
    view = view_of_return(ret, detail, sold=None, shop=HARBOUR, names=NAMES, language="en")
    assert view.currency == "GBP"
    text = [" ".join(row.split()) for row in render(view, "text", PAPER).splitlines()]
    assert "Line 4 x 1" in text
    assert "PAID OUT GBP 5.42" in text


def test_a_return_without_a_receipt_shows_what_the_pos_paid_out():
    ret = Return(receipt_id="R-1", place=IN_LEITH, net_minor=640)
    detail = ReturnDetail(
        lines=(ReturnLine(line=1, quantity_milli=2000, amount_minor=640),),
        goods=(Line(line=1, sku="2001", amount_minor=640),),
        currency="EUR",
    )
    text = render(view_of_return(ret, detail, sold=None, shop=HARBOUR, names=NAMES, language="en"), "text", PAPER)
    rows_of = [" ".join(row.split()) for row in text.splitlines()]
    assert rows_of[rows_of.index("Sourdough loaf") + 1] == "x 2 6.40"
    assert "PAID OUT EUR 6.40" in rows_of
    assert "Of receipt" not in text


def test_a_return_shows_what_is_not_paid_out_and_where_it_goes():
    # 7.00 for the goods, 0.50 kept for 50 points that are gone, 4.00 and 1.00 back where they came from: 1.50 is left.
    ret = Return(
        receipt_id="R-1", place=IN_LEITH, net_minor=650, withheld_minor=50, withheld=(EARNED,), earned=(EARNED,),
        restored=(StoredBack(code="9f", amount_minor=400), StoredBack(code="", amount_minor=100)),
    )  # fmt: skip
    detail = ReturnDetail(lines=(ReturnLine(line=4, quantity_milli=1000),), of_receipt="A-2026-00917")
    view = view_of_return(ret, detail, sold=None, shop=HARBOUR, names=NAMES, language="en", member="…1234")
    text = [" ".join(row.split()) for row in render(view, "text", PAPER).splitlines()]
    at = text.index("Kept for points already spent -0.50")
    assert text[at + 1 : at + 4] == ["Back on gift certificate 4.00", "Back in wallet 1.00", "PAID OUT GBP 1.50"]
    assert "Earned +50" in text


def test_a_void_cancels_the_whole_receipt_points_included():
    view = aurora_void()
    assert (view.number, view.total_minor, view.taken_back_points) == ("0042-000917", 126762, 1267)
    undone = close_void(HARBOUR_SALE, EventRef(till_id="3", epoch=1, seq=917), IN_LEITH)
    with_points = view_of_void(undone, VoidDetail(), sold=HARBOUR_SALE, shop=HARBOUR, language="en")
    told = rows(with_points)
    at = told.index("VOIDED GBP 15.48")
    assert told[at + 1 : at + 3] == ["200 points 2.00", "PAID OUT GBP 13.48"]
    assert (with_points.taken_back_points, with_points.given_back_points) == (134, 200)


def test_rendering_twice_gives_the_same_bytes():
    assert render(harbour(), "escpos", PAPER) == render(harbour(), "escpos", PAPER)


@pytest.mark.parametrize("language", ["en", "pt-BR", "ru", "pl", "de"])
def test_every_slip_renders_in_every_language(language: str):
    for view in (harbour(copy=True, offline=True, unconfirmed=True), harbour_return(), aurora_void()):
        told = msgspec.structs.replace(view, language=language)
        assert render(told, "text", PAPER).count("\n") > 12
        assert render(told, "escpos", PAPER).startswith(b"\x1b@")
        assert f'lang="{"en" if language == "de" else language}"' in render(told, "html", PAPER)


def lapsing(points: int, **changed: object) -> ReceiptView:
    told = MemberView(account_id=41, balance_points=1406, lapsing_points=points, lapsing_on=date(2026, 3, 31))
    return sale(view=told, **changed)


def test_points_that_lapse_next_are_shown_less_those_that_the_sale_spent():
    # 200 points were spent, those that lapse first before any other.
    assert lapsing(350).lapsing == (Lapsing(points=150, through=date(2026, 3, 31)),)
    assert lapsing(200).lapsing == ()
    assert "Use by 31 Mar 2026 150 points" in rows(harbour(lapsing=lapsing(350).lapsing))


def test_two_dates_of_lapsing_are_shown_and_no_more():
    dates = tuple(Lapsing(points=10 * month, through=date(2026, month, 28)) for month in (4, 5, 6))
    told = [row for row in rows(harbour(lapsing=dates)) if row.startswith("Use by")]
    assert told == ["Use by 28 Apr 2026 40 points", "Use by 28 May 2026 50 points"]


def test_what_was_nearly_had_comes_after_everything_else_that_is_said():
    said = [
        Said(place="receipt", text="nearly", promotion="coffee"),
        Said(place="receipt", text="got it", promotion="oil"),
        Said(place="receipt", text="news"),
    ]
    view = view_of_receipt(
        HARBOUR_SALE, HARBOUR_DETAIL, shop=HARBOUR, names=NAMES, messages=said, language="en", missed={"coffee"},
        next_tier=NextTier(name="Gold", measure="purchases", short_of=1),
    )  # fmt: skip
    assert (view.messages, view.missed) == (("got it", "news"), ("nearly",))
    told = rows(view)
    assert [told.index(row) for row in ("got it", "news", "1 purchase more to reach Gold.", "nearly")] == sorted(
        told.index(row) for row in ("got it", "news", "1 purchase more to reach Gold.", "nearly")
    )


@pytest.mark.parametrize(
    ("language", "measure", "wanted"),
    [
        ("en", "spend", "GBP 45.00 more to reach Gold."),
        ("pt-BR", "purchases", "Para chegar a Gold: mais 2 compras."),
        ("ru", "purchases", 'Ещё 2 покупки до уровня "Gold".'),
        ("pl", "purchases", 'Do poziomu "Gold": jeszcze 2 zakupy.'),
    ],
)
def test_the_next_tier_says_what_is_missing(language: str, measure: str, wanted: str):
    short = 4500 if measure == "spend" else 2
    tier = NextTier(name="Gold", measure=measure, short_of=short)  # type: ignore[arg-type]
    assert wanted in " ".join(rows(harbour(language=language, next_tier=tier)))


def test_the_sign_of_the_rouble_and_the_end_of_its_sentence_are_not_two_dots():
    russian = harbour(language="ru", currency="RUB", next_tier=NextTier(name="Gold", measure="spend", short_of=4500))
    assert 'Ещё 45,00 руб. до уровня "Gold".' in " ".join(rows(russian))


def test_an_approval_stands_below_the_cashier_with_its_reason():
    view = sale(override=Override(supervisor="91", reason="Wrong price on the shelf"))
    told = rows(view)
    at = told.index("Cashier Ana")
    assert told[at + 1 : at + 3] == ["Approved by 91", "Reason: Wrong price on the shelf"]
    assert not [row for row in rows(sale()) if row.startswith("Approved")]


@pytest.mark.parametrize(
    ("language", "mark", "note"),
    [
        ("en", "*** TRAINING ***", "For practice only: this counts nowhere. No purchase, no points."),
        ("pt-BR", "*** TREINAMENTO ***", "Só para treino: não vale em lugar nenhum. Sem compra, sem pontos."),
        ("ru", "*** ОБУЧЕНИЕ ***", "Только для обучения: нигде не учитывается. Не покупка, без баллов."),
        ("pl", "*** SZKOLENIE ***", "Tylko do ćwiczeń: nigdzie się nie liczy. To nie zakup, bez punktów."),
    ],
)
def test_a_slip_of_training_says_at_both_ends_that_it_counts_nowhere(language: str, mark: str, note: str):
    for view in (harbour(training=True), msgspec.structs.replace(aurora_void(), training=True)):
        told = [row for row in rows(msgspec.structs.replace(view, language=language)) if row]
        assert (told[0], told.count(mark)) == (mark, 2)
        whole = " ".join(told)
        assert whole.count(note) == 2
        assert whole.startswith(f"{mark} {note}") and whole.endswith(f"{mark} {note}")


def test_a_legal_text_stands_whole_at_the_foot():
    terms = "Points have no cash value. " * 20
    assert terms.strip() in " ".join(rows(harbour(legal=terms)))


def test_the_close_names_the_receipts_that_explain_a_difference_and_what_the_till_has_more():
    close = sample_named("close")
    told = rows(close)
    at = told.index("Sales, net 4,524.80")
    assert told[at + 1 : at + 3] == ["POS 4,512.30", "Difference +12.50"]
    assert "R-77" in told
    unexplained = " ".join(rows(msgspec.structs.replace(close, look_at=())))
    assert "No receipt explains it: compare both journals." in unexplained and "these receipts" not in unexplained
    agreed = msgspec.structs.replace(close, controls=close.controls[:3])
    assert "The POS and this till agree." in rows(agreed)
    alone = msgspec.structs.replace(close, controls=(Control(figure="receipts", till=3),))
    assert not [row for row in rows(alone) if "POS" in row]


def test_an_exchange_has_one_sum_to_pay_or_to_hand_out():
    exchange = sample_named("exchange")
    assert "TO PAY GBP 3.92" in rows(exchange) and "Points in all +39" in rows(exchange)
    back = msgspec.structs.replace(exchange, to_pay_minor=0, to_hand_out_minor=150, points_net=-4)
    assert "PAID OUT GBP 1.50" in rows(back) and "Points in all -4" in rows(back)


def test_the_sum_of_an_exchange_can_be_worked_out_from_its_slip():
    exchange = sample_named("exchange")
    # 3.20 came back, 1.20 of it onto a certificate; of the mug's 7.12 points pay 1.00 and a certificate 2.00.
    back = msgspec.structs.replace(exchange.returned, to_certificates_minor=120, paid_out_minor=200)
    sold = msgspec.structs.replace(exchange.sold, points_spent=100, paid_with_points_minor=100,
                                   stored=(Tender(kind="certificate", amount_minor=200),),
                                   tenders=(Tender(kind="cash", amount_minor=500),))  # fmt: skip
    told = rows(msgspec.structs.replace(exchange, returned=back, sold=sold, to_pay_minor=212, change_minor=288))
    assert told[told.index("Brought back") + 1 : told.index("Taken along") - 1] == [
        "Sourdough loaf 3.20", "Back on gift certificate 1.20",
    ]  # fmt: skip
    at = told.index("TO PAY GBP 2.12")
    assert told[at - 2 : at + 3] == [
        "100 points 1.00", "Gift certificate 2.00", "TO PAY GBP 2.12", "Cash 5.00", "Change 2.88",
    ]  # fmt: skip


def test_a_coupon_that_an_exchange_earns_is_on_its_slip():
    exchange = sample_named("exchange")
    coupon = ViewCoupon(name="2.00 off", from_on=date(2026, 3, 13), through=date(2026, 4, 11), code="abcdefgh")
    sold = msgspec.structs.replace(exchange.sold, coupons=(coupon,))
    told = rows(msgspec.structs.replace(exchange, sold=sold))
    assert "2.00 off" in told and "abcd efgh" in told
