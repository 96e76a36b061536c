"""What is wrong with this till and what to do, worst first: read from its files, and from the service where it runs.

It opens the journal for reading only, so it may look while the service sells, and when the service does not start.
"""

import shutil
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import sqlite_utils

from edge.database import MENDED, reading_only
from edge.identity import IDENTITY_FILE, TillIdentity, read_identity_file
from edge.journal.places import OF_STREAM, places_after
from edge.journal.room import FULL_MB, LOW_MB, MB, SHORT_MB
from edge.journal.tables import earlier_journal, later_journal
from edge.line.enrol import CACHE_FILE, JOURNAL_FILE
from edge.ports import Settings
from loyalty.trouble import Trouble
from sync.chain import StreamHead, next_head
from sync.lanes import LaneState, is_expired
from sync.refusals import BadSignature, Revoked, UnknownTill
from sync.transport import LineUntrusted
from sync.wire import BEYOND_RETENTION

Level = Literal["danger", "wrong", "advice"]
LEVELS: tuple[Level, ...] = ("danger", "wrong", "advice")
HOUR_MS = 3_600_000
DISK_MB: tuple[tuple[int, Level], ...] = ((FULL_MB, "danger"), (SHORT_MB, "danger"), (LOW_MB, "wrong"))
QUEUE_HOURS, QUEUE_DAYS_IN_DANGER = 4, 7
MOST_CLOCK_OFFSET_MS = 120_000
MOST_SILENT_S = 2 * 3600  # head office is asked every 20 s, and sends nobody away for longer than an hour and a tenth
NOT_KNOWN = (UnknownTill.code, BadSignature.code)
SECRET_FILES = (
    JOURNAL_FILE, CACHE_FILE, "identity*.json", "claim.json", "next-key.json", "salvage*", "journal-salvaged.db"
)  # fmt: skip


