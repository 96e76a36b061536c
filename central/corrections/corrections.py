"""Corrections by people: asked with a reason, done at once where they are small, else once a second person approves.

Nobody approves what they asked for themselves, and points of an older scheme and last days nobody does alone. What was
asked and what became of it is kept, refused or done. Source: fraud-privacy.md section 1, "Manual adjustments".
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, select, update
from sqlalchemy.exc import IntegrityError

from central.audit import note_down
from central.corrections.adjusting import Signed
from central.corrections.carrying_out import carry_out, check, drop
from central.corrections.correction_limits import COUNTED, Limits, check_approver, check_asked, check_size, may_alone
from central.corrections.ending import redate
from central.corrections.moving import PointsLeased
from central.corrections.wishes import (
    AdjustmentWish,
    BadWish,
    EndingWish,
    ReinstateWish,
    Wish,
    accounts_of,
    kind_of_wish,
)
from central.database.rows import find
from central.database.tables import correction
from central.intake.reinstated import replay_reinstated
from central.leases.leasing import recall
from central.login import Person
from central.ports import Randomness, replayable, writing
from central.posting.account_facts import CORRECTIONS
from central.streams.own_events import append_own
from loyalty.moments import utc_date
from loyalty.trouble import Refusal

MOST_ROWS = 200
MOST_CHUNKS = 100  # of accounts that get their last day while somebody waits; the daily run goes on with the rest


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a wish: asked, done or refused."""

    correction_id: str
    state: str
    points: int


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


def ask(
    engine: Engine, wish: Wish, by: Person, limits: Limits, *, correction_id: str, now_ms: int, randomness: Randomness
) -> Correction:
    """Ask for a correction; one that is small enough is done at once. The same id again is told the same.

    Args:
        correction_id: made by whoever asks and kept through every retry.
    Raises:
        BadWish. MayNotCorrect, TooManyPoints, TooManyOverTime: beyond the limits. IdTaken: the id stands for another
        wish. And what the books say (`central.corrections.carrying_out.check`); nothing is kept then.
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
    fact, kind = msgspec.json.encode(wish), kind_of_wish(wish)
    signed = _signed(correction_id, by.login, "", now_ms)
    with writing(engine) as tx:
        _one_at_a_time(tx, now_ms, randomness)
        if before := find(tx, correction, [{"correction_id": correction_id}]):
            return _same(before[0], fact, by)
        # Rights first: whoever may not ask is not told what an account holds.
        most = _most_points(wish, by, limits)
        points = check(tx, wish, signed)
        alone = False
        if kind in COUNTED:
            check_size(points, most)
            check_asked(tx, limits, points, by.login, accounts_of(wish), now_ms)
            alone = by.role == "head_office" and may_alone(tx, limits, points, by.login, now_ms)
        done: dict[str, Any] = {"state": "asked"}
        if alone:
            done = {"state": "done", "decided_by": by.login, "decided_at_ms": now_ms}
        account_id, other_id, *_ = *accounts_of(wish), 0, 0
        row = {"correction_id": correction_id, "kind": kind, "account_id": account_id, "other_id": other_id,
               "points": points, "reason": wish.reason, "asked_by": by.login, "asked_at_ms": now_ms}  # fmt: skip
        tx.execute(correction.insert().values(**row, **done, fact=fact))
        if alone:
            carry_out(tx, wish, signed, randomness)
        _note(tx, randomness, by, "correction.done" if alone else "correction.asked", correction_id, points, now_ms)
        return Correction(correction_id=correction_id, state=done["state"], points=points)


def approve(
    engine: Engine, correction_id: str, by: Person, limits: Limits, *, now_ms: int, randomness: Randomness
) -> Correction:
    """The second person agrees, and it is done.

    Raises:
        NotOpen. OwnWish. MayNotCorrect. And what leaves it open: TooManyPoints and TooManyOverTime, for what it moves
        by now, and what the books say by now (`central.corrections.carrying_out.check`).
    """
    try:
        done = _approve(engine, correction_id, by, limits, now_ms, randomness)
    except PointsLeased as leased:
        _recall(engine, leased, now_ms)
        raise
    match done.wish:
        case EndingWish():
            for _ in islice(redate(engine, utc_date(now_ms), now_ms, randomness), MOST_CHUNKS):
                pass
        case ReinstateWish():
            replay_reinstated(engine, now_ms, randomness, by.login)
    return done.correction


class _Approved(msgspec.Struct, frozen=True, kw_only=True):
    correction: Correction
    wish: Wish


@replayable
def _approve(
    engine: Engine, correction_id: str, by: Person, limits: Limits, now_ms: int, randomness: Randomness
) -> _Approved:
    with writing(engine) as tx:
        _one_at_a_time(tx, now_ms, randomness)
        row = _decide(tx, correction_id, by, "done", "", now_ms)
        wish = wish_of(row)
        signed = _signed(correction_id, row.asked_by, by.login, now_ms)
        # An account may hold more than when it was asked to be emptied.
        points = check(tx, wish, signed)
        if row.kind in COUNTED:
            check_size(points, limits.most_points)
            check_asked(tx, limits, points, row.asked_by, accounts_of(wish), now_ms, but=correction_id)
            check_approver(tx, limits, points, by.login, now_ms, but=correction_id)
        here = update(correction).where(correction.c.correction_id == correction_id)
        tx.execute(here.values(points=points))
        carry_out(tx, wish, signed, randomness)
        _note(tx, randomness, by, "correction.approved", correction_id, points, now_ms)
        if isinstance(wish, EndingWish):
            note_down(tx, randomness, user_id=by.user_id, action="points.last_day", about=wish.issuer_id, now_ms=now_ms,
                      figures={"through": wish.last_day.isoformat()})  # fmt: skip
        if isinstance(wish, ReinstateWish):
            note_down(tx, randomness, user_id=by.user_id, action="till.reinstated", about=wish.till_id, now_ms=now_ms,
                      figures={"epoch": wish.epoch})  # fmt: skip
        done = Correction(correction_id=correction_id, state="done", points=points)
        return _Approved(correction=done, wish=wish)


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
        drop(tx, wish_of(row))
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


def _most_points(wish: Wish, by: Person, limits: Limits) -> int:
    """What this person may move with such a wish. Raises: MayNotCorrect, where it is nothing."""
    if by.role == "head_office":
        return limits.most_points
    own = isinstance(wish, AdjustmentWish) and {part.issuer_id for part in (*wish.granted, *wish.taken)}
    if not limits.partner_most_points or own != {by.partner_id}:
        raise MayNotCorrect("Your login may not ask for this; ask head office to do it.")
    return limits.partner_most_points


def _one_at_a_time(tx: Connection, now_ms: int, randomness: Randomness) -> None:
    """Keep other corrections out until the transaction ends: two at once would both find room under a limit."""
    append_own(tx, CORRECTIONS, (), now_ms, randomness)


def _signed(correction_id: str, asked_by: str, approved_by: str, now_ms: int) -> Signed:
    return Signed(
        correction_id=correction_id, asked_by=asked_by, approved_by=approved_by, on=utc_date(now_ms), now_ms=now_ms
    )


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
