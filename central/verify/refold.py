"""The books folded once more from the bytes tills sent, by plain dictionaries.

This shares no line with `loyalty.ledger.postings` or `loyalty.ledger.books` on purpose: it is what their result is held
against. It reads JSON with the standard library, knows the rules of DECISIONS 8 and 10 and settlement.md section 2, and
keeps only sums.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Ref = tuple[str, int, int]  # till_id, epoch, seq
Key = tuple[str, str, str]  # valid_through, issuer_id, terms_id: spending order
Parts = list[list[Any]]  # [[Key, points]], in the order of use
TermsRow = tuple[str, str, str]  # partner_id, from_on, terms_id
# Bucket; issuer and terms of its points, or who pays ("funded", minor units); who is reimbursed, or is not until points
# cover it ("withheld"), under which terms, at which of their prices.
Leg = tuple[str, str, str, str, str, str]


class Member:
    """Lots and the day each was first earned on since it was empty, debts and sums of one account, and how many events
    were folded in; account 0 is nobody's."""

    def __init__(self) -> None:
        self.lots: dict[Key, int] = defaultdict(int)
        self.expired: dict[Key, int] = defaultdict(int)
        self.earned_on: dict[Key, str] = {}
        self.debts: list[Debt] = []
        self.leases: dict[str, dict[Key, int]] = defaultdict(lambda: defaultdict(int))
        self.legs: dict[Leg, int] = defaultdict(int)
        self.redated: dict[Key, str] = {}  # the last valid day that a lot's points were given since
        self.events = 0

    def arrive(self, key: Key, points: int, on: str | None) -> None:
        """Points earned on a day: what comes late makes a lot that holds points older, unless nobody remembers since
        when it holds them, or since when those were held that come."""
        if on is None:
            self.earned_on.pop(key, None)
        elif not self.lots[key]:
            self.earned_on[key] = on
        elif key in self.earned_on:
            self.earned_on[key] = min(on, self.earned_on[key])
        self.lots[key] += points


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


class GaveBack:
    """What a return moved, so that its void can be folded: of which sale (none without one); points taken from where,
    or with a later payment of a debt, by who was owed; points given back in the order of giving, and those that nothing
    had covered; points off the sale, and discounts."""

    def __init__(self, of: Ref | None, at: str) -> None:
        self.of, self.at = of, at
        self.taken: list[tuple[str, Key, int, str, str]] = []
        self.back: Parts = []
        self.forgiven = 0
        self.granted: dict[Key, int] = defaultdict(int)
        self.funded: dict[str, int] = defaultdict(int)


