"""Who bears what a partner does not pay: its own resources first, then the operator's, then others where they agreed.

Source: settlement.md section 2, "Limits and deposits": deposit, reserve, operator, and only if contracted the partners
pro rata; the order of clearing houses.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from loyalty.amounts import share_out
from loyalty.trouble import InvariantBroken

Source = Literal["deposit", "reserve", "operator", "partner"]


class Borne(msgspec.Struct, frozen=True, kw_only=True):
    """Minor units that one source bears; `partner_id` where it is another partner."""

    source: Source
    amount_minor: int
    partner_id: str = ""


def cover_default(
    unpaid_minor: int,
    *,
    deposit_minor: int,
    reserve_minor: int,
    operator_most_minor: int | None = None,
    sharing: Mapping[str, int] | None = None,
) -> tuple[Borne, ...]:
    """Who bears what a partner owes and does not pay.

    Args:
        unpaid_minor: what it owes, 0 or more; below 0 the operator owes it, and nobody bears anything.
        deposit_minor: what it has on deposit; `reserve_minor`: what the operator holds of its advances.
        operator_most_minor: the most that the operator bears before others do; none for all of it.
        sharing: the partners that agreed to share what is beyond, by their weight; none for nobody, then the operator
            bears it after all.
    Returns:
        One row for each source that bears something, in the order in which they are used; together they make the sum.
    Raises:
        InvariantBroken: a deposit or reserve below nothing.
    """
    if min(deposit_minor, reserve_minor) < 0:
        raise InvariantBroken("a deposit or reserve is below nothing", deposit=deposit_minor, reserve=reserve_minor)
    left = max(0, unpaid_minor)
    found: list[Borne] = []
    weights = {one: weight for one, weight in sorted((sharing or {}).items()) if weight > 0}
    own = left if operator_most_minor is None or not weights else operator_most_minor
    sources: tuple[tuple[Source, int], ...] = (
        ("deposit", deposit_minor), ("reserve", reserve_minor), ("operator", own),
    )  # fmt: skip
    for source, most in sources:
        part = min(left, most)
        left -= part
        if part:
            found.append(Borne(source=source, amount_minor=part))
    parts = share_out(left, list(weights.values())) if left else ()
    found += [
        Borne(source="partner", partner_id=one, amount_minor=part)
        for one, part in zip(weights, parts, strict=False)
        if part
    ]
    return tuple(found)
