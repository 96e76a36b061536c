"""Corrections by people: asked with a reason, done at once where they are small, else once a second person approves.

Nobody approves what they asked for themselves. What was asked and what became of it is kept, refused or done.
Source: fraud-privacy.md section 1, "Manual adjustments".
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, select, update
from sqlalchemy.exc import IntegrityError

from central.adjusting import Signed, adjust, check_adjustment
from central.audit import note_down
from central.leasing import recall
from central.login import Person
from central.moving import PointsLeased, check_merge, check_transfer, merge, transfer
from central.ports import Randomness, Settings, replayable, writing
from central.rows import find
from central.tables import correction
from central.wishes import AdjustmentWish, BadWish, MergeWish, TransferWish, Wish, check_words, kind_of_wish
from loyalty.moments import utc_date
from loyalty.trouble import Refusal

MOST_ROWS = 200


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Points that one correction may move: `alone_points` without a second person, `most_points` at all.

    `partner_most_points` is the most that people of a partner may ask for, of their own points; 0 for nothing. They
    never do anything alone.
    """

    alone_points: int
    most_points: int
    partner_most_points: int


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a wish: asked, done or refused."""

    correction_id: str
    state: str
    points: int


class TooManyPoints(Refusal):
    code = "correction.above_limit"
    status = 403


class MayNotCorrect(Refusal):
    code = "correction.not_allowed"
    status = 403


class OwnWish(Refusal):
    code = "correction.own_wish"
    status = 403


class NotOpen(Refusal):
    code = "correction.not_open"


class IdTaken(Refusal):
    code = "correction.id_reused"


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings give."""
    return Limits(
        alone_points=settings.correct_alone_points,
        most_points=settings.correct_most_points,
        partner_most_points=settings.partner_correct_most_points,
    )


def ask(
    engine: Engine, wish: Wish, by: Person, limits: Limits, *, correction_id: str, now_ms: int, randomness: Randomness
) -> Correction:
    """Ask for a correction; one that is small enough is done at once. The same id again is told the same.

    Args:
        correction_id: made by whoever asks and kept through every retry.
    Raises:
        BadWish. MayNotCorrect, TooManyPoints: beyond the person's limits. IdTaken: the id stands for another wish.
        UnknownAccount, AccountClosed, NotThere, PointsLeased: the books say no; nothing is kept.
    """
    try:
        return _ask(engine, wish, by, limits, correction_id, now_ms, randomness)
    except IntegrityError:
        # Sent twice at the same moment: the other one was first, and answers for both.
        return _ask(engine, wish, by, limits, correction_id, now_ms, randomness)
    except PointsLeased as leased:
        _recall(engine, leased, now_ms)
        raise


@replayable
def _ask(
    engine: Engine, wish: Wish, by: Person, limits: Limits, correction_id: str, now_ms: int, randomness: Randomness
) -> Correction:
    fact, today = msgspec.json.encode(wish), utc_date(now_ms)
    with writing(engine) as tx:
        if before := find(tx, correction, [{"correction_id": correction_id}]):
            return _same(before[0], fact, by)
        # Rights first: whoever may not ask is not told what an account holds.
        most = _most_points(wish, by, limits)
        check_words(wish, today)
        points = _check(tx, wish, Signed(correction_id=correction_id, asked_by=by.login, approved_by="", on=today,
                                         now_ms=now_ms))  # fmt: skip
        _check_size(points, most)
        alone = by.role == "head_office" and points <= limits.alone_points
        done: dict[str, Any] = {"state": "asked"}
        if alone:
            done = {"state": "done", "decided_by": by.login, "decided_at_ms": now_ms}
        row = {"correction_id": correction_id, "kind": kind_of_wish(wish), "account_id": wish.account_id,
               "points": points, "reason": wish.reason, "asked_by": by.login, "asked_at_ms": now_ms}  # fmt: skip
        tx.execute(correction.insert().values(**row, **done, fact=fact))
        if alone:
            _do(tx, wish, correction_id, by.login, "", now_ms, randomness)
        _note(tx, randomness, by, "correction.done" if alone else "correction.asked", correction_id, points, now_ms)
        return Correction(correction_id=correction_id, state=done["state"], points=points)


def approve(engine: Engine, correction_id: str, by: Person, *, now_ms: int, randomness: Randomness) -> Correction:
    """The second person agrees, and it is done.

    Raises:
        NotOpen. OwnWish. MayNotCorrect. And what the books say by now, which leaves it open: UnknownAccount,
        AccountClosed, NotThere, PointsLeased.
    """
    try:
        return _approve(engine, correction_id, by, now_ms, randomness)
    except PointsLeased as leased:
        _recall(engine, leased, now_ms)
        raise


