"""The charts of a back-test as geometry: what to draw where, in whole units of a viewBox; the template only draws.

Each chart stands beside a table that says the same in full, so a chart may round and leave small things out.
"""

from collections.abc import Iterable, Sequence

import msgspec

from loyalty.amounts import minor_in_micro
from tallypoint.backtest.result import BacktestReport, Bar, PromotionFigures, Share
from tallypoint.backtest.text import (
    count,
    micro_money,
    money,
    period_name,
    range_of,
    short_count,
    short_money,
    side_of,
)

WIDTH = 640
TOP = 30  # room above what is drawn: the figures of an axis, or of the highest column
NAMES, ENDS = 212, 72  # room left and right of horizontal bars
ROW, THICK = 36, 14
LEFT, RIGHT, HIGH, FOOT = 50, 14, 210, 46  # around and within columns
MOST_PROMOTIONS = 15
MOST_NAME = 30
LOOKS = ("first", "other")


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A rectangle; `look` is its class, `says` what a pointer over it is told."""

    x: int
    y: int
    width: int
    height: int
    look: str
    says: str


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A label; `look` names its classes: how it is aligned and coloured."""

    x: int
    y: int
    text: str
    look: str = "mid"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A thin line of the grid, or the axis."""

    x1: int
    y1: int
    x2: int
    y2: int
    look: str


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """One chart. `describes` says in words what it shows; `legend` pairs a class with its meaning."""

    name: str
    title: str
    describes: str
    height: int
    boxes: tuple[Box, ...]
    texts: tuple[Text, ...]
    rules: tuple[Rule, ...]
    legend: tuple[tuple[str, str], ...] = ()
    width: int = WIDTH


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a horizontal bar."""

    micro: int
    look: str
    says: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One promotion: a bar of pieces for each programme."""

    name: str
    bars: tuple[tuple[Piece, ...], ...]

    @property
    def longest(self) -> int:
        """Micro-units of its longest bar."""
        return max(sum(piece.micro for piece in bar) for bar in self.bars)


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """Round figures along an axis, from 0 to above the largest value, on so much room."""

    ticks: tuple[int, ...]
    room: int

    def length(self, value: int) -> int:
        """How long a value is drawn; what is more than nothing is seen."""
        return max(value * self.room // self.ticks[-1], 1) if value else 0


def cost_chart(report: BacktestReport) -> Chart:
    """Cost by promotion, the dearest first: of one programme discounts and points, of two a bar for each."""
    rows = [row for row in sorted(_rows(report), key=lambda row: (-row.longest, row.name)) if row.longest]
    rows = rows[:MOST_PROMOTIONS]
    micro = minor_in_micro(report.currency)
    scale = _scale((row.longest for row in rows), WIDTH - NAMES - ENDS, unit=micro)
    boxes: list[Box] = []
    texts = [
        Text(x=NAMES + scale.length(tick), y=TOP - 14, text=short_money(tick // micro, report.currency))
        for tick in scale.ticks
    ]
    for n, row in enumerate(rows):
        middle = TOP + ROW * n + ROW // 2
        name = row.name if len(row.name) <= MOST_NAME else row.name[: MOST_NAME - 1] + "…"
        texts.append(Text(x=NAMES - 10, y=middle + 4, text=name, look="end ink"))
        for m, bar in enumerate(row.bars):
            y, x = middle - THICK * len(row.bars) // 2 + m * (THICK + 1), NAMES
            for piece in bar:
                width = scale.length(piece.micro)
                if width:
                    says = f"{row.name}, {piece.says}: {micro_money(piece.micro, report.currency)}"
                    boxes.append(Box(x=x, y=y, width=width, height=THICK, look=piece.look, says=says))
                x += width
            if x > NAMES:
                total = micro_money(sum(piece.micro for piece in bar), report.currency)
                texts.append(Text(x=x + 6, y=y + THICK - 3, text=total, look="start"))
    bottom = TOP + ROW * len(rows)
    return Chart(
        name="costs",
        title=f"Cost by promotion, {report.currency}",
        describes=f"{len(rows)} bars, the dearest promotion first: "
        + "; ".join(f"{row.name} {micro_money(row.longest, report.currency)}" for row in rows[:3])
        + ".",
        height=bottom + 8,
        boxes=tuple(boxes),
        texts=tuple(texts),
        rules=tuple(
            Rule(x1=x, y1=TOP - 8, x2=x, y2=bottom, look="grid" if tick else "axis")
            for tick, x in ((tick, NAMES + scale.length(tick)) for tick in scale.ticks)
        ),
        legend=_legend(report) or (("first", "discounts"), ("points", "points at their worth")),
    )


def distribution_chart(bars: Sequence[Bar], currency: str, *, compared: bool) -> Chart:
    """Receipts by what they got, or by how much more they get under the first programme than under the other."""
    plus = "+" if compared else ""
    scale = _scale((bar.receipts for bar in bars), HIGH)
    step = (WIDTH - LEFT - RIGHT) // max(len(bars), 1)
    boxes: list[Box] = []
    texts: list[Text] = []
    for n, bar in enumerate(bars):
        x, high, side = LEFT + n * step, scale.length(bar.receipts), side_of(bar)
        says = f"{range_of(bar, currency, plus=plus)}: {count(bar.receipts)} receipts"
        look = side if compared or side == "same" else "first"
        boxes.append(Box(x=x + 3, y=TOP + HIGH - high, width=step - 6, height=high, look=look, says=says))
        texts.append(Text(x=x + step // 2, y=TOP + HIGH - high - 7, text=short_count(bar.receipts)))
        if side == "same":
            texts.append(Text(x=x + step // 2, y=TOP + HIGH + 18, text="0", look="mid ink"))
        edge = bar.to_minor if side == "better" else bar.above_minor
        if edge:  # a figure stands where a column ends
            at = x + step if side == "better" else x
            texts.append(Text(x=at, y=TOP + HIGH + 18, text=short_money(edge, currency)))
    what = f"{'difference' if compared else 'value'} of a receipt, {currency}; each column ends at its figure"
    texts.append(Text(x=(LEFT + WIDTH - RIGHT) // 2, y=TOP + HIGH + 40, text=what))
    largest = max(bars, key=lambda bar: bar.receipts, default=None)
    return Chart(
        name="distribution",
        title="Receipts by difference" if compared else "Receipts by what they got",
        describes=f"{len(bars)} columns; the most receipts, {count(largest.receipts)}, lie at "
        f"{range_of(largest, currency, plus=plus)}." if largest else "No receipt was priced.",
        height=TOP + HIGH + FOOT,
        boxes=tuple(boxes),
        texts=(*texts, *_figures_at(scale, [short_count(tick) for tick in scale.ticks])),
        rules=_lines_at(scale),
        legend=(("worse", "worse off"), ("same", "no difference"), ("better", "better off")) if compared else (),
    )


def period_chart(report: BacktestReport) -> Chart:
    """Discount by month, or by day in a short file: a column for each programme."""
    currency = report.currency
    names = [share.name for share in report.programmes[0].periods]
    shares = [share for one in report.programmes for share in one.periods]
    scale = _scale((share.discount_minor for share in shares), HIGH)
    step = (WIDTH - LEFT - RIGHT) // max(len(names), 1)
    boxes = [
        box
        for m, one in enumerate(report.programmes)
        for n, share in enumerate(one.periods)
        for box in _column(share, scale, LEFT + n * step, step, m, len(report.programmes), one.programme, currency)
    ]
    every = -(-len(names) * 40 // (WIDTH - LEFT - RIGHT))  # labels need so much room each
    texts = []
    said = ""
    for n, name in enumerate(names):
        upper, lower = period_name(name)
        if n % max(every, 1) == 0:
            texts.append(Text(x=LEFT + n * step + step // 2, y=TOP + HIGH + 18, text=upper))
            if lower != said:
                texts.append(Text(x=LEFT + n * step + step // 2, y=TOP + HIGH + 36, text=lower))
            said = lower
    highest = max(report.programmes[0].periods, key=lambda share: share.discount_minor, default=None)
    return Chart(
        name="periods",
        title=f"Discount by {report.period}, {currency}",
        describes=f"{len(names)} columns; under {report.programmes[0].programme} the highest is "
        f"{money(highest.discount_minor, currency)} in {highest.name}." if highest else "No receipt was priced.",
        height=TOP + HIGH + FOOT,
        boxes=tuple(boxes),
        texts=(*texts, *_figures_at(scale, [short_money(tick, currency) for tick in scale.ticks])),
        rules=_lines_at(scale),
        legend=_legend(report),
    )


def _rows(report: BacktestReport) -> list[Row]:
    """Every promotion of any programme, in one row with its namesake of the other."""
    two = len(report.programmes) > 1
    by_id = [{one.promotion: one for one in programme.promotions} for programme in report.programmes]
    names = {one.promotion: one.name or one.promotion for found in reversed(by_id) for one in found.values()}
    micro = minor_in_micro(report.currency)
    return [
        Row(
            name=name,
            bars=tuple(
                (_whole(found.get(promotion), LOOKS[m], report.programmes[m].programme),)
                if two
                else _kinds(found[promotion], micro)
                for m, found in enumerate(by_id)
            ),
        )
        for promotion, name in names.items()
    ]


def _whole(found: PromotionFigures | None, look: str, programme: str) -> Piece:
    return Piece(micro=found.cost_micro if found else 0, look=look, says=programme)


def _kinds(found: PromotionFigures, minor_micro: int) -> tuple[Piece, ...]:
    return (
        Piece(micro=found.discount_minor * minor_micro, look="first", says="discounts"),
        Piece(micro=found.points_micro, look="points", says="points"),
    )


def _column(
    share: Share, scale: Scale, x: int, step: int, which: int, of: int, programme: str, currency: str
) -> Iterable[Box]:
    """The column of a programme in a period; several stand side by side."""
    high = scale.length(share.discount_minor)
    if high:
        wide = min(40, (step - 8) // of)
        yield Box(
            x=x + (step - wide * of) // 2 + wide * which,
            y=TOP + HIGH - high,
            width=max(wide - 2, 1),
            height=high,
            look=LOOKS[which],
            says=f"{share.name}, {programme}: {money(share.discount_minor, currency)}",
        )


def _scale(values: Iterable[int], room: int, unit: int = 1) -> Scale:
    """About four steps of 1, 2 or 5 times a power of ten (of `unit`) that reach over the largest value."""
    largest = max(values, default=0)
    step, factors = unit, (2, 5, 10)
    base = unit
    while step * 4 < largest:
        step = next(base * factor for factor in factors if base * factor > step)
        if step == base * 10:
            base = step
    return Scale(ticks=tuple(range(0, max(-(-largest // step), 1) * step + 1, step)), room=room)


def _figures_at(scale: Scale, figures: Sequence[str]) -> Iterable[Text]:
    for tick, figure in zip(scale.ticks, figures, strict=True):
        yield Text(x=LEFT - 8, y=TOP + HIGH - scale.length(tick) + 4, text=figure, look="end")


def _lines_at(scale: Scale) -> tuple[Rule, ...]:
    heights = [(tick, TOP + HIGH - scale.length(tick)) for tick in scale.ticks]
    return tuple(
        Rule(x1=LEFT, y1=y, x2=WIDTH - RIGHT, y2=y, look="grid" if tick else "axis") for tick, y in heights
    )


def _legend(report: BacktestReport) -> tuple[tuple[str, str], ...]:
    """Which colour is which programme, where there are two."""
    names = [one.programme for one in report.programmes]
    return tuple(zip(LOOKS, names, strict=True)) if len(names) > 1 else ()
