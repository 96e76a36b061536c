"""What a basket would earn or could spend now, and why: the stages in order, sums that hold, a digest.

Discounts run stage by stage, each on what earlier ones left; then points pay; then what is paid in money earns.
The same call serves quote, commit and recomputation: same inputs, same bytes, on every machine.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from loyalty.amounts import LARGEST_MINOR
from loyalty.baskets import BadBasket, Basket, Line, Place, check_basket
from loyalty.certificates import CertificateSold
from loyalty.document import Language
from loyalty.members import MemberView, Use, WalletItem
from loyalty.pricing.coupons import Entered, IssuedCoupon, RefusedCode, judge_codes, read_codes, set_off
from loyalty.pricing.earning import Earned
from loyalty.pricing.effects import Effect
from loyalty.pricing.explaining import Why, reasons_for
from loyalty.pricing.gifts import GiftGiven
from loyalty.pricing.granting_points import Extras, grant
from loyalty.pricing.history import counters_after, merged, uses_of
from loyalty.pricing.leases import NO_AUTHORITY, Authority, Kind
from loyalty.pricing.messages import Said, speak
from loyalty.pricing.redeeming import Redeemed, price
from loyalty.pricing.spending import UNPAID, PrizeTaken
from loyalty.pricing.stored_value import CertificatePaid, Stored, certificates_sold, pay_with_stored
from loyalty.pricing.workings import Workings
from loyalty.programme.compiled import STAGES, Compiled, Rule, slim_lines
from loyalty.programme.programme import valid_through
from loyalty.programme.tiers import TierProgress, progress
from loyalty.trouble import InvariantBroken

ENGINE_NO = 2  # raised when the same inputs give other figures; the centre compares what it can run


class QuoteLine(msgspec.Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """The figures of one line: amount - discount - paid with points = net, in minor units."""

    line: int
    amount_minor: int
    discount_minor: int
    points_earned: int
    paid_with_points_minor: int
    net_minor: int
    points_spent: int = 0


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt's figures: each the sum of its lines', and points of the receipt as a whole.

    `to_pay_minor` is what is left of the net once certificates and the wallet have paid.
    """

    gross_minor: int
    discount_minor: int
    paid_with_points_minor: int
    net_minor: int
    points_earned: int
    points_spent: int
    paid_with_certificates_minor: int = 0
    to_pay_minor: int = 0


