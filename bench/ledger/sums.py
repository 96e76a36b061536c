"""The sums that hold whatever was taken, in whatever order, by however many."""

from sqlalchemy import Connection, Select, case, func, literal, select, union_all

from central.database.tables import debt, event, lot, posting


class Apart(Exception):
    """The books do not add up."""


def check_sums(connection: Connection) -> int:
    """How many entries there are: each posting takes from one bucket what it gives another.

    Raises: Apart, where a lot is not the sum of its postings or holds less than nothing, or where receipts, of which
    none was taken back, say anything else than their postings.
    """
    key = ("account_id", "valid_through", "issuer_id", "terms_id")
    points = posting.c.unit == "point"
    given = case((posting.c.target == "available", posting.c.amount), else_=0)
    taken = case((posting.c.source == "available", posting.c.amount), else_=0)
    moves = select(*(posting.c[name] for name in key), (taken - given).label("points")).where(points)
    both = union_all(moves, select(*(lot.c[name] for name in key), lot.c.points)).subquery()
    keys = [both.c[name] for name in key]
    apart = select(literal(1)).select_from(both).group_by(*keys).having(func.sum(both.c.points) != 0).subquery()
    told = {
        "lots that are not their postings": select(func.count()).select_from(apart),
        "lots below nothing": select(func.count()).select_from(lot).where(lot.c.points < 0),
    }
    for what, query in told.items():
        if number := connection.execute(query).scalar_one():
            raise Apart(f"{number} {what}")
    spent, granted = (_sum(connection, select(func.sum(event.c[name]))) for name in ("points_spent", "points_earned"))
    owed = _sum(connection, select(func.sum(debt.c.points)))
    redeemed, issued = (
        _sum(connection, select(func.sum(posting.c.amount)).where(points, side == bucket))
        for side, bucket in ((posting.c.target, "redeemed"), (posting.c.source, "issued"))
    )
    if (spent, granted) != (redeemed + owed, issued):
        raise Apart(f"receipts spent {spent} and earned {granted}; postings say {redeemed} (owed {owed}) and {issued}")
    return 2 * int(connection.execute(select(func.count()).select_from(posting)).scalar_one())


def _sum(connection: Connection, query: Select[tuple[int]]) -> int:
    return int(connection.execute(query).scalar() or 0)
