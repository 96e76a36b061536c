"""What a slip shows, worked out before any layout: figures as integers, texts as they were given.

A view is a pure function of the fact and of what the till looks up beside it (names, balance, hash). Nothing here is
stored: a reprint builds the view again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Literal

import msgspec

from loyalty.baskets import Place, Tender
from loyalty.facts.receipts import Receipt, ReceiptDetail
from loyalty.moments import moment_of
from loyalty.pricing.effects import Effect
from loyalty.pricing.leases import Kind
from loyalty.pricing.messages import Said
from loyalty.pricing.spending import last_day_to_spend
from loyalty.pricing.stored_value import stored_paid
from loyalty.programme.programme import Options

CERTIFICATE, WALLET = "certificate", "wallet"
PLAIN = Options()
OURS = ("points", CERTIFICATE, WALLET)  # a POS may list these among the tenders; we print them ourselves


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """Whose paper it is: name, address lines, and the currency of slips that do not name theirs."""

    name: str
    currency: str
    address: tuple[str, ...] = ()


class Slip(msgspec.Struct, frozen=True, kw_only=True):
    """What every slip shows.

    Attributes:
        number: the caller's id of the receipt, return or voided receipt.
        sold_at: local time of the store.
        record: eight digits of the event's chain hash, which a complaint quotes; empty where there is none yet.
        member: the card's last digits as `…1234`; empty for an anonymous one.
        balance_points: none where it is not known, then none is printed.
        unconfirmed: the card is not known at this till yet, the centre will confirm its points.
        copy: a reprint says so.
        training: practised, and counts nowhere; says so at both ends.
        approved_by: the supervisor who approved it, as the shop numbers its people; empty for nobody.
        exchange: the exchange that it is half of, whose other half paid for it or was paid by it.
    """

    language: str
    shop: Shop
    currency: str
    number: str
    till_id: str
    sold_at: datetime
    cashier: str = ""
    record: str = ""
    member: str = ""
    balance_points: int | None = None
    messages: tuple[str, ...] = ()
    unconfirmed: bool = False
    offline: bool = False
    copy: bool = False
    training: bool = False
    approved_by: str = ""
    reason: str = ""
    missed: tuple[str, ...] = ()
    legal: str = ""
    exchange: str = ""


class Lapsing(msgspec.Struct, frozen=True, kw_only=True):
    """Points that lapse together, and the last day on which they can be spent."""

    points: int
    through: date


class NextTier(msgspec.Struct, frozen=True, kw_only=True):
    """The next tier and what it still wants: minor units of spend, or a number of purchases."""

    name: str
    measure: Literal["spend", "purchases"]
    short_of: int


class ViewDiscount(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one promotion took off a line; no name where the POS took another discount than we quoted."""

    name: str
    amount_minor: int


class ViewLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A line item. `amount_minor` before discounts; `unit_price_minor` 0 where the POS sent none."""

    name: str
    quantity_milli: int
    amount_minor: int
    unit_price_minor: int = 0
    discounts: tuple[ViewDiscount, ...] = ()


class ViewCoupon(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon for the next visit: its name, its days, and the code to scan."""

    name: str
    from_on: date
    through: date
    code: str


class ReceiptView(Slip, frozen=True, kw_only=True, tag="sale.v1", tag_field="slip"):
    """A sale. Gross - discount = total; points, stored value and tenders pay it, and what they are above it is change.

    `stored` is what certificates and the wallet paid, `to_pay_minor` what they and points left to other tenders;
    `spent_under` is the step at which points were spent: `hold` was asked of head office, the others were offline.
    """

    lines: tuple[ViewLine, ...]
    gross_minor: int
    discount_minor: int
    total_minor: int
    paid_with_points_minor: int = 0
    points_spent: int = 0
    spent_under: Kind = "none"
    net_minor: int = 0
    stored: tuple[Tender, ...] = ()
    to_pay_minor: int = 0
    tenders: tuple[Tender, ...] = ()
    change_minor: int = 0
    points_earned: int = 0
    coupons: tuple[ViewCoupon, ...] = ()
    lapsing: tuple[Lapsing, ...] = ()
    next_tier: NextTier | None = None