class MayRedeem(msgspec.Struct, frozen=True, kw_only=True):
    """The most points that may be spent on this basket, in which steps, under which authority, kept there by what.

    `per_line_minor` is what they would pay of each line, in the basket's order. `say` is for a request that was refused
    or cut down.
    """

    most_points: int
    step: int
    authority: Kind
    bound_by: str
    per_line_minor: tuple[int, ...] = ()
    say: str = ""


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a basket would earn or could spend, under a named programme, for a member as told.

    Attributes:
        view, authority, bearer, shared: what was told.
        lines: in the basket's order; `goods`: the lines without what no rule looks at.
        effects: which promotion did what to which line.
        uses, shared_uses: steps that this receipt adds to the member's counters, and to those that everybody shares.
        counters: the new values of the member's counters that it changes.
        certificate_lines: lines that sell certificates, with a code or without.
        spends_own: whether its points are granted before others are spent.
    """

    programme_version: str
    engine_no: int
    currency: str
    view: MemberView | None
    authority: Authority
    bearer: tuple[WalletItem, ...]
    shared: tuple[Use, ...] | None
    lines: tuple[QuoteLine, ...]
    goods: tuple[Line, ...]
    effects: tuple[Effect, ...]
    uses: tuple[Use, ...]
    shared_uses: tuple[Use, ...]
    counters: tuple[Use, ...]
    earned: tuple[Earned, ...]
    spends_own: bool
    totals: Totals
    redemption: MayRedeem
    gifts: tuple[GiftGiven, ...]
    coupons_used: tuple[str, ...]
    coupons_refused: tuple[RefusedCode, ...]
    coupons_issued: tuple[IssuedCoupon, ...]
    prizes: tuple[PrizeTaken, ...]
    prizes_refused: tuple[RefusedCode, ...]
    certificates: tuple[CertificatePaid, ...]
    certificates_refused: tuple[RefusedCode, ...]
    from_wallet_minor: int
    certificates_sold: tuple[CertificateSold, ...]
    certificate_lines: tuple[int, ...]
    tier: TierProgress | None
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
    bearer: Sequence[WalletItem] = (),
    shared: Sequence[Use] | None = None,
    language: Language | None = None,
    explain: bool = True,
) -> Quote:
    """Price a basket under a programme, for a member as told, at a place and moment.

    Args:
        compiled: the published programme.
        basket: goods in the programme's currency; `points_to_spend` may be more than is allowed.
        view: none for an anonymous basket; an unknown card earns under its token.
        authority: how many points the till may let this member spend.
        bearer: coupons and certificates in hand, as this till knows them.
        shared: counters of the programme as a whole, as this till knows them; none where it was told nothing.
        language: of the messages; the programme's own where none is given.
        explain: whether the quote says of each promotion why it applied or not; no figure depends on it.
    Returns:
        The quote. Nothing is remembered; asking again gives the same bytes.
    Raises:
        BadBasket, WrongCurrency: the basket cannot be priced.
    Source: engine.md; DECISIONS 3, 4, 13.
    """
    check_basket(basket, compiled.programme.currency)
    workings = Workings(compiled, basket, place, view, shared)
    entered, refused = read_codes(workings, bearer)
    priced = _price_and_grant(entered, workings, authority, bearer)
    counted = _count_and_say(priced, entered, refused, language)
    quote = _quote_of(priced, counted, authority=authority, bearer=bearer, shared=shared, explain=explain)
    check_sums(quote)
    return quote


def check_sums(quote: Quote) -> None:
    """The sums that must hold before a quote leaves the kernel. Raises: InvariantBroken."""
    totals = quote.totals
    by_promotion = sum([effect.amount_minor for effect in quote.effects])
    by_issuer = sum(earned.points for earned in quote.earned)
    earned = spent = 0
    for line in quote.lines:
        earned += line.points_earned
        spent += line.points_spent
        if line.net_minor < 0 or line.net_minor != (
            line.amount_minor - line.discount_minor - line.paid_with_points_minor
        ):
            raise InvariantBroken("a line does not add up", line=line.line)
    whole = sum([effect.points for effect in quote.effects if effect.line == 0])
    if totals.net_minor != totals.gross_minor - totals.discount_minor - totals.paid_with_points_minor:
        raise InvariantBroken("the receipt does not add up", net_minor=totals.net_minor)
    if by_promotion != totals.discount_minor or by_issuer != totals.points_earned:
        raise InvariantBroken("promotions do not add up to the receipt", discount=by_promotion, points=by_issuer)
    if earned + whole != totals.points_earned or spent != totals.points_spent:
        raise InvariantBroken("points do not add up to the receipt", earned=earned + whole, spent=spent)
    if totals.to_pay_minor < 0:
        raise InvariantBroken("more is paid than the receipt costs", to_pay_minor=totals.to_pay_minor)


def earned_of(effects: Iterable[Effect], store_partner_id: str) -> tuple[Earned, ...]:
    """Points by issuer and last valid day; the issuer is who funds the promotion, else the store's partner."""
    sums: dict[tuple[str, date], int] = {}
    for effect in effects:
        if effect.points and effect.valid_through:
            key = (effect.funded_by or store_partner_id, effect.valid_through)
            sums[key] = sums.get(key, 0) + effect.points
    return tuple(Earned(issuer_id=i, valid_through=day, points=sums[i, day]) for i, day in sorted(sums))


class _Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A basket of which everything is taken off, paid with points and stored value, and granted.

    Attributes:
        granted: of the effects those that grant points.
    """

    workings: Workings
    redeemed: Redeemed
    extras: Extras
    granted: tuple[Effect, ...]
    effects: tuple[Effect, ...]
    lines: tuple[QuoteLine, ...]
    stored: Stored
    totals: Totals


class _Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What a priced basket adds to counters, what became of its codes, and what is said of it.

    Attributes:
        spent_minor: the net, certificates being sold left out.
    """

    spent_minor: int
    uses: tuple[Use, ...]
    shared_uses: tuple[Use, ...]
    coupons_used: tuple[str, ...]
    coupons_refused: tuple[RefusedCode, ...]
    messages: tuple[Said, ...]


