"""A programme document as immutable indexes, so that a quote costs what the basket costs.

Every different selector of the document gets a number. A line is looked up by the most telling thing a selector names,
and what it matches is remembered by its facts, so that the same goods in the next basket cost one look. A promotion
concerns a basket when one of its benefits selects one of the lines, or when something else sets it off.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from loyalty.baskets import Line
from loyalty.programme.benefits import EXTRAS, MONEY, POINTS, AmountOff, Benefit, Earn, PercentOff, Period, selectors_of
from loyalty.programme.goods_index import Key, facts_of, keys_of_line, keys_of_selector
from loyalty.programme.programme import Group, Options, Programme
from loyalty.programme.promotion import (
    ByCode,
    ByCoupon,
    ByItself,
    OnEvent,
    Promotion,
    QuantityIs,
    SpendIs,
    TenderIs,
    Valid,
    Where,
)
from loyalty.programme.selectors import EVERYTHING, Selector, selects
from loyalty.programme.tracking import said_here, shared_counters, tracked

STAGES = ("price_list", "before", "main", "after", "redemption", "earning")
DISCOUNT_STAGES = STAGES[:4]
MOST_REMEMBERED = 50_000  # goods; what they match is forgotten all at once beyond that
ALL = 0  # the number of the selector that names everything
Numbers = tuple[int, ...]
LooksAt = Literal["day", "minute", "instant"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion ready to run.

    Attributes:
        no: its place in the running order; `rank`: of its priority; `listed`: in the document.
        triggered: something has to set it off.
        stage: in which it is judged; that of its discounts, else earning.
        options: the programme's, with its own put in.
        money, points, extras: its benefits by where they take effect, each with the numbers of its selectors.
        gives: whether there are points or extras among them.
        when: the numbers of the selectors of its conditions, 0 where a condition has none.
        asks: what has to hold: place, time, card, member (what a card alone does not tell), limits, when; empty for a
            plain one.
        swift: nothing is capped or skipped, and it takes off by one benefit only.
        plain: of a swift rule whose discount a single line of its goods gets as it stands, half up: the percentage or
            amount; else 0.
        stacking: how it adds up with those of its group.
        needs_goods: it does nothing where none of its goods are.
        turn: of the code that set it off among the codes of a basket, -1 where none did.
    """

    promotion: Promotion
    no: int
    rank: int
    listed: int
    triggered: bool
    stage: str
    options: Options
    money: tuple[tuple[Benefit, Numbers], ...]
    points: tuple[tuple[Benefit, Numbers], ...]
    extras: tuple[tuple[Benefit, Numbers], ...]
    gives: bool
    when: Numbers
    asks: frozenset[str]
    swift: bool
    plain: int
    stacking: str
    needs_goods: bool
    turn: int = -1


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """A programme ready to quote.

    Attributes:
        version: of the programme, computed once.
        rules: promotions in the order in which they run: stage, priority, by themselves before set off, as listed.
        selectors: by number; the first names everything.
        filed: what a line can be looked up by → numbers of selectors that it may match.
        by_selector: number of a selector → the rules, by place, whose benefits it belongs to.
        always: rules that concern every basket; `triggered`: those that something has to set off.
        by_code, by_coupon, by_event: what sets off which rules, by place.
        combines: whether any promotion is exclusive, or in a group.
        speaking: places of rules that have something to say; `counting`: of those with limits or caps.
        shared: counters of no account that limits look at; `said_here`: those of sentences that each till says only so
            often, with their periods.
        tracked: counters that a receipt advances: `visits`, `last:visit`, `spend`, each with its period.
        line_facts: which facts of a line selectors look at; only these travel in a receipt.
        looks_at: how closely the time of a sale is looked at: its day, its minute, or the instant.
        weighs_tenders: whether any figure depends on what a sale is paid with.
        remembered: what goods matched, by their facts; no figure depends on it.
    """

    version: str
    programme: Programme
    rules: tuple[Rule, ...]
    selectors: tuple[Selector, ...]
    filed: Mapping[Key, Numbers]
    by_selector: tuple[Numbers, ...]
    always: Numbers
    triggered: frozenset[int]
    by_code: Mapping[str, Numbers]
    by_coupon: Mapping[str, Numbers]
    by_event: Mapping[str, Numbers]
    groups: Mapping[str, Group]
    combines: bool
    certificates: int | None
    spending: int
    prizes: Numbers
    speaking: frozenset[int]
    counting: frozenset[int]
    shared: tuple[str, ...]
    said_here: tuple[tuple[str, str], ...]
    tracked: tuple[tuple[str, Period], ...]
    line_facts: frozenset[str]
    looks_at: LooksAt
    weighs_tenders: bool
    remembered: dict[Any, Numbers]

    @property
    def promotions(self) -> tuple[Promotion, ...]:
        """The promotions in running order."""
        return tuple(rule.promotion for rule in self.rules)


