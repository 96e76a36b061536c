"""What the books say of tills, chores, blocks and the worklist that somebody should do something about."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, func, select

from central.backups.backups import LAST_BACKUP
from central.coalition.settings import get_setting
from central.coalition.streams import LOST
from central.database.tables import flag, notice, release, till, waiting
from central.intake.quarantine import count_open
from central.ports import Settings
from central.upkeep import views
from central.upkeep.ailments import Ailment
from central.upkeep.chore_notes import ChoreState, chore_states
from central.upkeep.chores import EVERY_S
from central.upkeep.redacting import held_back
from central.worklist.causes import why

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MOST_CLOCK_ERROR_MS = 120_000
LATE_TURNS, LATE_MS = 3, 90_000  # a run may take a minute, and is noted up to ten seconds after its end
BACKUP_ADVISED_MS = 7 * DAY_MS
TILL_DISK_LOW_MB, TILL_DISK_SHORT_MB = 500, 100
UNTOLD = "alerts.undelivered"  # which is no alert itself: it could not be delivered either
BLOCK_ALARMS = ("block_lost", "block_differs")


def look_at_books(settings: Settings, tx: Connection, now_ms: int) -> Iterator[Ailment]:
    """Everything that the database tells, in one snapshot."""
    yield from _chores(tx, now_ms)
    yield from _backup(settings, tx, now_ms)
    for one in views.tills(tx):
        yield from _till(settings, one, now_ms)
    yield from _worklist(settings, tx, now_ms)
    yield from _kept_apart(settings, tx, now_ms)
    if held := held_back(tx, settings.receipt_days, now_ms):
        yield Ailment(
            level="advice", code="receipts.held",
            say=f"{held} batches are older than {settings.receipt_days} days and keep their goods, as something about "
            "them is open.",
            do="Settle the rows of the worklist and the quarantine that are about so old receipts.",
        )  # fmt: skip
    untold = select(notice.c.trouble).where(notice.c.state == "due", notice.c.made_at_ms < now_ms - HOUR_MS)
    if (row := tx.execute(untold.limit(1)).first()) is not None:
        yield Ailment(
            level="wrong", code=UNTOLD, say=f"Alerts cannot be delivered: {row.trouble or 'nobody sends them'}.",
            do="Mend the mail server or webhook that the settings name; they are tried again by themselves.",
        )  # fmt: skip
    if tx.execute(select(release.c.no).limit(1)).first() is None:
        yield Ailment(
            level="wrong", code="programme.none", say="No programme is published, so no till can quote.",
            do="tallypoint central publish FILE",
        )  # fmt: skip


def _chores(tx: Connection, now_ms: int) -> Iterator[Ailment]:
    """A chore is late when it missed three of its turns."""
    states = {state.chore: state for state in chore_states(tx)}
    late = [chore for chore, every_s in EVERY_S.items() if _is_late(states.get(chore), every_s, now_ms)]
    for chore, state in states.items():
        if state.failing:
            yield Ailment(
                level="danger" if chore in ("seal", "recompute") else "wrong", code="chore.failing", about=chore,
                say=f"The chore {chore} fails: {state.failing}", do="Mend what it says; it is tried again in its turn.",
            )  # fmt: skip
    # `stamp` comes every second: when it stands still, nobody is there at all.
    if "stamp" in late and "recompute" in late:
        yield Ailment(
            level="danger", code="house.empty", say="Nobody keeps house.",
            do="Start head office (tallypoint central serve), or its worker where servers run with chores off.",
        )  # fmt: skip
        return
    for chore in late:
        yield Ailment(
            level="wrong", code="chore.late", about=chore, say=f"The chore {chore} is not done in time.",
            do="Look into the log, and at how busy machine and database are.",
        )  # fmt: skip


def _is_late(state: ChoreState | None, every_s: int, now_ms: int) -> bool:
    since_ms = max(state.begun_ms, state.done_ms, state.failed_ms) if state else 0
    return now_ms - since_ms > LATE_TURNS * every_s * 1000 + LATE_MS


def _backup(settings: Settings, tx: Connection, now_ms: int) -> Iterator[Ailment]:
    last_ms = int(get_setting(tx, LAST_BACKUP, "0"))
    if settings.backup_hours and now_ms - last_ms > settings.backup_hours * HOUR_MS:
        yield Ailment(
            level="danger", code="backup.due",
            say=f"The last backup is {(now_ms - last_ms) // HOUR_MS} hours old." if last_ms else "No backup was made.",
            do="tallypoint central backup --to FOLDER",
        )  # fmt: skip
    elif not settings.backup_hours and now_ms - last_ms > BACKUP_ADVISED_MS:
        yield Ailment(
            level="advice", code="backup.none", say="No backup was made here within a week.",
            do="tallypoint central backup --to FOLDER, daily; backup_hours makes a late one an alarm.",
        )  # fmt: skip


def _till(settings: Settings, till: views.TillRow, now_ms: int) -> Iterator[Ailment]:
    name = f"{till.store_id} {till.label}"
    if till.state == "suspended":
        yield Ailment(
            level="danger", code="till.stopped", about=name, say=f"Its stream is stopped: {till.reason}.",
            do=f"Look at the worklist; then tallypoint central resume {till.till_id}, or "
            + ("revoke it if it was stolen." if till.reason == LOST else "enrol it anew."),
        )  # fmt: skip
    if till.state != "active":
        return
    silent_ms = now_ms - till.heard_at_ms if till.heard_at_ms else 0
    if silent_ms > settings.silent_hours * HOUR_MS:
        lapsed = " Its hotlist has lapsed." if silent_ms > settings.hotlist_days * DAY_MS else ""
        waits = f" It had {till.backlog} events to send." if till.backlog else ""
        yield Ailment(
            level="wrong", code="till.silent", about=name,
            say=f"Not heard for {silent_ms // HOUR_MS} hours.{waits}{lapsed}",
            do="Ask the store whether it is switched on and has its line; `tallypoint edge doctor` there says more.",
        )  # fmt: skip
    if till.missing:
        hours = till.oldest_unsent_s // 3600
        since = f", the oldest for {hours} hours" if hours else ""
        yield Ailment(
            level="wrong", code="till.gap", about=name,
            say=f"It announced {till.missing} events that are not here{since}.",
            do="They come by themselves while it is heard; if they stay away, look at the till's disk and its line.",
        )  # fmt: skip
    if abs(till.clock_error_ms or 0) > MOST_CLOCK_ERROR_MS:
        yield Ailment(
            level="wrong", code="till.clock", about=name,
            say=f"Its clock is off by {abs(till.clock_error_ms or 0) // 1000} s.",
            do="Set it: sales near midnight get the wrong date, and promotions the wrong hour.",
        )  # fmt: skip
    if till.disk_free_mb is not None and till.disk_free_mb < TILL_DISK_LOW_MB:
        yield Ailment(
            level="danger" if till.disk_free_mb < TILL_DISK_SHORT_MB else "wrong", code="till.disk_low", about=name,
            say=f"{till.disk_free_mb} MB are free on its disk.",
            do="Free some space there (logs, downloads): a till whose disk is full refuses sales.",
        )  # fmt: skip
    if till.leases_suspended:
        yield Ailment(
            level="wrong", code="till.leases_rest", about=name,
            say=f"It spends nothing of its leases and floats: {till.leases_suspended}.",
            do="It goes on by itself once it was heard well; if not, look at its clock and its stream.",
        )  # fmt: skip


def _worklist(settings: Settings, tx: Connection, now_ms: int) -> Iterator[Ailment]:
    """Alarms, which are about a till or a slot as a whole, at once; findings about an event once they are old."""
    alarms = select(flag.c.cause, till.c.store_id, till.c.label).outerjoin(till, till.c.till_id == flag.c.till_id)
    still = alarms.where(flag.c.state == "open", flag.c.seq == 0)
    rows = tx.execute(still.order_by(flag.c.cause, till.c.store_id, till.c.label))
    for cause, about in dict.fromkeys((row.cause, _alarmed(row)) for row in rows):
        yield Ailment(
            level="danger" if cause in BLOCK_ALARMS else "wrong", code=f"alarm.{cause}", about=about, say=why(cause),
            do="Look at the worklist; settle the row once it is explained.",
        )  # fmt: skip
    oldest = select(flag.c.cause, func.min(flag.c.raised_at_ms).label("oldest_ms"))
    findings = oldest.where(flag.c.state == "open", flag.c.seq > 0).group_by(flag.c.cause)
    for row in tx.execute(findings.order_by(flag.c.cause)):
        if now_ms - row.oldest_ms > settings.worklist_days * DAY_MS:
            yield Ailment(
                level="wrong", code="worklist.old", about=row.cause,
                say=f"Rows of {row.cause} are open, the oldest for more than {settings.worklist_days} days.",
                do="Settle them in the console.",
            )  # fmt: skip


def _alarmed(row: Row[Any]) -> str:
    """The till that an alarm is about: one alarm of a till does not hide that of another. Blocks that are lost are no
    till's own trouble, and every till may have been told of them."""
    return "" if row.cause in BLOCK_ALARMS or row.label is None else f"{row.store_id} {row.label}"


def _kept_apart(settings: Settings, tx: Connection, now_ms: int) -> Iterator[Ailment]:
    if kept := count_open(tx):
        yield Ailment(
            level="advice", code="quarantine", say=f"{kept} uploads or events wait in quarantine for a decision.",
            do="`tallypoint central quarantine`: fix, replay or write off; nothing of them was posted.",
        )  # fmt: skip
    oldest_ms = tx.execute(select(func.min(waiting.c.since_ms))).scalar()
    if oldest_ms is not None and now_ms - oldest_ms > (settings.grace_days + 1) * DAY_MS:
        yield Ailment(
            level="wrong", code="waiting.overdue", say="Returns wait for their receipts beyond the grace.",
            do="The chore `overdue` should have posted them; look whether it runs.",
        )  # fmt: skip
