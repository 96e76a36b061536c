"""The books folded once more from the bytes tills sent, by plain dictionaries.

This shares no line with `loyalty.postings` or `loyalty.books` on purpose: it is what their result is held against.
It reads JSON with the standard library, knows the rules of DECISIONS 8 and 10 and settlement.md section 2, and keeps
only sums.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

Ref = tuple[str, int, int]  # till_id, epoch, seq
Key = tuple[str, str, str]  # valid_through, issuer_id, terms_id: spending order
Parts = list[list[Any]]  # [[Key, points]], in the order of use
TermsRow = tuple[str, str, str]  # partner_id, from_on, terms_id
# Bucket; issuer and terms of its points, or who pays ("funded", minor units); who is reimbursed, under which terms, at
# which of their prices.
Leg = tuple[str, str, str, str, str, str]


class Member:
    """Lots, debts and sums of one account, and how many events were folded in; account 0 is nobody's."""

    def __init__(self) -> None:
        self.lots: dict[Key, int] = defaultdict(int)
        self.debts: list[Debt] = []
        self.legs: dict[Leg, int] = defaultdict(int)
        self.events = 0


class Debt:
    """Points owed since event `of`: to an issuer, or (issuer "") to the partner where nothing covered a spend."""

    def __init__(self, of: Ref, issuer: str, terms: str, at: str, at_terms: str, points: int) -> None:
        self.of, self.issuer, self.terms = of, issuer, terms
        self.at, self.at_terms = at, at_terms
        self.points = points


class Sale:
    """What is left of a receipt: points by lot, slices spent in the order of use, discounts by who pays."""

    def __init__(self, account_id: int, at: str, at_terms: str) -> None:
        self.account_id, self.at, self.at_terms = account_id, at, at_terms
        self.granted: dict[Key, int] = defaultdict(int)
        self.spent: Parts = []
        self.funded: dict[str, int] = defaultdict(int)


