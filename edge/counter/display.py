"""What the customer's display shows of a quote, a card or a finished sale."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from edge.api.telling import ending_of, said_by_place, spent_under, totals_of
from edge.counter.screens import (
    MOST_LINES,
    Beside,
    Notice,
    Phase,
    Screen,
    ScreenGift,
    ScreenLine,
    ScreenOffer,
    ScreenTier,
)
from edge.counter.slips import balance_after
from edge.sale.asks import Committed, Identified, Quoted, Warn
from loyalty.amounts import exponent_of, format_quantity
from loyalty.baskets import Line
from loyalty.members import MemberView, view_after
from loyalty.moments import moment_at
from loyalty.pricing.messages import Said
from loyalty.pricing.quotes import Quote, QuoteLine
from loyalty.pricing.spending import last_day_to_spend
from loyalty.programme.programme import Options, Programme

MOST_OFFERS = 6


def screen_of_card(told: Identified, blank: Screen, *, as_of: str | None, programme: Programme | None = None) -> Screen:
    """A card was scanned before the first line. `blank` brings language, currency, line and store time."""
    screen = _with_member(blank, "member", told.view, told.known, told.last4, as_of, programme)
    warned = _noticed(told.warnings)
    return msgspec.structs.replace(screen, beside=Beside(card_token=told.card_token or "", warnings=warned))


def screen_of_quote(
    told: Quoted,
    blank: Screen,
    *,
    lines: tuple[Line, ...],
    names: Mapping[str, str],
    last4: str,
    as_of: str | None,
    programme: Programme | None,
    training: bool,
    quote_id: str = "",
    would_earn: Callable[[], int] = lambda: 0,
) -> Screen:
    """A basket as it stands.

    Args:
        lines: as the POS sent them, in its order.
        names: goods by sku; one without shows its sku.
        programme: of the quote, for the names of what it speaks of; none once it has left this till.
        would_earn: what the basket would earn with a card; asked only while it has none.
    """
    quote = told.quote
    most = told.on_asking or quote.redemption
    most_minor = sum(most.per_line_minor)
    may = most.most_points if not quote.totals.points_spent else 0
    screen = _with_member(blank, "sale", quote.view, told.known, last4, as_of, programme)
    said = said_by_place(quote.messages)
    return msgspec.structs.replace(
        screen,
        currency=quote.currency,
        exponent=exponent_of(quote.currency),
        **_lines(lines, quote.lines, names),
        totals=quote.totals,
        may_spend_points=may,
        may_spend_minor=most_minor if may else 0,
        authority=quote.authority.kind if quote.totals.points_spent else most.authority if may else "none",
        **_to_come(quote, names, programme),
        messages=said.customer,
        missed=_missed(quote),
        kiosk=said.kiosk,
        step_points=max(1, most.step),
        most_points=most.most_points,
        most_minor=most_minor,
        to_ask=told.on_asking is not None and may > 0,
        would_earn=would_earn() if quote.view is None else 0,
        offline=told.offline,
        training=training,
        beside=Beside(
            card_token=told.card_token or "",
            quote_id=quote_id,
            say=said.cashier,
            warnings=_noticed(told.warnings),
        ),
    )


def screen_of_receipt(
    told: Committed, blank: Screen, *, names: Mapping[str, str], last4: str, programme: Programme | None
) -> Screen:
    """A sale that was paid. Args: as `screen_of_quote`."""
    detail, receipt = told.detail, told.receipt
    spent = receipt.redemption.points if receipt.redemption else 0
    view = view_after(detail.view, receipt.uses, points_spent=spent) if detail.view else None
    screen = _with_member(blank, "done", view, receipt.account_id is not None, last4, None, programme)
    return msgspec.structs.replace(
        screen,
        currency=detail.currency,
        exponent=exponent_of(detail.currency),
        totals=totals_of(detail, told),
        authority=spent_under(receipt),
        record=told.record,
        balance_points=balance_after(receipt, detail),
        **(_to_come(told.quote, names, programme) if told.quote else {}),
        messages=said_by_place(_still_true(told.quote)).customer if told.quote else (),
        offline=detail.offline,
    )


def _noticed(warnings: Iterable[Warn]) -> tuple[Notice, ...]:
    return tuple(Notice(say=one.say, code=one.code) for one in warnings)


def _to_come(quote: Quote, names: Mapping[str, str], programme: Programme | None) -> dict[str, Any]:
    """Gifts, coupons for the next visit and the next tier, by the names that customers know."""
    coupons = {kind.id: kind.name for kind in programme.coupons} if programme else {}
    tiers = {tier.id: tier.name for tier in programme.tiers} if programme else {}
    tier = quote.tier
    return {
        "gifts": tuple(
            ScreenGift(name=gift.name or names.get(gift.sku) or gift.sku, units=gift.units) for gift in quote.gifts
        ),
        "coupons": tuple(coupons.get(coupon.coupon) or coupon.coupon for coupon in quote.coupons_issued),
        "next_tier": ScreenTier(
            name=tiers.get(tier.next_tier) or tier.next_tier, measure=tier.measure, short_of=tier.short_of
        )
        if tier and tier.next_tier
        else None,
    }


def _missed(quote: Quote) -> tuple[str, ...]:
    """Sentences for the customer of promotions that did not apply."""
    missed = {why.promotion for why in quote.why if not why.applied}
    said = (one.text for one in quote.messages if one.place == "customer" and one.promotion in missed)
    return tuple(dict.fromkeys(said))


def _still_true(quote: Quote) -> tuple[Said, ...]:
    """Once a sale is paid, what was nearly had is not worth mentioning any more."""
    missed = {why.promotion for why in quote.why if not why.applied}
    return tuple(said for said in quote.messages if said.promotion not in missed)


def _with_member(
    blank: Screen,
    phase: Phase,
    view: MemberView | None,
    known: bool,
    last4: str,
    as_of: str | None,
    programme: Programme | None,
) -> Screen:
    screen = msgspec.structs.replace(
        blank, phase=phase, has_card=view is not None, member=ending_of(last4) if view else ""
    )
    if view is None or not known:
        return screen
    tiers = {tier.id: tier.name for tier in programme.tiers} if programme else {}
    return msgspec.structs.replace(
        screen,
        balance_points=view.balance_points,
        as_of=as_of,
        tier=tiers.get(view.tier) or view.tier,
        stored_minor=view.stored_minor,
        **_lapsing(view, programme, blank.now),
        offers=_offers(view, programme, blank.now[:10]),
    )


def _lapsing(view: MemberView, programme: Programme | None, now: str) -> dict[str, Any]:
    """The points that lapse next and the last day to spend them; nothing of points that have lapsed."""
    if view.lapsing_on is None or not view.lapsing_points:
        return {}
    moment, options = moment_at(datetime.fromisoformat(now)), programme.options if programme else Options()
    last_day = last_day_to_spend(view.lapsing_on, options, moment.on, moment)
    return {"lapsing_points": view.lapsing_points, "lapsing_on": last_day.isoformat()} if last_day else {}


def _offers(view: MemberView, programme: Programme | None, today: str) -> tuple[ScreenOffer, ...]:
    """Coupons of the member that may still be used; those whose kind this programme does not know stay unsaid."""
    kinds = {kind.id: kind.name or kind.id for kind in programme.coupons} if programme else {}
    offers = [
        ScreenOffer(name=kinds[item.of], through=item.through.isoformat() if item.through else None)
        for item in view.wallet
        if item.kind == "coupon" and item.of in kinds and not item.used
    ]
    return tuple(offer for offer in offers if offer.through is None or offer.through >= today)[:MOST_OFFERS]


def _lines(lines: tuple[Line, ...], figures: tuple[QuoteLine, ...], names: Mapping[str, str]) -> dict[str, object]:
    by_line = {figure.line: figure for figure in figures}
    last = lines[-MOST_LINES:]
    shown = tuple(
        ScreenLine(
            line=line.line,
            name=names.get(line.sku) or line.sku,
            quantity=_short(line.quantity_milli),
            amount_minor=line.amount_minor,
            discount_minor=by_line[line.line].discount_minor,
            points=by_line[line.line].points_earned,
        )
        for line in last
    )
    return {"lines": shown, "hidden_lines": len(lines) - len(shown)}


def _short(milli: int) -> str:
    return format_quantity(milli).rstrip("0").rstrip(".")