class Ailment(msgspec.Struct, frozen=True, kw_only=True):
    """One finding.

    Attributes:
        level: `danger` where sales or receipts may be lost, `wrong` where something does not work, else `advice`.
        code: stable, for scripts.
        about: which file, lane, reader or chore; "" for the till as a whole.
        say, do: what is so, and the next step.
    """

    level: Level
    code: str
    about: str = ""
    say: str
    do: str


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor says. `facts` are for whoever helps."""

    facts: dict[str, Any]
    ailments: tuple[Ailment, ...]

    @property
    def is_ill(self) -> bool:
        """Whether there is more than advice."""
        return any(one.level != "advice" for one in self.ailments)


def examine(
    settings: Settings, now_ms: int, status: Mapping[str, Any] | None, *, version: str = "", silence: str = ""
) -> Examined:
    """Look at everything, and change nothing.

    Args:
        now_ms: the wall clock.
        status: what GET /v1/status of the running service says; none where it does not answer.
        silence: why there is none.
    """
    facts: dict[str, Any] = {"version": version, "sqlite": sqlite3.sqlite_version, "running": status is not None}
    found = [*_service(settings, status, silence), *_files(settings), *_disk(settings)]
    try:
        identity = read_identity_file(settings.folder)
    except Trouble as trouble:
        identity = None
        found.append(
            Ailment(level="danger", code=trouble.code, about=IDENTITY_FILE, say=trouble.say, do="Do as it says.")
        )
    else:
        if identity is None:
            found.append(
                Ailment(
                    level="danger",
                    code="till.not_enrolled",
                    say=f"There is no till in {settings.folder}.",
                    do="tallypoint edge enrol, with a code from head office.",
                )
            )
    if identity is not None:
        facts |= {
            "till": identity.till_id,
            "label": identity.label,
            "store": identity.store_id,
            "epoch": identity.epoch,
        }
        found += _journal(settings.folder / JOURNAL_FILE, identity, now_ms, facts)
        found += _cache(settings.folder / CACHE_FILE, now_ms)
    if sqlite3.sqlite_version_info < MENDED:
        found.append(
            Ailment(
                level="advice",
                code="sqlite.old",
                say=f"SQLite is {sqlite3.sqlite_version}.",
                do="From 3.51.3 on a rare fault of several writers is mended; this service has one writer.",
            )
        )
    return Examined(facts=facts, ailments=tuple(sorted(found, key=lambda one: LEVELS.index(one.level))))


def _service(settings: Settings, status: Mapping[str, Any] | None, silence: str) -> Iterator[Ailment]:
    """What only the running service knows."""
    if status is None:
        yield Ailment(
            level="danger", code="service.silent", say=silence or "The till service does not answer.",
            do="Start it: tallypoint edge serve (systemctl start tallypoint-till). Its last words are in its log.",
        )  # fmt: skip
        return
    yield from _line(settings, status)
    yield from _machinery(status)
    yield from _chores(status)
    if not status.get("ballast", True):
        yield Ailment(
            level="wrong", code="ballast.gone", say="The room that is kept for a full disk was used up.",
            do="Free some space; it comes back by itself once it fits twice.",
        )  # fmt: skip
    if trouble := status.get("tail_trouble"):
        yield Ailment(
            level="wrong", code="tail.failing", about=settings.tail_path, say=f"The tail is not kept: {trouble}.",
            do="Mend that disk, or name another one in tail_path: a journal put back from a copy is found out by it.",
        )  # fmt: skip
    if not status.get("ready", True):
        yield Ailment(
            level="danger", code="programme.none", say="There is no programme here, so nothing can be quoted.",
            do="It comes by itself once head office is reached and has published one.",
        )  # fmt: skip


def _line(settings: Settings, status: Mapping[str, Any]) -> Iterator[Ailment]:
    """To head office, and what its answers say of our clock."""
    line = status.get("line", {})
    offset_ms = line.get("clock_offset_ms")
    if settings.centre_url and line.get("last_error") == LineUntrusted.code:
        yield Ailment(
            level="wrong", code="line.untrusted", say="The certificate of head office is not believed here.",
            do=f"Look at this machine's clock: it says {status['now']}. If that is right, look at centre_ca, at the"
            " name in centre_url, whether the certificate has run out, and what on the way may show one of its own.",
        )  # fmt: skip
    elif settings.centre_url and line.get("last_error") in NOT_KNOWN:
        yield Ailment(
            level="wrong", code="till.unknown",
            say=f"Head office answers, and does not know this till, or its key: {line['last_error']}.",
            do="Sell on, and keep this machine's disk. A head office that was restored lets this till in from its"
            " worklist, once the coalition file with its store is loaded. A code to enrol anew comes last: what was"
            " sold before may stay here then.",
        )  # fmt: skip
    elif settings.centre_url and line.get("offline"):
        yield Ailment(
            level="advice", code="line.offline", say=f"Head office is not reached since {line.get('since')}:"
            f" {line.get('last_error') or 'no contact yet'}.",
            do="Nothing for the cashier. Look at the shop's line, at centre_url, and at its certificate.",
        )  # fmt: skip
    elif settings.centre_url and _age_s(line.get("last_contact"), status["now"]) > MOST_SILENT_S:
        yield Ailment(
            level="wrong", code="line.silent",
            say=f"Head office was not asked since {line['last_contact']}, with the line up: what speaks to it hangs.",
            do="Restart the service (systemctl restart tallypoint-till). Nothing is lost.",
        )  # fmt: skip
    if offset_ms is not None and abs(offset_ms) > MOST_CLOCK_OFFSET_MS:
        yield Ailment(
            level="wrong", code="clock.off", say=f"This machine's clock is off by {abs(offset_ms) // 1000} s.",
            do="Set it, and let it follow a time server (timedatectl set-ntp true).",
        )  # fmt: skip


def _machinery(status: Mapping[str, Any]) -> Iterator[Ailment]:
    """Readers, printer, display."""
    for reader in status.get("readers", ()):
        if reader["state"] != "up":
            yield Ailment(
                level="wrong", code="reader.down", about=reader["name"],
                say=f"The card reader does not answer: {reader['trouble'] or reader['state']}.",
                do="Look at its cable, and at its port in the settings: readers, or reader_port.",
            )  # fmt: skip
    yield from _peripherals(status)


def _chores(status: Mapping[str, Any]) -> Iterator[Ailment]:
    """What works in the background."""
    for chore in status.get("chores", ()):
        if chore["failing"]:
            yield Ailment(
                level="danger" if chore["chore"] == "chain" else "wrong", code="chore.failing", about=chore["chore"],
                say=f"This background job fails: {chore['failing']}.", do="See the log; it is tried again in its turn.",
            )  # fmt: skip
        elif chore.get("late"):  # a service of before an upgrade does not say
            yield Ailment(
                level="wrong", code="chore.late", about=chore["chore"], say="This background job hangs.",
                do="Look at the disk and its mounts; then restart the service (systemctl restart tallypoint-till).",
            )  # fmt: skip


def _age_s(then: str | None, now: str) -> float:
    """Seconds between two instants of the status, 0 for none."""
    return (datetime.fromisoformat(now) - datetime.fromisoformat(then)).total_seconds() if then else 0


def _peripherals(status: Mapping[str, Any]) -> Iterator[Ailment]:
    """The printer and the display of the till's own, where it has them."""
    printer, pole = status.get("printer"), status.get("pole_display")
    if printer and printer["state"] != "up":
        yield Ailment(
            level="wrong", code="printer.down", do="Check its cable and paper, and printer_port.",
            say=f"The receipt printer does not answer; {printer['waiting']} receipts wait:"
            f" {printer['trouble'] or printer['state']}.",
        )  # fmt: skip
    elif printer and printer["paper"] == "low":
        yield Ailment(
            level="advice", code="printer.paper_low", say="The roll of the receipt printer is nearly at its end.",
            do="Put in a new one.",
        )  # fmt: skip
    if pole and pole["state"] != "up":
        yield Ailment(
            level="wrong", code="display.down", say=f"The customer display does not answer: {pole['trouble']}.",
            do="Look at its cable, and at display_port.",
        )  # fmt: skip


