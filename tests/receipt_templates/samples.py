"""Sales, returns and voids to print, each figure typed by hand. Money in minor units of GBP and BRL.

Harbour Market: gross 2.90 + 3.20 + 2.25 + 9.90 = 18.25; off 0.29 + 1.98 + 0.50 = 2.77; total 15.48; 200 points pay
2.00; 13.48 in money, 20.00 given, change 6.52.
Mercado Aurora: gross 9.98 + 6.62 + 21.90 + 1,234.50 = 1,273.00; off 1.00 + 4.38 = 5.38; total and money 1,267.62.
"""

from datetime import date
from typing import Any

import msgspec

from loyalty.baskets import Line, Place, Tender
from loyalty.facts.receipts import Receipt, ReceiptDetail
from loyalty.facts.reversals import ReturnDetail, ReturnLine, VoidDetail, close_return, close_void
from loyalty.lots import EventRef
from loyalty.pricing.coupons import IssuedCoupon
from loyalty.pricing.earning import Earned
from loyalty.pricing.effects import Effect
from loyalty.pricing.leases import Redemption
from loyalty.pricing.messages import Said
from loyalty.pricing.quotes import QuoteLine
from receipt_templates.reversal_views import ReturnView, VoidView, view_of_return, view_of_void
from receipt_templates.view import ReceiptView, Shop, view_of_receipt

LAST_DAY = date(2027, 3, 31)

HARBOUR = Shop(name="Harbour Market", currency="GBP", address=("12 Quay Street", "Leith, Edinburgh EH6 6AB"))
AURORA = Shop(name="Mercado Aurora", currency="BRL", address=("Rua das Laranjeiras, 120", "São Paulo - SP"))
SKLEP = Shop(name="Sklep Łódź", currency="PLN", address=("ul. Piotrkowska 86", "90-103 Łódź"))
ZARYA = Shop(name="Магазин Заря", currency="RUB", address=("ул. Садовая, 7", "Ярославль"))

NAMES = {
    "5010": "Whole milk 1 L",
    "2001": "Sourdough loaf",
    "4011": "Bananas",
    "5601": "Extra virgin olive oil, cold pressed, Trás-os-Montes, 750 ml",
    "7891": "Leite integral 1 L",
    "2002": "Pão francês",
    "7896": "Café torrado e moído 500 g",
    "7899": "Cafeteira expresso automática com moedor, 220 V",
}
PROMOTIONS = {"dairy": "Dairy week", "spring": "Spring 20%", "oil": "Olive oil day"}
PROMOCOES = {"dairy": "Semana do leite", "cafe": "Café 20%"}


def place(till: str, at_ms: int, offset_min: int, day: date) -> Place:
    return Place(
        partner_id="p1",
        store_id="s1",
        till_id=till,
        channel="store",
        sold_at_ms=at_ms,
        offset_min=offset_min,
        business_date=day,
    )


# 2026-03-12 18:42:30 UTC and 2026-03-12 21:05:00 UTC, the latter 18:05 in São Paulo.
IN_LEITH = place("3", 1_773_340_950_000, 0, date(2026, 3, 12))
IN_SAO_PAULO = place("7", 1_773_349_500_000, -180, date(2026, 3, 12))


def figure(line: int, amount: int, off: int = 0, points: int = 0, with_points: int = 0, *, net: int) -> QuoteLine:
    return QuoteLine(
        line=line,
        amount_minor=amount,
        discount_minor=off,
        points_earned=points,
        paid_with_points_minor=with_points,
        net_minor=net,
    )


def raw(detail: ReceiptDetail) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(detail))


