"""A quote that was paid: the fact. The head is all that posting needs, the detail all that recomputing needs.

Source: house.md section 2 and "Head and detail"; DECISIONS 5, 13.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from loyalty.amounts import Positive, Whole, share_out
from loyalty.approvals import Override
from loyalty.baskets import Basket, CertificateAsk, CertificateSale, Line, Place, Tender
from loyalty.certificates import CertificateSold
from loyalty.document import Language
from loyalty.members import AccountId, MemberView, Use, WalletItem
from loyalty.pricing.coupons import IssuedCoupon
from loyalty.pricing.earning import Earned
from loyalty.pricing.effects import Effect
from loyalty.pricing.leases import Authority, Redemption, drawn_slices, expiry_of
from loyalty.pricing.quotes import Quote, QuoteLine, quote_basket
from loyalty.pricing.spending import PrizeTaken
from loyalty.pricing.stored_value import stored_at_most, stored_paid
from loyalty.programme.compiled import Compiled
from loyalty.programme.programme import Options
from loyalty.programme.return_rules import PLAIN, ReturnRules, rules_of_sale
from loyalty.trouble import InvariantBroken, Refusal

EMPTY = msgspec.Raw(b"null")


class Charged(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The discount that the POS took off a line, in minor units."""

    line: int
    discount_minor: int


