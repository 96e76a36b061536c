"""Laws that hold for any programme, basket and member: sums, floors, order, repetition, and what may go wrong."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from loyalty.baskets import Basket, CertificateAsk, Line, Tender
from loyalty.members import MemberView, Use, WalletItem
from loyalty.pricing.leases import Authority
from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import programme_from, read_programme
from loyalty.trouble import CODES, Refusal
from tests.loyalty.build import basket, compiled, line, place, promotion, quote
from tests.loyalty.long_run import engine_quote
from tests.loyalty.random_programmes import Case, Doc, case_of_seed, cases

ROOT = Path(__file__).parents[2]
MODES = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_FLOOR, "up": ROUND_CEILING}
SPREADS = ("largest_remainder", "floor_first", "floor_last", "half_down_first")

amounts = st.lists(st.integers(0, 10_000), min_size=1, max_size=8)


# What is spread adds up


@given(amounts, st.integers(1, 50_000), st.sampled_from(SPREADS), st.sampled_from(("basket", "group")))
def test_an_amount_that_is_spread_adds_up_to_the_unit(costs: list[int], amount: int, rule: str, per: str):
    """Where there is less than the amount, everything goes."""
    benefit = {"kind": "amount_off", "amount_minor": amount, "per": per} | ({"group_of": 1} if per == "group" else {})
    units = sum(1 for cost in costs if cost) if per == "group" else 1
    told = _off(costs, benefit, {"spread_remainder": rule})
    assert sum(told) == min(amount * units, sum(costs))


@given(amounts, st.integers(1, 10_000), st.sampled_from(SPREADS), st.sampled_from(sorted(MODES)))
def test_a_percentage_of_the_basket_is_rounded_once_and_adds_up(costs: list[int], bp: int, rule: str, mode: str):
    benefit = {"kind": "percent_off", "percent_bp": bp, "per": "basket"}
    told = _off(costs, benefit, {"spread_remainder": rule, "percent_rounding": mode})
    exact = Decimal(sum(costs)) * bp / 10_000
    assert sum(told) == min(int(exact.quantize(Decimal(1), MODES[mode])), sum(costs))


@given(amounts, st.integers(1, 10_000), st.sampled_from(sorted(MODES)))
def test_a_resulting_price_is_what_is_rounded_where_the_programme_says_so(costs: list[int], bp: int, mode: str):
    told = _off(costs, {"kind": "percent_off", "percent_bp": bp}, {"percent_rounding": mode, "percent_rounds": "price"})
    prices = [int((Decimal(cost) * (10_000 - bp) / 10_000).quantize(Decimal(1), MODES[mode])) for cost in costs]
    assert [cost - off for cost, off in zip(costs, told, strict=True)] == prices


@given(amounts, st.integers(1, 50_000))
def test_largest_remainder_never_moves_a_line_by_a_whole_unit_from_its_exact_share(costs: list[int], amount: int):
    assume(sum(costs) > amount)
    told = _off(costs, {"kind": "amount_off", "amount_minor": amount}, {})
    for cost, off in zip(costs, told, strict=True):
        assert abs(Decimal(off) - Decimal(amount) * cost / sum(costs)) < 1


def _off(costs: list[int], benefit: Doc, options: Doc) -> list[int]:
    rules = compiled(promotion("p", benefit), options=options)
    told = quote(rules, *(line(number, cost) for number, cost in enumerate(costs, 1)))
    return [one.discount_minor for one in told.lines]


# Sums and floors


@given(cases())
def test_every_line_adds_up_and_costs_no_less_than_nothing(case: Case):
    told = engine_quote(case)
    by_line: Counter[int] = Counter()
    for effect in told.effects:
        assert effect.amount_minor >= 0
        by_line[effect.line] += effect.amount_minor
    for one in told.lines:
        assert one.net_minor >= 0
        assert one.discount_minor == by_line[one.line]
        assert one.net_minor == one.amount_minor - one.discount_minor - one.paid_with_points_minor
    assert told.totals.discount_minor == by_line.total()
    assert told.totals.net_minor == sum(one.net_minor for one in told.lines)
    stored = sum(one.amount_minor for one in told.certificates) + told.from_wallet_minor
    assert 0 <= told.totals.to_pay_minor == told.totals.net_minor - stored


@given(cases())
def test_no_discount_takes_a_line_below_its_floor_or_touches_what_may_not_be_discounted(case: Case):
    sold = case.programme.certificates is not None
    for goods, told in zip(case.basket.lines, engine_quote(case).lines, strict=True):
        if not told.discount_minor:
            continue
        assert goods.discountable
        assert not (sold and "voucher" in goods.tags)  # these are the certificates of a random programme
        floor = Decimal(goods.floor_unit_minor) * goods.quantity_milli / 1000
        assert goods.amount_minor - told.discount_minor >= floor


@given(cases())
def test_points_are_neither_lost_nor_made(case: Case):
    told = engine_quote(case)
    by_line: Counter[int] = Counter()
    for effect in told.effects:
        assert effect.points >= 0
        by_line[effect.line] += effect.points
    assert {one.line: one.points_earned for one in told.lines} == {one.line: by_line[one.line] for one in told.lines}
    assert told.totals.points_earned == by_line.total() == sum(lot.points for lot in told.earned)
    spent = sum(one.points_spent for one in told.lines)
    prizes = sum(one.points for one in told.prizes)
    assert told.totals.points_spent == spent
    assert prizes <= spent
    assert spent - prizes <= min(case.basket.points_to_spend, told.redemption.most_points)
    own = told.totals.points_earned if told.spends_own else 0
    assert spent <= case.authority.points + own


@given(cases())
def test_an_explanation_adds_up_to_what_the_promotion_did(case: Case):
    told = engine_quote(case)
    did: Counter[tuple[str, int]] = Counter()
    points: Counter[tuple[str, int]] = Counter()
    for effect in told.effects:
        did[effect.promotion, effect.line] += effect.amount_minor
        points[effect.promotion, effect.line] += effect.points
    explained = {
        (one.promotion, touched.line): (touched.amount_minor, touched.points)
        for one in told.why
        if one.applied
        for touched in one.lines
    }
    assert explained == {key: (did[key], points[key]) for key in did}
    assert len({one.promotion for one in told.why}) == len(told.why)


@given(cases())
def test_explaining_changes_no_figure(case: Case):
    plain = quote_basket(
        compile_programme(case.programme), case.basket, case.place, case.view,
        authority=case.authority, bearer=case.bearer, shared=case.shared, explain=False,
    )  # fmt: skip
    assert plain == msgspec.structs.replace(engine_quote(case), why=())


@given(cases())
def test_the_short_way_of_plain_rules_ends_where_the_long_way_does(case: Case):
    rules = compile_programme(case.programme)
    slow = msgspec.structs.replace(
        rules, rules=tuple(msgspec.structs.replace(rule, swift=False) for rule in rules.rules)
    )
    told = quote_basket(
        slow, case.basket, case.place, case.view, authority=case.authority, bearer=case.bearer, shared=case.shared
    )
    assert told == engine_quote(case)


# Order, and what does not belong together


@given(cases(), st.randoms(use_true_random=False))
def test_lines_of_equal_content_may_trade_places(case: Case, draw: Any):
    """What lines of one content get together does not hang on which of them is which."""
    lines = list(case.basket.lines)
    lines += [msgspec.structs.replace(one, line=one.line + len(lines)) for one in lines]
    numbers = [one.line for one in lines]
    draw.shuffle(numbers)
    traded = [msgspec.structs.replace(one, line=number) for one, number in zip(lines, numbers, strict=True)]
    assert _by_content(case, tuple(lines)) == _by_content(case, tuple(traded))


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=6), st.integers(1, 3000), st.randoms(use_true_random=False))
def test_the_order_of_lines_decides_over_odd_minor_units_alone(costs: list[int], amount: int, draw: Any):
    rules = compiled(
        promotion("a", {"kind": "amount_off", "amount_minor": amount}),
        promotion("b", {"kind": "percent_off", "percent_bp": 1250, "per": "basket"}),
    )
    lines = [line(number, cost) for number, cost in enumerate(costs, 1)]
    mixed = list(lines)
    draw.shuffle(mixed)
    one, other = (
        {told.line: told.discount_minor for told in quote(rules, *order).lines} for order in (lines, mixed)
    )
    assert sum(one.values()) == sum(other.values())
    assert all(abs(one[number] - other[number]) <= 2 for number in one)  # an odd unit of each of the two


@given(cases(), st.integers(0, 8), st.sampled_from(("price_list", "before", "main", "after")), st.integers(-5, 5))
def test_a_promotion_for_goods_that_are_not_there_changes_nothing(case: Case, at: int, stage: str, priority: int):
    other = {
        "id": "unrelated",
        "stage": stage,
        "priority": priority,
        "then": [
            {"kind": "percent_off", "percent_bp": 5000, "of": {"sku": ["zebra"]}},
            {"kind": "earn", "points": 9, "per_minor": 1, "of": {"sku": ["zebra"]}},
        ],
    }
    listed = case.document["promotions"]
    more = case.document | {"promotions": [*listed[:at], other, *listed[at:]]}
    told = engine_quote(case._replace(programme=programme_from(more)))
    blank = {"programme_version": "", "digest": "", "goods": ()}  # these name the document, or what it looks at
    assert msgspec.structs.replace(told, **blank) == msgspec.structs.replace(engine_quote(case), **blank)


ABOUT_ONE_SKU = st.one_of(
    st.builds(lambda bp, per: {"kind": "percent_off", "percent_bp": bp, "per": per}, st.integers(1, 10_000),
              st.sampled_from(("unit", "line", "basket"))),
    st.builds(lambda off, per: {"kind": "amount_off", "amount_minor": off, "per": per}, st.integers(1, 400),
              st.sampled_from(("basket", "line", "unit"))),
    st.builds(lambda price: {"kind": "set_price", "unit_price_minor": price}, st.integers(0, 200)),
    st.builds(lambda points: {"kind": "earn", "points": points, "per_minor": 7}, st.integers(1, 5)),
)  # fmt: skip


@given(
    st.lists(ABOUT_ONE_SKU, min_size=1, max_size=3), st.lists(ABOUT_ONE_SKU, min_size=1, max_size=3),
    st.lists(st.integers(0, 900), min_size=1, max_size=3), st.lists(st.integers(0, 900), min_size=1, max_size=3),
)  # fmt: skip
def test_promotions_for_other_goods_leave_each_other_alone(
    for_apples: list[Doc], for_pears: list[Doc], apples: list[int], pears: list[int]
):
    of_apples = [promotion(f"a{n}", one | {"of": {"sku": ["apple"]}}) for n, one in enumerate(for_apples)]
    of_pears = [promotion(f"p{n}", one | {"of": {"sku": ["pear"]}}) for n, one in enumerate(for_pears)]
    lines = [line(n, cost, sku="apple", quantity_milli=2000) for n, cost in enumerate(apples, 1)]
    others = [line(n, cost, sku="pear") for n, cost in enumerate(pears, 1 + len(apples))]
    view = MemberView(account_id=7, counters=())
    alone = quote(compiled(*of_apples), *lines, view=view)
    together = quote(compiled(*of_pears, *of_apples), *lines, *others, view=view)
    assert together.lines[: len(lines)] == alone.lines
    assert [one for one in together.effects if one.promotion.startswith("a")] == list(alone.effects)


def _by_content(case: Case, lines: tuple[Line, ...]) -> dict[Line, tuple[int, ...]]:
    told = engine_quote(case._replace(basket=msgspec.structs.replace(case.basket, lines=lines)))
    sums: dict[Line, tuple[int, ...]] = {}
    for goods, one in zip(lines, told.lines, strict=True):
        content = msgspec.structs.replace(goods, line=1)
        figures = (one.discount_minor, one.points_earned, one.paid_with_points_minor, one.points_spent, one.net_minor)
        before = sums.get(content, (0,) * len(figures))
        sums[content] = tuple(a + b for a, b in zip(before, figures, strict=True))
    return sums


# Same inputs, same bytes

CASES_QUOTED_ELSEWHERE = 60
# Read cases as JSON, quote each twice, and print the digest of all the bytes. It needs no more than the kernel does.
ELSEWHERE = """
import hashlib, sys
import msgspec
from loyalty.baskets import Basket, Place
from loyalty.programme.compiled import compile_programme
from loyalty.pricing.leases import Authority
from loyalty.members import MemberView, Use, WalletItem
from loyalty.programme.programme import Programme
from loyalty.pricing.quotes import quote_basket

