"""What lines that come back give back of a receipt: money, points, uses, discounts of partners.

A part comes back pro rata by quantity, cumulatively, so that parts which add up to the whole leave nothing behind.
Source: engine.md "Returns and voids"; docs/programme.md "Returns".
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from loyalty.amounts import format_quantity, format_units
from loyalty.certificates import CertificateSold
from loyalty.facts.counted_points import StillCounted, is_limit, limits_back
from loyalty.facts.receipts import Funded, Receipt, ReceiptDetail, paid_in_money, points_paid
from loyalty.facts.returned_points import PRO_RATA, Way, points_back
from loyalty.facts.returned_uses import StoredBack, UsesBack, coupons_withdrawn, stored_back, uses_back, uses_left
from loyalty.facts.withholding import withhold
from loyalty.members import Use
from loyalty.pricing.earning import Earned
from loyalty.shares import Shares
from loyalty.trouble import Refusal


class ReturnLine(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How much of one line comes back; `amount_minor` is what the POS pays out for it."""

    line: int
    quantity_milli: int
    amount_minor: int = 0


class ReturnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What lines give back; `whole` says that nothing is left. The others are as in `reversals.Return`."""

    net_minor: int
    reversed: tuple[Earned, ...]
    earned: tuple[Earned, ...]
    restored_points: int
    funded: tuple[Funded, ...]
    uses: tuple[Use, ...]
    shared_uses: tuple[Use, ...]
    restored: tuple[StoredBack, ...]
    withheld_minor: int
    withheld: tuple[Earned, ...]
    whole: bool
    certificates_back: tuple[CertificateSold, ...] = ()


class ReturnsMoreThanSold(Refusal):
    code = "return.more_than_sold"


class UnknownLine(Refusal):
    code = "return.unknown_line"
    status = 422


class CertificateInPart(Refusal):
    code = "return.certificate_in_part"
    status = 422


class CertificateWithoutReceipt(Refusal):
    code = "return.certificate_without_receipt"


def return_lines(
    receipt: Receipt,
    detail: ReceiptDetail,
    earlier: Iterable[ReturnLine],
    lines: Sequence[ReturnLine],
    way: Way = PRO_RATA,
) -> ReturnFigures:
    """What coming back of these lines gives back of this receipt.

    Args:
        receipt: the sale, with its detail.
        earlier: what has come back before, any number of rows a line.
        lines: what comes back now; quantities in thousandths, above 0.
        way: how the points come back, see `way_of`.
    Raises:
        UnknownLine: a line the receipt does not have, twice the same line, or a quantity that is not above 0.
        ReturnsMoreThanSold: more than is left of a line. CertificateInPart: of a certificate less than the whole.
    Source: engine.md "Returns and voids"; docs/programme.md "Returns".
    """
    before, after = _shares(detail, earlier, lines)
    _check_certificates(receipt, lines)
    had, has = UsesBack(receipt, detail, before), UsesBack(receipt, detail, after)
    uses, shared_uses = uses_back(receipt.uses, had, has), uses_back(receipt.shared_uses, had, has)
    own_coupons, coupons = coupons_withdrawn(receipt) if after.whole and not before.whole else ((), ())
    restored = stored_back((*uses, *shared_uses))

    def part(total: int, line: int) -> int:
        return after.of(total, line) - before.of(total, line)

    own_left, shared_left = uses_left(receipt.uses, had), uses_left(receipt.shared_uses, had)
    counted, told = StillCounted(own=own_left, shared=shared_left), way.counted
    if told is not None:
        counted = StillCounted(own=_but_limits(own_left, told.own), shared=_but_limits(shared_left, told.shared))
    points = points_back(receipt, detail, before, after, way, counted)
    if told is not None:
        stands, follows, kept = points.stands, points.follows, detail.rules.kept
        uses = limits_back(uses, told.own, stands.own, follows, kept, whole=after.whole)
        shared_uses = limits_back(shared_uses, told.shared, stands.shared, follows, kept, whole=after.whole)
    reversed_, earned = points.reversed, points.earned
    restored_points = sum(part(n, line) for line, n in points_paid(detail, receipt.redemption).items())
    net_minor = sum(part(paid, line) for line, paid in paid_in_money(detail).items())
    there = None
    if way.view is not None and way.view.account_id is not None:
        there = max(0, way.view.balance_points) + restored_points + sum(one.points for one in earned)
    withheld = withhold(
        detail.rules,
        reversed_,
        there=there,
        paid_out_minor=net_minor - sum(one.amount_minor for one in restored),
    )
    return ReturnFigures(
        net_minor=net_minor - withheld.amount_minor,
        reversed=withheld.reversed,
        earned=earned,
        restored_points=restored_points,
        funded=_funded(receipt, detail, part),
        uses=(*uses, *own_coupons),
        shared_uses=(*shared_uses, *coupons),
        restored=restored,
        withheld_minor=withheld.amount_minor,
        withheld=withheld.points,
        whole=after.whole and not before.whole,
        certificates_back=tuple(
            one for one in receipt.certificates_sold if before.is_kept(one.line) and not after.is_kept(one.line)
        ),
    )


def _but_limits(left: Iterable[Use], told: Iterable[Use]) -> tuple[Use, ...]:
    """What is left of a sale's uses, of limits and caps what the till says of them."""
    return (*(use for use in left if not is_limit(use.name)), *told)