def view_of_receipt(
    receipt: Receipt,
    detail: ReceiptDetail,
    *,
    shop: Shop,
    names: Mapping[str, str],
    messages: Sequence[Said] = (),
    language: str,
    promotions: Mapping[str, str] | None = None,
    coupons: Mapping[str, str] | None = None,
    record: str = "",
    member: str = "",
    balance_points: int | None = None,
    copy: bool = False,
    missed: Collection[str] = (),
    next_tier: NextTier | None = None,
    legal: str = "",
    training: bool = False,
    options: Options = PLAIN,
) -> ReceiptView:
    """The view of a sale.

    Args:
        detail: the receipt's own, `read_detail(receipt)`.
        names: goods by sku; a sku without a name is printed itself.
        messages: of the quote; those for the place `receipt` are printed.
        language: en, pt-BR, ru, pl; any other prints English.
        promotions: names by promotion id; one without a name prints its id.
        coupons: names by kind of coupon; one without a name prints its kind.
        record: eight digits of the event's chain hash.
        member: the card's last digits as `…1234`; empty for an anonymous sale.
        balance_points: after this sale, as known here.
        missed: promotions that were nearly had; what is said of them is less important.
        options: of the programme, which say when on its last day a point lapses.
        others: as `Slip` has them.
    """
    lines = _lines(detail, names, promotions or {})
    gross = sum(line.amount_minor for line in lines)
    discount = sum(off.amount_minor for line in lines for off in line.discounts)
    with_points = sum(figure.paid_with_points_minor for figure in detail.figures)
    paid = stored_paid((*receipt.uses, *receipt.shared_uses))
    stored = stored_tenders(certificates_minor=paid.certificates_minor, wallet_minor=paid.wallet_minor)
    tenders = tuple(tender for tender in detail.tenders if tender.kind not in OURS)
    given = sum(tender.amount_minor for tender in tenders)
    to_pay = receipt.to_pay_minor
    return ReceiptView(
        language=language,
        shop=shop,
        currency=detail.currency,
        number=receipt.receipt_id,
        till_id=receipt.place.till_id,
        sold_at=local_time(receipt.place),
        cashier=detail.cashier,
        record=record,
        member=member,
        balance_points=balance_points,
        messages=said_on_paper([said for said in messages if said.promotion not in missed]),
        missed=said_on_paper([said for said in messages if said.promotion in missed]),
        unconfirmed=receipt.card_token is not None and receipt.account_id is None,
        offline=detail.offline,
        copy=copy,
        training=training,
        approved_by=detail.override.supervisor if detail.override else "",
        reason=detail.override.reason if detail.override else "",
        legal=legal,
        exchange=detail.exchange,
        lapsing=_lapsing(receipt, detail, options),
        next_tier=next_tier,
        lines=lines,
        gross_minor=gross,
        discount_minor=discount,
        total_minor=gross - discount,
        paid_with_points_minor=with_points,
        points_spent=receipt.redemption.points if receipt.redemption else 0,
        spent_under=receipt.redemption.authority if receipt.redemption else "none",
        net_minor=receipt.net_minor,
        stored=stored,
        to_pay_minor=to_pay,
        tenders=tenders,
        # What came back in its exchange pays too: the change stands on the slip of both.
        change_minor=0 if detail.exchange else max(0, given - to_pay),
        points_earned=sum(earned.points for earned in receipt.earned),
        coupons=tuple(
            ViewCoupon(
                name=(coupons or {}).get(one.coupon) or one.coupon,
                from_on=one.from_on,
                through=one.through,
                code=one.code,
            )
            for one in receipt.coupons_issued
            if one.code
        ),
    )


def local_time(place: Place) -> datetime:
    """The instant of a sale as the store's clock showed it."""
    zone = timezone(timedelta(minutes=place.offset_min))
    return datetime.fromtimestamp(place.sold_at_ms // 1000, zone)


def said_on_paper(messages: Sequence[Said]) -> tuple[str, ...]:
    """Sentences for the receipt, each once."""
    return tuple(dict.fromkeys(said.text for said in messages if said.place == "receipt" and said.text))


def stored_tenders(*, certificates_minor: int, wallet_minor: int) -> tuple[Tender, ...]:
    """What certificates and wallet pay, as tenders; none of those that pay nothing."""
    both = ((CERTIFICATE, certificates_minor), (WALLET, wallet_minor))
    return tuple(Tender(kind=kind, amount_minor=minor) for kind, minor in both if minor)


def _lapsing(receipt: Receipt, detail: ReceiptDetail, options: Options) -> tuple[Lapsing, ...]:
    """The member's points that lapse next, less what this sale spent, which is taken from just those first."""
    view, spent = detail.view, receipt.redemption.points if receipt.redemption else 0
    if view is None or view.lapsing_on is None or view.lapsing_points <= spent:
        return ()
    last_day = last_day_to_spend(view.lapsing_on, options, receipt.place.business_date, moment_of(receipt.place))
    # A till that has not heard from head office since still has points in its row that are gone.
    return () if last_day is None else (Lapsing(points=view.lapsing_points - spent, through=last_day),)


def _lines(detail: ReceiptDetail, names: Mapping[str, str], promotions: Mapping[str, str]) -> tuple[ViewLine, ...]:
    quoted = {figure.line: figure.discount_minor for figure in detail.figures}
    charged = {taken.line: taken.discount_minor for taken in detail.charged}
    off = _off_by_line(detail.effects)
    rows = []
    for line in detail.lines:
        number = line.line
        taken = charged.get(number, quoted[number])
        discounts: tuple[ViewDiscount, ...] = ()
        # What the POS took is what was paid; only where it is what we quoted do we know the promotions.
        if taken != quoted[number]:
            discounts = (ViewDiscount(name="", amount_minor=taken),) if taken else ()
        elif number in off:
            discounts = tuple(
                [ViewDiscount(name=promotions.get(p) or p, amount_minor=n) for p, n in off[number].items() if n]
            )
        rows.append(
            ViewLine(
                name=names.get(line.sku) or line.sku,
                quantity_milli=line.quantity_milli,
                amount_minor=line.amount_minor,
                unit_price_minor=line.unit_price_minor,
                discounts=discounts,
            )
        )
    return tuple(rows)


def _off_by_line(effects: Iterable[Effect]) -> dict[int, dict[str, int]]:
    """Minor units off, by line and promotion, in the order in which they came off."""
    off: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for effect in effects:
        if amount := effect.amount_minor:
            of_line, promotion = off[effect.line], effect.promotion
            of_line[promotion] = of_line.get(promotion, 0) + amount
    return off