@replayable
def _approve(engine: Engine, correction_id: str, by: Person, now_ms: int, randomness: Randomness) -> Correction:
    with writing(engine) as tx:
        row = _decide(tx, correction_id, by, "done", "", now_ms)
        wish = msgspec.json.decode(bytes(row.fact), type=Wish)
        check_words(wish, utc_date(now_ms))
        _do(tx, wish, correction_id, row.asked_by, by.login, now_ms, randomness)
        _note(tx, randomness, by, "correction.approved", correction_id, row.points, now_ms)
        return Correction(correction_id=correction_id, state="done", points=row.points)


@replayable
def refuse(
    engine: Engine, correction_id: str, by: Person, note: str, *, now_ms: int, randomness: Randomness
) -> Correction:
    """The second person says no and why; it is kept. Who asked may take it back so.

    Raises:
        NotOpen. MayNotCorrect. BadWish: no reason is given.
    """
    if not note.strip():
        raise BadWish("Say why it is refused; who asked will read it.")
    with writing(engine) as tx:
        row = _decide(tx, correction_id, by, "refused", note.strip(), now_ms)
        _note(tx, randomness, by, "correction.refused", correction_id, row.points, now_ms)
        return Correction(correction_id=correction_id, state="refused", points=row.points)


def corrections(connection: Connection, state: str = "asked") -> Sequence[Row]:
    """Corrections in a state, the oldest first while they wait, else the newest."""
    chosen = select(correction).where(correction.c.state == state)
    turn = correction.c.asked_at_ms if state == "asked" else correction.c.decided_at_ms.desc()
    return connection.execute(chosen.order_by(turn, correction.c.correction_id).limit(MOST_ROWS)).all()


def wish_of(row: Row) -> Wish:
    """What was asked."""
    return msgspec.json.decode(bytes(row.fact), type=Wish)


@replayable
def _recall(engine: Engine, leased: PointsLeased, now_ms: int) -> None:
    """What stands in the way is asked back, in a transaction of its own: the other one is rolled back."""
    with writing(engine) as tx:
        recall(tx, [leased.figures["account_id"]], now_ms)


def _same(row: Row, fact: bytes, by: Person) -> Correction:
    if bytes(row.fact) != fact or row.asked_by != by.login:
        raise IdTaken("This id belongs to another correction. Load the form again; a new one is made for it.")
    return Correction(correction_id=row.correction_id, state=row.state, points=row.points)


def _check(tx: Connection, wish: Wish, signed: Signed) -> int:
    if isinstance(wish, AdjustmentWish):
        return check_adjustment(tx, wish, signed.on)
    return check_transfer(tx, wish, signed) if isinstance(wish, TransferWish) else check_merge(tx, wish)


def _most_points(wish: Wish, by: Person, limits: Limits) -> int:
    """What this person may move with such a wish. Raises: MayNotCorrect, where it is nothing."""
    if by.role == "head_office":
        return limits.most_points
    own = isinstance(wish, AdjustmentWish) and {part.issuer_id for part in (*wish.granted, *wish.taken)}
    if not limits.partner_most_points or own != {by.partner_id}:
        raise MayNotCorrect("Your login may not ask for this; ask head office to do it.")
    return limits.partner_most_points


def _check_size(points: int, most: int) -> None:
    if points > most:
        raise TooManyPoints(
            f"One correction may move {most} points here, and this one moves {points}. Ask for less, or have the limit"
            " raised in the settings of head office.",
            points=points,
            most=most,
        )


def _do(
    tx: Connection, wish: Wish, correction_id: str, asked_by: str, approved_by: str, now_ms: int, randomness: Randomness
) -> None:
    signed = Signed(
        correction_id=correction_id, asked_by=asked_by, approved_by=approved_by, on=utc_date(now_ms), now_ms=now_ms
    )
    if isinstance(wish, AdjustmentWish):
        adjust(tx, wish, signed, randomness)
    elif isinstance(wish, MergeWish):
        merge(tx, wish, signed, randomness)
    else:
        transfer(tx, wish, signed, randomness)


def _decide(tx: Connection, correction_id: str, by: Person, state: str, note: str, now_ms: int) -> Row:
    """Take an open correction; two who decide at once cannot both."""
    if by.role != "head_office":
        raise MayNotCorrect("Only head office decides about corrections.")
    here = update(correction).where(correction.c.correction_id == correction_id, correction.c.state == "asked")
    decided = {"state": state, "decided_by": by.login, "decided_at_ms": now_ms, "note": note}
    row = tx.execute(here.values(decided).returning(*correction.c)).first()
    if row is None:
        raise NotOpen("This correction does not wait any more; look at the list again.")
    if state == "done" and row.asked_by == by.login:
        raise OwnWish("You asked for this yourself. Another person of head office has to approve it.")
    return row


def _note(
    tx: Connection, randomness: Randomness, by: Person, action: str, correction_id: str, points: int, now_ms: int
) -> None:
    note_down(tx, randomness, user_id=by.user_id, action=action, about=correction_id, now_ms=now_ms,
              figures={"points": points})  # fmt: skip
