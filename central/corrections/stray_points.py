"""Points of a card that was used before head office heard whose it is: they follow the card to its member.

A new card is known to one till first. Where another till sells on it before, its points lie on an account that nobody
claims; once the card is given, that account is merged into the member's. Where that card led to an account that has
itself gone home meanwhile, the points follow it. Source: docs/members.md "Cards".
"""

import msgspec
from sqlalchemy import Engine, Row, select

from central.corrections.adjusting import Signed
from central.corrections.moving import PointsLeased, merge
from central.corrections.wishes import MergeWish
from central.database.asking import ask
from central.database.tables import flag
from central.leases.leasing import recall
from central.members.accounts import survivor_of
from central.members.members import AccountClosed
from central.ports import Randomness, reading, replayable, writing
from central.posting.member_facts import CARD_HAS_POINTS
from central.worklist.worklist import FlagKey, settle_flag
from loyalty.moments import utc_date

BY = "head office"


# All of them: a till that is away keeps points of many back, and those of others must not wait behind.
_OPEN = select(flag).where(flag.c.cause == CARD_HAS_POINTS, flag.c.state == "open").order_by(flag.c.raised_at_ms)


def bring_home(engine: Engine, now_ms: int, randomness: Randomness) -> int:
    """Merge what can be merged now; how many accounts went. Points at tills are asked back for a later run."""
    return sum(_merge(engine, row, now_ms, randomness) for row in _open(engine))


@replayable
def _open(engine: Engine) -> list[Row]:
    with reading(engine) as tx:
        return list(ask(tx, _OPEN))


@replayable
def _merge(engine: Engine, row: Row, now_ms: int, randomness: Randomness) -> bool:
    figures = msgspec.json.decode(row.figures)
    here = figures["account_id"]
    signed = Signed(
        correction_id=f"card:{row.till_id}:{row.epoch}:{row.seq}" + (f":{row.n}" if row.n else ""),
        asked_by=BY, approved_by="", on=utc_date(now_ms), now_ms=now_ms,
    )  # fmt: skip
    key = FlagKey(till_id=row.till_id, epoch=row.epoch, seq=row.seq, cause=row.cause, n=row.n)
    try:
        with writing(engine) as tx:
            into = survivor_of(tx, figures["into"])
            # While tills held points of it, people may have merged the other one into it.
            is_home = into == here
            if not is_home:
                merge(tx, MergeWish(account_id=here, into_account_id=into, reason="card_given"), signed, randomness)
            settle_flag(tx, key, note="merged already" if is_home else "merged", by=BY, now_ms=now_ms)
        return not is_home
    except PointsLeased:
        with writing(engine) as tx:
            recall(tx, [here], now_ms)
    except AccountClosed as closed:
        is_home = closed.figures["account_id"] == here
        with writing(engine) as tx:
            settle_flag(tx, key, note="merged already" if is_home else "the member is erased", by=BY, now_ms=now_ms)
    return False
