"""The engine beside the naive interpreter of the tests: the same figures, many times faster."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bench.goods import MEMBER, PLACE, basket
from bench.programmes import Density, programme
from bench.quote import DENSITIES, JUDGED, LINES, SIZES
from bench.rounds import alone, take_turns
from bench.table import Row, compared
from edge.cache.cache import freeze_memory
from loyalty.pricing.quotes import Quote, quote_basket
from loyalty.programme.compiled import compile_programme

if TYPE_CHECKING:
    from tests.loyalty.naive import Figures

ROUNDS = 5
AT_LEAST = 10.0
MOST = 1_000  # promotions; it looks at every pair of those that grant points


class Different(Exception):
    """Engine and naive interpreter do not find the same figures."""


def rows() -> Iterator[Row]:
    """One row for each programme."""
    absent = find_spec("tests.loyalty.naive") is None
    for density in DENSITIES:
        for size in SIZES:
            what = f"engine, {density} {size:,}"
            if absent:
                yield Row(what=what, budget="P4", skipped="tests/ is not here, and the naive interpreter is there")
            elif size > MOST:
                yield Row(what=what, skipped=f"a quote of the naive interpreter takes seconds at {MOST:,} already")
            else:
                yield _row(what, density, size)


def check_equal(quote: Quote, figures: "Figures", what: str) -> None:
    """Raises: Different, with every figure on which they are not one."""
    from tests.loyalty.long_run import in_words_of_figures

    found = in_words_of_figures(quote)
    wanted = {name: getattr(figures, name) for name in figures.__dataclass_fields__}
    apart = {name: (found[name], value) for name, value in wanted.items() if found[name] != value}
    if apart:
        raise Different(f"{what}: (engine, naive) {apart}")


def _row(what: str, density: Density, size: int) -> Row:
    from tests.loyalty.naive import naive_quote

    bought = basket(LINES)
    wanted = programme(density, size, bought)
    rules = compile_programme(wanted)
    freeze_memory()
    found: list[Figures] = []
    times = take_turns(
        {
            "engine": alone(lambda: quote_basket(rules, bought, PLACE, MEMBER, explain=False), 20),
            "naive": alone(lambda: found.append(naive_quote(wanted, bought, PLACE, MEMBER)), 1),
        },
        ROUNDS,
    )
    check_equal(quote_basket(rules, bought, PLACE, MEMBER), found[0], what)
    bound = AT_LEAST if size == JUDGED else None
    return compared("P4" if bound else "", what, times, "engine", "naive", faster=True, at_least=bound)