def _price_and_grant(
    entered: Sequence[Entered], workings: Workings, authority: Authority, bearer: Sequence[WalletItem]
) -> _Priced:
    rules = _concerned(workings, set_off(entered, workings))
    workings, gate, redeemed = price(rules, workings, authority)
    in_money = workings.remaining
    extras = grant(rules, in_money, workings, gate)
    granted = tuple(_granted(extras, workings))
    lines = _lines(workings, granted, redeemed)
    stored = pay_with_stored(in_money, workings, bearer)
    totals = _totals(lines, granted, stored)
    if totals.points_earned > LARGEST_MINOR:
        raise BadBasket("The basket earns more points than any sale; check its amounts.", points=totals.points_earned)
    return _Priced(
        workings=workings,
        redeemed=redeemed,
        extras=extras,
        granted=granted,
        effects=(*workings.effects, *granted),
        lines=lines,
        stored=stored,
        totals=totals,
    )


def _count_and_say(
    priced: _Priced, entered: Sequence[Entered], refused: Sequence[RefusedCode], language: Language | None
) -> _Counted:
    workings, stored = priced.workings, priced.stored
    heard = speak(workings, priced.effects, language)
    used, unused, own_coupons, others_coupons = judge_codes(entered, workings)
    spent = priced.totals.net_minor - sum(workings.remaining[i] for i in workings.sold)
    own, everybodys = uses_of(workings, _points_by_rule(priced.extras), spent)
    return _Counted(
        spent_minor=spent,
        uses=merged((*own, *own_coupons, *stored.uses, *heard.own)),
        shared_uses=merged((*everybodys, *others_coupons, *stored.shared_uses, *heard.here)),
        coupons_used=used,
        coupons_refused=_in_turn(workings.basket.coupons, (*refused, *unused)),
        messages=heard.said,
    )


def _quote_of(
    priced: _Priced,
    counted: _Counted,
    *,
    authority: Authority,
    bearer: Sequence[WalletItem],
    shared: Sequence[Use] | None,
    explain: bool,
) -> Quote:
    workings, redeemed, extras, stored = priced.workings, priced.redeemed, priced.extras, priced.stored
    compiled, basket, view = workings.compiled, workings.basket, workings.view
    programme = compiled.programme
    goods = slim_lines(compiled, basket.lines)
    return Quote(
        programme_version=compiled.version,
        engine_no=ENGINE_NO,
        currency=programme.currency,
        view=view,
        authority=authority,
        bearer=tuple(bearer),
        shared=None if shared is None else tuple(shared),
        lines=priced.lines,
        goods=goods,
        effects=priced.effects,
        uses=counted.uses,
        shared_uses=counted.shared_uses,
        counters=counters_after(workings, counted.uses),
        earned=earned_of(priced.granted, workings.place.partner_id),
        spends_own=programme.options.spends_what_it_earns and priced.totals.points_spent > 0,
        totals=priced.totals,
        redemption=_may_redeem(redeemed, workings, authority),
        gifts=extras.gifts,
        coupons_used=counted.coupons_used,
        coupons_refused=counted.coupons_refused,
        coupons_issued=extras.coupons,
        prizes=redeemed.prizes,
        prizes_refused=redeemed.refused,
        certificates=stored.certificates,
        certificates_refused=stored.refused,
        from_wallet_minor=stored.from_wallet_minor,
        certificates_sold=certificates_sold(workings),
        certificate_lines=tuple([workings.lines[i].line for i in sorted(workings.sold)]),
        tier=progress(programme, view, workings.counters, workings.moment.on, net_minor=counted.spent_minor),
        messages=counted.messages,
        why=reasons_for(workings, priced.effects, _extras_said(extras)) if explain else (),
        digest=_digest(compiled.version, basket, goods, priced.lines, priced.effects, stored),
    )


def _concerned(workings: Workings, set_off: Sequence[Rule]) -> list[Rule]:
    """The rules that could concern this basket, in running order; what codes set off follows in their turn."""
    compiled = workings.compiled
    by_selector = compiled.by_selector
    numbers = set(compiled.always).union(*[by_selector[number] for number in workings.found])
    rules = [compiled.rules[no] for no in sorted(numbers - compiled.triggered)]
    return sorted((*rules, *set_off), key=_turn) if set_off else rules


def _turn(rule: Rule) -> tuple[int, int, int, int]:
    return STAGES.index(rule.stage), rule.rank, rule.turn, rule.no


def _may_redeem(redeemed: Redeemed, workings: Workings, authority: Authority) -> MayRedeem:
    most, asked = redeemed.most, workings.basket.points_to_spend
    say = ""
    if redeemed.paid.points < asked:
        refuses = workings.compiled.programme.options.points_over == "refuse" and asked > most.allowed
        done = "none are spent" if refuses or redeemed.paid == UNPAID else f"{redeemed.paid.points} are spent"
        say = f"At most {most.points} points can be spent on this sale; {done}."
    count, per_line = len(workings.lines), most.per_line
    return MayRedeem(
        most_points=most.points,
        step=most.step,
        authority=authority.kind,
        bound_by=most.bound_by,
        per_line_minor=tuple([per_line.get(i, 0) for i in range(count)]) if per_line else (0,) * count,
        say=say,
    )


