"""Figures of a back-test as people read them: grouped, with a true minus, rounded only here."""

from collections.abc import Callable, Iterator
from datetime import date
from functools import partial

from loyalty.amounts import exponent_of, format_minor, micro_to_minor, round_ratio
from tallypoint.backtest.result import BacktestReport, Bar

MINUS = "−"
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

# What is said of a whole programme: in words, by which name, in which unit.
TOTALS = (
    ("receipts priced", "receipts", "count"),
    ("sales", "sales_minor", "minor"),
    ("discounts", "discount_minor", "minor"),
    ("of them paid by another partner", "discount_funded_minor", "minor"),
    ("points granted", "points", "count"),
    ("of them issued by another partner", "points_funded", "count"),
    ("cost of points", "points_micro", "micro"),
    ("cost, discounts and points", "cost_micro", "micro"),
    ("cost as a share of sales", "cost_bp", "bp"),
    ("points spent", "points_spent", "count"),
    ("paid with points", "paid_with_points_minor", "minor"),
    ("points lapsed", "points_lapsed", "count"),
    ("points left at the end", "points_left", "count"),
)


def totals(report: BacktestReport) -> Iterator[tuple[str, list[str]]]:
    """What, a figure for each programme, and the difference where there are two."""
    write: dict[str, Callable[[int], str]] = {
        "count": count,
        "bp": percent,
        "minor": partial(money, currency=report.currency),
        "micro": partial(micro_money, currency=report.currency),
    }
    for words, name, unit in TOTALS:
        figures = [getattr(one, name) for one in report.programmes]
        difference = [signed(write[unit](figures[0] - figures[1]))] if len(figures) > 1 else []
        yield words, [*map(write[unit], figures), *difference]


def count(number: int) -> str:
    """`-1234` → `−1,234`."""
    return f"{MINUS if number < 0 else ''}{abs(number):,}"


def money(minor: int, currency: str) -> str:
    """Minor units of a currency: `-123456` EUR → `−1,234.56`."""
    whole, point, rest = format_minor(abs(minor), currency).partition(".")
    return f"{MINUS if minor < 0 else ''}{int(whole):,}{point}{rest}"


def micro_money(micro: int, currency: str) -> str:
    """Micro-units as money, half up away from zero."""
    return money(micro_to_minor(micro, currency), currency)


def signed(text: str) -> str:
    """A difference shows its sign: `3` → `+3`; nothing stays nothing."""
    return text if text.startswith(MINUS) or not text.strip("0., %") else f"+{text}"


def percent(bp: int) -> str:
    """Basis points as a percentage: `425` → `4.25 %`."""
    return f"{MINUS if bp < 0 else ''}{abs(bp) // 100}.{abs(bp) % 100:02d} %"


def share_of(part: int, whole: int) -> str:
    """A part of a whole as a percentage, half up; a dash where there is no whole."""
    return percent(round_ratio(part * 10_000, whole)) if whole else "–"


def range_of(bar: Bar, currency: str, *, plus: str = "") -> str:
    """A bar of a distribution, away from 0: `0`, `up to 0.10`, `0.10 to 0.25`, `over 10.00`; where it starts is out."""
    if bar.above_minor == bar.to_minor:
        return "0"
    above = _is_above(bar)
    sign, near, far = (plus, bar.above_minor, bar.to_minor) if above else (MINUS, bar.to_minor, bar.above_minor)
    if far is None:
        return f"over {sign}{money(abs(near or 0), currency)}"
    if not near:
        return f"up to {sign}{money(abs(far), currency)}"
    return f"{sign}{money(abs(near), currency)} to {sign}{money(abs(far), currency)}"


def side_of(bar: Bar) -> str:
    """Which way a bar of a distribution lies: better, worse or same."""
    if bar.above_minor == bar.to_minor:
        return "same"
    return "better" if _is_above(bar) else "worse"


def short_money(minor: int, currency: str) -> str:
    """Round money for an axis: `2500000` EUR → `25k`, `50` → `0.5`, `-25` → `−0.25`."""
    sign, unit = MINUS if minor < 0 else "", 10 ** exponent_of(currency)
    if abs(minor) >= 1000 * unit and minor % (100 * unit) == 0:
        return f"{sign}{abs(minor) // (1000 * unit):,}" + (f".{abs(minor) // (100 * unit) % 10}k").replace(".0k", "k")
    whole, point, rest = format_minor(abs(minor), currency).partition(".")
    return f"{sign}{int(whole):,}{point}{rest}".rstrip("0").rstrip(".") if point else f"{sign}{int(whole):,}"


def short_count(number: int) -> str:
    """A count that fits above a column: `12345` → `12.3k`; the table has it in full."""
    return f"{number:,}" if number < 10_000 else f"{number // 1000}.{number // 100 % 10}k".replace(".0k", "k")


def period_name(name: str) -> tuple[str, str]:
    """A month or day in two lines: `2017-03` → `Mar`, `2017`; `2010-12-01` → `1`, `Dec 2010`."""
    if len(name) == len("2017-03"):
        return MONTHS[int(name[5:]) - 1], name[:4]
    day = date.fromisoformat(name)
    return str(day.day), f"{MONTHS[day.month - 1]} {day.year}"


def _is_above(bar: Bar) -> bool:
    return bar.above_minor is not None and bar.above_minor >= 0