def compile_programme(programme: Programme) -> Compiled:
    """Order and index a programme; done once when it is published or swapped in."""
    numbers: dict[Selector, int] = {EVERYTHING: ALL}

    def number(selector: Selector) -> int:
        return numbers.setdefault(selector, len(numbers))

    rules = tuple(_rules(programme, number))
    by_selector: dict[int, set[int]] = {}
    for rule in rules:
        for _, chosen in (*rule.money, *rule.points, *rule.extras):
            for one in chosen:
                by_selector.setdefault(one, set()).add(rule.no)
    certificates = number(programme.certificates.sold) if programme.certificates else None
    spending = number(programme.spending.of) if programme.spending else ALL
    prizes = tuple(number(prize.of) for prize in programme.prizes)
    filed: dict[Key, set[int]] = {}
    for selector, one in numbers.items():
        for key in keys_of_selector(selector) if one != ALL else ():
            filed.setdefault(key, set()).add(one)
    return Compiled(
        version=programme.version,
        programme=programme,
        rules=rules,
        selectors=tuple(numbers),
        filed=_frozen(filed),
        by_selector=tuple(tuple(sorted(by_selector.get(one, ()))) for one in range(len(numbers))),
        always=tuple(rule.no for rule in rules if not rule.needs_goods),
        triggered=frozenset(rule.no for rule in rules if rule.triggered),
        by_code=_frozen(_set_off(rules, ByCode)),
        by_coupon=_frozen(_set_off(rules, ByCoupon)),
        by_event=_frozen(_set_off(rules, OnEvent)),
        groups=MappingProxyType({group.id: group for group in programme.groups}),
        combines=any(one.exclusive or one.group for one in programme.promotions),
        certificates=certificates,
        spending=spending,
        prizes=prizes,
        speaking=frozenset(rule.no for rule in rules if rule.promotion.messages),
        counting=frozenset(rule.no for rule in rules if rule.promotion.limits or rule.promotion.caps),
        shared=tuple(shared_counters(programme)),
        said_here=tuple(said_here(programme)),
        tracked=tracked(programme),
        line_facts=frozenset(facts_of(numbers)),
        looks_at=_looks_at(programme),
        weighs_tenders=any(_weighs_tenders(one) for one in programme.promotions),
        remembered={},
    )


def matches_of(compiled: Compiled, line: Line) -> Numbers:
    """The selectors that name a line, by number, ascending; the one that names everything left out."""
    facts = compiled.line_facts
    known = (line.sku, line.category, line.brand, line.tags, line.unit_price_minor if "unit_price" in facts else 0)
    found = compiled.remembered.get(known)
    if found is None:
        filed, selectors = compiled.filed, compiled.selectors
        maybe = {one for key in keys_of_line(line) for one in filed.get(key, ())}
        found = tuple(sorted(one for one in maybe if selects(selectors[one], line)))
        if len(compiled.remembered) >= MOST_REMEMBERED:
            compiled.remembered.clear()
        compiled.remembered[known] = found
    return found


def candidates_for(compiled: Compiled, lines: Iterable[Line]) -> Numbers:
    """Places of the promotions that could concern these lines by themselves, in running order."""
    found: set[int] = set(compiled.always)
    by_selector = compiled.by_selector
    for line in lines:
        for one in matches_of(compiled, line):
            found.update(by_selector[one])
        found.update(by_selector[ALL])
    return tuple(sorted(found - compiled.triggered))


def plain_code(text: str) -> str:
    """A code as it is compared: case, blanks and hyphens make no difference."""
    return "".join(text.split()).replace("-", "").upper()


