"""What head office sees at a glance: tills, worklist, what is still to be recomputed."""

from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from central.coalition.settings import get_setting
from central.database.tables import changed, event, lane, till, till_key
from central.upkeep import views
from central.worklist.worklist import open_counts
from sync.wire import LANES


def overview(connection: Connection) -> dict[str, Any]:
    """Tills as the console shows them, with their receipts; open worklist rows by cause; what is still under way.

    A till's `public` is its present key and `key_no` its number, "" and 0 before it enrolled. `unchecked` receipts wait
    to be recomputed, `unstamped` accounts to be published; `lanes` are the newest numbers.
    """
    counted = select(event.c.till_id, func.count()).where(event.c.kind == "receipt.v1").group_by(event.c.till_id)
    receipts = {till_id: number for till_id, number in connection.execute(counted)}
    present = (till_key.c.till_id == till.c.till_id) & (till_key.c.epoch == till.c.epoch)
    newest_last = select(till_key).join(till, present).order_by(till_key.c.key_no)
    keys = {row.till_id: row for row in connection.execute(newest_last)}
    unchecked = select(func.count()).where(event.c.checked == "", event.c.state == "posted")
    return {
        "currency": get_setting(connection, "currency"),
        "tills": [
            msgspec.structs.asdict(one)
            | {"receipts": receipts.get(one.till_id, 0)}
            | {name: getattr(keys.get(one.till_id), name, none) for name, none in (("public", ""), ("key_no", 0))}
            for one in views.tills(connection)
        ],
        "worklist": open_counts(connection),
        "unchecked": connection.execute(unchecked).scalar_one(),
        "unstamped": connection.execute(select(func.count()).select_from(changed)).scalar_one(),
        "lanes": {row.lane: row.no for row in connection.execute(select(lane).where(lane.c.lane.in_(LANES)))},
    }
