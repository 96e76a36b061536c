"""What a basket would earn or could spend now, and why: the stages in order, sums that hold, a digest.

Discounts run stage by stage, each on what earlier ones left; then points pay; then what is paid in money earns.
The same call serves quote, commit and recomputation: same inputs, same bytes, on every machine.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from loyalty.baskets import Basket, Line, Place, check_basket
from loyalty.compiled import Compiled, candidates_for, slim
from loyalty.conditions import Reason, Setting, first_unmet, moment_of, uses_of
from loyalty.discounts import Effect, take_off
from loyalty.earning import Earned, earn_points
from loyalty.explaining import Judged, Why, explain, sentences
from loyalty.leases import NO_AUTHORITY, Authority, Kind
from loyalty.members import MemberView, Use
from loyalty.messages import Said
from loyalty.programme import AmountOff, Earn, Language, MultiplyPoints, PercentOff, Promotion, valid_through
from loyalty.spending import PaidWithPoints, most_points, pay_with_points
from loyalty.trouble import InvariantBroken

ENGINE_NO = 1  # raised when the same inputs give other figures; the centre compares what it can run


class QuoteLine(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The figures of one line: amount - discount - paid with points = net, in minor units."""

    line: int
    amount_minor: int
    discount_minor: int
    points_earned: int
    paid_with_points_minor: int
    net_minor: int


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt's figures: each the sum of its lines'."""

    gross_minor: int
    discount_minor: int
    paid_with_points_minor: int
    net_minor: int
    points_earned: int
    points_spent: int


class MayRedeem(msgspec.Struct, frozen=True, kw_only=True):
    """The most points that may be spent on this basket, in which steps, under which authority, kept there by what."""

    most_points: int
    step: int
    authority: Kind
    bound_by: str


class RefusedCoupon(msgspec.Struct, frozen=True, kw_only=True):
    """A code that did not work; it never stops the sale."""

    code: str
    reason: str
    say: str


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a basket would earn or could spend, under a named programme, for a member as told.

    `lines` follow the basket's order; `effects` say which promotion did what to which line.
    """

    programme_version: str
    engine_no: int
    currency: str
    view: MemberView | None
    authority: Authority
    lines: tuple[QuoteLine, ...]
    goods: tuple[Line, ...]
    effects: tuple[Effect, ...]
    uses: tuple[Use, ...]
    earned: tuple[Earned, ...]
    totals: Totals
    redemption: MayRedeem
    gifts: tuple[str, ...]
    coupons_used: tuple[str, ...]
    coupons_refused: tuple[RefusedCoupon, ...]
    messages: tuple[Said, ...]
    why: tuple[Why, ...]
    digest: str


def quote_basket(
    compiled: Compiled,
    basket: Basket,
    place: Place,
    view: MemberView | None,
    *,
    authority: Authority = NO_AUTHORITY,
    language: Language | None = None,
) -> Quote:
    """Price a basket under a programme, for a member as told, at a place and moment.

    Args:
        compiled: the published programme.
        basket: goods in the programme's currency; `points_to_spend` may be more than is allowed.
        view: none for an anonymous basket; an unknown card earns under its token.
        authority: how many points the till may let this member spend.
        language: of the messages; the programme's own where none is given.
    Returns:
        The quote. Nothing is remembered; asking again gives the same bytes.
    Raises:
        BadBasket, WrongCurrency: the basket cannot be priced.
    Source: engine.md; DECISIONS 3, 4, 13.
    """
    programme = compiled.programme
    check_basket(basket, programme.currency)
    lines = basket.lines
    setting = Setting(lines=lines, place=place, moment=moment_of(place), view=view, currency=programme.currency)
    rules = _discount(compiled, setting)
    most = most_points(programme.spending, authority, lines, rules.remaining)
    paid = pay_with_points(programme.spending, basket.points_to_spend, most, lines, rules.remaining)
    in_money = [left - part for left, part in zip(rules.remaining, paid.per_line, strict=True)]
    effects = rules.effects + (() if view is None else _points(compiled, rules.held, setting, in_money))
    figures = _lines(lines, effects, paid)
    applied = _applied(rules.held, effects)
    goods = tuple(slim(compiled, line) for line in lines)
    quote = Quote(
        programme_version=compiled.version,
        engine_no=ENGINE_NO,
        currency=programme.currency,
        view=view,
        authority=authority,
        lines=figures,
        goods=goods,
        effects=effects,
        uses=tuple(use for promotion in applied for use in uses_of(promotion, setting)),
        earned=earned_of(effects, place.partner_id),
        totals=_totals(figures, paid.points),
        redemption=MayRedeem(
            most_points=most.points, step=most.step, authority=authority.kind, bound_by=most.bound_by
        ),
        gifts=(),
        coupons_used=(),
        coupons_refused=tuple(_unknown_code(code) for code in basket.coupons),
        messages=sentences(programme, rules, applied, effects, view, language or programme.language),
        why=explain(rules, applied, effects, programme.currency),
        digest=_digest(compiled.version, basket, goods, figures, effects),
    )
    check_sums(quote)
    return quote