def void_figures(receipt: Receipt, detail: ReceiptDetail) -> tuple[tuple[Use, ...], tuple[Use, ...], bool]:
    """What a void takes back: the account's uses, the shared ones; and whether points that are gone are let go."""
    sold = sold_quantities(detail)
    nothing, whole = UsesBack(receipt, detail, Shares(sold, {})), UsesBack(receipt, detail, Shares(sold, sold))
    own_coupons, coupons = coupons_withdrawn(receipt)
    return (
        (*uses_back(receipt.uses, nothing, whole), *own_coupons),
        (*uses_back(receipt.shared_uses, nothing, whole), *coupons),
        detail.rules.clawback_short == "clamp",
    )


def sold_quantities(detail: ReceiptDetail) -> dict[int, int]:
    """Thousandths sold by line; a line sold without a quantity, such as a fee, comes back as one unit."""
    return {line.line: line.quantity_milli or 1000 for line in detail.lines}


def _shares(
    detail: ReceiptDetail, earlier: Iterable[ReturnLine], lines: Sequence[ReturnLine]
) -> tuple[Shares, Shares]:
    """What had come back before, and what has once these lines are back. Raises: as `return_lines`."""
    sold = sold_quantities(detail)
    before = dict.fromkeys(sold, 0)
    for row in earlier:
        if row.line in before:
            before[row.line] += row.quantity_milli
    after = dict(before)
    for row in lines:
        _check(row, sold, before, after)
        after[row.line] += row.quantity_milli
    return Shares(sold, before), Shares(sold, after)


def _check_certificates(receipt: Receipt, lines: Sequence[ReturnLine]) -> None:
    sold = {one.line for one in receipt.certificates_sold}
    for row in lines:
        if row.line in sold and row.quantity_milli < 1000:
            raise CertificateInPart(
                f"Line {row.line} sold a certificate, which comes back whole. Send quantity 1.", line=row.line
            )


def _funded(receipt: Receipt, detail: ReceiptDetail, part: Callable[[int, int], int]) -> tuple[Funded, ...]:
    """Discounts that other partners pay for, by partner."""
    funded: dict[str, int] = {}
    for effect in detail.effects:
        if effect.amount_minor and effect.funded_by not in ("", receipt.place.partner_id):
            funded[effect.funded_by] = funded.get(effect.funded_by, 0) + part(effect.amount_minor, effect.line)
    return tuple(
        Funded(partner_id=partner, amount_minor=amount) for partner, amount in sorted(funded.items()) if amount
    )


def _check(row: ReturnLine, sold: dict[int, int], before: dict[int, int], after: dict[int, int]) -> None:
    if row.line not in sold or row.quantity_milli <= 0 or after[row.line] != before[row.line]:
        raise UnknownLine(
            f"Line {row.line} is not on this receipt, or comes twice; scan the receipt and choose its lines.",
            line=row.line,
        )
    # Two tills that could not ask each other may have taken back more than was sold.
    left = max(0, sold[row.line] - before[row.line])
    if row.quantity_milli > left:
        raise ReturnsMoreThanSold(
            f"Only {format_units(left)} of line {row.line} can still come back; take that many."
            if left
            else f"Line {row.line} has come back already; choose among the others.",
            line=row.line,
            left=format_quantity(left),
            asked=format_quantity(row.quantity_milli),
        )
