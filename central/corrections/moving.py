"""Points of one account for another, and two accounts made one; issuer, terms and last day of the points stay.

A merged account is closed and lives on in the other: its cards lead there, its counters count there, and what comes
late for it is posted there. Source: docs/ledger.md "Transfer", "Merge".
"""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec
from sqlalchemy import Connection, bindparam, func, select, update

from central.corrections.adjusting import Signed, lots_of
from central.corrections.wishes import MergeWish, NotThere, TransferWish
from central.database.asking import ask_one
from central.database.rows import find, put
from central.database.tables import account, card, lease_slice, use
from central.members.members import open_account
from central.ports import Randomness
from central.posting.account_facts import CORRECTIONS, AccountFacts
from loyalty.facts.centre_events import Moved
from loyalty.ledger.books import Account
from loyalty.lots import Lot, Redated, Slice, draw_down, points_in
from loyalty.members import Use, add_uses
from loyalty.trouble import Refusal


class PointsLeased(Refusal):
    code = "correction.points_leased"


def check_transfer(connection: Connection, wish: TransferWish, signed: Signed) -> int:
    """Refuse what the books do not hold; the points it moves. Raises: UnknownAccount, AccountClosed, NotThere."""
    for account_id in (wish.account_id, wish.to_account_id):
        open_account(connection, account_id)
    return points_in(_wanted(wish, lots_of(connection, wish.account_id), signed))


def transfer(tx: Connection, wish: TransferWish, signed: Signed, randomness: Randomness) -> None:
    """Write it. Raises: as `check_transfer`."""
    facts = AccountFacts(tx, CORRECTIONS, signed.now_ms, randomness)
    held = facts.lock([wish.account_id, wish.to_account_id])[wish.account_id]
    for account_id in (wish.account_id, wish.to_account_id):
        open_account(tx, account_id)
    slices = _wanted(wish, [Lot(key=key, points=points) for key, points in held.lots.items()], signed)
    out = _out(wish, wish.to_account_id, signed)
    _move(facts, msgspec.structs.replace(out, slices=slices, earned_on=_ages(held, slices)))


_AT_TILLS = select(func.sum(lease_slice.c.points)).where(lease_slice.c.account_id == bindparam("of"))


def check_merge(connection: Connection, wish: MergeWish) -> int:
    """Refuse what cannot be merged now; the points that it moves.

    Raises:
        UnknownAccount. AccountClosed. PointsLeased: tills still have points of the account that closes.
    """
    for account_id in (wish.account_id, wish.into_account_id):
        open_account(connection, account_id)
    if at_tills := ask_one(connection, _AT_TILLS, {"of": wish.account_id}):
        raise PointsLeased(
            f"Tills have set {at_tills} points of account {wish.account_id} aside. They are asked to give them back,"
            " and a sale that is under way ends first; try again in some minutes.",
            account_id=wish.account_id,
            points=int(at_tills),
        )
    return points_in(lots_of(connection, wish.account_id))


def merge(tx: Connection, wish: MergeWish, signed: Signed, randomness: Randomness) -> None:
    """Write it, close the emptied account, lead its cards to the other. Raises: as `check_merge`."""
    facts = AccountFacts(tx, CORRECTIONS, signed.now_ms, randomness)
    held = facts.lock([wish.account_id, wish.into_account_id])[wish.account_id]
    check_merge(tx, wish)
    slices = tuple(Slice(key=key, points=held.lots[key]) for key in sorted(held.lots) if held.lots[key])
    out = msgspec.structs.replace(
        _out(wish, wish.into_account_id, signed),
        slices=slices,
        earned_on=_ages(held, slices),
        expired=tuple(Slice(key=key, points=held.expired[key]) for key in sorted(held.expired) if held.expired[key]),
        debts=tuple(held.debts),
        closes=True,
    )
    redated = tuple(Redated(key=key, valid_through=held.redated[key]) for key in sorted(held.redated))
    _move(facts, out, _counters(tx, wish.account_id), redated)
    here = update(account).where(account.c.account_id == wish.account_id)
    (before,) = find(tx, account, [{"account_id": wish.account_id}], ["status"])
    tx.execute(here.values(status="closed", merged_into=wish.into_account_id))
    if before.status == "registered":
        # A member that somebody registered stays one. Who is none yet, may still be heard to have joined.
        registered = update(account).where(account.c.account_id == wish.into_account_id)
        tx.execute(registered.values(status="registered"))
    cards = find(tx, card, [{"account_id": wish.account_id}])
    rows = [{**row._mapping, "account_id": wish.into_account_id} for row in cards]
    put(tx, card, rows, {"account_id": "given"})


def _wanted(wish: TransferWish, lots: list[Lot], signed: Signed) -> tuple[Slice, ...]:
    there = points_in(draw_down(lots, points_in(lots), today=signed.on))
    if there < max(1, wish.points):
        raise NotThere(
            f"Account {wish.account_id} has {there} points that can be spent. Ask for at most so many.",
            asked=wish.points,
            there=there,
        )
    return draw_down(lots, wish.points or there, today=signed.on)


def _out(wish: TransferWish | MergeWish, other_id: int, signed: Signed) -> Moved:
    """The departure, with nothing in it yet."""
    return Moved(
        receipt_id=f"move:{signed.correction_id}:out",
        account_id=wish.account_id,
        other_id=other_id,
        on=signed.on,
        direction="out",
        reason=wish.reason,
        note=wish.note,
        asked_by=signed.asked_by,
        approved_by=signed.approved_by,
    )


def _ages(held: Account, slices: Iterable[Slice]) -> tuple[date | None, ...]:
    """Since when the points were held that leave; they stay so old."""
    return tuple(held.earned_on.get(one.key) for one in slices)


def _move(facts: AccountFacts, out: Moved, uses: Sequence[Use] = (), redated: tuple[Redated, ...] = ()) -> None:
    """The departure, and the arrival that names it."""
    (ref,) = facts.post([out])
    arrival = msgspec.structs.replace(
        out,
        receipt_id=out.receipt_id.removesuffix("out") + "in",
        account_id=out.other_id,
        other_id=out.account_id,
        direction="in",
        debts=tuple(msgspec.structs.replace(one, account_id=out.other_id) for one in out.debts),
        uses=tuple(uses),
        redated=redated,
        of=ref,
    )
    facts.post([arrival])


def _counters(connection: Connection, account_id: int) -> tuple[Use, ...]:
    """What was used up, counted up; points are in the books."""
    rows: Iterable[Use] = (
        Use(name=row.name, amount=row.amount)
        for row in find(connection, use, [{"account_id": account_id}], ["name", "amount"])
        if not row.name.startswith("points:")
    )
    return add_uses((), rows)
