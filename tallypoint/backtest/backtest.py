"""Real sales priced under one or two programmes, without tills or ledger: what it costs, who wins and who loses.

Every sale is priced in the order of time, as if the programme had been in force; it is a pure function of the file and
the programmes. A sale that one of the programmes cannot price is left out under both, so that both are measured on the
same sales.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta

import msgspec

from loyalty.amounts import minor_in_micro, round_ratio
from loyalty.baskets import WrongCurrency
from loyalty.programme.compiled import compile_programme
from loyalty.programme.programme import Programme
from loyalty.programme.promotion import Promotion
from loyalty.trouble import Trouble
from tallypoint.backtest.compare import compare, distribution, worth_of
from tallypoint.backtest.pricing import PARTNERS, Run, Sale, Sum, deal, sales_in_order
from tallypoint.backtest.result import (
    BacktestReport,
    FileFigures,
    ProgrammeFigures,
    PromotionFigures,
    SetAsideLines,
    Share,
    Unpriced,
)
from tallypoint.receipts_file import FileRead

MOST_DAYS = 62  # a file longer than that is shown by month


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """The report, and what it was made from: the sales that were priced, and a run for each programme."""

    report: BacktestReport
    sales: tuple[Sale, ...]
    runs: tuple[Run, ...]


def backtest(
    read: FileRead,
    currency: str,
    programmes: Sequence[Programme],
    *,
    partner_of: Mapping[str, str] | None = None,
    point_worth_micro: int | None = None,
    spend_points: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Backtest:
    """Price the sales of a file under a programme, and hold it against another one where two are given.

    Args:
        currency: of the file.
        programmes: the first, and perhaps the one it is held against, in the file's currency.
        partner_of: stores and their partners; the others are dealt out by a hash of their ids among the partners that
            the programmes name (`where`), or those of `replay`.
        point_worth_micro: what a point is worth; without it, what each programme's `spending` says.
        spend_points: members pay with all the points they may, where the programme has `spending`.
        progress: told how many sales are done.
    Raises:
        WrongCurrency: a programme counts in another currency than the file.
    """
    for programme in programmes:
        _check_currency(programme, currency)
    partners = tuple(sorted(set((partner_of or {}).values()) or _named(programmes))) or PARTNERS
    dealt = deal({one.store for one in read.receipts}, partners, partner_of or {})
    sales = sales_in_order(read.receipts, currency, dealt)
    runs = tuple(Run(compile_programme(one), spend_points=spend_points) for one in programmes)
    priced, unpriced = _price(sales, runs, progress)
    worths = tuple(_worth(one, point_worth_micro) for one in programmes)
    file = _file_figures(read, sales)
    by_day = file.from_on is None or file.to_on - file.from_on < timedelta(days=MOST_DAYS)
    report = BacktestReport(
        currency=currency,
        file=file,
        spend_points=spend_points,
        period="day" if by_day else "month",
        partners=partners,
        programmes=tuple(
            _figures(run, worth, currency, by_day=by_day) for run, worth in zip(runs, worths, strict=True)
        ),
        comparison=compare(priced, runs, worths, currency) if len(runs) > 1 else None,
        unpriced=unpriced,
    )
    return Backtest(report=report, sales=priced, runs=runs)


def _price(
    sales: Sequence[Sale], runs: Sequence[Run], progress: Callable[[int], None]
) -> tuple[tuple[Sale, ...], tuple[Unpriced, ...]]:
    """Each sale under every programme; taken in only when all of them priced it."""
    priced: list[Sale] = []
    failed: dict[tuple[str, str], list[tuple[Sale, Trouble]]] = {}
    for done, sale in enumerate(sales, 1):
        quotes = []
        for run in runs:
            try:
                quotes.append(run.quote(sale))
            except Trouble as trouble:
                failed.setdefault((run.programme.id, trouble.code), []).append((sale, trouble))
        if len(quotes) == len(runs):
            priced.append(sale)
            for run, quote in zip(runs, quotes, strict=True):
                run.take(sale, quote)
        progress(done)
    for run in runs:
        run.close()
    return tuple(priced), tuple(
        Unpriced(
            programme=programme,
            code=code,
            say=found[0][1].say,
            receipts=tuple(sale.basket.receipt_id for sale, _ in found),
        )
        for (programme, code), found in failed.items()
    )


def _check_currency(programme: Programme, currency: str) -> None:
    if programme.currency != currency:
        raise WrongCurrency(
            f"The programme {programme.id} counts in {programme.currency} and the file in {currency};"
            " name a programme in the file's currency.",
            wanted=currency,
            found=programme.currency,
        )


def _named(programmes: Iterable[Programme]) -> set[str]:
    promotions = [promotion for programme in programmes for promotion in programme.promotions]
    return {partner for promotion in promotions for partner in promotion.where.partners}


def _worth(programme: Programme, said: int | None) -> int:
    """Micro-units of one point: as said, else by the step in which points are spent, half up; 0 where neither is."""
    if said is not None or programme.spending is None:
        return said or 0
    spending = programme.spending
    return round_ratio(spending.step_minor * minor_in_micro(programme.currency), spending.step_points)


def _file_figures(read: FileRead, sales: Sequence[Sale]) -> FileFigures:
    back = [one for one in read.receipts if one.is_return]
    days = [sale.place.business_date for sale in sales]
    return FileFigures(
        lines=read.read,
        set_aside=tuple(SetAsideLines(reason=reason, lines=lines) for reason, lines in sorted(read.set_aside.items())),
        receipts=len(sales),
        sales_minor=sum(sale.sales_minor for sale in sales),
        anonymous=sum(not sale.member for sale in sales),
        members=max((sale.member for sale in sales), default=0),
        returns=len(back),
        returned_minor=sum(line.amount_minor for one in back for line in one.lines),
        from_on=min(days, default=None),
        to_on=max(days, default=None),
    )


def _figures(run: Run, worth: int, currency: str, *, by_day: bool) -> ProgrammeFigures:
    total, minor_micro = run.total, minor_in_micro(currency)
    cost = worth_of(total, worth, currency)
    promotions = tuple(_promotion_figures(run, one, worth, minor_micro) for one in run.programme.promotions)
    return ProgrammeFigures(
        programme=run.programme.id,
        version=run.compiled.version,
        point_worth_micro=worth,
        receipts=total.receipts,
        sales_minor=total.sales_minor,
        discount_minor=total.discount_minor,
        discount_funded_minor=sum(one.discount_funded_minor for one in promotions),
        paid_with_points_minor=run.paid_with_points_minor,
        points=total.points,
        points_funded=sum(one.points_funded for one in promotions),
        points_spent=run.points_spent,
        points_lapsed=run.points_lapsed,
        points_left=sum(member.balance for member in run.members.values()),
        points_micro=total.points * worth,
        cost_micro=cost,
        cost_bp=round_ratio(cost * 10_000, total.sales_minor * minor_micro) if total.sales_minor else 0,
        promotions=promotions,
        departments=_shares(run.departments, worth, currency, dearest=True),
        periods=_shares(run.days if by_day else _months(run.days), worth, currency),
        partners=_shares(run.partners, worth, currency),
        distribution=distribution([worth_of(given, worth, currency) for given in run.given], currency),
    )


def _promotion_figures(run: Run, promotion: Promotion, worth: int, minor_micro: int) -> PromotionFigures:
    found = run.promotions[promotion.id]
    return PromotionFigures(
        promotion=promotion.id,
        name=promotion.name,
        funded_by=promotion.funded_by,
        receipts=found.receipts,
        members=len(found.members),
        discount_minor=found.discount_minor,
        discount_funded_minor=found.discount_funded_minor,
        points=found.points,
        points_funded=found.points_funded,
        points_micro=found.points * worth,
        cost_micro=found.discount_minor * minor_micro + found.points * worth,
        gifts=found.gifts,
        coupons=found.coupons,
    )


def _shares(sums: Mapping[str, Sum], worth: int, currency: str, *, dearest: bool = False) -> tuple[Share, ...]:
    """Slices by name, or by their sales."""
    names = sorted(sums, key=lambda name: (-sums[name].sales_minor, name)) if dearest else sorted(sums)
    return tuple(
        Share(
            name=name,
            receipts=sums[name].receipts,
            sales_minor=sums[name].sales_minor,
            discount_minor=sums[name].discount_minor,
            points=sums[name].points,
            value_micro=worth_of(sums[name], worth, currency),
        )
        for name in names
    )


def _months(days: Mapping[str, Sum]) -> dict[str, Sum]:
    months: dict[str, Sum] = {}
    for day, one in days.items():
        month = months.setdefault(day[:7], Sum())
        month.receipts += one.receipts
        month.sales_minor += one.sales_minor
        month.discount_minor += one.discount_minor
        month.points += one.points
    return months

