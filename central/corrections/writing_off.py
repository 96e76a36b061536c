"""A redemption that nothing ever covered is given up: the member owes it no more, its partner bears it for good.

Asked for with a reason once it has stood for `write_off_after_days`, and approved by another person of head office.
Source: settlement.md "Money accounts"; offline-redemption.md "Who bears what"; docs/settlement.md "Written off".
"""

from datetime import timedelta

from sqlalchemy import Connection

from central.coalition.settings import get_setting
from central.corrections.adjusting import Signed
from central.corrections.wishes import NotThere, WriteOffWish
from central.database.rows import find
from central.database.tables import debt, event
from central.ports import Randomness
from central.posting.account_facts import CORRECTIONS, AccountFacts
from loyalty.facts.centre_events import WrittenOff
from loyalty.lots import EventRef
from loyalty.trouble import Refusal

AFTER_DAYS = 180
AFTER = "write_off_after_days"  # the setting


class TooYoung(Refusal):
    code = "correction.too_young"


def check_write_off(connection: Connection, wish: WriteOffWish, signed: Signed) -> int:
    """The points that nothing covers of a spend.

    Raises:
        NotThere: nothing of it is open. TooYoung: it has not stood for long enough; later points may cover it.
    """
    of = {"till_id": wish.till_id, "epoch": wish.epoch, "seq": wish.seq}
    rows = [
        row
        for row in find(connection, debt, [{"account_id": wish.account_id}])
        if not row.issuer_id and (row.of_till, row.of_epoch, row.of_seq) == tuple(of.values())
    ]
    points = sum(int(row.points) for row in rows)
    if not points:
        raise NotThere("Nothing of this sale is without cover any more; look at the account again.", there=0)
    (sale,) = find(connection, event, [of], ["business_date"])
    days = after_days(connection)
    if sale.business_date > (signed.on - timedelta(days=days)).isoformat():
        raise TooYoung(
            f"This sale is of {sale.business_date}. It can be written off {days} days after; later points may cover"
            " it before.",
            days=days,
        )
    return points


def write_off(tx: Connection, wish: WriteOffWish, signed: Signed, randomness: Randomness) -> None:
    """Write it. Raises: as `check_write_off`."""
    facts = AccountFacts(tx, CORRECTIONS, signed.now_ms, randomness)
    facts.lock([wish.account_id])
    points = check_write_off(tx, wish, signed)
    facts.post(
        [
            WrittenOff(
                receipt_id=f"write_off:{signed.correction_id}",
                account_id=wish.account_id,
                of=EventRef(till_id=wish.till_id, epoch=wish.epoch, seq=wish.seq),
                points=points,
                on=signed.on,
                reason=wish.reason,
                note=wish.note,
                asked_by=signed.asked_by,
                approved_by=signed.approved_by,
            )
        ]
    )


def after_days(connection: Connection) -> int:
    """For how many days a spend must have stood without cover."""
    told = get_setting(connection, AFTER)
    return int(told) if told.isdigit() else AFTER_DAYS