Case = tuple[
    Programme, Basket, Place, MemberView | None, Authority, tuple[WalletItem, ...], tuple[Use, ...] | None
]
digest = hashlib.sha256()
for programme, basket, place, view, authority, bearer, shared in msgspec.json.decode(
    sys.stdin.buffer.read(), type=list[Case]
):
    compiled = compile_programme(programme)
    for _ in range(2):
        quote = quote_basket(compiled, basket, place, view, authority=authority, bearer=bearer, shared=shared)
        digest.update(msgspec.json.encode(quote))
print(digest.hexdigest())
"""


@given(cases())
def test_quoting_again_gives_the_same_bytes(case: Case):
    assert _bytes(engine_quote(case)) == _bytes(engine_quote(case))


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_the_order_of_sets_leaves_no_trace_in_a_quote(seed: str):
    """Another process with another order of hashes says the same bytes."""
    assert _quoted_by(sys.executable, PYTHONHASHSEED=seed) == _quoted_here()


def other_pythons() -> list[str]:
    """Those that can run the kernel beside this one: most machines have none, and lack nothing that we ask for."""
    found = [shutil.which(f"python3.{minor}") for minor in range(11, 16) if minor != sys.version_info.minor]
    needed = "import cryptography, msgspec, yaml"
    runs = (one for one in found if one)
    return [one for one in runs if not subprocess.run([one, "-c", needed], capture_output=True, check=False).returncode]


if OTHERS := other_pythons():

    @pytest.mark.parametrize("python", OTHERS)
    def test_another_python_says_the_same_bytes(python: str):
        assert _quoted_by(python) == _quoted_here()


def _quoted_here() -> str:
    digest = hashlib.sha256()
    for seed in range(CASES_QUOTED_ELSEWHERE):
        digest.update(2 * _bytes(engine_quote(case_of_seed(seed))))
    return digest.hexdigest()


def _quoted_by(python: str, **environment: str) -> str:
    told = [case_of_seed(seed) for seed in range(CASES_QUOTED_ELSEWHERE)]
    done = subprocess.run(
        [python, "-c", ELSEWHERE],
        input=msgspec.json.encode([case[1:] for case in told]),
        capture_output=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def _bytes(told: Quote) -> bytes:
    return msgspec.json.encode(told)


# What may go wrong at all

EDGES = (-(10**18), 10**12, 10**15, 10**15 + 1, 2**63)
WORDS = ("apple", "\x00", "𝒶🍎", "e\u0301", "a" * 5000, "\ud800")
wild_numbers = st.one_of(st.integers(-3, 3), st.integers(), st.sampled_from(EDGES))
wild_text = st.one_of(st.just(""), st.text(max_size=8), st.sampled_from(WORDS))
wild_scalars = st.one_of(st.none(), st.booleans(), wild_numbers, wild_text, st.floats())
wild_values = st.recursive(wild_scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=4)


@given(cases(), st.data())
def test_a_malformed_document_is_refused_with_a_sentence(case: Case, data: st.DataObject):
    """One that is read in spite of what was done to it can be quoted under."""
    document = case.document
    for _ in range(data.draw(st.integers(1, 3))):
        document = _spoilt(document, data)
    told = _refusal_of(lambda: programme_from(document))
    if told is None:
        _refusal_of(lambda: engine_quote(case._replace(programme=programme_from(document))))


@given(cases(), st.data())
def test_a_malformed_text_is_refused_with_a_sentence(case: Case, data: st.DataObject):
    text = msgspec.yaml.encode(case.document).decode()
    at = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(at, min(len(text), at + 20)))
    _refusal_of(lambda: read_programme(text[:at] + data.draw(wild_text) + text[end:]))


@settings(max_examples=300)
@given(st.one_of(st.text(), st.binary()))
def test_anything_that_is_no_document_is_refused_with_a_sentence(text: str | bytes):
    _refusal_of(lambda: read_programme(text))


def _spoilt(document: Any, data: st.DataObject) -> Any:
    """The same document with one thing of it replaced, doubled, renamed or left out."""
    if not isinstance(document, dict | list) or not document or data.draw(st.integers(0, 9)) == 0:
        return data.draw(wild_values)
    if isinstance(document, list):
        at = data.draw(st.integers(0, len(document) - 1))
        return [*document[:at], _spoilt(document[at], data), *document[at + data.draw(st.integers(0, 1)) :]]
    key = data.draw(st.sampled_from(sorted(document)))
    rest = {name: value for name, value in document.items() if name != key}
    how = data.draw(st.sampled_from(("spoil", "spoil", "spoil", "rename", "leave out")))
    if how == "leave out":
        return rest
    if how == "rename":
        return rest | {data.draw(wild_text): document[key]}
    return rest | {key: _spoilt(document[key], data)}


wild_words = st.one_of(wild_text, st.sampled_from(("apple", "bread", "food", "bio", "north")))
wild_lines = st.builds(
    Line,
    line=st.integers(-1, 9) | wild_numbers,
    sku=wild_words,
    amount_minor=st.integers(0, 900) | wild_numbers,
    quantity_milli=st.integers(0, 5000) | wild_numbers,
    unit_price_minor=st.integers(0, 300) | wild_numbers,
    category=st.lists(wild_words, max_size=3).map(tuple),
    brand=wild_words,
    tags=st.lists(wild_words, max_size=3).map(tuple),
    discountable=st.booleans(),
    accrual=st.booleans(),
    floor_unit_minor=st.integers(0, 300) | wild_numbers,
    tax_bp=st.integers(0, 3000) | wild_numbers,
)
# Lines that stand in one basket: mostly numbered as they should be, sometimes not, sometimes far too many.
wild_baskets = st.builds(
    Basket,
    receipt_id=wild_text,
    currency=st.sampled_from(("EUR", "EUR", "EUR", "PLN", "")),
    lines=st.one_of(
        st.lists(wild_lines, max_size=6).map(tuple),
        st.lists(wild_lines, max_size=6).map(
            lambda lines: tuple(msgspec.structs.replace(one, line=n) for n, one in enumerate(lines, 1))
        ),
        st.integers(1, 2500).map(lambda count: tuple(line(n, 100, quantity_milli=3000) for n in range(1, count + 1))),
    ),
    tax_included=st.booleans(),
    tenders=st.lists(st.builds(Tender, kind=wild_words, amount_minor=wild_numbers), max_size=3).map(tuple),
    coupons=st.lists(wild_words | st.sampled_from(("SAVE", "C1")), max_size=4).map(tuple),
    points_to_spend=st.integers(0, 300) | wild_numbers,
    events=st.lists(wild_words | st.sampled_from(("visit", "survey")), max_size=3).map(tuple),
    prizes=st.lists(wild_words | st.just("mug"), max_size=3).map(tuple),
    certificates=st.lists(
        st.builds(CertificateAsk, code=wild_words | st.just("V1"), amount_minor=wild_numbers), max_size=3
    ).map(tuple),
    from_wallet_minor=st.integers(0, 300) | wild_numbers,
)  # fmt: skip


@given(cases(), wild_baskets)
def test_a_malformed_basket_is_refused_with_a_sentence(case: Case, wild: Basket):
    _refusal_of(lambda: engine_quote(case._replace(basket=wild)))


def test_a_basket_of_two_thousand_lines_is_priced_and_one_more_is_refused():
    rules = compiled(promotion("tenth", {"kind": "percent_off", "percent_bp": 1000}))
    lines = [line(number, 10) for number in range(1, 2002)]
    assert quote(rules, *lines[:2000]).totals.discount_minor == 2000
    told = _refusal_of(lambda: quote_basket(rules, basket(*lines), place(), None))
    assert told is not None and told.code == "basket.malformed"


COUNTERS = ("visits", "last:visit", "spend", "spend:2026", "promo:p0", "cap:p1:units")
wild_days = st.none() | st.dates()
wild_items = st.builds(
    WalletItem,
    code=wild_words | st.sampled_from(("C1", "V1")),
    kind=st.sampled_from(("coupon", "certificate")),
    of=st.sampled_from(("spring", "autumn", "")) | wild_text,
    account_id=st.none() | st.just(7) | wild_numbers,
    from_on=wild_days,
    through=wild_days,
    used=wild_numbers,
    balance_minor=wild_numbers,
)
wild_members = st.builds(
    MemberView,
    account_id=st.none() | st.just(7) | wild_numbers,
    version=wild_numbers,
    balance_points=wild_numbers,
    spendable_points=wild_numbers,
    tier=wild_text,
    segments=st.lists(wild_text, max_size=3).map(tuple),
    birthday_in_days=st.none() | wild_numbers,
    counters=st.none() | st.lists(
        st.builds(Use, name=st.sampled_from(COUNTERS) | wild_text, amount=wild_numbers),
        max_size=6,
    ).map(tuple),
    anniversary_in_days=st.none() | wild_numbers,
    lapsing_points=wild_numbers,
    lapsing_on=wild_days,
    tier_through=wild_days,
    stored_minor=wild_numbers,
    wallet=st.lists(wild_items, max_size=3).map(tuple),
)  # fmt: skip


@given(cases(), wild_members, st.lists(wild_items, max_size=3).map(tuple), wild_numbers)
def test_a_member_of_whom_nonsense_is_told_is_served_or_refused_with_a_sentence(
    case: Case, view: MemberView, bearer: tuple[WalletItem, ...], points: int
):
    authority = Authority(kind="float", points=points, lease_id="float-1")
    _refusal_of(lambda: engine_quote(case._replace(view=view, bearer=bearer, authority=authority)))


def _refusal_of(act: Any) -> Refusal | None:
    """The refusal that this ends in, none where it does not; anything else that is raised fails the test."""
    try:
        act()
    except Refusal as told:
        assert CODES[told.code] is type(told)
        assert len(told.say.split()) > 3
        return told
    return None
