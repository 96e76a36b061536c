"""Dated contract terms of partners, and the one fact everything in settlement rests on: money is linear in points.

Prices are micro-units of the major currency per point. Source: settlement.md section 2.
"""

from collections.abc import Iterable
from datetime import date

import msgspec

from loyalty.trouble import Refusal


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a partner and the operator owe each other per point, from a date on; frozen into each lot by `terms_id`.

    Attributes:
        fee_micro: the operator's fee per point issued.
        funding_micro: all that the issuer owes for a redeemed point.
        advance_micro: the part of it collected at issue and held as reserve; at most `funding_micro`.
        reimburse_micro: paid to this partner per point redeemed with it, at the redemption's date.
        expiry_back_micro: the part of the reserve that returns to the issuer when a point lapses.
        refunds_fee: whether the fee of a point comes back when goods do; the advance always does.
        uncovered_micro: the operator's share of a redemption with this partner that nothing covers, paid at once; the
            rest of `reimburse_micro` is withheld until points cover it.
    """

    terms_id: str
    partner_id: str
    from_on: date
    fee_micro: int = 0
    funding_micro: int = 0
    advance_micro: int = 0
    reimburse_micro: int = 0
    expiry_back_micro: int = 0
    refunds_fee: bool = False
    uncovered_micro: int = 0


class BadTerms(Refusal):
    code = "terms.malformed"
    status = 422


def check_terms(terms: Iterable[Terms]) -> None:
    """Refuse terms that could not be settled. Raises: BadTerms."""
    seen: set[str] = set()
    for one in terms:
        if one.terms_id in seen:
            raise BadTerms(f"Terms {one.terms_id} appear twice; give each version its own id.", terms_id=one.terms_id)
        seen.add(one.terms_id)
        prices = (one.fee_micro, one.funding_micro, one.advance_micro, one.reimburse_micro, one.expiry_back_micro)
        wild = one.advance_micro > one.funding_micro or one.expiry_back_micro > one.advance_micro
        if min(*prices, one.uncovered_micro) < 0 or wild or one.uncovered_micro > one.reimburse_micro:
            raise BadTerms(
                f"Terms {one.terms_id}: prices are 0 or more, the advance at most the funding, what an expiry returns"
                " at most the advance, and the share of what nothing covers at most the reimbursement.",
                terms_id=one.terms_id,
            )


def terms_on(terms: Iterable[Terms], partner_id: str, on: date) -> Terms | None:
    """The terms of a partner that hold on a date: the last to begin by then, none where none had begun."""
    begun = [one for one in terms if one.partner_id == partner_id and one.from_on <= on]
    return max(begun, key=lambda one: (one.from_on, one.terms_id), default=None)
