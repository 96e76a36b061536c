"""The table: what was measured beside what, the ratio, the budget, and whether it was kept.

Only ratios are judged. A miss is shown; past twice a budget the run fails.
"""

from collections.abc import Iterable
from statistics import median

import msgspec

from bench.rounds import Times, ratio

HEAD = f"{'':<4} {'what':<52} {'µs':>10}  {'beside':<26} {'µs':>12} {'ratio':>9} {'budget':>9}"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table; times are medians a call, in microseconds.

    Attributes:
        budget: its number, such as `P4`; empty for what is only told.
        beside: the ceiling or the peer.
        ratio: `at_most` bounds ours over theirs, `at_least` theirs over ours.
        skipped: why it was not measured; then there are no figures.
        absolute: the budget is a speed of this machine; a miss is shown, and the run does not fail of it.
    """

    what: str
    budget: str = ""
    ours_us: float = 0.0
    beside: str = ""
    beside_us: float = 0.0
    ratio: float = 0.0
    at_most: float | None = None
    at_least: float | None = None
    skipped: str = ""
    absolute: bool = False


def compared(
    budget: str,
    what: str,
    times: Times,
    ours: str,
    theirs: str,
    *,
    beside: str = "",
    faster: bool = False,
    at_most: float | None = None,
    at_least: float | None = None,
    absolute: bool = False,
) -> Row:
    """A row of two sides that took turns.

    Args:
        ours, theirs: the names of the sides; `beside` says more about theirs.
        faster: the ratio is theirs over ours, how many times faster we are; else ours over theirs.
    """
    over, under = (theirs, ours) if faster else (ours, theirs)
    return Row(
        budget=budget,
        what=what,
        ours_us=median(times[ours]),
        beside=beside or theirs,
        beside_us=median(times[theirs]),
        ratio=ratio(times[over], times[under]),
        at_most=at_most,
        at_least=at_least,
        absolute=absolute,
    )


def verdict(row: Row) -> str:
    """`kept`, `missed`, `past twice`, or nothing where there is no budget or no measurement."""
    if row.skipped or (row.at_most is None and row.at_least is None):
        return ""
    over = row.ratio / row.at_most if row.at_most is not None else row.at_least / row.ratio  # type: ignore[operator]
    return "kept" if over <= 1 else "missed" if over <= 2 else "past twice"


def line(row: Row) -> str:
    """A row as it is printed."""
    if row.skipped:
        return f"{row.budget:<4} {row.what:<52} not measured: {row.skipped}"
    bound = f"<= {row.at_most:g}" if row.at_most is not None else ""
    bound = f">= {row.at_least:,g}" if row.at_least is not None else bound
    return (
        f"{row.budget:<4} {row.what:<52} {row.ours_us:>10,.0f}  {row.beside:<26} {row.beside_us:>12,.0f} "
        f"{_plain(row.ratio):>9} {bound:>9}  {verdict(row)}"
    ).rstrip()


def summary(rows: Iterable[Row]) -> str:
    """How many budgets were kept, and every one that was not."""
    judged = [(row, verdict(row)) for row in rows if verdict(row)]
    missed = [f"  {row.budget} {said}: {row.what}, {_plain(row.ratio)}" for row, said in judged if said != "kept"]
    return "\n".join([f"{len(judged) - len(missed)} of {len(judged)} budgets kept", *missed])


def exit_status(rows: Iterable[Row]) -> int:
    """1 where any ratio is past twice its budget."""
    return int(any(verdict(row) == "past twice" and not row.absolute for row in rows))


def _plain(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2f}"
