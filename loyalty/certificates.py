"""What stands behind one gift certificate: money by who owes it and its last valid day, who put it there, who took it.

Amounts are minor units of the programme's currency, held like points in lots: the issuer is the partner that was paid,
`terms_id` says that it is stored value. The values never change; folding an event in makes another one.
Source: house.md section 2, "certificates and wallets use the same rows in currency"; docs/certificates.md.
"""

from collections.abc import Iterable
from datetime import date

import msgspec

from loyalty.lots import EventRef, LotKey, Slice

STORED = "stored"  # in place of the terms of points: a movement of stored value


class CertificateSold(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One line that sold or topped up a certificate; `code` is its token, `valid_through` the last day of the money."""

    line: int
    code: str
    amount_minor: int
    valid_through: date


class PutOn(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Money that an event put on a certificate and that was not taken off again."""

    of: EventRef
    slices: tuple[Slice, ...]


class TakenOff(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What the reversal `by` took off: of the money that was `put` on, what was left, and what of it had lapsed."""

    by: EventRef
    put: PutOn
    slices: tuple[Slice, ...] = ()
    lapsed: tuple[Slice, ...] = ()


class Spend(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a receipt paid with a certificate and has not given back: by lot in the order of use, and what the
    certificate did not hold (`owed_minor`), for which the partner is not paid until it does, out of money that was good
    `on` its business date."""

    of: EventRef
    partner_id: str
    period_no: int
    on: date
    slices: tuple[Slice, ...]
    owed_minor: int = 0


class Certificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One certificate as head office's books have it.

    Attributes:
        n: how many events are folded in.
        lots: what is on it; `lapsed`: what was on it when its last day passed and no late sale has taken.
        taken_off: what reversals of its sales took off it, until they are undone themselves.
        blocked: why nothing may be paid with it; "" while something may.
    """

    n: int = 0
    lots: tuple[Slice, ...] = ()
    lapsed: tuple[Slice, ...] = ()
    put_on: tuple[PutOn, ...] = ()
    spends: tuple[Spend, ...] = ()
    taken_off: tuple[TakenOff, ...] = ()
    blocked: str = ""

    @property
    def balance_minor(self) -> int:
        """What is on it, whatever its days."""
        return sum(one.points for one in self.lots)

    @property
    def owed_minor(self) -> int:
        """What was paid with it beyond what it held."""
        return sum(one.owed_minor for one in self.spends)


UNSOLD = Certificate()


class CertificateRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of the certificates lane: what a till is told of one certificate.

    Attributes:
        code: its token.
        parts: amounts with their last valid day; none once nothing is left, so that the till forgets it.
        blocked: why it must not be taken; "" where it may.
        own_seq: the last event of the receiving till's stream (present epoch) that is in it.
    """

    code: str
    parts: tuple[tuple[date, int], ...] = ()
    blocked: str = ""
    own_seq: int = 0

    def live_minor(self, on: date) -> int:
        """What may still be paid with it on a business date."""
        return sum(amount for day, amount in self.parts if day >= on)


def gathered(slices: Iterable[Slice]) -> dict[LotKey, int]:
    """Amounts by lot, in spending order; empty lots left out."""
    sums: dict[LotKey, int] = {}
    for one in slices:
        sums[one.key] = sums.get(one.key, 0) + one.points
    return {key: sums[key] for key in sorted(sums) if sums[key]}


def slices_of(sums: dict[LotKey, int]) -> tuple[Slice, ...]:
    """Amounts by lot as slices, in spending order; empty lots left out."""
    return tuple(Slice(key=key, points=sums[key]) for key in sorted(sums) if sums[key])
