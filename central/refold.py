"""The books folded once more from the bytes tills sent, by plain dictionaries.

This shares no line with `loyalty.postings` or `loyalty.books` on purpose: it is what their result is held against.
It reads JSON with the standard library, knows the rules of DECISIONS 8 and 10 and settlement.md section 2, and keeps
only sums.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

Ref = tuple[str, int, int]  # till_id, epoch, seq
Key = tuple[str, str, str]  # valid_through, issuer_id, terms_id: spending order
Parts = list[list[Any]]  # [[Key, points]], in the order of use
TermsRows = list[tuple[str, str, str]]  # partner_id, from_on, terms_id


class Member:
    """Lots and debts of one account, and how many events were folded in."""

    def __init__(self) -> None:
        self.lots: dict[Key, int] = defaultdict(int)
        self.debts: list[dict[str, Any]] = []
        self.events = 0


class Refold:
    """A naive ledger. Feed it each account's events in the order in which the centre folded them."""

    def __init__(self, terms: TermsRows) -> None:
        self.terms = sorted(terms, key=lambda row: row[1])
        self.members: dict[int, Member] = defaultdict(Member)
        self.issued: dict[str, int] = defaultdict(int)
        self.redeemed: dict[str, int] = defaultdict(int)
        self.reversed: dict[str, int] = defaultdict(int)
        self.uncovered = 0
        self.granted: dict[Ref, Parts] = {}
        self.spent: dict[Ref, Parts] = {}
        self.of_account: dict[Ref, int] = {}

    def fold(self, ref: Ref, event: Mapping[str, Any], account_id: int) -> None:
        """Fold in one event as the till sent it; account 0 is nobody."""
        if not account_id:
            return
        member = self.members[account_id]
        member.events += 1
        kind = event["type"]
        if kind == "receipt.v1":
            self._receipt(ref, event, account_id, member)
        elif event.get("of"):
            self._reversal(ref, event, member)
        elif kind == "return.v1":
            on = event["place"][6]
            for issuer, valid, points in event.get("reversed", ()):
                self._claw(ref, member, (valid, issuer, self._terms(issuer, on)), points)

    def _terms(self, partner: str, on: str) -> str:
        begun = [terms_id for who, from_on, terms_id in self.terms if who == partner and from_on <= on]
        return begun[-1] if begun else "none"

    def _receipt(self, ref: Ref, event: Mapping[str, Any], account_id: int, member: Member) -> None:
        on = event["place"][6]
        self.of_account[ref] = account_id
        wanted = (event.get("redemption") or {}).get("points", 0)
        used: Parts = []
        for key in sorted(key for key, points in member.lots.items() if points and key[0] >= on):
            taken = min(wanted, member.lots[key])
            if taken:
                self._redeem(member, key, taken, used)
                wanted -= taken
        self.spent[ref] = used
        if wanted:
            self.uncovered += wanted
            member.debts.append({"of": ref, "issuer": None, "terms": "", "points": wanted})
        fresh: dict[Key, int] = defaultdict(int)
        for issuer, valid, points in event.get("earned", ()):
            key = (valid, issuer, self._terms(issuer, on))
            member.lots[key] += points
            fresh[key] += points
            self.issued[issuer] += points
        self.granted[ref] = [[key, points] for key, points in fresh.items()]
        self._repay(member, fresh)

    def _repay(self, member: Member, fresh: dict[Key, int]) -> None:
        for debt in member.debts:
            for key in sorted(fresh):
                taken = min(debt["points"], fresh[key])
                if not taken:
                    continue
                fresh[key] -= taken
                debt["points"] -= taken
                if debt["issuer"] is None:
                    self._redeem(member, key, taken, self.spent[debt["of"]])
                else:
                    self._lose(member, key, taken, debt["issuer"])
        member.debts = [debt for debt in member.debts if debt["points"]]

    def _reversal(self, ref: Ref, event: Mapping[str, Any], member: Member) -> None:
        of: Ref = (event["of"][0], event["of"][1], event["of"][2])
        whole = event["type"] == "void.v1"
        self._restore(member, of, None if whole else event.get("restored_points", 0))
        if whole:
            asked = [(part[0], part[1]) for part in self.granted[of]]
        else:
            asked = [
                (self._granted_key(of, issuer, valid), points) for issuer, valid, points in event.get("reversed", ())
            ]
        for key, points in asked:
            part = next((part for part in self.granted[of] if part[0] == key), None)
            taken = min(points, part[1]) if part else 0
            if part and taken:
                part[1] -= taken
                self._claw(ref, member, key, taken)

    def _granted_key(self, of: Ref, issuer: str, valid: str) -> Key | None:
        return next((part[0] for part in self.granted[of] if (part[0][1], part[0][0]) == (issuer, valid)), None)

    def _restore(self, member: Member, of: Ref, points: int | None) -> None:
        left = sum(part[1] for part in self.spent[of])
        owed = [debt for debt in member.debts if debt["of"] == of and debt["issuer"] is None]
        wanted = left + sum(debt["points"] for debt in owed) if points is None else points
        for debt in owed:
            taken = min(wanted, debt["points"])
            debt["points"] -= taken
            wanted -= taken
        member.debts = [debt for debt in member.debts if debt["points"]]
        for part in reversed(self.spent[of]):
            taken = min(wanted, part[1])
            part[1] -= taken
            wanted -= taken
            member.lots[part[0]] += taken
            self.redeemed[part[0][1]] -= taken

    def _claw(self, ref: Ref, member: Member, wanted: Key, points: int) -> None:
        """The lot that was granted first, then that issuer's others, then any; what is missing is owed."""
        order = sorted(
            (key for key, held in member.lots.items() if held),
            key=lambda key: (key != wanted, key[1] != wanted[1], key),
        )
        for key in order:
            taken = min(points, member.lots[key])
            if taken:
                self._lose(member, key, taken, wanted[1])
                points -= taken
        if points:
            member.debts.append({"of": ref, "issuer": wanted[1], "terms": wanted[2], "points": points})

    def _lose(self, member: Member, key: Key, points: int, owed_to: str) -> None:
        member.lots[key] -= points
        if key[1] == owed_to:
            self.reversed[key[1]] += points
        else:
            self.redeemed[key[1]] += points

    def _redeem(self, member: Member, key: Key, points: int, used: Parts) -> None:
        member.lots[key] -= points
        self.redeemed[key[1]] += points
        used.append([key, points])
