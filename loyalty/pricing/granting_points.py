"""The stage in which points, gifts and coupons are granted, once it is known what points paid.

Which rules may grant beside each other is decided here; how many points each grants is `earning`'s.
"""

from collections.abc import Sequence

import msgspec

from loyalty.pricing.combining import Gate, apart
from loyalty.pricing.conditions import first_unmet
from loyalty.pricing.coupons import IssuedCoupon, issued
from loyalty.pricing.earning import Granted, earn_points, turn_of
from loyalty.pricing.gifts import GiftGiven, gift_of
from loyalty.pricing.taking_off import NOTHING
from loyalty.pricing.workings import Reason, Workings, no_card
from loyalty.programme.benefits import Gift, IssueCoupon
from loyalty.programme.compiled import Rule


class Extras(msgspec.Struct, frozen=True, kw_only=True):
    """What is granted besides money off."""

    granted: tuple[Granted, ...]
    gifts: tuple[GiftGiven, ...]
    coupons: tuple[IssuedCoupon, ...]


def grant(rules: Sequence[Rule], in_money: Sequence[int], workings: Workings, money: Gate) -> Extras:
    """Let the rules that grant points, gifts and coupons do so; what each did is noted in the workings.

    Args:
        rules: all that concern the basket, in running order.
        in_money: what is paid in money for each line.
        money: what took money off, and whom that keeps out.
    """
    gate = money.for_points(workings.compiled.programme.options.exclusive_over)
    both = [rule for rule in workings.held if rule.points or rule.extras]
    held = [rule for rule in both if (rule.no, rule.turn) in workings.took]
    waiting = [rule for rule in both if (rule.no, rule.turn) not in workings.took]
    turns = [*waiting, *(rule for rule in rules if rule.stage == "earning")]
    for rule in sorted(turns, key=turn_of) if waiting else turns:
        # What holds of a promotion that also takes money off was found out in its own stage.
        reason = _unmet(rule, workings, gate) if rule.stage == "earning" else gate.keeps_out(rule)
        if reason is not None:
            workings.refuse(rule, reason)
            continue
        held.append(rule)
        if rule.stage == "earning" and "limits" in rule.asks:
            workings.pending[rule.no] = workings.pending.get(rule.no, 0) + 1
        if not rule.promotion.then:
            workings.mark(rule)
        elif rule.promotion.group and _acts(rule, held, in_money, workings):
            gate.join(rule)
    workings.pending.clear()
    held = [rule for rule in held if not rule.promotion.group or not _is_out_by_now(rule, workings, gate)]
    granted = _points([rule for rule in held if rule.points], in_money, workings)
    acted = {(one.rule.no, one.rule.turn) for one in granted}
    gifts, coupons = _extras(held, workings, acted)
    for rule in held:
        if (rule.no, rule.turn) in acted:
            if (rule.no, rule.turn) not in workings.took:
                workings.mark(rule)
        elif rule.stage == "earning" and rule.promotion.then:
            workings.refuse(rule, workings.unmet.get(rule.no, NOTHING))
    return Extras(granted=tuple(granted), gifts=tuple(gifts), coupons=tuple(coupons))


def _is_out_by_now(rule: Rule, workings: Workings, gate: Gate) -> bool:
    """Whether a multiplier of a group, which does nothing by itself, does not combine with what it would multiply."""
    reason = gate.keeps_out(rule) if rule.stage == "earning" else None
    if reason is not None:
        workings.refuse(rule, reason)
    return reason is not None


def _acts(rule: Rule, held: Sequence[Rule], in_money: Sequence[int], workings: Workings) -> bool:
    """Whether a rule does anything beside those that hold already."""
    if rule.points and workings.view is not None:
        granted = earn_points([one for one in held if one.points], in_money, workings)
        if any(one.rule is rule for one in granted):
            return True
    gifts, coupons = _extras([rule], workings, set())
    return bool(gifts or coupons)


def _unmet(rule: Rule, workings: Workings, gate: Gate) -> Reason | None:
    # Nobody is told how little is missing for what another promotion keeps out.
    reason = gate.keeps_out(rule) if rule.promotion.then else None
    reason = reason or first_unmet(rule, workings)
    if reason is None and workings.view is None and rule.points and not rule.extras:
        reason = no_card()
    return reason


def _points(rules: Sequence[Rule], in_money: Sequence[int], workings: Workings) -> list[Granted]:
    """Points of rules that hold; an exclusive one that grants any keeps out those that are not."""
    if workings.view is None:
        return []
    granted = earn_points(rules, in_money, workings)
    exclusive = [rule for rule in rules if rule.promotion.exclusive]
    if not exclusive or len(exclusive) == len(rules):
        return granted
    alone = earn_points(exclusive, in_money, workings)
    if not alone:
        return earn_points([rule for rule in rules if not rule.promotion.exclusive], in_money, workings)
    wins = workings.compiled.programme.options.exclusive == "exclusive_wins" or granted[0].rule.promotion.exclusive
    first = (alone if wins else granted)[0].rule.promotion.id
    for rule in rules:
        if rule.promotion.exclusive != wins:
            workings.refuse(rule, apart("exclusive", first))  # what took money off stays as it is
    return earn_points([rule for rule in rules if rule.promotion.exclusive == wins], in_money, workings)


def _extras(
    held: Sequence[Rule], workings: Workings, acted: set[tuple[int, int]]
) -> tuple[list[GiftGiven], list[IssuedCoupon]]:
    gifts: list[GiftGiven] = []
    coupons: list[IssuedCoupon] = []
    kinds = {kind.id: kind for kind in workings.compiled.programme.coupons}
    for rule in held:
        for benefit, numbers in rule.extras:
            if isinstance(benefit, Gift):
                gift = gift_of(rule, benefit, numbers, workings)
                if gift is not None:
                    gifts.append(gift)
                    acted.add((rule.no, rule.turn))
            elif isinstance(benefit, IssueCoupon):
                coupon = issued(rule, kinds[benefit.coupon], workings)
                if coupon is not None:
                    coupons.append(coupon)
                    acted.add((rule.no, rule.turn))
    return gifts, coupons
