"""Telling whoever is on call what is wrong: once each until it clears, once more where it becomes danger, and once that
it cleared.

The doctor's findings, advice apart, are the rules. What is to be told is a row for each channel before it is sent, so
that neither a restart nor a mail server that is away loses any of it; what cannot be sent is tried again, more and
more seldom, for three days.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, delete, select, update

from central.database.rows import put
from central.database.tables import alert, notice
from central.ports import Clock, Settings, reading, replayable, writing
from central.upkeep.ailments import Ailment
from central.upkeep.alert_channels import Channel, Kind, NotDelivered, Notice, channels_of
from central.upkeep.doctor import Examined, examine
from central.upkeep.doctor_books import UNTOLD

FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 60_000, 3_600_000
GIVEN_UP_MS = 3 * 24 * 3_600_000
KEPT_MS = 30 * 24 * 3_600_000
AT_ONCE = 50  # notices in one message


class Alerts:
    """The chore: look, note what changed, send what is due.

    Args:
        channels: the ways out; those of the settings where none are given.
        look: what the doctor says; of this centre where none is given.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        clock: Clock,
        *,
        channels: Sequence[Channel] | None = None,
        look: Callable[[], Examined] | None = None,
    ) -> None:
        self._engine, self._clock = engine, clock
        self._channels = channels_of(settings) if channels is None else channels
        self._look = look or (lambda: examine(settings, engine, clock.wall_ms()))

    def step(self) -> int:
        """One round. Returns 0: what it could not send is for its next turn.

        Raises:
            NotDelivered: a channel failed; the others were tried all the same.
        """
        self._note(self._look().ailments)
        troubles = [trouble for channel in self._channels if (trouble := self._send(channel))]
        if troubles:
            raise troubles[0]
        return 0

    @replayable
    def _note(self, found: Sequence[Ailment]) -> None:
        """What is new or became danger is raised, what is gone cleared, and either is to be told on each channel."""
        now_ms = self._clock.wall_ms()
        present = {(one.code, one.about): one for one in found if one.level != "advice" and not _is_own(one)}
        with writing(self._engine) as tx:
            tx.execute(delete(notice).where(notice.c.state != "due", notice.c.made_at_ms < now_ms - KEPT_MS))
            # What is due on a way out that the settings name no more, nobody would ever send.
            names = [channel.name for channel in self._channels]
            left = notice.c.state == "due", notice.c.channel.not_in(names)
            tx.execute(update(notice).where(*left).values(state="given_up"))
            known = {(row.code, row.about): row for row in tx.execute(select(alert))}
            for key, one in present.items():
                before = known.get(key)
                if before is None or before.cleared_at_ms or (one.level == "danger" and before.level != "danger"):
                    self._raise(tx, one, (before.times if before else 0) + 1, now_ms)
            for key, row in known.items():
                if not row.cleared_at_ms and key not in present:
                    tx.execute(
                        update(alert)
                        .where(alert.c.code == key[0], alert.c.about == key[1])
                        .values(cleared_at_ms=now_ms)
                    )
                    gone = Ailment(level=row.level, code=row.code, about=row.about, say=row.say, do=row.todo)
                    self._tell(tx, gone, "cleared", row.times, now_ms)

    def _raise(self, tx: Connection, one: Ailment, times: int, now_ms: int) -> None:
        row = {"code": one.code, "about": one.about, "level": one.level, "say": one.say, "todo": one.do,
               "times": times, "raised_at_ms": now_ms, "cleared_at_ms": 0}  # fmt: skip
        put(tx, alert, [row], {name: "given" for name in row if name not in ("code", "about")})
        self._tell(tx, one, "raised", times, now_ms)

    def _tell(self, tx: Connection, one: Ailment, kind: Kind, times: int, now_ms: int) -> None:
        told = Notice(
            id=f"{one.code}|{one.about}|{times}|{kind}", kind=kind, at_ms=now_ms, **msgspec.structs.asdict(one)
        )
        said = msgspec.json.encode(told).decode()
        rows = [
            {"notice_id": told.id, "channel": channel.name, "said": said, "made_at_ms": now_ms, "next_try_ms": now_ms}
            for channel in self._channels
        ]
        put(tx, notice, rows, "nothing")

    def _send(self, channel: Channel) -> NotDelivered | None:
        """Everything that is due on a channel, in one message, while no transaction is open."""
        now_ms = self._clock.wall_ms()
        with reading(self._engine) as tx:
            due = (notice.c.channel == channel.name, notice.c.state == "due", notice.c.next_try_ms <= now_ms)
            rows = tx.execute(select(notice).where(*due).order_by(notice.c.made_at_ms).limit(AT_ONCE)).all()
        if not rows:
            return None
        try:
            channel.send([msgspec.json.decode(row.said, type=Notice) for row in rows])
        except NotDelivered as trouble:
            self._keep(channel, rows, trouble, now_ms)
            return trouble
        self._keep(channel, rows, None, now_ms)
        return None

    @replayable
    def _keep(self, channel: Channel, rows: Sequence[Row[Any]], trouble: NotDelivered | None, now_ms: int) -> None:
        with writing(self._engine) as tx:
            for row in rows:
                values: dict[str, str | int] = {"tries": row.tries + 1, "state": "sent", "trouble": ""}
                if trouble is not None:
                    pause_ms = min(FIRST_PAUSE_MS << min(row.tries, 10), LONGEST_PAUSE_MS)
                    is_over = now_ms - row.made_at_ms > GIVEN_UP_MS
                    values |= {
                        "state": "given_up" if is_over else "due",
                        "trouble": trouble.say,
                        "next_try_ms": now_ms + pause_ms,
                    }
                named = (notice.c.notice_id == row.notice_id, notice.c.channel == channel.name)
                tx.execute(update(notice).where(*named).values(**values))


def _is_own(one: Ailment) -> bool:
    """That alerts are not delivered cannot be delivered either."""
    return one.code == UNTOLD or (one.code, one.about) == ("chore.failing", "alerts")
