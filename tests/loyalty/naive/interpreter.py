"""The programme language, read literally: stages in order, every promotion in its turn, then points.

Where the page leaves something open the simplest reading was taken:
- with `exclusive_wins` the exclusive promotions are worked out alone, stage by stage; if that takes nothing off they
  have had their turn, and the others are worked out without them;
- promotions that only speak run in `earning`;
- what has lost within its group has been kept out; what took nothing off has lost nothing, and may still grant points;
- parts of a `sum` beyond the room of a line are cut, the last promotion's first.
"""

from collections.abc import Callable, Sequence
from typing import Any

from loyalty.baskets import Basket, Place
from loyalty.members import MemberView, Use, WalletItem
from loyalty.pricing.leases import NO_AUTHORITY, Authority
from loyalty.programme.benefits import MONEY, Gift, IssueCoupon
from loyalty.programme.programme import Programme
from loyalty.programme.promotion import OnEvent
from tests.loyalty.naive.bench import Bench
from tests.loyalty.naive.codes import all_runs, entered_codes
from tests.loyalty.naive.combining import kept_out, may_grant
from tests.loyalty.naive.conditions import judge
from tests.loyalty.naive.discounting import Worked, work_out
from tests.loyalty.naive.figures import Figures, figures_of, gift_units, may_have
from tests.loyalty.naive.paying import pay_with_points
from tests.loyalty.naive.points import points_for
from tests.loyalty.naive.sale import Run, Sale


def naive_quote(
    programme: Programme,
    basket: Basket,
    place: Place,
    view: MemberView | None,
    *,
    authority: Authority = NO_AUTHORITY,
    bearer: Sequence[WalletItem] = (),
    shared: Sequence[Use] | None = None,
) -> Figures:
    """What a quote must say, worked out the long way.

    Args: as those of `loyalty.pricing.quotes.quote_basket`, with the programme as a document.
    Source: docs/programme.md.
    """
    counters = {use.name: use.amount for use in shared or ()}

    def afresh() -> Sale:
        return Sale(programme, basket, place, view, authority, tuple(bearer), counters)

    entered = entered_codes(afresh())
    runs = all_runs(afresh(), entered)
    sale = _priced(afresh, runs)
    _earn(sale, runs)
    return figures_of(sale, entered)


def _priced(afresh: Callable[[], Sale], runs: Sequence[Run]) -> Sale:
    """Everything up to what is paid in money; exclusive promotions first and alone, where they win."""
    money = [run for run in runs if run.takes_money_off]

    def go(sale: Sale, some: Sequence[Run]) -> Sale:
        return _through_the_stages(sale, some, runs)

    alone = [run for run in money if run.promotion.exclusive]
    sale = afresh()
    if not alone or sale.programme.options.exclusive == "priority_wins":
        return go(sale, money)
    others = [run for run in money if run not in alone]
    go(sale, alone)
    if any(sale.off):
        sale.verdicts |= dict.fromkeys(others, "kept_out")
        return sale
    after = afresh()
    after.held, after.verdicts = sale.held, sale.verdicts
    return go(after, others)


def _through_the_stages(sale: Sale, runs: Sequence[Run], of_all: Sequence[Run]) -> Sale:
    for stage in ("price_list", "before", "main", "after"):
        _stage(stage, sale, runs)
        if stage == "price_list":
            sale.original = sale.costs()

    def would_earn(trial: Sale) -> int:
        _stage("redemption", trial, runs)
        _earn(trial, of_all)
        return sum(sum(row) for row in trial.points_by.values())

    sale.prizes = pay_with_points(sale, would_earn)
    _stage("redemption", sale, runs)
    return sale


def _stage(stage: str, sale: Sale, runs: Sequence[Run]) -> None:
    """Every promotion of a stage in its turn; a group that is not sequential in that of its first member that holds."""
    sale.stage, sale.began = stage, sale.costs()
    turns = _in_turn([run for run in runs if run.promotion.stage == stage], sale)
    done: set[Run] = set()
    for run in turns:
        if run in done or run in sale.verdicts:
            continue
        stacking = _stacking(run, sale)
        if not _may_run(run, sale):
            continue
        together = [run]
        if stacking != "sequential":
            rest = [other for other in turns if other != run and other not in done | set(sale.verdicts)]
            together += [o for o in rest if o.promotion.group == run.promotion.group and _may_run(o, sale)]
            done |= set(together)
        tried = [(one, work_out(one.promotion, sale)) for one in together]
        COMBINE[stacking]([(one, worked) for one, worked in tried if _fits_budget(one, worked, sale)], sale)


def _in_turn(runs: Sequence[Run], sale: Sale) -> list[Run]:
    """By priority as the programme counts it, then automatic ones as listed, then those that something set off."""
    by = sale.programme.options.priority
    if by == "as_listed":
        return sorted(runs, key=lambda run: (run.listed, run.entered))
    sign = -1 if by == "high_first" else 1
    return sorted(runs, key=lambda run: (sign * run.promotion.priority, run.turn, run.listed))


def _stacking(run: Run, sale: Sale) -> str:
    named = {group.id: group.stacking for group in sale.programme.groups}
    return named.get(run.promotion.group, sale.programme.options.stacking)


def _may_run(run: Run, sale: Sale) -> bool:
    """Whether a promotion combines with what has applied, and holds; noted, for this is decided once."""
    verdict = "kept_out" if kept_out(run, sale) else judge(run, sale)
    if verdict:
        sale.verdicts[run] = verdict
        return False
    sale.held.append(run)
    return True


