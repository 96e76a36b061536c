"""Rules of a programme that can never apply, though they can be read.

No doubt keeps a programme from being used; `check` shows it as a warning. The others are about parts without effect
(`idle`), promotions that no rule puts in order (`conflicts`), results that nobody could explain (`riddles`), and
messages (`sentences`).
"""

from collections.abc import Iterator
from difflib import get_close_matches

import msgspec

from loyalty.programme.benefits import (
    EXTRAS,
    Benefit,
    Bundle,
    BuyGet,
    Earn,
    IssueCoupon,
    MultiplyPoints,
    PriceList,
    selectors_of,
)
from loyalty.programme.overlaps import apart, contradictions, has_a_moment, never_selects, times_of, within
from loyalty.programme.programme import Programme, Spending
from loyalty.programme.promotion import OnEvent, PointsSpent, Promotion, QuantityIs, SpendIs, Valid, Who
from loyalty.programme.selectors import EVERYTHING, Selector
from loyalty.programme.words import Path

EVENTS = ("enrolment", "referral", "survey", "visit")


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """Where, by keys and positions from the top; which rule of ours it breaks; and what to do."""

    path: Path
    rule: str
    say: str


def doubts_about_rules(programme: Programme) -> Iterator[Doubt]:
    """Everything that can never apply, in the order of the document's parts."""
    if programme.spending is not None:
        yield from _spending(programme.spending)
    for i, promotion in enumerate(programme.promotions):
        yield from _promotion(("promotions", i), promotion, programme)
    for i, prize in enumerate(programme.prizes):
        yield from _selector(("prizes", i, "of"), prize.of, programme, money="paid for with points")
        yield from _tiers(("prizes", i, "tiers"), prize.tiers, programme)
    if programme.certificates is not None:
        sold = programme.certificates.sold
        yield from _selector(("certificates", "sold"), sold, programme)
        if sold == EVERYTHING:
            say = "All goods are certificates here, so nothing is discounted and nothing earns; name the certificates."
            yield Doubt(path=("certificates", "sold"), rule="never_applies", say=say)


def _spending(spending: Spending) -> Iterator[Doubt]:
    if spending.largest_share_bp == 0:
        say = "At a share of 0 no points can be spent; raise it, or take spending out."
        yield Doubt(path=("spending", "largest_share_bp"), rule="never_applies", say=say)
    if spending.offline and spending.offline.sale_points < max(spending.least_points, spending.step_points):
        say = "Offline a sale may take fewer points than the least that can be spent; raise it, or take offline out."
        yield Doubt(path=("spending", "offline", "sale_points"), rule="never_applies", say=say)
    if never_selects(spending.of):
        yield _excluded(("spending", "of"), spending.of)


def _promotion(path: Path, promotion: Promotion, programme: Programme) -> Iterator[Doubt]:
    if not promotion.then and not promotion.messages:
        say = f"{promotion.id} has neither benefits nor messages; add one, or take it out."
        yield Doubt(path=path, rule="does_nothing", say=say)
    for n, benefit in enumerate(promotion.then):
        what = "" if isinstance(benefit, EXTRAS) else "discounted, nor do they earn"
        for below, selector in _named(benefit):
            yield from _selector((*path, "then", n, *below), selector, programme, money=what)
        if isinstance(benefit, MultiplyPoints):
            yield from _multiplier((*path, "then", n), benefit, programme)
    yield from _conditions(path, promotion, programme)
    yield from _moments((*path, "valid"), promotion.valid)
    yield from _members((*path, "who"), promotion.who, programme)
    if isinstance(promotion.trigger, OnEvent):
        yield from _event((*path, "trigger", "event"), promotion.trigger.event)


def _conditions(path: Path, promotion: Promotion, programme: Programme) -> Iterator[Doubt]:
    for n, condition in enumerate(promotion.when):
        if isinstance(condition, SpendIs | QuantityIs):
            yield from _selector((*path, "when", n, "of"), condition.of, programme)
        if isinstance(condition, PointsSpent):
            yield from _points_spent((*path, "when", n), promotion, programme)
    for i, j in contradictions(promotion.when):
        say = f"This can never hold together with condition {i + 1} of {promotion.id}; loosen one of the two."
        yield Doubt(path=(*path, "when", j), rule="contradiction", say=say)


