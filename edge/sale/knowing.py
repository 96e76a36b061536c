"""From what was scanned to what this till may believe of its member, and spend for them.

A card number lives in these functions only: what leaves them is a token, and a payment card leaves nothing.
"""

import re
from datetime import date

import msgspec

from edge.cache.cache import MEMBERS_KEPT_MS, Cache
from edge.identity import TillIdentity
from edge.journal.journal import Journal
from edge.journal.leases_held import HeldLease
from edge.journal.promises import Hold
from edge.ports import Instant
from edge.refusals import CardUnreadable, MemberStale, NotOurCard, PaymentCardScanned, SpendingOff
from edge.sale.asks import Warn
from edge.sale.card_names import check_has_keys
from edge.sale.shown_cards import ShownCards
from loyalty.baskets import Place
from loyalty.cards.cards import (
    Card,
    Code,
    PaymentCard,
    Rejected,
    Source,
    WalletCheck,
    card_token,
    has_wallet_codes,
    read_card,
)
from loyalty.members import UNKNOWN_CARD, MemberView, PublishedMember, view_of
from loyalty.moments import moment_of
from loyalty.pricing.leases import (
    NO_AUTHORITY,
    Authority,
    NotEnoughPoints,
    expiry_of,
    float_authority,
    lease_authority,
    widest,
)
from loyalty.programme.programme import OfflineCaps, Programme

