"""Sales that can be decided before their accounts are locked: nothing else in their batch looks at these accounts.

What a plain sale does depends on lots and debts of its account alone, and those are as they were while the account's
version is. What names a certificate, a hold or a lease, or another event, reads more than that and waits for the lock.
"""

from collections.abc import Callable, Iterable, Mapping, Set

from loyalty.facts.events import Event
from loyalty.facts.fixed import Fixed
from loyalty.facts.member_events import MemberEvent
from loyalty.facts.receipts import Receipt
from loyalty.facts.reversals import Reversal
from loyalty.ledger.certificate_postings import certificates_in
from loyalty.lots import EventRef

AccountOf = Callable[[Receipt | Reversal], int | None]


def plain_sales(
    events: Iterable[Event], new: Mapping[EventRef, Event], account_of: AccountOf, busy: Set[int]
) -> dict[EventRef, tuple[Receipt, int]]:
    """The plain ones among `new`, in their order, each with its account.

    Args:
        events: all that will be posted, those that have waited too.
        account_of: whom an event concerns, as far as its card tells.
        busy: accounts that earlier events named here belong to.
    """
    touched, named = set(busy), set()
    for one in events:
        if isinstance(one, MemberEvent):
            return {}  # whose cards are whose may be another matter after it
        if is_plain(one):
            continue
        fact = one.fact if isinstance(one, Fixed) else one
        if isinstance(fact, Receipt | Reversal) and (whom := account_of(fact)) is not None:
            touched.add(whom)
        touched.add(getattr(fact, "account_id", None) or 0)
        if isinstance(fact, Reversal) and fact.of is not None:
            named.add(fact.of)
    sales = {}
    for ref, head in new.items():
        whom = account_of(head) if isinstance(head, Receipt) else None
        if isinstance(head, Receipt) and whom is not None and is_plain(head):
            sales[ref] = (head, whom)
    # What comes back in the same batch is taken from what its receipt left, not from what later sales did.
    touched |= {sales[ref][1] for ref in named & sales.keys()}
    return {ref: sale for ref, sale in sales.items() if sale[1] not in touched}


def is_plain(event: Event) -> bool:
    """A sale that needs no more than lots and debts of its account."""
    if not isinstance(event, Receipt):
        return False
    paid = event.redemption
    return not (paid and (paid.slices or paid.authority in ("hold", "lease"))) and not certificates_in(event)