def _points_by_rule(extras: Extras) -> dict[int, int]:
    """What rules with caps granted, by place."""
    points: dict[int, int] = {}
    for one in extras.granted:
        if one.rule.promotion.caps:
            points[one.rule.no] = points.get(one.rule.no, 0) + one.points
    return points


def _granted(extras: Extras, workings: Workings) -> Iterable[Effect]:
    lines, on = workings.lines, workings.place.business_date
    usual = valid_through(workings.compiled.programme.lifetime, on)
    for one in extras.granted:
        promotion = one.rule.promotion
        last_day = usual if promotion.lifetime is None else valid_through(promotion.lifetime, on)
        by_line = one.by_line
        told = [(lines[i].line, by_line[i]) for i in sorted(by_line)] if by_line else []
        for line, points in [(0, one.whole), *told] if one.whole else told:
            if points:
                yield Effect(
                    promotion=promotion.id,
                    line=line,
                    points=points,
                    funded_by=promotion.funded_by,
                    valid_through=last_day,
                )


def _lines(workings: Workings, granted: Iterable[Effect], redeemed: Redeemed) -> tuple[QuoteLine, ...]:
    points: dict[int, int] = {}
    for effect in granted:
        points[effect.line] = points.get(effect.line, 0) + effect.points
    return tuple([
        QuoteLine(
            line=line.line,
            amount_minor=line.amount_minor,
            discount_minor=line.amount_minor - paid - net,
            points_earned=points.get(line.line, 0),
            paid_with_points_minor=paid,
            net_minor=net,
            points_spent=spent,
        )
        for line, paid, spent, net in zip(
            workings.lines, redeemed.paid_minor, redeemed.points, workings.remaining, strict=True
        )
    ])  # fmt: skip


def _totals(lines: Sequence[QuoteLine], granted: Iterable[Effect], stored: Stored) -> Totals:
    net = sum([line.net_minor for line in lines])
    certificates = sum(one.amount_minor for one in stored.certificates)
    return Totals(
        gross_minor=sum([line.amount_minor for line in lines]),
        discount_minor=sum([line.discount_minor for line in lines]),
        paid_with_points_minor=sum([line.paid_with_points_minor for line in lines]),
        net_minor=net,
        points_earned=sum([effect.points for effect in granted]),
        points_spent=sum([line.points_spent for line in lines]),
        paid_with_certificates_minor=certificates,
        to_pay_minor=net - certificates - stored.from_wallet_minor,
    )


def _in_turn(codes: Sequence[str], refused: Iterable[RefusedCode]) -> tuple[RefusedCode, ...]:
    """Refused codes in the order in which they were entered; a code entered twice stands twice."""
    left = list(refused)
    told = []
    for code in codes:
        one = next((one for one in left if one.code == code), None)
        if one is not None:
            left.remove(one)
            told.append(one)
    return tuple(told)


def _extras_said(extras: Extras) -> Iterable[tuple[str, str]]:
    for gift in extras.gifts:
        yield gift.promotion, f"gift: {gift.units} x {gift.name or gift.sku}"
    for coupon in extras.coupons:
        yield coupon.promotion, f"coupon {coupon.coupon}"


def _digest(
    version: str,
    basket: Basket,
    goods: Sequence[Line],
    figures: Sequence[QuoteLine],
    effects: Sequence[Effect],
    stored: Stored,
) -> str:
    """What was priced and what came out: a basket changed by one line has another digest, and so has one of which a
    certificate pays less."""
    asked = (basket.coupons, basket.points_to_spend, basket.events, basket.prizes, basket.certificates)
    told: tuple[object, ...] = (
        version, ENGINE_NO, basket.currency, basket.tax_included, goods, asked, basket.from_wallet_minor, figures,
        effects, stored.certificates, stored.from_wallet_minor,
    )  # fmt: skip
    if basket.certificates_sold:
        told = (*told, basket.certificates_sold)
    try:
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:32]
    except UnicodeEncodeError:
        raise BadBasket("A text of the basket holds half a character (a lone surrogate); send it as UTF-8.") from None