_TOKEN = re.compile(r"[0-9a-f]{32}")
_EXPIRED = {
    "hotlist": "The list of blocked cards is out of date; fewer points than usual can be spent until it is renewed.",
    "programme": "The programme is out of date; prices stay as they are, fewer points than usual can be spent.",
}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What this till knows of who stands there: no token for nobody, no member for a card it has not heard of.

    `spent_points` were spent or are held here on floats, and are not in the member's row yet.
    """

    card_token: str | None = None
    member: PublishedMember | None = None
    view: MemberView | None = None
    spent_points: int = 0


def scan(
    programme: Programme,
    text: str,
    aim: str | None,
    *,
    source: Source = "scan",
    wallet: WalletCheck | None = None,
) -> Card | Code:
    """A card of the programme, or a code for the POS. Args: as `read_card`.

    Raises:
        PaymentCardScanned, CardUnreadable: with the sentence for the cashier; nothing of the number is in them.
    """
    outcome = read_card(programme.cards, text, aim=aim, source=source, wallet=wallet)
    if isinstance(outcome, PaymentCard):
        raise PaymentCardScanned(PaymentCard.say)
    if isinstance(outcome, Rejected):
        raise CardUnreadable(outcome.say, reason=outcome.reason)
    return outcome


def token_of(
    programme: Programme,
    identity: TillIdentity,
    card: str | None,
    shown: ShownCards | None = None,
    receipt_id: str = "",
) -> str | None:
    """The token of what a POS sent as card: a token already, a number, or nothing.

    Args:
        shown: what was shown at this till lately; without it codes on phones are not taken.
        receipt_id: of the receipt that is to be made; a moving code makes one.
    Raises:
        NotOurCard: a code that is no card of the programme; and as `scan`. TillRevoked.
    """
    if not card:
        return None
    check_has_keys(identity)
    if _TOKEN.fullmatch(card):
        return card
    if shown is not None and (before := shown.known(programme.cards, card, receipt_id)) is not None:
        return before.token
    wallet = shown.wallet() if shown is not None and has_wallet_codes(programme.cards) else None
    outcome = scan(programme, card, None, wallet=wallet)
    if isinstance(outcome, Code):
        raise NotOurCard("This is not a card of the programme. Scan the loyalty card, or sell without one.")
    if shown is not None:
        return shown.present(programme.cards, outcome, receipt_id, in_sale=True).token
    return card_token(identity.card_key, outcome)


def know(
    journal: Journal,
    cache: Cache,
    token: str | None,
    now: Instant,
    *,
    but_hold: str | None = None,
    on: date | None = None,
    account_id: int | None = None,
) -> Known:
    """What this till knows now: the published row, and what it did itself since.

    Args:
        on: the business date, from which birthday and anniversary are counted.
        but_hold: a hold whose points are not to be counted as held, because they are being spent.
        account_id: whose row is meant, whoever has the card by now; without it the card says so.
    """
    if token is None and account_id is None:
        return Known()
    # A page that came between the row and the uses would have made the journal forget what the row does not hold.
    with journal.still():
        member = _told_of(cache, token, account_id)
        if member is None:
            return Known(card_token=token, view=UNKNOWN_CARD)
        row = member.row
        own = journal.own_uses.after(row.account_id, row.own_seq)
        held = journal.promises.held_points(row.account_id, now, but=but_hold)
        spent = journal.own_uses.on_floats_after(row.account_id, row.own_seq) if own else 0
    return Known(
        card_token=token,
        member=member,
        view=view_of(row, own, held_points=held, on=on),
        spent_points=spent + held,
    )


def _told_of(cache: Cache, token: str | None, account_id: int | None) -> PublishedMember | None:
    if account_id is not None:
        return cache.member_of_account(account_id)
    return cache.member(token) if token is not None else None


def caps_of(programme: Programme, cache: Cache, now: Instant) -> OfflineCaps | None:
    """The programme's caps on spending here and now; none while spending is off or what we know is too old.

    Source: DECISIONS 22: an expired programme or hotlist tightens the caps, here to a half.
    """
    caps = programme.spending.offline if programme.spending else None
    if caps is None or is_stale(cache, now):
        return None
    if not any(lane.expired for lane in cache.lane_status() if lane.lane in _EXPIRED):
        return caps
    return msgspec.structs.replace(
        caps, sale_points=caps.sale_points // 2, card_points=caps.card_points // 2, till_points=caps.till_points // 2
    )


def is_stale(cache: Cache, now: Instant) -> bool:
    """Whether head office has said nothing of members for so long that no points are spent on its word."""
    return now.wall_ms - cache.heard_ms("members") > MEMBERS_KEPT_MS


def authority(
    programme: Programme, journal: Journal, cache: Cache, known: Known, hold: Hold | None, now: Instant, place: Place
) -> Authority:
    """How many points may be spent for this member now, and under what: those of the hold; else what a lease or the
    float allows, whichever is more, the lease where they are equal.

    Args:
        place: of the sale, by whose day lots live.
    """
    if hold is not None:
        return _of_hold(programme, journal, hold, now, place)
    offline = programme.spending.offline if programme.spending else None
    if offline is None or known.member is None:
        return NO_AUTHORITY
    caps = caps_of(programme, cache, now)
    # A lease is kept however old what we know of the member is: its points left the balance when it was granted.
    leases = [
        lease_allows(programme, one, place, most=one.left_after(journal.promises.held_on(one.lease_id, now)))
        for one in journal.leases_of(known.member.row.account_id, now)
        if one.kind == "lease"
    ]
    return widest(*leases, _of_float(journal, known, caps, now))


def _of_float(journal: Journal, known: Known, caps: OfflineCaps | None, now: Instant) -> Authority:
    if caps is None or known.member is None:
        return NO_AUTHORITY
    if caps.sales_in_a_row is not None:
        row = known.member.row
        if journal.own_uses.float_sales_after(row.account_id, row.own_seq) >= caps.sales_in_a_row:
            return NO_AUTHORITY
    left = journal.float_left(now)
    return float_authority(
        known.view, caps, float_points=left.points, card_spent=known.spent_points, lease_id=left.lease_id
    )


def _of_hold(programme: Programme, journal: Journal, hold: Hold, now: Instant, place: Place) -> Authority:
    if hold.kind == "float" and journal.outbox.is_resting():
        return NO_AUTHORITY
    if hold.kind == "float":
        return Authority(kind="float", points=hold.points, lease_id=hold.lease_id)
    lease = journal.lease(hold.lease_id, now)
    return lease_allows(programme, lease, place, most=hold.points) if lease else NO_AUTHORITY


def lease_allows(programme: Programme, lease: HeldLease, place: Place, *, most: int) -> Authority:
    """What a hold or lease allows at a sale, up to so many points."""
    allowed = lease_authority(
        lease.kind,
        lease.lease_id,
        lease.slices,
        today=place.business_date,
        now=moment_of(place),
        expiry=expiry_of(programme.options),
    )
    return msgspec.structs.replace(allowed, points=min(allowed.points, max(0, most)))


def not_covered(
    programme: Programme, cache: Cache, known: Known, now: Instant, *, asked: int, most: int, is_hold: bool = False
) -> SpendingOff | MemberStale | NotEnoughPoints:
    """Why points cannot be spent, or set aside, and what to do instead."""
    rule = programme.spending
    if rule is not None and rule.online and rule.offline is None and known.member is not None:
        return SpendingOff(
            "Points are spent at head office's word alone, and it cannot be asked now. Take another tender."
            if is_hold
            else "Points are spent at head office's word alone. Set them aside first, or take another tender."
        )
    if rule is None or rule.offline is None:
        return SpendingOff("Points cannot be spent at this till. Take another tender.")
    if known.member is not None and is_stale(cache, now):
        return MemberStale("Head office was not heard for 30 days, so points cannot be spent. Take another tender.")
    return not_enough(asked=asked, most=most)


def not_enough(*, asked: int, most: int) -> NotEnoughPoints:
    """How many of the points that are asked for can be spent."""
    if most == 0:
        return NotEnoughPoints("No points can be spent on this sale now. Take another tender.", asked=asked, most=0)
    return NotEnoughPoints(
        f"At most {most} points can be spent now. Spend those, or take the rest in another tender.",
        asked=asked,
        most=most,
    )


def warnings_for(cache: Cache, known: Known, now: Instant) -> tuple[Warn, ...]:
    """What the cashier should know of how far these figures can be trusted."""
    told = []
    if known.card_token is not None and known.member is None:
        told.append(
            Warn(code="card.unknown", say="This card is not known here yet. Its points are kept and credited later.")
        )
    if known.member is not None and is_stale(cache, now):
        told.append(Warn(code="member.stale", say="This balance is more than 30 days old; no points can be spent."))
    told += [
        Warn(code=f"{lane.lane}.expired", say=_EXPIRED[lane.lane])
        for lane in cache.lane_status()
        if lane.expired and lane.lane in _EXPIRED
    ]
    return tuple(told)
