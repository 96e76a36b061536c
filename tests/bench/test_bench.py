"""What `make bench` measures is what it says it measures; no figure here is a time."""

import sys

import pytest

from bench import oscar
from bench.children import Child, ChildEnded
from bench.goods import MEMBER, PLACE, basket, one_piece_more, request_body, sku
from bench.naive import Different, check_equal
from bench.peer_offers import offers, priced_alike, programme_of
from bench.programmes import MIX, Density, programme
from bench.rounds import alone, durations, ratio, take_turns
from bench.table import Row, compared, exit_status, line, summary, verdict
from bench.till import echo_app
from bench.wire import Wire, json_bytes
from edge.web.server import WebServer
from loyalty.baskets import Basket, Line
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.benefits import selectors_of
from loyalty.programme.compiled import candidates_for, compile_programme
from loyalty.programme.programme import Programme
from loyalty.programme.selectors import selects
from tests.loyalty.naive import Figures, naive_quote

CARD = "2012345678903"


@pytest.mark.parametrize(("density", "size"), [("sparse", 10), ("dense", 100), ("sparse", 1_000), ("dense", 1_000)])
def test_a_programme_has_as_many_promotions_as_asked_for_and_the_last_earns_on_everything(
    density: Density, size: int
) -> None:
    drawn = programme(density, size, basket(50))
    assert len(drawn.promotions) == size
    assert [type(benefit).__name__ for benefit in drawn.promotions[-1].then] == ["Earn"]
    assert drawn.version == programme(density, size, basket(50)).version


def test_ten_promotions_in_a_row_are_of_every_kind_but_multipliers() -> None:
    assert set(MIX[:10]) == {"percent", "amount", "buy_get", "points", "bundle", "threshold"}
    assert len(MIX) == 20


@pytest.mark.parametrize("size", [10, 100, 1_000])
def test_ten_promotions_of_a_sparse_programme_concern_the_basket(size: int) -> None:
    bought = basket(50)
    assert len(candidates_for(compile_programme(programme("sparse", size, bought)), bought.lines)) == 10


def test_a_good_part_of_a_dense_programme_concerns_the_basket() -> None:
    bought = basket(50)
    drawn = programme("dense", 1_000, bought)
    named = [
        promotion.id
        for promotion in drawn.promotions
        for benefit in promotion.then
        if any(selects(selector, one) for selector in selectors_of(benefit) for one in bought.lines)
    ]
    assert 200 < len(set(named)) < 600
    assert len(candidates_for(compile_programme(drawn), bought.lines)) == len(set(named))