def _files(settings: Settings) -> Iterator[Ailment]:
    """The folder is the service's own: 0700, and 0600 what lies in it."""
    folder = settings.folder
    if not folder.is_dir():
        return
    found = [(folder, 0o700)]
    for pattern in SECRET_FILES:
        for path in sorted(folder.glob(pattern)):
            found += [(path.with_name(path.name + end), 0o600) for end in ("", "-wal", "-shm")]
    for path, wanted in found:
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Ailment(
                level="wrong", code="file.readable_by_others", about=path.name,
                say="Others on this machine may read it.", do=f"chmod {wanted:o} {path}",
            )  # fmt: skip


def _disk(settings: Settings) -> Iterator[Ailment]:
    if not settings.folder.is_dir():
        return
    free_mb = shutil.disk_usage(settings.folder).free // MB
    for below_mb, level in DISK_MB:
        if free_mb < below_mb:
            yield Ailment(
                level=level, code="disk.low", say=f"{free_mb} MB are free for the journal, less than {below_mb}.",
                do="Free some space (logs, downloads). A full disk makes the till refuse sales rather than lose them.",
            )  # fmt: skip
            return


def _journal(path: Path, identity: TillIdentity, now_ms: int, facts: dict[str, Any]) -> Iterable[Ailment]:
    """Queue, suspension, and the chain of all that head office has not acknowledged, as it is stored now."""
    if not path.exists():
        return [
            Ailment(
                level="danger",
                code="journal.missing",
                say="The journal is gone, and with it what was not sent.",
                do="Stop the service, look for journal.db and its -wal file, put them back, or enrol the till anew.",
            )
        ]
    try:
        with closing(reading_only(path)) as journal:
            tables = sqlite_utils.Database(journal, execute_plugins=False)
            if later := later_journal(tables):
                return [
                    Ailment(
                        level="danger",
                        code="journal.newer",
                        say=f"A later version of this till wrote its journal ({', '.join(later)}).",
                        do="Start that version again: nothing is lost. This one leaves the file as it is.",
                    )
                ]
            if earlier_journal(tables):
                return [
                    Ailment(
                        level="wrong",
                        code="journal.older",
                        say="An earlier version of this till wrote its journal; this one has not opened it yet.",
                        do="Start the service: it brings the file to its own shape in one step. Nothing is lost.",
                    )
                ]
            return list(_read_journal(journal, identity, now_ms, facts))
    except sqlite3.Error as error:
        return [
            Ailment(
                level="danger",
                code="journal.unreadable",
                say=f"The journal cannot be read: {error}.",
                do="Start the service again: it keeps the damaged files aside, saves what is true and sells on.",
            )
        ]