HARBOUR_DETAIL = ReceiptDetail(
    programme_version="v1",
    engine_no=1,
    currency="GBP",
    digest="d",
    lines=(
        Line(line=1, sku="5010", amount_minor=290, quantity_milli=2000, unit_price_minor=145),
        Line(line=2, sku="2001", amount_minor=320, unit_price_minor=320),
        Line(line=3, sku="4011", amount_minor=225, quantity_milli=1250, unit_price_minor=180),
        Line(line=4, sku="5601", amount_minor=990, unit_price_minor=990),
    ),
    figures=(
        figure(1, 290, 29, 26, net=261),
        figure(2, 320, points=32, net=320),
        figure(3, 225, points=22, net=225),
        figure(4, 990, 248, 54, 200, net=542),
    ),
    effects=(
        Effect(promotion="dairy", line=1, amount_minor=29),
        Effect(promotion="spring", line=4, amount_minor=198),
        Effect(promotion="oil", line=4, amount_minor=50),
        Effect(promotion="base", line=1, points=26, valid_through=LAST_DAY),
        Effect(promotion="base", line=2, points=32, valid_through=LAST_DAY),
        Effect(promotion="base", line=3, points=22, valid_through=LAST_DAY),
        Effect(promotion="base", line=4, points=54, valid_through=LAST_DAY),
    ),
    tenders=(Tender(kind="points", amount_minor=200), Tender(kind="cash", amount_minor=2000)),
    cashier="Ana",
)
HARBOUR_SALE = Receipt(
    receipt_id="A-2026-00917",
    place=IN_LEITH,
    net_minor=1348,
    account_id=41,
    earned=(Earned(issuer_id="p1", valid_through=LAST_DAY, points=134),),
    redemption=Redemption(points=200, amount_minor=200, authority="float", lease_id="f1"),
    detail=raw(HARBOUR_DETAIL),
)

AURORA_DETAIL = ReceiptDetail(
    programme_version="v1",
    engine_no=1,
    currency="BRL",
    digest="d",
    lines=(
        Line(line=1, sku="7891", amount_minor=998, quantity_milli=2000, unit_price_minor=499),
        Line(line=2, sku="2002", amount_minor=662, quantity_milli=350, unit_price_minor=1890),
        Line(line=3, sku="7896", amount_minor=2190, unit_price_minor=2190),
        Line(line=4, sku="7899", amount_minor=123450, unit_price_minor=123450),
    ),
    figures=(
        figure(1, 998, 100, 8, net=898),
        figure(2, 662, points=7, net=662),
        figure(3, 2190, 438, 18, net=1752),
        figure(4, 123450, points=1234, net=123450),
    ),
    effects=(
        Effect(promotion="dairy", line=1, amount_minor=100),
        Effect(promotion="cafe", line=3, amount_minor=438),
        Effect(promotion="base", line=1, points=8, valid_through=LAST_DAY),
        Effect(promotion="base", line=2, points=7, valid_through=LAST_DAY),
        Effect(promotion="base", line=3, points=18, valid_through=LAST_DAY),
        Effect(promotion="base", line=4, points=1234, valid_through=LAST_DAY),
    ),
    tenders=(Tender(kind="debit", amount_minor=126762),),
    cashier="João",
)
AURORA_SALE = Receipt(
    receipt_id="0042-000917",
    place=IN_SAO_PAULO,
    net_minor=126762,
    account_id=41,
    earned=(Earned(issuer_id="p1", valid_through=LAST_DAY, points=1267),),
    detail=raw(AURORA_DETAIL),
)


def said(*texts: str) -> tuple[Said, ...]:
    return (Said(place="cashier", text="not for paper"), *(Said(place="receipt", text=text) for text in texts))


def harbour(**changed: Any) -> ReceiptView:
    """The English sale as a view; fields of the view may be changed."""
    view = view_of_receipt(
        HARBOUR_SALE,
        HARBOUR_DETAIL,
        shop=HARBOUR,
        names=NAMES,
        promotions=PROMOTIONS,
        messages=said("Spend £4.52 more next time and coffee is on us."),
        language="en",
        record="9f3a02c1",
        member="…1234",
        balance_points=1340,
    )
    return msgspec.structs.replace(view, **changed)


def aurora(**changed: Any) -> ReceiptView:
    """The Brazilian sale as a view; fields of the view may be changed."""
    view = view_of_receipt(
        AURORA_SALE,
        AURORA_DETAIL,
        shop=AURORA,
        names=NAMES,
        promotions=PROMOCOES,
        messages=said("Seus pontos valem até 31/03/2027. Volte sempre!"),
        language="pt-BR",
        record="07be41d8",
        member="…8820",
        balance_points=13407,
    )
    return msgspec.structs.replace(view, **changed)


