"""A scratch ledger to test: transfers in few words, many of them at once, and what its journal comes to."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from central.conformance.conformance import Conformance, Entry
from central.migrations import upgrade
from central.ports import SystemClock, SystemRandomness, open_engine
from central.posting.transfers import LegAsk, TransferAnswer, TransferAsk
from central.streams.sealing import Sealer
from sync.keys import Signer

AT_ONCE = 64
FUNDING = "external:funding"


class Ledger:
    """A centre of a test build and who asks it."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        upgrade(self.engine)
        clock = SystemClock()
        self.signer = Signer(b"C" * 32)
        self.kit = Conformance(self.engine, Sealer(self.engine, self.signer, clock), clock, SystemRandomness())

    def post(self, key: str, *legs: LegAsk, overdraft: bool = False, transaction: str = "") -> TransferAnswer:
        asked = TransferAsk(
            idempotency_key=key, transaction_id=transaction or f"txn-{key}", legs=legs, allow_overdraft=overdraft
        )
        return self.kit.post(asked)

    def move(self, key: str, source: str, target: str, amount: int, *, overdraft: bool = False) -> TransferAnswer:
        return self.post(key, debit(source, amount), credit(target, amount), overdraft=overdraft)

    def seed(self, account: str, amount: int) -> None:
        done = self.move(f"seed:{account}", FUNDING, account, amount, overdraft=True)
        assert done.status == "APPLIED"

    def balance(self, account: str, currency: str = "USD") -> int:
        return self.kit.balance(account, currency)

    def journal(self) -> list[Entry]:
        return self.kit.journal()

    def at_once(self, count: int, ask: Callable[[int], TransferAnswer]) -> Counter[str]:
        """So many requests on many threads; how many were answered how."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return Counter(answer.status for answer in pool.map(ask, range(count)))


def debit(account: str, amount: int, currency: str = "USD") -> LegAsk:
    return LegAsk(account_id=account, type="DEBIT", amount_subunits=amount, currency=currency)


def credit(account: str, amount: int, currency: str = "USD") -> LegAsk:
    return LegAsk(account_id=account, type="CREDIT", amount_subunits=amount, currency=currency)


def sums(entries: Iterable[Entry], by: Callable[[Entry], Any]) -> dict[Any, int]:
    """Credits less debits of a journal, grouped."""
    added: Counter[Any] = Counter()
    for one in entries:
        added[by(one)] += one.amount_subunits if one.type == "CREDIT" else -one.amount_subunits
    return dict(added)


def chained(entries: Iterable[Entry]) -> list[str]:
    """The hashes that a journal must have, written down once more."""
    before, hashes = "GENESIS", []
    for one in entries:
        text = (
            f"{before}|{one.transaction_id}|{one.account_id}|{one.type}|{one.amount_subunits}|{one.currency}"
            f"|{one.sequence}"
        )
        before = hashlib.sha256(text.encode()).hexdigest()
        hashes.append(before)
    return hashes
