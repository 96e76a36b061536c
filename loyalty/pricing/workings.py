"""The running figures of one quote: what lines cost now, what was done, what still stands in the way.

The only values of the kernel that change as they go. They live for one call of `quote_basket` and never leave it.
"""

from collections.abc import Collection, Mapping, Sequence
from copy import copy

import msgspec

from loyalty.amounts import round_ratio
from loyalty.baskets import Basket, Line, Place
from loyalty.members import MemberView, Use
from loyalty.moments import moment_of
from loyalty.pricing.effects import Effect
from loyalty.programme.compiled import ALL, Compiled, Rule, matches_of


class Reason(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a promotion does not apply: the condition, what it wanted, what it found, and the sentence."""

    condition: str
    wanted: str = ""
    found: str = ""
    say: str = ""
    short_of_minor: int = 0
    short_of_milli: int = 0


def not_met(condition: str, wanted: str, found: str, say: str) -> Reason:
    """A condition that does not hold, with what it wanted and what it found."""
    return Reason(condition=condition, wanted=wanted, found=found, say=say)


def no_card() -> Reason:
    """A rule about a member, where there is none."""
    return not_met("who.card", "card", "none", "Needs a loyalty card.")


def unknown_here(condition: str, wanted: str) -> Reason:
    """A rule about the past of a member of whom this till was told nothing."""
    return not_met(condition, wanted, "unknown", "Cannot be checked at this store; try your home store.")


class Workings:
    """One basket under one programme, while it is being worked out.

    Attributes:
        listed, original, remaining: what each line costs before all promotions, after the price list, and now.
        paid: what points have paid of each line.
        stage_start: what each line cost when the stage at hand began.
        closed: positions of lines that no discount may touch; `sold`: of certificates being sold.
        counters: the member's by name; none where they are not known, or there is no member.
        shared: counters of the programme as a whole, as told.
        found: number of a selector → positions of the lines it names, where there are any; see `positions`.
        all_accrue: whether every line earns; `is_open`: whether every line may be reduced to nothing.
        held: the rules that hold, in the order in which they were judged; `unmet`: why others do not, by place.
        taken: minor units that each rule took off, by place of the rule; `units`: that it rewarded under a cap.
        acted: how often each rule did something, by place; more than once only where several coupons set it off.
        pending: how often a rule with limits that is let in will count, before it is known what it does.
        took: rules that took money off, by place and turn.
        turns: codes that set off something that acted; `refused`: why others did not, by the turn of the code.
        points_spent: points that pay for this basket; none before that is known.
    """

    __slots__ = (
        "_floors", "acted", "all_accrue", "basket", "closed", "compiled", "counters", "effects", "found", "held",
        "is_open", "lines", "listed", "moment", "original", "paid", "pending", "place", "points_spent", "refused",
        "remaining", "shared", "sold", "stage", "stage_start", "taken", "took", "turns", "units", "unmet", "view",
    )  # fmt: skip

    def __init__(
        self, compiled: Compiled, basket: Basket, place: Place, view: MemberView | None, shared: Sequence[Use] | None
    ) -> None:
        self.compiled = compiled
        self.basket = basket
        self.place = place
        self.view = view
        self.moment = moment_of(place)
        self.lines: tuple[Line, ...] = basket.lines
        self.listed = [line.amount_minor for line in basket.lines]
        self.original = list(self.listed)
        self.remaining = list(self.listed)
        self.stage_start = list(self.listed)
        self.stage = ""
        self.found = _found(compiled, basket.lines)
        self.sold: Collection[int] = self._sold()
        self.all_accrue = not self.sold and all([line.accrual for line in basket.lines])
        self.closed = {i for i, line in enumerate(self.lines) if not line.discountable}.union(self.sold)
        self.counters: Mapping[str, int] | None = None
        if view is not None and view.counters is not None:
            self.counters = {use.name: use.amount for use in view.counters}
        self.shared = {use.name: use.amount for use in shared or ()}
        self.effects: list[Effect] = []
        self.held: list[Rule] = []
        self.unmet: dict[int, Reason] = {}
        self.taken: dict[int, int] = {}
        self.units: dict[int, int] = {}
        self.acted: dict[int, int] = {}
        self.pending: dict[int, int] = {}
        self.took: set[tuple[int, int]] = set()
        self.turns: set[int] = set()
        self.refused: dict[int, list[Reason]] = {}
        self.points_spent: int | None = None
        self.paid = [0] * len(self.lines)
        self._floors: list[int] | None = None
        if any(line.floor_unit_minor for line in self.lines):
            self._floors = [-(-line.floor_unit_minor * line.quantity_milli // 1000) for line in self.lines]
        self.is_open = not self.closed and self._floors is None

    def copy(self) -> "Workings":
        """The same figures, to try something on."""
        twin = copy(self)
        for name in ("original", "remaining", "stage_start", "effects", "held", "paid"):
            setattr(twin, name, list(getattr(self, name)))
        twin.unmet, twin.taken, twin.units = dict(self.unmet), dict(self.taken), dict(self.units)
        twin.acted, twin.turns = dict(self.acted), set(self.turns)
        twin.pending, twin.took = dict(self.pending), set(self.took)
        twin.refused = {turn: list(reasons) for turn, reasons in self.refused.items()}
        return twin

    def positions(self, number: int) -> Sequence[int]:
        """Positions of the lines that a selector names, ascending."""
        return self.found.get(number, ())

    def room(self, i: int) -> int:
        """The most that may still be taken off a line: what it costs less its floor price."""
        if i in self.closed:
            return 0
        left = self.remaining[i]
        return left if self._floors is None else max(0, left - self._floors[i])

    def floor(self, i: int, milli: int) -> int:
        """What so much of a line may not cost less than."""
        return 0 if self._floors is None else -(-self.lines[i].floor_unit_minor * milli // 1000)

    def begin(self, stage: str) -> None:
        """A stage begins; the price list is what percentages of the original price are taken of."""
        if self.stage == "price_list":
            self.original = list(self.remaining)
        self.stage = stage
        self.stage_start = list(self.remaining)

    def take(self, rule: Rule, cuts: Mapping[int, int]) -> None:
        """Take minor units off lines, by position, for a rule."""
        if len(cuts) == 1:
            for i, cut in cuts.items():
                if cut:
                    self.take_one(rule, i, cut)
            return
        promotion = rule.promotion
        remaining, effects, lines = self.remaining, self.effects, self.lines
        total = 0
        for i, cut in sorted(cuts.items()):
            if cut:
                remaining[i] -= cut
                total += cut
                effects.append(
                    Effect(
                        promotion=promotion.id, line=lines[i].line, amount_minor=cut, funded_by=promotion.funded_by
                    )
                )
        if total:
            self._has_taken(rule, total)

    def take_one(self, rule: Rule, i: int, cut: int) -> None:
        """Take minor units, at least one, off a single line for a rule."""
        no, promotion = rule.no, rule.promotion
        self.remaining[i] -= cut
        self.effects.append(
            Effect(promotion=promotion.id, line=self.lines[i].line, amount_minor=cut, funded_by=promotion.funded_by)
        )
        if no in self.acted or rule.gives or rule.turn >= 0:
            self._has_taken(rule, cut)
        else:
            self.taken[no] = cut
            self.acted[no] = 1

    def _has_taken(self, rule: Rule, total: int) -> None:
        no = rule.no
        self.taken[no] = self.taken.get(no, 0) + total
        self.acted[no] = self.acted.get(no, 0) + 1
        if rule.gives or rule.turn >= 0:
            self.took.add((no, rule.turn))
            self.turns.add(rule.turn)

    def mark(self, rule: Rule) -> None:
        """A rule has done something."""
        self.acted[rule.no] = self.acted.get(rule.no, 0) + 1
        self.turns.add(rule.turn)

    def let_in(self, rule: Rule) -> None:
        """A rule holds; until it is known what it does it counts as if it did something."""
        self.held.append(rule)
        if "limits" in rule.asks and (rule.no, rule.turn) not in self.took:
            self.pending[rule.no] = self.pending.get(rule.no, 0) + 1

    def refuse(self, rule: Rule, reason: Reason) -> None:
        """A rule does not apply."""
        self.unmet[rule.no] = reason
        if rule.turn >= 0:
            self.refused.setdefault(rule.turn, []).append(reason)

    def discounted_minor(self, i: int) -> int:
        """What promotions have taken off a line, whatever points have paid of it."""
        return self.listed[i] - self.remaining[i] - self.paid[i]

    @property
    def tier(self) -> str:
        """The member's tier; that of everybody where the row names none."""
        return (self.view.tier if self.view else "") or self.compiled.programme.base_tier

    def without_tax(self, i: int, amount: int) -> int:
        """A part of what a line costs, less the tax in it; half up per line."""
        rate = self.lines[i].tax_bp
        if not rate or not self.basket.tax_included:
            return amount
        return amount - round_ratio(amount * rate, 10_000 + rate)

    def with_tax(self, i: int, amount: int) -> int:
        """The same with the tax on top, where prices are without it."""
        rate = self.lines[i].tax_bp
        if not rate or self.basket.tax_included:
            return amount
        return amount + round_ratio(amount * rate, 10_000)

    def taxed(self, i: int, amount: int, tax: str) -> int:
        """What a part of a line measures with tax `in` or `out`."""
        return self.with_tax(i, amount) if tax == "in" else self.without_tax(i, amount)

    def _sold(self) -> Collection[int]:
        number = self.compiled.certificates
        if number is None:
            return ()
        coded = {one.line for one in self.basket.certificates_sold}
        return frozenset(self.positions(number)) | {i for i, line in enumerate(self.lines) if line.line in coded}


def _found(compiled: Compiled, lines: Sequence[Line]) -> Mapping[int, Sequence[int]]:
    found: dict[int, list[int]] = {ALL: list(range(len(lines)))} if lines else {}
    for i, line in enumerate(lines):
        for one in matches_of(compiled, line):
            if one in found:
                found[one].append(i)
            else:
                found[one] = [i]
    return found