class Refold:
    """A naive ledger. Feed it each account's events in the order in which the centre folded them."""

    def __init__(self, terms: Iterable[TermsRow]) -> None:
        self.terms = sorted(terms, key=lambda row: (row[1], row[2]))
        self.members: dict[int, Member] = defaultdict(Member)
        self.sales: dict[Ref, Sale] = {}
        self.uncovered = 0

    def fold(self, ref: Ref, event: Mapping[str, Any], account_id: int, *, alone: bool = False) -> None:
        """Fold in one event as the till sent it.

        Args:
            account_id: whose books it is in; 0 is nobody's. Nobody's events may come in any order, receipts first.
            alone: it was posted without the receipt it names. Needs saying for nobody's events only: elsewhere a
                return whose receipt is not there yet, or is another account's, was.
        Raises:
            LookupError, TypeError, ValueError: bytes that could not have been posted.
        """
        member = self.members[account_id]
        member.events += 1
        if event["type"] == "receipt.v1":
            self._receipt(ref, event, account_id, member)
            return
        sale = self.sales.get(tuple(event.get("of") or ()))
        if sale and sale.account_id == account_id and not alone:
            self._reversal(ref, event, sale, member)
        elif event["type"] == "return.v1":
            self._unreferenced(ref, event, account_id, member)
        else:
            raise LookupError("posted without what it undoes")

    def _terms(self, partner: str, on: str) -> str:
        begun = [terms_id for who, from_on, terms_id in self.terms if who == partner and from_on <= on]
        return begun[-1] if begun else "none"

    # Sales

    def _receipt(self, ref: Ref, event: Mapping[str, Any], account_id: int, member: Member) -> None:
        at, on = event["place"][0], event["place"][6]
        sale = self.sales[ref] = Sale(account_id, at, self._terms(at, on))
        for payer, amount in event.get("funded", ()):
            sale.funded[payer] += amount
            member.legs["funded", payer, "", at, "", ""] += amount
        wanted = (event.get("redemption") or {}).get("points", 0)
        if not account_id:
            self.uncovered += wanted
            return
        owed_before = list(member.debts)
        for key in sorted(key for key, points in member.lots.items() if points and key[0] >= on):
            taken = min(wanted, member.lots[key])
            if taken:
                self._redeem(member, key, taken, sale)
                wanted -= taken
        if wanted:
            self.uncovered += wanted
            member.debts.append(Debt(ref, "", "", at, sale.at_terms, wanted))
        for issuer, valid, points in event.get("earned", ()):
            key = (valid, issuer, self._terms(issuer, on))
            member.lots[key] += points
            sale.granted[key] += points
            member.legs["issued", issuer, key[2], "", "", ""] += points
        # A sale may not spend what it earns, so it does not cover its own shortfall either.
        self._repay(member, owed_before, dict(sale.granted))

    def _repay(self, member: Member, owed: list[Debt], fresh: dict[Key, int]) -> None:
        for debt in owed:
            for key in sorted(fresh):
                taken = min(debt.points, fresh[key])
                if not taken:
                    continue
                fresh[key] -= taken
                debt.points -= taken
                if debt.issuer:
                    self._lose(member, key, taken, debt.issuer, debt.terms)
                else:
                    self._redeem(member, key, taken, self.sales[debt.of])
        member.debts = [debt for debt in member.debts if debt.points]

    # Reversals

    def _reversal(self, ref: Ref, event: Mapping[str, Any], sale: Sale, member: Member) -> None:
        whole = event["type"] == "void.v1"
        if sale.account_id:
            self._restore(member, sale, None if whole else event.get("restored_points", 0))
            wanted = dict(sale.granted) if whole else self._asked(event, sale)
            for key, points in wanted.items():
                taken = min(points, sale.granted[key])
                sale.granted[key] -= taken
                self._claw(ref, member, key, taken, sale.at)
        asked = list(sale.funded.items()) if whole else event.get("funded", ())
        for payer, amount in asked:
            taken = min(amount, sale.funded[payer])
            sale.funded[payer] -= taken
            member.legs["funded", payer, "", sale.at, "", ""] -= taken

    def _asked(self, event: Mapping[str, Any], sale: Sale) -> dict[Key, int]:
        """Points to take back by the lot they were granted into; parts of one lot count as one."""
        lots = {(issuer, valid): (valid, issuer, terms) for valid, issuer, terms in sale.granted}
        asked: dict[Key, int] = defaultdict(int)
        for issuer, valid, points in event.get("reversed", ()):
            if (issuer, valid) in lots:
                asked[lots[issuer, valid]] += points
        return asked

    def _restore(self, member: Member, sale: Sale, points: int | None) -> None:
        """Spent points come back, all of them for none: first what nothing has covered, then what was used last."""
        owed = [debt for debt in member.debts if not debt.issuer and self.sales[debt.of] is sale]
        most = sum(part[1] for part in sale.spent) + sum(debt.points for debt in owed)
        wanted = most if points is None else points
        for debt in owed:
            taken = min(wanted, debt.points)
            debt.points -= taken
            wanted -= taken
        member.debts = [debt for debt in member.debts if debt.points]
        for part in reversed(sale.spent):
            taken = min(wanted, part[1])
            part[1] -= taken
            wanted -= taken
            member.lots[part[0]] += taken
            member.legs["redeemed", part[0][1], part[0][2], sale.at, sale.at_terms, "reimburse"] -= taken

    def _unreferenced(self, ref: Ref, event: Mapping[str, Any], account_id: int, member: Member) -> None:
        """Points of today's goods are taken back; points that were spent are not given back."""
        at, on = event["place"][0], event["place"][6]
        for issuer, valid, points in event.get("reversed", ()) if account_id else ():
            self._claw(ref, member, (valid, issuer, self._terms(issuer, on)), points, at)
        for payer, amount in event.get("funded", ()):
            member.legs["funded", payer, "", at, "", ""] -= amount

    # Points

    def _claw(self, ref: Ref, member: Member, wanted: Key, points: int, at: str) -> None:
        """The lot that was granted first, then that issuer's others, then any; what is missing is owed."""
        order = sorted(
            (key for key, held in member.lots.items() if held),
            key=lambda key: (key != wanted, key[1] != wanted[1], key),
        )
        for key in order:
            taken = min(points, member.lots[key])
            if taken:
                self._lose(member, key, taken, wanted[1], wanted[2])
                points -= taken
        if points:
            member.debts.append(Debt(ref, wanted[1], wanted[2], at, wanted[2], points))

    def _lose(self, member: Member, key: Key, points: int, owed_to: str, terms: str) -> None:
        """The issuer's own points are reversed; another's are redeemed with it."""
        member.lots[key] -= points
        if key[1] == owed_to:
            member.legs["reversed", key[1], key[2], "", "", ""] += points
        else:
            member.legs["redeemed", key[1], key[2], owed_to, terms, "funding"] += points

    def _redeem(self, member: Member, key: Key, points: int, sale: Sale) -> None:
        member.lots[key] -= points
        member.legs["redeemed", key[1], key[2], sale.at, sale.at_terms, "reimburse"] += points
        sale.spent.append([key, points])
