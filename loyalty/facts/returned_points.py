"""Which of the points that a sale granted come back with the goods: pro rata, or as the goods that are kept would earn.

Source: docs/programme.md "Returns", option `points_on_return`.
"""

from collections.abc import Iterable, Mapping
from datetime import date

import msgspec

from loyalty.baskets import Basket, CertificateSale, Line, Place, Tender
from loyalty.facts.counted_points import NOTHING_COUNTED, FollowsPoints, StillCounted, at_most
from loyalty.facts.receipts import Receipt, ReceiptDetail, basket_of, paid_in_money, points_paid
from loyalty.members import MemberView, Use, add_uses, undone
from loyalty.pricing.earning import Earned
from loyalty.pricing.leases import Authority
from loyalty.pricing.quotes import ENGINE_NO, Quote, quote_basket
from loyalty.programme.compiled import Compiled
from loyalty.programme.return_rules import PointsOnReturn
from loyalty.shares import Shares

Lots = Mapping[tuple[str, date], int]  # issuer and last valid day → points


class AtHand(msgspec.Struct, frozen=True, kw_only=True):
    """What the till has at hand when goods come back.

    Attributes:
        programmes: that it holds, the one in force first.
        view: the member as it knows them now; none for nobody, and where it does not.
        standing: what of the points of this receipt still stands, see `standing_of`; none where all does but for the
            share of what came back before.
        shared: counters that everybody shares, as the till knows them; none where the programme in force looks at none.
        counted: what of the limits and caps of this receipt still stands, see `counted_of`; none as for `standing`.
    """

    programmes: tuple[Compiled, ...] = ()
    view: MemberView | None = None
    standing: tuple[Earned, ...] | None = None
    shared: tuple[Use, ...] | None = None
    counted: StillCounted | None = None


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How the points of a sale come back, as it was decided where the goods came back; recorded with the return.

    Attributes:
        how: what was done; `pro_rata` too where the programme that the sale asks for was not at hand.
        compiled: the programme of the sale to recompute under, or the one in force to judge anew under.
        place: where and when the goods came back.
        shared: as in `AtHand`; none in returns of tills that did not look at them, which granted what was used up.
        counted: as in `AtHand`; none too in returns of tills that did not look at it, where limits and caps come back
            pro rata whatever becomes of the points.
        others: as in `AtHand`.
    """

    how: PointsOnReturn = "pro_rata"
    compiled: Compiled | None = None
    view: MemberView | None = None
    place: Place | None = None
    standing: tuple[Earned, ...] | None = None
    shared: tuple[Use, ...] | None = None
    counted: StillCounted | None = None


PRO_RATA = Way()


class PointsBack(msgspec.Struct, frozen=True, kw_only=True):
    """Points that are taken back, points that the kept goods earn anew, and what these count now of the limits and
    caps that `follows`; none where points are not worked out again."""

    reversed: tuple[Earned, ...]
    earned: tuple[Earned, ...] = ()
    stands: StillCounted = NOTHING_COUNTED
    follows: FollowsPoints | None = None


def way_of(detail: ReceiptDetail, at_hand: AtHand, place: Place) -> Way:
    """How the points of this sale can come back here: as it asks for, or pro rata where the programme is not here."""
    asked = detail.rules.points_on_return
    way = Way(view=at_hand.view, place=place, standing=at_hand.standing, shared=at_hand.shared)
    if asked == "recompute":
        sold_under = (one for one in at_hand.programmes if one.version == detail.programme_version)
        compiled = next(sold_under, None) if detail.engine_no == ENGINE_NO else None
    else:
        compiled = next(iter(at_hand.programmes), None)
    if asked == "pro_rata":
        return way
    way = msgspec.structs.replace(way, counted=at_hand.counted)
    if compiled is None:
        return way
    return msgspec.structs.replace(way, how=asked, compiled=compiled)


def points_back(
    receipt: Receipt, detail: ReceiptDetail, before: Shares, after: Shares, way: Way, counted: StillCounted
) -> PointsBack:
    """What becomes of the points of a receipt.

    Args:
        before, after: what had come back of the receipt, and what has now.
        counted: of the receipt, before these goods come back.
    """
    gone, had_gone = _pro_rata(receipt, detail, after), _pro_rata(receipt, detail, before)
    share = {key: points - had_gone[key] for key, points in gone.items()}
    if detail.rules.points_on_return == "pro_rata":
        return PointsBack(reversed=_earned(share))
    if way.standing is None:
        standing = {key: points - had_gone.get(key, 0) for key, points in _lots(receipt.earned).items()}
    else:
        standing = dict(_lots(way.standing))
    # Whatever was done before, the last part leaves nothing behind.
    if after.whole:
        return PointsBack(reversed=_earned(standing))
    if way.compiled is None or way.how == "pro_rata":
        return PointsBack(reversed=_earned({key: min(points, standing.get(key, 0)) for key, points in share.items()}))
    follows = FollowsPoints(receipt, detail, way.compiled)
    if way.how == "recompute":
        quote = _kept_quote(way.compiled, receipt, detail, after)
        kept = _lots(quote.earned) if quote else {}
        stands = follows.counts(quote) if quote else NOTHING_COUNTED
        # Nothing is granted anew: where less stands than they would earn, no more is counted than was.
        if way.counted is not None and any(points > standing.get(key, 0) for key, points in kept.items()):
            stands = at_most(stands, way.counted)
        gone = {key: max(0, points - kept.get(key, 0)) for key, points in standing.items()}
        return PointsBack(reversed=_earned(gone), stands=stands, follows=follows)
    anew = _judged_anew(way.compiled, receipt, detail, after, way, counted, standing)
    return PointsBack(
        reversed=_earned(standing),
        earned=anew.earned if anew else (),
        stands=follows.counts(anew) if anew else NOTHING_COUNTED,
        follows=follows,
    )


def standing_of(receipt: Receipt, taken: Iterable[tuple[Iterable[Earned], Iterable[Earned]]]) -> tuple[Earned, ...]:
    """What still stands of a receipt's points.

    Args:
        taken: of each return before, what it took (the worth kept in money included), and what it granted anew.
    """
    standing = dict(_lots(receipt.earned))
    for gone, anew in taken:
        for step, parts in ((-1, gone), (1, anew)):
            for part in parts:
                key = (part.issuer_id, part.valid_through)
                standing[key] = standing.get(key, 0) + step * part.points
    return _earned(standing)


def _pro_rata(receipt: Receipt, detail: ReceiptDetail, shares: Shares) -> Lots:
    points: dict[tuple[str, date], int] = {}
    for effect in detail.effects:
        if effect.points and effect.valid_through:
            key = (effect.funded_by or receipt.place.partner_id, effect.valid_through)
            points[key] = points.get(key, 0) + shares.of(effect.points, effect.line)
    return points


def _kept_quote(
    compiled: Compiled, receipt: Receipt, detail: ReceiptDetail, after: Shares
) -> Quote | None:
    """The goods that are kept as a basket of the sale: the same inputs, but for what came back; none for nobody."""
    if detail.view is None:
        return None
    return quote_basket(
        compiled,
        _kept_basket(receipt, detail, after),
        receipt.place,
        detail.view,
        authority=detail.authority,
        bearer=detail.bearer,
        shared=detail.shared,
        explain=False,
    )


def _judged_anew(
    compiled: Compiled,
    receipt: Receipt,
    detail: ReceiptDetail,
    after: Shares,
    way: Way,
    counted: StillCounted,
    standing: Lots,
) -> Quote | None:
    """The kept goods as a sale of the return's day, as if the sale itself had never been; none for nobody.

    Codes were entered for the sale that was; they do not count again. Of the goods only those facts are known that the
    programme of the sale looked at.
    """
    if detail.view is None or way.place is None:
        return None
    basket = msgspec.structs.replace(_kept_basket(receipt, detail, after), coupons=())
    if compiled.programme.certificates is None:
        basket = _goods_alone(basket)
    place, today = receipt.place, way.place
    # The goods were sold where they were sold: only the day is another.
    on = msgspec.structs.replace(
        place, sold_at_ms=today.sold_at_ms, offset_min=today.offset_min, business_date=today.business_date
    )
    view = detail.view if way.view is None else _without_sale(way.view, counted.own, sum(standing.values()))
    paid = receipt.redemption
    authority = Authority(kind=paid.authority, points=paid.points, lease_id=paid.lease_id) if paid else Authority()
    shared = None if way.shared is None else add_uses(way.shared, undone(counted.shared))
    return quote_basket(compiled, basket, on, view, authority=authority, shared=shared, explain=False)


def _without_sale(view: MemberView, own_uses: Iterable[Use], points: int) -> MemberView:
    """A member without what the sale added to counters and balance; the date of the visit stays."""
    counters = view.counters
    if counters is not None:
        counters = add_uses(counters, undone(own_uses))
    return msgspec.structs.replace(view, counters=counters, balance_points=view.balance_points - points)


def _kept_basket(receipt: Receipt, detail: ReceiptDetail, after: Shares) -> Basket:
    """The basket of what is kept, paid with what still pays for it."""
    money = paid_in_money(detail)
    left = sum(after.kept(paid, line) for line, paid in money.items())
    by_line = points_paid(detail, receipt.redemption)
    for taken in detail.prizes_taken:
        by_line[taken.line] -= taken.points
    return msgspec.structs.replace(
        basket_of(receipt, detail),
        lines=tuple(_kept_line(line, after) for line in detail.lines if after.is_kept(line.line)),
        tenders=tuple(
            Tender(kind=tender.kind, amount_minor=tender.amount_minor * left // (sum(money.values()) or 1))
            for tender in detail.tenders
        ),
        points_to_spend=sum(after.kept(points, line) for line, points in by_line.items()),
        prizes=tuple(taken.prize for taken in detail.prizes_taken if after.is_kept(taken.line)),
        # Money of certificates earns as any money does, so what they pay now makes no difference.
        certificates=(),
        from_wallet_minor=0,
        certificates_sold=tuple(
            CertificateSale(line=one.line, code=one.code)
            for one in receipt.certificates_sold
            if after.is_kept(one.line)
        ),
    )


def _goods_alone(basket: Basket) -> Basket:
    """Without the certificates that it sold, for a programme that knows none any more: they never earned."""
    sold = {one.line for one in basket.certificates_sold}
    return msgspec.structs.replace(
        basket, lines=tuple(line for line in basket.lines if line.line not in sold), certificates_sold=()
    )


def _kept_line(line: Line, after: Shares) -> Line:
    return msgspec.structs.replace(
        line,
        amount_minor=after.kept(line.amount_minor, line.line),
        quantity_milli=after.kept(line.quantity_milli, line.line),
    )


def _lots(earned: Iterable[Earned]) -> Lots:
    lots: dict[tuple[str, date], int] = {}
    for part in earned:
        key = (part.issuer_id, part.valid_through)
        lots[key] = lots.get(key, 0) + part.points
    return lots


def _earned(lots: Lots) -> tuple[Earned, ...]:
    return tuple(
        Earned(issuer_id=issuer, valid_through=day, points=points)
        for (issuer, day), points in sorted(lots.items())
        if points > 0
    )