class Funded(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Discount that another partner than the store's pays for, in minor units."""

    partner_id: str
    amount_minor: Positive


class Receipt(msgspec.Struct, frozen=True, kw_only=True, tag="receipt.v1", tag_field="type", omit_defaults=True):
    """A finished sale as the till recorded it; `net_minor` is what was paid in money, certificates and wallet included.

    Attributes:
        shared_uses: of counters that belong to no account: coupons and certificates of bearers, limits of all together.
        spends_own: this sale may spend the points that it earns itself.
        coupons_issued: for the next visit; the till makes their codes whenever it shows them.
        certificates_sold: with what goes onto each; they are good once head office has heard of it.
    """

    receipt_id: str
    place: Place
    net_minor: Whole
    account_id: AccountId | None = None
    card_token: str | None = None
    earned: tuple[Earned, ...] = ()
    uses: tuple[Use, ...] = ()
    redemption: Redemption | None = None
    funded: tuple[Funded, ...] = ()
    detail: msgspec.Raw = EMPTY
    shared_uses: tuple[Use, ...] = ()
    spends_own: bool = False
    coupons_issued: tuple[IssuedCoupon, ...] = ()
    certificates_sold: tuple[CertificateSold, ...] = ()

    @property
    def to_pay_minor(self) -> int:
        """What certificates and wallet left to other tenders."""
        stored = stored_paid((*self.uses, *self.shared_uses))
        # Of sales of earlier tills they may have paid more than the POS charged.
        return max(0, self.net_minor - stored.certificates_minor - stored.wallet_minor)


class ReceiptDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the till was told and what it decided, so that the centre can decide again.

    Attributes:
        charged: empty where the POS took just the discounts quoted; `quoted_digest` is what the POS sent back.
        stored_as_charged: certificates and wallet pay no more than the POS charged for goods; false where it took the
            discounts quoted, and in sales of tills that let them pay what was quoted all the same.
        prizes, certificates, from_wallet_minor: as asked; `prizes_taken`: prizes as they were given.
        bearer: coupons and certificates in hand, as the till knew them; `shared`: counters of no account, as told.
        rules: how this sale comes back.
        override: who approved it; `exchange`: the exchange that it is half of.
    """

    programme_version: str
    engine_no: int
    currency: str
    digest: str
    lines: tuple[Line, ...]
    figures: tuple[QuoteLine, ...]
    view: MemberView | None = None
    authority: Authority = Authority()
    effects: tuple[Effect, ...] = ()
    tenders: tuple[Tender, ...] = ()
    coupons: tuple[str, ...] = ()
    points_to_spend: int = 0
    charged: tuple[Charged, ...] = ()
    quoted_digest: str = ""
    cashier: str = ""
    offline: bool = False
    tax_included: bool = True
    events: tuple[str, ...] = ()
    prizes: tuple[str, ...] = ()
    certificates: tuple[CertificateAsk, ...] = ()
    from_wallet_minor: int = 0
    bearer: tuple[WalletItem, ...] = ()
    shared: tuple[Use, ...] | None = None
    prizes_taken: tuple[PrizeTaken, ...] = ()
    rules: ReturnRules = PLAIN
    override: Override | None = None
    exchange: str = ""
    stored_as_charged: bool = False


class ClosedSale(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt, and its detail before that was encoded."""

    receipt: Receipt
    detail: ReceiptDetail


class ChargedUnknownLine(Refusal):
    code = "receipt.charged_unknown_line"
    status = 422


def close_sale(
    quote: Quote,
    basket: Basket,
    place: Place,
    *,
    compiled: Compiled,
    card_token: str | None,
    charged: Sequence[Charged] = (),
    quoted_digest: str = "",
    cashier: str = "",
    offline: bool = False,
) -> ClosedSale:
    """Turn a quote into the fact that it was paid.

    Args:
        quote: of this very basket, under the pinned programme.
        compiled: that programme; what it says about returns is written down with the sale.
        charged: discounts that the POS took, where they differ from the quote's; lines left out took none.
        quoted_digest: the digest that came back from the POS; empty where it sent none.
    Returns:
        The receipt, its detail encoded, and that detail.
    Raises:
        ChargedUnknownLine: `charged` names a line that is not in the basket, or one twice, or takes more than it costs.
        InvariantBroken: the programme is not the one that the quote names.
    """
    if compiled.version != quote.programme_version:
        raise InvariantBroken("a receipt is closed under the programme of its quote", version=compiled.version)
    _check_charged(charged, quote.lines)
    differing = _differing(charged, quote.lines)
    detail = ReceiptDetail(
        programme_version=quote.programme_version,
        engine_no=quote.engine_no,
        currency=quote.currency,
        digest=quote.digest,
        lines=quote.goods,
        figures=quote.lines,
        view=quote.view,
        authority=quote.authority,
        effects=quote.effects,
        tenders=basket.tenders,
        coupons=basket.coupons,
        points_to_spend=basket.points_to_spend,
        charged=differing,
        quoted_digest="" if quoted_digest == quote.digest else quoted_digest,
        cashier=cashier,
        offline=offline,
        tax_included=basket.tax_included,
        events=basket.events,
        prizes=basket.prizes,
        certificates=basket.certificates,
        from_wallet_minor=basket.from_wallet_minor,
        bearer=quote.bearer,
        shared=quote.shared,
        prizes_taken=quote.prizes,
        rules=rules_of_sale(
            compiled.programme, (*quote.uses, *quote.shared_uses), _known_items(quote), quote.certificate_lines
        ),
        stored_as_charged=bool(differing) and quote.totals.to_pay_minor < quote.totals.net_minor,
    )
    uses, shared_uses = uses_as_charged(quote, detail)
    receipt = Receipt(
        receipt_id=basket.receipt_id,
        place=place,
        net_minor=sum(paid_in_money(detail).values()),
        account_id=quote.view.account_id if quote.view else None,
        card_token=card_token if quote.view and quote.view.account_id is None else None,
        earned=quote.earned,
        uses=uses,
        redemption=_redemption(quote, compiled.programme.options, place),
        funded=funded_by_others(quote.effects, place.partner_id),
        detail=msgspec.Raw(msgspec.json.encode(detail)),
        shared_uses=shared_uses,
        spends_own=quote.spends_own,
        coupons_issued=quote.coupons_issued,
        certificates_sold=quote.certificates_sold,
    )
    return ClosedSale(receipt=receipt, detail=detail)


def close_receipt(quote: Quote, basket: Basket, place: Place, **told: Any) -> Receipt:
    """The receipt alone. Args, Raises: as `close_sale`."""
    return close_sale(quote, basket, place, **told).receipt


def quote_again(
    compiled: Compiled, receipt: Receipt, detail: ReceiptDetail, language: Language | None = None, *,
    explain: bool = True,
) -> Quote:  # fmt: skip
    """The quote of a receipt, from what its till was told: same inputs, same figures.

    Args:
        compiled: the programme that `detail` names; `detail.engine_no` must be one that this engine is.
        language: of the messages, which are no figures; `explain`: as in `quote_basket`.
    Raises:
        BadBasket, WrongCurrency, InvariantBroken: what was recorded cannot be priced.
    Source: DECISIONS 13.
    """
    return quote_basket(
        compiled,
        basket_of(receipt, detail),
        receipt.place,
        detail.view,
        authority=detail.authority,
        bearer=detail.bearer,
        shared=detail.shared,
        language=language,
        explain=explain,
    )


def basket_of(receipt: Receipt, detail: ReceiptDetail) -> Basket:
    """The basket of a receipt as it was rung up."""
    return Basket(
        receipt_id=receipt.receipt_id,
        currency=detail.currency,
        lines=detail.lines,
        tax_included=detail.tax_included,
        tenders=detail.tenders,
        coupons=detail.coupons,
        points_to_spend=detail.points_to_spend,
        events=detail.events,
        prizes=detail.prizes,
        certificates=detail.certificates,
        from_wallet_minor=detail.from_wallet_minor,
        certificates_sold=tuple(CertificateSale(line=one.line, code=one.code) for one in receipt.certificates_sold),
    )


def paid_in_money(detail: ReceiptDetail) -> dict[int, int]:
    """Minor units paid in money by line: what the POS charged where it differs, else the quote's."""
    charged = {taken.line: taken.discount_minor for taken in detail.charged}
    return {
        line.line: line.amount_minor - charged.get(line.line, line.discount_minor) - line.paid_with_points_minor
        for line in detail.figures
    }


def figures_as_charged(detail: ReceiptDetail) -> tuple[QuoteLine, ...]:
    """The figures of each line with the discount that the POS took, where that is not the quoted one."""
    if not detail.charged:
        return detail.figures
    money = paid_in_money(detail)
    return tuple(
        msgspec.structs.replace(
            one,
            discount_minor=one.amount_minor - one.paid_with_points_minor - money[one.line],
            net_minor=money[one.line],
        )
        for one in detail.figures
    )


def effects_as_charged(detail: ReceiptDetail) -> tuple[Effect, ...]:
    """What was done to each line; where the POS took another discount than was quoted, that one, of no promotion."""
    quoted = {one.line: one.discount_minor for one in detail.figures}
    other = {one.line: one.discount_minor for one in detail.charged if one.discount_minor != quoted[one.line]}
    if not other:
        return detail.effects
    ours = (one for one in detail.effects if not (one.amount_minor and one.line in other))
    return (*(Effect(promotion="", line=line, amount_minor=off) for line, off in other.items() if off), *ours)


def uses_as_charged(quote: Quote, detail: ReceiptDetail) -> tuple[tuple[Use, ...], tuple[Use, ...]]:
    """What a sale adds to counters, its member's and everybody's: the quote's uses, but for stored value that the POS
    left nothing to pay for."""
    if not detail.stored_as_charged:
        return quote.uses, quote.shared_uses
    for_goods = sum(paid for line, paid in paid_in_money(detail).items() if line not in quote.certificate_lines)
    codes = (one.code for one in detail.certificates)
    return stored_at_most(quote.uses, quote.shared_uses, codes, max(0, for_goods))


def points_paid(detail: ReceiptDetail, redemption: Redemption | None) -> dict[int, int]:
    """Points spent by line, prizes included."""
    if redemption is None:
        return {}
    if any(line.points_spent for line in detail.figures):
        return {line.line: line.points_spent for line in detail.figures}
    # Receipts of release one say only what points paid of each line.
    weights = [line.paid_with_points_minor for line in detail.figures]
    return dict(zip((line.line for line in detail.figures), share_out(redemption.points, weights), strict=True))


def points_drawn(receipt: Receipt) -> int:
    """Points of a sale that its till had to be allowed to spend; what the sale earned itself it spent unasked."""
    spent = receipt.redemption.points if receipt.redemption else 0
    return max(0, spent - sum(part.points for part in receipt.earned)) if receipt.spends_own else spent


def funded_by_others(effects: Iterable[Effect], store_partner_id: str) -> tuple[Funded, ...]:
    """Discounts by the partner that pays for them, the store's own left out; sorted by partner."""
    sums: dict[str, int] = {}
    for effect in effects:
        if effect.amount_minor and effect.funded_by not in ("", store_partner_id):
            sums[effect.funded_by] = sums.get(effect.funded_by, 0) + effect.amount_minor
    return tuple(Funded(partner_id=partner, amount_minor=sums[partner]) for partner in sorted(sums))


def read_detail(receipt: Receipt) -> ReceiptDetail:
    """The detail of a receipt. Raises: InvariantBroken when it is malformed or was erased."""
    try:
        return msgspec.json.decode(receipt.detail, type=ReceiptDetail)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as trouble:
        raise InvariantBroken(f"the detail cannot be read: {trouble}", receipt_id=receipt.receipt_id) from None


def _check_charged(charged: Sequence[Charged], lines: Sequence[QuoteLine]) -> None:
    """Raises: ChargedUnknownLine."""
    figures = {line.line: line for line in lines} if charged else {}
    for taken in charged:
        line = figures.pop(taken.line, None)
        if line is None or not 0 <= taken.discount_minor <= line.amount_minor - line.paid_with_points_minor:
            raise ChargedUnknownLine(
                f"The discount charged on line {taken.line} does not fit the basket; send the lines as quoted.",
                line=taken.line,
            )


def _differing(charged: Sequence[Charged], figures: Sequence[QuoteLine]) -> tuple[Charged, ...]:
    """What the POS charged, whole, as soon as one line differs; empty when all agree or it sent nothing."""
    if not charged:
        return ()
    sent = {taken.line: taken.discount_minor for taken in charged}
    if all(sent.get(line.line, 0) == line.discount_minor for line in figures):
        return ()
    return tuple(Charged(line=line.line, discount_minor=sent.get(line.line, 0)) for line in figures)


def _redemption(quote: Quote, options: Options, place: Place) -> Redemption | None:
    if not quote.totals.points_spent:
        return None
    return Redemption(
        points=quote.totals.points_spent,
        amount_minor=quote.totals.paid_with_points_minor,
        authority=quote.authority.kind,
        lease_id=quote.authority.lease_id,
        slices=tuple(drawn_slices(quote.authority, quote.totals.points_spent, options, place)),
        lot_order=options.lot_order,
        expiry=expiry_of(options),
    )


def _known_items(quote: Quote) -> tuple[WalletItem, ...]:
    """Coupons and certificates that the quote was told of."""
    return (*quote.bearer, *(quote.view.wallet if quote.view else ()))