def _fits_budget(run: Run, worked: Worked, sale: Sale) -> bool:
    """A promotion applies only when its whole discount fits into what is left."""
    limits = run.promotion.limits
    if limits is None or limits.budget_minor is None:
        return True
    left = limits.budget_minor - sale.shared.get(f"budget:{run.promotion.id}", 0) - sale.took(run.promotion)
    if sum(worked.cuts) <= left:
        return True
    _drop(run, "not_now", sale)
    return False


def _drop(run: Run, verdict: str, sale: Sale) -> None:
    sale.held.remove(run)
    sale.verdicts[run] = verdict


def _apply(run: Run, cuts: Sequence[int], units: Sequence[int], sale: Sale) -> None:
    if not any(cuts):
        return
    sale.off = [one + cut for one, cut in zip(sale.off, cuts, strict=True)]
    before = sale.off_by.get(run.promotion.id, [0] * len(cuts))
    sale.off_by[run.promotion.id] = [one + cut for one, cut in zip(before, cuts, strict=True)]
    sale.units_by[run.promotion.id] = sale.units_by.get(run.promotion.id, 0) + sum(units)
    sale.applied.append(run)


def _one_by_one(tried: Sequence[tuple[Run, Worked]], sale: Sale) -> None:
    for run, worked in tried:
        _apply(run, worked.cuts, worked.units, sale)


def _best_of(tried: Sequence[tuple[Run, Worked]], sale: Sale) -> None:
    best = max((sum(worked.cuts) for _, worked in tried), default=0)
    stays: Run | None = None
    for run, worked in tried:
        if stays is None and sum(worked.cuts) == best:
            stays = run
            _apply(run, worked.cuts, worked.units, sale)
        elif any(worked.cuts):
            _drop(run, "kept_out", sale)


def _best_of_line(tried: Sequence[tuple[Run, Worked]], sale: Sale) -> None:
    kept = {run: [0] * len(sale.lines) for run, _ in tried}
    for i in range(len(sale.lines)):
        best = max((worked.cuts[i] for _, worked in tried), default=0)
        if best:
            winner = next(run for run, worked in tried if worked.cuts[i] == best)
            kept[winner][i] = best
    for run, worked in tried:
        if any(worked.cuts) and (kept_out(run, sale) or not any(kept[run])):
            _drop(run, "kept_out", sale)
        else:
            units = [count if cut else 0 for count, cut in zip(worked.units, kept[run], strict=True)]
            _apply(run, kept[run], units, sale)


def _sum(tried: Sequence[tuple[Run, Worked]], sale: Sale) -> None:
    for run, worked in tried:
        if kept_out(run, sale):
            _drop(run, "kept_out", sale)
            continue
        rooms = Bench(run.promotion, sale, sale.costs()).rooms
        _apply(run, [min(cut, room) for cut, room in zip(worked.cuts, rooms, strict=True)], worked.units, sale)


COMBINE: dict[str, Callable[[Sequence[tuple[Run, Worked]], Sale], None]] = {
    "sequential": _one_by_one,
    "best_of": _best_of,
    "best_of_line": _best_of_line,
    "sum": _sum,
}


def _earn(sale: Sale, runs: Sequence[Run]) -> None:
    """Everything that takes nothing off, and what others grant besides, in turn."""
    sale.stage, sale.began = "earning", sale.costs()
    turns = _in_turn(runs, sale)
    # What has taken money off has applied, so a multiplier finds its points whoever has the first turn.
    sale.going = [run for run in turns if run in sale.applied]
    for run in turns:
        if run in sale.going or not _may_run_late(run, sale):
            continue
        before = _sum_of(run, points_for(sale.going, sale))
        sale.going = [one for one in turns if one in sale.going or one == run]
        if _gives(run, sale) or not run.promotion.then or _sum_of(run, points_for(sale.going, sale)) > before:
            _note(run, sale)
    late = [run for run in sale.going if not run.takes_money_off and run not in sale.applied and kept_out(run, sale)]
    sale.verdicts |= dict.fromkeys(late, "kept_out")
    sale.going = [run for run in sale.going if run not in late]
    granting = may_grant(sale.going, sale)
    rows = points_for(granting, sale)
    sale.points_by = rows
    for run in sale.going:
        if run in granting and _sum_of(run, rows):
            _note(run, sale)
        elif run.promotion.grants_points and not _gives(run, sale) and not sale.took(run.promotion):
            sale.applied = [one for one in sale.applied if one != run]
            lost = run not in granting and not (run.promotion.exclusive and not any(points_for([run], sale)))
            sale.verdicts[run] = "kept_out" if lost else "does_nothing"


def _may_run_late(run: Run, sale: Sale) -> bool:
    """Whether a promotion has a turn in `earning`; one that could have taken money off holds if it held then."""
    if not run.takes_money_off:
        return _may_run(run, sale)
    if run not in sale.held or all(isinstance(benefit, MONEY) for benefit in run.promotion.then):
        return False
    if kept_out(run, sale):
        sale.verdicts[run] = "kept_out"
        return False
    return True


def _sum_of(run: Run, rows: dict[str, Any]) -> int:
    return sum(rows.get(run.promotion.id, ()))


def _gives(run: Run, sale: Sale) -> bool:
    """Whether it gives goods or coupons."""
    of_event = isinstance(run.promotion.trigger, OnEvent)
    return any(
        (isinstance(benefit, IssueCoupon) and may_have(benefit, sale))
        or (isinstance(benefit, Gift) and gift_units(benefit, sale, of_event=of_event) > 0)
        for benefit in run.promotion.then
    )


def _note(run: Run, sale: Sale) -> None:
    if run not in sale.applied:
        sale.applied.append(run)
