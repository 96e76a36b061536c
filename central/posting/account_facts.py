"""Head office's own facts about accounts: decided on books that are locked, each written once.

The stream is locked before the accounts, as a batch does with its till's, so what is decided here is still so when it
is written. Source: house.md idea 5; ledger.md rule 4.
"""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection

from central.database.rows import find, put
from central.database.tables import claim
from central.ports import Randomness
from central.posting.books import CentreBooks
from central.posting.own_posting import post_own
from central.streams.own_events import append_own
from loyalty.facts.centre_events import AccountEvent
from loyalty.facts.fixed import Fixed
from loyalty.ledger.books import Account, Posted
from loyalty.lots import EventRef
from loyalty.trouble import InvariantBroken

CORRECTIONS = "corrections"


class AccountFacts:
    """Facts for the end of one of the centre's streams, in one transaction.

    Args:
        name: of the stream; one for each thing that happens one after the other anyway.
    """

    def __init__(self, tx: Connection, name: str, now_ms: int, randomness: Randomness) -> None:
        self._tx, self._name, self._now_ms, self._randomness = tx, name, now_ms, randomness
        self._head = append_own(tx, name, (), now_ms, randomness)

    def lock(self, account_ids: Iterable[int]) -> dict[int, Account]:
        """Keep others from these accounts until the transaction ends; what they hold, by account."""
        wanted = sorted(set(account_ids))
        books = CentreBooks(self._tx, period_no=0, now_ms=self._now_ms, randomness=self._randomness)
        books.lock(wanted)
        return {account_id: books.books.account(account_id) for account_id in wanted}

    def written(self, receipt_ids: Iterable[str]) -> set[str]:
        """Which of these ids are in the stream already."""
        keys = [{"till_id": self._head.till_id, "receipt_id": one} for one in receipt_ids]
        return {row.receipt_id for row in find(self._tx, claim, keys, ["receipt_id"])}

    def post(self, facts: Sequence[AccountEvent | Fixed]) -> dict[EventRef, Posted]:
        """Write facts and post them, in order.

        Raises:
            InvariantBroken: one of them could not be posted; nothing may be kept of this transaction then.
        """
        posted = post_own(self._tx, self._name, facts, self._now_ms, self._randomness)
        if len(posted) < len(facts):
            raise InvariantBroken("a fact of head office does not fit the books it was made from", facts=len(facts))
        rows = [{**msgspec.structs.asdict(ref), "receipt_id": fact.receipt_id}
                for ref, fact in zip(posted, facts, strict=True)]  # fmt: skip
        put(self._tx, claim, rows)
        return posted
