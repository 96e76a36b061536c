"""After a backup was put back: what a person notes, so that tills and the centre agree on where they stand.

The tills send again what the centre has lost of theirs. Its own facts are lost; `central.streams.sealing` raises the
alarm.
Source: house.md section 4, point 6; sync.md section 3.
"""

from sqlalchemy import Connection

from central.coalition.settings import generation
from central.database.lanes import jump_all
from central.database.rows import put
from central.database.tables import setting
from central.members.card_spans import pass_over
from central.tills.parked_resting import rest_all


def note_restore(tx: Connection, now_ms: int = 0) -> int:
    """Begin a new generation, and number what goes down far beyond what tills have seen. Returns the generation.

    From then on tills take the centre's word for its blocks again; until then each keeps the highest it was told of.

    Args:
        now_ms: the time, from which both numbers are taken where it is greater: one backup may be put back twice, and
            the second centre knows nothing of the numbers that the first gave to its tills.
    """
    now = max(generation(tx) + 1, now_ms // 1000)
    put(tx, setting, [{"name": "generation", "value": str(now)}], {"value": "given"})
    jump_all(tx, now_ms)
    pass_over(tx)
    rest_all(tx)
    return now
