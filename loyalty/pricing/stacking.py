"""Discounts in their turn: stage by stage, one after the other or together, as they are declared to add up.

Source: engine.md capabilities 7, 8, 18; docs/programme.md "In which order" and "What combines".
"""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from loyalty.pricing.combining import Gate
from loyalty.pricing.conditions import first_unmet, limits_unmet
from loyalty.pricing.discounts import Cuts
from loyalty.pricing.swift import take_swiftly
from loyalty.pricing.taking_off import NOTHING, Offered, offer_of
from loyalty.pricing.workings import Reason, Workings
from loyalty.programme.compiled import DISCOUNT_STAGES, Rule


def take_discounts(rules: Sequence[Rule], workings: Workings, gate: Gate) -> None:
    """Let the rules that take money off before points pay do so, stage by stage.

    Args:
        rules: those that concern the basket, in running order.
    """
    by_stage = {stage: list(of_stage) for stage, of_stage in groupby(rules, attrgetter("stage"))}
    for stage in DISCOUNT_STAGES:
        workings.begin(stage)
        if stage in by_stage:
            run_stage(by_stage[stage], workings, gate)
    workings.begin("")


def run_stage(rules: Sequence[Rule], workings: Workings, gate: Gate) -> None:
    """One stage: each rule in its turn holds or not, on what earlier ones left."""
    judged: set[tuple[int, int]] = set()
    combines = workings.compiled.combines
    for n, rule in enumerate(rules):
        if rule.swift and not combines:
            take_swiftly(rule, workings)
            continue
        if (rule.no, rule.turn) in judged or not _holds(rule, workings, gate):
            continue
        if rule.stacking == "sequential":
            _settle(rule, offer_of(rule, workings), workings, gate)
            continue
        block = [other for other in rules[n:] if other.promotion.group == rule.promotion.group]
        judged.update((other.no, other.turn) for other in block)
        together = [rule, *(other for other in block[1:] if _holds(other, workings, gate))]
        _settle_together(rule.stacking, together, workings, gate)


def _holds(rule: Rule, workings: Workings, gate: Gate) -> bool:
    # Nobody is told how little is missing for what another promotion keeps out.
    reason = gate.keeps_out(rule) or first_unmet(rule, workings)
    if reason is not None:
        workings.refuse(rule, reason)
    return reason is None


def _settle(rule: Rule, offer: Offered, workings: Workings, gate: Gate) -> None:
    """Take what a rule offers; one that holds and finds nothing to reduce may still grant points."""
    if offer.reason is not None:
        workings.refuse(rule, offer.reason)
        if offer.reason.condition != "then":
            return
    else:
        workings.take(rule, offer.cuts)
        if offer.units:
            workings.units[rule.no] = workings.units.get(rule.no, 0) + sum(offer.units.values())
        gate.let_in(rule)
    workings.let_in(rule)


def _settle_together(stacking: str, rules: Sequence[Rule], workings: Workings, gate: Gate) -> None:
    """Rules that are all worked out on the same prices."""
    if stacking == "sum":
        _sum(rules, workings, gate)
        return
    offers = [(rule, offer_of(rule, workings)) for rule in rules]
    for rule, offer in (_best_of if stacking == "best_of" else _best_of_line)(offers):
        # An earlier coupon of the same kind may have used up what this one asks for.
        used_up = limits_unmet(rule, workings) if "limits" in rule.asks else None
        reason = used_up or offer.reason or gate.keeps_out(rule)
        _settle(rule, Offered(offer.cuts, offer.units, reason), workings, gate)


def _sum(rules: Sequence[Rule], workings: Workings, gate: Gate) -> None:
    """Each on the prices that the group found, as far as limits and what is left allow it by then."""
    prices = list(workings.remaining)
    for rule in rules:
        now = workings.remaining
        workings.remaining = prices
        reason = gate.keeps_out(rule) or first_unmet(rule, workings)
        offer = Offered({}, reason=reason) if reason else offer_of(rule, workings)
        workings.remaining = now
        if offer.reason is None:
            cuts = {i: min(cut, workings.room(i)) for i, cut in offer.cuts.items()}
            offer = Offered(cuts, offer.units, None if any(cuts.values()) else NOTHING)
        _settle(rule, offer, workings, gate)


def _best_of(offers: Sequence[tuple[Rule, Offered]]) -> list[tuple[Rule, Offered]]:
    """Only the one that takes most off stays, the first of equals."""
    best = max(offers, key=lambda one: sum(one[1].cuts.values()))[0]
    return [(rule, offer if rule is best else _less(offer, best)) for rule, offer in offers]


def _best_of_line(offers: Sequence[tuple[Rule, Offered]]) -> list[tuple[Rule, Offered]]:
    """Of every line only the one that takes most off it stays."""
    winners: dict[int, Rule] = {}
    for i in {i for _, offer in offers for i in offer.cuts}:
        winners[i] = max(offers, key=lambda one: one[1].cuts.get(i, 0))[0]
    kept = []
    for rule, offer in offers:
        cuts: Cuts = {i: cut for i, cut in offer.cuts.items() if winners[i] is rule}
        lost = next((winners[i] for i in sorted(offer.cuts) if winners[i] is not rule), rule)
        units = {i: count for i, count in offer.units.items() if i in cuts}
        kept.append((rule, Offered(cuts, units) if cuts else _less(offer, lost)))
    return kept


def _less(offer: Offered, best: Rule) -> Offered:
    return Offered({}, reason=offer.reason or _best(best))


def _best(rule: Rule) -> Reason:
    return Reason(condition="best_of", found=rule.promotion.id, say=f"{rule.promotion.id} takes more off.")
