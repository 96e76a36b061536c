"""From what the till decided to what the POS is told: nothing is worked out here, figures only change their shape."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from edge.api.answers import (
    CardSaid,
    CertificateSoldSaid,
    CouponsSaid,
    DiscountSaid,
    Event,
    HoldSaid,
    LineSaid,
    MemberSaid,
    PointsSaid,
    PrizesSaid,
    QuoteSaid,
    ReceiptSaid,
    RedemptionSaid,
    ReturnSaid,
    ReturnVoidSaid,
    Said,
    StoredSaid,
    VoidSaid,
    WarningSaid,
)
from edge.instants import show_instant, show_known
from edge.sale.asks import Committed, Held, Identified, Quoted, TakenBack, Unreturned, Voided, Warn, Written
from loyalty.approvals import approved_in
from loyalty.facts.receipts import Receipt, ReceiptDetail, effects_as_charged, figures_as_charged
from loyalty.lots import FOREVER
from loyalty.members import MemberView
from loyalty.pricing import messages
from loyalty.pricing.coupons import RefusedCode
from loyalty.pricing.effects import Effect
from loyalty.pricing.leases import Kind
from loyalty.pricing.quotes import MayRedeem, Quote, QuoteLine, Totals
from loyalty.pricing.stored_value import CertificatePaid, stored_paid

Coded = TypeVar("Coded", RefusedCode, CertificatePaid)
Part = TypeVar("Part", DiscountSaid, PointsSaid)


def quote_answer(told: Quoted, quote_id: str, *, last4: str = "", offset_min: int = 0) -> dict[str, Any]:
    """The JSON of POST /v1/quotes and of `tallypoint quote`, as plain values. Args: as `quote_said`."""
    said = quote_said(told, quote_id, last4=last4, offset_min=offset_min)
    # Through JSON, so that a tuple is the list it will be for whoever reads it.
    return msgspec.json.decode(msgspec.json.encode(said), type=dict[str, Any])


def quote_said(told: Quoted, quote_id: str, *, last4: str = "", offset_min: int = 0) -> QuoteSaid:
    """A quote as it is answered.

    Args:
        quote_id: the caller's.
        last4: of the card that was scanned, where it is at hand.
        offset_min: of the store, for `as_of`.
    """
    quote = told.quote
    return QuoteSaid(
        quote_id=quote_id,
        programme_version=quote.programme_version,
        digest=quote.digest,
        currency=quote.currency,
        member=member_said(quote.view, told.known, last4),
        lines=lines_said(quote.lines, quote.effects),
        totals=quote.totals,
        redemption=_redemption_said(quote.redemption, told.on_asking),
        gifts=quote.gifts,
        coupons=_coupons(quote, told.entered),
        messages=said_by_place(quote.messages),
        why=quote.why,
        as_of=show_known(told.as_of_ms, offset_min),
        offline=told.offline,
        warnings=warned(told.warnings),
        prizes=PrizesSaid(taken=quote.prizes, refused=quote.prizes_refused),
        stored=StoredSaid(
            certificates=_as_entered(_with_all_left(quote.certificates, told.besides), told.entered),
            refused=_as_entered(quote.certificates_refused, told.entered),
            from_wallet_minor=quote.from_wallet_minor,
        ),
        tier=quote.tier,
    )


def _redemption_said(may: MayRedeem, on_asking: MayRedeem | None) -> RedemptionSaid:
    said = RedemptionSaid(**msgspec.structs.asdict(may))
    if on_asking is None:
        return said
    points = on_asking.most_points
    say = f"{may.say} Set points aside first: head office may let {points} be spent." if may.say else ""
    return msgspec.structs.replace(said, ask_points=points, ask_minor=sum(on_asking.per_line_minor), say=say)


def receipt_said(told: Committed, text: str, authority_say: str = "") -> ReceiptSaid:
    """A committed sale with its printed words.

    Args:
        authority_say: at which step its points were spent, in words for the cashier.
    """
    detail = told.detail
    return ReceiptSaid(
        receipt_id=told.receipt.receipt_id,
        event=event_said(told),
        totals=totals_of(detail, told),
        programme_version=detail.programme_version,
        digest=detail.digest,
        lines=lines_said(figures_as_charged(detail), effects_as_charged(detail)),
        charged_differs=bool(detail.charged),
        messages=said_by_place(told.quote.messages if told.quote else ()),
        offline=detail.offline,
        text=text,
        replayed=told.replayed,
        coupons_issued=told.receipt.coupons_issued,
        authority=spent_under(told.receipt),
        authority_say=authority_say,
        approved_by=detail.override.supervisor if detail.override else "",
        certificates_sold=tuple(
            CertificateSoldSaid(
                line=one.line,
                amount_minor=one.amount_minor,
                valid_through=None if one.valid_through == FOREVER else one.valid_through.isoformat(),
            )
            for one in told.receipt.certificates_sold
        ),
    )


def spent_under(receipt: Receipt) -> Kind:
    """The step at which a sale's points were spent; `none` where none were."""
    return receipt.redemption.authority if receipt.redemption else "none"


