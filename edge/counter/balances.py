"""The balance enquiry: what a member has, what of it lapses when, what can be spent here now, and how far the next tier
is; told with the line and without, as of head office's last word.

Source: ARCHITECTURE "Contracts", `GET /v1/balance`; docs/certificates.md.
"""

from datetime import date

import msgspec

from edge.api.answers import BalanceSaid, ExpiringSaid, StoredBalanceSaid
from edge.api.telling import ending_of, member_said
from edge.counter.desk import Desk
from edge.instants import local_time, show_known
from edge.sale.asks import Asked, Balance
from edge.sale.knowing import authority, know
from edge.sale.till import Till
from loyalty.members import counter
from loyalty.moments import moment_of
from loyalty.pricing.leases import NO_AUTHORITY, Authority, widest
from loyalty.pricing.spending import last_day_to_spend, spendable
from loyalty.programme.programme import Programme
from loyalty.programme.tiers import TierProgress, progress
from receipt_templates.render import render
from receipt_templates.slip_views import BalanceView
from receipt_templates.view import Lapsing, NextTier


class Enquired(msgspec.Struct, frozen=True, kw_only=True):
    """What a till knows of a member.

    Attributes:
        told: the balance and who the member is.
        pending_points: granted here since head office's last word; they can be spent once it confirms them.
        expiring: points by last valid day, the next day first; head office tells of four days at most.
        spend: how many points can be spent at this till now, and at which step.
        tier: where the member stands, and what the next tier wants; none without tiers.
        certificates_minor: money on certificates of the member's own, good today.
    """

    told: Balance
    pending_points: int
    expiring: tuple[tuple[date, int], ...]
    spend: Authority
    tier: TierProgress | None
    certificates_minor: int
    currency: str
    on: date


def enquire(till: Till, card: str) -> Enquired:
    """What this till knows of a card. Raises: as `Till.balance`."""
    told = till.balance(card)
    programme, now = till.current().programme, till.clock.now()
    place = till.place(Asked(sold_at_ms=now.wall_ms))
    on = place.business_date
    known = know(till.journal, till.cache, told.card_token, now, on=on)
    view = known.view
    if view is None or known.member is None:
        return Enquired(
            told=told, pending_points=0, expiring=(), spend=NO_AUTHORITY, tier=None, certificates_minor=0,
            currency=programme.currency, on=on,
        )  # fmt: skip
    row = known.member.row
    allowed = authority(programme, till.journal, till.cache, known, None, now, place)
    allowed = widest(till.may_ask(programme, known), allowed)
    moment = moment_of(place)
    points = spendable(allowed, view, programme.options, on, moment)
    counters = {one.name: one.amount for one in view.counters or ()}
    return Enquired(
        told=msgspec.structs.replace(told, view=view),
        pending_points=max(0, view.balance_points - row.balance_points - _taken(till, row.account_id, row.own_seq)),
        expiring=tuple(
            (last_day, lapsing)
            for day, lapsing in ((view.lapsing_on, view.lapsing_points), *row.lapsing_later)
            if day is not None
            and lapsing > 0
            and (last_day := last_day_to_spend(day, programme.options, on, moment)) is not None
        ),
        spend=msgspec.structs.replace(allowed, points=points),
        tier=progress(programme, view, counters, on, net_minor=0) if programme.tiers else None,
        certificates_minor=sum(
            item.balance_minor
            for item in view.wallet
            if item.kind == "certificate" and (item.through is None or item.through >= on)
        ),
        currency=programme.currency,
        on=on,
    )


def balance_said(desk: Desk, card: str) -> BalanceSaid:
    """The answer, with the slip as text. Raises: as `enquire`."""
    found = enquire(desk.till, card)
    told, offset_min = found.told, desk.offset_min
    last4 = desk.face(card).last4
    member = member_said(told.view, told.known, last4)
    assert member is not None
    programme = desk.till.current().programme
    return BalanceSaid(
        member=member,
        card_token=told.card_token,
        as_of=show_known(told.as_of_ms, offset_min),
        offline=desk.is_offline(),
        pending_points=found.pending_points,
        expiring=tuple(ExpiringSaid(on=day.isoformat(), points=points) for day, points in found.expiring),
        spendable_now_points=found.spend.points,
        authority=found.spend.kind,
        authority_say=desk.in_words(found.spend.kind),
        tier=found.tier,
        tier_name=_named(programme, told.view.tier),
        next_tier_name=_named(programme, found.tier.next_tier) if found.tier else "",
        stored=StoredBalanceSaid(
            wallet_minor=told.view.stored_minor, certificates_minor=found.certificates_minor, currency=found.currency
        ),
        text=render(slip_of(desk, found, last4), "text", desk.slips.paper),
    )


def slip_of(desk: Desk, found: Enquired, last4: str) -> BalanceView:
    """The enquiry as a slip; nothing was written, so it has no record."""
    told = found.told
    return BalanceView(
        language=told.language,
        shop=desk.slips.shop(found.currency),
        currency=found.currency,
        number="",
        till_id=desk.slips.till_name,
        sold_at=local_time(desk.clock.now().wall_ms, desk.offset_min),
        member=ending_of(last4),
        balance_points=told.view.balance_points if told.known else None,
        unconfirmed=not told.known,
        offline=desk.is_offline(),
        spendable_points=found.spend.points if found.spend.points < told.view.balance_points else None,
        pending_points=found.pending_points,
        lapsing=tuple(Lapsing(points=points, through=day) for day, points in found.expiring),
        tier=_named(desk.till.current().programme, told.view.tier),
        next_tier=_next(desk.till.current().programme, found.tier),
        wallet_minor=told.view.stored_minor + found.certificates_minor,
        as_of=local_time(told.as_of_ms, desk.offset_min) if told.as_of_ms else None,
    )


def _taken(till: Till, account_id: int, own_seq: int) -> int:
    """What this till took since head office's last word, below 0: so that only what it granted is left."""
    own = till.journal.own_uses.after(account_id, own_seq)
    return -(counter(own, "points:spent") + counter(own, "points:reversed"))


def _named(programme: Programme, tier: str) -> str:
    return next((one.name or one.id for one in programme.tiers if one.id == tier), tier)


def _next(programme: Programme, tier: TierProgress | None) -> NextTier | None:
    if tier is None or not tier.next_tier or tier.short_of <= 0:
        return None
    return NextTier(
        name=_named(programme, tier.next_tier),
        measure="purchases" if tier.measure == "purchases" else "spend",
        short_of=tier.short_of,
    )