def aurora_offline(**changed: Any) -> ReceiptView:
    """The Brazilian sale offline, on a card that this till does not know."""
    sale = msgspec.structs.replace(AURORA_SALE, account_id=None, card_token="00" * 16)
    detail = msgspec.structs.replace(AURORA_DETAIL, offline=True)
    view = view_of_receipt(
        sale,
        detail,
        shop=AURORA,
        names=NAMES,
        promotions=PROMOCOES,
        language="pt-BR",
        record="07be41d8",
        member="…8820",
        copy=True,
    )
    return msgspec.structs.replace(view, **changed)


def harbour_return() -> ReturnView:
    """One bottle of oil (5.42 in money, all 200 points) and one of two milks (half of 2.61: 1.30)."""
    ret = close_return(
        "R-2026-00031",
        HARBOUR_SALE,
        EventRef(till_id="3", epoch=1, seq=917),
        place("1", 1_773_413_220_000, 0, date(2026, 3, 13)),
        earlier=(),
        lines=(ReturnLine(line=4, quantity_milli=1000), ReturnLine(line=1, quantity_milli=1000)),
        cashier="Ben",
    )
    detail = msgspec.json.decode(ret.detail, type=ReturnDetail)
    return view_of_return(
        ret,
        detail,
        sold=HARBOUR_SALE,
        shop=HARBOUR,
        names=NAMES,
        language="en",
        record="51c07aa2",
        member="…1234",
        balance_points=1473,
    )


def aurora_void() -> VoidView:
    """The Brazilian sale undone two minutes later."""
    void = close_void(
        AURORA_SALE,
        EventRef(till_id="7", epoch=1, seq=917),
        place("7", 1_773_349_620_000, -180, date(2026, 3, 12)),
        cashier="João",
    )
    detail = msgspec.json.decode(void.detail, type=VoidDetail)
    return view_of_void(
        void,
        detail,
        sold=AURORA_SALE,
        shop=AURORA,
        language="pt-BR",
        record="c4d90b17",
        member="…8820",
        balance_points=12140,
    )


def translated(language: str, shop: Shop, lines: tuple[str, ...]) -> ReceiptView:
    """The English sale's figures in another language and currency, under other names."""
    view = harbour(language=language, shop=shop, currency=shop.currency, messages=())
    named = tuple(msgspec.structs.replace(line, name=name) for line, name in zip(view.lines, lines, strict=True))
    return msgspec.structs.replace(view, lines=named)


def polish() -> ReceiptView:
    names = ("Mleko 3,2% 1 l", "Chleb żytni na zakwasie", "Banany", "Oliwa z oliwek „Źródło” 750 ml")
    return translated("pl", SKLEP, names)


def russian() -> ReceiptView:
    names = ("Молоко 1 л", "Хлеб «Бородинский»", "Бананы", "Масло оливковое 750 мл")
    return translated("ru", ZARYA, names)


CODES = ("TCCB4S426G13PRF49NDD43RN0A7QXW5HZJ", "TC7M09KDXG13PTG5E2ZVY8CQ4S1N6FHAB3")
COUPON_SALE = msgspec.structs.replace(
    HARBOUR_SALE,
    coupons_issued=tuple(
        IssuedCoupon(
            promotion="come-again",
            coupon=kind,
            holder="bearer",
            from_on=date(2026, 3, 13),
            through=date(2026, 4, 11),
            code=code,
        )
        for kind, code in zip(("next-visit", "coffee"), CODES, strict=True)
    ),
)


def with_coupons(view: ReceiptView, first: str, second: str) -> ReceiptView:
    """A sale that issues two coupons for the next visit, by these names."""
    coupons = view_of_receipt(
        COUPON_SALE,
        HARBOUR_DETAIL,
        shop=HARBOUR,
        names=NAMES,
        coupons={"next-visit": first, "coffee": second},
        language=view.language,
    ).coupons
    return msgspec.structs.replace(view, coupons=coupons)


def harbour_coupons() -> ReceiptView:
    return with_coupons(harbour(), "£2.00 off your next visit", "A coffee with any cake")


def aurora_coupons() -> ReceiptView:
    return with_coupons(aurora(), "R$ 5,00 na próxima compra", "Um café com qualquer bolo")


def polish_coupons() -> ReceiptView:
    return with_coupons(polish(), "5,00 zł taniej", "Kawa do każdego ciastka")


def russian_coupons() -> ReceiptView:
    return with_coupons(russian(), "Скидка 200 рублей", "Кофе к любому пирожному")