class Refold:
    """A naive ledger. Feed it each account's events in the order in which the centre folded them."""

    def __init__(self, terms: Iterable[TermsRow]) -> None:
        self.terms = sorted(terms, key=lambda row: (row[1], row[2]))
        self.members: dict[int, Member] = defaultdict(Member)
        self.sales: dict[Ref, Sale] = {}
        self.sold: dict[int, list[Sale]] = defaultdict(list)
        self.returns: dict[Ref, GaveBack] = {}
        self.uncovered = 0
        self.own_grants: set[str] = set()  # ids of head office's own events that granted
        self.grants_shown: dict[Ref, list[dict[str, Any]]] = {}  # those that events of tills brought back, by event
        self.shown: dict[tuple[Any, ...], tuple[dict[Key, int], set[str]]] = {}  # lost grants: the rest, who showed it
        self.reclaimed = 0  # points of leases whose holder was not heard in time

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

    def terms_of(self, partner: str, on: str) -> str:
        """The terms of a partner that hold on a date; `none` where it has none."""
        return self._terms(partner, on)

    def repay(self, member: Member, fresh: dict[Key, int]) -> None:
        """Points that have just come pay what the account owes."""
        self._repay(member, list(member.debts), dict(fresh))

    def pay(self, member: Member, owed: list[Debt], fresh: dict[Key, int]) -> None:
        """The same, of these debts only."""
        self._repay(member, owed, fresh)

    def take_over(self, closed_id: int, account_id: int) -> None:
        """From here on what comes back of the sales of one account comes back to another."""
        for sale in self.sold.pop(closed_id, []):
            sale.account_id = account_id
            self.sold[account_id].append(sale)

    def _terms(self, partner: str, on: str) -> str:
        begun = [terms_id for who, from_on, terms_id in self.terms if who == partner and from_on <= on]
        return begun[-1] if begun else "none"

    # Sales

    def _receipt(self, ref: Ref, event: Mapping[str, Any], account_id: int, member: Member) -> None:
        at, on = event["place"][0], event["place"][6]
        sale = self.sales[ref] = Sale(account_id, at, self._terms(at, on))
        self.sold[account_id].append(sale)
        for payer, amount in event.get("funded", ()):
            sale.funded[payer] += amount
            member.legs["funded", payer, "", at, "", ""] += amount
        redemption = event.get("redemption") or {}
        wanted = redemption.get("points", 0)
        if not account_id:
            self.uncovered += wanted
            return
        owed_before = list(member.debts)
        # Only where the programme lets it does a sale spend what it earns itself.
        spends_own = event.get("spends_own", False)
        if spends_own:
            self._grant(event, member, sale)
        wanted -= self._from_lease(member, redemption, sale)
        for key in _to_spend(member, redemption, event["place"]):
            taken = min(wanted, member.lots[key])
            if taken:
                self.redeem(member, key, taken, sale)
                wanted -= taken
            # What has lapsed meanwhile was still good on the day of this sale.
            late = min(wanted, member.expired[key])
            if late:
                self.redeem(member, key, late, sale, lapsed=True)
                wanted -= late
        if redemption.get("authority") == "hold":
            self._let_go(member, redemption["lease_id"])
        if wanted:
            self.uncovered += wanted
            member.debts.append(Debt(ref, "", "", at, sale.at_terms, wanted))
            member.legs["withheld", "", "", at, sale.at_terms, ""] += wanted
        if not spends_own:
            self._grant(event, member, sale)
        # What it earns does not cover its own shortfall either.
        self._repay(member, owed_before, dict(sale.granted))

    def _from_lease(self, member: Member, redemption: Mapping[str, Any], sale: "Sale") -> int:
        """What a sale takes out of a hold or lease, as far as it is still there."""
        left, total = member.leases[redemption.get("lease_id", "")], 0
        for (through, issuer, terms), points in redemption.get("slices", ()):
            key = (through, issuer, terms)
            taken = min(points, left[key])
            if taken:
                left[key] -= taken
                total += taken
                member.legs["leased", issuer, terms, "", "", ""] -= taken
                member.legs["redeemed", issuer, terms, sale.at, sale.at_terms, "reimburse"] += taken
                sale.spent.append([key, taken])
        return total

    def _let_go(self, member: Member, lease_id: str) -> None:
        """What a sale leaves of its hold goes back."""
        for key, points in member.leases[lease_id].items():
            member.lots[key] += points
            member.legs["leased", key[1], key[2], "", "", ""] -= points
        member.leases[lease_id].clear()

    def _grant(self, event: Mapping[str, Any], member: Member, sale: Sale | None) -> dict[Key, int]:
        """Points of an event under its day's terms; with a sale, as points of its goods."""
        fresh: dict[Key, int] = defaultdict(int)
        on = event["place"][6]
        for issuer, valid, points in event.get("earned", ()):
            key = (valid, issuer, self._terms(issuer, on))
            fresh[key] += points
            member.arrive(key, points, on)
            member.legs["issued", issuer, key[2], "", "", ""] += points
            if sale:
                sale.granted[key] += points
        return fresh

    def _repay(self, member: Member, owed: list[Debt], fresh: dict[Key, int]) -> None:
        """Points that have just come pay debts, the oldest first, unless they were spent in the same breath."""
        for debt in owed:
            for key in sorted(fresh):
                taken = min(debt.points, fresh[key], member.lots[key])
                if not taken:
                    continue
                fresh[key] -= taken
                debt.points -= taken
                if debt.issuer:
                    self._lose(debt.of, member, key, taken, debt.issuer, debt.terms)
                else:
                    self.redeem(member, key, taken, self.sales[debt.of])
                    member.legs["withheld", "", "", debt.at, debt.at_terms, ""] -= taken
        member.debts = [debt for debt in member.debts if debt.points]

    # Reversals

    def _reversal(self, ref: Ref, event: Mapping[str, Any], sale: Sale, member: Member) -> None:
        whole = event["type"] == "void.v1"
        gave = GaveBack(tuple(event["of"]), sale.at)  # type: ignore[arg-type]
        if not whole:
            self.returns[ref] = gave
        if sale.account_id:
            self._restore(member, sale, None if whole else event.get("restored_points", 0), gave)
            # What is left of the sale is looked at before goods that were kept earn anew.
            left = dict(sale.granted)
            wanted = left if whole else self.asked(event.get("reversed", ()), left)
            in_money = {} if whole else self.asked(event.get("withheld", ()), left)
            self._repay(member, list(member.debts), self._grant(event, member, sale))
            for key, points in in_money.items():
                sale.granted[key] -= points
            for key, points in (*wanted.items(), *in_money.items()):
                gave.granted[key] += points
            for key, points in sorted(wanted.items()) if whole else wanted.items():
                sale.granted[key] -= points
                self.claw(ref, member, key, points, sale.at, let_go=event.get("clamp", False))
        asked = list(sale.funded.items()) if whole else event.get("funded", ())
        for payer, amount in asked:
            taken = min(amount, sale.funded[payer])
            sale.funded[payer] -= taken
            gave.funded[payer] += taken
            member.legs["funded", payer, "", sale.at, "", ""] -= taken

    def asked(self, parts: Iterable[Any], left: dict[Key, int]) -> dict[Key, int]:
        """Points to take back by the lot they were granted into, off what is left; parts of one lot count as one."""
        asked: dict[Key, int] = defaultdict(int)
        for issuer, valid, points in parts:
            for key in sorted(key for key in left if key[:2] == (valid, issuer)):
                taken = min(points, left[key])
                left[key] -= taken
                points -= taken
                asked[key] += taken
        return asked

    def _restore(self, member: Member, sale: Sale, points: int | None, gave: GaveBack) -> None:
        """Spent points come back, all of them for none: first what nothing has covered, then what was used last.

        Points that come back repay debts as new ones do.
        """
        owed = [debt for debt in member.debts if not debt.issuer and self.sales[debt.of] is sale]
        most = sum(part[1] for part in sale.spent) + sum(debt.points for debt in owed)
        wanted = most if points is None else min(points, most)
        for debt in owed:
            taken = min(wanted, debt.points)
            debt.points -= taken
            wanted -= taken
            gave.forgiven += taken
            member.legs["withheld", "", "", debt.at, debt.at_terms, ""] -= taken
        member.debts = [debt for debt in member.debts if debt.points]
        back: dict[Key, int] = defaultdict(int)
        for part in reversed(sale.spent):
            taken = min(wanted, part[1])
            part[1] -= taken
            wanted -= taken
            back[part[0]] += taken
            gave.back.append([part[0], taken])
            member.lots[part[0]] += taken
            member.legs["redeemed", part[0][1], part[0][2], sale.at, sale.at_terms, "reimburse"] -= taken
        self._repay(member, list(member.debts), back)

    def _unreferenced(self, ref: Ref, event: Mapping[str, Any], account_id: int, member: Member) -> None:
        """Points of today's goods are taken back; points that were spent are not given back."""
        at, on = event["place"][0], event["place"][6]
        gave = self.returns[ref] = GaveBack(None, at)
        if account_id:
            self._repay(member, list(member.debts), self._grant(event, member, None))
        for issuer, valid, points in event.get("reversed", ()) if account_id else ():
            key = (valid, issuer, self._terms(issuer, on))
            self.claw(ref, member, key, points, at, let_go=event.get("clamp", False))
        for payer, amount in event.get("funded", ()):
            gave.funded[payer] += amount
            member.legs["funded", payer, "", at, "", ""] -= amount

    # Points

    def claw(self, ref: Ref, member: Member, wanted: Key, points: int, at: str, *, let_go: bool) -> None:
        """The lot that was granted first, then that issuer's others, then any; what is missing is owed, or let go."""
        homes = [wanted]
        while homes[-1] in member.redated and (member.redated[homes[-1]], *wanted[1:]) not in homes:
            homes.append((member.redated[homes[-1]], *wanted[1:]))
        short = max(0, points - sum(member.lots[key] for key in homes))
        for home in homes:
            # The goods come back after their points lapsed: these are the points that they had brought.
            gone = min(short, member.expired[home])
            if not gone:
                continue
            member.expired[home] -= gone
            member.legs["expired", wanted[1], wanted[2], "", "", ""] -= gone
            member.legs["reversed", wanted[1], wanted[2], "", "", ""] += gone
            self._note(ref, ("expired", home, gone, wanted[1], wanted[2]))
            short, points = short - gone, points - gone
        order = sorted(
            (key for key, held in member.lots.items() if held),
            key=lambda key: (key not in homes, key[1] != wanted[1], key),
        )
        for key in order:
            taken = min(points, member.lots[key])
            if taken:
                self._lose(ref, member, key, taken, wanted[1], wanted[2])
                points -= taken
        if points and not let_go:
            member.debts.append(Debt(ref, wanted[1], wanted[2], at, wanted[2], points))

    def _note(self, of: Ref, taken: tuple[str, Key, int, str, str]) -> None:
        if of in self.returns:
            self.returns[of].taken.append(taken)

    def _lose(self, of: Ref, member: Member, key: Key, points: int, owed_to: str, terms: str) -> None:
        """The issuer's own points are reversed; another's are redeemed with it."""
        self._note(of, ("available", key, points, owed_to, terms))
        member.lots[key] -= points
        if key[1] == owed_to:
            member.legs["reversed", key[1], key[2], "", "", ""] += points
        else:
            member.legs["redeemed", key[1], key[2], owed_to, terms, "funding"] += points

    def redeem(self, member: Member, key: Key, points: int, sale: Sale, *, lapsed: bool = False) -> None:
        """Points of a lot, or what lapsed of it, are spent on a sale."""
        if lapsed:
            member.expired[key] -= points
            member.legs["expired", key[1], key[2], "", "", ""] -= points
        else:
            member.lots[key] -= points
        member.legs["redeemed", key[1], key[2], sale.at, sale.at_terms, "reimburse"] += points
        sale.spent.append([key, points])


def _to_spend(member: Member, redemption: Mapping[str, Any], place: list[Any]) -> list[Key]:
    """The lots that a sale may spend, in the order and until the time that its redemption tells."""
    expiry = redemption.get("expiry", {})
    when: str = expiry.get("when", "end_of_day")
    on: str = place[6]

    def is_live(through: str) -> bool:
        if when == "instant":
            clock = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=place[4], minutes=place[5])
            return f"{clock:%Y-%m-%d %H:%M}" < f"{through} {expiry.get('at', '24:00')}"
        return on < through if when == "start_of_day" else on <= through

    held = {key for part in (member.lots, member.expired) for key, points in part.items() if points}
    live = sorted(key for key in held if is_live(key[0]))
    if redemption.get("lot_order") == "first_earned":
        live.sort(key=lambda key: member.earned_on.get(key, ""))
    return live