def totals_of(detail: ReceiptDetail, told: Committed) -> Totals:
    """The totals as they were paid: the quote's, summed again from what was recorded, with what the POS charged."""
    spent = told.receipt.redemption
    gross = discount = with_points = net = 0
    for line in figures_as_charged(detail):
        gross += line.amount_minor
        discount += line.discount_minor
        with_points += line.paid_with_points_minor
        net += line.net_minor
    stored = stored_paid((*told.receipt.uses, *told.receipt.shared_uses))
    return Totals(
        gross_minor=gross,
        discount_minor=discount,
        paid_with_points_minor=with_points,
        net_minor=net,
        points_earned=sum(part.points for part in told.receipt.earned),
        points_spent=spent.points if spent else 0,
        paid_with_certificates_minor=stored.certificates_minor,
        to_pay_minor=told.receipt.to_pay_minor,
    )


def return_said(told: TakenBack, text: str) -> ReturnSaid:
    """Goods taken back."""
    return ReturnSaid(
        return_id=told.returned.receipt_id,
        of=told.detail.of_receipt or None,
        event=event_said(told),
        net_minor=told.returned.net_minor,
        paid_out_minor=told.returned.paid_out_minor,
        to_certificates_minor=sum(part.amount_minor for part in told.returned.restored if part.code),
        to_wallet_minor=sum(part.amount_minor for part in told.returned.restored if not part.code),
        withheld_minor=told.returned.withheld_minor,
        points_reversed=sum(part.points for part in told.returned.reversed),
        points_restored=told.returned.restored_points,
        points_earned=sum(part.points for part in told.returned.earned),
        text=text,
        replayed=told.replayed,
        approved_by=approver_in(told.returned.detail),
    )


def void_said(told: Voided, text: str) -> VoidSaid:
    """A receipt undone."""
    spent = told.receipt.redemption
    return VoidSaid(
        receipt_id=told.receipt.receipt_id,
        event=event_said(told),
        to_hand_out_minor=told.receipt.to_pay_minor,
        points_reversed=sum(part.points for part in told.receipt.earned),
        points_restored=spent.points if spent else 0,
        text=text,
        replayed=told.replayed,
        approved_by=approver_in(told.void.detail),
    )


def return_void_said(told: Unreturned, text: str) -> ReturnVoidSaid:
    """A return undone."""
    return ReturnVoidSaid(
        return_id=told.returned.receipt_id,
        event=event_said(told),
        to_take_in_minor=told.void.paid_in_minor,
        points_given=told.points_given,
        points_taken=told.points_taken,
        text=text,
        replayed=told.replayed,
        approved_by=approver_in(told.void.detail),
    )


def hold_said(told: Held, offset_min: int, authority_say: str = "") -> HoldSaid:
    """Points set aside. Args: as `receipt_said`."""
    return HoldSaid(
        hold_id=told.hold_id,
        points=told.points,
        until=show_instant(told.lapses_at_ms, offset_min),
        replayed=told.replayed,
        authority=told.authority,
        authority_say=authority_say,
    )


def card_said(told: Identified) -> CardSaid:
    """What a scan was."""
    return CardSaid(
        outcome=told.outcome,
        text=told.text,
        aim=told.aim,
        card_token=told.card_token,
        member=member_said(told.view, told.known, told.last4) if told.outcome == "card" else None,
        language=told.language,
        warnings=warned(told.warnings),
    )