def _read_journal(
    journal: sqlite3.Connection, identity: TillIdentity, now_ms: int, facts: dict[str, Any]
) -> Iterator[Ailment]:
    mine = "SELECT acked_seq, acked_hash, suspended, leases_suspended FROM stream WHERE till_id = ? AND epoch = ?"
    stream = journal.execute(mine, (identity.till_id, identity.epoch)).fetchone()
    if stream is None:
        yield Ailment(
            level="danger", code="journal.other_till", say="The journal is of another enrolment than the identity.",
            do="Put the identity that belongs to it back, or keep the journal aside and enrol anew.",
        )  # fmt: skip
        return
    acked_seq, acked_hash, suspended, leases_rest = stream
    head_seq, oldest_ms = journal.execute(
        "SELECT coalesce(max(seq), 0), min(CASE WHEN seq > ? THEN written_ms END) FROM event"
        " WHERE place BETWEEN ? AND ?",
        (acked_seq, *places_after(identity.epoch, 0)),
    ).fetchone()
    facts |= {"head_seq": head_seq, "acked_seq": acked_seq, "backlog": max(0, head_seq - acked_seq)}
    if suspended == Revoked.code:
        yield Ailment(
            level="danger", code="till.revoked", say="Head office revoked this till: it serves no cards and no codes.",
            do="Sell without them. What it sold goes to head office, where a person looks at it; keep this machine's"
            " disk until then. To serve members again, enrol it anew with a code for its lane.",
        )  # fmt: skip
    elif suspended == BEYOND_RETENTION:
        yield Ailment(
            level="danger", code="stream.suspended",
            say="Head office was put back from a backup, and asks for events that this till does not keep any more.",
            do="Sell on, and keep this machine's disk. Head office puts a newer backup back, or gives a code to enrol"
            " this till anew; what is still here goes there then, for a person to look at.",
        )  # fmt: skip
    elif suspended:
        yield Ailment(
            level="danger", code="stream.suspended", say=f"Head office stopped this till's stream: {suspended}.",
            do="Sell on; nothing is lost. Head office decides: `central resume`, or a code to enrol anew.",
        )  # fmt: skip
    if leases_rest and leases_rest != suspended:
        yield Ailment(
            level="wrong", code="leases.rest", say=f"Points are not spent on leases and floats: {leases_rest}.",
            do="Look at the clock; it goes on once head office was reached.",
        )  # fmt: skip
    age_h = (now_ms - oldest_ms) // HOUR_MS if oldest_ms is not None else 0
    if age_h >= QUEUE_HOURS:
        yield Ailment(
            level="danger" if age_h >= 24 * QUEUE_DAYS_IN_DANGER else "wrong", code="queue.old",
            say=f"{head_seq - acked_seq} events are not acknowledged, the oldest for {age_h} hours.",
            do="Look why head office is not reached. Keep this machine's disk: it is the only copy.",
        )  # fmt: skip
    yield from _left_behind(journal, identity.epoch)
    yield from _people_unheard(journal, now_ms)
    yield from _chain(journal, identity, StreamHead(
        till_id=identity.till_id, epoch=identity.epoch, seq=acked_seq, hash=acked_hash))  # fmt: skip


