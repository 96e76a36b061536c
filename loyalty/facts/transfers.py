"""Amounts that change hands between accounts: as many legs as it takes, balanced for each issuer.

A debit lowers a balance, a credit raises it. Like a move, a transfer is one fact for each account it touches, so that
its version counts it; they are written together or not at all. Source: ARCHITECTURE.md "What always holds";
docs/conformance.md.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal

import msgspec

from loyalty.amounts import Positive
from loyalty.facts.receipts import EMPTY
from loyalty.members import AccountId
from loyalty.trouble import Refusal

Side = Literal["debit", "credit"]
Held = Mapping[tuple[int, str], int]
"""What an account has of an issuer, by (account_id, issuer_id); nothing where it is not named."""

MOST = 10**15  # of one leg; a thousand of them fit 63 bits
MOST_HELD = 10**18


class Leg(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One account's part in a transfer; `amount` is 1 or more once it was checked."""

    account_id: int
    issuer_id: str
    side: Side
    amount: int

    @property
    def signed(self) -> int:
        """What it does to the balance."""
        return self.amount if self.side == "credit" else -self.amount


class Part(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A leg as its account's fact tells it."""

    issuer_id: str
    side: Side
    amount: Positive


class Transferred(msgspec.Struct, frozen=True, kw_only=True, tag="transfer.v1", tag_field="type", omit_defaults=True):
    """What a transfer did to one account. In a stream of the centre's own; `transfer_id` is common to its facts."""

    receipt_id: str
    transfer_id: str
    account_id: AccountId
    on: date
    parts: tuple[Part, ...]
    detail: msgspec.Raw = EMPTY


class TransferRefused(Refusal):
    """A transfer that breaks a rule; nothing of it is posted."""

    status = 422


class NoLegs(TransferRefused):
    code = "transfer.no_legs"


class BadAmount(TransferRefused):
    code = "transfer.bad_amount"


class Unbalanced(TransferRefused):
    code = "transfer.unbalanced"


class Overdrawn(TransferRefused):
    code = "transfer.overdrawn"


class TooMuchHeld(TransferRefused):
    code = "transfer.too_much_held"


def check_transfer(legs: Iterable[Leg], held: Held, *, may_overdraw: bool = False) -> None:
    """Whether a transfer may be posted on balances that nobody else can change meanwhile.

    Raises:
        NoLegs, BadAmount: there is nothing to post, or a leg of less than 1 or of more than `MOST`.
        Unbalanced: of some issuer, debits and credits do not come to the same.
        Overdrawn: it takes an account below nothing, or further below, and may not.
        TooMuchHeld: a balance would not fit the books.
    """
    legs = tuple(legs)
    if not legs:
        raise NoLegs("A transfer needs a debit and a credit; it has no legs.")
    for leg in legs:
        if not 1 <= leg.amount <= MOST:
            raise BadAmount(f"An amount is a whole number from 1 to {MOST}.", amount=leg.amount)
    by_issuer: dict[str, int] = defaultdict(int)
    by_account: dict[tuple[int, str], int] = defaultdict(int)
    for leg in legs:
        by_issuer[leg.issuer_id] += leg.signed
        by_account[leg.account_id, leg.issuer_id] += leg.signed
    for issuer_id, sum_ in sorted(by_issuer.items()):
        if sum_:
            raise Unbalanced(f"Debits and credits of {issuer_id} differ by {abs(sum_)}.", issuer_id=issuer_id, by=sum_)
    for (account_id, issuer_id), step in sorted(by_account.items()):
        has = held.get((account_id, issuer_id), 0)
        if step < 0 and has + step < 0 and not may_overdraw:
            raise Overdrawn(f"The account has {has} of {issuer_id}, not {-step}.", has=has, wanted=-step)
        if abs(has + step) > MOST_HELD:
            raise TooMuchHeld(f"A balance lies within {MOST_HELD} of nothing.", has=has, step=step)


def by_account(legs: Iterable[Leg]) -> dict[int, tuple[Part, ...]]:
    """The legs as each account's fact tells them, accounts in the order in which they first come."""
    parts: dict[int, list[Part]] = {}
    for leg in legs:
        part = Part(issuer_id=leg.issuer_id, side=leg.side, amount=leg.amount)
        parts.setdefault(leg.account_id, []).append(part)
    return {account_id: tuple(own) for account_id, own in parts.items()}
