"""Points that the promotions which hold grant for what was paid.

Where the page leaves something open the simplest reading was taken:
- multipliers act one after the other, each on the rate as the ones before made it, and each is credited with the
  points, floored, that there are more with it than without it;
- the share of money paid with some tenders is their sum over what is due, at most all of it;
- points per basket and caps on points are shared by largest remainder;
- a whole unit is a thousand thousandths, so 0.35 kg is none;
- units that cost nothing are passed over where money is taken off only, so `points` per unit counts them.
"""

from collections.abc import Sequence
from fractions import Fraction

from loyalty.programme.benefits import Earn, MultiplyPoints, Points
from loyalty.programme.promotion import OnEvent, Promotion
from loyalty.programme.selectors import Selector
from tests.loyalty.naive.discounting import left_of
from tests.loyalty.naive.goods import names, parts_of, rounded, taxed
from tests.loyalty.naive.sale import Run, Sale

Row = list[int]  # points by line, and at the end those that go with the receipt as a whole


def points_for(held: Sequence[Run], sale: Sale) -> dict[str, Row]:
    """Points by promotion of those that hold, in the order in which they run; none without a card."""
    rows: dict[str, Row] = {}
    if sale.view is None:
        return rows
    for run in held:
        for benefit in run.promotion.then:
            if isinstance(benefit, Points):
                _add(rows, run.promotion, _fixed(benefit, run.promotion, sale))
    for run in held:
        if any(isinstance(benefit, Earn) for benefit in run.promotion.then):
            _earn(run, held, sale, rows)
    capped = {name: _capped(name, row, held, sale) for name, row in rows.items()}
    return {name: row for name, row in capped.items() if any(row)}


def _add(rows: dict[str, Row], promotion: Promotion, more: Row) -> None:
    before = rows.get(promotion.id, [0] * len(more))
    rows[promotion.id] = [one + other for one, other in zip(before, more, strict=True)]


def _earning_goods(selector: Selector, promotion: Promotion, sale: Sale) -> list[int]:
    """Goods that a selector names, that accrue and are no certificates, and that the promotion does not leave alone."""
    return [
        i
        for i, line in enumerate(sale.lines)
        if names(selector, line) and line.accrual and not sale.is_certificate(i) and not _left_alone(promotion, i, sale)
    ]


def _left_alone(promotion: Promotion, i: int, sale: Sale) -> bool:
    line = sale.lines[i]
    full = line.unit_price_minor * line.quantity_milli // 1000
    by_others = sum(row[i] for name, row in sale.off_by.items() if name != promotion.id)
    return promotion.skip_reduced and (by_others > 0 or line.amount_minor < full)


def _measured(promotion: Promotion, i: int, sale: Sale) -> int:
    """What a line earns on."""
    line = sale.lines[i]
    amount = {
        "paid": line.amount_minor - sale.off[i] - sale.paid[i],
        "before_points": line.amount_minor - sale.off[i],
        "before_discounts": line.amount_minor,
    }[sale.option(promotion, "earn_on")]
    return taxed(amount, line, sale.option(promotion, "earn_tax"), sale.basket.tax_included)


def _fixed(benefit: Points, promotion: Promotion, sale: Sale) -> Row:
    goods = _earning_goods(benefit.of, promotion, sale)
    row = [0] * (len(sale.lines) + 1)
    if benefit.per != "basket":
        for i in goods:
            row[i] = benefit.points * (1 if benefit.per == "line" else sale.lines[i].quantity_milli // 1000)
        return row
    if not goods and not isinstance(promotion.trigger, OnEvent):
        return row
    weights = [_measured(promotion, i, sale) if i in goods else 0 for i in range(len(sale.lines))]
    if not any(weights) and sale.option(promotion, "spread_over_nothing") == "evenly":
        weights = [int(i in goods) for i in range(len(sale.lines))]
    if not any(weights):
        return [*row[:-1], benefit.points]
    return [*parts_of(benefit.points, weights), 0]


def _earn(run: Run, held: Sequence[Run], sale: Sale, rows: dict[str, Row]) -> None:
    """The points of one promotion's rates, then what each multiplier adds to them."""
    promotion = run.promotion
    exact = [Fraction(0)] * len(sale.lines)
    for benefit in promotion.then:
        if isinstance(benefit, Earn):
            for i in _earning_goods(benefit.of, promotion, sale):
                money = _measured(promotion, i, sale) * _share_paid(benefit, sale)
                exact[i] += money * benefit.points / benefit.per_minor
    granted = _whole(exact, promotion, sale)
    _add(rows, promotion, [*_by_line(granted, exact, promotion, sale), 0])
    for other in held:
        for benefit in other.promotion.then:
            if isinstance(benefit, MultiplyPoints):
                goods = _earning_goods(benefit.of, other.promotion, sale)
                extra = [
                    one * (benefit.times_percent - 100) / 100 if i in goods else Fraction(0)
                    for i, one in enumerate(exact)
                ]
                before = _by_line(_whole(exact, promotion, sale), exact, promotion, sale)
                exact = [one + more for one, more in zip(exact, extra, strict=True)]
                if sale.option(promotion, "points_rounding") == "line":
                    after = _by_line(0, exact, promotion, sale)
                    _add(rows, other.promotion, [a - b for a, b in zip(after, before, strict=True)] + [0])
                else:
                    more = _whole(exact, promotion, sale) - granted
                    _add(rows, other.promotion, [*parts_of(more, extra), 0])
                granted = _whole(exact, promotion, sale)


def _share_paid(benefit: Earn, sale: Sale) -> Fraction:
    if not benefit.tenders:
        return Fraction(1)
    due = sum(sale.costs())
    so = sum(tender.amount_minor for tender in sale.basket.tenders if tender.kind in benefit.tenders)
    return Fraction(min(so, due), due) if due else Fraction(0)


def _whole(exact: Sequence[Fraction], promotion: Promotion, sale: Sale) -> int:
    """The sum as whole points; where each line is floored by itself, the sum of those."""
    rounding = sale.option(promotion, "points_rounding")
    if rounding == "line":
        return sum(rounded(one, "down") for one in exact)
    return rounded(sum(exact, Fraction(0)), "half_up" if rounding == "half_up" else "down")


def _by_line(points: int, exact: Sequence[Fraction], promotion: Promotion, sale: Sale) -> Row:
    if sale.option(promotion, "points_rounding") == "line":
        return [rounded(one, "down") for one in exact]
    return parts_of(points, exact)


def _capped(name: str, row: Row, held: Sequence[Run], sale: Sale) -> Row:
    promotion = next(run.promotion for run in held if run.promotion.id == name)
    most = left_of("points", promotion, sale)
    return parts_of(most, row) if most is not None and sum(row) > most else row