def approver_in(detail: msgspec.Raw) -> str:
    """Who approved an event, as the shop numbers its people; empty for nobody."""
    override = approved_in(bytes(detail)).override
    return override.supervisor if override else ""


def event_said(told: Written) -> Event:
    """Where a fact stands in the chain."""
    return Event(till_id=told.head.till_id, epoch=told.head.epoch, seq=told.head.seq, record=told.record)


def member_said(view: MemberView | None, known: bool, last4: str = "") -> MemberSaid | None:
    """The member behind a basket; none for an anonymous one."""
    return None if view is None else _member(view, known, last4)


def ending_of(last4: str) -> str:
    """A card as it is shown: `…1234`."""
    return f"…{last4}" if last4 else ""


def said_by_place(said: Sequence[messages.Said]) -> Said:
    """Sentences by place, each once."""
    places = {place: tuple(dict.fromkeys(one.text for one in said if one.place == place)) for place in _PLACES}
    return Said(**places)


def lines_said(figures: Iterable[QuoteLine], effects: Iterable[Effect]) -> tuple[LineSaid, ...]:
    """Each line with what each promotion did to it."""
    off: dict[int, list[DiscountSaid]] = {}
    points: dict[int, list[PointsSaid]] = {}
    for effect in effects:
        if amount := effect.amount_minor:
            off.setdefault(effect.line, []).append(DiscountSaid(promotion=effect.promotion, amount_minor=amount))
        if granted := effect.points:
            points.setdefault(effect.line, []).append(PointsSaid(promotion=effect.promotion, points=granted))
    return tuple([
        LineSaid(
            line=line.line,
            discounts=_each_once(off[line.line], "amount_minor") if line.line in off else (),
            points=_each_once(points[line.line], "points") if line.line in points else (),
            paid_with_points_minor=line.paid_with_points_minor,
            net_minor=line.net_minor,
            amount_minor=line.amount_minor,
            discount_minor=line.discount_minor,
            points_earned=line.points_earned,
            points_spent=line.points_spent,
        )
        for line in figures
    ])  # fmt: skip


def _each_once(parts: Sequence[Part], figure: str) -> tuple[Part, ...]:
    """Each promotion once, with the sum of its figure: several coupons may set the same one off."""
    if len(parts) == 1 or len({part.promotion for part in parts}) == len(parts):
        return tuple(parts)
    once: dict[str, Part] = {}
    for part in parts:
        if (before := once.get(part.promotion)) is not None:
            part = msgspec.structs.replace(part, **{figure: getattr(before, figure) + getattr(part, figure)})
        once[part.promotion] = part
    return tuple(once.values())


def warned(warnings: Iterable[Warn]) -> tuple[WarningSaid, ...]:
    """Warnings as they are answered."""
    return tuple(WarningSaid(code=warn.code, say=warn.say) for warn in warnings)


_PLACES = ("cashier", "customer", "kiosk", "receipt")


def _member(view: MemberView, known: bool, last4: str) -> MemberSaid:
    return MemberSaid(
        known=known,
        card=ending_of(last4),
        tier=view.tier,
        balance_points=view.balance_points,
        spendable_points=view.spendable_points,
        stored_minor=view.stored_minor,
    )


def _coupons(quote: Quote, entered: Mapping[str, str]) -> CouponsSaid:
    return CouponsSaid(
        used=tuple(entered.get(code, code) for code in quote.coupons_used),
        refused=_as_entered(quote.coupons_refused, entered),
        issued=quote.coupons_issued,
    )


def _with_all_left(paid: Iterable[CertificatePaid], besides: Mapping[str, int]) -> tuple[CertificatePaid, ...]:
    """Certificates with all that is left on them, and not only what else may pay here now."""
    return tuple(
        msgspec.structs.replace(one, left_minor=one.left_minor + besides.get(one.code, 0)) for one in paid
    )


def _as_entered(told: tuple[Coded, ...], entered: Mapping[str, str]) -> tuple[Coded, ...]:
    """Codes as the POS sent them."""
    return tuple(msgspec.structs.replace(one, code=entered.get(one.code, one.code)) for one in told)
