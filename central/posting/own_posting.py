"""Facts of the centre that concern accounts: written into one of its streams, into the index of events, and posted.

They number in their account's versions like any event, so history and verification treat them alike.
Source: house.md ideas 3 and 5.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from central.coalition.streams import at
from central.database.asking import ask_one
from central.database.tables import stream
from central.ports import Randomness
from central.posting.posting import Poster
from central.streams.own_events import append_own
from loyalty.facts.events import Event
from loyalty.ledger.books import Posted
from loyalty.lots import EventRef

_PAGE = select(stream.c.period_no).where(at(bindparam("of"), bindparam("in_epoch")))


def post_own(
    tx: Connection, name: str, events: Sequence[Event], now_ms: int, randomness: Randomness
) -> dict[EventRef, Posted]:
    """Write and post facts, each about one account, at the end of one of the centre's streams.

    Args:
        name: of the stream, see `own_events`; it is locked until the transaction ends, and then the accounts.
    Returns:
        What each did to the books, by its place.
    """
    head = append_own(tx, name, events, now_ms, randomness)
    heads = {EventRef(till_id=head.till_id, epoch=head.epoch, seq=seq): event
             for seq, event in enumerate(events, head.seq - len(events) + 1)}  # fmt: skip
    # The stream's own page: a close turns it while it holds the stream, as it does with those of tills.
    period_no = ask_one(tx, _PAGE, {"of": head.till_id, "in_epoch": head.epoch})
    poster = Poster(tx, period_no=period_no, now_ms=now_ms, randomness=randomness)
    poster.open(heads, batch_seq=0)
    poster.post(heads)
    poster.write(f"{head.till_id}:{head.epoch}:{head.seq}")
    # Goods that had waited for a fact may be posted with it.
    return {ref: poster.posted[ref] for ref in heads if ref in poster.posted}
