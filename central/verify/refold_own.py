"""Head office's own facts about accounts folded once more from their bytes, into the sums of `central.verify.refold`.

This shares no line with `loyalty.ledger.correction_postings` or `loyalty.ledger.expiry` on purpose: it is what their
result is held against. Source: docs/ledger.md.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from central.verify.refold import Debt, Key, Member, Ref, Refold

ACCOUNT_EVENTS = (
    "adjustment.v1", "expiry.v1", "move.v1", "opening.v1", "transfer.v1", "claim_settled.v1", "write_off.v1",
)  # fmt: skip


def fold_own(fold: Refold, ref: Ref, event: Mapping[str, Any], account_id: int) -> None:
    """Fold in one of the centre's own events about an account.

    Raises:
        LookupError, TypeError, ValueError: bytes that could not have been posted, or points that were not there.
    """
    member = fold.members[account_id]
    member.events += 1
    if event["type"] == "write_off.v1":
        _write_off(member, event)
        return
    if event["type"] == "claim_settled.v1":
        _claim(fold, ref, member, event)
        return
    {
        "adjustment.v1": _adjust, "expiry.v1": _expire, "move.v1": _move, "opening.v1": _carry,
        "transfer.v1": _transfer,
    }[event["type"]](fold, member, event)  # fmt: skip


def _grant(fold: Refold, member: Member, event: Mapping[str, Any]) -> None:
    """Points that the event grants, which repay what is owed."""
    fresh: dict[Key, int] = {}
    for issuer, through, points in event.get("granted", ()):
        key = (through, issuer, fold.terms_of(issuer, event["on"]))
        fresh[key] = fresh.get(key, 0) + points
        _issue(member, key, points, event["on"])
    fold.repay(member, fresh)


def _adjust(fold: Refold, member: Member, event: Mapping[str, Any]) -> None:
    for issuer, points in event.get("taken", ()):
        for key in sorted(member.lots):
            if issuer in ("", key[1]) and key[0] >= event["on"]:
                part = min(points, member.lots[key])
                member.lots[key] -= part
                _count(member, "reversed", key, part)
                points -= part
        _covered(points)
    _grant(fold, member, event)


def _write_off(member: Member, event: Mapping[str, Any]) -> None:
    """What nothing covered of a spend is owed no more, and its claim ends."""
    of, left = tuple(event["of"]), event["points"]
    for debt in member.debts:
        if debt.of == of and not debt.issuer:
            part = min(left, debt.points)
            debt.points, left = debt.points - part, left - part
            member.legs["withheld", "", "", debt.at, debt.at_terms, ""] -= part
    _covered(left)
    member.debts = [debt for debt in member.debts if debt.points]


def _claim(fold: Refold, ref: Ref, member: Member, event: Mapping[str, Any]) -> None:
    """Points of a receipt that somebody brought a card for later, or those points back."""
    _grant(fold, member, event)
    for issuer, through, points in event.get("reversed", ()):
        key = (through, issuer, fold.terms_of(issuer, event["on"]))
        fold.claw(ref, member, key, points, event["at_partner_id"], let_go=event.get("clamp", False))


def _carry(fold: Refold, member: Member, event: Mapping[str, Any]) -> None:
    fresh: dict[Key, int] = {}
    for key, points in _by_lot(event["slices"]):
        fresh[key] = fresh.get(key, 0) + points
        _issue(member, key, points, event["on"])
    fold.repay(member, fresh)


def _expire(fold: Refold, member: Member, event: Mapping[str, Any]) -> None:
    rule = event.get("expiry", {})
    when, at = rule.get("when", "end_of_day"), rule.get("at", "24:00")
    for key, points in list(member.lots.items()):
        through = key[0]
        if when == "instant":
            gone = f"{event['on']} 00:00" >= f"{through} {at}"
        else:
            gone = through <= event["on"] if when == "start_of_day" else through < event["on"]
        if gone and points:
            member.lots[key] = 0
            member.expired[key] += points
            _count(member, "expired", key, points)


def _move(fold: Refold, member: Member, event: Mapping[str, Any]) -> None:
    parts, lapsed = _by_lot(event.get("slices", ())), _by_lot(event.get("expired", ()))
    if event["direction"] == "out":
        for key, points in parts:
            _covered(points - member.lots[key])
            member.lots[key] -= points
            _count(member, "moved", key, points)
        for key, points in lapsed:
            _covered(points - member.expired[key])
            member.expired[key] -= points
            _count(member, "expired", key, -points)
            _count(member, "moved", key, points)
        if event.get("debts"):
            member.debts = []
        return
    days = event.get("earned_on") or [event["on"]] * len(parts)
    for (key, points), since in zip(parts, days, strict=True):
        member.arrive(key, points, since)
        _count(member, "moved", key, -points)
    for (through, issuer, terms), day in event.get("redated", ()):
        member.redated[through, issuer, terms] = day
    for key, points in lapsed:
        member.expired[key] += points
        _count(member, "expired", key, points)
        _count(member, "moved", key, -points)
    fresh: dict[Key, int] = {}
    for key, points in parts:
        fresh[key] = fresh.get(key, 0) + points
    if debts := event.get("debts"):
        member.debts += [_debt(one) for one in debts]
        fresh = {key: held for key, held in member.lots.items() if held and key[0] >= event["on"]}
    fold.repay(member, fresh)
    if event.get("closes"):
        fold.take_over(event["other_id"], event["account_id"])


def _transfer(fold: Refold, member: Member, event: Mapping[str, Any]) -> None:
    for issuer, side, amount in event["parts"]:
        key = ("9999-12-31", issuer, "none")
        if side == "credit":
            member.arrive(key, amount, event["on"])
            _count(member, "moved", key, -amount)
        else:
            member.lots[key] -= amount
            _count(member, "moved", key, amount)


def _issue(member: Member, key: Key, points: int, on: str) -> None:
    member.arrive(key, points, on)
    _count(member, "issued", key, points)


def _count(member: Member, bucket: str, key: Key, points: int) -> None:
    member.legs[bucket, key[1], key[2], "", "", ""] += points


def _by_lot(slices: Iterable[Any]) -> list[tuple[Key, int]]:
    return [((through, issuer, terms), points) for (through, issuer, terms), points in slices]


def _debt(one: Mapping[str, Any]) -> Debt:
    till_id, epoch, seq = one["of"]
    issuer, terms = one["issuer_id"] or "", one["terms_id"] or ""
    return Debt((till_id, epoch, seq), issuer, terms, one["at_partner_id"], one["at_terms_id"], one["points"])


def _covered(short: int) -> None:
    if short > 0:
        raise ValueError("takes points that are not there")
