"""The void of a return, from what the return recorded: every figure of it the other way round, nothing priced again.

So what came back of a receipt is what it was before the return, and parts that come back later still make the whole.
That holds where no return of the same receipt came after it; its till looks at that before it voids.
Source: docs/till-api.md "Voiding a return"; docs/decisions/void-of-a-return.md.
"""

from collections.abc import Iterable

import msgspec

from loyalty.baskets import Place
from loyalty.facts.reversals import VOID, Return, ReturnVoid, VoidDetail
from loyalty.lots import EventRef
from loyalty.members import Use


def close_return_void(
    returned: Return, undoes: EventRef, place: Place, *, cashier: str = "", exchange: str = ""
) -> ReturnVoid:
    """The fact that a return was undone whole.

    Args:
        undoes: the place of the return; `exchange`: the exchange that is voided with it.
    """
    return ReturnVoid(
        receipt_id=VOID + returned.receipt_id,
        place=place,
        undoes=undoes,
        net_minor=returned.net_minor,
        of=returned.of,
        of_receipt=returned.of_receipt,
        account_id=returned.account_id,
        card_token=returned.card_token,
        earned=returned.reversed,
        reversed=returned.earned,
        spent_points=returned.restored_points,
        uses=_other_way(returned.uses),
        shared_uses=_other_way(returned.shared_uses),
        funded=returned.funded,
        restored=returned.restored,
        clamp=returned.clamp,
        certificates_again=returned.certificates_back,
        detail=msgspec.Raw(msgspec.json.encode(VoidDetail(cashier=cashier, exchange=exchange))),
    )


def standing_returns(events: Iterable[object]) -> tuple[Return, ...]:
    """The returns among a receipt's reversals that were not undone, in their order."""
    known = tuple(events)
    undone = {event.receipt_id.removeprefix(VOID) for event in known if isinstance(event, ReturnVoid)}
    return tuple(event for event in known if isinstance(event, Return) and event.receipt_id not in undone)


def _other_way(uses: Iterable[Use]) -> tuple[Use, ...]:
    return tuple(Use(name=use.name, amount=-use.amount) for use in uses)
