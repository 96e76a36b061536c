"""What becomes of a wish, by its kind: whether the books allow it, and writing it."""

from sqlalchemy import Connection

from central.corrections.adjusting import Signed, adjust, check_adjustment
from central.corrections.ending import check_last_day, set_last_day
from central.corrections.fixing import check_fix, fix
from central.corrections.moving import check_merge, check_transfer, merge, transfer
from central.corrections.opening import check_opening, open_balances
from central.corrections.opening_file import forget_opening
from central.corrections.reinstating import check_reinstate, reinstate
from central.corrections.wishes import (
    AdjustmentWish,
    FixWish,
    MergeWish,
    OpeningWish,
    ReinstateWish,
    TransferWish,
    Wish,
    WriteOffWish,
    check_words,
)
from central.corrections.writing_off import check_write_off, write_off
from central.ports import Randomness


def check(connection: Connection, wish: Wish, signed: Signed) -> int:
    """Refuse what makes no sense or what the books do not hold; the points that it moves.

    Raises:
        BadWish. UnknownAccount, AccountClosed, NotThere, PointsLeased. BadOpening, KnownFile. UnknownPartner,
        DayIsOver. NotRevoked.
    """
    check_words(wish, signed.on)
    match wish:
        case AdjustmentWish():
            return check_adjustment(connection, wish, signed.on)
        case TransferWish():
            return check_transfer(connection, wish, signed)
        case MergeWish():
            return check_merge(connection, wish)
        case OpeningWish():
            return check_opening(connection, wish, signed)
        case FixWish():
            return check_fix(connection, wish)
        case WriteOffWish():
            return check_write_off(connection, wish, signed)
        case ReinstateWish():
            return check_reinstate(connection, wish)
    return check_last_day(connection, wish.last_day, signed.on, wish.issuer_id)


def carry_out(tx: Connection, wish: Wish, signed: Signed, randomness: Randomness) -> None:
    """Write it. Raises: as `check`."""
    match wish:
        case AdjustmentWish():
            adjust(tx, wish, signed, randomness)
        case TransferWish():
            transfer(tx, wish, signed, randomness)
        case MergeWish():
            merge(tx, wish, signed, randomness)
        case OpeningWish():
            open_balances(tx, wish, signed, randomness)
        case FixWish():
            fix(tx, wish, signed, randomness)
        case WriteOffWish():
            write_off(tx, wish, signed, randomness)
        case ReinstateWish():
            reinstate(tx, wish)
        case _:
            set_last_day(tx, wish.last_day, signed.now_ms, wish.issuer_id)


def drop(tx: Connection, wish: Wish) -> None:
    """It was refused: nothing is kept for it any more."""
    if isinstance(wish, OpeningWish):
        forget_opening(tx, wish.rows_id)