def check_sums(quote: Quote) -> None:
    """The sums that must hold before a quote leaves the kernel. Raises: InvariantBroken."""
    totals = quote.totals
    by_promotion = sum(effect.amount_minor for effect in quote.effects)
    by_issuer = sum(earned.points for earned in quote.earned)
    for line in quote.lines:
        if line.net_minor < 0 or line.net_minor != (
            line.amount_minor - line.discount_minor - line.paid_with_points_minor
        ):
            raise InvariantBroken("a line does not add up", line=line.line)
    if totals.net_minor != totals.gross_minor - totals.discount_minor - totals.paid_with_points_minor:
        raise InvariantBroken("the receipt does not add up", net_minor=totals.net_minor)
    if by_promotion != totals.discount_minor or by_issuer != totals.points_earned:
        raise InvariantBroken("promotions do not add up to the receipt", discount=by_promotion, points=by_issuer)


def earned_of(effects: Iterable[Effect], store_partner_id: str) -> tuple[Earned, ...]:
    """Points by issuer and last valid day; the issuer is who funds the promotion, else the store's partner."""
    sums: dict[tuple[str, date], int] = {}
    for effect in effects:
        if effect.points and effect.valid_through:
            key = (effect.funded_by or store_partner_id, effect.valid_through)
            sums[key] = sums.get(key, 0) + effect.points
    return tuple(Earned(issuer_id=i, valid_through=day, points=sums[i, day]) for i, day in sorted(sums))


def _discount(compiled: Compiled, setting: Setting) -> Judged:
    """Let each promotion in its turn hold or not, on what earlier ones left; those that only earn come last."""
    remaining = [line.amount_minor for line in setting.lines]
    held: list[Promotion] = []
    unmet: list[tuple[Promotion, Reason]] = []
    effects: list[Effect] = []
    concerned = [compiled.promotions[i] for i in candidates_for(compiled, setting.lines)]
    for promotion in sorted(concerned, key=_only_earns):
        reason = first_unmet(promotion, setting, remaining)
        if reason:
            unmet.append((promotion, reason))
            continue
        held.append(promotion)
        for rule in promotion.then:
            if isinstance(rule, PercentOff | AmountOff):
                cuts = take_off(rule, setting.lines, remaining, compiled.programme.options)
                remaining = [left - cut for left, cut in zip(remaining, cuts, strict=True)]
                effects += _effects(promotion, setting.lines, cuts)
    return Judged(held=tuple(held), unmet=tuple(unmet), effects=tuple(effects), remaining=tuple(remaining))


def _only_earns(promotion: Promotion) -> bool:
    return not any(isinstance(rule, PercentOff | AmountOff) for rule in promotion.then)


def _effects(promotion: Promotion, lines: Sequence[Line], cuts: Sequence[int]) -> list[Effect]:
    return [
        Effect(promotion=promotion.id, line=line.line, amount_minor=cut, funded_by=promotion.funded_by)
        for line, cut in zip(lines, cuts, strict=True)
        if cut
    ]


def _points(
    compiled: Compiled, held: Sequence[Promotion], setting: Setting, in_money: Sequence[int]
) -> tuple[Effect, ...]:
    earners = [(promotion, rule) for promotion in held for rule in promotion.then if isinstance(rule, Earn)]
    boosts = [(promotion, rule) for promotion in held for rule in promotion.then if isinstance(rule, MultiplyPoints)]
    effects = []
    for granted in earn_points(earners, boosts, setting.lines, in_money):
        promotion = granted.promotion
        last_day = valid_through(promotion.lifetime or compiled.programme.lifetime, setting.place.business_date)
        effects += [
            Effect(
                promotion=promotion.id,
                line=line.line,
                points=points,
                funded_by=promotion.funded_by,
                valid_through=last_day,
            )
            for line, points in zip(setting.lines, granted.points, strict=True)
            if points
        ]
    return tuple(effects)


def _lines(lines: Sequence[Line], effects: Iterable[Effect], paid: PaidWithPoints) -> tuple[QuoteLine, ...]:
    discount: dict[int, int] = {}
    points: dict[int, int] = {}
    for effect in effects:
        discount[effect.line] = discount.get(effect.line, 0) + effect.amount_minor
        points[effect.line] = points.get(effect.line, 0) + effect.points
    return tuple(
        QuoteLine(
            line=line.line,
            amount_minor=line.amount_minor,
            discount_minor=discount.get(line.line, 0),
            points_earned=points.get(line.line, 0),
            paid_with_points_minor=part,
            net_minor=line.amount_minor - discount.get(line.line, 0) - part,
        )
        for line, part in zip(lines, paid.per_line, strict=True)
    )


def _totals(lines: Sequence[QuoteLine], points_spent: int) -> Totals:
    return Totals(
        gross_minor=sum(line.amount_minor for line in lines),
        discount_minor=sum(line.discount_minor for line in lines),
        paid_with_points_minor=sum(line.paid_with_points_minor for line in lines),
        net_minor=sum(line.net_minor for line in lines),
        points_earned=sum(line.points_earned for line in lines),
        points_spent=points_spent,
    )


def _applied(held: Iterable[Promotion], effects: Iterable[Effect]) -> tuple[Promotion, ...]:
    """Promotions that did something; one that only speaks has done so when it holds."""
    acted = {effect.promotion for effect in effects}
    return tuple(promotion for promotion in held if not promotion.then or promotion.id in acted)


def _unknown_code(code: str) -> RefusedCoupon:
    return RefusedCoupon(code=code, reason="unknown_code", say="This code is not known; go on without it.")


def _digest(
    version: str, basket: Basket, goods: Sequence[Line], figures: Sequence[QuoteLine], effects: Sequence[Effect]
) -> str:
    """What was priced and what came out: a basket changed by one line has another digest."""
    told = (version, ENGINE_NO, basket.currency, goods, basket.coupons, basket.points_to_spend, figures, effects)
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:32]
