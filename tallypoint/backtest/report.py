"""A back-test as one page: charts with their tables, in light and dark, without scripts and with nothing to load."""

from functools import partial
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loyalty.amounts import minor_in_micro
from tallypoint.backtest.charts import cost_chart, distribution_chart, period_chart
from tallypoint.backtest.result import BacktestReport, PromotionFigures
from tallypoint.backtest.text import count, micro_money, money, percent, range_of, share_of, side_of, signed, totals

_JINJA = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,  # promotions and departments are called whatever a document or a file says
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def html_of(report: BacktestReport) -> str:
    """The page; the same bytes for the same report."""
    comparison, minor_micro = report.comparison, minor_in_micro(report.currency)
    bars = comparison.distribution if comparison else report.programmes[0].distribution
    return _JINJA.get_template("backtest.html").render(
        report=report,
        comparison=comparison,
        bars=bars,
        costs=cost_chart(report),
        distribution=distribution_chart(bars, report.currency, compared=comparison is not None),
        periods=period_chart(report),
        totals=list(totals(report)),
        pairs=_pairs(report),
        minor_micro=minor_micro,
        funded=lambda minor, points, programme: minor * minor_micro + points * programme.point_worth_micro,
        count=count,
        percent=percent,
        signed=signed,
        share_of=share_of,
        side_of=side_of,
        money=partial(money, currency=report.currency),
        micro=partial(micro_money, currency=report.currency),
        range_of=partial(range_of, currency=report.currency, plus="+" if comparison else ""),
    )


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion under both programmes; none where one of them does not have it."""

    name: str
    first: PromotionFigures | None
    other: PromotionFigures | None

    @property
    def difference_micro(self) -> int:
        """How much more it costs under the first."""
        return (self.first.cost_micro if self.first else 0) - (self.other.cost_micro if self.other else 0)


def _pairs(report: BacktestReport) -> list[Pair]:
    """Promotions of two programmes beside their namesakes, the largest difference first."""
    if report.comparison is None:
        return []
    first, other = ({one.promotion: one for one in programme.promotions} for programme in report.programmes)
    named = {one.promotion: one.name or one.promotion for found in (other, first) for one in found.values()}
    pairs = [Pair(name=name, first=first.get(key), other=other.get(key)) for key, name in named.items()]
    return sorted(pairs, key=lambda pair: (-abs(pair.difference_micro), pair.name))
