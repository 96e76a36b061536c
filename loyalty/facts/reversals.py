"""Void and return as facts, from what the receipt recorded; nothing is priced again.

All they need is in the receipt's own bytes: another till that was handed them takes the goods back just the same.
Without a reference the goods are priced as a basket of today and those points are reversed (DECISIONS 10).
"""

from collections.abc import Iterable, Sequence

import msgspec

from loyalty.amounts import Whole
from loyalty.approvals import Override
from loyalty.baskets import Line, Place
from loyalty.certificates import CertificateSold
from loyalty.facts.counted_points import StillCounted
from loyalty.facts.receipts import EMPTY, Funded, Receipt, funded_by_others, read_detail
from loyalty.facts.returned_lines import CertificateWithoutReceipt, ReturnLine, return_lines, void_figures
from loyalty.facts.returned_lines import ReturnFigures as ReturnFigures
from loyalty.facts.returned_lines import ReturnsMoreThanSold as ReturnsMoreThanSold
from loyalty.facts.returned_lines import UnknownLine as UnknownLine
from loyalty.facts.returned_points import AtHand, standing_of, way_of
from loyalty.facts.returned_uses import StoredBack
from loyalty.facts.withholding import Withheld, withhold
from loyalty.lots import EventRef
from loyalty.members import AccountId, MemberView, Use
from loyalty.pricing.earning import Earned
from loyalty.pricing.quotes import ENGINE_NO, Quote
from loyalty.programme.compiled import Compiled
from loyalty.programme.return_rules import PointsOnReturn, ReturnRules, rules_of_sale

NOTHING_AT_HAND = AtHand()
VOID = "void:"


class Return(msgspec.Struct, frozen=True, kw_only=True, tag="return.v1", tag_field="type", omit_defaults=True):
    """Goods taken back later, at any till; `of` is none without a reference.

    Attributes:
        of_receipt: the id of the receipt at `of`: a till whose disk went back gives a place twice. "" in old returns,
            whose detail alone says it.
        net_minor: money given back, `restored` included, less `withheld_minor`.
        reversed: points taken back; `earned`: points that the kept goods earn anew.
        restored_points: come back to the lots that the receipt spent, last used first.
        shared_uses: of counters that belong to no account.
        restored: what of the money returns to certificates and wallet; it is in the uses too.
        withheld: points that were spent and are not taken back, because their worth, `withheld_minor`, was kept.
        clamp: points that are not there to be taken back are let go, and not owed.
    """

    receipt_id: str
    place: Place
    net_minor: Whole
    of: EventRef | None = None
    account_id: AccountId | None = None
    card_token: str | None = None
    reversed: tuple[Earned, ...] = ()
    restored_points: Whole = 0
    uses: tuple[Use, ...] = ()
    funded: tuple[Funded, ...] = ()
    detail: msgspec.Raw = EMPTY
    earned: tuple[Earned, ...] = ()
    shared_uses: tuple[Use, ...] = ()
    restored: tuple[StoredBack, ...] = ()
    withheld_minor: Whole = 0
    withheld: tuple[Earned, ...] = ()
    clamp: bool = False
    certificates_back: tuple[CertificateSold, ...] = ()
    of_receipt: str = ""

    @property
    def paid_out_minor(self) -> int:
        """What the customer is handed: the money that does not return to certificates and wallet."""
        # Of sales of earlier tills more may return to them than the POS charged.
        return max(0, self.net_minor - sum(part.amount_minor for part in self.restored))

    @property
    def withheld_points(self) -> int:
        """The points whose worth was kept."""
        return sum(part.points for part in self.withheld)


class ReturnDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came back, and what the till knew had come back before; without a reference the goods as quoted today.

    Attributes:
        how: how the points came back; `pro_rata` where the sale asks otherwise says that its programme was not at hand.
        standing: what of the receipt's points stood by then, as the till knew; none where that makes no difference.
        shared: counters that everybody shares, as the till knew them; none where no goods were priced under them.
        counted: what of the receipt's limits and caps stood by then; none where they come back pro rata all the same.
        programme_version, engine_no: what the goods were judged under; `view`: the member as the till knew them,
            without a reference as if they had been here before that day, for goods that come back are no visit.
        tax_included: whether the amounts of `goods` are with tax.
        override: who approved it; `exchange`: the exchange that it is half of.
    """

    lines: tuple[ReturnLine, ...]
    earlier: tuple[ReturnLine, ...] = ()
    of_receipt: str = ""
    goods: tuple[Line, ...] = ()
    programme_version: str = ""
    engine_no: int = 0
    currency: str = ""
    view: MemberView | None = None
    cashier: str = ""
    how: PointsOnReturn = "pro_rata"
    standing: tuple[Earned, ...] | None = None
    override: Override | None = None
    exchange: str = ""
    shared: tuple[Use, ...] | None = None
    tax_included: bool = True
    counted: StillCounted | None = None


class Void(msgspec.Struct, frozen=True, kw_only=True, tag="void.v1", tag_field="type", omit_defaults=True):
    """A whole committed receipt undone, same till, before its close; its id is `void:` and the receipt's.

    `shared_uses` and `clamp` are as in a return.
    """

    receipt_id: str
    place: Place
    of: EventRef
    account_id: AccountId | None = None
    card_token: str | None = None
    uses: tuple[Use, ...] = ()
    detail: msgspec.Raw = EMPTY
    shared_uses: tuple[Use, ...] = ()
    clamp: bool = False
    certificates_back: tuple[CertificateSold, ...] = ()


class ReturnVoid(msgspec.Struct, frozen=True, kw_only=True, tag="return_void.v1", tag_field="type", omit_defaults=True):
    """A whole return undone, same till, before its close: what it said, the other way round. Its id is `void:` and the
    return's.

    Attributes:
        undoes: the return; `of`, `of_receipt`: the receipt that it took back, as in the return.
        net_minor: money taken in again, `restored` included.
        earned: points granted again, which the return took; `reversed`: points taken that it had granted anew.
        spent_points: the receipt's points that came back and are spent on it again.
        restored: what of the money had returned to certificates and wallet, which pay it again.
        certificates_again: certificates that its goods were: in use again, with what was left on them.
        clamp: as in a return, of points `reversed`.
    """

    receipt_id: str
    place: Place
    undoes: EventRef
    net_minor: Whole
    of: EventRef | None = None
    of_receipt: str = ""
    account_id: AccountId | None = None
    card_token: str | None = None
    earned: tuple[Earned, ...] = ()
    reversed: tuple[Earned, ...] = ()
    spent_points: Whole = 0
    uses: tuple[Use, ...] = ()
    shared_uses: tuple[Use, ...] = ()
    funded: tuple[Funded, ...] = ()
    restored: tuple[StoredBack, ...] = ()
    clamp: bool = False
    detail: msgspec.Raw = EMPTY
    certificates_again: tuple[CertificateSold, ...] = ()

    @property
    def paid_in_minor(self) -> int:
        """What the customer hands back: the money that certificates and wallet do not pay again."""
        return max(0, self.net_minor - sum(part.amount_minor for part in self.restored))


Reversal = Return | Void | ReturnVoid
"""What takes a sale back, or takes that back."""


class VoidDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who voided it, and who approved that; `exchange`: the exchange that is voided with it."""

    cashier: str = ""
    override: Override | None = None
    exchange: str = ""


def close_return(
    return_id: str,
    receipt: Receipt,
    of: EventRef,
    place: Place,
    *,
    earlier: Sequence[ReturnLine],
    lines: Sequence[ReturnLine],
    at_hand: AtHand = NOTHING_AT_HAND,
    cashier: str = "",
) -> Return:
    """The fact that lines of a receipt came back. Args: `at_hand` for what the sale's own bytes cannot say.

    Raises: as `return_lines`.
    """
    sold = read_detail(receipt)
    way = way_of(sold, at_hand, place)
    given = return_lines(receipt, sold, earlier, lines, way)
    rules, compiled = sold.rules, way.compiled
    told_view = rules.clawback_short == "money" or way.how == "claw_all"
    detail = ReturnDetail(
        lines=tuple(lines),
        earlier=tuple(earlier),
        of_receipt=receipt.receipt_id,
        programme_version=compiled.version if compiled else "",
        engine_no=ENGINE_NO if compiled else 0,
        view=way.view if told_view else None,
        cashier=cashier,
        how=way.how,
        standing=None if rules.points_on_return == "pro_rata" else way.standing,
        shared=way.shared if way.how == "claw_all" else None,
        counted=way.counted,
    )
    return Return(
        receipt_id=return_id,
        place=place,
        of=of,
        account_id=receipt.account_id,
        card_token=receipt.card_token,
        net_minor=given.net_minor,
        reversed=given.reversed,
        earned=given.earned,
        restored_points=given.restored_points,
        uses=given.uses,
        shared_uses=given.shared_uses,
        funded=given.funded,
        restored=given.restored,
        withheld_minor=given.withheld_minor,
        withheld=given.withheld,
        certificates_back=given.certificates_back,
        clamp=rules.clawback_short == "clamp",
        of_receipt=receipt.receipt_id,
        detail=msgspec.Raw(msgspec.json.encode(detail)),
    )


