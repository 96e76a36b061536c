"""How many points corrections may move: one at a time, and all of a person or an account within a day and a month.

Windows roll: the last 24 hours, the last 30 days. What waits counts as well, whenever it was asked, since it may be
done at any moment. Points of an older scheme and last days are not counted: nobody ever does those alone.
Source: fraud-privacy.md section 1, "Manual adjustments".
"""

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from central.database.tables import correction
from central.ports import Settings
from loyalty.moments import DAY_MS
from loyalty.trouble import Refusal

MONTH_MS = 30 * DAY_MS
COUNTED = ("adjustment", "transfer", "merge")


class OverTime(msgspec.Struct, frozen=True, kw_only=True):
    """The most points within 24 hours and within 30 days."""

    day_points: int
    month_points: int


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Points that corrections may move.

    Attributes:
        alone_points: by one correction without a second person; `alone` by all that one person does so. Beyond either
            a second person is needed.
        most_points: by one correction at all.
        partner_most_points: by one that people of a partner ask for, of their own points; 0 for nothing. They never do
            anything alone.
        asker: by all that one person asks for; `account` by all that touch one account, on either side; `approver` by
            all that one person approves.
    """

    alone_points: int
    most_points: int
    partner_most_points: int
    alone: OverTime
    asker: OverTime
    account: OverTime
    approver: OverTime


class TooManyPoints(Refusal):
    code = "correction.above_limit"
    status = 403


class TooManyOverTime(Refusal):
    code = "correction.above_sum"
    status = 403


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings give."""
    return Limits(
        alone_points=settings.correct_alone_points,
        most_points=settings.correct_most_points,
        partner_most_points=settings.partner_correct_most_points,
        alone=_over_time(settings, "alone"),
        asker=_over_time(settings, "asker"),
        account=_over_time(settings, "account"),
        approver=_over_time(settings, "approver"),
    )


def check_size(points: int, most: int) -> None:
    """Refuse a correction that is too large by itself. Raises: TooManyPoints."""
    if points > most:
        raise TooManyPoints(
            f"One correction may move {most} points here, and this one moves {points}. Ask for less, or have the limit"
            " raised in the settings of head office.",
            points=points,
            most=most,
        )


def check_asked(
    tx: Connection, limits: Limits, points: int, asked_by: str, account_ids: tuple[int, ...], now_ms: int, but: str = ""
) -> None:
    """Refuse what would bring its asker or an account beyond what all corrections may move.

    The caller keeps other corrections out until its transaction ends, or two at once would both find room.

    Args:
        but: the correction itself, where it waits already.
    Raises:
        TooManyOverTime.
    """
    mine = correction.c.asked_by == asked_by
    _check(tx, f"that {asked_by} asks for", mine, limits.asker, "asker", points, now_ms, but)
    for account_id in account_ids:
        touches = or_(correction.c.account_id == account_id, correction.c.other_id == account_id)
        _check(tx, f"of account {account_id}", touches, limits.account, "account", points, now_ms, but)


def check_approver(tx: Connection, limits: Limits, points: int, approved_by: str, now_ms: int, but: str = "") -> None:
    """Refuse what would bring who approves it beyond what they may approve. Raises: TooManyOverTime."""
    mine = and_(correction.c.state == "done", correction.c.decided_by == approved_by,
                correction.c.asked_by != approved_by)  # fmt: skip
    _check(tx, f"that {approved_by} approves", mine, limits.approver, "approver", points, now_ms, but)


def may_alone(tx: Connection, limits: Limits, points: int, login: str, now_ms: int) -> bool:
    """Whether a person of head office may do it without another one."""
    alone = and_(correction.c.state == "done", correction.c.asked_by == login, correction.c.decided_by == login)
    return points <= limits.alone_points and all(
        _so_far(tx, alone, now_ms - window_ms) + points <= most
        for window_ms, most in ((DAY_MS, limits.alone.day_points), (MONTH_MS, limits.alone.month_points))
    )


def _check(
    tx: Connection, whose: str, mine: ColumnElement[bool], most: OverTime, name: str, points: int, now_ms: int,
    but: str = "",
) -> None:  # fmt: skip
    windows = ((DAY_MS, "24 hours", most.day_points, "day"), (MONTH_MS, "30 days", most.month_points, "month"))
    for window_ms, words, limit, unit in windows:
        so_far = _so_far(tx, mine, now_ms - window_ms, but)
        # Accounts that hold nothing can always be made one.
        if points and so_far + points > limit:
            raise TooManyOverTime(
                f"Corrections {whose} may move {limit} points within {words}; {so_far} are done or wait already, and"
                f" this one moves {points}. Ask for at most {max(0, limit - so_far)}, wait until older ones are"
                f" {words} old, have some that wait refused, or have `correct_{name}_{unit}_points` raised in the"
                " settings of head office.",
                limit=limit,
                so_far=so_far,
                points=points,
            )


def _so_far(tx: Connection, mine: ColumnElement[bool], since_ms: int, but: str = "") -> int:
    counts = or_(
        correction.c.state == "asked", and_(correction.c.state == "done", correction.c.decided_at_ms > since_ms)
    )
    chosen = select(func.sum(correction.c.points)).where(
        mine, counts, correction.c.kind.in_(COUNTED), correction.c.correction_id != but
    )
    return int(tx.execute(chosen).scalar() or 0)


def _over_time(settings: Settings, name: str) -> OverTime:
    return OverTime(
        day_points=getattr(settings, f"correct_{name}_day_points"),
        month_points=getattr(settings, f"correct_{name}_month_points"),
    )