def _left_behind(journal: sqlite3.Connection, epoch: int) -> Iterator[Ailment]:
    """What earlier epochs wrote and head office has not acknowledged: on its way, or kept apart there for good."""
    rows = journal.execute(
        f"SELECT s.kept_apart, max(0, max(e.seq) - s.acked_seq) FROM stream s JOIN event e ON {OF_STREAM}"
        " WHERE s.epoch <> ? GROUP BY s.epoch",
        (epoch,),
    ).fetchall()
    if waits := sum(left for apart, left in rows if not apart):
        yield Ailment(
            level="wrong", code="queue.left_behind", say=f"{waits} events of an earlier epoch were never acknowledged.",
            do="Keep the data folder. They go by themselves once head office is reached.",
        )  # fmt: skip
    for apart, left in rows:
        if apart and left:
            yield Ailment(
                level="advice", code="queue.kept_apart", about=apart,
                say=f"{left} events of an earlier epoch are not booked; head office keeps them in quarantine.",
                do="A person there fixes them or writes them off. Keep the data folder until that is done.",
            )  # fmt: skip


def _people_unheard(journal: sqlite3.Connection, now_ms: int) -> Iterator[Ailment]:
    """Who joined at an event that head office does not have in its books."""
    people, since_ms = journal.execute("SELECT count(*), min(since_ms) FROM unheard").fetchone()
    if people:
        yield Ailment(
            level="wrong", code="people.unheard", say=f"Who {people} new members are waits here for events that head"
            f" office does not have in its books, for {(now_ms - since_ms) // HOUR_MS} hours.",
            do="Let head office look at its quarantine: once it has posted one, who it is goes there by itself. It is"
            " forgotten here after as long as acknowledged events are kept, and that member joins anew.",
        )  # fmt: skip


def _chain(journal: sqlite3.Connection, identity: TillIdentity, at: StreamHead) -> Iterator[Ailment]:
    tail = "SELECT seq, payload, hash FROM event WHERE place BETWEEN ? AND ? ORDER BY place"
    for seq, payload, hash_ in journal.execute(tail, places_after(identity.epoch, at.seq)):
        at = next_head(at, identity.genesis, payload)
        if (at.seq, at.hash) != (seq, hash_):
            yield Ailment(
                level="danger", code="journal.chain_broken", about=f"event {seq}",
                say="It is not what was written: something changed the journal, or the disk fails.",
                do="Start the service again: it keeps the damaged files aside, saves what is true and sells on.",
            )  # fmt: skip
            return


def _cache(path: Path, now_ms: int) -> Iterable[Ailment]:
    """Lanes that have lapsed: caps tighten, prices and discounts go on."""
    if not path.exists():
        return []
    try:
        with closing(reading_only(path)) as cache:
            lanes = cache.execute("SELECT lane, expires_ms, taken_ms FROM lane ORDER BY lane").fetchall()
    except sqlite3.Error as error:
        return [
            Ailment(
                level="wrong",
                code="cache.unreadable",
                say=f"The cache cannot be read: {error}.",
                do="Stop the service, delete cache.db, start it: everything in it comes down again.",
            )
        ]
    return [
        Ailment(
            level="wrong",
            code="lane.expired",
            about=lane,
            say=f"{_lapsed(now_ms, expires_ms, taken_ms)}; offline caps are tightened.",
            do="It is renewed once head office is reached.",
        )
        for lane, expires_ms, taken_ms in lanes
        if is_expired(LaneState(expires_ms=expires_ms), now_ms, taken_ms)
    ]


def _lapsed(now_ms: int, expires_ms: int, taken_ms: int) -> str:
    if expires_ms <= now_ms:
        return f"It has lapsed {(now_ms - expires_ms) // HOUR_MS} hours ago"
    hours = (taken_ms - now_ms) // HOUR_MS
    return f"It counts as lapsed: by the clock of this machine it came {hours} hours from now"