def test_a_basket_is_of_different_goods_and_the_same_on_every_machine() -> None:
    bought = basket(50)
    assert len({one.sku for one in bought.lines}) == 50
    assert all(one.amount_minor == one.unit_price_minor * one.quantity_milli // 1000 for one in bought.lines)
    assert bought == basket(50) != basket(50, seed=2)


def test_a_basket_that_is_rung_up_has_one_piece_more_of_another_line_each_time() -> None:
    bought = of_lines((1, 1, 100), (2, 3, 200))
    assert [[(one.quantity_milli, one.amount_minor) for one in other.lines] for other in one_piece_more(bought)] == [
        [(2_000, 200), (3_000, 600)],
        [(1_000, 100), (4_000, 800)],
    ]


@pytest.mark.parametrize("density", ["sparse", "dense"])
@pytest.mark.parametrize("size", [10, 100])
def test_engine_and_naive_interpreter_find_the_same_figures(density: Density, size: int) -> None:
    bought = basket(50)
    drawn = programme(density, size, bought)
    check_equal(quote_basket(compile_programme(drawn), bought, PLACE, MEMBER), naive(drawn, bought), "here")


def test_a_difference_between_the_two_ends_the_run() -> None:
    bought = basket(10)
    drawn, other = programme("dense", 100, bought), programme("dense", 10, bought)
    with pytest.raises(Different, match="net"):
        check_equal(quote_basket(compile_programme(drawn), bought, PLACE, MEMBER), naive(other, bought), "here")


def test_the_offers_of_both_engines_mean_what_they_say() -> None:
    """5 % of 10.00; of three at 2.00 one is free; 1.00 off 4.00 and 1.00, which are just the 5.00 that it takes."""
    bought = of_lines((1, 1, 1_000), (3, 3, 200), (5, 1, 400), (6, 1, 100))
    quote = quote_basket(compile_programme(programme_of(offers(5))), bought, PLACE, MEMBER)
    assert {effect.promotion for effect in quote.effects} == {"offer0", "offer2", "offer4"}
    assert (quote.totals.gross_minor, quote.totals.discount_minor) == (2_100, 50 + 200 + 100)


def test_no_good_is_in_two_offers_and_prices_leave_no_percentage_to_round() -> None:
    named = [one for offer in offers(100) for one in offer.skus]
    assert len(named) == len(set(named)) == 140
    priced = priced_alike(of_lines((1, 2, 51), (2, 1, 60))).lines
    assert [(one.unit_price_minor, one.amount_minor) for one in priced] == [(60, 120), (60, 60)]


def test_without_django_oscar_the_table_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(folder: object) -> None:
        raise oscar.CannotInstall("pip: no network")

    monkeypatch.setattr(oscar, "_install", cannot)
    rows = list(oscar.rows())
    assert [line(row).split() for row in rows] == ["P6 engine and django-oscar not measured: pip: no network".split()]
    assert exit_status(rows) == 0


JUDGED = """
    at_most   4     3.99   kept
    at_most   4     4      kept
    at_most   4     4.01   missed
    at_most   4     8      missed
    at_most   4     8.01   past twice
    at_least  10    10     kept
    at_least  10    9.9    missed
    at_least  10    5      missed
    at_least  10    4.9    past twice
"""


@pytest.mark.parametrize("case", [text.split(maxsplit=3) for text in JUDGED.strip().splitlines()])
def test_a_miss_is_shown_and_only_past_twice_a_budget_the_run_fails(case: list[str]) -> None:
    bound, budget, found, said = case
    row = Row(what="x", budget="P9", ratio=float(found), **{bound: float(budget)})
    assert verdict(row) == said
    assert exit_status([Row(what="told only", ratio=1e9), row]) == (1 if said == "past twice" else 0)
    assert ("P9" in summary([row])) == (said != "kept")


def test_a_speed_of_this_machine_is_shown_and_fails_no_run() -> None:
    row = Row(what="x", budget="P15", ratio=0.4, at_least=1, absolute=True)
    assert verdict(row) == "past twice"
    assert "P15" in summary([row])
    assert exit_status([row]) == 0


def test_a_row_shows_times_ratio_budget_and_verdict() -> None:
    row = Row(
        what="engine", budget="P4", ours_us=1234.5, beside="echo", beside_us=300.2, ratio=4.112, at_most=4
    )
    assert line(row).split() == "P4 engine 1,234 echo 300 4.11 <= 4 missed".split()
    assert summary([row]) == "0 of 1 budgets kept\n  P4 missed: engine, 4.11"


def test_ratios_are_medians_of_the_rounds_own() -> None:
    """1/1, 4/2 and 90/10: a slow third round changes neither."""
    assert ratio([1, 4, 90], [1, 2, 10]) == 2
    times = {"ours": [1.0, 4.0, 90.0], "theirs": [1.0, 2.0, 10.0]}
    row = compared("P9", "x", times, "ours", "theirs", at_most=3)
    assert (row.ours_us, row.beside, row.beside_us, row.ratio) == (4.0, "theirs", 2.0, 2.0)
    assert compared("P9", "x", times, "ours", "theirs", faster=True, at_least=3).ratio == 0.5


def test_sides_take_turns_and_turn_round() -> None:
    told: list[str] = []

    def side(name: str, took: float) -> float:
        told.append(name)
        return took

    times = take_turns({"a": lambda: side("a", 1.0), "b": lambda: side("b", 2.0)}, rounds=3)
    assert told == ["a", "b", "b", "a", "a", "b"]
    assert times == {"a": [1.0, 1.0, 1.0], "b": [2.0, 2.0, 2.0]}


def test_a_round_is_the_median_of_its_calls() -> None:
    clock = iter([0, 1_000, 1_000, 3_000, 3_000, 103_000])
    assert durations(lambda: None, 3, lambda: next(clock)) == [1.0, 2.0, 100.0]
    called: list[int] = []
    assert alone(lambda: called.append(1), 5)() >= 0
    assert len(called) == 5


def test_the_echo_gives_back_what_a_connection_sends_again_and_again() -> None:
    body = json_bytes(request_body(basket(50), CARD))
    server = WebServer(echo_app(), host="127.0.0.1", port=0, threads=1)
    server.start()
    wire = Wire(f"{server.url}/echo", body)
    try:
        assert [wire(), wire()] == [body, body]
    finally:
        wire.close()
        server.stop()


def test_an_answer_that_is_no_200_is_trouble_and_not_a_fast_answer() -> None:
    server = WebServer(echo_app(), host="127.0.0.1", port=0, threads=1)
    server.start()
    wire = Wire(f"{server.url}/nothing-here", b"{}")
    try:
        with pytest.raises(ConnectionError, match="404"):
            wire()
    finally:
        wire.close()
        server.stop()


def test_a_child_answers_until_nobody_asks_and_one_that_dies_is_missed() -> None:
    script = "from bench.children import serve; serve('hello', lambda told: 1 // told)"
    with Child([sys.executable, "-c", script]) as child:
        assert (child.hello, child.ask(1)) == ("hello", 1)
        with pytest.raises(ChildEnded, match="ended with 1"):
            child.ask(0)


def test_children_that_are_told_work_at_the_same_time_and_are_heard_one_after_the_other() -> None:
    script = "from bench.children import serve; serve('hello', lambda told: told + 1)"
    command = [sys.executable, "-c", script]
    with Child(command) as one, Child(command) as other:
        one.tell(1)
        other.tell(2)
        assert (one.hear(), other.hear()) == (2, 3)


def naive(drawn: Programme, bought: Basket) -> Figures:
    return naive_quote(drawn, bought, PLACE, MEMBER)


def of_lines(*goods: tuple[int, int, int]) -> Basket:
    """(good, units, unit price) each."""
    lines = tuple(
        Line(line=n, sku=sku(good), amount_minor=units * price, quantity_milli=units * 1000, unit_price_minor=price)
        for n, (good, units, price) in enumerate(goods, 1)
    )
    return Basket(receipt_id="R", currency="EUR", lines=lines)