def _points_spent(path: Path, promotion: Promotion, programme: Programme) -> Iterator[Doubt]:
    if promotion.takes_money_off and promotion.stage != "redemption":
        say = f"What points pay is not known yet in the stage {promotion.stage}; write stage: redemption."
        yield Doubt(path=path, rule="never_applies", say=say)
    elif programme.spending is None and not programme.prizes:
        say = "Nothing can be paid with points here; add spending or prizes, or take the condition out."
        yield Doubt(path=path, rule="never_applies", say=say)


def _multiplier(path: Path, benefit: MultiplyPoints, programme: Programme) -> Iterator[Doubt]:
    earning = [one for promotion in programme.promotions for one in promotion.then if isinstance(one, Earn)]
    if not earning:
        say = "There are no points to multiply: no promotion has a benefit of kind earn; add one."
        yield Doubt(path=path, rule="never_applies", say=say)
    elif all(apart(one.of, benefit.of) for one in earning):
        say = "These goods earn nothing that could be multiplied; name goods that a benefit of kind earn names."
        yield Doubt(path=path, rule="never_applies", say=say)


def _moments(path: Path, valid: Valid) -> Iterator[Doubt]:
    if has_a_moment(times_of(valid)):
        return
    told = [name for name in ("from_at", "to_at", "from_on", "to_on", "weekdays", "hours") if getattr(valid, name)]
    say = f"No moment is in all of {', '.join(told[:-1])} and {told[-1]}; widen one of them."
    yield Doubt(path=path, rule="never_valid", say=say)


def _members(path: Path, who: Who, programme: Programme) -> Iterator[Doubt]:
    yield from _tiers((*path, "tiers"), who.tiers, programme)
    for n, segment in enumerate(who.segments):
        if segment in who.not_segments:
            say = f"Members of {segment} are both wanted and left out; take {segment} out of one of the two lists."
            yield Doubt(path=(*path, "segments", n), rule="never_applies", say=say)
    if who.control_bp == 10_000:
        say = "All members are left out for comparison; lower control_bp, 1000 leaves out one in ten."
        yield Doubt(path=(*path, "control_bp"), rule="never_applies", say=say)


def _tiers(path: Path, named: tuple[str, ...], programme: Programme) -> Iterator[Doubt]:
    """Tiers may be given by another system; once the programme declares its own, a name that is none is a slip."""
    known = [*(tier.id for tier in programme.tiers), *filter(None, (programme.base_tier,))]
    for n, name in enumerate(named if programme.tiers else ()):
        if name not in known:
            say = f"The programme has no tier {name}; {_near(name, known)}."
            yield Doubt(path=(*path, n), rule="unknown_tier", say=say)


def _event(path: Path, event: str) -> Iterator[Doubt]:
    near = get_close_matches(event.lower(), EVENTS, 1, 0.8)
    if near and event not in EVENTS:
        say = f"No POS of ours tells of {event}; did you mean {near[0]}."
        yield Doubt(path=path, rule="unknown_event", say=say)


def _selector(path: Path, selector: Selector, programme: Programme, *, money: str = "") -> Iterator[Doubt]:
    """A selector that names nothing, or only certificates where these cannot be `money`."""
    if never_selects(selector):
        yield _excluded(path, selector)
    elif money and programme.certificates and within(selector, programme.certificates.sold) and selector != EVERYTHING:
        say = f"All of these goods are certificates, which are not {money}; name other goods."
        yield Doubt(path=path, rule="never_applies", say=say)


def _excluded(path: Path, selector: Selector) -> Doubt:
    what = "everything" if selector.exclude == EVERYTHING else "all that it names"
    say = f"This selector excludes {what}; narrow the exclude."
    return Doubt(path=(*path, "exclude"), rule="selects_nothing", say=say)


def _named(benefit: Benefit) -> Iterator[tuple[Path, Selector]]:
    """Every selector that stands in a benefit, with its path below it."""
    if isinstance(benefit, PriceList | IssueCoupon):
        return
    paths: tuple[Path, ...] = (("of",),)
    if isinstance(benefit, BuyGet):
        paths = (("buy",), ("get",))
    elif isinstance(benefit, Bundle):
        paths = tuple(("parts", n, "of") for n in range(len(benefit.parts)))
    yield from zip(paths, selectors_of(benefit), strict=False)


def _near(word: str, words: list[str]) -> str:
    near = get_close_matches(word, words, 1, 0.6)
    return f"did you mean {near[0]}" if near else f"it has {', '.join(words)}"
