"""The void of a return folded once more from bytes, into the sums of `central.verify.refold`.

This shares no line with `loyalty.ledger.return_void_postings` on purpose: it is what its result is held against.
Source: docs/decisions/void-of-a-return.md.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from central.verify.refold import Debt, GaveBack, Key, Member, Ref, Refold, Sale

RETURN_VOID = "return_void.v1"


def fold_return_void(fold: Refold, ref: Ref, event: Mapping[str, Any], account_id: int) -> None:
    """Fold in that a return was undone.

    Raises:
        LookupError, TypeError, ValueError: bytes that could not have been posted.
    """
    member = fold.members[account_id]
    member.events += 1
    undone = tuple(event["undoes"])
    gave = fold.returns.pop(undone)  # type: ignore[arg-type]
    fresh = _other_way(member, gave)
    member.debts = [debt for debt in member.debts if debt.of != undone]
    owed = list(member.debts)
    sale = fold.sales[gave.of] if gave.of else None
    for payer, amount in gave.funded.items():
        member.legs["funded", payer, "", gave.at, "", ""] += amount
        if sale:
            sale.funded[payer] += amount
    if sale and gave.of and account_id:
        for key, points in fold.asked(event.get("reversed", ()), dict(sale.granted)).items():
            sale.granted[key] -= points
            fold.claw(ref, member, key, points, sale.at, let_go=event.get("clamp", False))
        for key, points in gave.granted.items():
            sale.granted[key] += points
        short = _spend(fold, member, sale, gave, event["place"][6])
        if short:
            member.debts.append(Debt(gave.of, "", "", sale.at, sale.at_terms, short))
            member.legs["withheld", "", "", sale.at, sale.at_terms, ""] += short
    fold.pay(member, owed, fresh)


def _other_way(member: Member, gave: GaveBack) -> dict[Key, int]:
    """What was taken goes back where it was; those of these points that can be spent."""
    fresh: dict[Key, int] = defaultdict(int)
    for bucket, key, points, owed_to, terms in gave.taken:
        if bucket == "expired":
            member.expired[key] += points
            member.legs["expired", key[1], key[2], "", "", ""] += points
        else:
            member.lots[key] += points
            fresh[key] += points
        if key[1] == owed_to:
            member.legs["reversed", key[1], key[2], "", "", ""] -= points
        else:
            member.legs["redeemed", key[1], key[2], owed_to, terms, "funding"] -= points
    return fresh


def _spend(fold: Refold, member: Member, sale: Sale, gave: GaveBack, on: str) -> int:
    """Spend again what had come back, first of the lots that it came back to; how much is not there."""
    short = sum(points for _, points in gave.back) + gave.forgiven
    live = sorted(key for key in member.lots.keys() | member.expired.keys() if key[0] >= on)
    for key, most in [*((key, points) for key, points in reversed(gave.back)), *((key, short) for key in live)]:
        wanted = min(most, short)
        held = min(wanted, member.lots[key])
        late = min(wanted - held, member.expired[key])
        if held:
            fold.redeem(member, key, held, sale)
        if late:
            fold.redeem(member, key, late, sale, lapsed=True)
        short -= held + late
    return short
