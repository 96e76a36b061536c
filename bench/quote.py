"""The engine alone: a basket of 50 lines under ten, a hundred and a thousand promotions, against an echo of its bytes.

The echo reads the basket's JSON and writes it again with the standard library, in the same process; rounds of both
alternate, and the ratio is the median of the rounds' own ratios, so a slow minute slows both. The budgets of the
engine are against an echo over HTTP, a ceiling several times higher; this table only shows how cost grows.
"""

import json
from collections.abc import Callable
from datetime import date
from random import Random
from statistics import median
from time import perf_counter_ns

import msgspec

from loyalty.baskets import Basket, Line, Place
from loyalty.compiled import Compiled, candidates_for, compile_programme
from loyalty.members import MemberView
from loyalty.programme import AmountOff, Earn, PercentOff, Programme, Promotion, Selector
from loyalty.quotes import quote_basket

LINES = 50
SIZES = (10, 100, 1_000)
GOODS = 5_000
ROUNDS = 9
CALLS = 10

PLACE = Place(
    partner_id="acme",
    store_id="S1",
    till_id="T1",
    channel="store",
    sold_at_ms=1_772_452_800_000,
    offset_min=0,
    business_date=date(2026, 3, 2),
)
MEMBER = MemberView(account_id=7, balance_points=500, spendable_points=500, counters=())


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table; times are medians a call, in microseconds."""

    kind: str
    promotions: int
    concerned: int
    quote_us: float
    echo_us: float
    ratio: float


def measure() -> list[Row]:
    """Every size, sparse and dense."""
    return [_row(kind, size) for kind in ("sparse", "dense") for size in SIZES]


def _row(kind: str, size: int) -> Row:
    basket = _basket(Random(1))
    rules = compile_programme(_programme(kind, size, basket, Random(2)))
    request = msgspec.json.encode(basket)
    pairs = [
        (_time(lambda: quote_basket(rules, basket, PLACE, MEMBER)), _time(lambda: json.dumps(json.loads(request))))
        for _ in range(ROUNDS)
    ]
    return Row(
        kind=kind,
        promotions=size,
        concerned=_concerned(rules, basket),
        quote_us=median(quote for quote, _ in pairs),
        echo_us=median(echo for _, echo in pairs),
        ratio=median(quote / echo for quote, echo in pairs),
    )


def _time(call: Callable[[], object]) -> float:
    """Microseconds a call, over one round."""
    begun = perf_counter_ns()
    for _ in range(CALLS):
        call()
    return (perf_counter_ns() - begun) / CALLS / 1_000


def _basket(random: Random) -> Basket:
    """Fifty different goods, the popular ones more often."""
    goods: dict[int, None] = {}
    while len(goods) < LINES:
        goods[_popular(random)] = None
    return Basket(
        receipt_id="R1",
        currency="EUR",
        lines=tuple(
            Line(line=i, sku=f"sku{good}", amount_minor=random.randrange(50, 3_000), category=("Shop", f"{good % 200}"))
            for i, good in enumerate(goods, 1)
        ),
    )


def _popular(random: Random) -> int:
    """A good by its rank, small ranks far more often (as the 1/x of a supermarket)."""
    return int(GOODS ** random.random()) - 1


def _programme(kind: str, size: int, basket: Basket, random: Random) -> Programme:
    """One promotion earns on everything; ten of a sparse programme are for goods of the basket, the rest for others.

    The promotions of a dense one are for goods as popular as those of the basket.
    """
    sold = [line.sku for line in basket.lines]
    if kind == "dense":
        skus = [f"sku{_popular(random)}" for _ in range(size - 1)]
    else:
        skus = [sold[i % LINES] if i < 9 else f"other{i}" for i in range(size - 1)]
    promotions = [
        Promotion(
            id=f"promo{i}",
            then=(PercentOff(percent_bp=500, of=Selector(sku=(sku,))),)
            if i % 2
            else (AmountOff(amount_minor=20, per="line", of=Selector(sku=(sku,))),),
        )
        for i, sku in enumerate(skus)
    ]
    return Programme(
        id="bench",
        currency="EUR",
        promotions=(*promotions, Promotion(id="base", then=(Earn(points=1, per_minor=100),))),
    )


def _concerned(rules: Compiled, basket: Basket) -> int:
    return len(candidates_for(rules, basket.lines))
