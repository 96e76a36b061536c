"""Setting points aside for an open basket, and finding them again when it is paid."""

from collections.abc import Iterable

from edge.cache.cache import Cache
from edge.journal.giving_back import give_lease_back
from edge.journal.journal import Journal
from edge.journal.promises import HOLD_MS, Hold
from edge.ports import Instant
from edge.refusals import (
    HoldCaptured,
    HoldIdReused,
    HoldLapsed,
    HoldOfAnotherCard,
    HoldOfNothing,
    HoldReleased,
    HoldUnknown,
)
from edge.sale.asks import Held, HoldAsk, ask_sha256
from edge.sale.knowing import Known, authority, lease_allows, not_covered, not_enough
from loyalty.baskets import Place
from loyalty.pricing.leases import Authority, NotEnoughPoints
from loyalty.programme.programme import Programme
from sync.wire import LeaseAnswer


def set_aside(
    journal: Journal,
    cache: Cache,
    programme: Programme,
    known: Known,
    ask: HoldAsk,
    now: Instant,
    place: Place,
    told: LeaseAnswer | None = None,
    earlier: Iterable[str] = (),
) -> Held:
    """Hold points, or answer what was answered before under the same id. Call inside a transaction.

    Args:
        ask: with the card's token in place of what was scanned.
        place: where and when the hold is asked for.
        told: what head office said; none where it was not asked, or did not answer in time.
        earlier: what else the ask may have been known by, see `edge.sale.asked_before`.
    Raises:
        HoldIdReused: the id stands for another hold.
        HoldLapsed, HoldCaptured, HoldReleased: it does not keep points any more.
        SpendingOff, MemberStale, NotEnoughPoints: see `knowing.not_covered`.
    """
    sha = ask_sha256(ask)
    if (before := journal.promises.hold(ask.hold_id)) is not None:
        _check_again(before, before.ask_sha256 if before.ask_sha256 in earlier else sha, now)
        return _held(before, replayed=True)
    if ask.points < 1:
        raise HoldOfNothing("A hold is for at least one point; leave it out to spend none.", points=ask.points)
    allowed = _allowed(journal, cache, programme, known, ask, now, place, told)
    points = min(ask.points, allowed.points)
    if known.member is None or points < (1 if ask.partial else ask.points):
        if told is not None and told.refused == NotEnoughPoints.code:
            raise not_enough(asked=ask.points, most=max(allowed.points, told.available))
        raise not_covered(programme, cache, known, now, asked=ask.points, most=allowed.points, is_hold=True)
    hold = Hold(
        hold_id=ask.hold_id,
        account_id=known.member.row.account_id,
        points=points,
        lease_id=allowed.lease_id,
        ask_sha256=sha,
        opened=now,
        kind=allowed.kind,
    )
    journal.promises.add_hold(hold)
    return _held(hold, replayed=False)


def _allowed(
    journal: Journal,
    cache: Cache,
    programme: Programme,
    known: Known,
    ask: HoldAsk,
    now: Instant,
    place: Place,
    told: LeaseAnswer | None,
) -> Authority:
    """What head office set aside; else what this till may promise by itself, but not on its float what head office has
    just said is not there."""
    granted = journal.promises.leases.of_hold(ask.hold_id, now)
    if granted is not None and granted.is_live:
        return lease_allows(programme, granted, place, most=ask.points)
    allowed = authority(programme, journal, cache, known, None, now, place)
    if told is not None and told.refused == NotEnoughPoints.code and allowed.kind == "float":
        return Authority(points=told.available)  # less than was asked for
    return allowed


def let_go(journal: Journal, hold_id: str, now: Instant) -> None:
    """Give back what a hold keeps; again, or after it lapsed, changes nothing. Call inside a transaction.

    While leases rest nothing goes back to head office; their chore does that once they do not.

    Raises:
        HoldUnknown, HoldCaptured.
    """
    hold = journal.promises.hold(hold_id)
    if hold is None:
        raise HoldUnknown("This till knows no such hold; nothing is set aside under it.", hold_id=hold_id)
    if hold.state == "captured":
        raise _captured(hold)
    journal.promises.release(hold_id)
    lease = journal.promises.leases.of_id(hold.lease_id, now, 0) if hold.kind == "hold" else None
    if lease is not None and lease.slices and not journal.outbox.is_resting():
        give_lease_back(journal, lease, now)


def hold_of_sale(journal: Journal, hold_id: str | None, known: Known, now: Instant) -> Hold | None:
    """The hold that a sale draws on; None where it names none, or where its hold has lapsed or was released: then
    the float is asked once more.

    Raises:
        HoldUnknown, HoldCaptured, HoldOfAnotherCard.
    """
    if hold_id is None:
        return None
    hold = journal.promises.hold(hold_id)
    if hold is None:
        raise HoldUnknown("This till knows no such hold. Send the sale without it.", hold_id=hold_id)
    if hold.state == "captured":
        raise _captured(hold)
    if known.member is None or known.member.row.account_id != hold.account_id:
        raise HoldOfAnotherCard("These points were set aside for another card. Scan that card, or leave the hold out.")
    return hold if hold.is_live(now) else None


def _check_again(hold: Hold, sha: str, now: Instant) -> None:
    if hold.ask_sha256 != sha:
        raise HoldIdReused("This hold id stands for another card or amount. Use a new id.", hold_id=hold.hold_id)
    if hold.state == "captured":
        raise _captured(hold)
    if hold.state == "released":
        raise HoldReleased("This hold was released. Set the points aside again under a new id.", hold_id=hold.hold_id)
    if not hold.is_live(now):
        raise HoldLapsed("This hold has lapsed. Set the points aside again under a new id.", hold_id=hold.hold_id)


def _captured(hold: Hold) -> HoldCaptured:
    return HoldCaptured(
        "The points of this hold were spent already. Set points aside again for another sale.",
        hold_id=hold.hold_id,
        receipt_id=hold.receipt_id,
    )


def _held(hold: Hold, *, replayed: bool) -> Held:
    # The same answer again: when it lapses does not move with the wall clock.
    return Held(
        hold_id=hold.hold_id, points=hold.points, lapses_at_ms=hold.opened.wall_ms + HOLD_MS, replayed=replayed,
        authority=hold.kind,
    )  # fmt: skip
