"""Where an event lies in its table: its epoch and its number as one number, by which SQLite orders the rows anyway.

So the table needs no index for them beside it, and a sale writes a page less. The row says both all the same: a page
out of a damaged file has to tell by itself what it holds. Source: docs/till-data.md "What a sale writes".
"""

_BITS = 31  # an epoch has 32; no till writes two thousand million events in one
LAST_SEQ = (1 << _BITS) - 1

# For a statement about `event e` and `stream s`: the events of that stream.
OF_STREAM = f"e.place BETWEEN s.epoch << {_BITS} AND (s.epoch << {_BITS} | {LAST_SEQ})"
# For an INSERT whose first two values are epoch and number.
NEW_PLACE = f"?1 << {_BITS} | ?2"


def place_of(epoch: int, seq: int) -> int:
    """The place of an event; `seq` 0 is right before the first of its epoch."""
    return epoch << _BITS | seq


def places_after(epoch: int, seq: int) -> tuple[int, int]:
    """The first and the last place of events of an epoch later than a number, for `place BETWEEN ? AND ?`."""
    return place_of(epoch, seq) + 1, place_of(epoch, LAST_SEQ)
