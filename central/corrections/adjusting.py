"""Points given or taken by hand, written as a fact; taking more than there is is refused with what there is."""

from datetime import date

import msgspec
from sqlalchemy import Connection, select

from central.coalition.registry import all_terms
from central.corrections.wishes import AdjustmentWish, BadWish, NotThere
from central.database.rows import find
from central.database.tables import lot, partner
from central.members.members import open_account
from central.ports import Randomness
from central.posting.account_facts import CORRECTIONS, AccountFacts
from central.posting.recorded import key_of
from loyalty.facts.centre_events import Adjusted
from loyalty.lots import Lot, Slice, draw_down, points_in
from loyalty.terms import terms_on


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for a correction and who approved it ("" where the first might do it alone), under which id, when."""

    correction_id: str
    asked_by: str
    approved_by: str
    on: date
    now_ms: int


def check_adjustment(connection: Connection, wish: AdjustmentWish, on: date) -> int:
    """Refuse what the books do not hold; the points it moves.

    Raises:
        UnknownAccount. AccountClosed. NotThere: with what there is. BadWish: a partner that is not in the coalition, or
            whose points are worth nothing on that day.
    """
    open_account(connection, wish.account_id)
    named = {part.issuer_id for part in (*wish.granted, *wish.taken)} | {wish.at_partner_id}
    known = set(connection.execute(select(partner.c.partner_id)).scalars())
    if strange := sorted(named - known - {""}):
        raise BadWish(f"There is no partner {strange[0]}; the coalition file names them all.", field="issuer")
    if any(not part.issuer_id for part in wish.granted):
        raise BadWish("Say whose points are given: name the partner that issues them.", field="issuer")
    for part in wish.granted:
        if terms_on(all_terms(connection), part.issuer_id, on) is None:
            say = f"{part.issuer_id} has no contract terms on {on}; load the coalition file with them first."
            raise BadWish(say, field="issuer")
    covered(wish, lots_of(connection, wish.account_id), on)
    return sum(part.points for part in (*wish.granted, *wish.taken))


def adjust(tx: Connection, wish: AdjustmentWish, signed: Signed, randomness: Randomness) -> None:
    """Write it. Raises: NotThere, when points have gone since it was asked."""
    facts = AccountFacts(tx, CORRECTIONS, signed.now_ms, randomness)
    held = facts.lock([wish.account_id])[wish.account_id]
    open_account(tx, wish.account_id)
    covered(wish, [Lot(key=key, points=points) for key, points in held.lots.items()], signed.on)
    facts.post(
        [
            Adjusted(
                receipt_id=f"adjustment:{signed.correction_id}",
                account_id=wish.account_id,
                on=signed.on,
                at_partner_id=wish.at_partner_id,
                granted=wish.granted,
                taken=wish.taken,
                reason=wish.reason,
                note=wish.note,
                asked_by=signed.asked_by,
                approved_by=signed.approved_by,
            )
        ]
    )


def covered(wish: AdjustmentWish, lots: list[Lot], on: date) -> list[Slice]:
    """What is taken from which lot, part by part as the kernel does: what one part took is not there for the next.

    Raises:
        NotThere: with what there is.
    """
    left = {lot.key: lot for lot in lots}
    taken: list[Slice] = []
    for part in wish.taken:
        of_issuer = [lot for lot in left.values() if part.issuer_id in ("", lot.key.issuer_id)]
        slices = draw_down(of_issuer, part.points, today=on)
        there = points_in(slices)
        if there < part.points:
            whose = f" of {part.issuer_id}" if part.issuer_id else ""
            raise NotThere(
                f"The account has {there} points{whose} that can be taken. Ask for at most so many.",
                asked=part.points,
                there=there,
            )
        for slice_ in slices:
            held = left[slice_.key]
            left[slice_.key] = msgspec.structs.replace(held, points=held.points - slice_.points)
        taken += slices
    return taken


def lots_of(connection: Connection, account_id: int) -> list[Lot]:
    """The account's lots, lapsed ones included."""
    return [Lot(key=key_of(row), points=row.points) for row in find(connection, lot, [{"account_id": account_id}])]
