"""What a back-test found, as data: whole numbers only, and the same bytes for the same file and programmes.

Money is minor units. What points cost is micro-units of the major currency, as in settlement, so that every part adds
up to its total exactly and only a screen rounds. `value` is what customers got: discounts, and points at their worth.
"""

from datetime import date
from typing import Literal

import msgspec


class SetAsideLines(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that are no sale and no return, by reason."""

    reason: str
    lines: int


class Unpriced(msgspec.Struct, frozen=True, kw_only=True):
    """Sales that a programme did not price, by the code of the trouble; `say` is what the first one was told."""

    programme: str
    code: str
    say: str
    receipts: tuple[str, ...]


class FileFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the file; returns are counted and not priced."""

    lines: int
    set_aside: tuple[SetAsideLines, ...]
    receipts: int
    sales_minor: int
    anonymous: int
    members: int
    returns: int
    returned_minor: int
    from_on: date | None
    to_on: date | None


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """What customers got, or how much more of it: money off, points, and both together at the points' worth."""

    discount_minor: int = 0
    points: int = 0
    value_micro: int = 0


class PromotionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What one promotion did. Of discount and points, `funded` is what a partner other than the store's own pays.

    `members` are those known by a card; `gifts` and `coupons` are units and codes given out, which are not valued.
    """

    promotion: str
    name: str
    funded_by: str
    receipts: int
    members: int
    discount_minor: int
    discount_funded_minor: int
    points: int
    points_funded: int
    points_micro: int
    cost_micro: int
    gifts: int
    coupons: int


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """One slice of the sales: a department, a month or day, or the stores of a partner."""

    name: str
    receipts: int
    sales_minor: int
    discount_minor: int
    points: int
    value_micro: int


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """How many receipts lie above `above_minor` and up to `to_minor`; none means without end, 0 to 0 is exactly 0."""

    above_minor: int | None
    to_minor: int | None
    receipts: int


class ProgrammeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole programme did; each figure is the sum of its promotions', departments', periods' and partners'.

    Attributes:
        point_worth_micro: of one point; 0 where nobody said, and points then cost nothing here.
        points_lapsed, points_left: what lapsed before the last day of the file, and what members hold at its end.
        cost_micro: discounts and points granted; `cost_bp` is its share of sales, half up.
        distribution: receipts by the value they got.
    """

    programme: str
    version: str
    point_worth_micro: int
    receipts: int
    sales_minor: int
    discount_minor: int
    discount_funded_minor: int
    paid_with_points_minor: int
    points: int
    points_funded: int
    points_spent: int
    points_lapsed: int
    points_left: int
    points_micro: int
    cost_micro: int
    cost_bp: int
    promotions: tuple[PromotionFigures, ...]
    departments: tuple[Share, ...]
    periods: tuple[Share, ...]
    partners: tuple[Share, ...]
    distribution: tuple[Bar, ...]


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How many are better, worse or as well off under the first programme, and by how much; `lost` is negative."""

    better: int
    worse: int
    same: int
    gained: Value
    lost: Value


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One receipt, member or department: what it got under the first and the other programme, and the difference."""

    name: str
    first: Value
    other: Value
    difference: Value


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The first programme held against the other, over the receipts that both priced.

    Each `…_most_better` and `…_most_worse` has at most twenty; members go by their number in the file, never by a card.
    """

    receipts: Tally
    members: Tally
    departments: Tally
    difference: Value
    distribution: tuple[Bar, ...]
    receipts_most_better: tuple[Difference, ...]
    receipts_most_worse: tuple[Difference, ...]
    members_most_better: tuple[Difference, ...]
    members_most_worse: tuple[Difference, ...]
    by_department: tuple[Difference, ...]


class BacktestReport(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `programmes` holds the first, and the one it is held against where one was named.

    `period` says whether `periods` are months or, for a short file, days.
    """

    currency: str
    file: FileFigures
    spend_points: bool
    period: Literal["month", "day"]
    partners: tuple[str, ...]
    programmes: tuple[ProgrammeFigures, ...]
    comparison: Comparison | None
    unpriced: tuple[Unpriced, ...]
