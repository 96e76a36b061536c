"""How the cost of a quote grows with promotions and with lines: the engine beside itself, smaller."""

from collections.abc import Callable, Iterator

from bench.goods import MEMBER, PLACE, basket
from bench.programmes import Density, programme
from bench.quote import DENSITIES
from bench.rounds import alone, take_turns
from bench.table import Row, compared
from edge.cache.cache import freeze_memory
from loyalty.pricing.quotes import quote_basket
from loyalty.programme.compiled import compile_programme

# Lines, promotions, of the smaller and of the larger; the most that the larger may cost.
STEPS = (
    ((50, 1_000), (50, 5_000), 7.0),
    ((50, 1_000), (200, 1_000), 5.0),
    ((50, 100), (50, 1_000), None),
    ((10, 1_000), (50, 1_000), None),
)


def rows() -> Iterator[Row]:
    """Every step, sparse and dense."""
    for density in DENSITIES:
        for smaller, larger, at_most in STEPS:
            yield _row(density, smaller, larger, at_most)


def _row(density: Density, smaller: tuple[int, int], larger: tuple[int, int], at_most: float | None) -> Row:
    sides = {"larger": _quote(density, *larger), "smaller": _quote(density, *smaller)}
    freeze_memory()
    times = take_turns({name: alone(call, 10) for name, call in sides.items()})
    what = f"engine, {density} {larger[1]:,}, {larger[0]} lines"
    beside = f"{smaller[1]:,}, {smaller[0]} lines"
    return compared("P5" if at_most else "", what, times, "larger", "smaller", beside=beside, at_most=at_most)


def _quote(density: Density, lines: int, size: int) -> Callable[[], object]:
    bought = basket(lines)
    rules = compile_programme(programme(density, size, bought))
    return lambda: quote_basket(rules, bought, PLACE, MEMBER, explain=False)