def slim_lines(compiled: Compiled, lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Every line as `slim` makes it; as they are where no line has a fact too many."""
    facts = compiled.line_facts
    if (
        ("category" in facts or not any([line.category for line in lines]))
        and ("brand" in facts or not any([line.brand for line in lines]))
        and ("tags" in facts or not any([line.tags for line in lines]))
    ):
        return lines
    return tuple([slim(compiled, line) for line in lines])


def slim(compiled: Compiled, line: Line) -> Line:
    """The line without facts that no selector looks at; quoting it again gives the same figures."""
    facts = compiled.line_facts
    if not (
        (line.category and "category" not in facts)
        or (line.brand and "brand" not in facts)
        or (line.tags and "tags" not in facts)
    ):
        return line
    return msgspec.structs.replace(
        line,
        category=line.category if "category" in facts else (),
        brand=line.brand if "brand" in facts else "",
        tags=line.tags if "tags" in facts else (),
    )


def _rules(programme: Programme, number: Any) -> Iterable[Rule]:
    stacking = {"": programme.options.stacking} | {group.id: group.stacking for group in programme.groups}
    ranked = sorted(
        ((_stage(one), _rank(one, listed, programme.options), not isinstance(one.trigger, ByItself), listed, one)
         for listed, one in enumerate(programme.promotions)),
        key=lambda item: (STAGES.index(item[0]), *item[1:4]),
    )  # fmt: skip
    for no, (stage, rank, triggered, listed, promotion) in enumerate(ranked):
        parts = [(benefit, tuple(number(one) for one in selectors_of(benefit))) for benefit in promotion.then]
        money = tuple(part for part in parts if isinstance(part[0], MONEY))
        adds_up, options = stacking[promotion.group], _with_own(programme.options, promotion)
        swift = len(money) == 1 and adds_up == "sequential" and not _is_bounded(promotion)
        gives = len(money) < len(parts)
        yield Rule(
            promotion=promotion,
            no=no,
            rank=rank,
            listed=listed,
            triggered=triggered,
            stage=stage,
            options=options,
            money=money,
            points=tuple(part for part in parts if isinstance(part[0], POINTS)),
            extras=tuple(part for part in parts if isinstance(part[0], EXTRAS)),
            gives=gives,
            when=tuple(number(one.of) if isinstance(one, SpendIs | QuantityIs) else ALL for one in promotion.when),
            asks=frozenset(_asks(promotion)),
            swift=swift,
            plain=_plain(money[0][0], options) if swift else 0,
            stacking=adds_up,
            needs_goods=_needs_goods(promotion, [chosen for _, chosen in parts]),
        )


def _looks_at(programme: Programme) -> LooksAt:
    times = [one.valid for one in programme.promotions]
    if any(valid.from_at or valid.to_at for valid in times):
        return "instant"
    by_minute = programme.options.expiry == "instant" or any(valid.hours for valid in times)
    return "minute" if by_minute else "day"


def _weighs_tenders(promotion: Promotion) -> bool:
    return any(isinstance(one, TenderIs) for one in promotion.when) or any(
        isinstance(benefit, Earn) and benefit.tenders for benefit in promotion.then
    )


def _needs_goods(promotion: Promotion, chosen: Sequence[Numbers]) -> bool:
    """Each of its benefits is for certain goods, and it is not an event that sets it off."""
    return bool(chosen) and all(chosen) and not isinstance(promotion.trigger, OnEvent)


def _asks(promotion: Promotion) -> Iterable[str]:
    who, valid, limits = promotion.who, promotion.valid, promotion.limits
    narrowed = who.segments or who.not_segments or who.tiers or who.control_bp or valid.birthday or valid.anniversary
    per_member = any(cap.per != "receipt" for cap in promotion.caps)
    for what, is_asked in (
        ("place", promotion.where != Where()),
        ("time", valid != Valid()),
        ("card", who.card or narrowed or per_member or (limits and limits.times)),
        ("member", narrowed),
        ("limits", limits is not None or per_member),
        ("when", promotion.when),
    ):
        if is_asked:
            yield what


def _is_bounded(promotion: Promotion) -> bool:
    budget = promotion.limits and promotion.limits.budget_minor
    return bool(promotion.caps or promotion.skip_reduced or budget)


def _plain(benefit: Benefit, options: Options) -> int:
    if isinstance(benefit, AmountOff):
        return benefit.amount_minor if benefit.per in ("basket", "line", "unit") else 0
    if not isinstance(benefit, PercentOff) or (benefit.per or options.percent_per) != "line":
        return 0
    usual = ("half_up", "discount", "remaining")
    declared = (options.percent_rounding, options.percent_rounds, options.stacking_base)
    return benefit.percent_bp if declared == usual else 0


def _stage(promotion: Promotion) -> str:
    return promotion.stage if promotion.takes_money_off else "earning"


def _rank(promotion: Promotion, listed: int, options: Options) -> int:
    return {"high_first": -promotion.priority, "low_first": promotion.priority, "as_listed": listed}[options.priority]


def _with_own(options: Options, promotion: Promotion) -> Options:
    own = {name: value for name, value in msgspec.structs.asdict(promotion.options).items() if value is not None}
    return msgspec.structs.replace(options, **own) if own else options


def _set_off(rules: Sequence[Rule], kind: type) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for rule in rules:
        trigger = rule.promotion.trigger
        if isinstance(trigger, kind):
            names = (
                [plain_code(code) for code in trigger.codes]
                if isinstance(trigger, ByCode)
                else [trigger.coupon if isinstance(trigger, ByCoupon) else trigger.event]  # type: ignore[union-attr]
            )
            for name in names:
                found.setdefault(name, set()).add(rule.no)
    return found


def _frozen(sets: Mapping[Any, set[int]]) -> Mapping[Any, Numbers]:
    return MappingProxyType({key: tuple(sorted(found)) for key, found in sets.items()})
