"""What keeps a promotion out: groups that do not combine, and exclusive promotions.

Where the page leaves something open the simplest reading was taken:
- what takes money off is told by what it did, once it has applied or nothing is taken off any more, and else by its
  benefits;
- other exclusive promotions stay with `priority_wins` too: "nothing else" is nothing that is not exclusive;
- what an exclusive promotion would keep out keeps it out likewise, where that was first;
- an exclusive promotion that grants neither money nor points keeps nothing out;
- one that grants points keeps out all others that do, also those that have taken money off, which stays;
- promotions that only speak keep nothing out, and one that is set off twice does not keep itself out.
"""

from collections.abc import Sequence

from tests.loyalty.naive.points import points_for
from tests.loyalty.naive.sale import Run, Sale


def kept_out(run: Run, sale: Sale) -> bool:
    """Whether anything that has applied so far keeps a promotion from applying too."""
    return bool(run.promotion.then) and any(
        not _groups_combine(first.promotion.group, run.promotion.group, sale) or _exclusive(first, run, sale)
        for first in sale.applied
        if first.promotion.then and first.promotion.id != run.promotion.id
    )


def _groups_combine(one: str, other: str, sale: Sale) -> bool:
    if not one or not other or one == other:
        return True
    partners = {group.id: group.with_ for group in sale.programme.groups}
    mine, theirs = partners[one], partners[other]
    return (mine is None and theirs is None) or other in (mine or ()) or one in (theirs or ())


def _exclusive(first: Run, second: Run, sale: Sale) -> bool:
    one, other = first.promotion.exclusive, second.promotion.exclusive
    if one == other:
        return False
    if one:
        return _would_keep_out(first, second, sale)
    return sale.programme.options.exclusive == "priority_wins" and _would_keep_out(second, first, sale)


def _would_keep_out(exclusive: Run, other: Run, sale: Sale) -> bool:
    if not _takes_money_off(exclusive, sale):
        return False  # which of those that grant points may do so is asked once it is known what each would grant
    return sale.programme.options.exclusive_over == "everything" or _takes_money_off(other, sale)


def may_grant(runs: Sequence[Run], sale: Sale) -> list[Run]:
    """Of promotions that hold in `earning` those that may grant points beside each other."""
    granting = [run for run in runs if run.promotion.grants_points]
    exclusive = [run for run in granting if run.promotion.exclusive]
    ordinary = [run for run in granting if not run.promotion.exclusive]
    if not exclusive or not ordinary:
        return granting
    alone = points_for(exclusive, sale)
    if not alone or sale.programme.options.exclusive == "exclusive_wins":
        return exclusive if alone else ordinary
    rows = points_for(granting, sale)
    first = next((run for run in granting if any(rows.get(run.promotion.id, ()))), None)
    return exclusive if first in exclusive else ordinary


def _takes_money_off(run: Run, sale: Sale) -> bool:
    told_by_now = run in sale.applied or sale.stage == "earning"
    return sale.took(run.promotion) > 0 if told_by_now else run.takes_money_off
