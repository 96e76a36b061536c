"""Points of an older scheme: asked for with a file, taken in once a second person agrees; all or none, and once.

The terms say what the points are worth between partners; an older scheme that was settled gets terms of its own without
fee and advance. Source: docs/ledger.md "Opening balances".
"""

from datetime import date

import msgspec
from sqlalchemy import Connection, select

from central.corrections.adjusting import Signed
from central.corrections.opening_file import BadOpening, OpeningFile, forget_opening, kept_opening
from central.corrections.wishes import OpeningWish
from central.database.rows import find
from central.database.tables import account, claim, correction
from central.ports import Randomness
from central.posting.account_facts import AccountFacts
from central.streams.own_events import centre_stream_id
from loyalty.facts.centre_events import Carried
from loyalty.trouble import Refusal

STREAM = "openings"


class KnownFile(Refusal):
    code = "opening.known_file"


def check_opening(connection: Connection, wish: OpeningWish, signed: Signed) -> int:
    """Refuse a file that was taken in, or waits already; the points it brings.

    Raises:
        KnownFile. BadOpening: what was read from it is not kept, or cannot be taken any more.
    """
    opening = kept_opening(connection, wish.rows_id)
    if opening.file_id != wish.file_id or len(opening.rows) != wish.accounts:
        raise BadOpening("This is not what was read from the file; load the file again.", lines=0)
    name = {"till_id": centre_stream_id(STREAM), "receipt_id": _receipt_id(opening, opening.rows[0].account_id)}
    if find(connection, claim, [name], ["receipt_id"]):
        raise KnownFile("This file was taken in before, so nothing is to be done.", file_id=wish.file_id)
    here = correction.c.state == "asked", correction.c.kind == "opening"
    waiting = select(correction.c.correction_id, correction.c.fact).where(
        *here, correction.c.correction_id != signed.correction_id
    )
    for correction_id, fact in connection.execute(waiting):
        if msgspec.json.decode(bytes(fact), type=OpeningWish).file_id == wish.file_id:
            raise KnownFile(
                f"This file waits already, as {correction_id}; approve or refuse that one.", file_id=wish.file_id
            )
    _check_still_good(connection, opening, signed.on)
    return opening.points


def open_balances(tx: Connection, wish: OpeningWish, signed: Signed, randomness: Randomness) -> None:
    """Issue the points to the accounts. Raises: as `check_opening`."""
    opening = kept_opening(tx, wish.rows_id)
    facts = AccountFacts(tx, STREAM, signed.now_ms, randomness)
    facts.lock(row.account_id for row in opening.rows)
    check_opening(tx, wish, signed)
    facts.post(
        [
            Carried(
                receipt_id=_receipt_id(opening, row.account_id),
                account_id=row.account_id,
                on=signed.on,
                scheme=wish.scheme,
                slices=row.slices,
                asked_by=signed.asked_by,
                approved_by=signed.approved_by,
            )
            for row in opening.rows
        ]
    )
    forget_opening(tx, wish.rows_id)


def _receipt_id(opening: OpeningFile, account_id: int) -> str:
    return f"opening:{opening.file_id}:{account_id}"


def _check_still_good(connection: Connection, opening: OpeningFile, on: date) -> None:
    """While it waited, an account may have been closed and points may have lapsed."""
    named = [{"account_id": row.account_id} for row in opening.rows]
    found = find(connection, account, named, ["account_id", "status"])
    still_open = {row.account_id for row in found if row.status != "closed"}
    shut = sorted({row.account_id for row in opening.rows} - still_open)
    if shut:
        raise BadOpening(
            f"Account {shut[0]} of this file is closed by now; refuse it, and ask again with a file that names the"
            " account where it lives on.",
            accounts=len(shut),
        )
    lapsed = min(slice_.key.valid_through for row in opening.rows for slice_ in row.slices)
    if lapsed < on:
        raise BadOpening(
            f"Points good through {lapsed} have lapsed while this file waited; refuse it, and ask again without them.",
            lines=0,
        )
