"""Does a receipt add up: its lines make its discounts, points, tender and money, promotion by promotion.

Reads the JSON as the till sent it. Source: ARCHITECTURE.md "What always holds"; DECISIONS 5.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from central.verify.refold import Ref
from central.verify.violations import Violations


def check_receipt(found: Violations, ref: Ref, receipt: Mapping[str, Any]) -> None:
    """Write down what of one receipt does not add up; a detail that cannot be read is one violation."""
    with found.damage("receipt.detail", ref):
        detail = receipt.get("detail") or {}
        lines, effects = detail.get("figures", []), detail.get("effects", [])
        _check_lines(found, ref, lines, effects)
        _check_sums(found, ref, receipt, detail, sum(one[3] for one in effects if one[1] == 0))
        _check_funding(found, ref, receipt, effects)


def _check_lines(found: Violations, ref: Ref, lines: list[Any], effects: list[Any]) -> None:
    for line, amount, discount, points, paid, net, *_ in lines:
        found.differs("receipt.line", (ref, line), amount - discount - paid, net)
        found.differs("receipt.discounts", (ref, line), discount, sum(one[2] for one in effects if one[1] == line))
        found.differs("receipt.points", (ref, line), points, sum(one[3] for one in effects if one[1] == line))
    # Line 0 is the receipt as a whole, which may be granted points and nothing else.
    found.differs("receipt.effects", ref, [], sorted({one[1] for one in effects} - {line[0] for line in lines} - {0}))
    found.differs("receipt.discounts", (ref, 0), 0, sum(one[2] for one in effects if one[1] == 0))


def _check_sums(
    found: Violations, ref: Ref, receipt: Mapping[str, Any], detail: Mapping[str, Any], whole_points: int
) -> None:
    """The head's figures are its lines'; money is what the POS charged where that differs from the quote."""
    lines = detail.get("figures", [])
    charged = {line: off for line, off in detail.get("charged", [])}
    redemption = receipt.get("redemption") or {}
    found.differs("receipt.tender", ref, sum(line[4] for line in lines), redemption.get("amount_minor", 0))
    # Receipts of release one do not say which points paid for which line.
    if all(len(line) > 6 for line in lines):
        found.differs("receipt.spent", ref, sum(line[6] for line in lines), redemption.get("points", 0))
    earned = sum(part[2] for part in receipt.get("earned", []))
    found.differs("receipt.earned", ref, sum(line[3] for line in lines) + whole_points, earned)
    in_money = sum(line[1] - charged.get(line[0], line[2]) - line[4] for line in lines)
    found.differs("receipt.net", ref, in_money, receipt["net_minor"])


def _check_funding(found: Violations, ref: Ref, receipt: Mapping[str, Any], effects: list[Any]) -> None:
    """Discounts that another partner pays for stand in the head, by partner."""
    here = receipt["place"][0]
    sums: dict[str, int] = defaultdict(int)
    for effect in effects:
        if effect[4] not in ("", here):
            sums[effect[4]] += effect[2]
    wanted = sorted((payer, amount) for payer, amount in sums.items() if amount)
    found.differs("receipt.funded", ref, wanted, sorted((payer, amount) for payer, amount in receipt.get("funded", [])))
