"""A basket of fifty lines under more and more promotions: the engine alone, and through the till, beside an echo.

The echo carries the bytes of the same request over the same kind of server in the till's process. It is the ceiling of
the quote over HTTP, and the measure of the engine alone, which runs in this process. What the till's process spends of
its processor on either is told besides: it stays the same where a neighbour makes both wait. So is a basket of which
one line has another quantity each time, as it is rung up: what is kept of one and the same basket is no gain in a shop.
"""

from collections.abc import Callable, Iterator
from itertools import cycle

from bench.children import Child
from bench.goods import MEMBER, PLACE, basket, one_piece_more, request_body
from bench.programmes import Density, programme
from bench.rounds import Round, Times, alone, answered, take_turns
from bench.table import Row, compared
from bench.wire import Wire, json_bytes
from edge.cache.cache import freeze_memory
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.compiled import compile_programme

LINES = 50
SIZES = (10, 100, 1_000, 5_000)
JUDGED = 1_000  # promotions under which the budgets are
ENGINE = {"dense": 4.0, "sparse": 1.2}  # P4
OVER_HTTP = {"dense": 6.0, "sparse": 3.0}  # P3
DENSITIES: tuple[Density, ...] = ("sparse", "dense")


def rows(till: Child) -> Iterator[Row]:
    """Five rows for each programme."""
    for density in DENSITIES:
        for size in SIZES:
            yield from _rows(till, density, size)


def _rows(till: Child, density: Density, size: int) -> Iterator[Row]:
    concerned, times = _measure(till, density, size)
    named = f"{density} {size:,} ({concerned:,} concern it)"
    engine, over_http = (ENGINE[density], OVER_HTTP[density]) if size == JUDGED else (None, None)
    yield compared("P4" if engine else "", f"engine, {named}", times, "plain", "echo", at_most=engine)
    yield compared("", "  with explanations", times, "explained", "echo")
    yield compared("P3" if over_http else "", "  over HTTP", times, "over HTTP", "echo", at_most=over_http)
    yield compared("", "  over HTTP, another basket each time", times, "another", "echo")
    yield compared("", "  over HTTP, processor of the till", times, "till's quote", "till's echo")


def _measure(till: Child, density: Density, size: int) -> tuple[int, Times]:
    """How many promotions concern the basket, and what everything took in turns."""
    bought = basket(LINES)
    rules = compile_programme(programme(density, size, bought))
    freeze_memory()
    concerned = till.ask({"swap": {"density": density, "size": size, "lines": LINES}})["concerned"]
    body = json_bytes(request_body(bought, till.hello["card"]))
    calls = 10 if size > JUDGED else 40
    echo, over_http = Wire(till.hello["echo"], body), Wire(till.hello["till"], body)
    others = [json_bytes(request_body(one, till.hello["card"])) for one in one_piece_more(bought)]
    requests = cycle([over_http.request("/v1/quotes", other) for other in others])
    try:
        return concerned, take_turns(
            {
                "echo": answered(echo, 100),
                "plain": alone(lambda: quote_basket(rules, bought, PLACE, MEMBER, explain=False), calls),
                "explained": alone(lambda: quote_basket(rules, bought, PLACE, MEMBER), calls),
                "over HTTP": answered(over_http, calls),
                "another": answered(lambda: over_http.send(next(requests)), calls),
                "till's echo": _in_till(till, echo, 100),
                "till's quote": _in_till(till, over_http, calls),
            }
        )
    finally:
        echo.close()
        over_http.close()


def _in_till(till: Child, call: Callable[[], object], calls: int) -> Round:
    """A round by what the till's process spends of its processor on a call."""

    def once() -> float:
        before = till.ask({})["processor_us"]
        for _ in range(calls):
            call()
        return (till.ask({})["processor_us"] - before) / calls

    return once
