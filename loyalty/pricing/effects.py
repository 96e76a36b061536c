"""What one promotion did to one line: the row that receipts, explanations and settlement are made of."""

from datetime import date

import msgspec


# A quote makes hundreds of these, and none can be part of a cycle: the collector need not know of them (gc=False).
class Effect(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """What one promotion did to one line: minor units off, points granted, and who pays.

    `line` is 0 for what goes with the receipt as a whole. `funded_by` is empty for the store's own partner;
    `valid_through` belongs to granted points.
    """

    promotion: str
    line: int
    amount_minor: int = 0
    points: int = 0
    funded_by: str = ""
    valid_through: date | None = None