def close_unreferenced(
    return_id: str,
    quote: Quote,
    place: Place,
    *,
    compiled: Compiled,
    card_token: str | None,
    lines: Sequence[ReturnLine],
    tax_included: bool = True,
    cashier: str = "",
) -> Return:
    """The fact that goods came back without a receipt: today's points of them are reversed, no use comes back.

    Args:
        quote: the goods as a basket of today, without points to spend, of a member who is `here_already`.
        compiled: the programme of the quote.
        lines: with the amounts that the POS pays out; their sum is the money given back, less what is withheld.
        tax_included: as in the basket of the quote.
    Raises:
        CertificateWithoutReceipt: nobody can say which certificate it was, so it would stay good.
    """
    if quote.certificate_lines:
        raise CertificateWithoutReceipt(
            f"Line {quote.certificate_lines[0]} sold a certificate, which stays good. Take it as payment, or back with"
            " its receipt; take the other goods back without it.",
            line=quote.certificate_lines[0],
        )
    detail = ReturnDetail(
        lines=tuple(lines),
        goods=quote.goods,
        programme_version=quote.programme_version,
        engine_no=quote.engine_no,
        currency=quote.currency,
        view=quote.view,
        cashier=cashier,
        shared=quote.shared,
        tax_included=tax_included,
    )
    rules = rules_of_sale(compiled.programme, (), ())
    paid_out = sum(line.amount_minor for line in lines)
    kept = withheld_of(rules, quote, paid_out)
    return Return(
        receipt_id=return_id,
        place=place,
        account_id=quote.view.account_id if quote.view else None,
        card_token=card_token if quote.view and quote.view.account_id is None else None,
        net_minor=paid_out - kept.amount_minor,
        reversed=kept.reversed,
        funded=funded_by_others(quote.effects, place.partner_id),
        withheld_minor=kept.amount_minor,
        withheld=kept.points,
        clamp=rules.clawback_short == "clamp",
        detail=msgspec.Raw(msgspec.json.encode(detail)),
    )


def withheld_of(rules: ReturnRules, quote: Quote, paid_out_minor: int) -> Withheld:
    """What of the points of goods without a receipt is kept in money."""
    known = quote.view is not None and quote.view.account_id is not None
    there = quote.view.balance_points if quote.view and known else None
    return withhold(rules, quote.earned, there=there, paid_out_minor=paid_out_minor)


def close_void(receipt: Receipt, of: EventRef, place: Place, *, cashier: str = "") -> Void:
    """The fact that a receipt was undone whole. What a void does to counters, a return of everything does too."""
    uses, shared_uses, clamp = void_figures(receipt, read_detail(receipt))
    return Void(
        receipt_id=VOID + receipt.receipt_id,
        place=place,
        of=of,
        account_id=receipt.account_id,
        card_token=receipt.card_token,
        uses=uses,
        shared_uses=shared_uses,
        clamp=clamp,
        certificates_back=receipt.certificates_sold,
        detail=msgspec.Raw(msgspec.json.encode(VoidDetail(cashier=cashier))),
    )


def receipt_named(event: Reversal) -> str:
    """The id of the receipt that a reversal takes back; "" where it does not say, and only its place is known."""
    if isinstance(event, Void):
        return event.receipt_id.removeprefix(VOID) if event.receipt_id.startswith(VOID) else ""
    return event.of_receipt


def return_named(void: ReturnVoid) -> str:
    """The id of the return that a void undoes; "" where its own does not say, and only the place is known."""
    return void.receipt_id.removeprefix(VOID) if void.receipt_id.startswith(VOID) else ""


def came_back(receipt: Receipt, returns: Iterable[Return]) -> tuple[tuple[ReturnLine, ...], tuple[Earned, ...]]:
    """What had come back of a receipt, and what still stands of its points, by the returns that are known."""
    lines: list[ReturnLine] = []
    taken = []
    for returned in returns:
        lines += msgspec.json.decode(returned.detail, type=ReturnDetail).lines
        taken.append(((*returned.reversed, *returned.withheld), returned.earned))
    return tuple(lines), standing_of(receipt, taken)
